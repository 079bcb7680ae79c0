"""Small models with contexts on the track families, with random weights, and their tables of contexts."""

from __future__ import annotations

import numpy as np
import torch
from alphagenome_models import small_alphagenome
from borzoi_models import small_borzoi
from small_models import small_enformer

from genoformer.formats.context_table import ContextTable
from genoformer.models.contexts import ContextConfig, ContextTracks
from genoformer.models.track_model import NewHead

CELLS = ContextTable(("liver", "brain"), ("x", "y", "z"), np.array([[1.0, 0.5, -1.0], [-0.5, 2.0, 0.25]]))
NEW = ContextTable(("lung", "skin", "bone"), ("z", "x", "y"), np.array([[0.3, -1.0, 1.0], [1.0, 0.0, -2.0], [0.1, 0.2, 0.3]]))
MEASUREMENTS = {
    "measurements": ("dnase", "cage.plus", "cage.minus"),
    "strand_pairs": (0, 2, 1),
    "groups": ("DNASE", "CAGE", "CAGE"),
}
TRUNKS = {
    "enformer": (lambda: small_enformer(), 8, 256),
    "borzoi": (lambda: small_borzoi(), 32, 1024),
    "alphagenome 128": (lambda: small_alphagenome(), 128, 4096),
    "alphagenome 1": (lambda: small_alphagenome(), 1, 4096),
}


def small_contexts(trunk: str, head: str = "linear", n_target: int = 16) -> ContextTracks:
    """A model of CELLS with three measurements on a trunk with random weights, in eval mode."""
    make, bin_size, length = TRUNKS[trunk]
    start = make()
    shape = start.config_with_head(start.config, NewHead("tracks", 1, bin_size, length, n_target))
    torch.manual_seed(1)
    config = ContextConfig(shape, CELLS.names, CELLS.columns, **MEASUREMENTS, head=head, family=trunk.split()[0])
    model = ContextTracks(config).eval()
    heads = ("heads.", "outputs.")
    model.trunk.load_state_dict({k: v for k, v in start.state_dict().items() if not k.startswith(heads)}, strict=False)
    with torch.no_grad():
        model.vectors.copy_(torch.from_numpy(CELLS.vectors))
        for parameter in model.head.parameters():
            parameter.normal_(std=0.4)
    return model
