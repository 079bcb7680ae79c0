"""TRANSFAC entries: names, letters of the columns, numbers of the rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from genoformer.errors import FileFormatError
from genoformer.formats.motif_files import read_matrices

ENTRY = "AC  M1\nXX\nID  V$X\nXX\nP0      A      C      G      T\n01  1  2  3      9      T\n02  8 2 1 1 A\nXX\n//\n"


@pytest.mark.parametrize(
    ("text", "bases", "name"),
    [
        (ENTRY, [3, 0], "M1 V$X"),
        (ENTRY.replace("P0 ", "PO\t"), [3, 0], "M1 V$X"),
        ("VV  TRANSFAC MATRIX TABLE\nXX\n//\n" + "CC  a long head\n" * 60 + ENTRY, [3, 0], "M1 V$X"),
        (ENTRY.replace("A      C      G      T\n", "T      G      C      A\n"), [0, 3], "M1 V$X"),
        (ENTRY.replace("      T\n01", "      U\n01"), [3, 0], "M1 V$X"),
        (ENTRY.replace("\n01", "\n00").replace("\n02", "\n01"), [3, 0], "M1 V$X"),
        (ENTRY.replace("\n01", "\n1").replace("\n02", "\n2"), [3, 0], "M1 V$X"),
        (ENTRY.replace("AC  M1\nXX\nID  V$X", "NA  GATA"), [3, 0], "GATA"),
        (ENTRY.removesuffix("//\n"), [3, 0], "M1 V$X"),
    ],
)
def test_transfac_as_programs_write_it(tmp_path: Path, text: str, bases: list[int], name: str) -> None:
    (tmp_path / "m.transfac").write_text(text)
    (found,) = read_matrices(tmp_path / "m.transfac")
    assert (found.p.argmax(1).tolist(), found.name, found.n_sites) == (bases, name, 15)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ENTRY.replace("G      T\n01", "G      T N\n01"), "line 5: the alphabet has 5 letters, ACGTN"),
        (ENTRY.replace("\n02", "\n03"), "line 7: row 2 of motif M1 V$X is expected, but found 03; is a row missing?"),
        (ENTRY.replace("02  8 2 1 1 A", "02  8 2 1 A"), "line 7: '8 2 1 A' are no numbers"),
        (ENTRY.replace("02  8 2 1 1 A", "02  8 2 1"), "line 7: motif M1 V$X is not four numbers"),
        (ENTRY.replace("02  8 2 1 1 A", "02  8 2 1 1 5"), "line 7: motif M1 V$X is not four numbers"),
        (ENTRY.replace("02  8 2 1 1", "02  8 -2 1 1"), "line 7: motif M1 V$X has negative numbers"),
        (ENTRY.replace("02  8 2 1 1", "02  0 0 0 0"), "line 7: motif M1 V$X has a position without counts"),
        (ENTRY.replace("//\n", "") + ENTRY, "line 13: a second matrix in one entry; end each entry with //"),
        ("AC  M1\nP0  A C G T\nXX\n//\n", "line 2: motif M1 has no rows of numbers"),
        ("DE x\n0 1 2 3 4 T\nXX\n//\n", "no line P0 with the letters of a matrix"),
    ],
)
def test_broken_entries_are_refused_with_the_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "m.transfac").write_text(text)
    with pytest.raises(FileFormatError) as refused:
        read_matrices(tmp_path / "m.transfac")
    assert said in str(refused.value)
