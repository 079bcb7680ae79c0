"""Decisions on the kind of a model, in one place until models have capabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import Codes
from genoformer.inference.runtime import to_device
from genoformer.inference.tracks import TrackPredictor
from genoformer.models.enformer.model import Enformer
from genoformer.models.heads import SequenceClassifier
from genoformer.models.layers import AttentionWeights
from genoformer.models.transformer.model import Encoder


def predicts_tracks(model: Any) -> bool:
    return isinstance(model, Enformer)


def classifies(model: Any) -> bool:
    return isinstance(model, SequenceClassifier)


def predicts_bases(model: Any) -> bool:
    return isinstance(model, Encoder)


def reads_tokens(model: Any) -> bool:
    return isinstance(model, Encoder | SequenceClassifier)


def n_layers(model: Any) -> int:
    core = model.encoder if classifies(model) else model
    return int(core.config.n_blocks if predicts_tracks(core) else core.config.n_layers)


def n_heads(model: Any) -> int:
    return int((model.encoder if classifies(model) else model).config.n_heads)


def fixed_length(model: Any) -> bool:
    return predicts_tracks(model) or model.tokenizer.fixed_length


def n_units(model: Any, length: int) -> int:
    return int(model.bins_of(length, 0).n if predicts_tracks(model) else model.tokenizer.n_tokens(length))


def default_query(model: Any, n: int) -> int:
    return n // 2 if predicts_tracks(model) else 0


def spans(model: Any, codes: Codes) -> NDArray[np.int64]:
    if not predicts_tracks(model):
        return np.asarray(model.tokenizer.encode(codes).spans)
    edges = np.arange(n_units(model, codes.shape[1]) + 1) * model.config.bin_size
    return np.broadcast_to(np.stack([edges[:-1], edges[1:]], axis=1), (len(codes), len(edges) - 1, 2))


def attention(model: Any, codes: Codes) -> Iterator[AttentionWeights]:
    if predicts_tracks(model):
        return model.attentions(TrackPredictor(model, next(iter(model.config.heads)), 0).trunk_output(codes))
    core = model.encoder if classifies(model) else model
    return core.attentions(to_device(core, model.tokenizer.encode(codes).ids))


def trained_length(model: Any) -> int | None:
    return (model.encoder if classifies(model) else model).config.context_length if reads_tokens(model) else None
