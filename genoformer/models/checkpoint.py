"""Models on disk: our own folder layout, and DNABERT's (a Hugging Face BERT folder), both ways.

A folder of ours holds config.json, model.safetensors, tokenizer.json and manifest.json. No pickle is read except through
`weights_only=True`, and no code is ever run from a model folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from genoformer import __version__
from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import Codes
from genoformer.genome.sketch import Sketch
from genoformer.models.encoder import Encoder, EncoderConfig
from genoformer.models.heads import Predictor
from genoformer.tokenizers import KmerTokenizer, load_tokenizer, save_tokenizer
from genoformer.whole import whole_file

WEIGHTS = "model.safetensors"
SKETCH = "seen.npz"  # a sample of the k-mers of what the model was trained on
CARD = "card.md"
ENSEMBLE = "ensemble.json"  # names the members of a run of several models
_ENOUGH, _MUCH = 20, 0.1  # sampled k-mers, and the share of them, from which an overlap is worth a word
_HOME = "genoformer.models."  # a checkpoint can only name a class that lives here

M = TypeVar("M", bound=Encoder | Predictor)


def find(name: str | Path) -> Path:
    """The folder of a model: a path, or the name of a model that ships with genoformer."""
    path, names = Path(name), shipped()
    if str(name) in names and not (path / "config.json").is_file():  # a folder of that name may hold anything
        return names[str(name)]
    if path.is_dir():
        return path
    raise CheckpointError(
        f"no model folder {str(name)!r}; give a folder with config.json, or one of: {', '.join(names) or 'none shipped'}."
    )


def shipped() -> dict[str, Path]:
    """Name -> folder of the models that come with genoformer."""
    models = Path(str(files("genoformer_data"))) / "models"
    return {config.parent.name: config.parent for config in sorted(models.glob("*/config.json"))}


def load(name: str | Path) -> Encoder:
    """A language model in eval mode with `.config`, `.tokenizer` and `.sha256` (of its weights file).

    `name` is a folder of ours, a Hugging Face BERT folder of DNABERT, or the name of a shipped model.
    Raises CheckpointError when something is missing, malformed or does not fit.
    """
    model = load_any(name)
    if not isinstance(model, Encoder):
        raise CheckpointError(f"{name} was fine-tuned to predict {', '.join(model.config.classes)}; give a language model.")
    return model


def load_predictors(name: str | Path) -> list[Predictor]:
    """The fine-tuned models of a run in eval mode: one, or the members of an ensemble (seeds, or several encoders)."""
    folder = find(name)
    members = folder / ENSEMBLE
    paths = [folder / member for member in _members(members)] if members.is_file() else [folder]
    models = [load_any(path) for path in paths]
    for model in models:
        if not isinstance(model, Predictor):
            raise CheckpointError(f"{name} is a language model, which predicts bases; fine-tune it first.")
    found = [model for model in models if isinstance(model, Predictor)]
    if len({(m.config.kind, m.config.classes) for m in found}) != 1:
        raise CheckpointError(f"{name}: its {len(found)} members do not predict the same classes; fine-tune them alike.")
    return found


def _members(path: Path) -> list[str]:
    """Names of the folders beside an ensemble.json; a path that leads elsewhere is refused."""
    names = _read_json(path).get("members")
    if not isinstance(names, list) or not names:
        raise CheckpointError(f"{path} names no members; copy the whole run again.")
    for name in names:
        if not isinstance(name, str) or name in ("", ".", "..") or Path(name).name != name or "\\" in name:
            raise CheckpointError(f"{path}: member {name!r} is not the name of a folder beside it; refused.")
    return names


def load_any(name: str | Path) -> Encoder | Predictor:
    """Any model of a folder, in eval mode; see `load` and `load_predictors`."""
    folder = find(name)
    if (folder / ENSEMBLE).is_file() and not (folder / "config.json").is_file():
        several = ", ".join(str(folder / member) for member in _members(folder / ENSEMBLE))
        raise CheckpointError(f"{folder} is a run of several models, and one is needed here; name one of {several}.")
    config = _read_json(folder / "config.json")
    model: Encoder | Predictor
    if "genoformer" in config:
        model = _load_own(folder, config)
    elif config.get("model_type", "bert") == "bert" and "hidden_size" in config:
        model = _load_bert(folder, config)
    else:
        raise CheckpointError(
            f"{folder / 'config.json'} is neither genoformer's nor BERT's; convert the model, or name another folder."
        )
    model.seen = read_sketch(folder)
    model.eval()
    return model


def save(
    model: Encoder | Predictor,
    folder: str | Path,
    *,
    layout: str = "genoformer",
    manifest: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model folder; each file appears complete or not at all.

    layout "genoformer" is ours, "dnabert" a Hugging Face BERT folder. `dtype` float16 halves the file.
    """
    if layout not in ("genoformer", "dnabert"):
        raise ConfigError(f"layout {layout!r}: allowed are 'genoformer' and 'dnabert'.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: t.detach().to("cpu", dtype).contiguous() for name, t in model.state_dict().items()}
    if layout == "dnabert":
        if not isinstance(model, Encoder):
            raise ConfigError("DNABERT's layout holds language models, no fine-tuned ones; save in ours instead.")
        config, tensors = _bert_config(model.config, model.tokenizer), _to_bert(tensors)
        _write(folder / "vocab.txt", "\n".join(model.tokenizer.vocab) + "\n")
    else:
        for copy in model.tied:
            del tensors[copy]
        name = f"{type(model).__module__}:{type(model).__qualname__}"
        config = {"genoformer": __version__, "model": name, "config": asdict(model.config)}
        save_tokenizer(model.tokenizer, folder / "tokenizer.json")
    with whole_file(folder / WEIGHTS) as part:
        save_file(tensors, part, metadata={"format": "pt"})
    if manifest is not None:
        _write(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")
    _write(folder / "config.json", json.dumps(config, indent=1) + "\n")


def read_manifest(name: str | Path) -> dict[str, Any] | None:
    """What a model was made from and how, or None where its folder does not say."""
    path = find(name) / "manifest.json"
    return _read_json(path) if path.is_file() else None


def read_card(name: str | Path) -> str | None:
    """What people should know of a model before they use it, in Markdown, or None where its folder has no card."""
    path = find(name) / CARD
    return path.read_text() if path.is_file() else None


def copy_notes(name: str | Path, folder: str | Path) -> None:
    """Copy a model's card and its sketch of what it was trained on, where it has them, into another folder."""
    for part in (CARD, SKETCH):
        if (find(name) / part).is_file():
            with whole_file(Path(folder) / part) as copy:
                copy.write_bytes((find(name) / part).read_bytes())


def read_sketch(name: str | Path) -> Sketch | None:
    """A sample of the k-mers that a model has seen in training, or None where its folder does not say."""
    path = find(name) / SKETCH
    return Sketch.load(path) if path.is_file() else None


def overlap_note(model: Encoder | Predictor, name: str, sequences: Iterable[Codes], what: str) -> str | None:
    """A sentence where much of some sequences was in the model's training data; None where little was, or nothing is known.

    Repeats share k-mers with all of a genome, so that a few percent mean nothing. Of few k-mers those that were found are
    told, as too few to judge by.
    """
    if model.seen is None:
        return None
    found = model.seen.containment(sequences)
    if found.n_sampled < _ENOUGH and found.n_found:
        return (
            f"{found.n_found} of the {found.n_sampled} {model.seen.k}-mers of {what} that were looked at were in the training "
            f"data of {name}: too few to tell how much it has seen of them."
        )
    if not found.n_sampled or found.share < _MUCH:
        return None
    return (
        f"{found.share:.0%} of the {model.seen.k}-mers of {what} were in the training data of {name} (of {found.n_sampled:,} "
        "that were looked at): what it says of them is not what it would say of sequence that it never saw."
    )


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _load_own(folder: Path, config: dict[str, Any]) -> Encoder | Predictor:
    module, _, name = str(config.get("model", "")).partition(":")
    if not module.startswith(_HOME):
        raise CheckpointError(f"{folder}: model {config.get('model')!r} is not one of genoformer's; refused.")
    try:
        kind = getattr(import_module(module), name)
        model: Encoder | Predictor = kind(kind.config_type.from_dict(config["config"]))
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}. Was it made by another version?") from error
    model.tokenizer = load_tokenizer(folder / "tokenizer.json")
    shape = model.config if isinstance(model, Encoder) else model.config.encoder
    if model.tokenizer.n_vocab != shape.n_vocab:
        raise CheckpointError(
            f"{folder}: tokenizer.json has {model.tokenizer.n_vocab} tokens, config.json {shape.n_vocab}; "
            "copy the model folder again."
        )
    tensors = _read_tensors(folder / WEIGHTS)
    for copy, original in model.tied.items():
        tensors[copy] = tensors.get(original, torch.empty(0))
    return _fill(model, tensors, folder / WEIGHTS)


def _load_bert(folder: Path, config: dict[str, Any]) -> Encoder:
    if config.get("hidden_act", "gelu") != "gelu" or config.get("position_embedding_type", "absolute") != "absolute":
        raise CheckpointError(f"{folder}: only BERT with exact GELU and absolute positions is DNABERT; this one differs.")
    weights = next((folder / n for n in (WEIGHTS, "pytorch_model.bin") if (folder / n).is_file()), None)
    if weights is None:
        raise CheckpointError(f"{folder} has neither {WEIGHTS} nor pytorch_model.bin; copy the whole model folder.")
    tokenizer = _read_vocab(folder / "vocab.txt")
    tensors = _from_bert(_read_tensors(weights), weights)
    try:
        model = Encoder(
            EncoderConfig(
                n_vocab=config["vocab_size"],
                width=config["hidden_size"],
                n_layers=config["num_hidden_layers"],
                n_heads=config["num_attention_heads"],
                hidden=config["intermediate_size"],
                max_tokens=config["max_position_embeddings"],
                context_length=tokenizer.length_of(config["max_position_embeddings"]),
                dropout=config.get("hidden_dropout_prob", 0.1),
                norm_eps=config.get("layer_norm_eps", 1e-12),
                init_std=config.get("initializer_range", 0.02),
                n_segments=config.get("type_vocab_size", 2),
                pooler="pooler.weight" in tensors,
            )
        )
    except (KeyError, ConfigError, TypeError) as error:
        raise CheckpointError(f"{folder / 'config.json'}: {error}; a BERT configuration is needed.") from error
    if tokenizer.n_vocab != model.config.n_vocab:
        raise CheckpointError(f"{folder}: vocab.txt has {tokenizer.n_vocab} tokens, config.json {model.config.n_vocab}.")
    model.tokenizer = tokenizer
    return _fill(model, tensors, weights)


def _fill(model: M, tensors: dict[str, Tensor], path: Path) -> M:
    own = model.state_dict()
    wrong = sorted(set(own) ^ set(tensors)) + [
        name for name in own if name in tensors and own[name].shape != tensors[name].shape
    ]
    if wrong:
        raise CheckpointError(f"{path}: {len(wrong)} tensors are missing, foreign or of another shape, e.g. {wrong[0]}.")
    bad = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if bad:
        raise CheckpointError(f"{path}: {bad[0]} holds NaN or infinity; the training run diverged or the file is damaged.")
    model.load_state_dict(tensors)  # copies into float32
    model.sha256 = sha256_of(path)
    return model


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".bin":
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        else:
            tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); copy the model folder again.") from error
    except Exception as error:  # torch raises UnpicklingError, RuntimeError, EOFError ... for what is not plain tensors
        raise CheckpointError(f"{path} holds something else than plain tensors; it was not loaded.") from error
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise CheckpointError(f"{path} is not a table of tensors; it was not loaded.")
    return tensors


