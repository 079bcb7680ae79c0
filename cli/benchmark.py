"""Define the commands of genoformer benchmark."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from . import options as shared
from .json_output import json_option, print_json
from .model_option import print_cautions
from .verbosity import Group, print_note

NAMES = (
    "traitgym-mendelian",
    "traitgym-complex",
    "mpra",
    "gue",
    "genomic-benchmarks",
    "nucleotide-transformer",
    "clinvar-noncoding",
    "eqtl-pairs",
    "caqtl",
    "dsqtl",
    "cagi5",
    "crispri",
)


@click.group(cls=Group, short_help="Run published benchmarks.")
def benchmark() -> None:
    """Run published benchmarks with the metrics of their authors.

    \b
    genoformer benchmark list
    genoformer benchmark run mpra satmut.tsv.gz -f hg38.fa -m mini-human -m mini-tracks
    """


@benchmark.command("list", short_help="List the benchmarks.")
@json_option
def list_names(as_json: bool) -> None:
    """List the benchmarks: kind, assembly, main metric, and where their authors publish the files.

    \b
    genoformer benchmark list
    genoformer benchmark list --json
    """
    from genoformer.benchmarking.texts import list_benchmarks

    rows = list_benchmarks()
    if as_json:
        print_json({"benchmarks": rows})
        return
    for row in rows:
        facts = "; ".join(filter(None, (row["kind"], row["assembly"], row["metric"])))
        click.echo(f"{row['name']:<23} {row['title']} [{facts}]")
        click.echo(f"{'':<23} {row['where']}")


@benchmark.command("run", short_help="Evaluate models, scores and baselines on a benchmark.")
@click.argument("name", type=click.Choice(NAMES), metavar="NAME")
@click.argument("data", type=click.Path(path_type=Path), required=False)
@click.option(
    "-m",
    "--model",
    "models",
    metavar="MODEL",
    multiple=True,
    help="Model, by name or folder; may be repeated. For sequences: a fine-tuned model; {task} in its folder stands for the "
    "name of the task.",
)
@click.option("-f", "--fasta", type=click.Path(path_type=Path), help="Reference genome (FASTA), to score variants with models.")
@click.option(
    "-s",
    "--scores",
    metavar="NAMES",
    help="Scores, separated by commas; several models and files each give those that they have.  [default: those of the model "
    "or the file]",
)
@click.option(
    "--score-file",
    "score_files",
    metavar="NAME=FILE",
    multiple=True,
    help="Output of `score`, or a table of scores, with positions or in the order of the benchmark's rows; may be repeated.",
)
@click.option("--tasks", metavar="NAMES", help="Tasks of sequences, separated by commas.  [default: all of the folder]")
@click.option(
    "--baselines",
    metavar="NAMES",
    help="Baselines of sequences, trained on the training split: kmer_regression, cnn, lstm_attention.",
)
@click.option(
    "--ensemble",
    type=click.Choice(["mean", "ranks", "probe"]),
    multiple=True,
    help="Add the mean of the scores, the mean of their ranks, or a linear probe with held-out chromosomes (for measured "
    "effects: held-out loci); may be repeated.",
)
@click.option(
    "--motifs",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Motifs (MEME, JASPAR, TRANSFAC or HOCOMOCO); a probe of measured effects reads their changes.",
)
@click.option(
    "--sign",
    type=click.Choice(["auto", "plus", "minus", "size"]),
    default="auto",
    show_default=True,
    help="Scores of labelled variants that rank first: high, low or large in absolute value; auto: those of the authors.",
)
@shared.tracks
@shared.context
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    help="Folder for results.tsv, results.json and the scores of models; an interrupted run resumes there.",
)
@click.option("--resamplings", type=click.IntRange(min=1), default=1000, show_default=True, help="Number of bootstrap samples.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help=shared.SEED_HELP)
@shared.device
@json_option
def run(score_files: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Evaluate models, scores and baselines on the benchmark NAME, with 95 % intervals and published figures.

    DATA is the folder or file that the authors publish; `genoformer benchmark list` says where. All models are evaluated on
    the same items, and compared by a paired bootstrap.

    \b
    genoformer benchmark run mpra satmut.tsv.gz -f hg38.fa -m mini-human -m mini-tracks -o mpra
    genoformer benchmark run traitgym-complex complex_traits_matched_9 \\
        --score-file CADD=CADD.parquet --score-file mine=scored.vcf.gz --ensemble probe
    genoformer benchmark run gue GUE -m "runs/{task}" --baselines kmer_regression
    """
    from genoformer.benchmarking.request import BenchmarkRequest
    from genoformer.benchmarking.run import run_benchmark

    from .output_lock import lock_outputs
    from .progress import progress_bar

    lock_outputs(options["out"])
    files = {}
    for text in score_files:
        label, equals, path = text.partition("=")
        if not (label and equals and path):
            raise click.BadParameter(f"{text!r} is not NAME=FILE, such as CADD=cadd.tsv", param_hint="--score-file")
        if label in files:
            raise click.BadParameter(f"{label} names two files, expected a name for each", param_hint="--score-file")
        files[label] = Path(path)
    further = {
        key: value for key, value in (("tracks", options.pop("spec")), ("context", options.pop("context"))) if value is not None
    }
    for key in ("scores", "tasks", "baselines"):
        options[key] = options[key] or ()
    command = f"genoformer {shlex.join(sys.argv[1:])}"
    with progress_bar("items") as watch:
        request = BenchmarkRequest(score_files=files, options=further, **options)
        if request.benchmark.kind == "variants":
            print_cautions(request.models, request.fasta, of_variants=True)
        found = run_benchmark(request, command=command, progress=watch, on_note=print_note)
    if as_json:
        print_json(found.to_dict())
        return
    click.echo(found.title)
    for line in found.lines():
        click.echo(line)
    click.echo(f"command: {command}")
