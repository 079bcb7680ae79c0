"""`gf.score` and `genoformer score` have the same options with the same defaults, and give the same table."""

from __future__ import annotations

import dataclasses
import gzip
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from commands import parsed, with_five_digits
from genoformer_cli.main import main
from genoformer_cli.options import NAMES
from genoformer_cli.score import _NOT_OF_JOB, score

import genoformer as gf
from genoformer.formats.score_tables import read_score_table
from genoformer.scoring.command_options import ScoreOptions

DEMO = Path(str(files("genoformer_data"))) / "demo"
FASTA = DEMO / "genome.fa.gz"


@pytest.fixture(scope="module")
def vcf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve records of the demo near each other, with SNVs, insertions and deletions."""
    with gzip.open(DEMO / "variants.vcf.gz", "rt") as file:
        lines = file.read().splitlines()
    header = [line for line in lines if line.startswith("#")]
    records = [line for line in lines if line.startswith("chrS1\t")][100:112]
    path = tmp_path_factory.mktemp("vcf") / "in.vcf"
    path.write_text("\n".join([*header, *records, ""]))
    return path


def by_command(vcf: Path, out: Path, *words: object) -> pd.DataFrame:
    command = ["score", str(vcf), "-f", str(FASTA), "-o", str(out), *map(str, words)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.stderr
    return read_score_table(out)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["-m", "demo"], {"model": "demo"}),
        (
            ["-m", "demo", "-s", "LLR,PLL,ENTROPY,L2", "--strand", "forward", "--context", 200],
            {"model": "demo", "scores": ["LLR", "PLL", "ENTROPY", "L2"], "strand": "forward", "context": 200},
        ),
        (["-m", "demo", "-m", "mini-human", "--force"], {"model": ["demo", "mini-human"], "force": True}),
        (["-m", "demo", "--fix", "swap", "--verify", 1], {"model": "demo", "fix": "swap", "verify": 1}),
        (
            ["-m", "demo", "-a", f"P={DEMO / 'peaks.narrowPeak.gz'}", "--batch-size", 3, "--threads", 1],
            {"model": "demo", "annotations": f"P={DEMO / 'peaks.narrowPeak.gz'}", "batch_size": 3, "threads": 1},
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_language_model_scores_are_those_of_the_command(vcf, tmp_path, words, options) -> None:
    expected = by_command(vcf, tmp_path / "out.tsv", *words)
    pd.testing.assert_frame_equal(with_five_digits(gf.score(vcf, FASTA, **options)), expected)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--noise-places", 2], {"noise_places": 2}),
        (
            ["-s", "SAD501,LOGSED", "--tracks", "0-2", "--gtf", DEMO / "genes.gtf.gz", "--strand", "forward"],
            {"scores": "SAD501,LOGSED", "tracks": "0-2", "gtf": DEMO / "genes.gtf.gz", "strand": "forward"},
        ),
        (
            [
                "-s",
                "D2",
                "--tracks",
                "5",
                "--shifts",
                "-1,0,1",
                "--indels",
                "stitch",
                "--anchor",
                "variant",
                "--noise-places",
                0,
            ],
            {"scores": "D2", "tracks": [5], "shifts": (-1, 0, 1), "indels": "stitch", "anchor": "variant", "noise_places": 0},
        ),
    ],
)
def test_track_scores_and_matrices_are_those_of_the_command(vcf, tmp_path, words, options) -> None:
    few = tmp_path / "few.vcf"
    few.write_text("\n".join([*vcf.read_text().splitlines()[:-9], ""]))
    matrix = tmp_path / "command.parquet", tmp_path / "call.parquet"
    common = ["-m", "mini-tracks", "--force", "--matrix", matrix[0]]
    expected = by_command(few, tmp_path / "out.tsv", *common, *words)
    table = gf.score(few, FASTA, "mini-tracks", force=True, matrix=matrix[1], **options)
    pd.testing.assert_frame_equal(with_five_digits(table), expected)
    assert matrix[0].read_bytes() == matrix[1].read_bytes()


def command_options() -> dict[str, Any]:
    """Options of the command by the names of a job's options, with their defaults."""
    params = parsed(score, "in.vcf", "-f", "genome.fa")
    return {NAMES.get(name, name): value for name, value in params.items() if name not in _NOT_OF_JOB}


def test_both_have_the_same_options_and_defaults() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(ScoreOptions)}
    options = command_options()
    assert fields.keys() == options.keys()
    for name, default in options.items():
        nothing = (None, (), 0, False)  # click has None or an empty tuple where a field has another empty value
        assert default == fields[name] or (default in nothing and fields[name] in nothing), name


