"""Folders that are no model of ours are named for what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from genoformer_cli.main import main
from small_models import small_encoder

import genoformer as gf
from genoformer.errors import CheckpointError, ConfigError
from genoformer.models import registry
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

BERT = {"model_type": "bert", "hidden_size": 16}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
            r"gpt2 \(GPT2LMHeadModel\); genoformer does not read it",
        ),
        ({"model_type": "caduceus", "architectures": ["Caduceus"]}, r"caduceus \(Caduceus\): Caduceus, .* no transformer"),
        ({"model_type": "roberta", "architectures": ["RobertaForMaskedLM"]}, r"model_type roberta \(RobertaForMaskedLM\)"),
        ({"model_type": "t5"}, "is of model_type t5; genoformer does not"),
        ({"model_type": "hyenadna"}, "HyenaDNA, long convolutions and no transformer; genoformer does not read it"),
        ({"model_type": "mamba", "architectures": ["Mamba"]}, r"model_type mamba \(Mamba\): Mamba, a state-space model"),
        ({"architectures": ["Mine"]}, r"names no model_type \(Mine\); genoformer does not"),
        ({}, "config.json names no model; genoformer does not read it, and `genoformer models list` names models"),
        ({"model_type": "evo2", "architectures": ["Evo2"]}, r"evo2 \(Evo2\): Evo 2, attention layers with long convolutions"),
        ({"model_type": "stripedhyena", "architectures": ["S"]}, r"stripedhyena \(S\): Evo, attention layers with long"),
    ],
)
def test_a_configuration_of_another_architecture(tmp_path: Path, config: dict[str, object], words: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=words) as error:
        registry.load(tmp_path)
    said = str(error.value).removeprefix(str(tmp_path))
    assert said.endswith("`genoformer models list` names models that it reads.")
    assert len(said) < 220
    assert said.count(" which ") == 0
    for command in (["models", "info"], ["models", "convert"], ["finetune", str(tmp_path / "x.csv"), "-m"]):
        (tmp_path / "x.csv").write_text("sequence,label\nACGT,0\nACGA,1\nACGT,0\nACGA,1\n")
        more = [str(tmp_path / "out")] if command[-1] == "convert" else ["-o", str(tmp_path / "out")] if "-m" in command else []
        done = CliRunner().invoke(main, [*command, str(tmp_path), *more])
        assert (done.exit_code, done.stderr.splitlines()[-1]) == (2, f"Error: {error.value}"), done.output


def holds(**files: str) -> Callable[[Path], None]:
    """Write files; a name's __ is a dot."""

    def make(folder: Path) -> None:
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)

    return make


def with_model_inside(folder: Path) -> None:
    registry.save(small_encoder(BaseTokenizer()), folder / "best")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (holds(), "the folder is empty; name another one"),
        (holds(tokenizer__json="{}", vocab__txt="a"), "holds a tokenizer and no model"),
        (holds(adapter_config__json='{"base_model_name_or_path": "InstaDeepAI/x"}'), r"an adapter \(PEFT\) of InstaDeepAI/x"),
        (holds(adapter_config__json="["), r"an adapter \(PEFT\) of another model"),
        (holds(modules__json="[]"), "is of sentence-transformers"),
        (holds(tf_model__h5="x"), "holds tf_model.h5, TensorFlow weights"),
        (holds(m__gguf="x"), r"holds m.gguf, GGUF weights \(llama.cpp\)"),
        (holds(model__pt="x"), "holds model.pt, a pickle of PyTorch"),
        (holds(model__safetensors="x"), "holds weights without their config.json"),
        (holds(**{"model-00001-of-00002__safetensors": "x"}), "holds weights without their config.json"),
        (holds(model__safetensors__index__json="{}"), "holds weights without their config.json"),
        (holds(pytorch_model__bin__index__json="{}", vocab__txt="a"), "holds weights without their config.json"),
        (holds(**{"pytorch_model-00001-of-00002__bin": "x"}), "holds weights without their config.json"),
        (holds(run__json="{}", log__csv="x"), "holds a training run that was interrupted; give its command again"),
        (with_model_inside, r"holds .*/m/best, which is a model; name that one"),
        (holds(notes__txt="x"), "the folder holds notes.txt; name another one"),
    ],
)
def test_a_folder_without_a_configuration(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    (tmp_path / "m").mkdir()
    make(tmp_path / "m")
    with pytest.raises(CheckpointError, match=rf"m/config\.json cannot be read, as there is none: .*{words}"):
        gf.load(tmp_path / "m")


def test_a_file_is_no_model_folder(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"model\.safetensors is a file, and a model is a folder"):
        gf.load(tmp_path / "model.safetensors")


def bert(folder: Path, **changed: object) -> Path:
    """A DNABERT folder whose config.json says something else."""
    model = small_encoder(KmerTokenizer(3), position="learned", n_token_types=2, max_tokens=64)
    registry.save(model, folder, layout="dnabert")
    config = json.loads((folder / "config.json").read_text()) | changed
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_sizes_that_contradict_the_weights(tmp_path: Path) -> None:
    """The width is 16, its feed-forward part 24."""
    with pytest.raises(CheckpointError, match=r"layers\.0\.up\.weight \(24 x 16, where config\.json asks for 20 x 16\)"):
        registry.load(bert(tmp_path / "m", intermediate_size=20))


def test_a_bert_of_another_head_or_in_another_format(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = bert(tmp_path / "m", architectures=["BertForSequenceClassification"])
    path = folder / "model.safetensors"
    save_file({name: t for name, t in load_file(path).items() if not name.startswith("cls.")}, path)
    with pytest.raises(CheckpointError, match=r"has no bert\.pooler\.dense, which a fine-tuned model has"):
        registry.load(folder)
    path.rename(folder / "tf_model.h5")
    with pytest.raises(CheckpointError, match=r"it has tf_model\.h5, TensorFlow weights: save the model as safetensors"):
        registry.load(folder)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("layout", "name", "instead"),
    [
        ("genoformer", "model.safetensors", None),
        ("genoformer", "config.json", None),
        ("genoformer", "tokenizer.json", None),
        ("dnabert", "model.safetensors", None),
        ("dnabert", "pytorch_model.bin", "model.safetensors"),
        ("dnabert", "model.safetensors.index.json", "model.safetensors"),
        ("dnabert", "vocab.txt", None),
    ],
)
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, layout: str, name: str, instead: str | None) -> None:
    model = small_encoder(KmerTokenizer(3), position="learned", n_token_types=2, max_tokens=64)
    registry.save(model, tmp_path, layout=layout)
    if instead:
        (tmp_path / instead).unlink()
    (tmp_path / name).write_text(POINTER)
    with pytest.raises(CheckpointError, match=f"{name} is a Git LFS pointer, .* run `git lfs pull`"):
        registry.load(tmp_path)


