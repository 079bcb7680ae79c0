"""Commands as processes of their own: run, run under torchrun, killed again and again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def genoformer(*arguments: object, processes: int = 1) -> list[str]:
    """The command line of `genoformer`, in one process or in several under torchrun."""
    module = ["-m", "genoformer_cli", *map(str, arguments)]
    if processes == 1:
        return [sys.executable, *module]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", *module]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run(command: list[str], **options) -> subprocess.CompletedProcess[str]:
    found = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=300, **options)
    assert found.returncode == 0, found.stderr[-3000:]
    return found


def killed(command: list[str], state: Path, finished: Path, *, times: int = 3, seed: int = 5) -> int:
    """Start a command and kill -9 it at a random moment after it has saved `state`, again and again; then let it end.

    finished: a file that only a finished run has. Returns how often it was killed before it had ended by itself.
    """
    moments, kills = random.Random(seed), 0
    for _ in range(times):
        before = state.stat().st_mtime_ns if state.is_file() else 0
        child = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while child.poll() is None and (not state.is_file() or state.stat().st_mtime_ns == before):
            time.sleep(0.01)
        time.sleep(moments.random() * 0.2)
        kills += child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.wait()
    if not finished.exists():
        run(command)
    return kills
