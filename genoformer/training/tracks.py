"""train_tracks(): a set of windows with tracks + a long-range model (or none) -> a model that predicts the tracks."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genoformer import __version__
from genoformer.config import checked
from genoformer.datasets.track_set import TrackSet
from genoformer.errors import ConfigError
from genoformer.evaluation.tracks import TrackFit, TrackFitting
from genoformer.files import write_text
from genoformer.genome.minhash import GENOME_SCALE, Sketch
from genoformer.inference.tracks import TrackPredictor
from genoformer.models import registry
from genoformer.models.base import PredictsTracks
from genoformer.models.enformer.model import PRESETS, Enformer, EnformerConfig, preset
from genoformer.models.heads import add_adapters, merge_adapters
from genoformer.models.track_heads import trunk_parameters
from genoformer.progress import ProgressCallback
from genoformer.tables import rounded, tsv_line
from genoformer.training import resume
from genoformer.training.config import model_fields, tables_of
from genoformer.training.loop import Monitor, fit
from genoformer.training.optimizer import EpochsConfig, at_least_one
from genoformer.training.strategies import full_state_dict
from genoformer.training.track_batches import Crop, TrackBatches, crop_padded, track_loss
from genoformer.training.track_losses import TRACK_LOSSES, poisson_multinomial

TUNE = ("full", "last", "norms", "frozen", "lora")


@dataclass(frozen=True)
class TrackTuningConfig(EpochsConfig):
    """Settings for training on tracks; the [tracks] table. Defaults are Enformer's unless a comment gives another source."""

    batch_size: int = 1
    learning_rate: float = 5e-4
    max_grad_norm: float = 0.2
    epochs: float = 20.0
    loss: str = "poisson"  # "multinomial": separate terms for shape and total (Borzoi); "log": squared error of log(1 + x)
    total_weight: float = 0.2  # weight of the total in the multinomial loss (Borzoi)
    track_weights: str = "even"  # 1 / mean of a track (loss "log": 1 / variance), so that all count equally; or "none"
    crop_bins: int = 0  # with targets in a training crop; 0: all bins of the window
    context_bins: int = 0  # input-only bins on each side of a crop; 0: as many as the window has
    max_shift: int = 3  # largest shift of a crop in bases; its targets stay
    both_strands: bool = True  # train on either strand, average both in validation; exchange strand pairs
    tune: str = "full"  # trained with the head: "last": the last blocks; "norms"; "frozen": nothing; "lora": low-rank adapters
    last_blocks: int = 2
    lora_rank: int = 8  # Hu et al. 2021, section 7.2: a larger rank adds little
    pearson_log1p: bool = True  # Pearson's r of log(1 + x); else of x
    checkpointing: bool = False  # saves memory and takes a third more time
    evals_per_epoch: float = 1.0  # validations
    patience: int = 1000  # validations without improvement before the run stops

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one(self, "last_blocks", "lora_rank")
        for name, allowed in (("loss", tuple(TRACK_LOSSES)), ("track_weights", ("even", "none")), ("tune", TUNE)):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: allowed are {', '.join(allowed)}.")
        if self.total_weight < 0:
            raise ConfigError(f"total_weight = {self.total_weight}: give a number of at least 0; change the [tracks] table.")
        if min(self.crop_bins, self.context_bins, self.max_shift) < 0:
            raise ConfigError("crop_bins, context_bins and max_shift must be at least 0; change the [tracks] table.")


@dataclass(frozen=True)
class TracksConfig:
    """Configuration file: [tracks], and to train from scratch [model] with a preset and changes to it."""

    model: Mapping[str, Any] = field(default_factory=dict)
    tracks: TrackTuningConfig = field(default_factory=TrackTuningConfig)

    @classmethod
    def read(cls, path: Path | None, **changed: Any) -> TracksConfig:
        """Read a TOML file; every field has a default, and an unknown field is refused.

        changed: fields of [tracks] that override the file.
        """
        tables = tables_of(path) if path is not None else {}
        table = checked(TrackTuningConfig, tables.get("tracks", {}), f"{path}, [tracks]")
        values = {**tables, "tracks": TrackTuningConfig(**table | changed)}
        return cls(**checked(cls, values, str(path)))


