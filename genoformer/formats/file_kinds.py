"""Detection of file formats by first bytes, so that a file of another kind is refused by the name of its format."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from genoformer.formats.pointers import MAGIC, REMEDY, WHAT

HEAD = 4_096  # bytes that suffice to detect a format


class Kind(NamedTuple):
    """File format, with its article, and advice for a file of this format."""

    name: str
    remedy: str


_FIRST_BYTES: tuple[tuple[bytes, str], ...] = (  # -> format; also after gunzip
    (b"\xeb\xf2\x89\x87", "bigBed"),
    (b"\x87\x89\xf2\xeb", "bigBed"),
    (b"\x26\xfc\x8f\x88", "bigWig"),
    (b"\x88\x8f\xfc\x26", "bigWig"),
    (b"BAM\x01", "BAM"),
    *((b"CRAM" + bytes([version]), "CRAM") for version in (2, 3, 4)),
    (b"BCF\x02", "BCF"),
    (b"TBI\x01", "a tabix index"),
    (b"CSI\x01", "a CSI index"),
    (b"BAI\x01", "a BAI index"),
    (b"PAR1\x15", "Parquet"),
    (b"PK\x03\x04", "zip"),
    (b"\xd0\xcf\x11\xe0", "Excel"),
    (b"\x89HDF", "HDF5"),
    (b"\x93NUMPY", "a numpy array"),
    *((b"BZh%d1AY" % level, "bzip2") for level in range(1, 10)),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x43\x27\x41\x1a", "2bit"),
    (b"%PDF-", "PDF"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (MAGIC, "a Git LFS pointer"),
)
_BINARY = {  # binary formats given as text
    "bigBed": Kind("a bigBed file", "make a BED of it first (bigBedToBed FILE out.bed)"),
    "bigWig": Kind("a bigWig file, which holds values and no regions or text", "give it as a track"),
    "BAM": Kind("a BAM file of aligned reads", "call peaks, or make a BED of it first (bedtools bamtobed)"),
    "CRAM": Kind("a CRAM file of aligned reads", "call peaks, or make a BED of it first"),
    "BCF": Kind("a BCF file of variants", "give it as variants, or make a BED of it first (bcftools query)"),
    "a tabix index": Kind("a tabix index (.tbi)", "give the file that it belongs to"),
    "a CSI index": Kind("an index (.csi)", "give the file that it belongs to"),
    "a BAI index": Kind("an index (.bai)", "give a file of regions"),
    "Parquet": Kind("a Parquet table", "write it as tab-separated text first"),
    "zip": Kind("a zip archive or an Excel workbook (.xlsx)", "unpack it, or save the sheet as tab-separated text"),
    "Excel": Kind("an Excel workbook (.xls)", "save the sheet as tab-separated text"),
    "HDF5": Kind("an HDF5 file", "write it as text first"),
    "a numpy array": Kind("a numpy array", "write it as text first"),
    "bzip2": Kind("packed with bzip2", "unpack it first (bunzip2)"),
    "xz": Kind("packed with xz", "unpack it first (xz -d)"),
    "zstd": Kind("packed with zstd", "unpack it first (zstd -d)"),
    "2bit": Kind("a 2bit file of sequence", "make a FASTA of it first (twoBitToFa)"),
    "PDF": Kind("a PDF", "give the data that it shows, as text"),
    "UTF-16": Kind("text in UTF-16", "save it as UTF-8"),
    "a Git LFS pointer": Kind(WHAT, REMEDY),
}
BEDPE = Kind(
    "BEDPE, of pairs of regions", "give one region a row: CHROM START END (cut -f 1-3 takes the first one of each pair)"
)
_PAIRS = ({"start1", "end1", "start2"}, {"x1", "x2", "y1", "y2"})  # column names of BEDPE, and of Juicer's loops
_PAGE = Kind("a web page, not the file that it links to", "download the file itself")


def format_of_bytes(head: bytes) -> str | None:
    """Return the format of a file that is not ASCII text, by its first bytes (after gunzip); None for any other file.

    >>> format_of_bytes(b"PK\\x03\\x04..."), format_of_bytes(b"PK\\t5\\t9")
    ('zip', None)
    """
    return next((name for magic, name in _FIRST_BYTES if head.startswith(magic)), None)


def binary_kind(head: bytes) -> Kind | None:
    """Return the kind of a binary file or a web page, by its first bytes (after gunzip); None for any other file."""
    if name := format_of_bytes(head):
        return _BINARY[name]
    text = head[:HEAD].lstrip().lower()
    return _PAGE if text.startswith((b"<!doctype html", b"<html")) else None


def text_kind(lines: list[str]) -> Kind | None:
    """Return the kind of a text file that is not BED, by its first lines, for formats often confused with BED; None otherwise.

    BEDPE without column names is detected from several rows (`bedpe`).
    """
    for line in lines:
        if line.startswith(("##fileformat=VCF", "#CHROM\tPOS\tID\tREF")):
            return Kind("a VCF", "give it as variants, or make a BED of it first (bcftools query)")
        names = {name.strip().lower() for name in line.lstrip("#").split("\t")}
        if any(pair <= names for pair in _PAIRS):
            return BEDPE
        if line.startswith("##gff-version"):
            return Kind("GFF3", "give it with --gtf, or make a BED of its lines first")
        if line.startswith((">", ";")):
            return Kind("a FASTA of sequences", "give regions")
        if re.match(r"@(HD|SQ|RG|PG)\t", line):
            return Kind("a SAM file of aligned reads", "call peaks, or make a BED of it first (bedtools bamtobed)")
        if line.startswith(("fixedStep ", "variableStep ")):
            return Kind("a wiggle file of values", "make a bigWig of it (wigToBigWig) and give it as a track")
        if not line.startswith("#") and line.strip():
            return _by_columns(line.split("\t"))
    return None


def is_interval_list(path: Path, rows: list[list[str]], behind: Iterable[tuple[int, str]]) -> bool:
    """True if a file is a Picard interval_list: by its suffix, or a SAM header before rows with a strand in column 4.

    rows: the first row; behind: the lines after it, which are read to the end of the header.
    """
    if not rows or not re.fullmatch(r"@(HD|SQ|RG|PG|CO)", rows[0][0]):
        fields = rows[0] if rows else []
        return path.name.lower().removesuffix(".gz").endswith(".interval_list") and len(fields) > 3 and fields[3] in ("+", "-")
    for _, line in behind:
        if not line.startswith("@"):
            fields = line.split("\t")
            return len(fields) in (4, 5) and _counts(fields[1:3]) and fields[3] in ("+", "-", ".")
    return False


def _by_columns(fields: list[str]) -> Kind | None:
    """Return the kind of a row by its columns."""
    if len(fields) in (8, 9) and _counts(fields[3:5]) and not _counts(fields[1:2]) and fields[6] in ("+", "-", ".", "?"):
        format_name = "GFF3" if re.match(r"\s*[^\s=;\"]+=", fields[-1]) else "a GTF of genes"
        return Kind(format_name, "give it with --gtf, or make a BED of its lines first")
    return None


def _counts(texts: list[str]) -> bool:
    return bool(texts) and all(text.isascii() and text.isdigit() for text in texts)
