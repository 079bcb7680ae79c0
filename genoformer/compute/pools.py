"""Pools of worker processes on this machine or on a Ray cluster; each process opens its task, such as a model, once.

The result of a part does not depend on the process that computes it, if all processors are of one type and the number of
threads is the same. If a process dies, another computes its part again.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from genoformer.compute.spawning import SPAWN, start_tracker
from genoformer.errors import ConfigError, GenoformerError
from genoformer.progress import Stage

Input = TypeVar("Input")
Result = TypeVar("Result")
InputIn = TypeVar("InputIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)

_SETTINGS = {  # environment of a Ray cluster that this process starts
    "RAY_worker_niceness": "0",  # at Ray's default of 15 other processes take nearly all CPU time
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_ATTEMPTS = 3  # at a part whose process dies


class WorkerError(GenoformerError):
    """Worker processes died repeatedly on the same part."""


class Task(Protocol[InputIn, ResultOut]):
    """Picklable description of the work of a process: how a part is computed from its input."""

    @property
    def device(self) -> str: ...
    @property
    def threads(self) -> int: ...  # CPU threads of a process
    def open(self) -> AbstractContextManager[Callable[[InputIn], ResultOut]]: ...  # loads what all parts share


class PartStore(Protocol[Result]):
    """Storage of finished parts."""

    def get(self, i: int) -> Result | None: ...  # None if it is missing or damaged
    def put(self, i: int, result: Result) -> None: ...


class Pool(ABC):
    """Worker processes that compute parts."""

    n_workers: int

    @abstractmethod
    def __enter__(self) -> Self: ...
    @abstractmethod
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
    @abstractmethod
    def submit(self, part: Any) -> Any:
        """Submit the input of a part; return a ticket for the result."""

    @abstractmethod
    def next_done(self, tickets: Sequence[Any]) -> Any:
        """Wait for a part to finish or fail; return its ticket."""

    @abstractmethod
    def result(self, ticket: Any) -> Any:
        """Return the result of a finished part; None if its process died. Raises the errors of the task."""


class LocalPool(Pool):
    """Worker processes on this machine."""

    def __init__(self, task: Task[Any, Any], n_workers: int) -> None:
        if task.device != "cpu":
            raise ConfigError(
                f"{n_workers} workers would share {task.device}; use one worker, or the engine ray with a GPU for each."
            )
        self.task, self.n_workers = task, n_workers

    def __enter__(self) -> Self:
        start_tracker()
        self.executor = ProcessPoolExecutor(
            self.n_workers,
            mp_context=SPAWN,
            initializer=_begin,
            initargs=(self.task,),
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.executor.shutdown(wait=True, cancel_futures=True)

    def submit(self, part: Any) -> Future[Any]:
        for _ in range(_ATTEMPTS):
            try:
                return self.executor.submit(_do, part)
            except (BrokenProcessPool, BrokenPipeError):  # a process died, or while it started
                self.executor.shutdown(wait=False)
                for process in list((self.executor._processes or {}).values()):
                    process.kill()  # that waits for work
                self.__enter__()
        raise WorkerError(
            f"{_ATTEMPTS} times a process died while it started (out of memory?); what is finished is kept; give fewer workers "
            "and repeat the command."
        )

    def next_done(self, tickets: Sequence[Future[Any]]) -> Future[Any]:
        return next(iter(wait(tickets, return_when=FIRST_COMPLETED).done))

    def result(self, ticket: Future[Any]) -> Any:
        try:
            return ticket.result()
        except BrokenProcessPool:
            return None


class RayPool(Pool):
    """Actors on a Ray cluster: one per GPU if the cluster has GPUs, else as many as its processors allow."""

    def __init__(self, task: Task[Any, Any], address: str | None, n_workers: int | None) -> None:
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

    def submit(self, part: Any) -> Any:
        self.turn += 1
        return self.actors[self.turn % self.n_workers].do.remote(self.shared, part)

    def next_done(self, tickets: Sequence[Any]) -> Any:
        done, _ = self.ray.wait(list(tickets), num_returns=1)
        return done[0]

    def result(self, ticket: Any) -> Any:
        try:
            return self.ray.get(ticket)
        except self.ray.exceptions.RayActorError:
            return None
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None


class _Actor:
    """Worker process of the cluster; it opens the task with its first part, also after a restart."""

    compute: Callable[[Any], Any] | None = None

    def do(self, task: Task[Any, Any], part: Any) -> Any:
        if self.compute is None:
            self.compute = _opened(task)
        return self.compute(part)


_compute: Callable[[Any], Any] | None = None  # of this process
_kept = ExitStack()  # what the task of this process has opened; never closed


def _opened(task: Task[Input, Result]) -> Callable[[Input], Result]:
    """Open a task until the process ends."""
    return _kept.enter_context(task.open())


def _begin(task: Task[Any, Any]) -> None:
    import signal

    global _compute
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _compute = _opened(task)


def _exit_with_parent() -> None:
    """End this process when its parent ends, even if killed; else it would wait for work forever and keep its model."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _do(part: Any) -> Any:
    assert _compute is not None
    return _compute(part)


