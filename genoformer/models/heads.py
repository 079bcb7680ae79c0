"""Heads on an encoder: pooling, and a head for classes, labels or values."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.config import checked, current
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.models.base import Model, Origin
from genoformer.models.families import model_class
from genoformer.models.token_model import check_tokenizer
from genoformer.tasks import Task, make_task

Pooling = Literal["mean-max", "mean", "max", "cls", "last", "mean-all"]
HeadKind = Literal["norm-gelu", "tanh", "gelu-norm", "linear", "plain"]
POOLING: dict[str, Pooling] = {
    "norm-gelu": "mean-max",
    "tanh": "cls",
    "gelu-norm": "cls",
    "linear": "last",
    "plain": "mean-max",
}


@dataclass(frozen=True)
class ClassifierConfig:
    """An encoder with a head: its outputs, and the windows into which long sequences are cut."""

    encoder: Any  # the configuration of the encoder, of any family that reads tokens
    task: str  # a kind of `genoformer.tasks.TASKS`
    classes: tuple[str, ...]  # names of the outputs: classes, labels or values
    window: int  # bases in one input of the encoder; longer sequences are cut into windows and their logits averaged
    overlap: int = 0  # bases that neighbouring windows share
    pooling: Pooling = "mean-max"  # a motif anywhere shows in the maximum, the composition in the mean
    both_strands: bool = False  # average the logits of both strands; wrong for directional elements such as promoters
    dropout: float = 0.1  # DNABERT
    target_mean: tuple[float, ...] = ()  # of each value in the training data; predicted is (value - mean) / standard deviation
    target_std: tuple[float, ...] = ()
    family: str = "transformer"  # of the encoder; one of `families.families()`
    head: HeadKind = "norm-gelu"  # norm, dense, GELU, linear; "tanh": BERT's pooler and ESM's, "gelu-norm": ModernBERT's;
    # "plain": dropout and a linear layer, for encoders with a norm at their end
    head_bias: bool = True  # of the dense layer of "gelu-norm" and of the output of "linear"

    def __post_init__(self) -> None:
        for name, value, allowed in (("pooling", self.pooling, get_args(Pooling)), ("head", self.head, get_args(HeadKind))):
            if value not in allowed:
                raise ConfigError(f"{name} = {value!r}: allowed are {', '.join(allowed)}.")
        n_expected = len(self.classes) if make_task(self.task, self.classes).has_scale else 0
        if len(self.target_mean) != n_expected or len(self.target_std) != n_expected:
            raise ConfigError(
                f"{len(self.target_mean)} in target_mean and {len(self.target_std)} in target_std for {len(self.classes)} "
                f"outputs of {self.task}: give {n_expected} of each."
            )
        if self.pooling == "cls" and model_class(self.family).is_causal(self.encoder):
            raise ConfigError("[CLS] of a causal model comes before all bases and knows none of them; take pooling mean-max.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout = {self.dropout}: give a number from 0 up to, not including, 1.")
        if not 0 <= self.overlap < self.window:
            raise ConfigError(f"overlap = {self.overlap}: give 0 up to, not including, the window of {self.window} bases.")

    @property
    def context_length(self) -> int:
        """Number of bases that the model reads at once: its window."""
        return self.window

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
        encoder = model_class(fields.get("family", cls.family)).config_type.from_dict(values["encoder"])
        return cls(**{**fields, **numbers, "encoder": encoder})


class SequenceClassifier(Model):
    """Token ids [B, T] of windows -> logits [B, C] (or values in units of their standard deviation)."""

    config_type = ClassifierConfig
    may_be_tied = True  # those of the encoder
    purpose = "is a fine-tuned model, which predicts classes, labels or values"
    window_is_assumed = False  # True: its folder does not name the window of its training, and the longest input is taken

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = model_class(config.family)(config.encoder)
        width = config.encoder.width
        n_features = width * (2 if config.pooling == "mean-max" else 1)
        self.dropout = nn.Dropout(config.dropout)
        if config.head == "norm-gelu":
            self.norm = nn.LayerNorm(n_features)
        if config.head not in ("linear", "plain"):
            self.hidden = nn.Linear(n_features, width, bias=config.head_bias or config.head != "gelu-norm")
        if config.head == "gelu-norm":
            norm = config.encoder
            self.norm = nn.LayerNorm(width, norm.norm_eps, bias=norm.norm_bias)
        n_last = n_features if config.head in ("linear", "plain") else width
        self.out = nn.Linear(n_last, len(config.classes), bias=config.head_bias or config.head != "linear")
        nn.init.normal_(self.out.weight, std=0.02)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    @property
    def tied(self) -> Mapping[str, str]:
        return {f"encoder.{a}": f"encoder.{b}" for a, b in self.encoder.tied.items()}

    @property
    def fused_rows(self) -> Mapping[str, tuple[int, ...]]:
        rows: Mapping[str, tuple[int, ...]] = self.encoder.fused_rows
        return rows

    @property
    def task(self) -> Task:
        """The outputs by name, and how logits become probabilities or values."""
        c = self.config
        return make_task(c.task, c.classes, c.target_mean, c.target_std)

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

    def n_units(self, length: int) -> int:
        """Return the largest number of tokens of a sequence of `length` bases."""
        return int(self.tokenizer.n_tokens(length))

    def with_plain_outputs(self) -> SequenceClassifier:
        """Return the model with mean and standard deviation of its values in the output layer, if that has a bias for them."""
        config = self.config
        if not config.target_mean or (self.out.bias is None and any(config.target_mean)):
            return self
        mean, std = (torch.tensor(x, dtype=torch.float64) for x in (config.target_mean, config.target_std))
        plain = copy.copy(self)
        plain.config = replace(config, target_mean=(0.0,) * len(mean), target_std=(1.0,) * len(std))
        plain._modules = {**self._modules, "out": copy.deepcopy(self.out)}
        with torch.no_grad():
            plain.out.weight.copy_(self.out.weight.double().cpu() * std[:, None])
            if self.out.bias is not None:
                plain.out.bias.copy_(self.out.bias.double().cpu() * std + mean)
        return plain

    def window_note(self, name: str) -> str | None:
        """Return a note on a window that the folder of the model does not name; None if it names one."""
        if not self.window_is_assumed:
            return None
        return (
            f"{name} does not name the window of its fine-tuning, so windows of {self.config.window:,} bases are read, the "
            "longest that fit; give the length of its training sequences as the context, or write it into its config.json: "
            '"genoformer_settings": {"window": BASES}.'
        )

    def describe(self) -> str:
        return f"was fine-tuned to predict {', '.join(self.config.classes)}"

    def forward(self, ids: Tensor, is_base: Tensor, keep: Tensor | None = None) -> Tensor:
        """Map ids, is_base (as in `Encoding`) and keep (False = padding), all [B, T], to logits [B, C]."""
        return self.head(self.encoder.embed(ids, keep), is_base, keep)

    def logits(self, codes: Codes) -> Tensor:
        """Map codes [B, L] to logits [B, C] with the model's tokenizer, on the model's device."""
        encoding = self.tokenizer.encode(codes)
        device = self.out.weight.device
        ids, is_base = (torch.from_numpy(x).to(device) for x in (encoding.ids, encoding.is_base))
        keep = self.encoder.keep(ids)
        if self.config.pooling == "cls":  # the last layer computes only the first token
            first = torch.zeros(len(ids), 1, dtype=torch.long, device=device)
            return self.head(self.encoder.embed(ids, keep, first), is_base[:, :1])
        logits: Tensor = self(ids, is_base, keep)
        return logits

    def head(self, x: Tensor, is_base: Tensor, keep: Tensor | None = None) -> Tensor:
        """Map the encoder's output [B, T, D] to logits [B, C]; is_base [B, T] is True at tokens of bases, keep at all."""
        x = pool(x, is_base, self.config.pooling, keep)  # [B, D or 2 D]
        if self.config.head == "linear":  # Llama's: no hidden layer
            return self.out(x)
        if self.config.head == "plain":
            return self.out(self.dropout(x))
        if self.config.head == "tanh":  # BERT's pooler: dense, tanh
            return self.out(self.dropout(torch.tanh(self.hidden(x))))
        if self.config.head == "gelu-norm":  # ModernBERT's
            return self.out(self.dropout(self.norm(F.gelu(self.hidden(x)))))
        return self.out(self.dropout(F.gelu(self.hidden(self.dropout(self.norm(x))))))


def pool(x: Tensor, is_base: Tensor, pooling: Pooling, keep: Tensor | None = None) -> Tensor:
    """Pool hidden states [B, T, D] to [B, D], or to [B, 2 D] for "mean-max", which concatenates mean and maximum.

    Mean and maximum are over the tokens of bases (is_base [B, T]), without special tokens; "cls" is the first state, "last"
    the last one, "mean-all" the mean over all tokens, special ones included (keep [B, T] is False at padding).
    """
    if pooling == "cls":
        return x[:, 0]
    if pooling == "last":
        if keep is None:
            return x[:, -1]
        at = torch.arange(x.shape[1], device=x.device)
        return x[torch.arange(len(x), device=x.device), torch.where(keep, at, 0).amax(1)]
    if pooling == "mean-all" and keep is None:
        return x.mean(1)
    body = (keep if pooling == "mean-all" and keep is not None else is_base)[..., None]  # [B, T, 1]
    mean = (x * body).sum(1) / body.sum(1).clamp(min=1)
    if pooling in ("mean", "mean-all"):
        return mean
    largest = x.masked_fill(~body, -torch.inf).amax(1)
    return largest if pooling == "max" else torch.cat([mean, largest], dim=-1)
