"""TrackRecipe: a set of windows with tracks + a track model (or none) -> batches, loss, validation and fits."""

from __future__ import annotations

import copy
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from genoformer.datasets.track_set import TrackSet
from genoformer.errors import ConfigError
from genoformer.evaluation.tracks import TrackFit
from genoformer.files import sha256_of
from genoformer.formats.motif_files import read_matrices
from genoformer.genome.minhash import GENOME_SCALE
from genoformer.models import registry
from genoformer.models.base import PredictsTracks
from genoformer.models.families import class_of
from genoformer.models.lora import merge_adapters
from genoformer.models.track_model import TrackModel
from genoformer.models.tuning import set_trainable
from genoformer.progress import ProgressCallback
from genoformer.training.jobs import TrackTrainingJob
from genoformer.training.loop import FitResult, Monitor, Trainable
from genoformer.training.losses import track_loss_named
from genoformer.training.motif_filters import start_at_motifs
from genoformer.training.recipe import Finished, training_sketch
from genoformer.training.strategies import full_state_dict
from genoformer.training.track_batches import TrackBatches, track_loss
from genoformer.training.track_config import TrackTuningConfig, training_crop
from genoformer.training.track_contexts import ContextTracking, job_shape, job_tracking
from genoformer.training.track_fit import measure_fit, pearson_by_group, write_fit

if TYPE_CHECKING:
    import pandas as pd


class TrainedTracks(NamedTuple):
    """Folder of the model, fit on validation windows (None without any), best step, notes, and groups of the tracks."""

    folder: Path
    fit: TrackFit | None
    step: int
    notes: list[str]
    test: TrackFit | None = None  # fit on windows of split test, which did not select the step
    groups: tuple[str, ...] = ()  # of the tracks of the fits

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each split and group of tracks, with Pearson's r over positions and over windows."""
        import pandas as pd

        fits = {"valid": self.fit, "test": self.test}
        rows = [
            (split, group, *numbers)
            for split, fit in fits.items()
            if fit is not None
            for group, numbers in fit.by_group(self.groups).items()
        ]
        return pd.DataFrame(rows, columns=["split", "group", "tracks", "pearson_positions", "pearson_windows"])

    def __repr__(self) -> str:
        columns = (self.to_frame()[name].tolist() for name in ("split", "group", "pearson_positions"))
        rows = [f"{split} {group} r {r:.3f}" for split, group, r in zip(*columns, strict=True)]
        return f"TrainedTracks({self.folder}, step {self.step:,}{': ' if rows else ''}{', '.join(rows)})"


