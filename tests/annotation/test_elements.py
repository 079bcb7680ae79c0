"""Files of elements: what is read of each format, by the fast reader and by the slow one, and the rules for odd lines."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pysam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer import annotation
from genoformer.annotation import element_tables as module
from genoformer.annotation.element_labels import STATES
from genoformer.annotation.elements import read_elements, read_files
from genoformer.annotation.overlap import contig_notes
from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.formats.bed import named_file
from genoformer.formats.bed_kinds import layout_of


def write(path: Path, *rows: str) -> Path:
    path.write_text("".join("\t".join(row.split("|")) + "\n" for row in rows))
    return path


NARROW = ["chr1|100|200|p1|900|.|7.5|-1|3.2|30", "chr1|300|400|.|800|.|6.5|-1|3.1|-1", "chr2|5|9|p3|700|.|5.5|-1|3|0"]


def test_narrow_peaks(tmp_path: Path) -> None:
    found = read_elements(write(tmp_path / "a.narrowPeak", *NARROW), "P")
    assert [field.key for field in found.fields] == ["P", "P_SCORE", "P_SIGNAL", "P_SUMMIT"]
    assert [field.type for field in found.fields] == ["String", "Float", "Float", "Integer"]
    rows = np.array([0, 0, 0, 1, 2])
    starts, ends = np.array([130, 120, 135, 310, 4]), np.array([131, 128, 137, 311, 6])
    assert found.texts(rows, starts, ends) == [
        ["p1", "p1", "p1", "301-400", "p3"],
        ["900", "900", "900", "800", "700"],
        ["7.5", "7.5", "7.5", "6.5", "5.5"],
        ["0", "-3", "5", ".", "0"],  # from the summit, at 130 and at 5, to the record
    ]


@pytest.mark.parametrize(
    ("name", "rows", "keys", "texts"),
    [
        ("a.bed", ["1|0|10", "1|20|30"], ["X"], [["1-10", "21-30"]]),
        ("a.bed", ["1|0|10|u", "1|20|30|v", "1|40|50|w"], ["X"], [["u", "v", "w"]]),
        ("a.bed", ["1|0|10|.|5|+", "1|20|30|.|6|-"], ["X", "X_SCORE"], [["1-10", "21-30"], ["5", "6"]]),
        ("a.bed", ["1|0|10|u|0|+", "1|20|30|v|0|-"], ["X"], [["u", "v"]]),  # nothing but 0 or 1000 are no scores
        ("a.bed", ["1|0|10|u|7|+", "1|20|30|v|7|-"], ["X", "X_SCORE"], [["u", "v"], ["7", "7"]]),
        ("a.bed", ["1|0|10|u|7|+", "1|20|30", "1|40|50|v"], ["X", "X_SCORE"], [["u", "21-30", "v"], ["7", ".", "."]]),
        ("a.bed", ["1|0|10|.|GENE1", "1|20|30|.|GENE2"], ["X"], [["GENE1", "GENE2"]]),  # a name in column 5
        ("a.bed", ["1|0|10|+|GENE1", "1|20|30|-|GENE2"], ["X"], [["GENE1", "GENE2"]]),  # a strand in column 4
        (
            "a.bed",
            ["1|0|10|u|1|+|2|8|0|2|3,3|0,7", "1|20|30|v|2|+|20|30|0|1|10|0"],
            ["X", "X_SCORE"],
            [["u", "u", "v"], ["1", "1", "2"]],
        ),  # BED12: its blocks
        (
            "a.broadPeak",
            ["1|0|10|u|1|.|2.5|-1|3", "1|20|30|v|2|.|3.5|-1|3"],
            ["X", "X_SCORE", "X_SIGNAL"],
            [["u", "v"], ["1", "2"], ["2.5", "3.5"]],
        ),
        (
            "a.bed",
            ["1|0|10|u|1|.|2.5|-1|3", "1|20|30|v|2|.|3.5|-1|3"],
            ["X", "X_SCORE", "X_SIGNAL"],
            [["u", "v"], ["1", "2"], ["2.5", "3.5"]],
        ),  # broadPeak by its columns
    ],
)
def test_what_each_format_says(tmp_path: Path, name: str, rows: list[str], keys: list[str], texts: list[list[str]]) -> None:
    found = read_elements(write(tmp_path / name, *rows), "X")
    assert [field.key for field in found.fields] == keys
    every = np.arange(len(found))
    got = found.texts(every, found.starts, found.starts + 1)
    assert [column[: len(texts[0])] for column in got[: len(texts)]] == texts


def test_a_segmentation_has_encodes_labels_and_colours(tmp_path: Path) -> None:
    rows = [f"chr1|{i * 100}|{i * 100 + 100}|{state}|1000|.|{i}|{i}|" for i, state in enumerate(["R", "E", "TSS", "R", "CTCF"])]
    plain = read_elements(write(tmp_path / "a.bed", *(row + "0" for row in rows)))
    assert plain.labels == ("TSS", "E", "CTCF", "R")
    assert plain.colours == {label: STATES[label][0] for label in plain.labels}
    own = read_elements(write(tmp_path / "b.bed", *(row + ("1,2,255" if "E" in row else "0") for row in rows)))
    assert own.colours["E"] == "#0102FF"
    assert [field.key for field in own.fields] == ["b"]


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["x"] * 3, ("x",)),
        (["x", "y"] * 3, ("x", "y")),
        (["x", "y", "z", "x", "y"], ()),  # fewer than three lines a label: names
        ([f"p{i}" for i in range(300)], ()),
        ([f"l{i % 65}" for i in range(300)], ()),  # more than 64
        ([f"l{i % 64:02}" for i in range(300)], tuple(f"l{i:02}" for i in range(64))),
        ([".", "x", "x", "x", ""], ("x",)),
    ],
)
def test_few_names_are_labels(tmp_path: Path, names: list[str], labels: tuple[str, ...]) -> None:
    path = write(tmp_path / "a.bed", *(f"1|{i}|{i + 1}|{name}" for i, name in enumerate(names)))
    assert read_elements(path).labels == labels


@pytest.mark.parametrize("how", ["plain", "gzip", "bgzip", "crlf", "comments", "comment in the middle", "blank line"])
def test_the_same_rows_however_the_file_is_written(tmp_path: Path, how: str) -> None:
    text = "".join("\t".join(row.split("|")) + "\n" for row in NARROW)
    path = tmp_path / "a.narrowPeak"
    if how == "gzip":
        path = tmp_path / "a.narrowPeak.gz"
        path.write_bytes(gzip.compress(text.encode()))
    elif how == "bgzip":
        path = tmp_path / "a.narrowPeak.gz"
        with pysam.BGZFile(str(path), "wb", None) as file:
            for line in text.splitlines(keepends=True):
                file.write(line.encode())
                file.flush()
    elif how == "comments":
        path.write_text(f"# made by hand\ntrack name=x\nbrowser position chr1\n\n{text}")
    else:
        changed = {"comment in the middle": text.replace("chr2", "# here\nchr2"), "blank line": text.replace("chr2", "\nchr2")}
        path.write_bytes(changed.get(how, text).replace("\n", "\r\n" if how == "crlf" else "\n").encode())
    found = read_elements(path)
    assert found.contigs == ("chr1", "chr2")
    assert found.starts.tolist() == [100, 300, 5]
    assert found.ends.tolist() == [200, 400, 9]
    assert found.summits.tolist() == [130, -1, 5]
    assert found.name == "a"
    head = 4 if how == "comments" else 0
    later = head + (1 if how in ("comment in the middle", "blank line") else 0)
    assert [found.line_of(i) for i in range(3)] == [1 + head, 2 + head, 3 + later]


ROW = st.tuples(
    st.sampled_from(["chr1", "2", "X"]),
    st.integers(0, 500),
    st.integers(0, 60),
    st.sampled_from(["a", ".", "b", "c d", "ü"]),
    st.sampled_from(["0", "5", ".", "1e3"]),
    st.sampled_from(["+", "-", "."]),
)


@given(rows=st.lists(ROW, min_size=1, max_size=40), n=st.integers(3, 6))
def test_the_fast_reader_reads_what_the_slow_one_does(tmp_path_factory, rows: list[tuple[object, ...]], n: int) -> None:
    path = tmp_path_factory.mktemp("bed") / "a.bed"
    full = [(c, start, start + length, *more) for c, start, length, *more in rows]
    path.write_text("".join("\t".join(map(str, row[:n])) + "\n" for row in full))
    layout = layout_of(path)
    fast, slow = module.read_fast(path, layout), module.read_carefully(path, layout)
    assert fast is not None
    assert fast.contigs == slow.contigs
    for one, other in zip(fast[1:5], slow[1:5], strict=True):
        assert one.tolist() == other.tolist()
    for column, others in zip(fast[5:9], slow[5:9], strict=True):
        if column is not None:
            assert column.tolist() == others.tolist()


@pytest.mark.parametrize(
    ("name", "rows", "says"),
    [
        ("a.bed", ["1|0|10", "1|x|10"], "line 2.*CHROM START END"),
        ("a.bed", ["1|0|10", "1|-5|10"], "line 2.*CHROM START END"),
        ("a.bed", ["1|0|10", "1|20|10"], "line 2: END 10 is not after START 20"),
        ("a.bed", ["1|0|10", "1 20 30"], "line 2.*tab-separated"),
        ("a.bed", ["1|0"], "line 1"),
        ("a.bed", ["1|0|10", "1|5|99999999999999999999"], "line 2.*whole numbers"),
        ("a.bed", ["1|0|10", "chrom|start|end"], "line 2.*whole numbers"),
        ("a.bed", ["1|0|10|a|0|+", "1|0|10|a|0|x"], "line 2: the strand"),
        ("a.narrowPeak", [NARROW[0], "chr1|1|9|a|1|.|1|1|1|10"], "line 2: the summit"),
        ("a.narrowPeak", [NARROW[0], "chr1|1|9|a|1|.|1|1|1"], "line 2: narrowPeak has 10 columns"),
        ("a.bed", [], "no rows"),
        ("a.bed", ["# nothing"], "no rows"),
        ("a.bed", ["1|5|5", "1|7|7", "1|3|9"], "line 1: START is END.*2 of 3 lines.*subtract 1"),  # positions from 1
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, name: str, rows: list[str], says: str) -> None:
    with pytest.raises(FileFormatError, match=says):
        read_elements(write(tmp_path / name, *rows))


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nowhere\.bed"):
        read_elements(tmp_path / "nowhere.bed")
    with pytest.raises(MissingFileError, match=r"^X does not exist, expected an existing file or NAME=FILE; give one"):
        read_files(["X"])
    with pytest.raises(MissingFileError, match=r"nowhere\.bed does not exist or is no file; give a BED"):
        read_files([f"X={tmp_path / 'nowhere.bed'}"])
    cut = tmp_path / "a.bed.gz"
    cut.write_bytes(gzip.compress(b"1\t0\t10\n" * 5_000)[:60])
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_elements(cut)
    binary = tmp_path / "b.bed"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(FileFormatError):
        read_elements(binary)


def test_a_first_line_of_column_names_is_left_out(tmp_path: Path) -> None:
    found = read_elements(write(tmp_path / "a.bed", "chrom|start|end|band", "1|0|10|p1", "1|10|30|p2"), "X")
    assert found.starts.tolist() == [0, 10]
    assert found.line_of(0) == 2


def test_zero_length_lines_are_counted_and_overlap_nothing(tmp_path: Path) -> None:
    found = read_elements(write(tmp_path / "a.bed", "1|0|10", "1|5|5", "1|20|30"), "Z")
    assert found.notes == ("Z: 1 of 3 lines (the first is 2) are of zero length, START is END; they overlap nothing.",)
    index = annotation.Annotations([found])
    assert [a.tolist() for a in index.overlaps("1", np.array([5, 4]), np.array([6, 5]))] == [[0, 1], [0, 0], [0, 0]]


def test_a_tiling_that_counts_from_1_is_noted(tmp_path: Path) -> None:
    from_1 = [f"1|{i * 10 + 1}|{i * 10 + 10}" for i in range(40)]
    (note,) = read_elements(write(tmp_path / "a.bed", "# x", *from_1)).notes
    assert "39 of 40" in note
    assert "line 3" in note
    assert "subtract 1" in note
    from_0 = [f"1|{i * 10}|{i * 10 + 10}" for i in range(40)]
    assert read_elements(write(tmp_path / "b.bed", *from_0)).notes == ()
    apart = [f"1|{i * 10}|{i * 10 + 9}" for i in range(5)]  # too few to say
    assert read_elements(write(tmp_path / "c.bed", *apart)).notes == ()


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("CTCF=x.bed", "CTCF"),
        ("/a/K562.CTCF.narrowPeak.gz", "K562.CTCF"),
        ("my peaks (2).bed", "my_peaks__2_"),
        ("1000G.bed", "_1000G"),
        ("a.b.BED.GZ", "a.b"),
    ],
)
def test_names_of_files(given: str, name: str) -> None:
    assert named_file(given)[0] == name


@pytest.mark.parametrize("name", ["AF", "END", "a b", "1x", "GF_X", "", "pos", "a;b"])
def test_names_that_info_cannot_have(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "a.bed", "1|0|10")
    with pytest.raises(ConfigError, match="cannot be a key of INFO"):
        read_files([f"{name}={path}"])


def test_keys_are_given_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.bed", "1|0|10|x|3", "1|0|10|y|4")
    for names in (("A", "A"), ("A", "A_SCORE")):
        with pytest.raises(ConfigError, match="another has the key"):
            read_files([f"{name}={path}" for name in names])


def test_one_file_has_the_start_sites(tmp_path: Path) -> None:
    gtf, bed = tmp_path / "g.gtf", tmp_path / "t.bed"
    gtf.write_text('1\tx\texon\t11\t20\t.\t+\t.\tgene_id "G"; transcript_id "T";\n')
    bed.write_text("1\t10\t11\tT\t0\t+\n")
    assert annotation.read_annotations([f"genes={gtf}"]).genes is not None
    assert annotation.read_annotations(tss=bed).genes is not None
    with pytest.raises(ConfigError, match="files of genes or TSSs, expected one"):
        annotation.read_annotations([f"genes={gtf}"], tss=bed)
    with pytest.raises(ConfigError, match="files of genes or TSSs, expected one"):
        annotation.read_annotations([f"genes={gtf}"], gtf)


def test_one_contig_under_two_names_is_one(tmp_path: Path) -> None:
    found = read_elements(write(tmp_path / "a.bed", "chr1|90|110|a", "1|95|105|b", "chr2|0|9|c"), "X")
    for name in ("1", "chr1", "NC_000001.10"):
        assert found.has(name)
        assert found.rows_on(name).tolist() == [0, 1]
    assert not found.has("3")


def test_two_mitochondria_of_one_file_are_two_contigs(tmp_path: Path) -> None:
    found = read_elements(write(tmp_path / "a.bed", "chrM|90|110|a", "chrMT|95|105|b", "chr1|0|9|c", "1|2|9|d"), "X")
    for name, rows in (("chrM", [0]), ("M", [0]), ("chrMT", [1]), ("MT", [1]), ("NC_012920.1", []), ("1", [2, 3])):
        assert found.rows_on(name).tolist() == rows
        assert found.has(name) is bool(rows)
    (said,) = contig_notes(annotation.Annotations([found]), {"MT": 0, "1": 0}, "in.vcf")
    assert "contig MT fits more than one contig of a.bed (chrMT, chrM): chrMT is used" in said
    assert "contig 1 " not in said.replace("VCF contig 1 ", "")


def test_blocks_of_a_bed12_are_said_to_be_one(tmp_path: Path) -> None:
    row = "1|0|100|t|1|+|0|100|0|2|10,10|0,90"
    assert "BED12" in read_elements(write(tmp_path / "a.bed", row, row)).notes[0]
