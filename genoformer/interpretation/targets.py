"""The target of attributions, ISM and sanity checks: sequences -> one number of a model for each sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genoformer.errors import ConfigError, OptionError
from genoformer.formats.track_table import TrackTable
from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.inference.base_probabilities import posteriors
from genoformer.inference.runtime import Floats, run_batched, tokens_at_once
from genoformer.inference.track_prediction import head_tracks
from genoformer.inference.tracks import TrackPredictor, WindowRequest
from genoformer.models.base import Bins, Classifies, Head, PredictsPairs, PredictsTracks, has
from genoformer.models.onehot import OneHotModel, TrackSum
from genoformer.models.plain_engine import one_hot
from genoformer.models.track_model import named_heads

_MAX_VALUES = 1 << 21  # maximum number of attention weights of a head, or trunk values, in memory
LONG = 4_096  # minimum number of bases of a long sequence
MAX_BASES = 32  # maximum number of bases that a language model predicts


class AttributionTarget(NamedTuple):
    """The number to explain: the logit of a class of a fine-tuned model, or the sum of tracks of a track model over bins.

    A language model has no such output. Its number for sanity checks is the mean of log2 P(base | all other bases) over at most
    32 bases of the sequence.
    """

    number: int = 0  # index of the class
    head: str | None = None
    tracks: Sequence[int] = ()  # empty: all tracks of the head
    bins: tuple[int, int] | None = None  # first bin and number of bins in the window; None: the bins that the model predicts
    bin_numbers: tuple[int, ...] = ()  # bins in the window, which need not be neighbours, in place of `bins`

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for equal targets; it can be hashed."""
        return self._replace(tracks=tuple(self.tracks))

    @classmethod
    def default(cls, model: Any) -> AttributionTarget:
        """Return the first class of a model, or the sum of all tracks of its first head."""
        return cls(head=next(iter(model.track_heads)) if has(model, PredictsTracks) else None)

    def compute(self, model: Any, codes: Codes, reference: Codes | None = None) -> Floats:
        """Return the number of each sequence, uint8 [B, L] -> [B]. Raises ConfigError for an unknown output.

        reference [L]: the unmodified sequence of which `codes` are edited copies. A language model predicts its bases where
        `codes` are masked (N). A track model recomputes only the changed part of its stem and tower.
        """
        if has(model, Classifies):
            return self.logit(model, codes)
        if has(model, PredictsTracks):
            return self.track_sum(model, codes, reference)
        return self.base_log2_prob(model, codes, reference)

    def logit(self, model: Any, codes: Codes) -> Floats:
        """Return the logit of the class, the mean over strands for a model that reads both, [B]."""
        self._check_class(model)
        batch_size = max(1, 2 * tokens_at_once(model) // codes.shape[1])
        strands = (False, True) if model.config.both_strands else (False,)

        def run(part: slice) -> Tensor:
            both = [reverse_complement(codes[part]) if backward else codes[part] for backward in strands]
            return torch.stack([model.logits(strand) for strand in both]).mean(0)[:, self.number]

        return run_batched(run, len(codes), batch_size, ())

    def track_sum(self, model: Any, codes: Codes, reference: Codes | None = None, *, long: int = LONG) -> Floats:
        """Return the sum of the tracks over the bins, [B]. long: minimum number of bases of a sequence computed in parts."""
        if reference is not None and codes.shape[1] >= long:  # a full pass is faster than finding the changes of short ones
            return self._edited_track_sum(model, codes, reference)
        predictor, bins = TrackPredictor(model, self.head), Bins(*self.bins_in(model, codes.shape[1]))
        tracks = self._tracks(model).to(predictor.device)
        short = codes.shape[1] < long  # only long sequences are tiled
        chosen = self._chosen(bins.first)

        def run(part: slice) -> Tensor:
            onehot = one_hot(torch.from_numpy(codes[part]).to(predictor.device)).to(predictor.dtype) if short else None
            embedding = (
                model.embed(onehot, bins, predictor.head) if onehot is not None else predictor.engine.embed(codes[part], bins)
            )
            return model.tracks(embedding[..., chosen], predictor.head, tracks).sum((1, 2))

        return run_batched(run, len(codes), max(1, (1 << (14 if short else 18)) // codes.shape[1]), ())

    def _edited_track_sum(self, model: Any, codes: Codes, reference: Codes) -> Floats:
        """Return the sums for edited copies of one sequence; only the changed part of the trunk is computed again."""
        first, n = self.bins_in(model, len(reference))
        predictor, n_all = TrackPredictor(model, self.head, 0), len(reference) // self._head(model).bin_size
        batch_size = max(1, _MAX_VALUES // (n_all * max(n_all, model.config.width)))
        windows = [WindowRequest(0, len(reference), list(codes))]
        predictions = predictor.predict_edits(reference, windows, tracks=self._tracks(model).numpy(), batch_size=batch_size)
        next(predictions)  # of the reference itself
        chosen = self._chosen(first)
        return np.concatenate([one.tracks[:, :, first : first + n][:, :, chosen].sum((1, 2)) for one in predictions])

    def base_log2_prob(self, model: Any, codes: Codes, reference: Codes | None = None) -> Floats:
        """Return the mean of log2 P(base | all other bases) over at most 32 bases, evenly spaced, [B]."""
        bases = codes if reference is None else np.broadcast_to(reference, codes.shape)
        length = codes.shape[1]
        positions = np.unique(np.linspace(0, length - 1, min(MAX_BASES, length)).round().astype(np.int64))
        log2_p = posteriors(model, np.repeat(codes, len(positions), axis=0), np.tile(positions, len(codes)))
        observed = bases[:, positions]
        known = observed < N
        index = np.minimum(observed, 3)[..., None].astype(np.int64)
        values = np.take_along_axis(log2_p.reshape(*observed.shape, 4), index, axis=-1)[..., 0]
        return np.asarray((values * known).sum(1) / np.maximum(known.sum(1), 1), dtype=np.float32)

    def module(self, model: Any, length: int) -> nn.Module:
        """Return a module that maps one-hot DNA [B, 4, length] to the number, [B, 1], with gradients.

        Raises ConfigError for a language model, which has no output to explain, and for an unknown output.
        """
        if has(model, Classifies):
            self._check_class(model)
            return _Column(OneHotModel(model), self.number)
        if has(model, PredictsTracks):
            tracks = self._tracks(model).to(next(model.parameters()).device)
            first, n = self.bins_in(model, length)
            return _Summed(TrackSum(model, model.head_named(self.head), tracks, first, n, self._chosen(first)))
        raise ConfigError("a language model has no output to explain; give a fine-tuned model, or use `interpret ism`.")

    def name(self, model: Any) -> str:
        """Return the label of the number for figures."""
        if has(model, Classifies):
            return str(model.config.classes[self.number])
        if has(model, PredictsTracks):
            n = len(self.tracks) or self._head(model).n_tracks
            return f"track {self.tracks[0]}" if n == 1 and self.tracks else f"sum of {n:,} tracks"
        return "log2 P"

    def _tracks(self, model: Any) -> Tensor:
        n = self._head(model).n_tracks
        if unknown := [i for i in self.tracks if not 0 <= i < n]:
            raise ConfigError(f"track {unknown[0]}: the head has {n:,} tracks, numbered from 0.")
        return torch.tensor(self.tracks or range(n))

    def bins_in(self, model: Any, length: int) -> tuple[int, int]:
        """Return the first bin in a window and the number of bins, from which the bins of the target are taken."""
        if self.bin_numbers:
            return min(self.bin_numbers), max(self.bin_numbers) - min(self.bin_numbers) + 1
        head = self._head(model)
        few = length // head.bin_size < head.target_bins  # window shorter than the model's: use all of its bins
        bins = model.bins_of(length, 0 if few else None, self.head)
        return self.bins or (bins.first, bins.n)

    def _chosen(self, first: int) -> slice | list[int]:
        """Return the bins of the target among those of `bins_in`, of which `first` is the first."""
        return [number - first for number in self.bin_numbers] or slice(None)

    def _head(self, model: Any) -> Head:
        head: Head = model.track_heads[model.head_named(self.head)]
        return head

    def _check_class(self, model: Any) -> None:
        if not 0 <= self.number < len(model.config.classes):
            raise ConfigError(f"output {self.number}: the model has {', '.join(model.config.classes)}, numbered from 0.")


def choose_target(
    model: Any,
    *,
    output: str | None = None,
    tracks: str | Sequence[int] | None = None,
    head: str | None = None,
    table: TrackTable | None = None,
) -> AttributionTarget:
    """Return the target that the names of a class, or of tracks and a head, describe for a model.

    Parameters: output, a class (default: the last); tracks, numbers, names or patterns (default: all of the head); table, that
    of the tracks (default: the model's). Raises ConfigError for unknown names, and for options that the model does not have.
    """
    if has(model, Classifies):
        classes = list(model.config.classes)
        if tracks or head or table:
            option = "tracks" if tracks else "head" if head else "targets"
            raise OptionError(option, "needs a track model, found a fine-tuned model; leave it out, or choose another model.")
        if output is not None and output not in classes:
            raise OptionError("output", f"is {output!r}, expected a class of the model; give one of {', '.join(classes)}.")
        return AttributionTarget(classes.index(output) if output else len(classes) - 1)
    if output is not None:
        raise OptionError("output", f"is {output!r}, but the model has no classes; leave it out, or give a fine-tuned model.")
    if has(model, PredictsTracks):
        if has(model, PredictsPairs) and head in model.pair_heads:
            others = named_heads(model.track_heads)
            raise OptionError("head", f"is {head}, which predicts no tracks, and maps are of tracks; give one of {others}.")
        known = head_tracks(model.track_heads, head, table)
        numbers = list(range(len(known))) if tracks is None else known.choose(tracks)
        return AttributionTarget(head=model.head_named(head), tracks=numbers)
    if tracks or head or table:
        option = "tracks" if tracks else "head" if head else "targets"
        raise OptionError(option, "needs a track model, found a language model; leave it out, or choose another model.")
    return AttributionTarget()


class _Summed(nn.Module):
    """Module that returns the sum of all outputs of a model, [B, 1]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.train(model.training)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x).sum(-1, keepdim=True)


class _Column(nn.Module):
    """Module that returns one output of a model, [B, 1]."""

    def __init__(self, model: nn.Module, number: int) -> None:
        super().__init__()
        self.model, self.number = model, number
        self.train(model.training)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)[:, self.number : self.number + 1]
