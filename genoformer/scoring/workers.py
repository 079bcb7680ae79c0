"""Pools of worker processes on this machine or on a Ray cluster; each process loads the model once.

The bytes of a part do not depend on the process that computes it, if all processors are of one type and the number of threads
is the same. If a process dies, another computes its part again.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

import torch

from genoformer import inference
from genoformer.errors import ConfigError, GenoformerError
from genoformer.formats.vcf import Record
from genoformer.genome.reference import Genome
from genoformer.genome.variants import ContigNames
from genoformer.progress import Stage
from genoformer.scoring.parts import Compute, PartFolder, Partition, PartResult, Parts, run_local
from genoformer.scoring.scorers import VariantScorer, open_scorer
from genoformer.scoring.settings import Runtime, Scoring
from genoformer.scoring.worker import score_records

_SETTINGS = {  # environment of a Ray cluster that this process starts
    "RAY_worker_niceness": "0",  # at Ray's default of 15 other processes take nearly all CPU time
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
WORTH_PROCESSES = 1e13  # operations of a run from which on a pool pays off; a process takes seconds to start
_LARGE = 2e11  # operations per ALT from which on one process uses all cores
_ATTEMPTS = 3  # at a part whose process dies
_MOST = 256  # processes, or threads per process, allowed even on a small machine; OpenMP aborts if it cannot have its threads


class WorkerError(GenoformerError):
    """Worker processes died repeatedly on the same part."""


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

    def compute(self) -> Compute:
        """Return the function that scores records; its models stay on the device until the process ends."""
        kept = ExitStack()  # closing it would close the scorer
        scorer = kept.enter_context(open_scorer(self.genome, self.scoring, self.runtime))
        return lambda records, _=kept: score_records(records, self.genome, scorer, self.names)  # type: ignore[misc]


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
    partition: Partition,
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


class Pool(ABC):
    """Worker processes that compute parts."""

    n_workers: int

    @abstractmethod
    def __enter__(self) -> Self: ...
    @abstractmethod
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
    @abstractmethod
    def submit(self, records: Sequence[Record]) -> Any:
        """Submit records; return a ticket for the result."""

    @abstractmethod
    def next_done(self, tickets: Sequence[Any]) -> Any:
        """Wait for a part to finish or fail; return its ticket."""

    @abstractmethod
    def result(self, ticket: Any) -> PartResult | None:
        """Return the result of a finished part; None if its process died. Raises the errors of scoring."""


class LocalPool(Pool):
    """Worker processes on this machine."""

    def __init__(self, task: WorkerTask, n_workers: int) -> None:
        if task.device != "cpu":
            raise ConfigError(
                f"{n_workers} workers would share {task.device}; use one worker, or the engine ray with a GPU for each."
            )
        self.task, self.n_workers = task, n_workers

    def __enter__(self) -> Self:
        import torch.multiprocessing as processes

        self.executor = ProcessPoolExecutor(
            self.n_workers,
            mp_context=processes.get_context("spawn"),
            initializer=_begin,
            initargs=(self.task,),
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.executor.shutdown(wait=True, cancel_futures=True)

    def submit(self, records: Sequence[Record]) -> Future[PartResult]:
        try:
            return self.executor.submit(_do, list(records))
        except BrokenProcessPool:
            self.executor.shutdown(wait=False)
            self.__enter__()
            return self.executor.submit(_do, list(records))

    def next_done(self, tickets: Sequence[Future[PartResult]]) -> Future[PartResult]:
        return next(iter(wait(tickets, return_when=FIRST_COMPLETED).done))

    def result(self, ticket: Future[PartResult]) -> PartResult | None:
        try:
            return ticket.result()
        except BrokenProcessPool:
            return None


class RayPool(Pool):
    """Actors on a Ray cluster: one per GPU if the cluster has GPUs, else as many as its processors allow."""

    def __init__(self, task: WorkerTask, address: str | None, n_workers: int | None) -> None:
        try:
            import ray
        except ImportError as error:
            raise ConfigError("Ray is not installed; install genoformer[ray], or use the engine local.") from error
        self.ray: Any = ray  # untyped, because Ray's types do not cover the results of `remote`
        self.task, self.address, self.asked = task, address, n_workers

    def __enter__(self) -> Self:
        self.started = not self.ray.is_initialized()
        if self.started:
            for name, value in _SETTINGS.items():
                os.environ.setdefault(name, value)
            try:
                self.ray.init(
                    self.address,
                    num_cpus=(self.asked or 0) * self.task.threads or None,
                    include_dashboard=False,
                    configure_logging=False,
                    log_to_driver=False,
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                where = f"at {self.address} ({error})"
                raise ConfigError(f"no Ray cluster answers {where}; start one, or leave out the address.") from error
        there = self.ray.cluster_resources()
        n_gpus = int(there.get("GPU", 0)) if self.task.device != "cpu" else 0
        n_cpus = self.task.threads
        self.n_workers = self.asked or n_gpus or max(1, int(there.get("CPU", 1)) // n_cpus)
        needs = {"num_cpus": n_cpus, "num_gpus": 1 if n_gpus else 0}
        actor = self.ray.remote(**needs, max_restarts=-1, max_task_retries=_ATTEMPTS)(_Actor)
        self.shared = self.ray.put(self.task)
        self.actors = [actor.remote() for _ in range(self.n_workers)]
        self.turn = 0
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for actor in self.actors:
            self.ray.kill(actor)
        if self.started:
            self.ray.shutdown()

    def submit(self, records: Sequence[Record]) -> Any:
        self.turn += 1
        return self.actors[self.turn % self.n_workers].do.remote(self.shared, list(records))

    def next_done(self, tickets: Sequence[Any]) -> Any:
        done, _ = self.ray.wait(list(tickets), num_returns=1)
        return done[0]

    def result(self, ticket: Any) -> PartResult | None:
        try:
            found: PartResult = self.ray.get(ticket)
        except self.ray.exceptions.RayActorError:
            return None
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        return found


class _Actor:
    """Worker process of the cluster; it loads the model with its first part, also after a restart."""

    compute: Compute | None = None

    def do(self, task: WorkerTask, records: Sequence[Record]) -> PartResult:
        if self.compute is None:
            torch.set_num_threads(task.threads)
            self.compute = task.compute()
        return self.compute(records)


_compute: Compute | None = None  # of this process


def _begin(task: WorkerTask) -> None:
    import signal

    global _compute
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    torch.set_num_threads(task.threads)
    _compute = task.compute()


def _exit_with_parent() -> None:
    """End this process when its parent ends, even if killed; else it would wait for work forever and keep its model."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _do(records: Sequence[Record]) -> PartResult:
    assert _compute is not None
    return _compute(records)


