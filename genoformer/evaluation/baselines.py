"""Baselines by name, to compare a transformer with, trained on the same split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from numpy.typing import ArrayLike

from genoformer.evaluation.examples import Baseline
from genoformer.evaluation.kmer_regression import fit_kmer_regression
from genoformer.evaluation.networks import fit_cnn, fit_lstm_attention
from genoformer.genome.codes import Codes
from genoformer.tasks import Task


class Fit(Protocol):
    """Function from sequences and targets to a trained baseline; shapes and errors as in `fit_kmer_regression`."""

    def __call__(
        self,
        sequences: Sequence[Codes],
        targets: ArrayLike,
        task: Task,
        *,
        valid: tuple[Sequence[Codes], ArrayLike] | None = None,
        seed: int = 0,
    ) -> Baseline: ...


BASELINES: dict[str, Fit] = {
    "kmer_regression": fit_kmer_regression,
    "cnn": fit_cnn,
    "lstm_attention": fit_lstm_attention,
}
