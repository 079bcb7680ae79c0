"""Models run unchanged in tangermeme, captum and modisco-lite."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
import torch
from amounts import FULL
from small_models import small_classifier, small_enformer

from genoformer.genome.codes import encode
from genoformer.interpretation.sanity_checks import largest_changes
from genoformer.models.onehot import OneHotModel, TrackSum
from genoformer.models.plain_engine import one_hot
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

pytest.importorskip("tangermeme", reason="tangermeme is a peer of the tests: pip install tangermeme")
LONG = small_enformer(seed=2)
CODES = np.random.default_rng(5).integers(0, 4, (2, 64), dtype=np.uint8)
X = one_hot(torch.from_numpy(CODES))
MODELS = {
    "long range": TrackSum(LONG, "human", torch.tensor([1, 3]), 2, 4),
    "bases": OneHotModel(small_classifier(BaseTokenizer())),
    "kmers": OneHotModel(small_classifier(KmerTokenizer(3))),
}


@pytest.mark.parametrize("name", MODELS)
def test_predict(name) -> None:
    from tangermeme.predict import predict

    model = MODELS[name]
    with torch.no_grad():
        torch.testing.assert_close(predict(model, X, device="cpu", batch_size=1), model(X), atol=1e-5, rtol=1e-4)


def test_predict_of_the_whole_long_range_model() -> None:
    from tangermeme.predict import predict

    class Human(torch.nn.Module):  # one head of several has to be named; a model of one head goes as it is
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return LONG(x, "human")

    one = small_enformer(seed=4, heads={"cage": 3})
    with torch.no_grad():
        torch.testing.assert_close(predict(one, X, device="cpu"), one(X), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(predict(Human().eval(), X, device="cpu"), LONG(X, "human"), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_saturation_mutagenesis(name) -> None:
    from tangermeme.saturation_mutagenesis import saturation_mutagenesis

    model = MODELS[name]
    y0, y = saturation_mutagenesis(model, X, start=10, end=30, device="cpu", raw_outputs=True)[:2]
    with torch.no_grad():
        expected = model(X)
        torch.testing.assert_close(y0, expected, atol=1e-5, rtol=1e-4)
        assert y.shape == (2, 4, 20, expected.shape[1])

        def output(codes: np.ndarray) -> np.ndarray:
            return model(one_hot(torch.from_numpy(codes)))[:, 0].numpy()

        for i in range(2):
            theirs = (y[i, :, :, 0] - y0[i, 0]).abs().amax(0).numpy()
            np.testing.assert_allclose(theirs, largest_changes(CODES[i], output)[10:30], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_deep_lift_shap_says_how_far_it_is_from_the_difference(name, capsys) -> None:
    """It knows no softmax and no products of two inputs: the delta is not 0, and is printed."""
    from tangermeme.deep_lift_shap import deep_lift_shap

    with pytest.warns(RuntimeWarning, match="[Cc]onvergence delta"):
        found = deep_lift_shap(MODELS[name], X, n_shuffles=2, device="cpu", print_convergence_deltas=True, random_state=0)
    assert found.shape == X.shape
    assert torch.isfinite(found).all()
    assert re.search(r"\d", capsys.readouterr().out)


def test_modisco_finds_a_planted_motif(monkeypatch: pytest.MonkeyPatch) -> None:
    modisco = pytest.importorskip("modiscolite.tfmodisco", reason="modisco-lite is an extra: pip install genoformer[interpret]")
    from genoformer.interpretation.modisco import patterns

    if not FULL:  # the best of 5 clusterings, not of 50: most of the time goes into them
        monkeypatch.setattr(modisco, "TFMoDISco", partial(modisco.TFMoDISco, n_leiden_runs=5))
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, (150, 100), dtype=np.uint8)
    hypothetical = random.normal(0, 0.02, (150, 100, 4))
    site = encode("TGACTCATGC")
    for row, of in zip(codes, hypothetical, strict=True):
        at = int(random.integers(20, 70))
        row[at : at + 10] = site
        of[at : at + 10] += (site[:, None] == np.arange(4)) * 1.0 - 0.25
    found = patterns(codes, hypothetical)
    assert found[0].sign == 1
    text = "".join("ACGT"[i] for i in found[0].matrix.p.argmax(1))
    assert "TGACTCATGC" in text or "GCATGAGTCA" in text
    assert found[0].matrix.n_sites >= 20
    assert patterns(codes[:20], np.zeros((20, 100, 4))) == []
