"""Define the command genoformer score."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from . import options as shared
from .annotate import element_option, motif_options
from .explain import ExplainsModels, explain
from .merge import print_reused, print_shard
from .model_option import MissingModelError, model_option
from .track_options import class_options, given_options, options_of_heads
from .verbosity import print_note, program_name


@click.command(cls=ExplainsModels, short_help="Score the variants of a VCF, a table or the command line.")
@shared.variants
@shared.reference
@model_option(
    "Model folder of genoformer, Hugging Face or enformer-pytorch, or a name from `models list`. Several models (-m A -m B) "
    "form an ensemble, as do the members in a folder of `finetune --seeds`: their scores are averaged.",
    "model_names",
    multiple=True,
    required=False,  # --preflight needs none
)
@click.option(
    "--each-model",
    is_flag=True,
    help="Score with each of several models on its own, in columns named by model: GF_LLR_A, GF_SAD_B; models of different "
    "kinds may be mixed. One model alone has GF_LLR.",
)
@click.option(
    "-s",
    "--scores",
    metavar="NAMES",
    help="Scores to compute, separated by commas; see --explain. recommended: those that the authors of AlphaGenome recommend "
    "for the head.  [default: LLR,PLL; for a track model SAD,SAR501; for a fine-tuned model LOGIT,DIFF]",
)
@shared.variant_output
@shared.regions(shared.RECORDS_IN)
@shared.context
@shared.strand
@shared.phases
@shared.share_windows
@shared.device
@shared.precision
@shared.batch_size
@options_of_heads
@class_options
@element_option
@motif_options
@click.option(
    "--matrix",
    type=click.Path(),
    metavar="FILE",
    help="File for the scores of all tracks (for scores of genes: of all genes) or classes: .parquet, or .h5ad for AnnData.",
)
@click.option(
    "--calibration",
    type=click.Path(),
    metavar="FILE",
    help="Calibration written by `genoformer calibrate`, for quantiles.  [default: the model's own]",
)
@click.option(
    "--noise-places",
    type=click.IntRange(min=0),
    metavar="N",
    help="Number of loci at which the noise floor is measured; 0: none.  "
    "[default: one in 20 records, at most 16; for a small model at least 8]",
)
@click.option(
    "--verify",
    type=click.IntRange(min=1),
    metavar="N",
    help="Score N random records again with the reference implementation (CPU, float32) and compare.",
)
@shared.compute_options(
    shared.part_size(
        "Maximum number of records that a process scores and saves together; fewer suit many shards of a short VCF. The last "
        "digit of a score can depend on it.",
        4_096,
    )
)
@shared.force
@shared.fix
@click.option(
    "--preflight",
    "only_preflight",
    is_flag=True,
    help="Only check the VCF against the FASTA, print the result, and exit; needs no model.",
)
@click.option(
    "--plan",
    "only_plan",
    is_flag=True,
    help="Check the input, print parameters, operations, processes, memory and time of the run, measured with at most 8 SNVs, "
    "and exit.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print input check and summary as JSON, one object per line: on stdout with --preflight, else on stderr.",
)
@click.option(
    "--explain",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=explain,
    help="Explain scores and statuses, and with -m which scores the model supports and why not the others; then exit.",
)
@click.pass_context
def score(
    ctx: click.Context, vcf: str | tuple[str, ...], fasta: str, model_names: tuple[str, ...], output: str, **options: Any
) -> None:
    """Score the variants of VCF (or BCF, a table, or variants themselves; - is stdin) and write every record with its scores.

    \b
    genoformer score in.vcf.gz -f hg38.fa -m borzoi -o out.vcf.gz
    genoformer score in.vcf.gz -f hg38.fa -m mini-tracks -s SAD,D2 --tracks CAGE -o out.vcf.gz
    genoformer score in.vcf.gz -f hg38.fa -m my_promoters/ -o out.vcf.gz
    genoformer score chr20:1050100:A:G chr20-1050200-T-TA -f hg38.fa -m mini-human
    genoformer score gwas.tsv.gz -f hg38.fa -m borzoi -o out.tsv
    bcftools view -r chr20 in.bcf | genoformer score - -f hg38.fa -m DNABERT6/ \\
        | bcftools view -i 'GF_LLR<-5'

    A table has columns of contig, position and alleles (docs/variant-tables.md), or an id such as chr20:1050100:A:G on each
    line; its further columns are kept. If it has an effect allele and another allele, REF is the one that the FASTA has.

    With a language model, substitutions get LLR; insertions and deletions get PLL. With a track model, the output has for each
    score the strongest track and its name, the tracks chosen with --tracks, and a mark if the score is below the noise floor.
    With a fine-tuned model, LOGIT and DIFF are of the strongest class and of those chosen with --classes.
    With -a and --motifs each record has the elements that it overlaps and the motifs that it changes, as in `annotate`.
    An allele that cannot be scored is kept, and GF_STATUS gives the reason. With --fix, scores compare the base of the genome
    with the other allele, as in a corrected file; GF_FIX names the correction. Repeat the command to resume an interrupted run.
    """
    from dataclasses import replace

    from genoformer.genome.reference import Genome

    from .output_lock import lock_outputs
    from .progress import progress_bar

    if not model_names and not options["only_preflight"]:
        raise MissingModelError
    lock_outputs(None if options["shard"] or options["only_preflight"] or options["only_plan"] else options["matrix"])
    genome = Genome(fasta)
    for note in genome.notes:
        print_note(note)
    if options["only_preflight"]:
        _preflight_only(vcf, genome, {**options, "model_names": model_names})
        return
    from genoformer.errors import OptionError
    from genoformer.scoring.job import ScoringJob
    from genoformer.scoring.plan import score_variants

    if options["shard"] and output == "-":
        raise OptionError("shard", "keeps its parts next to the output, found standard output; name a file with -o.")
    table = _terminal_table(ctx)
    job = ScoringJob.from_names(vcf, genome, model_names, table or output, **given_options(ctx, *_NOT_OF_JOB))
    job = replace(job, assemble=options["assemble"], command=tuple(sys.argv[1:]))
    notes = _Notes(options["as_json"])
    notes.print(job.cautions)
    notes.print(
        _long_windows(options["context"], job.scoring.models, job.model_name if len(model_names) > 1 else model_names[0])
    )
    if options["only_plan"]:
        from genoformer.scoring.estimate import estimate

        click.echo(estimate(job, on_preflight=notes.print_check).text())
        return
    annotations = job.outputs.annotations
    notes.print(note for each in (annotations.all if annotations else ()) for note in each.notes)
    with progress_bar("records") as watch:
        summary = score_variants(job, on_preflight=notes.print_check, progress=watch)
    if options["as_json"]:
        print_note(json.dumps({"summary": summary._asdict()}))
        return
    notes.print(summary.notes)
    if options["shard"]:
        print_shard(options["shard"], summary, output)
        return
    _print_summary(summary)
    print_reused(summary.reused, joined=options["assemble"])
    _print_outputs(table, ctx.params)


class _Notes:
    """Printer of notes, each once: the summary repeats those of the input check and of the annotations."""

    def __init__(self, as_json: bool) -> None:
        self.as_json, self.printed = as_json, set[str]()

    def print(self, notes: Iterable[str]) -> None:
        for note in notes:
            if note not in self.printed:
                print_note(note)
                self.printed.add(note)

    def print_check(self, checked: Any) -> None:
        """Print the result of the input check."""
        if self.as_json:
            print_note(json.dumps({"preflight": checked.to_dict()}))
            return
        print_note(checked.table(with_notes=False))
        self.print([*checked.notes, *checked.findings])


def _terminal_table(ctx: click.Context) -> Any:
    """Return the sink of a table if the scores would fill a terminal: standard output is one, and -o is not given."""
    is_given = ctx.get_parameter_source("output") is not click.core.ParameterSource.DEFAULT
    if is_given or ctx.params["as_json"] or not sys.stdout.isatty():
        return None
    from genoformer.report.strongest_table import StrongestSink

    return StrongestSink()


def _print_outputs(table: Any, given: Mapping[str, Any]) -> None:
    """Print the table on the terminal and how to write a file, or the files that were written and the next command.

    given: the parameters of the command. The report of one model has its figures, if `report` can take all its tables.
    """
    output, matrix, models = given["output"], given["matrix"], given["model_names"]
    if table is not None:
        for line in table.lines(shutil.get_terminal_size().columns):
            click.echo(line)
        print_note("all records with their scores: the same command with -o scored.vcf.gz (or .tsv, .parquet)")
    if output == "-":
        return
    indexes = [f"{output}{suffix}" for suffix in (".tbi", ".csi") if Path(f"{output}{suffix}").is_file()]
    files = ", ".join([output, *indexes, *([matrix] if matrix else [])])
    page = Path(output).with_name(Path(output).name.partition(".")[0] + ".html")
    has_figures = len(models) == 1 and not (given["targets"] or given["contexts"])
    figures = ["-f", given["fasta"], "-m", models[0]] if has_figures else []
    genes = ["--gtf", given["gtf"]] if given["gtf"] else []
    print_note(f"wrote {files}; next: {shlex.join([program_name(), 'report', output, *figures, *genes, '-o', str(page)])}")


def _print_summary(summary: Any) -> None:
    """Print the numbers of alleles that were scored, not scored, and scored after a correction."""
    from genoformer.genome.wording import counted, rate_text

    skipped = ", ".join(f"{reason} {n:,}" for reason, n in summary.skipped.items()) or "none"
    rate = rate_text(summary.scored, summary.seconds)
    print_note(
        f"scored {counted(summary.scored, 'allele')} of {counted(summary.records, 'record')} ({rate}); not scored: {skipped}"
    )
    if summary.fixed:
        print_note("fixed: " + ", ".join(f"{word} {n:,}" for word, n in summary.fixed.items()))


# Parameters of the command that are no options of the job, or are handled above
_NOT_OF_JOB = ("vcf", "fasta", "model_names", "output", "assemble", "only_preflight", "only_plan", "as_json")


def _preflight_only(vcf: str | tuple[str, ...], genome: Any, options: dict[str, Any]) -> None:
    from genoformer.genome.preflight import preflight
    from genoformer.genome.region_sources import select_regions
    from genoformer.genome.variant_input import variant_file

    from .progress import progress_bar

    longest = sys.maxsize  # the longest allowed allele depends on the model
    if options["model_names"]:
        from genoformer.scoring.options import load_models
        from genoformer.scoring.scorers import default_scores, make_scorer
        from genoformer.scoring.settings import Scoring

        named = load_models(options["model_names"])
        groups = named.groups() if options["each_model"] else [named.models]
        made = (Scoring(models, tuple(default_scores(models[0])), options["context"], both_strands=False) for models in groups)
        longest = max(make_scorer(genome, scoring).longest_allele for scoring in made)
    region = select_regions(shared.with_regions(options).get("region"), genome.contigs, genome.name)
    intervals = region.intervals if region else None
    with progress_bar("records") as watch, variant_file(vcf, genome, regions=intervals) as given:
        checked = preflight(
            given.path,
            genome,
            max_length=longest,
            region=region,
            name=given.name,
            fix=options["fix"],
            force=options["force"],
            progress=watch,
        ).with_notes(given.notes)
    click.echo(json.dumps(checked.to_dict()) if options["as_json"] else checked.table())
    problem = checked.problem()
    if problem and not options["force"]:
        click.echo(f"Error: {problem}", err=True)
        sys.exit(2)


def _long_windows(context: int | None, models: Iterable[Any], name: str) -> list[str]:
    """Return notes on windows of more than twice the bases that a model was trained on, or usually reads."""
    usual = {(model.config.context_length, model.window_note(name) is not None) for model in models}
    return [
        f"windows of {context:,} bases, but {name} {'reads' if is_assumed else 'was trained on'} {length:,}; "
        "scores may be unreliable"
        for length, is_assumed in sorted(usual)
        if context and context > 2 * length
    ]
