"""Variants against a reference: VCF records -> a status per ALT -> ref and alt codes of a window.

Records that cannot be scored are never dropped: `combine_statuses` gives each ALT a status. `fit.check_fit` serves the
scorer; `tally.Tally` counts the same statuses for the preflight.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.input_columns import REASON_KEY
from genoformer.formats.vcf_records import Record, column
from genoformer.genome.codes import Codes, N, encode

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome


Align = Literal["left", "right", "symmetric"]

_ACGT = "ACGTacgt"
_REASON = f"{REASON_KEY}="
_BEFORE_INFO = 1_024  # letters of a record that are searched; an allele that is not determined is short


class ContigNames(Protocol):
    """Mapping from a name in the VCF to a name in the FASTA, or None: a ContigMap or a dict."""

    def get(self, name: str, /) -> str | None: ...


class Variant(NamedTuple):
    """One ALT of a record, as in VCF; .start and .end are the 0-based half-open interval of REF."""

    chrom: str
    pos: int  # 1-based
    ref: str
    alt: str

    @property
    def start(self) -> int:
        return self.pos - 1

    @property
    def end(self) -> int:
        return self.pos - 1 + len(self.ref)

    def __str__(self) -> str:
        return f"{self.chrom}:{self.pos}:{self.ref}>{self.alt}"


# Status of an allele, before any model runs


class Status(enum.StrEnum):
    """Reason for not scoring an ALT; OK if it is scored. These are the values of GF_STATUS."""

    OK = "."
    NO_ALT = "NO_ALT"
    SYMBOLIC = "SYMBOLIC"
    BREAKEND = "BREAKEND"
    STAR = "STAR"
    NOT_ACGT = "NOT_ACGT"
    NO_CONTIG = "NO_CONTIG"
    OTHER_SEQUENCE = "OTHER_SEQUENCE"
    OUTSIDE = "OUTSIDE"
    N_IN_REF = "N_IN_REF"
    TOO_LONG = "TOO_LONG"
    REF_MISMATCH = "REF_MISMATCH"
    EITHER_STRAND = "EITHER_STRAND"
    NO_SCORE = "NO_SCORE"
    EITHER_ALLELE = "EITHER_ALLELE"
    IMPRECISE = "IMPRECISE"


# In order of precedence: the first status that applies is used.
STATUS_MEANING: dict[Status, str] = {
    Status.OK: "The allele can be scored.",
    Status.NO_ALT: "The record has no alternative allele (ALT is '.').",
    Status.SYMBOLIC: "ALT is symbolic (<*>, <NON_REF>, <CNV>, <INS> without its bases ...) and does not determine a sequence.",
    Status.BREAKEND: "ALT is a breakend, which joins two places of the genome.",
    Status.STAR: "ALT is '*': the base is missing because of a deletion in another record.",
    Status.NOT_ACGT: "REF or ALT holds a letter other than A, C, G, T (N in ALT included).",
    Status.NO_CONTIG: "The contig is not in the reference under any of its names.",
    Status.OTHER_SEQUENCE: "The contig of this name in the reference is another sequence, by length or agreement of REF.",
    Status.OUTSIDE: "REF lies wholly or partly beyond an end of the contig.",
    Status.N_IN_REF: "REF, or the reference at that place, holds an unknown base (N).",
    Status.TOO_LONG: "REF or ALT is longer than the window of the model.",
    Status.REF_MISMATCH: "REF differs from the reference at that place.",
    Status.EITHER_STRAND: "REF is its own reverse complement (TA, CG), and --fix strand reads records of the contig on the "
    "other strand: the allele may be of either. Or effect and other allele of a table pair (A/T, C/G), and the table does not "
    "show that it is of the forward strand.",
    Status.NO_SCORE: "None of the chosen scores is defined for this allele. They may be for other alleles: of a masked model "
    "LLR is for substitutions and PLL for insertions and deletions, of BPE tokens PLL and of a causal model LLR for both. Or "
    "too few known bases lie around: an N, or the end of the contig within the length of an insertion or deletion. Or no gene, "
    "transcript or site that a score of genes compares lies in reach.",
    Status.EITHER_ALLELE: "Effect and other allele of a table both match the reference at that place, which does not tell REF.",
    Status.IMPRECISE: "The breakpoints of a symbolic ALT are not known to the base: IMPRECISE, CIPOS or CIEND, or END "
    "and SVLEN contradict each other.",
}


class RefState(enum.IntEnum):
    """Agreement of a record's REF with the reference."""

    NO_CONTIG = 0
    OTHER_SEQUENCE = 1  # the contig does not belong; `compare_refs` never returns this
    OUTSIDE = 2
    UNKNOWN = 3  # a base of REF or of the reference is not A, C, G or T
    DIFFERS = 4
    AGREES = 5