@pytest.mark.parametrize(
    ("words", "options", "needed"),
    [
        (["--tracks", "3"], {"tracks": "3"}, "a track model"),
        (["--shifts", "0"], {"shifts": "0"}, "a track model or a fine-tuned model"),
        (["--tile", "max"], {"tile": "max"}, "a fine-tuned model"),
    ],
)
def test_both_refuse_options_of_other_models(vcf, tmp_path, words, options, needed) -> None:
    command = ["score", str(vcf), "-f", str(FASTA), "-o", str(tmp_path / "o.tsv"), "-m", "demo", *words]
    result = CliRunner().invoke(main, command)
    (name,) = options
    message = f"needs {needed}, found a language model"
    assert result.exit_code == 2
    assert f"Error: --{name} {message}" in result.stderr
    with pytest.raises(gf.errors.ConfigError, match=f"^option {name} {message}"):
        gf.score(vcf, FASTA, "demo", **options)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--strand", "Both"], {"strand": "Both"}),
        (["--strand", "reverse"], {"strand": "reverse"}),
        (["--context", 0], {"context": 0}),
        (["--context", 0.5], {"context": 0.5}),
        (["--phases", "two"], {"phases": "two"}),
        (["--verify", -3], {"verify": -3}),
        (["--workers", 0], {"workers": 0}),
        (["--threads", 0], {"threads": 0}),
        (["--engine", "foo"], {"engine": "foo"}),
        (["--part-size", 0], {"part_size": 0}),
        (["--batch-size", 0], {"batch_size": 0}),
        (["--precision", "float64"], {"precision": "float64"}),
        (["--device", "gpu"], {"device": "gpu"}),
        (["--fix", "flip"], {"fix": "flip"}),
        (["-a", "1=x.bed"], {"annotations": "1=x.bed"}),
        (["--region", "chrS1:5-1"], {"region": "chrS1:5-1"}),
    ],
)
def test_both_refuse_the_same_values(vcf, tmp_path, words, options) -> None:
    arguments = ["score", vcf, "-f", FASTA, "-o", tmp_path / "o.tsv", "-m", "demo", *words]
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert (result.exit_code, result.exception and type(result.exception)) == (2, SystemExit)
    with pytest.raises((gf.errors.GenoformerError,)):
        gf.score(vcf, FASTA, "demo", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["--noise-places", -1], {"noise_places": -1}),
        (["--tracks", "999"], {"tracks": [999]}),
        (["--tracks", ""], {"tracks": []}),
        (["--tracks", "-1"], {"tracks": [-1]}),
        (["--shifts", "0.5"], {"shifts": (0.5,)}),
        (["--shifts", ""], {"shifts": ()}),
        (["--shifts", "a"], {"shifts": "a"}),
        (["--indels", "middle"], {"indels": "middle"}),
        (["--anchor", "Grid"], {"anchor": "Grid"}),
        (["--head", "x"], {"head": "x"}),
    ],
)
def test_both_refuse_the_same_values_of_track_models(vcf, tmp_path, words, options) -> None:
    arguments = ["score", vcf, "-f", FASTA, "-o", tmp_path / "o.tsv", "-m", "mini-tracks", *words]
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert (result.exit_code, result.exception and type(result.exception)) == (2, SystemExit)
    with pytest.raises(gf.errors.ConfigError):
        gf.score(vcf, FASTA, "mini-tracks", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [
        {"scores": 5},
        {"context": True},
        {"phases": 3},
        {"share_windows": 1},
        {"tracks": 999},
        {"tracks": [0.5]},
        {"tracks": {"a": 1}},
        {"targets": 5},
        {"head": 0},
        {"gtf": 5},
        {"shifts": 0},
        {"shifts": [True]},
        {"device": 0},
        {"batch_size": "4"},
        {"region": 5},
        {"annotations": {"P": "peaks.bed"}},
        {"annotations": 5},
        {"matrix": 5},
        {"calibration": 5},
        {"noise_places": 1.5},
        {"verify": "2"},
        {"force": "yes"},
        {"fix": 5},
        {"workers": "2"},
        {"engine": None, "threads": 1.5},
    ],
)
def test_values_of_other_types_are_refused_by_name(vcf, options) -> None:
    name = list(options)[-1]
    with pytest.raises(gf.errors.ConfigError, match=rf"^option {name} is .*, expected .*; give "):
        gf.score(vcf, FASTA, "mini-tracks", **options)


def test_an_unknown_engine_is_refused_before_the_records_are_read(vcf, tmp_path) -> None:
    command = ["score", str(vcf), "-f", str(FASTA), "-o", str(tmp_path / "o.tsv"), "-m", "demo", "--engine", "foo"]
    result = CliRunner().invoke(main, command)
    assert result.stderr == "Error: --engine is 'foo', expected local, ray or ray:ADDRESS; give one of them.\n"


def test_numbers_of_tracks_of_any_kind_select_the_same(vcf, tmp_path) -> None:
    few = tmp_path / "few.vcf"
    few.write_text("\n".join([*vcf.read_text().splitlines()[:-11], ""]))
    first, *others = [
        gf.score(few, FASTA, "mini-tracks", "SAD501", force=True, noise_places=0, tracks=tracks)
        for tracks in ("3,1", [3, 1], (3, 1, 3), np.array([3, 1]))
    ]
    for other in others:
        pd.testing.assert_frame_equal(other, first)


def test_an_unknown_option_is_refused(vcf) -> None:
    with pytest.raises(TypeError, match="stand"):
        gf.score(vcf, FASTA, "demo", stand="forward")
