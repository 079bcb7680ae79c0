"""`linear` is F.linear, whatever way it takes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from genoformer.models.layers import Linear, attend, linear

SMALL = [(1, 5, 12), (2, 8, 12), (16, 3, 12), (17, 5, 12), (33, 1, 12), (4, 12), (48, 12)]


@pytest.mark.parametrize("shape", [*SMALL, (16, 509, 24), (4, 509, 80), (8192, 20)])
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients_are_those_of_f_linear(shape, biased) -> None:
    torch.manual_seed(0)
    weight, bias = torch.randn(7, shape[-1]), torch.randn(7) if biased else None
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
    x, weight = view(torch.randn(64, 256, 24)), torch.randn(5, 24)
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
        linear(torch.randn(shape), torch.randn(7, shape[-1]), None)
    assert taken == [(16, 24, 1, 509), (509, 80, 1, 4), (16, 20, 1, 512)]


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
