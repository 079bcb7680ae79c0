"""Processes that die while they start, before they have read what they are sent, or whose parent dies while it sends it."""

from __future__ import annotations

import multiprocessing.spawn
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compute_tasks import Counting, Failing

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


DRIVER = """
import os, signal, sys
from genoformer.compute import spawning
from genoformer.compute.pools import LocalPool
from compute_tasks import Counting

true = spawning._write

def write_half(pipe, work):
    true(pipe, work[: len(work) // 2])
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    if sys.argv[1] == "half":
        spawning._write = write_half
    with LocalPool(Counting(b"x" * 1_000_000), 1) as pool:
        pool.submit(1)
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("moment", ["half", "all"])
def test_a_process_whose_parent_is_killed_ends_without_output(moment: str, tmp_path: Path) -> None:
    """Killed when it has sent half of the work of a process, or when it has just sent all."""
    (tmp_path / "driver.py").write_text(DRIVER)
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = [sys.executable, str(tmp_path / "driver.py"), moment]
    with (tmp_path / "said").open("wb") as said:
        done = subprocess.run(words, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE, stdout=said, text=True)
    assert done.returncode == -9
    assert done.stderr == ""


def test_an_error_of_a_process_that_starts_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    process = SPAWN.Process(target=print, args=(Failing(),))
    process.start()
    process.join(30)
    assert process.exitcode == 1
    assert "ValueError: this cannot be read" in capfd.readouterr().err
