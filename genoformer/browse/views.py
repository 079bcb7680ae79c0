"""Query -> view: the scene of a canvas, and the scores of a variant in words; all numbers are those of the commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, cast

import numpy as np

from genoformer.browse.entropy import EntropyTrack
from genoformer.browse.maps import IsmTarget, attention_rows, ism_rows, locus_around
from genoformer.browse.opened import Opened, open_model
from genoformer.browse.place import Place, read_place
from genoformer.browse.request import BrowseRequest, Query
from genoformer.browse.score_texts import score_texts
from genoformer.errors import ConfigError
from genoformer.genome.codes import N, decode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.genome.wording import signal_of_bins
from genoformer.inference.class_prediction import ClassPrediction
from genoformer.inference.predict import TrackPrediction, open_prediction
from genoformer.inference.prediction_request import PredictionRequest
from genoformer.inference.runtime import Runtime
from genoformer.interpretation.explain import explain
from genoformer.models.base import Attends, Classifies, has
from genoformer.progress import Progress, ProgressCallback
from genoformer.report.canvas import BasesRow, Change, ChangesRow, Mark, Row, Scene, TrackRow, distinct_labels, track_rows
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.variant_scorer import VariantScorer

_BASES = 60  # of logos and ISM around a variant
_SHORT = 500  # bases of a region that is shown as letters without being asked to
_LONGEST = 200  # bases of an allele
_MOST_TRACKS = 8  # of a region
_FIRST_TRACKS = 4  # of a region without a choice
_MOST_WINDOWS = 2_000  # of a region, whose classes are shown
_MOST_CONTIGS = 30  # in which an example is searched
_TRANSITIONS = {"A": "G", "C": "T", "G": "A", "T": "C"}
_MARGIN = 16  # smallest number of bins that are predicted on either side of a region, to pan to


class View(NamedTuple):
    """Contents of the page for one query."""

    scene: Scene
    texts: tuple[str, ...] = ()  # in words: the scores and their meaning
    scores: tuple[tuple[str, str], ...] = ()  # columns of `score`, and their values

    def data(self) -> dict[str, Any]:
        """Return the view as JSON."""
        scores = [{"name": name, "value": value} for name, value in self.scores]
        return {"scene": self.scene.data("canvas"), "text": self.scene.text(), "texts": list(self.texts), "scores": scores}


@dataclass(frozen=True)
class Browser:
    """A model and a genome that answer queries, one after the other."""

    opened: Opened

    @property
    def genome(self) -> Genome:
        return self.opened.genome

    @cached_property
    def _entropy(self) -> EntropyTrack:
        return EntropyTrack(self.opened)

    def about(self) -> dict[str, Any]:
        """Return the model, the genome and the listed variants, for the page."""
        opened, model = self.opened, self.opened.model
        example = self._example(20_000 if isinstance(opened.scorer, TrackScorer) else 100)
        outputs = opened.scorer.layout.outputs if isinstance(opened.scorer, TrackScorer) else None
        return {
            "model": str(opened.request.model),
            "genome": self.genome.name,
            "example": f"{example.chrom}:{example.start + 1:,}-{example.end:,}",
            "variant": self._example_variant(example),
            "kind": "tracks" if outputs is not None else "classes" if has(model, Classifies) else "language",
            "attention": has(model, (Attends, Classifies)),
            "n_tracks": 0 if outputs is None else len(outputs.names),
            "listed": [one.data() for one in opened.listed],
            "warnings": list(opened.warnings),
            "has_genes": opened.landmarks.genes is not None,
        }

    def _example(self, length: int) -> Place:
        """Return a region of known bases, for people who try the page: around a listed variant, or of the first contigs."""
        if self.opened.listed:
            variant = self.opened.listed[0].variant
            start = max(0, variant.start - length // 2)
            return Place(variant.chrom, start, min(start + length, self.genome.contigs[variant.chrom]))
        contigs = list(self.genome.contigs.items())[:_MOST_CONTIGS]
        for chrom, size in contigs:
            for start in (size // 4, size // 2, 3 * size // 4):
                if start + length <= size and (self.genome.window(chrom, start, length) < N).all():
                    return Place(chrom, start, start + length)
        chrom, size = contigs[0]
        return Place(chrom, 0, min(size, length))

    def _example_variant(self, place: Place) -> str:
        """Return a variant for people who try the page: the first listed one, or a transition in the middle of a place."""
        if self.opened.listed:
            return self.opened.listed[0].data()["place"]
        ref = decode(self.genome.window(place.chrom, place.middle, 1))
        return f"{place.chrom}:{place.middle + 1}:{ref}:{_TRANSITIONS[ref]}" if ref in _TRANSITIONS else ""

    def show(self, query: Query, progress: ProgressCallback = None) -> View:
        """Return the view of a query. Raises GenoformerError for a place or tracks that are not there."""
        place = read_place(query.place, self.genome, self.opened.landmarks.genes)
        if place.variant is not None:
            return self._variant(query, place, place.variant, progress)
        return self._region(query, place, progress)

    def _variant(self, query: Query, place: Place, variant: Variant, progress: ProgressCallback) -> View:
        """Return the scores of a variant, logos of both alleles and, for a track model, the tracks of its window."""
        scorer, bases = self.opened.scorer_of(query.tracks), query.bases or _BASES
        if (length := max(len(variant.ref), len(variant.alt))) > min(scorer.longest_allele, _LONGEST):
            most = min(scorer.longest_allele, _LONGEST)
            raise ConfigError(f"the longer allele has {length:,} bases, expected {most:,} at most; give shorter ones.")
        _report(progress, "scores and tracks of both alleles")
        texts = score_texts(scorer, variant)
        listed = next((one for one in self.opened.listed if one.variant == variant), None)
        printed = None if listed is None else listed.printed
        explained = explain(scorer, variant, flank=bases // 2, printed=printed, logos="gradient")  # ISM has rows of its own
        locus, alleles = explained.locus, explained.locus.alleles
        assert alleles is not None
        change = Change.of_alleles(alleles)
        rows: list[Row] = list(track_rows(explained.windows, variant.start))
        for name, codes, heights in (("REF", alleles.ref, explained.ref), ("ALT", alleles.alt, explained.alt)):
            on_alt = change if name == "ALT" and change.n_ref != change.n_alt else None
            rows.append(BasesRow(f"Logo of {name}", explained.label, locus.start, codes, heights.sum(-1), on_alt, "logo"))
        if query.ism:
            names = [score.name for score in scorer.scores]
            tracks = self._ism_tracks(scorer, explained.windows[0].name if explained.windows else "")
            target = IsmTarget(tracks, texts.output(names, "CLASS"))
            rows += ism_rows(self.opened, locus_around(self.genome, place, bases), target, progress)
        if query.attention:
            rows += attention_rows(self.opened, self._window(scorer, place), query.attention, progress)
        near = explained.tracks.edges if explained.tracks is not None else (locus.start, locus.end)
        mark = Mark(variant.start, variant.end, ">".join(explained.shown))
        scene = self._scene(str(variant), place, rows, (int(near[0]), int(near[-1])), mark)
        of_file = "" if listed is None else f"In the scored file: {listed.score}."
        return View(scene, (texts.sentence, of_file, explained.meaning), tuple(texts.columns.items()))

    def _region(self, query: Query, place: Place, progress: ProgressCallback) -> View:
        """Return the predicted tracks, classes or entropy of a region, and letters of its middle."""
        scorer, length = self.opened.scorer, place.end - place.start
        rows: list[Row] = []
        notes: list[str] = []
        if isinstance(scorer, TrackScorer):
            rows, notes = self._tracks(scorer, query, place, progress)
        elif self.opened.is_classifier:
            rows, notes = self._classes(place, progress)
        else:
            rows, note = self._entropy.row(place, progress)
            notes = [note]
        is_long = length > _SHORT or isinstance(scorer, TrackScorer)
        bases = min(length, query.bases or (_BASES if is_long else length))
        middle = place._replace(start=max(place.start, place.middle - bases // 2))
        middle = middle._replace(end=min(place.end, middle.start + bases))
        if query.ism:
            target = IsmTarget(self._ism_tracks(self.opened.scorer_of(query.tracks), ""))
            rows += ism_rows(self.opened, locus_around(self.genome, middle, bases), target, progress)
            notes += [f"ISM is of the middle {bases:,} of {length:,} bases."] if bases < length else []
        if query.attention:
            window = self._window(scorer, place)
            rows += attention_rows(self.opened, window, query.attention, progress)
            size = window.end - window.start
            notes += (
                [f"Attention reads the middle {size:,} of {length:,} bases, a window of the model."] if size < length else []
            )
        if not rows:
            notes.append("Choose ISM or attention to see what the model reads in this region.")
        has_tracks = any(isinstance(row, TrackRow) for row in rows)
        view = (middle.start, middle.end) if query.ism and not has_tracks else (place.start, place.end)
        return View(self._scene(place.text.replace("{", "").replace("}", ""), place, rows, view), tuple(notes))

    def _tracks(
        self, scorer: TrackScorer, query: Query, place: Place, progress: ProgressCallback
    ) -> tuple[list[Row], list[str]]:
        """Return the tracks of a region and of as many bases on either side, as `predict` computes them."""
        size, end_of_contig = scorer.bin_size, self.genome.contigs[place.chrom]
        margin = max(_MARGIN * size, min(place.end - place.start, scorer.window // 4))
        low = max(0, (place.start - margin) // size * size)
        high = min(end_of_contig, -(-(place.end + margin) // size) * size)
        of_scorer = scorer.tracks.tolist()
        request = PredictionRequest(
            self.genome,
            self.opened.model,
            region=place._replace(start=low, end=high).text,
            tracks=query.tracks or (of_scorer if scorer.layout.chosen else of_scorer[:_FIRST_TRACKS]),
            targets=scorer.targets,
            head=scorer.head,
            strand="both" if scorer.both_strands else "forward",
            scale=scorer.shown_scale,
            runtime=Runtime(self.opened.request.device),
        )
        with open_prediction(request) as prediction:
            assert isinstance(prediction, TrackPrediction)
            n = len(prediction.tracks)
            shown = list(prediction.tracks)[:_MOST_TRACKS]
            if n > len(shown):
                request = replace(request, tracks=[track.index for track in shown])
        with open_prediction(request) as prediction:
            table = cast(TrackPrediction, prediction).table(progress)
        values = table.iloc[:, 3:].to_numpy(dtype=np.float32).T
        unit = signal_of_bins(size)
        labels = distinct_labels([of.description or of.identifier for of in shown], [of.identifier for of in shown])
        rows: list[Row] = [
            TrackRow(label, unit, low, size, of, None, place.middle) for label, of in zip(labels, values, strict=True)
        ]
        return rows, [f"The first {len(shown)} of {n:,} tracks are shown; name the others in Tracks."] if n > len(shown) else []

    def _classes(self, place: Place, progress: ProgressCallback) -> tuple[list[Row], list[str]]:
        """Return the classes or values of a fine-tuned model along a region, as `predict` computes them."""
        window = self.opened.model.config.window
        step = max(1, window // 2)
        low, high = place.start // step * step, min(self.genome.contigs[place.chrom], -(-place.end // step) * step)
        if (n := -(-(high - low) // step)) > _MOST_WINDOWS:
            return [], [
                f"The region has {n:,} windows of the model: a region of up to {_MOST_WINDOWS:,} shows its predictions."
            ]
        region, runtime = place._replace(start=low, end=high).text, Runtime(self.opened.request.device)
        with open_prediction(PredictionRequest(self.genome, self.opened.model, region=region, runtime=runtime)) as prediction:
            assert isinstance(prediction, ClassPrediction)
            values = prediction.table(progress).iloc[:, 3:].to_numpy(dtype=np.float32).T
            labels = [of.description or of.identifier for of in prediction.tracks]
        unit = f"windows of {window:,} bp, in bins of {step:,} bp"
        pairs = list(zip(labels, values, strict=True))[:_MOST_TRACKS]
        return [TrackRow(label, unit, low, step, of, None, place.middle) for label, of in pairs], []

    def _ism_tracks(self, scorer: VariantScorer, drawn: str) -> list[int]:
        """Return the tracks that ISM sums: those that the query names, the drawn one, or the first."""
        if not isinstance(scorer, TrackScorer):
            return []
        if scorer is not self.opened.scorer:
            return [int(track) for track in scorer.tracks]
        names = list(scorer.layout.names)
        return [int(scorer.tracks[names.index(drawn) if drawn in names else 0])]

    def _window(self, scorer: VariantScorer, place: Place) -> Place:
        """Return the bases that attention reads: the window of the model around a variant or the middle of a region."""
        length = scorer.window
        if place.variant is None and not isinstance(scorer, TrackScorer) and place.end - place.start < length:
            return place
        start = place.middle - length // 2
        if isinstance(scorer, TrackScorer):
            unit = self.opened.model.window_unit_of(self.opened.model.config)
            start = start // unit * unit
        return place._replace(start=start, end=start + length)

    def _scene(self, title: str, place: Place, rows: Sequence[Row], view: tuple[int, int], mark: Mark | None = None) -> Scene:
        """Return the scene of rows, which ends where the rows do, on the contig."""
        spans = [span_of(row) for row in rows] + [view]
        length = self.genome.contigs[place.chrom]
        start, end = max(0, min(low for low, _ in spans)), min(length, max(high for _, high in spans))
        landmarks = self.opened.landmarks
        seen = landmarks.over(place.chrom, start, end)
        view = max(start, view[0]), min(end, view[1])
        return Scene(title, place.chrom, start, end, rows, view, mark, seen, landmarks.genes is not None)


def span_of(row: Row) -> tuple[int, int]:
    """Return the bases [start, end) of a row."""
    if isinstance(row, TrackRow):
        return row.start, row.start + row.bin_size * len(row.ref)
    assert isinstance(row, BasesRow | ChangesRow)
    return row.start, row.start + len(row.codes)


def _report(progress: ProgressCallback, stage: str) -> None:
    if progress is not None:
        progress(Progress(stage, 0, None))


@contextmanager
def open_browser(request: BrowseRequest) -> Iterator[Browser]:
    """Open the files and the model of a request; the model is on its device in the block."""
    with open_model(request) as opened:
        yield Browser(opened)
