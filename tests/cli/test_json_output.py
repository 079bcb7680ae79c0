"""--json: one object on stdout, with one form of a metric, in every command that ends with numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from commands import EVERY, run, run_well
from genoformer_cli.json_output import metric, plain, print_json, table_rows
from genoformer_cli.pretrain import _numbers as numbers_of_pretrain

DEMO = Path(str(files("genoformer_data") / "demo"))
VCF, FASTA = DEMO / "variants.vcf.gz", DEMO / "genome.fa.gz"
PRINTS_JSON_ALWAYS = {("evaluate", "variants"), ("evaluate", "sequences"), ("data", "info")}
NO_NUMBERS = {  # at their end: they write files, or print text that is no result
    *(("interpret", name) for name in ("attention", "ism", "attribution", "filters")),
    *(("models", name) for name in ("pull", "convert", "push")),
    ("data", "pull"),
    ("embed",),  # its --probe prints JSON
    ("predict",),
    ("sample",),
    ("browse",),
}


class Point(NamedTuple):
    x: float
    y: np.int64


@dataclass
class Result:
    path: Path
    points: tuple[Point, ...]


def test_values_become_what_json_has() -> None:
    result = Result(Path("a/b"), (Point(float("nan"), np.int64(3)), Point(-1.5, np.int64(4))))
    assert plain(result) == {"path": "a/b", "points": [{"x": None, "y": 3}, {"x": -1.5, "y": 4}]}
    assert plain({"a": {1: np.float32(0.5)}, "b": (True, None, "x"), "c": float("inf")}) == {
        "a": {"1": 0.5},
        "b": [True, None, "x"],
        "c": None,
    }


def test_rows_of_tables_become_objects_with_metrics() -> None:
    rows = [("name", "n", "fold", "low", "high"), ("CTCF", 5, "2.5", "", "inf"), ("007", 6, "1e-3", "0", "nan")]
    assert table_rows(rows, {"fold": ("low", "high")}) == [
        {"name": "CTCF", "n": 5, "fold": metric(2.5)},
        {"name": 7, "n": 6, "fold": metric(0.001, 0, None)},
    ]
    assert table_rows(rows)[0]["low"] is None


def test_it_stands_on_stdout_unless_the_output_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": 1}, output="x.vcf")
    print_json({"a": 2}, output="-")
    assert capsys.readouterr() == ('{"a": 1}\n', '{"a": 2}\n')


def test_every_command_that_ends_with_numbers_has_it() -> None:
    has = {path for path, command in EVERY.items() if any("--json" in parameter.opts for parameter in command.params)}
    assert set(EVERY) - has == PRINTS_JSON_ALWAYS | NO_NUMBERS


def test_annotate_and_enrich(tmp_path: Path) -> None:
    states = f"STATE={DEMO / 'states.bed.gz'}"
    result = run_well("annotate", VCF, "-a", states, "-o", tmp_path / "o.vcf", "--json")
    numbers = json.loads(result.stdout)
    plain_run = run_well("annotate", VCF, "-a", states, "-o", tmp_path / "p.vcf")
    assert f"annotated {numbers['records']:,} records" in plain_run.stderr
    assert numbers["overlapping"]["STATE"] > 0
    to_stdout = run_well("annotate", VCF, "-a", states, "--json")
    assert json.loads(to_stdout.stderr.splitlines()[-1])["records"] == numbers["records"]
    assert to_stdout.stdout == (tmp_path / "o.vcf").read_text()

    words = ("enrich", VCF, "-a", states, "-f", FASTA, "--resamplings", 20, "--controls", 500)
    table = [line.split("\t") for line in run_well(*words).stdout.splitlines()]
    rows = json.loads(run_well(*words, "--json").stdout)["annotations"]
    assert len(rows) == len(table) - 1
    for row, cells in zip(rows, table[1:], strict=True):
        of = dict(zip(table[0], cells, strict=True))
        assert (row["annotation"], row["observed"]) == (of["annotation"], int(of["observed"]))
        assert row["fold"] == {name: float(of[key]) if of[key] not in ("", "inf") else None for name, key in ENDS.items()}


ENDS = {"value": "fold", "low": "low", "high": "high"}


def test_data_simulate_and_build(tmp_path: Path) -> None:
    world = tmp_path / "world"
    simulate = ("data", "simulate", world, "--contigs", 2, "--contig-length", 60_000, "--variants", 100, "--json")
    numbers = json.loads(run_well(*simulate).stdout)
    assert (numbers["output"], numbers["variants"], numbers["bases"]) == (str(world), 100, 120_000)
    positives = f"gene={world / 'genes.gtf.gz'}"
    build = ("data", "build", tmp_path / "set", "-f", world / "genome.fa.gz", "-p", positives, "--valid", "chrS2", "--json")
    counts = json.loads(run_well(*build).stdout)["counts"]
    assert counts["train"]["gene"] > 0


def test_pretrain_gives_intervals_of_the_normal_distribution() -> None:
    rows = {"model": {"bits": 1.9, "standard_error": 0.01, "bases": 500}}
    rows["best_count_model"] = {"name": "2+2", "bits": 1.95, "standard_error": None}
    assert plain(numbers_of_pretrain("m", {"metrics": {"train_loss": 1.5}, "held_out": rows, "notes": []})) == {
        "output": "m",
        "train_loss": metric(1.5),
        "bits_per_base": {"model": pytest.approx({"value": 1.9, "low": 1.8804, "high": 1.9196}), "2+2": metric(1.95)},
        "held_out_bases": 500,
        "failed": [],
    }
    assert "bits_per_base" not in numbers_of_pretrain("m", {"metrics": {"train_loss": 1.5}, "notes": ["no"]})


def test_tables_of_effects_and_calibrations_tell_their_counts(tmp_path: Path) -> None:
    lines = run_well("score", VCF, "-f", FASTA, "-m", "demo", "-r", "chrS1:1-9000").stdout.splitlines()
    (tmp_path / "few.vcf").write_text("\n".join([*(line for line in lines if line[0] == "#"), *lines[-2:], ""]))
    common = (tmp_path / "few.vcf", "-f", FASTA, "--strand", "forward", "--json")
    calibrated = json.loads(run_well("calibrate", *common, "-m", "demo", "-o", tmp_path / "c.json").stdout)
    assert (calibrated["output"], calibrated["records"]) == (str(tmp_path / "c.json"), 2)
    paired = json.loads(run_well("pairs", *common, "-m", "mini-tracks", "-o", tmp_path / "p.tsv").stdout)
    assert paired["n_rows"] == len((tmp_path / "p.tsv").read_text().splitlines()) - 1
    assert set(paired) >= {"output", "n_sequences", "left_out", "notes"}


def test_merge_prints_the_numbers_of_the_command_that_it_joins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["annotate", str(VCF), "-a", f"STATE={DEMO / 'states.bed.gz'}", "-o", str(tmp_path / "o.vcf")]
    for i in (1, 2):
        shard = [*words, "--shard", f"{i}/2"]
        monkeypatch.setattr("sys.argv", ["genoformer", *shard])
        run_well(*shard)
    numbers = json.loads(run_well("merge", tmp_path / "o.vcf", "--json").stdout)
    whole = json.loads(run_well(*words[:5], tmp_path / "whole.vcf", "--json").stdout)
    other = dict.fromkeys(("output", "seconds"))
    assert numbers | other == whole | other


def test_refused_commands_print_no_json(tmp_path: Path) -> None:
    refused = run("annotate", tmp_path / "no.vcf", "-a", f"S={DEMO / 'states.bed.gz'}", "-o", tmp_path / "o.vcf", "--json")
    assert (refused.exit_code, refused.stdout) == (2, "")
