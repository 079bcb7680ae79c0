"""Enformer against enformer-pytorch: same numbers from the same folder, tiny and, when asked, at full size.

enformer-pytorch computes the gamma densities of relative positions with the maximum over features, where TensorFlow has that
over positions (section 0 of the definitions); for the comparison its function is put right here. Its table is also compared.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
import torch
from amounts import FULL
from small_models import random_onehot, shaken
from torch import Tensor

from genoformer.models import registry
from genoformer.models.base import PredictsTracks
from genoformer.models.contexts import ContextConfig, ContextTracks
from genoformer.models.enformer.config import preset
from genoformer.models.enformer.model import Enformer
from genoformer.models.enformer.tiled_trunk import Trunk
from genoformer.models.track_heads import CONTEXT_HEADS

reference = pytest.importorskip("enformer_pytorch.modeling_enformer", reason="enformer-pytorch is not installed (extra: dev)")
full_size = pytest.mark.skipif(not FULL, reason="needs 9 GB and some minutes: set GENOFORMER_FULL=1")

TINY = {"dim": 96, "depth": 2, "heads": 4, "attn_dim_key": 24, "output_heads": {"human": 5, "mouse": 3}, "dim_divisible_by": 8}


def theirs(seed: int = 0, **fields):
    """An Enformer of enformer-pytorch in eval mode, whose every weight shows in its output."""
    torch.manual_seed(seed)
    model = reference.Enformer.from_hparams(**fields)
    onehot = random_onehot(2, 64 * 2**model.config.num_downsamples, seed + 1).transpose(1, 2)
    return shaken(model, lambda: model.final_pointwise(model._trunk[:4](onehot)))  # the norms; attention has none of them


def gamma_over_positions(positions, features, seq_len, stddev=None, start_mean=None, eps=1e-8, dtype=torch.float):
    """As in TensorFlow: divided by the maximum of each feature over all positions."""
    deviation, mean = seq_len / (2 * features), torch.linspace(seq_len / features, seq_len, features)
    shape, rate = (mean / deviation) ** 2, mean / deviation**2
    density = reference.gamma_pdf(positions.to(dtype).abs()[:, None], shape, rate) + eps
    return density / density.amax(0)


@pytest.fixture
def right_axis(monkeypatch) -> None:
    monkeypatch.setattr(reference, "get_positional_features_gamma", gamma_over_positions)


def ours(model, folder: Path) -> Enformer:
    """The same model through its folder."""
    model.save_pretrained(folder, safe_serialization=False)
    return registry.load(folder, PredictsTracks)


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest number; [B, K, N] and [B, N, K]."""
    return ((found.transpose(1, 2) - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("kind", CONTEXT_HEADS)
def test_whole_models_with_contexts_give_the_same_tracks(tmp_path, right_axis, kind) -> None:
    """enformer-pytorch's wrappers around a model with random weights, and ours with the same weights, without the constant."""
    finetune = pytest.importorskip("enformer_pytorch.finetune")
    inner = theirs(**{**TINY, "target_length": -1, "output_heads": {"tracks": 1}})
    mine = ours(inner, tmp_path)
    config = ContextConfig(mine.config, ("a", "b", "c"), ("w", "x", "y", "z"), head=kind, constant=False)
    model = ContextTracks(config).eval()
    model.trunk.load_state_dict(mine.state_dict())
    torch.manual_seed(4)
    with torch.no_grad():
        model.vectors.normal_()
        if kind == "linear":
            wrapper = finetune.ContextAdapterWrapper(enformer=inner, context_dim=4)
            wrapper.to_context_weights.mul_(0.05)
            model.head.to_weight.copy_(wrapper.to_context_weights[None])
            model.head.to_bias.copy_(wrapper.to_context_bias[None])
        else:
            wrapper = finetune.ContextAttentionAdapterWrapper(enformer=inner, context_dim=4)
            key, value = wrapper.to_key_values.weight.chunk(2)
            parts = {
                "norm_bins": wrapper.query_norm,
                "norm_context": wrapper.key_values_norm,
                "query": wrapper.to_queries,
                "mix": wrapper.to_out,
                "out": wrapper.to_pred[0],
            }
            weights = {f"{name}.{what}": t for name, part in parts.items() for what, t in part.state_dict().items()}
            null = {"null_key": wrapper.null_key, "null_value": wrapper.null_value}
            model.head.load_state_dict(weights | null | {"key.weight": key, "value.weight": value})
        onehot = random_onehot(1, 8192)
        expected = wrapper.eval()(onehot.transpose(1, 2), context=model.vectors)  # [B, N, K]
        assert expected.std(1).mean() > 0.01
        assert relative(model(onehot), expected) < 1e-4


@pytest.mark.parametrize(
    "fields",
    [
        {"target_length": -1},
        {"target_length": 48},
        {"target_length": -1, "num_downsamples": 4, "heads": 2, "depth": 1},
        {"target_length": 10, "dim": 192, "dim_divisible_by": 32, "output_heads": {"cage": 4}},
    ],
    ids=["all bins", "cropped", "bins of 16", "one head"],
)
def test_tiny_models_give_the_same_tracks(tmp_path, right_axis, fields) -> None:
    model = theirs(**{**TINY, **fields})
    mine = ours(model, tmp_path)
    onehot = random_onehot(2, 8192)
    with torch.no_grad():
        expected = model(onehot.transpose(1, 2))
        assert list(expected) == list(mine.config.heads)
        for head, tracks in expected.items():
            assert tracks.std(1).mean() > 0.05  # over the bins: else there is nothing to compare
            assert relative(mine(onehot, head), tracks) < 1e-5, head


def test_the_comparison_sees_the_wrong_axis(tmp_path) -> None:
    model = theirs(**TINY, target_length=-1)
    onehot = random_onehot(1, 8192)
    with torch.no_grad():
        assert relative(ours(model, tmp_path)(onehot, "human"), model(onehot.transpose(1, 2))["human"]) > 1e-3


def test_of_an_odd_rest_they_lose_a_bin(tmp_path, right_axis) -> None:
    """Of 13 bins 10: we cut one in front and two behind, they two at each end."""
    model = theirs(**TINY, target_length=10)
    onehot = random_onehot(1, 13 * 128)
    with torch.no_grad():
        found, expected = ours(model, tmp_path)(onehot, "human"), model(onehot.transpose(1, 2))["human"]
    assert (found.shape[2], expected.shape[1]) == (10, 9)
    assert relative(found[..., 1:], expected) < 1e-5


def test_gradients_are_the_same(tmp_path, right_axis) -> None:
    """Of the input, in eval mode."""
    model = theirs(**TINY, target_length=16)
    mine = ours(model, tmp_path)
    first, second = (random_onehot(1, 4096).requires_grad_() for _ in range(2))
    mine(first, "mouse").square().sum().backward()
    model(second.transpose(1, 2))["mouse"].square().sum().backward()
    assert first.grad is not None
    assert second.grad is not None
    assert (first.grad - second.grad).abs().max() / second.grad.abs().max() < 1e-4


def test_the_full_size_has_the_same_shape() -> None:
    with torch.device("meta"):
        model, mine = reference.Enformer(reference.EnformerConfig()), Enformer(preset("enformer"))
    assert sum(p.numel() for p in mine.parameters()) == sum(p.numel() for p in model.parameters())


def head_tracks(model, trunk: Tensor) -> dict[str, Tensor]:
    """What comes after the trunk, [B, T, C] -> [B, N, K] of each head."""
    embedding = model._trunk[4:](trunk)
    return {head: layer(embedding) for head, layer in model.heads.items()}


@full_size
@pytest.mark.timeout(3600)
def test_enformer_at_full_size(monkeypatch, capsys) -> None:
    """196,608 bases, 5,313 human and 1,643 mouse tracks, through a folder of 1 GB; prints what it finds."""
    model = theirs(use_tf_gamma=True)
    with tempfile.TemporaryDirectory() as folder:
        mine = ours(model, Path(folder))
    assert mine.config == preset("enformer")
    onehot = random_onehot(1, 196_608)
    with torch.inference_mode():
        trunk = model._trunk[:4](onehot.transpose(1, 2))  # [1, 1536, 1536], the same for both
        with_table = head_tracks(model, trunk)
        for module in model.modules():
            if isinstance(module, reference.Attention):
                module.use_tf_gamma = False
        wrong = head_tracks(model, trunk)
        monkeypatch.setattr(reference, "get_positional_features_gamma", gamma_over_positions)
        exact = head_tracks(model, trunk)
        embedding = mine.embed(onehot)
        tiles = mine.crop_and_project(mine.attend(Trunk(mine)(onehot).transpose(1, 2)), mine.bins_of(196_608))
        for head in ("human", "mouse"):
            tracks, fast = mine.tracks(embedding, head), mine.tracks(tiles, head)
            assert tracks.shape == (1, mine.config.heads[head], 896)
            found = [relative(tracks, exact[head]), relative(fast, exact[head]), relative(tracks, with_table[head])]
            found.append(relative(tracks, wrong[head]))
            assert exact[head].std(1).mean() > 0.05
            with capsys.disabled():
                said = "{:.1e} with the right axis, {:.1e} in tiles, {:.1e} from its table, {:.1e} from its own basis"
                sys.stdout.write(f"\n{head}: {said.format(*found)}\n")
            assert found[0] <= 1e-5
            assert found[1] <= 1e-5
            assert found[2] <= 3e-4
            assert found[3] > 1e-3  # the comparison sees what it should
