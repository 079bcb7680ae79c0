"""Compute: which processes compute the parts of a long command, and which of the parts."""

from __future__ import annotations

from dataclasses import dataclass

from genoformer.errors import OptionError
from genoformer.option_checks import check_flag, check_number

Shard = tuple[int, int]  # (i, n), i from 1: every n-th part


@dataclass(frozen=True)
class Compute:
    """Processes of a run and its shard; results do not depend on them if each process has the same number of threads.

    Raises OptionError for a value of another kind or out of its range.

    >>> Compute(workers=2).is_parallel, Compute(shard=(2, 8)).shard
    (True, (2, 8))
    """

    workers: int | None = None  # processes, each with the model; None: one, on Ray as many as the cluster has room for
    threads: int | None = None  # CPU threads per process; None: all cores in one process, else one thread
    engine: str = "local"  # or "ray" or "ray:ADDRESS"
    shard: Shard | None = None  # compute only these parts, without output; text such as "2/8" is read
    assemble: bool = False  # refuse to run if a part is missing
    command: tuple[str, ...] = ()  # command line to store with the parts, for `merge`

    def __post_init__(self) -> None:
        check_number("workers", self.workers, 1)
        check_number("threads", self.threads, 1)
        check_engine(self.engine)
        check_flag("assemble", self.assemble)
        object.__setattr__(self, "shard", parse_shard(self.shard))

    @property
    def is_parallel(self) -> bool:
        """True if several processes compute the parts."""
        return self.engine != "local" or self.shard is not None or (self.workers or 1) > 1

    @property
    def address(self) -> str | None:
        """Address of the Ray cluster; None for a new one."""
        return self.engine.partition(":")[2] or None

    def refuse(self, found: str) -> None:
        """Raise OptionError for several processes where they are not possible; `found` is the reason."""
        if self.engine != "local":
            raise OptionError("engine", f"is {self.engine}, found {found}; leave it out.")
        if (self.workers or 1) > 1:
            raise OptionError("workers", f"is {self.workers}, found {found}; leave it out.")
        self.refuse_shard(found)

    def refuse_shard(self, found: str) -> None:
        """Raise OptionError if a shard is requested where its parts cannot be kept; `found` is what has no file."""
        if self.shard is not None or self.assemble:
            raise OptionError("shard", f"keeps its parts next to an output, found {found}; leave it out, or give a file.")

    def n_threads(self, resumed: int | None, n_cores: int) -> int:
        """Return the CPU threads of each process; `resumed` is their number in an interrupted run, whose parts are reused."""
        return self.threads or resumed or (1 if self.is_parallel or self.assemble else n_cores)


def check_engine(engine: object) -> None:
    """Raise OptionError for an unknown engine."""
    if not isinstance(engine, str) or (engine != "local" and engine.partition(":")[0] != "ray"):
        raise OptionError("engine", f"is {engine!r}, expected local, ray or ray:ADDRESS; give one of them.")


def parse_shard(shard: object) -> Shard | None:
    """Return the number of a shard and the number of shards, from text such as "2/8" or a pair; None for None.

    Raises OptionError for anything else.

    >>> parse_shard("2/8"), parse_shard((1, 4)), parse_shard(None)
    ((2, 8), (1, 4), None)
    """
    if shard is None:
        return None
    numbers = shard.split("/") if isinstance(shard, str) else list(shard) if isinstance(shard, tuple | list) else []
    if len(numbers) == 2 and all(str(number).isdecimal() for number in numbers):
        i, n = map(int, numbers)
        if 1 <= i <= n:
            return i, n
    raise OptionError("shard", f"is {shard}, expected the number of the shard and the number of shards; give one such as 2/8.")


IN_PROCESS = Compute()
