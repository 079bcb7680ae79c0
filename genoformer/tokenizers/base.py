"""Interface of tokenizers, and what they return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from genoformer.genome.codes import Codes

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0 to 4, in DNABERT's order
PAD, UNK, CLS, SEP, MASK = range(5)
ROLES = {  # role of a special token -> its spellings in published vocabularies, in order of preference
    "pad": ("<pad>", "[PAD]", "<PAD>", "<|endoftext|>"),
    "unknown": ("<unk>", "[UNK]", "<oov>", "<UNK>"),
    "mask": ("<mask>", "[MASK]", "<MASK>"),
    "start": ("<cls>", "[CLS]", "<s>", "<bos>", "[BOS]", "<dna>"),
    "end": ("<eos>", "[SEP]", "</s>", "[EOS]"),
}


class Encoding(NamedTuple):
    """Result of a tokenizer for codes [B, L].

    >>> from genoformer.genome.codes import encode
    >>> from genoformer.tokenizers import KmerTokenizer
    >>> encoding = KmerTokenizer(3).encode(encode("ACGTA")[None])
    >>> encoding.ids.shape, encoding.spans[0].tolist()
    ((1, 5), [[0, 0], [0, 3], [1, 4], [2, 5], [0, 0]])
    """

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
    candidates: NDArray[np.int64]  # [B, M, 4] or [B, M, 4, G]: the tokens in each row if the target is A, C, G or T
    valid: NDArray[np.bool_]  # [B, M]: False if there is no such token, or it covers an N


class Tokenizer(Protocol):
    """Interface of tokenizers, the only code that knows which ids are padding, mask or unknown bases."""

    name: ClassVar[str]
    options: ClassVar[tuple[str, ...]]  # integer options in a configuration

    @property
    def pad_id(self) -> int: ...
    @property
    def mask_id(self) -> int: ...
    @property
    def special_ids(self) -> frozenset[int]:
        """Tokens that name no bases: padding, unknown, class, separator, mask."""

    @property
    def n_added(self) -> int:
        """Number of special tokens that `encode` adds to a sequence."""

    @property
    def fixed_length(self) -> bool:
        """True if sequences of one length have one number of tokens."""

    @property
    def masks_bases(self) -> bool:
        """True if `mask_bases` works: masked tokens give the probability of a single base."""

    @property
    def n_vocab(self) -> int: ...
    @property
    def vocab(self) -> dict[str, int]: ...
    @property
    def min_bases(self) -> int:
        """Number of bases of the shortest sequence that has a token."""

    @property
    def sliding(self) -> bool:
        """True if a token starts at every base, so that the tokens of a subsequence are tokens of the sequence.

        Such a tokenizer has `successors` (`KmerTokenizer`), which a causal model needs.
        """

    @property
    def disjoint(self) -> bool:
        """True if every base is in one token only."""

    @property
    def n_phases(self) -> int:
        """Number of starts of a window, base by base, after which tokens have the same bounds; 0: there is no such number."""

    def n_tokens(self, length: int) -> int:
        """Return the largest number of tokens of `length` bases, for arrays and positions, which must hold any sequence."""

    def n_typical_tokens(self, length: int) -> int:
        """Return the number of tokens of `length` known bases, for the size of batches and estimates of time."""

    def max_bases(self, n_tokens: int) -> int:
        """Return the number of bases that fit in `n_tokens` tokens; of blocks and BPE, of known bases and of any bases."""

    def n_typical_bases(self, n_tokens: int) -> int:
        """Return the largest number of bases with at most `n_tokens` typical tokens."""

    def names_bases(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return True for each token that names bases, [B, T]: it is neither special nor unknown."""

    def mask_bases(self, codes: Codes, target: NDArray[np.int64], end: NDArray[np.int64] | None = None) -> MaskedWindows: ...
    def encode(self, codes: Codes) -> Encoding: ...
    def codes_from_ids(self, ids: NDArray[np.int64], length: int | None = None) -> Codes: ...
    def text(self, ids: Sequence[int]) -> str:
        """Return the bases of tokens, without special tokens; unknown bases are N."""

    def decode(self, ids: Any) -> Any: ...
    def __len__(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def pad_token_id(self) -> int: ...
    @property
    def mask_token_id(self) -> int: ...
    def get_vocab(self) -> dict[str, int]: ...
    def tokenize(self, text: str) -> list[str]: ...
    def __call__(
        self, text: str | Sequence[str], *, padding: bool = False, return_tensors: Literal["np", "pt"] | None = None
    ) -> dict[str, Any]: ...
    def fast_tokenizer(self) -> Any | None:
        """Return a tokenizer of the `tokenizers` library with the same ids and spans for any DNA; None if there is none."""

    def huggingface_files(self) -> dict[str, str]:
        """Return the texts of the files from which transformers reads the tokenizer, by name."""

    def limited_to(self, longest: int) -> Tokenizer:
        """Return the tokenizer for a model that can read this number of tokens, 0 for no limit.

        The number of bases that fit in them (`max_bases`) then has no more tokens, whatever the bases are.
        """

    def padded_to(self, n_vocab: int) -> Tokenizer:
        """Return the tokenizer with further ids up to n_vocab, which no sequence has; ConfigError if it can have none."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields of tokenizer.json: "tokenizer", the name of the class, and what `from_dict` needs."""

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the tokenizer of a tokenizer.json, or of the `options` of a configuration."""
