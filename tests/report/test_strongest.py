"""Tests of the rows that a page shows of very many: the same ones, in the same order, as a ranking of all would give."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.report.cards import Card
from genoformer.report.page import write_page
from genoformer.report.scored import read_scored
from genoformer.report.strongest import Rank, Strongest, by_strength

_COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def scored_vcf(path: Path, keys: list[str], rows: list[str], more: tuple[str, ...] = ()) -> Path:
    infos = [f'##INFO=<ID={key},Number=A,Type={"String" if "NOISE" in key else "Float"},Description="x">' for key in keys]
    path.write_text("\n".join(["##fileformat=VCFv4.3", *infos, *more, _COLUMNS, *rows]) + "\n")
    return path


def substitutions_and_indels(path: Path) -> Path:
    rows = [f"1\t{i}\t.\tA\tC\t.\t.\tGF_LLR=0.0{i};GF_PLL=." for i in range(1, 8)]
    rows += ["1\t50\t.\tA\tACCC\t.\t.\tGF_LLR=.;GF_PLL=-99", "1\t60\t.\tACC\tA\t.\t.\tGF_LLR=.;GF_PLL=-50"]
    return scored_vcf(path, ["GF_LLR", "GF_PLL"], rows)


def below_and_above(path: Path) -> Path:
    rows = [f"1\t{i}\t.\tA\tAC\t.\t.\tGF_SAD=2.{i};GF_SAD_NOISE=below" for i in range(1, 9)]
    rows += [f"1\t{i}\t.\tA\tC\t.\t.\tGF_SAD=1.{i}" for i in range(20, 24)]
    of_tracks = ("##genoformer_options=shifts=0", "##genoformer_noise=places=16;SAD=2.9/0.034")
    return scored_vcf(path, ["GF_SAD", "GF_SAD_NOISE"], rows, of_tracks)


@pytest.mark.parametrize("most", [4, 7, 8, 9, 100])
def test_indels_take_turns_with_substitutions_however_many_rows_are_kept(tmp_path: Path, most: int) -> None:
    found = read_scored(substitutions_and_indels(tmp_path / "s.vcf"), most)
    assert [row.row[1] for row in found.strongest(4).rows] == [7, 50, 6, 60]
    if most < 9:
        assert [row[1] for row in found.rows] == [7, 50, 6, 60, 5, 4, 3, 2][:most]
    else:
        assert [row[1] for row in found.rows] == [1, 2, 3, 4, 5, 6, 7, 50, 60]


@pytest.mark.parametrize("most", [1, 4, 8, 12, 100])
def test_rows_above_the_noise_floor_are_kept_before_larger_ones_below_it(tmp_path: Path, most: int) -> None:
    found = read_scored(below_and_above(tmp_path / "n.vcf"), most)
    assert (found.n_below, found.n_above) == (8, 4)
    shown = found.strongest(4)
    assert shown.above is True
    assert [row.row[1] for row in shown.rows] == [23, 22, 21, 20][: min(most, 4)]
    if most == 8:
        assert [row[1] for row in found.rows] == [23, 22, 21, 20, 8, 7, 6, 5]


@pytest.mark.parametrize(
    ("write", "most", "says"),
    [
        (below_and_above, 8, ("Strongest variants", "8 of 12 alleles, those with the largest |SAD|, those above the noise")),
        (below_and_above, 100, ("Strongest variants", "12 of 12 alleles")),
        (substitutions_and_indels, 7, ("Strongest variants", "7 of 9 alleles, those with the largest |LLR| or |PLL|")),
    ],
)
def test_the_page_says_how_its_rows_were_chosen(tmp_path: Path, write, most: int, says: tuple[str, ...]) -> None:
    found = read_scored(write(tmp_path / "s.vcf"), most)
    write_page(found, tmp_path / "r.html", title="t", cards=[Card("f", 0, 1.0, "s", (), (), ())])
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert all(words in text for words in says)


RANKS = st.none() | st.builds(Rank, st.integers(0, 1), st.integers(0, 5).map(float), st.booleans())


@given(st.lists(RANKS, max_size=30), st.integers(0, 30))
def test_rows_that_are_kept_are_the_first_of_a_ranking_of_all(ranks: list[Rank | None], most: int) -> None:
    kept = Strongest(most)
    rows = [[i] for i in range(len(ranks))]
    for row, rank in zip(rows, ranks, strict=True):
        kept.add(row, rank)
    above, below = by_strength((rank, row) for rank, row in zip(ranks, rows, strict=True) if rank is not None)
    ranked = [*(each.row for each in (*above, *below)), *(row for row, rank in zip(rows, ranks, strict=True) if rank is None)]
    assert kept.rows() == (rows if len(rows) <= most else ranked[:most])
