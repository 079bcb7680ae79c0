"""What is saved is whole or not there; what failed its own check says so when it is loaded."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from genoformer_cli.main import main
from small_models import small_encoder
from torch import nn

import genoformer as gf
from genoformer.errors import CheckpointError, ConfigError, FailedRunWarning
from genoformer.models import families, registry
from genoformer.models.base import Embeds, PredictsTracks
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

SHAPE = EncoderConfig(n_vocab=9, width=16, n_layers=1, n_heads=2, ffn_width=16, max_tokens=64, position="rotary")
FAILED = "the model predicts one class, '0', for all 40 cases: failed; MCC is not defined."


def predictor() -> SequenceClassifier:
    torch.manual_seed(0)
    model = SequenceClassifier(ClassifierConfig(SHAPE, "classification", ("0", "1"), window=32)).eval()
    model.tokenizer = BaseTokenizer()
    return model


@pytest.mark.parametrize("make", [lambda: Encoder(SHAPE), lambda: SequenceClassifier(predictor().config)])
def test_a_model_without_its_tokenizer_is_not_saved(tmp_path: Path, make) -> None:
    model = make()
    with pytest.raises(ConfigError, match=r"the (Encoder|SequenceClassifier) has no tokenizer, .*set model\.tokenizer"):
        gf.save(model, tmp_path / "a/b")
    assert not list(tmp_path.iterdir())
    model.tokenizer = BaseTokenizer()
    gf.save(model, tmp_path / "a/b")
    assert registry.load(tmp_path / "a/b").config == model.config


def test_a_tokenizer_of_another_model_is_not_saved(tmp_path: Path) -> None:
    model = Encoder(SHAPE)
    model.tokenizer = KmerTokenizer(3)
    with pytest.raises(ConfigError, match="the tokenizer has 69 tokens, the Encoder 9"):
        gf.save(model, tmp_path / "m")
    with pytest.raises(ConfigError, match="the model is a Linear; a genoformer Model, such as an Encoder, can be saved"):
        gf.save(nn.Linear(1, 1), tmp_path / "m")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_a_model_that_a_layout_or_a_type_cannot_hold(tmp_path: Path) -> None:
    """Of a folder that was there what was in it stays."""
    model = small_encoder(BaseTokenizer())
    with pytest.raises(ConfigError, match="BERT's layout"):
        gf.save(model, tmp_path / "new/m", layout="dnabert")
    with torch.no_grad():
        model.tokens.weight[0, 0] = 1e6
    (tmp_path / "old").mkdir()
    (tmp_path / "old/mine.txt").write_text("x")
    for folder in ("new/m", "old"):
        with pytest.raises(ConfigError, match=r"too large for torch\.float16"):
            gf.save(model, tmp_path / folder, dtype=torch.float16)
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "old/mine.txt").read_text() == "x"


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    registry.save(predictor(), tmp_path / "failed", manifest={"finetune": {}, "notes": [FAILED]})
    return tmp_path / "failed"


def test_a_run_that_failed_says_so_when_it_is_loaded(failed: Path, tmp_path: Path) -> None:
    said = f"{failed} failed the check at the end of its training; do not rely on its predictions: {FAILED}"
    (tmp_path / "t.csv").write_text("sequence,label\nACGTTGCATTAGC,0\nTTTTTTTTTTTTT,1\n")
    for use in (
        lambda: gf.classify(["ACGT"], failed),
        lambda: gf.evaluate(tmp_path / "t.csv", failed),
        lambda: gf.embed(["ACGT"], failed),
    ):
        with pytest.warns(FailedRunWarning) as heard:
            use()
        assert [str(warning.message) for warning in heard] == [said]
    with pytest.raises(CheckpointError, match=r"was fine-tuned to predict .*; give a language model"):
        registry.load(failed, Embeds)


def test_a_fine_tuned_model_is_called_so_before_its_weights_are_read(failed: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is a fine-tuned model, which predicts .*; give a model that predicts tracks"):
        registry.load_config(failed, PredictsTracks)


def test_a_class_of_no_family_is_refused() -> None:
    class Stranger(Encoder):
        pass

    class StrangeConfig:
        pass

    with pytest.raises(ConfigError, match=r"found .*Stranger, expected a class of a registered family; add an entry point"):
        families.family_of(Stranger(SHAPE))
    with pytest.raises(ConfigError, match=r"found StrangeConfig, expected a class of a registered family"):
        families.class_of(StrangeConfig())


def test_it_is_said_once(failed: Path) -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("default")
        for _ in range(3):
            gf.classify(["ACGT"], failed)
    assert len(heard) == 1


def test_the_command_line_says_it_too(failed: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sequence,label\nACGTTGCATTAGC,0\nTTTTTTTTTTTTT,1\n")
    for arguments in (["evaluate", tmp_path / "t.csv", "-m", failed], ["models", "info", failed]):
        done = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert done.stderr.count(f"{failed} failed the check at the end of its training") == 1, done.output
    assert json.loads(done.stdout)["failed"] == [FAILED]
    quiet = CliRunner().invoke(main, ["models", "info", str(failed), "-q"])
    assert (quiet.exit_code, quiet.stderr) == (0, "")


def test_a_run_that_passed_says_nothing(tmp_path: Path) -> None:
    registry.save(predictor(), tmp_path / "fine", manifest={"finetune": {}, "notes": []})
    gf.classify(["ACGT"], tmp_path / "fine")
    assert "failed" not in json.loads(CliRunner().invoke(main, ["models", "info", str(tmp_path / "fine")]).stdout)
