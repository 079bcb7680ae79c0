"""Genotypes of a VCF and regions -> the variants in each window and the chromosomes that carry them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import FileFormatError
from genoformer.formats.bed import Region
from genoformer.formats.reach import reach
from genoformer.formats.vcf import Record, VariantFile, batches
from genoformer.genome.fit import FIX_WORDS, Fit, check_fit, exchanged_alt
from genoformer.genome.genotypes import NO_GENOTYPE, NOT_KNOWN, WITHOUT_PHASE, Calls, calls_from, calls_of
from genoformer.genome.readings import Reading, shifted
from genoformer.genome.reference import Genome
from genoformer.genome.structural import is_symbolic
from genoformer.genome.variants import Status, Variant
from genoformer.scoring.phasing import ANOTHER_SET, phase
from genoformer.scoring.ploidies import Ploidies
from genoformer.scoring.variant_scorer import HaplotypeScorer

_AT_ONCE = 4_096  # records
SWAP_OR_STRAND = "swap or strand"  # the alleles of a genotype are unknown


class Window(NamedTuple):
    """Window of a region: its contig in the genome, its start, and its centre base, which keeps its position."""

    region: Region
    contig: str
    start: int
    centre: int


def region_windows(scorer: HaplotypeScorer, genome: Genome, regions: Iterable[Region]) -> Iterator[Window]:
    """Yield the window around the centre of each region."""
    for region in regions:
        contig = genome.resolve(region.chrom)
        centre = (region.start + region.end) // 2
        yield Window(region, contig, scorer.window_start(Variant(contig, centre + 1, "", "")), centre)


class _Site(NamedTuple):
    """A record in a window: its ALTs that can be scored, by allele number, and the genotype of every sample."""

    variants: dict[int, Variant]
    calls: Calls


class Inside(NamedTuple):
    """Variants of a window and their carriers."""

    variants: list[Variant]
    carriers: NDArray[np.bool_]  # [variants, samples, chromosomes]
    ploidy: NDArray[np.int64]  # [samples]: number of chromosomes in this window, for example 1 for a man's X
    n_rows: NDArray[np.int64]  # [samples]: chromosomes in the table, the same in all windows


def find_carriers(
    file: VariantFile,
    genome: Genome,
    fit: Fit,
    windows: Sequence[Window],
    scorer: HaplotypeScorer,
    columns: Sequence[int],
    left_out: Counter[str],
    fixed: Counter[str],
) -> list[Inside]:
    """Return the variants in each window and their carriers, in one pass over the records.

    left_out: counts the alleles that are left out, by reason. fixed: counts the corrected ALTs, by their word of FIX_WORDS.
    If REF and an ALT are swapped, their allele numbers in the genotypes are swapped too.
    """
    sites: list[list[_Site]] = [[] for _ in windows]
    ploidies = Ploidies(len(windows), len(columns))
    left_out.update({WITHOUT_PHASE: 0, NOT_KNOWN: 0, ANOTHER_SET: 0})
    for record, meant, inside, statuses, contig, fix in _touched(file, genome, fit, windows, scorer):
        calls = _genotypes_of(record, columns, file)
        exchanged = exchanged_alt(record, meant, fix)
        if exchanged:
            calls = calls.exchanged(exchanged)
        if exchanged is None:
            ploidies.add(inside, calls, set())
            left_out[SWAP_OR_STRAND] += 1
            continue
        distinct = calls.counts()
        for genotype, n in distinct.items():
            for reason, n_alleles in genotype.left_out(len(record.alts)).items():
                left_out[reason] += n * n_alleles
        carried = {allele for genotype in distinct for allele in genotype.chromosomes}
        variants = {}
        for number_of, (alt, status) in enumerate(zip(meant.alts, statuses, strict=False), 1):
            if number_of not in carried:
                continue
            if status is not Status.OK:
                left_out[status.value] += 1
                continue
            variants[number_of] = Variant(contig, meant.pos, meant.ref.upper(), alt.upper())
            if fix >= 0:
                fixed[FIX_WORDS[fix]] += 1
        ploidies.add(inside, calls, variants.keys())
        if variants:
            site = _Site(variants, calls)
            for i in inside:
                sites[i].append(site)
    ploidy = ploidies.most()
    n_rows = np.maximum(2, ploidy.max(axis=0, initial=0))
    return [_phased(here, np.where(n == 0, n_rows, n), n_rows, left_out) for here, n in zip(sites, ploidy, strict=True)]


class _Touched(NamedTuple):
    """A record whose REF overlaps a window."""

    record: Record  # as written
    meant: Record  # as corrected
    inside: list[int]  # indices of the windows
    statuses: tuple[Status, ...]  # of the ALTs
    contig: str  # in the genome
    fix: int  # as in Checked


def _touched(
    file: Iterable[Record], genome: Genome, fit: Fit, windows: Sequence[Window], scorer: HaplotypeScorer
) -> Iterator[_Touched]:
    """Yield the records whose corrected REF overlaps a window."""
    of_contig: dict[str, list[int]] = {}
    for i, window in enumerate(windows):
        of_contig.setdefault(window.contig, []).append(i)

    def inside(record: Record, n_bases: int) -> list[int]:
        start, end = record.pos - 1, record.pos - 1 + n_bases
        return [
            i
            for i in of_contig.get(fit.get(record.chrom) or "", ())
            if start < windows[i].start + scorer.window and end > windows[i].start
        ]

    for records in batches(file, _AT_ONCE):
        some = [record for record in records if inside(_moved(record, fit), _longest(record, fit))]
        for record, meant, statuses, fix in zip(some, *check_fit(some, genome, fit, scorer.longest_allele), strict=True):
            contig = fit.get(record.chrom)
            assert contig is not None
            if of := inside(meant, len(meant.ref)):
                yield _Touched(record, meant, of, statuses, contig, fix)


def _moved(record: Record, fit: Fit) -> Record:
    return shifted(record, fit.fixes.get(record.chrom, Reading.NONE))


def _longest(record: Record, fit: Fit) -> int:
    """Return the largest possible length of REF, as written or after a swap with an ALT."""
    if is_symbolic(record):
        start, end = reach(record)
        return end - start
    exchanged = fit.fixes.get(record.chrom, Reading.NONE) & Reading.SWAP
    return max(map(len, (record.ref, *record.alts))) if exchanged else len(record.ref)


def _genotypes_of(record: Record, columns: Sequence[int], file: VariantFile) -> Calls:
    """Return the genotypes of the chosen samples; FileFormatError if the record and the header differ in number of samples."""
    calls = calls_of(record)
    if not len(calls.numbers):  # no FORMAT, or no columns after it
        return calls_from([NO_GENOTYPE] * len(columns))
    if len(calls.numbers) != len(file.samples):
        raise FileFormatError(
            f"{file.name}, {record.chrom}:{record.pos}: {len(calls.numbers)} columns of samples, but the header names "
            f"{len(file.samples)}; mend the record or the line #CHROM."
        )
    return calls.of_samples(columns)


def _phased(sites: Sequence[_Site], ploidy: NDArray[np.int64], n_rows: NDArray[np.int64], left_out: Counter[str]) -> Inside:
    """Return the variants of a window and the chromosomes that carry them, in one phase set per sample."""
    numbers = [(i, number_of) for i, site in enumerate(sites) for number_of in site.variants]
    carriers = np.zeros((len(numbers), len(ploidy), int(ploidy.max(initial=2))), dtype=bool)
    usable = [site.variants.keys() for site in sites]
    alike: dict[bytes, list[int]] = {}  # samples with the same ploidy and genotypes have the same chromosomes
    for s, row in enumerate(np.stack([ploidy, *(site.calls.numbers for site in sites)], axis=1)):
        alike.setdefault(row.tobytes(), []).append(s)
    for samples in alike.values():
        n = int(ploidy[samples[0]])
        genotypes = [site.calls.kinds[site.calls.numbers[samples[0]]] for site in sites]
        chromosomes, reasons = phase(genotypes, usable, n)
        left_out.update({reason: n_alleles * len(samples) for reason, n_alleles in reasons.items()})
        for row, (i, number_of) in enumerate(numbers):
            if number_of in chromosomes[i]:
                carriers[row, samples, :n] = [allele == number_of for allele in chromosomes[i]]
    return Inside([sites[i].variants[number_of] for i, number_of in numbers], carriers, ploidy, n_rows)
