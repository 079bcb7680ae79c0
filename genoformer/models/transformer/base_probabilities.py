"""Probabilities of single bases: masked windows -> P(A, C, G, T); causal models -> the likelihood of a window."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import KmerTokenizer


def base_posterior(model: Encoder, ids: Tensor, rows: Tensor, candidates: Tensor, valid: Tensor) -> Tensor:
    """Return log2 P(base) at the target of each window, [B, 4] in the order A, C, G, T, from one forward pass.

    Parameters are the fields of `KmerTokenizer.mask_bases` as tensors. The logits of each token are renormalised over its four
    candidates, the log-probabilities are averaged over the tokens, and the average is renormalised; for k = 1 this is the plain
    masked marginal. NaN if no token is valid (N all around).
    """
    log_p = model.logits_at(ids, rows, candidates).float().log_softmax(-1)  # [B, M, 4]
    weight = valid.float() / valid.sum(1, keepdim=True)  # NaN where nothing is valid
    return (log_p * weight[..., None]).nan_to_num(nan=0.0).sum(1).log_softmax(-1).where(
        valid.any(1)[:, None], torch.nan
    ) / math.log(2)


def successors(tokenizer: KmerTokenizer, ids: Tensor) -> Tensor:
    """Return the four k-mers that can follow each token at stride 1: ids [B, T] -> [B, T, 4].

    After a special token any k-mer can follow; there the four values are meaningless.
    """
    stem = (ids - tokenizer.first_kmer).clamp(min=0) % 4 ** (tokenizer.k - 1) * 4
    return stem[..., None] + torch.arange(4, device=ids.device) + tokenizer.first_kmer


def window_log2_likelihood(model: Encoder, tokenizer: KmerTokenizer, ids: Tensor) -> Tensor:
    """Return log2 P(window) of a causal model, [B].

    It is the sum over all bases after the first k-mer, each given the bases before it. Tokens with an N, and tokens that follow
    one, are left out of the sum.
    """
    log_p = model.log_likelihood(ids, lambda tokens: successors(tokenizer, tokens))  # [B, T-1]
    kmer = ids >= tokenizer.first_kmer
    counted = kmer[:, 1:] & kmer[:, :-1]
    return log_p.masked_fill(~counted, 0.0).sum(1) / math.log(2)
