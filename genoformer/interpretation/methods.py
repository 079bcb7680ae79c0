"""Functions of the `genoformer interpret` commands: loci and a model -> maps, audits, figures and motifs in a folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genoformer.errors import ConfigError
from genoformer.genome.genes import read_genes
from genoformer.genome.reference import Genome
from genoformer.inference.runtime import Floats, evaluating
from genoformer.inference.track_prediction import tracks_of
from genoformer.interpretation import figures
from genoformer.interpretation.attention import AttentionReader, observed_over_expected
from genoformer.interpretation.filters import filter_matrices
from genoformer.interpretation.gradients import Attribution
from genoformer.interpretation.ism import Mutagenesis
from genoformer.interpretation.loci import MATRICES, Locus, read_places, write_arrays
from genoformer.interpretation.motifs import Hit, Match, fimo, read_matrices, tomtom, trimmed
from genoformer.interpretation.own_scores import VARIANTS, windows_of, write_own_scores
from genoformer.interpretation.run import (
    Method,
    Profile,
    attention_profiles,
    attributions,
    mutageneses,
    sequence_mutageneses,
)
from genoformer.interpretation.session import (
    InterpretationRequest,
    Model,
    Session,
    audit_maps,
    begin,
    draw,
    matched,
    note,
    on_genome,
    read_background,
    write,
    write_discovered,
    write_found,
    write_patterns,
)
from genoformer.interpretation.targets import AttributionTarget
from genoformer.models.enformer.model import Enformer
from genoformer.models.heads import SequenceClassifier
from genoformer.scoring.scorers import ScoringSpec, TrackOptions
from genoformer.scoring.scores import parse_scores
from genoformer.scoring.track_scorer import AlleleComparison

_MOST_TOKENS = 2_048  # maximum number of tokens or bins of a drawn attention matrix
ENOUGH = 0.05  # maximum completeness error of integrated gradients with enough steps
__all__ = ["InterpretationRequest", "Scan", "attention", "attribution", "filters", "ism", "match_motifs", "scan_motifs"]


def attention(
    asked: InterpretationRequest,
    *,
    profile: Profile = "viz",
    layers: Sequence[int] = (-1,),
    heads: Sequence[int] = (),
    query: int | str | None = None,
    negative: Path | None = None,
    min_fold: float = 10.0,
) -> list[str]:
    """Write attention profiles, attention matrices, and DNABERT-viz's motifs enriched over `negative`.

    query: the query token or bin; "tss" is the bin of the TSS nearest to the middle of each locus, for a track model with a
    GTF. Returns the messages for the user. Raises the errors of `read_places` and `attention_profiles`.
    """
    job = begin(asked)
    others = read_background(job, negative)
    if query == "tss":
        _keep_those_with_starts(job)
    queries = [_query(job, place, query) for place in job.places]

    def maps_of(model: Model, places: Sequence[Locus], progress: Callable[[int], None] | None = None) -> list[Floats]:
        return attention_profiles(
            model,
            places,
            profile=profile,
            layers=layers,
            heads=heads,
            query=queries[: len(places)],
            device=asked.device,
            progress=progress,
        )

    maps = maps_of(job.model, job.places, job.progress_for("attention"))
    outputs = job.model.config.heads if isinstance(job.model, Enformer) else {}
    audits = audit_maps(job, maps, maps_of, AttributionTarget(head=next(iter(outputs), None)))
    write(job, maps, f"attention {profile}")
    draw(job, maps, maps_of, "attention", audits)
    _draw_attention(job, layers, heads)
    if negative is not None:
        write_discovered(job, maps, others, min_fold)
    return job.messages


def ism(
    asked: InterpretationRequest,
    *,
    score: str | None = None,
    tracks: str | None = None,
    head: str | None = None,
    output: str | None = None,
    both_strands: bool = True,
    context: int | None = None,
    settings: AlleleComparison | None = None,
    modisco: bool = False,
    known: Path | None = None,
    negative: Path | None = None,
) -> list[str]:
    """Write ISM maps: each change as a `genoformer score`, or as the effect on a class (`output`) of a fine-tuned model.

    context and settings: the windows, as in `score`. For a VCF the scores of its own variants are also written, as in `score`
    (insertions and deletions have PLL instead of LLR).
    modisco: also write TF-MoDISco's patterns, matched with the motifs of `known`. negative: background sequences for
    DNABERT-viz's motifs of the map. Returns the messages for the user.
    """
    job = begin(asked)
    others = read_background(job, negative)
    own = [""] * len(job.places)
    if isinstance(job.model, SequenceClassifier):
        wanted = AttributionTarget(_class(job.model, output))
        if context is not None or (settings is not None and settings != AlleleComparison()):
            raise ConfigError("--context, --shifts, --indels and --anchor are of scores; this model has classes.")

        def mutated(model: Model, places: Sequence[Locus], progress: Callable[[int], None] | None = None) -> list[Mutagenesis]:
            assert isinstance(model, SequenceClassifier)
            return sequence_mutageneses(model, places, output=wanted, device=asked.device, progress=progress)
    else:
        wanted, of_tracks = _of_tracks(job.model, tracks, head, settings)
        score_name = score or ("SAD" if isinstance(job.model, Enformer) else "LLR")
        genome, placed = on_genome(job)
        job.places = placed
        if of_tracks is not None and asked.gtf is not None and any(of.evidence == "gene" for of in parse_scores(score_name)):
            of_tracks = of_tracks._replace(genes=read_genes(asked.gtf, genome))
        own = _own_scores(
            job,
            genome,
            score_name,
            of_tracks if tracks else of_tracks and of_tracks._replace(tracks=None),
            both_strands=both_strands,
            context=context,
        )

        def mutated(model: Model, places: Sequence[Locus], progress: Callable[[int], None] | None = None) -> list[Mutagenesis]:
            assert not isinstance(model, SequenceClassifier)
            work = ScoringSpec((model,), genome, score_name, context, both_strands, asked.device, of_tracks=of_tracks)
            with work.open_scorer() as scorer:
                return [of.summed(score_name) for of in mutageneses(scorer, genome, places, progress=progress)]

    def maps_of(model: Model, places: Sequence[Locus], progress: Callable[[int], None] | None = None) -> list[Floats]:
        return [of.base_importance[0] for of in mutated(model, places, progress)]

    found = mutated(job.model, job.places, job.progress_for("mutagenesis"))
    shaded = [place.variant for place in job.places]
    job.places = [
        place._replace(start=of.start, codes=of.codes, alleles=None)  # the part on the contig
        for place, of in zip(job.places, found, strict=True)
    ]
    importance = [of.base_importance[0] for of in found]
    audits = audit_maps(job, importance, maps_of, wanted, itself=True, alone=isinstance(job.model, SequenceClassifier))
    write(job, [of.values[0] for of in found], f"mutagenesis {found[0].names[0]}", importance)
    for i, place in enumerate(job.drawn):
        said = "; ".join(filter(None, (own[i], note(audits, i))))
        figures.draw_mutagenesis(job.path(i), place, found[i], seen=job.seen(place), note=said, shaded=shaded[i])
    if negative is not None:
        write_discovered(job, importance, others, 0.0)
    if modisco:
        write_patterns(job, [of.hypothetical[0] for of in found], known)
    return job.messages


def attribution(
    asked: InterpretationRequest,
    *,
    method: Method = "gradient",
    output: str | None = None,
    tracks: str | None = None,
    head: str | None = None,
    n_steps: int = 50,
    modisco: bool = False,
    known: Path | None = None,
    negative: Path | None = None,
) -> list[str]:
    """Write the contribution of each base to an output: a class of a fine-tuned model (default: the last), or a sum of tracks.

    modisco, known and negative: as in `ism`. Returns the messages for the user.
    """
    job = begin(asked)
    others = read_background(job, negative)
    if isinstance(job.model, SequenceClassifier):
        wanted = AttributionTarget(_class(job.model, output))
    else:
        wanted, _ = _of_tracks(job.model, tracks, head)

    def explained(model: Model, places: Sequence[Locus], progress: Callable[[int], None] | None = None) -> list[Attribution]:
        return attributions(
            model, places, method=method, output=wanted, n_steps=n_steps, device=asked.device, progress=progress
        )

    def maps_of(model: Model, places: Sequence[Locus], progress: Callable[[int], None] | None = None) -> list[Floats]:
        return [of.values[0].sum(-1) for of in explained(model, places, progress)]

    found = explained(job.model, job.places, job.progress_for("attribution"))
    maps = [of.values[0].sum(-1) for of in found]
    audits = audit_maps(job, maps, maps_of, wanted)
    write(job, maps, f"attribution {method}")
    draw(job, maps, maps_of, "attribution", audits, [_completeness(of) for of in found])
    if method == "integrated":
        errors = np.concatenate([of.error for of in found if of.error is not None])
        middle, most = np.median(errors), errors.max()
        more = "; take more --steps" if most > ENOUGH else ""
        job.messages.append(f"completeness: sums are off by {middle:.2%} in the middle, {most:.2%} at most{more}")
    if negative is not None:
        write_discovered(job, maps, others, 0.0)
    if modisco:
        write_patterns(job, [of.hypothetical[0] for of in found], known)
    return job.messages


def filters(asked: InterpretationRequest, *, known: Path | None = None) -> list[str]:
    """Write the first-layer filters of a track model as motifs of the loci, matched with the motifs of `known`."""
    job = begin(asked)
    if not isinstance(job.model, Enformer):
        raise ConfigError(f"{asked.model} has no filters over bases; they are of models of tracks.")
    lengths = {len(place.codes) for place in job.places}
    if len(lengths) > 1:
        raise ConfigError(f"filters are read on places of one length, not {min(lengths)} to {max(lengths)}; give --length.")
    found = [trimmed(matrix) for matrix in filter_matrices(job.model, np.stack([place.codes for place in job.places]))]
    job.messages.append(f"{len(found)} of {job.model.config.channels[0]} filters are active")
    write_found(job, matched(job, found, known))
    return job.messages


class Scan(NamedTuple):
    """Motif hits in loci, and the loci."""

    places: list[Locus]
    hits: list[Hit]
    notes: Sequence[str] = ()

    def bed(self) -> str:
        """Return BED6 lines with score -10 log10 p, at most 1000; coordinates are on the contig, or on the FASTA record."""
        lines = []
        for hit in self.hits:
            place = self.places[hit.sequence]
            score = min(1000, round(-10 * np.log10(max(hit.p, 1e-100))))
            start, end = place.start + hit.start, place.start + hit.end
            lines.append(f"{place.chrom or place.name}\t{start}\t{end}\t{hit.motif}\t{score}\t{hit.strand}")
        return "\n".join(lines)


def match_motifs(motifs: Path, known: Path, n_nearest: int = 3) -> list[Match]:
    """Return the known motifs most similar to each motif of a file, by Tomtom."""
    return tomtom(read_matrices(motifs), read_matrices(known), n_nearest=n_nearest)


def scan_motifs(motifs: Path, data: Path, fasta: Path | None, *, threshold: float = 1e-4) -> Scan:
    """Return the hits of the motifs of a file in the loci of a BED or FASTA, by FIMO."""
    places = read_places(data, Genome(fasta) if fasta else None)
    matrices = read_matrices(motifs)
    notes = []
    if short := [matrix for matrix in matrices if 0.25 ** len(matrix.p) > threshold]:
        first, least = short[0], 0.25 ** len(short[0].p)
        are, them = ("1 motif is", "it") if len(short) == 1 else (f"{len(short):,} motifs are", "them")
        notes.append(
            f"{are} too short for p up to {threshold:g}, so no place fits {them}: p of {first.name} "
            f"({len(first.p)} bases) is {least:.2g} or more; see --p-value."
        )
    return Scan(places, fimo(matrices, [place.codes for place in places], threshold=threshold), notes)


# --- helpers


def _completeness(found: Attribution) -> str:
    if found.error is None:
        return ""
    return f"sum off by {float(found.error[0]):.1%}" + ("; more steps are needed" if found.error[0] > ENOUGH else "")


def _class(model: SequenceClassifier, name: str | None) -> int:
    classes = list(model.config.classes)
    if name is not None and name not in classes:
        raise ConfigError(f"--class {name}: the model has {', '.join(classes)}.")
    return classes.index(name) if name else len(classes) - 1


def _own_scores(
    job: Session, genome: Genome, name: str, of_tracks: TrackOptions | None, *, both_strands: bool, context: int | None
) -> list[str]:
    """Write the scores of the variants of the loci, report the windows, and return a note for each locus."""
    names = "LLR,PLL" if name.upper() == "LLR" else name
    work = ScoringSpec((job.model,), genome, names, context, both_strands, job.asked.device, of_tracks=of_tracks)
    with work.open_scorer() as scorer:
        said = write_own_scores(job.asked.out / VARIANTS, scorer, job.places, job.alleles)
        job.messages.append(windows_of(scorer))
    if job.alleles:
        job.messages.append(f"{job.asked.out / VARIANTS}: what `score` says of the variants themselves")
    return said


def _of_tracks(
    model: Any, spec: str | None, head: str | None, settings: AlleleComparison | None = None
) -> tuple[AttributionTarget, TrackOptions | None]:
    if not isinstance(model, Enformer):
        if spec or head:
            raise ConfigError("--tracks and --head are of models of tracks; leave them out, or change -m.")
        if settings is not None and settings != AlleleComparison():
            raise ConfigError("--shifts, --indels and --anchor are of models of tracks; leave them out, or change -m.")
        return AttributionTarget(), None
    named = model.head_named(head)
    known = tracks_of(model.config, model.targets, head, None)
    chosen = known.choose(spec) if spec else list(range(len(known)))
    how = TrackOptions(named, targets=model.targets.get(named), tracks=chosen, settings=settings or AlleleComparison())
    return AttributionTarget(head=named, tracks=chosen), how


def _keep_those_with_starts(job: Session) -> None:
    """Keep the loci with a TSS, and report the number of the others."""
    if not isinstance(job.model, Enformer) or job.landmarks.genes is None:
        raise ConfigError("query tss needs a model of tracks and a GTF (--gtf).")
    kept = [place for place in job.places if (seen := job.seen(place)) and seen.starts(place.start, place.end)]
    if not kept:
        raise ConfigError("no gene of the GTF begins in any of the places; give wider ones with --length.")
    if len(kept) < len(job.places):
        job.messages.append(f"{len(job.places) - len(kept):,} places without a transcription start are left out.")
    job.places = kept


def _query(job: Session, place: Locus, query: int | str | None) -> int | None:
    if query is None or isinstance(query, int):
        return query
    if query != "tss":
        raise ConfigError(f"query {query!r}: give a number, or tss with --gtf.")
    seen = job.seen(place)
    assert seen is not None
    middle = (place.start + place.end) / 2
    at, _ = min(seen.starts(place.start, place.end), key=lambda found: abs(found[0] - middle))
    return (at - place.start) // job.model.config.bin_size


def _draw_attention(job: Session, layers: Sequence[int], heads: Sequence[int]) -> None:
    """Draw and write the attention matrix of each drawn locus; for a track model, also draw arcs from TSSs to elements."""
    matrices: dict[str, Any] = {}
    with evaluating(job.model, job.asked.device) as model:
        looked = AttentionReader(model, layers, heads)
        for i, place in enumerate(job.drawn):
            if (n := looked.n_tokens(len(place.codes))) > _MOST_TOKENS:
                job.messages.append(f"{place.name}: no matrix of {n:,} x {n:,}, it is drawn up to {_MOST_TOKENS:,}")
                continue
            weights, edges = looked.whole(place.codes)
            seen = job.seen(place)
            matrices |= {f"matrix_{i}": weights, f"edges_{i}": place.start + edges}
            which = "all heads" if len(looked.heads) == job.n_heads else f"heads {', '.join(map(str, looked.heads))}"
            of = f"mean of {which} of layer {', '.join(map(str, looked.layers))}"
            figures.draw_attention(
                job.path(i).with_name(f"{job.path(i).name}_matrix"), place, weights, edges.tolist(), seen=seen, note=of
            )
            if not isinstance(job.model, Enformer) or seen is None or not job.landmarks.elements:
                continue
            starts = seen.starts(place.start, place.end)
            spans = np.concatenate(list(seen.elements.values()))
            if not starts or not len(spans):
                continue
            found = observed_over_expected(weights, place.start + edges, [at for at, _ in starts], spans)
            pairs = [
                (float(at), float(span.mean()), float(found[a, b]))
                for a, (at, _) in enumerate(starts)
                for b, span in enumerate(spans)
                if np.isfinite(found[a, b])
            ]
            if not pairs:
                continue
            at, to, top = max(pairs, key=lambda pair: pair[2])
            gene = dict(starts)[int(at)]
            label = f"strongest: {gene} to {to + 1:,.0f}, {top:.2g} times what is usual at {abs(to - at):,.0f} bases"
            figures.draw_contacts(job.path(i).with_name(f"{job.path(i).name}_contacts"), place, pairs, seen, label)
    if matrices:
        write_arrays(job.asked.out / MATRICES, matrices)
