"""Progress: a stage counts its steps, and every function that reports progress takes the same callback."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import genoformer
from genoformer.progress import Progress, Stage

ROOT = Path(genoformer.__file__).parent


def test_a_stage_counts_and_reports_each_step() -> None:
    events: list[Progress] = []
    stage = Stage(events.append, "score", 9)
    stage.report(0)
    stage.add(4)
    stage.add(5)
    assert events == [Progress("score", n, 9) for n in (0, 4, 9)]
    unknown = Stage(events.append, "preflight")
    unknown.add(3)
    assert events[-1] == Progress("preflight", 3, None)


def test_a_stage_that_nobody_follows_counts_in_silence() -> None:
    stage = Stage(None, "score")
    stage.add(2)
    stage.add(1)
    assert stage.done == 3


def annotations(path: Path) -> list[str]:
    """Types of the parameters and fields of a file that are named progress."""
    found, text = [], path.read_text()
    for node in ast.walk(ast.parse(text)) if "progress:" in text else ():
        if isinstance(node, ast.arg) and node.arg == "progress" and node.annotation is not None:
            found.append(ast.unparse(node.annotation))
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "progress":
            found.append(ast.unparse(node.annotation))
    return found


FILES = [path for path in sorted(ROOT.rglob("*.py")) if annotations(path)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_progress_has_one_type(path: Path) -> None:
    """In public calls it is True, False or None, which `shown_progress` reads; else it is the callback."""
    is_public = path.parent.name == "api" or path.relative_to(ROOT).as_posix() == "annotation/table.py"
    kinds = {"bool | None"} if is_public else {"ProgressCallback"}
    if path.relative_to(ROOT).as_posix() == "inference/sampling.py":  # holds the public call and the function behind it
        kinds |= {"bool | None"}
    assert set(annotations(path)) == kinds


def test_there_are_files_that_report_progress() -> None:
    assert len(FILES) > 20
