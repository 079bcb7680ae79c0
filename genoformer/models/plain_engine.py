"""One-hot DNA, and PlainEngine: whole sequences, one by one, through the plain modules of a track model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from genoformer.genome.codes import Codes
from genoformer.models.base import Bins

if TYPE_CHECKING:
    from genoformer.models.track_model import TrackModel


def one_hot(codes: Tensor) -> Tensor:
    """Convert codes [B, L] (A C G T N = 0 1 2 3 4) to float32 [B, 4, L]; N is 0 in all four.

    >>> one_hot(torch.tensor([[0, 3, 4]])).tolist()
    [[[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]
    """
    bases = torch.arange(4, device=codes.device, dtype=codes.dtype)
    return (codes[:, None] == bases[:, None]).float()


class PlainEngine:
    """Embeddings from the model's own `embed`, one whole sequence at a time: the reference of every faster engine."""

    def __init__(self, model: TrackModel, head: str | None = None) -> None:
        self.model, self.head = model, head

    def embed(self, codes: Codes, bins: Bins) -> Tensor:
        """Return the embedding of bins of windows: codes [B, L] -> [B, D, N]."""
        parameter = next(self.model.parameters())
        embeddings = []
        for window in codes:
            onehot = one_hot(torch.from_numpy(np.array(window[None])).to(parameter.device)).to(parameter.dtype)
            embeddings.append(self.model.embed(onehot, bins, self.head))
        return torch.cat(embeddings)

    def stretch(self, codes: Codes) -> PlainStretch:
        """Return a stretch of a contig [L]; its windows share no work."""
        return PlainStretch(self, codes)


class PlainStretch:
    """A stretch of a contig [L] whose windows are computed one by one."""

    def __init__(self, engine: PlainEngine, codes: Codes) -> None:
        self.engine, self.codes = engine, codes

    def window(self, first: int, n: int) -> PlainWindow:
        """Return the window of n bins from bin `first`."""
        size = self.engine.model.bin_size_of(self.engine.head)
        return PlainWindow(self.engine, self.codes[first * size : (first + n) * size])


class PlainWindow:
    """A window [L], and copies of it."""

    def __init__(self, engine: PlainEngine, codes: Codes) -> None:
        self.engine, self.codes = engine, codes

    def embed(self, sequences: Sequence[Codes | None], bins: Bins) -> Tensor:
        """Return the embeddings [B, D, N] of copies of the window; None is the window itself."""
        return self.engine.embed(np.stack([self.codes if codes is None else codes for codes in sequences]), bins)
