"""`linear` is F.linear, whatever way it takes."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from genoformer.models import cpu_kernels, layers
from genoformer.models.layers import FirstConv, Linear, RMSNorm, attend, attend_few_keys, for_each_query, linear

SMALL = [(1, 5, 12), (2, 8, 12), (16, 3, 12), (17, 5, 12), (33, 1, 12), (4, 12), (48, 12)]


@pytest.fixture(autouse=True)
def another_processor(monkeypatch) -> None:
    """The detour is for processors of other makers than Intel and without AMX; the tests run on any."""
    monkeypatch.setattr(cpu_kernels, "is_intel", lambda: False)
    monkeypatch.setattr(cpu_kernels, "has_matrix_unit", lambda: False)


@pytest.mark.parametrize("shape", [*SMALL, (16, 509, 24), (4, 509, 80), (8192, 20)])
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients_are_those_of_f_linear(shape, biased) -> None:
    torch.manual_seed(0)
    weight, bias = torch.randn(250, shape[-1]), torch.randn(250) if biased else None
    found = []
    for f in (linear, F.linear):
        x, w = torch.randn(shape, generator=torch.Generator().manual_seed(1)).requires_grad_(), weight.clone().requires_grad_()
        y = f(x, w, bias)
        y.square().mean().backward()
        found.append((y.detach(), x.grad, w.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("view", [lambda x: x.transpose(0, 1), lambda x: x[:, ::2], lambda x: x[:, 1:]])
def test_views_that_are_not_contiguous(view) -> None:
    x, weight = view(torch.randn(64, 256, 24)), torch.randn(100, 24)
    torch.testing.assert_close(linear(x, weight, None), F.linear(x, weight), atol=1e-4, rtol=1e-5)


def test_other_precisions_and_autocast_keep_their_type() -> None:
    layer, x = Linear(12, 5), torch.randn(16, 4, 12)
    assert layer.double()(x.double()).dtype == torch.float64
    assert layer.bfloat16()(x.bfloat16()).dtype == torch.bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer.float()(x).dtype == torch.bfloat16


def test_the_detour_is_taken_for_large_products(monkeypatch) -> None:
    """Otherwise the tests above would compare F.linear with itself."""
    taken = []
    true = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *a: taken.append(a[0].shape) or true(*a))
    for shape in ((16, 509, 24), (4, 509, 80), (8192, 20), (2, 8, 12)):
        linear(torch.randn(shape), torch.randn(250, shape[-1]), None)
    assert taken == [(16, 24, 1, 509), (509, 80, 1, 4), (16, 20, 1, 512)]


def test_an_intel_processor_takes_no_detour_in_float32(monkeypatch) -> None:
    """MKL runs there at its full rate, and a convolution is slower."""
    monkeypatch.setattr(cpu_kernels, "is_intel", lambda: True)
    x, weight = torch.randn(16, 509, 24), torch.randn(250, 24)
    assert not cpu_kernels.convolution_pays_off(x, weight, None)
    halves = [x.bfloat16(), weight.bfloat16(), torch.randn(250).bfloat16()]
    assert cpu_kernels.convolution_pays_off(*halves)
    assert cpu_kernels.windows_pay_off(torch.bfloat16)
    monkeypatch.setattr(cpu_kernels, "has_matrix_unit", lambda: True)  # torch's kernels use it in bfloat16
    assert not cpu_kernels.convolution_pays_off(*halves)
    assert not cpu_kernels.windows_pay_off(torch.bfloat16)


@pytest.mark.parametrize("bias_shape", [None, (1, 1, 9, 9), (1, 4, 9, 9), (3, 1, 9, 9)])
def test_attention_in_bfloat16_is_that_of_float32(bias_shape) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 3, 4, 9, 8).bfloat16()
    bias = torch.randn(bias_shape).bfloat16() if bias_shape else None
    with torch.no_grad():
        found = attend(q, k, v, bias, causal=False, dropout=0.0)
    exact = F.scaled_dot_product_attention(q.double(), k.double(), v.double(), bias.double() if bias_shape else None)
    torch.testing.assert_close(found.double(), exact, atol=0.02, rtol=0.02)
    assert found.transpose(1, 2).is_contiguous()


def _asked(n_asked=5, dtype=torch.float64):
    random = torch.Generator().manual_seed(0)
    shapes = ((2, 3, n_asked, 4), (2, 3, 5, 4), (2, 3, 5, 4))
    q, k, v = (torch.randn(shape, dtype=dtype, generator=random, requires_grad=True) for shape in shapes)
    bias = torch.zeros(2, 1, 1, 5, dtype=dtype)
    bias[1, ..., 3:] = -torch.inf  # padding
    return q, k, v, bias


@pytest.mark.parametrize("n_asked", [5, 2])
@pytest.mark.parametrize("padded", [False, True])
def test_attention_with_dropout_has_the_right_gradient(n_asked, padded) -> None:
    q, k, v, bias = _asked(n_asked)

    def attention(*qkv):
        torch.manual_seed(7)
        return attend(*qkv, bias if padded else None, causal=False, dropout=0.3)

    assert torch.autograd.gradcheck(attention, (q, k, v))


def test_attention_with_dropout_is_sdpa_on_average_and_drops_its_share() -> None:
    """Dropout so rare that it never happens gives SDPA itself; of 4,000 masks the mean comes near, and 30 % are dropped."""
    q, k, v, bias = (t.detach() for t in _asked())
    exact = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    assert torch.allclose(attend(q, k, v, bias, causal=False, dropout=1e-9), exact, atol=1e-12)
    torch.manual_seed(0)
    mean = sum(attend(q, k, v, bias, causal=False, dropout=0.3) for _ in range(4_000)) / 4_000
    assert (mean - exact).abs().max() < 0.05  # 4 standard errors of the widest
    one = torch.ones(40, 4, 50, 8)
    kept = attend(one, one, torch.eye(50)[None, None, :, :8].expand(40, 4, 50, 8).contiguous(), None, causal=False, dropout=0.3)
    share = (kept == 0).float().mean()
    assert abs(float(share) - 0.3) < 4 * (0.21 / kept.numel()) ** 0.5
    assert float(kept.max()) == pytest.approx(1 / 50 / 0.7, rel=1e-4)


@pytest.mark.parametrize(("dtype", "far"), [(torch.float64, 1e-14), (torch.float32, 1e-6), (torch.bfloat16, 0.02)])
def test_rms_norm_is_its_formula_with_and_without_gradients(dtype, far) -> None:
    norm, x = RMSNorm(24, eps=1e-5).to(dtype), 3 * torch.randn(2, 5, 24).to(dtype)
    torch.nn.init.normal_(norm.weight)
    wide = x.double()
    expected = wide / (wide.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight.detach().double()
    before = x.clone()
    for context in (torch.no_grad, torch.enable_grad):
        with context():
            found = norm(x)
        assert found.dtype == dtype
        torch.testing.assert_close(found.detach().double(), expected, atol=far * 5, rtol=far)
    assert torch.equal(x, before)


@pytest.mark.parametrize("causal", [False, True])
def test_heads_that_share_keys_are_those_of_repeated_keys(causal) -> None:
    q, k, v = torch.randn(2, 6, 9, 8), torch.randn(2, 2, 9, 8), torch.randn(2, 2, 9, 8)
    assert for_each_query(k, 6)[:, 3].equal(k[:, 1])
    repeated = attend(q, for_each_query(k, 6), for_each_query(v, 6), None, causal=causal, dropout=0)
    torch.testing.assert_close(attend(q, k, v, None, causal=causal, dropout=0), repeated)


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")  # of torch in RMS norms
@pytest.mark.parametrize("shape", [{}, {"local_window": 8, "global_every": 2}, {"qk_norm": True, "n_kv_heads": 1}])
def test_rotary_models_are_trained_in_mixed_precision_on_padded_sequences(shape) -> None:
    """The gradients are those of float32 up to the digits of bfloat16, with a rate of dropout that drops nearly nothing."""
    from genoformer.models.transformer.config import EncoderConfig
    from genoformer.models.transformer.model import Encoder

    fields = {"n_vocab": 9, "width": 16, "n_layers": 2, "n_heads": 2, "ffn_width": 24, "position": "rotary", "norm": "pre"}
    torch.manual_seed(0)
    model = Encoder(EncoderConfig(**fields, **shape, dropout=1e-4, init_std=0.2)).train()
    ids, keep = torch.randint(5, 9, (2, 30)), torch.arange(30) < torch.tensor([[9], [30]])
    gradients = []
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            logits = model(ids, keep)
            torch.nn.functional.cross_entropy(logits[keep].float(), ids[keep]).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        model.zero_grad()
    assert gradients[1].isfinite().all()
    cosine = torch.nn.functional.cosine_similarity(*gradients, dim=0)
    assert cosine > 0.99


def test_the_first_convolution_remembers_its_weights_in_full() -> None:
    """Until they are converted back or changed."""
    conv = FirstConv(4, 3, 5)
    weight, bias = conv.weight.detach().clone(), conv.bias.detach().clone()
    half = copy.deepcopy(conv).to(torch.bfloat16)
    assert half.weight.dtype == torch.bfloat16
    assert not half.weight.float().equal(weight)
    for known in (half, copy.deepcopy(half), half.to("cpu")):
        assert known.best_weights[0].equal(weight)
        assert known.best_weights[1].equal(bias)
    assert half.state_dict().keys() == {"weight", "bias"}
    changed = copy.deepcopy(half)
    changed.weight.data.mul_(2)
    assert changed.best_weights[0].equal(changed.weight)
    back = half.to(torch.float32)
    assert back.in_full is None
    assert conv.best_weights[0].equal(conv.weight)


@pytest.mark.parametrize("biased", [True, False])
def test_attention_to_few_keys_has_the_values_and_gradients_of_the_other(biased: bool) -> None:
    torch.manual_seed(0)
    hidden = torch.arange(9)[None] >= torch.tensor([[9], [5]])  # [B, T]
    bias = torch.zeros(2, 1, 1, 9).masked_fill(hidden[:, None, None], -torch.inf) if biased else None
    tensors, found = [torch.randn(2, n, 9, 6) for n in (4, 2, 2)], []
    for f in (attend_few_keys, attend):
        q, k, v = (x.clone().requires_grad_() for x in tensors)
        y = f(q, k, v, bias, causal=False, dropout=0.0)
        y.square().sum().backward()
        found.append((y.detach(), q.grad, k.grad, v.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_tokens", [1, 192, 500])
def test_causal_attention_by_blocks_has_the_values_and_gradients_of_sdpa(n_tokens: int) -> None:
    torch.manual_seed(0)
    tensors, found = [torch.randn(2, n, n_tokens, 6, dtype=torch.float64) for n in (4, 2, 2)], []
    for blocks in (True, False):
        q, k, v = (x.clone().requires_grad_() for x in tensors)
        if blocks:
            y = attend(q, k, v, None, causal=True, dropout=0.0)
        else:
            y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        y.square().sum().backward()
        found.append((y.detach(), q.grad, k.grad, v.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)


def test_causal_attention_goes_by_blocks_in_training_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """In training, and for few logits; else SDPA, which is as fast in float32 and keeps no logits."""
    calls = []
    monkeypatch.setattr(layers, "attend_causal_blocks", lambda q, k, v: calls.append(q.shape) or v)
    q = torch.randn(1, 2, 8, 4)
    attend(q, q, q, None, causal=True, dropout=0.0)
    assert calls == [q.shape]
    with torch.no_grad():
        attend(q, q, q, None, causal=True, dropout=0.0)
    many = torch.empty(1, 1, 1, 4).expand(1, 1, 9000, 4)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", lambda q, k, v, **_: v)
    attend(many, many, many, None, causal=True, dropout=0.0)
    assert len(calls) == 1
