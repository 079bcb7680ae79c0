"""Sequences -> parts -> vectors of the sequences or of their tokens, in this process or in workers; parts are kept."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from genoformer.files import atomic_write
from genoformer.genome.codes import Codes
from genoformer.inference.embeddings import GROUP_BASES, TokenEmbeddings
from genoformer.inference.runtime import Floats, threads
from genoformer.progress import ProgressCallback
from genoformer.resume_folder import ResumeFolder

if TYPE_CHECKING:
    from genoformer.inference.embedder import Embedder

PART_SEQUENCES = 4_096
PART_BASES = 1 << 22  # minutes on a CPU for a model of DNABERT's size

TokenPart = list[tuple[TokenEmbeddings, ...]]  # of each sequence, for each layer


def sequence_parts(
    sequences: Sequence[Codes], *, n: int | None, tokens: bool = False, at_least: int = 0
) -> Iterator[Sequence[Codes]]:
    """Yield the sequences of each part.

    n: their number; None: at most `PART_SEQUENCES`, of at most `PART_BASES` bases, where a sequence counts as `at_least` bases.
    tokens: parts of as many bases as `token_embeddings` has in memory at once, so that the batches do not depend on the parts.

    >>> [len(part) for part in sequence_parts([np.zeros(3, np.uint8)] * 5, n=2)]
    [2, 2, 1]
    """
    most = n or (len(sequences) if tokens else PART_SEQUENCES)
    limit = len(sequences) * 10**12 if n else GROUP_BASES if tokens else PART_BASES
    first = 0
    while first < len(sequences):
        after, n_bases = first, 0
        while after < len(sequences) and after - first < most:
            n_bases += max(at_least, len(sequences[after]))
            if n_bases > limit and after > first:
                break
            after += 1
        yield sequences[first:after]
        first = after


@dataclass(frozen=True)
class VectorTask:
    """Vectors of the sequences of a part, [n, n_layers, D]."""

    embedder: Embedder
    threads: int  # of a process
    progress: ProgressCallback = None  # of this process

    @property
    def device(self) -> str:
        return self.embedder.request.runtime.device

    @contextmanager
    def open(self) -> Iterator[Callable[[Sequence[Codes]], Floats]]:
        """Yield the function from sequences to their vectors."""
        with threads(self.threads):
            yield lambda sequences: self.embedder.vectors(sequences, self.progress)


@dataclass(frozen=True)
class TokenTask:
    """Vectors of the tokens of the sequences of a part."""

    embedder: Embedder
    threads: int  # of a process

    @property
    def device(self) -> str:
        return self.embedder.request.runtime.device

    @contextmanager
    def open(self) -> Iterator[Callable[[Sequence[Codes]], TokenPart]]:
        """Yield the function from sequences to the vectors of their tokens."""
        with threads(self.threads):
            yield lambda sequences: list(self.embedder.tokens(sequences))


class TokenFolder(ResumeFolder):
    """Resume folder with the vectors of tokens."""

    ending = ".npz"

    def get(self, i: int) -> TokenPart | None:
        """Return the vectors of a part; None if they are missing or damaged."""
        try:
            with self._name(i).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                n_tokens, n_layers = arrays["n_tokens"], len(arrays["n_tokens"])
                layers = []
                for layer in range(n_layers):
                    ends = np.cumsum(n_tokens[layer])[:-1]
                    values, spans = (np.split(arrays[f"{name}_{layer}"], ends) for name in ("values", "spans"))
                    layers.append([TokenEmbeddings(*pair) for pair in zip(values, spans, strict=True)])
                return list(zip(*layers, strict=True))
        except (FileNotFoundError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
            return None

    def put(self, i: int, part: TokenPart) -> None:
        """Store the vectors of a part."""
        layers = list(zip(*part, strict=True))
        arrays = {"n_tokens": np.array([[len(one.spans) for one in layer] for layer in layers], dtype=np.int64)}
        for number, layer in enumerate(layers):
            arrays[f"values_{number}"] = np.concatenate([one.values for one in layer])
            arrays[f"spans_{number}"] = np.concatenate([one.spans for one in layer])
        with atomic_write(self._name(i), durable=True) as path, path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