class TrackRecipe:
    """Training of a track model on windows of split train; see `training.tracks.train_tracks`."""

    def __init__(self, job: TrackTrainingJob) -> None:
        self.config, self.head, self.start, plan = job.config, job.head, job.start, job.config.tracks
        self.tracking = job_tracking(job)
        self.notes = list(self.tracking.notes) if self.tracking else list[str]()
        self.context_head = job.context_head
        data, head = job.data, job.head
        self.rows, self.held_out = data.rows("train"), data.rows("valid")
        if not len(self.rows):
            raise ConfigError(f"{data.folder} has no windows of split train; build it with some.")
        self.model = _model(job, self.tracking)
        if self.tracking is not None:
            table = self.model.track_heads[head].table
            assert table is not None
            data = self.tracking.arranged(data, table)
        self.data = data
        self.batches = TrackBatches(
            data,
            self.rows,
            training_crop(plan, data),
            batch_size=plan.batch_size,
            seed=plan.seed,
            max_shift=plan.max_shift,
            both_strands=plan.both_strands,
        )
        self.loop = plan.loop(self.batches.n_batches)
        self._note_data()
        means = _means(data, self.rows)
        begin_at_means(self.model, head, means if self.tracking is None else self.tracking.filled(means))
        set_trainable(self.model, plan.tune, n_last=plan.last_blocks, rank=plan.lora_rank)
        self.model.head_module(head).requires_grad_(True)
        self.model.activation_checkpointing = plan.checkpointing
        self.whole = copy.deepcopy(self.model) if plan.strategy == "fsdp" else self.model  # sharded weights cannot predict
        self.weights = torch.from_numpy(track_weights(data, self.rows, means, plan))
        if self.tracking is not None:
            self.weights *= torch.from_numpy(self.tracking.is_measured)

    @property
    def settings(self) -> dict[str, Any]:
        data = self.data
        return {
            "task": "tracks",
            "start": {"name": str(self.start), "sha256": self.model.sha256} if self.start is not None else None,
            "data": {
                "folder": data.folder.name,
                "train": len(self.rows),
                "valid": len(self.held_out),
                "manifest": data.manifest,
            },
            "model": dict(self.config.model),
            "tracks": asdict(self.config.tracks) | {"motifs": Path(self.config.tracks.motifs).name},
            **self._motif_record(),
            **self._context_record(),
        }

    def _motif_record(self) -> dict[str, Any]:
        """Return the record of the file of motifs for the manifest; empty without one."""
        if not self.config.tracks.motifs:
            return {}
        path = Path(self.config.tracks.motifs)
        return {"motifs": {"name": path.name, "sha256": sha256_of(path)}}

    def _context_record(self) -> dict[str, Any]:
        """Return the record of the contexts for the manifest; empty without contexts."""
        if self.tracking is None:
            return {}
        used = self.tracking.contexts
        return {"contexts": {"head": self.context_head, "names": list(used.names), "sha256": used.sha256}}

    @cached_property
    def trainable(self) -> Trainable:
        plan, n_valid = self.config.tracks, len(self.held_out)
        loss = track_loss_named(plan.loss, total_weight=plan.total_weight, bin_size=self.data.bin_size)
        return Trainable(
            self.model,
            self.batches,
            lambda model, batch: track_loss(model, batch, self.head, loss, self.weights, plan.batch_size),
            validate=self.validate if n_valid else None,
            monitor=Monitor("valid_pearson", True, plan.patience) if n_valid else None,
        )

    def validate(self, trained: nn.Module) -> dict[str, float]:
        """Return the mean r over the tracks of the validation windows."""
        model: Any = trained
        if self.config.tracks.strategy == "fsdp":
            weights = full_state_dict(trained)
            self.whole.load_state_dict(weights)
            model = self.whole.to(next(iter(weights.values())).device).eval()
        fitted = self._fit(model, self.held_out)
        values = {"valid_pearson": fitted.positions, "valid_pearson_windows": fitted.windows}
        return {name: float(np.nanmean(r)) for name, r in values.items() if np.isfinite(r).any()}

    def finish(self, fitted: FitResult, folder: Path, progress: ProgressCallback) -> Finished[TrainedTracks]:
        model, data = self.whole.cpu(), self.data
        model.load_state_dict(fitted.weights)
        merge_adapters(model)
        model.eval()
        model.targets = {self.head: data.targets}
        splits = {split: rows for split, rows in (("valid", self.held_out), ("test", data.rows("test"))) if len(rows)}
        fits = {split: self._fit(model, rows) for split, rows in splits.items()}
        for split, result in fits.items():
            write_fit(folder / f"pearson.{split}.tsv", result, data)
        record: dict[str, Any] = {"best_step": fitted.step, "pearson": None}
        record |= {
            name: pearson_by_group(fits[split], data)
            for name, split in (("pearson", "valid"), ("pearson_test", "test"))
            if split in fits
        }
        groups = tuple(track.group for track in data.targets)
        report = TrainedTracks(folder, fits.get("valid"), fitted.step, self.notes, fits.get("test"), groups)
        return Finished(model, record, training_sketch((data.sequence[row] for row in self.rows), GENOME_SCALE), report)

    def _fit(self, model: TrackModel, rows: NDArray[np.int64]) -> TrackFit:
        plan = self.config.tracks
        return measure_fit(model, self.data, rows, both_strands=plan.both_strands, log=plan.pearson_log1p)

    def _note_data(self) -> None:
        """Add notes on another window length than that of the start model, and on validation windows that say nothing."""
        if self.start is not None:
            self.notes += _length_notes(registry.load_config(self.start, PredictsTracks), self.model.config)
        if not len(self.held_out):
            self.notes.append("No windows of split valid: the weights of the last step are kept.")
        elif not any(np.any(self.data.tracks[row]) for row in self.held_out):
            self.notes.append("All windows of split valid are 0 in every track: r is not defined, so the last step is kept.")


