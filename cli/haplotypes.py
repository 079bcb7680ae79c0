"""Define the commands genoformer haplotypes and genoformer pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from . import options as shared
from .json_output import json_option, print_json
from .merge import print_reused
from .model_option import model_option, print_cautions
from .track_options import class_options, given_options, options_of_heads
from .verbosity import Command, print_note

_common = shared.option_group(
    shared.reference,
    model_option(
        "Track model or fine-tuned model: a folder, or a name from `models list`; several form an ensemble.",
        "model_names",
        multiple=True,
    ),
    click.option("-o", "--output", required=True, type=click.Path(), help="TSV to write."),
    click.option(
        "-s",
        "--scores",
        metavar="NAMES",
        help="Scores, separated by commas.  [default: SAD,SAR501; for a fine-tuned model LOGIT,DIFF]",
    ),
    shared.context,
    shared.strand,
    shared.device,
    shared.force,
    shared.fix,
    shared.precision,
    json_option,
)
_pair_parts = shared.part_size("Number of pairs that a process scores and saves together.  [default: 64]")


@click.command(cls=Command, short_help="Score the phased variants of samples together.")
@click.argument("vcf", type=shared.PathOrAddress())
@_common
@click.option("-b", "--bed", type=click.Path(), help=shared.BED_HELP)
@shared.columns
@shared.regions("Score", each=True)
@click.option("--samples", metavar="NAMES", help="Samples, separated by commas.  [default: all]")
@options_of_heads
@class_options
@shared.compute_options()
@click.pass_context
def haplotypes(
    ctx: click.Context, vcf: str, output: str, bed: str | None, columns: str | None, samples: str | None, **options: Any
) -> None:
    """Score the joint effect of all phased variants of a sample around a region, for each chromosome and in sum (dosage).

    \b
    genoformer haplotypes phased.vcf.gz -f hg38.fa -m borzoi -b promoters.bed -o haplotypes.tsv
    genoformer haplotypes phased.vcf.gz -f hg38.fa -m borzoi -r chr20:1,050,001-1,051,000 -o one.tsv

    The window is centred on the region. Scores compare with the reference; identical chromosomes are predicted once.
    Alleles without phase, of another phase set or of another ploidy are left out and counted. With --fix, records whose REF
    disagrees are read as corrected. If REF and ALT are exchanged, 0 and 1 in the genotypes are exchanged too.
    """
    from pathlib import Path

    from genoformer.errors import ConfigError
    from genoformer.formats.bed_kinds import layout_of
    from genoformer.genome.beyond import placed_regions
    from genoformer.genome.reference import Genome
    from genoformer.scoring.haplotypes import score_haplotypes
    from genoformer.scoring.job import HaplotypeJob

    from .output_lock import lock_outputs

    lock_outputs(None if options["shard"] else output)
    genome = Genome(options["fasta"])
    given = given_options(ctx, *_NOT_OF_JOB, "bed", "columns", "samples", "region", "region_files")
    files = [Path(path) for path in (*([bed] if bed is not None else []), *options["region_files"])]
    if not files and not options["region"]:
        raise ConfigError("found no regions, expected some; give a BED with -b or -R, or a region with -r.")
    regions = [placed.region for placed in placed_regions((*files, *options["region"]), genome, columns)]
    for path in files:
        for note in layout_of(path, columns).notes:
            print_note(f"{path.name}: {note}")
    chosen = [name.strip() for name in samples.split(",")] if samples else None
    job = HaplotypeJob.from_names(vcf, genome, options["model_names"], regions, output, samples=chosen, **given)
    print_cautions(options["model_names"], genome.path, of_variants=True)
    _run(job, score_haplotypes, "regions", options)


@click.command(cls=Command, short_help="Score pairs of nearby variants.")
@shared.variants
@_common
@shared.regions(shared.RECORDS_IN)
@click.option(
    "--within",
    type=click.IntRange(min=1),
    metavar="BASES",
    help="Maximum distance of the two variants in bases.  [default: 500, and at most a quarter of the window]",
)
@options_of_heads
@class_options
@shared.compute_options(_pair_parts)
@click.pass_context
def pairs(ctx: click.Context, vcf: str | tuple[str, ...], output: str, within: int | None, **options: Any) -> None:
    """Score pairs of nearby variants: each alone, both together, and the difference from the sum of the two (NONADD).

    \b
    genoformer pairs in.vcf.gz -f hg38.fa -m borzoi --within 200 -o pairs.tsv

    With --fix, records whose REF disagrees are read as corrected. The table has the corrected position and alleles.
    """
    from genoformer.scoring.job import PairsJob
    from genoformer.scoring.pairs import score_pairs

    from .output_lock import lock_outputs

    lock_outputs(None if options["shard"] else output)
    given = given_options(ctx, *_NOT_OF_JOB, "within")
    job = PairsJob.from_names(vcf, options["fasta"], options["model_names"], within, output, **given)
    print_cautions(options["model_names"], options["fasta"], of_variants=True)
    _run(job, score_pairs, "pairs", options)


_NOT_OF_JOB = (
    "vcf",
    "fasta",
    "model_names",
    "output",
    "assemble",
    "as_json",
)  # parameters of both commands that are no options of the job


def _run(job: Any, score: Callable[..., Any], unit: str, options: dict[str, Any]) -> None:
    """Run a job and print its summary."""
    import sys
    from dataclasses import replace

    from genoformer.genome.wording import counted

    from .progress import progress_bar

    job = replace(job, compute=replace(job.compute, assemble=options["assemble"], command=tuple(sys.argv[1:])))
    with progress_bar(unit) as watch:
        summary = score(job, progress=watch)
    for note in summary.notes:
        print_note(note)
    if job.compute.shard is not None:
        return
    if options["as_json"]:
        print_json({"output": job.output, **summary._asdict()})
        return
    left_out = ", ".join(f"{reason} {n:,}" for reason, n in summary.left_out.items() if n) or "none"
    rows, sequences = counted(summary.n_rows, "row"), counted(summary.n_sequences, "sequence")
    print_note(f"{job.output}: {rows} from {sequences}; left out: {left_out}")
    if summary.fixed:
        print_note("fixed: " + ", ".join(f"{word} {n:,}" for word, n in summary.fixed.items()))
    print_reused(summary.reused, joined=options["assemble"])