def run_local(
    inputs: Iterable[Input],
    compute: Callable[[Input], Result],
    parts: PartStore[Result],
    stage: Stage | None = None,
    in_shard: Callable[[int], bool] = lambda i: True,
    size: Callable[[Any], int] = len,
) -> int:
    """Compute the missing parts one by one in this process; return the number of all parts.

    inputs: of the parts, in order. stage: counts the items of finished parts, of which `size` gives the number in an input.
    in_shard: True for the number of a part that this process has to compute.
    """
    n, stage = 0, stage or Stage(None, "")
    for i, part in enumerate(inputs):
        n = i + 1
        if not in_shard(i):
            continue
        if parts.get(i) is None:
            parts.put(i, compute(part))
        stage.add(size(part))
    return n


def run_pool(
    inputs: Iterable[Input],
    pool: Pool,
    parts: PartStore[Any],
    stage: Stage | None = None,
    in_shard: Callable[[int], bool] = lambda i: True,
    size: Callable[[Any], int] = len,
) -> int:
    """Compute the missing parts with a pool; arguments and result are as in `run_local`."""
    n, submitted, stage = 0, _Submitted(pool, parts), stage or Stage(None, "")
    with pool:
        for i, part in enumerate(inputs):
            n = i + 1
            if not in_shard(i):
                continue
            if parts.get(i) is not None:
                stage.add(size(part))
                continue
            while len(submitted) >= 2 * pool.n_workers:
                stage.add(size(submitted.store_one()))
            submitted.add(i, part)
        while submitted:
            stage.add(size(submitted.store_one()))
    return n


def pool_results(
    inputs: Iterable[Input],
    pool: Pool,
    parts: PartStore[Result],
    stage: Stage | None = None,
    size: Callable[[Any], int] = len,
) -> Iterator[tuple[Input, Result]]:
    """Yield the input and the result of each part, in order, while a pool computes the missing parts that follow.

    Memory holds the inputs of the parts that are being computed. Arguments are as in `run_local`.
    """
    submitted, stage = _Submitted(pool, parts), stage or Stage(None, "")
    queue: deque[tuple[int, Input]] = deque()  # parts whose turn has not come
    with pool:
        for i, part in enumerate(inputs):
            queue.append((i, part))
            if parts.get(i) is not None:
                stage.add(size(part))
            else:
                submitted.add(i, part)
            while len(queue) > 4 * pool.n_workers or len(submitted) >= 2 * pool.n_workers:
                if queue[0][0] in submitted.numbers:
                    stage.add(size(submitted.store_one()))
                else:
                    yield queue[0][1], _stored(parts, queue.popleft()[0])
        while queue:
            while queue[0][0] in submitted.numbers:
                stage.add(size(submitted.store_one()))
            yield queue[0][1], _stored(parts, queue.popleft()[0])


def _stored(parts: PartStore[Result], i: int) -> Result:
    result = parts.get(i)
    assert result is not None
    return result


class _Submitted:
    """Parts that a pool computes."""

    def __init__(self, pool: Pool, parts: PartStore[Any]) -> None:
        self._pool, self._parts = pool, parts
        self._tickets: dict[Any, tuple[int, Any, int]] = {}
        self.numbers: set[int] = set()

    def __len__(self) -> int:
        return len(self.numbers)

    def add(self, i: int, part: Any) -> None:
        """Submit part i."""
        self._tickets[self._pool.submit(part)] = (i, part, 1)
        self.numbers.add(i)

    def store_one(self) -> Any:
        """Wait until a part is finished, store its result, and return its input. Raises WorkerError."""
        while True:
            ticket = self._pool.next_done(list(self._tickets))
            i, part, attempt = self._tickets.pop(ticket)
            result = self._pool.result(ticket)
            if result is not None:
                self._parts.put(i, result)
                self.numbers.remove(i)
                return part
            if attempt >= _ATTEMPTS:
                raise WorkerError(
                    f"the process of part {i} died {attempt} times (out of memory?); what is finished is kept; give fewer "
                    "workers and repeat the command."
                )
            self._tickets[self._pool.submit(part)] = (i, part, attempt + 1)
