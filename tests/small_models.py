"""Models with random weights, small enough for every test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn

from genoformer.models.enformer.config import EnformerConfig
from genoformer.models.enformer.model import Enformer
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.model import Encoder

SHAPE: dict[str, Any] = {"width": 16, "n_layers": 2, "n_heads": 2, "ffn_width": 24, "position": "rotary"}
M = TypeVar("M", bound=nn.Module)
LONG_SHAPE: dict[str, Any] = {
    "width": 24,
    "n_blocks": 2,
    "n_heads": 2,
    "key_width": 6,
    "n_pools": 3,
    "divisible_by": 2,
    "context_length": 256,
    "target_bins": 0,
    "heads": {"human": 5, "mouse": 3},
}

LONG_TABLE = "[model]\nn_blocks = 1\n" + "".join(  # of a configuration file
    f"{name} = {LONG_SHAPE[name]}\n" for name in ("width", "n_heads", "key_width", "n_pools", "divisible_by")
)


def small_encoder(tokenizer: Any, seed: int = 0, **fields: Any) -> Encoder:
    """An encoder in eval mode with its tokenizer; `fields` of its configuration take the place of those in SHAPE."""
    torch.manual_seed(seed)
    model = Encoder(EncoderConfig(**{**SHAPE, "n_vocab": tokenizer.n_vocab, **fields}))
    model.tokenizer = tokenizer
    return model.eval()


def small_enformer(seed: int = 0, **fields: Any) -> Enformer:
    """A track model in eval mode, of bins of 8 bases; nothing in it is 0 or 1 as it is before training."""
    torch.manual_seed(seed)
    model = Enformer(EnformerConfig(**{**LONG_SHAPE, **fields}))
    return shaken(model, lambda: model.embed(random_onehot(2, 64 * model.config.bin_size, seed), 0))


def shaken(model: M, run: Callable[[], object]) -> M:
    """The model in eval mode with its zeros filled and batch norm as after training on what `run` computes, but not exactly.

    With statistics that have nothing to do with the activations all bins would look nearly alike, and a comparison sees little.
    """
    norms = [module for module in model.eval().modules() if isinstance(module, nn.BatchNorm1d)]
    with torch.no_grad():
        for p in model.parameters():
            if not p.any():
                p.normal_(std=p.shape[-1] ** -0.5)
        for module in model.modules():
            if isinstance(module, nn.Conv1d):
                module.weight.normal_(std=module.weight[0].numel() ** -0.5)
                if module.bias is not None:
                    module.bias.normal_(std=0.1)
        for norm in norms:
            norm.train()
            norm.momentum, kept = 1.0, norm.momentum
        run()
        for norm in norms:
            norm.momentum = kept
            norm.eval()
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.weight.normal_(1, 0.2)
            norm.running_mean += 0.3 * norm.running_var.sqrt() * torch.randn_like(norm.running_mean)
            norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.5, 2)
    return model


def random_onehot(n: int, length: int, seed: int = 0, *, unknown: float = 0.05) -> torch.Tensor:
    """One-hot DNA [n, 4, length], a few of whose bases are unknown (all 0)."""
    generator = torch.Generator().manual_seed(seed)
    onehot = torch.nn.functional.one_hot(torch.randint(4, (n, length), generator=generator), 4).float()
    return (onehot * (torch.rand(n, length, 1, generator=generator) >= unknown)).transpose(1, 2).contiguous()


def small_classifier(
    tokenizer: Any,
    task: str = "classification",
    classes: tuple[str, ...] = ("a", "b", "c"),
    *,
    seed: int = 3,
    std: float = 0.3,
    **fields: Any,
) -> SequenceClassifier:
    """A fine-tuned model in eval mode, with its tokenizer, by default of three classes.

    std: of its weights; the larger, the more a base changes. fields: of its configuration.
    """
    encoder = small_encoder(tokenizer, context_length=40)
    torch.manual_seed(seed)
    scale = {"target_mean": (1.5,) * len(classes), "target_std": (2.5,) * len(classes)} if task == "regression" else {}
    model = SequenceClassifier(
        ClassifierConfig(encoder.config, task, classes=classes, **{"window": 40, "overlap": 0, **scale, **fields})
    ).eval()
    model.tokenizer = tokenizer
    for p in model.parameters():
        nn.init.normal_(p, std=std)
    return model
