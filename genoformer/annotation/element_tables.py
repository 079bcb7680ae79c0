"""Element file -> columns, with pyarrow if it is installed and the file is regular, else line by line, with the same result."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.annotation.text_columns import TextColumn
from genoformer.errors import FileFormatError
from genoformer.extras import is_installed
from genoformer.formats.bed import bed_rows, parse_blocks, row_region, text_in
from genoformer.formats.bed_layout import KIND, NARROW, Layout, is_comment
from genoformer.formats.text import opened

Integers = NDArray[np.int64]


class Table(NamedTuple):
    """Intervals of a file, 0-based half-open, and the texts of its columns: "" for a missing value, None for no column.

    rows: row number of each interval, if a row can have several intervals (blocks of BED12).
    """

    contigs: tuple[str, ...]
    contig: NDArray[np.int32]
    starts: Integers
    ends: Integers
    summits: Integers  # positions, -1 for none
    names: TextColumn | None
    scores: TextColumn | None
    signals: TextColumn | None
    colours: TextColumn | None
    rows: Integers | None


def read_table(path: Path, layout: Layout) -> Table:
    """Read the rows of a file; FileFormatError with the line number."""
    return (read_fast(path, layout) if is_installed("pyarrow") else None) or read_carefully(path, layout)


def read_fast(path: Path, layout: Layout) -> Table | None:
    """Read a file with pyarrow; None if anything is irregular, so that `read_carefully` accepts it or reports the line."""
    import pyarrow as pa
    from pyarrow import compute, csv

    n = layout.n_columns
    if n <= max(layout.chrom, layout.start, layout.end) or (layout.kind == "narrowPeak" and n != NARROW):
        return None
    names = [f"{i}" for i in range(n)]
    chrom, first, last = (f"{i}" for i in (layout.chrom, layout.start, layout.end))
    types: dict[str, Any] = dict.fromkeys(names, pa.string()) | {chrom: pa.dictionary(pa.int32(), pa.string())}
    try:
        with opened(path, KIND) as file:
            table = csv.read_csv(
                file,
                csv.ReadOptions(column_names=names, skip_rows=layout.skipped),
                csv.ParseOptions(delimiter="\t", quote_char=False),
                csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False),
            )
        starts, ends = (whole_numbers(table[i]) for i in (first, last))
    except (UnicodeDecodeError, pa.ArrowException):
        return None
    chroms = table[chrom].unify_dictionaries().combine_chunks()
    if any(map(is_comment, chroms.dictionary.to_pylist() if chrom == "0" else table["0"].unique().to_pylist())):
        return None
    if starts is None or ends is None:
        return None
    starts = starts - layout.base
    if (starts < 0).any() or (ends < starts).any():
        return None
    if layout.width is not None and not _are(table[f"{layout.width}"], ends - starts):
        return None
    known = None if layout.strand is None or layout.strand >= n else table[f"{layout.strand}"].unique().to_pylist()
    if known is not None and not set(known) <= set(layout.strands):
        return None
    summits = np.full(len(starts), -1, dtype=np.int64)
    if layout.summit is not None:
        if layout.absolute_summit or layout.summit >= n:
            return None
        offsets = whole_numbers(table[f"{layout.summit}"], negative=True)
        if offsets is None:
            return None
        offsets = offsets - layout.summit_base
        if ((offsets < -1) | (offsets > ends - starts)).any():
            return None
        summits = np.where(offsets >= 0, starts + offsets, -1)

    def text(at: int | None) -> Any:
        return None if at is None or at >= n else table[f"{at}"].cast(pa.string()).combine_chunks()

    def coded(at: int | None, *, empty: bool = False) -> TextColumn | None:
        column = text(at)
        if column is None:
            return None
        return TextColumn.from_arrow(compute.if_else(compute.equal(column, "."), "", column) if empty else column)

    rows_of_file = Table(
        tuple(chroms.dictionary.to_pylist()),
        np.asarray(chroms.indices, dtype=np.int32),
        starts,
        ends,
        summits,
        coded(layout.name, empty=True),
        coded(layout.score, empty=True),
        coded(layout.signal),
        coded(layout.colour),
        None,
    )
    if layout.blocks is None:
        return rows_of_file
    return _in_blocks(rows_of_file, *map(text, layout.blocks))


def whole_numbers(column: Any, *, negative: bool = False) -> Integers | None:
    """Convert a column to integers; None if it holds anything else."""
    import pyarrow as pa
    from pyarrow import compute

    pattern = r"^-?[0-9]{1,17}$" if negative else r"^[0-9]{1,18}$"
    if not compute.all(compute.match_substring_regex(column, pattern)).as_py():
        return None
    return column.cast(pa.int64()).to_numpy().astype(np.int64)


def _are(column: Any, numbers: Integers) -> bool:
    """True if the texts of a column equal these numbers."""
    values = whole_numbers(column)
    return values is not None and bool((values == numbers).all())


def _in_blocks(table: Table, counts: Any, sizes: Any, starts: Any) -> Table | None:
    """Return the blocks of BED12 rows as intervals; None if a row is malformed."""
    import pyarrow as pa
    from pyarrow import compute

    if counts is None or sizes is None or starts is None:
        return None
    numbers, flat = whole_numbers(counts), []
    if numbers is None:
        return None
    for column in (sizes, starts):
        if not compute.all(compute.match_substring_regex(column, r"^[0-9]{1,18}(,[0-9]{1,18})*,?$")).as_py():
            return None
        parts = compute.split_pattern(compute.utf8_rtrim(column, ","), ",")
        if (np.asarray(compute.list_value_length(parts)) != numbers).any():
            return None
        flat.append(parts.flatten().cast(pa.int64()).to_numpy())
    rows = np.repeat(np.arange(len(numbers)), numbers)
    begin = table.starts[rows] + flat[1]
    end = begin + flat[0]
    if (end > table.ends[rows]).any():
        return None
    kept = end > begin
    return _taken(table, rows[kept], begin[kept], end[kept])


def _taken(table: Table, rows: Integers, starts: Integers, ends: Integers) -> Table:
    """Return a table with new intervals; `rows` are their rows in the old table."""
    names, scores, signals, colours = (None if column is None else column[rows] for column in table[5:9])
    return Table(table.contigs, table.contig[rows], starts, ends, table.summits[rows], names, scores, signals, colours, rows)


def read_carefully(path: Path, layout: Layout) -> Table:
    """Read a file line by line; FileFormatError with the number of a malformed line."""
    numbers: dict[str, int] = {}
    contig, summits = [], []
    starts, ends, rows = list[int](), list[int](), list[int]()
    texts: tuple[list[str], ...] = ([], [], [], [])
    intervals: list[list[tuple[int, int]]] = []
    for row in bed_rows(path, zero_length=True, layout=layout):
        region = row_region(row, layout, path)
        contig.append(numbers.setdefault(row.chrom, len(numbers)))
        starts.append(row.start)
        ends.append(row.end)
        summits.append(-1 if region.summit is None else region.summit)
        more = (text_in(row, layout.signal), text_in(row, layout.colour))
        for column, text in zip(texts, (region.name, region.score, *more), strict=True):
            column.append(text)
        if layout.blocks is not None:
            intervals.append(parse_blocks(row, layout, path))
    if not contig:
        raise FileFormatError(f"{path} has no rows; give {KIND}, or leave it out.")
    columns = (layout.name, layout.score, layout.signal, layout.colour)
    names, scores, signals, colours = (
        None if at is None else TextColumn.from_texts(column) for at, column in zip(columns, texts, strict=True)
    )
    of = [np.array(column, dtype=np.int64) for column in (starts, ends, summits)]
    rows_of_file = Table(
        tuple(numbers), np.array(contig, dtype=np.int32), of[0], of[1], of[2], names, scores, signals, colours, None
    )
    if layout.blocks is None:
        return rows_of_file
    rows = [i for i, blocks in enumerate(intervals) for _ in blocks]
    begin, end = (np.array([block[i] for blocks in intervals for block in blocks], dtype=np.int64) for i in (0, 1))
    return _taken(rows_of_file, np.array(rows, dtype=np.int64), begin, end)
