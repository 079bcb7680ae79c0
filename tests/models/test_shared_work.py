"""Work that heads share: results by content, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from genoformer.models.base import Bins
from genoformer.models.shared_work import SharedWork


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_results_are_those_of_equal_tensors_only(dtype) -> None:
    work = SharedWork()
    x = torch.arange(6).reshape(2, 3).to(dtype)

    def of(name: str, y: torch.Tensor) -> torch.Tensor:
        return work.of(name, y, lambda: (y * 2,))[0]

    first = of("a", x)
    assert of("a", x.clone()) is first
    assert of("b", x) is not first
    assert of("a", x.T) is not first
    assert of("a", x.reshape(3, 2)) is not first
    assert of("a", x + 1) is not first
    assert work.n_computed == 5


def test_results_of_earlier_rounds_make_room_and_the_longest_unused_one_goes_first() -> None:
    work = SharedWork(most_bytes=40)
    xs = [torch.full((4,), float(i)) for i in range(4)]  # 16 bytes each

    def computed(i: int) -> bool:
        before = work.n_computed
        assert work.of("x", xs[i], lambda: (xs[i],))[0] is xs[i]
        return work.n_computed > before

    assert [computed(i) for i in (0, 1, 0, 2)] == [True, True, False, True]
    assert [computed(i) for i in (0, 1, 2, 2)] == [False, False, True, True]  # 2 had no room in this round
    work.next_round()
    assert [computed(i) for i in (0, 3, 3)] == [False, True, False]
    assert [computed(i) for i in (0, 1)] == [False, True]  # 1 went, 0 was used in this round
    work.next_round()
    large = torch.zeros(100)
    assert work.of("large", large, lambda: (large,))[0] is large
    assert not work.of("large", large, lambda: (large + 1,))[0].equal(large)  # larger than all memory: not kept


class Engine:
    """Counts stretches, windows and embeddings: the sum of the bases of a copy, and where it lies."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def stretch(self, codes: np.ndarray) -> Stretch:
        self.calls.append("stretch")
        return Stretch(self, codes)


class Stretch:
    def __init__(self, engine: Engine, codes: np.ndarray) -> None:
        self.engine, self.codes = engine, codes

    def window(self, first: int, n: int) -> Window:
        self.engine.calls.append("window")
        return Window(self.engine, self.codes[first : first + n])


class Window:
    def __init__(self, engine: Engine, codes: np.ndarray) -> None:
        self.engine, self.codes = engine, codes

    def embed(self, sequences: Any, bins: Bins) -> torch.Tensor:
        self.engine.calls.append("embed")
        sums = [float((self.codes if one is None else one)[bins.first : bins.first + bins.n].sum()) for one in sequences]
        return torch.tensor(sums)[:, None, None]


class OtherEngine(Engine):
    """Another way to compute, such as the reference."""


def test_embeddings_of_one_kind_are_computed_once() -> None:
    work, first, second, codes = SharedWork(), Engine(), Engine(), np.arange(10, dtype=np.uint8)
    edited = np.array([9, 9, 9, 9], dtype=np.uint8)

    def embed(engine: Any, kind: str = "", start: int = 2, sequences: Any = (None,), bins: Any = (0, 2)) -> list[float]:
        return work.stretch(engine, kind, codes).window(start, 4).embed(sequences, Bins(*bins)).flatten().tolist()

    assert embed(first) == embed(second) == [5]
    assert (first.calls, second.calls) == (["stretch", "window", "embed"], [])
    assert embed(second, start=3) == [7]
    assert embed(second, bins=(1, 2)) == [7]
    assert embed(second, sequences=(edited,)) == [18]
    assert embed(second, sequences=(edited, None)) == [18, 5]
    assert embed(second, sequences=(None, edited)) == [5, 18]
    assert first.calls.count("embed") == 6
    assert not second.calls  # the first engine of a kind serves all
    assert embed(second, kind="mouse") == [5]
    assert second.calls == ["stretch", "window", "embed"]
    other = OtherEngine()
    assert embed(other) == [5]
    assert other.calls == ["stretch", "window", "embed"]
