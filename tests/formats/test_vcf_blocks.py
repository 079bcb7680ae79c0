"""Blocks of a VCF against the reader that goes line by line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.errors import FileFormatError
from genoformer.formats.reach import reach
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_blocks import iter_blocks

HEAD = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=250>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tann\n"


def places(path: Path) -> list[tuple[str, int, int, str]]:
    """(contig, start, end, line) of each record, from blocks."""
    with open_vcf(path) as file:
        return [
            (name, int(block.starts[k]), int(block.ends[k]), block.line(k))
            for block in iter_blocks(file)
            for name, i, j in block.contigs
            for k in range(i, j)
        ]


def one_by_one(path: Path) -> list[tuple[str, int, int, str]]:
    with open_vcf(path) as file:
        lengths = file.contig_lengths
        return [(record.chrom, *reach(record, lengths.get(record.chrom, 0)), record.line) for record in file]


def line_of(chrom: str, pos: int, ref: str, alt: str, info: str, tail: list[str]) -> str:
    """A record of 5 to 10 columns."""
    return "\t".join([*[chrom, str(pos), "x", ref, alt, ".", ".", info][: 5 + len(tail)], *tail[3:]])


ALTS = [
    "A",
    "C,GT",
    "<DEL>",
    "<*>",
    ".",
    "A]chr2:5]",
    "*",
    "T,<NON_REF>",
    "<DEL>,<DUP>",
    "<CN2>",
    "<INS>",
    "C[<x>:7[",
    "<TRA>",
]
INFO = [
    "AF=0.5",
    "END=400",
    "END=12",
    "END=.",
    "END=x",
    "SVLEN=-7",
    "SVLEN=.,90",
    "SVLEN=0",
    "CHR2=2",
    "CHR2=chr1",
    "SVTYPE=BND",
    "NOTE=<b>",
]
LINES = st.builds(
    line_of,
    st.sampled_from(["1", "chr1", "chr10", "HLA-A*01:01", "ü"]),
    st.one_of(st.integers(0, 300), st.integers(0, 10**17)),
    st.text("ACGTN", min_size=1, max_size=12),
    st.sampled_from(ALTS),
    st.lists(st.sampled_from(INFO), max_size=4).map(lambda items: ";".join(items) or "."),
    st.sampled_from([[], ["a"], ["a", "b", "c"], ["a", "b", "c", "GT", "0|1"], ["a", "b", "c", "GT:LEN", "0|0:77"]]),
)


@given(lines=st.lists(LINES, max_size=30), newline=st.sampled_from(["\n", "\r\n", "\n\n"]), last=st.booleans())
def test_blocks_hold_what_reading_line_by_line_gives(tmp_path_factory, lines: list[str], newline: str, last: bool) -> None:
    path = tmp_path_factory.mktemp("blocks") / "a.vcf"
    text = (HEAD + "\n".join(lines)).replace("\n", newline) + (newline if last else "")
    path.write_bytes(text.encode())
    assert places(path) == one_by_one(path)


@pytest.mark.parametrize(
    "line",
    [
        "1\t5\t.\tA",
        "1\tx5\t.\tA\tC",
        "1\t\t.\tA\tC",
        "\t5\t.\tA\tC",
        "1\t5\t.\t\tC",
        "#late\t5\t.\tA\tC",
        "1 5 . A C",
        f"1\t{'9' * 19}\t.\tA\tC",
    ],
)
def test_a_malformed_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.vcf"
    path.write_text(f"{HEAD}1\t5\t.\tA\tC\t.\t.\t.\n\n{line}\n1\t6\t.\tA\tC\t.\t.\t.\n")
    with pytest.raises(FileFormatError, match="line 6"):
        places(path)
    with pytest.raises(FileFormatError, match="line 6"):
        one_by_one(path)


def test_blocks_are_read_once(tmp_path: Path) -> None:
    path = tmp_path / "a.vcf"
    path.write_text(f"{HEAD}1\t5\t.\tA\tC\t.\t.\t.\n")
    with open_vcf(path) as file:
        assert len(list(iter_blocks(file))) == 1
        with pytest.raises(ValueError, match="read already"):
            list(iter_blocks(file))
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
