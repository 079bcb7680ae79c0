"""Shared options of the commands, each with one meaning and one help text; only click is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

Command = Callable[..., Any]
NAMES = {
    "spec": "tracks",
    "files": "annotations",
    "match": "match_on",
    "region_files": "region",
}  # name of a parameter -> name of the option in Python


class _ModelName(click.ParamType):
    """Model folder or model name; shell completion offers both."""

    name = "model"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from genoformer.catalog import read_catalog, shipped

        names = [*shipped(), *read_catalog()["models"]]
        return [CompletionItem(incomplete, type="dir"), *map(CompletionItem, starting(names, incomplete))]


def starting(names: Iterable[str], incomplete: str) -> list[str]:
    """Return the names that begin with the incomplete word, sorted."""
    return sorted(name for name in names if name.startswith(incomplete))


class PathOrAddress(click.Path):
    """Path of a file, or an https, http or s3 address that is read in parts."""


MODEL = _ModelName()


def one_or_variants(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> str | tuple[str, ...] | None:
    """Return one path, or several ids of variants, or None; refuse several paths."""
    if len(values) < 2:
        return values[0] if values else None
    from genoformer.genome.variant_input import is_variant

    if files := [value for value in values if not is_variant(value)]:
        raise click.BadParameter(f"found {len(values)} arguments with {files[0]!r}, expected one file, or variants alone.")
    return values


variants = click.argument("vcf", metavar="VCF", type=PathOrAddress(), nargs=-1, required=True, callback=one_or_variants)
reference = click.option(
    "-f",
    "--fasta",
    required=True,
    type=PathOrAddress(),
    help="Reference genome (FASTA), plain, gzipped or bgzipped, or its address (https, s3) with its index next to it.",
)
genome_of_bed = click.option("-f", "--fasta", type=click.Path(), help="Reference genome (FASTA), needed for a BED or regions.")
BED_HELP = "Regions: a BED, peaks or a table."
SEED_HELP = "Random seed; the same seed gives the same result."
drawn_elements = click.option(
    "--elements",
    multiple=True,
    metavar="[NAME=]BED",
    help="Elements, drawn above the tracks of a figure; may be repeated.",
)
drawn_genes = (
    click.option("--gtf", type=click.Path(path_type=Path), help="Genes (GTF or GFF3), drawn above the tracks of a figure."),
    drawn_elements,
)
label = click.option(
    "--label",
    metavar="COLUMN",
    multiple=True,
    help="Label column; may be repeated.  [default: all columns whose name begins with label]",
)
variant_output = click.option(
    "-o",
    "--output",
    default="-",
    show_default=True,
    type=click.Path(),
    help="Output file: .vcf, .vcf.gz (bgzipped and indexed), .tsv, .parquet, or - for VCF on stdout (`score` without -o on a "
    "terminal: a table of the strongest 20).",
)
context = click.option(
    "--context", type=click.IntRange(min=1), metavar="BASES", help="Window length in bases.  [default: the model's own]"
)
strand = click.option(
    "--strand",
    type=click.Choice(["both", "forward"]),
    default="both",
    show_default=True,
    help="Average over both strands, or use only the forward strand.",
)
both_strands = click.option(  # the older spelling of --strand
    "--both-strands/--no-both-strands", default=None, hidden=True, help="Use --strand both or --strand forward."
)


def strand_with_default(default: str, action: str = "Average over both strands") -> Callable[[Command], Command]:
    """Return --strand for a command with another default, which the help describes."""
    help_text = f"{action}, or use only the forward strand.  [default: {default}]"
    return option_group(click.option("--strand", type=click.Choice(["both", "forward"]), help=help_text), both_strands)


phases = click.option(
    "--phases",
    type=click.Choice(["one", "all"]),
    default="one",
    show_default=True,
    help="For a language model with blocks of k bases as tokens, average over the k window starts that put the variant, or the "
    "base, at each position of its block (all), or read one window.",
)
share_windows = click.option(
    "--share-windows",
    is_flag=True,
    help="For a causal language model, read nearby variants in one window, which starts at a multiple of a quarter of its "
    "length: faster where variants are dense.  [default: each variant in the middle of its own window]",
)
device = click.option(
    "--device", default="auto", show_default=True, help="Device: cpu, cuda, cuda:1 ...; auto uses a GPU if there is one."
)
precision = click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16"]),
    default="float32",
    show_default=True,
    help="Floating-point precision of the model.",
)
batch_size = click.option(
    "--batch-size", type=click.IntRange(min=1), metavar="WINDOWS", help="Windows per batch.  [default: chosen automatically]"
)
force = click.option("--force", is_flag=True, help="Continue even if the check of the VCF against the FASTA fails.")


def _fixes(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        return ()
    from genoformer.genome.preflight import fixes_named

    return fixes_named(values)


fix = click.option(
    "--fix",
    multiple=True,
    metavar="HOW",
    callback=_fixes,
    help="Treat records whose REF disagrees as corrected, if that explains 90 % of them: swap (exchange REF and ALT), "
    "strand (alleles are those of the other strand), shift (positions are counted from 0); separate several with commas.",
)


RECORDS_IN = "Read only records whose REF overlaps"


def regions(text: str, *, each: bool = False) -> Callable[[Command], Command]:
    """Return -r and -R for a command; `text` says what is done there. each: not in their union, but in each of them."""
    repeated = "may be repeated" if each else "may be repeated, and overlaps count once"
    return option_group(
        click.option(
            "-r",
            "--region",
            "region",
            multiple=True,
            metavar="CHR[:FROM-TO]",
            help=f"{text} this region (1-based, inclusive); {repeated}.",
        ),
        click.option(
            "-R",
            "--regions-file",
            "region_files",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="BED",
            help="Regions of a BED, peaks or a table, in addition to those of -r; may be repeated.",
        ),
    )


def with_regions(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with the regions of -r and -R as the one option `region` of Python."""
    options = dict(options)
    chosen = (*options.pop("region", ()), *options.pop("region_files", ()))
    return options | {"region": chosen if len(chosen) > 1 else chosen[0]} if chosen else options


