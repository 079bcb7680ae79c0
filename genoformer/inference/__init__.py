"""Arrays -> batches -> model -> arrays: posteriors of bases, predictions and embeddings of sequences."""

from genoformer.inference.bases import embeddings, likelihoods, posteriors, posteriors_along
from genoformer.inference.batching import PRECISIONS, Floats, borrowed, device_named, n_cores, threads
from genoformer.inference.predict import Predictions, predictions
from genoformer.inference.vectors import (
    SequenceEmbeddings,
    TokenEmbeddings,
    embedding_window,
    sequence_embeddings,
    token_embeddings,
)

__all__ = [
    "PRECISIONS", "Floats", "Predictions", "SequenceEmbeddings", "TokenEmbeddings", "borrowed", "device_named",
    "embedding_window", "embeddings", "likelihoods", "n_cores", "posteriors", "posteriors_along", "predictions",
    "sequence_embeddings", "threads", "token_embeddings",
]  # fmt: skip
