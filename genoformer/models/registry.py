"""Models on disk: a folder, or the name of a model -> the model, in genoformer's layout or in that of another library.

A folder in genoformer's layout holds config.json, model.safetensors, manifest.json and, for models that read tokens,
tokenizer.json. `models.families` maps its config.json to a class.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any

import torch

from genoformer import __version__
from genoformer.errors import CheckpointError, ConfigError, FailedRunWarning, sentence
from genoformer.files import made_folder, write_text
from genoformer.models.base import (
    Classifies,
    Embeds,
    Head,
    Model,
    Need,
    Origin,
    PredictsPairs,
    PredictsTracks,
    has,
    remedy,
    require,
)
from genoformer.models.export import HF, OWN_CLASSES, fitting_layout
from genoformer.models.families import (
    FAMILIES,
    OWN,
    class_name,
    class_of,
    families,
    family_of,
    formats,
    unregistered,
    warn_of_package,
)
from genoformer.models.folders import ENSEMBLE, failures, member_names, read_sketch, resolve_model
from genoformer.models.foreign import described_config, described_folder, kept_weights
from genoformer.models.formats import read_foreign, write_foreign
from genoformer.models.licences import licence_of
from genoformer.models.published import add_published, with_published
from genoformer.models.track_model import read_track_tables
from genoformer.models.weights import (
    WEIGHTS,
    check_size,
    empty_model,
    load_checked,
    read_json,
    read_tensors,
    write_tensors,
)

_RENAMED = {  # names of classes in older folders
    "genoformer.models.encoder:Encoder": "genoformer.models.transformer.model:Encoder",
    "genoformer.models.heads:Predictor": "genoformer.models.heads:SequenceClassifier",
    "genoformer.models.longrange:LongRange": "genoformer.models.enformer.model:Enformer",
}


def load(name: str | Path, *needs: Need) -> Any:
    """Load a model in eval mode from a folder or by name; it must have the needed capabilities.

    name: a folder in genoformer's layout or in a foreign one (`formats`), or the name of a bundled or downloaded model.
    needs: capabilities of `models.base`; a tuple stands for any one of its members.

    Warns (FailedRunWarning) if the training run of the model failed its own check. Raises CheckpointError if something is
    missing, malformed or inconsistent, or if the model lacks a capability.

    >>> load("demo").config.width
    160
    """
    folder = resolve_model(name)
    if (folder / ENSEMBLE).is_file() and not (folder / "config.json").is_file():
        several = ", ".join(str(folder / member) for member in member_names(folder))
        raise CheckpointError(f"{folder} is a run of several models, and one is needed here; name one of {several}.")
    config = _config_of(folder)
    layout = _layout_of(folder, config)
    if layout == OWN:
        model = _load_own(folder, config)
    else:
        family, foreign = formats()[layout]
        model = read_foreign(resolve_name(foreign.format), resolve_name(family.model), folder, config)
    require(model, *needs, name=str(name))
    model.read_tables(folder)
    if has(model, PredictsTracks):
        add_published(model, folder)
    model.set_origin(Origin(model.sha256, read_sketch(folder), folder.name, licence_of(folder)))
    if notes := failures(folder):
        problem = f"{name} failed the check at the end of its training; do not rely on its predictions: {' '.join(notes)}"
        warnings.warn(sentence(problem), FailedRunWarning, stacklevel=2)
    return model.eval()


def load_members(name: str | Path, *needs: Need) -> list[Any]:
    """Load a model as `load` does, or the members of an ensemble that `finetune` wrote: a list of one or of several.

    Raises CheckpointError also for members with different classes.

    >>> len(load_members("demo"))
    1
    """
    folder = resolve_model(name)
    if (folder / "config.json").is_file() or not (folder / ENSEMBLE).is_file():
        return [load(name, *needs)]
    members = [load(folder / member, *needs) for member in member_names(folder)]
    if has(members[0], Classifies):
        _check_classes(name, members)
    return members


def load_ensemble(name: str | Path) -> list[Any]:
    """Load the fine-tuned models of a run in eval mode: one, or the members of an ensemble (seeds, or several encoders)."""
    folder = resolve_model(name)
    members = []
    for model in [load(folder / member) for member in member_names(folder) or [""]]:
        if not has(model, Classifies):
            remedy = "fine-tune it first, or give" if has(model, Embeds) else "give"
            raise CheckpointError(f"{name} {model.describe()}; {remedy} a model that `finetune` made.")
        members.append(model)
    _check_classes(name, members)
    return members


def _check_classes(name: str | Path, members: list[Any]) -> None:
    """Raise CheckpointError if the members of an ensemble have different classes."""
    if len({(member.task.kind, tuple(member.task.names)) for member in members if has(member, Classifies)}) != 1:
        raise CheckpointError(
            f"{name} has {len(members)} members with different classes, expected the same; fine-tune all on the same data."
        )


def load_config(name: str | Path, *needs: Need) -> Any:
    """Return the configuration of a model without reading its weights; its class must have the needed capabilities."""
    folder = resolve_model(name)
    config = _config_of(folder)
    layout = _layout_of(folder, config)
    if layout == OWN:
        kind, shape = _own_class(folder, config)
    else:
        family, foreign = formats()[layout]
        kind, shape = resolve_name(family.model), resolve_name(foreign.format).to_config(config, folder, {})
    if not has(kind, *needs):
        raise CheckpointError(f"{name} {kind.purpose}; give {remedy(*needs)}.")
    return shape


def load_tokenizer(name: str | Path) -> Any:
    """Return the tokenizer of a model of any layout without reading its weights.

    Raises CheckpointError for a model that reads no tokens.

    >>> load_tokenizer("mini-human").decode(load_tokenizer("mini-human")("ACGTACGT")["input_ids"])
    'ACGTACGT'
    """
    folder, shape, layout = resolve_model(name), load_config(name), layout_of(name)
    reader: Any = empty_model(class_of(shape), shape) if layout == OWN else SimpleNamespace(config=shape)
    read = type(reader).read_assets if layout == OWN else resolve_name(formats()[layout][1].format).read_assets
    if read is not None:
        read(reader, folder)
    if getattr(reader, "tokenizer", None) is None:
        raise CheckpointError(f"{name} reads no tokens, so it has no tokenizer; give a language model.")
    return reader.tokenizer


def layout_of(name: str | Path) -> str:
    """Return the name of a folder's layout: "genoformer", or one of `formats`."""
    folder = resolve_model(name)
    return _layout_of(folder, _config_of(folder))


