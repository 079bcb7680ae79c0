"""Partition: the inputs of a run, divided into parts, and the parts of a shard."""

from __future__ import annotations

import json
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from genoformer.compute.settings import Shard, parse_shard
from genoformer.config import current_option
from genoformer.resume_folder import JobError, folder_of

Input = TypeVar("Input")
InputOut = TypeVar("InputOut", covariant=True)

THREADS = "number of threads"  # key in the job of a resume folder


_MOST_SHARDS = 5  # that an error names


class MissingPartsError(JobError):
    """Parts that have to be there are missing; numbers: theirs, from 0."""

    def __init__(self, numbers: Sequence[int], n_parts: int) -> None:
        self.numbers, self.n_parts = numbers, n_parts
        super().__init__(
            f"{len(numbers):,} of {n_parts:,} parts are missing (the first has number {numbers[0] + 1}); run the missing "
            "shards, or the job without a shard."
        )

    def with_command(self, folder: Path, command: Sequence[str], shard: Shard | None) -> JobError:
        """Return an error that names the missing shards and the command that computes them.

        command: without --shard, started in `folder`. shard: one of its shards; None if it has none.
        """
        where = "" if folder == Path.cwd() else f" in {folder}"
        if shard is None:
            found = f"{len(self.numbers):,} of {self.n_parts:,} parts are missing"
            return JobError(f"{found}; run `{_text(command)}`{where}, which computes them and writes the output.")
        n = shard[1]
        missing = sorted({number % n for number in self.numbers})
        names = [f"{i + 1}/{n}" for i in missing]
        n_parts = sum(len(range(i, self.n_parts, n)) for i in missing)
        parts = f"{len(self.numbers):,} of {'their' if names[1:] else 'its'} {n_parts:,} parts are missing"
        shown = [*names[:_MOST_SHARDS], *([f"{len(names) - _MOST_SHARDS} more"] if len(names) > _MOST_SHARDS else [])]
        which = f"shards {', '.join(shown[:-1])} and {shown[-1]} have" if names[1:] else f"shard {names[0]} has"
        others = ", and the others likewise" if names[1:] else ""
        run = f"run `{_text([*command, '--shard', names[0]])}`{where}{others}; then merge again"
        return JobError(f"{which} not finished: {parts}; {run}.")


def _text(command: Sequence[str]) -> str:
    return f"genoformer {shlex.join(command)}"


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
        """Raise MissingPartsError if a part is missing."""
        if lost := sorted(set(range(self.n_parts)) - stored.numbers()):
            raise MissingPartsError(lost, self.n_parts)


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


def split_shard(command: Sequence[str]) -> tuple[list[str], Shard | None]:
    """Return the words of a command without its option --shard, and its shard.

    >>> split_shard(["score", "in.vcf", "--shard", "2/8", "-q"])
    (['score', 'in.vcf', '-q'], (2, 8))
    """
    words, shard, option = [], None, iter(command)
    for word in option:
        name, equals, text = word.partition("=")
        if name == "--shard":
            shard = parse_shard(text if equals else next(option, ""))
        else:
            words.append(word)
    return words, shard


def reused_note(n_found: int, joined: bool) -> str:
    """Return a note on parts that were there before a run; joined: it is a merge of shards."""
    which, were = ("parts of the shards", "joined") if joined else ("finished parts of an earlier run", "used")
    return f"{n_found:,} {which} were {were}"
