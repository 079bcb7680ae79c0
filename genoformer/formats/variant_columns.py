"""Columns of a table of variants: their roles (contig, position, alleles, id), from the names that such tables use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from genoformer.errors import FileFormatError
from genoformer.formats.variant_ids import is_rsid, parse_place, parse_variant_id

_NAMES: dict[str, tuple[str, ...]] = {  # role -> names, lower case with one underscore between words; the first match is used
    "chrom": (
        "chrom",
        "chr",
        "chromosome",
        "contig",
        "seqnames",
        "seqname",
        "chr_name",
        "chr_id",
        "chrom_id",
        "chromosome_name",
    ),
    "pos": (
        *(
            "pos",
            "position",
            "bp",
            "base_pair_location",
            "genpos",
            "chr_pos",
            "chr_position",
            "chrom_position",
            "base_position",
        ),
        *("bp_position", "base_pair_position", "chromosome_position", "snp_pos", "ps", "start_position"),
    ),
    "ref": ("ref", "reference", "ref_allele", "reference_allele", "refallele", "ref_base", "reference_base"),
    "alt": (
        *("alt", "alternate", "alternative", "alt_allele", "alternate_allele", "alternative_allele", "altallele", "alt_base"),
        "tumor_seq_allele2",
    ),
    "effect": (
        *("effect_allele", "effectallele", "ea", "a1", "allele1", "allele_1", "tested_allele", "test_allele", "coded_allele"),
        "risk_allele",
    ),
    "other": (
        *("other_allele", "otherallele", "oa", "nea", "non_effect_allele", "noneffect_allele", "a2", "allele2", "allele_2"),
        *("a0", "allele0", "omitted", "noncoded_allele", "non_coded_allele"),
    ),
    "id": (
        *("rsid", "rs_id", "hm_rsid", "snp", "snpid", "snp_id", "rs_number", "dbsnp", "id", "variant_id", "hm_variant_id"),
        *("variant", "markername", "marker", "marker_name"),
    ),
}
_HARMONISED = {  # columns that the GWAS Catalog adds on its own assembly; all four or none are used
    "chrom": "hm_chrom",
    "pos": "hm_pos",
    "effect": "hm_effect_allele",
    "other": "hm_other_allele",
}
_VCF = ("chrom", "pos", "id", "ref", "alt", "qual")
EXPECTED = "a table with the columns chrom, pos, ref and alt (or effect_allele and other_allele)"


def role_names(role: str) -> tuple[str, ...]:
    """Return the names that a column with this role has in tables of variants, lower case.

    >>> role_names("pos")[:2]
    ('pos', 'position')
    """
    return _NAMES[role]


@dataclass(frozen=True)
class TableLayout:
    """Roles of the columns of a table, as numbers from 0; None for a role that no column has."""

    names: tuple[str, ...]  # of the columns; made up if the table has no header
    separator: str  # "\t", "," or " " for blanks
    has_header: bool = True
    chrom: int | None = None
    pos: int | None = None
    ref: int | None = None
    alt: int | None = None
    effect: int | None = None
    other: int | None = None
    id: int | None = None
    word: int | None = None  # column of ids such as chr20:1050100:A:G, which is read where others are missing

    @property
    def oriented(self) -> bool:
        """True if the columns tell which allele is REF."""
        return self.other is None

    @cached_property
    def read(self) -> tuple[int | None, ...]:
        """Return the columns of contig, position, id, REF (or other allele), ALT (or effect allele), and effect allele."""
        alleles = (self.ref, self.alt) if self.oriented else (self.other, self.effect)
        return (self.chrom, self.pos, self.id, *alleles, self.effect)

    @property
    def consumed(self) -> set[int]:
        """Return the columns whose contents are in CHROM, POS, ID, REF and ALT."""
        used = {self.chrom, self.pos, self.id} | ({self.ref, self.alt} if self.oriented else set())
        return {column for column in used if column is not None}


def plain_name(name: str) -> str:
    """Return a name in lower case, with one underscore between words.

    >>> plain_name("#CHROM"), plain_name("Effect allele"), plain_name("P-value")
    ('chrom', 'effect_allele', 'p_value')
    """
    return re.sub(r"[^0-9a-z]+", "_", name.strip().strip('"').lower()).strip("_")


def separator_of(line: str) -> str:
    """Return the separator of a line: a tab, else a comma, else blanks."""
    return "\t" if "\t" in line else "," if "," in line else " "


def is_vcf_header(fields: Sequence[str]) -> bool:
    """True for the #CHROM line of a VCF; PLINK's tables of associations begin alike."""
    names = [field.strip().lower().lstrip("#") for field in fields]
    return fields[0].startswith("#") and tuple(names[:5]) == _VCF[:5] and tuple(names[5:6]) in ((), _VCF[5:])


