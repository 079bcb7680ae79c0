"""Codes -> token ids and the bases of each token: k-mers (DNABERT's vocabulary), single bases, blocks of bases, BPE."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from genoformer.errors import CheckpointError
from genoformer.formats.pointers import refuse_pointer
from genoformer.formats.text import refuse_device
from genoformer.tokenizers.base import CLS, MASK, PAD, SEP, SPECIAL, UNK, Encoding, MaskedWindows, Tokenizer
from genoformer.tokenizers.blocks import BlockTokenizer
from genoformer.tokenizers.bpe import BPETokenizer
from genoformer.tokenizers.kmer import BaseTokenizer, KmerTokenizer, kmer_numbers

__all__ = [
    "CLS",
    "MASK",
    "PAD",
    "SEP",
    "SPECIAL",
    "TOKENIZERS",
    "UNK",
    "BPETokenizer",
    "BaseTokenizer",
    "BlockTokenizer",
    "Encoding",
    "KmerTokenizer",
    "MaskedWindows",
    "Tokenizer",
    "kmer_numbers",
    "load_tokenizer",
    "save_tokenizer",
]


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Write tokenizer.json."""
    path.write_text(json.dumps(tokenizer.to_dict(), indent=1) + "\n", encoding="utf-8")


def load_tokenizer(path: Path) -> Tokenizer:
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


class Tokenizers(dict[str, type[Tokenizer]]):
    """Classes of tokenizers by the name that tokenizer.json and the table [tokenizer] of a configuration have.

    A tokenizer is called with text, `TOKENIZERS["kmer"](6)("ACGTACG")`, and `decode` returns text.

    >>> TOKENIZERS
    Tokenizers(blocks: BlockTokenizer, bpe: BPETokenizer, kmer: KmerTokenizer, base: BaseTokenizer)
    """

    def __repr__(self) -> str:
        return f"Tokenizers({', '.join(f'{name}: {kind.__name__}' for name, kind in self.items())})"


def tokenizers_in(package: str, folders: Iterable[str]) -> Tokenizers:
    """Return the tokenizers of the modules of a package by name; each module lists its own in `TOKENIZERS`.

    folders: those of the package, its `__path__`.
    """
    modules = [import_module(f"{package}.{module.name}") for module in iter_modules(folders)]
    return Tokenizers((kind.name, kind) for module in modules for kind in getattr(module, "TOKENIZERS", ()))


TOKENIZERS = tokenizers_in(__name__, __path__)
