"""Blocks of VCF text -> the interval of each record, as arrays without Python objects per record; the text is unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.reach import Doubts, reach
from genoformer.formats.text_columns import same_as_before, split_columns, whole_numbers
from genoformer.formats.vcf import VariantFile
from genoformer.formats.vcf_text import ENCODING, ERRORS

Integers = NDArray[np.int64]

_LESS, _DOT = b"<."


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
    columns = split_columns(text, 8)
    letters, begins, line_ends, at = columns.letters, columns.begins, columns.line_ends, columns.ends
    lines = np.append(begins, len(text))
    alt_end = at[:, 4]
    if (
        (at[:, 3] == line_ends).any()  # fewer than four tabs
        or (at[:, 0] == begins).any()
        or (at[:, 3] - at[:, 2] < 2).any()
        or (letters[begins] == ord("#")).any()
    ):
        _refuse(file, number, text)
    positions, wrong = whole_numbers(letters, *columns.span(1))
    if len(wrong):
        _refuse(file, number, text)
    starts = positions - 1
    ends = starts + at[:, 3] - at[:, 2] - 1
    info = np.where(at[:, 6] < line_ends, at[:, 7], -1)
    runs = [(name.decode(ENCODING, ERRORS), i, j) for name, i, j in same_as_before(text, begins, at[:, 0])]
    block = Block(text, number, lines, info, runs, starts, ends)
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
