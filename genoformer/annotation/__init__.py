"""Overlap of variants with elements and genes, look-ups of their alleles in other files, and enrichment over controls."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath

from genoformer.annotation.elements import Elements, read_files, require_key
from genoformer.annotation.genes import FLANK, PROMOTER, read_gene_map, read_sites
from genoformer.annotation.lookup_files import describe_file, is_lookup, split_fields
from genoformer.annotation.lookups import Lookup
from genoformer.annotation.overlap import Annotations
from genoformer.errors import ConfigError
from genoformer.formats.bed import named_file
from genoformer.formats.bed_columns import Columns, columns_by_file
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

    files: may include the GTF or GFF3, and files that are looked up by allele or position (VCF, BCF, bigWig, table; also
    NAME=FILE:FIELD,...), of which only the headers are read now. columns: layout of the files, as in `--columns`
    (docs/files.md). tss: a BED of TSSs, instead of a GTF. promoter: bases upstream and downstream of each TSS. flank: bases
    beyond a gene.

    Raises: MissingFileError; FileFormatError with the line number; ConfigError for a name that is not a valid INFO key.

    >>> from importlib.resources import files
    >>> demo = files("genoformer_data") / "demo"
    >>> annotations = read_annotations(f"STATE={demo / 'states.bed.gz'}", demo / "genes.gtf.gz")
    >>> annotations.keys
    ['STATE', 'GF_PART', 'GF_GENE', 'GF_TSS', 'GF_TSS_DISTANCE']
    """
    files = [files] if isinstance(files, str | PathLike) else files
    gtfs = [path for _, path in map(named_file, files) if is_gene_file(path)] + ([gtf] if gtf else [])
    if len(gtfs) + bool(tss) > 1:
        raise ConfigError(
            f"found {len(gtfs) + bool(tss)} files of genes or TSSs, expected one GTF, GFF3 or BED of TSSs; leave some out."
        )
    genes = read_gene_map(gtfs[0], promoter=promoter, flank=flank) if gtfs else read_sites(tss) if tss else None
    others = [file for file in files if not is_gene_file(file)]
    layouts = columns_by_file(columns, [split_fields(file)[0] for file in others])
    lookups = [file for file in others if is_lookup(*split_fields(file)[1:], layouts.for_file(split_fields(file)[0]))]
    elements = read_files([file for file in others if file not in lookups], layouts)
    return Annotations(elements, genes, read_lookups(lookups, layouts, elements))


def read_lookups(files: Sequence[str | PathLike[str]], layouts: Columns, others: Sequence[Elements] = ()) -> list[Lookup]:
    """Read the headers of files that are looked up, whose names and keys are not those of the other annotations.

    Raises: as `read_annotations`.
    """
    lookups: list[Lookup] = []
    names, keys = {of.name for of in others}, {field.key for of in others for field in of.fields}
    for file in files:
        name, path, fields = split_fields(file)
        require_key(name, file)
        lookup = Lookup(describe_file(name, path, fields, layouts.for_file(name)))
        own = [field.key for field in lookup.fields]
        both = {key for key in own if key in keys or own.count(key) > 1}
        if both:
            raise ConfigError(f"{fspath(file)}: another has the key {min(both)}; give NAME=FILE with another name.")
        if name in names:
            raise ConfigError(f"{fspath(file)}: another file has the name {name}; give NAME=FILE:FIELD,... once for each name.")
        names.add(name)
        keys |= set(own)
        lookups.append(lookup)
    return lookups
