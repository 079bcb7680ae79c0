"""DNA as text -> token ids and attention mask, as lists, arrays or tensors; token ids -> text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, encode_texts
from genoformer.tokenizers.base import Tokenizer

Tensors = Literal["np", "pt"]


class ReadsText:
    """Part of all tokenizers: calls on text and decoding to text, with the names that Hugging Face's tokenizers have.

    >>> from genoformer.tokenizers import KmerTokenizer
    >>> tokenizer = KmerTokenizer(3)
    >>> tokenizer("AAAT")
    {'input_ids': [2, 5, 6, 3], 'attention_mask': [1, 1, 1, 1]}
    >>> tokenizer(["AAAT", "AAA"], padding=True, return_tensors="np")["input_ids"].tolist()
    [[2, 5, 6, 3], [2, 5, 3, 0]]
    >>> tokenizer.decode([2, 5, 6, 3]), tokenizer.vocab_size
    ('AAAT', 69)
    >>> tokenizer.tokenize("AAATN"), tokenizer.get_vocab()["AAT"], tokenizer.mask_token_id
    (['AAA', 'AAT', '[UNK]'], 6, 4)
    """

    @property
    def vocab_size(self: Tokenizer) -> int:
        """Number of tokens, `n_vocab`."""
        return self.n_vocab

    @property
    def pad_token_id(self: Tokenizer) -> int:
        """Id of padding, `pad_id`."""
        return self.pad_id

    @property
    def mask_token_id(self: Tokenizer) -> int:
        """Id of the token that masks bases, `mask_id`."""
        return self.mask_id

    def get_vocab(self: Tokenizer) -> dict[str, int]:
        """Return the id of each token by its name, `vocab`."""
        return self.vocab

    def tokenize(self: Tokenizer, text: str) -> list[str]:
        """Return the names of the tokens of a DNA text, without the special tokens that a call adds at its ends.

        Raises ConfigError for a text that is not DNA or is too short for a token.
        """
        if not isinstance(text, str):
            raise ConfigError(f"text is {text!r}, expected DNA as text; call tokenize for each text.")
        encoding = self.encode(encode_texts([text])[0][None])
        names = {i: name for name, i in self.vocab.items()}
        return [names[i] for i in encoding.ids[encoding.is_base].tolist()]

    def __call__(
        self: Tokenizer, text: str | Sequence[str], *, padding: bool = False, return_tensors: Tensors | None = None
    ) -> dict[str, Any]:
        """Return input_ids and attention_mask (1 for tokens, 0 for padding) of a DNA text or of several.

        Values are lists of whole numbers, one list for each text if there are several. return_tensors: "np" or "pt" returns
        arrays or tensors [B, T], also for one text. padding: pad to the longest text with `pad_id`.

        Raises ConfigError for a text that is not DNA or is too short for a token, and for tensors of unequal rows.
        """
        if return_tensors not in (None, "np", "pt"):
            raise ConfigError(f"return_tensors is {return_tensors!r}; give 'np', 'pt' or None.")
        if not isinstance(text, Iterable):
            raise ConfigError(f"text is {text!r}; give DNA as text, or a list of texts.")
        texts = [text] if isinstance(text, str) else text
        rows = [self.encode(codes[None]).ids[0].tolist() for codes in encode_texts(texts)]
        masks = [[1] * len(row) for row in rows]
        longest = max(map(len, rows), default=0)
        if padding:
            masks = [mask + [0] * (longest - len(mask)) for mask in masks]
            rows = [row + [self.pad_id] * (longest - len(row)) for row in rows]
        if return_tensors is None:
            return {"input_ids": rows[0], "attention_mask": masks[0]} if isinstance(text, str) else _named(rows, masks)
        if len({len(row) for row in rows}) > 1:
            shortest = min(map(len, rows))
            raise ConfigError(f"the texts have {shortest} to {longest} tokens, which make no tensor; give padding=True.")
        arrays = [np.array(values, dtype=np.int64).reshape(len(rows), longest) for values in (rows, masks)]
        if return_tensors == "np":
            return _named(*arrays)
        import torch

        return _named(*map(torch.from_numpy, arrays))

    def __len__(self: Tokenizer) -> int:
        return self.n_vocab

    def decode(self: Tokenizer, ids: Any) -> Any:
        """Return the bases of token ids as text, without special tokens; unknown bases are N.

        ids: the ids [T] of a sequence as a list, array or tensor -> str; several sequences [B, T] -> a list of str.
        """
        rows = ids.tolist() if hasattr(ids, "tolist") else list(ids)
        if rows and isinstance(rows[0], Sequence):
            return [self.text(row) for row in rows]
        return self.text(rows)


def as_windows(codes: Any) -> Codes:
    """Return codes [B, L] for `encode`: those of one sequence [L] become [1, L]. Raises ConfigError for text.

    >>> as_windows("ACGT")
    Traceback (most recent call last):
    genoformer.errors.ConfigError: encode reads integer-encoded DNA (uint8), found text; call the tokenizer: tokenizer('ACGT').
    """
    array = np.asarray(codes)
    if array.dtype.kind not in "ui":
        shown = codes if isinstance(codes, str) and len(codes) <= 30 else "ACGT"
        kind = "text" if array.dtype.kind == "U" else f"an array of {array.dtype}"
        raise ConfigError(f"encode reads integer-encoded DNA (uint8), found {kind}; call the tokenizer: tokenizer({shown!r}).")
    return np.atleast_2d(array)


def _named(ids: Any, mask: Any) -> dict[str, Any]:
    return {"input_ids": ids, "attention_mask": mask}
