"""Shapes of the hybrid family: widths that grow, and refusals."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from genoformer.errors import ConfigError
from genoformer.models.cost import count_parameters
from genoformer.models.hybrid.config import HybridConfig
from genoformer.models.hybrid.model import Hybrid


def test_the_width_grows_evenly_over_the_blocks() -> None:
    assert HybridConfig(width=96, stem_width=32, n_conv_blocks=4).conv_widths == (32, 48, 64, 80, 96)
    assert HybridConfig(width=96, n_conv_blocks=2).conv_widths == (96, 96, 96)
    assert HybridConfig(width=96, n_conv_blocks=0).conv_widths == (96,)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stem_kernel": 8}, "stem_kernel = 8 has no middle; give an odd number"),
        ({"conv_kernel": 4}, "conv_kernel = 4 has no middle; give an odd number"),
        ({"pool": 3}, "pool = 3: give a power of two, 1 for no pooling"),
        ({"pool": 0}, "pool = 0: give a whole number of at least 1"),
        ({"n_layers": -1}, "n_layers = -1: give a whole number of at least 0"),
        ({"pool_kind": "mean"}, "pool_kind = 'mean': allowed are 'max', 'attention'"),
        ({"conv_norm": "group"}, "conv_norm = 'group': allowed are 'batch', 'layer'"),
        ({"width": 126}, "width = 126 is no multiple of n_heads = 4; change one of them"),
        ({"width": 12}, "rotary positions need an even width per head, not 3"),
        ({"dropout": 1.0}, "dropout = 1.0: give a number from 0 up to, not including, 1"),
        ({"n_conv_blocks": 0, "stem_width": 32}, "stem_width = 32, but without blocks nothing widens it to width = 128"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        HybridConfig(**fields)


@pytest.mark.parametrize("fields", [{}, {"learned_positions": True, "stem_width": 16}, {"n_layers": 0, "activation": "geglu"}])
def test_the_least_number_of_parameters_is_a_lower_bound_that_holds_most(fields: dict[str, Any]) -> None:
    config = HybridConfig(**fields)
    n = count_parameters(Hybrid(config))
    assert 0.9 * n < config.min_parameters <= n


def test_a_saved_shape_is_read_again_and_an_unknown_field_is_refused() -> None:
    config = HybridConfig(pool=4, conv_norm="layer")
    assert HybridConfig.from_dict(asdict(config)) == config
    with pytest.raises(ConfigError, match="hybrid: unknown fields depth; known are n_vocab, width"):
        HybridConfig.from_dict({"depth": 3})
    assert HybridConfig(stem_width=128).effective() == HybridConfig().effective()
