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


class Stage:
    """A stage of a run, which reports its finished steps to a callback, if there is one.

    >>> events = []
    >>> stage = Stage(events.append, "score", 5)
    >>> stage.add(2)
    >>> stage.add(1)
    >>> stage.report(5)
    >>> [event.done for event in events]
    [2, 3, 5]
    """

    def __init__(self, progress: ProgressCallback, name: str, total: int | None = None) -> None:
        self.progress, self.name, self.total, self.done = progress, name, total, 0

    def report(self, done: int) -> None:
        """Report that `done` steps of the stage are finished."""
        self.done = done
        if self.progress is not None:
            self.progress(Progress(self.name, done, self.total))

    def add(self, n: int) -> None:
        """Report that n more steps are finished."""
        self.report(self.done + n)
