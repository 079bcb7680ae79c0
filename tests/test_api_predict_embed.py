"""gf.predict and gf.embed take the options of the commands and give the numbers that the commands write."""

from __future__ import annotations

from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import run_well
from genoformer_cli.embed import embed as embed_command
from genoformer_cli.predict import predict as predict_command
from small_models import small_enformer

import genoformer as gf
from genoformer.compute import Compute
from genoformer.datasets.sequences import read_sequences
from genoformer.formats.track_table import Track, TrackTable, read_targets
from genoformer.inference import Runtime
from genoformer.inference.embed import EmbeddingRequest, embed_sequences
from genoformer.inference.prediction_request import PredictionRequest
from genoformer.models import registry
from genoformer.models.heads import ClassifierConfig, SequenceClassifier

DEMO = Path(str(files("genoformer_data") / "demo"))
SEQUENCES = ["ACGTTGCATTAGC", "GATTACA" * 40, "TTTT", "GGGCC" * 30]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.csv"
    path.write_text("sequence\n" + "\n".join(SEQUENCES) + "\n")
    return path


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    """A model of the tracks t0 to t4, of which the first two are strand pairs."""
    model = small_enformer(heads={"human": 5})
    model.targets = {"human": TrackTable(tuple(Track(i, f"t{i}", strand_pair=[1, 0, 2, 3, 4][i]) for i in range(5)))}
    registry.save(model, tmp_path / "tracks")
    return tmp_path / "tracks"


@pytest.fixture
def fasta(make_fasta) -> Path:
    random = np.random.default_rng(0)
    return make_fasta(chr1="".join(random.choice(list("ACGT"), 1000)), chr2="".join(random.choice(list("ACGT"), 203)))


@pytest.mark.parametrize(
    ("region", "options", "arguments"),
    [
        ("chr1:101-900", {}, ["-r", "chr1:101-900"]),
        ("1:101-300", {"tracks": "t1,t3", "batch_size": 2}, ["-r", "1:101-300", "--tracks", "t1,t3", "--batch-size", 2]),
        (None, {"contigs": "chr2", "strand": "both"}, ["--contigs", "chr2", "--strand", "both"]),
        (
            None,
            {"bed": "b.bed", "head": "human", "precision": "bfloat16"},
            ["-b", "b.bed", "--head", "human", "--precision", "bfloat16"],
        ),
    ],
)
def test_predict(tmp_path: Path, monkeypatch, fasta: Path, tracks: Path, region, options, arguments) -> None:
    monkeypatch.chdir(tmp_path)
    Path("b.bed").write_text("chr1\t0\t20\nchr1\t900\t1000\nchr2\t5\t9\n")
    run_well("predict", "-f", fasta, "-m", tracks, "-o", "o.parquet", "--device", "cpu", "-q", *arguments)
    written = pd.read_parquet("o.parquet")
    pd.testing.assert_frame_equal(gf.predict(fasta, region, tracks, **options), written, check_exact=True)
    model = registry.load(tracks)
    with gf.Genome(fasta) as genome:
        pd.testing.assert_frame_equal(gf.predict(genome, region, model, **options), written, check_exact=True)
        genome.window("chr1", 0, 10)  # still open
    assert len(written.columns) == (5 if "tracks" in options else 8)


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({}, []),
        ({"layer": 0, "pooling": "max", "strand": "both"}, ["--layer", 0, "--pooling", "max", "--strand", "both"]),
        ({"layer": (1, 0), "window": 20, "overlap": 4}, ["--layer", 1, "--layer", 0, "--window", 20, "--overlap", 4]),
        (
            {"pooling": "cls", "batch_size": 2, "precision": "bfloat16"},
            ["--pooling", "cls", "--batch-size", 2, "--precision", "bfloat16"],
        ),
    ],
)
def test_embed(tmp_path: Path, table: Path, tiny_model_folder: Path, options, arguments) -> None:
    run_well("embed", table, "-m", tiny_model_folder, "-o", tmp_path / "o.npy", "--device", "cpu", *arguments)
    written = np.load(tmp_path / "o.npy")
    assert written.shape == ((4, 2, 8) if options.get("layer") == (1, 0) else (4, 8))
    np.testing.assert_array_equal(gf.embed(SEQUENCES, tiny_model_folder, **options), written)
    np.testing.assert_array_equal(gf.embed(SEQUENCES, gf.load(tiny_model_folder), **options), written)


def test_embed_with_a_fine_tuned_model_uses_its_window(tmp_path: Path, table: Path, tiny_model_folder: Path) -> None:
    encoder = gf.load(tiny_model_folder)
    tuned = SequenceClassifier(ClassifierConfig(encoder.config, "classification", ("a", "b"), window=30, overlap=10))
    tuned.tokenizer = encoder.tokenizer
    registry.save(tuned, tmp_path / "tuned")
    run_well("embed", table, "-m", tmp_path / "tuned", "-o", tmp_path / "o.npy", "--device", "cpu")
    np.testing.assert_array_equal(gf.embed(SEQUENCES, tmp_path / "tuned"), np.load(tmp_path / "o.npy"))
    np.testing.assert_array_equal(gf.embed(SEQUENCES, tuned.eval()), np.load(tmp_path / "o.npy"))