def huggingface_layout(model: Model) -> str:
    """Return the layout in which transformers reads a model: that of its own class, or of those of genoformer.huggingface."""
    layouts = {name: resolve_name(of.format) for name, of in families()[family_of(model)].layouts.items()}
    return fitting_layout(model.with_plain_outputs(), layouts)


def _config_of(folder: Path) -> dict[str, Any]:
    """Read the config.json of a model folder."""
    path = folder / "config.json"
    if not os.path.lexists(path):
        raise CheckpointError(
            f"{path} cannot be read, as there is none: {described_folder(folder)}. A model folder holds config.json and "
            "model.safetensors."
        )
    return read_json(path)


def _detects(layout: str, config: dict[str, Any]) -> bool:
    """True if a config.json is of a layout; a layout of another package that cannot be used detects nothing.

    A layout for other model types is not imported.
    """
    if layout == OWN:
        return "genoformer" in config
    family, foreign = formats()[layout]
    if not foreign.may_hold(config):
        return False
    try:
        return bool(resolve_name(foreign.format).detect(config))
    except Exception as error:
        if family in FAMILIES.values():
            raise
        warn_of_package(f"the layout {layout!r} ({foreign.format}) of another package", error)
        return False


def _layout_of(folder: Path, config: dict[str, Any]) -> str:
    if _detects(OWN, config):  # without a look at the other layouts, which imports other packages
        return OWN
    for layout in formats():
        if _detects(layout, config):
            return layout
    kind = described_config(config) or "names no model"
    raise CheckpointError(
        f"{folder / 'config.json'} {kind}; genoformer does not read it, and "
        "`genoformer models list` names models that it reads."
    )


