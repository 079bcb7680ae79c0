"""Models with contexts on every track family: naive heads, folders, other contexts, engines, attention, plans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from context_models import CELLS, NEW, TRUNKS, small_contexts
from small_models import random_onehot

from genoformer.errors import CheckpointError, ConfigError
from genoformer.formats.context_table import ContextTable
from genoformer.inference.throughput import measured_rate
from genoformer.inference.tracks import TrackPredictor
from genoformer.models import registry
from genoformer.models.base import Attends, PredictsTracks, has
from genoformer.models.contexts import ContextConfig, ContextTracks
from genoformer.models.plain_engine import PlainEngine
from genoformer.models.takes_contexts import TakesContexts, with_contexts
from genoformer.models.track_heads import CONTEXT_HEADS
from genoformer.models.tuning import trained_names

NAMES = [f"{cell}:{measurement}" for cell in CELLS.names for measurement in ("dnase", "cage.plus", "cage.minus")]


def naive(model: ContextTracks, embedding: torch.Tensor, vectors: np.ndarray) -> torch.Tensor:
    """Tracks [1, K A, N] in float64, context by context and measurement by measurement, from the tensors of the head."""
    t = {name: tensor.double() for name, tensor in model.head.state_dict().items()}
    x, out = embedding[0].double(), []
    for vector in torch.from_numpy(vectors):
        for a in range(3):
            if model.config.head == "linear":
                c = torch.cat([vector, torch.ones(1, dtype=torch.float64)])
                out.append(c @ t["to_weight"][a] @ x + c @ t["to_bias"][a])
                continue
            bins = x.T  # [N, C]
            query = torch.nn.functional.layer_norm(bins, bins.shape[1:], t["norm_bins.weight"], t["norm_bins.bias"])
            query = (query @ t["query.weight"].T).unflatten(-1, (8, 64))
            known = torch.nn.functional.layer_norm(vector, vector.shape, t["norm_context.weight"], t["norm_context.bias"])
            keys = [t["null_key"].view(8, 64), (t["key.weight"] @ known).view(8, 64)]
            values = [t["null_value"].view(8, 64), (t["value.weight"] @ known).view(8, 64)]
            logits = torch.stack([(query * key).sum(-1) / 8 for key in keys])  # [2, N, H]
            weights = logits.softmax(0)
            mixed = sum(w[..., None] * v for w, v in zip(weights, values, strict=True)).flatten(1)
            state = bins + mixed @ t["mix.weight"].T + t["mix.bias"]
            out.append(state @ t["out.weight"][a] + t["out.bias"][a])
    return torch.nn.functional.softplus(torch.stack(out))[None]


@pytest.mark.parametrize("head", CONTEXT_HEADS)
@pytest.mark.parametrize("trunk", TRUNKS)
def test_a_folder_predicts_its_own_contexts_and_others(tmp_path: Path, trunk: str, head: str) -> None:
    model, onehot = small_contexts(trunk, head), random_onehot(1, TRUNKS[trunk][2])
    registry.save(model, tmp_path / "m")
    loaded = registry.load(tmp_path / "m", PredictsTracks, TakesContexts)
    assert loaded.config == model.config
    with torch.no_grad():
        embedding = model.embed(onehot)
        assert embedding.shape[-1] == 16
        expected = naive(model, embedding, CELLS.vectors)
        torch.testing.assert_close(loaded(onehot).double(), expected, rtol=1e-4, atol=1e-5)
        other = loaded.with_contexts(NEW)
        assert other(onehot).shape == (1, 9, 16)
        expected = naive(model, embedding, NEW.vectors[:, [1, 2, 0]])  # its columns are z, x, y
        torch.testing.assert_close(other(onehot).double(), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(loaded(onehot), model(onehot))  # not changed by the other contexts
    table = loaded.track_heads["tracks"].table
    assert [track.identifier for track in table] == NAMES
    assert table.strand_pairs.tolist() == [0, 2, 1, 3, 5, 4]
    assert [track.group for track in table][:3] == ["DNASE", "CAGE", "CAGE"]
    assert registry.read_heads(tmp_path / "m")["tracks"] == loaded.track_heads["tracks"]
    assert len({loaded.sha256, other.sha256, loaded.with_contexts(NEW.rows(["lung"])).sha256}) == 3
    registry.save(other, tmp_path / "other")
    torch.testing.assert_close(registry.load(tmp_path / "other").vectors, other.vectors)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_the_engine_of_the_trunk_and_the_plain_one_agree(trunk: str) -> None:
    model, length = small_contexts(trunk), TRUNKS[trunk][2]
    codes = np.random.default_rng(0).integers(0, 4, (2, length)).astype(np.uint8)
    fast, plain = TrackPredictor(model)(codes), TrackPredictor(model, engine=PlainEngine(model, "tracks"))(codes)
    np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-5 * np.abs(plain).max())
    assert not isinstance(TrackPredictor(model).engine, PlainEngine) or trunk.startswith("alphagenome")


@pytest.mark.parametrize("trunk", TRUNKS)
def test_parts_and_attention_are_those_of_the_trunk(trunk: str) -> None:
    model, length = small_contexts(trunk), TRUNKS[trunk][2]
    codes = np.random.default_rng(0).integers(0, 4, (1, length)).astype(np.uint8)
    assert has(model, Attends)
    assert model.n_units(length) == model.trunk.n_units(length)
    with torch.inference_mode():
        for own, of_trunk in zip(model.attention(codes), model.trunk.attention(codes), strict=True):
            torch.testing.assert_close(own(0, 2), of_trunk(0, 2))
    for tune in ("full", "last", "norms", "frozen"):
        of_trunk = {f"trunk.{name}" for name in trained_names(model.trunk, tune, 1)}
        assert trained_names(model, tune, 1) == of_trunk
    model.activation_checkpointing = True
    assert model.trunk.activation_checkpointing


def test_speed_and_memory_are_planned() -> None:
    model = small_contexts("borzoi")
    assert measured_rate(ContextTracks, model.config, training=True) > 0
    size = (1024, 1, "tracks", 8)
    assert model.cpu_engine_size(*size) == model.trunk.cpu_engine_size(*size)


def test_models_and_tables_that_do_not_fit_are_refused() -> None:
    model = small_contexts("enformer")
    with pytest.raises(ConfigError, match="lacks the columns z"):
        model.with_contexts(ContextTable(("a",), ("x", "y"), np.ones((1, 2))))
    with pytest.raises(CheckpointError, match="m is a track model with the head tracks; give a model that was trained with"):
        with_contexts(model.trunk, NEW, "m")
    assert with_contexts(model, None) is model
    assert model.describe() == "is a track model of 2 contexts with 3 measurements each"
    trunk = model.config.trunk
    for fields, message in (
        ({"head": "deep"}, "head = 'deep': allowed are linear, attention"),
        ({"contexts": ("a", "a")}, "contexts = .*each with a name of its own"),
        ({"columns": ()}, "columns = .*give at least one"),
        ({"groups": ("a", "b")}, "groups and strand_pairs are of 1 measurements"),
        ({"strand_pairs": (1,)}, "strand_pairs = .1.: two measurements of a pair name each other"),
        ({"head": "attention", "columns": ("x",)}, "one number says nothing; give 2 columns, or take linear"),
    ):
        with pytest.raises(ConfigError, match=message):
            ContextConfig(**{"trunk": trunk, "contexts": ("a",), "columns": ("x", "y"), **fields})
