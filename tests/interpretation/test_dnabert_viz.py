"""DNABERT-viz's motif discovery against loops written from its description, and on motifs that were planted."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from amounts import examples
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from genoformer.errors import ConfigError
from genoformer.genome.codes import decode, encode
from genoformer.interpretation.dnabert_viz import (
    DiscoveryLimits,
    Instance,
    best_shift,
    centred,
    discover,
    enrichment,
    high_regions,
    merged,
)


def naive_regions(scores: list[float], shortest: int) -> list[tuple[int, int]]:
    mean, low = sum(scores) / len(scores), min(scores)
    found, start = [], None
    for i, score in enumerate([*scores, -math.inf]):
        high = i < len(scores) and score > mean and score > 10 * low
        if high and start is None:
            start = i
        if not high and start is not None:
            if i - start >= shortest:
                found.append((start, i))
            start = None
    return found


@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=60), st.integers(1, 6))
@examples(200)
def test_regions_are_the_runs_above_the_mean_and_ten_times_the_minimum(scores, shortest) -> None:
    found = high_regions(np.array(scores), shortest)
    mean = np.mean(scores)
    if all(abs(s - mean) > 1e-12 for s in scores):  # a mean in another order of summation may round otherwise
        assert found == naive_regions(scores, shortest)
    assert all(b - a >= shortest for a, b in found)
    assert all(a[1] < b[0] for a, b in pairwise(found))


def test_enrichment_is_the_tail_of_the_hypergeometric_distribution_with_benjamini_hochberg() -> None:
    positive, negative = ["ACGTACGT", "ACGTTTTT", "GGGGACGT"], ["TTTTTTTT", "GGGGGGGG", "CACACACA", "TTACGTTT"]
    candidates = ["ACGT", "TTTT", "GGGG", "CACA"]
    p = []
    for text in candidates:
        x, n = sum(text in s for s in positive), sum(text in s for s in positive + negative)
        p.append(sum(hypergeom.pmf(i, 7, 3, n) for i in range(x, 4)))
    assert p[0] == pytest.approx(4 / 35)  # all three of four that hold it are positive: C(3,3) C(4,1) / C(7,4)
    order = np.argsort(p)
    q, last = [0.0] * 4, 1.0
    for rank in range(3, -1, -1):
        last = min(last, p[order[rank]] * 4 / (rank + 1))
        q[order[rank]] = last
    assert enrichment(candidates, positive, negative) == pytest.approx(q)
    assert enrichment([], positive, negative).shape == (0,)


def test_places_are_counted_when_once_is_not_enough() -> None:
    once = enrichment(["AA"], ["AAAA", "CCCC"], ["AATT", "GGGG"])
    often = enrichment(["AA"], ["AAAA", "CCCC"], ["AATT", "GGGG"], once=False)
    assert once[0] == pytest.approx(1 - 1 / 6)  # of two in four that hold it, one or more of the two positive
    assert often[0] < once[0]


@given(st.text("ACGT", min_size=1, max_size=12), st.text("ACGT", min_size=1, max_size=12))
@examples(100)
def test_the_best_shift_is_the_ungapped_alignment(a, b) -> None:
    best, shifts = best_shift(a, b)
    pad = "." * len(b)
    wide = pad + a + pad
    scores = {s: sum(x == y for x, y in zip(wide[s + len(b) :], b, strict=False)) for s in range(-len(b) + 1, len(a))}
    assert best == max(scores.values())
    assert shifts == [s for s, score in scores.items() if score == best]


def test_the_best_shift_is_that_of_biopython() -> None:
    align = pytest.importorskip("Bio.Align", reason="the reference: pip install biopython")
    aligner = align.PairwiseAligner()
    aligner.match_score, aligner.mismatch_score, aligner.end_gap_score = 1, 0, 0  # what was the default then
    aligner.internal_gap_score = -10000.0  # as DNABERT's motif_utils.py
    random = np.random.default_rng(0)
    for _ in range(100):
        a, b = (decode(random.integers(0, 4, random.integers(4, 12), dtype=np.uint8)) for _ in range(2))
        assert best_shift(a, b)[0] == aligner.align(a, b).score


def test_what_is_alike_lies_on_its_seed() -> None:
    places = {
        "GATTAC": [Instance(0, 10, 16)],
        "GATTACA": [Instance(1, 20, 27)],
        "TGATTAC": [Instance(2, 30, 37)],
        "CCCCCC": [Instance(0, 40, 46)],
    }
    groups = merged(places)
    assert set(groups) == {"CCCCCC", "GATTAC"}
    moved = dict(groups["GATTAC"])
    assert moved["GATTACA"] == [Instance(1, 20, 26)]
    assert moved["TGATTAC"] == [Instance(2, 31, 37)]  # its second base is the seed's first


def test_windows_lie_around_the_middle_and_inside() -> None:
    places = [Instance(0, 10, 16), Instance(0, 10, 16), Instance(0, 1, 7), Instance(1, 20, 26)]
    assert centred(places, 8, [30, 26]) == [Instance(0, 9, 17), Instance(0, 0, 8)]


def world(n: int = 60, planted: float = 0.8, motif: str = "GGCACGTGCC"):
    """Positive sequences with a motif at a known place, and what a model that looks at it says."""
    random = np.random.default_rng(4)
    positive = random.integers(0, 4, (n, 80), dtype=np.uint8)
    negative = random.integers(0, 4, (n, 80), dtype=np.uint8)
    scores = random.uniform(0.09, 0.2, (n, 80))
    scores[:, 0] = 0.01
    for row, of in zip(positive[: int(planted * n)], scores, strict=False):
        at = int(random.integers(15, 55))
        row[at : at + len(motif)] = encode(motif)
        of[at : at + len(motif)] = 1
    return list(positive), list(scores), list(negative)


def test_a_planted_motif_is_found_and_every_stage_is_counted() -> None:
    positive, scores, negative = world()
    found = discover(positive, scores, negative)
    best = found.motifs[0]
    assert "GGCACGTGCC" in best.consensus
    assert len(best.windows) >= 40
    assert best.counts.shape == (24, 4)
    assert (best.counts.sum(1) == len(best.windows)).all()
    np.testing.assert_allclose(best.frequencies.sum(1), 1)
    n = list(found.survivors.values())
    assert n[0] == 60
    assert n[1] >= n[2] >= n[3] >= n[4]
    assert n[6] == len(found.motifs)
    assert "no motif" not in found.text()
    assert f"{n[3]:>9,}  candidates enriched over the negative sequences (q < 0.005)" in found.text()


@pytest.mark.parametrize(
    ("change", "stage"),
    [
        ({"scores": np.ones}, "regions of 5 bases or more with high scores"),
        ({"limits": DiscoveryLimits(q=1e-300)}, "candidates enriched over the negative sequences (q < 1e-300)"),
        ({"limits": DiscoveryLimits(window=82)}, "windows of 82 bases inside their sequences"),
        ({"limits": DiscoveryLimits(instances=1000)}, "motifs of 1000 windows or more"),
    ],
)
def test_an_empty_result_says_which_stage_emptied_it(change, stage) -> None:
    positive, scores, negative = world()
    if "scores" in change:
        scores = [np.ones(80) for _ in scores]
    found = discover(positive, scores, negative, change.get("limits"))
    assert not found.motifs
    assert found.text().endswith(f"no motif: no survivor of the stage: {stage}")


def test_an_unknown_base_is_no_motif() -> None:
    positive, scores, negative = world(planted=1.0)
    for codes, of in zip(positive, scores, strict=True):
        codes[np.asarray(of) > 0.5] = 4
    assert discover(positive, scores, negative).survivors["distinct candidates"] == 0


@pytest.mark.parametrize(
    ("positive", "scores", "negative", "message"),
    [
        ([], [], ["ACGT"], "found 0 positive and 1 negative sequences; give at least one of each"),
        (["ACGT"], [np.ones(3)], ["ACGT"], "scores and sequences differ in number or length"),
    ],
)
def test_what_does_not_fit_is_refused(positive, scores, negative, message) -> None:
    with pytest.raises(ConfigError, match=message):
        discover([encode(t) for t in positive], scores, [encode(t) for t in negative])


def test_maps_with_a_floor_need_no_multiple_of_the_least() -> None:
    scores = np.array([1.0, 1, 3, 3, 3, 3, 3, 1, 1, 2])
    assert high_regions(scores) == []  # nothing is above 10
    assert high_regions(scores, min_fold=0) == [(2, 7)]
    assert high_regions(scores - 4, min_fold=0) == [(2, 7)]  # below 0 everywhere
