"""Queries of a page -> jobs that one thread works off, with their progress; a job that is cancelled ends at its next report."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from genoformer.browse.request import Query
from genoformer.errors import GenoformerError, sentence
from genoformer.progress import Progress, ProgressCallback

_KEPT = 64  # finished jobs that can still be asked for
_LOG = logging.getLogger(__name__)

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Work = Callable[[Query, ProgressCallback], dict[str, Any]]


class _CancelledError(Exception):
    """The page no longer needs the result."""


@dataclass
class Job:
    """A query, and how far its answer is."""

    number: int
    query: Query
    state: State = "waiting"
    latest: Progress | None = None
    error: str = ""
    view: dict[str, Any] | None = None
    begun: float = field(default_factory=time.monotonic)
    is_cancelled: bool = False

    def data(self) -> dict[str, Any]:
        """Return the job as JSON; the view of a job that is done is part of it."""
        stage, done, total = ("", 0, None) if self.latest is None else self.latest[:3]
        seconds = round(time.monotonic() - self.begun, 1)
        known = {"id": self.number, "state": self.state, "stage": stage, "done": done, "total": total, "seconds": seconds}
        return known | {"error": self.error, "view": self.view}


class Jobs:
    """Jobs of all pages, worked off in their order by one thread, since a model does one thing at a time."""

    def __init__(self, work: Work) -> None:
        self._work, self._numbers = work, count(1)
        self._jobs: dict[int, Job] = {}
        self._waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="genoformer browse", daemon=True)
        self._thread.start()

    def submit(self, query: Query) -> Job:
        """Return the job of a query, which the thread begins when the jobs before it have ended."""
        job = Job(next(self._numbers), query)
        self._jobs[job.number] = job
        for number in list(self._jobs)[:-_KEPT]:
            self.cancel(number)
            del self._jobs[number]
        self._waiting.put(job)
        return job

    def get(self, number: int) -> Job | None:
        """Return a job; None for a number that is unknown, or of a job that is no longer kept."""
        return self._jobs.get(number)

    def cancel(self, number: int) -> None:
        """Let a job end at the next report of its progress; a job that has ended stays as it is."""
        job = self._jobs.get(number)
        if job is not None:
            job.is_cancelled = True
            if job.state == "waiting":
                job.state = "cancelled"

    def close(self) -> None:
        """Cancel all jobs and end the thread; a long pass of a model is not waited for."""
        for number in list(self._jobs):
            self.cancel(number)
        self._waiting.put(None)
        self._thread.join(timeout=1)

    def _run(self) -> None:
        while (job := self._waiting.get()) is not None:
            if not job.is_cancelled:
                self._answer(job)

    def _answer(self, job: Job) -> None:
        """Compute the view of a job; every error becomes a sentence, and one of our own is logged."""

        def report(event: Progress) -> None:
            job.latest = event
            if job.is_cancelled:
                raise _CancelledError

        job.state, job.begun = "running", time.monotonic()
        try:
            job.view = self._work(job.query, report)
            job.state = "done"
        except _CancelledError:
            job.state = "cancelled"
        except GenoformerError as error:
            job.error, job.state = str(error), "failed"
        except (MemoryError, OSError) as error:
            job.error, job.state = sentence(f"{str(error) or 'memory is too small'}; free memory, or ask for less."), "failed"
        except Exception as error:
            _LOG.exception("a request of the page failed")
            job.error = sentence(f"an error of genoformer ({type(error).__name__}: {error}); the terminal has the details.")
            job.state = "failed"
