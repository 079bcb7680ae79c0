"""Chunks of records -> scores -> one small file per part, so that an interrupted run resumes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.compute.partition import Partition
from genoformer.compute.pools import PartStore
from genoformer.compute.settings import Shard
from genoformer.files import atomic_write
from genoformer.formats.vcf import Record, open_vcf
from genoformer.formats.vcf_selection import overlapping
from genoformer.formats.vcf_text import MAX_BATCH_BYTES
from genoformer.genome.region_text import Interval
from genoformer.genome.variants import Status
from genoformer.resume_folder import ResumeFolder
from genoformer.writers import Floats

STATUSES = list(Status)  # parts store their indices


@dataclass(frozen=True)
class PartLimits:
    """Maximum size of a part; a run resumes only from parts of the same limits."""

    records: int = 4_096
    operations: float = 5e11  # about ten seconds on a core, so that work spreads evenly over several cores
    sharing_records: int = 16  # of a very large model, whose records share work
    pairs: int = 64  # of `genoformer pairs`

    def fingerprint(self) -> dict[str, str]:
        """Return the limits as text, for the folder of an interrupted run; the defaults are not stored."""
        return {} if self == PART_LIMITS else {"part size": str(self)}


PART_LIMITS = PartLimits()


class PartResult(NamedTuple):
    """Scores of a part in input order, one row per ALT (one row for a record without ALT)."""

    statuses: NDArray[np.uint8]  # [ALTs], index into STATUSES
    values: Floats  # [ALTs, columns], NaN if missing
    rows: NDArray[np.int32] = np.zeros((0, 4), dtype=np.int32)  # [R, 4], as in TrackScoreMatrix; no rows without a matrix
    matrix: Floats = np.zeros((0, 0), dtype=np.float32)  # [R, K]


Compute = Callable[[Sequence[Record]], PartResult]


Parts = PartStore[PartResult]


class PartFolder(ResumeFolder):
    """Resume folder with parts of scores."""

    ending = ".npz"

    def get(self, i: int) -> PartResult | None:
        """Return the part; None if it is missing, or damaged by a full disk or a power cut."""
        try:
            with self._name(i).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return PartResult(*(arrays[name] for name in PartResult._fields))
        except (FileNotFoundError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
            return None

    def put(self, i: int, scored: PartResult) -> None:
        self.n_found -= self._name(i).exists()  # a damaged part is replaced
        with atomic_write(self._name(i), durable=True) as part, part.open("wb") as file:
            np.savez(file, **scored._asdict())


class Rows(NamedTuple):
    """Lines of a table, and counts for the summary."""

    lines: str
    counts: dict[str, int]


class RowFolder(ResumeFolder):
    """Resume folder with parts of a table."""

    ending = ".json"

    def get(self, i: int) -> Rows | None:
        """Return the part; None if it is missing or damaged."""
        try:
            return Rows(**json.loads(self._name(i).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def put(self, i: int, rows: Rows) -> None:
        """Store a part."""
        with atomic_write(self._name(i), durable=True) as part:
            part.write_text(json.dumps(rows._asdict()), encoding="utf-8")


def part_size(operations: float, shared: int, longest: int = 1, limits: PartLimits = PART_LIMITS) -> PartSize:
    """Return the size of a part; the larger the model, the fewer its records.

    operations: arithmetic operations per record. shared: bases over which records share work; for a very large model, records
    within `shared` bases form one part. longest: letters of the longest record; long records make parts smaller.

    >>> part_size(1e6, 0), part_size(3.6e10, 0)
    (PartSize(n=4096, within=0, weighed=False), PartSize(n=13, within=0, weighed=True))
    >>> part_size(6e12, 98_304), part_size(1e6, 0, longest=1_000_000)
    (PartSize(n=16, within=98304, weighed=False), PartSize(n=67, within=0, weighed=True))
    """
    n = max(1, min(limits.records, int(limits.operations / operations), MAX_BATCH_BYTES // max(1, longest)))
    n_sharing = min(limits.records, limits.sharing_records)
    return PartSize(n_sharing, shared) if shared and n < n_sharing else PartSize(n, weighed=n < limits.records)


class PartSize(NamedTuple):
    """Limits of a part: at most `n` records and, if `within` is not 0, at most `within` bases from first to last record.

    weighed: each record counts by its cost.
    """

    n: int
    within: int = 0
    weighed: bool = False


@dataclass(frozen=True)
class RecordPartition(Partition[list[Record]]):
    """Division of the records of a VCF into parts."""

    vcf: Path
    regions: tuple[Interval, ...] | None  # only records that overlap one of them
    n_records: int
    size: PartSize
    shard: Shard | None = None
    cost: Callable[[Record], int] | None = None  # of a record, if `size.weighed`
    contigs: tuple[str, ...] = ()  # of the reference, to resolve the contig names in `regions`

    @cached_property
    def n_parts(self) -> int:
        counted = self.size.within or self.size.weighed
        return sum(1 for _ in self.parts()) if counted else -(-self.n_records // self.size.n)

    def parts(self) -> Iterator[list[Record]]:
        """Yield the records of each part; each call reads the VCF from the start."""
        with open_vcf(self.vcf) as file:
            records = overlapping(file, self.regions, self.contigs)
            yield from chunks(records, self.size.n, self.size.within, self.cost if self.size.weighed else None)


def chunks(
    records: Iterable[Record], size: int, within: int = 0, cost: Callable[[Record], int] | None = None
) -> Iterator[list[Record]]:
    """Yield lists of at most `size` records or, with `cost`, of at most that total cost; a costlier record is a list of one.

    within: if not 0, the records of a list lie on one contig, at most `within` bases from the first to the last.
    """
    if not within and cost is None:  # for very small models the loop below would take a noticeable part of the time
        every = iter(records)
        yield from iter(lambda: list(islice(every, size)), [])
        return
    chunk: list[Record] = []
    spent = 0
    for record in records:
        spends = 1 if cost is None else max(1, cost(record))
        far = within and chunk and (record.chrom != chunk[0].chrom or abs(record.pos - chunk[0].pos) > within)
        if chunk and (spent + spends > size or far):
            yield chunk
            chunk, spent = [], 0
        chunk.append(record)
        spent += spends
    if chunk:
        yield chunk
