"""The commands benchmark list and run: table, JSON, names of files of scores."""

from __future__ import annotations

import json
from pathlib import Path

from commands import assert_refused, run, run_well
from genoformer_cli.benchmark import NAMES

from genoformer.benchmarking.registry import BENCHMARKS


def pairs(folder: Path) -> tuple[Path, Path]:
    """Thirty matched pairs, and scores that are right for 24 of them."""
    rows = [f"1\t{i}\tA\tG\t{i % 2}\tg{i // 2}\t{(1 if i // 2 % 5 else -1) * (i % 2)}" for i in range(2, 62)]
    (folder / "pairs.tsv").write_text(
        "\n".join(["chrom\tpos\tref\talt\tlabel\tmatch_group", *(row.rpartition("\t")[0] for row in rows), ""])
    )
    scores = ["\t".join([*row.split("\t")[:4], row.split("\t")[-1]]) for row in rows]
    (folder / "scores.tsv").write_text("\n".join(["chrom\tpos\tref\talt\tLLR", *scores, ""]))
    return folder / "pairs.tsv", folder / "scores.tsv"


def test_the_list_names_every_benchmark_and_where_it_is_published() -> None:
    assert set(NAMES) == set(BENCHMARKS)
    text = run_well("benchmark", "list").stdout
    for name, benchmark in BENCHMARKS.items():
        assert name in text
        assert benchmark.where in text
    rows = json.loads(run_well("benchmark", "list", "--json").stdout)["benchmarks"]
    assert [row["name"] for row in rows] == list(BENCHMARKS)


def test_a_run_prints_metric_interval_published_figures_and_its_command(tmp_path: Path) -> None:
    data, scores = pairs(tmp_path)
    words = ("benchmark", "run", "eqtl-pairs", data, "--score-file", f"mine={scores}", "--sign", "plus", "--resamplings", 20)
    lines = run_well(*words).stdout.splitlines()
    (own,) = [line for line in lines if "mine LLR" in line and line.startswith("all")]
    assert own.split()[-7:] == ["30", "0.800", "0.657", "to", "0.943", "(se", "0.073)"]
    assert any("AlphaGenome" in line and "0.621" in line and "published" in line for line in lines)
    assert any(line.startswith("mine LLR minus transversion (baseline): +0.300") for line in lines)
    assert lines[-1].startswith("command: genoformer ")
    out = tmp_path / "out"
    found = json.loads(run_well(*words, "--json", "-o", out).stdout)
    assert found == json.loads((out / "results.json").read_text())
    (row,) = [row for row in found["rows"] if row["model"] == "mine LLR"]
    assert (row["value"]["value"], row["n"], row["source"]) == (0.8, 30, "measured")


def test_wrong_words_are_refused(tmp_path: Path) -> None:
    data, scores = pairs(tmp_path)
    assert run("benchmark", "run", "nothing").exit_code == 2
    assert run("benchmark", "run", "eqtl-pairs", data, "--score-file", scores).exit_code == 2
    twice = ("--score-file", f"a={scores}", "--score-file", f"a={scores}")
    refused = run("benchmark", "run", "eqtl-pairs", data, *twice)
    assert refused.exit_code == 2
    assert "a names two files" in refused.stderr
    assert_refused(run("benchmark", "run", "gue", tmp_path, "--score-file", f"a={scores}"), "--score-file is not for gue")
    assert_refused(run("benchmark", "run", "caqtl", "--score-file", f"a={scores}"), "Synapse: DART-Eval")
