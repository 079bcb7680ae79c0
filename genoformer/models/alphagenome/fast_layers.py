"""AlphaGenome's convolutions on a CPU without gradients: norms folded, standardised kernels computed once, rows in tiles.

x sigmoid(1.702 x) is silu(1.702 x) / 1.702, so norm and activation are one multiply-add and one SiLU of a tile that stays in
the cache, and the convolution takes fewer multiplications (`row_convolution`). Layers map images [B, C, 1, L], channels last,
like the modules that they replace; make new ones after the weights of the model change.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from genoformer.models.alphagenome.config import BIN, PAIR_BIN
from genoformer.models.alphagenome.layers import EPS, ConvBlock, DownStage, RMSBatchNorm, StandardisedConv, Stem, UpStage
from genoformer.models.alphagenome.tiles import TILE, decoder_reach, encoder_reach
from genoformer.models.layers import linear
from genoformer.models.row_convolution import copied_weights, row_convolution

if TYPE_CHECKING:
    from genoformer.models.alphagenome.model import AlphaGenome

_SLOPE = 1.702
_TILE = 1024  # rows


class FastLayers:
    """Encoder and decoder of a model in eval mode; the other parts are those of the model."""

    training = False

    def __init__(self, model: AlphaGenome) -> None:
        self.model, self.config, self.embed_bins = model, model.config, model.embed_bins

    @cached_property
    def stages(self) -> list[Any]:
        """Stages of the encoder."""
        with torch.no_grad():
            stem, *others = list[Any](self.model.stages)
            return [FastStem(stem), *map(FastDown, others)]

    @cached_property
    def decoder(self) -> list[FastUp]:
        """Stages of the decoder, which heads of 1 base need."""
        with torch.no_grad():
            return [FastUp(stage) for stage in cast("list[UpStage]", list(self.model.decoder))]

    @cached_property
    def embed_bases(self) -> FastEmbedder:
        """The embedder of bases."""
        return FastEmbedder(self.model)


class FastBlock:
    """A `ConvBlock` on rows [L, C] -> [L, C'], plus rows that are added to its first channels."""

    def __init__(self, block: ConvBlock, factor: float | Tensor = 1.0) -> None:
        """factor: of the result."""
        self.scale, self.shift = folded_norm(block.norm)
        conv = block.conv
        kernels = conv.kernels() if isinstance(conv, StandardisedConv) else conv.weight
        weight, bias = kernels.double() * (factor / _SLOPE), conv.bias * factor  # type: ignore[operator]
        self.convolution = row_convolution(weight.to(conv.bias.dtype), bias)  # type: ignore[union-attr,arg-type]

    def __call__(self, x: Tensor, added: Tensor | None = None, factor: float | Tensor = 1.0) -> Tensor:
        """added: rows [L, <= C'], multiplied by `factor`."""
        n, reach = len(x), self.convolution.kernel // 2
        out = x.new_empty(n, self.convolution.width)
        for first in range(0, n, _TILE):
            last = min(first + _TILE, n)
            begin, end = max(first - reach, 0), min(last + reach, n)
            rows = self.activated(x[begin:end])
            if end - begin < last - first + 2 * reach:
                rows = F.pad(rows, (0, 0, begin - first + reach, last + reach - end))
            tile = self.convolution(rows)
            if added is not None:
                width = min(added.shape[1], tile.shape[1])
                tile[:, :width].add_(added[first:last, :width] * factor)
            out[first:last] = tile
        return out

    def activated(self, x: Tensor) -> Tensor:
        """Return 1.702 times the input of the convolution."""
        return F.silu(torch.addcmul(self.shift, x, self.scale), inplace=True)


class FastStem:
    """A `Stem`."""

    def __init__(self, stem: Stem) -> None:
        self.conv, self.block = row_convolution(stem.conv.weight, stem.conv.bias), FastBlock(stem.block)

    def __call__(self, image: Tensor) -> Tensor:
        def rows(x: Tensor) -> Tensor:
            reach = self.conv.kernel // 2
            x = self.conv(F.pad(x, (0, 0, reach, reach)))
            return self.block(x, x)

        return on_rows(rows, image)


class FastDown:
    """A `DownStage`."""

    def __init__(self, stage: DownStage) -> None:
        self.first, self.second = FastBlock(stage.first), FastBlock(stage.second)

    def __call__(self, image: Tensor) -> Tensor:
        def rows(x: Tensor) -> Tensor:
            y = self.first(x, x)
            return self.second(y, y)

        return on_rows(rows, image)


class FastUp:
    """An `UpStage`."""

    def __init__(self, stage: UpStage) -> None:
        self.factor = stage.residual_scale
        self.inner, self.outer = FastBlock(stage.inner, self.factor), FastBlock(stage.outer)
        self.skip = FastBlock(stage.skip)

    def __call__(self, image: Tensor, skip: Tensor) -> Tensor:
        def rows(x: Tensor, skip: Tensor) -> Tensor:
            y = self.inner(x, x, self.factor)
            y = self.skip(skip, y[:, None].expand(-1, 2, -1).flatten(0, 1))
            return self.outer(y, y)

        return on_rows(rows, image, skip)


class FastEmbedder:
    """The `Embedder` of bases, with the norm folded into its linear layers."""

    def __init__(self, model: AlphaGenome) -> None:
        embedder = model.embed_bases
        assert embedder.skip is not None
        self.organisms = embedder.organism.weight
        self.scale, self.shift = folded_norm(embedder.norm)
        with torch.no_grad():
            self.weight = embedder.linear.weight * self.scale[:, None]  # [2 C, C]
            self.skip = embedder.skip.weight * self.scale[:, None]
            self.shift = self.shift + embedder.linear.bias * self.scale

    def __call__(self, x: Tensor, organism: int, skip: Tensor) -> Tensor:
        """Map [B, N, C] and the projected embedding of the bins, repeated [B, N, 2 C], to [B, 2 C, N]."""
        out = x.new_empty(*x.shape[:2], len(self.weight))
        shift = self.shift + _SLOPE * self.organisms[organism]
        for b in range(len(x)):
            for first in range(0, x.shape[1], _TILE):
                part = slice(first, first + _TILE)
                y = linear(x[b, part], self.weight, shift).add_(skip[b, part])
                torch.mul(F.silu(y, inplace=True), 1 / _SLOPE, out=out[b, part])
        return out.mT

    def projected(self, bins: Tensor) -> Tensor:
        """Project the embedding of bins [B, D, N] to the channels of this one: [B, N, 2 C]."""
        return linear(bins.mT, self.skip, None)


def folded_norm(norm: RMSBatchNorm) -> tuple[Tensor, Tensor]:
    """Return the factor and the offset [C] of a norm, both times 1.702."""
    scale = norm.weight * torch.rsqrt(norm.running_var + EPS)
    return (_SLOPE * scale).detach(), (_SLOPE * norm.bias).detach()


def on_rows(function: Callable[..., Tensor], *images: Tensor) -> Tensor:
    """Apply a function of rows [L, C] -> [L', C'] to each of a batch of images [B, C, 1, L], channels last."""
    results = [function(*(x[b, :, 0].T for x in images)) for b in range(len(images[0]))]
    return (results[0][None] if len(results) == 1 else torch.stack(results)).mT[:, :, None]


def engine_size(model: AlphaGenome, length: int, head: str, n_bins: int) -> tuple[int, int]:
    """Return how many numbers the engine holds on a CPU: copies of weights, and the most values at any time.

    The encoder holds its output and, of a tile, input and output of the first stage; the transformer the pairs several
    times. For heads of 1 base the outputs of all stages are kept, and the decoder holds five rows of the finest stage, and
    the embedding and the tracks of a tile.
    """
    config, n = model.config, length // BIN
    convolutions = [module for stage in model.stages for module in stage.modules() if isinstance(module, StandardisedConv)]
    tile = min(n, TILE + 2 * (-(-encoder_reach(config) // BIN))) * BIN
    pairs = (length // PAIR_BIN) ** 2
    transform = 7 * pairs * config.pair_width + n * (6 * config.trunk_width + config.n_heads * config.key_width)
    encoder, kept = tile * 2 * config.width, 0
    if model.bin_size_of(head) == 1:
        convolutions += [module for module in model.decoder.modules() if isinstance(module, StandardisedConv)]
        kept = min(n, -(-(n_bins + 2 * decoder_reach(config)) // BIN)) * sum(
            width * (BIN >> i) for i, width in enumerate(config.channels)
        )
        tile = min(n_bins, TILE * BIN)
        decoder = tile * (5 * config.width + 3 * model.track_heads[head].n_tracks)
        encoder = max(encoder + tile * config.width, decoder)
    else:
        encoder = max(encoder, 2 * n_bins * 2 * config.trunk_width)
    copies = sum(copied_weights(module.weight) for module in convolutions)
    return copies, 2 * n * config.trunk_width + kept + max(encoder, transform)
