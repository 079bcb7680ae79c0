"""GTF and GFF3 -> lines, attributes, and transcription start sites by strand."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from genoformer.errors import FileFormatError
from genoformer.genome import gff
from genoformer.genome.bed import Region
from genoformer.genome.contigs import listed
from genoformer.genome.digits import is_count
from genoformer.genome.lines import numbered_lines

KIND = "a GTF or GFF3 file"
Format = Literal["GTF", "GFF3"]
EXON, CDS = "exon", "CDS"
PARTS = (EXON, CDS, "stop_codon")  # the lines that genes are made of
GENE_NAMES = ("gene_name", "gene")  # of Ensembl and GENCODE, of NCBI; the first that is there, else gene_id
_ATTRIBUTE = re.compile(r'\s*([^\s;"]+)\s+(?:"([^"]*)"|([^;"\s]+))\s*;?')
_NAMES = {"transcript": ("transcript_id", "transcript_name"), "gene": (*GENE_NAMES, "gene_id")}
_GENE_FILE = re.compile(r"\.(gtf|gff[23]?)(\.b?gz)?$", re.IGNORECASE)


def is_gene_file(path: str | os.PathLike[str]) -> bool:
    """A file is GTF or GFF3 by its name."""
    return bool(_GENE_FILE.search(os.fspath(path)))


def format_of(path: Path) -> Format:
    """GTF or GFF3, by its ##gff-version line or the last column of its first row."""
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


def read_tss(path: str | os.PathLike[str], feature: str | None = None) -> Iterator[Region]:
    """The transcription start site of each transcript or gene of a GTF or GFF3, as a region of one base.

    On the + strand it is the first base of the line's interval, on the - strand the last one. Its name is the
    transcript_id of a transcript, the gene_name (else gene, else gene_id) of a gene. In GFF3 a gene whose exons or CDS have
    no transcript between is its own transcript. A GTF of exons alone has the transcripts that they make.

    Parameters: feature, "transcript" or "gene"; None is transcripts, or genes where the file has no transcript lines.

    Raises: MissingFileError; FileFormatError with the line number, or if the file has no line of that feature.

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
    if format_of(path) == "GFF3":
        yield from gff.start_sites(path, gtf_rows(path), feature)
        return
    others: Counter[str] = Counter()
    wanted = feature or "transcript"
    n_found = 0
    for number, fields in gtf_rows(path):
        others[fields[2]] += 1
        if fields[2] == wanted:
            n_found += 1
            yield _site(fields, f"{path}, line {number}", number)
    if n_found:
        return
    if feature is None and others["gene"]:
        yield from read_tss(path, "gene")
    elif others[EXON]:
        yield from _of_exons(path, wanted)
    else:
        raise FileFormatError(
            f"{path} has no {feature or 'transcript or gene'} lines (column 3 holds {listed(others)}); give a GTF with them."
        )


def gtf_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The line number and the nine columns of each line of a GTF or GFF3; FileFormatError for lines that are none."""
    for number, line in numbered_lines(path, KIND):
        if line.startswith(("##FASTA", ">")):  # the sequence behind a GFF3
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
    """The last column of a GTF as a table; quotes may hold anything, and of a key that is there twice the first counts."""
    found: dict[str, str] = {}
    for key, quoted, bare in _ATTRIBUTE.findall(text):
        found.setdefault(key, quoted or bare)
    return found


def gene_name(attributes: Mapping[str, str], gene_id: str) -> str:
    """The name of a gene for people, of the attributes of a line of GTF.

    >>> gene_name({"gene_id": "b0001", "gene": "thrL"}, "b0001")
    'thrL'
    """
    return next((attributes[key] for key in GENE_NAMES if attributes.get(key)), gene_id)


def _site(fields: list[str], where: str, number: int) -> Region:
    if fields[6] not in ("+", "-"):
        raise FileFormatError(f"{where}: the strand, column 7, is {fields[6]!r}; a start site needs + or -.")
    attributes = attributes_of(fields[8])
    name = next((attributes[key] for key in _NAMES[fields[2]] if attributes.get(key)), "")
    return gff.site(fields[0], int(fields[3]) - 1, int(fields[4]), fields[6], name, fields[5], number)


def _of_exons(path: Path, wanted: str) -> Iterator[Region]:
    """The start sites of the transcripts, or genes, that the exons of a GTF make."""
    spans: dict[tuple[str, str], list[int]] = {}
    rows: dict[tuple[str, str], tuple[list[str], int]] = {}
    for number, fields in gtf_rows(path):
        if fields[2] != EXON:
            continue
        attributes = attributes_of(fields[8])
        gene = attributes.get("gene_id", "")
        name = (attributes.get("transcript_id") or gene) if wanted == "transcript" else gene_name(attributes, gene)
        key = (fields[0], (attributes.get("transcript_id") or gene) if wanted == "transcript" else gene)
        if not key[1]:
            raise FileFormatError(f"{path}, line {number}: an exon without gene_id; give a GTF whose lines say their gene.")
        if fields[6] not in ("+", "-"):
            raise FileFormatError(f"{path}, line {number}: the strand, column 7, is {fields[6]!r}; a start site needs + or -.")
        span = spans.setdefault(key, [int(fields[3]) - 1, int(fields[4])])
        span[:] = min(span[0], int(fields[3]) - 1), max(span[1], int(fields[4]))
        rows.setdefault(key, ([fields[0], fields[6], name], number))
    for key, (start, end) in spans.items():
        (chrom, strand, name), number = rows[key]
        yield gff.site(chrom, start, end, strand, name, ".", number)
