"""Tokenizers of genoformer that are called as those of transformers are: GenoformerTokenizer and the fast one."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from transformers import BatchEncoding, PreTrainedTokenizer, PreTrainedTokenizerFast

from genoformer.errors import ConfigError, GenoformerError
from genoformer.genome.codes import encode_texts
from genoformer.models import folders, registry
from genoformer.models.transformer.weights.huggingface import longest_input
from genoformer.models.transformer.weights.own import VOCABULARY, frame_of
from genoformer.tokenizers import Tokenizer, load_tokenizer, save_tokenizer
from genoformer.tokenizers.base import ROLES

_NAMES = {"pad": "pad_token", "unknown": "unk_token", "mask": "mask_token", "start": "cls_token", "end": "sep_token"}


class _ReadsDna:
    """Part of both classes: one of genoformer's tokenizers (`dna`), its special tokens, its files, and text from ids."""

    vocab_files_names: ClassVar[dict[str, str]] = {"vocab_file": VOCABULARY}
    model_input_names: ClassVar[list[str]] = ["input_ids", "attention_mask"]
    dna: Tokenizer

    def _read(self, vocab_file: str | None, dna: Tokenizer | None) -> dict[str, str]:
        """Set the tokenizer, from the file if there is no other, and return its special tokens by the names of transformers."""
        if dna is None and vocab_file is None:
            raise ConfigError(f"found no vocabulary; give {VOCABULARY} or one of genoformer's tokenizers.")
        self.dna = dna if dna is not None else load_tokenizer(Path(str(vocab_file)))
        self._ids = self.dna.vocab
        self._tokens = {i: token for token, i in self._ids.items()}
        self._before, self._after = frame_of(self.dna)
        roles = {role: next((name for name in names if name in self._ids), None) for role, names in ROLES.items()}
        special = {_NAMES[role]: token for role, token in roles.items() if token is not None}
        return {**special, "pad_token": self._tokens[self.dna.pad_id]}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **options: Any) -> Any:
        """Load the tokenizer of a folder that genoformer reads, of a model by its name, or as transformers does (the hub)."""
        name: Any = pretrained_model_name_or_path
        kind: Any = cls
        try:
            registry.layout_of(name)
            is_saved = (folders.resolve_model(name) / VOCABULARY).is_file()
        except GenoformerError:  # no folder of a model: a name on the hub
            is_saved = True
        if is_saved:
            return super(_ReadsDna, kind).from_pretrained(name, *args, **options)  # type: ignore[misc]
        dna, shape = registry.load_tokenizer(name), registry.load_config(name)
        return kind(dna=dna, **{"model_max_length": longest_input(getattr(shape, "encoder", shape)), **options})

    @property
    def vocab_size(self) -> int:
        return self.dna.n_vocab

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        prefix = f"{filename_prefix}-" if filename_prefix else ""
        path = Path(save_directory) / f"{prefix}{VOCABULARY}"
        save_tokenizer(self.dna, path)
        return (str(path),)

    def _convert_id_to_token(self, index: int) -> str:
        return self._tokens.get(index, f"<unused{index}>")

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Return the bases of tokens as text."""
        unknown = int(self.unk_token_id)  # type: ignore[attr-defined]
        return self.dna.text([self._ids.get(token, unknown) for token in tokens])

    def _covers_none(self, ids: list[int]) -> list[int]:
        """Return 1 for the tokens that frame a sequence and for padding, else 0."""
        covers_none = {*self._before, *self._after, self.dna.pad_id}
        return [int(i in covers_none) for i in ids]

    def _decode(
        self,
        token_ids: int | list[int],
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
        **_: Any,
    ) -> str:
        """Return the bases of ids as text, unknown ones as N; with special tokens unless they are skipped."""
        ids = [token_ids] if isinstance(token_ids, int) else list(token_ids)
        hidden = {*self._before, *self._after, self.dna.pad_id}
        if skip_special_tokens:
            return self.dna.text([i for i in ids if i not in hidden])
        return "".join(
            "".join(map(self._convert_id_to_token, run)) if is_hidden else self.dna.text(list(run))
            for is_hidden, run in groupby(ids, lambda i: i in hidden)
        )


class GenoformerFastTokenizer(_ReadsDna, PreTrainedTokenizerFast):
    """DNA as text -> ids of single bases, blocks of bases or BPE pieces, computed by the `tokenizers` library.

    Ids, offsets and masks are those of `GenoformerTokenizer`; letters that no DNA has are read as N and not refused.

    vocab_file, dna: as in `GenoformerTokenizer`. Raises ConfigError for k-mers, which overlap: the library cannot cut them; and
    for blocks of a model with learned positions, which has one token for a run of N in sequences that are too long.

    >>> from genoformer.tokenizers import BlockTokenizer
    >>> tokenizer = GenoformerFastTokenizer(dna=BlockTokenizer.new(3))
    >>> tokenizer("aaatnacg", return_offsets_mapping=True)["offset_mapping"]
    [(0, 0), (0, 3), (3, 4), (4, 5), (5, 8)]
    """

    slow_tokenizer_class: ClassVar[Any] = None  # set below

    def __init__(self, vocab_file: str | None = None, *, dna: Tokenizer | None = None, **options: Any) -> None:
        special = self._read(vocab_file, dna)
        fast = self.dna.fast_tokenizer()
        if fast is None:
            raise ConfigError(
                f"found tokens that the tokenizers library cannot cut exactly ({self.dna.name}); take GenoformerTokenizer."
            )
        for name in ("tokenizer_file", "tokenizer_object", "__slow_tokenizer"):  # files that transformers wrote besides ours
            options.pop(name, None)
        super().__init__(tokenizer_object=fast, **{**special, **options})

    def get_special_tokens_mask(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None, already_has_special_tokens: bool = False
    ) -> list[int]:
        if already_has_special_tokens:
            return self._covers_none(token_ids_0)
        second = [] if token_ids_1 is None else [0] * len(token_ids_1) + [1] * len(self._after)
        return [1] * len(self._before) + [0] * len(token_ids_0) + [1] * len(self._after) + second


class GenoformerTokenizer(_ReadsDna, PreTrainedTokenizer):
    """DNA as text -> ids of k-mers, bases, blocks of bases or BPE pieces, with padding, truncation and offsets.

    vocab_file: as `save_pretrained` writes it; or dna: one of genoformer's tokenizers. Special tokens may stand in the text.

    >>> from genoformer.tokenizers import KmerTokenizer
    >>> tokenizer = GenoformerTokenizer(dna=KmerTokenizer(3))
    >>> tokenizer("aaat", return_offsets_mapping=True)["offset_mapping"]
    [(0, 0), (0, 3), (1, 4), (0, 0)]
    >>> tokenizer.decode(tokenizer("aaat")["input_ids"], skip_special_tokens=True)
    'AAAT'
    """

    def __init__(self, vocab_file: str | None = None, *, dna: Tokenizer | None = None, **options: Any) -> None:
        super().__init__(**{**self._read(vocab_file, dna), **options})

    # Vocabulary

    def get_vocab(self) -> dict[str, int]:
        return {**self._ids, **self.added_tokens_encoder}

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids[token] if token in self._ids else int(self.unk_token_id)

    # Text -> ids

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        encoding = self.dna.encode(encode_texts([text])[0][None])
        return [self._convert_id_to_token(int(i)) for i in encoding.ids[0][encoding.is_base[0]]]

    def build_inputs_with_special_tokens(self, token_ids_0: list[int], token_ids_1: list[int] | None = None) -> list[int]:
        second = [] if token_ids_1 is None else [*token_ids_1, *self._after]
        return [*self._before, *token_ids_0, *self._after, *second]

    def get_special_tokens_mask(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None, already_has_special_tokens: bool = False
    ) -> list[int]:
        if already_has_special_tokens:
            return self._covers_none(token_ids_0)
        second = [] if token_ids_1 is None else [0] * len(token_ids_1) + [1] * len(self._after)
        return [1] * len(self._before) + [0] * len(token_ids_0) + [1] * len(self._after) + second

    def _encode_plus(self, text: Any, *args: Any, return_offsets_mapping: bool = False, **options: Any) -> BatchEncoding:
        if not return_offsets_mapping:
            return super()._encode_plus(text, *args, **options)
        if options.pop("text_pair", None) is not None:
            raise ConfigError("offsets are those of one sequence, found a pair of them; give return_offsets_mapping=False.")
        batch = self._batch_encode_plus([text], *args, return_offsets_mapping=True, **options)
        if options.get("return_tensors") is not None:
            return batch
        return BatchEncoding({name: values[0] for name, values in batch.items()})

    def _batch_encode_plus(
        self, batch_text_or_text_pairs: Any, *args: Any, return_offsets_mapping: bool = False, **options: Any
    ) -> BatchEncoding:
        if not return_offsets_mapping:
            return super()._batch_encode_plus(batch_text_or_text_pairs, *args, **options)
        texts = list(batch_text_or_text_pairs)
        if not all(isinstance(text, str) for text in texts) or options.get("return_overflowing_tokens"):
            raise ConfigError("offsets are those of texts that are not split; give texts, without return_overflowing_tokens.")
        tensors = options.pop("return_tensors", None)
        options["return_attention_mask"] = True
        batch = super()._batch_encode_plus(texts, *args, **options)
        framed = options.get("add_special_tokens", True)
        rows = zip(texts, batch["attention_mask"], strict=True)
        batch["offset_mapping"] = [self._offsets(text, mask, framed) for text, mask in rows]
        return BatchEncoding(dict(batch), tensor_type=tensors)

    def _offsets(self, text: str, mask: list[int], framed: bool) -> list[tuple[int, int]]:
        """Return the characters [start, end) of each token; (0, 0) for padding and the tokens that frame the sequence."""
        before, after = (len(self._before), len(self._after)) if framed else (0, 0)
        body = self._spans(text)
        n_body = sum(mask) - before - after
        kept = body[:n_body] if self.truncation_side == "right" else body[len(body) - n_body :]
        row = [(0, 0)] * before + kept + [(0, 0)] * after
        padding = [(0, 0)] * (len(mask) - len(row))
        return padding + row if mask[:1] == [0] else row + padding

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Return the characters of the tokens of a text without frame, in which special tokens may stand."""
        spans: list[tuple[int, int]] = []
        first = 0
        for piece in self.tokens_trie.split(text):
            if piece in self.added_tokens_encoder:
                spans.append((first, first + len(piece)))
            elif piece:
                encoding = self.dna.encode(encode_texts([piece])[0][None])
                spans += [(first + a, first + b) for a, b in encoding.spans[0][encoding.is_base[0]].tolist()]
            first += len(piece)
        return spans


GenoformerFastTokenizer.slow_tokenizer_class = GenoformerTokenizer
