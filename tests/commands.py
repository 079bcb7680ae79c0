"""The command line in this process, and the tables that it writes."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result
from genoformer_cli.main import main

from genoformer.scoring.scores import SCORES


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group, with its words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


EVERY = dict(commands())


def run(*arguments: object, stdin: bytes = b"") -> Result:
    """genoformer with these arguments, whatever its exit status."""
    words = [os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments]
    return CliRunner().invoke(main, words, input=stdin, prog_name="genoformer")


def run_well(*arguments: object) -> Result:
    """The same with exit status 0."""
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def assert_refused(result: Result, *parts: object) -> None:
    """Status 2, and one line on stderr that says all of `parts`."""
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2, result.output
    sentence = result.stderr.splitlines()[-1]
    assert sentence.startswith("Error: ")
    assert result.stderr.count("Error: ") == 1
    assert "Traceback" not in result.output
    for part in parts:
        assert str(part) in sentence, sentence


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a TSV with a header."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def with_five_digits(table: Any) -> Any:
    """The table of `gf.score` with its scores, and what belongs to them, as a text table has them."""
    first = list(table.columns).index("status")
    added = [name for name in table.columns[first:] if any(f"{name}_".startswith(f"{score}_") for score in SCORES)]
    scores = [name for name in added if table[name].dtype == float]
    return table.assign(**{name: [float(f"{x + 0.0:.5g}") for x in table[name]] for name in scores})


def parsed(command: click.Command, *arguments: str) -> dict[str, Any]:
    """The options of a command with these arguments, as main parses them; click keeps the help option of the first context."""
    with command.make_context(command.name, list(arguments), parent=click.Context(main, **main.context_settings)) as context:
        return dict(context.params)
