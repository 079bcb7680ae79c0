"""Settings of an unfinished run: written next to its state, and compared before the run is resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from genoformer.config import current_manifest
from genoformer.errors import ConfigError
from genoformer.files import check_overwrite, make_folder, write_text
from genoformer.models.families import model_class
from genoformer.models.weights import WEIGHTS
from genoformer.training.config import TRANSFORMER, TrainingConfig, TuningConfig
from genoformer.training.log import LOG
from genoformer.training.loop import STATE
from genoformer.training.track_config import TrackTuningConfig

RUN = "run.json"
PRETRAIN, FINETUNE, TRACKS = "pretrain", "finetune", "finetune --task tracks"  # commands that train
FILES = ("manifest.json", WEIGHTS, LOG)  # of a run; another program may have written them


def begin(
    folder: Path, settings: Mapping[str, Any], *, is_mine: Callable[[dict[str, Any]], bool] = lambda manifest: False
) -> None:
    """Write the settings of this run, without "command".

    is_mine: True if a manifest.json without these settings is that of such a run, and may be replaced.

    Raises ConfigError for the state of a run with other settings, and if files of another origin would be overwritten.
    """
    path = folder / RUN
    mine = json.loads(json.dumps({name: value for name, value in settings.items() if name != "command"}))
    refuse_other_command(folder, _command(mine))
    before = _started_with(folder)
    if before and (folder / STATE).is_file() and (changed := changed_settings(before, mine)):
        raise ConfigError(
            f"{folder} holds an unfinished run that was started with other settings ({', '.join(changed[:5])}); give those "
            "again, or name another folder."
        )
    if not path.is_file():
        check_overwrite(folder, FILES, "manifest.json", is_mine)
    make_folder(folder)
    write_text(path, json.dumps(mine, indent=1) + "\n")


def changed_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names of settings that differ between two runs, such as "finetune.batch_size", sorted.

    >>> changed_settings({"training": {"seed": 1}}, {"training": {"seed": 2, "max_grad_norm": 1.0}})
    ['training.seed']
    """
    return sorted(_differences(completed(before), completed(now)))


def refuse_other_command(folder: Path, command: str) -> None:
    """Refuse, with ConfigError, a folder with the state of a run of another command than PRETRAIN, FINETUNE or TRACKS."""
    started = _command(_started_with(folder))
    if (folder / STATE).is_file() and started != command:
        raise ConfigError(f"{folder} holds an unfinished run of {started}; name another folder.")


def finished(folder: Path) -> None:
    """Remove the state of a run whose model is complete."""
    for name in (STATE, RUN):
        (folder / name).unlink(missing_ok=True)


def completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings whose tables have all fields: a field that was added after the run began has its default.

    >>> completed({"training": {"max_steps": 3}})["training"]["max_grad_norm"]
    1.0
    """
    kinds: dict[str, Any] = {"training": TrainingConfig, "finetune": TuningConfig, "tracks": TrackTuningConfig}
    if settings.get("task") is None:  # pretrain writes the whole configuration; the other commands write the user's table
        family = dict(settings.get("model") or {}).get("family", TRANSFORMER)
        kinds["model"] = model_class(family).config_type
    whole = {
        name: {field.name: field.default for field in fields(kind) if field.default is not MISSING} | dict(settings[name])
        for name, kind in kinds.items()
        if isinstance(settings.get(name), Mapping)
    }
    values: dict[str, Any] = json.loads(json.dumps({**settings, **whole}))
    return values


def _command(settings: Mapping[str, Any]) -> str:
    """Return the command that wrote settings; those of pretrain have no task."""
    return {None: PRETRAIN, "tracks": TRACKS}.get(settings.get("task"), FINETUNE)


def _started_with(folder: Path) -> dict[str, Any]:
    """Return the settings of the folder's run; an empty dict if they are missing."""
    try:
        found = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return current_manifest(found) if isinstance(found, dict) else {}


def _differences(a: Any, b: Any, at: str = "") -> list[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        return [d for k in {*a, *b} for d in _differences(a.get(k), b.get(k), f"{at}.{k}" if at else k)]
    return [] if a == b else [at]