class TrainedTracks(NamedTuple):
    """Folder of the model, fit on validation windows (None without any), best step, and notes."""

    folder: Path
    fit: TrackFit | None
    step: int
    notes: list[str]
    test: TrackFit | None = None  # fit on windows of split test, which did not select the step


def train_tracks(
    config: TracksConfig,
    data: TrackSet,
    folder: Path,
    *,
    start: str | Path | None = None,
    head: str = "tracks",
    command: str = "",
    progress: ProgressCallback = None,
) -> TrainedTracks | None:
    """Train a long-range model on windows of split train; the best step has the highest r on split valid.

    start: a pre-trained model whose trunk (stem, tower and transformer) is reused with a new head; None trains from scratch
    with [model]. Without validation windows the last step is taken. Return None in processes other than the first.
    Raises ConfigError for settings or data that cannot be trained on, TrainingError when a loss is not finite.
    """
    plan, notes = config.tracks, list[str]()
    if (folder / "config.json").exists():
        raise ConfigError(f"{folder} holds a finished run; name another folder, or remove it.")
    rows, held_out = data.rows("train"), data.rows("valid")
    if not len(rows):
        raise ConfigError(f"{data.folder} has no windows of split train; build it with some.")
    L.seed_everything(plan.seed, verbose=False)
    model = _model(config, data, start, head)
    part = part_of(plan, data)
    if start is not None and (note := _length_note(registry.load_config(start, PredictsTracks), model.config)):
        notes.append(note)
    manifest: dict[str, Any] = {
        "version": __version__,
        "command": command,
        "task": "tracks",
        "start": {"name": str(start), "sha256": model.sha256} if start is not None else None,
        "data": {"folder": data.folder.name, "train": len(rows), "valid": len(held_out), "manifest": data.manifest},
        "model": dict(config.model),
        "tracks": asdict(plan),
        "packages": {"torch": torch.__version__, "lightning": L.__version__, "numpy": np.__version__},
    }
    resume.begin(folder, manifest)
    means = _means(data, rows)
    begin_at_means(model, head, means)
    choose_trained(model, plan, head)
    model.activation_checkpointing = plan.checkpointing
    whole = copy.deepcopy(model) if plan.strategy == "fsdp" else model  # a predictor cannot use sharded weights
    batches = TrackBatches(
        data, rows, part, batch_size=plan.batch_size, seed=plan.seed, max_shift=plan.max_shift, both_strands=plan.both_strands
    )
    weights = torch.from_numpy(track_weights(data, rows, means, plan))

    def loss(predicted: Tensor, measured: Tensor) -> Tensor:
        if plan.loss == "multinomial":
            return poisson_multinomial(predicted, measured, plan.total_weight)
        return TRACK_LOSSES[plan.loss](predicted, measured)

    def validate(trained: nn.Module) -> dict[str, float]:
        assert isinstance(trained, Enformer)
        if plan.strategy == "fsdp":
            now = full_state_dict(trained)
            whole.load_state_dict(now)
            trained = whole.to(next(iter(now.values())).device).eval()
        fitted = fit_of(trained, data, held_out, both_strands=plan.both_strands, log=plan.pearson_log1p)
        found = {"valid_pearson": fitted.positions, "valid_pearson_windows": fitted.windows}
        return {name: float(np.nanmean(r)) for name, r in found.items() if np.isfinite(r).any()}

    if len(held_out) and not any(np.any(data.tracks[row]) for row in held_out):
        notes.append("All windows of split valid are 0 in every track: r is not defined, and the last step is taken.")
    if not len(held_out):
        notes.append("No windows of split valid: the last step is taken, whatever it is worth.")
    done = fit(
        model,
        batches,
        lambda m, batch: track_loss(m, batch, head, loss, weights, plan.batch_size),
        folder,
        plan.loop(batches.n_batches),
        validate=validate if len(held_out) else None,
        monitor=Monitor("valid_pearson", True, plan.patience) if len(held_out) else None,
        progress=progress,
    )
    if done is None:
        return None
    model = whole.cpu()
    model.load_state_dict(done.weights)
    merge_adapters(model)
    model.eval()
    model.targets = {head: data.targets}
    fits = {
        split: fit_of(model, data, of, both_strands=plan.both_strands, log=plan.pearson_log1p)
        for split, of in (("valid", held_out), ("test", data.rows("test")))
        if len(of)
    }
    for split, found in fits.items():
        write_fit(folder / f"pearson.{split}.tsv", found, data)
    manifest |= {"best_step": done.step, "pearson": _json(fits["valid"], data) if "valid" in fits else None}
    if "test" in fits:
        manifest["pearson_test"] = _json(fits["test"], data)
    Sketch.of((data.sequence[row] for row in rows), scale=GENOME_SCALE).save(folder / registry.SKETCH)
    registry.save(model, folder, manifest=manifest)
    resume.finished(folder)
    return TrainedTracks(folder, fits.get("valid"), done.step, notes, fits.get("test"))


