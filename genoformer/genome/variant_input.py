"""Variants as a user has them (VCF, BCF, pipe, table, ids, DataFrame) -> the path of a VCF, and notes on how they were read."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from genoformer.addresses import readable_address, refuse_address
from genoformer.errors import ConfigError, ContigError
from genoformer.formats.remote_vcf import copy_vcf
from genoformer.formats.variant_ids import is_rsid, parse_variant_id
from genoformer.formats.variant_table import VariantTable, open_variant_table, table_of_frame, table_of_ids
from genoformer.formats.vcf import VariantFile, open_vcf
from genoformer.formats.vcf_selection import overlapping
from genoformer.formats.vcf_text import ENCODING, ERRORS, seekable_copy
from genoformer.genome.contigs import ContigIndex, join_names
from genoformer.genome.region_sources import Regions, Selection, empty_notes, select_regions, selection_notes
from genoformer.genome.region_text import Interval
from genoformer.genome.table_variants import vcf_text

if TYPE_CHECKING:
    import pandas as pd

    from genoformer.genome.reference import Genome

# path of a VCF, a BCF or a table; "-"; an id such as chr20:1050100:A:G, or several; a DataFrame
VariantSource: TypeAlias = "str | Path | Sequence[str] | pd.DataFrame"
_FRAME = "the table of variants"  # name of a DataFrame in messages


class VariantInput(NamedTuple):
    """A VCF or BCF that can be read several times, its name in messages, and notes on a table that it was made of."""

    path: Path
    name: str
    notes: tuple[str, ...] = ()


def input_name(source: VariantSource) -> str:
    """Return the name of variants in messages: the path, an id, or the number of ids."""
    if isinstance(source, str | Path):
        return str(source)
    if is_frame(source):
        return _FRAME
    return str(source[0]) if len(source) == 1 else f"{len(source)} variants"


def is_variant(source: Any) -> bool:
    """True for the id of a variant, or an rsID, that is not the name of a file."""
    return isinstance(source, str) and (parse_variant_id(source) is not None or is_rsid(source)) and not Path(source).exists()


def is_frame(source: Any) -> bool:
    """True for a DataFrame."""
    return hasattr(source, "itertuples")


@contextmanager
def variant_file(
    source: VariantSource,
    genome: Genome | None = None,
    name: str | Path | None = None,
    *,
    regions: Sequence[Interval] | None = None,
) -> Iterator[VariantInput]:
    """Yield a VCF with the variants of a source; a table or ids become a temporary VCF, which is removed at the end.

    A file at an https, http or s3 address is first copied to a temporary folder. genome: tells which allele of a table with
    effect and other allele is REF. name: the name in messages, if the source is a copy. regions: of a file with an index at an
    address only records in them are copied; others are not selected here.
    Raises: MissingFileError, FileFormatError for a table that cannot be read; ConfigError for a table that needs a genome.
    """
    shown = str(name) if name is not None else input_name(source)
    if isinstance(source, str) and is_variant(source):
        source = (source,)
    if is_frame(source):
        frame = table_of_frame(source, shown)
        if frame is None:
            raise ConfigError(f"{shown} has no columns of variants; give chrom, pos, ref and alt.")
        with table_file(frame, genome) as made:
            yield made
        return
    if not isinstance(source, str | Path):
        ids = [str(text) for text in source]
        with table_file(table_of_ids(ids, shown), genome) as made:
            yield made
        return
    refuse_address(source, readable=True)
    if (address := readable_address(source)) is not None:
        with tempfile.TemporaryDirectory(prefix="genoformer-") as folder:
            copy = copy_vcf(address, Path(folder), regions, genome.contigs if genome is not None else ())
            with variant_file(copy, genome, shown if name is not None else address) as given:
                yield given
        return
    with seekable_copy(source) as path:
        table = open_variant_table(path, shown)
        if table is None:
            yield VariantInput(path, shown)
            return
        with table_file(table, genome) as made:
            yield made


@contextmanager
def selected_variants(
    source: VariantSource, genome: Genome | None = None, regions: Regions | None = None
) -> Iterator[VariantInput]:
    """Yield a VCF as `variant_file` does, with only the records whose REF overlaps a region; None selects all.

    regions: a value of the option `region`. Names of contigs are those of the genome; without one, those of the VCF.
    Raises: ContigError for a region on a contig that is not there; ConfigError for a region beyond the end of its contig.

    >>> from importlib.resources import files
    >>> with selected_variants(files("genoformer_data") / "demo" / "variants.vcf.gz", regions="chrS1:1-9,000") as given:
    ...     with open_vcf(given.path) as file:
    ...         sum(1 for record in file)
    15
    """
    if regions is None:
        with variant_file(source, genome) as given:
            yield given
        return
    chosen = None if genome is None else select_regions(regions, genome.contigs, genome.name)
    with (
        variant_file(source, genome, regions=chosen.intervals if chosen else None) as given,
        tempfile.TemporaryDirectory(prefix="genoformer-") as folder,
    ):
        known = genome.contigs if genome is not None else _contigs(given)
        chosen = chosen or select_regions(regions, known, given.name)
        assert chosen is not None
        path = Path(folder, "selected.vcf")
        with open_vcf(given.path, name=given.name) as file:
            n_of_contig = _write_selected(file, path, chosen, known)
            notes = [*given.notes, *file.notes, *chosen.notes]
        if genome is not None:
            notes += selection_notes(chosen, genome, n_of_contig, given.name, sum(n_of_contig.values()))
        else:
            _require_contigs(chosen, known, given.name)
            notes += empty_notes(chosen, given.name, sum(n_of_contig.values()))
        yield VariantInput(path, given.name, tuple(notes))


def _contigs(given: VariantInput) -> dict[str, int]:
    """Return the contigs of a VCF, of its header and its records, with their lengths, 0 if unknown."""
    with open_vcf(given.path, name=given.name) as file:
        lengths = dict(file.contig_lengths)
        for record in file:
            lengths.setdefault(record.chrom, 0)
    return lengths


def _write_selected(file: VariantFile, path: Path, chosen: Selection, contigs: Mapping[str, int]) -> Counter[str]:
    """Write the header and the selected records, and return their number on each contig."""
    n_of_contig: Counter[str] = Counter()
    with path.open("w", encoding=ENCODING, errors=ERRORS, newline="\n") as out:
        out.writelines(f"{line}\n" for line in file.header)
        for record in overlapping(file, chosen.intervals, contigs):
            n_of_contig[record.chrom] += 1
            out.write(f"{record.line}\n")
    return n_of_contig


def _require_contigs(chosen: Selection, contigs: Mapping[str, int], name: str) -> None:
    """Raise ContigError for a region on a contig that a VCF does not have, which is a typing error."""
    index = ContigIndex(contigs)
    for region in chosen.named:
        if index.get(region.chrom) is None:
            raise ContigError(
                f"{name} has no contig {region.chrom}, its contigs are {join_names(contigs)}; give a region on one of them."
            )


@contextmanager
def table_file(table: VariantTable, genome: Genome | None) -> Iterator[VariantInput]:
    """Yield a temporary VCF of a table."""
    with tempfile.TemporaryDirectory(prefix="genoformer-") as folder:
        path = Path(folder, "variants.vcf")
        lines, conversion = vcf_text(table, genome)
        with path.open("w", encoding=ENCODING, errors=ERRORS, newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
        yield VariantInput(path, table.name, tuple(conversion.notes()))
