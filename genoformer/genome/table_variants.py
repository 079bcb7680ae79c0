"""Rows of a table of variants + genome, which tells REF -> the text of a VCF that keeps every column in INFO."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.formats.input_columns import ALLELES_KEY, EFFECT_KEY, REASON_KEY, InputColumn, column_lines, input_columns_of
from genoformer.formats.variant_table import MISSING, TableRow, VariantTable
from genoformer.formats.vcf import COLUMNS, Record
from genoformer.formats.vcf_text import escaped
from genoformer.genome.contigs import ContigMap
from genoformer.genome.readings import other_strand
from genoformer.genome.variants import RefState, Status, compare_refs
from genoformer.genome.wording import counted, counted_with

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

UNPLACED = "unplaced"  # contig of rows without a position
_AT_ONCE = 16_384
_BASES = re.compile(r"[ACGTN]+")
_ALT = re.compile(r"(?:[ACGTNacgtn]+|\*|\.|<[^\s,;<>]+>)(?:,(?:[ACGTNacgtn]+|\*|<[^\s,;<>]+>))*")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,4})?")
_NOT_IN_ID = re.compile(r"[\s;,=]")
ENOUGH, MOST = 100, 0.99  # SNVs that show the strand of a table, and the fraction of them that must lie on the forward strand


class _Alleles(NamedTuple):
    """REF and ALT of a row, and what is known of the effect allele: "ALT", "REF" or "", and a reason not to score it."""

    ref: str
    alt: str
    effect: str = ""
    reason: Status | None = None


@dataclass
class Conversion:
    """Counts of a conversion, for its notes."""

    name: str
    n_rows: int = 0
    contigs: Counter[str] = field(default_factory=Counter)
    numbers: list[bool] = field(default_factory=list)  # for each column, True if all of its values are numbers
    n_forward: int = 0  # SNVs with effect and other allele that the genome has on its own strand, and not on the other
    n_reverse: int = 0  # on the other strand only
    effects: Counter[str] = field(default_factory=Counter)
    reasons: Counter[Status] = field(default_factory=Counter)
    n_unplaced: int = 0
    n_spelled: int = 0  # rows whose REF and ALT are not spelled in bases

    @property
    def is_forward(self) -> bool:
        """True if enough SNVs show that the alleles are those of the forward strand."""
        n = self.n_forward + self.n_reverse
        return n >= ENOUGH and self.n_forward >= MOST * n

    def notes(self) -> list[str]:
        """Return sentences on the orientation of the alleles, and on rows that cannot be scored."""
        notes = []
        if self.effects:
            notes.append(
                f"{self.name}: the effect allele is ALT in {counted(self.effects['ALT'], 'row')} and REF in "
                f"{self.effects['REF']:,}; scores are of ALT against REF, and {EFFECT_KEY} says which of them is the effect "
                "allele."
            )
        if n := self.reasons[Status.EITHER_STRAND]:
            notes.append(
                f"{self.name}: {_rows_have(n)} alleles that pair (A/T, C/G), and the other SNVs do not show that the table is "
                f"of the forward strand ({100 * MOST:.0f} % of at least {ENOUGH} would); they are not scored (EITHER_STRAND)."
            )
        elif self.is_forward:
            n = self.n_forward + self.n_reverse
            notes.append(
                f"{self.name}: {self.n_forward:,} of {n:,} SNVs show that the alleles are of the forward strand; A/T and C/G "
                "are read so."
            )
        if n := self.reasons[Status.EITHER_ALLELE]:
            notes.append(
                f"{self.name}: {_rows_have(n)} two alleles that both match the genome, which does not tell REF; they are not "
                "scored (EITHER_ALLELE)."
            )
        if self.n_unplaced:
            they_are = "it is" if self.n_unplaced == 1 else "they are"
            notes.append(f"{self.name}: {_rows_have(self.n_unplaced)} no position; {they_are} kept on a contig {UNPLACED}.")
        if self.n_spelled:
            notes.append(f"{self.name}: {_rows_have(self.n_spelled)} an allele that is not spelled in bases (NOT_ACGT).")
        return notes


def _rows_have(n: int) -> str:
    return counted_with(n, "row", "has", "have")


def vcf_text(table: VariantTable, genome: Genome | None) -> tuple[Iterator[str], Conversion]:
    """Return the lines of a VCF with a record for each row, in their order, and the counts, complete after the last line.

    The table is read twice: first for the contigs, the types of columns and the strand. Raises ConfigError for a table with
    effect and other allele without a genome.
    """
    if not table.layout.oriented and genome is None:
        raise ConfigError(
            f"{table.name} has an effect and another allele, and the genome tells which of them is REF; give its FASTA, too."
        )
    conversion = Conversion(table.name)
    _scan(table, genome, conversion)
    kept = [i for i in range(len(table.layout.names)) if i not in table.layout.consumed]
    columns = input_columns_of([table.layout.names[i] for i in kept], [conversion.numbers[i] for i in kept])
    return _lines(table, genome, conversion, kept, columns), conversion


def _batches(table: VariantTable) -> Iterator[list[TableRow]]:
    rows = table.rows()
    return iter(lambda: list(islice(rows, _AT_ONCE)), [])


def _scan(table: VariantTable, genome: Genome | None, conversion: Conversion) -> None:
    """Count contigs, and find the types of the columns and the strand of the alleles."""
    candidates = [i for i in range(len(table.layout.names)) if i not in table.layout.consumed]  # may be columns of numbers
    conversion.numbers = [False] * len(table.layout.names)
    for rows in _batches(table):
        conversion.n_rows += len(rows)
        conversion.contigs.update(row.chrom if row.pos else UNPLACED for row in rows)
        for i in candidates.copy():
            values = {row.fields[i].strip() for row in rows if i < len(row.fields)} - MISSING
            conversion.numbers[i] |= bool(values)
            if not all(map(_NUMBER.fullmatch, values)):
                candidates.remove(i)
        conversion.n_spelled += sum(
            not _is_spelled(row.ref, row.alt) and (table.layout.oriented or not _is_spelled(row.alt.upper(), row.ref))
            for row in rows
        )
        if genome is not None and not table.layout.oriented:
            _count_strands(rows, genome, conversion)
    conversion.numbers = [is_number and i in candidates for i, is_number in enumerate(conversion.numbers)]


def _count_strands(rows: Sequence[TableRow], genome: Genome, conversion: Conversion) -> None:
    """Count the SNVs that the genome has on one strand only."""
    some = [row for row in rows if row.pos and len(row.ref) == len(row.alt) == 1 and not _pairs(row.ref, row.alt.upper())]
    some = [row for row in some if _BASES.fullmatch(row.ref + row.alt.upper())]
    forward = _agree(some, [row.ref for row in some], genome) | _agree(some, [row.alt for row in some], genome)
    reverse = _agree(some, [other_strand(row.ref) for row in some], genome)
    reverse |= _agree(some, [other_strand(row.alt.upper()) for row in some], genome)
    conversion.n_forward += int((forward & ~reverse).sum())
    conversion.n_reverse += int((reverse & ~forward).sum())


def _pairs(allele: str, other: str) -> bool:
    """True if one allele is the reverse complement of the other."""
    return bool(_BASES.fullmatch(allele)) and other_strand(allele) == other


def _agree(rows: Sequence[TableRow], alleles: Sequence[str], genome: Genome) -> NDArray[np.bool_]:
    """Return [n]: True where the genome has an allele at the position of its row."""
    records = [Record("", row.chrom, row.pos, ".", allele or "N", ()) for row, allele in zip(rows, alleles, strict=True)]
    names = ContigMap({row.chrom for row in rows}, genome.contigs)
    return np.asarray(compare_refs(records, genome, names) == RefState.AGREES)


def _lines(
    table: VariantTable, genome: Genome | None, conversion: Conversion, kept: Sequence[int], columns: Sequence[InputColumn]
) -> Iterator[str]:
    yield from _header(table, genome, conversion, columns)
    keys = [(i, f"{column.key}=", column.is_number) for i, column in zip(kept, columns, strict=True)]
    for rows in _batches(table):
        for row, alleles in zip(rows, _alleles(table, rows, genome, conversion), strict=True):
            info = _info(row.fields, keys)
            if alleles.effect:
                conversion.effects[alleles.effect] += 1
                info.append(f"{EFFECT_KEY}={alleles.effect}")
            if table.layout.oriented and alleles.ref == alleles.alt == "N":
                info.append(f"{ALLELES_KEY}={escaped(f'{row.ref}/{row.alt}')}")
            if alleles.reason:
                conversion.reasons[alleles.reason] += 1
                info.insert(0, f"{REASON_KEY}={alleles.reason.value}")  # first, where `combine_statuses` looks for it
            name = "." if not row.id else _NOT_IN_ID.sub("_", row.id)
            chrom = row.chrom
            if not row.pos:
                chrom = UNPLACED
                conversion.n_unplaced += 1
            yield f"{chrom}\t{row.pos}\t{name}\t{alleles.ref}\t{alleles.alt}\t.\t.\t{';'.join(info) or '.'}"


def _info(fields: Sequence[str], keys: Sequence[tuple[int, str, bool]]) -> list[str]:
    """Return KEY=VALUE for each column with a value. keys: its number, KEY= and True if it holds numbers."""
    pairs = []
    for i, key, is_number in keys:
        value = fields[i].strip() if i < len(fields) else ""
        if is_number:
            if value not in MISSING:
                pairs.append(key + value)
        elif value:
            pairs.append(key + (value if value.isalnum() else escaped(value)))
    return pairs


def _header(
    table: VariantTable, genome: Genome | None, conversion: Conversion, columns: Sequence[InputColumn]
) -> Iterator[str]:
    yield "##fileformat=VCFv4.3"
    names = ContigMap(conversion.contigs, genome.contigs) if genome is not None else None
    for chrom in conversion.contigs:
        reference = names.get(chrom) if names is not None else None
        length = f",length={genome.contigs[reference]}" if genome is not None and reference is not None else ""
        yield f"##contig=<ID={chrom}{length}>"
    layout = table.layout
    yield from column_lines(
        columns,
        with_effect=layout.effect is not None,
        with_reason=not layout.oriented,
        with_alleles=layout.oriented and conversion.n_spelled > 0,
    )
    yield COLUMNS


def _alleles(
    table: VariantTable, rows: Sequence[TableRow], genome: Genome | None, conversion: Conversion
) -> Iterator[_Alleles]:
    """Yield REF and ALT of each row."""
    if table.layout.oriented or genome is None:
        for row in rows:
            alleles = _spelled(row.ref, row.alt)
            is_alt, is_ref = row.effect == alleles.alt.upper(), row.effect == alleles.ref
            yield alleles._replace(effect="ALT" if is_alt else "REF" if is_ref else "") if row.effect else alleles
        return
    has_other, has_effect = (_agree(rows, texts, genome) for texts in ([r.ref for r in rows], [r.alt.upper() for r in rows]))
    for row, is_other, is_effect in zip(rows, has_other.tolist(), has_effect.tolist(), strict=True):
        other, effect = row.ref, row.alt.upper()
        alleles = _spelled(*((effect, other) if is_effect and not is_other else (other, effect)))
        if (alleles.ref, alleles.alt) == ("N", "N"):
            yield alleles
            continue
        reason = None
        if is_other or is_effect:
            if is_other and is_effect and other != effect:
                reason = Status.EITHER_ALLELE
            elif _pairs(other, effect) and not conversion.is_forward:
                reason = Status.EITHER_STRAND
        known = "" if reason or is_other == is_effect else "REF" if is_effect else "ALT"
        yield alleles._replace(effect=known, reason=reason)


def _spelled(ref: str, alt: str) -> _Alleles:
    """Return alleles that a VCF can hold; REF and ALT are N, and the status NOT_ACGT, for others, such as D and I of PLINK."""
    return _Alleles(ref, alt) if _is_spelled(ref, alt) else _Alleles("N", "N")


def _is_spelled(ref: str, alt: str) -> bool:
    return bool(_BASES.fullmatch(ref) and _ALT.fullmatch(alt))
