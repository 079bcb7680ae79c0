"""Names of files by their first bytes, and addresses of the web: a file of another kind is refused for what it is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from genoformer.errors import MissingFileError

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


# --- addresses

_SCHEMES = "https?|ftps?|s3|gs|gcs|az|abfss?|hf|sftp|ssh|file|drs"
_ADDRESS = re.compile(rf"(?P<scheme>{_SCHEMES}):/{{1,3}}(?P<rest>[^/].*)", re.IGNORECASE | re.DOTALL)
_TYPED = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+)://.+", re.IGNORECASE | re.DOTALL)  # C:/ has one letter
_SHORTENED = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/(?P<rest>[^/].*)", re.IGNORECASE | re.DOTALL)
_GET = {
    "http": "curl -LO {}", "https": "curl -LO {}", "ftp": "curl -LO {}", "ftps": "curl -LO {}", "s3": "aws s3 cp {} .",
    "gs": "gsutil cp {} .", "gcs": "gsutil cp {} .", "sftp": "sftp {}", "scp": "scp {} .",
}  # fmt: skip


def address_in(given: str | os.PathLike[str]) -> str | None:
    """The address of the web that a path is, as it was typed, or None.

    >>> from pathlib import Path
    >>> address_in(Path("https://a.org/b.bed")), address_in("dx://a/b.vcf.gz"), address_in("a/b.bed")
    ('https://a.org/b.bed', 'dx://a/b.vcf.gz', None)
    """
    text = os.fspath(given)
    if _TYPED.fullmatch(text):
        return text
    found = _ADDRESS.fullmatch(text) or _SHORTENED.fullmatch(text)
    if found is None or (found.re is _SHORTENED and Path(text.partition("/")[0]).exists()):
        return None
    slashes = ":///" if found["scheme"].lower() == "file" else "://"  # Path makes one slash of several
    return f"{found['scheme']}{slashes}{found['rest']}"


def _command_for(address: str, scheme: str) -> str | None:
    """The command that downloads an address; None where none is sure."""
    hub = re.match(r"https?://huggingface\.co/([\w.-]+/[\w.-]+)/?$", address)
    of_hub = re.match(r"hf://(?P<data>datasets/)?(?P<name>[\w.-]+/[\w.-]+)/?(?P<file>.*)$", address, re.IGNORECASE)
    if hub:
        return f"hf download {hub[1]}"
    if of_hub:
        kind = "--repo-type dataset" if of_hub["data"] else ""
        return " ".join(part for part in ("hf download", of_hub["name"], of_hub["file"], kind) if part)
    if scheme == "ssh":
        host, _, path = address.partition("://")[2].partition("/")
        return f"scp {host}:/{path} ."
    if scheme == "dx":
        return f"dx download {address.partition('://')[2]}"
    return _GET[scheme].format(address) if scheme in _GET else None


def refuse_address(given: str | os.PathLike[str], *, to_write: bool = False) -> None:
    """MissingFileError for an address of the web where a file is due; NAME=ADDRESS is one as well.

    >>> refuse_address("s3://bucket/a.vcf.gz")
    Traceback (most recent call last):
        ...
    genoformer.errors.MissingFileError: s3://bucket/a.vcf.gz is an address, and only files of this machine are read; ...
    """
    text = os.fspath(given)
    address = address_in(text) or (address_in(text.partition("=")[2]) if "=" in text.partition(":")[0] else None)
    if address is None:
        return
    if to_write:
        raise MissingFileError(f"{address} is an address, and only files of this machine are written; upload it afterwards.")
    scheme = address.partition(":")[0].lower()
    if scheme == "file":
        raise MissingFileError(f"{address} is an address; give the path of the file alone.")
    command = _command_for(address, scheme)
    how = f" ({command})" if command else ""
    raise MissingFileError(
        f"{address} is an address, and only files of this machine are read; download it first{how} and give the file."
    )
