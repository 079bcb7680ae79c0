"""Blocks of bases that do not overlap, with the vocabulary of a published model, such as Nucleotide Transformer's 6-mers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import Codes, N, encode
from genoformer.tokenizers.base import ROLES, Encoding, MaskedWindows
from genoformer.tokenizers.block_spans import spans_from_starts, spans_near_the_middle, starts_around_n, starts_of_known
from genoformer.tokenizers.huggingface import TOKENIZER, TOKENIZER_CONFIG, VOCAB, fast_config, tokenizer_of_bases
from genoformer.tokenizers.text import ReadsText, as_windows


class BlockTokenizer(ReadsText):
    """Blocks of k bases from the left, single letters where no block fits: at the end, and before each N.

    After an N, which is a token of its own, blocks start again. This is the tokenizer of the Nucleotide Transformer
    (Dalla-Torre et al. 2025), read in the vocabulary of its checkpoints; with k = 1 it is one token per base.

    vocab: tokens in the order of their ids; special tokens are recognised by their names (ROLES). start, end: add the token
    of this role to every sequence. longest: largest number of tokens that a model can read, 0 for no limit. A sequence that
    has more, because of N or single letters, has one token for each run of N; of those that are still too many the ones nearest
    to its middle are read. A sequence of more than `max_bases(longest)` bases is not shortened.
    grid: blocks start at every k-th base, also after N; one with an N, and the bases after the last one, are an unknown token.
    filled: on a grid, the bases after the last whole block are read as the block in which As follow them (Carbon).

    >>> from genoformer.genome.codes import encode
    >>> tokenizer = BlockTokenizer.new(2)
    >>> [tokenizer.tokens[i] for i in tokenizer.encode(encode("ACGTANACG")[None]).ids[0]]
    ['<cls>', 'AC', 'GT', 'A', 'N', 'AC', 'G']
    """

    name: ClassVar[str] = "blocks"
    options: ClassVar[tuple[str, ...]] = ("k",)
    masks_bases: ClassVar[bool] = True
    disjoint: ClassVar[bool] = True

    def __init__(
        self,
        vocab: Sequence[str],
        *,
        start: bool = True,
        end: bool = False,
        longest: int = 0,
        grid: bool = False,
        filled: bool = False,
    ) -> None:
        self.tokens = tuple(str(token) for token in vocab)
        if len(set(self.tokens)) < len(self.tokens):
            twice = next(token for token in self.tokens if self.tokens.count(token) > 1)
            raise CheckpointError(
                f"the vocabulary of blocks names {twice!r} twice, with upper and lower case as one; give a vocabulary with one "
                "token for it."
            )
        self._id = {token: i for i, token in enumerate(self.tokens)}
        blocks = [token for token in self.tokens if token and set(token) <= set("ACGT")]
        self.k = max(map(len, blocks), default=0)
        if not 1 <= self.k <= 8 or sum(len(block) == self.k for block in blocks) != 4**self.k:
            raise CheckpointError(
                f"the vocabulary has {len(blocks)} tokens of A, C, G, T, the longest of {self.k} bases; expected all blocks "
                "of one length from 1 to 8, and single bases."
            )
        self._roles = {
            role: next((self._id[name] for name in names if name in self._id), None) for role, names in ROLES.items()
        }
        unknown, pad = self._roles["unknown"], self._roles["pad"]
        if pad is None:
            raise CheckpointError(f"the vocabulary has no token for padding; expected one of {', '.join(ROLES['pad'])}.")
        self.pad_id: int = pad
        self.unknown_id: int = self._id.get("N", pad if unknown is None else unknown)
        self.mask_id: int = self.unknown_id if self._roles["mask"] is None else self._roles["mask"]
        self._before = self._added("start", start)
        self._after = self._added("end", end)
        self._has_start, self._has_end, self.longest, self.grid, self.filled = start, end, longest, grid, filled

    def __repr__(self) -> str:
        return f"BlockTokenizer(k={self.k}, {self.n_vocab:,} tokens)"

    @classmethod
    def new(cls, k: int = 6) -> BlockTokenizer:
        """Return the tokenizer with the Nucleotide Transformer's vocabulary for blocks of k bases.

        The specials, all k-mers with the digits A, T, C, G, then A, T, C, G, N: 4,107 tokens for k = 6.
        """
        if not 1 <= k <= 8:
            raise ConfigError(f"k = {k}: blocks of 1 to 8 bases have a vocabulary; choose one of them.")
        specials = ["<unk>", "<pad>", "<mask>", "<cls>", "<eos>", "<bos>"]
        blocks = ["".join(bases) for bases in product("ATCG", repeat=k)]
        return cls([*specials, *blocks, *("ATCGN" if k > 1 else "N")])

    def _added(self, role: str, wanted: bool) -> tuple[int, ...]:
        number = self._roles[role]
        if wanted and number is None:
            raise CheckpointError(f"the vocabulary has no token for the {role}; expected one of {', '.join(ROLES[role])}.")
        return (number,) if wanted and number is not None else ()

    @property
    def n_vocab(self) -> int:
        return len(self.tokens)

    @property
    def vocab(self) -> dict[str, int]:
        return dict(self._id)

    @property
    def min_bases(self) -> int:
        return 1

    @property
    def sliding(self) -> bool:
        return False

    @property
    def n_phases(self) -> int:
        return self.k

    @property
    def fixed_length(self) -> bool:
        return self.k == 1 or self.grid

    @property
    def n_added(self) -> int:
        return len(self._before) + len(self._after)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        return frozenset(i for i, token in enumerate(self.tokens) if not set(token) <= set("ACGT"))

    @cached_property
    def _ids_of_blocks(self) -> NDArray[np.int64]:
        """Ids of all blocks [4^k], by their number with the digits A, C, G, T."""
        return np.array([self._id["".join(bases)] for bases in product("ACGT", repeat=self.k)])

    @cached_property
    def _ids_of_bases(self) -> NDArray[np.int64]:
        """Ids of A, C, G, T and of an unknown base, [5]."""
        return np.array([*(self._id.get(base, self.unknown_id) for base in "ACGT"), self.unknown_id])

    def ids_of(self, width: int) -> NDArray[np.int64]:
        """Return the ids of all tokens of `width` bases, k or 1, in the order of the codes A, C, G, T: [4^width]."""
        return self._ids_of_blocks if width == self.k else self._ids_of_bases[:4]

    @cached_property
    def _known(self) -> NDArray[np.bool_]:
        known = np.ones(self.n_vocab, dtype=bool)
        known[list(self.special_ids)] = False
        return known

    @cached_property
    def _candidates(self) -> NDArray[np.int64]:
        """Blocks that carry each base at each position: [k, 4, 4^(k-1)]."""
        number = np.arange(4**self.k)
        digits = number[None] // 4 ** np.arange(self.k - 1, -1, -1)[:, None] % 4  # [k, 4^k]
        return np.stack([np.stack([self._ids_of_blocks[digits[i] == base] for base in range(4)]) for i in range(self.k)])

    def names_bases(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(self._known[ids])

    def n_tokens(self, length: int) -> int:
        """Return the largest number of tokens of `length` bases: if none is known, each is a token."""
        return (-(-length // self.k) if self.grid else length) + self.n_added

    def n_typical_tokens(self, length: int) -> int:
        """Return the number of tokens of `length` known bases: blocks, and single letters for the bases that are left.

        >>> BlockTokenizer.new(6).n_typical_tokens(512), BlockTokenizer.new(6).n_tokens(512)
        (88, 513)
        """
        return self.n_tokens(length) if self.grid else sum(divmod(length, self.k)) + self.n_added

    def max_bases(self, n_tokens: int) -> int:
        """Return the number of known bases that fit in `n_tokens` tokens: all but the added ones are blocks."""
        return (n_tokens - self.n_added) * self.k

    def n_typical_bases(self, n_tokens: int) -> int:
        """Return the largest number of known bases that fit in `n_tokens` tokens."""
        return self.max_bases(n_tokens)

    def encode(self, codes: Codes) -> Encoding:
        """Encode codes [B, L] as ids [B, T] and spans [B, T, 2], padded to the longest row."""
        codes = as_windows(codes)
        n_windows, length = codes.shape
        if not (codes >= N).any():
            spans = self._nearest(spans_from_starts(starts_of_known(0, length, self.k, grid=self.grid), length), length)
            return self._framed(list(self._ids_at(codes, spans)), list(np.broadcast_to(spans, (n_windows, *spans.shape))))
        rows, spans_of_rows = [], []
        for row in codes:
            spans = self._spans(row)
            rows.append(self._ids_at(row[None], spans)[0])
            spans_of_rows.append(spans)
        return self._framed(rows, spans_of_rows)

    def _framed(self, rows: list[NDArray[np.int64]], spans: list[NDArray[np.int64]]) -> Encoding:
        """Return rows of ids with the added tokens, padded."""
        first, width = len(self._before), max(map(len, rows)) + self.n_added
        ids = np.full((len(rows), width), self.pad_id, dtype=np.int64)
        framed = np.zeros((len(rows), width, 2), dtype=np.int64)
        ids[:, :first] = self._before
        if len({len(row) for row in rows}) == 1:
            last = first + len(rows[0])
            ids[:, first:last], framed[:, first:last], ids[:, last:] = np.stack(rows), np.stack(spans), self._after
            return Encoding(ids, framed)
        for i, (row, span) in enumerate(zip(rows, spans, strict=True)):
            last = first + len(row)
            ids[i, first:last], framed[i, first:last] = row, span
            ids[i, last : last + len(self._after)] = self._after
        return Encoding(ids, framed)

    def _spans(self, row: Codes) -> NDArray[np.int64]:
        """Return the bases [start, end) of each token of a sequence [L] with N, [T, 2]."""
        starts = np.arange(0, len(row), self.k) if self.grid else starts_around_n(row, self.k)
        if self.longest and len(starts) + self.n_added > self.longest:
            after_n = np.append(False, row[:-1] >= N)
            starts = starts[~((row[starts] >= N) & after_n[starts])]
        return self._nearest(spans_from_starts(starts, len(row)), len(row))

    def _nearest(self, spans: NDArray[np.int64], length: int) -> NDArray[np.int64]:
        """Return the tokens [T, 2] of a sequence, or as many as the model reads: those that reach least far from the middle."""
        if not self.longest or length > self.max_bases(self.longest):
            return spans
        return spans_near_the_middle(spans, length, self.longest - self.n_added)

    def _ids_at(self, codes: Codes, spans: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ids [B, T] of the tokens over these bases [T, 2], in sequences [B, L] that are cut alike."""
        starts, ends = spans.T
        ids = np.empty((len(codes), len(starts)), dtype=np.int64)
        whole = (ends - starts == self.k) & (codes[0, starts] < N) if self.k > 1 else np.zeros(len(starts), dtype=bool)
        bases = np.minimum(codes[:, starts[whole, None] + np.arange(self.k)], 3).astype(np.int64)  # [B, T', k]
        ids[:, whole] = self._ids_of_blocks[(bases * 4 ** np.arange(self.k - 1, -1, -1)).sum(-1)]
        if self.grid:
            has_n = (codes[:, starts[whole, None] + np.arange(self.k)] >= N).any(-1)
            ids[:, whole] = np.where(has_n, self.unknown_id, ids[:, whole])
        ids[:, ~whole] = self._ids_of_bases[np.minimum(codes[:, starts[~whole]], N)]
        if self.filled and len(starts) and ends[-1] - starts[-1] < self.k:
            ids[:, -1] = self._ids_of_filled(codes[:, starts[-1] :])
        return ids

    def _ids_of_filled(self, codes: Codes) -> NDArray[np.int64]:
        """Return the ids [B] of the blocks that begin with codes [B, 1 to k - 1] and end with As; unknown with an N."""
        n_bases = codes.shape[1]
        first = (np.minimum(codes, 3).astype(np.int64) * 4 ** np.arange(self.k - 1, self.k - 1 - n_bases, -1)).sum(-1)
        return np.asarray(np.where((codes >= N).any(-1), self.unknown_id, self._ids_of_blocks[first]))

    def codes_from_ids(self, ids: NDArray[np.int64], length: int | None = None) -> Codes:
        """Decode ids [B, T] to codes [B, L], padded with N to `length` or the longest row."""
        rows = [self.text(row) for row in np.atleast_2d(ids).tolist()]
        length = length or max(map(len, rows))
        return np.stack([encode(row.ljust(length, "N")) for row in rows])

    def text(self, ids: Sequence[int]) -> str:
        """Return the bases of tokens."""
        return "".join(map(self._letters, ids))

    def _letters(self, number: int) -> str:
        if self._known[number]:
            return self.tokens[number]
        return "N" * (self.k if self.grid else 1) if number in (self.unknown_id, self.mask_id) and number != self.pad_id else ""

    def mask_bases(self, codes: Codes, target: NDArray[np.int64], end: NDArray[np.int64] | None = None) -> MaskedWindows:
        """Mask the bases [target, end) of each window, to predict the base at `target`; both [B], `end` defaults to target + 1.

        Every token over a masked base is [MASK]. The candidates for a base at the target are all blocks that carry it there,
        whatever their other bases: P(base) is the sum of their probabilities.
        """
        codes = np.atleast_2d(codes)
        target = np.asarray(target, dtype=np.int64)
        end = target + 1 if end is None else np.asarray(end, dtype=np.int64)
        encoding = self.encode(codes)
        first, after = encoding.spans[..., 0], encoding.spans[..., 1]
        ids = np.where((first < end[:, None]) & (after > target[:, None]), self.mask_id, encoding.ids)
        over = (first <= target[:, None]) & (after > target[:, None])
        rows = over.argmax(axis=1)
        at = np.arange(len(codes))
        place, width = target - first[at, rows], after[at, rows] - first[at, rows]
        single = np.broadcast_to(self._ids_of_bases[:4, None], self._candidates.shape[1:])
        candidates = np.where(
            (width == self.k)[:, None, None], self._candidates[np.clip(place, 0, self.k - 1)], single
        )  # [B, 4, G]
        valid = over[at, rows] & (codes[at, np.clip(target, 0, codes.shape[1] - 1)] < N)
        return MaskedWindows(ids, rows[:, None], candidates[:, None], valid[:, None])

    def padded_to(self, n_vocab: int) -> BlockTokenizer:
        """Return the tokenizer with names for further ids up to n_vocab, which no sequence has."""
        unused = [f"<unused{i}>" for i in range(len(self.tokens), n_vocab)]
        return self._with([*self.tokens, *unused], self.longest)

    def limited_to(self, longest: int) -> BlockTokenizer:
        """Return the tokenizer for a model that can read this number of tokens, 0 for no limit."""
        if longest == self.longest:
            return self
        return self._with(self.tokens, longest)

    def _with(self, vocab: Sequence[str], longest: int) -> BlockTokenizer:
        ends = {"start": self._has_start, "end": self._has_end}
        return BlockTokenizer(vocab, **ends, longest=longest, grid=self.grid, filled=self.filled)

    def fast_tokenizer(self) -> Any | None:
        """Return the same tokenizer in the `tokenizers` library; None where blocks are filled up or can be left out."""
        if self.longest or self.filled:
            return None
        before, after = ([self.tokens[i] for i in ids] for ids in (self._before, self._after))
        return tokenizer_of_bases(self.vocab, self.tokens[self.unknown_id], before, after, self.k, grid=self.grid)

    def huggingface_files(self) -> dict[str, str]:
        """Return the texts of the files from which transformers reads the tokenizer, by name: as EsmTokenizer for k > 1."""
        if self.filled:
            raise ConfigError(
                "transformers has no tokenizer that fills blocks up; save in genoformer's layout, or in genoformer-hf."
            )
        if self.k == 1 or self.grid:
            bases: Any = self.limited_to(0).fast_tokenizer()
            return {TOKENIZER: bases.to_str() + "\n", TOKENIZER_CONFIG: fast_config(self.vocab)}
        config = json.dumps(self._esm_config(), indent=1) + "\n"
        return {VOCAB: "\n".join(self.tokens) + "\n", TOKENIZER_CONFIG: config}

    def _esm_config(self) -> dict[str, Any]:
        """Return the tokenizer_config.json with which transformers reads the vocabulary as EsmTokenizer."""
        names = {"unknown": "unk_token", "pad": "pad_token", "mask": "mask_token", "start": "cls_token"}
        tokens = {key: self.tokens[i] for role, key in names.items() if (i := self._roles[role]) is not None}
        end = self.tokens[self._after[0]] if self._after else None
        return {"tokenizer_class": "EsmTokenizer", **tokens, "eos_token": end}

    def to_dict(self) -> dict[str, Any]:
        others = {"longest": self.longest, "grid": self.grid, "filled": self.filled}
        fields = {"tokenizer": self.name, "vocab": list(self.tokens), "start": self._has_start, "end": self._has_end}
        return fields | {name: value for name, value in others.items() if value}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> BlockTokenizer:
        if "vocab" not in fields:
            return cls.new(int(fields["k"]))
        return cls(
            fields["vocab"],
            start=bool(fields.get("start", True)),
            end=bool(fields.get("end", False)),
            longest=int(fields.get("longest", 0)),
            grid=bool(fields.get("grid", False)),
            filled=bool(fields.get("filled", False)),
        )


TOKENIZERS = (BlockTokenizer,)
