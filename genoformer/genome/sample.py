"""Sample of the records of a file: batches -> every n-th record, independent of the batch size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genoformer.formats.vcf import Record
from genoformer.genome.readings import is_plain

_MOST = 8_192  # largest number of records kept
_MOST_PLACES = 1_024  # largest number of positions; their windows are in memory together


class Sample:
    """Sample of every n-th record in constant memory; n doubles when more than 8,192 records are kept."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, int, str, bool]] = []  # contig, 0-based start, first letter of REF, bases in REF and ALT
        self._step = 1
        self._n_records = 0

    def add(self, batch: Sequence[Record]) -> None:
        """Add a batch of records."""
        first = -self._n_records % self._step
        some = batch[first :: self._step]
        self._kept += [
            (record.chrom, record.pos - 1, record.ref[:1], is_plain(record.ref) and any(map(is_plain, record.alts)))
            for record in some
        ]
        self._n_records += len(batch)
        while len(self._kept) > _MOST:
            self._kept = self._kept[::2]
            self._step *= 2

    @property
    def letters(self) -> str:
        """First letters of REF, upper case."""
        return "".join(letter for _, _, letter, _ in self._kept).upper()

    def places(self, names: Mapping[str, str | None], *, with_bases: bool = False) -> list[tuple[str, int]]:
        """Return contig and start of at most 1,024 records on contigs that the genome has, evenly spread over the file.

        with_bases: only those of them whose REF and an ALT are A, C, G, T; no records with only symbolic alleles or breakends.
        """
        known = [(chrom, start, bases) for chrom, start, _, bases in self._kept if names[chrom] is not None]
        spread = known[:: max(1, -(-len(known) // _MOST_PLACES))]
        return [(chrom, start) for chrom, start, bases in spread if bases or not with_bases]
