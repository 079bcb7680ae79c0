"""Of each format that is read in two ways, both read the same, or the fast one leaves it to the careful one."""

from __future__ import annotations

from typing import Any

import pytest
from amounts import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genoformer.annotation import element_tables, gene_tables
from genoformer.errors import FileFormatError, GenoformerError
from genoformer.formats.bed_kinds import layout_of

# --- elements

WORDS = st.sampled_from(
    [
        *("chr1", "2", "X", "a", ".", "", " ", "c d", "ü", "\u0663", '"q"', "+", "-", "*", "0"),
        *("7", "5.5", "1e3", "-1", "+5", " 5", "0x1F"),
        *("9" * 17, "9" * 18, "9" * 19),
        *("track", "track1", "#c", "10,5,", "0,20", "1,2,3", "NA", "nan", "\ufeff", "\0", "\x0b"),
    ]
)
NUMBER = st.integers(0, 90).map(str)
PLAIN = st.tuples(st.sampled_from(["chr1", "2"]), st.integers(0, 50), st.integers(0, 50)).map(
    lambda row: [row[0], str(row[1]), str(row[1] + row[2])]
)
MORE = {
    "a.bed": [st.sampled_from(["a", ".", "1_TssA"]), NUMBER, st.sampled_from("+-.*")],
    "a.narrowPeak": [WORDS, NUMBER, st.sampled_from("+-."), NUMBER, NUMBER, NUMBER, st.integers(-2, 60).map(str)],
    "a.bed12": [
        st.just("t"),
        NUMBER,
        st.just("+"),
        NUMBER,
        NUMBER,
        st.just("0"),
        st.just("2"),
        st.sampled_from(["1,2", "3,0,", "60,1", "1", "1,,2", ""]),
        st.sampled_from(["0,5", "0,1,", "0", "x,1"]),
    ],
}
BREAKS = st.sampled_from(["\n"] * 20 + ["\r\n", "\n\n", "\n \n", "\r", "\n# c\n", "\ntrack name=x\n", "\x0b\n", "\ufeff\n"])
HEADS = st.sampled_from(
    [
        "",
        "",
        "",
        "# c\n",
        "\n",
        "track name=x\n",
        "\ufeff",
        "chrom\tstart\tend\tname\n",
        "#chr\tstart\tend\n",
        "seqnames\tstart\tend\twidth\n",
        "#chrom\tchromStart\tchromEnd\tname\tscore\tstrand\tsignalValue\tpValue\tqValue\tpeak\n",
        "chrom\tstart\tend\tname\tscore\tstrand\ta\tb\tc\tblockCount\tblockSizes\tblockStarts\n",
    ]
)


@st.composite
def element_files(draw: st.DrawFn) -> tuple[str, bytes]:
    """The name and the bytes of a file that is nearly a BED."""
    name = draw(st.sampled_from(sorted(MORE)))
    n = draw(st.integers(0, len(MORE[name])))
    text, bins = draw(HEADS), draw(st.sampled_from([[], [], [], ["585"]]))
    for _ in range(draw(st.integers(1, 6))):
        row = bins + draw(PLAIN) + [draw(column) for column in MORE[name][:n]]
        if draw(st.integers(0, 9)) == 0:
            row[draw(st.integers(0, len(row) - 1))] = draw(WORDS)
        if draw(st.integers(0, 19)) == 0:
            row = row[: draw(st.integers(1, len(row)))]
        text += "\t".join(row) + draw(BREAKS)
    end = draw(st.sampled_from(["", "", "no line end"]))
    return name, (text.rstrip("\n") if end else text).encode() + draw(st.sampled_from([b""] * 9 + [b"\xff\n"]))


