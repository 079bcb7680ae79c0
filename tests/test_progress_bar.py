"""The bar of Python calls: on request, in a terminal, as an output of a notebook's cell, or as lines of text."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from processes import read_terminal

import genoformer as gf
from genoformer.errors import OptionError
from genoformer.progress import RESUMED, Progress
from genoformer.progress_bar import StageLines, _new_bar, _tasks_of, shown_progress

FASTA = Path(str(files("genoformer_data"))) / "demo" / "genome.fa.gz"
TEXTS = ["ACGTTGCATTAGC" * 4] * 3

AT_TERMINAL = """
import sys, time
from genoformer.progress import Progress
from genoformer.progress_bar import shown_progress

show = {"True": True, "False": False, "None": None}[sys.argv[1]]
with shown_progress(show, "records") as report:
    time.sleep(float(sys.argv[2]))
    for done in range(5) if report else ():
        report(Progress("score", done, 4))
"""

IN_KERNEL = """
from genoformer.progress import Progress
from genoformer.progress_bar import shown_progress

with shown_progress({show}, "records") as report:
    for done in range(5) if report else ():
        report(Progress("score", done, 4))
"""


def test_a_requested_bar_counts_to_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress(True, "records") as report:
        assert report is not None
        report(Progress(RESUMED, 2, 4))  # names a step, and is none
        for done in range(5):
            report(Progress("score", done, 4))
    text = capsys.readouterr().err
    assert re.fullmatch(r"  score \.\.\.\n  score: 4 records in \d+\.\d s\n", text)


@pytest.mark.parametrize("show", [False, None])
def test_without_a_terminal_nothing_is_written_unasked(show: bool | None, capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress(show, "records") as report:
        assert report is None
    assert capsys.readouterr() == ("", "")


def test_a_callback_is_no_answer() -> None:
    with pytest.raises(OptionError, match="option progress is 1, expected True, False or None"), shown_progress(1, "x"):  # type: ignore[arg-type]
        pass


def drawn(show: bool | None, seconds: float) -> str:
    """Return the text that a process draws on its terminal, without colours."""
    leader, follower = pty.openpty()
    environment = os.environ | {"COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    words = [sys.executable, "-c", AT_TERMINAL, str(show), str(seconds)]
    done = subprocess.Popen(words, stderr=follower, stdin=subprocess.DEVNULL, env=environment)
    os.close(follower)
    text = read_terminal(leader).decode()
    assert done.wait() == 0, text
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize(
    ("show", "seconds", "is_drawn"),
    [(True, 0, True), (None, 0.6, True), (None, 0, False), (False, 0.6, False)],
)
def test_a_terminal_has_a_bar_that_vanishes(show: bool | None, seconds: float, is_drawn: bool) -> None:
    """By default only for a call that takes longer than half a second; after the last line everything is cleared."""
    text = drawn(show, seconds)
    assert ("4/4" in text) == is_drawn
    assert text.endswith("\x1b[2K") if is_drawn else text == ""


def test_a_notebook_has_one_output_with_the_last_state() -> None:
    """Run without a browser, as the stored notebooks are; None and False leave no output there."""
    nbformat = pytest.importorskip("nbformat", reason="notebooks need nbformat")
    client = pytest.importorskip("nbclient", reason="notebooks need nbclient")
    cells = [nbformat.v4.new_code_cell(IN_KERNEL.format(show=show)) for show in (True, False, None)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs: list[list[Any]] = [cell.outputs for cell in notebook.cells]
    assert [[output.output_type for output in of_cell] for of_cell in outputs] == [["display_data"], [], []]
    data = outputs[0][0].data
    assert "4/4" in data["text/plain"]
    assert "<pre" in data["text/html"]


def test_lines_of_stages_name_their_steps() -> None:
    lines: list[str] = []
    stages = StageLines("records", lines.append)
    for stage, done in (("check", 0), ("check", 1_200), ("score", 7)):
        stages.report(Progress(stage, done, None))
    stages.end()
    stages.end()
    without_time = [re.sub(r"in .* s$", "in", line) for line in lines]
    assert without_time == ["  check ...", "  check: 1,200 records in", "  score ...", "  score: 7 records in"]


@pytest.mark.parametrize(
    ("call", "steps"),
    [
        ("score", {"preflight": "1 records", "score": "1 records", "write": "1 records"}),
        ("predict", {"predicting": "20 bases"}),
        ("embed", {"layer 4": "3 windows"}),
        ("embed_tokens", {"embed": "3 sequences"}),
        ("mutagenesis", {"ism": "20 bases"}),
        ("attention", {"attention": "3 regions"}),
        ("expected", {"predict": "20 bases"}),
        ("classify", {"predict": "6 windows"}),
        ("evaluate", {"predict": "6 windows"}),
        ("explain", {"ism": "22 bases"}),
    ],
)
def test_calls_count_their_steps(call: str, steps: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch", reason="models need torch")
    from small_models import small_classifier

    from genoformer.models import registry
    from genoformer.tokenizers import BaseTokenizer

    region, classes, table = "chrS1:6001-6020", small_classifier(BaseTokenizer()), tmp_path / "test.csv"
    registry.save(classes, tmp_path / "classes")
    table.write_text("sequence,label\n" + "".join(f"{text},{name}\n" for text, name in zip(TEXTS, "abc", strict=True)))
    calls: dict[str, Any] = {
        "score": lambda show: gf.score("chrS1:6000:G:A", FASTA, "demo", progress=show),
        "predict": lambda show: gf.predict(FASTA, region, "demo", track="entropy", progress=show),
        "embed": lambda show: gf.embed(TEXTS, "demo", progress=show),
        "embed_tokens": lambda show: gf.embed_tokens(TEXTS, "demo", progress=show),
        "mutagenesis": lambda show: gf.mutagenesis(FASTA, region, "demo", progress=show),
        "attention": lambda show: gf.attention(TEXTS, "demo", progress=show),
        "expected": lambda show: gf.expected(FASTA, region, "demo", progress=show),
        "classify": lambda show: gf.classify(TEXTS, classes, progress=show),
        "evaluate": lambda show: gf.evaluate(table, tmp_path / "classes", progress=show),
        "explain": lambda show: gf.explain("chrS1:6000:G:A", FASTA, classes, flank=5, logos="ism", progress=show),
    }
    calls[call](False)
    calls[call](None)
    assert capsys.readouterr().err == ""
    calls[call](True)
    ends = re.findall(r"^  (.+): (\d+ \w+) in [\d.]+ s$", capsys.readouterr().err, flags=re.M)
    assert dict(ends) == steps


def test_training_counts_its_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("lightning", reason="training needs the extra 'train'")
    (tmp_path / "g.fa").write_text(f">chr1\n{'ACGTTGCATTAGC' * 40}\n>chr2\n{'GATTACA' * 40}\n")
    tables = {
        "tokenizer": {"tokenizer": "base"},
        "model": {"width": 8, "n_layers": 1, "n_heads": 1, "ffn_width": 8, "context_length": 32},
        "training": {"max_steps": 2, "batch_size": 2, "eval_bases": 10},
    }
    gf.pretrain(tmp_path / "g.fa", tmp_path / "run", config=tables, progress=True)
    assert "2 steps in " in capsys.readouterr().err


def test_slow_steps_have_a_rate_and_a_time_left() -> None:
    """One record in 50 seconds, as with a large model: seen over more than the half minute that rich takes."""
    from rich.console import Console

    now = 0.0
    bar = _new_bar(Console(file=io.StringIO()), auto_refresh=False, get_time=lambda: now)
    report = _tasks_of(bar, "records")
    for done in range(4):
        now = 50.0 * done
        report(Progress("score", done, 10))
    (task,) = bar.tasks
    assert task.fields["rate"] == "1.2 records/min"
    assert task.time_remaining == pytest.approx(350)
