"""AlphaGenomes with random weights that are small enough for every test, and the fields that other libraries' layouts keep."""

from __future__ import annotations

import copy
from typing import Any

import torch
from small_models import random_onehot
from torch import Tensor, nn

from genoformer.models.alphagenome.config import AlphaGenomeConfig
from genoformer.models.alphagenome.layers import RMSBatchNorm
from genoformer.models.alphagenome.model import AlphaGenome

ROWS = {
    "atac": 6,
    "dnase": 5,
    "procap": 4,
    "cage": 5,
    "rna_seq": 6,
    "chip_tf": 4,
    "chip_histone": 4,
    "contact_maps": 3,
    "splice_sites_classification": 5,
    "splice_sites_usage": 8,
    "splice_sites_junction": 4,
}
HUMAN = {**ROWS, "atac": 5, "splice_sites_classification": 4}
MOUSE = {**ROWS, "atac": 3, "procap": 0, "contact_maps": 2, "splice_sites_usage": 4, "splice_sites_junction": 2} | {
    "splice_sites_classification": 4
}
SHAPE: dict[str, Any] = {
    "width": 12,
    "width_step": 2,
    "n_blocks": 3,
    "n_heads": 2,
    "key_width": 4,
    "value_width": 6,
    "pair_width": 4,
    "n_pair_heads": 3,
    "n_pair_features": 6,
    "longest_window": 65_536,
    "context_length": 4096,
    "outputs": ROWS,
    "tracks": {"human": HUMAN, "mouse": MOUSE},
    "junction_width": 8,
    "n_junction_sites": 6,
}


_MADE: dict[str, tuple[AlphaGenome, Tensor]] = {}


def small_alphagenome(seed: int = 0, **fields: Any) -> AlphaGenome:
    """An AlphaGenome in eval mode; nothing in it is 0 or 1 as it is before training.

    Each is made once, copied, and torch's generator left as making it leaves it.
    """
    key = f"{seed} {sorted(fields.items())}"
    if key not in _MADE:
        _MADE[key] = _small_alphagenome(seed, **fields), torch.get_rng_state()
    model, state = _MADE[key]
    torch.set_rng_state(state)
    return copy.deepcopy(model)


def _small_alphagenome(seed: int, **fields: Any) -> AlphaGenome:
    torch.manual_seed(seed)
    model = AlphaGenome(AlphaGenomeConfig(**{**SHAPE, **fields})).eval()
    with torch.no_grad():
        for name, module in model.outputs.items():
            if hasattr(module, "means"):
                module.means.uniform_(0.2, 3)
            assert name in ROWS
    return settled(model, lambda: model.junctions(random_onehot(1, 4096, seed), "human"), RMSBatchNorm, "running_var")


def settled(model: Any, run: Any, norm: type[nn.Module], buffer: str) -> Any:
    """The model with random vectors, and batch norms near the statistics of what `run` computes; norm: their class.

    With other statistics the logits of splice sites would be in the hundreds, and rounding would decide the probabilities.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1 or (parameter == parameter.flatten()[0]).all():
                parameter.add_(torch.randn_like(parameter) * 0.2)

    def follow(module: Any, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].detach()
        width = getattr(module, buffer).shape[0]
        dim = getattr(module, "dim", getattr(module, "channels_dim", -1)) % x.ndim
        assert x.shape[dim] == width
        square = x.square().mean([i for i in range(x.ndim) if i != dim])
        getattr(module, buffer).copy_(square * torch.empty_like(square).uniform_(0.5, 2))

    hooks = [module.register_forward_pre_hook(follow) for module in model.modules() if isinstance(module, norm)]
    with torch.no_grad():
        run()
        run_pairs = getattr(model, "contact_maps", None)
        if run_pairs is not None:
            run_pairs(random_onehot(1, 4096), "human")
    for hook in hooks:
        hook.remove()
    return model
