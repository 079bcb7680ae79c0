"""Models on disk: a folder, or the name of a bundled model, -> the model, in genoformer's layout or one of another library.

A folder in genoformer's layout holds config.json, model.safetensors, manifest.json and, for models that read tokens,
tokenizer.json.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from genoformer import __version__
from genoformer.addresses import refuse_address
from genoformer.catalog import pulled_model, shipped
from genoformer.config import current_manifest
from genoformer.errors import CheckpointError, ConfigError, FailedRunWarning, sentence
from genoformer.files import atomic_write, made_folder, write_text
from genoformer.formats.track_table import TrackTable, read_targets
from genoformer.genome.codes import Codes
from genoformer.genome.minhash import Sketch
from genoformer.models.enformer import weights as enformer
from genoformer.models.enformer.model import Enformer, EnformerConfig
from genoformer.models.foreign import READ, described_config, described_folder, kept_weights
from genoformer.models.heads import SequenceClassifier
from genoformer.models.transformer import weights as dnabert
from genoformer.models.transformer.model import Encoder
from genoformer.models.weights import (
    WEIGHTS,
    check_size,
    empty_model,
    load_checked,
    read_json,
    read_tensors,
    write_tensors,
)
from genoformer.tokenizers import load_tokenizer, save_tokenizer

SKETCH = "seen.npz"  # a sample of the k-mers of the model's training data
CARD = "card.md"
ENSEMBLE = "ensemble.json"  # names the members of a run of several models
_ENOUGH, _MUCH = 20, 0.1  # least number of sampled k-mers, and least fraction of them, for an overlap note
_HOME = "genoformer.models."  # a checkpoint can only name a class in this package
_RENAMED = {  # names of classes in older folders
    "genoformer.models.encoder:Encoder": "genoformer.models.transformer.model:Encoder",
    "genoformer.models.heads:Predictor": "genoformer.models.heads:SequenceClassifier",
    "genoformer.models.longrange:LongRange": "genoformer.models.enformer.model:Enformer",
}

Model = Encoder | SequenceClassifier | Enformer


class WeightFormat(NamedTuple):
    """A layout of model folders; it handles all files of a folder except config.json."""

    detect: Callable[[dict[str, Any]], bool]  # True if a config.json has this layout
    load: Callable[[Path, dict[str, Any]], Model]  # folder and its config.json -> model
    save: Callable[[Model, Path, torch.dtype], dict[str, Any]]  # writes the other files and returns config.json


def resolve_model(name: str | Path) -> Path:
    """Return the folder of a model: a path, or the name of a bundled model or of one downloaded from the catalog."""
    refuse_address(name, due="folder")
    path, names = Path(name), shipped()
    if str(name) in names and not (path / "config.json").is_file():  # a folder of that name may hold other files
        return names[str(name)]
    if path.is_dir():
        return path
    if (pulled := pulled_model(str(name))) is not None:
        return pulled
    if path.is_file():
        raise CheckpointError(f"{path} is a file, and a model is a folder; {READ}.")
    raise CheckpointError(
        f"no model folder {str(name)!r}; give a folder with config.json, or one of: {', '.join(names) or 'none shipped'}; "
        "genoformer models list names more."
    )


def load(name: str | Path) -> Encoder:
    """Load a language model in eval mode with `.config`, `.tokenizer` and `.sha256` (of its weights file).

    `name` is a folder in genoformer's layout, a Hugging Face BERT folder of DNABERT, or the name of a bundled model.
    Raises CheckpointError if something is missing, malformed or inconsistent.
    """
    model = load_any(name)
    if not isinstance(model, Encoder):
        use = ", or the folder itself to gf.classify or `genoformer evaluate`" if isinstance(model, SequenceClassifier) else ""
        raise CheckpointError(f"{name} {_describe(model)}; give a language model{use}.")
    return model


def load_scoring(name: str | Path) -> Encoder | Enformer:
    """Load a model that scores variants: a language model or a model of tracks; see `load`."""
    model = load_any(name)
    if isinstance(model, SequenceClassifier):
        raise CheckpointError(f"{name} {_describe(model)}; variants are scored by a language model or a model of tracks.")
    return model


def load_long_range(name: str | Path) -> Enformer:
    """Load a model of regulatory tracks in eval mode from a genoformer or enformer-pytorch folder or a bundled name."""
    model = load_any(name)
    if not isinstance(model, Enformer):
        raise CheckpointError(f"{name} {_describe(model)}; give a model that predicts tracks.")
    return model


def long_range_config(name: str | Path) -> EnformerConfig:
    """Return the configuration of a model of regulatory tracks without reading its weights."""
    folder = resolve_model(name)
    path = folder / "config.json"
    config = _config_of(folder)
    if enformer.detect(config):
        return enformer.shape_of(config, path)
    if config.get("model") != f"{Enformer.__module__}:{Enformer.__qualname__}":
        raise CheckpointError(f"{name} is no long-range model; give a model that predicts tracks.")
    return EnformerConfig.from_dict(config.get("config"))  # type: ignore[arg-type]  # it refuses anything but a table


def load_token_model(name: str | Path) -> Encoder | SequenceClassifier:
    """Load a language model or a fine-tuned model in eval mode; both have an encoder of tokens."""
    model = load_any(name)
    if isinstance(model, Enformer):
        raise CheckpointError(f"{name} {_describe(model)}; give a language model, or one that was fine-tuned from one.")
    return model


def load_predictors(name: str | Path) -> list[SequenceClassifier]:
    """Load the fine-tuned models of a run in eval mode: one, or the members of an ensemble (seeds, or several encoders)."""
    folder = resolve_model(name)
    found = []
    for model in [load_any(folder / member) for member in members_of(name) or [""]]:
        if not isinstance(model, SequenceClassifier):
            remedy = "fine-tune it first" if isinstance(model, Encoder) else "give a model that `finetune` made"
            raise CheckpointError(f"{name} {_describe(model)}; {remedy}.")
        found.append(model)
    if len({(m.config.task, m.config.classes) for m in found}) != 1:
        raise CheckpointError(f"{name}: its {len(found)} members do not predict the same classes; fine-tune them alike.")
    return found


def _describe(model: Model) -> str:
    """Return the kind of a model as the end of a sentence."""
    if isinstance(model, Encoder):
        return "is a language model, which predicts bases"
    if isinstance(model, SequenceClassifier):
        return f"was fine-tuned to predict {', '.join(model.config.classes)}"
    return f"is a long-range model, which predicts tracks ({', '.join(model.config.heads)})"


def members_of(name: str | Path) -> list[str]:
    """Return the names of the member folders of an ensemble, or an empty list for a single model.

    The folders are in the folder of ensemble.json; a path to another folder is refused.
    """
    path = resolve_model(name) / ENSEMBLE
    if not path.is_file():
        return []
    names = read_json(path).get("members")
    if not isinstance(names, list) or not names:
        raise CheckpointError(f"{path} names no members; copy the whole run again.")
    for name in names:
        if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name or "\\" in name:
            raise CheckpointError(f"{path}: member {name!r} is not the name of a folder beside it; refused.")
    return names


def load_any(name: str | Path) -> Model:
    """Load a model of any kind from a folder, in eval mode; see `load`, `load_long_range` and `load_predictors`.

    Warns (FailedRunWarning) if the training run of the model failed its own check.
    """
    folder = resolve_model(name)
    if (folder / ENSEMBLE).is_file() and not (folder / "config.json").is_file():
        several = ", ".join(str(folder / member) for member in members_of(folder))
        raise CheckpointError(f"{folder} is a run of several models, and one is needed here; name one of {several}.")
    config = _config_of(folder)
    model = LAYOUTS[_layout_of(folder, config)].load(folder, config)
    if isinstance(model, Enformer):
        model.targets = _read_tables(model.config, folder)
    model.training_sketch = read_sketch(folder)
    if notes := failures(folder):
        said = f"{name} failed its own check when it was trained, so that its answers mean little: {' '.join(notes)}"
        warnings.warn(sentence(said), FailedRunWarning, stacklevel=2)
    return model.eval()


def layout_of(name: str | Path) -> str:
    """Return the name of a folder's layout in `LAYOUTS`."""
    folder = resolve_model(name)
    return _layout_of(folder, _config_of(folder))


