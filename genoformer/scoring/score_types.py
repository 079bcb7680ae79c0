"""Score: a number for one ALT from the evidence for both alleles; ScoreBatch: the scores of several variants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.squashed_scale import ALL_STEPS, UndoneSteps
from genoformer.genome.variants import Status
from genoformer.scoring.score_inputs import Alleles, ScoreInput
from genoformer.writers import Column, Floats


class TrackScoreMatrix(NamedTuple):
    """Scores of every track: one row per variant and score; for gene scores one row per gene in the window."""

    rows: NDArray[np.int32]  # [R, 4]: variant, score, gene or -1, and 1 if the row is also in the table
    values: Floats  # [R, K], NaN if missing


class ScoreBatch(NamedTuple):
    """Scores of n variants."""

    statuses: list[Status]  # [n]: OK, or the reason for a missing score
    values: Floats  # [n, columns], NaN if missing
    matrix: TrackScoreMatrix | None = None  # if every track is requested


class Score(NamedTuple):
    """A score of one ALT; `function(ref, alt)` takes the evidence for both alleles, one row per variant."""

    name: str
    input: ScoreInput  # arguments of `function`
    alleles: Alleles  # alleles it is defined for: equal lengths (SNV, MNV), different lengths, or all
    signed: bool  # swapping the alleles changes the sign
    unit: str
    meaning: str
    function: Callable[[Floats, Floats], Floats]
    zero_at_reference: bool = True  # REF compared with itself gives 0
    joins_tracks: bool = False  # the value of a track depends on the other tracks that are scored
    published_steps: UndoneSteps = ALL_STEPS  # of a squashed scale, that the script of the score undoes (`--scale published`)
    outputs: tuple[str, ...] = ()  # that the published scorer is defined for, as in `TrackModel.output_of`; empty: for any

    @property
    def of_tracks(self) -> bool:
        """True if the score needs a track model."""
        return self.input.of_tracks

    @property
    def of_classes(self) -> bool:
        """True if the score needs a fine-tuned model."""
        return self.input.of_classes

    @property
    def per_output(self) -> bool:
        """True if the score has one value for each track or class."""
        return self.input.of_tracks or self.input.of_classes

    @property
    def column(self) -> Column:
        return Column(self.name, self.unit, self.meaning)


def published_steps(scores: Iterable[Score]) -> list[UndoneSteps]:
    """Return the steps of a squashed scale that the scripts of some scores undo, each once; all without a score of tracks."""
    return list(dict.fromkeys(score.published_steps for score in scores if score.of_tracks)) or [ALL_STEPS]
