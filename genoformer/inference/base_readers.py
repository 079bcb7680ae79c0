"""Windows of codes -> log2 P(A, C, G, T) of their middle bases, on each strand: one masked base in a pass, or several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError, OptionError
from genoformer.genome.codes import Codes, reverse_complement
from genoformer.inference.base_probabilities import posteriors_together, sliding_posteriors
from genoformer.inference.next_bases import open_next_bases
from genoformer.inference.runtime import Floats
from genoformer.inference.windows import require_length
from genoformer.models.base import PredictsBases, ReadsTokens, has
from genoformer.option_checks import Phases
from genoformer.writers.calls import WindowGrid

_BYTES = 1 << 24  # of windows that are copied at a time

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class BaseReader(Protocol):
    """Reader of windows on a grid; the cell of a window, the `step` bases in its middle, is read."""

    @property
    def grid(self) -> WindowGrid: ...
    @property
    def window(self) -> int:
        """Number of bases that the model reads in a pass."""

    def n_passes(self, wanted: Bools) -> int:
        """Return the number of passes of the network on one strand for the wanted bases [n, step]."""

    def read(self, codes: Codes, wanted: Bools, batch_size: int | None) -> list[Floats]:
        """Return log2 P of A, C, G, T, [n, step, 4], for each strand in the order of the forward strand.

        codes: windows [n, L]; wanted: [n, step]. NaN at bases that are not wanted, are N, or have no probability.
        """


class SingleMasks:
    """Reader that masks the base in the middle of each window: as `score` does for an SNV."""

    def __init__(self, model: Any, window: int, *, both_strands: bool) -> None:
        self.model, self.window, self.both_strands = model, window, both_strands
        self.grid = WindowGrid(window, 1)

    def n_passes(self, wanted: Bools) -> int:
        return int(wanted.sum())

    def read(self, codes: Codes, wanted: Bools, batch_size: int | None) -> list[Floats]:
        return self.read_at(codes, codes.shape[1] // 2, wanted, batch_size)

    def read_at(self, codes: Codes, target: int, wanted: Bools, batch_size: int | None) -> list[Floats]:
        """Return what `read` does, of the base at this position of each window."""
        rows = np.flatnonzero(wanted[:, 0])

        def posterior(windows: Codes, targets: Ints) -> Floats:
            return sliding_posteriors(self.model, windows, targets[:, 0], batch_size=batch_size)[:, None]

        strands = _strands(codes, rows, np.full((len(rows), 1), target), posterior, self)
        return [_placed(log2_p[:, 0], (rows, 0), wanted.shape) for log2_p in strands]


class PhasedMasks(SingleMasks):
    """Reader that masks one base in each of k windows, which put it at each position of a token of k bases.

    log2 P is averaged over the windows, and renormalised, as in `score`. It is NaN if it is in one of them.
    """

    def __init__(self, model: Any, window: int, n_phases: int, *, both_strands: bool) -> None:
        super().__init__(model, window, both_strands=both_strands)
        self.n_phases = n_phases
        self.grid = WindowGrid(window + 2 * (n_phases - 1), 1)  # holds the windows of all phases

    def n_passes(self, wanted: Bools) -> int:
        return self.n_phases * super().n_passes(wanted)

    def read(self, codes: Codes, wanted: Bools, batch_size: int | None) -> list[Floats]:
        of_phases = []
        for shift in range(self.n_phases):  # bases by which the window starts further left
            first = self.n_phases - 1 - shift
            windows = codes[:, first : first + self.window]
            of_phases.append(self.read_at(windows, self.window // 2 + shift, wanted, batch_size))
        means = [np.mean(phases, axis=0) for phases in zip(*of_phases, strict=True)]
        with np.errstate(invalid="ignore"):  # of NaN
            return [mean - np.logaddexp2.reduce(mean, axis=-1, keepdims=True) for mean in means]


class SeveralModels:
    """Reader of several models with equal windows; each of their strands counts alike in the mean of a track."""

    def __init__(self, readers: Sequence[BaseReader]) -> None:
        windows = sorted({reader.window for reader in readers})
        if len(windows) > 1:
            found = " and ".join(f"{window:,}" for window in windows)
            raise OptionError("context", f"is missing, and the models read windows of {found} bases; give one length for all.")
        if len({reader.grid for reader in readers}) > 1:
            raise OptionError("model", "has models whose tokens have different numbers of bases; predict each alone.")
        self.readers, self.grid, self.window = readers, readers[0].grid, readers[0].window

    def n_passes(self, wanted: Bools) -> int:
        return sum(reader.n_passes(wanted) for reader in self.readers)

    def read(self, codes: Codes, wanted: Bools, batch_size: int | None) -> list[Floats]:
        return [strand for reader in self.readers for strand in reader.read(codes, wanted, batch_size)]


class SeveralMasks:
    """Reader that masks bases of one window at a distance of `stride` together; they lie in the middle half of the window.

    Windows lie on a grid of the contig. A pass masks every `stride`-th base of its cell, also those that are not wanted, so
    that a value does not depend on the other requested bases.
    """

    def __init__(self, model: Any, window: int, stride: int, *, both_strands: bool) -> None:
        self.model, self.window, self.stride, self.both_strands = model, window, stride, both_strands
        self.n_masked = max(1, window // 2 // stride)
        self.grid = WindowGrid(window, self.n_masked * stride)

    def n_passes(self, wanted: Bools) -> int:
        return int(self._of_phases(wanted).any(axis=1).sum())

    def _of_phases(self, wanted: Bools) -> Bools:
        """Return which bases each pass over a cell masks: [n, step] -> [n, m, stride]."""
        return wanted.reshape(len(wanted), self.n_masked, self.stride)

    def read(self, codes: Codes, wanted: Bools, batch_size: int | None) -> list[Floats]:
        rows, phases = np.nonzero(self._of_phases(wanted).any(axis=1))
        in_cell = phases[:, None] + self.stride * np.arange(self.n_masked)  # [P, m]
        targets = in_cell - int(self.grid.start_of(np.zeros(1, dtype=np.int64))[0])

        def posterior(windows: Codes, at: Ints) -> Floats:
            return posteriors_together(self.model, windows, at, batch_size=batch_size)

        strands = _strands(codes, rows, targets, posterior, self)
        placed = [_placed(log2_p, (rows[:, None], in_cell), wanted.shape) for log2_p in strands]
        for log2_p in placed:
            log2_p[~wanted] = np.nan
        return placed


def _strands(codes: Codes, rows: Ints, targets: Ints, posterior: Any, reader: SingleMasks | SeveralMasks) -> list[Floats]:
    """Return log2 P [P, m, 4] at targets [P, m] of the windows in these rows, on each strand that the reader reads."""
    both = reader.both_strands and not reader.model.strands_agree
    length, n = codes.shape[1], len(rows)
    strands = [np.empty((*targets.shape, 4), dtype=np.float32) for _ in range(1 + both)]
    size = max(1, _BYTES // length // 64) * 64  # whole batches
    for first in range(0, n, size):
        part = slice(first, first + size)
        windows = codes[rows[part]]
        strands[0][part] = posterior(windows, targets[part])
        if both:  # from the last window on, so that the windows of this strand follow each other, too
            other = posterior(reverse_complement(windows[::-1]), length - 1 - targets[part][::-1])
            strands[1][part] = other[::-1, :, ::-1]  # A C G T read backwards is the complement
    return strands * (1 + (reader.both_strands and not both))  # equal on both strands


def _placed(values: Floats, index: Any, shape: tuple[int, ...]) -> Floats:
    placed = np.full((*shape, 4), np.nan, dtype=np.float32)
    placed[index] = values
    return placed


def open_readers(
    models: Sequence[Any], window: int | None, stride: int | None, phases: Phases | None, *, both_strands: bool
) -> BaseReader:
    """Return the reader of one model or of several; see `open_reader`.

    Raises OptionError for masked and causal models together, and for models whose windows have several lengths.
    """
    if len({has(model, PredictsBases) for model in models}) > 1:
        raise OptionError("model", "has masked and causal models, whose tracks are of other probabilities; give one kind.")
    readers = [open_reader(model, window, stride, phases, both_strands=both_strands) for model in models]
    return readers[0] if len(readers) == 1 else SeveralModels(readers)


def least_stride(model: Any) -> int | None:
    """Return the smallest stride of a model, in bases; None for a model without one, such as a causal one.

    A model that does not see the base itself (`cloze`) masks none, needs no distance, and has 1.
    """
    if not has(model, PredictsBases) or not has(model, ReadsTokens):
        return None
    return _two_tokens(model.tokenizer) if model.sees_itself else 1


def _two_tokens(tokenizer: Any) -> int:
    """Return the bases of two tokens, between which no third one covers both; 2 without a tokenizer."""
    return 2 if tokenizer is None else 2 * max(tokenizer.min_bases, tokenizer.n_phases)


def open_reader(
    model: Any, window: int | None, stride: int | None, phases: Phases | None = None, *, both_strands: bool
) -> BaseReader:
    """Return the reader of a model; window: bases, None for those of its training; stride: None for one mask in a pass.

    phases: "all" for a pass for each position of a base in its token. Raises ConfigError for a window that the model cannot
    read, and OptionError for a stride or phases that it does not fit.
    """
    length = window or model.config.context_length
    tokenizer = model.tokenizer if has(model, ReadsTokens) else None
    least = _two_tokens(tokenizer)
    longest = None if tokenizer is None else model.longest_window
    if length < least or (longest is not None and length > longest):
        limit = f"at most {longest:,}" if longest is not None and length > longest else f"at least {least}"
        raise ConfigError(f"a window of {length:,} bases does not suit this model; choose {limit}.")
    require_length(length, model.config.context_length)
    if not has(model, PredictsBases):
        if stride is not None:
            raise OptionError("stride", "masks bases, and a causal model masks none; leave it out.")
        if phases == "all":
            raise OptionError("phases", "is all, which masks bases, and a causal model masks none; leave it out.")
        return open_next_bases(model, length, both_strands=both_strands)
    if phases == "all" and tokenizer is not None and tokenizer.n_phases > 1:
        if stride is not None:
            raise OptionError("phases", "is all, which reads one base in a pass, found a stride; leave one of them out.")
        return PhasedMasks(model, length, tokenizer.n_phases, both_strands=both_strands)
    if stride is None:
        return SingleMasks(model, length, both_strands=both_strands)
    if tokenizer is None:
        raise OptionError("stride", "masks tokens, and this model reads none; leave it out.")
    nearest = least_stride(model)
    assert nearest is not None
    if not nearest <= stride <= length // 2:
        expected = f"expected {nearest} to {length // 2:,} bases, half of the window"
        raise OptionError("stride", f"is {stride}, {expected}; give one of these.")
    return SeveralMasks(model, length, stride, both_strands=both_strands)
