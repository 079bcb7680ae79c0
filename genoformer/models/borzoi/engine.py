"""BorzoiEngine: codes -> embeddings of bins, with stem and tower in tiles, shared by windows and by edited copies.

The windows of a stretch share its activations if they begin at whole bins of the transformer, and an edited copy of a window
recomputes only what the edit reaches before the transformer, in its first attention and in what the decoder adds of the tower
(`after_tower`); the decoder computes the requested bins. The numbers equal those of whole sequences (`PlainEngine`). Make a new
engine after the weights of the model change.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from genoformer.genome.codes import Codes
from genoformer.models.base import Bins, TrackStretch, TrackWindow
from genoformer.models.borzoi.after_tower import AfterTower, stage_image
from genoformer.models.borzoi.model import Borzoi
from genoformer.models.borzoi.tiled_tower import TILE_BYTES, Rows, Tower
from genoformer.models.plain_engine import PlainEngine, PlainWindow, one_hot


class BorzoiEngine:
    """Fast forward passes of a Borzoi in eval mode."""

    def __init__(self, model: Borzoi) -> None:
        parameter = next(model.parameters())
        self.model, self.device, self.dtype = model, parameter.device, parameter.dtype

    @cached_property
    def tower(self) -> Tower:
        """Stem and tower in tiles; on a GPU a stage is one tile."""
        return Tower(self.model, self.dtype, TILE_BYTES if self.device.type == "cpu" else 1 << 40)

    def one_hot(self, codes: Codes) -> Tensor:
        """Return codes [L] as one-hot [4, L], in the device and precision of the model."""
        return one_hot(torch.from_numpy(np.array(codes[None])).to(self.device))[0].to(self.dtype)

    def embed(self, codes: Codes, bins: Bins) -> Tensor:
        """Return the embedding of bins of windows: codes [B, L] -> [B, D, N]."""
        self.model.bins_of(codes.shape[1], 0)  # refuses other lengths
        embeddings = [self.after_tower(self.tower.outputs(self.one_hot(window)), bins) for window in codes]
        return embeddings[0] if len(embeddings) == 1 else torch.cat(embeddings)

    def after_tower(self, outputs: list[Tensor], bins: Bins) -> Tensor:
        """Return the embedding [1, D, N] of bins of one window, from the outputs of its tower."""
        *skips, last = outputs
        x = self.model.attend(last.T[None], self.model.units_of(bins, len(last)))
        return self.model.decode(x, [stage_image(skip) for skip in skips], bins)

    def stretch(self, codes: Codes) -> TrackStretch:
        """Compute stem and tower of a stretch of a contig [L]."""
        return BorzoiStretch(self, codes)


class BorzoiStretch:
    """Activations of a stretch of a contig, computed with its first window that shares them."""

    def __init__(self, engine: BorzoiEngine, codes: Codes) -> None:
        self.engine, self.codes = engine, codes

    @cached_property
    def activations(self) -> list[Tensor]:
        """Activations of the whole units of the stretch."""
        unit = self.engine.tower.unit
        return self.engine.tower.activations(self.engine.one_hot(self.codes[: len(self.codes) // unit * unit]))

    def window(self, first: int, n: int) -> TrackWindow:
        """Return the window of n bins from bin `first`; it shares work if it begins at a whole bin of the transformer."""
        size, tower = self.engine.model.config.bin_size, self.engine.tower
        start, length = first * size, n * size
        codes = self.codes[start : start + length]
        if start % tower.unit or length % tower.unit or length < 4 * tower.margin:
            return PlainWindow(PlainEngine(self.engine.model), codes)
        return BorzoiWindow(self, start, codes)


class BorzoiWindow:
    """A window of a stretch, and edited copies of it."""

    def __init__(self, stretch: BorzoiStretch, start: int, codes: Codes) -> None:
        self.engine, self.codes = stretch.engine, codes
        units, tower = len(codes) // stretch.engine.tower.unit, stretch.engine.tower
        first, self.shared = start // tower.unit, []
        for x in stretch.activations:
            size = len(x) // len(stretch.activations[-1])  # positions in a bin of the transformer
            self.shared.append(x[first * size : (first + units) * size])

    @cached_property
    def outputs(self) -> list[Tensor]:
        """Outputs of the tower for the window; those near its ends, where it differs from the stretch, are its own."""
        tower = self.engine.tower
        near, n_own = 2 * tower.margin, tower.margin // tower.unit
        outputs = [x.clone() for x in self.shared[-tower.n_outputs :]]
        ends = [tower.outputs(rows.T) for rows in (self.shared[0][:near], self.shared[0][-near:])]
        for i, x in enumerate(outputs):
            n = n_own * (len(x) // len(outputs[-1]))
            x[:n], x[-n:] = ends[0][i][:n], ends[1][i][-n:]
        return outputs

    @cached_property
    def after(self) -> AfterTower:
        """First block and decoder of the window, for its edited copies."""
        return AfterTower(self.engine.model, self.outputs)

    @torch.inference_mode()
    def embed(self, sequences: Sequence[Codes | None], bins: Bins) -> Tensor:
        """Return the embeddings [B, D, N] of edited copies [L] of the window; None is the unedited window."""
        embeddings = []
        for codes in sequences:
            patches = [] if codes is None else self._patches(codes)
            if patches is None:  # reaches an end of the window, whose activations are not shared
                assert codes is not None
                embeddings.append(self.engine.after_tower(self.engine.tower.outputs(self.engine.one_hot(codes)), bins))
            else:
                embeddings.append(self.after.embedding(patches, bins))
        return torch.cat(embeddings) if len(embeddings) > 1 else embeddings[0]

    def _patches(self, codes: Codes) -> list[list[Rows]] | None:
        """Return the changed rows of the outputs of the tower for each edit of a copy; None if one reaches an end."""
        at, far = np.flatnonzero(self.codes != codes), 2 * self.engine.tower.margin
        if not len(at):
            return []
        if at[0] < far or at[-1] >= len(codes) - far:
            return None
        breaks = np.flatnonzero(np.diff(at) > far)
        starts, ends = at[np.append(0, breaks + 1)], at[np.append(breaks, len(at) - 1)] + 1
        return [
            self.engine.tower.edited(self.shared, Rows(start, self.engine.one_hot(codes[start:end]).T))
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
