"""score_haplotypes(): phased genotypes and regions -> joint effect of a sample's variants, per chromosome and in sum.

score_pairs(): pairs of nearby variants -> non-additivity, the joint effect minus the sum of the single effects.
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
from genoformer.files import atomic_write, sha256_of
from genoformer.formats.vcf import Record, open_vcf
from genoformer.genome.contigs import join_names
from genoformer.genome.fit import Fit, scorable
from genoformer.genome.haplotypes import drop_overlapping
from genoformer.genome.normalise import trimmed
from genoformer.genome.preflight import check_preflight, preflight
from genoformer.genome.reference import Genome
from genoformer.genome.regions import Region
from genoformer.genome.variants import Variant
from genoformer.progress import Progress, ProgressCallback
from genoformer.scoring.carriers import Inside, Window, carriers_of, windows_of
from genoformer.scoring.parts import THREADS, RowFolder, Rows
from genoformer.scoring.scorers import sha256_of_models
from genoformer.scoring.scores import Floats
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.track_scores import TrackScores, weighted_sum, zeros_like
from genoformer.tables import MISSING, rounded, tsv_line

_PAIRS = 64  # pairs in a part
SUM = "sum"


class HaplotypeSummary(NamedTuple):
    """Counts of written rows and of alleles or genotypes left out, by reason."""

    n_rows: int
    n_sequences: int  # sequences that the model has read, without the references
    left_out: dict[str, int]
    reused: int  # parts that an earlier, interrupted run had finished
    notes: tuple[str, ...]  # on contigs and records that do not match the genome
    fixed: dict[str, int]  # word of GF_FIX -> number of corrected ALTs


class UnsortedError(ConfigError):
    """The records of a VCF are not sorted; its finished parts cannot be reused for the sorted VCF."""


_N_ROWS, _N_SEQUENCES = "rows", "sequences"  # keys in the counts of a part


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
    """Write a TSV with one row per region, sample and chromosome, and one for their sum, the dosage.

    The window is centred on the region, and its centre base keeps its position. Scores compare each haplotype with the
    reference. Identical haplotypes are read once for all samples. Four kinds of alleles are left out: alleles without phase;
    alleles of another phase set or ploidy than most in the window; alleles that cannot be scored; alleles that overlap an
    earlier one. An unknown allele counts as REF. docs/genotypes.md has the rules. force: continue if the preflight fails.
    fix: corrections ("swap", "strand", "shift") for records whose REF differs from the reference, as in `score_variants`.

    Raises: ConfigError if the VCF has no samples or lacks a requested one; PreflightError.
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
            raise ConfigError(f"{vcf} has no sample {', '.join(unknown)}; it has {join_names(named)}.")
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
    """Return the entries on contigs and corrections for job.json."""
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
    """Write a table from its parts; each finished part is stored, so that an interrupted run resumes."""
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
    kinds: dict[tuple[int, ...], int] = {(): 0}  # variants of a chromosome -> number of its sequence; 0 is the reference
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
        absent = n_rows - len(kinds_of_sample)  # chromosomes that the sample lacks here
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
    """Write a TSV with one row per pair of ALTs at most `within` bases apart: each alone, both together, and the difference.

    The difference, NONADD, is the joint effect minus the sum of the single effects, on the requested track where it is
    largest. All three effects are computed in one window, centred between the two variants. fix: as in `score_haplotypes`;
    POS, REF and ALT in the table are the corrected ones.
    Raises ConfigError if `within` exceeds a quarter of the window or records are not sorted; PreflightError.
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
    """Two ALTs as written in the VCF, and both in order without the bases that they share with REF."""

    first: Variant
    second: Variant
    both: list[Variant]


def _neighbour_pairs(found: Iterable[tuple[Record, Variant]], within: int, left_out: Counter[str]) -> Iterator[_Pair]:
    """Yield the pairs of ALTs of two records at most `within` bases apart, in input order."""
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
        # the sequence to the left of both keeps its position, as in `score`
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
