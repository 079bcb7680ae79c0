"""Columns REF and ALT of many records -> one row per allele, in its normalised spelling, as arrays.

Nearly all alleles in a file have this spelling already, which their first and last letters show; only the others are handled
one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.reach import symbol_identity
from genoformer.formats.vcf import Record
from genoformer.formats.vcf_text import ENCODING, ERRORS
from genoformer.genome.codes import N, decode, encode
from genoformer.genome.normalise import normalise, trim
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant

Integers = NDArray[np.int64]
Letters = NDArray[np.uint8]

_COMMA, _SYMBOL = ord(","), ord("<")
_UPPER = np.uint8(0xDF)  # clears the bit that lower-case letters have
_IS_BASE = np.zeros(256, dtype=np.bool_)
_IS_BASE[np.frombuffer(b"ACGTN", dtype=np.uint8)] = True
_AHEAD = 64  # bases read at a time behind an insertion or deletion


class Spans(NamedTuple):
    """Position and alleles of records on one contig, as spans of a text."""

    letters: Letters  # the text
    starts: Integers  # [n], 0-based
    ref: tuple[Integers, Integers]  # begin and end, [n] each
    alt: tuple[Integers, Integers]  # several ALTs are separated by commas
    info: tuple[Integers, Integers] | None = None  # INFO, which tells the ends of symbolic ALTs


@dataclass(frozen=True, eq=False)
class AlleleTable:
    """One row per allele, normalised; alleles that spell no sequence (breakends, * ...) have none.

    A symbolic ALT has a row if INFO tells its end: its type and end (`symbol_identity`) take the place of REF and ALT.
    """

    letters: Letters  # the text, and behind it the spellings that differ from it
    record: Integers  # [m], row of its record
    number: Integers  # [m], from 0 among the ALTs of the record
    start: Integers  # [m], 0-based
    ref: Integers  # [m, 2], begin and length in `letters`
    alt: Integers  # [m, 2]
    n_alleles: int  # with those that have no row
    n_unfit: int  # rows only trimmed, because REF is not that of the genome
    n_symbolic: int = 0  # rows of symbolic ALTs

    def __len__(self) -> int:
        return len(self.record)

    def sorted(self) -> AlleleTable:
        """Return the rows by position; rows of equal position keep their order."""
        if (self.start[1:] >= self.start[:-1]).all():
            return self
        return self.take(np.argsort(self.start, kind="stable"))

    def of_sequences(self) -> AlleleTable:
        """Return the rows without symbolic ALTs."""
        if not self.n_symbolic:
            return self
        return replace(self.take(np.flatnonzero(self.letters[self.alt[:, 0]] != _SYMBOL)), n_symbolic=0)

    def take(self, rows: Integers | NDArray[np.intp] | slice) -> AlleleTable:
        return replace(
            self,
            record=self.record[rows],
            number=self.number[rows],
            start=self.start[rows],
            ref=self.ref[rows],
            alt=self.alt[rows],
        )

    def spelling(self, row: int) -> tuple[int, str, str]:
        """Return position (0-based), REF and ALT of a row, upper case."""
        texts = (self.letters[begin : begin + n].tobytes().decode().upper() for begin, n in (self.ref[row], self.alt[row]))
        return int(self.start[row]), *texts  # type: ignore[return-value]


def read_alleles(spans: Spans, genome: Genome | None, contig: str | None) -> AlleleTable:
    """Return the normalised alleles of records.

    genome, contig: reference for shifting insertions and deletions to the left, and its name of the contig; if one of them is
    None, alleles are only trimmed.
    """
    letters, n = spans.letters, len(spans.starts)
    record, alt_begin, alt_length = _split_alts(letters, *spans.alt)
    number = np.zeros(len(record), dtype=np.int64)
    if len(record) > n:
        number = np.arange(len(record)) - np.searchsorted(record, record)
    ref_begin = spans.ref[0][record]
    ref_length = (spans.ref[1] - spans.ref[0])[record]
    start = spans.starts[record]
    ref_first, ref_last = (letters[at] & _UPPER for at in (ref_begin, ref_begin + ref_length - 1))
    alt_first, alt_last = (letters[at] & _UPPER for at in (alt_begin, np.maximum(alt_begin + alt_length - 1, alt_begin)))
    is_sequence = _IS_BASE[ref_first] & _IS_BASE[ref_last] & _IS_BASE[alt_first] & _IS_BASE[alt_last]
    is_sequence &= (ref_length > 0) & (alt_length > 0)
    # Tan et al. 2015: a variant is normalised if its alleles end differently, and one is a base or they begin differently
    is_normal = (ref_last != alt_last) & ((np.minimum(ref_length, alt_length) == 1) | (ref_first != alt_first))
    ref, alt = np.stack([ref_begin, ref_length], axis=1), np.stack([alt_begin, alt_length], axis=1)
    table = AlleleTable(letters, record, number, start, ref, alt, len(record), 0)
    others = np.flatnonzero(is_sequence & ~is_normal)
    if len(others):
        table = _normalised(table, others, genome, contig)
    if is_sequence.all():
        return table
    symbols = np.flatnonzero(~is_sequence & (alt_length > 0) & (letters[alt_begin] == _SYMBOL))
    if spans.info is None or not len(symbols):
        return table.take(np.flatnonzero(is_sequence))
    table, known = _with_symbols(table, symbols, spans)
    is_sequence[known] = True
    return table.take(np.flatnonzero(is_sequence))


def _with_symbols(table: AlleleTable, rows: Integers, spans: Spans) -> tuple[AlleleTable, Integers]:
    """Return the table with the identities of symbolic ALTs in place of their alleles, and the rows that have one."""
    assert spans.info is not None
    ref, alt, text, pieces = table.ref.copy(), table.alt.copy(), table.letters.tobytes(), list[str]()
    at, known = len(text), []
    for row in rows.tolist():
        record, number = int(table.record[row]), int(table.number[row])
        info, alts = (text[side[0][record] : side[1][record]].decode(ENCODING, ERRORS) for side in (spans.info, spans.alt))
        spelled = text[spans.ref[0][record] : spans.ref[1][record]].decode(ENCODING, ERRORS)
        pos = int(spans.starts[record]) + 1
        line = f".\t{pos}\t.\t{spelled}\t{alts}\t.\t.\t{info}"
        identity = symbol_identity(Record(line, ".", pos, ".", spelled, tuple(alts.split(","))), number)
        if identity is None:
            continue
        known.append(row)
        pieces.append(identity)
        ref[row] = alt[row] = at, len(identity)
        at += len(identity)
    letters = np.concatenate([table.letters, np.frombuffer("".join(pieces).encode(ENCODING, ERRORS), dtype=np.uint8)])
    return replace(table, letters=letters, ref=ref, alt=alt, n_symbolic=len(known)), np.array(known, dtype=np.int64)


def _split_alts(letters: Letters, begins: Integers, ends: Integers) -> tuple[Integers, Integers, Integers]:
    """Return record, begin and length of every ALT."""
    record = np.arange(len(begins), dtype=np.int64)
    longer = np.flatnonzero(ends - begins > 1)
    if not len(longer):
        return record, begins, ends - begins
    lengths = (ends - begins)[longer]
    firsts = np.cumsum(lengths) - lengths
    within = np.arange(int(lengths.sum())) - np.repeat(
        firsts - begins[longer], lengths
    )  # positions of the letters of long ALTs
    commas = within[letters[within] == _COMMA]
    if not len(commas):
        return record, begins, ends - begins
    of = np.searchsorted(begins, commas, side="right") - 1
    record = np.sort(np.concatenate([record, of]), kind="stable")
    all_begins = np.sort(np.concatenate([begins, commas + 1]))
    all_ends = np.sort(np.concatenate([ends, commas]))
    return record, all_begins, all_ends - all_begins


def _normalised(table: AlleleTable, rows: Integers, genome: Genome | None, contig: str | None) -> AlleleTable:
    """Return the table with the spellings of some rows normalised, appended to its letters."""
    start, ref, alt = table.start.copy(), table.ref.copy(), table.alt.copy()
    text, pieces = table.letters.tobytes(), list[str]()
    at, n_unfit = len(text), 0
    spans = zip(rows.tolist(), start[rows].tolist(), ref[rows].tolist(), alt[rows].tolist(), strict=True)
    for row, position, (i, n_ref), (j, n_alt) in spans:
        old = Variant(
            contig or "", position + 1, text[i : i + n_ref].decode("ascii").upper(), text[j : j + n_alt].decode("ascii").upper()
        )
        new, fits = _normal_spelling(old, genome if contig is not None else None)
        n_unfit += not fits
        pieces += new.ref, new.alt
        n_ref, n_alt = len(new.ref), len(new.alt)
        start[row] = new.start
        ref[row] = at, n_ref
        alt[row] = at + n_ref, n_alt
        at += n_ref + n_alt
    letters = np.concatenate([table.letters, np.frombuffer("".join(pieces).encode(), dtype=np.uint8)])
    return replace(table, letters=letters, start=start, ref=ref, alt=alt, n_unfit=n_unfit)


def _normal_spelling(variant: Variant, genome: Genome | None) -> tuple[Variant, bool]:
    """Return a variant normalised, or only trimmed without a genome or if REF differs from it, and False in the last case."""
    if genome is None:
        return trim_to_anchor(variant), True
    cut, ref, alt = trim(variant.ref, variant.alt)
    if not ref and not alt:
        return variant, True
    if ref and alt:
        return Variant(variant.chrom, variant.pos + cut, ref, alt), True
    bases = genome.window(variant.chrom, variant.start, len(variant.ref))
    if (bases < N).all() and (bases == encode(variant.ref)).all():
        return normalise(variant, genome), True
    return trim_to_anchor(variant), False


def trim_to_anchor(variant: Variant) -> Variant:
    """Trim shared bases, first at the right, then at the left, but keep one base of each allele.

    >>> str(trim_to_anchor(Variant("1", 5, "CAA", "CA"))), str(trim_to_anchor(Variant("1", 5, "GCA", "GCAA")))
    ('1:5:CA>C', '1:6:C>CA')
    """
    ref, alt, start = variant.ref, variant.alt, variant.start
    while min(len(ref), len(alt)) > 1 and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while min(len(ref), len(alt)) > 1 and ref[0] == alt[0]:
        ref, alt, start = ref[1:], alt[1:], start + 1
    return Variant(variant.chrom, start + 1, ref, alt)


def furthest_start(table: AlleleTable, genome: Genome | None, contig: str | None) -> int:
    """Return the largest 0-based position at which a spelling of one of the alleles can begin; -1 for no alleles.

    It is that of an insertion or deletion shifted to the right, with the base behind it as its anchor.
    """
    if not len(table):
        return -1
    last = int(table.start.max())
    if genome is None or contig is None:
        return last
    shortest = np.minimum(table.ref[:, 1], table.alt[:, 1])
    rows = np.flatnonzero((table.ref[:, 1] != table.alt[:, 1]) & (shortest == 1))
    ends = table.start[rows] + table.ref[rows, 1]  # the first base behind REF
    for row, end, codes in zip(rows.tolist(), ends.tolist(), genome.windows(contig, ends, _AHEAD), strict=True):
        start, ref, alt = table.spelling(row)
        longer = ref if len(ref) > 1 else alt
        if ref[0] == alt[0]:
            last = max(last, start + 1 + _right_shift(longer[1:], decode(codes), genome, contig, end))
        elif ref[-1] == alt[-1]:  # at the start of a contig the base behind is the anchor
            last = max(last, start + _right_shift(longer[:-1], "", genome, contig, end - 1))
    return last


def _right_shift(moved: str, after: str, genome: Genome, contig: str, end: int) -> int:
    """Return by how many bases an insertion or deletion of `moved`, with `after` behind it, can shift to the right."""
    k, n = len(moved), 0
    for base in _bases(after, genome, contig, end):
        if base != moved[n % k] or base == "N":
            break
        n += 1
    return n


def _bases(first: str, genome: Genome, contig: str, start: int) -> Iterator[str]:
    """Yield the bases of a contig from a position on; `first` are the first of them."""
    yield from first
    start += len(first)
    while start < genome.contigs[contig]:
        yield from decode(genome.window(contig, start, 1024))
        start += 1024
