"""`genoformer predict --track entropy` over a piece of E. coli with mini-human: one worker and two, memory, five kills.

BENCH_BASES is the length of the piece; the whole genome has 4,641,652 bases and takes hours.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from common import Row, data_folder, holds, script

N_BASES = int(os.environ.get("BENCH_BASES", "4000"))
PART, KILLS = 256, 5  # bases in a part
MOST_GROWTH = 20  # MB of the process that hands parts to workers, in the second half of a run
PAGE = os.sysconf("SC_PAGE_SIZE")


class Load(NamedTuple):
    """Time and memory of a run."""

    seconds: float
    growth: float  # MB by which the most memory of the second half of its time is above that of the first


def main() -> list[Row]:
    from genoformer.genome.reference import Genome

    genome = Genome(data_folder() / "genomes" / "ecoli_K12.fna.gz")
    region = f"{next(iter(genome.contigs))}:1-{N_BASES}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def command(output: str, workers: int) -> list[str]:
            words = ["predict", "-f", genome.path, "-m", "mini-human", "-r", region, "--track", "entropy", "--device", "cpu"]
            words += ["--part-size", PART, "--threads", 1, "--workers", workers, "-q", "-o", folder / output]
            return [sys.executable, "-m", "genoformer_cli", *map(str, words)]

        loads = {n: run(command(f"{n}.bw", n)) for n in (1, 2)}
        n_killed = kill(command("killed.bw", 2), folder / ".killed.bw.parts")
        run(command("killed.bw", 2))
        files = [(folder / name).read_bytes() for name in ("1.bw", "2.bw", "killed.bw")]
    what = f"entropy of {N_BASES:,} bases of E. coli, mini-human, both strands"
    rates = {n: N_BASES / load.seconds for n, load in loads.items()}
    ratio = rates[2] / rates[1]
    both = f"{rates[1]:.3g} and {rates[2]:.3g} bases/s, the start of the processes included"
    return [
        Row(f"{what}: two workers", "one worker", f"{ratio:.3g}x", "", None, both),
        Row(
            f"{what}: memory of the driver of two workers",
            "the first half",
            f"{loads[2].growth:.0f} MB more",
            f"<= {MOST_GROWTH} MB",
            loads[2].growth <= MOST_GROWTH,
        ),
        holds(f"{what}: kills of two workers", n_killed, KILLS),
        holds(f"{what}: the same bigWig by all", len(set(files)), 1),
    ]


def run(command: list[str]) -> Load:
    """Run a command to its end, and watch the memory of its first process."""
    begin, memory = time.perf_counter(), [0.0]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    while process.poll() is None:
        try:
            memory.append(int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * PAGE / 1e6)
        except (OSError, IndexError):  # it has ended
            break
        time.sleep(0.05)
    if process.wait():
        raise RuntimeError(f"{' '.join(command)} failed")
    middle = len(memory) // 2
    return Load(time.perf_counter() - begin, max(memory[middle:]) - max(memory[: max(1, middle)]))


def kill(command: list[str], parts: Path) -> int:
    """Begin a command five times and kill its first process when it has finished one more part; return the number of kills."""
    n_killed = 0
    for _ in range(KILLS):
        before = len(list(parts.glob("*.npz")))
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        while process.poll() is None and len(list(parts.glob("*.npz"))) <= before:
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            n_killed += 1
        process.wait()
        time.sleep(1)  # workers end with their parent
    return n_killed


if __name__ == "__main__":
    script(main)
