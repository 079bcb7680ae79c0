"""The plain torch modules that benchmarks compare with compute the formulas of naive_families.py."""

from __future__ import annotations

from typing import Any

import naive_families
import pytest
import torch
from benchmarks.plain_families import PlainDnaBert2, PlainGena, PlainNt2

SIZES = {
    "hidden_size": 24,
    "intermediate_size": 20,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 40,
    "num_hidden_layers": 2,
    "pre_layer_norm": True,
    "type_vocab_size": 2,
    "vocab_size": 50,
}
CASES = {
    "dnabert2": (PlainDnaBert2, naive_families.dnabert2_shapes, naive_families.dnabert2_logits, 6),
    "gena-lm": (PlainGena, naive_families.gena_shapes, naive_families.gena_logits, 4),
    "nt2": (PlainNt2, naive_families.nt2_shapes, naive_families.nt2_logits, 4),
}


@pytest.mark.parametrize("attention", ["softmax", "sdpa"])
@pytest.mark.parametrize("name", CASES)
def test_logits_equal_the_formula_in_float64(name: str, attention: Any) -> None:
    module, shapes, logits, n_heads = CASES[name]
    config = SIZES | {"num_attention_heads": n_heads}
    tensors = naive_families.random_tensors(shapes(config))
    ids = torch.tensor([[5, 9, 3, 41, 2, 7, 7], [1, 0, 8, 49, 30, 2, 6]])
    found = module(tensors, config, attention)(input_ids=ids).logits
    for row in range(2):
        expected = logits(tensors, config, ids[row].tolist())
        assert expected.std() > 0.3
        assert (found[row] - expected).abs().max() <= 1e-4
