"""Define the command genoformer predict."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .model_option import model_option, print_cautions
from .verbosity import Command, print_note


@click.command(cls=Command, short_help="Predict tracks, classes or bases.")
@click.argument("data", type=click.Path(), required=False)
@click.option(
    "-f",
    "--fasta",
    type=shared.PathOrAddress(),
    help="Reference genome (FASTA) for regions or a BED; plain, gzipped or bgzipped, or its address (https, s3).",
)
@model_option(
    "Track model, fine-tuned model or language model: a folder, or a name from `models list`; several language models give the "
    "mean of their tracks.",
    multiple=True,
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="Output: .bw (one track or class), .parquet, .tsv, .tsv.gz, .png, or a folder for one bigWig per track or class; of "
    "DATA: .tsv or .parquet; of contact maps: .npz, .tsv, .parquet, .png or a folder; of splice junctions: .tsv or .parquet.",
)
@click.option("-b", "--bed", type=click.Path(), help=shared.BED_HELP)
@shared.columns
@shared.regions("Predict")
@click.option("--contigs", metavar="NAMES", multiple=True, help="Whole contigs: chr20 or chr20,chr21; may be repeated.")
@click.option(
    "--track",
    metavar="NAMES",
    multiple=True,
    help="Tracks of a language model, one value for each base: entropy, information, logprob or constraint; several with "
    "commas; may be repeated.",
)
@click.option(
    "--stride",
    type=click.IntRange(min=1),
    metavar="BASES",
    help="Distance of the bases of a window that one pass of a language model masks together. This is faster; the change of "
    "the values is measured on a sample and printed.  [default: one base in each pass]",
)
@shared.phases
@click.option("--tracks", metavar="SPEC", help=shared.TRACKS_HELP)
@shared.targets
@shared.heads
@shared.scale
@shared.contexts
@click.option(
    "--classes",
    metavar="NAMES",
    multiple=True,
    help="Classes of a fine-tuned model: enhancer or enhancer,promoter; may be repeated.  [default: all; in regions, of two "
    "classes the second]",
)
@click.option(
    "--context",
    type=int,
    metavar="BASES",
    help="Length of the windows of a fine-tuned model, at most its own, or of a language model.  "
    "[default: that of its training]",
)
@click.option(
    "--step",
    type=int,
    metavar="BASES",
    help="Distance of the windows of a fine-tuned model, and length of a bin.  [default: half of the window]",
)
@click.option(
    "--calls", type=click.Path(), help="BED of the windows at or above the threshold, merged where they overlap or touch."
)
@click.option(
    "--threshold", type=float, metavar="VALUE", help="Least probability (or value) of a call.  [default: 0.5 for probabilities]"
)
@shared.strand_with_default(
    "forward for tracks, where both needs a table of strand pairs; both for a language model; a fine-tuned model: as in its "
    "training"
)
@shared.device
@shared.precision
@shared.batch_size
@shared.compute_options(
    shared.part_size(
        "Windows (or sequences, or bases of tracks of a language model) that a process predicts and saves together.  "
        "[default: chosen automatically]"
    )
)
@shared.option_group(*shared.drawn_genes)
@click.option(
    "--force",
    is_flag=True,
    help="Replace an existing folder, and existing outputs of a fine-tuned or language model in regions.",
)
@click.option("--plan", is_flag=True, help="Print parameters, windows and, for tracks, memory and time, then exit.")
def predict(output: str | None, calls: str | None, plan: bool, force: bool, **options: Any) -> None:
    """Predict tracks or classes for regions, whole contigs or a genome, or the classes of the sequences in DATA.

    A language model predicts tracks of its own with --track, such as the entropy of each base.

    \b
    genoformer predict -f hg38.fa -m MODEL -r chr1:1-200,000 --tracks '*liver*' \\
        --gtf gencode.gtf.gz -o liver.png
    genoformer predict -f hg38.fa -m MODEL --contigs chr20 --tracks 4828 -o k562.bw
    genoformer predict -f hg38.fa -m MODEL -b peaks.bed -o peaks.parquet
    genoformer predict promoters.fa -m FINE_TUNED -o promoters.tsv
    genoformer predict peaks.bed -f hg38.fa -m FINE_TUNED -o peaks.tsv
    genoformer predict -f hg38.fa -m FINE_TUNED --contigs chr20 --step 50 -o promoters.bw \\
        --calls promoters.bed --threshold 0.9
    genoformer predict -f ecoli.fa -m LANGUAGE_MODEL --track entropy,constraint -o ecoli_tracks
    genoformer predict -f ecoli.fa -m LANGUAGE_MODEL --track entropy -b genes.bed -o genes.tsv.gz

    Bins begin at multiples of the model's bin size; the first and last bin of a region are cut at its ends. Windows overlap,
    and only the middle of each is kept. Windows lie on a grid that does not depend on the regions, so the value of a bin does
    not depend on the other requested regions. The files of a folder are named by the tracks' identifiers; tracks.tsv lists
    them. Parquet and TSV have a row for each bin: chrom, start (from 0), end, and a column for each track.

    Several heads (--head A --head B, or --head 'human_*_1bp') are computed in one pass over each window. Their tracks are named
    HEAD:TRACK, and --tracks chooses in each head. Heads with bins of several sizes need a folder of bigWigs.

    With a head of contact maps or splice junctions (AlphaGenome), each region is predicted in one window around its middle, and
    can be at most as long as the window. A map has the bins that the region touches. Junctions are those between the likeliest
    splice sites of the region, as introns (0-based, half-open) with a read count for each tissue.

    With a fine-tuned model in regions, bins begin at multiples of --step. The value of a bin is the probability (or value) of
    the window with the same centre. The window has the length of the model's training, or of --context, and reads N beyond
    the contig. A bin has no value if fewer than half of the bases of its window are known. Calls are whole windows, cut at the
    ends of the contig. Their BED has the columns chrom, start, end, class, score (the largest probability times 1,000; 0 for a
    regression), a dot, and the largest value. An interrupted run resumes with the same command. Existing outputs are kept
    unless --force is given.

    With a language model, each base is masked in the middle of its window as in `score`, so that the values are those of the
    scores ENTROPY and LLR. All tracks share the passes. A base has no value if it is N, or if each token over it holds an N.
    With --stride a pass masks several bases of the middle half of a window. Runs resume, as those of a fine-tuned model.

    DATA is a FASTA, a CSV or TSV with a column sequence, or a BED with -f. The table has the name of each sequence (of a BED:
    chrom, start, end, name and strand) and a column for each class. Logits of the windows of a long sequence are averaged.
    """
    from pathlib import Path

    from genoformer.inference import with_runtime
    from genoformer.inference.predict import open_prediction
    from genoformer.inference.prediction_request import PredictionFiles, PredictionRequest
    from genoformer.option_checks import with_strand

    from .output_lock import lock_outputs
    from .progress import progress_bar

    compute = shared.take_compute(options)
    lock_outputs(*(() if plan or compute.shard else (output, calls)))
    if output is None and not plan:
        raise click.UsageError("Missing option '-o' / '--output'.")
    options["phases"] = None if options["phases"] == "one" else options["phases"]  # that of every other model, too
    options["head"] = options["head"] or None
    drawn = {"gtf": options.pop("gtf"), "elements": options.pop("elements")}
    made = with_runtime(PredictionRequest, compute=compute, **with_strand(shared.with_regions(options)))
    with open_prediction(made) as prediction:
        print_cautions(options["model"], options["fasta"])
        for note in prediction.notes:
            print_note(f"Note: {note}")
        if output is None or plan:
            click.echo(prediction.cost())
            return
        files = PredictionFiles(Path(output), Path(calls) if calls else None, **drawn, force=force)
        with progress_bar(prediction.unit) as progress:
            notes = prediction.write(files, progress)
    for note in notes:
        print_note(note)
