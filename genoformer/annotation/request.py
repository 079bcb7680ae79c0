"""Requests for annotation and enrichment: what the command line and the Python functions ask for, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from genoformer.annotation.matching import MEANING
from genoformer.annotation.motif_changes import MotifAnnotation
from genoformer.annotation.overlap import Annotations
from genoformer.compute import IN_PROCESS, Compute
from genoformer.errors import ConfigError, OptionError
from genoformer.formats.bed import Intervals, read_bed
from genoformer.genome.reference import Genome
from genoformer.genome.region_sources import Regions, region_sources
from genoformer.genome.variant_input import VariantSource
from genoformer.option_checks import check_number
from genoformer.writers import Sink

AUTO = "auto"  # background: random regions


@dataclass(frozen=True)
class AnnotationRequest:
    """Annotation of every record of a VCF with the elements and genes that it overlaps.

    Raises: ConfigError if there are no annotations.
    """

    variants: VariantSource  # VCF, BCF, table of variants or ids such as chr20:1050100:A:G; "-" is standard input
    annotations: Annotations
    output: str | Path | Sink  # the suffix of a path gives the format: VCF, TSV or Parquet
    breakdown: bool = False  # also count records by frequency and element
    af_key: str = "AF"  # INFO key of the allele frequency, for the breakdown
    genome: Genome | None = None  # aligns indels that are looked up by allele; tells REF of effect and other allele
    motifs: MotifAnnotation | None = None  # also the motifs that each allele changes
    compute: Compute = IN_PROCESS
    region: Regions | None = None  # annotate only records whose REF overlaps it, or one of several

    def __post_init__(self) -> None:
        region_sources(self.region)
        if not self.annotations.all and not self.annotations.lookups and self.motifs is None:
            raise ConfigError("found no annotation, expected at least one; give a file (NAME=FILE), genes or motifs.")


@dataclass(frozen=True)
class EnrichmentRequest:
    """Comparison of variants with matched controls in their overlaps with annotations.

    Raises: ConfigError for a value out of its range, or for options that exclude each other.
    """

    variants: VariantSource  # BED, or variants as in `AnnotationRequest`
    annotations: Annotations
    background: str | Path = AUTO  # BED, or variants, of controls; "auto": random regions on the contigs of the variants
    genome: Genome | None = None  # for GC, for random regions without N, and for REF of effect and other allele
    sizes: Mapping[str, int] | None = None  # contig lengths in bases, for random regions without a genome
    exclude: Mapping[str, Intervals] | None = None  # intervals without random controls, by contig
    match_on: Sequence[str] | None = None  # of "af", "tss" and "gc"; None: all that are known
    af_key: str = "AF"  # INFO key of the allele frequency
    trait: str | None = None  # INFO key (of a BED: column number) of the trait; also counts by trait
    score: str | None = None  # INFO key (of a BED: column number) of a score: its largest |values| against the others
    top: float | Sequence[float] = (0.01,)  # fractions of the variants that count as the largest; with `score`
    prune: int = 0  # of variants (of a trait) closer than this number of bases, keep the first
    resamplings: int = 1_000  # permutations, and control sets; the smallest P is 1 / (n + 1)
    seed: int = 0
    controls: int = 200_000  # number of random regions
    region: Regions | None = None  # compare only variants and controls that overlap it, or one of several

    def __post_init__(self) -> None:
        region_sources(self.region)
        self.annotations.refuse_lookups()
        genes = self.annotations.genes
        if not self.annotations.elements and not (genes and genes.pieces):
            raise ConfigError(
                "found no annotation with elements or gene parts, expected at least one; give elements (NAME=FILE) or genes."
            )
        for option, least in (("resamplings", 1), ("controls", 1), ("prune", 0), ("seed", 0)):
            check_number(option, getattr(self, option), least)
        if self.score is not None and not all(0 < top < 1 for top in self.tops):
            tops = ", ".join(map(str, self.tops))
            raise OptionError("top", f"is {tops}, expected fractions between 0 and 1; give one such as 0.01.")
        if self.score is not None and self.trait is not None:
            raise OptionError(
                "score", f"is {self.score} and the trait is {self.trait}, expected one of the two; leave one out."
            )
        if unknown := sorted(set(self.match_on or ()) - set(MEANING)):
            raise OptionError("match_on", f"is {unknown[0]}, expected some of {', '.join(MEANING)}, or none; correct it.")

    @classmethod
    def from_names(
        cls,
        variants: VariantSource,
        annotations: Annotations,
        *,
        sizes: str | Mapping[str, int] | None = None,
        exclude: str | Path | Sequence[str | Path] = (),
        match: str | Sequence[str] | None = None,
        **options: Any,
    ) -> EnrichmentRequest:
        """Build a request from names and paths, as `genoformer enrich` takes them.

        sizes: contig lengths, or the name of an assembly (hg19, hg38 ...), or the path of a table. exclude: paths of BED files.
        match: the names of match_on, as a list or comma-separated; "none": none. options: the other fields.
        Raises: ConfigError as the class does, and the errors of `read_sizes` and `read_bed`.
        """
        from genoformer.annotation.random_regions import read_sizes

        names = match.split(",") if isinstance(match, str) else match
        keys = None if names is None else [name.strip() for name in names if name.strip() not in ("", "none")]
        lengths = read_sizes(sizes) if isinstance(sizes, str) else sizes
        chosen = {"match_on": keys} | options
        return cls(variants, annotations, sizes=lengths, exclude=read_excluded(exclude), **chosen)

    @property
    def tops(self) -> tuple[float, ...]:
        """Fractions of the variants that count as the largest."""
        return tuple(self.top) if isinstance(self.top, Sequence) else (self.top,)

    @property
    def has_random_controls(self) -> bool:
        """True if controls are random regions."""
        return self.background_is_auto and self.score is None

    @property
    def has_own_controls(self) -> bool:
        """True if the variants with smaller scores are the controls of those with the largest."""
        return self.background_is_auto and self.score is not None

    @property
    def background_is_auto(self) -> bool:
        """True if no file of controls is given."""
        return str(self.background) == AUTO


def read_excluded(paths: str | Path | Sequence[str | Path]) -> dict[str, Intervals]:
    """Return the intervals of all BED files by contig."""
    intervals: dict[str, list[Intervals]] = {}
    for path in [paths] if isinstance(paths, str | Path) else paths:
        for contig, rows in read_bed(path).items():
            intervals.setdefault(contig, []).append(rows)
    return {contig: np.concatenate(rows) for contig, rows in intervals.items()}
