"""Labels as text -> training targets: classes, several classes per sequence, or values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.genome.contigs import join_names
from genoformer.tasks import Classification, Goal, MultiLabel, Regression, Task

NEGATIVE = "negative"  # class of background sequences; it comes first, so that the second of two classes is the positive one
_MISSING = ("nan", "na", "n/a", "null", "inf", "-inf")  # missing values in tables; never names of classes
_FEW = 10  # up to so many different labels may be classes, with any number of sequences
_MANY = 20  # from so many different numbers on, they are values and not classes


Place = Callable[[int], str]  # number of a sequence (from 1) -> its location in messages


class Targets(NamedTuple):
    """Targets of a model for N sequences: values int64 [N] for classes, float32 [N, C] for labels and values."""

    task: Task
    values: NDArray[Any]


def make_targets(
    labels: Sequence[tuple[str, ...]],
    task: Goal,
    *,
    columns: Sequence[str] = ("label",),
    multi_label: bool | None = None,
    place: Place = lambda i: f"sequence {i}",
) -> Targets:
    """Convert the labels from `read_labelled` to targets, and infer the classes.

    "classify" with one column gives classes. It gives several classes per sequence if any label contains a semicolon
    ("promoter;enhancer"; ";" means none of them) or multi_label is True ("" then means none as well). Several columns must
    contain 0 and 1; each column is a class. Classes are sorted: `negative` first, numbers by value, and text with its
    numbers by value (class2 before class10). "regress" gives values, one per column.

    Parameters: labels, a tuple per sequence; columns, names of the label columns; multi_label, None to infer it from the
    labels; place, function from the number of a sequence (from 1) to its location in messages.

    Raises: ConfigError with the location of the sequence for a label that is not a number or not finite; also if there is a
    single class, or if the labels are too many to be classes.

    >>> make_targets([("b",), ("a",), ("negative",)], "classify").task.names
    ('negative', 'a', 'b')
    >>> make_targets([("a;b",), ("b",)], "classify").values.tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    if task not in get_args(Goal):
        raise ConfigError(f"task {task!r} is unknown; known are {', '.join(get_args(Goal))}.")
    _check_columns(labels, columns)
    inferred = _INFER[task](labels, columns, multi_label, place)
    return targets_for(inferred, labels, columns=columns, place=place)


def targets_for(
    task: Task,
    labels: Sequence[tuple[str, ...]],
    *,
    columns: Sequence[str] = ("label",),
    place: Place = lambda i: f"sequence {i}",
) -> Targets:
    """Convert labels to targets of a known task, such as that of the training data; parameters as in `make_targets`.

    A numeric class may be written differently than in the training data (1 and 1.0).
    Raises ConfigError with the location of the sequence for a label that does not fit, such as an unknown class.
    """
    _check_columns(labels, columns)
    return Targets(task, _ENCODE[type(task)](task, labels, columns, place))


def _infer_classes(
    labels: Sequence[tuple[str, ...]], columns: Sequence[str], multi_label: bool | None, place: Place
) -> Classification | MultiLabel:
    """Return the classes of labels; several columns are a class each."""
    if len(columns) > 1:
        return MultiLabel(tuple(columns))
    if multi_label is None:
        multi_label = any(";" in row[0] for row in labels)
    order = _classes(_sets(labels, place, multi_label=multi_label), may_be_none=multi_label)
    return MultiLabel(order) if multi_label else Classification(order)


def _infer_values(
    labels: Sequence[tuple[str, ...]], columns: Sequence[str], multi_label: bool | None, place: Place
) -> Regression:
    return Regression(tuple(columns))


_INFER: dict[Goal, Callable[..., Task]] = {"classify": _infer_classes, "regress": _infer_values}


def _check_columns(labels: Sequence[tuple[str, ...]], columns: Sequence[str]) -> None:
    if not labels:
        raise ConfigError("there are no labels; give at least one sequence with its label.")
    if any(len(row) != len(columns) for row in labels):
        raise ConfigError(f"labels do not have one text for each of the columns {join_names(columns)}; name all columns.")


def _sets(labels: Sequence[tuple[str, ...]], place: Place, *, multi_label: bool) -> list[list[str]]:
    """Return the classes of each sequence; refuse missing values."""
    sets = [_parts(row[0]) if multi_label else [row[0]] for row in labels]
    for i, names in enumerate(sets, 1):
        if missing := [name for name in names if name.lower() in _MISSING]:
            raise ConfigError(f"{place(i)}: the label {missing[0]!r} is a missing value; leave that sequence out.")
    return sets


def _index(task: Task, sets: list[list[str]], place: Place) -> dict[str, int]:
    """Return the number of each class by its name, also in the spellings of these labels."""
    index = {name: i for i, name in enumerate(task.names)}
    index |= _other_spellings(task.names, {name for names in sets for name in names})
    for i, names in enumerate(sets, 1):
        if new := [name for name in names if name not in index]:
            raise ConfigError(f"{place(i)}: class {join_names(new)} is unknown; known are {join_names(task.names)}.")
    return index


def _class_numbers(task: Task, labels: Sequence[tuple[str, ...]], columns: Sequence[str], place: Place) -> NDArray[Any]:
    if len(columns) > 1:
        raise ConfigError(f"{place(1)}: found {len(columns)} label columns, but one class is predicted; name its column.")
    sets = _sets(labels, place, multi_label=False)
    index = _index(task, sets, place)
    return np.array([index[names[0]] for names in sets], dtype=np.int64)


