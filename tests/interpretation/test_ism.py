"""Mutagenesis is what `score` says of every change; sanity checks of maps that are right and made up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scoring_jobs import scorer_of
from small_models import small_encoder, small_enformer
from torch import nn

from genoformer.errors import ConfigError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import encode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.interpretation.ism import mutagenesis
from genoformer.interpretation.ism_maps import make_ism
from genoformer.interpretation.request import IsmOptions
from genoformer.interpretation.sanity_checks import (
    Deletion,
    MapChecks,
    agreement,
    check_map,
    deletion,
    largest_changes,
    shuffled,
)
from genoformer.models.transformer.config import SHAPES
from genoformer.progress import Progress
from genoformer.tokenizers import BPETokenizer, KmerTokenizer

TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 600))
TEXT = TEXT[:305] + "N" + TEXT[306:]
TARGETS = TrackTable(tuple(Track(i, f"t{i}", strand_pair=i) for i in range(5)))


@pytest.fixture
def genome(make_fasta) -> Genome:
    return Genome(make_fasta(chr1=TEXT))


@pytest.mark.parametrize("kind", ["tokens", "all tracks", "some tracks"])
def test_a_map_is_the_score_of_every_change(genome, kind) -> None:
    if kind == "tokens":
        model, names, of_tracks = small_encoder(KmerTokenizer(3), context_length=40), "LLR,COSINE", {}
    else:
        model, names = small_enformer(), "SAD,L2"
        of_tracks = {"head": "human", "targets": TARGETS, "tracks": [1, 4] if kind == "some tracks" else [2]}
    scorer = scorer_of(model, genome, names, **of_tracks)
    told: list[Progress] = []
    found = mutagenesis(scorer, genome, "1", 300, 308, progress=told.append)
    columns = {"tokens": ["LLR", "COSINE"], "all tracks": ["SAD", "L2"], "some tracks": ["SAD_t1", "SAD_t4", "L2"]}[kind]
    assert found.names == columns
    assert found.values.shape == (len(columns), 8, 4)
    places = [column.name for column in scorer.columns]
    for i in range(8):
        for b, base in enumerate("ACGT"):
            ref = TEXT[300 + i]
            if ref == "N":
                assert np.isnan(found.values[:, i]).all()
            elif base == ref:
                assert (found.values[:, i, b] == 0).all()
            else:
                values = scorer.score([Variant("chr1", 301 + i, ref, base)]).values[0]
                expected = [values[places.index(name)] for name in columns]
                np.testing.assert_allclose(found.values[:, i, b], expected, atol=1e-5)
    assert told[-1] == Progress("ism", 7, 7)
    own = found.codes[:, None] == np.arange(4)
    assert (found.importance[:, ~own] == 0).all()
    np.testing.assert_allclose(found.importance[0, 0][own[0]], -found.values[0, 0].sum() / 3, atol=1e-6)


@pytest.mark.parametrize(("start", "end"), [(5, 5), (-1, 4), (590, 601)])
def test_a_region_off_the_contig_is_refused(genome, start, end) -> None:
    scorer = scorer_of(small_encoder(KmerTokenizer(3), context_length=40), genome, "LLR")
    with pytest.raises(ConfigError, match=r"is empty or not on the contig of 600 bases"):
        mutagenesis(scorer, genome, "chr1", start, end)


# Sanity checks, with a model whose important bases are known


class Motif(nn.Module):
    """How many of the bases of GATTACA stand at 20."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(40, 5))
        for i, base in enumerate(encode("GATTACA").tolist()):
            self.weight.data[20 + i, base] = 1 + i / 10

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return self.weight[torch.arange(40), codes.long()].sum(-1)


def output(model: nn.Module, codes: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(codes)).numpy()


CODES = np.concatenate([np.zeros(20, np.uint8), encode("GATTACA"), np.ones(13, np.uint8)])


def right(model: nn.Module, codes: np.ndarray) -> np.ndarray:
    return model.weight.detach().numpy()[np.arange(40), codes]


def checked(found: np.ndarray, again: np.ndarray) -> MapChecks:
    return check_map(CODES, found, again, lambda codes: output(Motif(), codes))