@examples(200)
@given(file=element_files())
@example(file=("a.bed", "chr1\t0\t5\ta\nchr1\t3\t9\tü\r\n".encode()))
@example(file=("a.bed", b"chr1\t0\t5\nchr1\t 3\t9\n"))
@example(file=("a.bed", b"\xef\xbb\xbfchr1\t0\t5\n"))
def test_elements_are_the_same_by_both_readers(tmp_path_factory: pytest.TempPathFactory, file: tuple[str, bytes]) -> None:
    path = tmp_path_factory.mktemp("f") / file[0]
    path.write_bytes(file[1])
    try:
        layout = layout_of(path)
    except GenoformerError:
        return  # neither is asked
    fast = refusal_or(lambda: element_tables.read_fast(path, layout))
    careful = refusal_or(lambda: element_tables.read_carefully(path, layout))
    if fast is None:
        return
    assert not isinstance(careful, str), careful
    assert plain_table(fast) == plain_table(careful)


def refusal_or(read: Any) -> Any:
    """What a reader reads, or its refusal as text."""
    try:
        return read()
    except FileFormatError as error:
        return str(error)


def plain_table(table: Any) -> Any:
    """A table of elements as lists; a column of nothing is no column."""
    if isinstance(table, str):
        return table
    numbers = [[table.contigs[i] for i in table.contig], *(column.tolist() for column in table[2:5])]
    texts = [column.tolist() if column is not None else [""] * len(table.starts) for column in table[5:9]]
    return [*numbers, *texts, None if table.rows is None else table.rows.tolist()]


# --- genes

VALUES = st.sampled_from(
    ["A", "B.1", "", "a; gene_id X; b", 'gene_name "Y"', "x y", "gene_id", "ü", "a=b", "\xa0", "p,q", "%3B"]
)
KEYS = st.sampled_from(["gene_id", "transcript_id", "gene_name", "gene", "note", "tag", "old_gene_id"])
SPACES = st.sampled_from(["; ", ";", " ; ", " ", ";  "])


@st.composite
def gtf_attributes(draw: st.DrawFn) -> str:
    text = draw(st.sampled_from(['gene_id "G"; ', "gene_id G; ", 'gene_id "G";', "", 'tag "x"; gene_id "H"; ']))
    for _ in range(draw(st.integers(0, 4))):
        quoted = f'"{draw(VALUES)}"' if draw(st.booleans()) else draw(VALUES)
        text += f"{draw(KEYS)} {quoted}{draw(SPACES)}"
    return text


@st.composite
def gff_attributes(draw: st.DrawFn) -> str:
    keys = st.sampled_from(["ID", "Parent", "Parent", "gene_id", "Name", "note", " Parent", "Parent "])
    parts = [f"{draw(keys)}={draw(IDS)}" for _ in range(3)]
    return ";".join(parts[: draw(st.integers(0, 3))]) + draw(st.sampled_from(["", ";", " "]))


IDS = st.sampled_from(["g1", "t1", "t2", "g2", "t1,t2", "t%31", "", " t1", "nowhere", "gene:g1"])
GTF_KINDS = st.sampled_from(["exon", "CDS", "gene", "transcript", "stop_codon", "mRNA", "five_prime_UTR", "UTR"])


@st.composite
def gene_files(draw: st.DrawFn, attributes: st.SearchStrategy[str], head: str) -> bytes:
    """The bytes of a file that is nearly a GTF or GFF3."""
    text = head
    for _ in range(draw(st.integers(1, 7))):
        start, length = draw(st.integers(1, 90)), draw(st.integers(0, 50))
        strand = draw(st.sampled_from("+++---.?"))
        row = ["chr1", "x", draw(GTF_KINDS), str(start), str(start + length), ".", strand, ".", draw(attributes)]
        if draw(st.integers(0, 14)) == 0:
            row[draw(st.integers(0, 8))] = draw(WORDS)
        text += "\t".join(row) + draw(BREAKS)
    return (text + draw(st.sampled_from(["", "", "###\n", "##FASTA\n>a\nACGT\n"]))).encode()


GFF = "##gff-version 3\n" + "".join(
    f"chr1\tx\t{kind}\t1\t99\t.\t+\t.\t{text}\n"
    for kind, text in (("gene", "ID=g1;Name=N1"), ("mRNA", "ID=t1;Parent=g1"), ("mRNA", "ID=t2;Parent=g1"), ("gene", "ID=g2"))
)


