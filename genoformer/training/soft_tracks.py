"""Soft tracks: measured tracks and unlabelled windows -> a set whose tracks are in part mean predictions (distillation)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import tee
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.request import MANIFEST
from genoformer.datasets.track_set import DTYPE, TrackSet, Window, new_track_set, read_tracks
from genoformer.errors import ConfigError
from genoformer.files import sha256_of
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.codes import Codes
from genoformer.genome.contigs import counted, join_names
from genoformer.genome.minhash import Sketch
from genoformer.genome.reference import Genome
from genoformer.genome.regions import runs_of_bases
from genoformer.inference.set_windows import predict_sequences
from genoformer.models import registry
from genoformer.models.base import PredictsTracks
from genoformer.models.track_model import TrackModel
from genoformer.progress import ProgressCallback, Stage
from genoformer.training.composition import CompositionRidge
from genoformer.training.stage_config import TrackDistilConfig

RECORD = "distilled"  # entry of the manifest of a set with soft tracks
_SHARED = 0.05  # largest fraction of a window's 31-mers in validation windows; repeats make up less
_SCALE = 100  # one 31-mer in so many is compared, in windows of 100,000 bases or more
_MOST = float(np.finfo(DTYPE).max)

Values = NDArray[np.float32]


class TrackTeacher(NamedTuple):
    """Models whose mean predictions become part of the tracks, with a weight; loss: that of the training on them.

    composition: part of ridge regression on composition in the mean; the models share the other part evenly. motifs: of the
    regression.
    """

    models: Sequence[TrackModel]
    weight: float
    loss: str
    both_strands: bool = True
    composition: float = 0.0
    motifs: Sequence[Matrix] = ()

    def mean(self, data: TrackSet, sequences: Iterable[Codes]) -> Iterator[Values]:
        """Yield the mean prediction [K, N] for sequences as long as the windows of a set, on the scale of the loss."""
        own, *copies = tee(sequences, 1 + len(self.models))
        readers = [
            predict_sequences(model, data, copy, both_strands=self.both_strands)
            for model, copy in zip(self.models, copies, strict=True)
        ]
        to_scale, from_scale = scale_of(self.loss)
        ridge = CompositionRidge.fit(data, to_scale, self.motifs) if self.composition else None
        for codes, *predicted in zip(own, *readers, strict=True):
            mean = np.mean([to_scale(one) for one in predicted], axis=0, dtype=np.float32)
            if ridge is not None:
                mean = (1 - self.composition) * mean + self.composition * ridge.predict(codes, data)
            yield from_scale(mean)

    def blend(self, measured: Values, predicted: Values) -> Values:
        """Return measured tracks of which predictions are a part, on the scale of the loss."""
        to_scale, from_scale = scale_of(self.loss)
        return from_scale((1 - self.weight) * to_scale(measured) + self.weight * to_scale(predicted))


class Unlabelled(NamedTuple):
    """Windows of a genome without tracks, as long as those of a set."""

    genome: Genome
    windows: list[Window]

    def sequences(self) -> Iterator[Codes]:
        """Yield the codes [L] of each window."""
        return (self.genome.window(window.chrom, window.start, window.end - window.start) for window in self.windows)

    @property
    def record(self) -> dict[str, Any]:
        """Record for the manifest: the file, and the number of windows of each contig."""
        counts = Counter(window.chrom for window in self.windows)
        return {"name": self.genome.path.name, "sha256": sha256_of(self.genome.path), "windows": dict(counts)}


def scale_of(loss: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return functions to and from the scale on which the targets of a loss can be averaged: log(1 + x) for "log", else x.

    There the loss on (1 - w) y + w p is, up to a constant, the weighted sum of the losses on y and on p.
    """
    return (np.log1p, np.expm1) if loss == "log" else (np.asarray, np.asarray)


def load_teachers(names: Sequence[str | Path], data: TrackSet) -> list[TrackModel]:
    """Load models, or the members of runs, whose only head has the tracks of a set; ConfigError for other models."""
    models: list[TrackModel] = []
    for name in names:
        models += registry.load_members(name, PredictsTracks)
        heads = models[-1].track_heads
        head = next(iter(heads.values()))
        expected = [track.identifier for track in data.targets]
        if len(heads) > 1 or (head.n_tracks, head.bin_size) != (len(expected), data.bin_size):
            found = join_names([f"{one.n_tracks:,} in bins of {one.bin_size}" for one in heads.values()])
            raise ConfigError(
                f"{name} predicts tracks that a set of {len(expected):,} in bins of {data.bin_size} does not have "
                f"(found {found}); give a model that was trained on this set."
            )
        if head.table is not None and [track.identifier for track in head.table] != expected:
            raise ConfigError(f"{name} predicts other tracks than those of {data.folder}; give a model that was trained on it.")
    return models