_STATE_STATUS = {
    RefState.NO_CONTIG: Status.NO_CONTIG,
    RefState.OTHER_SEQUENCE: Status.OTHER_SEQUENCE,
    RefState.OUTSIDE: Status.OUTSIDE,
    RefState.UNKNOWN: Status.N_IN_REF,
}


def allele_status(ref: str, alt: str) -> Status:
    """Return the status that follows from the spelling of REF and one ALT, case-insensitive.

    >>> [str(allele_status("A", alt)) for alt in ("t", "<DEL>", "]chr2:5]A", "*", "N", ".")]
    ['.', 'SYMBOLIC', 'BREAKEND', 'STAR', 'NOT_ACGT', 'NO_ALT']
    """
    if alt and not alt.strip(_ACGT):  # str.strip leaves an empty string only if every letter is one of these
        if not ref.strip(_ACGT):
            return Status.OK if ref else Status.NOT_ACGT
        return Status.NOT_ACGT if ref.strip(_ACGT + "Nn") else Status.N_IN_REF
    if alt == ".":
        return Status.NO_ALT
    if alt.startswith("<"):
        return Status.SYMBOLIC
    if "[" in alt or "]" in alt or alt.startswith(".") or alt.endswith("."):
        return Status.BREAKEND
    return Status.STAR if alt == "*" else Status.NOT_ACGT


def _combine(ref: str, alts: tuple[str, ...], state: int, max_length: int) -> tuple[Status, ...]:
    """Return the statuses of a record, by the precedence of STATUS_MEANING."""
    statuses = []
    for alt in alts or (".",):
        status = allele_status(ref, alt)
        if status is Status.OK or status is Status.N_IN_REF:
            if state <= RefState.UNKNOWN:
                status = _STATE_STATUS[RefState(state)]
            elif len(ref) > max_length or len(alt) > max_length:
                status = Status.TOO_LONG
            elif state == RefState.DIFFERS:
                status = Status.REF_MISMATCH
        statuses.append(status)
    return tuple(statuses)


