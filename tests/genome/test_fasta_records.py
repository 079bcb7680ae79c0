"""Records without bases, in plain and gzipped files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from genoformer.errors import FileFormatError
from genoformer.genome.reference import Genome, require_bases


@pytest.mark.parametrize("name", ["a.fa", "a.fa.gz"])
def test_the_first_empty_record_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    text = b">one\nACGT\nAC\n>onetwo\n>three\n>two x\nA\n"
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    with Genome(tmp_path / name) as genome, pytest.raises(FileFormatError) as refused:
        require_bases(genome)
    said = "line 4: record onetwo has 0 bases, as has 1 other; complete or remove it."
    assert str(refused.value) == f"{tmp_path / name}, {said}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (">a\n>b\nAC\n", "record a has 0 bases; complete"),
        (">a\n>b\nAC\n>c\n", "record a has 0 bases, as has 1 other; complete"),
        (">a\n>b\nAC\n>c\n>d\n", "record a has 0 bases, as have 2 others; complete"),
    ],
)
def test_the_others_are_counted(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.fa").write_text(text)
    with Genome(tmp_path / "a.fa") as genome, pytest.raises(FileFormatError, match=said):
        require_bases(genome)


def test_records_with_bases_pass(make_fasta) -> None:
    require_bases(Genome(make_fasta(a="ACGT", b="N")))
