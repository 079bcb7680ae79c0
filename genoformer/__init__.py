"""genoformer: FASTA + VCF/BED -> codes -> tokens or one-hot -> encoder or long-range model -> scores, tracks, maps.

The public names below are resolved on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

__all__ = [
    "Alleles",
    "Encoder",
    "EncoderConfig",
    "Encoding",
    "Genome",
    "KmerTokenizer",
    "SCORES",
    "TOKENIZERS",
    "Variant",
    "annotate_variants",
    "enrich_variants",
    "load",
    "place_alleles",
    "preflight",
    "read_annotations",
    "read_variants",
    "save",
    "score_variants",
    "simulate",
]

_HOME = {
    "Alleles": "genome.variants",
    "Encoder": "models.encoder",
    "EncoderConfig": "models.encoder",
    "Encoding": "tokenizers",
    "Genome": "genome.reference",
    "KmerTokenizer": "tokenizers",
    "SCORES": "scoring.scores",
    "TOKENIZERS": "tokenizers",
    "Variant": "genome.variants",
    "annotate_variants": "annotation.run",
    "enrich_variants": "annotation.study",
    "load": "models.checkpoint",
    "place_alleles": "genome.variants",
    "preflight": "genome.preflight",
    "read_annotations": "annotation",
    "read_variants": "genome.variants",
    "save": "models.checkpoint",
    "score_variants": "scoring.run",
    "simulate": "simulation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"genoformer has no {name!r}; its public names are {', '.join(__all__)}")
    value = getattr(import_module(f"genoformer.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
