"""score_haplotypes(): phased genotypes and regions -> what all variants of a sample do together, by chromosome and in sum.

score_pairs(): variants near each other -> how far the effect of both is from the sum of their effects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.genome.contigs import ContigMap
from genoformer.genome.haplotypes import compatible, genotypes, trimmed
from genoformer.genome.reference import Genome
from genoformer.genome.regions import Region
from genoformer.genome.variants import ContigNames, Status, Variant, check_batch
from genoformer.genome.vcf import Record, open_vcf
from genoformer.progress import Listener, Progress
from genoformer.scoring.engines import chunks
from genoformer.scoring.scores import Floats
from genoformer.scoring.sinks import number
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.whole import whole_file

_AT_ONCE = 4_096  # records
SUM = "sum"


class Counted(NamedTuple):
    """What was written, and what was left out: reason -> alleles or genotypes."""

    n_rows: int
    n_sequences: int  # that the model has read, beside the references
    left_out: dict[str, int]


class _Window(NamedTuple):
    region: Region
    contig: str
    start: int
    centre: int


def score_haplotypes(
    vcf: Path,
    genome: Genome,
    scorer: TrackScorer,
    regions: Sequence[Region],
    output: Path,
    *,
    samples: Sequence[str] | None = None,
    listen: Listener = None,
) -> Counted:
    """Write a TSV with three rows for every region and sample: both chromosomes and their sum, the dosage.

    The window lies around the middle of the region, which keeps its place; scores are against the reference, over the window
    as always. Chromosomes that are alike, in whatever sample, are read once. Heterozygous genotypes without phase are
    left out, as are alleles that cannot be scored or overlap one before them; an allele that is not known is the reference's.

    Raises: ConfigError for samples that the VCF does not have, or none at all.
    """
    left_out: Counter[str] = Counter()
    with open_vcf(vcf) as file:
        named = file.header[-1].split("\t")[9:]
        if not named:
            raise ConfigError(f"{vcf} has no samples; haplotypes need phased genotypes.")
        if unknown := [name for name in samples or () if name not in named]:
            raise ConfigError(f"{vcf} has no sample {', '.join(unknown)}; it has {', '.join(named[:5])} and so on.")
        columns = [named.index(name) for name in samples] if samples else list(range(len(named)))
        windows = list(_windows(scorer, genome, regions))
        alleles = _alleles(file, genome, windows, scorer, columns, left_out)
    n_rows = n_sequences = 0
    with whole_file(output) as part, part.open("w") as out:
        names = [column.name for column in scorer.columns]
        out.write("\t".join(["chrom", "start", "end", "name", "sample", "haplotype", "variants", *names]) + "\n")
        for done, (window, rows) in enumerate(zip(windows, alleles, strict=True), 1):
            n_rows, n_sequences = _write_region(
                out, scorer, window, rows, [named[i] for i in columns], left_out, n_rows, n_sequences
            )
            if listen is not None:
                listen(Progress("haplotypes", done, len(windows)))
    return Counted(n_rows, n_sequences, dict(left_out))


def _windows(scorer: TrackScorer, genome: Genome, regions: Iterable[Region]) -> Iterator[_Window]:
    for region in regions:
        contig = genome.resolve(region.chrom)
        centre = (region.start + region.end) // 2
        yield _Window(region, contig, scorer.start_of(Variant(contig, centre + 1, "", "")), centre)


class _Allele(NamedTuple):
    """An ALT in a window, and which chromosomes of which samples have it, bool [samples, 2]."""

    variant: Variant
    carriers: NDArray[np.bool_]


def _alleles(
    file: Iterable[Record],
    genome: Genome,
    windows: Sequence[_Window],
    scorer: TrackScorer,
    columns: Sequence[int],
    left_out: Counter[str],
) -> list[list[_Allele]]:
    """The alleles in every window, from one pass over the records."""
    found: list[list[_Allele]] = [[] for _ in windows]
    here: dict[str, list[int]] = {}
    for i, window in enumerate(windows):
        here.setdefault(window.contig, []).append(i)
    for records in chunks(iter(file), _AT_ONCE):
        names: ContigNames = ContigMap({record.chrom for record in records}, genome.contigs)
        touched = []
        for record in records:
            start, end = record.pos - 1, record.pos - 1 + len(record.ref)
            of = [i for i in here.get(names.get(record.chrom) or "", ())
                  if start < windows[i].start + scorer.length and end > windows[i].start]  # fmt: skip
            if of:
                touched.append((record, of))
        statuses = check_batch([record for record, _ in touched], genome, names, scorer.longest_allele)
        for (record, of), row in zip(touched, statuses, strict=True):
            contig = names.get(record.chrom)
            assert contig is not None
            alleles = [x.alleles if x.ordered else None for x in genotypes(record)]
            mine = [alleles[i] if i < len(alleles) else () for i in columns]
            left_out["without phase"] += sum(x is None for x in mine)
            left_out["not known"] += sum((x or ()).count(None) for x in mine)
            for number_of, (alt, status) in enumerate(zip(record.alts, row, strict=False), 1):
                carriers = np.array([[(x or ())[c : c + 1] == (number_of,) for c in (0, 1)] for x in mine])
                if not carriers.any():
                    continue
                if status is not Status.OK:
                    left_out[status.value] += 1
                    continue
                for i in of:
                    found[i].append(_Allele(Variant(contig, record.pos, record.ref.upper(), alt.upper()), carriers))
    return found


def _write_region(
    out: IO[str], scorer: TrackScorer, window: _Window, alleles: Sequence[_Allele], samples: Sequence[str],
    left_out: Counter[str], n_rows: int, n_sequences: int,
) -> tuple[int, int]:  # fmt: skip
    """The rows of a region; the running counts of rows and sequences."""
    carried = np.stack([a.carriers for a in alleles]) if alleles else np.zeros((0, len(samples), 2), dtype=bool)
    kinds: dict[tuple[int, ...], int] = {(): 0}  # alleles of a chromosome -> number of its sequence; 0 is the reference
    which = np.zeros((len(samples), 2), dtype=np.int64)
    for s in range(len(samples)):
        for c in (0, 1):
            which[s, c] = kinds.setdefault(tuple(np.flatnonzero(carried[:, s, c]).tolist()), len(kinds))
    made: list[list[Variant]] = []
    n_variants = [0]
    for rows in list(kinds)[1:]:
        kept, n_out = compatible(alleles[i].variant for i in rows)
        left_out["overlapping"] += n_out
        n_variants.append(len(kept))
        made.append(kept)
    shape = (1, len(scorer.scores), len(scorer.tracks))
    read = scorer.haplotypes(window.contig, window.start, window.centre, made) if made else np.zeros((0, *shape[1:]))
    values = np.concatenate([np.zeros(shape), read])  # the reference has no effect
    both = np.stack([values[which[:, 0]], values[which[:, 1]], values[which[:, 0]] + values[which[:, 1]]], axis=1)
    table = scorer.table(both.reshape(-1, *shape[1:]), np.full(3 * len(samples), -1)).reshape(len(samples), 3, -1)
    place = [window.region.chrom, str(window.region.start), str(window.region.end), window.region.name or "."]
    for s, sample in enumerate(samples):
        n = [n_variants[i] for i in which[s].tolist()]
        for row, name, n_here in zip(table[s], ("1", "2", SUM), (*n, sum(n)), strict=True):
            out.write("\t".join([*place, sample, name, str(n_here), *_texts(scorer, row)]) + "\n")
    return n_rows + 3 * len(samples), n_sequences + len(made)


def _texts(scorer: TrackScorer, row: Floats) -> list[str]:
    return [
        "." if value != value else column.words[int(value)] if column.words else number(float(value))
        for column, value in zip(scorer.columns, row, strict=True)
    ]


def score_pairs(
    vcf: Path, genome: Genome, scorer: TrackScorer, within: int, output: Path, *, listen: Listener = None
) -> Counted:
    """Write a TSV with a row for every pair of ALTs at most `within` bases apart: both alone, together, and the difference.

    The difference, NONADD, is what both do together less the sum of what each does alone, of the same track: that in which it
    is largest, or those that are chosen. All three are read in one window, around the middle between the two.
    Raises ConfigError where `within` is more than a quarter of the window.
    """
    if not 1 <= within <= scorer.longest_allele:
        raise ConfigError(f"pairs within {within:,} bases: give 1 to {scorer.longest_allele:,}, a quarter of the window.")
    left_out: Counter[str] = Counter()
    n_rows = n_sequences = 0
    names = scorer.names
    with whole_file(output) as part, part.open("w") as out, open_vcf(vcf) as file:
        what = [f"{score.name}_{kind}" for score in scorer.scores for kind in ("A", "B", "AB", "NONADD", "TRACK")]
        out.write("\t".join(["chrom", *(f"{x}_{y}" for y in "ab" for x in ("pos", "ref", "alt")), *what]) + "\n")
        recent: list[tuple[Record, Variant]] = []
        for record, variant in _scorable(file, genome, scorer, left_out):
            recent = [(of, v) for of, v in recent if v.chrom == variant.chrom and abs(variant.start - v.start) <= within]
            for other_record, other in recent:
                if other_record is record:
                    continue  # two ALTs of one record are never on one chromosome
                kept, n_overlapping = compatible([other, variant])
                if n_overlapping or len(kept) < 2:
                    left_out["overlapping"] += 1
                    continue
                middle = (kept[0].start + kept[1].end) // 2
                start = scorer.start_of(Variant(variant.chrom, middle + 1, "", ""))
                a, b = ([trimmed(v)] for v in (other, variant))
                anchor = kept[0].start  # what is left of both stays, as in `score`
                alone, also, both = scorer.haplotypes(variant.chrom, start, middle, [a, b, kept], anchor=anchor)  # [scores, K]
                more = both - alone - also
                strongest = np.abs(np.nan_to_num(more)).argmax(-1)
                fields = [variant.chrom, *(str(x) for v in (other, variant) for x in (v.pos, v.ref, v.alt))]
                for i, (score, k) in enumerate(zip(scorer.scores, strongest.tolist(), strict=True)):
                    fields += [number(float(x[i, k])) for x in (alone, also, both, more)]
                    fields.append(names[k] if score.of_tracks else ".")
                out.write("\t".join(fields) + "\n")
                n_rows, n_sequences = n_rows + 1, n_sequences + 3
            recent.append((record, variant))
            if listen is not None:
                listen(Progress("pairs", n_rows, None, f"{record.chrom}:{record.pos:,}"))
    return Counted(n_rows, n_sequences, dict(left_out))


def _scorable(
    file: Iterable[Record], genome: Genome, scorer: TrackScorer, left_out: Counter[str]
) -> Iterator[tuple[Record, Variant]]:
    """Every ALT that can be scored, under the genome's names."""
    for records in chunks(iter(file), _AT_ONCE):
        names = ContigMap({record.chrom for record in records}, genome.contigs)
        for record, row in zip(records, check_batch(records, genome, names, scorer.longest_allele), strict=True):
            for alt, status in zip(record.alts or (".",), row, strict=True):
                if status is Status.OK:
                    contig = names.get(record.chrom)
                    assert contig is not None
                    yield record, Variant(contig, record.pos, record.ref.upper(), alt.upper())
                else:
                    left_out[status.value] += 1