@examples(200)
@given(content=gene_files(gtf_attributes(), "") | gene_files(gff_attributes(), GFF))
@example(content=b'c\tx\texon\t5\t9\t.\t+\t.\tnote "a; gene_id BAD; b"; gene_id "G";\n')
@example(content=b'c\tx\texon\t5\t9\t.\t+\t.\tnote "a gene_id BAD"; gene_id "G"; gene_id "H"\n')
@example(content=b'c\tx\texon\t 5\t9\t.\t+\t.\tgene_id "G";\n')
def test_genes_are_the_same_by_both_readers(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("f") / "genes.gtf"
    path.write_bytes(content)
    fast = refusal_or(lambda: gene_tables.read_fast(path))
    careful = refusal_or(lambda: gene_tables.read_carefully(path))
    if isinstance(careful, str):
        assert fast is None or fast == careful
    elif fast is not None:
        assert {key: fast[key].tolist() for key in careful} == {key: column.tolist() for key, column in careful.items()}


NAMES = st.sampled_from(["A", "B.1", "x-y", "G_2", "ENSG0001.4"])


@st.composite
def regular_gtf(draw: st.DrawFn) -> bytes:
    """The bytes of a GTF as Ensembl and GENCODE write it."""
    text = draw(st.sampled_from(["", "#!genome-build GRCh38\n", "##provider: x\n"]))
    for kind in ["exon", *draw(st.lists(st.sampled_from(["exon", "CDS", "gene", "transcript", "stop_codon"]), max_size=6))]:
        start, length = draw(st.integers(1, 90)), draw(st.integers(0, 50))
        row = ["chr1", "x", kind, str(start), str(start + length), ".", draw(st.sampled_from("+-")), "."]
        row.append(f'gene_id "{draw(NAMES)}"; transcript_id "{draw(NAMES)}"; gene_name "{draw(NAMES)}";')
        text += "\t".join(row) + "\n"
    return text.encode()


@st.composite
def regular_gff(draw: st.DrawFn) -> bytes:
    """The bytes of a GFF3 with genes, transcripts and their parts."""
    text = GFF
    for kind in ["exon", *draw(st.lists(st.sampled_from(["exon", "CDS"]), max_size=6))]:
        start, length = draw(st.integers(1, 90)), draw(st.integers(0, 50))
        parent = draw(st.sampled_from(["t1", "t2", "t1,t2"])) if kind == "exon" else "t1"
        text += f"chr1\tx\t{kind}\t{start}\t{start + length}\t.\t+\t.\tParent={parent}\n"
    return (text.replace("ID=t2", "ID=t2;Parent=g1") + draw(st.sampled_from(["", "###\n"]))).encode()


@settings(max_examples=50)
@given(content=regular_gtf() | regular_gff())
def test_regular_genes_are_read_by_the_fast_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """A fast reader that leaves every file to the careful one would pass the test above."""
    path = tmp_path_factory.mktemp("f") / "genes.gtf"
    path.write_bytes(content)
    fast, careful = gene_tables.read_fast(path), gene_tables.read_carefully(path)
    assert fast is not None
    assert {key: fast[key].tolist() for key in careful} == {key: column.tolist() for key, column in careful.items()}


@settings(max_examples=50)
@given(
    rows=st.lists(PLAIN.filter(lambda row: row[1] != row[2]), min_size=1),
    more=st.sampled_from([[], ["a"], ["a", "5", "+"]]),
)
def test_regular_elements_are_read_by_the_fast_reader(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], more: list[str]
) -> None:
    path = tmp_path_factory.mktemp("f") / "a.bed"
    path.write_text("".join("\t".join(row + more) + "\n" for row in rows))
    layout = layout_of(path)
    fast = element_tables.read_fast(path, layout)
    assert fast is not None
    assert plain_table(fast) == plain_table(element_tables.read_carefully(path, layout))
