"""Strands of tracks, from a column, from signs and from words in which the two tracks of a pair differ."""

from __future__ import annotations

import pytest

from genoformer.errors import ConfigError, FileFormatError
from genoformer.formats.track_strands import UNKNOWN, read_strand, signs_of, strands_of
from genoformer.formats.track_table import Track, TrackTable, read_targets


def pair(first: str, second: str, about: tuple[str, str] = ("", ""), strands: tuple[str, str] = ("", "")) -> list[Track]:
    return [Track(i, (first, second)[i], strand_pair=1 - i, description=about[i], strand=strands[i]) for i in (0, 1)]


@pytest.mark.parametrize(
    ("tracks", "strands"),
    [
        (pair("A+", "A-"), "+-"),
        (pair("A-", "A+"), "-+"),
        (pair("cage.liver.plus", "cage.liver.minus"), "+-"),
        (pair("mixed:cage.minus", "mixed:cage.plus"), "-+"),
        (pair("rna_rev", "rna_fwd"), "-+"),
        (pair("X_forward_1", "X_reverse_1"), "+-"),
        (pair("NegStrand", "x"), "??"),  # no word of its own
        (pair("pos", "neg"), "+-"),
        (pair("a", "b", ("RNA:plus strand", "RNA:minus strand")), "+-"),
        (pair("polyA plus, minus", "polyA plus, plus"), "-+"),  # they differ in one word
        (pair("polyA plus 1", "polyA plus 2"), "??"),  # both have the word
        (pair("a minus", "b minus"), "??"),
        (pair("a", "b"), "??"),
        (pair("A+", "B+"), "??"),
        (pair("plus", "minus", strands=("-", "+")), "-+"),  # the column counts
        (pair("a", "b", strands=("", "+")), "-+"),
        (pair("A+", "A-", strands=(".", ".")), ".."),
        ([Track(0, "CD4+", strand_pair=0)], "."),  # no pair
        ([Track(0, "CD4+", strand_pair=0, strand="-")], "-"),
    ],
)
def test_strands(tracks: list[Track], strands: str) -> None:
    assert "".join(strands_of(tracks)) == strands
    table = TrackTable(tuple(tracks))
    assert "".join(table.strands) == strands.replace(UNKNOWN, ".")
    assert table.unknown_strands.tolist() == [strand == UNKNOWN for strand in strands]


def test_signs_are_the_ends_of_identifiers() -> None:
    assert signs_of([*pair("A+", "A-"), Track(2, "CD4+", strand_pair=2)]) == "+-."
    assert signs_of(pair("a.plus", "a.minus")) == ".."


def test_a_table_with_a_column_strand(tmp_path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text("identifier\tstrand_pair\tstrand\na\t1\tplus\nb\t0\t-\nc\t2\tunstranded\nd\t3\t\n")
    table = read_targets(path)
    assert "".join(table.strands) == "+-.."
    table.write(tmp_path / "again.tsv")
    assert read_targets(tmp_path / "again.tsv") == table
    path.write_text("identifier\tstrand\na\tup\n")
    with pytest.raises(FileFormatError, match=r"line 2: strand is 'up'; give \+, -, \. for an unstranded track"):
        read_targets(path)
    with pytest.raises(ConfigError, match="tracks a and b are a strand pair, and both have the strand"):
        TrackTable(tuple(pair("a", "b", strands=("+", "+"))))
    assert [read_strand(text, "x") for text in ("FWD", "*", "nan")] == ["+", ".", ""]
