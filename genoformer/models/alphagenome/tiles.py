"""AlphaGenome's encoder and decoder over some bins of a window, exact: each tile reads as far as its convolutions reach.

In eval mode the norms have fixed statistics, so encoder and decoder are local: a tile of bins of 128 bases has the values of
the whole window if it is computed with enough bins on each side. Long windows are computed in tiles, which need less memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from genoformer.models.alphagenome.config import BIN, AlphaGenomeConfig
from genoformer.models.alphagenome.layers import image, pooled
from genoformer.models.base import Bins

if TYPE_CHECKING:
    from genoformer.models.alphagenome.model import AlphaGenome

TILE = 256  # bins of a tile: 32,768 bases
NO_BINS = Bins(0, 0)


class Encoded(NamedTuple):
    """Output of the encoder, in bins of 128 bases, and of its stages."""

    x: Tensor  # [B, C, N]
    stages: list[Tensor]  # [B, C, 1, n] of each stage, from 1 base to 64, over the kept bins


def encoder_reach(config: AlphaGenomeConfig) -> int:
    """Return how many bases on each side of a bin the encoder reads.

    The first stage reads as far as its two kernels, s + k; each further one reads 2 k bins of 2 ... 64 bases, together 252 k,
    where s and k are half kernels: 513 bases for kernels of 15 and 5.
    """
    return config.stem_kernel // 2 + config.kernel // 2 * (1 + 2 * (BIN - 2))


def decoder_reach(config: AlphaGenomeConfig) -> int:
    """Return how many bases on each side of a base the decoder reads of its input.

    The stage from bins of 2 s to s bases reads k bins of 2 s in its first convolution and k of s in its second, s = 64 ... 1,
    where k is half a kernel: 3 * 127 k bases together, 762 for a kernel of 5.
    """
    return 3 * (BIN - 1) * (config.kernel // 2)


def bins_around(first: int, end: int, reach: int, n_all: int) -> Bins:
    """Return the bins of 128 bases that overlap the bases [first, end) and `reach` more on each side, within n_all bins."""
    start = max(0, (first - reach) // BIN)
    return Bins(start, min(n_all, -(-(end + reach) // BIN)) - start)


def encode_bins(model: AlphaGenome, onehot: Tensor, bins: Bins, kept: Bins = NO_BINS) -> Encoded:
    """Return the output of the encoder for some bins of a window [B, 4, L].

    kept: the bins, among these, of which the outputs of the stages are returned.
    """
    reach = encoder_reach(model.config)
    read = bins_around(bins.first * BIN, (bins.first + bins.n) * BIN, reach, onehot.shape[-1] // BIN)
    x, stages, size = image(onehot[..., read.first * BIN : (read.first + read.n) * BIN]), [], 1
    for stage in model.stages:
        x = stage(x)
        if kept.n:
            values = _cut(x, kept, read, BIN // size)
            stages.append(values if kept == read else values.clone(memory_format=torch.channels_last))  # frees the other bins
        x, size = pooled(x), 2 * size
    return Encoded(_cut(x[:, :, 0], bins, read), stages)


def encode(model: AlphaGenome, onehot: Tensor, kept: Bins = NO_BINS) -> Encoded:
    """Return the output of the encoder for all bins of a window, in eval mode in tiles."""
    n_all = onehot.shape[-1] // BIN
    if model.training or n_all <= TILE:
        return encode_bins(model, onehot, Bins(0, n_all), kept)
    x, stages = onehot.new_empty(len(onehot), model.config.trunk_width, n_all), []
    if kept.n:
        shapes = [(len(onehot), n, 1, kept.n * (BIN >> i)) for i, n in enumerate(model.config.channels)]
        last: dict[str, Any] = {"dtype": x.dtype, "device": x.device, "memory_format": torch.channels_last}
        stages = [torch.empty(shape, **last) for shape in shapes]
    for tile in tiles(Bins(0, n_all), TILE):
        first, end = max(tile.first, kept.first), min(tile.first + tile.n, kept.first + kept.n)
        part = encode_bins(model, onehot, tile, Bins(first, end - first) if first < end else NO_BINS)
        x[..., tile.first : tile.first + tile.n] = part.x
        for whole, values in zip(stages, part.stages, strict=False):
            unit = whole.shape[-1] // kept.n
            whole[..., (first - kept.first) * unit : (end - kept.first) * unit] = values
    return Encoded(x, stages)


def decoded_bins(model: AlphaGenome, bases: Bins, n_all: int) -> Bins:
    """Return the bins of 128 bases that the decoder needs for exact values at some bases of a window of n_all bins."""
    return bins_around(bases.first, bases.first + bases.n, decoder_reach(model.config), n_all)


def decode(model: AlphaGenome, x: Tensor, stages: list[Tensor], kept: Bins, bases: Bins, organism: int) -> Tensor:
    """Return the embedding [B, D, n] of some bases of a window, in eval mode in tiles.

    x: output of the transformer [B, T, C]. stages: of the encoder, over the bins `kept`, at least `decoded_bins` of the bases.
    """
    if model.training or bases.n <= TILE * BIN:
        return decode_tile(model, x, Encoded(x, stages), kept, bases, organism)
    embedding = x.new_empty(len(x), bases.n, 2 * model.config.width).mT  # in the order in which the tiles are computed
    for tile in tiles(bases, TILE * BIN):
        part = slice(tile.first - bases.first, tile.first - bases.first + tile.n)
        embedding[..., part] = decode_tile(model, x, Encoded(x, stages), kept, tile, organism)
    return embedding


def decode_tile(model: AlphaGenome, x: Tensor, encoded: Encoded, kept: Bins, bases: Bins, organism: int) -> Tensor:
    """Return the embedding [B, D, n] of some bases, computed together; see `decode`."""
    stages = encoded.stages
    read = decoded_bins(model, bases, x.shape[1])
    x = x[:, read.first : read.first + read.n]
    y = x.mT[:, :, None]  # [B, C, 1, n]
    for i, stage in enumerate(model.decoder):
        y = stage(y, _cut(stages[-1 - i], read, kept, 2 << i))
    skip = model.embed_bases.projected(model.embed_bins(x, organism)).repeat_interleave(BIN, dim=1)
    first = bases.first - read.first * BIN
    cut = slice(first, first + bases.n)
    embedding: Tensor = model.embed_bases(y[:, :, 0, cut].mT, organism, skip[:, cut])
    return embedding


def tiles(bins: Bins, size: int) -> Iterator[Bins]:
    """Yield neighbouring stretches of at most `size` bins that make up the given ones."""
    for first in range(bins.first, bins.first + bins.n, size):
        yield Bins(first, min(size, bins.first + bins.n - first))


def _cut(x: Tensor, bins: Bins, of: Bins, unit: int = 1) -> Tensor:
    """Return the positions of some bins of x [..., n], which covers the bins `of` with `unit` positions each."""
    return x.narrow(-1, (bins.first - of.first) * unit, bins.n * unit)
