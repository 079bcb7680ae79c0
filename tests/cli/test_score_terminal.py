"""`score` at a terminal: a table of the strongest in place of the whole VCF, and at its end the files and the next command."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from commands import run_well

DEMO = Path(str(files("genoformer_data") / "demo"))
SCORE = ("score", DEMO / "variants.vcf.gz", "-f", DEMO / "genome.fa.gz", "-m", "demo", "-r", "chrS1:1-20000")


def at_a_terminal(*arguments: object) -> tuple[str, str]:
    """Standard output, which is a terminal of 80 columns, and standard error of the command."""
    leader, follower = pty.openpty()
    words = [sys.executable, "-m", "genoformer_cli", *map(str, arguments)]
    environment = os.environ | {"COLUMNS": "80", "LINES": "24"}
    done = subprocess.Popen(words, stdout=follower, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment)
    os.close(follower)
    text = b""
    while True:
        try:
            block = os.read(leader, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        text += block
    os.close(leader)
    assert done.stderr is not None
    messages = done.stderr.read().decode()
    assert done.wait() == 0, messages
    return text.decode().replace("\r\n", "\n"), messages


def test_a_terminal_shows_the_strongest_and_a_pipe_the_vcf(tmp_path: Path) -> None:
    shown, messages = at_a_terminal(*SCORE)
    lines = shown.splitlines()
    assert lines[0].startswith("20 strongest of ")
    assert lines[1].split() == ["variant", "id", "LLR", "PLL"]
    assert len(lines) == 22
    assert max(map(len, lines)) <= 80
    assert messages.splitlines()[-1] == (
        "all records with their scores: the same command with -o scored.vcf.gz (or .tsv, .parquet)"
    )
    table = tmp_path / "o.tsv"
    run_well(*SCORE, "-o", table)
    header, *rows = (line.split("\t") for line in table.read_text().splitlines())
    largest = max((row for row in rows if row[header.index("LLR")]), key=lambda row: abs(float(row[header.index("LLR")])))
    assert lines[2].split()[0] == f"{largest[0]}:{int(largest[1]):,}"
    assert run_well(*SCORE).stdout.startswith("##fileformat")  # no terminal


def test_with_an_output_the_last_line_names_the_files_and_the_next_command(tmp_path: Path) -> None:
    out, page = tmp_path / "my scores.vcf.gz", tmp_path / "my scores.html"
    last = run_well(*SCORE, "-o", out).stderr.splitlines()[-1]
    assert last == f"wrote {out}, {out}.tbi; next: genoformer report '{out}' -o '{page}'"
    assert run_well(*SCORE, "-o", out, "-q").stderr == ""
    run_well("report", out, "-o", page)
    assert page.is_file()


@pytest.mark.parametrize("suffix", ["tsv", "parquet"])
def test_the_next_command_reads_tables_too(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"o.{suffix}"
    assert run_well(*SCORE, "-o", out).stderr.splitlines()[-1].startswith(f"wrote {out}; next: genoformer report {out} ")
    run_well("report", out, "-o", tmp_path / "table.html")
    run_well(*SCORE, "-o", tmp_path / "o.vcf")
    run_well("report", tmp_path / "o.vcf", "-o", tmp_path / "vcf.html")
    for page in ("table.html", "vcf.html"):
        assert "<small>n = " in (tmp_path / page).read_text()
    words = (
        "-a",
        f"STATE={DEMO / 'states.bed.gz'}",
        "-f",
        DEMO / "genome.fa.gz",
        "--resamplings",
        9,
        "--top",
        0.2,
        "--match",
        "none",
    )
    tables = [
        run_well("enrich", tmp_path / name, *words, "--score", key).stdout
        for name in (out.name, "o.vcf")
        for key in ("LLR", "GF_LLR")
    ]
    assert len(set(tables)) == 1
    assert tables[0].startswith("variants\tannotation\t")