def cached(folder: Path, *hashes: str, main: str = "") -> Path:
    """A folder as the Hugging Face hub's client keeps a model."""
    for name in hashes:
        registry.save(small_encoder(KmerTokenizer(3)), folder / "snapshots" / name)
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(main)
    return folder


@pytest.mark.parametrize("of", ["", "hub"])
def test_a_cache_of_the_hugging_face_hub_names_the_model_in_it(tmp_path: Path, of: str) -> None:
    folder = cached(tmp_path / of / "models--x--y", "a1", "b2", main="b2")
    given = tmp_path / of if of else folder
    with pytest.raises(CheckpointError) as error:
        registry.load(given)
    several = f"{folder}/snapshots/b2, {folder}/snapshots/a1"
    assert f"is a cache of the Hugging Face hub, and a model is {several}; name that one" in str(error.value)
    registry.load(folder / "snapshots" / "b2")


def test_a_cache_of_the_hugging_face_hub_without_a_model(tmp_path: Path) -> None:
    (cached(tmp_path / "models--x--y") / "snapshots").mkdir()
    with pytest.raises(CheckpointError, match="without a model in it; download the model again"):
        registry.load(tmp_path / "models--x--y")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"num_hidden_layers": None}, "config.json has no num_hidden_layers; copy the model folder again."),
        (
            {"num_attention_heads": 0},
            "config.json: n_heads = 0: give a whole number of at least 1; correct it, or copy the model folder again.",
        ),
        (
            {"num_hidden_layers": "two"},
            "config.json: encoder: n_layers = 'two': give a whole number; correct it, or copy the model folder again.",
        ),
    ],
)
def test_a_configuration_with_a_wrong_size_is_one_sentence(tmp_path: Path, changed: dict[str, object], words: str) -> None:
    folder = bert(tmp_path / "m", **changed)
    if None in changed.values():
        path = folder / "config.json"
        path.write_text(json.dumps({name: x for name, x in json.loads(path.read_text()).items() if x is not None}))
    with pytest.raises(CheckpointError) as error:
        registry.load(folder)
    assert str(error.value) == f"{folder}/{words}"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"id2label": {"0": "x", "1": "x"}}, "config.json, id2label: classes x, x: names must differ; rename one of them."),
        (
            {"num_labels": 1, "problem_type": "single_label_classification"},
            "config.json, id2label: LABEL_0 is the only class; give at least two.",
        ),
        (
            {"id2label": {"0": "x", "7": "y"}},
            "config.json: id2label names the outputs 0, 7, expected 0 to 1, one for each output; correct the numbers.",
        ),
    ],
)
def test_outputs_that_are_no_classes_are_named_with_their_file(tmp_path: Path, fields: dict[str, object], words: str) -> None:
    folder = bert(tmp_path / "m", architectures=["BertForSequenceClassification"], **fields)
    with pytest.raises(CheckpointError) as error:
        registry.load(folder)
    assert str(error.value) == f"{folder}/{words}"


def test_a_start_of_the_other_objective_names_the_setting(tmp_path: Path) -> None:
    from genoformer.training.config import PretrainConfig
    from genoformer.training.pretrain import pretrain

    registry.save(small_encoder(KmerTokenizer(3), causal=True), tmp_path / "m")
    (tmp_path / "g.fa").write_text(">c\n" + "ACGT" * 400 + "\n")
    with pytest.raises(ConfigError, match=r'm is a causal model; set objective = "causal" in \[training\]\.'):
        pretrain(PretrainConfig().with_fastas([tmp_path / "g.fa"]), tmp_path / "run", start=tmp_path / "m")


def test_a_folder_without_a_tokenizer_names_both_files(tmp_path: Path) -> None:
    folder = bert(tmp_path / "m")
    (folder / "vocab.txt").unlink()
    with pytest.raises(CheckpointError) as error:
        registry.load(folder)
    said = "has no vocab.txt or tokenizer.json, one of which holds the tokenizer; copy the whole model folder."
    assert str(error.value) == f"{folder} {said}"
