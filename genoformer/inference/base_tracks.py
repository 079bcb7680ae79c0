"""Tracks of a language model: log2 P(A, C, G, T) at a base -> one value for the base, such as the entropy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from genoformer.errors import OptionError
from genoformer.genome.codes import Codes
from genoformer.inference.runtime import Floats


class BaseTrack(NamedTuple):
    """Track of a language model.

    function: log2 P of A, C, G, T [n, 4] and the bases of the genome [n], codes 0 to 3, to values [n]. reads_one_side: True if
    the track is defined for a causal model, which reads the bases before a base only.
    """

    name: str
    meaning: str
    function: Callable[[Floats, Codes], Floats]
    reads_one_side: bool = True


def _entropy(log2_p: Floats, bases: Codes) -> Floats:
    return np.asarray(-(np.exp2(log2_p) * log2_p).sum(-1))


def _information(log2_p: Floats, bases: Codes) -> Floats:
    return 2 - _entropy(log2_p, bases)


def _log_probability(log2_p: Floats, bases: Codes) -> Floats:
    return np.asarray(log2_p[np.arange(len(bases)), bases])


def _constraint(log2_p: Floats, bases: Codes) -> Floats:
    reference = _log_probability(log2_p, bases)
    changes = log2_p - reference[:, None]
    changes[np.arange(len(bases)), bases] = 0
    return np.asarray(changes.sum(-1) / 3)


BASE_TRACKS = {
    track.name: track
    for track in (
        BaseTrack(
            "entropy", "-sum p log2 p over A, C, G, T: 0 where one base is certain, 2 bits where all are equal", _entropy
        ),
        BaseTrack("information", "2 bits minus the entropy: the height of a sequence logo", _information),
        BaseTrack("logprob", "log2 P of the base of the genome, in bits", _log_probability),
        BaseTrack(
            "constraint",
            "mean LLR of the three changes of the base, in bits; negative: the model expects the base of the genome",
            _constraint,
            reads_one_side=False,
        ),
    )
}


def base_tracks_named(names: Sequence[str]) -> list[BaseTrack]:
    """Return the tracks with these names, each once, in their order.

    >>> [track.name for track in base_tracks_named(["logprob", "entropy", "logprob"])]
    ['logprob', 'entropy']
    """
    for name in names:
        if name not in BASE_TRACKS:
            raise OptionError("track", f"names {name!r}, expected {', '.join(BASE_TRACKS)}; give some of these.")
    return [BASE_TRACKS[name] for name in dict.fromkeys(names)]


def track_values(tracks: Sequence[BaseTrack], strands: Sequence[Floats], bases: Codes) -> Floats:
    """Return the values of tracks [n, K]: of each strand from log2 P(A, C, G, T) [n, 4], averaged over the strands.

    bases: those of the genome [n], on the forward strand, as is the order of the probabilities.

    >>> certain = np.log2([[0.97, 0.01, 0.01, 0.01]])
    >>> track_values(base_tracks_named(["information", "constraint"]), [certain], np.array([0])).astype(float).round(2).tolist()
    [[1.76, -6.6]]
    """
    values = [np.stack([track.function(log2_p, bases) for track in tracks], axis=1) for log2_p in strands]
    return np.asarray(np.mean(values, axis=0), dtype=np.float32)
