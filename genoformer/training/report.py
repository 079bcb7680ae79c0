"""Comparison of a trained language model with Markov baselines of the same training data, on the same held-out bases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genoformer.genome.codes import Codes
from genoformer.models.token_model import TokenModel
from genoformer.training.bits_per_base import queried_bases, true_base_bits
from genoformer.training.config import TrainingConfig
from genoformer.training.curves import BitsRow, bits_rows, loss_curve, pooled, write_report
from genoformer.training.kmer_baseline import CONTEXTS, ONE_SIDED, CountModels
from genoformer.training.windows import RandomWindows, Source, iter_unmasked

COMPOSITION = ONE_SIDED[0].name  # the Markov baseline of order 0: base composition
_COUNTED = 200_000_000  # most bases counted for the baselines: a minute, and more changes little at order 11
_AT_ONCE = 64  # windows


class Comparison(NamedTuple):
    """Bits per base of a model (its rows come first) and of Markov baselines on the same bases.

    differences: for each baseline and contig, the mean of the model's bits minus the baseline's bits at the same base, with
    the standard error of these paired differences, which is far smaller than that of either mean.
    """

    rows: list[BitsRow]
    differences: list[BitsRow]
    causal: bool

    def overall(self, model: str) -> BitsRow:
        """Return the bits per base of a model over all contigs."""
        return pooled([row for row in self.rows if row.model == model])

    def against(self, model: str) -> BitsRow:
        """Return the paired difference to a Markov baseline over all contigs."""
        return pooled([row for row in self.differences if row.model == model])

    @property
    def trained(self) -> BitsRow:
        """Bits per base of the trained model over all contigs."""
        return self.overall(self.rows[0].model)

    @property
    def best(self) -> BitsRow:
        """Best Markov baseline over all contigs; for a causal model, the best one-sided baseline."""
        names = [context.name for context in (ONE_SIDED if self.causal else CONTEXTS)]
        return min((self.overall(name) for name in names), key=lambda row: row.bits)


def compare(model: TokenModel, name: str, train: Sequence[Source], held: Sequence[Source], plan: TrainingConfig) -> Comparison:
    """Measure the model and Markov baselines (orders 0 to 11, 2+2 to 5+5) on random bases of each held-out contig.

    All rows of a contig use the same bases, each in the middle half of a window of the model's context length. The baselines
    are counted on the sequence that windows of this length can cover in `train`.
    """
    length = model.config.context_length
    counts = CountModels.fit(_first(_COUNTED, iter_unmasked(train, length)))
    rows, differences = [], []
    for i, source in enumerate(held):
        windows = RandomWindows([source], length, plan.batch_size, plan.seed + 2 + i)
        queried = queried_bases(windows, plan.eval_bases)
        bits = np.vstack([true_base_bits(model, queried, _AT_ONCE)[None], counts.bits(queried.codes, queried.target)])
        rows += bits_rows([name, *counts.names], source.contigs[0], bits)
        differences += bits_rows(counts.names, source.contigs[0], bits[0] - bits[1:])
    return Comparison(rows, differences, model.causal)


def in_manifest(found: Comparison) -> dict[str, Any]:
    """Return the manifest entry of a comparison: the model on each contig, and the model and the best baseline over all."""
    own, best, difference = found.trained, found.best, found.against(found.best.model)
    return {
        "bits_per_base": {row.contig: _numbers(row) for row in found.rows if row.model == own.model},
        "held_out": {
            "model": _numbers(own),
            "best_count_model": {"name": best.model, **_numbers(best)},
            "difference": _numbers(difference),
        },
    }


def _numbers(row: BitsRow) -> dict[str, Any]:
    error = round(row.error, 4) if np.isfinite(row.error) else None
    return {"bits": round(row.bits, 4), "standard_error": error, "bases": row.n}


def write(folder: Path, rows: Sequence[BitsRow], *, tokens_per_step: int) -> None:
    """Write bits_per_base.tsv, bits_per_base.png and loss.png to the folder of a run."""
    if rows:
        write_report(folder, rows)
    loss_curve(folder, tokens_per_step=tokens_per_step)


def _first(n_bases: int, stretches: Iterable[Codes]) -> Iterator[Codes]:
    """Yield stretches until n bases are reached."""
    for codes in stretches:
        yield codes
        n_bases -= len(codes)
        if n_bases <= 0:
            return
