"""Numbers of a finished pre-training run -> reasons why it failed, and warnings for its user."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from genoformer.training.language import LanguageModelBatches
from genoformer.training.objectives import IGNORED
from genoformer.training.report import COMPOSITION, Comparison

_ERRORS = 2  # standard errors of the paired difference: a smaller gain is no gain
_WINDOWS = 2_000  # windows whose labels are counted
_WORSE = 0.05  # bits per base above the best validation


def unigram_nats(batches: LanguageModelBatches) -> float:
    """Return the entropy in nats of the labels of the first windows: the loss of a model that knows token frequencies only.

    The entropy of a sample of n is too low by about (distinct tokens - 1) / 2n, which is added (Miller 1955).
    """
    counts = np.zeros(batches.tokenizer.n_vocab)
    for i in range(math.ceil(_WINDOWS / batches.windows.batch_size)):
        batch = batches(i)
        labelled = batch.labels != IGNORED
        counts += np.bincount(batch.labels[labelled].numpy(), batch.weights[labelled].numpy(), minlength=len(counts))
    n, p = counts.sum(), counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum() + (len(p) - 1) / (2 * n))


def failures(
    comparison: Comparison | None, validations: Sequence[float], train_loss: float, unigram: float, *, single_bases: bool
) -> list[str]:
    """Return the reasons why a run failed: nothing was learned, or the model got worse.

    Parameters: comparison on held-out bases, if there is one; validations, bits per base along the run; train_loss at the end
    of the run, in nats; unigram, loss of the unigram distribution of tokens, in nats; single_bases, True if tokens are bases.
    """
    if comparison is not None:
        own, composition, difference = comparison.trained, comparison.overall(COMPOSITION), comparison.against(COMPOSITION)
        if not difference.bits + _ERRORS * difference.error < 0:
            return [
                f"Nothing was learned: {own.bits:.3f} bits per base on held-out sequence, where the base composition of the "
                f"training sequence gives {composition.bits:.3f} (paired difference {difference.bits:+.4f} ± "
                f"{difference.error:.4f}); train longer, or lower learning_rate."
            ]
    # for single-base tokens the held-out comparison tests the same, more exactly: a few training steps are noisy
    if (comparison is None or not single_bases) and not train_loss < unigram:
        return [
            f"Nothing was learned: the training loss ended at {train_loss:.3f} nats per token, where knowing how common each "
            f"token is gives {unigram:.3f}; train longer, or lower learning_rate."
        ]
    if validations and validations[-1] > min(validations) + _WORSE:
        return [
            f"The run got worse: {validations[-1]:.3f} bits per base at its end, {min(validations):.3f} at its best; lower "
            "learning_rate, or stop earlier if it memorised the training contigs."
        ]
    return []


def baseline_warnings(comparison: Comparison) -> list[str]:
    """Return a warning if a Markov baseline does better than the model."""
    own, best = comparison.trained, comparison.best
    difference = comparison.against(best.model)
    if difference.bits <= 0:
        return []
    return [
        f"A k-mer or Markov baseline is better than this model: {best.model} has {best.bits:.3f} bits per base on the same "
        f"held-out bases, this model {own.bits:.3f} (paired difference {difference.bits:+.4f} ± {difference.error:.4f}); "
        "train longer, or on more sequence."
    ]
