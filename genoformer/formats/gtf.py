"""GTF and GFF3 -> lines, attributes, rows that define genes (exons, CDS, stop codons), and TSSs by strand."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from genoformer.errors import FileFormatError
from genoformer.formats import gff
from genoformer.formats.bed import Region
from genoformer.formats.text import numbered_lines
from genoformer.formats.transcript_exons import NO_STRAND, Key, Span, is_gene, is_transcript, is_utr, made_exons, widen
from genoformer.genome.digits import is_count

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
        raise FileFormatError(f"{path}, line {number}: the strand, column 7, is {strand!r}, not + - . or ?; correct the line.")
    return strand in ("+", "-")


# --- lines and attributes


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
                f"{path}, line {number}: START {fields[3]} and END {fields[4]} are no 1-based interval; correct the line."
            )
        yield number, fields


def _remedy(fields: list[str]) -> str:
    if len(fields) > 4 and fields[1].isdecimal() and re.fullmatch(r"[ACGTNacgtn]+", fields[3]):
        return "this is a VCF: give a file of genes"
    bed = len(fields) > 2 and all(map(is_count, fields[1:3]))
    return (
        "this is BED, which has no exons: give genes as GTF or GFF3; `genoformer annotate` reads TSSs of a BED (--tss)"
        if bed
        else "correct the line"
    )


def without_exons(path: Path) -> FileFormatError:
    """Return the error for a file of genes that has no exons."""
    return gff.without_lines(path, "exon", dict.fromkeys(fields[2] for _, fields in gtf_rows(path)))


def attributes_of(text: str) -> dict[str, str]:
    """Return the last column of a GTF as a dict; quotes may hold any text, and the first of duplicate keys counts."""
    attributes: dict[str, str] = {}
    for key, quoted, bare in _ATTRIBUTE.findall(text):
        attributes.setdefault(key, quoted or bare)
    return attributes


def transcript_of(attributes: Mapping[str, str], text: str = "") -> str:
    """Return the transcript of a GTF line: transcript_id, else gene_id, else the bare word that AUGUSTUS writes there.

    >>> transcript_of({"gene_id": "G", "transcript_id": ""}), transcript_of({}, "g1.t1")
    ('G', 'g1.t1')
    """
    bare = text.strip(" ;")
    name = attributes.get("transcript_id") or attributes.get("gene_id")
    return name or (bare if re.fullmatch(r"[^\s;\"]+", bare) else "")


def gene_name(attributes: Mapping[str, str], gene_id: str) -> str:
    """Return the display name of a gene, from the attributes of a GTF line.

    >>> gene_name({"gene_id": "b0001", "gene": "thrL"}, "b0001")
    'thrL'
    """
    return next((attributes[key] for key in GENE_NAMES if attributes.get(key)), gene_id)


# --- rows that define genes


class GeneRow(NamedTuple):
    """Line of a gene, 0-based half-open."""

    line: int
    contig: str
    kind: str  # one of PARTS
    start: int
    end: int
    strand: str
    gene: str
    name: str  # display name of the gene
    transcript: str
    biotype: str = ""  # of the gene
    made: bool = False  # an inferred exon, without a line in the file

    @property
    def is_exon(self) -> bool:
        """True for an exon."""
        return self.kind == EXON


class _Lines(NamedTuple):
    """Lines from which exons are inferred for transcripts without exon lines, by contig and transcript."""

    with_exons: set[Key]
    coding: dict[Key, list[GeneRow]]
    utrs: dict[Key, list[Span]]
    limits: dict[Key, Span]
    of_genes: dict[Key, Span]  # limits of genes that serve as transcripts

    def add(self, row: GeneRow) -> GeneRow:
        """Record an exon, CDS or stop codon, and return it."""
        key = (row.contig, row.transcript)
        if row.is_exon:
            self.with_exons.add(key)
            self.coding.pop(key, None)
        elif key not in self.with_exons:
            self.coding.setdefault(key, []).append(row)
        return row

    def made(self) -> Iterator[GeneRow]:
        """Yield the exons of transcripts without exon lines, as copies of each transcript's first row."""
        coding = {key: [(row.start, row.end) for row in rows] for key, rows in self.coding.items()}
        for key, (start, end) in made_exons(coding, self.utrs, {**self.of_genes, **self.limits}):
            yield self.coding[key][0]._replace(kind=EXON, start=start, end=end, made=True)


def gene_rows(path: Path) -> Iterator[GeneRow]:
    """Yield the exons, CDS and stop codons of a file in file order; a line with several Parents gives one row for each.

    The exons of transcripts without exon lines follow at the end (`transcript_exons`).

    Raises: MissingFileError; FileFormatError with the line number.
    """
    lines = _Lines(set(), {}, {}, {}, {})
    for row in _of_gff(path, lines) if format_of(path) == "GFF3" else _of_gtf(path, lines):
        yield lines.add(row)
    yield from lines.made()


