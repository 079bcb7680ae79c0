"""score_haplotypes(): phased genotypes and regions -> what all variants of a sample do together, by chromosome and in sum.

score_pairs(): variants near each other -> how far the effect of both is from the sum of their effects.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer import inference
from genoformer.errors import ConfigError
from genoformer.genome.fit import Fit, scorable
from genoformer.genome.haplotypes import drop_overlapping
from genoformer.genome.preflight import check_preflight, preflight
from genoformer.genome.reference import Genome
from genoformer.genome.regions import Region
from genoformer.genome.variants import Variant, trimmed
from genoformer.genome.vcf import Record, open_vcf
from genoformer.progress import Progress, ProgressCallback
from genoformer.scoring.carriers import Inside, Window, carriers_of, windows_of
from genoformer.scoring.engines import THREADS, RowFolder, Rows
from genoformer.scoring.scorers import sha256_of_models
from genoformer.scoring.scores import Floats
from genoformer.scoring.told import TrackScores, weighted_sum, zeros_like
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.tables import MISSING, rounded, tsv_line
from genoformer.whole import atomic_write, sha256_of

_PAIRS = 64  # in a part
SUM = "sum"


class HaplotypeSummary(NamedTuple):
    """What was written, and what was left out: reason -> alleles or genotypes."""

    n_rows: int
    n_sequences: int  # that the model has read, beside the references
    left_out: dict[str, int]
    reused: int  # parts that an earlier, interrupted run had finished
    notes: tuple[str, ...]  # on contigs and records that do not fit the genome
    fixed: dict[str, int]  # word of GF_FIX -> ALTs that were read as they were meant


class UnsortedError(ConfigError):
    """The records of a VCF are not in order; parts of it are of no use for the sorted VCF."""


_N_ROWS, _N_SEQUENCES = "rows", "sequences"  # in the counts of a part


def score_haplotypes(
    vcf: Path,
    genome: Genome,
    scorer: TrackScorer,
    regions: Sequence[Region],
    output: Path,
    *,
    samples: Sequence[str] | None = None,
    force: bool = False,
    fix: Sequence[str] = (),
    progress: ProgressCallback = None,
) -> HaplotypeSummary:
    """Write a TSV with a row for every region, sample and chromosome, and one for their sum, the dosage.

    The window lies around the middle of the region, which keeps its place; scores are against the reference, over the window
    as always. Chromosomes that are alike, in whatever sample, are read once. Alleles without phase are left out, as are those
    of another phase set or ploidy than most in the window, and those that cannot be scored or overlap one before them; an
    allele that is not known is the reference's. docs/genotypes.md has the rules. force: go on where the preflight would stop.
    fix: of "swap", "strand" and "shift", how records are read whose REF disagrees, as in `score_variants`.

    Raises: ConfigError for samples that the VCF does not have, or none at all; PreflightError.
    """
    checked = preflight(vcf, genome, max_length=scorer.longest_allele, asked=fix, force=force)
    check_preflight(checked, force=force)
    how = checked.fit()
    left_out: Counter[str] = Counter()
    fixed: Counter[str] = Counter()
    with open_vcf(vcf) as file:
        named = file.samples
        if not named:
            raise ConfigError(f"{vcf} has no samples; haplotypes need phased genotypes.")
        if unknown := [name for name in samples or () if name not in named]:
            raise ConfigError(f"{vcf} has no sample {', '.join(unknown)}; it has {', '.join(named[:5])} and so on.")
        columns = [named.index(name) for name in samples] if samples else list(range(len(named)))
        windows = list(windows_of(scorer, genome, regions))
        inside = carriers_of(file, genome, how, windows, scorer, columns, left_out, fixed)
    of = [named[i] for i in columns]
    what = {"samples": ",".join(of), "regions": _hash(region for region, *_ in windows), **_ticket(how, fix)}
    header = ["chrom", "start", "end", "name", "sample", "haplotype", "variants", *(column.name for column in scorer.columns)]
    works = [partial(_rows_of_region, scorer, window, here, of) for window, here in zip(windows, inside, strict=True)]
    found = _write_table(output, vcf, scorer, what, header, works, len(works), "haplotypes", left_out, progress)
    return found._replace(notes=tuple(checked.findings), fixed=dict(fixed))


def _ticket(fit: Fit, fix: Sequence[str]) -> dict[str, str]:
    """For the ticket of unfinished work."""
    return {"contigs left out": ",".join(sorted(fit.others)), **({"fix": ",".join(fix)} if fix else {})}


def _write_table(
    output: Path,
    vcf: Path,
    scorer: TrackScorer,
    what: dict[str, str],
    header: Sequence[str],
    works: Iterable[Callable[[], Rows]],
    n: int | None,
    stage: str,
    left_out: Counter[str],
    progress: ProgressCallback,
) -> HaplotypeSummary:
    """A table from its parts, each kept as soon as it is done, so that a run which was interrupted goes on."""
    job = {
        "VCF": sha256_of(vcf),
        "model": sha256_of_models(scorer.models),
        "scores": ",".join(score.name for score in scorer.scores),
        "FASTA": scorer.genome.signature,
        THREADS: str(inference.n_cores()) if scorer.device.type == "cpu" else "any",
        **what,
        **scorer.options,
        **scorer.inputs,
    }
    parts = RowFolder(output, job)
    totals: Counter[str] = Counter()
    try:
        with atomic_write(output) as part, part.open("w", encoding="utf-8") as out:
            out.write(tsv_line(header) + "\n")
            for i, work in enumerate(works):
                rows = parts.get_or_compute(i, work)
                out.write(rows.lines)
                totals.update(rows.counts)
                if progress is not None:
                    progress(Progress(stage, i + 1, n))
    except BaseException as error:
        if isinstance(error, UnsortedError) or (parts.is_new and not parts.numbers()):
            parts.remove()
        raise
    parts.remove()
    n_rows, n_sequences = totals.pop(_N_ROWS, 0), totals.pop(_N_SEQUENCES, 0)
    left_out.update(totals)
    return HaplotypeSummary(n_rows, n_sequences, dict(left_out), parts.n_found, (), {})


def _rows_of_region(scorer: TrackScorer, window: Window, inside: Inside, samples: Sequence[str]) -> Rows:
    variants, carried = inside.variants, inside.carriers
    kinds: dict[tuple[int, ...], int] = {(): 0}  # alleles of a chromosome -> number of its sequence; 0 is the reference
    which = [
        [kinds.setdefault(tuple(np.flatnonzero(carried[:, s, c]).tolist()), len(kinds)) for c in range(n)]
        for s, n in enumerate(inside.ploidy.tolist())
    ]
    made: list[list[Variant]] = []
    n_variants, n_overlapping = [0], 0
    for rows in list(kinds)[1:]:
        kept, n_out = drop_overlapping(variants[i] for i in rows)
        n_overlapping += n_out
        n_variants.append(len(kept))
        made.append(kept)
    read = scorer.haplotypes(window.contig, window.start, window.centre, made) if made else []
    none = np.where([score.of_tracks for score in scorer.scores], 0.0, np.nan)[:, None] * np.ones(len(scorer.tracks))
    none[:, 0] = 0  # the reference has no effect
    n_shifts = scorer.layout.n_shifts
    of = [
        zeros_like(read[0]) if read else TrackScores(none, {}, (TrackScores(none, {}),) * (n_shifts if n_shifts > 1 else 0)),
        *read,
    ]
    place = [window.region.chrom, str(window.region.start), str(window.region.end), window.region.name]
    lines = []
    for sample, kinds_of_sample, n_rows in zip(samples, which, inside.n_rows.tolist(), strict=True):
        absent = n_rows - len(kinds_of_sample)  # chromosomes that are not there
        dosage = weighted_sum([of[kind] for kind in kinds_of_sample], [1] * len(kinds_of_sample))
        table = scorer.layout.table([*(of[kind] for kind in kinds_of_sample), *[of[0]] * absent, dosage])
        table[len(kinds_of_sample) : n_rows] = np.nan
        n = [str(n_variants[kind]) for kind in kinds_of_sample] + [MISSING] * absent
        n.append(str(sum(n_variants[kind] for kind in kinds_of_sample)))
        names = [*map(str, range(1, n_rows + 1)), SUM]
        for row, name, n_here in zip(table, names, n, strict=True):
            lines.append(tsv_line([*place, sample, name, n_here, *_texts(scorer, row)]) + "\n")
    return Rows("".join(lines), {_N_ROWS: len(lines), _N_SEQUENCES: len(made), "overlapping": n_overlapping})


def _texts(scorer: TrackScorer, row: Floats) -> list[str]:
    return [column.text(float(value)) for column, value in zip(scorer.columns, row, strict=True)]


def _hash(rows: Iterable[object]) -> str:
    return hashlib.sha256(repr(list(rows)).encode()).hexdigest()


def score_pairs(
    vcf: Path,
    genome: Genome,
    scorer: TrackScorer,
    within: int,
    output: Path,
    *,
    force: bool = False,
    fix: Sequence[str] = (),
    progress: ProgressCallback = None,
) -> HaplotypeSummary:
    """Write a TSV with a row for every pair of ALTs at most `within` bases apart: both alone, together, and the difference.

    The difference, NONADD, is what both do together less the sum of what each does alone, of the same track: that in which it
    is largest, or those that are chosen. All three are read in one window, around the middle between the two. fix: as in
    `score_haplotypes`; POS, REF and ALT in the table are those of the variants that were meant.
    Raises ConfigError where `within` is more than a quarter of the window, or records are not in order; PreflightError.
    """
    if not 1 <= within <= scorer.longest_allele:
        raise ConfigError(f"pairs within {within:,} bases: give 1 to {scorer.longest_allele:,}, a quarter of the window.")
    checked = preflight(vcf, genome, max_length=scorer.longest_allele, asked=fix, force=force)
    check_preflight(checked, force=force)
    how = checked.fit()
    left_out: Counter[str] = Counter()
    fixed: Counter[str] = Counter()
    kinds = ("A", "B", "AB", "NONADD", *(["NONADD_SE"] if scorer.layout.n_shifts > 1 else []), "TRACK")
    what = []
    for score in scorer.scores:
        what += [f"{score.name}_{kind}" for kind in (*kinds, *(["GENE"] if score.evidence == "gene" else []))]
    header = ["chrom", *(f"{x}_{y}" for y in "ab" for x in ("pos", "ref", "alt")), *what]
    with open_vcf(vcf) as file:
        near = _neighbour_pairs(scorable(file, genome, scorer.longest_allele, left_out, how, fixed), within, left_out)
        works = (partial(_rows_of_pairs, scorer, some) for some in iter(lambda: list(islice(near, _PAIRS)), []))
        ticket = {"within": str(within), **_ticket(how, fix)}
        found = _write_table(output, vcf, scorer, ticket, header, works, None, "pairs", left_out, progress)
        return found._replace(notes=tuple(checked.findings), fixed=dict(fixed))


class _Pair(NamedTuple):
    """Two ALTs as the VCF has them, and both without the bases that they share with their REF, in order."""

    first: Variant
    second: Variant
    both: list[Variant]


def _neighbour_pairs(found: Iterable[tuple[Record, Variant]], within: int, left_out: Counter[str]) -> Iterator[_Pair]:
    """Pairs of ALTs of two records at most `within` bases apart, as they come."""
    recent: list[tuple[Record, Variant]] = []
    done: set[str] = set()
    last: Record | None = None
    for record, variant in found:
        if last is not None and record.chrom != last.chrom:
            done.add(last.chrom)
        if record.chrom in done:
            raise UnsortedError(
                f"{record.chrom}:{record.pos:,} stands after records of other contigs, but pairs needs all records of a contig "
                "in a row; sort the VCF (bcftools sort)."
            )
        if last is not None and record.chrom == last.chrom and record.pos < last.pos:
            raise UnsortedError(
                f"{record.chrom}:{record.pos:,} stands after {last.chrom}:{last.pos:,}, but pairs needs records in order of "
                "position; sort the VCF (bcftools sort)."
            )
        last = record
        recent = [(of, v) for of, v in recent if v.chrom == variant.chrom and abs(variant.start - v.start) <= within]
        for other_record, other in recent:
            if other_record is record:
                continue  # two ALTs of one record are never on one chromosome
            kept, n_overlapping = drop_overlapping([other, variant])
            if n_overlapping or len(kept) < 2:
                left_out["overlapping"] += 1
            else:
                yield _Pair(other, variant, kept)
        recent.append((record, variant))


def _rows_of_pairs(scorer: TrackScorer, pairs: Sequence[_Pair]) -> Rows:
    lines = []
    for other, variant, kept in pairs:
        middle = (kept[0].start + kept[1].end) // 2
        start = scorer.window_start(Variant(variant.chrom, middle + 1, "", ""))
        asked = [[trimmed(other)], [trimmed(variant)], kept]
        # what is left of both stays, as in `score`
        each = scorer.haplotypes(variant.chrom, start, middle, asked, anchor=kept[0].start)
        difference = [weighted_sum(each, [-1, -1, 1])]
        more, genes = scorer.layout.strongest(difference)
        errors = scorer.layout.errors(difference, genes) if scorer.layout.n_shifts > 1 else None
        fields = [variant.chrom, *(str(x) for v in (other, variant) for x in (v.pos, v.ref, v.alt))]
        for i, score in enumerate(scorer.scores):
            k = int(np.abs(np.nan_to_num(more[0, i])).argmax())
            gene = int(genes[0, i])
            fields += [rounded(scorer.layout.value(told, i, k, gene)) for told in each]
            fields += [rounded(float(of[0, i, k])) for of in (more, errors) if of is not None]
            fields.append(scorer.layout.names[k] if score.of_tracks else MISSING)
            if score.evidence == "gene":
                fields.append(scorer.layout.name_of_gene(gene))
        lines.append(tsv_line(fields) + "\n")
    return Rows("".join(lines), {_N_ROWS: len(lines), _N_SEQUENCES: 3 * len(lines)})
