"""`gf.score` and `genoformer score` have the same options with the same defaults, and give the same table."""

from __future__ import annotations

import dataclasses
import gzip
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from genoformer_cli.main import main
from genoformer_cli.score import _NOT_OF_JOB, score
from genoformer_cli.track_options import _NAMES

import genoformer as gf
from genoformer.formats.score_tables import read_score_table
from genoformer.scoring.options import ScoreOptions

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
    pd.testing.assert_frame_equal(gf.score(vcf, FASTA, **options), expected)


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
    pd.testing.assert_frame_equal(table, expected)
    assert matrix[0].read_bytes() == matrix[1].read_bytes()


def command_options() -> dict[str, Any]:
    """Options of the command by the names of a job's options, with their defaults."""
    with score.make_context("score", ["in.vcf", "-f", "genome.fa"]) as context:
        return {_NAMES.get(name, name): value for name, value in context.params.items() if name not in _NOT_OF_JOB}


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
    message = f"option {name} needs {needed}, found a language model"
    assert result.exit_code == 2
    assert message in result.stderr
    with pytest.raises(gf.errors.ConfigError, match=message):
        gf.score(vcf, FASTA, "demo", **options)


def test_an_unknown_option_is_refused(vcf) -> None:
    with pytest.raises(TypeError, match="stand"):
        gf.score(vcf, FASTA, "demo", stand="forward")
