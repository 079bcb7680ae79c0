"""The capability of a model to predict the masked bases of overlapping windows in less time than those of single windows."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from genoformer.genome.codes import Codes
from genoformer.models.base import Ints


class PredictsSliding(Protocol):
    """Predicts a masked base of each of several windows that overlap and share work."""

    def sliding_log2_probs(
        self, codes: Codes, target: int, starts: Ints | None = None, at_once: int | None = None
    ) -> Tensor | None:
        """Return the same as `base_log2_probs` at base `target` of all windows; None if these cannot share work.

        starts: first base of each window on one sequence, in any order; None: the windows follow each other base by base.
        at_once: windows whose unshared work is done together; None: all.
        """
