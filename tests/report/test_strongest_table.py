"""The table of `score` on a terminal: the largest scores first, in as many columns as fit."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.formats.vcf import Record
from genoformer.genome.variants import Status
from genoformer.report.strongest_table import StrongestSink
from genoformer.writers import Column, Header, Provenance

NAN = float("nan")
LLR, PLL = Column("LLR", "bits", "a"), Column("PLL", "bits", "b")
SAD, TRACK = Column("SAD", "x", "c"), Column("SAD_TRACK", "", "d", ("CAGE:liver", "DNASE"), "SAD")
FLAG = Column("SAD_NOISE", "", "e", ("below",), "SAD")
LINES = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]


def filled(columns: list[Column], rows: list[tuple[int, str, str, str, list[list[float]]]], most: int = 20) -> StrongestSink:
    """A sink with the records (POS, ID, REF, ALTs, values of each ALT)."""
    sink = StrongestSink(most)
    with sink.writing(Header(LINES, {}, columns, Provenance("0"))) as out:
        for pos, name, ref, alts, values in rows:
            record = Record(f"chr1\t{pos}\t{name}\t{ref}\t{alts}\t.\t.\t.", "chr1", pos, name, ref, tuple(alts.split(",")))
            out.write(record, [Status.OK] * len(record.alts), np.array(values))
    return sink


def test_the_largest_come_first_and_insertions_alternate() -> None:
    rows = [
        (1_000, "rs1", "A", "C,G", [[0.5, NAN], [-3.25, NAN]]),
        (2_000, ".", "A", "AT", [[NAN, 90.0]]),
        (3_000, ".", "A", "T", [[NAN, NAN]]),
        (4_000, ".", "A", "T", [[1.0, NAN]]),
    ]
    assert filled([LLR, PLL], rows).lines() == [
        "4 strongest of 4 scored alleles: SNVs by |LLR|, indels by |PLL|, in turn",
        "variant          id   LLR    PLL",
        "chr1:1,000 A>G   rs1  -3.25",
        "chr1:2,000 A>AT  .           90",
        "chr1:4,000 A>T   .    1",
        "chr1:1,000 A>C   rs1  0.5",
    ]
    few = filled([LLR, PLL], rows, most=2).lines()
    assert few[0].startswith("2 strongest of 4 scored")
    assert [line.split()[1] for line in few[2:]] == ["A>G", "A>AT"]


def test_alleles_below_the_noise_floor_come_last_and_columns_that_do_not_fit_are_cut() -> None:
    rows = [(5, ".", "A", "C", [[9.0, 0, 0]]), (6, ".", "A", "G", [[-1.0, 1, NAN]])]
    sink = filled([SAD, TRACK, FLAG], rows)
    assert [line.split()[1] for line in sink.lines()[2:]] == ["A>G", "A>C"]
    assert sink.lines()[0].endswith("by |SAD|; below the noise floor: the last 1")
    assert filled([SAD, TRACK, FLAG], rows[:1]).lines()[0].endswith("; below the noise floor: all")
    assert sink.lines(60)[1].split() == ["variant", "SAD", "SAD_TRACK", "SAD_NOISE"]  # no column of ids: there are none
    assert sink.lines(30)[1].split() == ["variant", "SAD", "SAD_TRACK"]
    assert sink.lines(1)[1].split() == ["variant"]


@pytest.mark.parametrize("rows", [[], [(5, ".", "A", "C", [[NAN, NAN]])]])
def test_without_scores_it_says_so(rows: list[tuple[int, str, str, str, list[list[float]]]]) -> None:
    assert filled([LLR, PLL], rows).lines() == ["no allele has a score"]


def test_long_alleles_are_cut() -> None:
    sink = filled([LLR], [(5, ".", "A" * 40, "C", [[1.0]])])
    assert sink.lines()[2].startswith("chr1:5 AAAAAAAA...(40)>C")
