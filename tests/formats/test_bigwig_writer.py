"""bigWig as we write it: the memory stays small, and the bytes do not depend on how the values come."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np

from genoformer.formats.bigwig_writer import new_bigwig, write_bigwig


def test_memory_does_not_grow_with_the_values(tmp_path: Path) -> None:
    def most(n: int) -> int:
        tracemalloc.start()
        with new_bigwig(tmp_path / f"{n}.bw", {"c": n}) as file:
            for i in range(0, n, 10_000):
                at = np.arange(i, i + 10_000)
                file.add("c", at, at + 1, np.sin(at))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few, many = most(400_000), most(1_200_000)
    assert many - few < 600_000  # bytes, less than one for each value: the indexes


def test_the_same_values_give_the_same_bytes_however_they_come(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    ends = np.cumsum(random.integers(9, 20, 50_000))
    starts, values = ends - random.integers(1, 10, 50_000), random.normal(0, 4, 50_000).astype(np.float32)
    for name, per_call in (("a", 50_000), ("b", 7), ("c", 17_777)):
        pieces = [("c", *(column[i : i + per_call] for column in (starts, ends, values))) for i in range(0, 50_000, per_call)]
        write_bigwig(tmp_path / name, {"c": int(ends[-1])}, pieces)
    assert len({(tmp_path / name).read_bytes() for name in "abc"}) == 1