def compare_refs(records: Sequence[Record], genome: Genome, contigs: ContigNames) -> NDArray[np.uint8]:
    """Return the RefState of every record, uint8 [R]; case-insensitive, for any ALT (a symbolic allele has a REF, too).

    The reference is read in contiguous spans, so pass records in batches, preferably sorted.
    """
    if not records:
        return np.zeros(0, dtype=np.uint8)
    chroms, positions, refs = (column(records, name) for name in ("chrom", "pos", "ref"))
    states = np.full(len(records), RefState.NO_CONTIG, dtype=np.uint8)
    starts = np.array(positions, dtype=np.int64) - 1
    lengths = np.fromiter(map(len, refs), dtype=np.int64, count=len(refs))
    letters = encode("".join(refs))  # of all records, concatenated
    letters = np.where(letters == N, np.uint8(N + 1), letters)  # so that N never agrees with N
    first_letter = np.cumsum(lengths) - lengths
    for name, rows in rows_by_value(chroms).items():
        contig = contigs.get(name)
        if contig is None:
            continue
        inside = (starts[rows] >= 0) & (starts[rows] + lengths[rows] <= genome.contigs[contig])
        states[rows[~inside]] = RefState.OUTSIDE
        rows = rows[inside]
        if not len(rows):
            continue
        rows = rows[np.argsort(starts[rows], kind="stable")]
        n = lengths[rows]
        firsts = np.cumsum(n) - n
        within = np.arange(int(n.sum())) - np.repeat(firsts, n)  # 0 1 2 ... within each REF, concatenated
        bases = _bases_at(genome, contig, within + np.repeat(starts[rows], n), firsts)
        written = letters[within + np.repeat(first_letter[rows], n)]
        unknown = np.logical_or.reduceat((bases == N) | (written > N), firsts)
        differs = np.logical_or.reduceat(bases != written, firsts)
        states[rows] = np.where(unknown, RefState.UNKNOWN, np.where(differs, RefState.DIFFERS, RefState.AGREES))
    return states


