"""BED-like file without column names -> its layout, from its suffixes, its track line, and its first rows."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from genoformer.formats.bed_layout import HOMER_STRANDS, NARROW, STRANDS, Layout, all_fit, is_number, most
from genoformer.formats.ucsc_tables import ucsc_layout
from genoformer.genome.digits import DIGITS, WHOLE, is_count

_LIST = re.compile(rf"\d{{1,{DIGITS}}}(,\d{{1,{DIGITS}}})*,?", re.ASCII)
_CCRE = re.compile(r"E[HM]\d{2}[A-Z]\d+")  # accession of ENCODE's registry
_CCRE_CLASS = re.compile(r"((CA|PLS|[pd]ELS|DNase|CTCF|TF|Low|Unclassified|InActive)[\w-]*)(,[\w-]+)*", re.IGNORECASE)
_REGION = re.compile(r"[^\s:]+:\d+-\d+", re.ASCII)
_ZIPPED = ("gz", "bgz")
_BY_NAME = {  # suffix, or type= of a track line -> layout, number of columns
    "narrowpeak": (Layout("narrowPeak", signal=6, summit=9, colour=None), NARROW),
    "broadpeak": (Layout("broadPeak", signal=6, colour=None), 9),
    "gappedpeak": (Layout("gappedPeak", signal=12, blocks=(9, 10, 11), colour=None), 15),
    "bed12": (Layout("BED12", blocks=(9, 10, 11)), 12),
    "bedgraph": (Layout("bedGraph", name=None, score=3, strand=None, colour=None), 4),
    "bdg": (Layout("bedGraph", name=None, score=3, strand=None, colour=None), 4),
    "bg": (Layout("bedGraph", name=None, score=3, strand=None, colour=None), 4),
}
_IDR = 20  # columns of IDR's narrowPeak: ten of narrowPeak, local and global IDR, and four of each replicate
_MANY = 10  # number of narrowPeak rows that include a value with decimals or a missing one
_SMALLEST_BINS, _FIRST_BIN = 17, 585  # smallest bins have 2^17 bases and are numbered from 585 (Kent et al. 2002)


def by_name(path: Path, track: str, n_columns: int) -> Layout | None:
    """Return the layout that the suffixes or the track line name; None if they name none.

    A file derived from such a format (x.narrowPeak.bed) may have another number of columns.
    """
    suffixes = [suffix[1:].lower() for suffix in path.suffixes if suffix[1:].lower() not in _ZIPPED]
    for key, (layout, n) in _BY_NAME.items():
        if key == track.lower() or suffixes[-1:] == [key]:
            return layout
        if key in suffixes and n_columns >= n:
            return layout if n_columns == n else replace(layout, kind=f"a BED made of {layout.kind}")
    return None


def by_rows(path: Path, track: str, rows: list[list[str]]) -> Layout:
    """Return the layout of a file without column names."""
    if not rows:
        return by_name(path, track, 0) or Layout()
    n = _usual_length(rows)
    if (of_ucsc := ucsc_layout(rows)) is not None:
        return of_ucsc
    if _have_bins(rows):
        behind = [row[1:] for row in rows]
        layout = by_name(path, track, n - 1) or _by_columns(behind)
        return replace(layout.shifted(1), kind="a table of UCSC with bins")
    if n == _IDR and most(rows, _is_of_idr):
        note = "IDR's table; its first 10 columns are read as narrowPeak, the others (IDR values, replicates) are not read."
        return replace(_BY_NAME["narrowpeak"][0], kind="IDR's table", notes=(note,))
    return by_name(path, track, n) or _by_columns(rows)


def _usual_length(rows: list[list[str]]) -> int:
    return Counter(map(len, rows)).most_common(1)[0][0]


def _by_columns(rows: list[list[str]]) -> Layout:
    """Return the layout that the first rows show."""
    row, n = rows[0], _usual_length(rows)
    usual = [row for row in rows if len(row) == n]
    if n == NARROW and most(usual, _has_summit) and not all(map(_has_thick, usual)) and not _are_counts(usual):
        return _BY_NAME["narrowpeak"][0]
    if n == 9 and most(usual, _is_peak) and any("." in text for row in usual for text in row[6:]):
        return _BY_NAME["broadpeak"][0]
    if n >= 12 and (all(map(_may_have_blocks, rows)) or most(rows, _has_blocks) or _is_bed12(rows)):
        gapped = n == 15 and most(usual, lambda row: all(map(is_number, row[12:])))
        return _BY_NAME["gappedpeak" if gapped else "bed12"][0]
    if n == 6 and all_fit(rows, 5, _REGION.fullmatch):
        return Layout("SEACR's table", name=None, score=None, strand=None, signal=3, colour=None)
    if len(row) >= 5 and _is_behind_an_id(row) and row[4] in HOMER_STRANDS:
        layout = Layout("a peak file of HOMER", 1, 2, 3, 0, None, 4, colour=None, base=1, strands=HOMER_STRANDS)
        return replace(layout, notes=("a peak file of HOMER, which counts from 1, and is read accordingly.",))
    return Layout(strand=None) if _have_numbers_for_strands(rows) else Layout()


def _have_numbers_for_strands(rows: list[list[str]]) -> bool:
    """True if column 6 holds only numbers, such as bedtools counts after a BED3, and some of them cannot be strands."""
    return all_fit(rows, 5, is_number) and not all_fit(rows, 5, ("0", "1", "-1", "NA").__contains__)


def _is_peak(row: list[str]) -> bool:
    """True for a row of narrowPeak or broadPeak: numbers after the strand."""
    return row[5] in STRANDS and all(map(is_number, row[6:]))


def _has_summit(row: list[str]) -> bool:
    """True for a row of narrowPeak: its last number is whole, unlike a fraction of `bedtools coverage`."""
    return _is_peak(row) and row[9].removeprefix("-").isdecimal()


def _is_of_idr(row: list[str]) -> bool:
    """True for a row of IDR: narrowPeak, two IDR values, and START, END, signal, summit of two replicates that overlap it."""
    if len(row) != _IDR or not _has_summit(row[:NARROW]) or not all(map(is_number, row[NARROW:])):
        return False
    if not all(WHOLE.fullmatch(row[i]) for i in (1, 2, 12, 13, 16, 17)):
        return False
    start, end = int(row[1]), int(row[2])
    return all(int(row[i]) < int(row[i + 1]) and int(row[i]) < end and start < int(row[i + 1]) for i in (12, 16))


def _are_counts(rows: list[list[str]]) -> bool:
    """True for a BED6 followed by counts of four files (`bedtools multicov`), or by a region and its distance; not narrowPeak.

    All values are whole and none is missing. Also, there are many rows, or the last value is not an offset in its row, or a
    region of the same contig precedes it (`bedtools closest -d`, if contigs are numbers).
    """
    if not all(is_count(text) for row in rows for text in row[6:]):
        return False
    placed = [row for row in rows if is_count(row[1]) and is_count(row[2])]
    if all(row[6] == row[0] and int(row[7]) < int(row[8]) for row in rows):
        return True
    return len(rows) >= _MANY or any(int(row[9]) > int(row[2]) - int(row[1]) for row in placed)


def _has_thick(row: list[str]) -> bool:
    """True for a row of BED9 and more: columns 7 and 8 are an interval inside the row."""
    if not (WHOLE.fullmatch(row[6]) and WHOLE.fullmatch(row[7]) and all(map(WHOLE.fullmatch, row[1:3]))):
        return False
    return 0 < int(row[1]) <= int(row[6]) <= int(row[7]) <= int(row[2])


# --- blocks


def _may_have_blocks(row: list[str]) -> bool:
    return len(row) >= 12 and bool(WHOLE.fullmatch(row[9])) and all(map(_LIST.fullmatch, row[10:12]))


def _has_blocks(row: list[str]) -> bool:
    """True if columns 10 to 12 hold the stated number of blocks, inside the row, the first one at its start."""
    if not _may_have_blocks(row) or not all(map(WHOLE.fullmatch, row[1:3])):
        return False
    sizes, starts = ([int(part) for part in text.removesuffix(",").split(",")] for text in row[10:12])
    length = int(row[2]) - int(row[1])
    inside = all(at + size <= length for at, size in zip(starts, sizes, strict=False))
    return int(row[9]) == len(sizes) == len(starts) and starts[0] == 0 and inside


def _is_bed12(rows: list[list[str]]) -> bool:
    """True if some row has blocks, and all rows have the columns that precede them."""
    return any(map(_has_blocks, rows)) and all(len(row) > 5 and row[5] in STRANDS for row in rows) and most(rows, _has_thick)


# --- UCSC's bins


def _is_behind_an_id(row: list[str]) -> bool:
    """True if contig, START and END are in columns 2 to 4."""
    return len(row) >= 4 and not WHOLE.fullmatch(row[1]) and all(map(WHOLE.fullmatch, row[2:4]))


def _have_bins(rows: list[list[str]]) -> bool:
    """True if the first column holds bins of UCSC's tables, and not ids of HOMER's peaks, which may also be numbers.

    Bins equal UCSC's value for START and END, or repeat, or the next columns are not a strand of HOMER.
    """
    if not most(rows, lambda row: _is_behind_an_id(row) and WHOLE.fullmatch(row[0])):
        return False
    fit = [row for row in rows if _is_behind_an_id(row) and WHOLE.fullmatch(row[0])]
    if all(int(row[0]) == ucsc_bin(int(row[2]), int(row[3])) for row in fit):
        return True
    homer = all_fit(fit, 4, lambda text: text in ("+", "-", "0", "1"))
    with_strand = all(len(row) >= 7 and row[6] in ("+", "-", ".") and is_number(row[5]) for row in fit)
    return not homer or with_strand or len({row[0] for row in fit}) < len(fit)


def ucsc_bin(start: int, end: int) -> int:
    """Return the smallest bin that holds [start, end), in the standard scheme of UCSC; -1 for a START below 0.

    >>> ucsc_bin(1_000, 1_200), ucsc_bin(131_071, 131_073), ucsc_bin(0, 1 << 29)
    (585, 73, 0)
    """
    if start < 0:
        return -1
    first, last, offset = start >> _SMALLEST_BINS, max(end - 1, start) >> _SMALLEST_BINS, _FIRST_BIN
    while first != last:
        first, last, offset = first >> 3, last >> 3, offset >> 3
    return offset + first


# --- ENCODE's cCREs


def with_ccres(layout: Layout, rows: list[list[str]]) -> Layout:
    """Set the layout of ENCODE's cCREs, of any registry version: the class is the label, in its column if there is one."""
    if not rows:
        return layout
    n = min(map(len, rows))
    accessions = [i for i in range(3, min(n, 5)) if all_fit(rows, i, _CCRE.fullmatch)]
    if layout.header and not accessions:
        accessions = [i for i in range(n) if all_fit(rows, i, _CCRE.fullmatch)]
    classes = [i for i in range(max(accessions) + 1, n) if all_fit(rows, i, _CCRE_CLASS.fullmatch)] if accessions else []
    if not classes:
        return layout
    with_classes = replace(layout, kind="ENCODE cCREs", name=classes[0], labels=True)
    if not layout.header and classes[0] < 9:  # chrom, start, end, rDHS, cCRE, class
        return replace(with_classes, score=None, strand=None, colour=None)
    return with_classes
