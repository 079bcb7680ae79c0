"""Overlap of variants with elements and genes, and its enrichment over matched controls."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

from genoformer.annotation.elements import read_files
from genoformer.annotation.genes import FLANK, PROMOTER, read_gene_map, read_sites
from genoformer.annotation.overlap import Annotations
from genoformer.errors import ConfigError
from genoformer.formats.bed import named_file
from genoformer.formats.gtf import is_gene_file

__all__ = [
    "Annotations",
    "read_annotations",
]


def read_annotations(
    files: str | PathLike[str] | Sequence[str | PathLike[str]] = (),
    gtf: str | PathLike[str] | None = None,
    tss: str | PathLike[str] | None = None,
    *,
    promoter: tuple[int, int] = PROMOTER,
    flank: int = FLANK,
    columns: Sequence[str] = (),
) -> Annotations:
    """Read the elements of one or several files (NAME=FILE, or FILE) and the genes of a GTF or GFF3.

    files: may include the GTF or GFF3. columns: layout of the files, as in `--columns` (docs/files.md). tss: a BED of TSSs,
    instead of a GTF. promoter: bases upstream and downstream of each TSS. flank: bases beyond a gene.

    Raises: MissingFileError; FileFormatError with the line number; ConfigError for a name that is not a valid INFO key.
    """
    files = [files] if isinstance(files, str | PathLike) else files
    gtfs = [path for _, path in map(named_file, files) if is_gene_file(path)] + ([gtf] if gtf else [])
    if len(gtfs) + bool(tss) > 1:
        raise ConfigError(
            f"found {len(gtfs) + bool(tss)} files of genes or TSSs, expected one GTF, GFF3 or BED of TSSs; leave some out."
        )
    genes = read_gene_map(gtfs[0], promoter=promoter, flank=flank) if gtfs else read_sites(tss) if tss else None
    return Annotations(read_files([file for file in files if not is_gene_file(file)], columns), genes)
