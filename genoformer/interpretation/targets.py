"""The target of attributions, ISM and audits: sequences -> one number of a model for each sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N, reverse_complement
from genoformer.inference.base_probabilities import posteriors
from genoformer.inference.runtime import Floats, run_batched, tokens_at_once
from genoformer.inference.tracks import TrackPredictor, WindowRequest
from genoformer.models.enformer.model import Bins, Enformer
from genoformer.models.heads import SequenceClassifier
from genoformer.models.onehot import OneHotModel, TrackSum
from genoformer.models.track_model import one_hot
from genoformer.models.transformer.model import Encoder

_HELD = 1 << 21  # maximum number of attention weights of a head, or trunk values, in memory
_WIDE = 4_096  # minimum number of bases of a long sequence
_ASKED = 32  # maximum number of bases that a language model predicts


class AttributionTarget(NamedTuple):
    """The number to explain: the logit of a class of a fine-tuned model, or the sum of tracks of a long-range model over bins.

    A language model has no such output. For audits its number is the mean of log2 P(base | all other bases) over at most 32
    bases of the sequence.
    """

    number: int = 0  # index of the class
    head: str | None = None
    tracks: Sequence[int] = ()  # empty: all tracks of the head
    bins: tuple[int, int] | None = None  # first bin and number of bins in the window; None: the bins that the model predicts

    def of(self, model: nn.Module, codes: Codes, reference: Codes | None = None) -> Floats:
        """Return the number of each sequence, uint8 [B, L] -> [B]. Raises ConfigError for an unknown output.

        reference [L]: the unmodified sequence of which `codes` are edited copies. A language model predicts its bases where
        `codes` are masked (N). A long-range model recomputes only the changed part of its stem and tower.
        """
        if isinstance(model, Encoder):
            return _known(model, codes, codes if reference is None else np.broadcast_to(reference, codes.shape))
        if isinstance(model, Enformer):
            small = codes.shape[1] < _WIDE  # a full pass is faster than finding the changed parts
            return self._tracks(model, codes) if reference is None or small else self._changed_tracks(model, codes, reference)
        assert isinstance(model, SequenceClassifier)
        self._check(model)
        at_once = max(1, 2 * tokens_at_once(model) // codes.shape[1])
        strands = (False, True) if model.config.both_strands else (False,)

        def run(part: slice) -> Tensor:
            both = [reverse_complement(codes[part]) if backward else codes[part] for backward in strands]
            logits = [model.logits(of) for of in both]
            return torch.stack(logits).mean(0)[:, self.number]

        return run_batched(run, len(codes), at_once, ())

    def module(self, model: nn.Module, length: int) -> nn.Module:
        """Return a module that maps one-hot DNA [B, 4, length] to the number, [B, 1], with gradients.

        Raises ConfigError for a language model, which has no output to explain, and for an unknown output.
        """
        if isinstance(model, Enformer):
            parameter = next(model.parameters())
            return _Summed(
                TrackSum(
                    model, model.head_named(self.head), self._chosen(model).to(parameter.device), *self._bins(model, length)
                )
            )
        if not isinstance(model, SequenceClassifier):
            raise ConfigError("a language model has no output to explain; give a fine-tuned one, or take `interpret ism`.")
        self._check(model)
        return _Column(OneHotModel(model), self.number)

    def name(self, model: nn.Module) -> str:
        """Return the label of the number for figures."""
        if isinstance(model, SequenceClassifier):
            return model.config.classes[self.number]
        if isinstance(model, Enformer):
            n = len(self.tracks) or model.config.heads[model.head_named(self.head)]
            return f"track {self.tracks[0]}" if n == 1 and self.tracks else f"sum of {n:,} tracks"
        return "log2 P"

    def _tracks(self, model: Enformer, codes: Codes) -> Floats:
        reader, bins = TrackPredictor(model, self.head), Bins(*self._bins(model, codes.shape[1]))
        chosen = self._chosen(model).to(reader.device)

        short = codes.shape[1] < _WIDE  # only long sequences are tiled

        def run(part: slice) -> Tensor:
            onehot = one_hot(torch.from_numpy(codes[part]).to(reader.device)).to(reader.dtype) if short else None
            embedding = model.embed(onehot, bins) if onehot is not None else reader.engine.embed(codes[part], bins)
            return model.tracks(embedding, reader.head, chosen).sum((1, 2))

        return run_batched(run, len(codes), max(1, (1 << (14 if short else 18)) // codes.shape[1]), ())

    def _changed_tracks(self, model: Enformer, codes: Codes, reference: Codes) -> Floats:
        first, n = self._bins(model, len(reference))
        reader, all_bins = TrackPredictor(model, self.head, 0), len(reference) // model.config.bin_size
        at_once = max(1, _HELD // (all_bins * max(all_bins, model.config.width)))
        asked = [WindowRequest(0, len(reference), list(codes))]
        (seen,) = reader.predict_edits(reference, asked, tracks=self._chosen(model).numpy(), batch_size=at_once)
        return np.asarray(seen.tracks[1:, :, first : first + n].sum((1, 2)))

    def _chosen(self, model: Enformer) -> Tensor:
        n = model.config.heads[model.head_named(self.head)]
        if bad := [i for i in self.tracks if not 0 <= i < n]:
            raise ConfigError(f"track {bad[0]}: the head has {n:,} tracks, numbered from 0.")
        return torch.tensor(self.tracks or range(n))

    def _bins(self, model: Enformer, length: int) -> tuple[int, int]:
        few = length // model.config.bin_size < model.config.target_bins  # window shorter than the model's: use all of its bins
        bins = model.bins_of(length, 0 if few else None)
        return self.bins or (bins.first, bins.n)

    def _check(self, model: SequenceClassifier) -> None:
        if not 0 <= self.number < len(model.config.classes):
            raise ConfigError(f"output {self.number}: the model has {', '.join(model.config.classes)}, numbered from 0.")


def _known(model: Encoder, codes: Codes, reference: Codes) -> Floats:
    length = codes.shape[1]
    places = np.unique(np.linspace(0, length - 1, min(_ASKED, length)).round().astype(np.int64))
    found = posteriors(model, np.repeat(codes, len(places), axis=0), np.tile(places, len(codes)))
    own = reference[:, places]
    known = own < N
    of = np.take_along_axis(found.reshape(*own.shape, 4), np.minimum(own, 3)[..., None].astype(np.int64), axis=-1)[..., 0]
    return np.asarray((of * known).sum(1) / np.maximum(known.sum(1), 1), dtype=np.float32)


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
