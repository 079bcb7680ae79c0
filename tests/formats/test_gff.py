"""GFF3: the same genes as of the GTF that says the same, in the ways of GENCODE, Ensembl, RefSeq and bacteria."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from genoformer.annotation import gene_tables
from genoformer.annotation.genes import PARTS, GeneMap, read_gene_map
from genoformer.annotation.overlap import Annotations
from genoformer.errors import FileFormatError
from genoformer.formats.gtf import format_of, is_gene_file, read_tss
from genoformer.genome.genes import read_genes
from genoformer.genome.reference import Genome

# Gene A (AB) on +, transcripts A1 (coding) and A2; gene B on -, without a name.
LINES = [  # kind, start, end, strand, gene, transcript
    ("gene", 1001, 3000, "+", "A", ""),
    ("transcript", 1001, 3000, "+", "A", "A1"),
    ("exon", 1001, 1200, "+", "A", "A1"),
    ("exon", 2901, 3000, "+", "A", "A1"),
    ("CDS", 1051, 1200, "+", "A", "A1"),
    ("CDS", 2901, 2950, "+", "A", "A1"),
    ("stop_codon", 2951, 2953, "+", "A", "A1"),
    ("transcript", 1101, 2000, "+", "A", "A2"),
    ("exon", 1101, 2000, "+", "A", "A2"),
    ("gene", 5001, 5400, "-", "B", ""),
    ("transcript", 5001, 5400, "-", "B", "B1"),
    ("exon", 5001, 5100, "-", "B", "B1"),
    ("exon", 5301, 5400, "-", "B", "B1"),
    ("CDS", 5051, 5100, "-", "B", "B1"),
    ("CDS", 5301, 5350, "-", "B", "B1"),
]
NAME = {"A": "AB", "B": ""}


def gtf(path: Path) -> Path:
    rows = []
    for kind, start, end, strand, gene, transcript in LINES:
        text = f'gene_id "{gene}";' + f' transcript_id "{transcript}";' * bool(transcript)
        text += f' gene_name "{NAME[gene]}";' * bool(NAME[gene]) + ' note "a; gene_id X";'
        rows.append(f"chr1\tx\t{kind}\t{start}\t{end}\t.\t{strand}\t.\t{text}")
    path.write_text("\n".join(rows) + "\n")
    return path


def gencode(kind: str, gene: str, transcript: str, i: int) -> str:
    own = {"gene": gene, "transcript": transcript}.get(kind, f"{kind}:{transcript}:{i}")
    parent = {"gene": "", "transcript": f"Parent={gene};"}.get(kind, f"Parent={transcript};")
    name = f"gene_name={NAME[gene]};" * bool(NAME[gene])
    return f"ID={own};{parent}gene_id={gene};transcript_id={transcript or gene};{name}level=2"


def ensembl(kind: str, gene: str, transcript: str, i: int) -> str:
    if kind == "gene":
        return f"ID=gene:{gene};" + f"Name={NAME[gene]};" * bool(NAME[gene]) + f"biotype=x;gene_id={gene}"
    if kind == "transcript":
        return f"ID=transcript:{transcript};Parent=gene:{gene};Name=AB-201;transcript_id={transcript}"
    return f"Parent=transcript:{transcript};Name=ENSE{i};constitutive=1"


def refseq(kind: str, gene: str, transcript: str, i: int) -> str:
    if kind == "gene":
        return f"ID=gene-{gene};Dbxref=GeneID:1;Name={NAME[gene] or gene};gbkey=Gene;gene={NAME[gene] or gene}"
    if kind == "transcript":
        return f"ID=rna-{transcript};Parent=gene-{gene};Name={transcript};gene={NAME[gene] or gene};product=a%3B b%2C c"
    return f"ID={kind}-{transcript}-{i};Parent=rna-{transcript};Note=gene_id BAD;gene={NAME[gene] or gene}"


def gff(path: Path, attributes, *, mrna: str = "transcript", end: str = "") -> Path:
    rows = ["##gff-version 3", "#!genome-build x", "##sequence-region chr1 1 60000"]
    for i, (kind, start, stop, strand, gene, transcript) in enumerate(LINES):
        written = mrna if kind == "transcript" else kind
        rows.append(f"chr1\tx\t{written}\t{start}\t{stop}\t.\t{strand}\t.\t{attributes(kind, gene, transcript, i)}")
        if kind == "gene":
            rows.append("###")
    path.write_text("\n".join(rows) + "\n" + end)
    return path


def of_map(found: GeneMap) -> object:
    """What a map of genes says of every base, and its start sites."""
    bases = np.arange(0, 8_000)
    index, part, gene = Annotations([], found).parts("chr1", bases, bases + 1)
    names = [found.names[g] if g >= 0 else "" for g in gene.tolist()]
    sites = found.sites["chr1"]
    where = [(at, forward, found.names[g]) for at, forward, g in zip(*(column.tolist() for column in sites), strict=True)]
    return found.names, list(zip(index.tolist(), [PARTS[p] for p in part.tolist()], names, strict=True)), where


@pytest.mark.parametrize(
    ("attributes", "mrna", "end"),
    [
        (gencode, "transcript", ""),
        (ensembl, "mRNA", "###\n"),
        (ensembl, "lnc_RNA", "##FASTA\n>chr1\nACGT\n"),
        (refseq, "mRNA", ">chr1\nACGT\n"),
        (refseq, "V_gene_segment", "###\n"),
    ],
)
def test_a_gff3_says_what_its_gtf_says(tmp_path: Path, make_fasta, attributes, mrna: str, end: str) -> None:
    one, other = gtf(tmp_path / "a.gtf"), gff(tmp_path / "a.gff3", attributes, mrna=mrna, end=end)
    assert (format_of(one), format_of(other)) == ("GTF", "GFF3")
    assert of_map(read_gene_map(other)) == of_map(read_gene_map(one))
    for feature in (None, "transcript", "gene"):
        sites = [[(s.chrom, s.start, s.end, s.strand, s.name) for s in read_tss(path, feature)] for path in (one, other)]
        assert sites[0] == sites[1]
    with Genome(make_fasta(chr1="A" * 8_000)) as genome:
        over = [read_genes(path, genome).over("chr1", 0, 8_000) for path in (one, other)]
        genes = [[(gene.name, gene.strand, gene.exons.tolist()) for gene in of] for of in over]
    assert genes[0] == genes[1]
    assert genes[0][0] == ("AB", "+", [[1000, 2000], [2900, 3000]])


def test_it_is_said_that_it_is_gff3(tmp_path: Path) -> None:
    assert (
        "a.gff3 is GFF3; its genes, transcripts, exons and CDS are read by Parent"
        in read_gene_map(gff(tmp_path / "a.gff3", gencode)).notes[0]
    )
    assert read_gene_map(gtf(tmp_path / "a.gtf")).notes == ()


def test_a_gzipped_gff3_in_any_order_of_lines(tmp_path: Path) -> None:
    path = gff(tmp_path / "a.gff3", ensembl)
    turned = tmp_path / "b.gff3.gz"
    lines = path.read_text().splitlines()
    turned.write_bytes(gzip.compress("\n".join([lines[0], *lines[:2:-1]]).encode()))
    one, other = read_gene_map(path), read_gene_map(turned)
    assert set(one.names) == set(other.names)
    assert sorted(of_map(one)[2]) == sorted(of_map(other)[2])


def write(path: Path, *rows: str) -> Path:
    path.write_text("##gff-version 3\n" + "".join("\t".join(row.split(" ", 8)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("rows", "expected"),
    [  # gene, name, transcript of each line
        (["c x gene 1 9 . + . ID=g;Name=N", "c x CDS 1 9 . + 0 ID=c;Parent=g"], [("g", "N", "g")]),  # bacteria
        (["c x gene 1 9 . + . ID=g;locus_tag=b1", "c x CDS 1 9 . + 0 Parent=g"], [("g", "b1", "g")]),
        (["c x pseudogene 1 9 . + . ID=gene-P;Name=P", "c x exon 1 9 . + . Parent=gene-P"], [("gene-P", "P", "gene-P")]),
        (["c x mRNA 1 9 . + . ID=t", "c x exon 1 9 . + . Parent=t"], [("t", "t", "t")]),  # a transcript without a gene
        (["c x mRNA 1 9 . + . ID=t;gene=G", "c x exon 1 9 . + . Parent=t"], [("G", "G", "t")]),
        (
            [
                "c x gene 1 9 . + . ID=g",
                "c x mRNA 1 9 . + . ID=t;Parent=g",
                "c x mRNA 1 9 . + . ID=u;Parent=g",
                "c x exon 1 9 . + . Parent=t,u",
            ],
            [("g", "g", "t"), ("g", "g", "u")],
        ),  # one line of two transcripts
        (
            [
                "c x gene 1 9 . + . ID=g",
                "c x primary_transcript 1 9 . + . ID=p;Parent=g",
                "c x miRNA 1 9 . + . ID=m;Parent=p",
                "c x exon 1 9 . + . Parent=m",
            ],
            [("g", "g", "m")],
        ),
        (["c x gene 1 9 . + . ID=a%2Cb;Name=x%3By", "c x exon 1 9 . + . Parent=a%2Cb"], [("a,b", "x;y", "a,b")]),
        (["c x exon 1 9 . + . Parent=t;gene_id=G;gene_name=N"], [("G", "N", "t")]),  # cut out of a file
        (["c x exon 1 9 . + . Parent=transcript:T1"], [("transcript:T1", "T1", "transcript:T1")]),
        (["c x CDS 1 9 . + 0 ID=1_1;partial=00"], [("1_1", "1_1", "1_1")]),  # Prodigal
        (["c x mRNA 1 9 . + . ID=t;Parent=t", "c x exon 1 9 . + . Parent=t"], [("t", "t", "t")]),  # its own parent
    ],
)
def test_the_gene_and_the_transcript_of_a_line(tmp_path: Path, rows: list[str], expected: list[tuple[str, str, str]]) -> None:
    path = write(tmp_path / "a.gff3", *rows)
    for read in (gene_tables.read_carefully, gene_tables.read_gene_table):
        found = read(path)
        lines = [found[key][~found["made"]].tolist() for key in ("gene", "name", "transcript")]
        assert list(zip(*lines, strict=True)) == expected


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["c x exon 1 9 . + . Note=x"], "line 2: exon without Parent, gene_id or ID"),
        (["c x exon 1 9 . ? . ID=e"], "no transcript has a strand, . or - in column 7; give a file of genes with strands"),
        (["c x exon 1 9 . 1 . ID=e"], "line 2: the strand, column 7, is '1'"),
        (["c x region 1 9 . + . ID=e"], r"has no exon lines \(column 3 holds region\); GTF and GFF3 are read as genes"),
        (
            ["c x promoter 1 9 . . . ID=p1"],
            r"column 3 holds promoter\); GTF and GFF3 are read as genes: .* a BED of its lines",
        ),
        (["c x exon 9 1 . + . ID=e"], "line 2: START 9 and END 1"),
    ],
)
def test_bad_lines_are_refused(tmp_path: Path, rows: list[str], said: str) -> None:
    with pytest.raises(FileFormatError, match=said):
        read_gene_map(write(tmp_path / "a.gff3", *rows))


def test_bacteria_have_cds_in_place_of_exons(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.gff",
        "c x gene 101 200 . + . ID=g;Name=thrL",
        "c x CDS 101 200 . + 0 ID=c;Parent=g",
        "c x gene 301 400 . - . ID=r;Name=rrs",
        "c x rRNA 301 400 . - . ID=n;Parent=r",
        "c x exon 301 400 . - . Parent=n",
    )
    found = read_gene_map(path, promoter=(0, 0), flank=0)
    _, part, gene = Annotations([], found).parts("c", np.array([150, 350]), np.array([151, 351]))
    parts = [(PARTS[p], found.names[g]) for p, g in zip(part.tolist(), gene.tolist(), strict=True)]
    assert parts == [("CDS", "thrL"), ("noncoding_exon", "rrs")]
    assert "1 of 2 transcripts have no exon lines; their CDS are taken as exons" in found.notes[1]
    assert [(site.start, site.name) for site in read_tss(path)] == [(100, "thrL"), (399, "n")]


def test_bed_in_place_of_genes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.gtf"
    path.write_text("chr1\t100\t200\tx\n")
    with pytest.raises(
        FileFormatError, match="this is BED, which has no exons: give genes as GTF or GFF3; `genoformer annotate` reads TSSs"
    ):
        read_gene_map(path)


@pytest.mark.parametrize(
    ("name", "expected"), [("a.gtf", True), ("a.GFF3.gz", True), ("a.gff.bgz", True), ("a.gff2", True), ("gff.bed", False)]
)
def test_files_of_genes_by_their_names(name: str, expected: bool) -> None:
    assert is_gene_file(name) == expected


def test_a_gtf_of_ncbi_has_the_names_of_its_gff3(tmp_path: Path) -> None:
    row = "chr1\tRefSeq\t{}\t190\t255\t.\t+\t.\t{}\n"
    gff3, gtf_ = tmp_path / "a.gff3", tmp_path / "a.gtf"
    gff3.write_text(
        "##gff-version 3\n"
        + row.format("gene", "ID=gene-b0001;Name=thrL;gene=thrL;locus_tag=b0001")
        + row.format("CDS", "ID=cds-1;Parent=gene-b0001;gene=thrL;locus_tag=b0001")
    )
    gtf_.write_text(
        row.format("gene", 'gene_id "b0001"; transcript_id ""; gene "thrL"; locus_tag "b0001"; ')
        + row.format("CDS", 'gene_id "b0001"; transcript_id "t1"; gene "thrL"; locus_tag "b0001"; ')
    )
    assert read_gene_map(gtf_).names == read_gene_map(gff3).names == ("thrL",)
    for read in (gene_tables.read_fast, gene_tables.read_carefully):
        table = read(gtf_)
        assert table is not None
        assert set(table["name"].tolist()) == {"thrL"}
    assert [site.name for site in read_tss(gtf_, "gene")] == [site.name for site in read_tss(gff3, "gene")] == ["thrL"]


@pytest.mark.parametrize(
    ("kind", "child", "starts"),
    [
        ("mRNA", "exon", [0, 100]),
        ("snoRNA", "", [0, 100]),  # a transcript by its name
        ("pseudogenic_transcript", "", [0, 100]),
        ("some_kind", "exon", [0, 100]),  # a transcript by its exons
        ("some_kind", "CDS", [0, 100]),
        ("point_mutation", "", [0]),
        ("regulatory_region", "", [0]),
        ("protein_binding_site", "", [0]),
    ],
)
def test_transcripts_are_those_by_name_or_with_exons(tmp_path: Path, kind: str, child: str, starts: list[int]) -> None:
    rows = [("gene", "ID=g1", 1), ("mRNA", "ID=t1;Parent=g1", 1), ("exon", "Parent=t1", 1), (kind, "ID=x;Parent=g1", 101)]
    rows += [(child, "Parent=x", 101)] * bool(child)
    path = tmp_path / "a.gff3"
    path.write_text("".join(f"chr1\tx\t{of}\t{start}\t200\t.\t+\t.\t{text}\n" for of, text, start in rows))
    assert [site.start for site in read_tss(path)] == starts
