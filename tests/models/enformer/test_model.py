"""Enformer: relative positions against naive loops, bins and refusals in tables, and any length."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import LONG_SHAPE, random_onehot, small_enformer

from genoformer.errors import ConfigError
from genoformer.models.enformer.config import PRESETS, EnformerConfig, preset
from genoformer.models.enformer.model import Enformer, SoftmaxPool, Stage, gelu, image, relative_position_features

# --- relative positions


def naive_basis(n_bins: int, n_features: int) -> list[list[float]]:
    """Section 0 and 3 of the definitions, one number after the other."""
    n = n_features // 6

    def between(first: float, last: float, i: int) -> float:
        return first + (last - first) * i / (n - 1) if n > 1 else first

    def gamma(d: int, i: int) -> float:
        mean, deviation = between(n_bins / n, n_bins, i), n_bins / (2 * n)
        shape, rate = (mean / deviation) ** 2, mean / deviation**2
        density = d ** (shape - 1) * math.exp(-rate * d) * math.exp(shape * math.log(rate) - math.lgamma(shape))
        return density + 1e-8

    highest = [max(gamma(d, i) for d in range(n_bins)) for i in range(n)]
    rows = []
    for distance in range(-n_bins + 1, n_bins):
        d = abs(distance)
        row = [math.exp(-math.log(2) * d / 2 ** between(3, math.log2(n_bins), i)) for i in range(n)]
        row += [1.0 if 2 ** (i + 1) - 1 > d else 0.0 for i in range(n)]
        row += [gamma(d, i) / highest[i] for i in range(n)]
        sign = (distance > 0) - (distance < 0)
        rows.append(row + [sign * x for x in row])
    return rows


@pytest.mark.parametrize("n_features", [6, 12, 24])
@pytest.mark.parametrize("n_bins", [1, 2, 5, 16])
def test_the_basis_is_the_formula(n_bins, n_features) -> None:
    found = relative_position_features(n_bins, n_features)
    assert found.shape == (2 * n_bins - 1, n_features)
    torch.testing.assert_close(
        found.double(), torch.tensor(naive_basis(n_bins, n_features), dtype=torch.float64), atol=1e-6, rtol=1e-6
    )


def test_the_basis_is_that_of_tensorflow(real_data) -> None:
    """Its gamma densities for 1,536 bins, as enformer-pytorch ships them; dividing by the wrong maximum is 1.0 away."""
    table = torch.load(real_data / "enformer" / "tf_gammas.pt", weights_only=True)
    assert (relative_position_features(1536, 192)[:, 64:96] - table).abs().max() < 3e-3


def test_half_of_the_basis_is_even_and_half_odd() -> None:
    basis = relative_position_features(7, 12)
    assert torch.equal(basis[:, :6].flip(0), basis[:, :6])
    assert torch.equal(basis[:, 6:].flip(0), -basis[:, 6:])


def test_attention_looks_at_distances_to_the_right_and_to_the_left() -> None:
    """Of a basis that is 1 for the distance +2 alone, bin i gets its large logit at bin i + 2."""
    model = small_enformer()
    attention = model.blocks[0].attention
    basis = torch.zeros(11, 12)
    basis[5 + 2] = 100
    with torch.no_grad():
        logits = attention.logits(torch.zeros(1, 6, 24), basis)[0, 0]
    assert torch.equal(logits.nonzero(), torch.tensor([[0, 2], [1, 3], [2, 4], [3, 5]]))


def test_the_basis_that_inference_made_serves_training() -> None:
    model = small_enformer()
    x = random_onehot(1, 256)
    with torch.inference_mode():
        expected = model(x, "human")
    found = model(x, "human")
    found.sum().backward()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


# --- parts with answers known by hand


def test_pooling_is_a_weighted_mean_of_two() -> None:
    """W = 2 I: of 0 and 1 the weights are softmax(0, 2); the second channel, of equal numbers, keeps them."""
    found = SoftmaxPool(2)(image(torch.tensor([[[0.0, 1.0], [3.0, 3.0]]])))
    torch.testing.assert_close(found[:, :, 0], torch.tensor([[[1 / (1 + math.exp(-2))], [3.0]]]))


def test_a_stage_is_the_naive_chain_of_torchs_modules() -> None:
    """In training, too: batch norm takes the statistics of the batch, and keeps running ones."""
    torch.manual_seed(0)
    stage = Stage(6, 8, 5, first=False)
    torch.nn.init.normal_(stage.pool.weight)
    x = torch.randn(2, 6, 10)
    wide, point = stage.wide, stage.point
    norms = [copy.deepcopy(block.norm) for block in (wide, point)]
    h = torch.nn.functional.conv1d(gelu(norms[0](x)), wide.conv.weight, wide.conv.bias, padding=2)
    h = h + torch.nn.functional.conv1d(gelu(norms[1](h)), point.conv.weight, point.conv.bias)
    logits = torch.einsum("cd,bdl->bcl", stage.pool.weight, h)
    expected = (h.unflatten(2, (5, 2)) * logits.unflatten(2, (5, 2)).softmax(-1)).sum(-1)
    torch.testing.assert_close(stage(image(x))[:, :, 0], expected)
    for norm, block in zip(norms, (wide, point), strict=True):
        for name, buffer in norm.named_buffers():
            torch.testing.assert_close(getattr(block.norm, name), buffer)


def test_gelu_is_enformers() -> None:
    assert gelu(torch.tensor(1.0)).item() == pytest.approx(1 / (1 + math.exp(-1.702)))


# --- shapes


def test_channels_of_enformer() -> None:
    assert preset("enformer").channels == [768, 768, 896, 1024, 1152, 1280, 1536]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json_and_fit_together(name) -> None:
    shape = preset(name)
    assert EnformerConfig.from_dict(asdict(shape)) == shape
    with torch.device("meta"):
        model = Enformer(shape)
        assert model(torch.empty(1, 4, shape.context_length), "mouse").shape == (
            1,
            1643,
            shape.target_bins or shape.context_length // 128,
        )


def test_three_pools_are_enough() -> None:
    assert EnformerConfig(**{**LONG_SHAPE, "n_pools": 3}).channels == [12, 12, 24]
    assert small_enformer()(random_onehot(2, 40), "mouse").shape == (2, 3, 5)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"n_pools": 2}, "n_pools = 2: give a whole number of at least 3"),
        ({"n_blocks": -1}, "at least 0"),
        ({"target_bins": -1}, "at least 0"),
        ({"width": 0}, "at least 1"),
        ({"dropout": 1.0}, "from 0 up to, not including, 1"),
        ({"attention_dropout": -0.1}, "from 0 up to"),
        ({"stem_kernel": 4}, "odd"),
        ({"tower_kernel": 2}, "odd"),
        ({"width": 1000}, "half of it must be a multiple of divisible_by = 128"),
        ({"n_heads": 5}, "each head needs a multiple of 6 channels"),
        ({"n_heads": 384}, "each head needs a multiple of 6 channels"),
        ({"context_length": 1000}, "multiple of the bin of 128"),
        ({"target_bins": 1537}, "has 1536 bins of 128; give at most that"),
        ({"heads": {}}, "at least one head"),
        ({"heads": {"human": 0}}, "at least one head"),
        ({"heads": {"human": True}}, "at least one head"),
        ({"heads": {"a.b": 2}}, "is no name"),
        ({"heads": {"values": 2}}, "torch needs"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(fields, words) -> None:
    with pytest.raises(ConfigError, match=words):
        EnformerConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"blocks": 3}, "unknown fields blocks"),
        ({"width": "96"}, "give a whole number"),
        ({"width": True}, "give a whole number"),
        ({"heads": 3}, "give a table"),
        ({"heads": {"human": "3"}}, "at least one head"),
    ],
)
def test_mappings_that_do_not_fit_are_refused(fields, words) -> None:
    with pytest.raises(ConfigError, match=words):
        EnformerConfig.from_dict(fields)


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ConfigError, match="allowed are enformer, small, tiny"):
        preset("large")


# --- bins


@pytest.mark.parametrize(
    ("length", "asked", "first", "n"),
    [
        (256, None, 0, 32),  # LONG_SHAPE predicts all of its bins of 8 bases
        (256, 0, 0, 32),
        (256, 32, 0, 32),
        (256, 10, 11, 10),  # 22 are cut, 11 at each end
        (256, 11, 10, 11),  # 21 are cut, 10 in front and 11 behind
        (256, 1, 15, 1),
        (8, None, 0, 1),
        (24, 2, 0, 2),
    ],
)
def test_bins_in_the_middle(length, asked, first, n) -> None:
    model = small_enformer()
    assert model.bins_of(length, asked) == (first, n)
    onehot = random_onehot(1, length)
    with torch.no_grad():
        torch.testing.assert_close(model(onehot, "mouse", asked), model(onehot, "mouse", 0)[..., first : first + n])


def test_enformer_predicts_896_bins() -> None:
    with torch.device("meta"):
        model = Enformer(preset("enformer"))
    assert model.bins_of(196_608) == (320, 896)
    with pytest.raises(
        ConfigError,
        match=r"found n_bins = 896, but a window of 65,536 bases has 512 bins of 128 bases; "
        r"give n_bins = 512 or less, or a window of 114,688 bases",
    ):
        model.bins_of(65_536)


@pytest.mark.parametrize(
    ("length", "asked", "words"),
    [
        (0, None, "a window of 0 bases is not a whole number of bins of 8 bases; give a multiple of 8[.]"),
        (7, None, "give a multiple of 8[.]"),
        (250, None, r"give a multiple of 8, such as 248 \(31 bins\)"),
        (9, None, r"give a multiple of 8, such as 8 \(1 bin\)"),
        (256, 33, "found n_bins = 33, but a window of 256 bases has 32 bins of 8 bases; give n_bins = 32 or less"),
        (256, -1, "found n_bins = -1"),
    ],
)
def test_windows_without_those_bins_are_refused_with_what_there_is(length, asked, words) -> None:
    with pytest.raises(ConfigError, match=words):
        small_enformer()(torch.zeros(1, 4, length), "human", asked)


# --- the whole


def test_heads_by_name() -> None:
    model = small_enformer()
    assert model.head_named("mouse") == "mouse"
    assert small_enformer(heads={"cage": 3}).head_named(None) == "cage"
    with pytest.raises(ConfigError, match=r"no head was named; this model has human, mouse; name one of them \(head\)"):
        model.head_named(None)
    with pytest.raises(ConfigError, match="no head 'fly'; this model has human, mouse"):
        model(random_onehot(1, 64), "fly")


@given(st.integers(1, 40), st.integers(1, 3))
@settings(deadline=None, max_examples=20)
def test_any_length_gives_tracks_and_windows_do_not_touch_each_other(n_bins, n_windows) -> None:
    model, onehot = small_enformer(), random_onehot(n_windows, 8 * n_bins)
    with torch.no_grad():
        found = model(onehot, "human")
        alone = torch.cat([model(window[None], "human") for window in onehot])
    assert found.shape == (n_windows, 5, n_bins)
    assert (found >= 0).all()
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)


def test_an_untrained_model_begins_at_a_sensible_scale() -> None:
    """Attention adds nothing yet, every activation is of order 1, and tracks lie around softplus(0) = 0.69."""
    torch.manual_seed(0)
    model = Enformer(preset("tiny", heads={"cage": 64}, dropout=0)).train()  # norms take the statistics of the batch
    with torch.no_grad():
        x = image(random_onehot(1, 16_384, unknown=0))
        for stage in model.stages:
            x = stage(x)
            assert 0.1 < x.std() < 10
        basis = model.basis(x.shape[-1])
        assert not model.blocks[0].attention(x[:, :, 0].transpose(1, 2), basis).any()
        tracks = model(random_onehot(1, 16_384), "cage")
    assert 0.3 < tracks.mean() < 1.5
    query = model.blocks[0].attention.query.weight
    assert query.std().item() == pytest.approx(math.sqrt(2 / query.shape[1]), rel=0.05)  # VarianceScaling(2.0)


def test_every_weight_has_a_gradient() -> None:
    model = small_enformer().train()
    model(random_onehot(2, 256), "human").sum().backward()
    without = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == {"heads.mouse.weight", "heads.mouse.bias"}


def test_recomputed_blocks_give_the_same_gradients() -> None:
    gradients = []
    for checkpointed in (False, True):
        model = small_enformer(dropout=0.4).train()
        model.activation_checkpointing = checkpointed
        torch.manual_seed(1)
        model(random_onehot(2, 256), "human").square().sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(gradients[0][name], gradients[1][name]) for name in gradients[0])


def test_dropout_and_batch_statistics_are_of_training_alone() -> None:
    model, onehot = small_enformer(dropout=0.4), random_onehot(1, 256)
    with torch.no_grad():
        assert torch.equal(model(onehot, "human"), model(onehot, "human"))
        before = {name: t.clone() for name, t in model.named_buffers()}
        assert not torch.equal(model.train()(onehot, "human"), model.eval()(onehot, "human"))
    assert any(not torch.equal(before[name], t) for name, t in model.named_buffers())


def test_attention_may_begin_flatter() -> None:
    """qk_init_gain multiplies queries, keys and biases as they are drawn, and nothing else."""
    models = []
    for scale in (1.0, 0.2):
        torch.manual_seed(3)
        models.append(Enformer(preset("tiny", heads={"cage": 2}, qk_init_gain=scale)))
    whole, flat = (dict(model.named_parameters()) for model in models)
    scaled = {name for name in whole if not torch.equal(whole[name], flat[name])}
    ends = ("query.weight", "key.weight", "content_bias", "position_bias")
    assert scaled == {name for name in whole if name.endswith(ends)}
    for name in scaled:
        assert torch.allclose(flat[name], 0.2 * whole[name])
    for bad in (0.0, 1.5):
        with pytest.raises(ConfigError, match="give a number above 0 and at most 1, Enformer's"):
            preset("tiny", qk_init_gain=bad)