def run_pool(
    lists: Iterable[Sequence[Record]],
    pool: Pool,
    parts: Parts,
    stage: Stage | None = None,
    in_shard: Callable[[int], bool] = lambda i: True,
) -> int:
    """Compute the missing parts with a pool; arguments and result are as in `parts.run_local`."""
    waiting: dict[Any, tuple[int, Sequence[Record], int]] = {}
    counted = stage or Stage(None, "score")

    def finish_one() -> None:
        ticket = pool.next_done(list(waiting))
        i, chunk, attempt = waiting.pop(ticket)
        scored = pool.result(ticket)
        if scored is not None:
            parts.put(i, scored)
            counted.add(len(chunk))
        elif attempt < _ATTEMPTS:
            waiting[pool.submit(chunk)] = (i, chunk, attempt + 1)
        else:
            raise WorkerError(
                f"the process of part {i} died {attempt} times (out of memory?); what is finished is kept; give fewer workers "
                "and repeat the command."
            )

    n = 0
    with pool:
        for i, chunk in enumerate(lists):
            n = i + 1
            if not in_shard(i):
                continue
            if parts.get(i) is not None:
                counted.add(len(chunk))
                continue
            while len(waiting) >= 2 * pool.n_workers:
                finish_one()
            waiting[pool.submit(chunk)] = (i, chunk, 1)
        while waiting:
            finish_one()
    return n
