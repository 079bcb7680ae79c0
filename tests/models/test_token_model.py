"""The exact posterior of one base: a Markov source whose posterior is known, under any k."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from genoformer.genome.codes import N
from genoformer.models.token_model import base_posterior
from genoformer.tokenizers import KmerTokenizer

random = np.random.default_rng(5)
STEP = random.dirichlet(np.ones(4) * 0.7, size=4)  # P(next | base) of a first-order source
START = np.linalg.matrix_power(STEP, 50)[0]


def source_log_p(codes) -> float:
    return np.log(START[codes[0]]) + sum(np.log(STEP[a, b]) for a, b in itertools.pairwise(codes))


class MarkovModel:
    """Knows the source: a masked k-mer's logit is the log-probability of the window with that k-mer in its place.

    It reads hidden bases from the k-mer asked about, and knows the others from the truth it was given; k-mers that
    contradict a visible base get a logit that only a renormalisation over consistent ones can ignore.
    """

    def __init__(self, tokenizer, codes, target) -> None:
        self.tokenizer, self.codes, self.target = tokenizer, codes, target
        self.kmers = list(tokenizer.vocab)
        self.offset = random.normal(size=100)  # of each token's logits: softmax must not see it

    def logits_at(self, ids, rows, candidates, keep):
        out = torch.empty(candidates.shape)
        for b, m in itertools.product(range(len(rows)), range(rows.shape[1])):
            start = int(self.tokenizer.starts(self.codes.shape[1])[rows[b, m] - 1])
            for c in range(4):
                kmer = self.kmers[candidates[b, m, c]]
                if kmer == "[UNK]":
                    out[b, m, c] = 99.0
                    continue
                window = self.codes[b].copy()
                window[start : start + self.tokenizer.k] = ["ACGT".index(base) for base in kmer]
                out[b, m, c] = source_log_p(window) + self.offset[m]
        return out


@pytest.mark.parametrize(("k", "stride"), [(1, 1), (2, 1), (3, 1), (6, 1), (6, 2), (4, 3)])
def test_the_posterior_of_a_markov_source_is_exact(k, stride) -> None:
    tokenizer = KmerTokenizer(k, stride)
    codes = random.integers(0, 4, (12, 17), dtype=np.uint8)
    target = np.array([0, 1, 2, 5, 8, 8, 9, 10, 13, 14, 15, 16])  # both edges included
    hidden = tokenizer.mask_bases(codes, target)
    found = base_posterior(MarkovModel(tokenizer, codes, target), *map(torch.from_numpy, hidden)).numpy()
    for b in range(12):
        log_p = []
        for base in range(4):
            window = codes[b].copy()
            window[target[b]] = base
            log_p.append(source_log_p(window))
        exact = np.exp(log_p) / np.exp(log_p).sum()
        np.testing.assert_allclose(np.exp2(found[b]), exact, atol=1e-5)


def test_tokens_with_n_are_left_out_and_without_any_there_is_no_answer() -> None:
    tokenizer = KmerTokenizer(3)
    codes = random.integers(0, 4, (2, 11), dtype=np.uint8)
    codes[0, 7] = N  # of the three tokens over base 5, the last is lost
    codes[1, [4, 6]] = N  # all three are lost
    hidden = tokenizer.mask_bases(codes, np.array([5, 5]))
    assert hidden.valid.tolist() == [[True, True, False], [False, False, False]]
    logits = torch.tensor([[1.0, 0, 0, 0], [1.0, 0, 0, 0], [0, 0, 0, 50.0]]).expand(2, 3, 4)  # the lost one shouts
    model = type("Three", (), {"logits_at": lambda *_: logits})()
    found = base_posterior(model, *map(torch.from_numpy, hidden))
    torch.testing.assert_close(found[0].exp2(), torch.tensor([1.0, 0, 0, 0]).softmax(0))
    assert torch.isnan(found[1]).all()


def test_kmers_are_averaged_in_log_space_and_renormalised() -> None:
    """Two tokens, worked out by hand: (1/2 1/4 1/8 1/8) and (1/4 1/4 1/4 1/4) -> square roots of products, scaled."""
    logits = torch.tensor([[[0.5, 0.25, 0.125, 0.125], [0.25] * 4]]).log()
    model = type("Two", (), {"logits_at": lambda *_: logits})()
    nothing = torch.zeros(1, 2, dtype=torch.long)
    found = base_posterior(model, nothing, nothing, nothing, torch.ones(1, 2, dtype=torch.bool)).exp2()[0]
    roots = torch.tensor([0.125, 0.0625, 0.03125, 0.03125]).sqrt()
    torch.testing.assert_close(found, roots / roots.sum())