def fit_of(model: Enformer, data: TrackSet, rows: NDArray[np.int64], *, both_strands: bool, log: bool) -> TrackFit:
    """Measure how well a model's only head predicts windows of a set, in windows of the model's own length as in `predict`."""
    length, bins = model.config.context_length, model.bins_of(model.config.context_length)
    reader, fitting = TrackPredictor(model), TrackFitting(len(data.targets), log=log)
    places = sorted({min(place, max(0, data.n_bins - bins.n)) for place in range(0, data.n_bins, bins.n)})
    for row in rows:
        found = np.empty((1, len(data.targets), data.n_bins), dtype=np.float32)
        for place in places:
            codes = crop_padded(data.sequence[row], (data.first_bin + place - bins.first) * data.bin_size, length)[None]
            part = reader.both_strands(codes, data.targets.strand_pairs) if both_strands else reader(codes)
            found[..., place : place + bins.n] = part[..., : data.n_bins - place]
        fitting.add(found, data.tracks[row][None])
    return fitting.fit


def shape_of(config: TracksConfig, data: TrackSet, start: EnformerConfig | None, head: str) -> EnformerConfig:
    """Return the shape of a model with one head for the set's tracks: that of [model], or that of a start model.

    Its window is a training crop with its flanks, because relative positions are functions of the window length.
    """
    part, heads = part_of(config.tracks, data), {head: len(data.targets)}
    n_bases = (part.n_bins + 2 * part.context_bins) * data.bin_size
    if start is None:
        table = model_fields(config.model, "enformer")
        if given := sorted({"heads", "context_length", "target_bins"} & table.keys()):
            raise ConfigError(
                f"[model]: {', '.join(given)}: heads follow from the tracks of the set, lengths from crop_bins and "
                "context_bins in [tracks]; leave them out."
            )
        name = table.pop("preset", "small")
        if name not in PRESETS:
            raise ConfigError(f"[model]: preset = {name!r}: allowed are {', '.join(PRESETS)}.")
        shape = preset(name, **{**table, "context_length": n_bases, "target_bins": part.n_bins, "heads": heads})
    else:
        if config.model:
            raise ConfigError("[model] is for training from scratch; leave it out, or the model.")
        shape = replace(start, heads=heads, context_length=n_bases, target_bins=part.n_bins)
    if shape.bin_size != data.bin_size:
        raise ConfigError(
            f"the bins of {data.folder} have {data.bin_size} bases, those of the model {shape.bin_size}; build the set "
            f"with bins of {shape.bin_size}" + (f", or give n_pools = {math.log2(data.bin_size):g}." if start is None else ".")
        )
    return shape


