"""`genoformer interpret` as people run it: files, figures, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from genoformer_cli.main import main
from small_models import small_encoder, small_long_range
from torch import nn

from genoformer.genome.bigwig import BigWig
from genoformer.interpretation.attention import Looked, viz
from genoformer.interpretation.matrices import Matrix, read_matrices, write_meme
from genoformer.models import checkpoint
from genoformer.models.heads import Predictor, PredictorConfig
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 1200))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("interpret")
    (path / "g.fa").write_text(f">chr1\n{TEXT}\n")
    (path / "r.bed").write_text("chr1\t300\t340\tone\nchr1\t600\t640\ttwo\n")
    checkpoint.save(small_encoder(KmerTokenizer(3), context_length=40), path / "tokens")
    checkpoint.save(small_long_range(), path / "tracks")
    encoder = small_encoder(BaseTokenizer(), context_length=40)
    model = Predictor(PredictorConfig(encoder.config, "classes", ("no", "yes"), window=40)).eval()
    for p in model.parameters():
        nn.init.normal_(p, std=0.3)
    model.tokenizer = BaseTokenizer()
    checkpoint.save(model, path / "classes")
    return path


def run(folder: Path, out: Path, *arguments: object, fasta: bool = True) -> Result:
    common = ["-f", folder / "g.fa"] if fasta else []
    return CliRunner().invoke(main, ["interpret", *map(str, [*arguments, *common, "-o", out])])


def names(out: Path) -> set[str]:
    return {path.name for path in out.iterdir()}


FIGURES = {f"{name}.{suffix}" for name in ("001_one", "002_two") for suffix in ("png", "svg")}


def test_attention_is_written_as_arrays_a_track_and_logos(folder, tmp_path) -> None:
    done = run(folder, tmp_path, "attention", folder / "r.bed", "-m", folder / "tokens")
    assert done.exit_code == 0, done.output
    matrices = {name.replace(".", "_matrix.") for name in FIGURES}
    assert names(tmp_path) == {"maps.json", "maps.npz", "maps.bw", *FIGURES, *matrices}
    model = checkpoint.load(folder / "tokens")
    with np.load(tmp_path / "maps.npz") as found:
        codes = found["codes_0"]
        assert found["what"] == "attention viz"
        expected = viz(Looked(model).rows(codes[None]), model.tokenizer.encode(codes[None]).offsets, 40)[0]
        np.testing.assert_allclose(found["map_0"], expected, atol=1e-6)
    np.testing.assert_allclose(BigWig(tmp_path / "maps.bw").values("chr1", 300, 340), expected, atol=1e-6)


def test_files_of_somebody_else_are_not_replaced(folder, tmp_path) -> None:
    (tmp_path / "maps.npz").write_text("mine")
    done = run(folder, tmp_path, "attention", folder / "r.bed", "-m", folder / "tokens", "--figures", 0)
    assert done.exit_code == 2
    assert "holds maps.npz, which something else made" in done.stderr
    assert (tmp_path / "maps.npz").read_text() == "mine"
    (tmp_path / "maps.npz").unlink()
    for _ in range(2):
        assert run(folder, tmp_path, "attention", folder / "r.bed", "-m", folder / "tokens", "--figures", 0).exit_code == 0


@pytest.mark.parametrize("profile", ["cls", "received", "rollout", "entropy"])
@pytest.mark.parametrize("model", ["tokens", "classes", "tracks"])
def test_every_profile_of_every_model(folder, tmp_path, profile, model) -> None:
    length = ["--length", 256] if model == "tracks" else []
    options = ["--profile", profile, "--figures", 1, *length]
    done = run(folder, tmp_path, "attention", folder / "r.bed", "-m", folder / model, *options)
    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "maps.npz") as found:
        assert np.isfinite(found["map_1"]).all()
        assert found["map_1"].max() > 0


def test_motifs_say_what_each_stage_left(folder, tmp_path) -> None:
    (tmp_path / "p.fa").write_text("".join(f">p{i}\n{TEXT[i * 30 : i * 30 + 60]}\n" for i in range(10)))
    (tmp_path / "n.fa").write_text("".join(f">n{i}\n{TEXT[500 + i * 30 : 560 + i * 30]}\n" for i in range(10)))
    done = run(
        folder, tmp_path / "o", "attention", tmp_path / "p.fa", "-m", folder / "tokens", "--negative", tmp_path / "n.fa",
        fasta=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "       10  sequences" in done.stderr
    assert "nothing is left after:" in done.stderr
    assert (tmp_path / "o" / "motifs.meme").read_text().startswith("MEME version 4")


OF_TRACKS = ["--tracks", "1", "--head", "human", "--strand", "forward"]


@pytest.mark.parametrize(("model", "options"), [("tokens", []), ("tracks", OF_TRACKS)])
def test_mutagenesis(folder, tmp_path, model, options) -> None:
    done = run(folder, tmp_path, "ism", folder / "r.bed", "-m", folder / model, "--length", 12, "--figures", 1, *options)
    assert done.exit_code == 0, done.output
    assert names(tmp_path) == {"maps.json", "maps.npz", "maps.bw", "001_one.png", "001_one.svg"}
    with np.load(tmp_path / "maps.npz") as found:
        values, codes = found["map_0"], found["codes_0"]
    assert values.shape == (12, 4)
    assert (values[np.arange(12), codes] == 0).all()
    assert (np.abs(values).sum(1) > 0).all()


@pytest.mark.parametrize("method", ["gradient", "integrated"])
@pytest.mark.parametrize(
    ("model", "options"), [("classes", ["--class", "yes"]), ("tracks", ["--head", "human", "--length", "256"])]
)
def test_attributions(folder, tmp_path, model, options, method) -> None:
    pytest.importorskip("captum", reason="captum is an extra: pip install genoformer[interpret]")
    done = run(folder, tmp_path, "attribution", folder / "r.bed", "-m", folder / model, "--method", method, *options)
    assert done.exit_code == 0, done.output
    assert names(tmp_path) == {"maps.json", "maps.npz", "maps.bw", *FIGURES}
    assert ("completeness: sums are off by" in done.stderr) == (method == "integrated")


def test_motifs_are_matched_with_known_ones(tmp_path) -> None:
    pytest.importorskip("memelite", reason="memelite is an extra: pip install genoformer[interpret]")
    random = np.random.default_rng(0)
    known = [Matrix.of_counts(f"k{i}", random.dirichlet(np.full(4, 0.2), 10) * 50) for i in range(30)]
    write_meme(tmp_path / "known.meme", known)
    write_meme(tmp_path / "mine.meme", [Matrix("mine", known[4].p[2:])])
    command = ["interpret", "motifs", str(tmp_path / "mine.meme"), str(tmp_path / "known.meme"), "-n", "1"]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[1].startswith("mine\tk4\t")
    assert len(read_matrices(tmp_path / "known.meme")) == 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["attention", "r.bed", "-m", "tracks", "--length", "256"], "DNABERT-viz is of language models; take cls, received"),
        (["attention", "r.bed", "-m", "tokens", "--profile", "all"], "profile 'all': allowed are viz, cls, received, rollout"),
        (["attention", "r.bed", "-m", "tokens", "--layers", "9"], "layer 9: this model has layers 0 to 1"),
        (["attention", "r.bed", "-m", "tokens", "--layers", "x"], "--layers x: give whole numbers and commas"),
        (["attention", "r.bed", "-m", "tokens", "--profile", "cls", "--query", "99"], "query 99: the sequences have 40 tokens"),
        (["attribution", "r.bed", "-m", "tokens"], "a language model has no output to explain"),
        (["attribution", "r.bed", "-m", "classes", "--class", "maybe"], "--class maybe: the model has no, yes"),
        (["ism", "r.bed", "-m", "tokens", "-s", "SAD"], "SAD is of tracks, and this is a language model"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(folder, tmp_path, monkeypatch, arguments, message) -> None:
    monkeypatch.chdir(folder)
    done = run(folder, tmp_path / "o", *arguments)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert not list((tmp_path / "o").glob("*"))
