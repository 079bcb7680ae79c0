"""score_haplotypes(): phased genotypes and regions -> joint effect of a sample's variants, per chromosome and in sum."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np

from genoformer.errors import ConfigError
from genoformer.formats.vcf import open_vcf
from genoformer.genome.contigs import join_names
from genoformer.genome.haplotypes import drop_overlapping
from genoformer.genome.variant_input import VariantInput, variant_file
from genoformer.genome.variants import Variant
from genoformer.progress import ProgressCallback
from genoformer.scoring.carriers import Inside, Window, find_carriers, region_windows
from genoformer.scoring.effect_table import N_ROWS, N_SEQUENCES, EffectTable, HaplotypeSummary, check_input
from genoformer.scoring.job import HaplotypeJob
from genoformer.scoring.parts import Rows
from genoformer.scoring.scorers import open_haplotype_scorer
from genoformer.scoring.track_scores import TrackScores, weighted_sum, zeros_like
from genoformer.scoring.variant_scorer import HaplotypeScorer, haplotype_scorers, shared_work
from genoformer.tables import MISSING, tsv_cell, tsv_line

SUM = "sum"
Part = tuple[Window, Inside]


def score_haplotypes(job: HaplotypeJob, *, progress: ProgressCallback = None) -> HaplotypeSummary:
    """Write a TSV with one row per region, sample and chromosome, and one for their sum, the dosage.

    The window is centred on the region, and its centre base keeps its position. Scores compare each haplotype with the
    reference. Identical haplotypes are read once for all samples. Four kinds of alleles are left out: alleles without phase;
    alleles of another phase set or ploidy than most in the window; alleles that cannot be scored; alleles that overlap an
    earlier one. An unknown allele counts as REF. docs/genotypes.md has the rules.

    Raises: ConfigError if the VCF has no samples or lacks a requested one; PreflightError.
    """
    left_out: Counter[str] = Counter()
    fixed: Counter[str] = Counter()
    with variant_file(job.vcf, job.genome) as variants:
        table, samples, parts = _read(job, variants, left_out, fixed)
        summary = table.write(lambda: parts, partial(_rows_of_region, samples), progress)
    left_out.update(summary.left_out)
    return summary._replace(left_out=dict(left_out), fixed=dict(fixed))


def _read(
    job: HaplotypeJob, variants: VariantInput, left_out: Counter[str], fixed: Counter[str]
) -> tuple[EffectTable[Part], list[str], list[Part]]:
    """Return the table, the names of its samples, and the variants of each region; count what is left out and fixed."""
    with open_haplotype_scorer(job.genome, job.scoring, job.runtime) as scorer:
        checked, fit = check_input(job, scorer, variants)
        with open_vcf(variants.path, name=variants.name) as file:
            samples = _samples(job, file.samples)
            columns = [file.samples.index(name) for name in samples]
            windows = list(region_windows(scorer, job.genome, job.regions))
            inside = find_carriers(file, job.genome, fit, windows, scorer, columns, left_out, fixed)
        regions = hashlib.sha256(repr([window.region for window in windows]).encode()).hexdigest()
        names = [column.name for column in scorer.columns]
        header = ["chrom", "start", "end", "name", "sample", "haplotype", "variants", *names]
        settings = {"samples": ",".join(samples), "regions": regions} | scorer.options | scorer.inputs
        table: EffectTable[Part] = EffectTable(job, variants, settings, checked, header, "haplotypes", len(windows))
    return table, samples, list(zip(windows, inside, strict=True))


def _samples(job: HaplotypeJob, known: Sequence[str]) -> list[str]:
    """Return the names of the chosen samples; ConfigError for a VCF without samples or without a chosen one."""
    if not known:
        raise ConfigError(f"{job.vcf} has no samples; haplotypes need phased genotypes.")
    if unknown := [name for name in job.samples or () if name not in known]:
        raise ConfigError(f"{job.vcf} has no sample {', '.join(unknown)}; it has {join_names(known)}.")
    return list(job.samples or known)


def _rows_of_region(samples: Sequence[str], scorer: HaplotypeScorer, part: Part) -> Rows:
    window, inside = part
    variants, carriers = inside.variants, inside.carriers
    by_chromosome = np.ascontiguousarray(carriers.transpose(1, 2, 0))  # [samples, chromosomes, variants]
    numbers: dict[bytes, int] = {bytes(len(variants)): 0}  # the variants that a chromosome has -> number of its sequence
    sequences = [
        tuple(numbers.setdefault(row.tobytes(), len(numbers)) for row in rows[:n])
        for rows, n in zip(by_chromosome, inside.ploidy.tolist(), strict=True)
    ]
    haplotypes: list[list[Variant]] = []
    n_variants, n_overlapping = [0], 0  # of the reference, which is sequence 0
    for has_variant in list(numbers)[1:]:
        kept, n_out = drop_overlapping(v for v, has in zip(variants, has_variant, strict=True) if has)
        n_overlapping += n_out
        n_variants.append(len(kept))
        haplotypes.append(kept)
    heads = haplotype_scorers(scorer)
    with shared_work(scorer):
        scores = [_scores(head, window, haplotypes) for head in heads]
    place = tsv_line([window.region.chrom, str(window.region.start), str(window.region.end), window.region.name])
    cells: dict[tuple[tuple[int, ...], int], list[str]] = {}  # of samples with the same sequences: all that follows their name
    lines = []
    for sample, of_sample, n_rows in zip(map(tsv_cell, samples), sequences, inside.n_rows.tolist(), strict=True):
        if (of_sample, n_rows) not in cells:
            cells[of_sample, n_rows] = _cells(heads, scores, n_variants, of_sample, n_rows)
        lines += [f"{place}\t{sample}\t{text}\n" for text in cells[of_sample, n_rows]]
    return Rows("".join(lines), {N_ROWS: len(lines), N_SEQUENCES: len(haplotypes), "overlapping": n_overlapping})


def _cells(
    heads: Sequence[HaplotypeScorer],
    scores: Sequence[Sequence[TrackScores]],
    n_variants: Sequence[int],
    sequences: tuple[int, ...],
    n_rows: int,
) -> list[str]:
    """Return the cells of a sample with these sequences: a row per chromosome, and one of their sum.

    scores: of each head, of all sequences.
    """
    n_absent = n_rows - len(sequences)  # chromosomes that the sample lacks here
    texts: list[list[str]] = [[] for _ in range(n_rows + 1)]
    for head, of_head in zip(heads, scores, strict=True):
        dosage = weighted_sum([of_head[number] for number in sequences], [1] * len(sequences))
        table = head.layout.table([*(of_head[number] for number in sequences), *[of_head[0]] * n_absent, dosage])
        table[len(sequences) : n_rows] = np.nan
        for cells, row in zip(texts, table, strict=True):
            cells += [of.text(float(value)) for of, value in zip(head.columns, row, strict=True)]
    counts = [str(n_variants[number]) for number in sequences] + [MISSING] * n_absent
    counts.append(str(sum(n_variants[number] for number in sequences)))
    names = [*map(str, range(1, n_rows + 1)), SUM]
    return [tsv_line([name, count, *row]) for name, count, row in zip(names, counts, texts, strict=True)]


def _scores(scorer: HaplotypeScorer, window: Window, haplotypes: Sequence[Sequence[Variant]]) -> list[TrackScores]:
    """Return the scores of the reference chromosome, then of each haplotype, against the reference."""
    if not all(score.zero_at_reference for score in scorer.scores) or (scorer.layout.of_genes and not haplotypes):
        return scorer.haplotypes(window.contig, window.start, window.centre, [[], *haplotypes])
    if haplotypes:
        scores = scorer.haplotypes(window.contig, window.start, window.centre, haplotypes)
        return [zeros_like(scores[0]), *scores]
    values = np.where([score.per_output for score in scorer.scores], 0.0, np.nan)[:, None] * np.ones(len(scorer.layout.names))
    values[:, 0] = 0
    n_shifts = scorer.layout.n_shifts
    return [TrackScores(values, {}, (TrackScores(values, {}),) * (n_shifts if n_shifts > 1 else 0))]
