"""Long commands as sequences of parts: computed in this process, in workers, on a Ray cluster or as shards; kept; resumed."""

from genoformer.compute.partition import (
    THREADS,
    InputParts,
    MissingPartsError,
    Partition,
    resumed_command,
    resumed_threads,
    reused_note,
    split_shard,
)
from genoformer.compute.pools import Task
from genoformer.compute.run import MemoryStore, PartedRun, resumable
from genoformer.compute.settings import IN_PROCESS, Compute

__all__ = [
    "IN_PROCESS",
    "THREADS",
    "Compute",
    "MemoryStore",
    "InputParts",
    "MissingPartsError",
    "PartedRun",
    "Partition",
    "Task",
    "resumable",
    "resumed_command",
    "resumed_threads",
    "reused_note",
    "split_shard",
]
