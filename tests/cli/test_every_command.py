"""All commands: help with an example, -q, -v, --log and --debug, and one meaning for each option."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from commands import EVERY
from genoformer_cli.main import main

WORLD = Path(str(files("genoformer_data") / "demo"))
VCF, FASTA = str(WORLD / "variants.vcf.gz"), str(WORLD / "genome.fa.gz")


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_help_has_a_sentence_an_example_and_the_common_options(path: tuple[str, ...]) -> None:
    status, text, said = run(*path, "-h")
    assert (status, said) == (0, "")
    assert text == run(*path, "--help")[1]
    paragraphs = (EVERY[path].help or "").split("\n\n")
    assert paragraphs[0].rstrip().endswith((".", "?")), paragraphs[0]
    assert f"genoformer {' '.join(path)} " in text or f"genoformer {' '.join(path)}\n" in text
    for option in ("-q, --quiet", "-v, --verbose", "--log FILE", "--debug", "-h, --help"):
        assert option in text
    assert max(map(len, text.splitlines())) <= 100
    for parameter in EVERY[path].params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help or parameter.show_default, f"{path}: {parameter.opts} says nothing"


def test_a_short_option_means_one_thing() -> None:
    meaning = defaultdict(set)
    for command in EVERY.values():
        for parameter in command.params:
            for name in parameter.opts:
                if isinstance(parameter, click.Option) and len(name) == 2:
                    meaning[name].add(next((long for long in parameter.opts if long.startswith("--")), "").rstrip("s"))
    assert {name: longs for name, longs in meaning.items() if len(longs) != 1} == {}
    assert meaning["-f"] == {"--fasta"}
    assert meaning["-o"] == {"--output"}


def test_quiet_and_verbose(tmp_path: Path) -> None:
    score = ["score", VCF, "-f", FASTA, "-m", "demo", "-r", "chrS1:1-9000", "-o", tmp_path / "o.vcf"]
    plain = run(*score)
    quiet = run(*score, "-q")
    loud = run(*score, "--verbose")
    assert [done[0] for done in (plain, quiet, loud)] == [0, 0, 0]
    assert quiet[2] == ""
    assert "scored" in plain[2]
    assert "MB of memory" not in plain[2]
    for part in ("score: genoformer ", "preflight ...", "records in", "MB of memory"):
        assert part in loud[2]
    before = run("-v", *score)  # the group takes them, too
    assert "MB of memory" in before[2]
    checked = run("score", VCF, "-f", FASTA, "-r", "chrS1:1-9000", "--preflight", "-v")
    assert checked[0] == 0
    assert "preflight: 15 records in" in checked[2]


def test_an_error_is_one_line_and_with_debug_a_traceback(tmp_path: Path) -> None:
    for arguments in (
        ["score", "no.vcf", "-f", FASTA, "-m", "demo"],
        ["data", "info", "nothing"],
        ["models", "info", str(tmp_path)],
    ):
        status, out, said = run(*arguments)
        assert (status, out) == (2, "")
        assert said.startswith("Error: ")
        assert said.count("\n") == 1
        assert run("-q", *arguments)[2] == said  # an error is never kept quiet
        for where in (["--debug", *arguments], [*arguments, "--debug"]):
            done = CliRunner().invoke(main, where)
            assert done.exception is not None
            assert not isinstance(done.exception, SystemExit)


def test_a_log_has_notes_stages_and_errors_with_the_time(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    check = ["score", VCF, "-f", FASTA, "-r", "chrS1:1-9000", "--preflight"]
    plain = run(*check)
    assert run(*check, "--log", log) == plain  # streams do not change
    assert run("--log", log, "-q", *check) == (0, plain[1], "")
    assert run(*check, "--log", log, "-f", "no.fa")[0] == 2
    assert run("data", "info", "hg83", "--log", log)[0] == 2
    assert run("data", "info", "--log", log)[0] == 2
    lines = log.read_text().splitlines()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .+", line) for line in lines)
    texts = [line[21:] for line in lines]
    assert sum(text.startswith("  preflight: 15 records in") for text in texts) == 2
    assert sum(text.startswith("Error: There is no file no.fa") for text in texts) == 1
    assert sum(text.startswith("Error: the catalog has no data set 'hg83'") for text in texts) == 1
    assert texts[-1].startswith("Error: Missing argument 'NAME'")
    assert any("MB of memory" in text for text in texts)


def test_a_log_is_no_input_and_lies_in_a_folder_that_exists(tmp_path: Path) -> None:
    bed, before = tmp_path / "a.bed", "chr1\t5\t6\n"
    bed.write_text(before)
    status, _, message = run("enrich", bed, "-a", f"A={bed}", "--log", bed)
    assert (status, message) == (2, f"Error: {bed} is a file of this run, found as the log too; give --log another file.\n")
    assert bed.read_text() == before
    assert run("report", bed, "-o", tmp_path / "o.html", "--log", tmp_path / "o.html")[0] == 2
    for place in (tmp_path / "no" / "run.log", tmp_path):
        status, _, message = run("data", "list", "--log", place)
        assert status == 2
        assert "--log" in message


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    environment = os.environ | {
        "_GENOFORMER_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "genoformer sc",
        "COMP_CWORD": "sc" if shell == "fish" else "1",  # fish gives the word itself
    }
    script = [str(Path(sys.executable).parent / "genoformer")]
    source = subprocess.run(
        script, env=os.environ | {"_GENOFORMER_COMPLETE": f"{shell}_source"}, capture_output=True, text=True
    )
    assert source.returncode == 0, source.stderr
    assert "_GENOFORMER_COMPLETE" in source.stdout
    done = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert "score" in done.stdout


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("score -m mini", {"mini-human", "mini-tracks"}),
        ("predict -f g.fa -m enf", {"enformer"}),
        ("models info dem", {"demo"}),
        ("models pull dnabert", {"dnabert3", "dnabert4", "dnabert5", "dnabert6", "dnabert2", "dnabert-s"}),
        ("data info hg", {"hg19", "hg38"}),
    ],
)
def test_names_are_completed(words: str, names: set[str]) -> None:
    environment = os.environ | {
        "_GENOFORMER_COMPLETE": "bash_complete",
        "COMP_WORDS": f"genoformer {words}",
        "COMP_CWORD": str(len(words.split())),
    }
    done = subprocess.run([Path(sys.executable).parent / "genoformer"], env=environment, capture_output=True, text=True)
    assert {line.removeprefix("plain,") for line in done.stdout.split() if line.startswith("plain,")} == names


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "-f", FASTA, "-m", "mini-tracks", "-r", "chrS1:1-500"),
        ("report", VCF),
        ("embed", FASTA, "-m", "demo"),
        ("data", "simulate"),
        ("models", "convert", "demo"),
        ("calibrate", VCF, "-f", FASTA, "-m", "demo"),
    ],
)
def test_what_is_no_stream_is_not_written_to_a_file_of_that_name(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = ["--", "-"] if arguments[0] in ("data", "models") else ["-o", "-"]
    status, _, said = run(*arguments, *out)
    assert (status, said) == (2, "Error: -: standard output is not possible here, because files are written; give a path.\n")
    assert list(tmp_path.iterdir()) == []


def test_help_needs_neither_torch_nor_home() -> None:
    program = "import sys; from genoformer_cli.main import main; main(['score', '-h'], standalone_mode=False); "
    done = subprocess.run(
        [sys.executable, "-c", program + "print([m for m in ('torch', 'pandas', 'pyarrow') if m in sys.modules])"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_lists_of_commands_cut_no_sentence_and_begin_with_score() -> None:
    for path, command in {(): main, **EVERY}.items():
        if isinstance(command, click.Group):
            listed = run(*path, "-h")[1].split("\nCommands:\n")[1]
            assert "..." not in listed, path
            assert len(listed.splitlines()) == len(command.commands), path
    assert run("-h")[1].split("\nCommands:\n")[1].split()[0] == "score"
