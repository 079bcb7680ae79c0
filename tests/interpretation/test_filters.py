"""Filters as motifs, of a model whose first filters are written by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import small_enformer

from genoformer.errors import ConfigError
from genoformer.genome.codes import encode
from genoformer.interpretation.filters import filter_matrices


def test_a_filter_is_the_motif_that_it_was_made_of() -> None:
    model = small_enformer(stem_kernel=7)
    conv = model.stages[0].wide
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[3] = torch.from_numpy((encode("GATTACA")[None] == np.arange(4)[:, None]).astype(np.float32))
        conv.bias.fill_(5)
    codes = np.random.default_rng(0).integers(0, 5, (40, 300), dtype=np.uint8)
    codes[:, 100:107] = encode("GATTACA")
    (found,) = filter_matrices(model, codes, fraction=0.99)
    assert (found.name, found.n_sites) == ("filter_3", 40)
    assert "".join("ACGT"[i] for i in found.p.argmax(1)) == "GATTACA"
    wider = filter_matrices(model, codes, fraction=0.6, max_sites=60)[0]
    assert wider.n_sites == 60
    assert wider.p.max(1).mean() < found.p.max(1).mean()


def test_a_filter_of_few_places_has_no_motif_and_short_sequences_none_at_all() -> None:
    model = small_enformer(stem_kernel=7)
    codes = np.random.default_rng(0).integers(0, 4, (1, 8), dtype=np.uint8)
    assert filter_matrices(model, codes) == []
    with pytest.raises(ConfigError, match="found sequences of 6 bases, a filter has 7; give longer sequences"):
        filter_matrices(model, codes[:, :6])
