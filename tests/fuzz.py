"""Bytes that no writer would write, for minutes: python tests/fuzz.py --minutes 30 --seed 0 --keep FOLDER [TARGET ...]

Each target runs in a process of its own for a while, one after the other, until the time is up. Of an example is asked that
it is read, or refused in one sentence of ours; in 20 seconds, with 2 GB more than the process began with, and with nothing
half written. What does otherwise is a finding: its bytes are kept in FOLDER, which names it, and the process goes on (or, of
one that died or hung, the next). Status 1 where there are findings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

SECONDS = 20  # of an example
MEMORY = 2 << 30  # bytes above those of the process at its start
TURN = 60  # seconds of a target until the next has its turn
HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="names of fuzz_targets.TARGETS; by default all")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--turn", type=float, default=TURN, help="seconds of a target until the next has its turn")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "genoformer-fuzz", metavar="FOLDER")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        _child(asked.targets[0], asked.seed, asked.turn, asked.keep)
        return
    asked.keep.mkdir(parents=True, exist_ok=True)
    found = _turns(asked)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    sys.exit(1 if any(of["findings"] for of in found.values()) else 0)


def _turns(asked: argparse.Namespace) -> dict[str, dict[str, object]]:
    """Every target in its turn until the time is up -> examples, findings and the most memory of each."""
    from fuzz_targets import TARGETS

    names = asked.targets or list(TARGETS)
    if unknown := sorted(set(names) - set(TARGETS)):
        sys.exit(f"unknown targets {', '.join(unknown)}; known are {', '.join(TARGETS)}")
    until = time.monotonic() + 60 * asked.minutes
    examples: Counter[str] = Counter()
    peaks: Counter[str] = Counter()
    findings: Counter[str] = Counter()
    seed, turn = asked.seed, min(asked.turn, 60 * asked.minutes / len(names))
    while time.monotonic() < until:
        for name in names:
            if time.monotonic() >= until:
                break
            n, peak, n_found = _turn(name, seed, min(turn, until - time.monotonic()), asked.keep)
            examples[name] += n
            findings[name] += n_found
            peaks[name] = max(peaks[name], peak)
            sys.stderr.write(f"{name}: {n:,} examples with seed {seed}, {peak >> 20} MiB, {n_found} findings\n")
        seed += 1
    return {name: {"examples": examples[name], "findings": findings[name], "peak_MiB": peaks[name] >> 20} for name in names}


def _turn(name: str, seed: int, seconds: float, keep: Path) -> tuple[int, int, int]:
    """A process for a target, watched -> examples, bytes that it took at the most, findings."""
    with tempfile.TemporaryDirectory(prefix="genoformer-fuzz-") as folder:
        now = Path(folder) / "now"  # the example that is running
        command = [sys.executable, __file__, "--child", name, "--seed", str(seed), "--turn", str(seconds), "--keep", str(keep)]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "1",
            "FUZZ_NOW": str(now),
            "TMPDIR": folder,
            "GENOFORMER_CACHE": f"{folder}/cache",
            "PYTHONFAULTHANDLER": "1",
        }
        said, counts = Path(folder) / "stderr", Path(folder) / "stdout"  # files: a pipe that is full would stop the child
        with said.open("wb") as log, counts.open("wb") as out:
            child = subprocess.Popen(command, env=environment, stdout=out, stderr=log)
        began, start, peak, why = time.time(), 0, 0, ""
        while child.poll() is None:
            time.sleep(0.05)
            size = _memory(child.pid)
            if not now.exists():
                start = size  # until the first example it imports and makes its valid files
                if time.time() - began > 120:
                    why = "does not begin"
            elif time.time() - now.stat().st_mtime > SECONDS:
                why = "hang"
            peak = max(peak, size - start)
            if peak > MEMORY:
                why = "memory"
            if why:
                child.kill()
                child.wait()
        told = counts.read_text().split()
        n, n_found = (int(told[-2]), int(told[-1])) if len(told) >= 2 else (0, 0)
        if not why and child.returncode:
            why = signal.Signals(-child.returncode).name if child.returncode < 0 else f"status {child.returncode}"
        if why:
            content = now.read_bytes() if now.exists() else b""
            _keep(keep, name, why, content, f"{why}\n{said.read_text(errors='replace')[-4000:]}")
            n_found += 1
        return n, peak, n_found


def _memory(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _child(name: str, seed: int, seconds: float, keep: Path) -> None:
    """Examples of a target until the time is up; prints how many after each, and how many findings there were."""
    import warnings

    from fuzz_targets import TARGETS
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis import seed as seeded
    from hypothesis.errors import HypothesisWarning

    from genoformer.errors import GenoformerError

    warnings.simplefilter("error")
    warnings.simplefilter("ignore", HypothesisWarning)  # of the length of an example
    now = Path(os.environ["FUZZ_NOW"])
    target = TARGETS[name](Path(os.environ["TMPDIR"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    n = n_found = 0
    until = time.monotonic() + seconds
    places: set[str] = set()

    def example(case: tuple[object, ...]) -> None:
        nonlocal n, n_found
        if time.monotonic() >= until:
            raise TimeoutError
        now.write_bytes(repr(case).encode())
        problem = ""
        with tempfile.TemporaryDirectory() as folder:
            try:
                target.run(Path(folder), *case)
            except GenoformerError as error:
                if "\n" in str(error).strip() or not 10 < len(str(error)) < 1_000:
                    problem = f"no sentence: {error!r}"
            except Exception:
                problem = traceback.format_exc()
        n += 1
        if problem:
            n_found += 1
            lines = [line.strip() for line in problem.splitlines() if re.search('(genoformer/|fuzz).*", line ', line)]
            place = f"{lines[-1] if lines else ''} {problem.strip().splitlines()[-1].partition(':')[0]}"
            if place not in places:
                places.add(place)
                _keep(keep, name, "error", repr(case).encode(), problem)
        sys.stdout.write(f"{n} {n_found}\n")
        sys.stdout.flush()

    while time.monotonic() < until:
        drawn = settings(
            max_examples=1_000, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
        )
        try:
            seeded(random.Random(f"{name} {seed} {n}").getrandbits(60))(drawn(given(case=target.cases)(example)))()
        except TimeoutError:
            return


def _keep(keep: Path, name: str, why: str, case: bytes, said: str) -> None:
    stem = keep / f"{name}.{why}.{hashlib.sha256(case).hexdigest()[:10]}"
    stem.with_name(stem.name + ".case").write_bytes(case)
    stem.with_name(stem.name + ".txt").write_text(said)
    sys.stderr.write(f"FINDING {stem}.txt\n")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    main()
