"""Logos of a language model's explanation show the alleles, although its prediction of the masked base is one for both."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from small_models import small_encoder

from genoformer.genome.codes import A, C, N
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.interpretation.explain import expected_letters, explain
from genoformer.scoring.scorers import make_scorer
from genoformer.scoring.scores import SCORES
from genoformer.scoring.settings import Scoring
from genoformer.tokenizers import BaseTokenizer

BASES = "".join(random.Random(3).choices("ACGT", k=300))


def test_heights_are_log_odds_of_the_bases_of_the_sequence() -> None:
    log2_p = np.log2([[0.5, 0.125, 0.125, 0.25], [0.5, 0.125, 0.125, 0.25], [0.25] * 4])
    heights = expected_letters(log2_p, np.array([A, C, N], dtype=np.uint8))
    expected = np.zeros((3, 4))
    expected[0, 0] = -1 - (-3 - 3 - 2) / 3
    expected[1, 1] = -3 - (-1 - 3 - 2) / 3
    assert np.allclose(heights, expected)


@pytest.mark.parametrize("both_strands", [True, False])
def test_the_alleles_differ_by_four_thirds_of_the_llr(tmp_path: Path, both_strands: bool) -> None:
    """log2 P(alt) - mean of the others minus log2 P(ref) - mean of the others is 4/3 (log2 P(alt) - log2 P(ref))."""
    (tmp_path / "g.fa").write_text(f">c1\n{BASES}\n")
    model = small_encoder(BaseTokenizer(), context_length=40, init_std=0.4).eval()
    scoring = Scoring((model,), (SCORES["LLR"],), both_strands=both_strands)
    scorer = make_scorer(Genome(tmp_path / "g.fa"), scoring)
    ref = BASES[149]
    variant = Variant("c1", 150, ref, ref.translate(str.maketrans("ACGT", "CGTA")))
    explained = explain(scorer, variant, flank=8)
    heights = [logo.sum(1) for logo in (explained.ref, explained.alt)]
    llr = float(scorer.score([variant]).values[0][0])
    assert heights[1][8] - heights[0][8] == pytest.approx(4 / 3 * llr, abs=1e-4)
    assert abs(llr) > 0.1
    assert np.abs(np.delete(heights[1] - heights[0], 8)).max() > 1e-3  # the neighbours see the allele
    for logo, allele in ((explained.ref, variant.ref), (explained.alt, variant.alt)):
        assert np.flatnonzero(logo[8]).tolist() == ["ACGT".index(allele)]
