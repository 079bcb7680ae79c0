"""A sample of the records of a file: batches -> every n-th record, whatever the size of the batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genoformer.genome.vcf import Record

_MOST = 8_192  # records that are kept
_MOST_PLACES = 1_024  # windows around them are held at once


class Sample:
    """Keeps every n-th record in constant memory; n doubles where more than 8,192 are kept."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, int, str]] = []  # contig, 0-based start, first letter of REF
        self._step = 1
        self._n_records = 0

    def add(self, batch: Sequence[Record]) -> None:
        """Takes some more records."""
        first = -self._n_records % self._step
        self._kept += [(record.chrom, record.pos - 1, record.ref[:1]) for record in batch[first :: self._step]]
        self._n_records += len(batch)
        while len(self._kept) > _MOST:
            self._kept = self._kept[::2]
            self._step *= 2

    @property
    def letters(self) -> str:
        """First letters of REF, upper case."""
        return "".join(letter for *_, letter in self._kept).upper()

    def places(self, names: Mapping[str, str | None]) -> list[tuple[str, int]]:
        """Contig and start of up to 1,024 records on contigs that the genome has, evenly spread over the file."""
        known = [(chrom, start) for chrom, start, _ in self._kept if names[chrom] is not None]
        return known[:: max(1, -(-len(known) // _MOST_PLACES))]
