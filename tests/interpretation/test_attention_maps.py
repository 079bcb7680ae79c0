"""Maps of attention: the matrices that are drawn, and those that are too large for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_models import small_encoder, small_enformer

from genoformer.errors import CheckpointError, OptionError
from genoformer.interpretation.attention_maps import attention_profiles, map_attention
from genoformer.interpretation.loci import MATRICES, Locus
from genoformer.interpretation.request import AttentionOptions, InterpretationRequest
from genoformer.models import registry
from genoformer.models.base import Attends
from genoformer.models.enformer.model import Enformer
from genoformer.tokenizers import BaseTokenizer


@pytest.mark.parametrize(("max_units", "drawn"), [(42, [0, 1]), (41, [1]), (31, [])])
def test_a_matrix_that_is_too_large_is_not_drawn(tmp_path: Path, max_units: int, drawn: list[int]) -> None:
    text = "".join(np.random.default_rng(3).choice(list("ACGT"), 400))
    (tmp_path / "g.fa").write_text(f">chr1\n{text}\n")
    (tmp_path / "r.bed").write_text("chr1\t100\t140\tlong\nchr1\t200\t230\tshort\n")
    registry.save(small_encoder(BaseTokenizer(), context_length=40), tmp_path / "model")
    out = tmp_path / "out"
    request = InterpretationRequest(tmp_path / "r.bed", tmp_path / "model", out, tmp_path / "g.fa", n_figures=2)
    notes = map_attention(request, AttentionOptions(), max_units=max_units).notes
    for name, n in (("long", 42), ("short", 32)):  # with the two special tokens
        note = f"{name}: the matrix of {n} x {n} is not drawn; the limit is {max_units}"
        assert (note in notes) == (n > max_units)
    if not drawn:
        assert not (out / MATRICES).exists()
        return
    with np.load(out / MATRICES) as stored:
        assert {name: stored[name].shape for name in stored if name.startswith("matrix")} == {
            f"matrix_{i}": ((40, 40), (30, 30))[i] for i in drawn
        }


def test_a_model_without_attention_is_refused_whatever_the_profile(monkeypatch) -> None:
    model, loci = small_enformer(), [Locus("a", "chr1", 0, np.zeros(256, dtype=np.uint8))]
    with pytest.raises(OptionError, match="profile is viz, expected cls, received, rollout or entropy for a track model"):
        attention_profiles(model, loci, AttentionOptions("viz"))
    monkeypatch.setattr(Enformer, "lacks", {Attends: "has no attention"})
    for profile in ("viz", "cls"):
        with pytest.raises(CheckpointError, match="the model has no attention; give a model with attention"):
            attention_profiles(model, loci, AttentionOptions(profile))


@pytest.mark.parametrize(("model", "default"), [(small_enformer(), "cls"), (None, "viz")])
def test_the_profile_fits_the_model_if_none_is_named(model, default) -> None:
    """A track model has no [CLS], so its default is the attention from the middle bin."""
    model = registry.load("demo") if model is None else model
    loci = [Locus("a", "chr1", 0, np.random.default_rng(2).integers(0, 4, 256).astype(np.uint8))]
    expected, other = (attention_profiles(model, loci, AttentionOptions(name))[0] for name in (default, "received"))
    (profile,) = attention_profiles(model, loci)
    assert np.array_equal(profile, expected)
    assert not np.allclose(profile, other)
