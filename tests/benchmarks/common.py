"""What the benchmarks share: real data, alternating timing, rows of a table, the machine they ran on."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple


class NotHere(Exception):
    """Something that a benchmark needs is not on this machine: it is skipped, and this says why."""


class Row(NamedTuple):
    """One line of a result. `seen` holds absolute speeds: they are printed, and never written down for a CPU."""

    what: str
    peer: str
    value: str
    target: str = ""
    met: bool | None = None
    seen: str = ""


def data_folder() -> Path:
    """`GENOFORMER_TEST_DATA`, else `../shared/data` beside the checkout; NotHere without either."""
    named = os.environ.get("GENOFORMER_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "data"
    if not folder.is_dir():
        raise NotHere("real data not found: set GENOFORMER_TEST_DATA to the folder that holds hg19/, hg38/ ...")
    return folder


def seconds(tasks: Mapping[str, Callable[[], object]], n_rounds: int = 5, *, long: bool = False) -> dict[str, float]:
    """Median of each; the rounds alternate, so that what else runs on the machine slows all of them alike.

    In each round a task runs twice and the second time counts: as in a loop over batches, its memory is already there.
    Tasks that take long run once a round; the caller has run them before, or the median leaves the first one out.
    """
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    gc.disable()
    try:
        for _ in range(n_rounds):
            for name, task in tasks.items():
                if not long:
                    task()
                begin = time.perf_counter()
                task()
                taken[name].append(time.perf_counter() - begin)
    finally:
        gc.enable()
    return {name: statistics.median(values) for name, values in taken.items()}


def faster(what: str, peer: str, ours: float, theirs: float, least: float | None = None, unit: str = "windows/s") -> Row:
    """A row from two speeds in the same unit; `least` is the ratio that is asked for."""
    ratio = ours / theirs
    target, met = ("", None) if least is None else (f">= {least:g}x", ratio >= least)
    return Row(what, peer, f"{ratio:.3g}x", target, met, f"{ours:,.4g} and {theirs:,.4g} {unit}")


def holds(what: str, found: object, expected: object, peer: str = "") -> Row:
    """A row for something that has one right answer."""
    found_text, expected_text = (f"{x:,}" if type(x) is int else str(x) for x in (found, expected))
    return Row(what, peer, found_text, expected_text, found == expected)


def table(rows: Iterable[Row], *, seen: bool) -> str:
    """A Markdown table; `seen` adds the absolute speeds."""
    names = ["what", "beside", "found", "target", "met", *(["absolute"] if seen else [])]
    lines = [names, ["---"] * len(names)]
    for row in rows:
        met = {None: "", True: "yes", False: "**no**"}[row.met]
        lines.append([row.what, row.peer, row.value, row.target, met, *([row.seen] if seen else [])])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def machine() -> str:
    """The processor, and the versions that matter for a speed."""
    info = Path("/proc/cpuinfo")
    models = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.is_file() else []
    cpu = models[0].partition(":")[2].strip() if models else platform.processor() or platform.machine()
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "numpy"))
    return f"{cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}"


def script(main: Callable[[], list[Row]]) -> None:
    """What `python bench_x.py` does."""
    try:
        print(table(main(), seen=True), end="")
    except NotHere as reason:
        sys.exit(f"skipped: {reason}")


def memory_share(file: str, peer: str, n_bases: int) -> Row:
    """Compare the peaks of two processes of a benchmark, each with one model and one window: `file --peak ours|theirs`."""
    peaks = {}
    for name in ("ours", "theirs"):
        done = subprocess.run([sys.executable, file, "--peak", name], capture_output=True, text=True, check=True)
        peaks[name] = float(done.stdout.split()[-1])
    share = peaks["ours"] / peaks["theirs"]
    return Row(
        f"peak memory of a process, {n_bases:,} bp, float32",
        peer,
        f"{share:.0%}",
        "<= 60 %",
        share <= 0.6,
        f"{peaks['ours']:.2f} and {peaks['theirs']:.2f} GB",
    )
