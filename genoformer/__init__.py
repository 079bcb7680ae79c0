"""genoformer: FASTA + VCF/BED -> codes -> tokens or one-hot -> encoder or track model -> scores, tracks, maps.

The public names below are imported on first use, so that the import of the package is fast.
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
    "ScoringJob",
    "TOKENIZERS",
    "Variant",
    "annotate",
    "annotate_variants",
    "attention",
    "classify",
    "embed",
    "embed_tokens",
    "enrich_variants",
    "evaluate",
    "expected",
    "finetune",
    "load",
    "mutagenesis",
    "place_alleles",
    "predict",
    "preflight",
    "pull",
    "read_annotations",
    "read_variants",
    "sample",
    "save",
    "score",
    "score_variants",
    "simulate",
]

_HOME = {
    "Alleles": "genome.variants",
    "Encoder": "models.transformer.model",
    "EncoderConfig": "models.transformer.model",
    "Encoding": "tokenizers",
    "Genome": "genome.reference",
    "KmerTokenizer": "tokenizers",
    "SCORES": "scoring.scores",
    "ScoringJob": "scoring.job",
    "TOKENIZERS": "tokenizers",
    "Variant": "genome.variants",
    "annotate": "annotation.table",
    "annotate_variants": "annotation.run",
    "attention": "api",
    "classify": "api",
    "embed": "api",
    "embed_tokens": "api",
    "enrich_variants": "annotation.study",
    "evaluate": "api",
    "expected": "api",
    "finetune": "api",
    "load": "models.registry",
    "mutagenesis": "api",
    "place_alleles": "genome.variants",
    "predict": "api",
    "preflight": "genome.preflight",
    "pull": "api",
    "read_annotations": "annotation",
    "read_variants": "formats.vcf",
    "sample": "inference.sampling",
    "save": "models.registry",
    "score": "api",
    "score_variants": "scoring.plan",
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
