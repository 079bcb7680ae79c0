"""Labelled sequences from CSV, TSV, k-mers, FASTA and BED; what is not sound is refused with its line."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.datasets.sequences import read_labelled, read_sequences
from genoformer.datasets.targets import make_targets
from genoformer.errors import ConfigError, ContigError, FileFormatError, MissingFileError
from genoformer.genome.codes import decode


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def seen(found: LabelledSequences) -> list[tuple[str, str, tuple[str, ...]]]:
    return list(zip(found.names, map(decode, found.sequences), found.labels, strict=True))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "sequence,label\nACGT,1\nGGN,0\n", [("1", "ACGT", ("1",)), ("2", "GGN", ("0",))]),
        ("a.csv.gz", "sequence,label\r\nACGT,1\r\n\r\n", [("1", "ACGT", ("1",))]),
        ("a.tsv", "Label\tother\tSEQ\tID\nx y\t,\tacgu\tfirst\n", [("first", "ACGT", ("x y",))]),
        ("a.txt", 'name,sequence,label\n"a, b",ACGT,"1"\n', [("a, b", "ACGT", ("1",))]),
        ("a.csv", "\ufeffsequence,label_b,label_a\nACGT,1,0\n", [("1", "ACGT", ("1", "0"))]),
        ("a.tsv", "sequence\tlabel\nACG CGT GTA\t1\nACG\t0\n", [("1", "ACGTA", ("1",)), ("2", "ACG", ("0",))]),
        ("a.tsv", "sequence\tlabel\nACG\t0\nACG CGT\t1\n", [("1", "ACG", ("0",)), ("2", "ACGT", ("1",))]),
        ("a.fa", ">a label=x\nACG\nT\n\n>b label=y other=3\nGG\n", [("a", "ACGT", ("x",)), ("b", "GG", ("y",))]),
        ("a.fa.gz", ">a|x\nACGT\n>b|y extra words\nGG\n", [("a", "ACGT", ("x",)), ("b", "GG", ("y",))]),
        ("a.fa", ">a|z label1=x label2=y\nACGT\n", [("a|z", "ACGT", ("x", "y"))]),
    ],
)
def test_what_is_read(tmp_path: Path, name: str, text: str, expected: list[tuple[str, str, tuple[str, ...]]]) -> None:
    assert seen(read_labelled(write(tmp_path / name, text))) == expected


def test_label_columns_can_be_named(tmp_path: Path) -> None:
    table = write(tmp_path / "a.csv", "sequence,label,Score,kind\nACGT,1,2.5,x\n")
    assert read_labelled(table, label="score").labels == (("2.5",),)
    found = read_labelled(table, label=["kind", "label"])
    assert (found.columns, found.labels) == (("kind", "label"), (("x", "1"),))
    fasta = write(tmp_path / "a.fa", ">a kind=x label=y\nACGT\n")
    assert read_labelled(fasta, label="kind").labels == (("x",),)


def test_iupac_letters_are_n_and_counted(tmp_path: Path) -> None:
    found = read_labelled(write(tmp_path / "a.csv", "sequence,label\nACRYN,1\nkAC,0\n"))
    assert [decode(codes) for codes in found.sequences] == ["ACNNN", "NAC"]
    assert found.n_iupac == 3
    assert found.notes == ("3 IUPAC letters other than A, C, G, T and N were read as N.",)


@given(
    st.lists(st.tuples(st.text("ACGTN", min_size=6, max_size=30), st.sampled_from("01")), min_size=1, max_size=5),
    st.integers(2, 6),
)
@settings(max_examples=30)
def test_kmers_are_put_together_again(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], k: int) -> None:
    path = tmp_path_factory.mktemp("kmers") / "a.tsv"
    with path.open("w") as file:
        table = csv.writer(file, delimiter="\t")
        table.writerow(["sequence", "label"])
        table.writerows([" ".join(text[i : i + k] for i in range(len(text) - k + 1)), label] for text, label in rows)
    found = read_labelled(path)
    assert [decode(codes) for codes in found.sequences] == [text for text, _ in rows]


HEAD = "sequence,label\nACGT,1\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "is empty"),
        ("a.csv", "sequence,label\n", "holds no sequence"),
        ("a.csv", "ACGT,1\nGGTA,0\n", "line 1: the header names ACGT, 1, but one column must be `sequence`"),
        ("a.csv", "sequence,seq,label\n", "both sequence and seq"),
        ("a.csv", "sequence,class\nACGT,1\n", "line 1: .* no column that begins with `label`"),
        ("a.csv", "sequence\nACGT\n", "no column that begins with `label`"),
        ("a.csv", "sequence,label,Label\n", "line 1: the header names label more than once"),
        ("a.csv", HEAD + "ACGT\n", "line 3: 1 fields, but the header has 2"),
        ("a.csv", HEAD + "ACGT,1,\n", "line 3: 3 fields"),
        ("a.csv", HEAD + ",1\n", "line 3: the sequence is empty"),
        ("a.csv", HEAD + "ACGT, \n", "line 3: label is empty"),
        ("a.csv", HEAD + "sequence,label\n", "line 3: the sequence holds 'e', which is no nucleotide code"),
        ("a.csv", HEAD + "ACG-T,1\n", "line 3: the sequence holds '-'"),
        ("a.csv", HEAD + "ACGÄ,1\n", "line 3: the sequence holds"),
        ("a.csv", HEAD + 'ACGT,"1\n', "line 3: .*correct the quotes"),
        ("a.jsonl", '{"sequence":"ACGT","label":1}\n', "is JSON, but should be a CSV, TSV, FASTA or BED file; write a CSV"),
        ("a.json", '[\n{"sequence":"ACGT","label":1}]\n', "is JSON"),
        ("a.fq", "@r1\nACGT\n+\nIIII\n", "is FASTQ or SAM"),
        ("a.gb", "LOCUS       X  9 bp\n", "is a GenBank or EMBL file"),
        (
            "a.csv",
            "sequence,label,split\nAC,1,train\nGG,0,test\nGT,0,Train\n",
            r"the column split has test \(1\), train \(2\), the parts of a split; write a file of each",
        ),
        ("a.csv", "sequence,set,label\nAC,val,1\nGG,training,0\n", "the column set has training .1., val .1."),
        ("a.tsv", "sequence\tlabel\nACG CGT\t1\nACG TTT\t1\n", "line 3: 'TTT' does not continue 'ACG'"),
        ("a.tsv", "sequence\tlabel\nACG CGT\t1\nACGT CGTA\t1\n", "line 3: 'ACGT' is no 3-mer"),
        ("a.tsv", "sequence\tlabel\nACG CGT\t1\nACGTT\t1\n", "line 3: the sequence is plain"),
        ("a.tsv", "sequence\tlabel\nACGTT\t1\nACG CGT\t1\n", "line 2: the sequence is plain"),
        ("a.fa", ">a label=x\nACGT\n>b\nACGT\n", "line 3, record b has no label"),
        ("a.fa", ">a|\nACGT\n", "record a: label is empty"),
        ("a.fa", ">a label=\nACGT\n", "record a: label is empty"),
        ("a.fa", ">a label=x\n>b label=x\nACGT\n", "line 1, record a: the sequence is empty"),
        ("a.fa", ">a label1=x label2=x\nAC\n>b label1=x\nAC\n", "record b has no label2="),
        ("a.fa", ">a label=x\nAC\n>b label=x label2=y\nAC\n", "record b has label, label2, but others only label"),
        ("a.fa", ">a label=x\nAC GT\n", "the sequence holds ' '"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        read_labelled(write(tmp_path / name, text))


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        (
            "sequence,label,split\nAC,1,train\nGG,0,train\n",
            ("the column split, train in every row, is a part of a split and no label.",),
        ),
        ("sequence,label,source\nAC,1,train\nGG,0,plant\n", ()),  # no split
        ("sequence,label,fold\nAC,1,0\nGG,0,1\n", ("the column fold is not used: all rows are read.",)),
    ],
)
def test_columns_of_a_split_that_are_not_used(tmp_path: Path, text: str, notes: tuple[str, ...]) -> None:
    assert read_labelled(write(tmp_path / "a.csv", text)).notes == notes


def test_what_needs_no_labels_takes_all_parts_of_a_split(tmp_path: Path) -> None:
    found = read_sequences(write(tmp_path / "a.csv", "sequence,label,split\nAC,1,train\nGG,0,test\n"))
    assert seen(found) == [("1", "AC", ("1",)), ("2", "GG", ("0",))]


def test_files_and_options_that_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="does not exist"):
        read_labelled(tmp_path / "nothing.csv")
    table = write(tmp_path / "a.csv", HEAD)
    with pytest.raises(ConfigError, match="there is no column kind; the header names sequence, label"):
        read_labelled(table, label="kind")
    with pytest.raises(ConfigError, match="is not needed; leave it out"):
        read_labelled(table, fasta="genome.fa")
    with pytest.raises(ConfigError, match="give the FASTA of its genome"):
        read_labelled(write(tmp_path / "a.bed", "chr1\t0\t1\tx\n"))


def test_a_bed_with_its_genome(tmp_path: Path, make_fasta: Callable[..., Path]) -> None:
    fasta = make_fasta(chr1="AACCGGTTAC")
    bed = write(tmp_path / "a.bed", "#x\n1\t0\t4\tp\t2.5\t+\n1\t1\t4\tq\t1\t-\n1\t8\t12\tp\t0\t.\n")
    found = read_labelled(bed, fasta=fasta)
    assert seen(found) == [("1:0-4(+)", "AACC", ("p",)), ("1:1-4(-)", "GGT", ("q",)), ("1:8-12(.)", "ACNN", ("p",))]
    assert "1 row reaches beyond the end" in " ".join(found.notes)
    assert "contig 1 is chr1" in found.notes[0]
    assert read_labelled(bed, fasta=fasta, label="score").labels == (("2.5",), ("1",), ("0",))
    with pytest.raises(ConfigError, match="label strand is no column of BED"):
        read_labelled(bed, fasta=fasta, label="strand")
    with pytest.raises(FileFormatError, match="line 1: name is empty"):
        read_labelled(write(tmp_path / "b.bed", "chr1\t0\t4\n"), fasta=fasta)
    with pytest.raises(FileFormatError, match=r"line 1: chr1:10-12 lies beyond the end of chr1 of genome\.fa"):
        read_labelled(write(tmp_path / "b.bed", "chr1\t10\t12\tx\n"), fasta=fasta)
    with pytest.raises(ContigError, match=r"line 2: genome\.fa has no contig chr2"):
        read_labelled(write(tmp_path / "b.bed", "chr1\t0\t2\tx\nchr2\t0\t2\tx\n"), fasta=fasta)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.bed12", "chr1\t2\t6\tx\t0\t+\t2\t6\t0\t1\t4\t0\n"),
        ("a.bed6", "chr1\t2\t6\tx\t0\t+\n"),
        ("a.gappedPeak", "chr1\t2\t6\tx\t0\t+\t2\t6\t0\t1\t4\t0\t7.5\t-1\t-1\n"),
        ("a.tsv", "seqnames\tstart\tend\twidth\tstrand\tname\nchr1\t3\t6\t4\t+\tx\n"),  # GRanges
        ("a.txt", "# made by hand\nchr1\t2\t6\tx\t0\t+\n"),
        ("a.txt", "585\tchr1\t2\t6\tx\t0\t+\n"),
        ("a_peaks.xls", "# MACS\n\nchr\tstart\tend\tlength\tabs_summit\tpileup\tname\nchr1\t3\t6\t4\t4\t9\tx\n"),
        ("peaks", "x\tchr1\t3\t6\t+\n"),  # HOMER
    ],
)
def test_regions_of_every_kind_are_read_with_their_genome(
    tmp_path: Path, make_fasta: Callable[..., Path], name: str, text: str
) -> None:
    found = read_labelled(write(tmp_path / name, text), fasta=make_fasta(chr1="AACCGGTTAC"))
    assert [(codes, labels) for _, codes, labels in seen(found)] == [("CCGG", ("x",))]


@pytest.mark.parametrize(
    "text",
    ["sequence\tlabel\nACGT\t1\n", "ACGTAC\t1\n", "name\tstart\tend\tseq\tlabel\na\t1\t5\tACGT\t1\n"],
)
def test_a_table_with_sequences_needs_no_genome(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is no BED file by its name or its first rows"):
        read_labelled(write(tmp_path / "a.tsv", text), fasta="genome.fa")


def test_a_row_beyond_its_contig_has_the_numbers_of_its_file(tmp_path: Path, make_fasta: Callable[..., Path]) -> None:
    table = write(tmp_path / "a.bed", "seqnames\tstart\tend\twidth\tname\nchr1\t11\t12\t2\tx\n")
    with pytest.raises(FileFormatError, match=r"a\.bed, line 2: chr1:11-12 lies beyond the end of chr1 .* has 10 bases"):
        read_labelled(table, fasta=make_fasta(chr1="AACCGGTTAC"))


@pytest.mark.parametrize(
    ("name", "text", "names", "reason"),
    [
        ("a.fa", ">a x\nACGT\n>b\nGG\n", ("a", "b"), "a.fa, line 1, record a has no label"),
        ("a.fa", ">a|x\nACGT\n>b\nGG\n", ("a|x", "b"), "a.fa, line 3, record b has no label"),
        ("a.fa", ">gi|1|ref|\nACGT\n", ("gi|1|ref|",), "label is empty"),
        ("a.csv", "seq,id\nACGT,a\nGG,b\n", ("a", "b"), "no column that begins with `label`"),
        ("a.csv", "seq,label\nACGT,1\nGG,\n", ("1", "2"), "a.csv, line 3: label is empty"),
    ],
)
def test_labels_are_not_needed(tmp_path: Path, name: str, text: str, names: tuple[str, ...], reason: str) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(FileFormatError, match=reason):
        read_labelled(path)
    found = read_sequences(path)
    assert (found.names, found.columns, set(found.labels)) == (names, (), {()})
    assert reason in found.notes[-1]
    with pytest.raises(ConfigError if name == "a.csv" else FileFormatError):
        read_sequences(path, label="class")


def test_labels_that_are_there_are_read_and_bad_files_refused_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fa", ">a|x\nACGT\n")
    assert seen(read_sequences(path)) == seen(read_labelled(path))
    assert read_sequences(path).notes == ()
    with pytest.raises(FileFormatError, match="no nucleotide code"):
        read_sequences(write(tmp_path / "b.fa", ">a\nAC-T\n"))


def test_a_bed_of_three_columns(tmp_path: Path, make_fasta: Callable[..., Path]) -> None:
    bed = write(tmp_path / "a.bed", "chr1\t0\t4\nchr1\t1\t3\n")
    found = read_sequences(bed, fasta=make_fasta(chr1="AACCGGTTAC"))
    assert seen(found) == [("chr1:0-4(.)", "AACC", ()), ("chr1:1-3(.)", "AC", ())]
    assert "line 1: name is empty" in found.notes[-1]


def test_real_sets(real_data: Path) -> None:
    folder = real_data / "classification"
    found = read_labelled(folder / "GUE" / "prom_core_all" / "dev.csv.gz")
    with gzip.open(folder / "GUE" / "prom_core_all" / "dev.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    assert len(found) == len(rows)
    assert [decode(codes) for codes in found.sequences] == [row["sequence"].upper() for row in rows]
    assert make_targets(found.labels, "classify").values.tolist() == [int(row["label"]) for row in rows]
    kmers = read_labelled(folder / "dnabert" / "prom-core_6mer_dev.tsv.gz")
    text = gzip.decompress((folder / "dnabert" / "prom-core_6mer_dev.tsv.gz").read_bytes()).decode()
    rows = list(csv.DictReader(io.StringIO(text), delimiter="\t"))
    assert [decode(codes) for codes in kmers.sequences] == [
        (words := row["sequence"].split())[0] + "".join(word[-1] for word in words[1:]) for row in rows
    ]
    assert kmers.notes == ("k-mers (6 bases) were joined to sequences.",)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "sequence,label\nACGT,x\nGG,\n"),
        ("a.fa", ">a label=x\nACGT\n>b label=\nGG\n"),
        ("b.fa", ">a|x\nACGT\n>b|\nGG\n"),
    ],
)
def test_an_empty_label_is_none_of_several_classes(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_labelled(tmp_path / name, multi_label=True).labels == (("x",), ("",))
    with pytest.raises(FileFormatError, match="or write ';' as the label of a sequence to which none"):
        read_labelled(tmp_path / name)


def test_how_a_label_column_is_named_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sequence,kind\nACGT,1\n")
    with pytest.raises(FileFormatError, match="name the label column"):
        read_labelled(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("ACGTACGT\tone\nGGNACC\ttwo\n", ("one", "two")),
        ("1\tACGTACGT\n0\tGGNACC\n", ("1", "0")),
        ("ACGTACGT,1\nGGNACC,0\n", ("1", "0")),
    ],
)
def test_a_table_of_two_columns_needs_no_header(tmp_path, text, labels) -> None:
    (tmp_path / "a.tsv").write_text(text)
    data = read_labelled(tmp_path / "a.tsv")
    assert [decode(codes) for codes in data.sequences] == ["ACGTACGT", "GGNACC"]
    assert data.labels == tuple((label,) for label in labels)
    assert data.columns == ("label",)
    assert "no header line" in data.notes[0]


@pytest.mark.parametrize("text", ["ACGTACGT\tACGTTT\n", "one\ttwo\n", "ACGTACGT\tone\tmore\n", "ACGT\tone\n"])
def test_what_may_be_no_data_is_taken_as_a_header_and_refused(tmp_path, text) -> None:
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(FileFormatError, match="must be `sequence`"):
        read_labelled(tmp_path / "a.tsv")


SPLIT = "sequence,label,{0}\nACGT,1,{1}\nGGAC,0,{2}\nGGAT,0,{1}\n"
IN_HEADERS = ">a label=1 {0}={1}\nACGT\n>b label=0 {0}={2}\nGGAC\n>c label=0 {0}={1}\nGGAT\n"


@pytest.mark.parametrize("name", ["split", "Set", "phase", "anything"])
@pytest.mark.parametrize(
    ("file", "text", "said"), [("a.csv", SPLIT, "the column {}"), ("a.fa", IN_HEADERS, "{}= of the headers")]
)
def test_parts_of_a_split_are_refused_in_one_file(tmp_path: Path, file: str, text: str, said: str, name: str) -> None:
    path = write(tmp_path / file, text.format(name, "train", "TEST"))
    with pytest.raises(FileFormatError, match=rf"{file}: {said.format(name)} has test \(1\), train \(2\), the parts"):
        read_labelled(path)
    assert read_sequences(path).labels == (("1",), ("0",), ("0",))  # for embeddings, which learn nothing


@pytest.mark.parametrize(("file", "text"), [("a.csv", SPLIT), ("a.fa", IN_HEADERS)])
def test_one_part_of_a_split_is_noted_and_other_words_are_not(tmp_path: Path, file: str, text: str) -> None:
    assert "part of a split and no label" in " ".join(
        read_labelled(write(tmp_path / file, text.format("split", "train", "train"))).notes
    )
    assert read_labelled(write(tmp_path / file, text.format("group", "test", "control"))).notes == ()
    assert len(read_labelled(write(tmp_path / file, text.format("of", "train", "test")), label="of")) == 3  # a label


def test_lower_case_letters_are_counted_for_each_sequence(tmp_path: Path) -> None:
    table, fasta = tmp_path / "a.csv", tmp_path / "a.fa"
    table.write_text("sequence,label\nACgt,1\nACGT,0\nnnAC,1\n")
    fasta.write_text(">a|1\nACgt\nac\n>b|0\nACGT\n")
    assert read_labelled(table).n_lower == (2, 0, 2)
    assert read_labelled(fasta).n_lower == (4, 0)


@pytest.mark.parametrize(
    ("header", "fields", "places"),
    [
        ("chrom\tstart\tend", "chr1\t5\t9", [("chr1", 5, 9)] * 2),
        ("contig\tSTART\tend", "chr1\t5\t9", [("chr1", 5, 9)] * 2),
        ("chrom\tstart", "chr1\t5", []),
        ("chrom\tstart\tend", "chr1\t9\t5", []),
        ("chrom\tstart\tend", "chr1\t.\t9", []),
        ("chrom\tstart\tend", "\t5\t9", []),
    ],
)
def test_places_are_those_of_a_table_with_intervals_in_every_row(tmp_path: Path, header: str, fields: str, places) -> None:
    table = tmp_path / "a.tsv"
    table.write_text(f"sequence\tlabel\t{header}\nACGT\t1\t{fields}\nACGT\t0\t{fields}\n")
    assert [tuple(place) for place in read_labelled(table).places] == places


def test_places_of_a_bed_are_on_the_contigs_of_its_genome(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">chr1\nACGTacgtAC\n")
    (tmp_path / "a.bed").write_text("1\t2\t6\tx\n1\t0\t4\ty\n")
    data = read_labelled(tmp_path / "a.bed", fasta=tmp_path / "g.fa")
    assert [tuple(place) for place in data.places] == [("chr1", 2, 6), ("chr1", 0, 4)]
    assert data.n_lower == ()
