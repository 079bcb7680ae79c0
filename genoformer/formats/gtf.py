"""GTF and GFF3 -> lines, attributes, and transcription start sites (TSS) by strand."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from genoformer.errors import FileFormatError
from genoformer.formats import gff
from genoformer.formats.bed import Region
from genoformer.formats.text import numbered_lines
from genoformer.formats.transcript_exons import NO_STRAND
from genoformer.genome.contigs import join_names
from genoformer.genome.digits import is_count

if TYPE_CHECKING:
    from genoformer.formats.gene_rows import GeneRow

KIND = "a GTF or GFF3 file"
Format = Literal["GTF", "GFF3"]
EXON, CDS = "exon", "CDS"
PARTS = (EXON, CDS, "stop_codon")  # kinds of lines that define genes
GENE_NAMES = ("gene_name", "gene")  # of Ensembl and GENCODE, of NCBI; the first one present, else gene_id
_ATTRIBUTE = re.compile(r'\s*([^\s;"]+)\s+(?:"([^"]*)"|([^;"\s]+))\s*;?')
_NAMES = {"transcript": ("transcript_id", "transcript_name"), "gene": (*GENE_NAMES, "gene_id")}
_GENE_FILE = re.compile(r"\.(gtf|gff[23]?)(\.b?gz)?$", re.IGNORECASE)


def is_gene_file(path: str | os.PathLike[str]) -> bool:
    """True if a file is GTF or GFF3 by its name."""
    return bool(_GENE_FILE.search(os.fspath(path)))


def format_of(path: Path) -> Format:
    """Return GTF or GFF3, from the ##gff-version line or the last column of the first row."""
    for _, line in numbered_lines(path, KIND):
        if line.startswith("##gff-version"):
            return "GFF3" if line.split()[1:2] and line.split()[1].startswith("3") else "GTF"
        if not line.startswith("#") and line.strip():
            return "GFF3" if re.match(r"\s*[^\s=;\"]+=", line.split("\t")[-1]) else "GTF"
    return "GTF"


def format_note(path: Path) -> str | None:
    """Return a note on the format of genes; None for GTF."""
    if format_of(path) == "GTF":
        return None
    return f"{path.name} is GFF3; its genes, transcripts, exons and CDS are read by Parent, as those of a GTF are by their ids."


def strand_note(path: Path, n: int, kind: str = "transcript") -> str:
    """Return the note on transcripts or genes without strand."""
    return f"{path.name}: {n:,} {kind}{'' if n == 1 else 's'} without strand (column 7) {'is' if n == 1 else 'are'} left out."


def has_strand(path: Path, number: int, strand: str) -> bool:
    """True for strand + or -, False for a symbol of an unknown strand; FileFormatError for any other text."""
    if strand not in ("+", "-", *NO_STRAND):
        raise FileFormatError(f"{path}, line {number}: the strand, column 7, is {strand!r}, not + - . or ?; mend the line.")
    return strand in ("+", "-")


def read_tss(
    path: str | os.PathLike[str], feature: str | None = None, without_strand: list[int] | None = None
) -> Iterator[Region]:
    """Yield the TSS of each transcript or gene of a GTF or GFF3, as a region of one base.

    The TSS is the first base of the line's interval on the + strand, and the last base on the - strand. Its name is the
    transcript_id of a transcript, or the gene_name (else gene, else gene_id) of a gene. In GFF3, a gene with exons or CDS
    directly under it counts as a transcript. In a GTF that has only exons or CDS, these define the transcripts.

    Parameters: feature, "transcript" or "gene"; None means transcripts, or genes if the file has no transcript lines.
    without_strand: collects the line numbers of features with unknown strand; they have no TSS.

    Raises: MissingFileError; FileFormatError with the line number, or if the file has no line of that feature, or none of
    them has a strand.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gtf = pathlib.Path(folder, "a.gtf")
    ...     _ = gtf.write_text('chr1\\tx\\tgene\\t101\\t200\\t.\\t-\\t.\\tgene_id "G1"; gene_name "ABC";\\n')
    ...     next(read_tss(gtf))[:6]
    ('chr1', 199, 200, 'ABC', '', '-')
    """
    if feature not in (None, *_NAMES):
        raise ValueError(f"feature is {feature!r}; it may be transcript, gene or None.")
    path = Path(path)
    left_out: list[int] = []
    found = False
    for site in gff.start_sites(path, gtf_rows(path), feature) if format_of(path) == "GFF3" else _sites(path, feature):
        if has_strand(path, site.line, site.strand):
            found = True
            yield site
        else:
            left_out.append(site.line)
    if left_out and not found:
        raise FileFormatError(
            f"{path}, line {left_out[0]}: no {feature or 'transcript'} has a strand, + or - in column 7; "
            "give a file of genes with strands."
        )
    if without_strand is not None:
        without_strand += left_out


