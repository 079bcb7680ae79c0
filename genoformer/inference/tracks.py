"""Windows of codes -> tracks of a long-range model: one-hot on the device, the trunk in tiles on a CPU, both strands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, reverse_complement
from genoformer.inference.batching import Floats, in_batches
from genoformer.models.longrange import Bins, LongRange, one_hot
from genoformer.models.trunk import Patch, Trunk


class TrackReader:
    """A long-range model in eval mode, ready to predict: codes [B, L] -> tracks [B, K, N].

    On a CPU its stem and tower are computed in tiles (`models.trunk`), by weights that are prepared once; make it anew when
    those of the model have changed. `head` None takes the only one, `n_bins` None the model's own number.
    """

    def __init__(self, model: LongRange, head: str | None = None, n_bins: int | None = None) -> None:
        self.model, self.head, self.n_bins = model, model.head_named(head), n_bins
        parameter = next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.trunk: Trunk | None = None

    def __call__(self, codes: Codes, batch_size: int = 1) -> Floats:
        """uint8 [B, L] -> float32 [B, K, N]; codes may be a memory map, of which only a batch is read at a time."""
        return self._predict(codes, self.model.bins_of(codes.shape[1], self.n_bins), batch_size)

    def reference(self, codes: Codes) -> list[Tensor]:
        """What `edited` starts from, of one window [L]: the activations of stem and tower."""
        return self._tiled().activations(self._one_hot(codes[None])[0])

    def edited(self, reference: list[Tensor], edits: Sequence[tuple[int, Codes]]) -> Floats:
        """Tracks [B, K, N] of the reference window with each edit (start, codes) put in; stem and tower of the rest stand.

        An edit replaces as many bases as it has. Raises ValueError for one that does not lie in the window.
        """
        trunk, n_bases = self._tiled(), len(reference[0])
        bins = self.model.bins_of(n_bases, self.n_bins)

        def run(part: slice) -> Tensor:
            (one,) = edits[part]
            patch = trunk.edited(reference, Patch(one[0], self._one_hot(one[1][None])[0].T))
            x = reference[-1].clone()  # [T, C]
            x[patch.start : patch.start + len(patch.rows)] = patch.rows
            return self._tracks(x[None], bins)

        return in_batches(run, len(edits), 1, (self.model.config.heads[self.head], bins.n))

    def _tiled(self) -> Trunk:
        if self.trunk is None:
            self.trunk = Trunk(self.model, self.dtype)
        return self.trunk

    def _one_hot(self, codes: Codes) -> Tensor:
        return one_hot(torch.from_numpy(np.array(codes)).to(self.device)).to(self.dtype)

    def _tracks(self, x: Tensor, bins: Bins) -> Tensor:
        """Output of the trunk [B, T, C] -> tracks [B, K, N]."""
        return self.model.tracks(self.model.finish(self.model.transform(x.transpose(1, 2)), bins), self.head)

    def _predict(self, codes: Codes, bins: Bins, batch_size: int) -> Floats:
        shape = (self.model.config.heads[self.head], bins.n)
        return in_batches(lambda part: self._run(codes[part], bins), len(codes), batch_size, shape)

    def _run(self, codes: Codes, bins: Bins) -> Tensor:
        onehot = self._one_hot(codes)
        x = self._tiled()(onehot) if self.device.type == "cpu" else self.model.reduce(onehot).transpose(1, 2)
        return self._tracks(x, bins)

    def both_strands(self, codes: Codes, strand_pairs: NDArray[np.int64], batch_size: int = 1) -> Floats:
        """The mean over both strands, [B, K, N]; strand_pairs [K]: the track of each on the other strand.

        Raises ConfigError where not as many tracks are paired as the head has.
        """
        n_tracks = self.model.config.heads[self.head]
        if len(strand_pairs) != n_tracks:
            raise ConfigError(f"{len(strand_pairs)} strand pairs for the {n_tracks} tracks of {self.head}; give one for each.")
        bins = self.model.bins_of(codes.shape[1], self.n_bins)
        n_all = codes.shape[1] // self.model.config.bin_size
        turned = Bins(n_all - bins.first - bins.n, bins.n)  # of an odd rest the larger part is now at the beginning
        forward = self._predict(codes, bins, batch_size)
        backward = self._predict(np.stack([reverse_complement(window) for window in codes]), turned, batch_size)
        return np.asarray((forward + backward[:, strand_pairs, ::-1]) / 2, dtype=np.float32)
