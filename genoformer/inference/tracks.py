"""Windows of codes -> tracks of a long-range model: one-hot on the device, the trunk in tiles on a CPU, both strands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, reverse_complement
from genoformer.inference.runtime import Floats, run_batched
from genoformer.models.enformer.model import Bins, Enformer, one_hot
from genoformer.models.enformer.shared_windows import SharedTrunk, StripWindow
from genoformer.models.enformer.tiled_trunk import Edit, Trunk

_TOGETHER = 64  # largest distance in bases between two differences that form one edit


class WindowRequest(NamedTuple):
    """A window of a stretch, and edited sequences of its length."""

    start: int  # in the stretch, a multiple of the bin
    length: int
    edits: Sequence[Codes]
    embedding: bool = False  # True if the embedding is requested too


class TrackPrediction(NamedTuple):
    """Predictions for a window and n edited copies: tracks [1 + n, K, N], and if requested the embedding [1 + n, D, N]."""

    tracks: Floats
    embedding: Floats


class TrackPredictor:
    """A long-range model in eval mode, ready to predict: codes [B, L] -> tracks [B, K, N].

    On a CPU, stem and tower are computed in tiles (`models.trunk`) from prepared copies of the weights; make a new predictor
    after
    the weights of the model change. `head` None is the only head, `n_bins` None the model's own number.
    """

    def __init__(self, model: Enformer, head: str | None = None, n_bins: int | None = None) -> None:
        self.model, self.head, self.n_bins = model, model.head_named(head), n_bins
        parameter = next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.trunk: Trunk | None = None

    def __call__(self, codes: Codes, batch_size: int = 1) -> Floats:
        """Map uint8 [B, L] to float32 [B, K, N]; codes may be a memory map, of which one batch is read at a time."""
        return self._predict(codes, self.model.bins_of(codes.shape[1], self.n_bins), batch_size)

    def strip(self, codes: Codes) -> SharedTrunk:
        """Compute stem and tower of a stretch of a contig [L], a whole number of bins."""
        return SharedTrunk(self._tiled_trunk(), self._one_hot(codes[None])[0])

    def predict_edits(
        self,
        codes: Codes,
        windows: Sequence[WindowRequest],
        *,
        tracks: NDArray[np.int64],
        batch_size: int = 1,
        backward: bool = False,
    ) -> Iterator[TrackPrediction]:
        """Predict the tracks of windows in one stretch of a contig, and of their edited copies.

        Stem and tower of the stretch are computed once, and for an edited copy only the changed part; the transformer runs in
        batches. The numbers equal those of each sequence alone. backward: the model reads the other strand; bins are returned
        in the
        order of the forward strand, tracks in their own order. Yields one window at a time; the first prediction is the
        unedited one.

        Parameters: codes [L_s], the stretch, a whole number of bins; windows, whose starts are whole bins from the start of the
        stretch; tracks, the numbers of the requested tracks of the head.
        """
        strip = self.strip(reverse_complement(codes) if backward else codes)
        chosen = torch.from_numpy(tracks).to(self.device)
        size, width = self.model.config.bin_size, 2 * self.model.config.width
        for asked in windows:
            bins = self.model.bins_of(asked.length, self.n_bins)
            n_all = asked.length // size
            first = asked.start // size
            if backward:
                first, bins = len(codes) // size - first - n_all, Bins(n_all - bins.first - bins.n, bins.n)
            window = strip.window(first, n_all)
            reference = codes[asked.start : asked.start + asked.length]

            def run(
                part: slice,
                asked: WindowRequest = asked,
                window: StripWindow = window,
                reference: Codes = reference,
                bins: Bins = bins,
            ) -> Tensor:
                rows = range(*part.indices(1 + len(asked.edits)))
                trunks = [
                    window.edited(self._patches(reference, asked.edits[i - 1], backward)) if i else window.output for i in rows
                ]
                embedding = self.model.crop_and_project(self.model.attend(torch.stack(trunks).transpose(1, 2)), bins)
                found = self.model.tracks(embedding, self.head, chosen)
                return torch.cat([found, embedding.to(found.dtype)], dim=1) if asked.embedding else found

            shape = (len(tracks) + width * asked.embedding, bins.n)
            found = run_batched(run, 1 + len(asked.edits), batch_size, shape)
            if backward:
                found = found[:, :, ::-1]
            yield TrackPrediction(found[:, : len(tracks)], found[:, len(tracks) :])

    def _patches(self, reference: Codes, alternative: Codes, backward: bool) -> list[Edit]:
        """Return the stretches in which an edited copy differs from its window, on the strand that the model reads."""
        if backward:
            reference, alternative = reverse_complement(reference), reverse_complement(alternative)
        at = np.flatnonzero(reference != alternative)
        if not len(at):
            return []
        breaks = np.flatnonzero(np.diff(at) > _TOGETHER)
        starts, ends = at[np.append(0, breaks + 1)], at[np.append(breaks, len(at) - 1)] + 1
        return [
            Edit(start, self._one_hot(alternative[None, start:end])[0].T)
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]

    def _tiled_trunk(self) -> Trunk:
        if self.trunk is None:
            self.trunk = Trunk(self.model, self.dtype)
        return self.trunk

    def _one_hot(self, codes: Codes) -> Tensor:
        return one_hot(torch.from_numpy(np.array(codes)).to(self.device)).to(self.dtype)

    def from_trunk(self, x: Tensor, bins: Bins) -> Tensor:
        """Map the output of the trunk [B, C, T] to tracks [B, K, N]."""
        return self.model.tracks(self.model.crop_and_project(self.model.attend(x), bins), self.head)

    def _predict(self, codes: Codes, bins: Bins, batch_size: int) -> Floats:
        shape = (self.model.config.heads[self.head], bins.n)
        return run_batched(lambda part: self._run(codes[part], bins), len(codes), batch_size, shape)

    def trunk_output(self, codes: Codes) -> Tensor:
        """Return the trunk's output [B, C, T]."""
        onehot = self._one_hot(codes)
        return self._tiled_trunk()(onehot).transpose(1, 2) if self.device.type == "cpu" else self.model.convolve_bases(onehot)

    def _run(self, codes: Codes, bins: Bins) -> Tensor:
        return self.from_trunk(self.trunk_output(codes), bins)

    def both_strands(self, codes: Codes, strand_pairs: NDArray[np.int64], batch_size: int = 1) -> Floats:
        """Return the mean over both strands, [B, K, N]; strand_pairs [K]: the track of each on the other strand.

        Raises ConfigError if the number of pairs is not the number of tracks of the head.
        """
        n_tracks = self.model.config.heads[self.head]
        if len(strand_pairs) != n_tracks:
            raise ConfigError(f"{len(strand_pairs)} strand pairs for the {n_tracks} tracks of {self.head}; give one for each.")
        bins = self.model.bins_of(codes.shape[1], self.n_bins)
        n_all = codes.shape[1] // self.model.config.bin_size
        turned = Bins(n_all - bins.first - bins.n, bins.n)  # of an odd remainder the larger part is now at the beginning
        forward = self._predict(codes, bins, batch_size)
        backward = self._predict(np.stack([reverse_complement(window) for window in codes]), turned, batch_size)
        return np.asarray((forward + backward[:, strand_pairs, ::-1]) / 2, dtype=np.float32)


def plain_tracks(
    model: Enformer, codes: Codes, head: str, n_bins: int | None, tracks: NDArray[np.int64], *, backward: bool = False
) -> TrackPrediction:
    """Compute `TrackPredictor.predict_edits` of one window in the naive way.

    It runs whole sequences [B, L] one by one through the plain modules.
    """
    size = model.config.bin_size
    bins = model.bins_of(codes.shape[1], n_bins)
    if backward:
        codes = np.stack([reverse_complement(window) for window in codes])
        bins = Bins(codes.shape[1] // size - bins.first - bins.n, bins.n)
    chosen = torch.from_numpy(tracks)
    found, embeddings = [], []
    with torch.inference_mode():
        for window in codes:
            x = model.attend(model.convolve_bases(one_hot(torch.from_numpy(window[None]))))
            embeddings.append(model.crop_and_project(x, bins).numpy()[0])
            found.append(model.tracks(torch.from_numpy(embeddings[-1][None]), head).numpy()[0, chosen])
    seen = TrackPrediction(np.stack(found), np.stack(embeddings))
    return TrackPrediction(seen.tracks[..., ::-1], seen.embedding[..., ::-1]) if backward else seen
