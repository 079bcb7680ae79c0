"""Lines of text files, plain and gzipped, and files that are no text."""

from __future__ import annotations

import csv
import gzip
import os
from pathlib import Path

import pytest

from genoformer.errors import FileFormatError, MissingFileError
from genoformer.formats.text import LONGEST, long_fields, numbered_lines, opened, refuse_device

KIND = "a list of words"


def lines(path: Path) -> list[tuple[int, str]]:
    return list(numbered_lines(path, KIND))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_are_numbered_from_1_without_their_ends(tmp_path: Path, zipped: bool, end: str) -> None:
    text = end.join(["\ufeffone", "", "drei ä", "four"]).encode()
    path = tmp_path / "words"  # the first bytes tell gzip, not the name
    path.write_bytes(gzip.compress(text) if zipped else text)
    assert lines(path) == [(1, "one"), (2, ""), (3, "drei ä"), (4, "four")]
    with opened(path, KIND) as file:
        assert file.read() == text


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert lines(tmp_path / "a") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"one\n" * 99, mtime=0)[:-5], "cannot be read"),
        (b"\xfdab", "cannot be read"),
        (b"BAM\x01" + bytes(60), "but should be a list of words"),
    ],
    ids=["cut gzip", "no text", "BAM"],
)
def test_damaged_and_other_files_are_refused_by_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=words) as error:
        lines(path)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named_with_the_kind_that_is_expected(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="none does not exist or is no file; give a list of words"):
        lines(tmp_path / "none")
    with pytest.raises(MissingFileError):
        lines(tmp_path)


def test_a_line_may_be_long_but_not_without_end(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"A" * (LONGEST + 1), compresslevel=1))
    with pytest.raises(FileFormatError, match="has a line of more than"):
        lines(path)


def test_the_limit_of_csv_is_raised_and_put_back() -> None:
    before = csv.field_size_limit()
    with long_fields():
        assert csv.field_size_limit() == LONGEST
    assert csv.field_size_limit() == before


def test_pipes_and_folders_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(FileFormatError, match="is a pipe, a device or a folder"):
            refuse_device(path)
    refuse_device(tmp_path / "none")
