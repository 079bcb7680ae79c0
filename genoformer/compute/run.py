"""PartedRun: a partition, a task and a store -> results in the order of the parts, from whichever process computed them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from genoformer.compute.partition import Partition
from genoformer.compute.pools import LocalPool, PartStore, Pool, RayPool, Task, pool_results, run_local, run_pool
from genoformer.compute.settings import Compute
from genoformer.errors import GenoformerError
from genoformer.files import lock_folder
from genoformer.progress import Stage
from genoformer.resume_folder import ResumeFolder

Input = TypeVar("Input")
Result = TypeVar("Result")
Folder = TypeVar("Folder", bound=ResumeFolder)


class NumberedStore(PartStore[Result], Protocol[Result]):
    """Storage of finished parts that knows their numbers; a subclass of ResumeFolder is one."""

    def numbers(self) -> set[int]: ...


class MemoryStore(Generic[Result]):
    """Store without files, for results that nobody can reuse: each is dropped when it has been read."""

    def __init__(self) -> None:
        self._parts: dict[int, Result] = {}

    def get(self, i: int) -> Result | None:
        return self._parts.pop(i, None)

    def put(self, i: int, result: Result) -> None:
        self._parts[i] = result

    def numbers(self) -> set[int]:
        return set(self._parts)


@contextmanager
def resumable(folder: Folder, output: Path, compute: Compute) -> Iterator[Folder]:
    """Yield the resume folder of an output, locked; it is removed when the block ends without an error.

    Several shards may use it together, and do not remove it. After an error, an empty folder is removed.
    """
    is_shard = compute.shard is not None
    with nullcontext() if is_shard else lock_folder(folder.path, output):
        try:
            yield folder
        except BaseException as error:
            is_ours = not is_shard or isinstance(error, GenoformerError)  # another shard may have started too
            if is_ours and folder.is_new and not folder.numbers():
                folder.remove()
            raise
        if not is_shard:
            folder.remove()


@dataclass(frozen=True)
class PartedRun(Generic[Input, Result]):
    """A long command: the inputs of its parts, how a part is computed, and where finished parts are kept.

    size: number of items in the input of a part, for the counts of `stage`.
    """

    partition: Partition[Input]
    task: Task[Input, Result]
    store: NumberedStore[Result]
    compute: Compute
    size: Callable[[Any], int] = len

    def results(self, stage: Stage) -> Iterator[tuple[Input, Result]]:
        """Yield the input and the result of each part, in order.

        In one process, each part is computed when it is its turn; a pool computes some parts ahead. Raises JobError if all
        parts have to be there and one is missing.
        """
        if self.compute.assemble:
            self.partition.require(self.store)
        pool = self._pool()
        if pool is None:
            yield from self._one_by_one(stage)
            return
        yield from pool_results(self.partition.parts(), pool, self.store, stage, self.size)

    def compute_shard(self, output: Path, stage: Stage) -> str:
        """Compute the missing parts of the shard of an output; return a sentence on the parts that are done."""
        partition, store = self.partition, self.store
        assert partition.shard is not None
        if isinstance(store, ResumeFolder) and self.compute.command:
            store.note(self.compute.command)
        pool = self._pool()
        if pool is not None:
            n = run_pool(partition.parts(), pool, store, stage, partition.in_shard, self.size)
        else:
            with self.task.open() as compute:
                n = run_local(partition.parts(), compute, store, stage, partition.in_shard, self.size)
        i, n_shards = partition.shard
        done = f"{len(store.numbers()):,} of {n:,} parts are done"
        return f"shard {i}/{n_shards}: {done}; when all are: genoformer merge {shlex.quote(str(output))}"

    def _one_by_one(self, stage: Stage) -> Iterator[tuple[Input, Result]]:
        compute: Callable[[Input], Result] | None = None
        with ExitStack() as stack:
            for i, part in enumerate(self.partition.parts()):
                result = self.store.get(i)
                if result is None:
                    compute = compute or stack.enter_context(self.task.open())
                    result = compute(part)
                    if isinstance(self.store, ResumeFolder):
                        self.store.put(i, result)
                stage.add(self.size(part))
                yield part, result

    def _pool(self) -> Pool | None:
        """Return the pool that computes the missing parts; None if this process does."""
        compute = self.compute
        if compute.assemble:
            return None
        if compute.engine != "local":
            return RayPool(self.task, compute.address, compute.workers)
        n_workers = self._count_missing(compute.workers) if (compute.workers or 1) > 1 else 1
        return LocalPool(self.task, n_workers) if n_workers > 1 else None

    def _count_missing(self, most: int | None) -> int:
        """Return the number of missing parts, counted up to `most`."""
        stored, partition = self.store.numbers(), self.partition
        missing = (i for i, _ in enumerate(partition.parts()) if partition.in_shard(i) and i not in stored)
        return sum(1 for _ in islice(missing, most))
