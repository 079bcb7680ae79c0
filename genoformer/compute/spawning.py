"""SPAWN: new processes, as those of multiprocessing; one that dies while it starts does not stop its parent.

multiprocessing sends a new process its work through a pipe of 64 KiB, and keeps both ends of it open until all is written: if
the process dies before it has read more than that, its parent waits forever. Here the parent gives up the end that is read
from as soon as the process exists, so that the rest of the writing fails with BrokenPipeError.
"""

from __future__ import annotations

import os
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.popen_spawn_posix import Popen
from typing import Any


class _Popen(Popen):
    _fds: list[int]  # that the process inherits; the end that it reads from is the last but one

    @property
    def pid(self) -> int:
        return self._pid

    @pid.setter
    def pid(self, value: int) -> None:
        """Keep the number of a process that has just started, and replace the end that it reads from by an empty file."""
        self._pid = value
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, self._fds[-2])
        os.close(nothing)


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        return _Popen(process_obj)


class _Context(SpawnContext):
    Process = _Process


SPAWN = _Context()
