"""A set of windows with tracks -> batches of random crops of them, and the loss of a track model on them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.datasets.track_set import TrackSet
from genoformer.genome.codes import Codes, reverse_complement
from genoformer.inference.set_windows import crop_padded
from genoformer.models.plain_engine import one_hot
from genoformer.models.track_model import TrackModel
from genoformer.training.losses import Loss, TrackLoss
from genoformer.training.random_streams import RandomStream


class Crop(NamedTuple):
    """Size of a crop of a window: the bins with targets, and on each side the context bins that are input only."""

    n_bins: int
    context_bins: int


class TrackBatch(NamedTuple):
    """Sequence codes uint8 [B, L], and measured tracks float32 [B, K, N] of their middle."""

    codes: Tensor
    measured: Tensor


class TrackBatches:
    """Batches by their number: each window gives as many random crops per epoch as fit into it.

    The position of a crop, its shift by up to `max_shift` bases (its targets stay) and its reverse-complementation, which
    exchanges the tracks of strand pairs, depend only on (seed, epoch, number).
    """

    def __init__(
        self,
        data: TrackSet,
        rows: NDArray[np.int64],
        part: Crop,
        *,
        batch_size: int,
        seed: int,
        max_shift: int,
        both_strands: bool,
    ) -> None:
        self.data, self.part = data, part
        self.batch_size, self.seed, self.max_shift, self.both_strands = batch_size, seed, max_shift, both_strands
        self.items = np.repeat(rows, max(1, data.n_bins // part.n_bins))
        self.n_batches = math.ceil(len(self.items) / batch_size)

    def __call__(self, i: int) -> TrackBatch:
        epoch, within = divmod(i, self.n_batches)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.items))
        chosen = order[within * self.batch_size : (within + 1) * self.batch_size]
        draws = RandomStream(self.seed, chosen + epoch * len(self.items))(3)  # [B, 3]
        places = (draws[:, 0] * (self.data.n_bins - self.part.n_bins + 1)).astype(int)
        moves = (draws[:, 1] * (2 * self.max_shift + 1)).astype(int) - self.max_shift
        turns = self.both_strands & (draws[:, 2] < 0.5)
        cut = [
            self._cut(int(row), int(place), int(move), bool(turn))
            for row, place, move, turn in zip(self.items[chosen], places, moves, turns, strict=True)
        ]
        codes, measured = (np.stack(x) for x in zip(*cut, strict=True))
        return TrackBatch(torch.from_numpy(codes), torch.from_numpy(measured))

    def _cut(self, row: int, place: int, move: int, turn: bool) -> tuple[Codes, NDArray[np.float32]]:
        """Return the crop of a window that begins at its target bin `place`."""
        data, part = self.data, self.part
        codes = crop_padded(
            data.sequence[row],
            (data.first_bin + place - part.context_bins) * data.bin_size + move,
            (part.n_bins + 2 * part.context_bins) * data.bin_size,
        )
        measured = data.tracks[row, :, place : place + part.n_bins].astype(np.float32)
        if turn:
            return reverse_complement(codes), np.ascontiguousarray(measured[data.targets.strand_pairs, ::-1])
        return codes, measured


def track_loss(model: TrackModel, batch: TrackBatch, head: str, loss: TrackLoss, weights: Tensor, batch_size: int) -> Loss:
    """Return the loss of a batch, averaged over its tracks with weights [K]."""
    predicted = model(one_hot(batch.codes), head, batch.measured.shape[-1]).float()
    each = (loss(predicted, batch.measured) * weights.to(predicted.device)).mean(1)  # [B]
    return Loss(each.sum(), torch.tensor(float(len(each))), float(batch_size))