def _model(job: TrackTrainingJob, tracking: ContextTracking | None) -> TrackModel:
    """Return a model with one new head for the set's tracks."""
    old = registry.load(job.start, PredictsTracks) if job.start is not None else None
    shape = job_shape(job, old.config if old is not None else None, tracking)
    model: Any = class_of(shape)(shape)
    if tracking is not None:
        model.vectors.copy_(torch.from_numpy(tracking.contexts.vectors))
    if motifs := job.config.tracks.motifs:
        if old is not None:
            raise ConfigError(f"motifs = {Path(motifs).name!r} is for training from scratch; leave them out, or the model.")
        start_at_motifs(model.trunk_model(), read_matrices(motifs))
    if old is not None:
        origin, old = old.origin, old.trunk_model()
        own = {id(p) for part in old.output_parts() for p in ([part] if isinstance(part, nn.Parameter) else part.parameters())}
        left_out = {name for name, parameter in old.named_parameters() if id(parameter) in own}
        trunk = {name: tensor for name, tensor in old.state_dict().items() if name not in left_out}
        model.trunk_model().load_state_dict(trunk, strict=False)
        model.set_origin(origin._replace(training_sketch=None))
    new: TrackModel = model
    return new


def _length_notes(before: Any, now: Any) -> list[str]:
    """Return a note if the windows differ in length from those of the start model."""
    if before.context_length == now.context_length or not getattr(now, "n_blocks", 0):
        return []
    if not class_of(now).positions_follow_length:
        return []
    return [
        f"The model comes from windows of {before.context_length:,} bases and is trained here on {now.context_length:,}: its "
        "relative positions, which are functions of the length, change; crop_bins and context_bins in [tracks] set the length."
    ]


def begin_at_means(model: TrackModel, head: str, means: NDArray[np.float64]) -> None:
    """Initialise a new head to predict each track's mean, so that the first steps are not spent on it."""
    model.start_at_means(head, torch.from_numpy(means))


def _means(data: TrackSet, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of each track, [K]; ConfigError for values below 0, which the model cannot predict."""
    for row in rows:
        if (below := data.tracks[row].min(axis=-1) < 0).any():
            name = data.targets[int(below.argmax())].identifier
            raise ConfigError(
                f"track {name} has values below 0, which a model of counts cannot predict; build the set from a file that "
                "has them without their sign."
            )
    return np.stack([data.tracks[row].mean(axis=-1, dtype=np.float64) for row in rows]).mean(0)


def track_weights(
    data: TrackSet, rows: NDArray[np.int64], means: NDArray[np.float64], plan: TrackTuningConfig
) -> NDArray[np.float32]:
    """Return per-track loss weights [K]: 1/mean, or 1/variance of log(1 + x) for the log loss, or 1 (`none`).

    The weight is limited, so that a nearly empty track does not count more than its noise allows. means: [K], over the bins
    of the training windows.
    """
    if plan.track_weights == "none":
        return np.ones(len(means), dtype=np.float32)
    if plan.loss != "log":
        return (1 / np.maximum(means, 0.01)).astype(np.float32)
    sums = np.zeros((2, len(means)))
    for row in rows:
        logs = np.log1p(data.tracks[row].astype(np.float64))
        sums += logs.mean(axis=-1), np.square(logs).mean(axis=-1)
    mean, square = sums / len(rows)
    return (1 / np.maximum(square - mean**2, 1e-4)).astype(np.float32)
