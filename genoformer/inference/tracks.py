"""Windows of codes -> tracks of a long-range model: one-hot on the device, the trunk in tiles on a CPU, both strands."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, reverse_complement
from genoformer.inference.batching import Floats, in_batches
from genoformer.models.longrange import Bins, LongRange, one_hot
from genoformer.models.trunk import Trunk


class TrackReader:
    """A long-range model in eval mode, ready to predict: codes [B, L] -> tracks [B, K, N].

    On a CPU its stem and tower are computed in tiles (`models.trunk`), by weights that are prepared once; make it anew when
    those of the model have changed. `head` None takes the only one, `n_bins` None the model's own number.
    """

    def __init__(self, model: LongRange, head: str | None = None, n_bins: int | None = None) -> None:
        self.model, self.head, self.n_bins = model, model.head_named(head), n_bins
        parameter = next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.trunk = Trunk(model, self.dtype) if self.device.type == "cpu" else None

    def __call__(self, codes: Codes, batch_size: int = 1) -> Floats:
        """uint8 [B, L] -> float32 [B, K, N]; codes may be a memory map, of which only a batch is read at a time."""
        return self._predict(codes, self.model.bins_of(codes.shape[1], self.n_bins), batch_size)

    def _predict(self, codes: Codes, bins: Bins, batch_size: int) -> Floats:
        shape = (self.model.config.heads[self.head], bins.n)
        return in_batches(lambda part: self._run(codes[part], bins), len(codes), batch_size, shape)

    def _run(self, codes: Codes, bins: Bins) -> Tensor:
        onehot = one_hot(torch.from_numpy(np.ascontiguousarray(codes)).to(self.device)).to(self.dtype)
        x = self.model.reduce(onehot) if self.trunk is None else self.trunk(onehot).transpose(1, 2)
        return self.model.tracks(self.model.finish(self.model.transform(x), bins), self.head)

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
