"""The histogram reaches from the smallest to the largest value and marks variants at their values."""

from __future__ import annotations

import re

import numpy as np
import pytest

from genoformer.report.histogram import Mark, histogram

VALUES = np.concatenate([np.random.default_rng(1).normal(size=5000), [-9.125, 12.5]])


def test_the_ends_are_the_extremes_and_no_value_is_clipped() -> None:
    text = histogram(VALUES, name="LLR", unit="bits")
    assert 'class="low">-9.125<' in text
    assert 'class="high">12.5<' in text
    assert "LLR (bits)" in text
    assert text.count('class="zero"') == 1
    counts = [int(n.replace(",", "")) for n in re.findall(r"<title>[^<]* to [^<]*: ([\d,]+)</title>", text)]
    assert sum(counts) == len(VALUES)
    assert counts[0] == counts[-1] == 1


def test_marks_are_at_their_values() -> None:
    marks = [Mark(1, 12.5, "<b>1:5 A>C"), Mark(2, -9.125, "t"), Mark(3, 12.4, "u")]
    text = histogram(VALUES, name="LLR", marks=marks)
    assert re.findall(r"<title>(\d)\. ", text) == ["2", "3", "1"]
    assert "1. &lt;b&gt;1:5 A&gt;C" in text
    x = [float(at) for at in re.findall(r'<path d="M([\d.]+) 13h7', text)]
    assert x[0] == pytest.approx(44 - 3.5)
    assert x[2] == pytest.approx(360 - 12 - 3.5)
    assert len(re.findall('class="number"', text)) == 2  # 3 and 1 are too close for two numbers


def test_a_range_without_zero_has_no_line_of_zero() -> None:
    assert 'class="zero"' not in histogram(np.array([1.0, 2.0, 3.0]), name="D2")


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0]])
def test_equal_values_have_no_histogram(values: list[float]) -> None:
    assert histogram(np.array(values), name="LLR") == ""
