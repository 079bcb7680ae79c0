"""Squashed scale of tracks: the values of a model that was trained on squashed coverage -> coverage, by its track table.

Borzoi's training data and those of later models of the same group are squashed in two ways. Both are steps of
`hound_data_read.py` of calico/baskerville; `clip`, the last step, cannot be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError, OptionError
from genoformer.formats.track_table import Track, TrackTable

Scale = Literal["original", "published", "model"]  # coverage, that of the scripts of scores, values that the model predicts
SCALES: tuple[Scale, ...] = ("original", "published", "model")
TRACK_SCALES: tuple[Scale, ...] = ("original", "model")  # of tracks, which have no published scale of their own
Wide = NDArray[np.float64]

_TRACKS_AT_ONCE = 256  # in float64


class UndoneSteps(NamedTuple):
    """Steps of a squashed scale that a published score undoes; the power of the sum of a bin always is undone."""

    factor: bool = True  # the column scale of the track table: `unscale` of baskerville's `untransform_preds`
    soft_clip: bool = True  # the column clip_soft: `unclip`


ALL_STEPS = UndoneSteps()


@dataclass(frozen=True)
class SquashedScale:
    """The squashed scale of K tracks; `undo` converts their values to coverage.

    >>> rna = Track(0, "RNA", clip_soft=384, scale=0.01, sum_stat="sum_sqrt")
    >>> SquashedScale.of("borzoi", [rna]).undo(np.array([[0.08, 3.86]], dtype=np.float32)).round().tolist()
    [[16.0, 2830.0]]
    """

    kind: str  # a key of SQUASHED_SCALES
    scale: Wide  # [K, 1]
    clip_soft: Wide  # [K, 1]; infinite for none
    exponent: Wide  # [K, 1]; of the sum of a bin in training
    factor: Wide | None = None  # [K, 1], by which coverage is multiplied; None: 1

    @classmethod
    def of(cls, kind: str, tracks: Iterable[Track], steps: UndoneSteps = ALL_STEPS) -> SquashedScale:
        """Return the squashed scale of tracks, from scale, clip_soft and sum_stat of their table.

        kind: a key of SQUASHED_SCALES. steps: those that `undo` undoes. Raises ConfigError for an unknown kind.
        """
        if kind not in SQUASHED_SCALES:
            raise ConfigError(f"found the squashed scale {kind!r}, expected one of {', '.join(SQUASHED_SCALES)}.")
        exponents = _EXPONENTS[kind]
        rows = [
            (track.scale, np.inf if track.clip_soft is None else track.clip_soft, exponents.get(track.sum_stat, 1.0))
            for track in tracks
        ]
        scale, clip_soft, exponent = np.array(rows, dtype=np.float64).reshape(-1, 3).T[..., None]
        if not steps.soft_clip:
            clip_soft = np.full_like(clip_soft, np.inf)
        return cls(kind, scale, clip_soft, exponent, None if steps.factor else scale)

    @classmethod
    def stacked(cls, scales: Sequence[SquashedScale]) -> SquashedScale:
        """Return one squashed scale of the tracks of several of one kind, those of the first before those of the next."""
        if len(scales) == 1:
            return scales[0]
        columns = (
            (one.scale, one.clip_soft, one.exponent, np.ones_like(one.scale) if one.factor is None else one.factor)
            for one in scales
        )
        return cls(scales[0].kind, *map(np.concatenate, zip(*columns, strict=True)))

    def undo(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the coverage [..., K, N] of predicted values [..., K, N], computed in float64."""
        coverage = np.empty(values.shape, dtype=np.float32)
        function = SQUASHED_SCALES[self.kind]
        for first in range(0, values.shape[-2], _TRACKS_AT_ONCE):
            rows = slice(first, first + _TRACKS_AT_ONCE)
            wide = values[..., rows, :].astype(np.float64)
            undone = function(wide, self.scale[rows], self.clip_soft[rows], self.exponent[rows])
            coverage[..., rows, :] = undone if self.factor is None else undone * self.factor[rows]
        return coverage


def squashed_scale(
    kind: str,
    table: TrackTable | None,
    tracks: Iterable[int] | None,
    scale: Scale,
    steps: Sequence[UndoneSteps] = (ALL_STEPS,),
) -> SquashedScale | None:
    """Return what undoes the squashed scale of some tracks of a table; None where nothing is to be undone.

    kind: a key of SQUASHED_SCALES, "" for a model without a squashed scale. tracks: their numbers; None: all. steps: those
    that are undone; with several, the tracks are stacked once for each. Raises OptionError if the table is missing.
    """
    if not kind or scale == "model":
        return None
    if table is None:
        raise OptionError(
            "scale",
            f"is {scale}, which undoes the squashed scale of the tracks with scale, clip_soft and sum_stat of their table, and "
            "the model has no table; give targets, or scale model.",
        )
    chosen = list(table) if tracks is None else [table[i] for i in tracks]
    return SquashedScale.stacked([SquashedScale.of(kind, chosen, of) for of in steps])


def undo_borzoi(x: Wide, scale: Wide, clip_soft: Wide, exponent: Wide) -> Wide:
    """Return the coverage of Borzoi's tracks, whose values are scale * soft_clip(sum^exponent).

    y = x / scale; y > c = clip_soft becomes c + (y - c)^2; then y^(1 / exponent). Baskerville's `untransform_preds1` and
    borzoi-pytorch's `undo_squashed_scale`.
    """
    y = x / scale
    excess = np.maximum(y - clip_soft, 0)
    y = np.where(excess > 0, clip_soft + excess**2, y)
    return np.where(exponent == 1, y, y ** (1 / exponent))


def undo_prime(x: Wide, scale: Wide, clip_soft: Wide, exponent: Wide) -> Wide:
    """Return the coverage of Borzoi Prime's tracks, whose values are soft_clip((1 + scale * sum)^exponent - 1).

    x > c = clip_soft becomes c - 1 + (x - c + 1)^2; then (x + 1)^(1 / exponent) - 1; then x / scale. Baskerville's
    `untransform_preds` and borzoi-pytorch's `undo_squashed_scale(old_transform=False)`.
    """
    excess = np.maximum(x - clip_soft, 0)
    y = np.where(excess > 0, clip_soft - 1 + (excess + 1) ** 2, x)
    return np.where(exponent == 1, y, np.expm1(np.log1p(y) / exponent)) / scale


# In Borzoi's tables "sqrt" stands for an exponent of 3/4.
_EXPONENTS: dict[str, dict[str, float]] = {
    "borzoi": {"sum_sqrt": 0.75, "mean_sqrt": 0.75},
    "prime": {"sum_sqrt": 0.5, "mean_sqrt": 0.5, "sum_exp75": 0.75},
}
SQUASHED_SCALES: dict[str, Callable[[Wide, Wide, Wide, Wide], Wide]] = {"borzoi": undo_borzoi, "prime": undo_prime}
