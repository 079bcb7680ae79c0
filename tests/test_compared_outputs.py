"""The comparison of outputs of two checkouts (benchmarks/file_values.py) finds what differs, and only that."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from benchmarks.file_values import Comparison, compare_files, with_plain_ids


def compared(folder: Path, old: str, new: str) -> Comparison:
    first, second = folder / "old.vcf", folder / "new.vcf"
    first.write_text(old)
    second.write_text(new)
    return compare_files(first, second, (old.encode(), new.encode()), absolute=0.001, relative=0.01)


@pytest.mark.parametrize(
    ("old", "new", "distance"),
    [
        ("1\t100\tx=0.5", "1\t100\tx=0.5005", 0.0005 / (0.001 + 0.01 * 0.5005)),
        ("1\t100\tx=1", "1\t100\tx=0.99", 0.01 / (0.001 + 0.01)),
        ("1\t100\tx=0.1", "1\t100\tx=-0.1", 0.2 / (0.001 + 0.01 * 0.1)),
        ("1\t100\tx=1e-4", "1\t100\tx=2e-4", 0.0001 / (0.001 + 0.01 * 0.0002)),
        ("1\t100\tx=0.5", "1\t101\tx=0.5", math.inf),  # a position
        ("1\t100\tx=0.5", "1\t100\ty=0.5", math.inf),
        ("SAR501=0.1", "SAR502=0.1", math.inf),  # a number in a name is a part of the name
        ("x=0.5", "x=0.5\nx=0.5", math.inf),
        ("x=0.5", "x=nan", math.inf),
    ],
)
def test_numbers_of_a_text_are_compared_in_units_of_the_tolerance(tmp_path, old, new, distance) -> None:
    assert compared(tmp_path, old, new).distance == pytest.approx(distance)


def test_arrays_are_compared_by_name_type_and_value(tmp_path) -> None:
    def distance(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
        np.savez(tmp_path / "a.npz", **one)
        np.savez(tmp_path / "b.npz", **other)
        return compare_files(tmp_path / "a.npz", tmp_path / "b.npz", (b"", b""), absolute=0.0, relative=0.01).distance

    x, n = np.array([1.0, 2.0], dtype=np.float32), np.array([1, 2])
    assert distance({"x": x}, {"x": x}) == 0
    assert distance({"x": x}, {"x": x + np.float32([0, 0.5])}) == pytest.approx(0.5 / (0.01 * 2.5))
    assert distance({"x": x}, {"x": np.float32([1, np.nan])}) == math.inf
    assert distance({"x": x}, {"x": x.astype(np.float64)}) == math.inf
    assert distance({"x": x}, {"y": x}) == math.inf
    assert distance({"n": n}, {"n": n + 1}) == math.inf


def test_ids_of_figures_are_numbered_in_their_order() -> None:
    first, second = (
        b'<a id="%s"/><b href="#%s"/><c id="m0123456789"/>' % (name, name) for name in (b"p5820897a69", b"pef694003d4")
    )
    assert first != second
    assert with_plain_ids(first) == with_plain_ids(second) == b'<a id="id0"/><b href="#id0"/><c id="id1"/>'
