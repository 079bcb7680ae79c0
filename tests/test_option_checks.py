"""Checks of options: values that pass, and the message for each that does not."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from commands import run
from genoformer_cli.main import main

import genoformer as gf
from genoformer.errors import OptionError
from genoformer.option_checks import (
    check_choice,
    check_flag,
    check_kind,
    check_names,
    check_number,
    check_tracks,
    names_unknown_options,
    whole_numbers,
    with_strand,
)

FASTA = files("genoformer_data") / "demo" / "genome.fa.gz"


@pytest.mark.parametrize(
    "check",
    [
        lambda: check_choice("a", "x", ["x"]),
        lambda: check_number("a", None, 1),
        lambda: check_number("a", np.int64(3), 3),
        lambda: check_kind("a", None, str, "text"),
        lambda: check_flag("a", False),
        lambda: check_names("a", Path("x"), "paths"),
        lambda: check_tracks("a", "CAGE"),
        lambda: check_tracks("a", [0, np.int32(2)]),
    ],
)
def test_good_values_pass(check: Callable[[], None]) -> None:
    assert check() is None


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_choice("a", "z", ["x"]), "option a is 'z', expected x; give one of them."),
        (lambda: check_choice("a", None, ["x", "y", "z"]), "option a is None, expected x, y or z; give one of them."),
        (
            lambda: check_number("a", True, 0),
            "option a is True, expected a whole number, 0 or more; give one",
        ),
        (lambda: check_number("a", 2, 3), "option a is 2, expected a whole number, 3 or more; give one, or leave it out."),
        (lambda: check_kind("a", [0] * 99, str, "text"), "option a is a list, expected text; give this, or leave it out."),
        (lambda: check_flag("a", 1), "option a is 1, expected True or False; give one of them."),
        (
            lambda: check_names("a", [1], "names"),
            "option a is [1], expected names, as text or a list",
        ),
        (lambda: check_tracks("a", " "), "option a is empty, expected numbers, names or patterns; give some"),
        (lambda: check_tracks("a", [-1]), "option a is [-1], expected numbers from 0"),
        (
            lambda: whole_numbers("a", "1,x", "0,5"),
            "option a is '1,x', expected whole numbers; give numbers and commas",
        ),
        (lambda: whole_numbers("a", (), "0,5"), "option a is (), expected whole numbers"),
        (lambda: with_strand({"both_strands": 1}), "option both_strands is 1, expected True or False"),
        (
            lambda: with_strand({"both_strands": True, "strand": "both"}),
            "option both_strands is True, found strand 'both' as well; leave out both_strands.",
        ),
    ],
)
def test_wrong_values_are_refused(check: Callable[[], Any], message: str) -> None:
    with pytest.raises(OptionError) as error:
        check()
    assert str(error.value).startswith(message)


# --- one spelling of the strand


def commands(group: click.Group, prefix: str = "") -> dict[str, click.Command]:
    """All commands below a group, by their words."""
    found: dict[str, click.Command] = {}
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            found |= commands(command, f"{prefix}{name} ") if isinstance(command, click.Group) else {prefix + name: command}
    return found


def test_every_command_spells_the_strand_alike() -> None:
    strands = {}
    for name, command in commands(main).items():
        flags = {flag: parameter for parameter in command.params for flag in parameter.opts}
        assert "--both-strands" not in flags or flags["--both-strands"].hidden, name
        if "--strand" in flags:
            strands[name] = tuple(flags["--strand"].type.choices)
            assert flags["--strand"].help.endswith(("forward strand.", "]")), name
    assert set(strands.values()) == {("both", "forward")}
    assert {"score", "calibrate", "haplotypes", "predict", "embed", "finetune", "interpret ism"} <= set(strands)


def test_the_older_spelling_of_the_strand_still_works(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">a\nACGTTGCATTAGC\n")
    vectors = {}
    for words in (["--strand", "both"], ["--both-strands"], ["--strand", "forward"], ["--no-both-strands"], []):
        out = tmp_path / f"{len(vectors)}.npy"
        assert run("embed", tmp_path / "a.fa", "-m", "demo", "-o", out, *words).exit_code == 0
        vectors[" ".join(words)] = out.read_bytes()
    assert vectors["--strand both"] == vectors["--both-strands"]
    assert vectors["--strand forward"] == vectors["--no-both-strands"] == vectors[""]
    assert vectors["--strand both"] != vectors[""]
    for options in ({"strand": "both"}, {"both_strands": True}):
        assert np.array_equal(gf.embed(["ACGTTGCATTAGC"], "demo", **options), np.load(tmp_path / "0.npy"))
    refused = run("embed", tmp_path / "a.fa", "-m", "demo", "-o", tmp_path / "x.npy", "--strand", "both", "--both-strands")
    assert refused.exit_code == 2
    assert "Error: --both-strands is True, found strand 'both' as well; leave out both_strands." in refused.stderr
    assert "is not one of 'both', 'forward'" in run("predict", "-m", "demo", "--strand", "reverse").stderr


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: gf.score("chrS1:1304:G:T", FASTA, "demo", batchsize=2),
            "genoformer.score has no option 'batchsize'; write batch_size.",
        ),
        (lambda: gf.enrich("no.vcf", tops=0.1), "genoformer.enrich has no option 'tops'; write top."),
        (lambda: gf.enrich("no.vcf", n_resamplings=9), "genoformer.enrich has no option 'n_resamplings'; write resamplings."),
        (lambda: gf.enrich("no.vcf", n_controls=9), "genoformer.enrich has no option 'n_controls'; write controls."),
        (lambda: gf.enrich_variants("no.vcf", [], tops=1), "genoformer.enrich_variants has no option 'tops'; write top."),
        (
            lambda: gf.report("no.vcf", "o.html", colours="g.gtf"),
            "genoformer.report has no option 'colours'; help(genoformer.report)",
        ),
        (lambda: gf.data.build("out", FASTA, {}, rato=1), "genoformer.data.build has no option 'rato'; write ratio."),
    ],
)
def test_unknown_options_of_python_calls_are_named_with_a_similar_one(call: Callable[[], Any], sentence: str) -> None:
    """The message names the call of the user, not the class inside that has the options."""
    with pytest.raises(TypeError) as raised:
        call()
    assert str(raised.value).startswith(sentence)
    assert raised.value.__cause__ is None


def test_type_errors_inside_a_call_stay_as_they_are() -> None:
    @names_unknown_options("outer")
    def outer(**options: Any) -> None:
        def inner(x: int) -> None: ...

        inner(**{"y": 1, **options})

    with pytest.raises(TypeError, match=r"inner\(\) got an unexpected keyword argument 'y'"):
        outer(x=1)


def test_names_that_data_and_models_lack_are_answered_with_the_call() -> None:
    with pytest.raises(AttributeError, match=r"genoformer.data has no 'list'; call genoformer.data\(\) for the table"):
        gf.data.list  # noqa: B018
    with pytest.raises(AttributeError, match=r"genoformer.models has no 'list'; call genoformer.models\(\) for the table"):
        gf.models.list  # noqa: B018
