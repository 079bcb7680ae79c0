"""Descriptions of model folders of other libraries: a folder, or its config.json -> the end of a sentence."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

# model_type of a config.json -> the models that use it, if the type alone is not clear; DNA models come first
_FAMILIES = {
    "caduceus": "Caduceus, a state-space model and no transformer",
    "hyenadna": "HyenaDNA, long convolutions and no transformer",
    "stripedhyena": "Evo, attention layers with long convolutions between",
    "stripedhyena2": "Evo 2, attention layers with long convolutions between",
    "evo2": "Evo 2, attention layers with long convolutions between",
    "evo": "Evo, attention layers with long convolutions between",
    "mamba": "Mamba, a state-space model and no transformer",
    "GPN": "GPN",
    "ConvNet": "GPN",
    "GPNRoFormer": "GPN-MSA",
    "big_bird": "BigBird, as some GENA-LM",
    "mixtral": "Mixtral, as Mistral-DNA",
}
_WEIGHTS = re.compile(r"(model.*\.safetensors|pytorch_model.*\.bin)(\.index\.json)?")  # one file, shards, or their index
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt", "spiece.model")
_ELSEWHERE = {  # weights of other libraries, by name or suffix
    "tf_model.h5": "TensorFlow weights",
    "flax_model.msgpack": "Flax weights",
    ".gguf": "GGUF weights (llama.cpp)",
    ".onnx": "an ONNX model",
    ".ckpt": "a checkpoint of PyTorch Lightning or TensorFlow",
    ".pt": "a pickle of PyTorch",
    ".pth": "a pickle of PyTorch",
    ".h5": "an HDF5 file, as Keras writes",
    ".pb": "a SavedModel of TensorFlow",
}


def described_config(config: dict[str, Any]) -> str:
    """Describe the model of a config.json: "is of model_type gpt2 (GPT2LMHeadModel)"; "" if it names no model."""
    kind, classes = config.get("model_type"), config.get("architectures")
    named = ", ".join(str(name) for name in classes) if isinstance(classes, list) else ""
    if not kind and not named:
        return ""
    said = f"is of model_type {kind}" if kind else "names no model_type"
    said += f" ({named})" if named else ""
    family = "DNABERT-2" if is_dnabert2(config) else _FAMILIES.get(str(kind))
    return f"{said}: {family}" if family else said


def is_dnabert2(config: dict[str, Any]) -> bool:
    """True if a BERT config.json is that of a MosaicBERT such as DNABERT-2: ALiBi positions, custom code."""
    code = config.get("auto_map")
    return "alibi_starting_size" in config or (isinstance(code, dict) and any("bert_layers" in str(x) for x in code.values()))


def described_folder(folder: Path) -> str:
    """Describe a folder without a config.json as the end of a sentence, with the remedy."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        return f"the folder cannot be listed ({error.strerror}); check its permissions"
    there = set(names)
    if not there:
        return "the folder is empty; name another one"
    if "adapter_config.json" in there:
        base = _field(folder / "adapter_config.json", "base_model_name_or_path") or "another model"
        return f"the folder holds an adapter (PEFT) of {base}; merge the two with PEFT, and save the whole"
    if "modules.json" in there or "config_sentence_transformers.json" in there:
        return "the folder is of sentence-transformers, which keep the transformer in a folder inside; name that one"
    if diverged := _divergence(folder / "log.csv"):
        return f"the folder holds a training run that diverged ({diverged}); train again in a new folder with other settings"
    if "run.json" in there or "state.ckpt" in there:
        return "the folder holds a training run that was interrupted; give its command again to finish it"
    if inner := [str(folder / name) for name in names if (folder / name / "config.json").is_file()]:
        return f"the folder holds {', '.join(inner[:5])}{' ...' if len(inner) > 5 else ''}, which is a model; name that one"
    if snapshots := _snapshots(folder):
        one = f"{', '.join(snapshots[:5])}{' ...' if len(snapshots) > 5 else ''}"
        return f"the folder is a cache of the Hugging Face hub, and a model is {one}; name that one"
    if "snapshots" in there:
        return "the folder is a cache of the Hugging Face hub without a model in it; download the model again"
    if other := other_weights(folder):
        return f"the folder holds {other}; save the model as safetensors with its config.json"
    if any(_WEIGHTS.fullmatch(name) for name in names):
        return "the folder holds weights without their config.json; copy the whole model folder"
    if there & set(_TOKENIZER) and there <= {*_TOKENIZER, "special_tokens_map.json", "added_tokens.json", "README.md"}:
        return "the folder holds a tokenizer and no model; copy the whole model folder"
    return f"the folder holds {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}; name another one"


def _divergence(log: Path) -> str:
    """Return the step and the loss that ended a training run, from the last row of its log; "" if it did not diverge."""
    try:
        with log.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        loss = str(rows[-1]["train_loss"])
        return "" if math.isfinite(float(loss)) else f"at step {rows[-1]['step']} the loss is {loss}"
    except (OSError, ValueError, LookupError, csv.Error):
        return ""


def _snapshots(folder: Path) -> list[str]:
    """Return the model folders in one or several Hugging Face hub caches; in each cache the branch main comes first."""
    found = []
    for cache in (folder, *sorted(folder.glob("models--*"))):
        try:
            main = (cache / "refs" / "main").read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            main = ""
        models = [path.parent for path in cache.glob("snapshots/*/config.json")]
        found += [str(path) for path in sorted(models, key=lambda path: (path.name != main, path.name))]
    return found


def kept_weights(folder: Path) -> list[str]:
    """Return the names of the weight files in a folder that a save of one of our models would not replace."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError:
        return []
    return [name for name in names if name in _ELSEWHERE or (_WEIGHTS.fullmatch(name) and name != "model.safetensors")]


def other_weights(folder: Path) -> str:
    """Return the name and kind of a file with weights of another library in the folder; "" if there is none."""
    for name in sorted(path.name for path in folder.iterdir()):
        if what := _ELSEWHERE.get(name) or _ELSEWHERE.get(Path(name).suffix):
            return f"{name}, {what}"
    return ""


def _field(path: Path, name: str) -> str:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    return str(found.get(name) or "") if isinstance(found, dict) else ""
