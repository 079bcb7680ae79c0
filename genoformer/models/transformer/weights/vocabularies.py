"""Vocabularies of Hugging Face folders -> tokenizers: vocab.txt, tokenizer.json, and blocks of DNA in a vocabulary of text."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from genoformer.errors import CheckpointError
from genoformer.formats.pointers import refuse_pointer
from genoformer.formats.text import refuse_device
from genoformer.models.families import READ
from genoformer.models.weights import read_json
from genoformer.tokenizers import BlockTokenizer, BPETokenizer, KmerTokenizer, Tokenizer, load_tokenizer
from genoformer.tokenizers.huggingface import TOKENIZER, TOKENIZER_CONFIG, VOCAB

DNA_CONFIG = "dna_config.json"  # of Carbon: the ids of the blocks of DNA, above those of a vocabulary of text
_MOST_WORDS = 100  # of a vocabulary of DNA, which may have names of species
_TESTED = 840  # bases, a multiple of every k from 1 to 8


def read_vocabulary(folder: Path) -> Any:
    """Return the tokenizer of a folder; raise CheckpointError if there is none, or if it does not read A, C, G and T."""
    try:
        return _checked(_read(folder), _source(folder))
    except CheckpointError as error:
        if str(folder) in str(error):
            raise
        raise CheckpointError(f"{_source(folder)}: {error}") from error


def _checked(tokenizer: Any, path: Path) -> Any:
    """Return a tokenizer; raise CheckpointError if it does not read A, C, G and T."""
    codes = np.random.default_rng(0).integers(0, 4, (1, _TESTED), dtype=np.uint8)
    encoding = tokenizer.encode(codes)
    if not tokenizer.names_bases(encoding.ids)[encoding.is_base].all():
        raise CheckpointError(
            f"{path} reads a sequence of A, C, G and T as unknown tokens, so that all sequences would look alike; "
            "expected k-mers, blocks or single bases, or pieces of byte-pair encoding."
        )
    return tokenizer


def read_tokenizer_file(path: Path) -> Any:
    """Return the tokenizer of a tokenizer.json, of genoformer or of Hugging Face; raise CheckpointError for another file."""
    text = _text(path)
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a tokenizer file ({error}); give the path of a tokenizer.json.") from error
    if isinstance(fields, dict) and "tokenizer" in fields:
        return load_tokenizer(path)
    return _checked(_of_library(path, text), path)


def _read(folder: Path) -> Any:
    if (folder / DNA_CONFIG).is_file():
        return _above_text(folder)
    if (folder / VOCAB).is_file() or not (folder / TOKENIZER).is_file():
        tokens = _lines(folder / VOCAB)
        try:
            return _of_kmers(tokens) or _of_blocks(tokens, end=_ends(folder))
        except CheckpointError as error:
            if not (folder / TOKENIZER).is_file():
                k = len(tokens[-1]) if tokens else 0
                return _pieces(
                    folder / VOCAB,
                    tokens,
                    f"DNABERT's vocabulary for k = {k} in DNABERT's order, nor blocks of bases ({error})",
                )
    return _of_library(folder / TOKENIZER, _text(folder / TOKENIZER))


def _of_library(path: Path, text: str) -> Any:
    """Return the tokenizer of a tokenizer.json of the `tokenizers` library."""
    tokenizer = BPETokenizer(text)
    fields = json.loads(text)
    if (blocks := _among_text(fields, tokenizer)) is not None:
        return blocks
    _refuse_text(path, tokenizer)
    letters = {token.upper() for token in tokenizer.vocab if token and set(token.upper()) <= set("ACGT")}
    if letters == set("ACGT"):  # one token per base: base probabilities are defined
        return tokenizer.as_blocks()
    kind = fields["model"].get("type", "BPE")
    if kind in ("WordPiece", "WordLevel"):
        return _of_words(path, tokenizer, kind)
    if kind != "BPE":
        raise CheckpointError(
            f"{path} holds a {kind} model, which is not read; expected byte-pair encoding, or a WordLevel or "
            "WordPiece vocabulary of k-mers, blocks or single bases."
        )
    return tokenizer


def _of_words(path: Path, tokenizer: BPETokenizer, kind: str) -> Tokenizer:
    """Return the tokenizer of a WordPiece or WordLevel vocabulary, whose words are k-mers, blocks or pieces of DNA."""
    tokens = tokenizer.names
    if (kmers := _of_kmers(tokens)) is not None:
        return kmers
    try:
        return tokenizer.as_blocks()
    except CheckpointError as error:
        not_these = f"DNABERT's k-mers in DNABERT's order, nor blocks of bases ({error})"
        return _pieces(path, tokens, f"a {kind} vocabulary of {not_these}")


def _of_kmers(tokens: Sequence[str]) -> KmerTokenizer | None:
    """Return the tokenizer of overlapping k-mers if these are its tokens in its order."""
    k = len(tokens[-1]) if tokens else 0
    return KmerTokenizer(k) if 1 <= k <= 8 and list(KmerTokenizer(k).vocab) == list(tokens) else None


def _of_blocks(tokens: Sequence[str], *, end: bool) -> BlockTokenizer:
    """Return the tokenizer of blocks with these tokens: on a grid if there are no single letters, as in GENERator.

    GENERator's tokenizer cuts every 6 bases; what is none of its blocks, because of an N or at the end, is one <oov>.
    """
    return BlockTokenizer(tokens, start=True, end=end, grid=not set("ACGT") & set(tokens))


def _pieces(path: Path, tokens: Sequence[str], not_these: str) -> BPETokenizer:
    """Return the tokenizer of a list of BPE pieces; not_these: the other vocabularies, for the message."""
    try:
        return BPETokenizer.from_pieces(tokens)
    except CheckpointError as error:
        raise CheckpointError(
            f"{path} is not {not_these}, nor pieces of byte-pair encoding ({error}); other BERTs are not read."
        ) from error


# --- blocks of DNA in a vocabulary of text


def _above_text(folder: Path) -> BlockTokenizer:
    """Return the tokenizer of Carbon's dna_config.json: special tokens, then blocks with the digits A, T, C, G.

    Their ids begin at dna_start_id, the size of the vocabulary of text, whose tokens no sequence of DNA has. A sequence begins
    with <dna>; a block with another letter is <oov>, and the bases after the last whole block are filled up with A.
    """
    path, fields, config = folder / DNA_CONFIG, read_json(folder / DNA_CONFIG), read_json(folder / "config.json")
    try:
        k, first, special = int(fields["k"]), int(fields["dna_start_id"]), [str(name) for name in fields["dna_special_tokens"]]
        n_blocks = int(fields.get("dna_vocab_size", len(special) + 4**k))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}; expected k, dna_start_id and dna_special_tokens.") from error
    if not 1 <= k <= 8 or not 0 < first <= 1 << 24 or n_blocks < len(special) + 4**k or "<dna>" not in special:
        raise CheckpointError(
            f"{path}: k = {k}, dna_start_id = {first}, {n_blocks} tokens of DNA, {special}; expected k from 1 to 8, a "
            "vocabulary of text below the blocks, room for all of them, and the token <dna>."
        )
    pad = config.get("pad_token_id")
    names = [f"<text{i}>" for i in range(first)]
    names[pad if isinstance(pad, int) and 0 <= pad < first else 0] = "<pad>"  # no token of DNA, so that it marks padding
    blocks = ["".join(bases) for bases in product("ATCG", repeat=k)]
    return BlockTokenizer([*names, *special, *blocks], grid=True, filled=True)


def _among_text(fields: dict[str, Any], tokenizer: BPETokenizer) -> BlockTokenizer | None:
    """Return the tokenizer of the blocks that a tokenizer.json adds to a vocabulary of text with <dna>; None if it has none."""
    added = {int(token["id"]): str(token["content"]) for token in fields.get("added_tokens") or []}
    blocks = [name for name in added.values() if name and set(name) <= set("ACGT")]
    if "<dna>" not in added.values() or len(blocks) < 4:
        return None
    return BlockTokenizer([added.get(i, f"<text{i}>") for i in range(tokenizer.n_vocab)], grid=True, filled=True)


def _refuse_text(path: Path, tokenizer: BPETokenizer) -> None:
    """Raise CheckpointError for a vocabulary of words, which would cut DNA as if it were text."""
    words = [token for token in tokenizer.vocab if token.isalpha() and len(token) > 1 and set(token.upper()) - set("ACGTN")]
    if len(words) > _MOST_WORDS:
        raise CheckpointError(
            f"{path} is a vocabulary of text with words such as {min(words)!r}; only vocabularies of DNA are "
            f"read, or of text with a {DNA_CONFIG} as Carbon has it, and {READ}."
        )


# --- files


def _source(folder: Path) -> Path:
    """Return the file that a vocabulary is read from."""
    return next((folder / name for name in (DNA_CONFIG, VOCAB) if (folder / name).is_file()), folder / TOKENIZER)


def _ends(folder: Path) -> bool:
    """True if the tokenizer adds a token at the end of a sequence."""
    path = folder / TOKENIZER_CONFIG
    return path.is_file() and bool(read_json(path).get("eos_token") or read_json(path).get("sep_token"))


def _lines(path: Path) -> list[str]:
    if not os.path.lexists(path):
        raise CheckpointError(
            f"{path.parent} has no {VOCAB} or {TOKENIZER}, one of which holds the tokenizer; copy the whole model folder."
        )
    return _text(path).split()


def _text(path: Path) -> str:
    try:
        refuse_device(path)
        refuse_pointer(path, CheckpointError)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); copy the model folder again.") from error
