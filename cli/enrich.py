"""Define the command genoformer enrich."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options as shared
from .annotate import annotation_options, read_annotation_options, refuse_file
from .json_output import json_option, print_json, table_rows
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Test variants for overlaps with elements.")
@click.argument("variants", type=shared.PathOrAddress())
@annotation_options
@shared.regions("Compare only variants and controls that overlap")
@click.option(
    "--background",
    default="auto",
    show_default=True,
    type=shared.PathOrAddress(),
    help="Controls: a VCF, a table of variants or a BED; auto draws random loci on the contigs.",
)
@click.option(
    "-f",
    "--fasta",
    type=shared.PathOrAddress(),
    help="Reference genome (FASTA), needed to match GC, and for a table with effect and other allele; random controls avoid N.",
)
@click.option(
    "--sizes", metavar="NAME", help="Contig lengths for auto without a FASTA: hg19, hg38 ..., or a file of contigs and lengths."
)
@click.option(
    "--exclude",
    type=click.Path(),
    multiple=True,
    metavar="BED",
    help="Regions without random controls, such as gaps or a blacklist; may be repeated.",
)
@click.option(
    "--match", metavar="NAMES", help="Properties to match: some of af,tss,gc, or none.  [default: all that are known]"
)
@click.option("--af-key", default="AF", show_default=True, metavar="KEY", help="INFO key of the allele frequency.")
@click.option(
    "--trait", metavar="KEY", help="INFO key (for a BED, column number) of the trait; gives a matrix of traits by annotations."
)
@click.option(
    "--score",
    metavar="KEY",
    help="Score, such as LLR, or its INFO key: compare variants of the largest |score| with the others.",
)
@click.option(
    "--top",
    type=float,
    multiple=True,
    default=[0.01],
    show_default=True,
    metavar="FRACTION",
    help="Fraction of the variants that count as the largest; may be repeated.",
)
@click.option(
    "--prune",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="BASES",
    help="Keep only the first of variants closer than BASES (per trait).",
)
@click.option(
    "--resamplings",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Number of permutations and of control sets.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help=shared.SEED_HELP)
@click.option(
    "--controls",
    type=click.IntRange(min=1),
    default=200_000,
    show_default=True,
    help="Number of random controls that auto draws.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="FOLDER",
    help="Folder for tables and figures; without it, a table is printed on stdout.",
)
@json_option
@click.pass_context
def enrich(ctx: click.Context, variants: str, output: str | None, as_json: bool, **options: Any) -> None:
    """Test if VARIANTS lie in elements more often than matched controls, or which elements hold the sum of a bigWig.

    \b
    genoformer enrich lead_snps.bed -a CTCF=ctcf.narrowPeak --tss tss.bed --sizes hg19 \\
        --trait 5 -o enriched
    genoformer enrich mine.vcf.gz -a STATE=states.bed --gtf genes.gtf -f hg38.fa \\
        --background 1000G.vcf.gz -o enriched
    genoformer enrich scored.vcf.gz -a STATE=states.bed --score GF_LLR --top 0.05 -o enriched
    genoformer enrich attention.bw -a STATE=states.bed -o enriched

    VARIANTS is a VCF, a BCF, a BED, a table of variants, or a table (TSV, Parquet) that `genoformer score` wrote. Controls
    are matched by bins of allele frequency, TSS distance, local GC and length. The boxes show 1,000 control sets, each with
    one control per variant. P is one-sided, from as many permutations of variants and controls within the bins, and at
    least 1/(n+1); q is that of Benjamini and Hochberg. Variants in LD are treated as independent: prune them first
    (--prune, or by r2).
    """
    from genoformer.annotation.variant_regions import refuse_remote_bed
    from genoformer.tables import tsv_line

    from .output_lock import lock_outputs

    for source in (variants, options["background"]):
        refuse_remote_bed(source)
    lock_outputs(output)
    is_track = Path(variants).suffix.lower() in (".bw", ".bigwig")
    _refuse_ineffective(ctx, is_track=is_track)
    if output is not None:
        refuse_file(output, "-o")
    annotations = read_annotation_options(options)
    enrich_one = _enrich_track if is_track else _enrich_variants
    rows, lines = enrich_one(variants, annotations, output, options)
    if as_json:
        intervals = {"fold": ("low", "high")} if "low" in rows[0] else {}
        print_json({"annotations": table_rows(rows, intervals)})
    elif output is None:
        for row in rows:
            click.echo(tsv_line(map(str, row)))
    for line in lines:
        print_note(line)
    if output is not None and not as_json:
        _show(rows)


def _enrich_track(track: str, annotations: Any, output: str | None, options: dict[str, Any]) -> tuple[Any, list[str]]:
    """Return the table and the notes of the signal of a track in annotations."""
    from genoformer.annotation.figures import mass_rows, write_mass
    from genoformer.annotation.mass import mass_in_elements

    share = mass_in_elements(track, annotations, resamplings=options["resamplings"], seed=options["seed"])
    if output is not None:
        write_mass(Path(output), share, Path(track).name)
    return mass_rows(share), [f"{share.n_bases:,} bases with a value"]


def _enrich_variants(variants: str, annotations: Any, output: str | None, options: dict[str, Any]) -> tuple[Any, list[str]]:
    """Return the table and the notes of the enrichment of variants in annotations."""
    from genoformer.annotation.figures import enrichment_rows, write_study
    from genoformer.annotation.request import EnrichmentRequest
    from genoformer.annotation.study import run_enrichment
    from genoformer.annotation.study_result import describe
    from genoformer.genome.reference import Genome

    from .progress import progress_bar

    fasta = options.pop("fasta")
    genome = Genome(fasta) if fasta else None
    request = EnrichmentRequest.from_names(variants, annotations, genome=genome, **shared.with_regions(options))
    with progress_bar("steps") as progress:
        study = run_enrichment(request, progress=progress)
    if output is not None:
        write_study(Path(output), study)
    return enrichment_rows(study), describe(study)


def _refuse_ineffective(ctx: click.Context, *, is_track: bool) -> None:
    """Raise ConfigError for an option that the other options make ineffective."""
    from genoformer.errors import ConfigError

    options = {
        parameter.name: parameter.opts[-1]
        for parameter in ctx.command.params
        if parameter.name and ctx.get_parameter_source(parameter.name) is click.core.ParameterSource.COMMANDLINE
    }
    of_tracks = {"variants", "files", "columns", "resamplings", "seed", "output", "as_json"}
    if is_track:
        for name, option in options.items():
            if name not in of_tracks:
                raise ConfigError(f"{option} is for variants, but {ctx.params['variants']} is a bigWig; leave it out.")
    for name in ("exclude", "sizes", "controls"):
        if name in options and (ctx.params["background"] != "auto" or "score" in options):
            raise ConfigError(f"{options[name]} is for random controls, but the controls are others; leave it out.")
    if "top" in options and "score" not in options:
        raise ConfigError("--top needs --score; give --score, or leave --top out.")


def _show(rows: Any) -> None:
    """Print the table on stderr, in aligned columns."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print_note("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
