"""Headings of long helps: every option once, at most 12 before the advanced ones, and one heading for a flag everywhere."""

from __future__ import annotations

import re
from collections import defaultdict

import click
import pytest
from commands import EVERY, run
from genoformer_cli.help_groups import ADVANCED, ADVANCED_IN, GROUPS, MANY, long_flag, option_groups
from genoformer_cli.verbosity import COMMON_FLAGS, Command

HEADING = re.compile(r"^(\w[^:]*(?:: [a-z ]+)?):$", re.MULTILINE)


def own_options(command: click.Command) -> list[str]:
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    return [long_flag(option) for option in options if long_flag(option) not in COMMON_FLAGS]


LONG = {path: command for path, command in EVERY.items() if len(own_options(command)) > MANY}


@pytest.mark.parametrize("path", LONG, ids=" ".join)
def test_a_long_help_has_every_option_once_and_few_before_the_advanced_ones(path: tuple[str, ...]) -> None:
    groups = option_groups(LONG[path], COMMON_FLAGS)
    flags = [long_flag(option) for options in groups.values() for option in options]
    assert sorted(flags) == sorted(own_options(LONG[path]))
    first = [option for heading, options in groups.items() if not heading.startswith("Advanced") for option in options]
    assert 3 <= len(first) <= MANY
    required = {long_flag(option) for option in LONG[path].params if isinstance(option, click.Option) and option.required}
    assert required <= {long_flag(option) for option in first}


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_headings_stand_in_one_order_and_short_helps_have_none(path: tuple[str, ...]) -> None:
    text = run(*path, "-h").stdout
    headings = [heading for heading in HEADING.findall(text) if heading not in ("Example", "Commands")]
    if path not in LONG:
        assert headings == ["Options"]
        return
    order = [*GROUPS, *(f"Advanced: {heading.lower()}" for heading in GROUPS), "Messages"]
    assert headings == [heading for heading in order if heading in headings]
    assert headings[-1] == "Messages"
    listed = text[text.index(f"\n{headings[0]}:\n") :]
    for option in LONG[path].params:
        if isinstance(option, click.Option) and not option.hidden:
            assert len(re.findall(rf"^  (?:-\w, )?{long_flag(option)}(?: |$)", listed, re.MULTILINE)) == 1, option.opts


def test_the_tables_have_each_flag_once_and_no_flag_that_no_command_has() -> None:
    flags = [flag for names in GROUPS.values() for flag in names.split()]
    assert len(flags) == len(set(flags))
    used = {flag for command in LONG.values() for flag in own_options(command)}
    assert set(flags) == used
    assert set(flags) >= ADVANCED
    for name, later in ADVANCED_IN.items():
        (command,) = (command for path, command in LONG.items() if path[-1] == name)
        assert later <= set(own_options(command)) - ADVANCED


def test_an_option_that_the_tables_lack_is_found() -> None:
    names = [f"--x{i}" for i in range(MANY + 1)]
    command = Command("new", params=[click.Option([name], help="Do it.") for name in names])
    assert option_groups(command, COMMON_FLAGS) == {}
    assert option_groups(Command("few", params=[click.Option(["--fasta"])]), COMMON_FLAGS) == {}
    text = command.get_help(click.Context(command))
    assert all(name in text for name in names)  # under the last heading


# --- one flag, one meaning

