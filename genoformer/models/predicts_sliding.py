"""The capability of a model to predict the masked bases of overlapping windows in less time than one after the other."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from genoformer.genome.codes import Codes


class PredictsSliding(Protocol):
    """Predicts a masked base of each of several windows that follow each other base by base and share work."""

    def sliding_log2_probs(self, codes: Codes, target: int) -> Tensor | None:
        """Return the same as `base_log2_probs` at base `target` of all windows; None if these cannot share work."""
