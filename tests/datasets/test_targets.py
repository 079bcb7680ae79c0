"""Labels to targets: tables with visible answers."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.datasets.targets import hint_at_values, make_targets, targets_for
from genoformer.errors import ConfigError
from genoformer.tasks import Classification, MultiLabel, Regression, Task


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
    found = make_targets(rows(*labels), "classify")
    assert (found.task, found.values.tolist()) == (Classification(classes), values)
    assert found.values.dtype == np.int64


def test_given_classes_keep_their_order_and_may_be_absent() -> None:
    assert targets_for(Classification(("c", "a", "b")), rows("a", "a")).values.tolist() == [1, 1]


def test_a_class_that_is_a_number_may_be_written_in_another_way() -> None:
    assert targets_for(Classification(("0", "1")), rows("1.0", "0", "1e0")).values.tolist() == [1, 0, 1]
    assert targets_for(Classification(("0.0", "1.0")), rows("1", "0")).values.tolist() == [1, 0]
    flags = make_targets([("0.0", "1"), ("1.0", "0")], "classify", columns=("a", "b"))
    assert flags.values.tolist() == [[0, 1], [1, 0]]


def test_many_classes_with_several_sequences_each_are_classes() -> None:
    """40 classes of 3 sequences; and 8 of one each, which may be what a user has."""
    assert make_targets(rows(*(f"c{i % 40}" for i in range(120))), "classify").task.n_outputs == 40
    assert make_targets(rows(*(f"c{i}" for i in range(8))), "classify").task.n_outputs == 8


def test_a_message_says_where_a_label_stands() -> None:
    with pytest.raises(ConfigError, match=r"v\.csv, line 3: class x is unknown"):
        targets_for(Classification(("a", "b")), rows("a", "x"), place=lambda i: f"v.csv, line {i + 1}")


def test_several_classes_at_once() -> None:
    found = make_targets(rows("a;b", "b", ";", "b; c"), "classify")
    assert found.task == MultiLabel(("a", "b", "c"))
    assert found.values.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 1, 1]]
    assert found.values.dtype == np.float32
    again = targets_for(found.task, rows("b"))
    assert (again.task, again.values.tolist()) == (found.task, [[0, 1, 0]])
    flags = make_targets([("0", "1"), ("1", "1")], "classify", columns=("label_x", "label_y"))
    assert (flags.task, flags.values.tolist()) == (MultiLabel(("label_x", "label_y")), [[0, 1], [1, 1]])


def test_an_empty_label_is_no_class_where_several_are_allowed() -> None:
    found = make_targets(rows("a", "", ";", "b"), "classify", multi_label=True)
    assert (found.task, found.values.tolist()) == (MultiLabel(("a", "b")), [[1, 0], [0, 0], [0, 0], [0, 1]])
    one = make_targets(rows("a", ""), "classify", multi_label=True)  # there is something to learn: a or not
    assert (one.task.names, one.values.tolist()) == (("a",), [[1], [0]])
    with pytest.raises(ConfigError, match="no sequence has a class"):
        make_targets(rows("", ";"), "classify", multi_label=True)


def test_values() -> None:
    found = make_targets([("1", "-2.5"), ("0", "1e3")], "regress", columns=("label1", "label2"))
    assert (found.task, found.values.tolist()) == (Regression(("label1", "label2")), [[1, -2.5], [0, 1000]])
    assert found.values.dtype == np.float32


@pytest.mark.parametrize(
    ("labels", "task", "options", "message"),
    [
        (rows("a", "b"), "guess", {}, "task 'guess' is unknown; known are classify, regress"),
        ([], "classify", {}, "there are no labels"),
        (rows("a", "a"), "classify", {}, "all labels are a: with one class"),
        (rows("a;", "a"), "classify", {}, "all labels are a: with one class"),
        (rows("a", "x"), Classification(("a", "b")), {}, "sequence 2: class x is unknown; known are a, b"),
        (rows("a;b"), Classification(("a", "b")), {}, "class a;b is unknown"),
        ([("0", "1"), ("1", "2")], "classify", {"columns": ("l1", "l2")}, "sequence 2: l2 is '2'"),
        ([("0", "1")], MultiLabel(("l2", "l1")), {"columns": ("l1", "l2")}, "label columns are l1, l2, but should"),
        ([("0", "1")], Classification(("a", "b")), {"columns": ("l1", "l2")}, "found 2 label columns"),
        ([("0", "1")], "classify", {}, "one text for each of the columns label"),
        (rows("1", "high"), "regress", {}, "sequence 2: label is 'high', but should be a number"),
        (rows("1", "nan"), "regress", {}, "sequence 2: label is nan"),
        (rows("0", "1", "NaN"), "classify", {}, "sequence 3: the label 'NaN' is a missing value"),
        (rows("a;b", "NA;a"), "classify", {}, "sequence 2: the label 'NA' is a missing value"),
        (rows("0", "1", "1.0"), "classify", {}, r"classes 1 and 1\.0 are one number"),
        (rows(*(f"{i}.5" for i in range(30))), "classify", {}, "30 different numbers .* did you mean the task regress"),
        (
            rows(*map(str, range(30))),
            "classify",
            {},
            r"30 different numbers in 30 sequences \(0, 1, 2.*: these are too many for classes",
        ),
        (rows(*(f"x{i}" for i in range(30))), "classify", {}, "30 different words in 30 sequences .*look like names"),
        (rows("1", "2.0"), Classification(("0", "1")), {}, r"sequence 2: class 2\.0 is unknown"),
        (rows("-inf"), "regress", {}, "sequence 1: label is -inf"),
        (rows("1e39"), "regress", {}, "sequence 1: label is 1e39"),
    ],
)
def test_bad_labels_are_refused(labels: list[tuple[str, ...]], task: str | Task, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_targets(labels, task, **options) if isinstance(task, str) else targets_for(task, labels, **options)


@pytest.mark.parametrize(
    ("labels", "is_hinted"),
    [
        (["0.0", "0.1", "0.2"], True),
        (["0", "1", "2"], False),
        (["0.0", "1.0", "2.0"], False),
        (["0.0", "0.5"], False),  # two classes
        (["0.1", "0.2", "high"], False),
    ],
)
def test_classes_with_decimals_may_be_values(labels: list[str], is_hinted: bool) -> None:
    hint = hint_at_values(make_targets([(label,) for label in labels], "classify"))
    assert (hint is not None) == is_hinted
    assert hint is None or hint.endswith("give the task regress if they are values.")
    if is_hinted:
        assert hint_at_values(make_targets([(label,) for label in labels], "regress")) is None
