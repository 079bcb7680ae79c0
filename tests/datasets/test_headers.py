"""Labels in FASTA headers and in one field of a table: what is read, what is refused and with which line."""

from __future__ import annotations

from pathlib import Path

import pytest

from genoformer.datasets.headers import MissingLabelError
from genoformer.datasets.sequences import read_labelled, read_sequences
from genoformer.datasets.targets import make_targets
from genoformer.errors import FileFormatError


def fasta(folder: Path, *headers: str) -> Path:
    path = folder / "a.fa"
    path.write_text("".join(f">{header}\nACGT\n" for header in headers))
    return path


def table(folder: Path, head: str, *rows: str) -> Path:
    path = folder / "a.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("headers", "names", "columns", "labels"),
    [
        (("a|1", "b|0"), ("a", "b"), ("label",), (("1",), ("0",))),
        (("a|0|1|1", "b|1|0|1"), ("a", "b"), ("label1", "label2", "label3"), (("0", "1", "1"), ("1", "0", "1"))),
        (("a|0|0", "b|0|1 of leaf"), ("a", "b"), ("label1", "label2"), (("0", "0"), ("0", "1"))),
        (("a|7|0|1", "b|8|1|1"), ("a|7", "b|8"), ("label1", "label2"), (("0", "1"), ("1", "1"))),
        (("chr1:100-200|-0.53", "chr1:300-400|2"), ("chr1:100-200", "chr1:300-400"), ("label",), (("-0.53",), ("2",))),
        (("g1|0.53|-1.5", "g2|1|2.5"), ("g1", "g2"), ("label1", "label2"), (("0.53", "-1.5"), ("1", "2.5"))),
        (("g1|3|-1.5", "g2|1|2.5"), ("g1|3", "g2|1"), ("label",), (("-1.5",), ("2.5",))),  # 3 and 1 may count anything
        (("a|100|x", "b|200|y"), ("a|100", "b|200"), ("label",), (("x",), ("y",))),
        (("chr1|100|200|1", "chr1|300|400|0"), ("chr1|100|200", "chr1|300|400"), ("label",), (("1",), ("0",))),
        (("sp|P12345|NAME|1", "sp|P12346|NAME|0"), ("sp|P12345|NAME", "sp|P12346|NAME"), ("label",), (("1",), ("0",))),
        (("a|1|training", "b|0|training"), ("a", "b"), ("label",), (("1",), ("0",))),  # iLearn
        (("a|0|1|Test", "b|1|1|test"), ("a", "b"), ("label1", "label2"), (("0", "1"), ("1", "1"))),
        (("a|x|y|testing", "b|x|z|testing"), ("a|x", "b|x"), ("label",), (("y",), ("z",))),
        (("a|training|1", "b|testing|0"), ("a|training", "b|testing"), ("label",), (("1",), ("0",))),
        (("a|training", "b|other"), ("a", "b"), ("label",), (("training",), ("other",))),  # a class
        (("a label=0,1,1", "b label=1,0,0"), ("a", "b"), ("label1", "label2", "label3"), (("0", "1", "1"), ("1", "0", "0"))),
    ],
)
def test_what_a_header_says(tmp_path: Path, headers, names, columns, labels) -> None:
    """Columns at the end are labels where all are 0 or 1, or where all are numbers and some have decimals."""
    found = read_labelled(fasta(tmp_path, *headers))
    assert (found.names, found.columns, found.labels) == (names, columns, labels)


@pytest.mark.parametrize(
    ("headers", "note"),
    [
        (("a|1",), None),
        (("a|0|1",), "the headers hold 2 labels each, after |: label1, label2."),
        (("a|7|0|1",), "the headers hold 2 labels each, after |: label1, label2; the fields before them stay in the name."),
        (("a|1|training",), "the last field of the headers, training, is a part of a split and no label."),
        (("a|7|x",), "the headers have 2 fields after |, of which the last is the label; the others stay in the name."),
    ],
)
def test_how_headers_were_understood_is_said(tmp_path: Path, headers, note) -> None:
    notes = read_labelled(fasta(tmp_path, *headers)).notes
    assert (notes == ()) if note is None else notes[0].startswith(note)


