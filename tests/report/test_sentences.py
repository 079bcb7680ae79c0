"""The sentence of a score follows its value, sign and kind."""

from __future__ import annotations

import pytest

from genoformer.report.sentences import score_sentence
from genoformer.scoring.scores import SCORES

ALLELES = ("A", "GT")
CASES = [
    ("LLR", -3.0, None, "GT 8 times less likely than A here, given the bases around it: it expects the reference."),
    ("LLR", 4.0, None, "GT 16 times more likely than A here, given the bases around it: it expects the alternative."),
    ("LLR", -0.5, None, "GT 1.4 times less likely than A"),
    ("LLR", -2000.0, None, "GT far less likely than A"),
    ("PLL", -3.0, None, "the sequence with GT less likely than that with A"),
    ("SAD", 0.5, "DNASE", "The predicted DNASE over the window is higher with GT than with A."),
    ("SAD501", -0.5, "DNASE", "The predicted DNASE around the variant is lower with GT than with A."),
    ("SAR", -1.0, None, "The predicted signal over the window is 2 times lower with GT than with A."),
    ("LOGIT", 1.0, "promoter", "With GT the model predicts promoter more strongly than with A."),
    ("D2", 3.0, "DNASE", "it has no direction"),
    ("SAD", 0.0, "DNASE", "no difference between REF and ALT"),
    ("OTHER", 1.0, None, "its own words"),
]


@pytest.mark.parametrize(("name", "value", "output", "text"), CASES)
def test_the_sentence_states_size_and_direction(name: str, value: float, output: str | None, text: str) -> None:
    assert text in score_sentence(name, value, ALLELES, output, "its own words")


@pytest.mark.parametrize("name", SCORES)
def test_each_score_has_a_sentence_of_either_sign(name: str) -> None:
    up, down = (score_sentence(name, value, ALLELES, "DNASE") for value in (1.5, -1.5))
    assert up.endswith(".")
    assert (up != down) == SCORES[name].signed
