"""Blocks of VCF text -> the interval of each record, as arrays without Python objects per record; the text is unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.reach import Doubts, reach
from genoformer.formats.vcf import VariantFile
from genoformer.formats.vcf_text import ENCODING, ERRORS
from genoformer.genome.digits import DIGITS

Integers = NDArray[np.int64]

_TAB, _LF, _ZERO, _LESS, _DOT = b"\t\n0<."


class Block(NamedTuple):
    """Consecutive records of a VCF. Intervals are 0-based half-open, as in `reach`."""

    text: bytes  # whole lines, each with its line end, none of them empty
    number: int  # line number of the first line
    lines: Integers  # [n + 1]: start of each line in the text, and the end of the last line
    info: Integers  # [n]: end of INFO in the text; -1 in lines with fewer than eight columns
    contigs: list[tuple[str, int, int]]  # contig name of the records [i, j), in order
    starts: Integers  # [n]
    ends: Integers  # [n]

    def line(self, i: int) -> str:
        """Return the line of a record without its line end."""
        return self.text[self.lines[i] : self.lines[i + 1] - 1].decode(ENCODING, ERRORS)


def iter_blocks(file: VariantFile) -> Iterator[Block]:
    """Yield blocks of the records of an open VCF or BCF; after the last block, the file's notes list odd record extents.

    Raises FileFormatError with the line number, as iterating over the file does.
    """
    doubts = Doubts()
    for number, text in file.blocks():
        if b"\n\n" in text or text[:1] == b"\n":  # empty lines hold no record
            list(file.parse_block(number, text))  # so that an error has the right line number
            text = re.sub(rb"\n+", b"\n", text).removeprefix(b"\n")
        if text:
            yield _parse(file, number, text, doubts)
    file.notes += doubts.notes(file.name)


def _parse(file: VariantFile, number: int, text: bytes, doubts: Doubts) -> Block:
    letters = np.frombuffer(text, dtype=np.uint8)
    line_ends = np.flatnonzero(letters == _LF)
    lines = np.concatenate([[0], line_ends + 1])
    begins = lines[:-1]
    tabs = np.append(np.flatnonzero(letters == _TAB), np.full(8, len(text)))
    first = np.searchsorted(tabs[:-8], begins)
    n_tabs = np.append(first[1:], len(tabs) - 8) - first
    if n_tabs.min() < 4:
        _refuse(file, number, text)
    at = tabs[first[:, None] + np.arange(8)]  # [n, 8]; excess tabs belong to later lines
    alt_end = np.minimum(at[:, 4], line_ends)
    digits = at[:, 1] - at[:, 0] - 1
    if (
        digits.min() < 1
        or digits.max() > DIGITS
        or (at[:, 0] == begins).any()
        or (at[:, 3] - at[:, 2] < 2).any()
        or (letters[begins] == ord("#")).any()
    ):
        _refuse(file, number, text)
    positions = np.zeros(len(begins), dtype=np.int64)
    for i in range(int(digits.max())):
        has_digit = i < digits
        digit = letters[np.minimum(at[:, 0] + 1 + i, len(text) - 1)].astype(np.int64) - _ZERO
        if ((digit < 0) | (digit > 9))[has_digit].any():
            _refuse(file, number, text)
        positions = np.where(has_digit, 10 * positions + digit, positions)
    starts = positions - 1
    ends = starts + at[:, 3] - at[:, 2] - 1
    info = np.where(n_tabs >= 8, at[:, 7], np.where(n_tabs == 7, line_ends, -1))
    block = Block(text, number, lines, info, _runs(text, letters, begins, at[:, 0]), starts, ends)
    far = _mention_symbolic(letters, at[:, 3], alt_end)
    if b"END=" in text or b"LEN" in text:  # blocks of a gVCF without an ALT
        far |= (letters[np.minimum(at[:, 3] + 1, len(text) - 1)] == _DOT) & (alt_end - at[:, 3] == 2)
    for i in np.flatnonzero(far).tolist():
        (record,) = file.parse_block(number, text[lines[i] : lines[i + 1]])
        block.ends[i] = reach(record, file.contig_lengths.get(record.chrom, 0), doubts)[1]
    return block


def _refuse(file: VariantFile, number: int, text: bytes) -> None:
    """Raise the error of reading the records line by line."""
    for _ in file.parse_block(number, text):
        pass
    raise AssertionError(f"{file.name}, lines from {number}: read as arrays they are malformed, one by one they are not")


def _mention_symbolic(letters: NDArray[np.uint8], begin: Integers, end: Integers) -> NDArray[np.bool_]:
    """Return [n]: True if letters (begin, end) hold a <, as symbolic alleles do."""
    return np.searchsorted(signs := np.flatnonzero(letters == _LESS), begin) < np.searchsorted(signs, end)


def _runs(text: bytes, letters: NDArray[np.uint8], begins: Integers, ends: Integers) -> list[tuple[str, int, int]]:
    """Return (contig, first record, first of the next run) for runs of records whose lines begin with the same name."""
    width = ends - begins
    same = width[1:] == width[:-1]
    for i in range(int(width.max())):
        letter = letters[np.minimum(begins + i, ends)]
        same &= (letter[1:] == letter[:-1]) | (i >= width[1:])
    edges = [0, *(np.flatnonzero(~same) + 1).tolist(), len(begins)]
    return [(text[begins[i] : ends[i]].decode(ENCODING, ERRORS), i, j) for i, j in pairwise(edges)]
