"""Saving of the state of a run: after some steps, after a minute, and when a signal stops the run."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

MOST_SECONDS = 60.0  # most work that a killed run loses, unless saving is slow
_COST = 20  # the next save waits 20 times the duration of the last one: saving takes at most 1/20 of the time


class SaveClock:
    """Schedule of saves: after `every` steps or a minute, but at most 1/20 of the time goes into saving.

    >>> now = 0.0
    >>> clock = SaveClock(every=5, seconds=lambda: now)
    >>> clock.due(4), clock.due(5)
    (False, True)
    >>> now = 60.0
    >>> clock.due(6)
    True
    """

    def __init__(self, every: int, seconds: Callable[[], float] = time.monotonic) -> None:
        self.every, self.seconds = every, seconds
        self.last, self.cost = seconds(), 0.0

    def due(self, step: int) -> bool:
        """True if the state should be saved after this step."""
        waited = self.seconds() - self.last
        if waited < _COST * self.cost:
            return False
        return step % self.every == 0 or waited >= MOST_SECONDS

    def saved(self, began: float) -> None:
        """Record a save that began at this second and ends now."""
        self.last = self.seconds()
        self.cost = self.last - began


class StopSignals:
    """Handlers of SIGINT and SIGTERM that let the run finish and save its step before it stops.

    A second signal of the same kind takes effect immediately.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.before: dict[int, Any] = {}
        self.process = os.getpid()

    def listen(self) -> None:
        """Install the handlers; an ignored signal stays ignored. Works only in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if handler is not signal.SIG_IGN:
                self.before[number] = handler
                signal.signal(number, self._hear)

    def release(self) -> None:
        """Restore the earlier handlers."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def _hear(self, number: int, frame: Any) -> None:
        self.number = number
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        if os.getpid() != self.process:  # a forked worker has nothing to finish
            os.kill(os.getpid(), number)
