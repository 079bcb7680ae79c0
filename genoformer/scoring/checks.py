"""What a run says of its own numbers: the noise floor of scores of tracks, and scores done again the naive way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from genoformer.genome.codes import N, decode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.genome.vcf import Record
from genoformer.scoring.engines import Parts, Scored
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.sinks import Column

MOST_NOISE = 16  # places at which noise is measured, at the most
RECORDS_OF_NOISE = 20  # records for each of them
LEAST_NOISE = 8  # places below which nothing is said of how large noise can be


def noise_note(scorer: TrackScorer, genome: Genome, places: Iterable[tuple[str, int]], n: int) -> str | None:
    """A sentence on what each score says of nothing: of reference windows against themselves, moved by one base.

    places: contig and base of records; about n of them are taken, evenly.
    """
    known = []
    for contig, start in places:
        base = int(genome.window(contig, start, 1)[0])
        if base < N:
            letter = decode(np.array([base], dtype=np.uint8))
            known.append(Variant(contig, start + 1, letter, letter))
    taken = [known[i] for i in np.unique(np.linspace(0, len(known) - 1, n).astype(int)).tolist()] if known and n else []
    if not taken:
        return None
    values = np.abs(scorer.layout.strongest(scorer.noise(taken))[0])  # [n, scores, K]
    floors = []
    for i, score in enumerate(scorer.scores):
        of = values[:, i] if score.of_tracks else values[:, i, :1]
        floors.append(f"|{score.column.key}| {np.quantile(of.max(-1), 0.95):.3g}")
    strongest = "" if len(scorer.tracks) == 1 else ", of the strongest track"
    what = f"noise: at {len(taken)} places the reference was scored against itself, one base further on"
    if len(taken) < LEAST_NOISE:
        return f"{what}; the largest values lie about {', '.join(floors)}{strongest}: of too few places to judge scores by."
    return (
        f"{what}; 95 % of the values lie below {', '.join(floors)}{strongest}: scores of that size mean nothing of insertions "
        "and deletions, whose bins move too (substitutions move none; --verify tells what rounding makes of them)."
    )


def verify_note(
    lists: Callable[[], Iterable[Sequence[Record]]],
    parts: Parts,
    n: int,
    columns: Sequence[Column],
    again: Callable[[Sequence[Record]], Scored],
) -> str:
    """A sentence on how far the scores of n random alleles are from what `again` says of their records."""
    rng = np.random.default_rng(0)
    picked: list[tuple[float, int, int]] = []  # a random number, the part, the record in it
    for i, chunk in enumerate(lists()):
        scored = parts.get(i)
        assert scored is not None
        at = 0
        for j, record in enumerate(chunk):
            n_rows = max(1, len(record.alts))
            if not np.isnan(scored.values[at : at + n_rows]).all():
                picked.append((float(rng.random()), i, j))
            at += n_rows
        picked = sorted(picked)[:n]
    wanted: dict[int, list[int]] = {}
    for _, i, j in picked:
        wanted.setdefault(i, []).append(j)
    numbers = [column for column, of in enumerate(columns) if not of.words]
    largest, scale, n_done = 0.0, 0.0, 0
    for i, chunk in enumerate(lists()):
        if i not in wanted:
            continue
        scored = parts.get(i)
        assert scored is not None
        ends = np.cumsum([max(1, len(record.alts)) for record in chunk])
        for j in sorted(wanted[i]):
            here = scored.values[(ends[j - 1] if j else 0) : ends[j]][:, numbers]
            naive = again([chunk[j]]).values[:, numbers]
            both = np.isfinite(here) & np.isfinite(naive)
            if (np.isfinite(here) != np.isfinite(naive)).any():
                return f"verified: {chunk[j].chrom}:{chunk[j].pos} has scores in one of the two ways only; please report this."
            largest = max(largest, float(np.abs(here - naive)[both].max(initial=0)))
            scale = max(scale, float(np.abs(naive)[both].max(initial=0)))
            n_done += 1
    if not n_done:
        return "verified: no record has a score."
    return (
        f"verified: {n_done} random records scored again the naive way, on the CPU in float32; the largest difference is "
        f"{largest:.2g}, of scores up to {scale:.3g}."
    )
