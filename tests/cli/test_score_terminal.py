"""`score` at a terminal: a table of the strongest in place of the whole VCF, and at its end the files and the next command."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from commands import run_well
from genoformer_cli.demo import report_command
from processes import read_terminal

DEMO = Path(str(files("genoformer_data") / "demo"))
SCORE = ("score", DEMO / "variants.vcf.gz", "-f", DEMO / "genome.fa.gz", "-m", "demo", "-r", "chrS1:1-14000")


@pytest.fixture(scope="module")
def vcf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The VCF of the same run."""
    path = tmp_path_factory.mktemp("scored") / "o.vcf"
    run_well(*SCORE, "-o", path)
    return path


def at_a_terminal(*arguments: object) -> tuple[str, str]:
    """Standard output, which is a terminal of 80 columns, and standard error of the command."""
    leader, follower = pty.openpty()
    words = [sys.executable, "-m", "genoformer_cli", *map(str, arguments)]
    environment = os.environ | {"COLUMNS": "80", "LINES": "24"}
    done = subprocess.Popen(words, stdout=follower, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment)
    os.close(follower)
    text = read_terminal(leader)
    messages = done.communicate()[1].decode()
    assert done.returncode == 0, messages
    return text.decode().replace("\r\n", "\n"), messages


def test_a_terminal_shows_the_strongest_and_a_pipe_the_vcf(vcf: Path) -> None:
    shown, messages = at_a_terminal(*SCORE)
    lines = shown.splitlines()
    assert lines[0].startswith("19 strongest of 19 ")
    assert lines[1].split() == ["variant", "LLR", "PLL"]
    assert len(lines) == 21
    assert max(map(len, lines)) <= 80
    assert messages.splitlines()[-1] == (
        "all records with their scores: the same command with -o scored.vcf.gz (or .tsv, .parquet)"
    )
    scores = re.findall(r"^(\S+)\t(\d+)\t.*;GF_LLR=([-.\d]+)", vcf.read_text(), re.MULTILINE)
    contig, position, score = max(scores, key=lambda row: abs(float(row[2])))
    first = lines[2].split()
    assert (first[0], float(first[2])) == (f"{contig}:{int(position):,}", float(score))
    assert run_well(*SCORE).stdout == vcf.read_text()  # no terminal


def test_with_an_output_the_last_line_names_the_files_and_the_next_command(tmp_path: Path) -> None:
    out, page = tmp_path / "my scores.vcf.gz", tmp_path / "my scores.html"
    last = run_well(*SCORE, "-o", out).stderr.splitlines()[-1]
    command = ("genoformer", "report", str(out), "-f", str(SCORE[3]), "-m", "demo", "-o", str(page))
    assert last == f"wrote {out}, {out}.tbi; next: {shlex.join(command)}"
    assert run_well(*SCORE, "-o", out, "-q").stderr == ""
    assert "6 drawn" in run_well(*command[1:]).stderr


def test_the_report_of_several_models_has_no_figures_in_the_next_command(tmp_path: Path) -> None:
    last = run_well(*SCORE, "-m", "mini-human", "--each-model", "-o", tmp_path / "o.vcf").stderr.splitlines()[-1]
    assert last.endswith(f"next: genoformer report {tmp_path / 'o.vcf'} -o {tmp_path / 'o.html'}")


def test_the_demo_ends_with_a_report_that_has_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DEMO.parent)
    command = "genoformer report out/scored.vcf.gz -f demo/genome.fa.gz -m demo -o report.html"
    assert report_command(Path("out/scored.vcf.gz")) == command
    monkeypatch.chdir(tmp_path)
    assert f"-f {(DEMO / 'genome.fa.gz').resolve()} " in report_command(Path("out/scored.vcf.gz"))


def test_the_next_command_has_the_path_of_a_program_that_is_not_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `make demo`, before the environment is activated."""
    monkeypatch.setattr(sys, "argv", [".venv/bin/genoformer", "demo"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert report_command(Path("out/scored.vcf.gz")).startswith(".venv/bin/genoformer report out/scored.vcf.gz ")
    (tmp_path / "genoformer").write_text("#!/bin/sh\n")
    (tmp_path / "genoformer").chmod(0o755)
    assert report_command(Path("out/scored.vcf.gz")).startswith("genoformer report ")


@pytest.mark.parametrize("suffix", ["tsv", "parquet"])
def test_the_next_command_reads_tables_too(vcf: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"o.{suffix}"
    assert run_well(*SCORE, "-o", out).stderr.splitlines()[-1].startswith(f"wrote {out}; next: genoformer report {out} ")
    pages = []
    for scored in (out, vcf):
        run_well("report", scored, "-o", tmp_path / "o.html")
        pages.append(re.findall("<figcaption>.*?</figcaption>", (tmp_path / "o.html").read_text()))
    assert pages[0] == pages[1]
    assert "<b>LLR</b>, n = " in pages[0][0]
    words = ("-a", f"STATE={DEMO / 'states.bed.gz'}", "-f", SCORE[3], "--resamplings", 9, "--top", 0.2, "--match", "none")
    tables = [run_well("enrich", path, *words, "--score", key).stdout for path in (out, vcf) for key in ("LLR", "GF_LLR")]
    assert len({table.replace("GF_LLR", "LLR") for table in tables}) == 1
    assert tables[0].startswith("variants\tannotation\t")
