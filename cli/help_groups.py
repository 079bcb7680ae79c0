"""Group the options of a long help under headings: at most 12 that most runs need, then the advanced ones."""

from __future__ import annotations

from collections.abc import Collection

import click

MANY = 12  # a command with more options of its own has headings; so many options at most stand before the advanced ones

GROUPS = {  # heading -> its options, in this order in every command; a flag has the same heading wherever it occurs
    "Input": (
        "--fasta --region --regions-file --bed --contigs --annotation --gtf --tss --elements --motifs --background "
        "--sizes --exclude --trait --positives --negatives --ratio --negative --samples --within --valid --test "
        "--blacklist --label --multi-label --columns --promoter --flank --af-key --max-n --tasks "
        "--baselines"
    ),
    "Model": (
        "--model --each-model --head --targets --contexts --context-head --organism --pooling --layer --profile --layers "
        "--heads --query --bins --gene --method --steps"
    ),
    "Tracks and classes": "--tracks --track --classes --class --scale --threshold",
    "Scores": (
        "--scores --score --score-file --ensemble --sign --top --match --prune --resamplings --controls --motif-p "
        "--calibration --strand --phases --share-windows --indels --tile"
    ),
    "Windows": (
        "--windows --length --bin --target-bins --upstream --downstream --context --window --overlap --shifts --anchor "
        "--stride --step"
    ),
    "Training": "--task --recipe --config --distil --tune --epochs --learning-rate --seeds --class-weights --monitor",
    "Output": "--output --figures --calls --matrix --pca --probe --modisco --known --min-fold --logger --json",
    "Compute": "--device --workers --threads --engine --shard --part-size --batch-size --precision --seed",
    "Checks": "--preflight --explain --plan --verify --noise-places --fix --force --sanity-checks",
}
_ADVANCED = (
    "--each-model --elements --exclude --ratio --multi-label --columns --promoter --flank --af-key --max-n --head --targets "
    "--contexts --context-head --organism --steps --classes --scale --threshold --resamplings --controls "
    "--motif-p --calibration --strand --phases --share-windows --indels --tile --upstream --downstream "
    "--context --window --overlap --shifts --anchor --stride --step --distil --class-weights --monitor --calls --matrix --sign "
    "--modisco --known --min-fold --logger --json --threads --engine --shard --part-size --batch-size --precision "
    "--seed --plan --verify --noise-places --fix --force --sanity-checks"
)
ADVANCED = frozenset(_ADVANCED.split())
ADVANCED_IN = {  # command -> options that are advanced there and not elsewhere
    "score": {"--annotation", "--gtf", "--motifs"},
    "calibrate": {"--gtf"},
    "haplotypes": {"--gtf"},
    "pairs": {"--gtf"},
    "predict": {"--gtf"},
    "embed": {"--region", "--regions-file"},
    "attention": {"--heads", "--query"},
    "ism": {"--negative", "--gtf"},
    "attribution": {"--negative", "--bins", "--gene"},
    "enrich": {"--region", "--regions-file"},
    "tracks": {"--bin", "--target-bins"},
}
COMMON = "Messages"  # heading of --quiet, --verbose, --log, --debug and --help


def long_flag(option: click.Parameter) -> str:
    """Return the longest spelling of an option, under which the tables above have it."""
    return max(option.opts, key=len)


def option_groups(command: click.Command, common: Collection[str]) -> dict[str, list[click.Parameter]]:
    """Return the visible options of a command by heading; {} if they are few. common: flags that every command has."""
    shown = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    own = {long_flag(option): option for option in shown if long_flag(option) not in common}
    if len(own) <= MANY:
        return {}
    groups: dict[str, list[click.Parameter]] = {}
    advanced = ADVANCED | ADVANCED_IN.get(command.name or "", set())
    for is_advanced in (False, True):
        for heading, flags in GROUPS.items():
            here = [own[flag] for flag in flags.split() if flag in own]
            options = [option for option in here if (long_flag(option) in advanced and not option.required) == is_advanced]
            if options:
                groups[f"Advanced: {heading.lower()}" if is_advanced else heading] = list(options)
    return groups


def write_options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter, common: Collection[str]) -> bool:
    """Write the options of a command under their headings, all in one column; return False if they are few."""
    groups = option_groups(command, common)
    if not groups:
        return False
    grouped = {id(option) for options in groups.values() for option in options}
    groups[COMMON] = [
        option for option in command.get_params(ctx) if isinstance(option, click.Option) and id(option) not in grouped
    ]
    records = {
        heading: [record for option in options if (record := option.get_help_record(ctx)) is not None]
        for heading, options in groups.items()
    }
    widest = min(30, max(len(names) for rows in records.values() for names, _ in rows))
    for heading, rows in records.items():
        with formatter.section(heading):
            formatter.write_dl([(names.ljust(widest), text) for names, text in rows])
    return True
