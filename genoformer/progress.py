"""Progress events passed to a callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

RESUMED = "resumed"  # stage of a training run that continues from a saved step


class Progress(NamedTuple):
    """The stage, the number of finished records (or steps), and their total (None if not known)."""

    stage: str
    done: int
    total: int | None
    note: str = ""  # text to show with the counts, such as the loss


ProgressCallback = Callable[[Progress], None] | None
