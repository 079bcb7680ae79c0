"""Define the command genoformer predict."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .verbosity import Command, print_note


@click.command(cls=Command)
@click.option("-f", "--fasta", required=True, type=click.Path(), help="Genome FASTA; plain, bgzipped or gzipped.")
@click.option(
    "-m",
    "--model",
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
@click.option("--tracks", metavar="SPEC", help=shared.TRACKS_HELP)
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
def predict(output: str | None, gtf: str | None, elements: tuple[str, ...], plan: bool, **options: Any) -> None:
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

    from genoformer.genome.genes import read_landmarks
    from genoformer.inference import with_runtime
    from genoformer.inference.predict import PredictionRequest, open_prediction
    from genoformer.writers.tracks import TrackOutput, new_sink

    from .output_lock import lock_outputs
    from .progress import progress_bar

    lock_outputs(None if plan else output)
    if output is None and not plan:
        raise click.UsageError("Missing option '-o' / '--output'.")
    with open_prediction(with_runtime(PredictionRequest, **options)) as prediction:
        for note in prediction.notes:
            print_note(f"Note: {note}")
        if output is None or plan:
            click.echo(prediction.cost().text())
            return
        genome, path = prediction.genome, Path(output)
        landmarks = read_landmarks(genome, gtf, elements)
        target = TrackOutput(path, genome.contigs, prediction.tracks, prediction.intervals, landmarks)
        with new_sink(target) as sink, progress_bar("windows") as progress:
            summary = prediction.run(sink, progress=progress)
    n_tracks = len(prediction.tracks)
    tracks = "1 track" if n_tracks == 1 else f"{n_tracks:,} tracks"
    if summary.n_unknown:
        note = f"{summary.n_unknown:,} of the {summary.n_bins:,} bins hold nothing but N (gaps of the assembly)"
        print_note(f"Note: {note}; their predictions have no meaning.")
    windows = "1 window" if summary.n_windows == 1 else f"{summary.n_windows:,} windows"
    bins = f"{summary.n_bins:,} bins of {prediction.config.bin_size}"
    print_note(f"{path}: {tracks} in {bins}, from {windows} in {summary.seconds:,.1f} s")