def test_embed_tokens(tmp_path: Path, table: Path, tiny_model_folder: Path) -> None:
    run_well(
        "embed",
        table,
        "-m",
        tiny_model_folder,
        "-o",
        tmp_path / "o.parquet",
        "--pooling",
        "tokens",
        "--layer",
        0,
        "--device",
        "cpu",
    )
    written = pd.read_parquet(tmp_path / "o.parquet")
    found = gf.embed_tokens(SEQUENCES, tiny_model_folder, layer=0)
    np.testing.assert_array_equal(np.concatenate([one.values for one in found]), written.filter(regex=r"^e\d+$"))
    np.testing.assert_array_equal(np.concatenate([one.spans for one in found]), written[["start", "end"]])


def test_requests_have_the_options_of_the_commands() -> None:
    """Outputs, inputs and what is drawn around them are no options; both_strands is the older strand, -R adds to region."""
    runtime = {field.name for field in fields(Runtime)}
    compute = {field.name for field in fields(Compute)} - {"command"}
    for request, command, others in (
        (PredictionRequest, predict_command, {"output", "calls", "gtf", "elements", "force", "plan", "region_files"}),
        (EmbeddingRequest, embed_command, {"data", "fasta", "region", "region_files", "label", "probe", "task", "valid"}),
    ):
        names = {field.name for field in fields(request)} - {"runtime", "compute"} | runtime | compute
        given = {parameter.name for parameter in command.params} - {"help", "verbose", "quiet", "debug", "log", "both_strands"}
        assert given - others == names


def test_predict_takes_several_regions_and_files(tmp_path: Path, fasta: Path, tracks: Path) -> None:
    bed = tmp_path / "a.bed"
    bed.write_text("chr1\t300\t400\nchr1\t350\t500\n")
    run_well(
        "predict", "-f", fasta, "-m", tracks, "-r", "chr1:101-200", "-r", "chr1:1-150", "-R", bed, "-o", tmp_path / "o.parquet"
    )
    table = gf.predict(fasta, ["chr1:101-200", "chr1:1-150", bed], tracks)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "o.parquet"), table, check_dtype=False)
    alone = pd.concat([gf.predict(fasta, region, tracks) for region in ("chr1:1-200", "chr1:301-500")])
    np.testing.assert_array_equal(table.to_numpy(), alone.to_numpy())


@pytest.mark.parametrize("chosen", ["1,3", [1, 3], (1, 3, 1), np.array([1, 3])])
@pytest.mark.parametrize("as_table", [False, True])
def test_predict_takes_numbers_of_tracks_and_tables(tmp_path: Path, fasta: Path, tracks: Path, chosen, as_table: bool) -> None:
    model = small_enformer(heads={"human": 5})  # without a table of its own
    registry.save(model, tmp_path / "bare")
    targets: object = tracks / "targets.tsv"
    expected = gf.predict(fasta, "chr1:101-900", tmp_path / "bare", tracks="t1,t3", targets=targets)
    targets = read_targets(tracks / "targets.tsv") if as_table else targets
    table = gf.predict(fasta, "chr1:101-900", tmp_path / "bare", tracks=chosen, targets=targets)
    pd.testing.assert_frame_equal(table, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tracks": 3}, "option tracks is 3, expected whole numbers"),
        ({"tracks": []}, r"option tracks is \[\], expected whole numbers"),
        ({"tracks": [-1]}, r"option tracks is \[-1\], expected numbers from 0"),
        ({"tracks": [5]}, "track 5 is requested, but tracks are numbered 0 to 4"),
        ({"targets": 5}, "option targets is 5, expected the path of a table, or a TrackTable"),
        ({"head": 0}, "option head is 0, expected names of heads"),
        ({"batch_size": 0}, "option batch_size is 0, expected a whole number of windows, 1 or more"),
        ({"contigs": 5}, "option contigs is 5, expected names of contigs"),
        ({"part_size": 0}, "option part_size is 0, expected a whole number of windows"),
    ],
)
def test_wrong_values_of_predict_are_refused_by_name(fasta: Path, tracks: Path, options, message: str) -> None:
    with pytest.raises(gf.errors.ConfigError, match=message):
        gf.predict(fasta, "chr1:101-900", tracks, **options)


def test_embed_writes_no_files(tmp_path: Path, tiny_model_folder: Path) -> None:
    for name in ("output", "pca"):
        with pytest.raises(TypeError, match=f"has no option '{name}'"):
            gf.embed(SEQUENCES, tiny_model_folder, **{name: str(tmp_path / "x.npy")})


def test_a_request_takes_the_output_as_text(tmp_path: Path, tiny_model_folder: Path, table: Path) -> None:
    embed_sequences(read_sequences(table), EmbeddingRequest(tiny_model_folder, output=str(tmp_path / "x.npy")))
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), gf.embed(SEQUENCES, tiny_model_folder, device="cpu"))


def test_an_option_that_does_not_exist_is_refused() -> None:
    for call in (
        lambda: gf.embed(SEQUENCES, "demo", poling="max"),
        lambda: gf.predict(DEMO / "genome.fa.gz", "chrS1", "mini-tracks", had=1),
    ):
        with pytest.raises(TypeError, match="has no option"):
            call()
    with pytest.raises(gf.errors.ConfigError, match="option precision is 'float8', expected float32 or bfloat16"):
        gf.embed(SEQUENCES, "demo", precision="float8")
    with pytest.raises(gf.errors.ConfigError, match="pooling 'tokens' gives one vector per token"):
        gf.embed(SEQUENCES, "demo", pooling="tokens")
