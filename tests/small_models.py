"""Encoders with random weights, small enough for every test."""

from __future__ import annotations

from typing import Any

import torch

from genoformer.models.encoder import Encoder, EncoderConfig

SHAPE: dict[str, Any] = {"width": 16, "n_layers": 2, "n_heads": 2, "hidden": 24, "position": "rotary"}


def small_encoder(tokenizer: Any, seed: int = 0, **fields: Any) -> Encoder:
    """An encoder in eval mode with its tokenizer; `fields` of its configuration take the place of those in SHAPE."""
    torch.manual_seed(seed)
    model = Encoder(EncoderConfig(**{**SHAPE, "n_vocab": tokenizer.n_vocab, **fields}))
    model.tokenizer = tokenizer
    return model.eval()
