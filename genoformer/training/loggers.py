"""Loggers of training runs, in addition to log.csv: TensorBoard, and Weights & Biases and MLflow if they are chosen."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from genoformer.errors import ConfigError
from genoformer.files import write_text

IDS = "loggers.json"  # ids of the runs at the services, so that a resumed run continues there
_SERVER = "MLFLOW_TRACKING_URI"  # variable with the address of a server
PROJECT = "genoformer"  # project of Weights & Biases, experiment of MLflow


class Service(NamedTuple):
    """A service: the package that it needs, and the function that makes Lightning's logger for a folder and a run id."""

    package: str
    make: Callable[[Path, str | None], Any]


def _wandb(folder: Path, run: str | None) -> Any:
    from lightning.pytorch.loggers import WandbLogger

    return WandbLogger(
        name=folder.name, project=PROJECT, save_dir=str(folder), version=run or uuid.uuid4().hex[:12], resume="allow"
    )


def _mlflow(folder: Path, run: str | None) -> Any:
    from lightning.pytorch.loggers import MLFlowLogger

    server, here = os.environ.get(_SERVER), folder.resolve()
    place: dict[str, Any] = {"tracking_uri": server}
    if not server:  # a database, because MLflow 3 refuses to write runs as a folder of files
        place = {"tracking_uri": f"sqlite:///{here / 'mlflow.db'}", "artifact_location": (here / "mlruns").as_uri()}
    logger = MLFlowLogger(experiment_name=PROJECT, run_name=folder.name, run_id=run, **place)
    try:  # MLflow sets the variable to the address of this run, which is not that of the next
        _ = logger.experiment
    finally:
        os.environ.pop(_SERVER, None)
        if server is not None:
            os.environ[_SERVER] = server
    return logger


SERVICES: dict[str, Service] = {"wandb": Service("wandb", _wandb), "mlflow": Service("mlflow", _mlflow)}
_chosen: ContextVar[tuple[str, ...]] = ContextVar("loggers of training runs", default=())


@contextmanager
def logged_to(names: str | Iterable[str]) -> Iterator[None]:
    """Log the training runs inside the block to services, by names of SERVICES, or by one name.

    Raises ConfigError, before any work, for a service whose package is not installed, and for an unknown one.
    """
    names = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    for name in names:
        if name not in SERVICES:
            raise ConfigError(f"logger {name!r} is unknown, expected {' or '.join(SERVICES)}; give one of them.")
        package = SERVICES[name].package
        if find_spec(package) is None:
            raise ConfigError(f"the logger {name} needs the package {package}, which is not installed; pip install {package}.")
    token = _chosen.set(names)
    try:
        yield
    finally:
        _chosen.reset(token)


def open_loggers(folder: Path, step: int, settings: Mapping[str, Any]) -> list[Any]:
    """Return Lightning's loggers for the run in a folder: TensorBoard, and the chosen services, whose ids the folder keeps.

    step: that from which the run resumes. settings: hyperparameters for the services. Raises ConfigError for a service that
    cannot start.
    """
    from lightning.pytorch.loggers import TensorBoardLogger

    # purge the steps that a killed run made after its last saved state
    board = TensorBoardLogger(str(folder), name="", version="tensorboard", purge_step=step)
    path = folder / IDS
    names = _chosen.get()
    ids: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if names and path.is_file() else {}
    loggers: list[Any] = [board]
    for name in names:
        logger = _started(name, folder, ids.get(name), settings)
        ids[name] = str(logger.version)
        loggers.append(logger)
    if names:
        write_text(path, json.dumps(ids, indent=1) + "\n")
    return loggers


def _started(name: str, folder: Path, run: str | None, settings: Mapping[str, Any]) -> Any:
    """Return the logger of a service with the settings of the run; ConfigError with the reason of the service if it fails."""
    try:
        logger = SERVICES[name].make(folder, run)
        logger.log_hyperparams(dict(settings))
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ConfigError(f"the logger {name} cannot start ({reason}); change its settings, or leave it out.") from error
    return logger


def close_loggers(loggers: Iterable[Any], status: str) -> None:
    """End the runs of loggers; "success" or "failed" is their status.

    A run of Weights & Biases is also finished, because the next run of this process would continue it.
    """
    for logger in loggers:
        logger.finalize(status)
        if (finish := getattr(logger.experiment, "finish", None)) is not None:
            finish()
