"""Track models in mixed precision on a CPU, as a training run with precision = "bf16-mixed" validates them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="models need torch")

import torch
from alphagenome_models import small_alphagenome
from borzoi_models import small_borzoi
from small_models import random_onehot, small_enformer

MODELS = {"enformer": (small_enformer, 256), "borzoi": (small_borzoi, 2_048), "alphagenome": (small_alphagenome, 4_096)}


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight")  # torch's, of a norm after a linear layer
@pytest.mark.parametrize("family", MODELS)
def test_mixed_precision_gives_nearly_the_same_tracks(family: str) -> None:
    """bfloat16 has three digits; the attention, which writes in place, stays in the precision of the weights."""
    make, length = MODELS[family]
    model, onehot = make(), random_onehot(1, length, 0)
    head = next(iter(model.track_heads))
    with torch.no_grad():
        whole = model(onehot, head)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = model(onehot, head)
    assert whole.std() > 0
    assert (mixed.float() - whole).abs().max() < 0.15 * whole.abs().max()
