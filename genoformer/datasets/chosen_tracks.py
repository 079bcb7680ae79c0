"""choose_tracks(): a set of windows -> the same set with some of its tracks, in another order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.track_set import TrackSet, read_tracks
from genoformer.formats.track_table import TrackTable


def choose_tracks(data: TrackSet, numbers: NDArray[np.int64], targets: TrackTable) -> TrackSet:
    """Return a set with the tracks of these numbers, named by a table; -1 is a track of zeros."""
    fields: dict[str, Any] = {**vars(data), "tracks": ChosenTracks(data.tracks, numbers), "targets": targets}
    return _ChosenSet(**fields)


class ChosenTracks:
    """Some tracks of a memory map [W, K, N], read by window: `tracks[window]`, or `tracks[window, :, bins]`."""

    def __init__(self, tracks: NDArray[np.float16], numbers: NDArray[np.int64]) -> None:
        self.tracks, self.numbers = tracks, numbers
        self.shape = (tracks.shape[0], len(numbers), tracks.shape[2])

    def __getitem__(self, at: Any) -> NDArray[np.float16]:
        values: NDArray[np.float16] = self.tracks[at][np.maximum(self.numbers, 0)]
        values[self.numbers < 0] = 0
        return values


class _ChosenSet(TrackSet):
    """A set with some of its tracks."""

    def __reduce__(self) -> Any:
        tracks: Any = self.tracks
        return _read_chosen, (self.folder, tracks.numbers, self.targets)


def _read_chosen(folder: Path, numbers: NDArray[np.int64], targets: TrackTable) -> TrackSet:
    return choose_tracks(read_tracks(folder), numbers, targets)
