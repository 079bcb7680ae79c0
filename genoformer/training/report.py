"""A trained language model beside count models of the same training data, on the same held-out bases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genoformer.genome.codes import Codes
from genoformer.models.encoder import Encoder
from genoformer.training.bits import asked_bases, bits_of
from genoformer.training.config import TrainingConfig
from genoformer.training.counts import CONTEXTS, ONE_SIDED, CountModels
from genoformer.training.curves import BitsRow, bits_rows, loss_curve, pooled, write_report
from genoformer.training.datasets import RandomWindows, Source, iter_unmasked

COMPOSITION = ONE_SIDED[0].name  # the count model that sees no other base
_COUNTED = 200_000_000  # bases that the count models are made of, at most: a minute, and more changes little at order 11
_AT_ONCE = 64  # windows


class Comparison(NamedTuple):
    """A model (its rows come first) and count models on the same bases.

    differences: for each count model and contig the mean of the model's bits minus the count model's at the same base,
    with the standard error of these paired differences, which is far smaller than that of either mean.
    """

    rows: list[BitsRow]
    differences: list[BitsRow]
    causal: bool

    def of(self, model: str) -> BitsRow:
        """A model over all contigs."""
        return pooled([row for row in self.rows if row.model == model])

    def against(self, model: str) -> BitsRow:
        """The paired difference to a count model over all contigs."""
        return pooled([row for row in self.differences if row.model == model])

    @property
    def own(self) -> BitsRow:
        """The model over all contigs."""
        return self.of(self.rows[0].model)

    @property
    def best(self) -> BitsRow:
        """The best count model over all contigs; beside a causal model only those that see no more than it does."""
        names = [context.name for context in (ONE_SIDED if self.causal else CONTEXTS)]
        return min((self.of(name) for name in names), key=lambda row: row.bits)


def compare(model: Encoder, name: str, train: Sequence[Source], held: Sequence[Source], plan: TrainingConfig) -> Comparison:
    """Bits per base of the model and of count models (orders 0 to 11, 2+2 to 5+5) on random bases of each held-out contig.

    Every row of a contig is about the same bases, each in the middle half of a window of the model's context length. The
    count models are made of what windows of that length can show of `train`.
    """
    length = model.config.context_length
    counts = CountModels.fit(_first(_COUNTED, iter_unmasked(train, length)))
    rows, differences = [], []
    for i, source in enumerate(held):
        windows = RandomWindows([source], length, plan.batch_size, plan.seed + 2 + i)
        asked = asked_bases(windows, plan.valid_bases)
        bits = np.vstack([bits_of(model, asked, _AT_ONCE)[None], counts.bits(asked.codes, asked.target)])
        rows += bits_rows([name, *counts.names], source.contigs[0], bits)
        differences += bits_rows(counts.names, source.contigs[0], bits[0] - bits[1:])
    return Comparison(rows, differences, model.config.causal)


def in_manifest(found: Comparison) -> dict[str, Any]:
    """What the manifest keeps of a comparison: the model on each contig, and over all beside the best count model."""
    own, best, difference = found.own, found.best, found.against(found.best.model)
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
    """bits_per_base.tsv, bits_per_base.png and loss.png in the folder of a run."""
    if rows:
        write_report(folder, rows)
    loss_curve(folder, tokens_per_step=tokens_per_step)


def _first(n_bases: int, stretches: Iterable[Codes]) -> Iterator[Codes]:
    """Stretches until n bases are reached."""
    for codes in stretches:
        yield codes
        n_bases -= len(codes)
        if n_bases <= 0:
            return
