"""Which elements and genes variants lie in, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

from genoformer.annotation.elements import STATES, Elements, read_annotations, read_elements
from genoformer.annotation.genes import FLANK, PARTS, PROMOTER, GeneMap, read_gene_map, read_sites
from genoformer.annotation.overlap import Annotations
from genoformer.errors import ConfigError

__all__ = [
    "FLANK", "PARTS", "PROMOTER", "STATES", "Annotations", "Elements", "GeneMap", "read", "read_annotations", "read_elements",
    "read_gene_map", "read_sites",
]  # fmt: skip


def read(
    files: Sequence[str | PathLike[str]] = (),
    gtf: str | PathLike[str] | None = None,
    tss: str | PathLike[str] | None = None,
    *,
    promoter: tuple[int, int] = PROMOTER,
    flank: int = FLANK,
) -> Annotations:
    """The elements of files (NAME=FILE, or FILE), and the genes of a GTF or the start sites of a BED with strands.

    promoter: bases before and behind each start site; flank: bases beyond a gene. Of both a GTF and a BED, the BED's start
    sites take the place of the GTF's.

    Raises: MissingFileError; FileFormatError with the line number; ConfigError for a name that INFO cannot have.
    """
    genes = read_gene_map(gtf, promoter=promoter, flank=flank) if gtf else None
    if tss and genes is not None:
        raise ConfigError("--gtf and --tss both have start sites; give one of them.")
    return Annotations(read_annotations(files), read_sites(tss) if tss else genes)
