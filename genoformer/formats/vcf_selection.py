"""Records of a VCF whose REF overlaps selected regions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from genoformer.formats.vcf import Record, VariantFile
from genoformer.genome.contigs import ContigIndex, canonical_key
from genoformer.genome.region_text import Interval


def overlapping(
    records: Iterable[Record], regions: Interval | Sequence[Interval] | None, contigs: Iterable[str] = ()
) -> Iterator[Record]:
    """Yield the records whose REF overlaps a region, or one of several, each record once; None selects all.

    Names that match the same one of `contigs` (the reference contigs) are equal: 20, chr20 and NC_000020.11. Other names are
    equal if they name the same chromosome.
    """
    return iter(records) if regions is None else _Overlap(regions, contigs).select(records)


def lists_overlapping(
    file: VariantFile, regions: Interval | Sequence[Interval] | None, contigs: Iterable[str] = ()
) -> Iterator[list[Record]]:
    """Yield the records that `overlapping` selects in lists, as `VariantFile.lists` does; a list may be empty."""
    if regions is None:
        return file.lists()
    overlap = _Overlap(regions, contigs)
    return (list(overlap.select(records)) for records in file.lists())


class _Overlap:
    """Regions by contig of the reference, and the spans of each contig of a VCF."""

    def __init__(self, regions: Interval | Sequence[Interval], contigs: Iterable[str]) -> None:
        self._index, self._of_region = ContigIndex(contigs), _by_contig([regions] if isinstance(regions, Interval) else regions)
        self._of_record: dict[str, tuple[list[int], list[int]]] = {}

    def select(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records whose REF overlaps a region."""
        index, of_region, of_record = self._index, self._of_region, self._of_record
        for record in records:
            spans = of_record.get(record.chrom)
            if spans is None:
                spans = of_record[record.chrom] = _spans(record.chrom, of_region, index)
            starts, ends = spans
            start = record.pos - 1
            i = bisect_right(ends, start)  # the first region that ends behind the start of REF
            if i < len(ends) and starts[i] < start + len(record.ref):
                yield record


def merged_spans(chrom: str, regions: Iterable[Interval], contigs: Iterable[str]) -> tuple[list[int], list[int]]:
    """Return the starts and ends of the union of the regions on a contig of a VCF; names match as in `overlapping`."""
    return _spans(chrom, _by_contig(regions), ContigIndex(contigs))


def _by_contig(regions: Iterable[Interval]) -> dict[str, list[tuple[int, int]]]:
    of_region: dict[str, list[tuple[int, int]]] = {}
    for region in regions:
        of_region.setdefault(region.chrom, []).append((region.start, region.end))
    return of_region


def _spans(chrom: str, of_region: Mapping[str, list[tuple[int, int]]], index: ContigIndex) -> tuple[list[int], list[int]]:
    return _merged(pair for name, pairs in of_region.items() if _one_contig(chrom, name, index) for pair in pairs)


def _merged(pairs: Iterable[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return the starts and the ends of the union of intervals, sorted."""
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(pairs):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends


def _one_contig(name: str, other: str, index: ContigIndex) -> bool:
    """True if two names refer to the same contig."""
    first, others = index.get(name), index.get(other)
    if first is None and others is None:
        return name == other or (canonical_key(name) == canonical_key(other) and not index.candidates(name))
    return first == others
