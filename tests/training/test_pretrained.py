"""gf.pretrain takes the tables of the command; its result has the log, the failure and a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import run_well

import genoformer as gf
from genoformer.errors import ConfigError
from genoformer.models.transformer.model import EncoderConfig
from genoformer.training import pretrain
from genoformer.training.config import PretrainConfig
from genoformer.training.pretrained import Pretrained

TABLES = {
    "tokenizer": {"tokenizer": "base"},
    "model": {"width": 8, "n_layers": 1, "n_heads": 2, "ffn_width": 16, "context_length": 32},
    "training": {"max_steps": 4, "batch_size": 2, "eval_bases": 20, "log_every": 1, "accelerator": "cpu", "seed": 3},
}
TOML = """
[tokenizer]
tokenizer = "base"
[model]
width = 8
n_layers = 1
n_heads = 2
ffn_width = 16
context_length = 32
[training]
max_steps = 4
batch_size = 2
eval_bases = 20
log_every = 1
accelerator = "cpu"
seed = 3
"""


@pytest.fixture(scope="module")
def fasta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    random = np.random.default_rng(0)
    path.write_text("".join(f">chr{i}\n{''.join(random.choice(list('ACGT'), 2000))}\n" for i in (1, 2)))
    return path


def test_tables_are_those_of_the_file_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(TOML)
    assert PretrainConfig.read(tmp_path / "c.toml") == PretrainConfig.read(TABLES)


def test_a_run_without_a_configuration_notes_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fasta: Path) -> None:
    monkeypatch.setattr(pretrain, "pretrain", lambda *_, **__: None)
    (tmp_path / "c.toml").write_text(TOML)
    words = ("pretrain", "-f", fasta, "-o", tmp_path / "m")
    assert "DNABERT-6, 12 layers of 768, for 10,000 steps" in run_well(*words).stderr
    assert (EncoderConfig(n_vocab=9).n_layers, EncoderConfig(n_vocab=9).width) == (12, 768)
    for more in (("-c", tmp_path / "c.toml"), ("-m", "demo")):
        assert "DNABERT" not in run_well(*words, *more).stderr


def test_a_run_has_its_log_and_a_figure(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,train_loss,learning_rate,valid_bits_per_base\n1,1.5,0.1,\n2,1.25,0.1,1.98\n")
    done = Pretrained(tmp_path, {"metrics": {"train_loss": 1.25}, "notes": [], "warnings": []})
    log = done.to_frame()
    assert log["step"].tolist() == [1, 2]
    assert log["valid_bits_per_base"].isna().tolist() == [True, False]
    assert not done.failed
    assert done.plot().lines[0].get_ydata().tolist() == [1.5, 1.25]
    assert f"{tmp_path}: train_loss 1.25" in done._repr_html_()
    assert "data:image/png" in done._repr_html_()


def test_wrong_settings_are_refused_by_name(fasta: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="vocab_size"):
        gf.pretrain(fasta, tmp_path / "run", config={"tokenizer": {"tokenizer": "kmer", "vocab_size": 9}})
    with pytest.raises(ConfigError, match=r"config, \[training\].*steps"):
        gf.pretrain(fasta, tmp_path / "run", config={"training": {"stepps": 9}})
    with pytest.raises(ConfigError, match="no FASTA to train on"):
        gf.pretrain((), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_failed_run_says_so() -> None:
    done = Pretrained(Path("run"), {"metrics": {"train_loss": 1.25}, "notes": ["it diverged."], "warnings": ["few bases."]})
    assert (done.failed, done.notes) == (True, ["it diverged.", "few bases."])
    assert repr(done) == "Pretrained(run: train_loss 1.25, FAILED: it diverged.)"
