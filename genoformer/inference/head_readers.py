"""Selections of tracks of one or several heads -> readers of a model that compute them in one pass -> arrays by bin size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.squashed_scale import SquashedScale
from genoformer.genome.codes import Codes
from genoformer.inference.runtime import Floats
from genoformer.inference.tracks import TrackPredictor
from genoformer.models.base import Head
from genoformer.models.shared_work import SharedWork
from genoformer.models.track_model import TrackModel, head_named


class TrackSelection(NamedTuple):
    """Tracks of a head to predict.

    head: None for the only head. tracks: their numbers in the head [K]. strand_pairs: for the mean of both strands, the track
    of each of the head's tracks on the other strand; None for the forward strand alone. squashed: the squashed scale of the
    tracks to predict, undone after the mean over strands; None: the values that the model predicts.
    """

    head: str | None
    tracks: Sequence[int]
    strand_pairs: NDArray[np.int64] | None = None
    squashed: SquashedScale | None = None


def heads_named(heads: Mapping[str, Head], names: str | Sequence[str] | None) -> list[str]:
    """Return the names of heads that names or patterns select, such as human_*_1bp, each once, in their order.

    None: the only head. Raises ConfigError for a name or pattern without a head, with the names of all heads.
    """
    chosen: list[str] = []
    for name in [names] if isinstance(names, str) or names is None else names:
        matched = [] if name is None or name in heads else [head for head in heads if fnmatchcase(head, name)]
        chosen += matched or [head_named(heads, name)]
    return list(dict.fromkeys(chosen))


class SizeGroup(NamedTuple):
    """Selections of heads with bins of one size, whose tracks follow one another."""

    head: Head  # one of them
    numbers: tuple[int, ...]  # of the selections, in their order


def size_groups(heads: Mapping[str, Head], selections: Sequence[TrackSelection]) -> list[SizeGroup]:
    """Return the selections by the bin size of their heads, in the order of the first of each size."""
    groups: dict[int, list[int]] = {}
    names = [next(iter(heads)) if of.head is None else of.head for of in selections]
    for i, name in enumerate(names):
        groups.setdefault(heads[name].bin_size, []).append(i)
    return [SizeGroup(heads[names[numbers[0]]], tuple(numbers)) for numbers in groups.values()]


class _Reader(NamedTuple):
    """Predictor of heads with equal embeddings, and the selections of these heads."""

    predictor: TrackPredictor
    numbers: list[int]  # of the selections
    firsts: list[int]  # first track of each head in the predicted ones
    strand_pairs: NDArray[np.int64] | None


class HeadReaders:
    """A model in eval mode, ready to predict selections of its heads: codes [B, L] -> tracks [B, K, N] of each selection.

    Heads with equal embeddings (`TrackModel.embedding_kind`) are computed in one pass; others share what their engines keep.
    """

    def __init__(self, model: TrackModel, selections: Sequence[TrackSelection], kept: Sequence[int]) -> None:
        """kept: number of middle bins of a window that are predicted, for each selection."""
        self.model, self.selections = model, selections
        names = [model.head_named(of.head) for of in selections]
        shapes = [model.track_heads[name] for name in names]
        kinds: dict[tuple[int, str, int], list[int]] = {}
        for i, name in enumerate(names):
            kinds.setdefault((shapes[i].bin_size, model.embedding_kind(name), kept[i]), []).append(i)
        self.readers = []
        for _, numbers in sorted(kinds.items(), key=lambda item: item[0][0]):  # the finest bins read most of the encoder
            first, *others = (names[i] for i in numbers)
            sizes = [shapes[i].n_tracks for i in numbers]
            firsts = [sum(sizes[:i]) for i in range(len(sizes))]
            known = [selections[i].strand_pairs for i in numbers]
            pairs = [first + of for first, of in zip(firsts, known, strict=True) if of is not None]
            joined = np.concatenate(pairs) if len(pairs) == len(known) else None
            predictor = TrackPredictor(model, first, kept[numbers[0]], others=others)
            self.readers.append(_Reader(predictor, numbers, firsts, joined))
        self.work = SharedWork() if len(self.readers) > 1 else None

    def __call__(self, codes: Codes, batch_size: int) -> list[Floats]:
        """Return the tracks [B, K, N] of each selection, in their order."""
        found: dict[int, Floats] = {}
        with self._sharing():
            for predictor, numbers, firsts, pairs in self.readers:
                predicted = predictor(codes, batch_size) if pairs is None else predictor.both_strands(codes, pairs, batch_size)
                for number, first in zip(numbers, firsts, strict=True):
                    selection = self.selections[number]
                    tracks = first + np.asarray(selection.tracks, dtype=np.int64)
                    chosen = predicted if np.array_equal(tracks, np.arange(predicted.shape[1])) else predicted[:, tracks]
                    found[number] = chosen if selection.squashed is None else selection.squashed.undo(chosen)
        return [found[number] for number in range(len(self.selections))]

    @contextmanager
    def _sharing(self) -> Iterator[None]:
        """Let the engines keep what they have in common for the windows of a batch."""
        if self.work is None:
            yield
            return
        self.work.next_round()
        with self.model.sharing(self.work):
            yield
