"""Long-range models on disk: our folder and enformer-pytorch's, bit by bit both ways, and folders that are refused."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import random_onehot, shaken, small_encoder, small_enformer
from torch import Tensor

from genoformer.errors import CheckpointError, ConfigError
from genoformer.files import sha256_of
from genoformer.models import folders, registry
from genoformer.models.base import READS_TOKENS, Embeds, PredictsTracks
from genoformer.models.enformer import weights as enformer
from genoformer.models.enformer.config import EnformerConfig, preset
from genoformer.models.enformer.model import Enformer
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    """Whether two models have the same tensors, bit by bit."""
    first, second = a.state_dict(), b.state_dict()
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


# --- our own folder


def test_our_folder_holds_a_long_range_model(tmp_path) -> None:
    model, onehot = small_enformer(), random_onehot(1, 256)
    registry.save(model, tmp_path, manifest={"seed": 3})
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors", "manifest.json"}
    again = registry.load(tmp_path)
    assert isinstance(again, Enformer)
    assert not again.training
    assert same(model, again)
    assert again.config == model.config
    assert again.sha256 == sha256_of(tmp_path / "model.safetensors")
    with torch.no_grad():
        assert torch.equal(again(onehot, "mouse"), model(onehot, "mouse"))


@pytest.mark.parametrize("layout", ["genoformer", "enformer"])
def test_half_precision_leaves_counts_alone(tmp_path, layout) -> None:
    model = small_enformer()
    registry.save(model, tmp_path, layout=layout, dtype=torch.float16)
    half = registry.load(tmp_path, PredictsTracks)
    for name, tensor in model.state_dict().items():
        expected = tensor.half().float() if tensor.is_floating_point() else tensor
        assert torch.equal(half.state_dict()[name], expected), name
    assert {t.dtype for name, t in load_file(tmp_path / "model.safetensors").items() if "num_batches" in name} == {torch.int64}


def test_what_float16_cannot_hold_is_not_written(tmp_path) -> None:
    model = small_enformer()
    variance = model.stages[0].point.norm.running_var
    variance[0] = 1e5
    with pytest.raises(ConfigError, match=r"running_var holds numbers that are too large for torch.float16; store"):
        registry.save(model, tmp_path, dtype=torch.float16)
    assert not list(tmp_path.iterdir())


def test_loading_draws_no_random_numbers(tmp_path) -> None:
    registry.save(small_enformer(), tmp_path)
    before = torch.random.get_rng_state()
    registry.load(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_each_kind_of_model_is_refused_where_another_is_meant(tmp_path) -> None:
    registry.save(small_enformer(), tmp_path / "tracks")
    registry.save(small_encoder(BaseTokenizer()), tmp_path / "language")
    said = r"tracks is a track model with the heads human, mouse; "
    with pytest.raises(CheckpointError, match=said + "give a language model[.]"):
        registry.load(tmp_path / "tracks", Embeds)
    with pytest.raises(CheckpointError, match=said + "give a language model or a model that `finetune` made"):
        registry.load(tmp_path / "tracks", READS_TOKENS)
    with pytest.raises(CheckpointError, match=said + "give a model that `finetune` made"):
        registry.load_ensemble(tmp_path / "tracks")
    with pytest.raises(CheckpointError, match="is a language model, which predicts bases; give a model that predicts tracks"):
        registry.load(tmp_path / "language", PredictsTracks)
    with pytest.raises(ConfigError, match="BERT's layout holds language models and no others"):
        registry.save(small_enformer(), tmp_path / "out", layout="dnabert")
    with pytest.raises(ConfigError, match="enformer-pytorch's layout holds track models and no others"):
        registry.save(small_encoder(KmerTokenizer(3)), tmp_path / "out", layout="enformer")
    with pytest.raises(ConfigError, match="layout 'onnx': allowed are genoformer, hf, dnabert, gena-lm"):
        registry.save(small_enformer(), tmp_path / "out", layout="onnx")
    assert not list(tmp_path.glob("out/*"))


def test_kernels_that_enformer_does_not_have_stay_with_us(tmp_path) -> None:
    with pytest.raises(ConfigError, match="kernels of 15 and 5 bases, this model has 15 and 7; save in genoformer's"):
        registry.save(small_enformer(tower_kernel=7), tmp_path, layout="enformer")
    assert not list(tmp_path.iterdir())


# --- enformer-pytorch's folder


@pytest.mark.parametrize("fields", [{}, {"target_bins": 20}, {"n_pools": 4, "heads": {"cage": 2}}, {"n_blocks": 0}])
def test_a_model_of_ours_comes_back_from_their_layout_bit_by_bit(tmp_path, fields) -> None:
    model = small_enformer(**fields)
    registry.save(model, tmp_path, layout="enformer", manifest={"seed": 3})
    again = registry.load(tmp_path, PredictsTracks)
    assert same(model, again)
    assert again.config == model.config
    assert folders.read_manifest(tmp_path) == {"seed": 3}
    assert registry.layout_of(tmp_path) == "enformer"


@pytest.fixture
def their_model():
    reference = pytest.importorskip("enformer_pytorch", reason="enformer-pytorch is not installed (extra: dev)")
    torch.manual_seed(0)
    model = reference.Enformer.from_hparams(
        dim=48,
        depth=2,
        heads=2,
        attn_dim_key=8,
        output_heads={"human": 5, "mouse": 3},
        target_length=10,
        num_downsamples=4,
        dim_divisible_by=4,
    )
    return shaken(model, lambda: model(random_onehot(2, 640).transpose(1, 2)))


@pytest.fixture
def their_folder(tmp_path, their_model) -> Path:
    """A folder as on the Hugging Face hub: pytorch_model.bin, in which every tensor of the trunk stands twice."""
    their_model.save_pretrained(tmp_path / "theirs", safe_serialization=False)
    return tmp_path / "theirs"


def weights(folder: Path) -> dict[str, Tensor]:
    return torch.load(folder / "pytorch_model.bin", weights_only=True)


def test_their_folder_comes_back_to_them_bit_by_bit(tmp_path, their_model, their_folder) -> None:
    ours = registry.load(their_folder)
    assert isinstance(ours, Enformer)
    assert ours.sha256 == sha256_of(their_folder / "pytorch_model.bin")
    registry.save(ours, tmp_path / "back", layout="enformer")
    again, report = type(their_model).from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not any(report.values()), report
    assert same(again, their_model)
    onehot = random_onehot(2, 640).transpose(1, 2)
    with torch.no_grad():
        found, expected = again.eval()(onehot), their_model(onehot)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[head], expected[head]) for head in expected)
    assert same(registry.load(tmp_path / "back"), ours)
    assert again.config.output_heads == their_model.config.output_heads
    assert again.config.target_length == their_model.config.target_length


@pytest.mark.parametrize(
    "keep",
    [
        lambda name: True,
        lambda name: not name.startswith("_trunk."),
        lambda name: name.startswith(("_trunk.", "_heads.")),
        lambda name: not name.startswith("_trunk.") or "running" in name,
    ],
    ids=["both", "short", "long", "short, and statistics twice"],
)
def test_one_name_of_a_tensor_is_enough(tmp_path, their_folder, keep: Callable[[str], bool]) -> None:
    """Whoever converts the pickle to safetensors, where no tensor may stand twice, drops one name or copies."""
    chosen = {name: tensor.clone() for name, tensor in weights(their_folder).items() if keep(name)}
    (tmp_path / "plain").mkdir()
    save_file(chosen, tmp_path / "plain" / "model.safetensors")
    (tmp_path / "plain" / "config.json").write_text((their_folder / "config.json").read_text())
    assert same(registry.load(tmp_path / "plain"), registry.load(their_folder))


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = dict(weights(folder))
    change(tensors)
    torch.save(tensors, folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda t: t.update({"_trunk.4.1.1.fn.4.bias": t["transformer.1.1.fn.4.bias"] + 1}),
            r"transformer.1.1.fn.4.bias and _trunk.4.1.1.fn.4.bias should be the same tensor and differ",
        ),
        (lambda t: t.update({"_trunk.1.0.weight": torch.zeros(1)}), "should be the same tensor and differ"),
        (lambda t: (t.pop("stem.0.bias"), t.pop("_trunk.1.0.bias")), r"1 tensors are missing.*stages.0.wide.bias"),
        (lambda t: t.pop("_heads.human.0.weight"), "1 tensors are missing"),
        (lambda t: t.update({"_heads.fly.0.weight": torch.zeros(2, 96)}), "heads.fly.*foreign"),
        (lambda t: t.update({"_trunk.9.weight": torch.zeros(2)}), "foreign.*_trunk.9.weight"),
        (lambda t: t.update({"_heads.human.0.bias": torch.zeros(4)}), "of another shape"),
        (lambda t: t.update({"_heads.human.0.bias": torch.full((5,), torch.nan)}), "NaN or infinity"),
        (lambda t: t.clear(), "tensors are missing"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(their_folder, change, words) -> None:
    rewrite(their_folder, change)
    with pytest.raises(CheckpointError, match=words):
        registry.load(their_folder)


def test_a_folder_without_weights_is_refused(their_folder) -> None:
    (their_folder / "pytorch_model.bin").unlink()
    with pytest.raises(CheckpointError, match=r"has neither model.safetensors nor pytorch_model.bin"):
        registry.load(their_folder)


@pytest.mark.parametrize("table", [False, True])
def test_a_pickle_that_runs_code_is_not_run(tmp_path, table) -> None:
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "enformer", "dim": 48, "dim_divisible_by": 4}))
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"stem.0.weight": Payload()} if table else Payload()))
    with pytest.raises(CheckpointError, match="not loaded"):
        registry.load(tmp_path)
    assert not (tmp_path / "ran").exists()


# --- their configuration


def shape(**config: object) -> EnformerConfig:
    return enformer.to_config({"model_type": "enformer", **config}, Path(), {})


def test_missing_fields_are_enformers() -> None:
    assert shape() == preset("enformer")
    reference = pytest.importorskip("enformer_pytorch", reason="enformer-pytorch is not installed (extra: dev)")
    assert shape(**reference.EnformerConfig().to_dict()) == preset("enformer")


@pytest.mark.parametrize(
    ("config", "bins", "length"),
    [
        ({}, 896, 196_608),
        ({"target_length": -1}, 0, 196_608),  # 1,536 bins, as Enformer
        ({"num_downsamples": 5}, 896, 49_152),
        ({"target_length": 3000, "num_downsamples": 5}, 3000, 96_000),  # the least that holds them
        ({"target_length": 64, "context_length": 16_384}, 64, 16_384),  # as we write it
    ],
)
def test_the_window_follows_from_the_bins(config, bins, length) -> None:
    assert (shape(**config).target_bins, shape(**config).context_length) == (bins, length)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"use_convnext": True}, "use_convnext is not Enformer's trunk"),
        ({"target_length": 0}, "target_length = 0; give a number of bins, or -1"),
        ({"target_length": "896"}, "target_length = '896'"),
        ({"target_length": None}, "target_length = None"),
        ({"num_downsamples": 2}, "n_pools = 2: give a whole number of at least 3"),
        ({"num_downsamples": "7"}, "n_pools = '7': give a whole number"),
        ({"num_downsamples": 10**9}, "n_pools = 1000000000: bins would be longer than a chromosome"),
        ({"dim": 100}, "width = 100"),
        ({"dim": 1536.5}, "give a whole number"),
        ({"heads": 7}, "each head needs a multiple of 6"),
        ({"output_heads": {}}, "at least one head"),
        ({"output_heads": {"human": -1}}, "at least one head"),
        ({"output_heads": {"the human": 5}}, "is no name"),
        ({"dropout_rate": 1.5}, "from 0 up to"),
    ],
)
def test_configurations_that_are_not_enformers_are_refused(config, words) -> None:
    with pytest.raises(CheckpointError, match=words):
        shape(**config)


def test_the_table_is_named_only_where_it_fits() -> None:
    """What `Enformer.from_pretrained` needs to give TensorFlow's numbers; of other shapes it has no right basis."""
    with torch.device("meta"):
        whole = Enformer(preset("enformer"))
    assert enformer.basis_note(whole) is None
    assert "the two give different numbers" in (enformer.basis_note(small_enformer()) or "")
    assert enformer.basis_note(small_encoder(BaseTokenizer())) is None
