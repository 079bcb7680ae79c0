"""SPAWN: new processes, as those of multiprocessing; one that dies while it starts does not stop its parent, nor the reverse.

multiprocessing sends a new process its work through a pipe of 64 KiB, and keeps both ends of it open until all is written: if
the process dies before it has read more than that, its parent waits forever. Here the parent gives up the end that is read
from as soon as the process exists, so that the rest of the writing fails with BrokenPipeError.

If the parent is killed while it writes, its processes read half of their work. Here they end without a traceback, and
multiprocessing's resource tracker removes the semaphores of the parent without a warning.
"""

from __future__ import annotations

import io
import os
import sys
from multiprocessing import popen_spawn_posix, reduction, resource_tracker, spawn, util
from multiprocessing.context import SpawnContext, SpawnProcess, set_spawning_popen
from typing import Any, cast

_PROGRAM = """
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
try:
    {start}
except Exception:
    for _ in range(100):  # a killed process closes its pipes some time before its children have another parent
        if os.getppid() != {parent}:
            os._exit(1)
        time.sleep(0.01)
    raise
"""


_QUIET = "ignore:resource_tracker:UserWarning"  # option -W of Python


def start_tracker() -> None:
    """Start the resource tracker, if none runs, so that it does not warn of what a killed process leaves to it."""
    sys.warnoptions.append(_QUIET)  # new processes of multiprocessing have these options
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(_QUIET)


class _Popen(popen_spawn_posix.Popen):
    _fds: list[int]  # that the process inherits

    def _launch(self, process_obj: Any) -> None:
        """Start the process, and send it its work."""
        tracker, helpers = resource_tracker.getfd(), cast(Any, util)  # some of its functions have no or wrong types
        work = io.BytesIO()
        set_spawning_popen(self)
        try:
            reduction.dump(spawn.get_preparation_data(process_obj._name), work)
            reduction.dump(process_obj, work)
        finally:
            set_spawning_popen(None)
        ours: list[int] = []  # ends of pipes
        theirs: list[int] = []
        try:
            for _ in range(2):
                read, write = os.pipe()
                ours.append(write if ours else read)
                theirs.append(read if theirs else write)
            command = spawn.get_command_line(tracker_fd=tracker, pipe_handle=theirs[1])
            if "-c" in command:
                command[-2] = _PROGRAM.format(start=command[-2], parent=os.getpid())
            self._fds += [*([] if tracker is None else [tracker]), *theirs]
            self.pid = helpers.spawnv_passfds(spawn.get_executable(), command, self._fds)
            self.sentinel = ours[0]
        finally:
            self.finalizer = util.Finalize(self, helpers.close_fds, ours)
            for end in theirs:
                os.close(end)
        _write(ours[1], work.getbuffer())


def _write(pipe: int, work: memoryview) -> None:
    """Write the work of a process; it may be more than the pipe holds."""
    with open(pipe, "wb", closefd=False) as file:
        file.write(work)


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        return _Popen(process_obj)


class _Context(SpawnContext):
    Process = _Process


SPAWN = _Context()