def _read_vocab(path: Path) -> KmerTokenizer:
    """The k-mer tokenizer whose vocabulary this file is; k is read from the tokens themselves."""
    try:
        tokens = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); DNABERT's vocab.txt is needed beside config.json.") from error
    k = len(tokens[-1]) if tokens else 0
    if not 1 <= k <= 8 or list(KmerTokenizer(k).vocab) != tokens:
        raise CheckpointError(f"{path} is not DNABERT's vocabulary for k = {k} in DNABERT's order; other BERTs are not read.")
    return KmerTokenizer(k)


# BERT's names <-> ours; {} is the layer. Query, key and value are one matrix here.
_SINGLE = {
    "bert.embeddings.word_embeddings.weight": "tokens.weight",
    "bert.embeddings.position_embeddings.weight": "positions.weight",
    "bert.embeddings.token_type_embeddings.weight": "segments.weight",
    "bert.embeddings.LayerNorm": "norm",
    "bert.pooler.dense": "pooler",
    "cls.predictions.transform.dense": "transform",
    "cls.predictions.transform.LayerNorm": "norm_transform",
    "cls.predictions.decoder.weight": "decoder.weight",
    "cls.predictions.bias": "decoder.bias",
}
_PER_LAYER = {
    "attention.output.dense": "attention.out",
    "attention.output.LayerNorm": "norm_attention",
    "intermediate.dense": "up",
    "output.dense": "down",
    "output.LayerNorm": "norm_feed",
}
_QKV = ("query", "key", "value")


