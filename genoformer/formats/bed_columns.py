"""Columns of a table of regions: their roles, from the names in the header or from --columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from genoformer.errors import FileFormatError, OptionError
from genoformer.formats.variant_columns import role_names

ROLES = ("chrom", "start", "end", "name", "score", "strand", "signal", "summit", "blocks")
ALLELE_ROLES = ("pos", "ref", "alt")  # of a table of alleles or positions
NONE = "none"
_NAMES: dict[str, tuple[str, ...]] = {  # role -> names in a header, lower case; the first match is used
    "chrom": (
        "chrom",
        "chr",
        "chromosome",
        "seqnames",
        "seqname",
        "seqid",
        "contig",
        "genoname",
        "chromosome_name",
        "chrom_name",
        "chromosome/scaffold name",
    ),
    "start": (
        "start",
        "chromstart",
        "chrom_start",
        "txstart",
        "genostart",
        "start_position",
        "peak_start",
        "begin",
        "starts",
        "gene start",
        "transcript_start",
        "transcript start",
        "exon_chrom_start",
        "exon region start",
    ),
    "end": (
        "end",
        "chromend",
        "chrom_end",
        "txend",
        "genoend",
        "end_position",
        "peak_end",
        "stop",
        "ends",
        "gene end",
        "transcript_end",
        "transcript end",
        "exon_chrom_end",
        "exon region end",
    ),
    "name": (
        "name",
        "peakid",
        "peak_id",
        "peakname",
        "peak_name",
        "id",
        "state",
        "label",
        "class",
        "ccre",
        "gene_name",
        "gene",
        "symbol",
        "gene_symbol",
        "external_gene_name",
        "hgnc_symbol",
        "gene_id",
        "ensembl_gene_id",
        "repname",
        "feature",
        "gene name",
        "gene stable id",
        "annotation",
        "accession",
        "trait",
        "geneid",
        "probe",
    ),
    "score": ("score", "peak score", "peak_score"),
    "strand": ("strand", "probe strand"),
    "signal": ("signalvalue", "signal_value", "signal", "fold_enrichment", "fold enrichment"),
    "summit": ("abs_summit",),
    "colour": ("itemrgb", "item_rgb", "rgb", "reserved"),
    "width": ("width", "length"),
}
_BLOCKS = (  # number, sizes and starts of blocks
    ("blockcount", "block_count", "blocks"),
    ("blocksizes", "block_sizes"),
    ("chromstarts", "blockstarts", "chrom_starts", "block_starts"),
)
_MEASURES = re.compile(  # names of columns that hold a measurement or a position, with letters and digits only
    r"(neg)?(log10|log2|log|ln|adj|adjusted|p\.?adj)*(p|q)(val(ue)?s?)?(adj(usted)?|bh)?|.*(pval|qval|fdr|padj|foldchange|enrichment"
    r"|log2?fc|basemean|signal|score|summit|zscore|coverage|pileup|rpkm|fpkm|tpm|cpm).*|fc|lfc|l2fc|fold|conc\w*|counts?|depth|reads"
    r"|tags|height|intensity|beta|stat|tstat|z|value|mean|median|sd|se|width|length|len|size|distance|dist|peak|pos(ition)?"
    r"|thickstart|thickend"
)
_ENDS = frozenset(_NAMES["end"])
_LABELS = ("state", "label", "class", "ccre")  # names of columns that hold kinds of elements


def has_ends(names: Iterable[str]) -> bool:
    """True if one of the columns of a header has the ends of regions.

    >>> has_ends(["chr", "Start_Position", "End_Position", "ref"]), has_ends(["chrom", "pos", "ref", "alt"])
    (True, False)
    """
    return not _ENDS.isdisjoint(name.strip().strip('"').lower() for name in names)


class Asked(NamedTuple):
    """Settings of --columns: role -> column number from 1, column name, or none; and the number of the first base."""

    columns: Mapping[str, str] = {}
    base: int | None = None


def parse_columns(text: str) -> Asked:
    """Parse KEY=COLUMN,... of --columns.

    >>> parse_columns("name=6,strand=none,base=1")
    Asked(columns={'name': '6', 'strand': 'none'}, base=1)
    """
    columns: dict[str, str] = {}
    base: int | None = None
    for part in text.split(","):
        key, sign, value = (piece.strip() for piece in part.partition("="))
        if not sign or not value or key not in (*ROLES, *ALLELE_ROLES, "base") or key in columns:
            raise OptionError(
                "columns",
                f"{text}: {part.strip()!r} is not KEY=COLUMN, each key once; keys are "
                f"{', '.join((*ROLES, *ALLELE_ROLES))} and base, a column is a number from 1, a name of the header, or none.",
            )
        if key == "base":
            if value not in ("0", "1") or base is not None:
                raise OptionError(
                    "columns", f"{text}: base={value}; give 0 (as BED) or 1, the number of a contig's first base."
                )
            base = int(value)
        elif key in ("chrom", "start", "end") and value == NONE:
            raise OptionError("columns", f"{text}: a region has a {key}; give its column.")
        else:
            columns[key] = value
    return Asked(columns, base)


class Columns(NamedTuple):
    """Settings of --columns for several files: one for all, and one for each named file (NAME:KEY=COLUMN,...)."""

    every: str | None = None
    named: Mapping[str, str] = {}

    def for_file(self, name: str) -> str | None:
        return self.named.get(name, self.every)


def columns_by_file(texts: Iterable[str], names: Iterable[str]) -> Columns:
    """Parse --columns for several files, each set once; ConfigError for a name without a file.

    >>> columns_by_file(["base=1", "CCRE:name=6"], ["CCRE", "GR"]).for_file("CCRE")
    'name=6'
    """
    every, named, known = None, dict[str, str](), list(names)
    for text in texts:
        match = re.fullmatch(r"([^=,:]+):(.*)", text, re.DOTALL)
        if match is None and every is None:
            every = text
        elif match is None or match[1] in named:
            raise OptionError("columns", f"{text}: given twice; give NAME:KEY=COLUMN,... for each file of its own.")
        elif match[1] not in known:
            raise OptionError("columns", f"{text}: there is no file {match[1]}; they are {', '.join(known) or 'none'}.")
        else:
            named[match[1]] = match[2]
        parse_columns(text if match is None else match[2])
    return Columns(every, named)


# --- headers


def plain_names(fields: Sequence[str]) -> list[str]:
    """Return names of columns in lower case, without # and HOMER's text in brackets.

    >>> plain_names(["#PeakID (cmd=annotatePeaks.pl a hg38)", "Chr"])
    ['peakid', 'chr']
    """
    return [re.sub(r"\s*\(.*", "", name.strip().lstrip("#").strip()).lower() for name in fields]


def names_of_role(role: str) -> tuple[str, ...]:
    """Return the names that a column with this role has in headers, lower case.

    >>> names_of_role("pos")[:2]
    ('pos', 'position')
    """
    return role_names(role) if role in ALLELE_ROLES else _NAMES[role]


def is_header(fields: Sequence[str]) -> bool:
    """True if a line holds names of columns, including those of START and END."""
    if len(fields) < 3:
        return False
    names = plain_names(fields)
    has = {role: any(name in names for name in _NAMES[role]) for role in ("chrom", "start", "end")}
    as_bed = names[1] in _NAMES["start"] and names[2] in _NAMES["end"]
    return has["start"] and has["end"] and (has["chrom"] or as_bed)


def header_roles(fields: Sequence[str]) -> dict[str, int]:
    """Return role -> number of its column from 0, by the names in a header."""
    names = plain_names(fields)
    roles: dict[str, int] = {}
    for role, known in _NAMES.items():
        at = next((names.index(name) for name in known if name in names), None)
        if at is not None and at not in roles.values():
            roles[role] = at
    roles.setdefault("chrom", 0)
    return roles


def blocks_in(fields: Sequence[str]) -> tuple[int, int, int] | None:
    """Return the numbers of the block columns from 0, by the names in a header.

    >>> blocks_in(["chrom", "start", "end", "blockCount", "blockSizes", "chromStarts"])
    (3, 4, 5)
    """
    names = plain_names(fields)
    columns = [names.index(name) for known in _BLOCKS for name in known if name in names]
    return (columns[0], columns[1], columns[2]) if len(columns) == len(_BLOCKS) else None


def is_measure(name: str) -> bool:
    """True if a column of this name usually holds numbers, such as a p-value.

    >>> [is_measure(name) for name in ("P.Value", "-log10(pvalue)", "adj.P.Val", "FDR(%)", "log2FoldChange", "baseMean")]
    [True, True, True, True, True, True]
    >>> [is_measure(name) for name in ("E001_state", "band", "peak_id", "cluster", "gene")]
    [False, False, False, False, False]
    """
    return _MEASURES.fullmatch(re.sub(r"[\W_]", "", name.strip().lower())) is not None


def are_labels(name: str) -> bool:
    """True if a column of this name holds kinds of elements."""
    return plain_names([name])[0] in _LABELS


def column_number(text: str, header: Sequence[str] | None, where: str, what: str = "the option columns") -> int:
    """Return the number of a column from 0, for a number from 1, or a name of the header.

    what: subject of the message of the FileFormatError for a column that is not there.
    """
    if text.isascii() and text.isdecimal() and 0 < len(text) < 5 and int(text):
        return int(text) - 1
    names = [name.strip() for name in header or ()]
    at = next((i for i, name in enumerate(names) if name in (text, f"#{text}")), None)
    if at is None:
        at = next((i for i, name in enumerate(plain_names(names)) if name == text.lower()), None)
    if at is None:
        has = f"its columns are {', '.join(names)}" if names else "it has no line with names of columns"
        names_or = "one of them or " if names else ""
        raise FileFormatError(f"{where}: {what} names the column {text!r}, but {has}; give {names_or}a number from 1.")
    return at
