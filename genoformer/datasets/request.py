"""Requests for datasets: what the command line and the Python functions ask for, checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from genoformer.datasets.negatives import NEGATIVES
from genoformer.datasets.sites import Files, anchor_spans
from genoformer.datasets.targets import NEGATIVE
from genoformer.errors import ConfigError
from genoformer.genome.contigs import join_names
from genoformer.genome.reference import Genome

SPLITS = ("train", "valid", "test")
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class DatasetRequest:
    """Labelled windows of a genome, split by contig, to be written to the folder `out`.

    All windows have the same length: `length`, or `upstream` + `downstream`. With `length` alone, windows of a GTF or GFF3 have
    5/6 of it before the TSS and 1/6 from it on, as -250 .. +50, and other windows half and half.

    Raises: ConfigError for a value out of its range, or for options that exclude each other.
    """

    out: str | Path
    genome: Genome
    positives: Files  # class name -> BED, peaks, table, GTF or GFF3
    columns: Sequence[str] = ()  # roles of the files' columns, as in `--columns`
    length: int | None = None  # bases of a window, around the TSS, summit or middle; None: 300
    upstream: int | None = None  # bases before the TSS, summit or middle; together with `downstream`
    downstream: int | None = None  # bases from the TSS, summit or middle on
    negatives: str | None = "gc"  # one of NEGATIVES, or None
    ratio: float = 1.0  # negatives per positive
    valid: Sequence[str] = ()  # names of contigs
    test: Sequence[str] = ()  # names of contigs
    blacklist: str | Path | None = None  # BED of regions that no window may overlap
    max_n: float = 0.05  # largest fraction of N in a window; assembly gaps give all N or none
    seed: int = 0  # the same seed gives the same bytes

    def __post_init__(self) -> None:
        if not self.positives:
            raise ConfigError("no positives are given, but at least one class with its file is needed; give -p NAME=FILE.")
        for name in self.positives:
            if not name.strip() or any(mark in name for mark in ";\t\n\r"):
                raise ConfigError(f"the class name is {name!r}, but must be without semicolon, tab and line end; rename it.")
            if name == NEGATIVE and self.negatives is not None:
                raise ConfigError(f"a class is named {NEGATIVE}, as the negatives are; rename it, or make no negatives.")
        if self.negatives not in (None, *NEGATIVES):
            raise ConfigError(f"negatives are {self.negatives!r}, but must be {', '.join(NEGATIVES)} or none; correct it.")
        if self.negatives is None and len(self.positives) < 2:
            raise ConfigError("one class without negatives leaves nothing to classify; add a class or negatives.")
        if not 0 < self.ratio <= 1000:
            raise ConfigError(f"ratio is {self.ratio}, but must be above 0 and at most 1000; correct it.")
        check_max_n(self.max_n)
        _ = self.spans

    @cached_property
    def spans(self) -> dict[str, tuple[int, int]]:
        """Bases before the anchor, and bases from the anchor on, of the windows of each class."""
        return anchor_spans(self.positives, self.length, self.upstream, self.downstream)

    @property
    def width(self) -> int:
        """Length of all windows in bases."""
        return sum(next(iter(self.spans.values())))

    @property
    def folder(self) -> Path:
        return Path(self.out)

    @property
    def options(self) -> dict[str, Any]:
        """Options that the set depends on, for its manifest."""
        options = {
            "length": self.width,
            "spans": {name: list(span) for name, span in self.spans.items()},
            "negatives": self.negatives,
            "ratio": self.ratio,
            "valid": list(self.valid),
            "test": list(self.test),
            "max_n": self.max_n,
            "seed": self.seed,
        }
        return options | ({"columns": list(self.columns)} if self.columns else {})

    @property
    def inputs(self) -> dict[str, Path]:
        """Files that the set depends on, by their name in its manifest."""
        inputs = {"genome": self.genome.path, **{f"positives {name}": Path(path) for name, path in self.positives.items()}}
        return inputs | ({"blacklist": Path(self.blacklist)} if self.blacklist is not None else {})


@dataclass(frozen=True)
class TrackSetRequest:
    """Windows of a genome with the tracks of a table, to be written to the folder `out`.

    Raises: ConfigError for a value out of its range.
    """

    out: str | Path
    genome: Genome
    targets: str | Path  # table of the tracks
    windows: str | Path | None = None  # BED of windows; None: windows tile all contigs
    length: int | None = None  # bases of a window; None: that of the BED's rows, or Enformer's
    stride: int | None = None  # bases between windows that tile a contig; None: targets adjoin
    bin_size: int = 128  # bases; Enformer
    target_bins: int = 0  # bins with targets, in the middle of a window; 0: all
    valid: Sequence[str] = ()  # names of contigs
    test: Sequence[str] = ()  # names of contigs
    blacklist: str | Path | None = None  # BED of regions whose values are clipped
    max_n: float = 0.05  # largest fraction of N in a window, as in DatasetRequest
    tracks: str | Sequence[int] | None = None  # tracks of the table, by number, name or pattern; None: all

    def __post_init__(self) -> None:
        check_max_n(self.max_n)
        if self.windows is not None and self.stride is not None:
            raise ConfigError("stride is for windows that tile the genome, but a BED gives the windows; leave it out.")
        if self.stride is not None and self.stride < 1:
            raise ConfigError(f"stride is {self.stride}, but must be 1 or more bases; correct it.")

    @property
    def options(self) -> dict[str, Any]:
        """Options that the set depends on, for its manifest; the length is that of the request."""
        return {
            "length": self.length,
            "stride": self.stride,
            "bin_size": self.bin_size,
            "target_bins": self.target_bins,
            "valid": list(self.valid),
            "test": list(self.test),
            "max_n": self.max_n,
            **self._chosen_tracks,
        }

    @property
    def _chosen_tracks(self) -> dict[str, Any]:
        """Return the entry of the chosen tracks for the manifest; none for all tracks."""
        if self.tracks is None:
            return {}
        return {"tracks": self.tracks if isinstance(self.tracks, str) else list(self.tracks)}

    @property
    def inputs(self) -> dict[str, Path]:
        """Files that the set depends on, by their name in its manifest; without those of the tracks."""
        files = {"genome": self.genome.path, "targets": self.targets, "windows": self.windows, "blacklist": self.blacklist}
        return {name: Path(path) for name, path in files.items() if path is not None}


def check_max_n(max_n: float) -> None:
    """Raise ConfigError for a largest fraction of N that is not one."""
    if not 0 <= max_n < 1:
        raise ConfigError(f"max_n is {max_n}, but must be a fraction of N from 0 to below 1; correct it.")


def require_windows(
    counts: Mapping[str, Mapping[str, int]], request: DatasetRequest | TrackSetRequest, kind: str = "window"
) -> list[str]:
    """Raise ConfigError for a requested split without windows; return notes on splits that are not requested.

    counts: split -> contig -> number of windows; kind: what the split must have, for the message.
    """
    located = ", ".join(f"{contig} {n:,}" for contigs in counts.values() for contig, n in contigs.items())
    for split, contigs in (("train", None), ("valid", request.valid), ("test", request.test)):
        if not counts[split] and (contigs is None or contigs):
            names = "the other contigs" if contigs is None else join_names(contigs)
            raise ConfigError(f"{split} ({names}) has no {kind}; the windows lie on: {located}. Split otherwise.")
    return [f"there is no {split} set, as no contigs were named for it." for split in SPLITS[1:] if not counts[split]]
