"""Convolutions of rows with fewer products: the sums of the plain convolution, at every length and width."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from genoformer.models.row_convolution import (
    FastConvolution,
    PlainConvolution,
    PointConvolution,
    ProductsByConvolution,
    ProductsInBatches,
    row_convolution,
    transforms,
)


def naive(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Sums over channels and taps in float64, row by row."""
    n = len(x) - weight.shape[2] + 1
    rows = [torch.einsum("kc,ock->o", x[i : i + weight.shape[2]].double(), weight.double()) for i in range(n)]
    out = torch.stack(rows)
    return out if bias is None else out + bias.double()


PRODUCTS = [ProductsInBatches, ProductsByConvolution]


@pytest.mark.parametrize("products", PRODUCTS)
@pytest.mark.parametrize("n", [5, 6, 8, 9, 12, 131, 1100, 2310])
@pytest.mark.parametrize(("n_in", "n_out"), [(32, 48), (130, 33)])
def test_a_kernel_of_five_gives_the_sums_of_the_definition(n: int, n_in: int, n_out: int, products: type) -> None:
    torch.manual_seed(n)
    x, weight, bias = torch.randn(n, n_in), torch.randn(n_out, n_in, 5), torch.randn(n_out)
    with torch.inference_mode():
        convolution = FastConvolution(weight, bias, products)
        assert (convolution.width, convolution.kernel) == (n_out, 5)
        found = convolution(x)
    expected = naive(x, weight, bias)
    assert found.shape == (n - 4, n_out)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_rows_that_are_not_contiguous() -> None:
    x, weight = torch.randn(40, 64)[::2, :32], torch.randn(32, 32, 5)
    with torch.inference_mode():
        found = row_convolution(weight, None)(x)
    assert (found - naive(x, weight, None)).abs().max() < 1e-4


@pytest.mark.parametrize(("products", "times"), [(ProductsInBatches, 2), (ProductsByConvolution, 4)])
def test_the_error_is_that_of_a_convolution(products: type, times: float) -> None:
    """With as many channels as the models have: a small multiple of the error of torch's convolution in channels-last order."""
    torch.manual_seed(0)
    x, weight = torch.nn.functional.gelu(torch.randn(404, 608)), torch.randn(64, 608, 5) / 50
    expected = naive(x, weight, None)
    with torch.inference_mode():
        fast, plain = FastConvolution(weight, None, products)(x), PlainConvolution(weight, None)(x)
    errors = [float((found - expected).square().mean().sqrt() / expected.std()) for found in (fast, plain)]
    assert errors[0] < 2e-6
    assert errors[0] < times * errors[1] + 5e-7


@pytest.mark.parametrize(
    ("shape", "dtype", "kind"),
    [
        ((40, 40, 5), torch.float32, FastConvolution),
        ((40, 40, 5), torch.bfloat16, PlainConvolution),  # rounds too much
        ((40, 40, 3), torch.float32, PlainConvolution),
        ((40, 4, 5), torch.float32, PlainConvolution),  # one-hot DNA: nothing to gain
        ((40, 40, 1), torch.float32, PointConvolution),
    ],
)
def test_kinds_of_convolution(shape: tuple[int, int, int], dtype: torch.dtype, kind: type) -> None:
    weight, bias = torch.randn(shape).to(dtype), torch.randn(shape[0]).to(dtype)
    x = torch.randn(50, shape[1]).to(dtype)
    with torch.inference_mode():
        convolution = row_convolution(weight, bias)
        assert isinstance(convolution, kind)
        found = convolution(x)
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    assert (found - naive(x, weight, bias)).abs().max() < tolerance * naive(x, weight, bias).abs().max()


def test_the_matrices_are_an_identity_of_polynomials() -> None:
    """In float64: for each tap and each output, the right input and no other."""
    of_inputs, of_kernel, to_outputs = transforms()
    tensor = torch.einsum("op,pk,pi->oki", to_outputs, of_kernel, of_inputs)
    expected = np.zeros((4, 5, 8))
    for output in range(4):
        for tap in range(5):
            expected[output, tap, output + tap] = 1
    np.testing.assert_allclose(tensor.numpy(), expected, atol=1e-12)
