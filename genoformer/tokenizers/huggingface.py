"""Tokenizers as files that Hugging Face's transformers reads: tokenizer.json and tokenizer_config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from genoformer.tokenizers.base import ROLES

VOCAB, TOKENIZER, TOKENIZER_CONFIG = "vocab.txt", "tokenizer.json", "tokenizer_config.json"
_KEYS = {"pad": "pad_token", "unknown": "unk_token", "mask": "mask_token", "start": "cls_token", "end": "sep_token"}


def fast_config(vocab: Mapping[str, int]) -> str:
    """Return the tokenizer_config.json of a tokenizer.json, which names its special tokens."""
    named = {_KEYS[role]: next((name for name in names if name in vocab), None) for role, names in ROLES.items()}
    fields = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        **{key: token for key, token in named.items() if token is not None},
    }
    return json.dumps(fields, indent=1) + "\n"


def tokenizer_of_bases(
    vocab: Mapping[str, int], unknown: str, before: Sequence[str], after: Sequence[str], k: int = 1, *, grid: bool = False
) -> Any:
    """Return a tokenizer of the `tokenizers` library with one token per base, or per block of k bases where one fits.

    before, after: the tokens of the frame. grid: every k bases are a token, N or not, and so are those that are left.
    """
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers

    tokenizer = tokenizers.Tokenizer(models.WordLevel(dict(vocab), unk_token=unknown))
    pattern = f".{{{k}}}|.+" if grid else f"[ACGT]{{{k}}}|."
    tokenizer.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return read_as_genoformer_does(tokenizer, before, after)


def read_as_genoformer_does(tokenizer: Any, before: Sequence[str], after: Sequence[str]) -> Any:
    """Return the tokenizer with lower case and U read as bases, all other letters as N, and the tokens of the frame.

    A normalizer that it has follows; without a frame it keeps its own.
    """
    from tokenizers import Regex, normalizers, processors

    letters = {"[Aa]": "A", "[Cc]": "C", "[Gg]": "G", "[TtUu]": "T", "[^ACGT]": "N"}
    own = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
    tokenizer.normalizer = normalizers.Sequence([*(normalizers.Replace(Regex(old), new) for old, new in letters.items()), *own])
    frame = [(token, tokenizer.token_to_id(token)) for token in dict.fromkeys([*before, *after])]
    if frame:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[*before, "$A", *after], pair=[*before, "$A", *after, "$B:1", *after], special_tokens=frame
        )
    return tokenizer