def _of_gtf(path: Path, lines: _Lines) -> Iterator[GeneRow]:
    for number, fields in gtf_rows(path):
        kind, span = fields[2], (int(fields[3]) - 1, int(fields[4]))
        if kind not in PARTS:
            attributes = attributes_of(fields[8])
            if is_utr(kind):
                lines.utrs.setdefault((fields[0], transcript_of(attributes)), []).append(span)
            elif is_transcript(kind):
                widen(lines.limits, (fields[0], transcript_of(attributes, fields[8])), *span)
            elif is_gene(kind):
                widen(lines.of_genes, (fields[0], attributes.get("gene_id", "")), *span)
            continue
        attributes = attributes_of(fields[8])
        gene = attributes.get("gene_id")
        if not gene:
            raise FileFormatError(f"{path}, line {number}: {kind} without gene_id; give a GTF whose lines say their gene.")
        names = (gene, gene_name(attributes, gene), transcript_of(attributes))
        yield _row(number, fields, gff.Family(*names, gff.biotype_of(attributes)))


def _of_gff(path: Path, lines: _Lines) -> Iterator[GeneRow]:
    nodes: dict[str, gff.Node] = {}
    rows: list[tuple[int, list[str]]] = []
    utrs: list[list[str]] = []
    for number, fields in gtf_rows(path):
        if fields[2] in PARTS:
            rows.append((number, fields))
        elif is_utr(fields[2]):
            utrs.append(fields)
        elif fields[2] not in gff.LEAVES and (node := gff.node_of(fields[2], fields[8])):
            nodes.setdefault(*node)
            widen(lines.limits, (fields[0], node[0]), int(fields[3]) - 1, int(fields[4]))
    for fields in utrs:
        for family in gff.families(gff.attributes_of(fields[8]), nodes):
            lines.utrs.setdefault((fields[0], family.transcript), []).append((int(fields[3]) - 1, int(fields[4])))
    for number, fields in rows:
        families = gff.families(gff.attributes_of(fields[8]), nodes)
        if not families:
            raise FileFormatError(
                f"{path}, line {number}: {fields[2]} without Parent, gene_id or ID; give a GFF3 whose lines say their gene."
            )
        for family in families:
            yield _row(number, fields, family)


def _row(number: int, fields: list[str], family: gff.Family) -> GeneRow:
    return GeneRow(number, fields[0], fields[2], int(fields[3]) - 1, int(fields[4]), fields[6], *family)


# --- transcription start sites


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
    has_sites = False
    for site in gff.start_sites(path, gtf_rows(path), feature) if format_of(path) == "GFF3" else _sites(path, feature):
        if has_strand(path, site.line, site.strand):
            has_sites = True
            yield site
        else:
            left_out.append(site.line)
    if left_out and not has_sites:
        raise FileFormatError(
            f"{path}, line {left_out[0]}: no {feature or 'transcript'} has a strand, + or - in column 7; "
            "give a file of genes with strands."
        )
    if without_strand is not None:
        without_strand += left_out


def _sites(path: Path, feature: str | None) -> Iterator[Region]:
    """Yield the TSSs of a GTF, including lines whose strand is unknown."""
    others: Counter[str] = Counter()
    kind = feature or "transcript"
    n_found = 0
    for number, fields in gtf_rows(path):
        others[fields[2]] += 1
        if fields[2] == kind:
            n_found += 1
            yield _site(fields, number)
    if n_found:
        return
    if feature is None and others["gene"]:
        yield from _sites(path, "gene")
    elif others[EXON] or others[CDS]:
        yield from _of_exons(path, kind)
    else:
        raise gff.without_lines(path, feature or "transcript or gene", others)


def _site(fields: list[str], number: int) -> Region:
    attributes = attributes_of(fields[8])
    bare = transcript_of({}, fields[8])  # AUGUSTUS
    name = next((attributes[key] for key in _NAMES[fields[2]] if attributes.get(key)), bare)
    return gff.site(fields[0], int(fields[3]) - 1, int(fields[4]), fields[6], name, fields[5], number)


def _of_exons(path: Path, feature: str) -> Iterator[Region]:
    """Yield the TSSs of the transcripts, or genes, that the exons or CDS of a GTF define."""
    spans: dict[tuple[str, str], list[int]] = {}
    rows: dict[tuple[str, str], GeneRow] = {}
    for row in gene_rows(path):
        if not row.is_exon:
            continue
        key = (row.contig, row.transcript if feature == "transcript" else row.gene)
        span = spans.setdefault(key, [row.start, row.end])
        span[:] = min(span[0], row.start), max(span[1], row.end)
        rows.setdefault(key, row)
    for key, (start, end) in spans.items():
        row = rows[key]
        name = row.transcript if feature == "transcript" else row.name
        yield gff.site(row.contig, start, end, row.strand, name, ".", row.line)
