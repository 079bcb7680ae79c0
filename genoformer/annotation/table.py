"""annotate(): variants and files -> a table with a row for each ALT, for notebooks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoformer.annotation import read_annotations
from genoformer.annotation.motif_changes import P_VALUE, motif_annotation
from genoformer.annotation.request import AnnotationRequest
from genoformer.annotation.run import run_annotation
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.option_checks import names_unknown_options
from genoformer.progress_bar import shown_progress
from genoformer.writers.variants import variants_of

if TYPE_CHECKING:
    import pandas as pd

    from genoformer.genome.region_sources import Regions


@names_unknown_options("annotate")
def annotate(
    variants: str | Path | Iterable[Variant] | pd.DataFrame,
    sources: str | Path | Sequence[str | Path],
    fasta: str | Path | Genome | None = None,
    *,
    motifs: str | Path | None = None,
    motif_p: float = P_VALUE,
    region: Regions | None = None,
    progress: bool | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Return the variants with the values of annotation files: a row for each ALT, as `genoformer annotate -o x.tsv` writes it.

    variants: a VCF, BCF or table of variants, or `Variant(chrom, pos, ref, alt)` objects, pos 1-based, or a DataFrame. sources:
    NAME=FILE, or NAME=FILE:FIELD,..., as of the option -a: elements, genes, and files that are looked up by allele or position.
    fasta: reference, which aligns insertions and deletions of files that are looked up by allele, and has the bases around
    motifs. motifs: a file of motifs; each ALT gets the motif that it gains most and the one that it loses most. motif_p:
    the largest P of a hit. region: "chr1:1-200,000", 1-based, or the path of a BED, or several: only records whose REF overlaps
    one are read. options: columns, gtf, tss, promoter and flank, see `read_annotations`. progress: True shows a bar, False
    none, None one if stderr is a terminal.

    Values per ALT are numbers or texts, others are joined by commas; a dot of the VCF and a missing value are missing.

    Raises: as `read_annotations` and `annotate_variants`.

    >>> from importlib.resources import files
    >>> demo = files("genoformer_data") / "demo"
    >>> table = annotate([Variant("chrS1", 6_000, "G", "A")], [f"STATE={demo / 'states.bed.gz'}"])
    >>> list(table.columns[-2:]), len(table)
    (['info', 'STATE'], 1)
    """
    import pandas as pd

    annotations = read_annotations(sources, **options)
    genome = Genome(fasta) if isinstance(fasta, str | Path) else fasta
    with tempfile.TemporaryDirectory() as folder:
        source = variants_of(variants, Path(folder, "in.vcf"), genome)
        out = Path(folder, "out.tsv")
        try:
            changes = None if motifs is None else motif_annotation(motifs, genome, motif_p)
            request = AnnotationRequest(source, annotations, out, genome=genome, motifs=changes, region=region)
            with shown_progress(progress, "records") as report:
                run_annotation(request, progress=report)
        finally:
            if genome is not None and genome is not fasta:
                genome.close()
        names = list(pd.read_csv(out, sep="\t", nrows=0, index_col=False).columns)
        fields = [*annotations.fields, *(changes.fields if changes is not None else [])]
        numbers = {field.key for field in fields if field.type != "String" and (field.is_per_alt or not field.many)}
        added = {field.key for field in fields}
        texts = [name for name in names if name not in (*numbers, "pos", "qual")]
        return pd.read_csv(
            out,
            sep="\t",
            dtype=dict.fromkeys(texts, str),
            na_values={name: [""] if name in added or name == "qual" else ["."] for name in names},
            keep_default_na=False,
            index_col=False,
            encoding_errors="surrogateescape",
        )
