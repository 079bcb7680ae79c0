"""Codes -> token ids and the bases of each token: k-mer (DNABERT's vocabulary), single base, BPE."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import CheckpointError, ConfigError
from genoformer.formats.pointers import refuse_pointer
from genoformer.formats.text import refuse_device
from genoformer.genome.codes import Codes, N, decode, encode

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0 to 4, in DNABERT's order
PAD, UNK, CLS, SEP, MASK = range(5)
DIGIT_BASES = "ATCG"  # DNABERT counts its k-mers in this order, the last base fastest
DIGITS = np.array([DIGIT_BASES.index(base) for base in "ACGT"] + [0], dtype=np.uint16)  # code -> digit; N is masked out
_CODE_OF_DIGIT = np.array(["ACGT".index(base) for base in DIGIT_BASES], dtype=np.uint8)


class Encoding(NamedTuple):
    """Result of a tokenizer for codes [B, L]."""

    ids: NDArray[np.int64]  # [B, T]
    spans: NDArray[np.int64]  # [B, T, 2]: the bases [start, end) of a token; empty for special tokens and padding

    @property
    def is_base(self) -> NDArray[np.bool_]:
        """True where a token covers bases, known or not, [B, T]."""
        return np.asarray(self.spans[..., 1] > self.spans[..., 0])


class MaskedWindows(NamedTuple):
    """Windows with masked bases, and the candidate tokens for one of these bases (`KmerTokenizer.mask_bases`)."""

    ids: NDArray[np.int64]  # [B, T]; every token over a masked base is [MASK]
    rows: NDArray[np.int64]  # [B, M]: the tokens that predict the target
    candidates: NDArray[np.int64]  # [B, M, 4]: the token in each row if the target is A, C, G or T
    valid: NDArray[np.bool_]  # [B, M]: False if there is no such token, or it covers an N


class Tokenizer(Protocol):
    """Interface of tokenizers, the only code that knows which ids are padding, mask or unknown bases."""

    name: ClassVar[str]
    options: ClassVar[tuple[str, ...]]  # integer options in a configuration
    pad_id: ClassVar[int]
    mask_id: ClassVar[int]
    special_ids: ClassVar[frozenset[int]]  # tokens that name no bases: padding, unknown, class, separator, mask
    n_added: ClassVar[int]  # special tokens that `encode` adds to a sequence
    fixed_length: ClassVar[bool]  # sequences of one length have one number of tokens
    masks_bases: ClassVar[bool]  # `mask_bases` works: masked tokens give the probability of a single base

    @property
    def n_vocab(self) -> int: ...
    @property
    def vocab(self) -> dict[str, int]: ...
    @property
    def min_bases(self) -> int:
        """Number of bases of the shortest sequence that has a token."""

    @property
    def sliding(self) -> bool:
        """True if a token starts at every base, so that the tokens of a subsequence are tokens of the sequence."""

    def n_tokens(self, length: int) -> int: ...
    def max_bases(self, n_tokens: int) -> int: ...
    def known(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return True for each token that names bases, [B, T]: it is neither special nor unknown."""

    def mask_bases(self, codes: Codes, target: NDArray[np.int64], end: NDArray[np.int64] | None = None) -> MaskedWindows: ...
    def encode(self, codes: Codes) -> Encoding: ...
    def decode(self, ids: NDArray[np.int64], length: int | None = None) -> Codes: ...
    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class KmerTokenizer:
    """Overlapping k-mers with the ids of DNABERT's vocabulary files, `[CLS] k-mers [SEP]`.

    id = 5 + sum of digit_i * 4^(k-1-i) with digits A0 T1 C2 G3 (Ji et al. 2021, `vocab_kmer.txt`). A k-mer with an N
    is [UNK]. With stride > 1 the last token ends at the end of the sequence, so that every base is covered.

    >>> KmerTokenizer(3).encode(encode("AAAT")[None]).ids.tolist()
    [[2, 5, 6, 3]]
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

    def known(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(ids >= len(SPECIAL))

    def starts(self, length: int) -> NDArray[np.int64]:
        """Return the first base of each k-mer of a sequence of `length` bases, ascending."""
        if length < self.k:
            raise ConfigError(f"a sequence of {length} bases has no {self.k}-mer; give at least {self.k} bases.")
        return _starts(length, self.k, self.stride)

    def n_tokens(self, length: int) -> int:
        """Return the number of tokens of `length` bases, with [CLS] and [SEP]."""
        return len(self.starts(length)) + 2

    def max_bases(self, n_tokens: int) -> int:
        """Return the largest number of bases that fit in `n_tokens` tokens, with [CLS] and [SEP]."""
        return (n_tokens - 3) * self.stride + self.k

    def encode(self, codes: Codes) -> Encoding:
        """Encode codes [B, L] as ids [B, T] and spans [B, T, 2], T = n_tokens(L)."""
        codes = np.atleast_2d(codes)
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

    def decode(self, ids: NDArray[np.int64], length: int | None = None) -> Codes:
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

    def to_dict(self) -> dict[str, Any]:
        return {"tokenizer": self.name, "k": self.k, "stride": self.stride}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> KmerTokenizer:
        return cls(k=int(fields["k"]), stride=int(fields.get("stride", 1)))


@dataclass(frozen=True)
class BaseTokenizer(KmerTokenizer):
    """One token per base: the k-mer tokenizer with k = 1.

    >>> BaseTokenizer().encode(encode("ACGTN")[None]).ids.tolist()
    [[2, 5, 7, 8, 6, 1, 3]]
    """

    k: int = 1
    name: ClassVar[str] = "base"
    options: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        return {"tokenizer": self.name}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> BaseTokenizer:
        return cls()


class BPETokenizer:
    """Byte-pair encoding over A, C, G, T with the `tokenizers` library; N is [UNK], one token per base.

    `[CLS] pieces [SEP]`, padded with [PAD] to the longest row of the batch.
    """

    name: ClassVar[str] = "bpe"
    options: ClassVar[tuple[str, ...]] = ("n_vocab",)
    pad_id: ClassVar[int] = PAD
    mask_id: ClassVar[int] = MASK
    special_ids: ClassVar[frozenset[int]] = frozenset(range(len(SPECIAL)))
    n_added: ClassVar[int] = 2
    fixed_length: ClassVar[bool] = False
    masks_bases: ClassVar[bool] = False
    min_bases: ClassVar[int] = 1
    sliding: ClassVar[bool] = False

    def __init__(self, model_json: str) -> None:
        import tokenizers

        try:
            self._model = tokenizers.Tokenizer.from_str(model_json)
        except Exception as error:  # the library raises a bare Exception
            raise CheckpointError(f"the BPE vocabulary cannot be read ({error}); train or copy it again.") from error
        found = tuple(self._model.id_to_token(i) for i in range(len(SPECIAL)))
        if found != SPECIAL:
            raise CheckpointError(f"the BPE vocabulary begins with {found}; it must begin with {SPECIAL}.")

    @classmethod
    def train(cls, windows: Iterable[Codes], n_vocab: int = 4096) -> BPETokenizer:
        """Learn `n_vocab` pieces from windows of codes; runs of N only split the text."""
        import tokenizers
        from tokenizers import decoders, models, trainers

        if n_vocab < len(SPECIAL) + 4:
            raise ConfigError(f"n_vocab = {n_vocab}: 5 special tokens and 4 bases need at least 9.")
        model = tokenizers.Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=False))
        model.decoder = decoders.Fuse()
        trainer = trainers.BpeTrainer(
            vocab_size=n_vocab, special_tokens=list(SPECIAL), initial_alphabet=list("ACGT"), show_progress=False
        )
        pieces = (piece for window in windows for piece in decode(window).split("N") if piece)
        model.train_from_iterator(pieces, trainer)
        return cls(model.to_str())

    @property
    def n_vocab(self) -> int:
        return int(self._model.get_vocab_size())

    @property
    def vocab(self) -> dict[str, int]:
        return dict(self._model.get_vocab())

    def n_tokens(self, length: int) -> int:
        """Return the largest number of tokens that `length` bases can have."""
        return length + 2

    def max_bases(self, n_tokens: int) -> int:
        """Return the number of bases that fit in `n_tokens` tokens for any sequence."""
        return n_tokens - 2

    def known(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(ids >= len(SPECIAL))

    def mask_bases(self, codes: Codes, target: NDArray[np.int64], end: NDArray[np.int64] | None = None) -> MaskedWindows:
        """Refuse: a BPE token stands for several bases, and their number depends on the sequence."""
        raise ConfigError(
            "a BPE token stands for several bases, so a single base cannot be masked; take a k-mer or single-base model."
        )

    def encode(self, codes: Codes) -> Encoding:
        """Encode codes [B, L] as ids [B, T] and spans [B, T, 2], padded to the longest row."""
        rows = self._model.encode_batch([decode(row) for row in np.atleast_2d(codes)])
        width = max(len(row.ids) for row in rows) + 2
        ids = np.full((len(rows), width), PAD, dtype=np.int64)
        offsets = np.zeros((len(rows), width, 2), dtype=np.int64)
        ids[:, 0] = CLS
        for i, row in enumerate(rows):
            n = len(row.ids)
            ids[i, 1 : n + 1], ids[i, n + 1] = row.ids, SEP
            offsets[i, 1 : n + 1] = row.offsets
        return Encoding(ids, offsets)

    def decode(self, ids: NDArray[np.int64], length: int | None = None) -> Codes:
        """Decode ids [B, T] to codes [B, L], padded with N to `length` or the longest row; [UNK] is one N."""
        rows = [self._text(row) for row in np.atleast_2d(ids).tolist()]
        length = length or max(map(len, rows))
        return np.stack([encode(row.ljust(length, "N")) for row in rows])

    def _text(self, row: Sequence[int]) -> str:
        return "".join("N" if i == UNK else self._model.id_to_token(i) for i in row if i == UNK or i >= len(SPECIAL))

    def to_dict(self) -> dict[str, Any]:
        return {"tokenizer": self.name, "model": json.loads(self._model.to_str())}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> BPETokenizer:
        return cls(json.dumps(fields["model"]))


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


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Write tokenizer.json."""
    path.write_text(json.dumps(tokenizer.to_dict(), indent=1) + "\n", encoding="utf-8")


def load_tokenizer(path: Path) -> KmerTokenizer | BPETokenizer:
    """Read tokenizer.json; raise CheckpointError for a name that is not in TOKENIZERS."""
    refuse_device(path)
    refuse_pointer(path, CheckpointError)
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        name = str(fields["tokenizer"])
        if name in TOKENIZERS:
            return TOKENIZERS[name].from_dict(fields)
    except CheckpointError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise CheckpointError(f"{path}: not a tokenizer file ({error}); copy the model folder again.") from error
    raise CheckpointError(f"{path}: tokenizer {name!r} is unknown; known are {', '.join(TOKENIZERS)}.")


TOKENIZERS: dict[str, type[KmerTokenizer] | type[BPETokenizer]] = {
    KmerTokenizer.name: KmerTokenizer,
    BaseTokenizer.name: BaseTokenizer,
    BPETokenizer.name: BPETokenizer,
}
