"""Codes of windows -> tracks of a model, one strand or both, whole windows or edited copies of windows of a stretch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, reverse_complement
from genoformer.inference.runtime import Floats, batches, run_batched
from genoformer.models.base import Bins, TrackEngine, TracksInParts, TrackStretch, TrackWindow, has
from genoformer.models.track_model import TrackModel


class WindowRequest(NamedTuple):
    """A window of a stretch, and edited sequences of its length."""

    start: int  # in the stretch, a multiple of the bin
    length: int
    edits: Sequence[Codes]
    embedding: bool = False  # True if the embedding is requested too
    bins: Bins | None = None  # bins to predict; None: those in the middle that the predictor predicts


class TrackPrediction(NamedTuple):
    """Predictions for n sequences: tracks [n, K, N], and if requested the embedding [n, D, N]."""

    tracks: Floats
    embedding: Floats

    @classmethod
    def joined(cls, parts: Sequence[TrackPrediction]) -> TrackPrediction:
        """Join the predictions of several sequences, of at least one; a single one is not copied."""
        return parts[0] if len(parts) == 1 else cls(*(np.concatenate(values) for values in zip(*parts, strict=True)))


class TrackPredictor:
    """A track model in eval mode, ready to predict: codes [B, L] -> tracks [B, K, N].

    head: None is the only head. n_bins: bins in the middle of a window; None is the model's own number. engine: None is the
    model's own; make a new predictor after the weights of the model change. others: heads with the same embedding, whose
    tracks follow those of the head in whole windows; edited windows have those of the head alone.
    """

    def __init__(
        self,
        model: TrackModel,
        head: str | None = None,
        n_bins: int | None = None,
        engine: TrackEngine | None = None,
        others: Sequence[str] = (),
    ) -> None:
        self.model, self.head, self.n_bins = model, model.head_named(head), n_bins
        self.heads = [self.head, *others]
        self.n_tracks = sum(model.track_heads[name].n_tracks for name in self.heads)
        self.engine = engine or model.engine(self.head)
        parameter = next(model.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype

    def __call__(self, codes: Codes, batch_size: int = 1) -> Floats:
        """Map uint8 [B, L] to float32 [B, K, N]; codes may be a memory map, of which one batch is read at a time."""
        return self._predict(codes, self.model.bins_of(codes.shape[1], self.n_bins, self.head), batch_size)

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

        The windows of a stretch and their copies share work where the engine can. backward: the model reads the other strand;
        bins are returned in the order of the forward strand, tracks in their own order. Yields the prediction of one sequence
        at a time: for each window that of the unedited window, then that of each copy.

        Parameters: codes [L_s], the stretch, a whole number of bins; windows, whose starts are whole bins from the start of the
        stretch; tracks, the numbers of the requested tracks of the head.
        """
        stretch = self._stretch(reverse_complement(codes) if backward else codes)
        chosen = torch.from_numpy(tracks).to(self.device)
        size = self.model.track_heads[self.head].bin_size
        for request in windows:
            bins = request.bins or self.model.bins_of(request.length, self.n_bins, self.head)
            n_all, first = request.length // size, request.start // size
            edits = list(request.edits)
            if backward:
                first, bins = len(codes) // size - first - n_all, bins.reversed(n_all)
                edits = [reverse_complement(edit) for edit in edits]
            window = stretch.window(first, n_all)
            sequences: list[Codes | None] = [None, *edits]
            want = request.embedding

            def run(
                part: slice,
                sequences: list[Codes | None] = sequences,
                window: TrackWindow = window,
                bins: Bins = bins,
                want: bool = want,
            ) -> Tensor:
                embedding = window.embed(sequences[part], bins)
                values = self.model.tracks(embedding, self.head, chosen)
                return torch.cat([values, embedding.to(values.dtype)], dim=1) if want else values

            for _, values in batches(run, len(sequences), batch_size):
                values = values[:, :, ::-1] if backward else values
                for one in np.split(values, len(values)):
                    yield TrackPrediction(one[:, : len(tracks)], one[:, len(tracks) :])

    def _stretch(self, codes: Codes) -> TrackStretch:
        """Prepare a stretch; heads that share their work compute equal embeddings once."""
        work = self.model.shared_work
        return (
            self.engine.stretch(codes)
            if work is None
            else work.stretch(self.engine, self.model.embedding_kind(self.head), codes)
        )

    def both_strands(self, codes: Codes, strand_pairs: NDArray[np.int64], batch_size: int = 1) -> Floats:
        """Return the mean over both strands, [B, K, N]; strand_pairs [K]: the track of each on the other strand.

        Raises ConfigError if the number of pairs is not the number of tracks of the head.
        """
        head = self.model.track_heads[self.head]
        if len(strand_pairs) != self.n_tracks:
            names = ", ".join(self.heads)
            raise ConfigError(
                f"found {len(strand_pairs)} strand pairs for the {self.n_tracks} tracks of {names}; give one for each."
            )
        bins = self.model.bins_of(codes.shape[1], self.n_bins, self.head)
        reversed_bins = bins.reversed(codes.shape[1] // head.bin_size)
        forward = self._predict(codes, bins, batch_size)
        backward = self._predict(np.stack([reverse_complement(window) for window in codes]), reversed_bins, batch_size)
        for track, other in enumerate(strand_pairs.tolist()):  # in place: all tracks of a long window take gigabytes
            forward[:, track] += backward[:, other, ::-1]
        forward /= 2
        return forward

    def _predict(self, codes: Codes, bins: Bins, batch_size: int) -> Floats:
        engine: Any = self.engine

        def run(part: slice) -> Tensor:
            if has(engine, TracksInParts):
                tracks: Tensor = engine.tracks_in_parts(codes[part], bins, self._tracks)
                return tracks
            return self._tracks(self.engine.embed(codes[part], bins))

        return run_batched(run, len(codes), batch_size, (self.n_tracks, bins.n))

    def _tracks(self, embedding: Tensor) -> Tensor:
        """Return the tracks [B, K, N] of all heads from their embedding [B, D, N]."""
        tracks = [self.model.tracks(embedding, name) for name in self.heads]
        return tracks[0] if len(tracks) == 1 else torch.cat(tracks, dim=1)
