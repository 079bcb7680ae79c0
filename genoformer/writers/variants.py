"""Variants of a program or of a table -> a VCF without a genome, genotypes or annotations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from genoformer.errors import ConfigError
from genoformer.genome.variants import Variant

_END_OF_FIELD = re.compile(r"[\s,\x00-\x1f]")  # characters that end a field of a VCF, or an ALT


def write_variants(path: Path, variants: Any) -> Path:
    """Write variants to a VCF, in their order, and return its path.

    variants: a Variant, or several, or tuples (chrom, pos, ref, alt), pos 1-based, or a table with these columns. Raises
    ConfigError for values that a VCF line cannot hold.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_variants(Path(folder, "in.vcf"), [Variant("chr1", 5, "A", "T")]).read_text().splitlines()[-1].split("\\t")[:5]
    ['chr1', '5', '.', 'A', 'T']
    """
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    if hasattr(variants, "itertuples"):
        if missing := [name for name in Variant._fields if name not in variants.columns]:
            raise ConfigError(f"the table of variants has no column {', '.join(missing)}; give chrom, pos, ref and alt.")
        variants = variants[list(Variant._fields)].itertuples(index=False, name=None)
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
