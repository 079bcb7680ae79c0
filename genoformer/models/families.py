"""Families of models: names -> classes and foreign layouts, of genoformer and of installed packages.

Other packages add families through the entry point group "genoformer.families", whose entries name `Family` objects.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any, NamedTuple

from genoformer.errors import ConfigError, PackageWarning, sentence
from genoformer.models.base import Model

OWN = "genoformer"  # name of genoformer's own layout


class Layout(NamedTuple):
    """A foreign layout of model folders: the address of its `WeightFormat`, and the config.json that it may be of."""

    format: str  # "package.module:FORMAT", imported on use
    model_types: tuple[str, ...] = ()  # of the config.json; "" if it names none, () if it may name any
    models: str = ""  # in messages: the models that are read

    def may_hold(self, config: Mapping[str, Any]) -> bool:
        """Return False if the model_type of a config.json tells that it is not of this layout."""
        return not self.model_types or str(config.get("model_type") or "") in self.model_types


class Family(NamedTuple):
    """A family of models: the class, and the foreign layouts that it is read from and written to."""

    model: str  # "package.module:Class", imported on use
    formats: Mapping[str, str | Layout] = {}  # name of a layout -> the layout, or the address of its format

    @property
    def layouts(self) -> dict[str, Layout]:
        """The foreign layouts by name."""
        return {name: Layout(layout) if isinstance(layout, str) else layout for name, layout in self.formats.items()}


_WEIGHTS = "genoformer.models.transformer.weights"
_BERT, _OWN_HF = ("bert", ""), ("genoformer",)
FAMILIES = {
    "transformer": Family(
        "genoformer.models.transformer.model:Encoder",
        {
            "dnabert": Layout(f"{_WEIGHTS}.bert:BERT", _BERT, "BERT (DNABERT, GROVER)"),
            "gena-lm": Layout(f"{_WEIGHTS}.bert:GENA_LM", _BERT, "GENA-LM"),
            "dnabert2": Layout(f"{_WEIGHTS}.mosaic:DNABERT2", _BERT, "DNABERT-2"),
            "esm": Layout(f"{_WEIGHTS}.esm:ESM", ("esm",), "ESM and the Nucleotide Transformer"),
            "modernbert": Layout(f"{_WEIGHTS}.modernbert:MODERNBERT", ("modernbert",), "ModernBERT"),
            "decoder-only": Layout(f"{_WEIGHTS}.decoders:DECODER_ONLY", ("llama", "qwen3"), "Llama, Qwen3"),
            "genoformer-hf": Layout(f"{_WEIGHTS}.own:LANGUAGE", _OWN_HF),  # last: takes what no other layout holds
        },
    ),
    "hybrid": Family(
        "genoformer.models.hybrid.model:Hybrid", {"genoformer-hf-hybrid": Layout(f"{_WEIGHTS}.own:HYBRID", _OWN_HF)}
    ),
    "cloze": Family("genoformer.models.cloze.model:Cloze", {"genoformer-hf-cloze": Layout(f"{_WEIGHTS}.own:CLOZE", _OWN_HF)}),
    "classifier": Family(
        "genoformer.models.heads:SequenceClassifier",
        {
            "dnabert-classifier": Layout(f"{_WEIGHTS}.bert:CLASSIFIER", _BERT),
            "gena-lm-classifier": Layout(f"{_WEIGHTS}.bert:GENA_LM_CLASSIFIER", _BERT),
            "dnabert2-classifier": Layout(f"{_WEIGHTS}.mosaic:CLASSIFIER", _BERT),
            "esm-classifier": Layout(f"{_WEIGHTS}.esm:CLASSIFIER", ("esm",)),
            "modernbert-classifier": Layout(f"{_WEIGHTS}.modernbert:CLASSIFIER", ("modernbert",)),
            "decoder-only-classifier": Layout(f"{_WEIGHTS}.decoders:CLASSIFIER", ("llama", "qwen3")),
            "genoformer-hf-classifier": Layout(f"{_WEIGHTS}.own:CLASSIFIER", _OWN_HF),
        },
    ),
    "alphagenome": Family(
        "genoformer.models.alphagenome.model:AlphaGenome",
        {
            "alphagenome-pt": Layout(
                "genoformer.models.alphagenome.weights:ALPHAGENOME_PT", ("",), "AlphaGenome as alphagenome-pt has it"
            ),
            "alphagenome-pytorch": Layout(
                "genoformer.models.alphagenome.weights_pytorch:ALPHAGENOME_PYTORCH", ("alphagenome-pytorch",)
            ),
        },
    ),
    "borzoi": Family(
        "genoformer.models.borzoi.model:Borzoi",
        {
            "borzoi": Layout("genoformer.models.borzoi.weights:BORZOI", ("borzoi",), "Borzoi as borzoi-pytorch has it"),
            "flashzoi": Layout("genoformer.models.borzoi.weights:FLASHZOI", ("borzoi",), "Flashzoi"),
            "borzoi-prime": Layout("genoformer.models.borzoi.weights:BORZOI_PRIME", ("prime",), "Borzoi Prime"),
        },
    ),
    "contexts": Family("genoformer.models.contexts:ContextTracks"),
    "enformer": Family(
        "genoformer.models.enformer.model:Enformer",
        {
            "enformer": Layout(
                "genoformer.models.enformer.weights:ENFORMER_PYTORCH", ("enformer",), "Enformer as enformer-pytorch has it"
            )
        },
    ),
}
_NAMES = [layout.models for family in FAMILIES.values() for layout in family.layouts.values() if layout.models]
READ = f"genoformer reads its own models, {', '.join(_NAMES[:-1])}, and {_NAMES[-1]}"  # in messages


@cache
def families() -> dict[str, Family]:
    """Return all families by name: genoformer's, and those of installed packages.

    A package whose family cannot be used is left out with a warning (PackageWarning), once.
    """
    known = dict(FAMILIES)
    for entry in entry_points(group="genoformer.families"):
        try:
            known[entry.name] = _family_from(entry, known)
        except Exception as error:  # any error of another package
            package = entry.dist.name if entry.dist is not None else entry.value
            warn_of_package(f"the family {entry.name!r} of the package {package}", error)
    return known


def warn_of_package(part: str, error: Exception) -> None:
    """Warn that a part of another package is left out, and why."""
    problem = f"{part} is left out: {type(error).__name__}: {error}; update or remove the package."
    warnings.warn(sentence(problem), PackageWarning, stacklevel=3)


def _family_from(entry: EntryPoint, known: Mapping[str, Family]) -> Family:
    """Return the family of an entry point; raise if it is none, or takes the name of a known family or layout."""
    if entry.name in known:
        raise ConfigError(f"{entry.value} takes the name of another family")
    family = entry.load()
    if not isinstance(family, Family):
        raise ConfigError(f"{entry.value} is a {type(family).__name__}, expected a genoformer.models.families.Family")
    layouts = {OWN} | {name for other in known.values() for name in other.formats}
    if same := sorted(layouts & set(family.formats)):
        raise ConfigError(f"{entry.value} takes the name of another layout, {', '.join(same)}")
    return family


def formats() -> dict[str, tuple[Family, Layout]]:
    """Return the foreign layouts by name, with their families."""
    return {name: (family, layout) for family in families().values() for name, layout in family.layouts.items()}


def model_class(family: str) -> Any:
    """Return the class of the models of a family."""
    known = FAMILIES if family in FAMILIES else families()  # other packages are imported for their own models only
    if family not in known:
        raise ConfigError(f"found the family {family!r}, which is not installed; expected one of {', '.join(known)}.")
    return resolve_name(known[family].model)


def family_of(model: Model) -> str:
    """Return the name of the family of a model."""
    for name, family in families().items():
        if family.model == class_name(model):
            return name
    raise unregistered(class_name(model))


def family_of_config(config: Any) -> str:
    """Return the name of the family of models with a configuration of this type."""
    kind = class_of(config)
    name = f"{kind.__module__}:{kind.__qualname__}"
    return next(family_name for family_name, family in families().items() if family.model == name)


def class_of(config: Any) -> Any:
    """Return the class of models with a configuration of this type."""
    for known in (lambda: FAMILIES, families):
        for kind in (resolve_name(family.model) for family in known().values()):
            if kind.config_type is type(config):
                return kind
    raise unregistered(type(config).__name__)


def unregistered(name: str) -> ConfigError:
    """Return the error for a class that no registered family has."""
    return ConfigError(f"found {name}, expected a class of a registered family; add an entry point genoformer.families.")


def class_name(model: Model) -> str:
    """Return the address of the class of a model, "package.module:Class"."""
    return f"{type(model).__module__}:{type(model).__qualname__}"
