"""Fine-tuned models on disk: round trips, ensembles, folders that are refused, and what a model has seen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from genoformer.errors import CheckpointError, ConfigError
from genoformer.files import sha256_of
from genoformer.genome.minhash import Sketch
from genoformer.models import folders, registry
from genoformer.models.base import Embeds
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import BaseTokenizer

SHAPE = EncoderConfig(n_vocab=9, width=16, n_layers=1, n_heads=2, ffn_width=16, max_tokens=64, position="rotary", conv_kernel=5)


def predictor(seed=0, task="classification", classes=("no", "yes"), **fields) -> SequenceClassifier:
    torch.manual_seed(seed)
    model = SequenceClassifier(ClassifierConfig(SHAPE, task, classes, window=32, overlap=8, **fields)).eval()
    model.tokenizer = BaseTokenizer()
    return model


def encoder() -> Encoder:
    torch.manual_seed(0)
    model = Encoder(SHAPE).eval()
    model.tokenizer = BaseTokenizer()
    return model


def ensemble(folder: Path, members: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "ensemble.json").write_text(json.dumps({"members": members}))
    return folder


def test_a_predictor_comes_back_bit_by_bit(tmp_path) -> None:
    model = predictor(task="regression", classes=("level",), target_mean=(0.1,), target_std=(1 / 3,))
    ids = torch.randint(5, 9, (4, 20))
    registry.save(model, tmp_path / "whole", manifest={"seed": 3})
    (again,) = registry.load_ensemble(tmp_path / "whole")
    assert again.config == model.config
    assert not again.training
    assert again.sha256 == sha256_of(tmp_path / "whole" / "model.safetensors")
    assert list(again.state_dict()) == list(model.state_dict())
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    assert again.encoder.decoder.weight is again.encoder.tokens.weight
    assert folders.read_manifest(tmp_path / "whole") == {"seed": 3}
    is_base = torch.ones_like(ids, dtype=torch.bool)
    with torch.no_grad():
        assert torch.equal(again(ids, is_base), model(ids, is_base))


def test_half_precision_halves_the_file(tmp_path) -> None:
    model = predictor()
    registry.save(model, tmp_path / "whole")
    registry.save(model, tmp_path / "half", dtype=torch.float16)
    (half,) = registry.load_ensemble(tmp_path / "half")
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    for name, tensor in model.state_dict().items():
        assert torch.equal(half.state_dict()[name], tensor.half().float()), name
    whole, small = ((tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half"))
    assert 0.4 * whole < small < 0.65 * whole  # the header of names is not halved


def test_each_kind_of_model_is_refused_where_the_other_is_meant(tmp_path) -> None:
    registry.save(predictor(), tmp_path / "tuned")
    registry.save(encoder(), tmp_path / "language")
    with pytest.raises(CheckpointError, match="was fine-tuned to predict no, yes; give a language model"):
        registry.load(tmp_path / "tuned", Embeds)
    with pytest.raises(CheckpointError, match="is a language model, which predicts bases; fine-tune it first"):
        registry.load_ensemble(tmp_path / "language")
    with pytest.raises(ConfigError, match="BERT's layout holds language models"):
        registry.save(predictor(), tmp_path / "out", layout="dnabert")


def test_an_ensemble_gives_its_members_in_order(tmp_path) -> None:
    for seed in (1, 2):
        registry.save(predictor(seed), tmp_path / f"seed-{seed}")
    found = registry.load_ensemble(ensemble(tmp_path, ["seed-2", "seed-1"]))
    assert [model.sha256 for model in found] == [sha256_of(tmp_path / f"seed-{i}/model.safetensors") for i in (2, 1)]
    with pytest.raises(CheckpointError, match=r"run of several models.*name one of .*seed-2, .*seed-1"):
        registry.load(tmp_path)


def test_a_folder_that_names_the_class_by_its_old_name_is_read(tmp_path) -> None:
    registry.save(predictor(), tmp_path / "old")
    path = tmp_path / "old" / "config.json"
    path.write_text(path.read_text().replace("heads:SequenceClassifier", "heads:Predictor"))
    (model,) = registry.load_ensemble(tmp_path / "old")
    assert isinstance(model, SequenceClassifier)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: predictor(1, classes=("no", "maybe")), "has 2 members with different classes, expected the same;"),
        (
            lambda: predictor(1, classes=("yes", "no")),
            "members with different classes",
        ),  # the same names, but other outputs
        (lambda: predictor(1, task="multilabel"), "members with different classes"),
        (encoder, "is a language model"),
    ],
    ids=["classes", "order", "kind", "language model"],
)
def test_members_that_do_not_predict_the_same_are_refused(
    tmp_path, other: Callable[[], Encoder | SequenceClassifier], words
) -> None:
    registry.save(predictor(), tmp_path / "a")
    registry.save(other(), tmp_path / "b")
    with pytest.raises(CheckpointError, match=words):
        registry.load_ensemble(ensemble(tmp_path, ["a", "b"]))


@pytest.mark.parametrize(
    "member", ["../other", "../../etc", "..", ".", "", "a/../../other", "a/b", "a/", "..\\other", 3, None, ["a"]]
)
def test_members_elsewhere_are_refused(tmp_path, member) -> None:
    """A model does lie in ../other, so that only the name is in the way."""
    registry.save(predictor(), tmp_path / "other")
    with pytest.raises(CheckpointError, match="is not the name of a folder next to it"):
        registry.load_ensemble(ensemble(tmp_path / "run", [member]))


def test_absolute_members_are_refused(tmp_path) -> None:
    registry.save(predictor(), tmp_path / "other")
    with pytest.raises(CheckpointError, match="next to it; give one"):
        registry.load_ensemble(ensemble(tmp_path / "run", [str(tmp_path / "other")]))


@pytest.mark.parametrize("members", [[], "seed-1", None, {"a": 1}])
def test_a_run_without_members_is_refused(tmp_path, members) -> None:
    with pytest.raises(CheckpointError, match="names no members"):
        registry.load_ensemble(ensemble(tmp_path, members))


def test_a_member_that_is_gone_is_refused(tmp_path) -> None:
    with pytest.raises(CheckpointError, match=r"no model folder .*seed-1"):
        registry.load_ensemble(ensemble(tmp_path, ["seed-1"]))


def change(**fields):
    """Change fields of the saved configuration."""

    def damage(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config["config"] |= fields
        (folder / "config.json").write_text(json.dumps(config))

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (change(heads=1), "unknown fields heads"),
        (change(dropout=5), "from 0 up to"),
        (change(classes="ab"), "give a list of names"),
        (change(classes=["a", "b", "c"]), "shape"),
        (change(target_mean=["x"]), "could not convert"),
        (change(encoder=None), "should be a table"),
        (change(pooling="max"), "shape"),  # takes half the width
        (lambda folder: (folder / "seen.npz").write_bytes(b"PK"), "no sketch"),
    ],
    ids=["unknown", "dropout", "classes", "one more", "centre", "encoder", "pooling", "sketch"],
)
def test_damaged_folders_are_refused_in_a_sentence(tmp_path, damage, words) -> None:
    registry.save(predictor(), tmp_path)
    damage(tmp_path)
    with pytest.raises(ValueError, match=words) as error:  # our errors are ValueErrors; tracebacks of others are not
        registry.load_ensemble(tmp_path)
    assert type(error.value).__module__ == "genoformer.errors"


# --- what a model has seen


def random_codes(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, n).astype(np.uint8)


SEEN = [random_codes(500, seed) for seed in range(10)]
NEW = [random_codes(500, seed) for seed in range(100, 110)]


def that_saw(folder: Path, sequences) -> SequenceClassifier:
    registry.save(predictor(), folder)
    Sketch.from_sequences(sequences, scale=2).save(folder / folders.SKETCH)
    return registry.load_ensemble(folder)[0]


def test_what_a_model_has_seen_is_said(tmp_path) -> None:
    """Of 10 sequences of 500 bases, 470 31-mers each, half are looked at: 2,350, within 4 standard errors of 34."""
    model = that_saw(tmp_path, SEEN)
    note = folders.training_overlap_note(model, "promoters", SEEN, "test.tsv")
    assert note is not None
    assert note.startswith("100 % of the 31-mers of test.tsv were in the training data of promoters (of 2,")
    half = folders.training_overlap_note(model, "promoters", SEEN[:5] + NEW[:5], "test.tsv")
    assert half is not None
    assert 45 <= int(half.partition("%")[0]) <= 55
    assert (
        folders.training_overlap_note(model, "promoters", [3 - codes[::-1] for codes in SEEN], "x") is not None
    )  # other strand


def test_few_kmers_that_were_seen_are_said_to_be_few(tmp_path) -> None:
    """40 bases have 10 31-mers, of which about half are looked at."""
    note = folders.training_overlap_note(that_saw(tmp_path, SEEN), "m", [SEEN[0][:40]], "few.tsv")
    assert note is not None
    n_found, n_looked_at = note.split()[0], note.split()[3]
    assert n_found == n_looked_at
    assert 1 <= int(n_found) <= 10
    assert note.endswith("were in the training data of m; this sample is too small to estimate the overlap.")


def test_nothing_is_said_of_what_is_new_little_or_unknown(tmp_path) -> None:
    model = that_saw(tmp_path, SEEN)
    assert folders.training_overlap_note(model, "m", NEW, "x") is None
    assert folders.training_overlap_note(model, "m", [*NEW, SEEN[0][:200]], "x") is None  # 170 of 4,870: 3 %
    assert folders.training_overlap_note(model, "m", [NEW[0][:40]], "x") is None  # of 10 31-mers none
    assert folders.training_overlap_note(predictor(), "m", SEEN, "x") is None  # it is not known what it has seen


def of_bert(**files: str) -> Callable[[Path], None]:
    """A BERT folder of Hugging Face, and files; a name's __ is a dot."""

    def make(folder: Path) -> None:
        folder.mkdir()
        files.setdefault("config__json", '{"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_size": 8}')
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)

    return make


