"""What a caller hears while it waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """The stage, and how many records (or steps) of it are done, of how many (None while not known)."""

    stage: str
    done: int
    total: int | None
    note: str = ""  # what is worth showing beside it, such as the loss


ProgressCallback = Callable[[Progress], None] | None
