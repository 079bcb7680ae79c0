"""A trained language model beside count models of the same training data, on the same held-out bases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from genoformer.genome.codes import Codes
from genoformer.models.encoder import Encoder
from genoformer.training.bits import asked_bases, bits_of
from genoformer.training.config import TrainingConfig
from genoformer.training.counts import CountModels, stretches
from genoformer.training.curves import BitsRow, bits_rows, loss_curve, write_report
from genoformer.training.datasets import RandomWindows, Source

_COUNTED = 200_000_000  # bases that the count models are made of, at most: a minute, and more changes little at order 11
_AT_ONCE = 64  # windows


def compare(
    model: Encoder, name: str, train: Sequence[Source], held: Sequence[Source], plan: TrainingConfig
) -> list[BitsRow]:
    """Bits per base of the model and of count models (orders 0 to 11, 2+2 to 5+5) on random bases of each held-out contig.

    Every row of a contig is about the same bases, each in the middle half of a window of the model's context length.
    """
    counts = CountModels.fit(_first(_COUNTED, train))
    rows = []
    for i, source in enumerate(held):
        windows = RandomWindows([source], model.config.context_length, plan.batch_size, plan.seed + 2 + i)
        asked = asked_bases(windows, plan.valid_bases)
        bits = np.vstack([bits_of(model, asked, _AT_ONCE)[None], counts.bits(asked.codes, asked.target)])
        rows += bits_rows([name, *counts.names], source.contigs[0], bits)
    return rows


def write(folder: Path, rows: Sequence[BitsRow], *, tokens_per_step: int) -> None:
    """bits_per_base.tsv, bits_per_base.png and loss.png in the folder of a run."""
    if rows:
        write_report(folder, rows)
    loss_curve(folder, tokens_per_step=tokens_per_step)


def _first(n_bases: int, sources: Sequence[Source]) -> Iterator[Codes]:
    """Known stretches of the contigs of all sources, until n bases are reached."""
    for source in sources:
        for codes in stretches(source.genome, source.contigs):
            yield codes
            n_bases -= len(codes)
            if n_bases <= 0:
                return