@pytest.mark.parametrize(
    ("make", "layout", "words"),
    [
        (lambda folder: folder.write_text("x"), "genoformer", "m is a file, and the outputs need a folder"),
        (of_bert(), "genoformer", r"\(its config.json is of model_type bert \(BertForMaskedLM\)\), which would be mixed"),
        (of_bert(config__json='{"model_type": "gpt2"}'), "dnabert", r"\(its config.json is of model_type gpt2\), which"),
        (of_bert(config__json="{"), "genoformer", r"\(its config.json is of another layout\)"),
        (of_bert(model__safetensors__index__json="{}"), "dnabert", r"\(model.safetensors.index.json\), which"),
        (of_bert(pytorch_model__bin="x"), "dnabert", r"\(pytorch_model.bin\), which would be mixed with this one"),
        (
            lambda folder: registry.save(predictor(), folder),
            "genoformer",
            r"\(a SequenceClassifier, which is no Encoder\), which",
        ),
        (lambda folder: registry.save(predictor(), folder), "dnabert", "is of another layout"),
    ],
)
def test_a_folder_of_something_else_is_left_as_it_was(tmp_path, make: Callable[[Path], None], layout, words) -> None:
    make(tmp_path / "m")
    before = {path: path.read_bytes() for path in (tmp_path / "m").rglob("*")}
    with pytest.raises(ConfigError, match=words):
        registry.save(encoder(), tmp_path / "m", layout=layout)
    assert {path: path.read_bytes() for path in (tmp_path / "m").rglob("*")} == before


def test_a_model_takes_the_place_of_one_of_its_kind(tmp_path) -> None:
    for model in (predictor(), predictor(1)):
        registry.save(model, tmp_path / "m")
    (found,) = registry.load_ensemble(tmp_path / "m")
    torch.testing.assert_close(dict(found.state_dict()), dict(predictor(1).state_dict()), rtol=0, atol=0)


def test_a_folder_needs_a_name(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="the name of the model folder is empty"):
        registry.save(predictor(), "")
    assert list(tmp_path.iterdir()) == []
