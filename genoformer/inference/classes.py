"""Sequences of any length -> predictions of a fine-tuned model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from genoformer.genome.codes import Codes, reverse_complement
from genoformer.inference.runtime import Floats, run_batched, to_device, tokens_at_once, typical_tokens
from genoformer.inference.windows import Tokens, cut_windows, tokenize_windows
from genoformer.models.heads import SequenceClassifier
from genoformer.progress import ProgressCallback, Stage


class Predictions(NamedTuple):
    """Probabilities or values [N, C] of a fine-tuned model, and the number of sequences longer than its window."""

    values: Floats
    n_windowed: int


def predictions(
    model: SequenceClassifier,
    sequences: Sequence[Codes],
    *,
    both_strands: bool | None = None,
    batch_size: int | None = None,
    progress: ProgressCallback = None,
) -> Predictions:
    """Return the predictions of a fine-tuned model for sequences of any length, in their order.

    A sequence longer than the model's window is cut into overlapping windows, whose logits are averaged; logits of both strands
    are averaged too, if the model was trained with both strands, or as `both_strands` requires. batch_size: windows in a batch,
    chosen automatically if None. progress receives the finished windows.
    """
    config, tokenizer = model.config, model.tokenizer
    windows = cut_windows(sequences, config.window, config.overlap, shortest=tokenizer.min_bases)
    order = np.argsort([-len(codes) for codes in windows.codes], kind="stable")  # similar lengths together, the longest first
    total = np.zeros((len(sequences), len(config.classes)), dtype=np.float64)
    n_tokens = config.window if tokenizer.fixed_length else typical_tokens(model, config.window)
    at_once = batch_size or max(1, tokens_at_once(model) // n_tokens)
    both = config.both_strands if both_strands is None else both_strands
    strands = (False, True) if both else (False,)
    stage = Stage(progress, "predict", len(order))
    for first in range(0, len(order), at_once):
        rows = order[first : first + at_once]
        for backward in strands:
            codes = [reverse_complement(windows.codes[i]) if backward else windows.codes[i] for i in rows]
            tokens = tokenize_windows(tokenizer, codes)

            def run(part: slice, tokens: Tokens = tokens) -> Tensor:
                ids, keep, is_base = (None if x is None else to_device(model, x[part]) for x in tokens)
                return cast(Tensor, model(ids, is_base, keep))

            logits = run_batched(run, len(rows), at_once, (len(config.classes),))
            np.add.at(total, windows.owner[rows], logits)
        stage.add(len(rows))
    n_windows = np.bincount(windows.owner, minlength=len(sequences))
    mean = torch.from_numpy((total / (n_windows * len(strands))[:, None]).astype(np.float32))
    return Predictions(model.task.values(mean).numpy(), int((n_windows > 1).sum()))
