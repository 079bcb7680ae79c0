"""Lines of VCF, BCF and tables in pieces, from the beginning and after a jump."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pysam
import pytest

from genoformer.errors import FileFormatError
from genoformer.formats.sorted_lines import BcfLines, SortedLines, TextLines

HEAD = "##fileformat=VCFv4.2\n##contig=<ID=chr1>\n##contig=<ID=chr2>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
LINES = [f"chr{c}\t{pos}\trs{pos}\tA\tC\t.\t.\t." for c in (1, 2) for pos in range(1, 2_000_000, 40)]


def all_lines(lines: SortedLines) -> list[str]:
    pieces = []
    while text := lines.read():
        assert text.endswith(b"\n")
        pieces.append(text)
    return b"".join(pieces).decode().split("\n")[:-1]


@pytest.mark.parametrize("kind", ["plain", "gzip", "bgzip", "crlf"])
def test_lines_of_a_text_file(tmp_path: Path, kind: str) -> None:
    path, text = tmp_path / "a.vcf", HEAD + "\n".join(LINES)  # without an end of the last line
    if kind == "gzip":
        path.write_bytes(gzip.compress(text.encode()))
    elif kind == "bgzip":
        (tmp_path / "b").write_text(text)
        pysam.tabix_compress(str(tmp_path / "b"), str(path))
    else:
        path.write_bytes(text.replace("\n", "\r\n").encode() if kind == "crlf" else text.encode())
    lines = TextLines(path)
    assert lines.contigs is None
    assert lines.offsets("chr1", np.array([5])) is None
    assert all_lines(lines) == LINES
    assert lines.read() == b""
    lines.close()


def indexed(folder: Path, kind: str) -> SortedLines:
    (folder / "b").write_text(HEAD + "\n".join(LINES) + "\n")
    if kind == "bcf":
        with (
            pysam.VariantFile(str(folder / "b")) as file,
            pysam.VariantFile(str(folder / "a.bcf"), "wb", header=file.header) as out,
        ):
            for record in file:
                out.write(record)
        pysam.tabix_index(str(folder / "a.bcf"), preset="bcf")
        return BcfLines(folder / "a.bcf")
    pysam.tabix_compress(str(folder / "b"), str(folder / "a.vcf.gz"))
    pysam.tabix_index(str(folder / "a.vcf.gz"), preset="vcf")
    return TextLines(folder / "a.vcf.gz")


@pytest.mark.parametrize("kind", ["bgzip", "bcf"])
def test_a_jump_and_back(tmp_path: Path, kind: str) -> None:
    lines = indexed(tmp_path, kind)
    assert lines.contigs == ("chr1", "chr2")
    lines.read()
    lines.jump("chr2", 1_000_000)
    rest = all_lines(lines)
    if kind == "bcf":
        rest = [line for line in rest if line.startswith("chr2")]
    assert rest == LINES[-len(rest) :]
    assert len(LINES) // 4 <= len(rest) < len(LINES) // 3
    lines.jump("chr1", 0)
    assert lines.read().decode().startswith(LINES[0])
    offsets = lines.offsets("chr1", np.array([0, 500_000, 1_500_000]))
    assert offsets is not None
    assert (np.diff(offsets) > 0).all()
    lines.jump("chr1", 1_500_000)
    lines.read()
    assert lines.offset >= offsets[1]
    lines.close()


def test_lines_at_the_top_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("# made by hand\nchrom\tpos\n1\t5\n")
    lines = TextLines(tmp_path / "t.tsv", 1)
    assert all_lines(lines) == ["1\t5"]
    lines.close()


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    lines = indexed(tmp_path, "bgzip")
    lines.close()
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(path.read_bytes()[:-2_000])
    with pytest.raises(FileFormatError, match="truncated or damaged"):
        TextLines(path)
