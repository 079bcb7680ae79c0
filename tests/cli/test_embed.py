"""`genoformer embed` through the command line: files that say what their rows are, a figure, a probe, and refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from amounts import FULL
from click.testing import CliRunner, Result
from genoformer_cli.main import main

from genoformer.genome.codes import encode
from genoformer.inference import WindowSize, sequence_embeddings, token_embeddings
from genoformer.models import registry
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.transformer.model import Encoder

N_SITES = 1_000 if FULL else 300  # real binding sites that are probed
SEQUENCES = ["ACGTACGTTT", "AC", "GATTACA" * 20, "N" * 9]  # the third is longer than the window of 32


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["embed", *(str(argument) for argument in arguments)])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "in.tsv"
    rows = [f"s{i}\t{text}\t{'ab'[i % 2]}\n" for i, text in enumerate(SEQUENCES)]
    path.write_text("name\tsequence\tlabel\n" + "".join(rows))
    return path


@pytest.fixture
def model(tiny_model_folder: Path) -> Encoder:
    return registry.load(tiny_model_folder)


CODES = [encode(text) for text in SEQUENCES]


def test_npy_and_its_names(tmp_path: Path, table: Path, tiny_model_folder: Path, model: Encoder) -> None:
    result = run(table, "-m", tiny_model_folder, "-o", tmp_path / "out.npy")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert (
        "in.tsv: 4 sequences, width 8, mean over tokens after layer 1 of 1; 1 longer than the window of 32 bases, "
        "cut into windows that share 16"
    ) in result.stderr
    found = np.load(tmp_path / "out.npy")
    assert (found.dtype, found.shape) == (np.float32, (4, 8))
    np.testing.assert_allclose(found, sequence_embeddings(model, CODES).values, atol=1e-6)
    with (tmp_path / "out.names.tsv").open() as file:
        assert list(csv.reader(file, delimiter="\t")) == [["name", "label"], *([f"s{i}", "ab"[i % 2]] for i in range(4))]
    before = (tmp_path / "out.npy").read_bytes()
    assert run(table, "-m", tiny_model_folder, "-o", tmp_path / "out.npy").exit_code == 0
    assert (tmp_path / "out.npy").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"in.tsv", "out.npy", "out.names.tsv"}


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_parquet_as_pandas_reads_it(tmp_path: Path, table: Path, tiny_model_folder: Path, model: Encoder, pooling: str) -> None:
    options = ["--pooling", pooling, "--window", 20, "--overlap", 4, "--strand", "both", "--layer", 1, "--layer", 0]
    result = run(table, "-m", tiny_model_folder, "-o", tmp_path / "out.parquet", *options)
    assert result.exit_code == 0, result.output
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert list(found.columns) == ["name", "label", "layer", *(f"e{i}" for i in range(8))]
    assert found["name"].tolist() == [f"s{i}" for i in range(4) for _ in range(2)]
    for layer in (0, 1):
        expected = sequence_embeddings(
            model,
            CODES,
            pooling=pooling,
            layer=layer,
            windows=WindowSize(20, 4),
            both_strands=True,  # type: ignore[arg-type]
        )
        values = found[found["layer"] == layer].filter(regex=r"^e\d+$").to_numpy()
        np.testing.assert_allclose(values, expected.values, atol=1e-6)


def test_a_row_for_each_token(tmp_path: Path, table: Path, tiny_model_folder: Path, model: Encoder) -> None:
    result = run(table, "-m", tiny_model_folder, "-o", tmp_path / "out.parquet", "--pooling", "tokens")
    assert result.exit_code == 0, result.output
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert list(found.columns) == ["name", "label", "start", "end", *(f"e{i}" for i in range(8))]
    for i, (values, offsets) in enumerate(token_embeddings(model, CODES)):
        rows = found[found["name"] == f"s{i}"]
        assert rows[["start", "end"]].to_numpy().tolist() == offsets.tolist()
        np.testing.assert_allclose(rows.filter(regex=r"^e\d+$").to_numpy(), values, atol=1e-6)
    assert "each token" in result.stderr
    assert f"{len(found):,} rows" in result.stderr


def test_labels_are_not_needed(tmp_path: Path, tiny_model_folder: Path, model: Encoder, make_fasta) -> None:
    genome = make_fasta(chr1="ACGTACGTTTGGATCC" * 3)
    bed = tmp_path / "in.bed"
    bed.write_text("chr1\t0\t10\nchr1\t3\t20\n")
    result = run(bed, "-f", genome, "-m", tiny_model_folder, "-o", tmp_path / "bed.parquet")
    assert result.exit_code == 0, result.output
    assert "no labels are read" in result.stderr
    assert pd.read_parquet(tmp_path / "bed.parquet")["name"].tolist() == ["chr1:0-10(.)", "chr1:3-20(.)"]
    result = run(genome, "-m", tiny_model_folder, "-o", tmp_path / "fa.npy", "--pca", tmp_path / "x.png")
    assert result.exit_code == 2
    assert "1 sequences of width 8 have no two;" in result.stderr
    assert run(genome, "-m", tiny_model_folder, "-o", tmp_path / "fa.npy").exit_code == 0
    expected = sequence_embeddings(model, [encode("ACGTACGTTTGGATCC" * 3)]).values
    np.testing.assert_allclose(np.load(tmp_path / "fa.npy"), expected, atol=1e-6)


def test_a_fine_tuned_model_gives_its_encoder_and_its_window(tmp_path: Path, table: Path, model: Encoder) -> None:
    with torch.random.fork_rng(devices=[]):
        predictor = SequenceClassifier(ClassifierConfig(model.config, "classification", ("a", "b"), window=30, overlap=10))
    predictor.encoder.load_state_dict(model.state_dict())
    predictor.tokenizer = model.tokenizer
    registry.save(predictor, tmp_path / "tuned")
    result = run(table, "-m", tmp_path / "tuned", "-o", tmp_path / "out.npy")
    assert result.exit_code == 0, result.output
    assert "window of 30 bases, cut into windows that share 10" in result.stderr
    expected = sequence_embeddings(model, CODES, windows=WindowSize(30, 10)).values
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-6)


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    kinds = [("at", "AATC"), ("gc", "GGCA")] * 60
    rows = [f"{''.join(random.choice(list(letters), 40))},{label}\n" for label, letters in kinds]
    path = tmp_path / "two.csv"
    path.write_text("sequence,label\n" + "".join(rows))
    return path


def test_probe_and_figure(tmp_path: Path, two_classes: Path, tiny_model_folder: Path) -> None:
    result = run(two_classes, "-m", tiny_model_folder, "--probe", "--pca", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {"mcc", "auroc", "auprc", "accuracy", "f1", "classes", "probe", "layer"} <= set(found)
    assert found["auroc"]["value"] > 0.9
    assert (found["n"], found["layer"], found["probe"]["valid"]) == (24, 1, "a held-out fifth")
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"


def test_probe_of_layers_on_a_file(two_classes: Path, tiny_model_folder: Path) -> None:
    result = run(two_classes, "-m", tiny_model_folder, "--probe", "--valid", two_classes, "--layer", 0, "--layer", 1)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)["layers"]
    assert [(one["layer"], one["n"], one["probe"]["valid"]) for one in found] == [(0, 120, "as given"), (1, 120, "as given")]


def test_a_probe_of_values(tmp_path: Path, tiny_model_folder: Path) -> None:
    random = np.random.default_rng(0)
    texts = ["".join(random.choice(list("ACGT"), 30, p=[p / 2, 0.5 - p / 2, 0.5 - p / 2, p / 2])) for p in random.random(80)]
    path = tmp_path / "values.csv"
    path.write_text("sequence,gc\n" + "".join(f"{t},{(t.count('G') + t.count('C')) / 30}\n" for t in texts))
    result = run(path, "-m", tiny_model_folder, "--probe", "--task", "regress", "--label", "gc", "--pca", tmp_path / "v.png")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["pearson"]["value"] > 0.8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no output is named"),
        (["-o", "out.txt"], "out.txt: the suffix names no known format; end the name in .npy or .parquet"),
        (["-o", "out.npy", "--pooling", "tokens"], "end the name in .parquet"),
        (["-o", "nowhere/out.npy"], "the folder nowhere does not exist"),
        (["--pca", "out.gif"], "end the name in .png"),
        (["--pca", "out.png", "--pooling", "tokens"], "needs one vector per sequence"),
        (["-o", "out.npy", "--valid", "in.tsv"], "give --probe too"),
        (["-o", "out.npy", "--layer", 2], "layer 2: this model has layers 0 (the embeddings) to 1"),
        (["-o", "out.npy", "--window", 2], "window = 2: a token of this model has 3 bases"),
        (["-o", "out.npy", "--window", 9, "--overlap", 9], "overlap = 9"),
        (["-o", "out.npy", "--window", 90], "this model has positions for 64"),
        (["-o", "out.npy", "--label", "kind"], "there is no column kind"),
        (["--probe"], "4 sequences are too few to hold some out"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, table: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(table, "-m", tiny_model_folder, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert {path.name for path in tmp_path.iterdir()} == {"in.tsv"}


def test_a_run_of_several_models_is_refused(tmp_path: Path, table: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ensemble.json").write_text('{"members": ["0", "1"]}')
    result = run(table, "-m", tmp_path / "run", "-o", tmp_path / "out.npy")
    assert result.exit_code == 2
    assert "is a run of several models" in result.stderr


def test_label_columns_that_cannot_be_told_from_ours(tmp_path: Path, tiny_model_folder: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("sequence,e0\nACGT,1\n")
    result = run(path, "-m", tiny_model_folder, "-o", tmp_path / "out.parquet", "--label", "e0")
    assert result.exit_code == 2
    assert "the output already has a column e0; rename that label column" in result.stderr


def test_real_binding_sites(tmp_path: Path, real_data: Path) -> None:
    path = real_data / "classification" / "GUE" / "tf_0" / "dev.csv.gz"
    if not path.is_file():
        pytest.skip(f"the real data folder {real_data.name} has no classification/GUE/tf_0/dev.csv.gz")
    pd.read_csv(path).head(N_SITES).to_csv(tmp_path / "dev.csv", index=False)
    result = run(tmp_path / "dev.csv", "-m", "demo", "-o", tmp_path / "out.parquet", "--probe")
    assert result.exit_code == 0, result.output
    assert pd.read_parquet(tmp_path / "out.parquet").shape == (N_SITES, 162)
    assert json.loads(result.stdout)["auroc"]["value"] > 0.65