TRACKS_HELP = "Tracks by number, name or pattern: 5, 0-10, CAGE, '*liver*'.  [default: all]"
tracks = click.option("--tracks", "spec", metavar="SPEC", help=TRACKS_HELP)
_OF_SQUASHED = (
    "Scale of the tracks of a model that predicts squashed coverage, such as Borzoi: original undoes it with the track table"
)
scale = click.option("--scale", type=click.Choice(["original", "model"]), help=f"{_OF_SQUASHED}.  [default: original]")
score_scale = click.option(
    "--scale",
    type=click.Choice(["original", "published", "model"]),
    help=f"{_OF_SQUASHED}, published undoes the steps that the script of each score undoes.  [default: original]",
)
contexts = click.option(
    "--contexts",
    type=click.Path(),
    metavar="TSV",
    help="Table of contexts to predict, such as new cell types, for a model that `finetune --contexts` trained; it has the "
    "column context and the columns of numbers of the training.  [default: the contexts of the training]",
)
targets = click.option("--targets", type=click.Path(), help="Table of the head's tracks, for a model without its own table.")


def _one_head(ctx: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> str | None:
    """Return the one name of a head; a second one is not dropped."""
    if len(names) > 1:
        from genoformer.errors import OptionError

        raise OptionError("head", f"is given {len(names)} times, and this command takes one head; give one.", "--head")
    return names[0] if names else None


head = click.option(
    "--head",
    metavar="NAME",
    multiple=True,
    callback=_one_head,
    help="Head of the model, such as human, if it has several heads.",
)
heads = click.option(
    "--head",
    metavar="NAME",
    multiple=True,
    help="Head of the model, such as human, if it has several heads. Several heads (--head A --head B, or a pattern such as "
    "'human_*_1bp') have columns named by head.",
)


columns = click.option(
    "--columns",
    metavar="KEY=COLUMN,...",
    help="Columns of the BED by key: chrom, start, end, name, score, strand, signal, summit, blocks; "
    "base=1 if positions are counted from 1.",
)
columns_of_files = click.option(
    "--columns",
    multiple=True,
    metavar="[NAME:]KEY=COLUMN,...",
    help="Columns of a file by key: chrom, start, end, name, score, strand, signal, summit, blocks, or of a table of alleles "
    "pos, ref, alt; base=1 if positions are counted from 1.",
)


def option_group(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return one decorator that adds the options to a command in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def _shard(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    from genoformer.compute.settings import parse_shard
    from genoformer.errors import OptionError

    try:
        return parse_shard(text)
    except OptionError as error:
        raise OptionError(error.option, error.problem, "--shard") from error


_workers = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of processes, each with the model and some of the cores.",
)
_threads = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads per process.  [default: 1 with several processes, else all cores]",
)
_engine = click.option(
    "--engine",
    metavar="NAME",
    default="local",
    show_default=True,
    help="Engine that runs the processes: local, ray, or ray:ADDRESS of a cluster.",
)
_shard_option = click.option(
    "--shard",
    metavar="I/N",
    callback=_shard,
    help="Compute only part I of N, such as in a job array; then run: genoformer merge OUT.",
)
_assemble = click.option("--assemble", is_flag=True, hidden=True, help="Refuse if a part is missing (genoformer merge).")


def compute_options(part_size: Callable[[Command], Command] | None = None) -> Callable[[Command], Command]:
    """Return the options of long commands that choose processes, shard and parts; part_size: the option --part-size."""
    sizes = [part_size] if part_size is not None else []
    return option_group(_workers, _threads, _engine, *sizes, _shard_option, _assemble)


def part_size(help_text: str, default: int | None = None) -> Callable[[Command], Command]:
    """Return --part-size with the help of a command, and its default, if it is a fixed number."""
    number = click.IntRange(min=1)
    if default is None:
        return click.option("--part-size", type=number, metavar="N", help=help_text)
    return click.option("--part-size", type=number, metavar="N", default=default, show_default=True, help=help_text)


def take_compute(options: dict[str, Any]) -> Any:
    """Return the processes and the shard of a command, and remove their keys from its options."""
    import sys

    from genoformer.compute import Compute

    names = ("workers", "threads", "engine", "shard", "assemble")
    return Compute(**{name: options.pop(name) for name in names}, command=tuple(sys.argv[1:]))
