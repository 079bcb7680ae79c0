"""Jobs run one after the other in a thread, report their progress, can be cancelled, and end in a view or a sentence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from genoformer.browse.jobs import Jobs
from genoformer.browse.request import Query
from genoformer.errors import ConfigError
from genoformer.progress import Progress


def wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_a_job_reports_its_progress_and_its_view() -> None:
    seen, go = threading.Event(), threading.Event()

    def work(query: Query, progress: Any) -> dict[str, Any]:
        progress(Progress("ism", 3, 9))
        seen.set()
        assert go.wait(10)
        return {"of": query.place}

    jobs = Jobs(work)
    first, second = jobs.submit(Query("a")), jobs.submit(Query("b"))
    assert seen.wait(10)
    data = first.data()
    assert (data["state"], data["stage"], data["done"], data["total"], data["view"]) == ("running", "ism", 3, 9, None)
    assert second.data()["state"] == "waiting"
    go.set()
    wait(lambda: second.state == "done")
    assert [job.data()["view"] for job in (first, second)] == [{"of": "a"}, {"of": "b"}]
    jobs.close()


def test_a_cancelled_job_ends_at_its_next_report_and_one_that_waits_never_begins() -> None:
    begun, rounds = threading.Event(), []

    def work(query: Query, progress: Any) -> dict[str, Any]:
        while query.place == "long":
            rounds.append(0)
            progress(Progress("ism", len(rounds), None))
            begun.set()
            time.sleep(0.001)
        return {}

    jobs = Jobs(work)
    long, waiting = jobs.submit(Query("long")), jobs.submit(Query("never"))
    assert begun.wait(10)
    jobs.cancel(waiting.number)
    jobs.cancel(long.number)
    wait(lambda: long.state == "cancelled")
    last = jobs.submit(Query("short"))
    wait(lambda: last.state == "done")
    assert waiting.state == "cancelled"
    jobs.close()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ConfigError("no such region; give another."), "no such region; give another."),
        (MemoryError(), "memory is too small; free memory, or ask for less."),
        (KeyError("x"), "an error of genoformer (KeyError: 'x'); the terminal has the details."),
    ],
)
def test_an_error_becomes_a_sentence(error: Exception, sentence: str) -> None:
    def work(query: Query, progress: Any) -> dict[str, Any]:
        raise error

    jobs = Jobs(work)
    job = jobs.submit(Query("a"))
    wait(lambda: job.state == "failed")
    assert job.data()["error"] == sentence
    jobs.close()


def test_old_jobs_are_no_longer_kept() -> None:
    jobs = Jobs(lambda query, progress: {})
    made = [jobs.submit(Query(str(i))) for i in range(70)]
    assert jobs.get(made[0].number) is None
    assert jobs.get(made[-1].number) is made[-1]
    jobs.close()
