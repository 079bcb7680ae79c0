"""SharedWork: what several heads of a track model compute alike for the same sequences, kept for a while."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genoformer.genome.codes import Codes
from genoformer.models.base import Bins, TrackEngine, TrackStretch, TrackWindow

MOST_BYTES = 1 << 31  # 2 GiB: AlphaGenome takes 184 MB for a window of 1,048,576 bases, Borzoi 47 MB for all bins of one


class _Result(NamedTuple):
    tensors: tuple[Tensor, ...]
    round: int  # in which it was used last


class SharedWork:
    """Results by the content of their input, in at most `most_bytes`.

    In a round several heads ask for the same results, one head after the other. A result that does not fit takes the place of
    those that were not used in this round, the longest unused ones first; if that is not enough, it is not kept, so that the
    next head finds those that are.

    layers: the fast form of the layers of a model, which all its engines share; None until the first one made it.

    >>> work = SharedWork()
    >>> one, again = (work.of("double", torch.ones(2), lambda: (torch.full((2,), 2.0),)) for _ in range(2))
    >>> one[0] is again[0], work.n_computed
    (True, 1)
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.layers: Any = None
        self.engines: dict[str, TrackEngine] = {}  # of equal embeddings, by what they depend on
        self.n_computed = 0
        self.most_bytes, self.n_bytes, self._round = most_bytes, 0, 0
        self._results: OrderedDict[tuple[str, bytes], _Result] = OrderedDict()

    def next_round(self) -> None:
        """Begin a round: the results of the earlier ones make room for new ones."""
        self._round += 1

    def of(self, name: str, x: Tensor, compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Return the result of a computation on a tensor; a result that is kept is not computed again. Do not change it.

        name: of the computation, and of all that it depends on besides the tensor.
        """
        content = x.contiguous().view(torch.uint8).cpu().numpy()
        key = (f"{name} {tuple(x.shape)} {x.dtype} {x.device}", hashlib.blake2b(content.tobytes(), digest_size=16).digest())
        if key in self._results:
            tensors = self._results.pop(key).tensors
        else:
            tensors = compute()
            self.n_computed += 1
            if not self._make_room(_size(tensors)):
                return tensors
            self.n_bytes += _size(tensors)
        self._results[key] = _Result(tensors, self._round)
        return tensors

    def _make_room(self, n_bytes: int) -> bool:
        """Remove results of earlier rounds until n_bytes fit; return False if they do not."""
        while self._results and self.n_bytes + n_bytes > self.most_bytes:
            key, oldest = next(iter(self._results.items()))
            if oldest.round == self._round:
                return False
            del self._results[key]
            self.n_bytes -= _size(oldest.tensors)
        return self.n_bytes + n_bytes <= self.most_bytes

    def stretch(self, engine: TrackEngine, kind: str, codes: Codes) -> TrackStretch:
        """Return a stretch of a contig [L] whose windows compute equal embeddings once.

        kind: what the embeddings of the engine depend on besides bases and bins (`TrackModel.embedding_kind`).
        """
        kind = f"{type(engine).__name__} {kind}"
        return _SharedStretch(self, kind, self.engines.setdefault(kind, engine), codes)


class _SharedStretch:
    """A stretch that its engine prepares only for embeddings that are not kept."""

    def __init__(self, work: SharedWork, kind: str, engine: TrackEngine, codes: Codes) -> None:
        self.work, self.kind, self.engine, self.codes = work, kind, engine, codes

    @cached_property
    def own(self) -> TrackStretch:
        return self.engine.stretch(self.codes)

    def window(self, first: int, n: int) -> TrackWindow:
        return _SharedWindow(self, first, n)


class _SharedWindow:
    """A window whose embeddings are kept by all that they depend on: the stretch, the window, the copies and the bins."""

    def __init__(self, stretch: _SharedStretch, first: int, n: int) -> None:
        self.stretch, self.first, self.n = stretch, first, n

    @cached_property
    def own(self) -> TrackWindow:
        return self.stretch.own.window(self.first, self.n)

    def embed(self, sequences: Sequence[Codes | None], bins: Bins) -> Tensor:
        """Return the embeddings [B, D, N] of edited copies [L] of the window; None is the unedited window."""
        edited = "".join("-" if codes is None else "+" for codes in sequences)
        name = f"embedding {self.stretch.kind} {self.first} {self.n} {bins.first} {bins.n} {edited}"
        content = np.concatenate([self.stretch.codes, *(codes for codes in sequences if codes is not None)])
        return self.stretch.work.of(name, torch.from_numpy(content), lambda: (self.own.embed(sequences, bins),))[0]


def _size(tensors: tuple[Tensor, ...]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
