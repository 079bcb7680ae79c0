"""Blocks of a VCF against the reader that goes line by line, and where records of every kind lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.errors import FileFormatError
from genoformer.genome.blocks import blocks_of, reach
from genoformer.genome.vcf import Record, open_vcf

HEAD = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tann\n"


def places(path: Path) -> list[tuple[str, int, int, str]]:
    """(contig, start, end, line) of each record, from blocks."""
    with open_vcf(path) as file:
        return [
            (name, int(block.starts[k]), int(block.ends[k]), block.line(k))
            for block in blocks_of(file)
            for name, i, j in block.contigs
            for k in range(i, j)
        ]


def one_by_one(path: Path) -> list[tuple[str, int, int, str]]:
    with open_vcf(path) as file:
        return [(record.chrom, *reach(record), record.line) for record in file]


@pytest.mark.parametrize(
    ("ref", "alt", "info", "interval"),
    [
        ("A", "C", ".", (9, 10)),
        ("ACG", "A", ".", (9, 12)),  # a deletion of two bases: its REF
        ("A", "ACG", ".", (9, 10)),  # an insertion: the base before it
        ("A", ".", "END=12", (9, 12)),  # a block of a gVCF
        ("A", "C", "END=12", (9, 10)),  # END counts with symbolic alleles, or none
        ("A", "<DEL>", "SVTYPE=DEL;END=30", (9, 30)),
        ("A", "C,<*>", "END=15", (9, 15)),
        ("A", "<DEL>", "SVLEN=-20", (9, 30)),  # of a deletion without END: its length
        ("A", "<DEL>", "SVLEN=20", (9, 30)),  # as VCF 4.4 has it
        ("A", "<DUP>", "SVLEN=20", (9, 30)),
        ("A", "<INS>", "SVLEN=20", (9, 10)),  # inserted bases are not of the reference
        ("ACGT", "<DUP>", "CIEND=5;END=3", (9, 13)),  # an END before the end of REF is of no use
        ("A", "<X>", "BEND=99", (9, 10)),
        ("A", "<DEL>", "X;END=30", (9, 30)),
    ],
)
def test_where_a_record_lies(tmp_path: Path, ref: str, alt: str, info: str, interval: tuple[int, int]) -> None:
    line = f"1\t10\t.\t{ref}\t{alt}\t.\t.\t{info}"
    assert reach(Record(line, "1", 10, ".", ref, tuple(alt.split(",")) if alt != "." else ())) == interval
    path = tmp_path / "a.vcf"
    path.write_text(f"{HEAD}{line}\tGT\t0|1\n")
    assert places(path) == [("1", *interval, f"{line}\tGT\t0|1")]


def line_of(chrom: str, pos: int, ref: str, alt: str, info: str, tail: list[str]) -> str:
    """A record of 5 to 10 columns."""
    return "\t".join([*[chrom, str(pos), "x", ref, alt, ".", ".", info][: 5 + len(tail)], *tail[3:]])


LINES = st.builds(
    line_of,
    st.sampled_from(["1", "chr1", "chr10", "HLA-A*01:01", "ü"]),
    st.one_of(st.integers(0, 300), st.integers(0, 10**17)),
    st.text("ACGTN", min_size=1, max_size=12),
    st.sampled_from(["A", "C,GT", "<DEL>", "<*>", ".", "A]chr2:5]", "*", "T,<NON_REF>"]),
    st.sampled_from([".", "AF=0.5", "END=400;X", "A=1;END=12", "SVLEN=-7", "NOTE=<b>"]),
    st.sampled_from([[], ["a"], ["a", "b", "c"], ["a", "b", "c", "GT", "0|1"]]),
)


@given(lines=st.lists(LINES, max_size=30), newline=st.sampled_from(["\n", "\r\n", "\n\n"]), last=st.booleans())
def test_blocks_hold_what_reading_line_by_line_gives(tmp_path_factory, lines: list[str], newline: str, last: bool) -> None:
    path = tmp_path_factory.mktemp("blocks") / "a.vcf"
    text = (HEAD + "\n".join(lines)).replace("\n", newline) + (newline if last else "")
    path.write_bytes(text.encode())
    assert places(path) == one_by_one(path)


@pytest.mark.parametrize(
    "line",
    ["1\t5\t.\tA", "1\tx5\t.\tA\tC", "1\t\t.\tA\tC", "\t5\t.\tA\tC", "1\t5\t.\t\tC", "#late\t5\t.\tA\tC", "1 5 . A C",
     f"1\t{'9' * 19}\t.\tA\tC"],
)  # fmt: skip
def test_a_malformed_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.vcf"
    path.write_text(f"{HEAD}1\t5\t.\tA\tC\t.\t.\t.\n\n{line}\n1\t6\t.\tA\tC\t.\t.\t.\n")
    with pytest.raises(FileFormatError, match="line 5"):
        places(path)
    with pytest.raises(FileFormatError, match="line 5"):
        one_by_one(path)


def test_blocks_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.vcf"
    path.write_text(f"{HEAD}1\t5\t.\tA\tC\t.\t.\t.\n")
    with open_vcf(path) as file:
        assert len(list(blocks_of(file))) == 1
        with pytest.raises(ValueError, match="read already"):
            list(blocks_of(file))
        with pytest.raises(ValueError, match="read already"):
            list(file)


def test_a_file_of_many_blocks(tmp_path: Path) -> None:
    """Lines that end in the middle of a chunk, and contigs that change within one."""
    path = tmp_path / "a.vcf"
    with path.open("w") as file:
        file.write(HEAD)
        for i in range(60_000):
            ref = "ACGT"[i % 4] * (1 + i % 3)
            file.write(f"chr{1 + i // 7_000}\t{i + 1}\trs{i}\t{ref}\tG\t.\tPASS\tAF={i / 60_000:.4f}\tGT\t0|1\n")
    assert path.stat().st_size > 2 << 20
    assert places(path) == one_by_one(path)