@pytest.mark.parametrize(
    ("label", "n_labels", "says", "says_not"),
    [
        (
            "label",
            None,
            "of which the last is the label; the others stay in the name. If no label column is named, the last 3 are labels.",
            "Several labels are written",
        ),
        (None, 1, "of which the last is the label; the others stay in the name.", "Several labels are written"),
        (None, None, "the headers hold 3 labels each", "--label"),
    ],
)
def test_the_note_on_one_label_of_several_goes_with_what_was_asked(tmp_path: Path, label, n_labels, says, says_not) -> None:
    (note,) = read_labelled(fasta(tmp_path, "a|0|1|1", "b|1|0|1"), label=label, n_labels=n_labels).notes
    assert says in note
    assert says_not not in note


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        (("a|0|1", "b|0|1|1"), r"a\.fa, line 3, record b\|0\|1 has 3 fields after its name, the first record 2"),
        (("a|0|1", "b|1"), "line 3, record b has 1 fields after its name, the first record 2"),
        (("a|0", "b"), "line 3, record b has no label"),
        (("a", "b|0"), "line 1, record a has no label"),
        (("a|0", "b label=1"), "line 3, record b label=1|record b has label=, but the first record its label after"),
        (("a label=1", "b|0"), r"line 3, record b\|0 has no label; .* as in the first header"),
        (("a|1|training", "b|0|testing", "c|1|training"), r"a\.fa: .* has testing \(1\), training \(2\), .*a file of each"),
        (("a|training", "b|training"), r"a\.fa: the headers have only training after \|, .* write `>a\|promoter\|training`"),
        (("sp|P12345|NAME", "sp|P12346|MANE"), r"line 1, record sp\|P12345 has no label: .* is an accession of a database"),
        (("ref|NM_1.2",), "is an accession of a database"),
        (("lcl|seq1",), "is an accession of a database"),
        (("gi|123|ref|NM_1.2|",), r"line 1, record gi\|123\|ref\|NM_1.2: label is empty"),
        (("a label=0,1", "b label=0,1,1"), r"line 3: label is '0,1,1', the first row 2 labels; write as many 0 and 1"),
    ],
)
def test_headers_that_do_not_fit_are_refused_with_their_line(tmp_path: Path, headers, words: str) -> None:
    with pytest.raises(FileFormatError, match=words):
        read_labelled(fasta(tmp_path, *headers))


def test_a_label_after_a_bar_can_be_named(tmp_path: Path) -> None:
    path = fasta(tmp_path, "a|0|1|1", "b|1|0|1")
    assert read_labelled(path, label=["label3", "label1"]).labels == (("1", "0"), ("1", "1"))
    last = read_labelled(path, label="label")
    assert (last.names, last.labels) == (("a|0|1", "b|1|0"), (("1",), ("1",)))
    with pytest.raises(MissingLabelError, match=r"a\.fa: there is no column label4 in the headers; they have label1, label2"):
        read_labelled(path, label="label4")
    with pytest.raises(MissingLabelError, match="has no root="):
        read_labelled(path, label="root")


def test_a_file_is_read_with_as_many_labels_as_the_training_data(tmp_path: Path) -> None:
    one = read_labelled(fasta(tmp_path, "a|7|1", "b|39|0"))
    flags = fasta(tmp_path, "x|0|1", "y|1|0")
    assert (one.n_labels, read_labelled(flags).n_labels) == (1, 2)
    alike = read_labelled(flags, n_labels=one.n_labels)
    assert (alike.names, alike.columns, alike.labels) == (("x|0", "y|1"), ("label",), (("1",), ("0",)))
    path = fasta(tmp_path, "x|1|0|1", "y|1|1|0")
    assert read_labelled(path, n_labels=2).labels == (("0", "1"), ("1", "0"))
    assert read_labelled(path, n_labels=2, label="label2").labels == (("1",), ("0",))
    with pytest.raises(MissingLabelError, match=r"a\.fa: the headers have 3 fields after \|, but should have 4 labels"):
        read_labelled(path, n_labels=4)
    assert read_labelled(fasta(tmp_path, "a|0,1", "b|1,1")).n_labels == 0  # two labels in one field
    assert read_labelled(fasta(tmp_path, "a label=0", "b label=1"), n_labels=2).columns == ("label",)


def test_headers_without_labels_are_names(tmp_path: Path) -> None:
    found = read_sequences(fasta(tmp_path, "sp|P12345|NAME", "sp|P12346|MANE"))
    assert (found.names, found.labels) == (("sp|P12345|NAME", "sp|P12346|MANE"), ((), ()))
    assert "is an accession of a database" in found.notes[0]


