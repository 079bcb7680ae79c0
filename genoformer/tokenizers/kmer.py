"""Overlapping k-mers with DNABERT's vocabulary, and single bases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N, decode
from genoformer.tokenizers.base import CLS, MASK, PAD, SEP, SPECIAL, UNK, Encoding, MaskedWindows
from genoformer.tokenizers.huggingface import TOKENIZER, TOKENIZER_CONFIG, VOCAB, fast_config, tokenizer_of_bases
from genoformer.tokenizers.text import ReadsText, as_windows

DIGIT_BASES = "ATCG"  # DNABERT counts its k-mers in this order, the last base fastest
DIGITS = np.array([DIGIT_BASES.index(base) for base in "ACGT"] + [0], dtype=np.uint16)  # code -> digit; N is masked out
_CODE_OF_DIGIT = np.array(["ACGT".index(base) for base in DIGIT_BASES], dtype=np.uint8)


@dataclass(frozen=True)
class KmerTokenizer(ReadsText):
    """Overlapping k-mers with the ids of DNABERT's vocabulary files, `[CLS] k-mers [SEP]`.

    id = 5 + sum of digit_i * 4^(k-1-i) with digits A0 T1 C2 G3 (Ji et al. 2021, `vocab_kmer.txt`). A k-mer with an N
    is [UNK]. With stride > 1 the last token ends at the end of the sequence, so that every base is covered.

    >>> KmerTokenizer(3)("AAAT")["input_ids"]
    [2, 5, 6, 3]
    """

    k: int = 6
    stride: int = 1

    name: ClassVar[str] = "kmer"
    options: ClassVar[tuple[str, ...]] = ("k", "stride")
    pad_id: ClassVar[int] = PAD
    unknown_id: ClassVar[int] = UNK
    mask_id: ClassVar[int] = MASK
    special_ids: ClassVar[frozenset[int]] = frozenset(range(len(SPECIAL)))
    first_kmer: ClassVar[int] = len(SPECIAL)  # id of the k-mer of A's; the ids of other k-mers follow
    n_added: ClassVar[int] = 2
    fixed_length: ClassVar[bool] = True
    masks_bases: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 1 <= self.k <= 8:
            raise ConfigError(f"k = {self.k}: k-mers of 1 to 8 bases have a vocabulary; choose one of them.")
        if not 1 <= self.stride <= self.k:
            raise ConfigError(f"stride = {self.stride}: strides 1 to k = {self.k} leave no base uncovered; choose one.")

    @property
    def n_vocab(self) -> int:
        return len(SPECIAL) + 4**self.k

    @cached_property
    def vocab(self) -> dict[str, int]:
        """Map token text to id, in the order of DNABERT's vocabulary file."""
        digits = np.arange(4**self.k)[:, None] // 4 ** np.arange(self.k - 1, -1, -1) % 4
        kmers = (decode(row) for row in _CODE_OF_DIGIT[digits])
        return {token: i for i, token in enumerate((*SPECIAL, *kmers))}

    @property
    def min_bases(self) -> int:
        return self.k

    @property
    def sliding(self) -> bool:
        return self.stride == 1

    @property
    def disjoint(self) -> bool:
        return self.k == 1

    @property
    def n_phases(self) -> int:
        return self.stride

    def names_bases(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(ids >= len(SPECIAL))

    def successors(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the four k-mers that can follow each token at stride 1, in the order of the vocabulary: ids [...] -> [..., 4].

        After a special token any k-mer can follow; there the four values are meaningless.

        >>> tokenizer = KmerTokenizer(2)
        >>> tokenizer.text(tokenizer.successors(np.array([tokenizer.vocab["AC"]]))[0][:2])
        'CAT'
        """
        stem = np.maximum(ids - self.first_kmer, 0) % 4 ** (self.k - 1) * 4
        return np.asarray(stem[..., None] + np.arange(4) + self.first_kmer)

    def starts(self, length: int) -> NDArray[np.int64]:
        """Return the first base of each k-mer of a sequence of `length` bases, ascending."""
        if length < self.k:
            raise ConfigError(f"a sequence of {length} bases has no {self.k}-mer; give at least {self.k} bases.")
        return _starts(length, self.k, self.stride)

    def n_tokens(self, length: int) -> int:
        """Return the number of tokens of `length` bases, with [CLS] and [SEP]."""
        return len(self.starts(length)) + 2

    def n_typical_tokens(self, length: int) -> int:
        """Return the number of tokens of `length` bases, which does not depend on the bases."""
        return self.n_tokens(length)

    def max_bases(self, n_tokens: int) -> int:
        """Return the largest number of bases that fit in `n_tokens` tokens, with [CLS] and [SEP]."""
        return (n_tokens - 3) * self.stride + self.k

    def n_typical_bases(self, n_tokens: int) -> int:
        """Return the largest number of known bases that fit in `n_tokens` tokens."""
        return self.max_bases(n_tokens)

    def encode(self, codes: Codes) -> Encoding:
        """Encode codes [B, L] as ids [B, T] and spans [B, T, 2], T = n_tokens(L)."""
        codes = as_windows(codes)
        n_windows, length = codes.shape
        starts = self.starts(length)
        ids = np.empty((n_windows, len(starts) + 2), dtype=np.int64)
        ids[:, 0], ids[:, -1] = CLS, SEP
        body = ids[:, 1:-1]
        kmers = kmer_numbers(codes, self.k)
        has_n = codes.max(initial=0) >= N
        if self.stride == 1:
            np.add(kmers, len(SPECIAL), out=body, dtype=np.int64)
        else:
            np.add(kmers[:, starts], len(SPECIAL), out=body, dtype=np.int64)
        if has_n:
            n_before = np.zeros((n_windows, length + 1), dtype=np.int32)
            np.cumsum(codes >= N, axis=1, out=n_before[:, 1:])
            body[n_before[:, starts + self.k] > n_before[:, starts]] = UNK
        offsets = np.zeros((len(starts) + 2, 2), dtype=np.int64)
        offsets[1:-1, 0], offsets[1:-1, 1] = starts, starts + self.k
        return Encoding(ids, np.broadcast_to(offsets, (n_windows, *offsets.shape)))

    def codes_from_ids(self, ids: NDArray[np.int64], length: int | None = None) -> Codes:
        """Decode ids [B, T] to codes [B, L]; a base that no known k-mer covers is N.

        `length` is needed only if stride > 1 and the last token is not a full stride after the one before.
        """
        ids = np.atleast_2d(ids)
        length = length or self.max_bases(ids.shape[1])
        starts = self.starts(length)
        if len(starts) + 2 != ids.shape[1]:
            raise ConfigError(f"{ids.shape[1]} tokens are not those of {length} bases, which have {len(starts) + 2}.")
        codes = np.full((len(ids), length), N, dtype=np.uint8)
        numbers = ids[:, 1:-1] - len(SPECIAL)
        known = numbers >= 0
        for i in range(self.k):
            base = _CODE_OF_DIGIT[np.maximum(numbers, 0) // 4 ** (self.k - 1 - i) % 4]
            codes[:, starts + i] = np.where(known, base, codes[:, starts + i])
        return codes

    def text(self, ids: Sequence[int]) -> str:
        """Return the bases of tokens; with stride > 1 the last token is taken for a full stride after the one before."""
        body = [i for i in ids if i not in (PAD, CLS, SEP)]
        return decode(self.codes_from_ids(np.array([[CLS, *body, SEP]]))[0]) if body else ""

    def mask_bases(self, codes: Codes, target: NDArray[np.int64], end: NDArray[np.int64] | None = None) -> MaskedWindows:
        """Mask the bases [target, end) of each window, to predict the base at `target`; both [B], `end` defaults to target + 1.

        Every token over a masked base is [MASK]. A token that covers no other masked base than the target can be only four
        k-mers,
        because all its other bases are known: these tokens are the rows, and the four k-mers the candidates.
        """
        target = np.asarray(target, dtype=np.int64)
        end = target + 1 if end is None else np.asarray(end, dtype=np.int64)
        ids = self.encode(codes).ids
        starts = self.starts(codes.shape[1])
        first = np.searchsorted(starts, target - self.k + 1)
        after = np.searchsorted(starts, end - 1, side="right")
        token = np.arange(len(starts))
        ids[:, 1:-1][(token >= first[:, None]) & (token < after[:, None])] = MASK

        n_rows = -(-self.k // self.stride) + (self.stride > 1)  # most tokens that can cover one base
        rows = first[:, None] + np.arange(n_rows)  # [B, M]
        valid = rows < len(starts)
        rows = np.minimum(rows, len(starts) - 1)
        place = target[:, None] - starts[rows]  # position of the target in the token
        valid &= (place >= 0) & (place < self.k)
        valid &= (end[:, None] == target[:, None] + 1) | (place == self.k - 1)
        bases = np.take_along_axis(codes[:, None], starts[rows][..., None] + np.arange(self.k), axis=2)  # [B, M, k]
        is_target = np.arange(self.k) == place[..., None]
        valid &= ~((bases >= N) & ~is_target).any(axis=-1)
        weights = 4 ** np.arange(self.k - 1, -1, -1)
        others = (np.where(is_target, 0, DIGITS[bases]) * weights).sum(axis=-1)  # [B, M]
        step = 4 ** np.clip(self.k - 1 - place, 0, self.k - 1)
        candidates = len(SPECIAL) + others[..., None] + step[..., None] * DIGITS[:4].astype(np.int64)
        return MaskedWindows(ids, rows + 1, np.where(valid[..., None], candidates, UNK), valid)

    def limited_to(self, longest: int) -> KmerTokenizer:
        """Return the tokenizer itself, whose number of tokens does not depend on the bases."""
        return self

    def padded_to(self, n_vocab: int) -> KmerTokenizer:
        """Return the tokenizer itself; raise ConfigError for another number of ids, which DNABERT's vocabulary fixes."""
        if n_vocab != self.n_vocab:
            raise ConfigError(f"{self.k}-mers have {self.n_vocab} tokens in DNABERT's vocabulary, expected {n_vocab}.")
        return self

    def fast_tokenizer(self) -> Any | None:
        """Return the same tokenizer in the `tokenizers` library for single bases; None for k-mers, which overlap."""
        if self.k > 1:
            return None
        return tokenizer_of_bases(self.vocab, SPECIAL[UNK], SPECIAL[CLS : CLS + 1], SPECIAL[SEP : SEP + 1])

    def huggingface_files(self) -> dict[str, str]:
        """Return the texts of the files from which transformers reads the tokenizer, by name.

        For k > 1 it is BertTokenizer, which reads k-mers with spaces between them, as DNABERT's own tokenizer does.
        """
        if self.stride != 1:
            raise ConfigError("Hugging Face's layouts hold k-mers of stride 1 only; save in genoformer's layout instead.")
        vocab = "\n".join(self.vocab) + "\n"
        if self.k == 1:
            bases: Any = self.fast_tokenizer()
            return {VOCAB: vocab, TOKENIZER: bases.to_str() + "\n", TOKENIZER_CONFIG: fast_config(self.vocab)}
        config = {"tokenizer_class": "BertTokenizer", "do_lower_case": False, "tokenize_chinese_chars": False}
        return {VOCAB: vocab, TOKENIZER_CONFIG: json.dumps(config, indent=1) + "\n"}

    def to_dict(self) -> dict[str, Any]:
        return {"tokenizer": self.name, "k": self.k, "stride": self.stride}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> KmerTokenizer:
        return cls(k=int(fields["k"]), stride=int(fields.get("stride", 1)))


@dataclass(frozen=True)
class BaseTokenizer(KmerTokenizer):
    """One token per base: the k-mer tokenizer with k = 1.

    >>> BaseTokenizer()("ACGTN")["input_ids"]
    [2, 5, 7, 8, 6, 1, 3]
    """

    k: int = 1
    name: ClassVar[str] = "base"
    options: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        return {"tokenizer": self.name}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> BaseTokenizer:
        return cls()


def kmer_numbers(codes: Codes, k: int) -> NDArray[np.uint16]:
    """Return the number of each k-mer, [..., L] -> uint16 [..., L-k+1], digits as in DNABERT; meaningless for k-mers with an N.

    It is computed by doubling: two neighbours make a 2-mer, two 2-mers a 4-mer, so 6-mers take three passes over the codes.
    """
    power, width = DIGITS[codes], 1
    number, done = None, 0  # the number of the first `done` bases of each k-mer
    while done < k:
        if k & width:  # this power of two is part of k
            if number is None:
                number = power
            else:
                number = (number[..., : power.shape[-1] - done] << np.uint16(2 * width)) + power[..., done:]
            done += width
        if done < k:
            power = (power[..., :-width] << np.uint16(2 * width)) + power[..., width:]
            width *= 2
    assert number is not None
    return number


@lru_cache(maxsize=64)
def _starts(length: int, k: int, stride: int) -> NDArray[np.int64]:
    starts = np.arange(0, length - k + 1, stride)
    if starts[-1] != length - k:
        starts = np.append(starts, length - k)
    starts.flags.writeable = False
    return starts


TOKENIZERS = (KmerTokenizer, BaseTokenizer)
