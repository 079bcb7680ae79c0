"""Bases as uint8 codes, A C G T N = 0 1 2 3 4: text <-> codes, complement, GC, one-hot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError

Codes = NDArray[np.uint8]

BASES = "ACGTN"
A, C, G, T, N = range(5)

_TO_CODE = np.full(256, N, dtype=np.uint8)  # IUPAC ambiguity, gaps and anything else are N, never A
for _code, _base in enumerate("ACGT"):
    _TO_CODE[ord(_base)] = _TO_CODE[ord(_base.lower())] = _code
_TO_CODE[ord("U")] = _TO_CODE[ord("u")] = T
TO_CODE_TABLE = _TO_CODE.tobytes()  # for bytes.translate, the fastest table look-up in Python
_TO_BASE = np.frombuffer(BASES.encode(), dtype=np.uint8)
_DNA = re.compile(r"[ACGTUNRYSWKMBDHV]+", re.IGNORECASE | re.ASCII)
_COMPLEMENT = np.array([T, G, C, A, N], dtype=np.uint8)


def encode(text: str | bytes) -> Codes:
    """Encode a sequence, uint8 [L]; lower case is accepted, and every letter other than A, C, G, T (or U) becomes N.

    >>> encode("acgtNR").tolist()
    [0, 1, 2, 3, 4, 4]
    """
    raw = text.encode("ascii", "replace") if isinstance(text, str) else text
    return np.frombuffer(raw.translate(TO_CODE_TABLE), dtype=np.uint8)


def encode_texts(sequences: Iterable[str]) -> list[Codes]:
    """Encode DNA texts; raise ConfigError for a value that is no text, is empty, or has letters outside the IUPAC codes.

    >>> [codes.tolist() for codes in encode_texts(["AC", "nt"])]
    [[0, 1], [4, 3]]
    """
    if isinstance(sequences, str | bytes | Mapping):
        raise ConfigError(f"sequences is a {type(sequences).__name__}; put the sequences into a list.")
    texts = list(sequences)
    for i, text in enumerate(texts, 1):
        if not isinstance(text, str) or not is_dna(text):
            raise ConfigError(f"sequence {i} is {str(text)[:30]!r}; give DNA as text: A, C, G, T, N and IUPAC codes.")
    return [encode(text) for text in texts]


def is_dna(text: str) -> bool:
    """Return True for a text of A, C, G, T, U, N and other IUPAC letters, upper or lower case.

    >>> is_dna("ACGTN"), is_dna("chr1:1-9"), is_dna("")
    (True, False, False)
    """
    return _DNA.fullmatch(text) is not None


def decode(codes: Codes) -> str:
    """Decode codes [L] to upper-case text.

    >>> decode(encode("acgtn"))
    'ACGTN'
    """
    return _TO_BASE[codes].tobytes().decode("ascii")


def reverse_complement(codes: Codes) -> Codes:
    """Return the codes of the other strand, [..., L] -> [..., L].

    >>> decode(reverse_complement(encode("AACGN")))
    'NCGTT'
    """
    return _COMPLEMENT[codes[..., ::-1]]


def gc_share(codes: Codes) -> NDArray[np.float64]:
    """Return the fraction of G and C among the known bases of each sequence, [..., L] -> [...]; 0 if no base is known.

    >>> gc_share(encode("ACGN")[None]).round(3).tolist()
    [0.667]
    """
    n_gc = ((codes == C) | (codes == G)).sum(axis=-1)
    return np.asarray(n_gc / np.maximum((codes < N).sum(axis=-1), 1))


def one_hot(codes: Codes) -> NDArray[np.float32]:
    """Return codes as one-hot, [..., L] -> float32 [..., 4, L]; N is four zeros.

    >>> one_hot(encode("AN")).tolist()
    [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    return (codes[..., None, :] == np.arange(4, dtype=np.uint8)[:, None]).astype(np.float32)
