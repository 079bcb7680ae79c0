"""Define the command genoformer predict."""

from __future__ import annotations

import click

from . import options as shared
from .verbosity import Command, print_note


@click.command(cls=Command)
@click.option("-f", "--fasta", required=True, type=click.Path(), help="Genome FASTA; plain, bgzipped or gzipped.")
@click.option(
    "-m",
    "--model",
    "model_name",
    type=shared.MODEL,
    required=True,
    help="Track model: a folder (genoformer or enformer-pytorch layout), or a name from `models list`.",
)
@click.option(
    "-o", "--output", type=click.Path(), help="Output: .bw (one track), .parquet, .png, or a folder for one bigWig per track."
)
@click.option("-b", "--bed", type=click.Path(), help="Regions: a BED, peaks or a table.")
@shared.columns
@click.option("-r", "--region", metavar="CHR[:FROM-TO]", help="One region (1-based, inclusive).")
@click.option("--contigs", metavar="NAMES", multiple=True, help="Whole contigs: chr20 or chr20,chr21; may be repeated.")
@shared.tracks
@shared.targets
@shared.head
@click.option(
    "--both-strands/--no-both-strands",
    default=False,
    show_default=True,
    help="Average over both strands; needs a table with the strand pairs of the tracks.",
)
@shared.device
@shared.precision
@shared.batch_size
@click.option("--gtf", type=click.Path(), help="Genes (GTF or GFF3), drawn above the tracks of a .png.")
@click.option(
    "--elements", multiple=True, metavar="[NAME=]BED", help="Elements, drawn above the tracks of a .png; may be repeated."
)
@click.option("--plan", is_flag=True, help="Print parameters, memory and time, then exit; no model is loaded.")
def predict(
    fasta: str,
    model_name: str,
    output: str | None,
    bed: str | None,
    columns: str | None,
    region: str | None,
    contigs: tuple[str, ...],
    spec: str | None,
    targets: str | None,
    head: str | None,
    both_strands: bool,
    device: str,
    precision: str,
    batch_size: int | None,
    gtf: str | None,
    elements: tuple[str, ...],
    plan: bool,
) -> None:
    """Predict tracks for regions, whole contigs, or a whole genome.

    \b
    genoformer predict -f hg38.fa -m MODEL -r chr1:1-200,000 --tracks '*liver*' \\
        --gtf gencode.gtf.gz -o liver.png
    genoformer predict -f hg38.fa -m MODEL --contigs chr20 --tracks 4828 -o k562.bw
    genoformer predict -f hg38.fa -m MODEL -b peaks.bed -o peaks.parquet

    Bins begin at multiples of the model's bin size; the first and last bin of a region are cut to it. Windows overlap, and only
    the middle of each is kept. Windows lie on a grid that does not depend on the regions, so the value of a bin does not
    depend on the other requested regions. The files of a folder are named by the tracks' identifiers; tracks.tsv lists them.
    """
    from pathlib import Path

    from genoformer.errors import ConfigError
    from genoformer.formats.track_table import read_targets
    from genoformer.genome.genes import read_landmarks
    from genoformer.genome.reference import Genome
    from genoformer.inference import resolve_device
    from genoformer.inference.regions import resolve_regions
    from genoformer.inference.track_plan import plan_prediction
    from genoformer.inference.track_prediction import predict_tracks, tracks_of
    from genoformer.inference.track_sinks import new_sink
    from genoformer.models import registry
    from genoformer.models.base import PredictsTracks

    from .output_lock import lock_outputs
    from .progress import progress_bar

    lock_outputs(None if plan else output)
    if output is None and not plan:
        raise click.UsageError("Missing option '-o' / '--output'.")
    device = resolve_device(device)
    with Genome(fasta) as genome:
        names = [name.strip() for text in contigs for name in text.split(",") if name.strip()]
        if contigs and not names:
            raise ConfigError("--contigs names no contigs; name some, or leave it out for the whole genome.")
        asked = resolve_regions(genome, bed=bed, region=region, contigs=names, columns=columns)
        for note in [*genome.notes, *asked.notes]:
            print_note(f"Note: {note}")
        config = registry.load_config(model_name, PredictsTracks)
        tables = registry.read_tables(model_name)
        table = read_targets(targets) if targets else None
        known = tracks_of(config, tables, head, table)
        numbers = known.choose(spec) if spec is not None else list(range(len(known)))
        if both_strands and table is None and config.head_named(head) not in tables:
            raise ConfigError(f"{model_name} does not say which tracks are strand pairs; give their table with --targets.")
        if output is None or plan:
            click.echo(
                plan_prediction(
                    config,
                    asked.intervals,
                    head=head,
                    both_strands=both_strands,
                    device=device,
                    precision=precision,
                    batch_size=batch_size,
                ).text()
            )
            return
        out = Path(output)
        landmarks = read_landmarks(genome, gtf, elements)
        model = registry.load(model_name, PredictsTracks)
        with (
            new_sink(out, genome.contigs, [known[i] for i in numbers], asked.intervals, landmarks) as sink,
            progress_bar("windows") as listen,
        ):
            done = predict_tracks(
                genome,
                model,
                asked.intervals,
                numbers,
                sink,
                head=head,
                batch_size=batch_size,
                precision=precision,
                strand_pairs=known.strand_pairs if both_strands else None,
                device=device,
                progress=listen,
            )
    tracks = "1 track" if len(numbers) == 1 else f"{len(numbers):,} tracks"
    if done.n_unknown:
        note = f"{done.n_unknown:,} of the {done.n_bins:,} bins hold nothing but N (gaps of the assembly)"
        print_note(f"Note: {note}; what the model says of them means nothing.")
    windows = "1 window" if done.n_windows == 1 else f"{done.n_windows:,} windows"
    print_note(f"{out}: {tracks} in {done.n_bins:,} bins of {model.config.bin_size}, from {windows} in {done.seconds:,.1f} s")
