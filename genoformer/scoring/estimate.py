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
from genoformer.genome.wording import counted
from genoformer.models import cost
from genoformer.models.track_model import named_heads
from genoformer.scoring.heads_scorer import scorers_of_heads
from genoformer.scoring.job import ScoringJob
from genoformer.scoring.noise import n_places
from genoformer.scoring.plan import open_plan
from genoformer.scoring.variant_scorer import VariantScorer

N_TIMED = 8  # SNVs that are scored together to measure the time
MOST_SECONDS = 30.0  # time that they may take: with a model that needs longer for one SNV, that one is the measurement


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
    heads: Sequence[str] = ()  # if several heads are scored
    n_places: int = 0  # loci at which the noise floor is measured, each like two SNVs

    def text(self) -> str:
        """Return the cost as a table in two columns."""
        rows = {
            "parameters": f"{self.n_parameters:,}",
            "window": f"{self.window:,} bases{' on both strands' if self.both_strands else ''}",
            "multiply-adds of an SNV": f"about {self.multiply_adds:,.0f}, if no variant shares its window",
            "records": f"{self.n_records:,}",
            "processes": f"{self.n_processes:,} with {self.threads:,} thread{'s' * (self.threads != 1)} each",
        }
        if self.heads:
            rows["heads"] = f"{len(self.heads):,}: {named_heads(self.heads)}"
        if self.seconds is not None and self.memory is not None:
            rows["memory of a process"] = f"about {cost.gigabytes(self.memory)} with Python and torch, measured here"
        if self.seconds is not None and self.gpu_memory is not None:
            rows["memory of the GPU"] = f"about {cost.gigabytes(self.gpu_memory)}, measured here"
        if self.seconds is not None:
            whole = self.seconds * (self.n_records / self.n_processes + 2 * self.n_places)
            places = f", with the noise floor at {counted(self.n_places, 'locus', 'loci')}" if self.n_places else ""
            rows["time of an SNV"] = f"about {cost.duration(self.seconds)}, measured here on {self.device}"
            rows["time of the run"] = f"about {cost.duration(whole)}, if each record is one SNV{places}"
        return cost.table(rows)


def estimate(job: ScoringJob, *, on_preflight: Callable[[Preflight], None] | None = None) -> ScoringCost:
    """Return the cost of a job, which is checked as for a run; nothing is written, and N_TIMED SNVs at most are scored.

    Raises the errors of `open_plan`.
    """
    nowhere = replace(job, outputs=replace(job.outputs, sink="-", matrix=None), shard=None, assemble=False)
    with open_plan(nowhere, on_preflight=on_preflight) as plan:
        try:
            scorer = plan.scorer
            variants = _snvs(plan.preflight.places_with_bases, job.genome)
            timed = _timed(scorer, variants) if variants else None
            memory = peak_memory()
            of_heads = scorers_of_heads(scorer)
            if timed is not None and memory is not None and job.runtime.device == "cpu":
                memory += sum(several.more_bytes(timed.n) for several in of_heads)
            return ScoringCost(
                sum(map(cost.count_parameters, job.scoring.models)),
                scorer.window,
                job.scoring.both_strands,
                scorer.flops_per_variant / 2,
                plan.preflight.n_records,
                plan.workers.n_workers(lambda: plan.partition.n_missing(plan.parts)),
                plan.workers.threads,
                None if timed is None else timed.seconds,
                job.runtime.device,
                memory,
                torch.cuda.max_memory_allocated(job.runtime.device) if job.runtime.device.startswith("cuda") else None,
                [part.head for several in of_heads for part in several.parts],
                n_places(scorer, plan.preflight.n_records, job.checks.n_noise) if scorer.has_noise_floor else 0,
            )
        finally:
            plan.parts.remove()


class _Timed(NamedTuple):
    seconds: float  # per SNV
    n: int  # SNVs that were scored together


def _timed(scorer: VariantScorer, variants: Sequence[Variant]) -> _Timed:
    """Score some SNVs and return the time of one, of as many as take MOST_SECONDS together."""
    began = time.perf_counter()
    scorer.score(variants[:1])  # the first call also loads kernels
    first = time.perf_counter() - began
    several = variants[: int(min(len(variants), MOST_SECONDS / max(first, 1e-9)))]
    if len(several) < min(2, len(variants)):
        return _Timed(first, 1)
    began = time.perf_counter()
    scorer.score(several)
    return _Timed((time.perf_counter() - began) / len(several), len(several))


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
