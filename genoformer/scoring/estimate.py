"""ScoringJob -> its cost: parameters, operations and processes, and the time of a few SNVs that are scored here."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from genoformer.genome.codes import N
from genoformer.genome.preflight_result import Preflight
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.models import cost
from genoformer.scoring.job import ScoringJob
from genoformer.scoring.plan import open_plan

N_TIMED = 8  # SNVs that are scored together to measure the time


class ScoringCost(NamedTuple):
    """Cost of a scoring run."""

    n_parameters: int  # of all models
    window: int  # bases
    both_strands: bool
    multiply_adds: float  # of an SNV whose window no other variant shares
    n_records: int
    n_processes: int
    threads: int  # per process
    seconds: float | None  # per SNV in one process; None: no record with a known base was found
    device: str
    memory: int | None = None  # most bytes of this process so far, with Python and torch; None: not known on this system
    gpu_memory: int | None = None  # most bytes of torch on the GPU

    def text(self) -> str:
        """Return the cost as a table in two columns."""
        rows = {
            "parameters": f"{self.n_parameters:,}",
            "window": f"{self.window:,} bases{' on both strands' if self.both_strands else ''}",
            "multiply-adds of an SNV": f"about {self.multiply_adds:,.0f}, if no variant shares its window",
            "records": f"{self.n_records:,}",
            "processes": f"{self.n_processes:,} with {self.threads:,} thread{'s' * (self.threads != 1)} each",
        }
        if self.seconds is not None and self.memory is not None:
            rows["memory of a process"] = f"about {cost.gigabytes(self.memory)} with Python and torch, measured here"
        if self.seconds is not None and self.gpu_memory is not None:
            rows["memory of the GPU"] = f"about {cost.gigabytes(self.gpu_memory)}, measured here"
        if self.seconds is not None:
            whole = self.seconds * self.n_records / self.n_processes
            rows["time of an SNV"] = f"about {cost.duration(self.seconds)}, measured here on {self.device}"
            rows["time of the run"] = f"about {cost.duration(whole)}, if each record is one SNV"
        return cost.table(rows)


def estimate(job: ScoringJob, *, on_preflight: Callable[[Preflight], None] | None = None) -> ScoringCost:
    """Return the cost of a job, which is checked as for a run; nothing is written, and N_TIMED SNVs at its records are scored.

    Raises the errors of `open_plan`.
    """
    nowhere = replace(job, outputs=replace(job.outputs, sink="-", matrix=None), shard=None, assemble=False)
    with open_plan(nowhere, on_preflight=on_preflight) as plan:
        try:
            scorer = plan.scorer
            variants = _snvs(plan.preflight.places_with_bases, job.genome)
            seconds = None
            if variants:
                scorer.score(variants[:1])  # the first call also loads kernels
                began = time.perf_counter()
                scorer.score(variants)
                seconds = (time.perf_counter() - began) / len(variants)
            return ScoringCost(
                sum(map(cost.count_parameters, job.scoring.models)),
                scorer.window,
                job.scoring.both_strands,
                scorer.flops_per_variant / 2,
                plan.preflight.n_records,
                plan.workers.n_workers(lambda: plan.partition.n_missing(plan.parts)),
                plan.workers.threads,
                seconds,
                job.runtime.device,
                peak_memory(),
                torch.cuda.max_memory_allocated(job.runtime.device) if job.runtime.device.startswith("cuda") else None,
            )
        finally:
            plan.parts.remove()


def peak_memory() -> int | None:
    """Return the most bytes of memory that this process has had; None on a system that does not say."""
    try:  # on Linux, ru_maxrss also counts the process that started this one
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _snvs(places: Sequence[tuple[str, int]], genome: Genome) -> list[Variant]:
    """Return an SNV at each of N_TIMED records at most, evenly spread, whose base is known."""
    snvs = []
    for contig, start in places[:: max(1, len(places) // N_TIMED)][:N_TIMED]:
        code = int(genome.window(contig, start, 1)[0])
        if code < N:
            snvs.append(Variant(contig, start + 1, "ACGT"[code], "ACGT"[(code + 1) % 4]))
    return snvs
