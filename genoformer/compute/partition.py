"""Partition: the inputs of a run, divided into parts, and the parts of a shard."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from genoformer.compute.settings import Shard
from genoformer.config import current_option
from genoformer.resume_folder import JobError, folder_of

Input = TypeVar("Input")
InputOut = TypeVar("InputOut", covariant=True)

THREADS = "number of threads"  # key in the job of a resume folder


class Numbered(Protocol):
    """Storage that knows the numbers of its parts."""

    def numbers(self) -> set[int]: ...


class Partition(ABC, Generic[InputOut]):
    """Division of the input of a run into parts, which are numbered from 0."""

    shard: Shard | None  # this process computes every n-th part

    @abstractmethod
    def parts(self) -> Iterator[InputOut]:
        """Yield the input of each part; each call begins with the first."""

    @cached_property
    def n_parts(self) -> int:
        return sum(1 for _ in self.parts())

    def in_shard(self, i: int) -> bool:
        return self.shard is None or i % self.shard[1] == self.shard[0] - 1

    def n_missing(self, stored: Numbered) -> int:
        """Return the number of missing parts of this shard."""
        return sum(self.in_shard(i) for i in set(range(self.n_parts)) - stored.numbers())

    def require(self, stored: Numbered) -> None:
        """Raise JobError if a part is missing."""
        if lost := sorted(set(range(self.n_parts)) - stored.numbers()):
            raise JobError(
                f"{len(lost):,} of {self.n_parts:,} parts are missing (the first has number {lost[0] + 1}); run the missing "
                "shards, or the job without a shard."
            )


@dataclass(frozen=True)
class InputParts(Partition[Input]):
    """Parts whose inputs a function returns, the same on each call."""

    make: Callable[[], Iterable[Input]]
    shard: Shard | None = None

    def parts(self) -> Iterator[Input]:
        """Yield the input of each part; each call begins with the first."""
        return iter(self.make())


def resumed_threads(output: Path | None) -> int | None:
    """Return the number of threads of the unfinished work for an output; the last digits of results depend on it."""
    if output is None:
        return None
    try:
        return int(json.loads((folder_of(output) / "job.json").read_text(encoding="utf-8"))[THREADS])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def resumed_command(output: Path) -> tuple[Path, list[str]]:
    """Return the working directory and the command of the unfinished work for an output; JobError if there is none."""
    inner = sorted(output.with_name(f".{output.name}.work").glob(".*.parts/command.json"))  # of `calibrate`
    note = (inner or [folder_of(output) / "command.json"])[0]
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
        return Path(noted["folder"]), [current_option(str(text)) for text in noted["command"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JobError(
            f"there is no unfinished work for {output} ({note} cannot be read); give the output of a run with shards."
        ) from error
