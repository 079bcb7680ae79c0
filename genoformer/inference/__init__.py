"""Arrays -> batches -> model -> arrays: posteriors of bases, predictions and embeddings of sequences."""

from genoformer.inference.base_probabilities import likelihoods, posteriors, predict_bases, sliding_posteriors
from genoformer.inference.classes import predictions
from genoformer.inference.embeddings import (
    TokenEmbeddings,
    WindowSize,
    embedding_window,
    sequence_embeddings,
    token_embeddings,
)
from genoformer.inference.runtime import Floats, Runtime, evaluating, n_cores, resolve_device, threads, with_runtime

__all__ = [
    "Floats",
    "Runtime",
    "TokenEmbeddings",
    "WindowSize",
    "evaluating",
    "resolve_device",
    "embedding_window",
    "likelihoods",
    "n_cores",
    "posteriors",
    "predict_bases",
    "predictions",
    "sequence_embeddings",
    "sliding_posteriors",
    "threads",
    "token_embeddings",
    "with_runtime",
]
