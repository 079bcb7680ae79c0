"""Inputs of the functions of `genoformer.api`: a genome, a region and a model, each by name or as an object."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoformer.errors import ConfigError
from genoformer.genome.reference import Genome

if TYPE_CHECKING:
    from genoformer.models.base import Need

Fasta = str | Path | Genome


def opened(fasta: Fasta) -> AbstractContextManager[Genome]:
    """Return a context with the genome; it is closed at the end unless it was already open."""
    if isinstance(fasta, Genome):
        return nullcontext(fasta)
    if not isinstance(fasta, str | Path):
        raise ConfigError(f"fasta is a {type(fasta).__name__}; give the path of a FASTA, or a Genome.")
    return Genome(fasta)


def one_region(genome: Genome, region: str) -> tuple[str, int, int]:
    """Return contig, start and end (0-based half-open) of one region of a genome; ConfigError for several."""
    from genoformer.inference.regions import resolve_regions

    if not isinstance(region, str):
        raise ConfigError(f"region is {region!r}; give one text such as 'chr1:1-200,000', from 1.")
    resolved = resolve_regions(genome, region=region).intervals
    rows = [(chrom, start, end) for chrom, intervals in resolved.items() for start, end in intervals.tolist()]
    if len(rows) > 1:
        raise ConfigError(f"{region} has {len(rows):,} regions, expected one; call the function for each.")
    return rows[0]


def loaded_model(model: Any, *needs: Need) -> Any:
    """Load a model from its name or folder, or return a loaded model; it must have the needed capabilities."""
    from genoformer.models.base import Model, require
    from genoformer.models.registry import load

    if isinstance(model, str | Path):
        return load(model, *needs)
    if not isinstance(model, Model):
        raise ConfigError(f"model is a {type(model).__name__}; give the name of a model, its folder, or a loaded model.")
    require(model, *needs)
    return model


def named_or_loaded(model: Any) -> Any:
    """Return the name or folder of a model, or a loaded model that is checked; of several, a tuple of them."""
    if isinstance(model, list | tuple):
        return tuple(map(named_or_loaded, model))
    return model if isinstance(model, str | Path) else loaded_model(model)
