"""Configuration of a run on tracks: the tables [tracks] and [model], and the shape of the model that follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from genoformer.config import checked
from genoformer.datasets.track_set import TrackSet
from genoformer.errors import ConfigError
from genoformer.models.alphagenome import config as alphagenome
from genoformer.models.borzoi import config as borzoi
from genoformer.models.enformer import config as enformer
from genoformer.models.families import class_of, model_class
from genoformer.models.track_model import NewHead
from genoformer.models.tuning import TUNE
from genoformer.training.config import model_fields, tables_with
from genoformer.training.losses import TRACK_LOSSES
from genoformer.training.optimizer import EpochsConfig, at_least_one
from genoformer.training.stage_config import TrackDistilConfig
from genoformer.training.track_batches import Crop

# Families that are trained from scratch -> their presets, and the function that makes a configuration of one.
FROM_SCRATCH: dict[str, tuple[Mapping[str, Any], Callable[..., Any]]] = {
    "enformer": (enformer.PRESETS, enformer.preset),
    "borzoi": (borzoi.PRESETS, borzoi.preset),
    "alphagenome": (alphagenome.PRESETS, alphagenome.preset),
}


@dataclass(frozen=True)
class TrackTuningConfig(EpochsConfig):
    """Settings for training on tracks; the [tracks] table. Defaults are Enformer's unless a comment gives another source."""

    batch_size: int = 1
    learning_rate: float = 5e-4
    max_grad_norm: float = 0.2
    epochs: float = 20.0
    loss: str = "poisson"  # "multinomial": separate terms for shape and total (Borzoi), "segments": of each 131,072 bases
    # (AlphaGenome); "log": squared error of log(1 + x)
    total_weight: float = 0.2  # weight of the total in the multinomial loss (Borzoi, AlphaGenome)
    track_weights: str = "even"  # 1 / mean of a track (loss "log": 1 / variance), so that all count equally; or "none"
    crop_bins: int = 0  # with targets in a training crop; 0: all bins of the window
    context_bins: int = 0  # input-only bins on each side of a crop; 0: as many as the window has
    max_shift: int = 3  # largest shift of a crop in bases; its targets stay
    motifs: str = ""  # file of motifs, the initial filters of the first convolution; paths are relative to the configuration
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
    """Configuration file: [tracks], to train from scratch [model] with a preset and changes to it, and [distil].

    [distil] trains other models on the same data, whose predictions become part of the tracks.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    tracks: TrackTuningConfig = field(default_factory=TrackTuningConfig)
    distil: TrackDistilConfig | None = None

    @classmethod
    def read(cls, source: Path | Mapping[str, Any] | None, **changed: Any) -> TracksConfig:
        """Read a TOML file, or its tables; every field has a default, and an unknown field is refused.

        changed: fields of [tracks] that override the file.
        """
        shapes = (model_class(family).config_type for family in FROM_SCRATCH)
        of_model = {"family", "preset", *(entry.name for shape in shapes for entry in fields(shape))}
        tables = tables_with(cls, source, "tracks", TrackTuningConfig, changed, of_model)
        if tables.get("distil") is not None:
            path = source if isinstance(source, Path) else "config"
            tables["distil"] = TrackDistilConfig(**checked(TrackDistilConfig, tables["distil"], f"{path}, [distil]"))
        if isinstance(source, Path):
            for name in ("distil",) if "motifs" in changed else ("tracks", "distil"):
                if motifs := getattr(tables.get(name), "motifs", ""):
                    tables[name] = replace(tables[name], motifs=str(source.parent / motifs))
        return cls(**tables)


def shape_of(
    config: TracksConfig, data: TrackSet, start: Any, head: str, n_tracks: int | None = None, organism: str = ""
) -> Any:
    """Return the shape of a model with one head for the set's tracks: that of [model], or that of a start model.

    n_tracks: of the head; None: those of the set. organism: of the tracks, for a family that distinguishes organisms.
    start: the configuration of the start model, of any family of track models, or None. The window is a training crop with its
    flanks, because relative positions are functions of the window length.
    """
    part = training_crop(config.tracks, data)
    n_bases = (part.n_bins + 2 * part.context_bins) * data.bin_size
    new = NewHead(head, n_tracks or len(data.targets), data.bin_size, n_bases, part.n_bins, organism)
    if start is None:
        family = config.model.get("family", "enformer")
        if family not in FROM_SCRATCH:
            raise ConfigError(f"[model]: family = {family!r}; from scratch on tracks it is {', '.join(FROM_SCRATCH)}.")
        presets, preset = FROM_SCRATCH[family]
        table = model_fields(config.model, family)
        of_head = model_class(family).fields_of_head(new)
        if given := sorted(of_head.keys() & table.keys()):
            raise ConfigError(
                f"[model]: {', '.join(given)}: heads follow from the tracks of the set, lengths from crop_bins and "
                "context_bins in [tracks]; leave them out."
            )
        name = table.pop("preset", "small")
        if name not in presets:
            raise ConfigError(f"[model]: preset = {name!r}: allowed are {', '.join(presets)}.")
        shape = preset(name, **table, **of_head)
    else:
        if config.model:
            raise ConfigError("[model] is for training from scratch; leave it out, or the model.")
        shape = class_of(start).config_with_head(start, new)
    bin_size = class_of(shape).heads_of(shape)[head].bin_size
    if bin_size != data.bin_size:
        has_pools = start is None and any(entry.name == "n_pools" for entry in fields(shape))
        raise ConfigError(
            f"the bins of {data.folder} have {data.bin_size} bases, those of the model {bin_size}; build the set "
            f"with bins of {bin_size}" + (f", or give n_pools = {math.log2(data.bin_size):g}." if has_pools else ".")
        )
    return shape


def training_crop(plan: TrackTuningConfig, data: TrackSet) -> Crop:
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
