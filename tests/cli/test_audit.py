"""The command data audit: its table, JSON and exit status."""

from __future__ import annotations

import json
from pathlib import Path

from commands import assert_refused, run

import genoformer as gf

TEXT = "ACGTTGCAAGGCTTACGGATTACAGATTACACCATGGATC"


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("".join(f"{a},{b}\n" for a, b in [("sequence", "label"), *rows]))
    return path


def test_the_exit_status_is_one_for_a_failure_and_the_table_says_why(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", [(TEXT, "1"), (TEXT[::-1], "0")])
    write(tmp_path / "dev.csv", [(TEXT, "1")])
    done = run("data", "audit", tmp_path)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "2 train, 1 dev"
    assert any(line.startswith("FAIL  exact copies") and "1 of 1 (100 %)" in line for line in lines)
    assert any(line.startswith("FAIL exact copies: ") for line in lines)
    leaks = tmp_path / "leaks.tsv"
    assert run("data", "audit", tmp_path, "-o", leaks).exit_code == 1
    assert leaks.read_text().splitlines()[1] == "exact copies\tdev\t1\t1\ttrain\t1\t1"
    assert_refused(
        run("data", "audit", train, tmp_path / "dev.csv", "-o", train), "is the input, which the output would replace"
    )
    write(tmp_path / "dev.csv", [("TTTTTACGGACCCATTAGGACCAGTTTTGACCAAACCCAA", "1")])
    clean = run("data", "audit", train, tmp_path / "dev.csv", "--json")
    assert clean.exit_code == 0
    found = json.loads(clean.stdout)
    assert found["verdict"] == "PASS"
    assert found == json.loads(json.dumps(gf.data.audit(tmp_path).to_dict()))


def test_a_missing_set_is_refused(tmp_path: Path) -> None:
    assert_refused(run("data", "audit", tmp_path), "has no train.csv")
    assert_refused(run("data", "audit", tmp_path / "x.csv"), "x.csv is no file")
