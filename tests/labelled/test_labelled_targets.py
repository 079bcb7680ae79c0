"""Labels to targets: tables with visible answers."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.errors import ConfigError
from genoformer.labelled.targets import targets_of


def rows(*labels: str) -> list[tuple[str, ...]]:
    return [(label,) for label in labels]


@pytest.mark.parametrize(
    ("labels", "classes", "values"),
    [
        (("1", "0", "1"), ("0", "1"), [1, 0, 1]),
        (("10", "9", "-1"), ("-1", "9", "10"), [2, 1, 0]),
        (("class10", "class2"), ("class2", "class10"), [1, 0]),
        (("promoter", "enhancer"), ("enhancer", "promoter"), [1, 0]),
        (("enhancer", "negative"), ("negative", "enhancer"), [1, 0]),  # the finding is the second of two classes
        (("b", "2", "a10", "a9"), ("2", "a9", "a10", "b"), [3, 0, 2, 1]),
    ],
)
def test_classes_are_inferred_and_sorted(labels: tuple[str, ...], classes: tuple[str, ...], values: list[int]) -> None:
    found = targets_of(rows(*labels), "classify")
    assert (found.kind, found.classes, found.values.tolist(), found.n_outputs) == ("classes", classes, values, len(classes))
    assert found.values.dtype == np.int64


def test_given_classes_keep_their_order_and_may_be_absent() -> None:
    assert targets_of(rows("a", "a"), "classify", ("c", "a", "b")).values.tolist() == [1, 1]


def test_several_classes_at_once() -> None:
    found = targets_of(rows("a;b", "b", ";", "b; c"), "classify")
    assert (found.kind, found.classes) == ("multilabel", ("a", "b", "c"))
    assert found.values.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 1, 1]]
    assert found.values.dtype == np.float32
    again = targets_of(rows("b"), "classify", found.classes, multi_label=True)
    assert (again.kind, again.values.tolist()) == ("multilabel", [[0, 1, 0]])
    flags = targets_of([("0", "1"), ("1", "1")], "classify", columns=("label_x", "label_y"))
    assert (flags.kind, flags.classes, flags.values.tolist()) == ("multilabel", ("label_x", "label_y"), [[0, 1], [1, 1]])


def test_an_empty_label_is_no_class_where_several_are_allowed() -> None:
    found = targets_of(rows("a", "", ";", "b"), "classify", multi_label=True)
    assert (found.kind, found.classes, found.values.tolist()) == ("multilabel", ("a", "b"), [[1, 0], [0, 0], [0, 0], [0, 1]])
    one = targets_of(rows("a", ""), "classify", multi_label=True)  # there is something to learn: a or not
    assert (one.classes, one.values.tolist()) == (("a",), [[1], [0]])
    with pytest.raises(ConfigError, match="no sequence has a class"):
        targets_of(rows("", ";"), "classify", multi_label=True)


def test_values() -> None:
    found = targets_of([("1", "-2.5"), ("0", "1e3")], "regress", columns=("label1", "label2"))
    assert (found.kind, found.classes, found.values.tolist()) == ("values", ("label1", "label2"), [[1, -2.5], [0, 1000]])
    assert found.values.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "task", "options", "message"),
    [
        (rows("a", "b"), "guess", {}, "task 'guess' is unknown; known are classify, regress"),
        ([], "classify", {}, "there are no labels"),
        (rows("a", "a"), "classify", {}, "all labels are a: with one class"),
        (rows("a;", "a"), "classify", {}, "all labels are a: with one class"),
        (rows("a", "x"), "classify", {"classes": ("a", "b")}, "sequence 2: class x is unknown; known are a, b"),
        (rows("a;b"), "classify", {"classes": ("a", "b"), "multi_label": False}, "class a;b is unknown"),
        ([("0", "1"), ("1", "2")], "classify", {"columns": ("l1", "l2")}, "sequence 2: l2 is '2'"),
        ([("0", "1")], "classify", {"columns": ("l1", "l2"), "classes": ("l2", "l1")}, "label columns are l1, l2, but should"),
        ([("0", "1")], "classify", {}, "one text for each of the columns label"),
        (rows("1", "high"), "regress", {}, "sequence 2: label is 'high', but should be a number"),
        (rows("1", "nan"), "regress", {}, "sequence 2: label is nan"),
        (rows("0", "1", "NaN"), "classify", {}, "sequence 3: the label 'NaN' is a missing value"),
        (rows("a;b", "NA;a"), "classify", {}, "sequence 2: the label 'NA' is a missing value"),
        (rows("0", "1", "1.0"), "classify", {}, r"classes 1 and 1\.0 are one number"),
        (rows(*(f"{i}.5" for i in range(30))), "classify", {}, "30 different numbers .* did you mean --task regress"),
        (rows("-inf"), "regress", {}, "sequence 1: label is -inf"),
        (rows("1e39"), "regress", {}, "sequence 1: label is 1e39"),
    ],
)
def test_bad_labels_are_refused(labels: list[tuple[str, ...]], task: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        targets_of(labels, task, **options)
