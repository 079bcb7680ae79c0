"""SharedWork: what several heads of a track model compute alike for the same sequences, kept for a while."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

MOST_BYTES = 1 << 31  # 2 GiB, of which AlphaGenome takes 184 MB for a window of 1,048,576 bases


class SharedWork:
    """Results by the content of their input; the longest unused ones go beyond `most_bytes`.

    layers: the fast form of the layers of a model, which all its engines share; None until the first one made it.

    >>> work = SharedWork()
    >>> one, again = (work.of("double", torch.ones(2), lambda: (torch.full((2,), 2.0),)) for _ in range(2))
    >>> one[0] is again[0], work.n_computed
    (True, 1)
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.layers: Any = None
        self.n_computed = 0
        self.most_bytes, self._n_bytes = most_bytes, 0
        self._results: OrderedDict[tuple[str, bytes], tuple[Tensor, ...]] = OrderedDict()

    def of(self, name: str, x: Tensor, compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Return the result of a computation on a tensor; a result that is kept is not computed again. Do not change it.

        name: of the computation, and of all that it depends on besides the tensor.
        """
        content = x.contiguous().view(torch.uint8).cpu().numpy()
        key = (f"{name} {tuple(x.shape)} {x.dtype} {x.device}", hashlib.blake2b(content.tobytes(), digest_size=16).digest())
        if key in self._results:
            self._results.move_to_end(key)
            return self._results[key]
        result = compute()
        self.n_computed += 1
        self._results[key] = result
        self._n_bytes += _size(result)
        while self._n_bytes > self.most_bytes and len(self._results) > 1:
            _, oldest = self._results.popitem(last=False)
            self._n_bytes -= _size(oldest)
        return result


def _size(result: tuple[Tensor, ...]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in result)
