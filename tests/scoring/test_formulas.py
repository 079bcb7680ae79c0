"""Formulas of scores against numbers worked out by hand, and scipy where it has the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import cosine, jensenshannon

from genoformer.scoring import formulas
from genoformer.scoring.scores import SCORES

LOG2 = np.log2
REF, ALT = np.array([[1.0, 2, 4]]), np.array([[3.0, 1, 4]])


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        (formulas.sad, 2 - 1 + 0),
        (formulas.sar, math.log2(9) - math.log2(8)),
        (formulas.log_sad, math.log2(4 / 2) + math.log2(2 / 3)),
        (formulas.sax, 2),
        (formulas.d1, 3),
        (formulas.d2, math.sqrt(5)),
        (formulas.euclidean_distance, math.sqrt(5)),
        (formulas.cosine_distance, cosine(REF[0], ALT[0])),
    ],
)
def test_numbers_by_hand(formula, expected: float) -> None:
    assert formula(REF, ALT) == pytest.approx([expected])
    assert formula(REF, REF) == pytest.approx([0])


def test_sax_keeps_the_sign_of_the_largest_change() -> None:
    assert formulas.sax(np.array([[5.0, 1]]), np.array([[2.0, 3]])).tolist() == [-3]


def test_js_of_tracks_is_the_mean_of_both_divergences() -> None:
    pseudocount = 1.5  # 25th percentile of 1, 2, 4
    p, q = (row + pseudocount for row in (REF[0], ALT[0]))
    p, q = p / p.sum(), q / q.sum()
    expected = (sum(p * np.log(p / q)) + sum(q * np.log(q / p))) / 2
    assert formulas.js(REF, ALT) == pytest.approx([expected])
    assert formulas.js(np.zeros((1, 3)), np.zeros((1, 3))).tolist() == [0]


@pytest.mark.parametrize(("p", "q"), [([0.5, 0.25, 0.125, 0.125], [0.1, 0.2, 0.3, 0.4]), ([1, 0, 0, 0], [0, 1, 0, 0])])
def test_jensen_shannon_is_that_of_scipy(p: list[float], q: list[float]) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = formulas.jensen_shannon(LOG2([p]), LOG2([q]))
    assert found == pytest.approx([jensenshannon(p, q, base=2) ** 2])


def test_entropy_of_even_and_of_certain_bases() -> None:
    logs = LOG2(np.array([[0.25] * 4, [0.5, 0.25, 0.125, 0.125]]))
    assert formulas.entropy(logs, np.zeros_like(logs)).tolist() == [2.0, 1.75]


def test_ratios_are_differences_of_logarithms() -> None:
    ref, alt = np.array([-3.0, 2.0]), np.array([-1.0, 2.0])
    for formula in (formulas.log_ratio, formulas.log_odds_change, formulas.change):
        assert formula(ref, alt).tolist() == [2.0, 0.0]


def test_every_score_takes_its_formula_from_here() -> None:
    assert all(getattr(formulas, score.function.__name__) is score.function for score in SCORES.values())