def _sites(path: Path, feature: str | None) -> Iterator[Region]:
    """Yield the TSSs of a GTF, including lines whose strand is unknown."""
    others: Counter[str] = Counter()
    wanted = feature or "transcript"
    n_found = 0
    for number, fields in gtf_rows(path):
        others[fields[2]] += 1
        if fields[2] == wanted:
            n_found += 1
            yield _site(fields, number)
    if n_found:
        return
    if feature is None and others["gene"]:
        yield from _sites(path, "gene")
    elif others[EXON] or others[CDS]:
        yield from _of_exons(path, wanted)
    else:
        raise FileFormatError(
            f"{path} has no {feature or 'transcript or gene'} lines (column 3 holds {join_names(others)}); "
            "give a GTF with them."
        )


def gtf_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the nine columns of each line of a GTF or GFF3; FileFormatError for malformed lines."""
    for number, line in numbered_lines(path, KIND):
        if line.startswith(("##FASTA", ">")):  # the sequence at the end of a GFF3
            return
        if line.startswith("#") or not line.strip():
            continue
        fields = line.split("\t")
        if len(fields) != 9 or not all(map(is_count, fields[3:5])):
            raise FileFormatError(
                f"{path}, line {number}: GTF has nine columns with START and END in the fourth and fifth, "
                f"tab-separated; {_remedy(fields)}."
            )
        if not 1 <= int(fields[3]) <= int(fields[4]):
            raise FileFormatError(
                f"{path}, line {number}: START {fields[3]} and END {fields[4]} are no 1-based interval; mend the line."
            )
        yield number, fields


def _remedy(fields: list[str]) -> str:
    if len(fields) > 4 and fields[1].isdecimal() and re.fullmatch(r"[ACGTNacgtn]+", fields[3]):
        return "this is a VCF: give a file of genes"
    bed = len(fields) > 2 and all(map(is_count, fields[1:3]))
    return "this is BED: give it with -a NAME=FILE, or start sites with --tss" if bed else "mend the line"


def attributes_of(text: str) -> dict[str, str]:
    """Return the last column of a GTF as a dict; quotes may hold any text, and the first of duplicate keys counts."""
    found: dict[str, str] = {}
    for key, quoted, bare in _ATTRIBUTE.findall(text):
        found.setdefault(key, quoted or bare)
    return found


def transcript_of(attributes: Mapping[str, str], text: str = "") -> str:
    """Return the transcript of a GTF line: transcript_id, else gene_id, else the bare word that AUGUSTUS writes there.

    >>> transcript_of({"gene_id": "G", "transcript_id": ""}), transcript_of({}, "g1.t1")
    ('G', 'g1.t1')
    """
    bare = text.strip(" ;")
    found = attributes.get("transcript_id") or attributes.get("gene_id")
    return found or (bare if re.fullmatch(r"[^\s;\"]+", bare) else "")


def gene_name(attributes: Mapping[str, str], gene_id: str) -> str:
    """Return the display name of a gene, from the attributes of a GTF line.

    >>> gene_name({"gene_id": "b0001", "gene": "thrL"}, "b0001")
    'thrL'
    """
    return next((attributes[key] for key in GENE_NAMES if attributes.get(key)), gene_id)


def _site(fields: list[str], number: int) -> Region:
    attributes = attributes_of(fields[8])
    bare = transcript_of({}, fields[8])  # AUGUSTUS
    name = next((attributes[key] for key in _NAMES[fields[2]] if attributes.get(key)), bare)
    return gff.site(fields[0], int(fields[3]) - 1, int(fields[4]), fields[6], name, fields[5], number)


def _of_exons(path: Path, wanted: str) -> Iterator[Region]:
    """Yield the TSSs of the transcripts, or genes, that the exons or CDS of a GTF define."""
    from genoformer.formats.gene_rows import gene_rows

    spans: dict[tuple[str, str], list[int]] = {}
    rows: dict[tuple[str, str], GeneRow] = {}
    for row in gene_rows(path):
        if row.kind != EXON:
            continue
        key = (row.contig, row.transcript if wanted == "transcript" else row.gene)
        span = spans.setdefault(key, [row.start, row.end])
        span[:] = min(span[0], row.start), max(span[1], row.end)
        rows.setdefault(key, row)
    for key, (start, end) in spans.items():
        row = rows[key]
        name = row.transcript if wanted == "transcript" else row.name
        yield gff.site(row.contig, start, end, row.strand, name, ".", row.line)
