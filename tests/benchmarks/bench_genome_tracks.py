"""`genoformer predict --track entropy` over E. coli with mini-human: one worker and two, memory, five kills.

BENCH_BASES is the length of the piece, or "all" for the 4,641,652 bases of the genome. BENCH_STRIDE=8 masks 16 bases in a
pass, on the forward strand only; without it the genome takes days. The time is estimated first: if it is more than
BENCH_MINUTES, nothing runs, and a run that takes longer is ended.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from common import NotHere, Row, data_folder, holds, script

N_BASES, STRIDE = os.environ.get("BENCH_BASES", "4000"), os.environ.get("BENCH_STRIDE")
MINUTES = float(os.environ.get("BENCH_MINUTES", "30"))
PART, MOST_PARTS, KILLS = 256, 2_000, 5  # bases in a part of a short run, parts of a long one
TIMES = 2.4  # time of all runs, in those of one worker: one, two workers, two workers that are killed
MOST_GROWTH = 20  # MB of the process that hands parts to workers, in the second half of a run
PAGE = os.sysconf("SC_PAGE_SIZE")


class Load(NamedTuple):
    """Time and memory of a run."""

    seconds: float
    growth: float  # MB by which the most memory of the second half of its time is above that of the first


def main() -> list[Row]:
    from genoformer.genome.reference import Genome

    genome = Genome(data_folder() / "genomes" / "ecoli_K12.fna.gz")
    contig, length = next(iter(genome.contigs.items()))
    n_bases = length if N_BASES == "all" else int(N_BASES)
    part = max(PART, n_bases // MOST_PARTS)
    words = ["-m", "genoformer_cli", "predict", "-f", genome.path, "-m", "mini-human", "-r", f"{contig}:1-{n_bases}"]
    words += [
        "--track",
        "entropy",
        "--device",
        "cpu",
        "--threads",
        1,
        *(["--stride", STRIDE, "--strand", "forward"] if STRIDE else []),
    ]
    common = [sys.executable, *map(str, words)]
    minutes = estimate(common, n_bases)
    end = time.monotonic() + 60 * MINUTES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def command(output: str, workers: int) -> list[str]:
            return [*common, *map(str, ["--part-size", part, "--workers", workers, "-q", "-o", folder / output])]

        loads = {n: run(command(f"{n}.bw", n), end) for n in (1, 2)}
        n_killed = kill(command("killed.bw", 2), folder / ".killed.bw.parts", -(-n_bases // part), end)
        run(command("killed.bw", 2), end)
        files = [(folder / name).read_bytes() for name in ("1.bw", "2.bw", "killed.bw")]
    how = f"stride {STRIDE}, forward strand" if STRIDE else "both strands"
    what = f"entropy of {n_bases:,} bases of E. coli, mini-human, {how}"
    rates = {n: n_bases / load.seconds for n, load in loads.items()}
    ratio = rates[2] / rates[1]
    both = f"{rates[1]:.3g} and {rates[2]:.3g} bases/s, the start of the processes included"
    print(f"estimated: {minutes:.0f} minutes", file=sys.stderr)
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


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def estimate(common: list[str], n_bases: int) -> float:
    """Return the minutes that all runs will take; NotHere if they are more than allowed."""
    plan = subprocess.run([*common, "--plan"], env=environment(), capture_output=True, text=True, check=True).stdout
    (rate,) = re.findall(r"([0-9,]+) bases a second", plan)
    minutes = TIMES * n_bases / float(rate.replace(",", "")) / 60
    if minutes > MINUTES:
        remedy = f"BENCH_MINUTES={minutes * 1.5:.0f}, or a smaller BENCH_STRIDE"
        raise NotHere(f"{n_bases:,} bases would take about {minutes:,.0f} minutes, more than {MINUTES:g}: set {remedy}")
    return minutes


def run(command: list[str], end: float) -> Load:
    """Run a command to its end, and watch the memory of its first process; RuntimeError if it is too late."""
    begin, memory = time.perf_counter(), [0.0]
    process = subprocess.Popen(command, env=environment())
    while process.poll() is None:
        require_time(process, end)
        try:
            memory.append(int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * PAGE / 1e6)
        except (OSError, IndexError):  # it has ended
            break
        time.sleep(0.05)
    if process.wait():
        raise RuntimeError(f"{' '.join(command)} failed")
    middle = len(memory) // 2
    return Load(time.perf_counter() - begin, max(memory[middle:]) - max(memory[: max(1, middle)]))


def kill(command: list[str], parts: Path, n_parts: int, end: float) -> int:
    """Begin a command five times and kill its first process, each time a sixth of its parts later; return the kills."""
    n_killed = 0
    for i in range(KILLS):
        enough = max(len(list(parts.glob("*.npz"))) + 1, n_parts * (i + 1) // (KILLS + 1))
        process = subprocess.Popen(command, env=environment())
        while process.poll() is None and len(list(parts.glob("*.npz"))) < enough:
            require_time(process, end)
            time.sleep(0.02)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            n_killed += 1
        process.wait()
        time.sleep(1)  # workers end with their parent
    return n_killed


def require_time(process: subprocess.Popen[bytes], end: float) -> None:
    """Kill a process and raise RuntimeError if the time is over."""
    if time.monotonic() > end:
        process.kill()
        process.wait()
        raise RuntimeError(f"the runs take more than {MINUTES:g} minutes; set BENCH_MINUTES")


if __name__ == "__main__":
    script(main)