def _label_flags(task: Task, labels: Sequence[tuple[str, ...]], columns: Sequence[str], place: Place) -> NDArray[Any]:
    if len(columns) > 1:
        _same_columns(task, columns, place)
        return _flags(labels, columns, place)
    sets = _sets(labels, place, multi_label=True)
    index = _index(task, sets, place)
    values = np.zeros((len(sets), task.n_outputs), dtype=np.float32)  # [N, C]
    for row, names in zip(values, sets, strict=True):
        row[[index[name] for name in names]] = 1
    return values


def _measurements(task: Task, labels: Sequence[tuple[str, ...]], columns: Sequence[str], place: Place) -> NDArray[Any]:
    _same_columns(task, columns, place)
    return _numbers(labels, columns, place)


_ENCODE = {Classification: _class_numbers, MultiLabel: _label_flags, Regression: _measurements}


def hint_at_values(targets: Targets) -> str | None:
    """Return a hint that classes may be values: three or more numbers, some with decimals.

    >>> hint_at_values(make_targets([("0.0",), ("0.5",), ("1.0",)], "classify"))
    'the 3 classes are numbers with decimals: 0.0, 0.5, 1.0; give the task regress if they are values.'
    """
    if not targets.task.one_class or targets.task.n_outputs < 3:
        return None
    try:
        numbers = [float(name) for name in targets.task.names]
    except ValueError:
        return None
    if all(number.is_integer() for number in numbers):
        return None
    names = join_names(targets.task.names)
    n = targets.task.n_outputs
    return f"the {n:,} classes are numbers with decimals: {names}; give the task regress if they are values."


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _other_spellings(classes: Sequence[str], names: set[str]) -> dict[str, int]:
    """Map names that are not classes, but equal one as a number, to the index of that class."""
    by_number: dict[float, int] = {}
    for i, name in enumerate(classes):
        with suppress(ValueError):
            by_number[float(name)] = i
    indices = {}
    for name in names - set(classes):
        with suppress(ValueError):
            if (number := float(name)) in by_number:
                indices[name] = by_number[number]
    return indices


def _classes(sets: list[list[str]], *, may_be_none: bool) -> tuple[str, ...]:
    names = {name for names in sets for name in names}
    if may_be_none and not names:
        raise ConfigError("no sequence has a class, so that there is nothing to learn; give labels.")
    if len(names) < 2 and not (may_be_none and not all(sets)):
        raise ConfigError(f"all labels are {join_names(names)}: with one class there is nothing to learn; add another class.")
    too_many = len(names) > _FEW and 2 * len(names) > len(sets)
    try:
        numbers = {name: float(name) for name in names}
    except ValueError:
        if too_many:
            raise ConfigError(
                f"the labels are {len(names):,} different words in {len(sets):,} sequences "
                f"({join_names(sorted(names))}): these "
                "look like names, not classes; is the label in another column, or missing in the headers?"
            ) from None
        return tuple(sorted(names, key=_natural))
    if len(names) > _MANY and any(not number.is_integer() for number in numbers.values()):
        raise ConfigError(
            f"the labels are {len(names):,} different numbers ({join_names(names)}): did you mean the task regress?"
        )
    if too_many:
        raise ConfigError(
            f"the labels are {len(names):,} different numbers in {len(sets):,} sequences "
            f"({join_names(sorted(names, key=float))}): "
            "these are too many for classes. Are they values (the task regress), or numbers of sequences without labels?"
        )
    order = sorted(names, key=lambda name: (numbers[name], name))
    for one, next_name in pairwise(order):
        if numbers[one] == numbers[next_name]:
            raise ConfigError(f"the classes {one} and {next_name} are one number; write it in one way.")
    return tuple(order)


def _natural(name: str) -> tuple[bool, list[tuple[int, int, str]], str]:
    parts = [part for part in re.split(r"(\d+)", name) if part]
    key = [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]
    return name.lower() != NEGATIVE, key, name


def _same_columns(task: Task, columns: Sequence[str], place: Place) -> None:
    if task.names != tuple(columns):
        raise ConfigError(
            f"{place(1)}: the label columns are {join_names(columns)}, but should be {join_names(task.names)}, in this order."
        )


def _numbers(labels: Sequence[tuple[str, ...]], columns: Sequence[str], place: Place) -> NDArray[np.float32]:
    values = np.empty((len(labels), len(columns)), dtype=np.float32)  # [N, K]
    for i, row in enumerate(labels):
        for j, text in enumerate(row):
            try:
                value = float(text)
            except ValueError:
                raise ConfigError(f"{place(i + 1)}: {columns[j]} is {text!r}, but should be a number.") from None
            if not math.isfinite(value) or abs(value) > float(np.finfo(np.float32).max):
                raise ConfigError(f"{place(i + 1)}: {columns[j]} is {text}; leave out sequences without a finite value.")
            values[i, j] = value
    return values


def _flags(labels: Sequence[tuple[str, ...]], columns: Sequence[str], place: Place) -> NDArray[np.float32]:
    for i, row in enumerate(labels, 1):
        for column, text in zip(columns, row, strict=True):
            if text not in ("0", "1", "0.0", "1.0"):
                raise ConfigError(
                    f"{place(i)}: {column} is {text!r}, but several label columns must hold 0 and 1 to classify; "
                    "name the one label column, or predict numbers with the task regress."
                )
    return np.array(labels, dtype=np.float32)
