"""Tracks of a set and a table of contexts -> tracks in the order of a head with contexts: by context, then by measurement."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.chosen_tracks import choose_tracks
from genoformer.datasets.track_set import TrackSet
from genoformer.errors import ConfigError
from genoformer.formats.context_table import ContextTable
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.contigs import join_names
from genoformer.models.contexts import ContextConfig
from genoformer.models.families import family_of_config
from genoformer.training.jobs import TrackTrainingJob
from genoformer.training.track_config import shape_of

_EDGES = " \t.,:;_-/|()"


@dataclass(frozen=True)
class ContextTracking:
    """Assignment of tracks to contexts and measurements.

    numbers: of the tracks in the set, for each context all measurements; -1 for a measurement that a context does not have.
    """

    contexts: ContextTable  # those with tracks
    measurements: tuple[str, ...]
    strand_pairs: tuple[int, ...]  # of the measurements
    groups: tuple[str, ...]  # of the measurements
    strands: tuple[str, ...]  # of the measurements; "" for one that is not known
    numbers: NDArray[np.int64]
    notes: tuple[str, ...] = ()

    @property
    def is_measured(self) -> NDArray[np.bool_]:
        """True for the tracks that the set has."""
        return self.numbers >= 0

    def filled(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the means of the tracks, [K A]; a missing track has the mean of its measurement in the other contexts."""
        table = np.where(self.is_measured, means, np.nan).reshape(-1, len(self.measurements))
        return np.where(np.isnan(table), np.nanmean(table, axis=0), table).ravel()

    def config(self, trunk: Any, head: str) -> ContextConfig:
        """Return the configuration of a model with these contexts and a trunk that has one head."""
        return ContextConfig(
            trunk,
            self.contexts.names,
            self.contexts.columns,
            self.measurements,
            self.strand_pairs,
            self.groups,
            head,
            family=family_of_config(trunk),
            strands=self.strands,
        )

    def arranged(self, data: TrackSet, table: TrackTable) -> TrackSet:
        """Return the set with its tracks in the order of the head; tracks that it does not have are 0."""
        return choose_tracks(data, self.numbers, table)


def assign_tracks(targets: TrackTable, contexts: ContextTable) -> ContextTracking:
    """Assign the tracks of a set to the contexts of a table.

    A track is of the context whose name is a whole word of its identifier, or else of its description; of several names the
    longest counts. The rest of the text names the measurement: dnase.liver is dnase of liver.

    Raises ConfigError if no track is of a context, if a track is of several contexts, if two tracks are the same measurement of
    a context, and if the strand pairs differ between contexts.
    """
    cells: dict[tuple[str, str], Track] = {}
    without = []
    for track in targets:
        cell = _cell(track, contexts.names)
        if cell is None:
            without.append(track.identifier)
            continue
        if cell in cells:
            raise ConfigError(
                f"tracks {cells[cell].identifier} and {track.identifier} are both {cell[1] or 'the measurement'} of {cell[0]}; "
                "give each measurement of a context one track, with a name of its own."
            )
        cells[cell] = track
    used = [name for name in contexts.names if any(name == context for context, _ in cells)]
    if not used:
        raise ConfigError(
            f"no track of the set has the name of a context ({join_names(contexts.names)}) in its identifier or description; "
            f"its tracks are {join_names([track.identifier for track in targets])}."
        )
    measurements = list(dict.fromkeys(measurement for _, measurement in cells))
    numbers = [cells[cell].index if cell in cells else -1 for cell in ((c, m) for c in used for m in measurements)]
    pairs = _strand_pairs(cells, measurements)
    groups = {measurement: track.group for (_, measurement), track in reversed(cells.items())}
    notes = _notes(contexts, used, without, numbers)
    return ContextTracking(
        contexts.rows(used),
        tuple(measurements),
        tuple(pairs),
        tuple(groups[name] for name in measurements),
        _strands(cells, measurements, targets),
        np.array(numbers),
        tuple(notes),
    )


def job_tracking(job: TrackTrainingJob) -> ContextTracking | None:
    """Return the assignment of the tracks of a job to its contexts; None for a job without contexts."""
    return None if job.contexts is None else assign_tracks(job.data.targets, job.contexts)


def job_shape(job: TrackTrainingJob, start: Any, tracking: ContextTracking | None = None) -> Any:
    """Return the configuration of the model of a job; start: that of the start model, or None (`shape_of`)."""
    tracking = tracking or job_tracking(job)
    if tracking is None:
        return shape_of(job.config, job.data, start, job.head, organism=job.organism)
    trunk = shape_of(job.config, job.data, start, job.head, n_tracks=1, organism=job.organism)
    return tracking.config(trunk, job.context_head)


def _cell(track: Track, names: Sequence[str]) -> tuple[str, str] | None:
    """Return the context and the measurement of a track; None if no context is named."""
    for text in (track.identifier, track.description):
        spans = {name: span for name in names if (span := _word(name, text)) is not None}
        if not spans:
            continue
        name = max(spans, key=lambda name: spans[name][1] - spans[name][0])
        first, end = spans[name]
        if others := [other for other, (a, b) in spans.items() if other != name and not (first <= a and b <= end)]:
            raise ConfigError(
                f"track {text!r} names the contexts {name} and {others[0]}; give each track the name of one context."
            )
        before, after = text[:first], text[end:]
        edge = before[len(before.rstrip(_EDGES)) :][:1]
        parts = [part for part in (before.strip(_EDGES), after.strip(_EDGES)) if part]
        return name, (edge or ".").join(parts)
    return None


def _word(name: str, text: str) -> tuple[int, int] | None:
    """Return the place of a name as a whole word of a text, in any case."""
    match = re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", text, re.IGNORECASE)
    return match.span() if match else None


def _strand_pairs(cells: dict[tuple[str, str], Track], measurements: Sequence[str]) -> list[int]:
    """Return the number of each measurement on the other strand; ConfigError if contexts differ."""
    of_track = {track.index: cell for cell, track in cells.items()}
    pairs: dict[str, str] = {}
    for (context, measurement), track in cells.items():
        partner = of_track.get(track.strand_pair)
        if partner is None or partner[0] != context or pairs.setdefault(measurement, partner[1]) != partner[1]:
            raise ConfigError(
                f"track {track.identifier} has another track of the other strand than the same measurement of other contexts; "
                "correct the strand pairs of the set, or name both tracks by context."
            )
    return [measurements.index(pairs[name]) for name in measurements]


def _strands(cells: dict[tuple[str, str], Track], measurements: Sequence[str], targets: TrackTable) -> tuple[str, ...]:
    """Return the strand of each measurement if all its tracks have the same one, "" otherwise."""
    strands: dict[str, set[str]] = {}
    for (_, measurement), track in cells.items():
        strand = "" if targets.unknown_strands[track.index] else str(targets.strands[track.index])
        strands.setdefault(measurement, set()).add(strand)
    return tuple(next(iter(strands[name])) if len(strands[name]) == 1 else "" for name in measurements)


def _notes(contexts: ContextTable, used: Sequence[str], without: Sequence[str], numbers: Sequence[int]) -> list[str]:
    notes = []
    if unused := [name for name in contexts.names if name not in used]:
        notes.append(f"No track of the set is of {join_names(unused)}: not trained on.")
    if without:
        notes.append(f"{len(without):,} tracks of the set are of no context of the table, and left out: {join_names(without)}.")
    if missing := sum(number < 0 for number in numbers):
        notes.append(f"{missing:,} of {len(numbers):,} measurements of contexts have no track in the set: not trained on.")
    return notes