def test_a_map_that_is_right_passes() -> None:
    model = Motif()
    found = checked(right(model, CODES), right(shuffled(model), CODES))
    assert found.with_mutagenesis > 0.9
    assert found.deletion.mapped[0] == found.deletion.random[0] == pytest.approx(7 + 2.1)
    assert found.deletion.mapped[2] < 1e-6  # 8 of 40 bases: the seven that matter are among them
    assert found.deletion.gain > 0.3
    assert abs(found.reinitialised) < 0.5
    assert "Spearman with ISM" in found.text()


def test_a_map_that_is_made_up_fails() -> None:
    made_up = np.random.default_rng(0).random(40)
    found = checked(made_up, made_up)
    assert abs(found.with_mutagenesis) < 0.5
    assert abs(found.deletion.gain) < 0.2
    assert found.reinitialised == pytest.approx(1)  # it does not look at the model


def test_the_largest_change_of_each_base() -> None:
    changes = largest_changes(CODES, lambda codes: output(Motif(), codes))
    np.testing.assert_allclose(changes[20:27], 1 + np.arange(7) / 10, atol=1e-6)
    assert (changes[:20] == 0).all()


def test_the_gain_of_a_deletion_is_the_area_between_the_curves(monkeypatch) -> None:
    monkeypatch.delattr(np, "trapezoid", raising=False)  # as in NumPy 1.26, the oldest that is allowed
    curve = Deletion(np.array([0, 0.5, 1]), np.array([1.0, 0, 0]), np.array([1, 0.5, 0]))
    assert curve.gain == pytest.approx(0.25)  # 1/2 under random orders, 1/4 under the map's


def test_parts_of_an_audit() -> None:
    assert agreement(np.array([1.0, -2, 3]), np.array([-10.0, 20, -30])) == pytest.approx(1)
    assert np.isnan(agreement(np.ones(3), np.arange(3.0)))
    curve = deletion(CODES, np.arange(40.0), lambda codes: (codes < 4).sum(1))
    np.testing.assert_allclose(curve.mapped, 40 * (1 - curve.fractions))
    model = Motif()
    other = shuffled(model)
    assert sorted(other.weight.flatten().tolist()) == sorted(model.weight.flatten().tolist())
    assert not torch.equal(other.weight, model.weight)
    with pytest.raises(ConfigError, match=r"found a map of shape \[3\] for 40 bases"):
        checked(np.ones(3), np.ones(40))


BPE = BPETokenizer.train([encode(TEXT)[i : i + 90] for i in range(0, 500, 60)], 40)
CAUSAL = {**SHAPES["llama"], "causal": True}


def test_a_map_of_bpe_tokens_is_the_pseudo_likelihood_of_every_change(genome) -> None:
    """The default score of such a model; each change is also scored alone."""
    model = small_encoder(BPE, context_length=60, init_std=0.3)
    ism = make_ism(model, genome, IsmOptions())
    assert ism.scoring is not None
    assert [score.name for score in ism.scoring.scores] == ["PLL"]
    values = mutagenesis(scorer_of(model, genome, "PLL"), genome, "1", 300, 303).values[0]
    scorer = scorer_of(model, genome, "PLL", batch_size=1).reference_scorer()
    for i, ref in enumerate(TEXT[300:303]):
        for b, base in enumerate("ACGT"):
            alone = 0 if base == ref else scorer.score([Variant("chr1", 301 + i, ref, base)]).values[0, 0]
            assert values[i, b] == pytest.approx(alone, abs=1e-5)
    assert np.abs(values).max() > 0.01


def test_scores_of_insertions_and_deletions_alone_are_refused(genome) -> None:
    for fields in ({}, CAUSAL):
        model = small_encoder(KmerTokenizer(3), context_length=40, **fields)
        assert [score.name for score in make_ism(model, genome, IsmOptions()).scoring.scores] == ["LLR"]
        with pytest.raises(ConfigError, match="PLL scores insertions and deletions only, not single-base changes; use LLR"):
            mutagenesis(scorer_of(model, genome, "PLL"), genome, "1", 300, 303)