def _config_of(folder: Path) -> dict[str, Any]:
    """Read the config.json of a model folder."""
    path = folder / "config.json"
    if not os.path.lexists(path):
        raise CheckpointError(
            f"{path} cannot be read, as there is none: {described_folder(folder)}. A model folder holds config.json and "
            "model.safetensors."
        )
    return read_json(path)


def _layout_of(folder: Path, config: dict[str, Any]) -> str:
    for name, layout in LAYOUTS.items():
        if layout.detect(config):
            return name
    said = described_config(config)
    others = ", ".join(list(LAYOUTS)[1:])
    raise CheckpointError(
        f"{folder / 'config.json'} {said + ', which' if said else 'names no model; it'} is neither genoformer's nor of "
        f"{others}; {READ}."
    )


def save(
    model: Model,
    folder: str | Path,
    *,
    layout: str = "genoformer",
    manifest: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model folder; each file appears complete or not at all, and config.json is written last.

    layout: one of `LAYOUTS`: "genoformer", "dnabert" (a Hugging Face BERT folder) or "enformer" (enformer-pytorch's). `dtype`
    float16 halves the size of the file. In a folder with a model of the same class and layout, the new model replaces the old
    one.

    Raises ConfigError if the layout cannot hold the model, if the model has no tokenizer, and if the folder holds another kind
    of
    model or is a file; the folder is then not created, and its contents do not change.
    """
    if not os.fspath(folder).strip():
        raise ConfigError("the name of the model folder is empty; name a folder to write the model into.")
    if layout not in LAYOUTS:
        raise ConfigError(f"layout {layout!r}: allowed are {', '.join(LAYOUTS)}.")
    _check_whole(model)
    _refuse_other_model(Path(folder), model, layout)
    with made_folder(Path(folder)) as made:
        config = LAYOUTS[layout].save(model, made, dtype)
        if isinstance(model, Enformer):
            for head, table in model.targets.items():
                table.write(_table_of(model.config, made, head))
        if manifest is not None:
            write_text(made / "manifest.json", json.dumps(manifest, indent=1) + "\n")
        write_text(made / "config.json", json.dumps(config, indent=1) + "\n")


def _check_whole(model: Any) -> None:
    """Raise ConfigError if this is not a genoformer model or if its tokenizer is missing."""
    if not isinstance(model, Encoder | SequenceClassifier | Enformer):
        raise ConfigError(
            f"the model is a {type(model).__name__}; an Encoder, a SequenceClassifier or an Enformer can be saved."
        )
    if isinstance(model, Enformer):
        return
    if not hasattr(model.tokenizer, "n_vocab"):
        raise ConfigError(
            f"the {type(model).__name__} has no tokenizer, without which its folder could not be read again; set "
            "model.tokenizer, to KmerTokenizer(6) say, or to that of the model that it comes from."
        )
    shape = model.config if isinstance(model, Encoder) else model.config.encoder
    if model.tokenizer.n_vocab != shape.n_vocab:
        raise ConfigError(
            f"the tokenizer has {model.tokenizer.n_vocab} tokens, the {type(model).__name__} {shape.n_vocab}; set "
            "model.tokenizer to the one that it was made for."
        )


def _refuse_other_model(folder: Path, model: Model, layout: str) -> None:
    """Raise ConfigError if a folder holds a model of another layout or class, or weights that the save does not replace."""
    path = folder / "config.json"
    said = ""
    if os.path.lexists(path):
        try:
            config = read_json(path)
        except CheckpointError:
            config = {}
        if not LAYOUTS[layout].detect(config):
            said = f"its config.json {described_config(config) or 'is of another layout'}"
        elif layout == "genoformer" and _renamed(config) != _class_name(model):
            said = f"a {str(config.get('model')).rpartition(':')[2]}, which is no {type(model).__name__}"
    if not said and (kept := kept_weights(folder)):
        said = f"{', '.join(kept[:3])}{' ...' if len(kept) > 3 else ''}"
    if said:
        raise ConfigError(f"{folder} holds another model ({said}), which would be mixed with this one; name another folder.")


def _renamed(config: dict[str, Any]) -> str:
    named = str(config.get("model", ""))
    return _RENAMED.get(named, named)


def _class_name(model: Model) -> str:
    return f"{type(model).__module__}:{type(model).__qualname__}"


def failures(name: str | Path) -> list[str]:
    """Return the reasons why the training run of a model failed its own check; empty if it passed or has no record."""
    try:
        notes = (read_manifest(name) or {}).get("notes")
    except CheckpointError:  # a model can be used without its manifest
        return []
    return [str(note) for note in notes] if isinstance(notes, list) else []


def read_manifest(name: str | Path) -> dict[str, Any] | None:
    """Return the record of a model's data and settings, or None if its folder has none."""
    path = resolve_model(name) / "manifest.json"
    return current_manifest(read_json(path)) if path.is_file() else None


def read_card(name: str | Path) -> str | None:
    """Return the model card in Markdown, for people to read before they use the model, or None if its folder has none."""
    path = resolve_model(name) / CARD
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


def title_of(name: str | Path) -> str:
    """Return the first line of a model's card; empty if it has none."""
    card = read_card(name)
    return card.splitlines()[0].lstrip("# ") if card else ""


def copy_notes(name: str | Path, folder: str | Path) -> None:
    """Copy a model's card and the sketch of its training data, if it has them, into another folder."""
    for part in (CARD, SKETCH):
        if (resolve_model(name) / part).is_file():
            with atomic_write(Path(folder) / part) as copy:
                copy.write_bytes((resolve_model(name) / part).read_bytes())


def read_sketch(name: str | Path) -> Sketch | None:
    """Return a sample of the k-mers of a model's training data, or None if its folder has none."""
    path = resolve_model(name) / SKETCH
    return Sketch.load(path) if path.is_file() else None


def training_overlap_note(model: Model, name: str, sequences: Iterable[Codes], what: str) -> str | None:
    """Return a note if many k-mers of the sequences are in the model's training data; None if few are, or without a sketch.

    Repeats share k-mers with the whole genome, so an overlap of a few percent is meaningless. If too few k-mers were sampled to
    judge, the note reports the number that was found.
    """
    if model.training_sketch is None:
        return None
    found = model.training_sketch.containment(sequences)
    if found.n_sampled < _ENOUGH and found.n_found:
        return (
            f"{found.n_found} of the {found.n_sampled} {model.training_sketch.k}-mers of {what} that were "
            "looked at were in the training "
            f"data of {name}: too few to tell how much it has seen of them."
        )
    if not found.n_sampled or found.share < _MUCH:
        return None
    return (
        f"{found.share:.0%} of the {model.training_sketch.k}-mers of {what} were in the training data of "
        f"{name} (of {found.n_sampled:,} "
        "that were looked at): what it says of them is not what it would say of sequence that it never saw."
    )


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters, each counted once."""
    return sum(p.numel() for p in model.parameters())


# --- genoformer's own layout


def _detect_own(config: dict[str, Any]) -> bool:
    return "genoformer" in config


def _load_own(folder: Path, config: dict[str, Any]) -> Model:
    module, _, name = _renamed(config).partition(":")
    if not module.startswith(_HOME):
        raise CheckpointError(f"{folder}: model {config.get('model')!r} is not one of genoformer's; refused.")
    try:
        kind = getattr(import_module(module), name)
        shape = kind.config_type.from_dict(config["config"])
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}. Was it made by another version?") from error
    tensors = read_tensors(folder / WEIGHTS)
    check_size(shape, tensors, folder / WEIGHTS)
    model: Model = empty_model(kind, shape, tied=bool(kind.tied))
    if not isinstance(model, Enformer):
        model.tokenizer = load_tokenizer(folder / "tokenizer.json")
        n_vocab = (model.config if isinstance(model, Encoder) else model.config.encoder).n_vocab
        if model.tokenizer.n_vocab != n_vocab:
            raise CheckpointError(
                f"{folder}: tokenizer.json has {model.tokenizer.n_vocab} tokens, config.json {n_vocab}; "
                "copy the model folder again."
            )
    for copy, original in model.tied.items():
        tensors[copy] = tensors.get(original, torch.empty(0))
    return load_checked(model, tensors, folder / WEIGHTS)


def _save_own(model: Model, folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    if not isinstance(model, Enformer):
        save_tokenizer(model.tokenizer, folder / "tokenizer.json")
    tensors = {name: tensor for name, tensor in model.state_dict().items() if name not in model.tied}
    write_tensors(folder / WEIGHTS, tensors, dtype)
    return {"genoformer": __version__, "model": _class_name(model), "config": asdict(model.config)}


def read_tables(name: str | Path) -> dict[str, TrackTable]:
    """Return the track tables of a long-range model's heads that are in its folder, without reading its weights."""
    return _read_tables(long_range_config(name), resolve_model(name))


def _read_tables(config: EnformerConfig, folder: Path) -> dict[str, TrackTable]:
    found = {}
    for head, n in config.heads.items():
        path = _table_of(config, folder, head)
        if path.is_file():
            found[head] = read_targets(path)
            if len(found[head]) != n:
                raise CheckpointError(f"{path}: {len(found[head]):,} tracks for a head of {n:,}; copy the model folder again.")
    return found


def _table_of(config: EnformerConfig, folder: Path, head: str) -> Path:
    """Return the path of the track table of a head."""
    return folder / ("targets.tsv" if len(config.heads) == 1 else f"targets.{head}.tsv")


LAYOUTS = {
    "genoformer": WeightFormat(_detect_own, _load_own, _save_own),
    "dnabert": WeightFormat(dnabert.detect, dnabert.load, dnabert.save),
    "enformer": WeightFormat(enformer.detect, enformer.load, enformer.save),
}
