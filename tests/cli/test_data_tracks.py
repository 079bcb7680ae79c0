"""`genoformer data tracks` through the command line: the example of its help, its options, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run
from genoformer_cli.data import tracks

from genoformer.datasets.track_set import read_tracks

DEMO = Path(__file__).resolve().parents[2] / "data" / "demo"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "targets.tsv"
    path.write_text(f"identifier\tfile\npeaks\t{DEMO / 'peaks.narrowPeak.gz'}\n")
    return path


def test_the_example_in_the_help_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = (tracks.help or "").replace("\\\n", " ").partition("Example:")[2].strip()
    simulate, printf, make = [line.strip() for line in example.splitlines()]
    text, file = printf.removeprefix("printf '").split("' > ")
    Path(file).write_text(text.replace("\\t", "\t").replace("\\n", "\n"))
    for line in (simulate, make):
        result = run(*line.split()[1:])
        assert result.exit_code == 0, result.output
    found = read_tracks("set")
    assert (found.length, found.n_bins, found.bin_size) == (16384, 64, 128)
    assert "set: windows of 16,384 bases, 1 track in 64 bins of 128\n" in result.output
    for split in ("train", "valid", "test"):
        assert f"  {split}: {len(found.rows(split)):,} windows" in result.output
    assert 0 < found.tracks.mean(dtype=float) < 1


@pytest.mark.parametrize("address", ["https://a.org/x.bw", "s3://bucket/x.bed"])
def test_an_address_in_the_table_is_refused_as_it_was_written(tmp_path: Path, address: str) -> None:
    (tmp_path / "targets.tsv").write_text(f"identifier\tfile\nx\t{address}\n")
    result = run(
        *("data", "tracks", tmp_path / "set", "-f", DEMO / "genome.fa.gz", "-t", tmp_path / "targets.tsv"),
        *("--length", 320, "--bin", 32, "--valid", "S2"),
    )
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(f"Error: {address} is an address, and only local files can be read")


def test_options_are_passed_on_and_notes_are_on_stderr(tmp_path: Path, table: Path) -> None:
    bed = tmp_path / "w.bed"
    bed.write_text("S1\t1000\t1100\nS2\t5000\t5100\n")
    black = tmp_path / "black.bed"
    black.write_text("S1\t1040\t1060\n")
    result = run(
        *("data", "tracks", tmp_path / "set", "-f", DEMO / "genome.fa.gz", "-t", table, "-w", bed, "--length", 320),
        *("--bin", 32, "--target-bins", 4, "--valid", "S2", "--blacklist", black, "--max-n", 0.5),
    )
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest["options"] == {
        "length": 320,
        "stride": None,
        "bin_size": 32,
        "target_bins": 4,
        "valid": ["S2"],
        "test": [],
        "max_n": 0.5,
    }
    assert set(manifest["inputs"]) == {"genome", "targets", "windows", "blacklist", "track 0 peaks"}
    assert "Note: there is no test set" in result.stderr
    assert "Note" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--length", 1000], "length 1,000 is no whole number of bins of 128 bases"),
        (["-w", "nothing.bed"], "nothing.bed does not exist"),
        (["--length", 1280, "--valid", "chr7"], "There is no contig chr7"),
        (["-t", "nothing.tsv"], "nothing.tsv does not exist"),
    ],
)
def test_a_refusal_is_one_sentence_and_status_2(tmp_path: Path, table: Path, arguments: list[object], message: str) -> None:
    result = run("data", "tracks", tmp_path / "set", "-f", DEMO / "genome.fa.gz", "-t", table, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["targets.tsv"]
