"""Processes of a scoring run: what a worker computes, how many workers there are, and with how many threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from genoformer import inference
from genoformer.compute.garbage import rare_collections
from genoformer.compute.pools import LocalPool, Pool, RayPool, run_local, run_pool
from genoformer.errors import ConfigError
from genoformer.genome.reference import Genome
from genoformer.genome.variants import ContigNames
from genoformer.progress import Stage
from genoformer.scoring.parts import Compute, PartFolder, RecordPartition
from genoformer.scoring.scorers import open_scorer
from genoformer.scoring.settings import Runtime, Scoring
from genoformer.scoring.variant_scorer import VariantScorer
from genoformer.scoring.worker import score_records

WORTH_PROCESSES = 1e13  # operations of a run from which on a pool pays off; a process takes seconds to start
_LARGE = 2e11  # operations per ALT from which on one process uses all cores
_MOST = 256  # processes, or threads per process, allowed even on a small machine; OpenMP aborts if it cannot have its threads


@dataclass
class WorkerTask:
    """Picklable description of a worker's job: score records, with `names` for the contigs."""

    genome: Genome
    scoring: Scoring
    runtime: Runtime
    names: ContigNames
    threads: int = 1  # of a process

    @property
    def device(self) -> str:
        return self.runtime.device

    @contextmanager
    def open(self) -> Iterator[Compute]:
        """Yield the function that scores records; its models are on the device in the block."""
        threads, opened = inference.threads(self.threads), open_scorer(self.genome, self.scoring, self.runtime)
        with rare_collections(), threads, opened as scorer:
            yield lambda records: score_records(records, self.genome, scorer, self.names)


class WorkerPlan(NamedTuple):
    """Number of processes and threads that a run uses."""

    engine: str
    requested: int | None  # processes
    threads: int  # CPU threads per process
    small: bool  # one process finishes sooner than a pool would start
    n_cores: int

    def n_workers(self, count_missing: Callable[[], int]) -> int:
        """Return the number of processes on this machine for the missing parts, which are counted only if it matters."""
        if self.requested == 1 or (self.small and not self.requested):
            return 1
        return max(1, min(self.requested or self.n_cores // self.threads, count_missing()))


def plan_workers(scorer: VariantScorer, n_records: int, runtime: Runtime, *, threads: int | None, sharded: bool) -> WorkerPlan:
    """Choose the number of processes and threads of a run.

    threads: number of an interrupted run, or requested. sharded: other commands compute some of the parts. The number of
    threads depends on the model and the request, never on the remaining work, because the last digits of scores depend on it.
    Raises ConfigError for many more processes or threads than the machine has.
    """
    engine, workers, flops = runtime.engine, runtime.workers, scorer.flops_per_variant
    n_cores, most = inference.n_cores(), max(_MOST, 4 * (os.cpu_count() or 1))
    for what, n in (("threads", threads), ("workers", workers if engine == "local" else None)):
        if n is not None and n > most:
            raise ConfigError(f"{n:,} {what}: this machine has {os.cpu_count()} processors; give that many at the most.")
    small = runtime.device != "cpu" or n_records * flops < WORTH_PROCESSES
    several = engine != "local" or sharded or (not small if workers is None else workers > 1)
    return WorkerPlan(engine, workers, threads or (1 if several and flops < _LARGE else n_cores), small, n_cores)


def run_parts(
    plan: WorkerPlan,
    partition: RecordPartition,
    parts: PartFolder,
    compute: Compute,
    task: WorkerTask,
    stage: Stage,
) -> int:
    """Compute the missing parts in this process, or in a pool of workers; return the number of all parts."""
    lists, in_shard = partition.parts(), partition.in_shard
    if plan.engine != "local":
        pool: Pool = RayPool(task, plan.engine.partition(":")[2] or None, plan.requested)
    elif (n_workers := plan.n_workers(lambda: partition.n_missing(parts))) > 1:
        pool = LocalPool(task, n_workers)
    else:
        return run_local(lists, compute, parts, stage, in_shard)
    return run_pool(lists, pool, parts, stage, in_shard)
