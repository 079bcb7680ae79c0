"""`genoformer data build` through the command line: the example of its help, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from commands import run
from genoformer_cli.data import build

DEMO = Path(__file__).resolve().parents[2] / "data" / "demo"


def test_the_example_in_the_help_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (build.help or "").replace("\\\n", " ")
    lines = [line.split()[1:] for line in text.splitlines() if line.strip().startswith("genoformer ")]
    assert [line[:2] for line in lines] == [["data", "simulate"], ["data", "build"]]
    for line in lines:
        result = run(*line)
        assert result.exit_code == 0, result.output
    manifest = json.loads(Path("promoters/manifest.json").read_text())
    assert set(manifest["counts"]) == {"train", "valid", "test"}
    for split, counts in manifest["counts"].items():
        with Path("promoters", f"{split}.tsv").open() as file:
            assert sum(counts.values()) == sum(1 for _ in csv.DictReader(file, delimiter="\t"))
        assert f"{split}: {counts['promoter']:,} promoter (GC " in result.output
    assert result.output.count("leakage: ") == 3


def test_classes_negatives_and_contigs_are_passed_on(tmp_path: Path) -> None:
    result = run(
        *("data", "build", tmp_path / "out", "-f", DEMO / "genome.fa.gz"),
        *("-p", f"peak={DEMO / 'peaks.narrowPeak.gz'}", "--negatives", "dinucleotide", "--ratio", 2, "--length", 100),
        *("--test", "S2", "--max-n", 0.1, "--seed", 4),
    )
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["contigs"] == {"train": ["chrS1"], "test": ["chrS2"]}
    assert manifest["options"] | {"spans": 0, "valid": 0} == {
        "length": 100,
        "spans": 0,
        "negatives": "dinucleotide",
        "ratio": 2.0,
        "valid": 0,
        "test": ["S2"],
        "max_n": 0.1,
        "seed": 4,
    }
    for counts in manifest["counts"].values():
        assert counts["negative"] == 2 * counts["peak"]
    assert "Note: there is no valid set" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "promoter"], "is not NAME=FILE"),
        (["-p", "a=x.bed", "-p", "a=y.bed"], "class a is given twice"),
        (["-p", "a=nothing.bed"], "nothing.bed does not exist"),
        (["-p", "a=nothing.bed", "--valid", "chr7"], "There is no contig chr7"),
        (["-p", "a=nothing.bed", "--negatives", "none"], "nothing to classify"),
    ],
)
def test_a_refusal_is_one_sentence_and_status_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = run("data", "build", tmp_path / "out", "-f", DEMO / "genome.fa.gz", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()
