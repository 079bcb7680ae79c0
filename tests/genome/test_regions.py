"""Regions: rows of BED-like files, what overlaps what beside naive sets of bases, runs of bases, splits."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.errors import ConfigError, ContigError, FileFormatError, MissingFileError
from genoformer.formats.bed import Region, read_bed, read_regions
from genoformer.genome.reference import Genome
from genoformer.genome.regions import (
    merge,
    n_overlaps,
    on_reference,
    read_on_reference,
    runs_of_bases,
    split_by_contig,
    subtract,
)

Rows = list[tuple[int, int]]
some_intervals = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 12)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=8
)


def array(rows: Rows) -> np.ndarray:
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def bases(rows: Rows) -> set[int]:
    return {base for start, end in rows for base in range(start, end)}


def write(path: Path, *lines: str) -> Path:
    text = "".join("\t".join(line.split(" ")) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


# --- files


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("a.bed", "chr1 5 9", Region("chr1", 5, 9, "", "", ".", None, 1)),
        ("a.bed", "chr1 5 9 x", Region("chr1", 5, 9, "x", "", ".", None, 1)),
        ("a.bed.gz", "chr1 5 9 x 3 -", Region("chr1", 5, 9, "x", "3", "-", None, 1)),
        ("a.bed", "chr1 5 9 . . +", Region("chr1", 5, 9, "", "", "+", None, 1)),
        ("a.bed", "chr1 5 9 + GENE", Region("chr1", 5, 9, "+", "GENE", ".", None, 1)),  # what is not read is not judged
        ("a.narrowPeak", "chr1 5 9 x 900 . 1.5 -1 -1 0", Region("chr1", 5, 9, "x", "900", ".", 5, 1)),
        ("a.narrowPeak.gz", "chr1 5 9 x 900 . 1.5 -1 -1 3", Region("chr1", 5, 9, "x", "900", ".", 8, 1)),
        ("a.narrowPeak", "chr1 5 9 x 900 . 1.5 -1 -1 4", Region("chr1", 5, 9, "x", "900", ".", 9, 1)),  # as ENCODE has some
        ("a.bed.gz", "chr1 5 9 . 900 . 1.5 -1 2e-3 2", Region("chr1", 5, 9, "", "900", ".", 7, 1)),  # ENCODE's .bed.gz
        ("a.narrowPeak", "chr1 5 9 x 900 . 1.5 -1 -1 -1", Region("chr1", 5, 9, "x", "900", ".", None, 1)),
        ("a.broadPeak", "chr1 5 9 x 900 . 1.5 -1 -1", Region("chr1", 5, 9, "x", "900", ".", None, 1)),
        ("a.bed", "chr1 5 9 x 900 . 5 9 0,0,0 2", Region("chr1", 5, 9, "x", "900", ".", None, 1)),  # a colour, no peak
    ],
)
def test_a_row_is_read(tmp_path: Path, name: str, line: str, expected: Region) -> None:
    path = write(tmp_path / name, line)
    assert list(read_regions(path)) == [expected]
    assert read_bed(path)["chr1"].tolist() == [[5, 9]]


def test_comments_are_passed_over_and_lines_are_counted(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.bed", "#chrom start end", "track name=x", "browser position", "", "chr2 7 8", "chr1 3 4", "chr2 0 2"
    )
    assert [(row.chrom, row.line) for row in read_regions(path)] == [("chr2", 5), ("chr1", 6), ("chr2", 7)]
    assert {chrom: rows.tolist() for chrom, rows in read_bed(path).items()} == {"chr2": [[0, 2], [7, 8]], "chr1": [[3, 4]]}


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("a.bed", "chr1 5", "line 2: 2 tab-separated columns"),
        ("a.bed", "chr1 -5 9", "line 2: START '-5' and END '9', but BED has whole numbers"),
        ("a.bed", "chr1 5 5", "line 2: END 5 is not after START 5"),
        ("a.bed", "chr1 5 9 x 0 1", "line 2: the strand, column 6, is '1'"),
        ("a.narrowPeak", "chr1 5 9", "line 2: narrowPeak has 10 columns, this line 3"),
        ("a.narrowPeak", "chr1 5 9 x 900 . 1.5 -1 -1 5", "line 2: the summit, column 10, is '5', but should be from 0 to 4"),
        ("a.narrowPeak", "chr1 5 9 x 900 . 1.5 -1 -1 -2", "line 2: the summit"),
        ("a.narrowPeak", "chr1 5 9 x 900 . 1.5 -1 -1 1.5", "line 2: the summit"),
    ],
)
def test_bad_rows_are_refused_with_their_line(tmp_path: Path, name: str, line: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        list(read_regions(write(tmp_path / name, "#a comment", line)))


def test_bad_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"nothing\.bed does not exist"):
        list(read_regions(tmp_path / "nothing.bed"))
    whole = gzip.compress(b"chr1\t5\t9\n" * 5000)
    for name, content in (
        ("cut", whole[:-20]),
        ("odd", whole[:12] + b"\xff\xff" + whole[14:]),
        ("text", b"chr1\t1\t2\t\xff\n"),
    ):
        path = tmp_path / f"{name}.bed"
        path.write_bytes(content)
        with pytest.raises(FileFormatError, match="cannot be read"):
            read_bed(path)


# --- intervals


@given(some_intervals, some_intervals)
def test_merge_and_subtract_beside_sets_of_bases(rows: Rows, holes: Rows) -> None:
    for found, expected in (
        (merge(array(rows)), bases(rows)),
        (subtract(array(rows), array(holes)), bases(rows) - bases(holes)),
    ):
        assert bases(found.tolist()) == expected
        assert (found[:, 0] < found[:, 1]).all()
        assert (found[1:, 0] > found[:-1, 1]).all()  # apart


@given(some_intervals, some_intervals)
def test_n_overlaps_beside_sets_of_bases(queries: Rows, rows: Rows) -> None:
    expected = [sum(bool(bases([query]) & bases([row])) for row in rows) for query in queries]
    assert n_overlaps(array(queries), array(rows)).tolist() == expected


@pytest.mark.parametrize("n_read", [1, 3, 7, 1 << 20])
@pytest.mark.parametrize(
    ("sequence", "gap", "expected"),
    [
        ("ACGT", 0, [[0, 4]]),
        ("NNNN", 0, []),
        ("NNACGTNNACN", 0, [[2, 6], [8, 10]]),
        ("NNACGTNNACN", 1, [[2, 6], [8, 10]]),
        ("NNACGTNNACN", 2, [[2, 10]]),
        ("ANRCNNNG", 2, [[0, 4], [7, 8]]),
    ],
)
def test_runs_of_bases(
    make_fasta: Callable[..., Path], n_read: int, sequence: str, gap: int, expected: list[list[int]]
) -> None:
    with Genome(make_fasta(chr1=sequence)) as genome:
        assert runs_of_bases(genome, "chr1", gap, n_read=n_read).tolist() == expected


# --- contigs


def test_contigs_of_a_file_get_the_names_of_the_genome(make_fasta: Callable[..., Path]) -> None:
    with Genome(make_fasta(chr1="ACGT", chr2="ACGT")) as genome:
        found = on_reference({"1": array([(0, 1)]), "chr1": array([(2, 3)]), "chr9": array([(0, 1)])}, genome)
        assert {chrom: rows.tolist() for chrom, rows in found.items()} == {"chr1": [[0, 1], [2, 3]]}


def test_a_blacklist_that_would_black_out_nothing_is_refused(make_fasta: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "black.bed"
    with Genome(make_fasta(chr1="ACGT", chr2="ACGT")) as genome:
        path.write_text("chrX\t0\t3\n1\t1\t2\n")
        assert {chrom: rows.tolist() for chrom, rows in read_on_reference(path, genome).items()} == {"chr1": [[1, 2]]}
        for text, words in (("chrX\t0\t3\n", "its contigs are chrX"), ("", "it holds no interval")):
            path.write_text(text)
            with pytest.raises(ConfigError, match=words):
                read_on_reference(path, genome)


def test_split_by_contig(make_fasta: Callable[..., Path]) -> None:
    with Genome(make_fasta(chr1="A", chr2="A", chr3="A")) as genome:
        assert split_by_contig(genome, ["2"], ["chr3"]) == {"chr1": "train", "chr2": "valid", "chr3": "test"}
        assert split_by_contig(genome, [], []) == dict.fromkeys(["chr1", "chr2", "chr3"], "train")
        with pytest.raises(ContigError, match="valid: There is no contig chr9"):
            split_by_contig(genome, ["chr9"], [])
        with pytest.raises(ConfigError, match="contig 2 is both in valid and in test"):
            split_by_contig(genome, ["chr2"], ["2"])
        with pytest.raises(ConfigError, match="leave some to train on"):
            split_by_contig(genome, ["chr1", "chr2"], ["chr3"])
