"""Work that heads share: results by content, in bounded memory."""

from __future__ import annotations

import pytest
import torch

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


def test_the_longest_unused_result_goes_first() -> None:
    work = SharedWork(most_bytes=40)
    xs = [torch.full((4,), float(i)) for i in range(3)]  # 16 bytes each
    for i in (0, 1, 0, 2):
        work.of("x", xs[i], lambda i=i: (xs[i],))
    assert work.n_computed == 3
    work.of("x", xs[0], lambda: (xs[0],))
    assert work.n_computed == 3
    work.of("x", xs[1], lambda: (xs[1],))
    assert work.n_computed == 4
    large = torch.zeros(100)
    assert work.of("x", large, lambda: (large,))[0] is large  # kept although it is too large, alone
