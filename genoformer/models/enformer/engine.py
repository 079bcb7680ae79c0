"""EnformerEngine: codes -> embeddings of bins, with stem and tower in tiles, shared by windows and by edited copies.

On a CPU the stem and the tower run in tiles (`tiled_trunk`) with weights prepared once; make a new engine after the weights
of the model change. The windows of a stretch share its activations (`shared_windows`), and an edited copy of a window
recomputes only the bins that the edit reaches. The numbers equal those of whole sequences (`PlainEngine`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from genoformer.genome.codes import Codes
from genoformer.models.base import Bins
from genoformer.models.enformer.model import Enformer
from genoformer.models.enformer.shared_windows import SharedTrunk, StripWindow
from genoformer.models.enformer.tiled_trunk import Edit, Trunk
from genoformer.models.plain_engine import one_hot

_TOGETHER = 64  # largest distance in bases between two differences that form one edit


class EnformerEngine:
    """Fast forward passes of an Enformer in eval mode."""

    def __init__(self, model: Enformer) -> None:
        parameter = next(model.parameters())
        self.model, self.device, self.dtype = model, parameter.device, parameter.dtype

    @cached_property
    def trunk(self) -> Trunk:
        """Stem and tower in tiles."""
        return Trunk(self.model, self.dtype)

    def one_hot(self, codes: Codes) -> Tensor:
        """Return codes [B, L] as one-hot [B, 4, L], in the device and precision of the model."""
        return one_hot(torch.from_numpy(np.array(codes)).to(self.device)).to(self.dtype)

    def trunk_output(self, codes: Codes) -> Tensor:
        """Return the output of stem and tower for codes [B, L]: [B, C, T]."""
        onehot = self.one_hot(codes)
        return self.trunk(onehot).transpose(1, 2) if self.device.type == "cpu" else self.model.convolve_bases(onehot)

    def embed(self, codes: Codes, bins: Bins) -> Tensor:
        """Return the embedding of bins of windows: codes [B, L] -> [B, D, N]."""
        return self.model.crop_and_project(self.model.attend(self.trunk_output(codes)), bins)

    def stretch(self, codes: Codes) -> EnformerStretch:
        """Compute stem and tower of a stretch of a contig [L], a whole number of bins."""
        return EnformerStretch(self, codes)


class EnformerStretch:
    """Activations of a stretch of a contig."""

    def __init__(self, engine: EnformerEngine, codes: Codes) -> None:
        self.engine, self.codes = engine, codes
        self.shared = SharedTrunk(engine.trunk, engine.one_hot(codes[None])[0])

    def window(self, first: int, n: int) -> EnformerWindow:
        """Return the window of n bins from bin `first` of the stretch."""
        size = self.engine.model.config.bin_size
        return EnformerWindow(self.engine, self.codes[first * size : (first + n) * size], self.shared.window(first, n))


class EnformerWindow:
    """A window of a stretch, and edited copies of it."""

    def __init__(self, engine: EnformerEngine, codes: Codes, window: StripWindow) -> None:
        self.engine, self.codes, self.window = engine, codes, window

    def embed(self, sequences: Sequence[Codes | None], bins: Bins) -> Tensor:
        """Return the embeddings [B, D, N] of edited copies [L] of the window; None is the unedited window."""
        trunks = [self.window.output if codes is None else self.window.edited(self._edits(codes)) for codes in sequences]
        model = self.engine.model
        return model.crop_and_project(model.attend(torch.stack(trunks).transpose(1, 2)), bins)

    def _edits(self, codes: Codes) -> list[Edit]:
        """Return the stretches in which an edited copy differs from the window."""
        at = np.flatnonzero(self.codes != codes)
        if not len(at):
            return []
        breaks = np.flatnonzero(np.diff(at) > _TOGETHER)
        starts, ends = at[np.append(0, breaks + 1)], at[np.append(breaks, len(at) - 1)] + 1
        return [
            Edit(start, self.engine.one_hot(codes[None, start:end])[0].T)
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