def _bert_names(n_layers: int) -> dict[str, str]:
    """BERT's name -> ours for every tensor but query, key and value."""
    pairs = dict(_SINGLE)
    for i in range(n_layers):
        pairs |= {f"bert.encoder.layer.{i}.{theirs}": f"layers.{i}.{ours}" for theirs, ours in _PER_LAYER.items()}
    full: dict[str, str] = {}
    for theirs, ours in pairs.items():
        whole = theirs.endswith((".weight", ".bias"))
        full |= {theirs: ours} if whole else {f"{theirs}.{p}": f"{ours}.{p}" for p in ("weight", "bias")}
    return full


def _from_bert(tensors: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    old = {".gamma": ".weight", ".beta": ".bias"}  # as TensorFlow checkpoints and early ports call them
    for suffix, new in old.items():
        tensors = {name.removesuffix(suffix) + new if name.endswith(suffix) else name: t for name, t in tensors.items()}
    if "cls.predictions.bias" not in tensors and "cls.predictions.decoder.bias" in tensors:
        tensors["cls.predictions.bias"] = tensors["cls.predictions.decoder.bias"]
    word = tensors.get("bert.embeddings.word_embeddings.weight")
    if word is None or "cls.predictions.bias" not in tensors:
        raise CheckpointError(f"{path} is no BertForMaskedLM: it needs bert.embeddings and cls.predictions.")
    decoder = tensors.setdefault("cls.predictions.decoder.weight", word)
    if not torch.equal(decoder, word):
        raise CheckpointError(f"{path}: its output matrix is not tied to its embeddings, as DNABERT's is; not read.")
    n_layers = len({name.split(".")[3] for name in tensors if name.startswith("bert.encoder.layer.")})
    ours = {new: tensors[name] for name, new in _bert_names(n_layers).items() if name in tensors}
    for i in range(n_layers):
        for part in ("weight", "bias"):
            names = [f"bert.encoder.layer.{i}.attention.self.{which}.{part}" for which in _QKV]
            if all(name in tensors for name in names):
                ours[f"layers.{i}.attention.qkv.{part}"] = torch.cat([tensors[name] for name in names])
    return ours


def _to_bert(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    n_layers = len({name.split(".")[1] for name in tensors if name.startswith("layers.")})
    theirs = {name: tensors[ours] for name, ours in _bert_names(n_layers).items() if ours in tensors}
    del theirs["cls.predictions.decoder.weight"]  # tied; Hugging Face ties it again when it loads
    for i in range(n_layers):
        for part in ("weight", "bias"):
            thirds = tensors[f"layers.{i}.attention.qkv.{part}"].chunk(3)
            for which, third in zip(_QKV, thirds, strict=True):
                theirs[f"bert.encoder.layer.{i}.attention.self.{which}.{part}"] = third.contiguous()
    return theirs


def _bert_config(config: EncoderConfig, tokenizer: Any) -> dict[str, Any]:
    shape = (config.position, config.norm, config.activation, config.causal, config.stem_kernel)
    if shape != ("learned", "post", "gelu", False, 0) or not config.n_segments:
        raise ConfigError(
            "DNABERT's layout holds learned positions, segments, post-norm, GELU and both directions, and no stem; "
            "save in ours instead."
        )
    if not isinstance(tokenizer, KmerTokenizer) or tokenizer.stride != 1:
        raise ConfigError("DNABERT's layout holds k-mers of stride 1 only; save in ours instead.")
    return {
        "architectures": ["BertForMaskedLM"],
        "model_type": "bert",
        "vocab_size": config.n_vocab,
        "hidden_size": config.width,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.hidden,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "max_position_embeddings": config.max_tokens,
        "type_vocab_size": config.n_segments,
        "layer_norm_eps": config.norm_eps,
        "initializer_range": config.init_std,
        "pad_token_id": 0,
    }


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON ({error}); copy the model folder again.") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not a JSON object; copy the model folder again.")
    return value


def _write(path: Path, text: str) -> None:
    with whole_file(path) as part:
        part.write_text(text)


def count_parameters(model: nn.Module) -> int:
    """Parameters, each counted once."""
    return sum(p.numel() for p in model.parameters())
