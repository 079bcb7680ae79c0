"""Last layers of AlphaGenome: embeddings of bins, bases and pairs, and from them tracks, contacts, splice sites, junctions.

Each organism has its own weights. `embedding` is [B, D, N], channels first; an organism is its number in the configuration.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genoformer.models.alphagenome.config import OUTPUTS, USAGE, AlphaGenomeConfig
from genoformer.models.alphagenome.layers import RMSBatchNorm, RMSNorm, gelu
from genoformer.models.alphagenome.tower import rotary_angles, rotated
from genoformer.models.layers import Linear
from genoformer.models.track_layers import softplus

_TILE = 1024  # bins

SOFT_CLIP = 10.0  # training targets above it were 2 sqrt(10 x) - 10
SQUASH = 0.75  # the power to which targets of squashed outputs were raised
KINDS_OF_SITES = ("pos_donor", "pos_acceptor", "neg_donor", "neg_acceptor")  # the first four classes of splice sites


def unscaled(x: Tensor, means: Tensor, bin_size: int, *, squashed: bool) -> Tensor:
    """Convert predictions [B, K, N] to the scale of the measurements (heads.py, `predictions_scaling`).

    The soft clip and the power of the training targets are undone; then each track is multiplied by its mean [K] of a base that
    is not 0, and by the number of bases in a bin.
    """
    is_plain = torch.is_grad_enabled() or x.device.type != "cpu" or not x.numel()
    if is_plain or x.max() > SOFT_CLIP:
        x = torch.where(x > SOFT_CLIP, (x + SOFT_CLIP).square() / (4 * SOFT_CLIP), x)
    if squashed:
        x = x.pow(1 / SQUASH) if is_plain else x.log().mul_(1 / SQUASH).exp_()  # a fifth of the time
    return x * (means * bin_size)[:, None]


def in_tiles(function: Callable[[Tensor], Tensor], embedding: Tensor) -> Tensor:
    """Apply a function of single bins, [B, D, N] -> [B, K, N]; on a CPU without gradients to as many as fit the cache."""
    n = embedding.shape[-1]
    if torch.is_grad_enabled() or embedding.device.type != "cpu" or n <= _TILE:
        return function(embedding)
    first = function(embedding[..., :_TILE])
    out = first.new_empty(*first.shape[:2], n)
    out[..., :_TILE] = first
    for start in range(_TILE, n, _TILE):
        out[..., start : start + _TILE] = function(embedding[..., start : start + _TILE])
    return out


class OrganismLinear(nn.Module):
    """Linear layer with weights for each organism: [B, D, N] -> [B, R, N]."""

    def __init__(self, n_organisms: int, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_organisms, n_out, n_in))
        self.bias = nn.Parameter(torch.zeros(n_organisms, n_out))
        nn.init.normal_(self.weight, std=n_in**-0.5)

    def forward(self, x: Tensor, organism: int, rows: Tensor | None = None) -> Tensor:
        weight, bias = self.weight[organism], self.bias[organism]
        if rows is not None:
            weight, bias = weight[rows], bias[rows]
        return weight @ x + bias[:, None]


class Output(nn.Module):
    """Base class: an output with `n_rows` rows, of which `rows_0`, `rows_1` ... are the tracks of each organism."""

    def __init__(self, config: AlphaGenomeConfig, name: str) -> None:
        super().__init__()
        n_rows = config.outputs[name]
        for i, organism in enumerate(config.organisms):
            self.register_buffer(f"rows_{i}", default_rows(name, n_rows, config.tracks[organism][name]))

    def rows(self, organism: int, only: Tensor | None) -> Tensor:
        """Return the rows of the tracks of an organism, or of those with the numbers `only`."""
        rows: Tensor = getattr(self, f"rows_{organism}")
        return rows if only is None else rows[only]


def default_rows(name: str, n_rows: int, n_tracks: int) -> Tensor:
    """Return the rows of the real tracks: the first ones; of splice-site usage the first ones of each of two strands."""
    if name == USAGE and n_rows % 2 == n_tracks % 2 == 0:
        half = torch.arange(n_tracks // 2)
        return torch.cat([half, n_rows // 2 + half])
    return torch.arange(n_tracks)


class Tracks(Output):
    """Tracks in bins of 1 and 128 bases, in the scale of the measurements."""

    def __init__(self, config: AlphaGenomeConfig, name: str) -> None:
        super().__init__(config, name)
        n, rows, widths = len(config.organisms), config.outputs[name], embedding_widths(config)
        sizes = OUTPUTS[name].bin_sizes
        self.squashed = OUTPUTS[name].squashed
        self.linears = nn.ModuleDict({str(size): OrganismLinear(n, widths[size], rows) for size in sizes})
        self.scales = nn.ParameterDict({str(size): nn.Parameter(torch.ones(n, rows)) for size in sizes})
        self.register_buffer("means", torch.ones(n, rows))
        self.means: Tensor

    def forward(self, embedding: Tensor, organism: int, bin_size: int, only: Tensor | None) -> Tensor:
        rows = self.rows(organism, only)
        linear, scales = self.linears[str(bin_size)], F.softplus(self.scales[str(bin_size)][organism, rows])[:, None]
        means = self.means[organism, rows]

        def tracks(part: Tensor) -> Tensor:
            return unscaled(softplus(linear(part, organism, rows)) * scales, means, bin_size, squashed=self.squashed)

        return in_tiles(tracks, embedding)


class SpliceSites(Output):
    """Probabilities of donor and acceptor on each strand, four of five classes."""

    def __init__(self, config: AlphaGenomeConfig, name: str) -> None:
        super().__init__(config, name)
        self.linear = OrganismLinear(len(config.organisms), embedding_widths(config)[1], config.outputs[name])

    def forward(self, embedding: Tensor, organism: int, bin_size: int, only: Tensor | None) -> Tensor:
        return self.probabilities(embedding, organism)[:, self.rows(organism, only)]

    def probabilities(self, embedding: Tensor, organism: int) -> Tensor:
        """Return the probabilities of all classes, [B, 5, N]."""
        classes: Tensor = self.linear(embedding, organism)
        return classes.softmax(1)


class SpliceSiteUsage(Output):
    """Fraction of the transcripts that use a base as splice site, for each tissue and strand."""

    def __init__(self, config: AlphaGenomeConfig, name: str) -> None:
        super().__init__(config, name)
        self.linear = OrganismLinear(len(config.organisms), embedding_widths(config)[1], config.outputs[name])

    def forward(self, embedding: Tensor, organism: int, bin_size: int, only: Tensor | None) -> Tensor:
        rows = self.rows(organism, only)
        return in_tiles(lambda part: torch.sigmoid(self.linear(part, organism, rows)), embedding)


class ContactMaps(Output):
    """Contacts between bins of 2,048 bases."""

    def __init__(self, config: AlphaGenomeConfig, name: str) -> None:
        super().__init__(config, name)
        self.linear = OrganismLinear(len(config.organisms), config.pair_width, config.outputs[name])

    def maps(self, pairs: Tensor, organism: int) -> Tensor:
        """Map the embedding of pairs [B, P, P, F] to contact maps [B, K, P, P]."""
        maps: Tensor = self.linear(pairs.flatten(1, 2).mT, organism, self.rows(organism, None))
        return maps.unflatten(-1, pairs.shape[1:3])


class Junctions(Output):
    """Read counts of splice junctions between donors and acceptors, for each tissue and strand.

    The channels of a site are scaled and shifted for each tissue, and rotated by its position; the count is the softplus of
    the product of the two sites.
    """

    def __init__(self, config: AlphaGenomeConfig, name: str) -> None:
        super().__init__(config, name)
        n, n_tissues, width = len(config.organisms), config.outputs[name], config.junction_width
        self.longest = config.longest_window
        self.linear = OrganismLinear(n, embedding_widths(config)[1], width)
        self.tissues = nn.ParameterDict({kind: nn.Parameter(torch.empty(n, 2, n_tissues, width)) for kind in KINDS_OF_SITES})
        for parameter in self.tissues.values():
            nn.init.normal_(parameter, std=0.1)

    def counts(self, embedding: Tensor, organism: int, sites: Tensor) -> Tensor:
        """Return the counts [B, 2 T, K, K] of each donor with each acceptor, the tissues of the positive strand first.

        embedding: of bases, [B, D, L]. sites: positions in the window [B, 4, K] in the order of KINDS_OF_SITES; -1 is none,
        and has count 0.
        """
        at = sites.clamp_min(0).flatten(1)[:, None]  # [B, 1, 4 K]
        x = embedding.gather(-1, at.expand(-1, embedding.shape[1], -1))
        return self.counts_between(x.unflatten(-1, sites.shape[1:]), organism, sites)

    def counts_between(self, at_sites: Tensor, organism: int, sites: Tensor) -> Tensor:
        """Return the same counts from the embedding of the sites, [B, D, 4, K]."""
        x = self.linear(at_sites.flatten(2), organism).mT.unflatten(1, (4, -1))  # [B, 4, K, H]
        angles = rotary_angles(sites, x.shape[-1], self.longest)
        rows = self.rows(organism, None)
        of_kind = []
        for i, kind in enumerate(KINDS_OF_SITES):
            scale, offset = self.tissues[kind][organism][:, rows]  # [T, H] each
            of_kind.append(rotated(x[:, i, None] * scale[:, None] + offset[:, None], angles[:, i, None]))  # [B, T, K, H]
        products = torch.cat([of_kind[0] @ of_kind[1].mT, of_kind[2] @ of_kind[3].mT], dim=1)
        there = sites >= 0
        both = (there[:, ::2, :, None] & there[:, 1::2, None]).repeat_interleave(len(rows), dim=1)  # [B, 2 T, K, K]
        return torch.where(both, F.softplus(products), 0)


def likely_sites(probabilities: Tensor, n: int, threshold: float) -> Tensor:
    """Return the positions [B, 4, n] of the likeliest splice sites of each kind in ascending order, padded with -1.

    probabilities: [B, 5, L]. threshold: smallest probability of a site.
    """
    values, at = probabilities[:, :4].topk(min(n, probabilities.shape[-1]), dim=-1)
    after = probabilities.shape[-1]
    at = at.masked_fill(values < threshold, after).sort(-1).values
    return F.pad(at.masked_fill(at == after, -1), (0, n - at.shape[-1]), value=-1)


OUTPUT_MODULES: dict[str, Callable[[AlphaGenomeConfig, str], Output]] = {
    "tracks": Tracks,
    "sites": SpliceSites,
    "usage": SpliceSiteUsage,
    "contacts": ContactMaps,
    "junctions": Junctions,
}


def output_modules(config: AlphaGenomeConfig) -> nn.ModuleDict:
    """Return the module of each output of a configuration."""
    return nn.ModuleDict({name: OUTPUT_MODULES[OUTPUTS[name].kind](config, name) for name in config.outputs})


# --- embeddings


def embedding_widths(config: AlphaGenomeConfig) -> dict[int, int]:
    """Return the number of channels of the embedding of each bin size."""
    return {1: 2 * config.width, 128: 2 * config.trunk_width}


class Embedder(nn.Module):
    """Embedding of bins or bases: [B, N, C] -> [B, 2 C, N], gelu of a norm plus a vector of the organism."""

    def __init__(self, n_organisms: int, width: int, skip_width: int = 0) -> None:
        super().__init__()
        self.linear = Linear(width, 2 * width)
        self.skip = Linear(skip_width, 2 * width, bias=False) if skip_width else None
        self.norm = RMSBatchNorm(2 * width)
        self.organism = nn.Embedding(n_organisms, 2 * width)

    def forward(self, x: Tensor, organism: int, skip: Tensor | None = None) -> Tensor:
        """skip: the projected embedding of the bins (`projected`), [B, N, 2 C]."""
        x = self.linear(x)
        x = self.norm(x if skip is None else x + skip)
        return gelu(x + self.organism.weight[organism]).mT

    def projected(self, bins: Tensor) -> Tensor:
        """Project the embedding of bins [B, D, N] to the channels of this one: [B, N, 2 C]."""
        assert self.skip is not None
        skip: Tensor = self.skip(bins.mT)
        return skip


class PairEmbedder(nn.Module):
    """Embedding of pairs: [B, P, P, F] -> [B, P, P, F], symmetric."""

    def __init__(self, n_organisms: int, width: int) -> None:
        super().__init__()
        self.norm = RMSNorm(width)
        self.organism = nn.Embedding(n_organisms, width)

    def forward(self, pairs: Tensor, organism: int) -> Tensor:
        x: Tensor = self.norm((pairs + pairs.transpose(1, 2)) / 2)
        return gelu(x + self.organism.weight[organism])
