"""Commands as processes of their own: run, run under torchrun, killed again and again.

A command in one process begins as a fork of a process that has imported everything (multiprocessing's forkserver): it is as
real and as mortal as one from a shell, but imports of torch and Lightning take six seconds, more than these tests' own work.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["genoformer_cli.main", "genoformer.training.finetune", "genoformer.training.pretrain",
                              "genoformer.training.tracks", "genoformer.scoring.plan"])  # fmt: skip


def genoformer(*arguments: object, processes: int = 1) -> list[str]:
    """The command line of `genoformer`, in one process or in several under torchrun."""
    module = ["-m", "genoformer_cli", *map(str, arguments)]
    if processes == 1:
        return [sys.executable, *module]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *module]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run(command: list[str]) -> None:
    found = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=300)
    assert found.returncode == 0, found.stderr[-3000:]


def in_forks(read: Callable[..., object], arguments: Sequence[tuple[object, ...]]) -> list[object]:
    """`read(*a)` for each of the arguments in a fork of its own, from a process that has read with them before.

    That process is a fresh one: a fork of this one, in which other tests have left threads, may wait for ever.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    parent = context.Process(target=_fork_each, args=(read, arguments, there))
    parent.start()
    there.close()
    try:
        return here.recv()  # type: ignore[no-any-return]
    finally:
        parent.join(60)
        here.close()


def _fork_each(read: Callable[..., object], arguments: Sequence[tuple[object, ...]], result: Connection) -> None:
    for one in arguments:
        read(*one)
    context = multiprocessing.get_context("fork")
    workers = []
    for one in arguments:
        here, there = context.Pipe(duplex=False)
        worker = context.Process(target=_send, args=(read, one, there))
        worker.start()
        there.close()
        workers.append((worker, here))
    result.send([pipe.recv() for _, pipe in workers])
    for worker, _ in workers:
        worker.join()


def _send(read: Callable[..., object], one: tuple[object, ...], pipe: Connection) -> None:
    pipe.send(read(*one))
    pipe.close()


def started(main: Callable[[Sequence[str]], None], arguments: Sequence[object], said: Path) -> BaseProcess:
    """`main(arguments)` in a process of its own, whose stdout and stderr go to the file `said`."""
    with pytest.MonkeyPatch.context() as patch:  # of the server, which starts with the first of them
        patch.setenv("OMP_NUM_THREADS", "1")
        child = FORKS.Process(target=_child, args=(main, [str(a) for a in arguments], said))
        child.start()
    return child


def _child(main: Callable[[Sequence[str]], None], arguments: list[str], said: Path) -> None:
    sys.stdout.flush()
    with said.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["genoformer", *arguments]
    main(arguments)


def command(arguments: Sequence[str]) -> None:
    from genoformer_cli.main import main

    main(arguments)


def finished(child: BaseProcess, said: Path) -> None:
    child.join(300)
    assert child.exitcode == 0, (child.exitcode, said.read_text()[-3000:])


def run_here(arguments: Sequence[object], said: Path) -> None:
    """A command of genoformer from its beginning to its end."""
    finished(started(command, arguments, said), said)


def killed(arguments: Sequence[object], state: Path, last: Path, said: Path, *, times: int = 3, seed: int = 5) -> int:
    """Start a command and kill -9 it at a random moment after it has saved `state`, again and again; then let it end.

    last: a file that only a finished run has. Returns how often it was killed before it had ended by itself.
    """
    moments, kills = random.Random(seed), 0
    for _ in range(times):
        before = state.stat().st_mtime_ns if state.is_file() else 0
        child = started(command, arguments, said)
        while child.is_alive() and (not state.is_file() or state.stat().st_mtime_ns == before):
            time.sleep(0.01)
        time.sleep(moments.random() * 0.2)
        kills += child.is_alive()
        child.kill()
        child.join()
    if not last.exists():
        run_here(arguments, said)
    return kills