def _model(config: TracksConfig, data: TrackSet, start: str | Path | None, head: str) -> Enformer:
    """Return a model with one new head for the set's tracks."""
    old = registry.load(start, PredictsTracks) if start is not None else None
    model = Enformer(shape_of(config, data, old.config if old is not None else None, head))
    if old is not None:
        trunk = {name: tensor for name, tensor in old.state_dict().items() if not name.startswith("heads.")}
        model.load_state_dict(trunk, strict=False)
        model.set_origin(old.origin._replace(training_sketch=None))
    return model


def _length_note(before: EnformerConfig, now: EnformerConfig) -> str:
    """Return a note if the windows differ in length from those of the start model; else ""."""
    if before.context_length == now.context_length or not now.n_blocks:
        return ""
    return (
        f"The model comes from windows of {before.context_length:,} bases and is trained here on {now.context_length:,}: its "
        "relative positions, which are functions of the length, are others now; crop_bins and context_bins in [tracks] set "
        "the length."
    )


def part_of(plan: TrackTuningConfig, data: TrackSet) -> Crop:
    """Return the training crop of a window; ConfigError if the windows are too short for it."""
    part, last = (
        Crop(plan.crop_bins or data.n_bins, plan.context_bins or data.first_bin),
        data.length // data.bin_size - data.n_bins,
    )
    if part.n_bins > data.n_bins:
        raise ConfigError(
            f"crop_bins = {part.n_bins}: the windows of {data.folder} have {data.n_bins} bins with targets; give 1 to that."
        )
    if part.context_bins > (most := max(data.first_bin, last - data.first_bin)):
        raise ConfigError(
            f"context_bins = {part.context_bins}: the windows of {data.folder} have {most} bins on each side of those with "
            "targets; give that or less, or build the set with longer windows."
        )
    return part


def begin_at_means(model: Enformer, head: str, means: NDArray[np.float64]) -> None:
    """Initialise the new head to predict each track's mean, so that the first steps are not spent on it."""
    out = model.heads[head]
    assert isinstance(out, nn.Linear)
    with torch.no_grad():
        means = np.maximum(means, 1e-3)
        out.bias.copy_(torch.from_numpy(means + np.log(-np.expm1(-means))))  # softplus(b) = mean
        out.weight.mul_(0.1)


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


def choose_trained(model: Enformer, plan: TrackTuningConfig, head: str) -> None:
    """Set which parameters are trained: the head, and of the trunk those of `tune`; "lora" adds adapters."""
    chosen = trunk_parameters(model, "frozen" if plan.tune == "lora" else plan.tune, plan.last_blocks)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)
    model.heads[head].requires_grad_(True)
    if plan.tune == "lora":
        add_adapters(model.blocks, plan.lora_rank)


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


def write_fit(path: Path, found: TrackFit, data: TrackSet) -> None:
    """Write a table with r of each track, over positions and over windows."""
    lines = ["index\tidentifier\tgroup\tpositions\twindows\tdescription"]
    for track, position, window in zip(data.targets, found.positions.tolist(), found.windows.tolist(), strict=True):
        numbers = (rounded(_number(x), ".4f") for x in (position, window))
        lines.append(tsv_line([str(track.index), track.identifier, track.group, *numbers, track.description]))
    write_text(path, "\n".join(lines) + "\n")


def _json(found: TrackFit, data: TrackSet) -> dict[str, Any]:
    """Return the mean r of each group of tracks."""
    groups = [track.group for track in data.targets]
    return {
        name: {"tracks": n, "positions": _number(positions), "windows": _number(windows)}
        for name, (n, positions, windows) in found.by_group(groups).items()
    }


def _number(x: float) -> float | None:
    return round(x, 4) if math.isfinite(x) else None
