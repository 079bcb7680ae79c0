"""run_recipe(): a recipe -> a trained model in a folder: refuse, seed, resume, fit, sketch, save, for all training commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import lightning as L
import numpy as np
import torch

from genoformer import __version__
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.genome.minhash import Sketch
from genoformer.models import folders, registry
from genoformer.models.base import Model, Need
from genoformer.progress import ProgressCallback
from genoformer.training import resume
from genoformer.training.loop import FitResult, Trainable, fit
from genoformer.training.optimizer import LoopConfig

R = TypeVar("R")


@dataclass(frozen=True)
class Finished(Generic[R]):
    """Result of a recipe: the trained model, its record for the manifest, a sketch of the training data, and a report."""

    model: Model
    record: dict[str, Any]
    sketch: Sketch
    report: R


class Recipe(Protocol[R]):
    """Differences between pre-training, fine-tuning and training on tracks; built after the random numbers are seeded."""

    @property
    def trainable(self) -> Trainable:
        """The model, its batches, its loss and its validation."""

    @property
    def loop(self) -> LoopConfig:
        """Settings of the run."""

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that the trained weights depend on: kept in the manifest, and compared before a run is resumed."""

    def finish(self, fitted: FitResult, folder: Path, progress: ProgressCallback) -> Finished[R]:
        """Return the trained model and its report, and write reports to the folder."""


class Run(NamedTuple):
    """Place and random numbers of a run."""

    folder: Path
    seed: int
    command: str = ""  # as typed, for the manifest
    replaces: Callable[[dict[str, Any]], bool] = lambda manifest: False  # True: a manifest without run.json may be replaced


def run_recipe(build: Callable[[], Recipe[R]], run: Run, progress: ProgressCallback = None) -> R | None:
    """Train the model of a recipe, write its folder, and return its report; None in processes other than the first.

    A run that was stopped or killed resumes from its last saved state. Raises ConfigError for a folder with another or a
    finished run, TrainingError when a loss is not finite.
    """
    refuse_finished(run.folder)
    recipe = seeded(build, run.seed)
    manifest = {"command": run.command, "version": __version__, **recipe.settings, "packages": packages()}
    resume.begin(run.folder, manifest, is_mine=run.replaces)
    fitted = fit(recipe.trainable, run.folder, recipe.loop, progress=progress)
    if fitted is None:
        return None
    finished = recipe.finish(fitted, run.folder, progress)
    finished.sketch.save(run.folder / folders.SKETCH)
    registry.save(finished.model, run.folder, manifest=manifest | finished.record)
    resume.finished(run.folder)
    return finished.report


def run_once(build: Callable[[], Recipe[R]], run: Run, progress: ProgressCallback = None, *, kind: str) -> None:
    """Train the model of a recipe, or keep the one that the folder holds if it was trained with the same settings.

    kind: noun for messages, such as "an encoder". Raises ConfigError for a model with other settings, and as `run_recipe`.
    """
    if not (run.folder / "config.json").is_file():
        run_recipe(build, run, progress)
        return
    settings: dict[str, Any] = seeded(build, run.seed).settings
    manifest = folders.read_manifest(run.folder) or {}
    if changed := resume.changed_settings({name: manifest.get(name) for name in settings}, settings):
        raise ConfigError(
            f"{run.folder} holds {kind} that was trained in another way ({', '.join(changed[:5])} differ); name another folder."
        )


def refuse_finished(folder: Path) -> None:
    """Refuse, with ConfigError, a folder that holds a finished run."""
    if any((folder / name).exists() for name in ("config.json", folders.ENSEMBLE)):
        raise ConfigError(f"{folder} holds a finished run; name another folder, or remove it.")


def seeded(build: Callable[[], R], seed: int) -> R:
    """Return what a function builds after all random number generators were seeded."""
    L.seed_everything(seed, verbose=False)
    return build()


def load_start(name: str | Path, need: Need) -> Any:
    """Load the model that a run starts from; the random numbers after it are those after a new model of its shape.

    A run with the same seed therefore has the same dropout and the same new head as in versions that filled a new model.
    """
    model = registry.load(name, need)
    if model.may_be_tied:
        type(model)(model.config)
    return model


def packages() -> dict[str, str]:
    """Return the versions of the packages that the weights of a run depend on."""
    return {"torch": torch.__version__, "lightning": L.__version__, "numpy": np.__version__}


def start_record(model: Model, start: str | Path | None) -> dict[str, Any] | None:
    """Return the hash and the manifest of the model that a run starts from, before it is trained; None without one."""
    return None if start is None else {"sha256": model.sha256, "manifest": folders.read_manifest(start)}


def training_sketch(sequences: Iterable[Codes], scale: int, start: str | Path | None = None) -> Sketch:
    """Return a sketch of the k-mers that a model was trained on, including those of the model that it started from."""
    sketch = Sketch.from_sequences(sequences, scale=scale)
    before = folders.read_sketch(start) if start is not None else None
    return sketch if before is None else sketch.joined(before)
