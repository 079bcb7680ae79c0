"""Byte-pair encoding with the `tokenizers` library: pieces learned here, or the tokenizer.json of a published model."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import Codes, decode, encode
from genoformer.tokenizers.base import CLS, ROLES, SEP, SPECIAL, Encoding, MaskedWindows
from genoformer.tokenizers.blocks import BlockTokenizer
from genoformer.tokenizers.huggingface import TOKENIZER, TOKENIZER_CONFIG, fast_config, read_as_genoformer_does
from genoformer.tokenizers.text import ReadsText, as_windows

_RANDOM_BASES = 4_096  # bases of a random sequence whose tokens are counted


class BPETokenizer(ReadsText):
    """Byte-pair encoding over A, C, G, T with the `tokenizers` library; N is [UNK], one token per base.

    Learned here: `[CLS] pieces [SEP]`, padded with [PAD] to the longest row of the batch. From a tokenizer.json of a published
    model: with the tokens that its post-processor adds, and the special tokens that it names, in any order.
    """

    name: ClassVar[str] = "bpe"
    options: ClassVar[tuple[str, ...]] = ("n_vocab",)
    fixed_length: ClassVar[bool] = False
    masks_bases: ClassVar[bool] = False
    min_bases: ClassVar[int] = 1
    sliding: ClassVar[bool] = False
    disjoint: ClassVar[bool] = True
    n_phases: ClassVar[int] = 0

    def __init__(self, model_json: str, n_vocab: int = 0) -> None:
        import tokenizers

        self._n_padded = n_vocab

        try:
            self._model = tokenizers.Tokenizer.from_str(model_json)
            self._model.no_padding()
            self._model.no_truncation()
            bare = self._model.encode("ACGT", add_special_tokens=False).ids
            whole = self._model.encode("ACGT").ids
        except Exception as error:  # the library raises a bare Exception
            raise CheckpointError(f"the BPE vocabulary cannot be read ({error}); train or copy it again.") from error
        self._names = {i: token for token, i in self._model.get_vocab().items()}
        roles = {role: self._first_of(names) for role, names in ROLES.items()}
        first = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), None) if bare else None
        if first is None:
            raise CheckpointError("the BPE vocabulary reads ACGT as no token; expected pieces of A, C, G and T.")
        self._before, self._after = tuple(whole[:first]), tuple(whole[first + len(bare) :])
        bare_frame = not self._before and not self._after
        self._learned = bare_frame and tuple(self._names.get(i) for i in range(len(SPECIAL))) == SPECIAL
        if self._learned:  # the file names no frame
            self._before, self._after = (CLS,), (SEP,)
        added = [i for i, token in self._model.get_added_tokens_decoder().items() if token.special]
        self.unknown_id = roles["unknown"]
        pad, mask = roles["pad"], roles["mask"]
        if pad is None and (pad := roles["end"]) is None:
            raise CheckpointError(f"the BPE vocabulary has no token for padding; expected one of {', '.join(ROLES['pad'])}.")
        self.pad_id: int = pad
        self.mask_id: int = pad if mask is None else mask
        numbers = {i for i in roles.values() if i is not None} | {*added, *self._before, *self._after}
        self.special_ids = frozenset(numbers)
        self._known = np.ones(self.n_vocab, dtype=bool)
        self._with_n = {i for i, token in self._names.items() if "N" in token.upper() and set(token.upper()) <= set("ACGTN")}
        self._known[[*numbers, *self._with_n, self.pad_id]] = False

    def __repr__(self) -> str:
        return f"BPETokenizer({self.n_vocab:,} tokens)"

    def _first_of(self, names: Sequence[str]) -> int | None:
        return next((i for i in map(self._model.token_to_id, names) if i is not None), None)

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

    @classmethod
    def from_pieces(cls, pieces: Sequence[str]) -> BPETokenizer:
        """Return the tokenizer of a vocabulary that lists its pieces in the order in which they were learned, without merges.

        The merge that made a piece joins the two pieces into which the earlier merges cut its text. Raises CheckpointError if
        they cut it otherwise, or if the vocabulary has no A, C, G, T.
        """
        import tokenizers
        from tokenizers import decoders, models, processors

        vocab = {piece: i for i, piece in enumerate(pieces)}
        bases = [piece for piece in pieces if piece and set(piece) <= set("ACGT")]
        if len(vocab) < len(pieces) or not set("ACGT") <= vocab.keys():
            raise CheckpointError("a vocabulary of pieces names each once, A, C, G and T among them; copy the folder again.")
        if any(piece.startswith("##") for piece in pieces):
            raise CheckpointError(
                "the vocabulary has pieces of WordPiece (##), which is not read; expected byte-pair encoding."
            )
        merges: list[tuple[str, str]] = []
        rank: dict[tuple[str, str], int] = {}
        for piece in bases:
            parts = list(piece)
            while len(parts) > 2:
                pairs = [(rank.get(pair, len(rank)), i) for i, pair in enumerate(pairwise(parts))]
                best, i = min(pairs)
                if best == len(rank):
                    raise CheckpointError(
                        f"the vocabulary lists {piece} before the pieces that it is made of; expected the order in which "
                        "byte-pair encoding learned them, or a tokenizer.json with its merges."
                    )
                parts[i : i + 2] = ["".join(parts[i : i + 2])]
            if len(parts) == 2:
                rank[(parts[0], parts[1])] = len(rank)
                merges.append((parts[0], parts[1]))
        names = {role: next((name for name in spellings if name in vocab), None) for role, spellings in ROLES.items()}
        model = tokenizers.Tokenizer(models.BPE(vocab, merges, unk_token=names["unknown"], fuse_unk=False))
        model.decoder = decoders.Fuse()
        frame = [name for name in (names["start"], names["end"]) if name is not None]
        if len(frame) == 2:
            model.post_processor = processors.TemplateProcessing(
                single=f"{frame[0]} $A {frame[1]}", special_tokens=[(name, vocab[name]) for name in frame]
            )
        return cls(model.to_str())

    @property
    def n_vocab(self) -> int:
        return max(max(self._names) + 1, self._n_padded)  # ids may have gaps

    @property
    def names(self) -> list[str]:
        """Texts of the tokens in the order of their ids."""
        return [self._names.get(i, f"<unused{i}>") for i in range(self.n_vocab)]

    @property
    def n_added(self) -> int:
        return len(self._before) + len(self._after)

    @property
    def vocab(self) -> dict[str, int]:
        return dict(self._model.get_vocab())

    def n_tokens(self, length: int) -> int:
        """Return the largest number of tokens that `length` bases can have."""
        return length + self.n_added

    def n_typical_tokens(self, length: int) -> int:
        """Return the number of tokens of `length` bases at the rate of a random sequence, whose pieces are somewhat shorter."""
        return min(length, math.ceil(length * self._tokens_per_base)) + self.n_added

    @cached_property
    def _tokens_per_base(self) -> float:
        codes = np.random.default_rng(0).integers(0, 4, _RANDOM_BASES, dtype=np.uint8)
        return len(self._model.encode(decode(codes), add_special_tokens=False).ids) / _RANDOM_BASES

    def max_bases(self, n_tokens: int) -> int:
        """Return the number of bases that fit in `n_tokens` tokens for any sequence."""
        return n_tokens - self.n_added

    def n_typical_bases(self, n_tokens: int) -> int:
        """Return the number of bases of `n_tokens` tokens at the rate of a random sequence."""
        return int((n_tokens - self.n_added) / self._tokens_per_base)

    def names_bases(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.asarray(self._known[ids])

    def mask_bases(self, codes: Codes, target: NDArray[np.int64], end: NDArray[np.int64] | None = None) -> MaskedWindows:
        """Refuse: a BPE token stands for several bases, and their number depends on the sequence."""
        raise ConfigError(
            "a BPE token stands for several bases, so a single base cannot be masked; take a k-mer or single-base model."
        )

    def encode(self, codes: Codes) -> Encoding:
        """Encode codes [B, L] as ids [B, T] and spans [B, T, 2], padded to the longest row."""
        rows = self._model.encode_batch([decode(row) for row in as_windows(codes)], add_special_tokens=False)
        width, first = max(len(row.ids) for row in rows) + self.n_added, len(self._before)
        ids = np.full((len(rows), width), self.pad_id, dtype=np.int64)
        offsets = np.zeros((len(rows), width, 2), dtype=np.int64)
        ids[:, :first] = self._before
        for i, row in enumerate(rows):
            last = first + len(row.ids)
            ids[i, first:last], ids[i, last : last + len(self._after)] = row.ids, self._after
            offsets[i, first:last] = row.offsets
        return Encoding(ids, offsets)

    def codes_from_ids(self, ids: NDArray[np.int64], length: int | None = None) -> Codes:
        """Decode ids [B, T] to codes [B, L], padded with N to `length` or the longest row; [UNK] is one N."""
        rows = [self.text(row) for row in np.atleast_2d(ids).tolist()]
        length = length or max(map(len, rows))
        return np.stack([encode(row.ljust(length, "N")) for row in rows])

    def text(self, ids: Sequence[int]) -> str:
        """Return the bases of tokens."""
        return "".join(map(self._letters, ids))

    def _letters(self, number: int) -> str:
        if number == self.unknown_id:
            return "N"
        return self._names[number].upper() if self._known[number] or number in self._with_n else ""

    def padded_to(self, n_vocab: int) -> BPETokenizer:
        """Return the tokenizer with further ids up to n_vocab, which no sequence has."""
        return BPETokenizer(self._model.to_str(), n_vocab)

    def limited_to(self, longest: int) -> BPETokenizer:
        """Return the tokenizer itself, whose `max_bases` counts a token for each base."""
        return self

    def as_blocks(self) -> BlockTokenizer:
        """Return the same vocabulary as single bases or blocks; raise CheckpointError if it has other pieces of A, C, G, T."""
        names = [name.upper() if len(name) == 1 else name for name in self.names]  # a normalizer may have made them lower case
        frame = {"start": bool(self._before), "end": bool(self._after)}
        blocks = BlockTokenizer(names, **frame)
        texts = ("A" * 2 * blocks.k, "N" + "A" * (blocks.k - 1))
        n_tokens = [len(self._model.encode(text, add_special_tokens=False).ids) for text in texts]
        on_grid = blocks.k > 1 and n_tokens == [2, 1]  # a block with an N is one token
        return BlockTokenizer(names, **frame, grid=True) if on_grid else blocks

    def fast_tokenizer(self) -> Any:
        """Return the same tokenizer in the `tokenizers` library, which reads lower case, U and unknown letters as we do."""
        import tokenizers
        from tokenizers import decoders

        model = tokenizers.Tokenizer.from_str(self._model.to_str())
        model.decoder = decoders.Fuse()
        before, after = ([self._names[i] for i in ids] for ids in (self._before, self._after))
        return read_as_genoformer_does(model, before, after)

    def huggingface_files(self) -> dict[str, str]:
        """Return the texts of the files from which transformers reads the tokenizer, by name."""
        text = json.dumps(self.to_dict()["model"], ensure_ascii=False)
        if self._learned:
            text = self.fast_tokenizer().to_str()
        return {TOKENIZER: text + "\n", TOKENIZER_CONFIG: fast_config(self.vocab)}

    def to_dict(self) -> dict[str, Any]:
        padded = {"n_vocab": self._n_padded} if self._n_padded else {}
        return {"tokenizer": self.name, "model": json.loads(self._model.to_str()), **padded}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> BPETokenizer:
        return cls(json.dumps(fields["model"]), int(fields.get("n_vocab", 0)))


TOKENIZERS = (BPETokenizer,)
