"""Work of processes in tests of `genoformer.compute`, in a module that they can import."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genoformer.progress import Stage


@dataclass(frozen=True)
class Adding:
    """Sum of the numbers of a part; a process that comes to `deadly` kills itself, as often as there are files in `lives`."""

    lives: Path
    deadly: int = 0
    slow: int = 0  # a number for which a process needs a second
    device: str = "cpu"
    threads: int = 1

    @contextmanager
    def open(self) -> Iterator[Callable[[Sequence[int]], int]]:
        def add(numbers: Sequence[int]) -> int:
            if self.deadly in numbers and (left := sorted(self.lives.iterdir())):
                left[0].unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(self.slow in numbers)
            return sum(numbers)

        yield add


@dataclass(frozen=True)
class Counting:
    """Number of the bytes of the task, plus that of a part; with many bytes, a task larger than a pipe."""

    content: bytes
    device: str = "cpu"
    threads: int = 1

    @contextmanager
    def open(self) -> Iterator[Callable[[int], int]]:
        yield lambda number: number + len(self.content)


class Failing:
    """An argument that a process cannot read."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return _fail, ()


def _fail() -> None:
    raise ValueError("this cannot be read")


def command_that_dies(arguments: Sequence[str]) -> None:
    """genoformer, whose process kills itself when it has computed two more parts."""
    from genoformer_cli.main import main

    from genoformer.compute.run import PartedRun

    true, n_done = PartedRun.results, 0

    def results(self: PartedRun[Any, Any], stage: Stage) -> Iterator[tuple[Any, Any]]:
        nonlocal n_done
        stored = self.store.numbers()
        for i, part in enumerate(true(self, stage)):
            n_done += i not in stored
            if n_done == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            yield part

    PartedRun.results = results  # type: ignore[method-assign]
    main(arguments)
