"""A track model whose `blocks` are a transformer over bins, with what attention maps need of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from genoformer.models.track_model import TrackModel

if TYPE_CHECKING:
    from genoformer.genome.codes import Codes
    from genoformer.models.base import Ints


class BinTransformer(TrackModel):
    """Track model with attention over bins of `attention_unit` bases: the capability Attends but for `attention`.

    A family defines `attention` and the modules `blocks`; its configuration has `n_heads`.
    """

    blocks: nn.ModuleList

    @property
    def attention_unit(self) -> int:
        """Number of bases of a bin of the transformer."""
        return int(self.config.bin_size)

    @property
    def layers(self) -> nn.ModuleList:  # type: ignore[override]
        return self.blocks

    @property
    def n_layers(self) -> int:
        return len(self.blocks)

    @property
    def n_heads(self) -> int:
        return int(self.config.n_heads)

    @property
    def fixed_length(self) -> bool:
        return True

    def n_units(self, length: int) -> int:
        """Return the number of bins of a window; raise ConfigError if its length is not a whole number of them."""
        self.bins_of(length, 0, next(iter(self.track_heads)))
        return length // self.attention_unit

    def default_query(self, n_units: int) -> int:
        return n_units // 2

    def spans(self, codes: Codes) -> Ints:
        edges = np.arange(self.n_units(codes.shape[1]) + 1) * self.attention_unit
        return np.broadcast_to(np.stack([edges[:-1], edges[1:]], axis=-1), (len(codes), len(edges) - 1, 2))