def fitting_windows(genome: Genome, data: TrackSet, plan: TrackDistilConfig) -> list[Window]:
    """Return all windows of the contigs of a plan that are as long as those of a set and hold no N, with adjacent middles."""
    names = [genome.resolve(name) for name in plan.contigs] or list(genome.contigs)
    return [
        Window(name, start, start + data.length, "train")
        for name in names
        for first, last in runs_of_bases(genome, name).tolist()
        for start in range(first, last - data.length + 1, data.n_bins * data.bin_size)
    ]


def unlabelled_windows(genome: Genome, data: TrackSet, plan: TrackDistilConfig) -> tuple[Unlabelled, str]:
    """Return windows of a genome as long as those of a set, with adjacent middles and without N, and a note on their number.

    Windows that share sequence with validation or test windows of the set are left out, under any contig name and in any
    assembly. Raises ConfigError if none is left.
    """
    windows = fitting_windows(genome, data, plan)
    n_fitting = len(windows)
    if 0 < plan.windows < n_fitting:
        windows = [windows[i] for i in np.linspace(0, n_fitting - 1, plan.windows).round().astype(int)]
    held_out = np.concatenate([data.rows("valid"), data.rows("test")])
    scale = max(1, min(_SCALE, data.length // 1_000))
    sketch = Sketch.from_sequences((np.asarray(data.sequence[row]) for row in held_out), scale=scale)
    n_found, n_sampled = sketch.matches(Unlabelled(genome, windows).sequences())
    kept = [window for window, n, of in zip(windows, n_found, n_sampled, strict=True) if n <= _SHARED * of]
    if not kept:
        raise ConfigError(
            f"{genome.path} has no window of {data.length:,} bases without N that is not in the validation data (found "
            f"{n_fitting:,} without N); give a FASTA with longer sequences, or leave it out."
        )
    left_out = len(windows) - len(kept)
    note = f"{genome.name}: {counted(len(kept), 'unlabelled window')} of {data.length:,} bases" + (
        f"; left out for sequence of validation or test windows: {left_out:,}." if left_out else "."
    )
    return Unlabelled(genome, kept), note


def soft_track_set(
    folder: Path, data: TrackSet, teacher: TrackTeacher, unlabelled: Unlabelled | None, progress: ProgressCallback = None
) -> TrackSet:
    """Write a set whose training windows have soft tracks, and return it; a set of the same teachers and data is kept.

    Training windows have (1 - w) measured + w predicted, unlabelled windows only predicted tracks, both on the scale of the
    loss; windows of valid and test do not change.
    """
    record = {
        "set": data.manifest.get("files"),
        "sha256": [model.sha256 for model in teacher.models],
        **{name: getattr(teacher, name) for name in ("weight", "loss", "both_strands", "composition")},
        "motifs": [motif.name for motif in teacher.motifs],
        "unlabelled": unlabelled.record if unlabelled is not None else None,
    }
    if (folder / MANIFEST).is_file() and (before := read_tracks(folder)).manifest.get(RECORD) == record:
        return before
    more = unlabelled.windows if unlabelled is not None else []
    train = data.rows("train").tolist()
    stage = Stage(progress, "distil", len(train) + len(more))
    targets = {"n_bins": data.n_bins, "bin_size": data.bin_size}
    with new_track_set(folder, [*data.windows, *more], data.targets, **targets) as writer:
        writer.manifest[RECORD] = record
        for row in range(len(data)):
            writer.put_sequence(row, np.asarray(data.sequence[row]))
            if data.windows[row].split != "train":
                writer.put_tracks(row, data.tracks[row])
        sequences = (np.asarray(data.sequence[row]) for row in train)
        for row, predicted in zip(train, teacher.mean(data, sequences), strict=True):
            blended = teacher.blend(data.tracks[row].astype(np.float32), predicted)
            writer.put_tracks(row, np.minimum(blended, _MOST))
            stage.add(1)
        if unlabelled is not None:
            written, read = tee(unlabelled.sequences())
            for i, (codes, predicted) in enumerate(zip(written, teacher.mean(data, read), strict=True), len(data)):
                writer.put_sequence(i, codes)
                writer.put_tracks(i, np.minimum(predicted, _MOST))
                stage.add(1)
    return read_tracks(folder)
