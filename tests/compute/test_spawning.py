"""Processes that die while they start, before they have read what they are sent."""

from __future__ import annotations

import multiprocessing.spawn
import shutil

import pytest
from compute_tasks import Counting

from genoformer.compute.pools import LocalPool, WorkerError
from genoformer.compute.spawning import SPAWN

LARGE = Counting(b"x" * 1_000_000)


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> None:
    """New processes end at once."""
    program = shutil.which("false")
    assert program is not None
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", program.encode())


def test_a_process_gets_its_work() -> None:
    with LocalPool(LARGE, 2) as pool:
        assert [pool.result(pool.submit(i)) for i in range(3)] == [1_000_000, 1_000_001, 1_000_002]


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("dying")
def test_writing_to_a_dead_process_ends() -> None:
    process = SPAWN.Process(target=print, args=(b"x" * 1_000_000,))
    with pytest.raises(BrokenPipeError):
        process.start()


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("dying")
def test_processes_that_always_die_end_in_a_sentence() -> None:
    with LocalPool(LARGE, 2) as pool, pytest.raises(WorkerError, match="3 times a process died while it st"):
        pool.submit(1)
