"""Names of files by their first bytes: a file of another kind is refused for what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

HEAD = 4_096  # bytes that are enough to know a file


class Kind(NamedTuple):
    """A kind of file, with its article, and what to do with one."""

    name: str
    remedy: str


_BIGBED = Kind("a bigBed file", "make a BED of it first (bigBedToBed FILE out.bed)")
_BIGWIG = Kind("a bigWig file, which holds values and no regions or text", "give it where a track is due")
_CRAM = Kind("a CRAM file of aligned reads", "call peaks, or make a BED of it first")
_XZ, _ZSTD = "unpack it first (xz -d)", "unpack it first (zstd -d)"
_BINARY: tuple[tuple[bytes, Kind], ...] = (
    (b"\xeb\xf2\x89\x87", _BIGBED), (b"\x87\x89\xf2\xeb", _BIGBED),
    (b"\x26\xfc\x8f\x88", _BIGWIG), (b"\x88\x8f\xfc\x26", _BIGWIG),
    (b"BAM\x01", Kind("a BAM file of aligned reads", "call peaks, or make a BED of it first (bedtools bamtobed)")),
    (b"CRAM\x02", _CRAM), (b"CRAM\x03", _CRAM), (b"CRAM\x04", _CRAM),
    (b"BCF\x02", Kind("a BCF file of variants", "give it where variants are due, or make a BED of it first (bcftools query)")),
    (b"TBI\x01", Kind("a tabix index (.tbi)", "give the file that it belongs to")),
    (b"CSI\x01", Kind("an index (.csi)", "give the file that it belongs to")),
    (b"BAI\x01", Kind("an index (.bai)", "give a file of regions")),
    (b"PAR1\x15", Kind("a Parquet table", "write it as tab-separated text first")),
    (b"PK\x03\x04", Kind("a zip archive or an Excel workbook (.xlsx)", "unpack it, or save the sheet as tab-separated text")),
    (b"\xd0\xcf\x11\xe0", Kind("an Excel workbook (.xls)", "save the sheet as tab-separated text")),
    (b"\x89HDF", Kind("an HDF5 file", "write it as text first")),
    (b"\x93NUMPY", Kind("a numpy array", "write it as text first")),
    (b"BZh91AY", Kind("packed with bzip2", "unpack it first (bunzip2)")),
    (b"\xfd7zXZ", Kind("packed with xz", _XZ)),
    (b"\x28\xb5\x2f\xfd", Kind("packed with zstd", _ZSTD)),
    (b"\x43\x27\x41\x1a", Kind("a 2bit file of sequence", "make a FASTA of it first (twoBitToFa)")),
    (b"%PDF-", Kind("a PDF", "give the data that it shows, as text")),
)  # fmt: skip
_BEDPE = Kind("BEDPE, of pairs of regions", "give one region a row: CHROM START END")
_PAIRS = ({"start1", "end1", "start2"}, {"x1", "x2", "y1", "y2"})  # names of columns of BEDPE, and of Juicer's loops
_CONTIG = re.compile(r"chr\w+(\.\d+)?|\d{1,2}|[XYMWZ]|MT|[1-9]?\d[LR]", re.ASCII | re.IGNORECASE)
_PAGE = Kind("a web page, not the file that it links to", "download the file itself")


def binary_kind(head: bytes) -> Kind | None:
    """The kind of a file that is no text, or a web page, by its first bytes (after gunzip); None for any other."""
    for magic, kind in _BINARY:
        if head.startswith(magic):
            return kind
    text = head[:HEAD].lstrip().lower()
    return _PAGE if text.startswith((b"<!doctype html", b"<html")) else None


def text_kind(lines: list[str]) -> Kind | None:
    """The kind of a text by its first lines, of those that are sometimes given as BED; None for any other."""
    for line in lines:
        if line.startswith(("##fileformat=VCF", "#CHROM\tPOS\tID\tREF")):
            return Kind("a VCF", "give it where variants are due, or make a BED of it first (bcftools query)")
        names = {name.strip().lower() for name in line.lstrip("#").split("\t")}
        if any(pair <= names for pair in _PAIRS):
            return _BEDPE
        if line.startswith("##gff-version"):
            return Kind("GFF3", "give it with --gtf, or make a BED of its lines first")
        if line.startswith((">", ";")):
            return Kind("a FASTA of sequences", "give regions")
        if re.match(r"@(HD|SQ|RG|PG)\t", line):
            return Kind("a SAM file of aligned reads", "call peaks, or make a BED of it first (bedtools bamtobed)")
        if line.startswith(("fixedStep ", "variableStep ")):
            return Kind("a wiggle file of values", "make a bigWig of it (wigToBigWig) and give it where a track is due")
        if not line.startswith("#") and line.strip():
            return _by_columns(line.split("\t"))
    return None


def is_interval_list(path: Path, rows: list[list[str]], behind: Iterable[tuple[int, str]]) -> bool:
    """A file is a Picard interval_list: by its suffix, or lines of SAM's header before rows with a strand in column 4.

    rows: the first row; behind: the lines after it, which are read as far as the header goes.
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
    """The kind of a row by its columns."""
    if len(fields) in (8, 9) and _counts(fields[3:5]) and not _counts(fields[1:2]) and fields[6] in ("+", "-", ".", "?"):
        what = "GFF3" if re.match(r"\s*[^\s=;\"]+=", fields[-1]) else "a GTF of genes"
        return Kind(what, "give it with --gtf, or make a BED of its lines first")
    return _BEDPE if _is_pair(fields) else None


def _is_pair(fields: list[str]) -> bool:
    """A row of BEDPE: columns 4 to 6 are a region as well, and column 4 is no name of a region."""
    if len(fields) < 6 or not _counts(fields[1:3]):
        return False
    if fields[3:6] == [".", "-1", "-1"]:  # the other one is not known
        return True
    other = fields[3] == fields[0] if not _counts(fields[:1]) else False
    return _counts(fields[4:6]) and (other or _are_contigs(fields[0], fields[3]))


def _are_contigs(first: str, second: str) -> bool:
    """Names of contigs of one file: both begin with chr, or neither does."""
    alike = first.lower().startswith("chr") == second.lower().startswith("chr")
    return alike and all(map(_CONTIG.fullmatch, (first, second)))


def _counts(texts: list[str]) -> bool:
    return bool(texts) and all(text.isascii() and text.isdigit() for text in texts)
