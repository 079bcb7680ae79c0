"""Tracks of causal models: each base given the bases before it on either strand, by prefixes read one at a time."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import small_encoder

import genoformer as gf
from genoformer.errors import CheckpointError, OptionError
from genoformer.genome.codes import encode
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, BPETokenizer, KmerTokenizer

WINDOW = 24
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def made(tokenizer: Any, **fields: Any) -> Encoder:
    return small_encoder(tokenizer, **{"causal": True, "context_length": WINDOW, "max_tokens": 64, "init_std": 0.5, **fields})


@pytest.fixture
def contigs() -> dict[str, str]:
    random = np.random.default_rng(3)
    text = {name: "".join(random.choice(list("ACGT"), n)) for name, n in (("chr1", 60), ("chr2", 9))}
    text["chr1"] = text["chr1"][:33] + "N" + text["chr1"][34:]
    return text


@pytest.fixture
def fasta(make_fasta, contigs) -> Path:
    return make_fasta(**contigs)


def naive_kmer(model: Encoder, before: str) -> dict[str, float]:
    """log2 P of the next base after the bases of a window, from the k-mer that ends there; {} if it holds an N."""
    tokenizer, k = model.tokenizer, model.tokenizer.min_bases
    if "N" in before[-k:]:
        return {}
    ids = tokenizer.encode(encode(before)[None]).ids[:, :-1]  # [SEP] comes after the base
    logits = model(torch.from_numpy(ids))[0, -1].detach().double()
    log_p = logits[[tokenizer.vocab[(before[-k:] + base)[-k:]] for base in "ACGT"]].log_softmax(0) / np.log(2)
    return dict(zip("ACGT", log_p.tolist(), strict=True))


def naive_block(model: Encoder, before: str) -> dict[str, float]:
    """The same of blocks: the sum over the blocks that begin with the bases after the last whole block."""
    tokenizer, k = model.tokenizer, model.tokenizer.n_phases
    n_open = len(before.rpartition("N")[2]) % k
    whole = before[: len(before) - n_open]
    ids = [i for i in tokenizer.encode(encode(whole)[None]).ids[0].tolist() if i != tokenizer.pad_id]
    p = model(torch.tensor([ids]))[0, -1].detach().double().softmax(0)
    sums = dict.fromkeys("ACGT", 0.0)
    for block in map("".join, product("ACGT", repeat=k)):
        if block.startswith(before[len(whole) :]):
            sums[block[n_open]] += float(p[tokenizer.vocab[block]])
    return {base: float(np.log2(value / sum(sums.values()))) for base, value in sums.items()}


def expected(model: Encoder, contig: str, naive: Any) -> np.ndarray:
    """Entropy and log2 P of each base, the mean over strands; a window begins half its length before the cell of the base."""
    half, rows = WINDOW // 2, []
    for base, letter in enumerate(contig):
        cell, strands = base // half * half, []
        padded = "N" * WINDOW + contig + "N" * WINDOW
        before = padded[WINDOW + cell - half : WINDOW + base]
        after = padded[WINDOW + base + 1 : WINDOW + cell + 2 * half].translate(COMPLEMENT)[::-1]
        for context, own in ((before, letter), (after, letter.translate(COMPLEMENT))):
            log2_p = {} if letter == "N" else naive(model, context)
            entropy = -sum(2**x * x for x in log2_p.values()) if log2_p else np.nan
            strands.append((entropy, log2_p.get(own, np.nan)))
        rows.append(np.mean(strands, axis=0))
    return np.array(rows)


@pytest.mark.parametrize("k", [1, 3])
def test_kmers_have_the_probabilities_of_the_kmers_that_can_follow(fasta, contigs, k) -> None:
    model = made(BaseTokenizer() if k == 1 else KmerTokenizer(k))
    table = gf.predict(fasta, None, model, track="entropy,logprob")
    rows = np.concatenate([expected(model, text, naive_kmer) for text in contigs.values()])
    np.testing.assert_allclose(table[["entropy", "logprob"]], rows, atol=2e-5)
    of_chr1 = np.flatnonzero(np.isnan(table.entropy[:60]))
    assert of_chr1.tolist() == [*range(k), *range(33 - k, 34 + k), *range(60 - k, 60)]  # the ends, and around the N


@pytest.mark.parametrize("k", [1, 2, 3])
def test_blocks_have_the_sums_over_the_blocks_that_agree(fasta, contigs, k) -> None:
    model = made(BlockTokenizer.new(k))
    table = gf.predict(fasta, "chr1:13-24", model, track="entropy,logprob")
    rows = expected(model, contigs["chr1"], naive_block)[12:24]
    first = 1 if k == 2 else 0  # behind an N, 21 bases of the other strand are left: the last is a single letter
    np.testing.assert_allclose(table[["entropy", "logprob"]].to_numpy()[first:], rows[first:], atol=2e-5)
    assert np.isfinite(table.entropy[0])
    assert table.entropy.std() > 0.02


def test_what_a_causal_model_does_not_have_is_refused(fasta) -> None:
    model = made(BaseTokenizer())
    with pytest.raises(OptionError, match=r"which needs the bases on both sides, .* choose entropy, information, log"):
        gf.predict(fasta, None, model, track=["entropy", "constraint"])
    with pytest.raises(OptionError, match="stride masks bases, and a causal model masks none; leave it out"):
        gf.predict(fasta, None, model, track="entropy", stride=4)
    bpe = BPETokenizer.train([np.random.default_rng(0).integers(0, 4, 500, dtype=np.uint8)], 64)
    with pytest.raises(CheckpointError, match="is a causal model whose next token is not the next base"):
        gf.predict(fasta, None, made(bpe), track="entropy")
