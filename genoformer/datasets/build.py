"""A genome and files of positives -> train, valid and test tables with negatives, and a manifest of how they were built."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from genoformer.datasets.dataset_files import BuildSummary, Windows, refuse_other_set, write_dataset
from genoformer.datasets.leakage import leakage
from genoformer.datasets.negatives import RANDOM_WINDOWS, CandidateStarts, random_negatives, shuffled_negatives
from genoformer.datasets.request import SPLITS, DatasetRequest, require_windows
from genoformer.datasets.sites import Positives, Site, format_notes, positive_sites, site_windows
from genoformer.datasets.targets import NEGATIVE
from genoformer.errors import ConfigError
from genoformer.formats.bed import Intervals
from genoformer.genome.codes import Codes, gc_share
from genoformer.genome.reference import Genome
from genoformer.genome.regions import read_on_reference, split_by_contig

_ADVICE = {  # by the most frequent reason, if all windows of a class were dropped
    "no_contig": "are file and FASTA of one assembly?",
    "outside": "are the windows too long, or file and FASTA of two assemblies?",
    "blacklist": "is it the right blacklist?",
    "too_many_n": "allow more N, or give a FASTA with these bases.",
    "ambiguous": "its windows lie on those of another class; give classes that lie apart, or shorter windows.",
}


def build(
    out: str | os.PathLike[str], genome: Genome, positives: Mapping[str, str | os.PathLike[str]], **options: Any
) -> BuildSummary:
    """Build labelled windows of a genome, split by contig: OUT/train.tsv, valid.tsv, test.tsv and manifest.json.

    Positives are BED, peaks, tables (centred on the summit, or on the middle of the row without one) or GTF or GFF3 (around
    each TSS of transcripts, or of genes if there are no transcripts). All windows have the same length and the direction of
    their strand, so that the TSS is base number `upstream` of its window on either strand.

    * Windows are dropped, and counted by the first reason that applies: `no_contig` (not in the FASTA), `outside` (beyond
      the contig's ends), `blacklist` (overlaps it), `too_many_n` (fraction of N above max_n), `ambiguous` (overlaps a window
      of another class by half or more; both are dropped), `repeated` (overlaps a kept window of its class by more than half;
      from left to right on the contig, on either strand).
    * Negatives: `ratio` times the positives of each split, on the contigs of the split, in proportion to the positives there.
      "elsewhere": random windows outside the blacklist, at least `length` bases from any row of the positives' files, kept or
      not, without overlaps, with the positives' fraction of - strands. "gc": the same, matched to the positives' GC in bins
      of 2 % points; windows that are not found are left out and counted. "dinucleotide": shuffles of the positives that keep
      every dinucleotide count.

    Parameters: see `DatasetRequest`; options are its other fields, such as columns, length, negatives, valid, test and seed.

    A call with the same options and inputs replaces an existing set; any other call is refused.

    Raises: ConfigError, FileFormatError, ContigError; then nothing is written.
    """
    return build_dataset(DatasetRequest(os.fspath(out), genome, positives, **options))


def build_dataset(request: DatasetRequest) -> BuildSummary:
    """Find the windows of the positives, add negatives, and write both; rules and errors: see `build`."""
    genome, spans = request.genome, request.spans
    split_of = split_by_contig(genome, request.valid, request.test)
    refuse_other_set(request)
    summary = BuildSummary(request.folder, request.width, notes=format_notes(request.positives, request.columns))
    masked = read_on_reference(request.blacklist, genome) if request.blacklist is not None else {}
    positives = positive_sites(genome, request.positives, spans, masked, request.max_n, request.columns)
    summary.dropped = positives.dropped
    summary.notes += positives.notes
    _refuse_empty(positives, summary)
    counts: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for sites in positives.kept.values():
        for site in sites:
            counts[split_of[site.chrom]][site.chrom] += 1
    summary.notes += require_windows(counts, request, "positive")
    windows = _windows(request, positives, masked, split_of, summary)
    _measure(summary, windows)
    write_dataset(request, summary, windows, [*split_of])
    return summary


def _refuse_empty(positives: Positives, summary: BuildSummary) -> None:
    """Raise ConfigError for a class without windows, with the most frequent reason."""
    for name, sites in positives.kept.items():
        if not sites:
            dropped = summary.dropped[name]
            counts = ", ".join(f"{n:,} {reason}" for reason, n in dropped.items())
            reason = max(dropped, key=lambda reason: dropped[reason])
            first = f" {positives.outside[name]};" if reason == "outside" and name in positives.outside else ""
            raise ConfigError(f"no window of class {name} is left (dropped: {counts});{first} {_ADVICE[reason]}")


def _windows(
    request: DatasetRequest,
    positives: Positives,
    masked: Mapping[str, Intervals],
    split_of: Mapping[str, str],
    summary: BuildSummary,
) -> dict[str, Windows]:
    """Return positives and negatives of each split, in genome order; shuffled negatives follow."""
    genome, width = request.genome, request.width
    order = {chrom: i for i, chrom in enumerate(genome.contigs)}
    all_sites = [site for sites in positives.kept.values() for site in sites]
    n_in_bins = RANDOM_WINDOWS.get(request.negatives or "")
    if n_in_bins is not None:
        hidden = {
            chrom: np.concatenate([rows + np.array([-width, width]), masked.get(chrom, rows[:0])])
            for chrom, rows in positives.covered.items()
        }
        chroms = list(dict.fromkeys(site.chrom for site in all_sites))
        candidates = CandidateStarts.around(genome, chroms, hidden, width, request.max_n)
    windows = {}
    n_missing = 0
    for i, split in enumerate(SPLITS):
        sites = [site for site in all_sites if split_of[site.chrom] == split]
        sites.sort(key=lambda site: (order[site.chrom], site.start, site.label))
        if not sites:
            continue
        random = np.random.default_rng([request.seed, i])
        codes = site_windows(genome, sites, width)  # [n, L]
        rows, shuffled = list(zip(sites, codes, strict=True)), list[tuple[Site, Codes]]()
        if n_in_bins is not None:
            negatives, n = random_negatives(candidates, sites, n_in_bins(codes), request.ratio, random)
            rows += zip(negatives, site_windows(genome, negatives, width), strict=True)
            n_missing += n
        elif request.negatives is not None:
            shuffled = shuffled_negatives(sites, codes, request.ratio, random)
        rows.sort(key=lambda row: (order[row[0].chrom], row[0].start))
        windows[split] = rows + shuffled
    if n_missing:
        summary.dropped[NEGATIVE] = {"not_found": n_missing}
    return windows


def _measure(summary: BuildSummary, windows: Mapping[str, Windows]) -> None:
    """Count the windows of each class, and measure their GC and the leakage between splits."""
    codes = {split: np.stack([row for _, row in rows]) for split, rows in windows.items()}
    labels = {split: [site.label for site, _ in rows] for split, rows in windows.items()}
    for split in windows:
        gc, of_rows = gc_share(codes[split]), np.array(labels[split])
        names = dict.fromkeys([*summary.dropped, *labels[split]])
        summary.counts[split] = {name: int((of_rows == name).sum()) for name in names}
        summary.gc[split] = {name: round(float(gc[of_rows == name].mean()), 6) for name in names if (of_rows == name).any()}
    for first, second in combinations(codes, 2):
        summary.leakage[f"{first}, {second}"] = leakage(codes[first], codes[second], labels[second])