def test_numbers_of_sequences_are_no_classes(tmp_path: Path) -> None:
    found = read_labelled(fasta(tmp_path, *(f"contig|{i}" for i in range(120))))
    with pytest.raises(ValueError, match=r"120 different numbers in 120 sequences .* numbers of sequences"):
        make_targets(found.labels, "classify")


@pytest.mark.parametrize(
    ("head", "rows", "columns", "labels"),
    [
        ("sequence,label", ('ACGT,"0,1"', 'ACGA,"1,0"'), ("label1", "label2"), (("0", "1"), ("1", "0"))),
        ("sequence,labels", ('ACGT,"[0, 1]"', 'ACGA,"[1.0, 0.0]"'), ("labels1", "labels2"), (("0", "1"), ("1", "0"))),
        ("sequence,label", ("ACGT,0 1 1", "ACGA,1 0 1"), ("label1", "label2", "label3"), (("0", "1", "1"), ("1", "0", "1"))),
        ("sequence,label", ("ACGT,0;0", "ACGA,1;0"), ("label1", "label2"), (("0", "0"), ("1", "0"))),
        ("sequence,label", ("ACGT,0;1", "ACGA,1;0"), ("label",), (("0;1",), ("1;0",))),  # the classes 0 and 1, both
        ("sequence,label", ("ACGT,1", "ACGA,0"), ("label",), (("1",), ("0",))),
        ("sequence,label", ('ACGT,"T cells, CD8"', "ACGA,B cells"), ("label",), (("T cells, CD8",), ("B cells",))),
        ("sequence;label", ("ACGT;x", "ACGA;y"), ("label",), (("x",), ("y",))),
        ("sequence,label", ("ACGT,1", "   ", "", "ACGA,0"), ("label",), (("1",), ("0",))),
    ],
)
def test_what_a_table_says(tmp_path: Path, head: str, rows, columns, labels) -> None:
    found = read_labelled(table(tmp_path, head, *rows))
    assert (found.columns, found.labels) == (columns, labels)
    assert (len(columns) > 1) == any("labels in each field" in note for note in found.notes)


@pytest.mark.parametrize(
    ("head", "rows", "words"),
    [
        ("sequence,label", ('ACGT,"0,1"', "ACGA,1"), r"a\.csv, line 3: label is '1', the first row 2 labels"),
        ("sequence,label", ('ACGT,"3,17"', "ACGA,4"), "line 2: label is '3,17'; write as many 0 and 1 in every row, or names"),
        ("sequence,label", ("ACGT,\"['a', 'b']\"",), r"line 2: label is \"\['a', 'b'\]\""),
        ("sequence;label", ("ACGT;1,5", "ACGA;2,5"), r"line 2: label is '1,5'; write .*, or a decimal point \(1\.5\)"),
        ("sequence,label", ('ACGT,"2"', 'ACGA,"1,5"'), r"line 3: label is '1,5'; write .*, or a decimal point \(1\.5\)"),
        ("sequence;label", ("ACGT;0,1", "ACGA;1,25"), r"line 3: label is '1,25', the first row 2 .* a decimal point \(1\.25\)"),
        ("sequence;label", ("ACGT;-1,5", "ACGA;,5"), r"line 2: label is '-1,5'; .* a decimal point \(-1\.5\)"),
        ("sequence;label", ("ACGT;1,5e-3", "ACGA;2"), r"a decimal point \(1\.5e-3\)"),
        ("sequence;label1;label2", ("ACGT;1;2", "ACGA;3;-4,5"), r"line 3: label2 is '-4,5'; write a decimal point \(-4\.5\)"),
        ("ACGTA,1", ("ACGTC,0",), "if this line is data, write a header line above it .DNA of fewer than 6 bases may"),
        ("a,ACGTACGT,1", ("b,ACGTACGA,0",), r"must be `sequence` .*; this line looks like data, so write a header"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, head: str, rows, words: str) -> None:
    with pytest.raises(FileFormatError, match=words):
        read_labelled(table(tmp_path, head, *rows))


def test_each_sequence_knows_its_line(tmp_path: Path) -> None:
    found = read_labelled(table(tmp_path, "sequence,label", "ACGT,1", "", "ACGA,0"))
    assert found.lines == (2, 4)
    assert found.place(2) == f"{tmp_path / 'a.csv'}, line 4, sequence 2"
    assert read_labelled(fasta(tmp_path, "a|1", "b|0")).lines == (1, 3)