EXCEPTIONS: dict[str, dict[str, str]] = {  # flag -> command with another text or default -> the reason
    "--baselines": {"benchmark run": "trained on the splits of the benchmark; none by default"},
    "--batch-size": {"finetune": "examples of a training step; the default is in the configuration"},
    "--blacklist": {"data tracks": "clips the values instead of leaving windows out"},
    "--classes": {"predict": "takes names only, and its default depends on DATA"},
    "--columns": dict.fromkeys(("annotate", "enrich", "data build"), "of one of several files"),
    "--config": {"finetune": "another table of the TOML"},
    "--context": {"predict": "of two kinds of model only"},
    "--contexts": {"finetune": "the contexts of the training, not new ones"},
    "--contigs": {"data simulate": "a number of contigs to make"},
    "--fasta": dict.fromkeys(
        (
            *("pretrain", "predict", "interpret attention", "interpret ism", "interpret attribution", "interpret filters"),
            *("interpret motifs", "annotate", "enrich", "report", "data build", "data tracks"),
            *("finetune", "evaluate sequences", "embed", "data audit", "benchmark run"),
        ),
        "needed for another purpose, or for some inputs only",
    ),
    "--figures": {"annotate": "a folder; `interpret` has its figures in -o and takes their number"},
    "--flank": {"report": "bases to draw"},
    "--force": {"predict": "replaces outputs; there is no VCF to check"},
    "--gtf": {
        **dict.fromkeys(("score", "calibrate", "haplotypes", "pairs"), "for scores of genes"),
        **dict.fromkeys(("annotate", "enrich"), "for gene parts"),
        "report": "for the gene and nearest TSS",
    },
    "--head": dict.fromkeys(("score", "pairs", "haplotypes", "predict"), "takes several heads"),
    "--json": {
        "score": "also prints the input check",
        "models list": "a list of entries",
        "data list": "a list of entries",
        "models info": "has the card as a field",
    },
    "--length": {
        "sample": "of new sequences",
        "data build": "around a site",
        "data tracks": "of windows that tile the genome",
    },
    "--model": dict.fromkeys(
        (
            *("calibrate", "haplotypes", "pairs", "pretrain", "finetune", "evaluate sequences", "embed", "predict", "report"),
            *("interpret attention", "interpret ism", "interpret attribution", "interpret filters", "benchmark run"),
        ),
        "takes other kinds of models",
    ),
    "--motifs": {"benchmark run": "features of a probe, not columns"},
    "--output": dict.fromkeys(
        (
            *("calibrate", "haplotypes", "pairs", "pretrain", "finetune", "evaluate variants", "evaluate sequences", "embed"),
            *("predict", "sample", "interpret attention", "interpret ism", "interpret attribution", "interpret filters"),
            *("enrich", "report", "demo", "benchmark run", "data audit"),
        ),
        "writes other files",
    ),
    "--part-size": dict.fromkeys(("calibrate", "pairs", "embed", "predict"), "counts other things"),
    "--plan": dict.fromkeys(("finetune", "predict"), "plans another run"),
    "--precision": {"finetune": "of the training"},
    "--region": {
        **dict.fromkeys(("predict", "haplotypes"), "the regions themselves are read, not records in them"),
        "embed": "in place of DATA",
        "interpret attention": "in place of DATA, or records in it",
        "interpret ism": "the same",
        "interpret attribution": "the same",
        "interpret filters": "the same",
        "enrich": "also selects controls",
    },
    "--resamplings": {"benchmark run": "of the items"},
    "--scale": {"predict": "of tracks, which have no published scale"},
    "--score": {"enrich": "a column of the input"},
    "--scores": dict.fromkeys(
        ("calibrate", "haplotypes", "pairs", "evaluate variants", "benchmark run"), "other scores by default"
    ),
    "--seed": {"finetune": "the default is in the configuration"},
    "--strand": {
        "finetune": "of the training",
        **dict.fromkeys(("embed", "predict", "interpret ism", "browse"), "another default, which the text gives"),
    },
    "--stride": {"data tracks": "of windows that tile the genome"},
    "--targets": {"models convert": "HEAD=FILE, to be stored", "data tracks": "the tracks to build, with their files"},
    "--task": {"embed": "of the probe"},
    "--top": dict.fromkeys(("report", "browse"), "a number of variants"),
    "--tracks": {
        "data simulate": "a flag",
        **dict.fromkeys(("interpret ism", "interpret attribution"), "the tracks are summed"),
    },
    "--valid": {
        "embed": "of the probe",
        **dict.fromkeys(("data build", "data tracks"), "contigs"),
    },
}


def meanings() -> dict[str, dict[str, tuple[str, str]]]:
    """Text and default of each flag by command; the metavar of a flag counts as its text."""
    texts: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for path, command in EVERY.items():
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                text = f"{option.metavar}: {option.help}"
                texts[long_flag(option)][" ".join(path)] = (text, str(option.default))
    return texts


def test_an_option_has_one_text_and_default_in_all_commands_but_the_listed_ones() -> None:
    for flag, by_command in meanings().items():
        listed = EXCEPTIONS.get(flag, {})
        usual = {meaning for command, meaning in by_command.items() if command not in listed}
        assert len(usual) <= 1, (flag, {command: text for command, text in by_command.items() if command not in listed})
        assert not {command for command in listed if by_command[command] in usual}, f"{flag}: not an exception any more"
    assert set(EXCEPTIONS) <= set(meanings())


def test_an_option_has_one_spelling() -> None:
    """The flags that set a parameter of one name are the same everywhere, short ones included, but for tables of HEAD=FILE."""
    spellings: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for flag, command in (
        (long_flag(o), (path, o)) for path, c in EVERY.items() for o in c.params if isinstance(o, click.Option)
    ):
        spellings[flag].add(tuple(sorted(command[1].opts)))
    several = {flag: found for flag, found in spellings.items() if len(found) > 1}
    assert several == {
        "--score": {("--score",), ("--score", "-s")},  # -s of `enrich` would be a column of the input
        "--targets": {("--targets",), ("--targets", "-t")},  # -t: the table that a command is about
    }
