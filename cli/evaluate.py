"""Define the commands of genoformer evaluate."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .verbosity import Group, print_note

KNOWN = ("kmer_regression", "cnn", "lstm_attention")


class _Evaluate(Group):
    """Command group that reads `evaluate DATA -m RUN` as `evaluate sequences DATA -m RUN`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["sequences", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Evaluate, short_help="Compute metrics of a model or of scored variants.")
def evaluate() -> None:
    """Compute metrics with intervals for a fine-tuned model on labelled sequences, or for scored variants.

    \b
    genoformer evaluate test.tsv -m promoters -o report --train train.tsv > metrics.json
    genoformer evaluate variants scored.vcf.gz mpra.tsv.gz --truth Coefficient \\
        --element Element -o report > metrics.json

    Without a subcommand, `sequences` runs; `genoformer evaluate sequences -h` lists its options.
    """


@evaluate.command(short_help="Compare scores of variants with measured effects.")
@click.argument("scored", type=shared.PathOrAddress())
@click.argument("table", metavar="TRUTH", type=shared.PathOrAddress())
@click.option("--truth", metavar="COLUMN", required=True, help="Column of the measured effects, or of the labels.")
@click.option("--positive", metavar="VALUE", help="Value of the label column that is positive; all others are negative.")
@click.option("--element", metavar="COLUMN", help="Column that groups the variants, for metrics of each group and their mean.")
@click.option("--where", metavar="COLUMN=VALUE", multiple=True, help="Use only rows with this value; may be repeated.")
@click.option("-s", "--scores", metavar="NAMES", help="Scores, separated by commas.  [default: all scores of SCORED]")
@click.option(
    "--also",
    metavar="FILE",
    multiple=True,
    type=shared.PathOrAddress(),
    help="Output of `score` with another model; may be repeated.",
)
@click.option(
    "--rank-mean", is_flag=True, help="Add RANK_MEAN: for variants with all scores, the mean of the ranks of |score|."
)
@click.option("-o", "--output", type=click.Path(), help="Folder for metrics.json and figures.")
def variants(output: str | None, **options: Any) -> None:
    """Compare the scores in SCORED (from `genoformer score`) with TRUTH for the same variants, as JSON.

    \b
    genoformer evaluate variants scored.tsv mpra.tsv.gz --truth Coefficient --element Element \\
        --where Release=GRCh38
    genoformer evaluate variants scored.vcf.gz truth.tsv.gz --truth truth --positive MOTIF_BREAKING

    TRUTH is a TSV or CSV, plain or gzipped, with columns for contig, POS, REF and ALT under their usual names, or for ids such
    as chr20:1050100:A:G; or a VCF, whose columns are the keys of INFO. SCORED and TRUTH may be addresses (https, s3). Measured
    effects give Spearman correlations; labels give AUROC and AUPRC. The 95 % intervals resample variants; those of means over
    elements resample elements. With --also, scores are named FILE:SCORE.
    """
    import json

    from genoformer.evaluation.scored_variants import VariantEvaluationJob, evaluate_scored
    from genoformer.scoring.scores import SCORES

    from .output_lock import lock_outputs

    job = VariantEvaluationJob(output=output, **options)
    lock_outputs(output)
    click.echo(json.dumps(evaluate_scored(job, SCORES), indent=1, allow_nan=False))


@evaluate.command(short_help="Compute metrics of a fine-tuned model.")
@click.argument("data", type=click.Path())
@click.option(
    "-m", "--model", "models", metavar="RUN", multiple=True, required=True, help="Fine-tuned model; several are averaged."
)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(),
    help="Folder for metrics.json and the figures; only a report that is there is replaced.",
)
@shared.genome_of_bed
@shared.label
@click.option("--train", type=click.Path(), help="Training data of the model; the baselines are trained on it too.")
@click.option(
    "--baselines",
    metavar="NAMES",
    help=f"Baselines, separated by commas; they need --train.  [default: {','.join(KNOWN)}]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help=shared.SEED_HELP)
@shared.device
@shared.precision
def sequences(**options: Any) -> None:
    """Compute metrics of a fine-tuned model on labelled sequences, as JSON, each with its bootstrap interval.

    With --train, a logistic regression on k-mers, a small CNN and a BiLSTM with attention are trained on the same
    sequences, to compare the transformer with them. The exit status is 1 if the model predicts one class for all sequences.

    \b
    genoformer evaluate sequences test.tsv -m promoters -o report --train train.tsv > metrics.json
    """
    import json

    from genoformer.evaluation.run import EvaluationJob, evaluate_models

    from .output_lock import lock_outputs

    lock_outputs(options["out"])
    found = evaluate_models(EvaluationJob(**options), on_note=print_note)
    click.echo(json.dumps(found, indent=1, allow_nan=False))
    for note in [*found["warnings"], *found["notes"]]:
        print_note(note)
    for name, n in found["windowed"].items():
        if n:
            print_note(f"{n:,} sequences were longer than the window of {name} and were cut into overlapping windows")
    if found["collapsed"]:
        raise SystemExit(1)
