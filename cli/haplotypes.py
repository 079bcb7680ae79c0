"""Define the commands genoformer haplotypes and genoformer pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from . import options as shared
from .track_options import of_tracks, track_options
from .verbosity import Command, print_note

_common = shared.option_group(
    click.argument("vcf", type=click.Path()),
    shared.reference,
    click.option(
        "-m",
        "--model",
        "model_names",
        type=shared.MODEL,
        multiple=True,
        default=["mini-tracks"],
        help="Track model: a folder, or a name from `models list`; several form an ensemble.  [default: mini-tracks]",
    ),
    click.option("-o", "--output", required=True, type=click.Path(), help="TSV to write."),
    click.option(
        "-s", "--scores", metavar="NAMES", default="SAD,SAR501", show_default=True, help="Track scores, separated by commas."
    ),
    shared.context,
    shared.strand,
    shared.device,
    click.option("--force", is_flag=True, help="Continue even if the VCF does not seem to belong to the FASTA."),
    shared.fix,
    shared.precision,
)


@click.command(cls=Command)
@_common
@click.option("-b", "--bed", required=True, type=click.Path(), help="Regions, such as promoters: BED or narrowPeak.")
@shared.columns
@click.option("--samples", metavar="NAMES", help="Samples, separated by commas.  [default: all]")
@track_options
@click.pass_context
def haplotypes(
    ctx: click.Context, vcf: str, output: str, bed: str, columns: str | None, samples: str | None, **options: Any
) -> None:
    """Score the joint effect of all phased variants of a sample around a region, per chromosome and in sum (dosage).

    \b
    genoformer haplotypes phased.vcf.gz -f hg38.fa -b promoters.bed -o haplotypes.tsv

    The window is centred on the region. Scores compare with the reference; identical chromosomes are predicted once.
    Alleles without phase, of another phase set or of another ploidy are left out and counted. With --fix, records whose REF
    disagrees are read as corrected. If REF and ALT are exchanged, 0 and 1 in the genotypes are exchanged too.
    """
    from pathlib import Path

    from genoformer.formats.bed_kinds import layout_of
    from genoformer.genome.beyond import regions_on
    from genoformer.scoring.haplotypes import score_haplotypes

    def work(genome: Any, scorer: Any, progress: Any) -> Any:
        chosen = [name.strip() for name in samples.split(",")] if samples else None
        regions = [placed.region for placed in regions_on(bed, genome, columns)]
        for note in layout_of(Path(bed), columns).notes:
            print_note(f"{Path(bed).name}: {note}")
        return score_haplotypes(
            Path(vcf),
            genome,
            scorer,
            regions,
            Path(output),
            samples=chosen,
            force=options["force"],
            fix=options["fix"],
            progress=progress,
        )

    _run(ctx, work, output, "regions", options)


@click.command(cls=Command)
@_common
@click.option(
    "--within",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    metavar="BASES",
    help="Maximum distance of the two variants in bases.",
)
@track_options
@click.pass_context
def pairs(ctx: click.Context, vcf: str, output: str, within: int, **options: Any) -> None:
    """Score pairs of nearby variants: each alone, both together, and the difference from the sum of the two (NONADD).

    \b
    genoformer pairs in.vcf.gz -f hg38.fa --within 200 -o pairs.tsv

    With --fix, records whose REF disagrees are read as corrected. The table has the corrected position and alleles.
    """
    from pathlib import Path

    from genoformer.scoring.haplotypes import score_pairs

    def work(genome: Any, scorer: Any, progress: Any) -> Any:
        return score_pairs(
            Path(vcf), genome, scorer, within, Path(output), force=options["force"], fix=options["fix"], progress=progress
        )

    _run(ctx, work, output, "pairs", options)


def _run(ctx: click.Context, work: Callable[..., Any], output: str, unit: str, options: dict[str, Any]) -> None:
    """Open model and genome from the options, run the work, and print its summary."""
    from genoformer import inference
    from genoformer.genome.reference import Genome
    from genoformer.models import registry
    from genoformer.models.base import PredictsTracks
    from genoformer.scoring.scorers import ScoringSpec

    from .output_lock import lock_outputs
    from .progress import progress_bar

    lock_outputs(output)
    genome = Genome(options["fasta"])
    models = tuple(registry.load(name, PredictsTracks) for name in options["model_names"])
    device = inference.resolve_device(options["device"])
    whole = ScoringSpec(
        models,
        genome,
        options["scores"],
        options["context"],
        options["strand"] == "both",
        device,
        options["precision"],
        of_tracks=of_tracks(ctx, models[0], genome),
    )
    with whole.open_scorer() as scorer, progress_bar(unit) as listen:
        found = work(genome, scorer, listen)
    for note in found.notes:
        print_note(note)
    left_out = ", ".join(f"{reason} {n:,}" for reason, n in found.left_out.items() if n) or "none"
    print_note(f"{output}: {found.n_rows:,} rows from {found.n_sequences:,} sequences; left out: {left_out}")
    if found.fixed:
        print_note("fixed: " + ", ".join(f"{word} {n:,}" for word, n in found.fixed.items()))
    if found.reused:
        print_note(f"{found.reused} parts were there from an interrupted run")
