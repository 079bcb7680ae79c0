"""EmbeddingRequest -> the embedder of its model -> vectors of sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genoformer.datasets.sequence_rows import LabelledSequences
from genoformer.inference.bin_embedder import BinEmbedder
from genoformer.inference.embedder import Embedder, EmbeddingRequest, Embeddings, TokenEmbedder
from genoformer.models import registry
from genoformer.models.base import EMBEDS, PredictsTracks, has, require
from genoformer.progress import ProgressCallback


def embed_sequences(
    data: LabelledSequences, request: EmbeddingRequest, *, progress: ProgressCallback = None, keep: bool = True
) -> Embeddings:
    """Embed sequences of any length; write and draw the vectors as the request says.

    progress: called after windows; after parts of sequences if each token has a vector, or if there are several parts.
    keep: return all vectors [N, n_layers, D]; without it, memory holds one part of them, unless they are drawn. Vectors of
    tokens are written as they are computed.

    Raises ConfigError, before anything is computed, for options that the model or the data do not support.

    >>> import tempfile
    >>> import numpy as np
    >>> from genoformer.datasets.sequences import read_sequences
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fasta, output = Path(folder, "a.fa"), Path(folder, "a.npy")
    ...     _ = fasta.write_text(">one\\nGATTACA\\n>two\\nACGT\\n")
    ...     done = embed_sequences(read_sequences(fasta), EmbeddingRequest("demo", output=output))
    ...     np.load(output).shape, done.notes[0][:60]
    ((2, 160), 'a.fa: 2 sequences, width 160, mean over tokens after layer 4')
    """
    embedder = make_embedder(request)
    embedder.check(data)
    return embedder.embed(data, progress, keep=keep)


def make_embedder(request: EmbeddingRequest) -> Embedder:
    """Load the model of a request, and return what computes its vectors: tokens of a language model, bins of a track model."""
    model = request.model
    loaded: Any = registry.load(model, EMBEDS) if isinstance(model, str | Path) else model
    require(loaded, EMBEDS)
    return BinEmbedder(request, loaded) if has(loaded, PredictsTracks) else TokenEmbedder(request, loaded)
