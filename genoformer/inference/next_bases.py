"""Windows of codes -> log2 P(A, C, G, T) of each base given the bases before it: causal models."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genoformer.errors import CheckpointError, OptionError
from genoformer.genome.codes import Codes, reverse_complement
from genoformer.inference.runtime import Floats, choose_batch_size, run_batched, to_device
from genoformer.models.token_model import TokenModel, successors
from genoformer.tokenizers.kmer import DIGITS
from genoformer.writers.calls import WindowGrid


class NextBases:
    """Reader of a causal model: the bases of a cell follow as many bases as the cell has, on either strand.

    One pass predicts all bases of a cell. Windows of the grid hold the cell and the bases on both sides.
    """

    def __init__(self, model: Any, window: int, *, both_strands: bool) -> None:
        self.model, self.both_strands = model, both_strands
        unit = 1 if model.tokenizer.sliding else model.tokenizer.n_phases
        self.step = window // 2 // unit * unit
        self.window, self.grid = 2 * self.step, WindowGrid(3 * self.step, self.step)

    def n_passes(self, wanted: Any) -> int:
        return int(wanted.any(axis=1).sum())

    def read(self, codes: Codes, wanted: Any, batch_size: int | None) -> list[Floats]:
        rows, step = np.flatnonzero(wanted.any(axis=1)), self.step
        sides = [codes[rows, : 2 * step]]
        if self.both_strands:
            sides.append(reverse_complement(codes[rows, step:]))
        strands = []
        for i, windows in enumerate(sides):
            log2_p = next_base_log2_probs(self.model, windows, step, batch_size=batch_size)
            placed = np.full((*wanted.shape, 4), np.nan, dtype=np.float32)
            placed[rows] = log2_p[:, ::-1, ::-1] if i else log2_p  # A C G T read backwards is the complement
            placed[~wanted] = np.nan
            strands.append(placed)
        return strands


def open_next_bases(model: Any, window: int, *, both_strands: bool) -> NextBases:
    """Return the reader of a causal model.

    Raises CheckpointError for BPE tokens, of which the next one is no next base, and for overlapping tokens that skip bases.
    """
    tokenizer = model.tokenizer
    if not (tokenizer.sliding or (tokenizer.disjoint and tokenizer.n_phases)):
        problem = "is a causal model whose next token is not the next base"
        raise CheckpointError(f"the model {problem}; give one that reads single bases, k-mers or blocks.")
    reader = NextBases(model, window, both_strands=both_strands)
    if reader.step < tokenizer.min_bases:
        least = 2 * max(tokenizer.min_bases, tokenizer.n_phases)
        raise OptionError("context", f"is {window}, expected at least {least} bases for this model; give more.")
    return reader


def next_base_log2_probs(model: TokenModel, codes: Codes, first: int, *, batch_size: int | None = None) -> Floats:
    """Return log2 P of A, C, G, T at the bases from `first` on, each given the bases before it: [B, L] -> [B, L - first, 4].

    Overlapping k-mers: over the four k-mers that can follow. Blocks: the probabilities of the blocks that agree with the bases
    of the block before the base are summed. NaN where no token comes before or it holds an N.
    """
    of_batch = _of_kmers if model.tokenizer.sliding else _of_blocks

    def run(part: slice) -> Tensor:
        return of_batch(model, codes[part], first) / math.log(2)

    shape = (codes.shape[1] - first, 4)
    return run_batched(run, len(codes), choose_batch_size(model, codes, batch_size), shape)


def _of_kmers(model: TokenModel, codes: Codes, first: int) -> Tensor:
    """Return log P in nats [B, L - first, 4]: a base is the last one of the k-mer after the k-mer that ends before it."""
    tokenizer = model.tokenizer
    encoding = tokenizer.encode(codes)
    before = np.arange(first, codes.shape[1]) - tokenizer.min_bases + 1  # the first token is [CLS]
    rows = np.tile(np.maximum(before, 0), (len(codes), 1))
    ids = np.take_along_axis(encoding.ids, rows, axis=1)
    candidates = successors(tokenizer, to_device(model, ids))  # [B, M, 4]
    log_p = model.logits_at(to_device(model, encoding.ids), to_device(model, rows), candidates).float().log_softmax(-1)
    known = to_device(model, tokenizer.names_bases(ids) & (before > 0))
    return log_p[..., DIGITS[:4].astype(np.int64)].masked_fill(~known[..., None], torch.nan)


def _of_blocks(model: TokenModel, codes: Codes, first: int) -> Tensor:
    """Return log P in nats [B, L - first, 4] from the distribution of each block, given those of its bases before."""
    tokenizer: Any = model.tokenizer
    encoding = tokenizer.encode(codes)
    starts, ends = encoding.spans[..., 0], encoding.spans[..., 1]
    ids = to_device(model, encoding.ids)
    out = torch.full((*codes.shape, 4), torch.nan, device=ids.device)
    counted = encoding.is_base & tokenizer.names_bases(encoding.ids) & (ends > first)
    counted[:, 0] = False  # no token comes before it
    windows, tokens = np.nonzero(counted)
    hidden = model.embed(ids, model.keep(ids))
    for width in {tokenizer.k, 1}:
        of_width = (ends - starts)[windows, tokens] == width
        at, token = windows[of_width], tokens[of_width]
        if not len(at):
            continue
        states = hidden[to_device(model, at), to_device(model, token - 1)]  # [R, D]
        table = model.head(states)[:, to_device(model, tokenizer.ids_of(width))].float()  # [R, 4^width]
        for place in range(width):
            of_bases = table.unflatten(-1, (4, -1))  # the next base, and those after it
            base = starts[at, token] + place
            out[to_device(model, at), to_device(model, base)] = of_bases.logsumexp(-1).log_softmax(-1)
            is_base = codes[at, base].astype(np.int64)
            table = of_bases[torch.arange(len(at), device=ids.device), to_device(model, is_base)]
    return out[:, first:]