def layout_of_header(names: Sequence[str], first_row: Sequence[str], where: str, separator: str = "\t") -> TableLayout | None:
    """Return the layout of a table with these columns; None if it has no column of variants.

    first_row: fields of the first row, which shows columns of ids. Raises FileFormatError for a table that has variants and
    lacks their positions or alleles.
    """
    plain = [plain_name(name) for name in names]
    at = {role: next((plain.index(name) for name in known if name in plain), None) for role, known in _NAMES.items()}
    if set(_HARMONISED.values()) <= set(plain):
        at |= {role: plain.index(name) for role, name in _HARMONISED.items()} | {"ref": None, "alt": None}
    has_place = at["chrom"] is not None and at["pos"] is not None
    has_alleles = at["ref"] is not None and at["alt"] is not None
    has_pair = at["effect"] is not None and at["other"] is not None
    if has_alleles:
        at["other"] = None  # REF and ALT are known; of effect and other allele one is enough
    elif has_pair:
        at["ref"] = at["alt"] = None
    word = _column_of_ids(first_row, at["id"], with_alleles=not (has_alleles or has_pair))
    if has_place and (has_alleles or has_pair):
        return _layout(names, separator, at, None)
    if word is not None and not has_place:
        at["chrom"] = at["pos"] = None
    if word is not None and (has_alleles or has_pair) and not has_place:
        return _layout(names, separator, at, word)
    if word is not None:
        return TableLayout(tuple(names), separator, id=at["id"], effect=at["effect"], word=word)
    _refuse(names, has_place, at["id"], first_row, where)
    return None


def _layout(names: Sequence[str], separator: str, at: Mapping[str, int | None], word: int | None) -> TableLayout:
    alleles = (at["ref"], at["alt"], at["effect"], at["other"])
    return TableLayout(tuple(names), separator, True, at["chrom"], at["pos"], *alleles, id=at["id"], word=word)


def _column_of_ids(row: Sequence[str], at: int | None, *, with_alleles: bool) -> int | None:
    """Return the column of a row that holds an id with a position (and alleles); the column of ids comes first."""
    columns = [*([at] if at is not None else []), *(i for i in range(len(row)) if i != at)]
    for i in columns:
        text = row[i] if i < len(row) else ""
        if parse_variant_id(text) or (not with_alleles and i == at and parse_place(text)):
            return i
    return None


def layout_without_header(fields: Sequence[str], where: str, separator: str) -> TableLayout | None:
    """Return the layout of a file whose first line is a row: an id in the first column, or contig, position, REF and ALT."""
    names = tuple(f"column{i + 1}" for i in range(len(fields)))
    if parse_variant_id(fields[0]):
        return TableLayout(names, separator, has_header=False, id=0, word=0)
    letters = set("".join(fields[2:4]).upper())
    if len(fields) == 4 and fields[1].isdecimal() and all(fields[2:4]) and letters <= set("ACGTN"):
        return TableLayout(names, separator, has_header=False, chrom=0, pos=1, ref=2, alt=3)
    if is_rsid(fields[0]) and len(fields) == 1:
        raise FileFormatError(_only_rsids(where))
    return None


def _refuse(names: Sequence[str], has_place: bool, at_id: int | None, row: Sequence[str], where: str) -> None:
    """Raise FileFormatError for a table of variants that lacks positions or alleles; return for any other table."""
    columns = ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
    plain = {plain_name(name) for name in names}
    is_of_alleles = bool(plain & {*_NAMES["effect"][:3], *_NAMES["ref"], *_NAMES["alt"]} - {"a1"})
    if has_place and is_of_alleles:
        raise FileFormatError(
            f"{where} has one allele of each variant (its columns are {columns}), expected {EXPECTED}; add it."
        )
    if has_place and not plain & {"start", "end", "qual"} and at_id is not None:
        raise FileFormatError(f"{where} has no alleles (its columns are {columns}), expected {EXPECTED}; add them.")
    if not has_place and at_id is not None and at_id < len(row) and is_rsid(row[at_id]):
        raise FileFormatError(_only_rsids(where))


def _only_rsids(where: str) -> str:
    return (
        f"{where} has rsIDs and no positions, expected {EXPECTED}; look them up in dbSNP's VCF of the assembly of the FASTA "
        "(bcftools query)."
    )
