"""A region and a language model -> a row with the entropy of the prediction at points that a screen can show."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from genoformer.browse.opened import Opened
from genoformer.browse.place import LONGEST, Place
from genoformer.errors import CheckpointError
from genoformer.genome.codes import N
from genoformer.inference.base_prediction import BasePrediction
from genoformer.inference.base_readers import BaseReader, least_stride, open_reader
from genoformer.inference.predict import open_prediction
from genoformer.inference.prediction_request import PredictionRequest
from genoformer.inference.runtime import Runtime
from genoformer.models.base import PredictsBases, has
from genoformer.progress import ProgressCallback
from genoformer.report.canvas import Row, TrackRow

SECONDS = 5.0  # for one region; a longer one is refused
_POINTS = 500  # of a region, as many as a screen shows
_APART = 16  # bases between masked bases; closer ones change the values more (docs/language-tracks.md)
_REPORT = 0.3  # seconds between two reports of progress, at which a request can be cancelled
_TIMED, _TIMINGS = 4, 3  # windows on which the time of a pass is measured, and how often


class Points(NamedTuple):
    """Bases at which the entropy is predicted: every `step`-th; `stride` as of `predict`, None for a causal model."""

    step: int
    stride: int | None


@dataclass(frozen=True)
class EntropyTrack:
    """Entropy of a language model along regions, within a few seconds for each."""

    opened: Opened

    @cached_property
    def seconds_per_pass(self) -> float:
        """Seconds of a pass over one window on one strand, measured on random bases: the least of several."""
        reader = self._coarsest
        codes = np.random.default_rng(0).integers(0, N, (_TIMED, reader.grid.window), dtype=np.uint8)
        wanted = np.zeros((_TIMED, reader.grid.step), dtype=bool)
        wanted[:, 0] = True
        seconds: list[float] = []
        for n in (1, *[_TIMED] * _TIMINGS):
            begun = time.perf_counter()
            reader.read(codes[:n], wanted[:n], None)
            seconds.append((time.perf_counter() - begun) / n)
        return min(seconds[1:])

    def row(self, place: Place, progress: ProgressCallback = None) -> tuple[list[Row], str]:
        """Return the track of a region and a sentence on its points; no track if there is none, or if it takes too long.

        The values are those of `predict` with track entropy and the stride in the sentence, at these bases.
        """
        try:
            points, prediction = self._points(place)
        except CheckpointError as error:  # BPE tokens have no fixed number of bases
            return [], f"The region has no entropy: {error}"
        longest, cell = self._longest, self._coarsest.grid.step
        if points is None:
            n = place.end - place.start
            too_long = f"The entropy of {n:,} bases takes more than {SECONDS:g} s on this machine"
            return [], f"{too_long}; choose a region of up to {longest:,} bases." if longest else f"{too_long}."
        n_phases = max(1, (points.stride or 1) // points.step)
        n_cells = max(1, int(_REPORT / (self.seconds_per_pass * self._n_read * n_phases)))
        prediction = replace(prediction, request=replace(prediction.request, part_size=n_cells * cell))
        values = prediction.table(progress)["entropy"].to_numpy(dtype=np.float32)
        start = int(prediction.intervals[place.chrom][0, 0])
        unit = "bits" if points.step == 1 else f"bits, every {points.step} bp"
        row = TrackRow("Entropy of the prediction", unit, start, points.step, values, None, place.middle)
        limit = f"Regions of up to {longest:,} bases show it within {SECONDS:g} s on this machine."
        return [row], f"{self._sentence(points)} {limit}"

    def _sentence(self, points: Points) -> str:
        stride = f" and stride {points.stride}" if points.stride is not None else ""
        bases = "every base" if points.step == 1 else f"one base in {points.step}"
        given = "" if has(self.opened.model, PredictsBases) else ", given the bases before it on either strand"
        computed = f"as predict computes it with track entropy{stride}"
        return f"Entropy of {bases}{given}, {computed}: 0 where one base is certain, 2 bits where all are equal."

    def _points(self, place: Place) -> tuple[Points | None, BasePrediction]:
        """Return the points of a region and their prediction: coarser ones if time is short, None if there are none."""
        step, coarsest = 1, 1
        if self._least is not None and self._least > 1:
            step = min(_power_of_two(-(-(place.end - place.start) // _POINTS)), self._most)
            coarsest = self._stride(1) or self._most  # from there on a window takes one pass
        while True:
            points = Points(step, self._stride(step))
            prediction = self._prediction(place, points)
            n_passes = self._n_read * prediction.windows(prediction.models, points.stride).n_passes()
            if n_passes * self.seconds_per_pass <= SECONDS:
                return points, prediction
            step *= 2
            if step > min(coarsest, place.end - place.start):
                return None, prediction

    def _prediction(self, place: Place, points: Points) -> BasePrediction:
        """Return the prediction of the bases of a region whose numbers are multiples of the step."""
        request = PredictionRequest(
            self.opened.genome,
            self.opened.model,
            region=place.text,
            track="entropy",
            stride=points.stride,
            strand="both" if self._n_strands == 2 else "forward",
            runtime=Runtime(self.opened.request.device),
        )
        with open_prediction(request) as opened:
            assert isinstance(opened, BasePrediction)
            if points.step == 1:
                return opened
            bases = np.arange(-(-place.start // points.step) * points.step, place.end, points.step)
            return replace(opened, intervals={place.chrom: np.stack([bases, bases + 1], axis=1)})

    @property
    def _n_strands(self) -> int:
        return 2 if self.opened.scorer.options["strands"] == "both" else 1

    @property
    def _n_read(self) -> int:
        """Strands that the model reads for the requested ones."""
        return 1 if self.opened.model.strands_agree else self._n_strands

    @cached_property
    def _least(self) -> int | None:
        return least_stride(self.opened.model)

    @property
    def _most(self) -> int:
        """Largest distance of masked bases that is a power of two and at most half of a window."""
        return 1 << ((self.opened.model.config.context_length // 2).bit_length() - 1)

    def _stride(self, step: int) -> int | None:
        """Return the distance of the bases that are masked together, a multiple of that of the points."""
        if self._least is None or self._least == 1:
            return self._least
        stride = max(step, _power_of_two(max(self._least, _APART)))
        return stride if stride <= self._most else None

    @cached_property
    def _coarsest(self) -> BaseReader:
        """The reader of one pass for each window, on one strand."""
        step = 1 if self._least in (None, 1) else self._most
        return open_reader(self.opened.model, None, self._stride(step), both_strands=False)

    @property
    def _longest(self) -> int:
        """Length of the longest region in time: a pass on each strand for the cell of each window; 0 if there is none."""
        n_passes = int(SECONDS / self._n_read / self.seconds_per_pass)
        longest = min((n_passes - 1) * self._coarsest.grid.step, LONGEST)  # both ends can be in the middle of a cell
        unit = 10 ** (len(str(longest)) - 1)
        return max(0, longest // unit * unit)


def _power_of_two(n: int) -> int:
    """Return the smallest power of two that is not smaller.

    >>> [_power_of_two(n) for n in (1, 2, 3, 12)]
    [1, 2, 4, 16]
    """
    return 1 << max(0, n - 1).bit_length()
