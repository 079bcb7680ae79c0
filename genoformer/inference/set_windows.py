"""Windows of a set with tracks, or sequences of their length -> tracks that a model predicts, as in `predict`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.track_set import TrackSet
from genoformer.genome.codes import Codes, N
from genoformer.inference.runtime import Floats
from genoformer.inference.tracks import TrackPredictor
from genoformer.models.track_model import TrackModel


def predict_windows(
    model: TrackModel, data: TrackSet, rows: Iterable[int] | NDArray[np.int64], *, both_strands: bool = True
) -> Iterator[Floats]:
    """Yield the predicted tracks [K, N] of windows of a set, whose tracks the model's only head has.

    both_strands: average both strands. A window with more bins than the model predicts at once is read in parts.
    """
    return predict_sequences(model, data, (data.sequence[row] for row in rows), both_strands=both_strands)


def predict_sequences(
    model: TrackModel, data: TrackSet, sequences: Iterable[Codes], *, both_strands: bool = True
) -> Iterator[Floats]:
    """Yield the predicted tracks [K, N] of the middle of sequences [L], which are as long as the windows of a set.

    The rules are those of `predict_windows`.
    """
    length, bins = model.config.context_length, model.bins_of(model.config.context_length)
    reader = TrackPredictor(model)
    places = sorted({min(place, max(0, data.n_bins - bins.n)) for place in range(0, data.n_bins, bins.n)})
    for sequence in sequences:
        found = np.empty((len(data.targets), data.n_bins), dtype=np.float32)
        for place in places:
            codes = crop_padded(sequence, (data.first_bin + place - bins.first) * data.bin_size, length)[None]
            part = reader.both_strands(codes, data.targets.strand_pairs) if both_strands else reader(codes)
            found[:, place : place + bins.n] = part[0, :, : data.n_bins - place]
        yield found


def crop_padded(codes: Codes, start: int, length: int) -> Codes:
    """Return `length` bases of a window from `start` on, padded with N; `start` may be negative.

    >>> crop_padded(np.array([0, 1, 2], dtype=np.uint8), -1, 5)
    array([4, 0, 1, 2, 4], dtype=uint8)
    """
    out = np.full(length, N, dtype=np.uint8)
    first, last = max(start, 0), min(start + length, len(codes))
    if first < last:
        out[first - start : last - start] = codes[first:last]
    return out
