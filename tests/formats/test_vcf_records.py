"""Records that are parsed many at a time, compared with lines that are split one by one."""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.errors import FileFormatError
from genoformer.formats.vcf import joined, open_vcf
from genoformer.formats.vcf_records import Record, column, has_odd_line, parse_plain

HEADER = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


def naive(line: str) -> Record:
    chrom, pos, name, ref, alt, *_ = line.split("\t")
    return Record(line, chrom, int(pos), name, ref, () if alt == "." else tuple(alt.split(",")))


def text(alphabet: str, least: int = 0) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=4)


good = st.tuples(
    text("1X#é", 1).filter(lambda name: name[0] != "#"),
    st.integers(0, 10**18 - 1).map(str),
    text("r.1", 1),
    text("ACn", 1),
    st.sampled_from([".", "C", "t", "C,G", "<DEL>", "C,*,", "N[2:5["]),
    st.sampled_from([".", "50", ".\tPASS\tDP=1", ".\t.\t.\tGT\t0|1", "\t\t"]),
)
columns = st.tuples(
    text("1#"),
    st.sampled_from(["5", "", "5 ", "+5", "1_0", "٣", "-5", "9" * 19, "x"]),
    text("r"),
    text("A#"),
    text("C,."),
    text("."),
)
line = st.one_of(good.map("\t".join), columns.map("\t".join), st.sampled_from(["", "1\t5\t.\tA\tC", "1\t5\t.\tA", "#x"]))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(good.map("\t".join), line), min_size=1, max_size=6))
def test_lines_that_are_parsed_together_are_parsed_like_each_alone(lines: list[str]) -> None:
    """None wherever reading line by line would refuse a line, skip one, or see no INFO."""
    if has_odd_line("".join(f"{line}\n" for line in lines).encode()):
        return
    records = parse_plain(lines)
    if records is not None:
        assert records == [naive(line) for line in lines]
        assert all(type(record) is Record for record in records)
        assert all(line.split("\t")[1].isdecimal() and line.split("\t")[0][0] != "#" for line in lines)


@settings(max_examples=200, deadline=None)
@given(st.lists(good.map("\t".join), min_size=1, max_size=6), st.data())
def test_a_file_reads_like_its_lines(lines: list[str], data: st.DataObject) -> None:
    odd = data.draw(st.lists(line, max_size=2))
    at = data.draw(st.integers(0, len(lines)))
    lines[at:at] = odd
    with open_vcf_of("".join(f"{line}\n" for line in lines)) as file:
        number, block = 1, "".join(f"{line}\n" for line in lines).encode()
        try:
            expected = list(file.parse_block(number, block))
        except FileFormatError:
            with pytest.raises(FileFormatError):
                list(file)
            return
        assert list(file) == expected


def open_vcf_of(body: str):  # type: ignore[no-untyped-def]
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".vcf", encoding="utf-8", delete=False) as file:
        file.write(HEADER + body)
    opened = open_vcf(file.name)
    Path(file.name).unlink()
    return opened


@pytest.mark.parametrize("at", [0, 511, 512, 1_300])
def test_the_line_of_a_bad_record_is_named_and_the_records_before_it_are_read(at: int, tmp_path: Path) -> None:
    lines = [f"1\t{i + 1}\t.\tA\tC\t.\t.\t.\n" for i in range(1_500)]
    lines[at] = "1\tx\t.\tA\tC\t.\t.\t.\n"
    path = tmp_path / "in.vcf"
    path.write_text(HEADER + "".join(lines))
    with open_vcf(path) as file:
        records = iter(file)
        assert [record.pos for record in islice(records, at)] == list(range(1, at + 1))
        with pytest.raises(FileFormatError, match=f"line {at + 3}: POS is 'x'"):
            next(records)


def test_records_without_info_are_read_among_others(tmp_path: Path) -> None:
    path = tmp_path / "in.vcf"
    path.write_text(HEADER + "1\t1\t.\tA\tC\t.\t.\t.\n1\t2\t.\tA\tC\n\n1\t3\t.\tA\tG,T\t.\t.\t.\n")
    with open_vcf(path) as file:
        assert [record[1:] for record in file] == [
            ("1", 1, ".", "A", ("C",)),
            ("1", 2, ".", "A", ("C",)),
            ("1", 3, ".", "A", ("G", "T")),
        ]


def test_a_column_of_records() -> None:
    records = [Record("x", "1", 5, ".", "A", ("C",)), Record("y", "2", 6, ".", "G", ())]
    assert column(records, "line") == ["x", "y"]
    assert column(records, "alts") == [("C",), ()]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 30), max_size=6), max_size=9), st.integers(1, 9), st.integers(1, 60))
def test_joined_lists_have_enough_records_or_letters(lengths: list[list[int]], n: int, most: int) -> None:
    lists = [[Record("x" * size, "c", 1, ".", "A", ("C",)) for size in sizes] for sizes in lengths]
    batches = list(joined(lists, n, n_bytes=most))
    assert list(chain.from_iterable(batches)) == list(chain.from_iterable(lists))
    assert all(batches)
    for batch in batches[:-1]:
        assert len(batch) >= n or sum(len(record.line) for record in batch) > most
