"""Fresh negatives: shuffles with the dinucleotides of a positive, and segments that are random bases, anew in every epoch."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from genoformer.datasets.targets import Targets
from genoformer.errors import ConfigError
from genoformer.genome.codes import decode
from genoformer.tasks import Classification, Regression
from genoformer.training.fresh_negatives import FreshNegatives, NegativesConfig, SoftTargets, replace_segments

RANDOM = np.random.default_rng(0)
SEQUENCES = [RANDOM.integers(0, 4, 40 if i % 3 else 31).astype(np.uint8) for i in range(60)]
LABELS = np.arange(60) % 2
TARGETS = Targets(Classification(("no", "yes")), LABELS)


def fresh(soft: SoftTargets | None = None, targets: Targets = TARGETS, **config: Any) -> FreshNegatives:
    return FreshNegatives(SEQUENCES, targets, soft or SoftTargets(LABELS, LABELS), NegativesConfig(**config), seed=3)


def dinucleotides(codes: Any) -> Counter[str]:
    letters = decode(codes)
    return Counter(letters[i : i + 2] for i in range(len(letters) - 1))


def test_new_negatives_have_the_dinucleotides_of_positives_and_positives_stay() -> None:
    sequences, targets = fresh(fraction=1.0)(0)
    of_positives = Counter(str(sorted(dinucleotides(s).items())) for s, label in zip(SEQUENCES, LABELS, strict=True) if label)
    of_negatives = Counter(
        str(sorted(dinucleotides(s).items())) for s, label in zip(sequences, LABELS, strict=True) if not label
    )
    assert of_negatives == of_positives  # thirty of each: every positive is shuffled once
    assert all(new is old for new, old, label in zip(sequences, SEQUENCES, LABELS, strict=True) if label)
    np.testing.assert_array_equal(targets, LABELS)


def test_a_fraction_of_the_negatives_is_new_and_every_epoch_has_others() -> None:
    make = fresh(fraction=0.5)
    first, again, second = make(0)[0], make(0)[0], make(1)[0]
    changed = [not np.array_equal(new, old) for new, old in zip(first, SEQUENCES, strict=True)]
    assert 5 <= sum(changed) <= 25
    assert [decode(s) for s in first] == [decode(s) for s in again] != [decode(s) for s in second]


def test_the_named_class_is_replaced() -> None:
    sequences, _ = fresh(fraction=1.0, negative="yes")(0)
    changed = np.array([new is not old for new, old in zip(sequences, SEQUENCES, strict=True)])
    np.testing.assert_array_equal(changed, LABELS == 1)


def test_segments_are_whole_and_their_number_is_that_of_the_configuration() -> None:
    codes = np.zeros((4_000, 70), dtype=np.uint8)
    config = NegativesConfig(kind="segments", segment=15, first=9, replaced=0.6, total=20)
    new = replace_segments(codes, config, np.random.default_rng(1))
    bounds = [0, 9, 24, 39, 54, 69]
    replaced = np.stack([(new[:, a:b] != 0).any(axis=1) for a, b in pairwise(bounds)], axis=1)
    # a segment that is replaced is all A with probability 4^-15 (4^-9 for the first)
    np.testing.assert_allclose(replaced.mean(axis=0), 0.6, atol=0.03)
    np.testing.assert_allclose((replaced.sum(axis=1) == 5).mean(), 792 / 15504, atol=0.012)  # 12 over 5 / 20 over 5
    np.testing.assert_allclose((new[:, 20] != 0).mean(), 0.6 * 0.75, atol=0.03)


def test_bases_that_are_unknown_stay() -> None:
    codes = np.full((5, 20), 4, dtype=np.uint8)
    config = NegativesConfig(kind="segments", segment=5, replaced=1.0, total=1)
    np.testing.assert_array_equal(replace_segments(codes, config, np.random.default_rng(0)), codes)


def test_a_teacher_counts_for_old_sequences_alone() -> None:
    labels = np.stack([1.0 - LABELS, LABELS], axis=1)
    soft = SoftTargets(labels, np.full((60, 2), 0.5))
    sequences, targets = fresh(soft, fraction=0.5)(2)
    is_new = np.array([new is not old for new, old in zip(sequences, SEQUENCES, strict=True)])
    assert is_new.any()
    np.testing.assert_array_equal(targets[is_new], labels[is_new])
    assert (targets[~is_new] == 0.5).all()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "reverse"}, "kind = 'reverse': allowed are dinucleotide, segments"),
        ({"fraction": 0.0}, "fraction = 0.0: give a fraction above 0"),
        ({"segment": 10, "first": 10}, "segment = 10, first = 10"),
        ({"negative": "maybe"}, "negative = 'maybe': the classes are no, yes"),
    ],
)
def test_wrong_settings_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fresh(**config)


def test_values_and_three_classes_are_refused() -> None:
    values = Targets(Regression(("x",)), np.zeros((60, 1), dtype=np.float32))
    with pytest.raises(ConfigError, match=r"needs two classes, found 1 value \(x\); remove the table, or take another recipe"):
        fresh(targets=values)
    three = Targets(Classification(("a", "b", "c")), np.arange(60) % 3)
    with pytest.raises(ConfigError, match=r"needs two classes, found 3 classes \(a, b, c\)"):
        fresh(targets=three)
