"""Variants as a user has them (VCF, BCF, pipe, table, ids, DataFrame) -> the path of a VCF, and notes on how they were read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genoformer.addresses import readable_address, refuse_address
from genoformer.formats.remote_vcf import copy_vcf
from genoformer.formats.variant_ids import is_rsid, parse_variant_id
from genoformer.formats.variant_table import VariantTable, open_variant_table, table_of_ids
from genoformer.formats.vcf_text import ENCODING, ERRORS, seekable_copy
from genoformer.genome.region_text import Interval
from genoformer.genome.table_variants import vcf_text

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

VariantSource = str | Path | Sequence[str]  # path of a VCF, a BCF or a table; "-"; an id such as chr20:1050100:A:G, or several


class VariantInput(NamedTuple):
    """A VCF or BCF that can be read several times, its name in messages, and notes on a table that it was made of."""

    path: Path
    name: str
    notes: tuple[str, ...] = ()


def input_name(source: VariantSource) -> str:
    """Return the name of variants in messages: the path, an id, or the number of ids."""
    if isinstance(source, str | Path):
        return str(source)
    return source[0] if len(source) == 1 else f"{len(source)} variants"


def is_variant(source: Any) -> bool:
    """True for the id of a variant, or an rsID, that is not the name of a file."""
    return isinstance(source, str) and (parse_variant_id(source) is not None or is_rsid(source)) and not Path(source).exists()


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
def table_file(table: VariantTable, genome: Genome | None) -> Iterator[VariantInput]:
    """Yield a temporary VCF of a table."""
    with tempfile.TemporaryDirectory(prefix="genoformer-") as folder:
        path = Path(folder, "variants.vcf")
        lines, conversion = vcf_text(table, genome)
        with path.open("w", encoding=ENCODING, errors=ERRORS, newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
        yield VariantInput(path, table.name, tuple(conversion.notes()))
