"""Heads on an encoder: pooling and a head for classes or values, and low-rank adapters.

In reading order: the configuration, the classifier, the choice of trainable parameters, adapters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.config import checked, current
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.models.base import Model, Origin
from genoformer.models.layers import Linear, linear
from genoformer.models.token_model import check_tokenizer
from genoformer.models.transformer.model import Encoder, EncoderConfig

Kind = Literal["classes", "multilabel", "values"]
Pooling = Literal["mean-max", "mean", "max", "cls"]
Tune = Literal["full", "last", "frozen", "lora"]


@dataclass(frozen=True)
class ClassifierConfig:
    """An encoder with a head: its outputs, and the windows into which long sequences are cut."""

    encoder: EncoderConfig
    kind: Kind
    classes: tuple[str, ...]  # names of the outputs: classes, labels or values
    window: int  # bases in one input of the encoder; longer sequences are cut into windows and their logits averaged
    overlap: int = 0  # bases that neighbouring windows share
    pooling: Pooling = "mean-max"  # a motif anywhere shows in the maximum, the composition in the mean
    both_strands: bool = False  # average the logits of both strands; wrong for directional elements such as promoters
    dropout: float = 0.1  # DNABERT
    target_mean: tuple[float, ...] = ()  # of each value in the training data; predicted is (value - mean) / standard deviation
    target_std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, allowed in (("kind", get_args(Kind)), ("pooling", get_args(Pooling))):
            if getattr(self, name) not in allowed:
                raise ConfigError(f"{name} = {getattr(self, name)!r}: allowed are {', '.join(allowed)}.")
        if not self.classes:
            raise ConfigError("a head without classes predicts nothing; name its outputs.")
        if len(set(self.classes)) < len(self.classes) or (self.kind == "classes" and len(self.classes) < 2):
            raise ConfigError(f"classes = {', '.join(self.classes)}: give different names, and of classes at least two.")
        n_expected = len(self.classes) if self.kind == "values" else 0
        if len(self.target_mean) != n_expected or len(self.target_std) != n_expected:
            raise ConfigError(
                f"{len(self.target_mean)} in target_mean and {len(self.target_std)} in target_std for {len(self.classes)} "
                f"outputs of kind {self.kind!r}: give {n_expected} of each."
            )
        if self.pooling == "cls" and self.encoder.causal:
            raise ConfigError("[CLS] of a causal model comes before all bases and knows none of them; take pooling mean-max.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout = {self.dropout}: give a number from 0 up to, not including, 1.")
        if not 0 <= self.overlap < self.window:
            raise ConfigError(f"overlap = {self.overlap}: give 0 up to, not including, the window of {self.window} bases.")

    @property
    def min_layers(self) -> int:
        """Number of layers of the encoder."""
        return self.encoder.min_layers

    @property
    def min_parameters(self) -> int:
        """Lower bound of the parameter count: the encoder and the output layer."""
        return self.encoder.min_parameters + self.encoder.width * len(self.classes)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClassifierConfig:
        """Return the configuration in a mapping that `dataclasses.asdict` wrote.

        Unknown fields and values of other types are refused.
        """
        values = current(cls.__name__, values)
        numbers = {name: tuple(float(x) for x in values.get(name, ())) for name in ("target_mean", "target_std")}
        fields = checked(cls, {**values, "target_mean": (), "target_std": ()}, "predictor")
        return cls(**{**fields, **numbers, "encoder": EncoderConfig.from_dict(values["encoder"])})


class SequenceClassifier(Model):
    """Token ids [B, T] of windows -> logits [B, C] (or values in units of their standard deviation)."""

    config_type = ClassifierConfig
    tied: ClassVar[dict[str, str]] = {f"encoder.{a}": f"encoder.{b}" for a, b in Encoder.tied.items()}

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.encoder)
        width = config.encoder.width
        n_features = width * (2 if config.pooling == "mean-max" else 1)
        self.norm = nn.LayerNorm(n_features)
        self.dropout = nn.Dropout(config.dropout)
        self.hidden = nn.Linear(n_features, width)
        self.out = nn.Linear(width, len(config.classes))
        nn.init.normal_(self.out.weight, std=0.02)
        nn.init.zeros_(self.out.bias)

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the encoder."""
        return self.encoder.tokenizer

    @tokenizer.setter
    def tokenizer(self, tokenizer: Any) -> None:
        self.encoder.tokenizer = tokenizer

    @property
    def layers(self) -> nn.ModuleList:  # type: ignore[override]
        return self.encoder.layers

    def set_origin(self, origin: Origin) -> None:
        self.origin = self.encoder.origin = origin

    def check_complete(self) -> None:
        check_tokenizer(self.tokenizer, self.config.encoder.n_vocab, type(self).__name__)

    def write_assets(self, folder: Path) -> None:
        self.encoder.write_assets(folder)

    def read_assets(self, folder: Path) -> None:
        self.encoder.read_assets(folder)

    def describe(self) -> str:
        return f"was fine-tuned to predict {', '.join(self.config.classes)}"

    def forward(self, ids: Tensor, is_base: Tensor, keep: Tensor | None = None) -> Tensor:
        """Map ids, is_base (as in `Encoding`) and keep (False = padding), all [B, T], to logits [B, C]."""
        return self.head(self.encoder.embed(ids, keep), is_base)

    def logits(self, codes: Codes) -> Tensor:
        """Map codes [B, L] to logits [B, C] with the model's tokenizer, on the model's device."""
        encoding = self.tokenizer.encode(codes)
        device = self.out.weight.device
        found: Tensor = self(*(torch.from_numpy(x).to(device) for x in (encoding.ids, encoding.is_base)))
        return found

    def head(self, x: Tensor, is_base: Tensor) -> Tensor:
        """Map the encoder's output [B, T, D] to logits [B, C]; is_base [B, T] is True at tokens of bases."""
        x = self.norm(pool(x, is_base, self.config.pooling))  # [B, D or 2 D]
        return self.out(self.dropout(F.gelu(self.hidden(self.dropout(x)))))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Convert logits [..., C] to probabilities, or to values in their own unit."""
        if self.config.kind == "classes":
            return logits.softmax(-1)
        if self.config.kind == "multilabel":
            return logits.sigmoid()
        mean, std = (torch.tensor(x, device=logits.device) for x in (self.config.target_mean, self.config.target_std))
        return logits * std + mean


def pool(x: Tensor, is_base: Tensor, how: Pooling) -> Tensor:
    """Pool hidden states [B, T, D] to [B, D], or to [B, 2 D] for "mean-max", which concatenates mean and maximum.

    Mean and maximum are over the tokens of bases (is_base [B, T]), without special tokens; "cls" is the first state.
    """
    if how == "cls":
        return x[:, 0]
    body = is_base[..., None]  # [B, T, 1]
    mean = (x * body).sum(1) / body.sum(1).clamp(min=1)
    if how == "mean":
        return mean
    largest = x.masked_fill(~body, -torch.inf).amax(1)
    return largest if how == "max" else torch.cat([mean, largest], dim=-1)


# --- choice of trainable parameters


def set_trainable(model: SequenceClassifier, tune: Tune, *, last_layers: int = 2, lora_rank: int = 8) -> None:
    """Set which weights of a classifier are trained: all, the last layers, none of the encoder, or adapters.

    The head is always trained; the encoder's own output layer (of its language model) is never trained.
    """
    encoder = model.encoder
    encoder.requires_grad_(tune == "full")
    if tune == "last":
        if not 1 <= last_layers <= len(encoder.layers):
            raise ConfigError(f"last_layers = {last_layers}: the encoder has layers 1 to {len(encoder.layers)}.")
        for layer in encoder.layers[-last_layers:]:
            layer.requires_grad_(True)
        encoder.norm.requires_grad_(encoder.config.norm == "pre")
    elif tune == "lora":
        add_adapters(encoder.layers, lora_rank)
    elif tune not in get_args(Tune):
        raise ConfigError(f"tune = {tune!r}: allowed are {', '.join(get_args(Tune))}.")
    for part in (encoder.transform, encoder.norm_transform):
        part.requires_grad_(False)
    encoder.decoder.bias.requires_grad_(False)
    if encoder.pooler is not None:
        encoder.pooler.requires_grad_(False)


# --- low-rank adapters


class LowRank(nn.Module):
    """A linear layer with weight W + (alpha / r) B A, where only A and B are trained (LoRA, Hu et al. 2021); B starts at 0."""

    def __init__(self, base: Linear, rank: int, alpha: float) -> None:
        super().__init__()
        if not 1 <= rank <= min(base.weight.shape):
            raise ConfigError(f"lora_rank = {rank}: give 1 to {min(base.weight.shape)}, the narrowest side of the weights.")
        self.base, self.scale = base, alpha / rank
        self.a = nn.Parameter(torch.empty(rank, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.normal_(self.a, std=base.in_features**-0.5)

    @property
    def weight(self) -> Tensor:
        return self.base.weight + self.scale * (self.b @ self.a)

    @property
    def bias(self) -> Tensor | None:
        return self.base.bias

    @property
    def out_features(self) -> int:
        return self.base.out_features

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.base.weight, self.base.bias) + self.scale * ((x @ self.a.T) @ self.b.T)


def add_adapters(layers: nn.Module, rank: int, alpha: float = 16.0) -> None:
    """Add a low-rank adapter to every `Linear` of some layers and freeze that `Linear`; other parameters do not change.

    layers: the layers of attention and feed-forward, `Encoder.layers` or `Enformer.blocks`.
    """
    for name, base in list(layers.named_modules()):
        if isinstance(base, Linear):
            adapter = LowRank(base, rank, alpha)
            base.requires_grad_(False)
            _replace(layers, name, adapter)


def merge_adapters(layers: nn.Module) -> None:
    """Add all adapters into the weights that they adapt, and remove them: the same function without adapters."""
    for name, adapter in list(layers.named_modules()):
        if isinstance(adapter, LowRank):
            with torch.no_grad():
                adapter.base.weight.copy_(adapter.weight)
            _replace(layers, name, adapter.base)


def _replace(layers: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(layers.get_submodule(parent), last, module)