def rows_by_value(values: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each value, in order of appearance.

    >>> {name: rows.tolist() for name, rows in rows_by_value(["b", "a", "b"]).items()}
    {'b': [0, 2], 'a': [1]}
    """
    numbers = {value: i for i, value in enumerate(dict.fromkeys(values))}
    if len(numbers) == 1:
        return {values[0]: np.arange(len(values))}
    number = np.fromiter(map(numbers.__getitem__, values), dtype=np.int64, count=len(values))
    return {value: np.flatnonzero(number == i) for value, i in numbers.items()}


def _bases_at(
    genome: Genome,
    contig: str,
    places: NDArray[np.int64],
    firsts: NDArray[np.int64],
    *,
    max_gap: int = 8_192,
    max_span: int = 1 << 22,
) -> Codes:
    """Return the codes at positions [n]; `firsts` are the indices at which each REF begins.

    Positions increase, except where REFs overlap. Nearby positions are read in one window, single bases in one call.
    max_gap: bases between two REFs of one window; reading a smaller gap costs less than a second look-up. max_span: REFs of
    one window begin in the same interval of this length, which bounds the memory.
    """
    out = np.empty(len(places), dtype=np.uint8)
    starts = places[firsts]
    reach = np.maximum.accumulate(places[np.append(firsts[1:], len(places)) - 1])
    breaks = (starts[1:] - reach[:-1] > max_gap) | (starts[1:] // max_span != starts[:-1] // max_span)
    begins = firsts[np.append(0, np.flatnonzero(breaks) + 1)]
    ends = np.append(begins[1:], len(places))
    lone = begins[ends - begins == 1]
    out[lone] = genome.windows(contig, places[lone], 1)[:, 0]
    for i, j in zip(begins.tolist(), ends.tolist(), strict=True):
        if j - i > 1:
            low, high = int(places[i]), int(places[i:j].max()) + 1
            out[i:j] = genome.window(contig, low, high - low)[places[i:j] - low]
    return out


def combine_statuses(records: Sequence[Record], states: NDArray[np.uint8], max_length: int) -> list[tuple[Status, ...]]:
    """Return the status of each ALT of each record, in order; a record without ALT has the single status NO_ALT.

    states: the RefState of each record. max_length: the longest REF or ALT that a model accepts, in bases.
    """
    spellings = list(zip(column(records, "ref"), column(records, "alts"), states.tolist(), strict=True))
    of_spelling = {spelling: _combine(*spelling, max_length) for spelling in set(spellings)}  # of most files a few hundred
    out = list(map(of_spelling.__getitem__, spellings))
    lines = column(records, "line")
    if _REASON in "\n".join([line[:_BEFORE_INFO] for line in lines]):
        is_known = [line.find(_REASON, 0, _BEFORE_INFO) < 0 for line in lines]
        out = [of if known else _with_reason(line, of) for line, known, of in zip(lines, is_known, out, strict=True)]
    return out


def _with_reason(line: str, statuses: tuple[Status, ...]) -> tuple[Status, ...]:
    """Return the statuses of a record of a table that does not determine its alleles."""
    reason = next(
        (status for status in (Status.EITHER_STRAND, Status.EITHER_ALLELE) if f"{_REASON}{status.value}" in line), None
    )
    return statuses if reason is None else tuple(reason if status is Status.OK else status for status in statuses)


# Alleles in a window


class Alleles(NamedTuple):
    """Two sequences of a variant in windows of one length, and the position of the change in each."""

    ref: Codes  # [L]
    alt: Codes  # [L]
    ref_start: int  # start of REF in `ref`; negative or beyond L if the variant overhangs the window
    alt_start: int  # start of ALT in `alt`
    ref_length: int
    alt_length: int


def place_alleles(genome: Genome, variant: Variant, start: int, length: int, align: Align = "left") -> Alleles:
    """Return the reference window [start, start + length) and a window of equal length with ALT in place of REF.

    The changed contig is contig[:v.start] + alt + contig[v.end:]. With d = len(alt) - len(ref), its window begins at:
    - "left": start. The bases left of the variant stay; an insertion pushes bases out on the right, a deletion pulls bases
      in on the right.
    - "right": start + d. The bases right of the variant stay.
    - "symmetric": start + len(alt) // 2 - len(ref) // 2. The middle of ALT takes the position of the middle of REF, so
      swapping the alleles swaps the windows.
    Both windows are N beyond the ends of the contig. Any variant is accepted: with or without an anchor base, across an edge
    of the window, outside it or covering it. variant.chrom is the FASTA's own name; only the length of REF is used.
    """
    d = len(variant.alt) - len(variant.ref)
    match align:
        case "left":
            shift = 0
        case "right":
            shift = d
        case "symmetric":
            shift = len(variant.alt) // 2 - len(variant.ref) // 2
        case _:
            raise ValueError(f"align is {align!r}, but must be 'left', 'right' or 'symmetric'; correct it.")
    cut = start + shift  # in coordinates of the changed contig
    n_left = min(max(variant.start - cut, 0), length)
    n_to_alt_end = min(max(variant.start + len(variant.alt) - cut, 0), length)
    low = min(start, cut, cut - d)  # right of ALT, the changed contig is d bases ahead of the contig
    bases = genome.window(variant.chrom, low, length + abs(d))
    alt = np.empty(length, dtype=np.uint8)
    alt[:n_left] = bases[cut - low :][:n_left]
    alt_skip = max(cut - variant.start, 0)
    alt[n_left:n_to_alt_end] = encode(variant.alt)[alt_skip : alt_skip + n_to_alt_end - n_left]
    alt[n_to_alt_end:] = bases[cut - d - low + n_to_alt_end :][: length - n_to_alt_end]
    ref = bases[start - low : start - low + length]
    return Alleles(ref, alt, variant.start - start, variant.start - cut, len(variant.ref), len(variant.alt))


def centred_start(variant: Variant, length: int) -> int:
    """Return the start of a window of `length` with base len(REF) // 2 of REF at index length // 2.

    >>> centred_start(Variant("chr1", 101, "A", "T"), 10)
    95
    """
    return variant.start + len(variant.ref) // 2 - length // 2


def place_snvs(genome: Genome, chrom: str, positions: NDArray[np.int64], length: int) -> tuple[Codes, int]:
    """Return reference windows centred on single bases, and the index of that base: the fast path for SNVs.

    positions: 0-based, [B]. Returns uint8 [B, length] and length // 2. The alternative window differs in this one base; the
    caller replaces it if the array may be modified.
    """
    centre = length // 2
    return genome.windows(chrom, positions - centre, length), centre
