"""Variants of a program (objects, tuples, ids, a DataFrame) -> a VCF without genotypes or annotations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoformer.errors import ConfigError
from genoformer.formats.variant_table import table_of_frame
from genoformer.genome.table_variants import vcf_text
from genoformer.genome.variant_input import VariantSource
from genoformer.genome.variants import Variant

if TYPE_CHECKING:
    from genoformer.genome.reference import Genome

_END_OF_FIELD = re.compile(r"[\s,\x00-\x1f]")  # characters that end a field of a VCF, or an ALT


def variants_of(variants: Any, path: Path, genome: Genome | None = None) -> VariantSource:
    """Return variants as a job takes them: paths and ids as they are, and the path of a new VCF for other objects."""
    if isinstance(variants, str | Path):
        return variants
    if isinstance(variants, list | tuple) and variants and all(isinstance(text, str) for text in variants):
        return tuple(variants)
    return write_variants(path, variants, genome)


def write_variants(path: Path, variants: Any, genome: Genome | None = None) -> Path:
    """Write variants to a VCF, in their order, and return its path.

    variants: a Variant, or several, or tuples (chrom, pos, ref, alt), pos 1-based, or a DataFrame with columns of these or
    other usual names, which keeps its further columns. genome: tells which of effect and other allele is REF. Raises
    ConfigError for values that a VCF line cannot hold, and for a DataFrame without variants.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_variants(Path(folder, "in.vcf"), [Variant("chr1", 5, "A", "T")]).read_text().splitlines()[-1].split("\\t")[:5]
    ['chr1', '5', '.', 'A', 'T']
    """
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    if hasattr(variants, "itertuples"):
        table = table_of_frame(variants, "the table of variants")
        if table is None:
            missing = [name for name in Variant._fields if name not in variants.columns]
            raise ConfigError(f"the table of variants has no column {', '.join(missing)}; give chrom, pos, ref and alt.")
        made, _ = vcf_text(table, genome)
        path.write_text("".join(f"{line}\n" for line in made), encoding="utf-8")
        return path
    for row in [variants] if isinstance(variants, Variant) else variants:
        variant = variant_from(row)
        lines.append(f"{variant.chrom}\t{variant.pos}\t.\t{variant.ref}\t{variant.alt}\t.\t.\t.")
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return path


def variant_from(row: Any) -> Variant:
    """Return the Variant of a tuple (chrom, pos, ref, alt); raise ConfigError for values that a VCF line cannot hold."""
    try:
        chrom, pos, ref, alt = row
        variant = Variant(str(chrom), int(pos), str(ref), str(alt))
    except (TypeError, ValueError) as error:
        raise ConfigError(f"variant {row!r}: give Variant(chrom, pos, ref, alt) with a 1-based pos.") from error
    if not all(text and not _END_OF_FIELD.search(text) for text in (variant.chrom, variant.ref, variant.alt)):
        raise ConfigError(f"variant {row!r}: chrom, ref and alt are words without blanks or commas; give one ALT each.")
    return variant