def save(
    model: Model,
    folder: str | Path,
    *,
    layout: str = OWN,
    manifest: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model folder; each file appears complete or not at all, and config.json is written last.

    layout: "genoformer", or one of `formats`: "dnabert" (a Hugging Face BERT folder), "enformer" (enformer-pytorch's), ...;
    "hf": the `huggingface_layout` of the model.
    `dtype` float16 halves the size of the file. In a folder with a model of the same class and layout, the new model replaces
    the old one.

    Raises ConfigError if the layout cannot hold the model, if the model has no tokenizer, and if the folder holds another kind
    of model or is a file; the folder is then not created, and its contents do not change.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder: save(load("demo"), Path(folder, "copy"))
    """
    if not os.fspath(folder).strip():
        raise ConfigError("the name of the model folder is empty; name a folder to write the model into.")
    if layout not in (OWN, HF, *formats()):
        raise ConfigError(f"layout {layout!r}: allowed are {', '.join((OWN, HF, *formats()))}.")
    if not isinstance(model, Model):
        raise ConfigError(f"the model is a {type(model).__name__}; a genoformer Model, such as an Encoder, can be saved.")
    model.check_complete()
    if class_name(model) not in {family.model for family in families().values()}:
        raise unregistered(class_name(model))
    layout = huggingface_layout(model) if layout == HF else layout
    model = model if layout in (OWN, *OWN_CLASSES) else model.with_plain_outputs()
    _refuse_other_model(Path(folder), model, layout)
    with made_folder(Path(folder)) as made:
        if layout == OWN:
            config = _save_own(model, made, dtype)
        else:
            config = write_foreign(resolve_name(formats()[layout][1].format), model, made, dtype)
        model.write_tables(made)
        if manifest is not None:
            write_text(made / "manifest.json", json.dumps(manifest, indent=1) + "\n")
        write_text(made / "config.json", json.dumps(config, indent=1) + "\n")


def _refuse_other_model(folder: Path, model: Model, layout: str) -> None:
    """Raise ConfigError if a folder holds a model of another layout or class, or weights that the save does not replace."""
    path = folder / "config.json"
    other = ""
    if os.path.lexists(path):
        try:
            config = read_json(path)
        except CheckpointError:
            config = {}
        if not _detects(layout, config):
            other = f"its config.json {described_config(config) or 'is of another layout'}"
        elif layout == OWN and _named_class(config) != class_name(model):
            other = f"a {str(config.get('model')).rpartition(':')[2]}, which is no {type(model).__name__}"
    if not other and (kept := kept_weights(folder)):
        other = f"{', '.join(kept[:3])}{' ...' if len(kept) > 3 else ''}"
    if other:
        raise ConfigError(f"{folder} holds another model ({other}), which would be mixed with this one; name another folder.")


# --- genoformer's own layout


def _named_class(config: dict[str, Any]) -> str:
    named = str(config.get("model", ""))
    return _RENAMED.get(named, named)


def _own_class(folder: Path, config: dict[str, Any]) -> tuple[Any, Any]:
    """Return the class and the configuration that a config.json names."""
    named = _named_class(config)
    known = {family.model for family in FAMILIES.values()}
    if named not in known and named not in {family.model for family in families().values()}:
        raise CheckpointError(
            f"{folder}: model {config.get('model')!r} is of no family that is installed, and was refused; install its package."
        )
    try:
        kind = resolve_name(named)
        return kind, kind.config_type.from_dict(config["config"])
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}. Was it made by another version?") from error


def _load_own(folder: Path, config: dict[str, Any]) -> Any:
    kind, shape = _own_class(folder, config)
    tensors = read_tensors(folder / WEIGHTS)
    check_size(shape, tensors, folder / WEIGHTS)
    model = empty_model(kind, shape)
    model.read_assets(folder)
    for copy, original in model.tied.items():
        tensors[copy] = tensors.get(original, torch.empty(0))
    return load_checked(model, tensors, folder / WEIGHTS)


def _save_own(model: Model, folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    model.write_assets(folder)
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name not in model.tied}
    write_tensors(folder / WEIGHTS, tensors, dtype)
    return {"genoformer": __version__, "model": class_name(model), "config": asdict(model.config)}


def read_heads(name: str | Path) -> dict[str, Head]:
    """Return the heads of a track model with the track tables that are in its folder, without reading its weights."""
    config = load_config(name, PredictsTracks)
    heads: dict[str, Head] = class_of(config).heads_of(config)
    tables = read_track_tables(heads, resolve_model(name))
    named = {name: head._replace(table=tables.get(name, head.table)) for name, head in heads.items()}
    return with_published(class_of(config), config, named, resolve_model(name))


def read_pair_heads(name: str | Path) -> dict[str, Head]:
    """Return the heads of contact maps and junctions of a model, as `read_heads` those of tracks; empty if it has none."""
    config = load_config(name, PredictsTracks)
    kind: Any = class_of(config)
    if not has(kind, PredictsPairs):
        return {}
    heads = dict(kind.pair_heads_of(config))
    tables = read_track_tables({**kind.heads_of(config), **heads}, resolve_model(name))
    named = {name: head._replace(table=tables.get(name)) for name, head in heads.items()}
    return with_published(kind, config, named, resolve_model(name))
