"""Convolutions of rows [n, C], positions by channels, without gradients: on a CPU with fewer multiplications.

Four outputs of a kernel of 5 read eight inputs. Taken as products of polynomials they need 8 multiplications instead of 20
(Toom-Cook; Winograd's minimal filtering F(4, 5)): inputs and kernel are evaluated at the points 0, 1, -1, 2, -2, 1/2, -1/2
and infinity, multiplied, and interpolated. The sums equal those of the convolution; in float32 they round to 1e-6 of the
deviation of the values, up to one and a half times as much as in oneDNN's convolution. In 16 bits they would round too much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.models.cpu_kernels import is_intel
from genoformer.models.layers import linear

KERNEL, GROUP = 5, 4  # width of the kernel, and outputs that are computed together
_N_POINTS = KERNEL + GROUP - 1
_POINTS = [Fraction(p) for p in ("0", "1", "-1", "2", "-2", "1/2", "-1/2")]  # and infinity
_LEAST_WIDTH = 32  # channels below which a convolution is faster


class RowConvolution(Protocol):
    """Convolution of rows [n, C] -> [n - kernel + 1, C'], which adds the bias."""

    kernel: int
    width: int  # C'

    def __call__(self, x: Tensor) -> Tensor: ...


class PlainConvolution:
    """Convolution as one channels-last image, without a copy."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: [C', C, kernel]."""
        self.width, _, self.kernel = weight.shape
        self.weight = weight[:, :, None].contiguous(memory_format=torch.channels_last)
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.conv2d(x.T[None, :, None, :], self.weight, self.bias)[0, :, 0].T


class PointConvolution:
    """Convolution with a kernel of 1: a product of matrices."""

    kernel = 1

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight: [C', C, 1]."""
        self.width, self.weight, self.bias = weight.shape[0], weight[..., 0], bias

    def __call__(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)


class Products(Protocol):
    """Products with the kernel at each of the points.

    Sums over channels are taken in parts, which halves the error of rounding, and more where a processor adds in one chain.
    """

    part: int  # channels that are summed at a time
    groups: int  # most groups of outputs at a time: factors and products stay in the cache

    def rounded(self, n: int) -> int:
        """Return the number of groups, at least n, that is computed fastest."""

    def __call__(self, values: Sequence[Tensor], out: Tensor) -> None:
        """Write the products of values, [8, m, c] for each part of the channels, into out [8, m, C']."""


class ProductsInBatches:
    """Products of matrices, all points at once."""

    part, groups = 128, 256

    def __init__(self, factors: Tensor) -> None:
        """factors: [8, C, C']."""
        self.factors = factors.contiguous().split(self.part, dim=1)

    def rounded(self, n: int) -> int:
        return n

    def __call__(self, values: Sequence[Tensor], out: Tensor) -> None:
        torch.bmm(values[0], self.factors[0], out=out)
        for x, factors in zip(values[1:], self.factors[1:], strict=True):
            out.baddbmm_(x, factors)


class ProductsByConvolution:
    """Products by convolutions with a kernel of 1: of oneDNN, at twice the rate on processors of other makers than Intel."""

    part, groups = 256, 512

    def __init__(self, factors: Tensor) -> None:
        """factors: [8, C, C']."""
        self.weights = [part.mT.contiguous() for part in factors.split(self.part, dim=1)]

    def rounded(self, n: int) -> int:
        return n if n < self.groups // 2 else -(-n // 16) * 16  # 16 images of whole pixels

    def __call__(self, values: Sequence[Tensor], out: Tensor) -> None:
        for point, product in enumerate(out):
            product.copy_(linear(values[0][point], self.weights[0][point], None))
            for x, weights in zip(values[1:], self.weights[1:], strict=True):
                product.add_(linear(x[point], weights[point], None))


class FastConvolution:
    """Convolution with a kernel of 5 by products at eight points."""

    kernel = KERNEL

    def __init__(self, weight: Tensor, bias: Tensor | None, products: Callable[[Tensor], Products] | None = None) -> None:
        """weight: [C', C, 5]. products: made of the factors; None: those that are the fastest on this processor."""
        self.width = weight.shape[0]
        matrices = transforms()
        self.of_inputs, self.to_outputs = (x.to(weight) for x in (matrices.of_inputs, matrices.to_outputs))
        factors = torch.einsum("pk,oik->pio", matrices.of_kernel.to(weight.device), weight.double()).to(weight.dtype)
        self.products = (products or (ProductsInBatches if is_intel() else ProductsByConvolution))(factors)
        self.bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        n, n_in = len(x) - KERNEL + 1, x.shape[1]
        n_groups = self.products.rounded(-(-n // GROUP))
        short = n_groups * GROUP - n
        x = F.pad(x, (0, 0, 0, short)) if short else x.contiguous()
        out = x.new_empty(n_groups, GROUP, self.width)
        size = min(n_groups, self.products.groups)
        parts = [slice(first, min(first + self.products.part, n_in)) for first in range(0, n_in, self.products.part)]
        values = [x.new_empty(_N_POINTS, size, part.stop - part.start) for part in parts]
        products = x.new_empty(_N_POINTS, size, self.width)
        for first in range(0, n_groups, size):
            m = min(size, n_groups - first)
            rows = x[first * GROUP :].as_strided((m, _N_POINTS, n_in), (GROUP * n_in, n_in, 1))
            for part, of_part in zip(parts, values, strict=True):
                torch.bmm(self.of_inputs.expand(m, -1, -1), rows[..., part], out=of_part[:, :m].transpose(0, 1))
            self.products([of_part[:, :m] for of_part in values], products[:, :m])
            torch.bmm(self.to_outputs.expand(m, -1, -1), products[:, :m].transpose(0, 1), out=out[first : first + m])
        out = out.flatten(0, 1)[:n]
        return out if self.bias is None else out.add_(self.bias)


def row_convolution(weight: Tensor, bias: Tensor | None) -> RowConvolution:
    """Return the fastest convolution for weights [C', C, kernel] on their device and in their precision."""
    if weight.device.type == "cpu" and _pays_off(weight):
        return FastConvolution(weight, bias)
    if weight.shape[2] == 1:
        return PointConvolution(weight, bias)
    return PlainConvolution(weight, bias)


def copied_weights(weight: Tensor) -> int:
    """Return how many numbers a convolution on a CPU holds for weights [C', C, kernel]."""
    return weight.shape[0] * weight.shape[1] * (_N_POINTS if _pays_off(weight) else weight.shape[2])


def held_numbers(module: nn.Module) -> int:
    """Return how many numbers the copies of a module's parameters hold on a CPU, its convolutions prepared."""
    kernels = [of.weight for of in module.modules() if isinstance(of, nn.Conv1d)]
    return sum(p.numel() for p in module.parameters()) + sum(copied_weights(w) - w.numel() for w in kernels)


def _pays_off(weight: Tensor) -> bool:
    """Return True if the products at points are faster for weights [C', C, kernel] on a CPU."""
    return weight.shape[2] == KERNEL and weight.dtype == torch.float32 and min(weight.shape[:2]) >= _LEAST_WIDTH


# --- matrices


class Transforms(NamedTuple):
    """Matrices of the convolution y = to_outputs ((of_kernel w) * (of_inputs x)), float64."""

    of_inputs: Tensor  # [8, 8]
    of_kernel: Tensor  # [8, 5]
    to_outputs: Tensor  # [4, 8]


def transforms() -> Transforms:
    """Return the matrices, computed in fractions.

    A polynomial of degree 7 has the coefficients V^-1 v, where v are its values at the points and V has the powers of each
    point; the value at infinity is the last coefficient. By transposition the same product gives a convolution of eight inputs
    with five weights to four outputs. A row of V^-T can be multiplied by any number if the kernel's is divided by it: powers of
    two, exact, keep the values as large as the inputs.
    """
    interpolation = _inverse([_powers(p, _N_POINTS) for p in (*_POINTS, None)])
    rows = [list(column) for column in zip(*interpolation, strict=True)]
    of_inputs = torch.tensor([[float(v) for v in row] for row in rows], dtype=torch.float64)
    scale = torch.exp2(-torch.round(torch.log2(of_inputs.norm(dim=1, keepdim=True))))
    of_kernel, powers = (
        torch.tensor([[float(v) for v in _powers(p, n)] for p in (*_POINTS, None)], dtype=torch.float64)
        for n in (KERNEL, GROUP)
    )
    return Transforms(of_inputs * scale, of_kernel / scale, powers.T.contiguous())


def _powers(point: Fraction | None, n: int) -> list[Fraction]:
    """Return the powers 0 to n - 1 of a point; None is infinity, of which only the highest power counts."""
    if point is None:
        return [Fraction(int(i == n - 1)) for i in range(n)]
    return [point**i for i in range(n)]


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Invert a matrix by Gauss-Jordan elimination."""
    n = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(matrix)]
    for column in range(n):
        pivot = next(i for i in range(column, n) if rows[i][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for i in range(n):
            if i != column and rows[i][column]:
                factor = rows[i][column]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[n:] for row in rows]
