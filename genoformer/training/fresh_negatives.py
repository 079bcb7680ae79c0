"""Fresh negatives: positives of the training data -> new negatives in every epoch, made as those of the data set were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.shuffle import dinucleotide_shuffle
from genoformer.datasets.targets import Targets
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N
from genoformer.genome.contigs import join_names
from genoformer.genome.wording import counted

KINDS = ("dinucleotide", "segments")


class SoftTargets(NamedTuple):
    """Targets [N] or [N, C] without and with the predictions of a teacher, who has not seen the new negatives."""

    labels: NDArray[Any]
    taught: NDArray[Any]


@dataclass(frozen=True)
class NegativesConfig:
    """Settings of new negatives for each epoch; the [negatives] table.

    The kind should be how the negatives of the data were made: "dinucleotide" shuffles a positive with all its dinucleotide
    counts unchanged; "segments" replaces segments of a positive by random bases (Oubounyt et al. 2019, Frontiers in Genetics
    10:286). A model then cannot learn the negatives by heart.
    """

    kind: str = "dinucleotide"
    fraction: float = 0.8  # of the negatives that are new in an epoch; the others are those of the data
    negative: str = ""  # class that is replaced; "" takes the first
    segment: int = 15  # bases
    first: int = 0  # position at which the second segment begins, if the first is cut; 0: the first is whole
    replaced: float = 0.6  # fraction of the segments that is replaced; 12 of 20 in Oubounyt et al. 2019
    total: int = 20  # segments of which this fraction is replaced, if the sequences are parts of longer ones

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"kind = {self.kind!r}: allowed are {', '.join(KINDS)}; change the [negatives] table.")
        for name in ("fraction", "replaced"):
            if not 0 < (value := getattr(self, name)) <= 1:
                raise ConfigError(f"{name} = {value}: give a fraction above 0, up to 1; change the [negatives] table.")
        if self.segment < 1 or not 0 <= self.first < self.segment or self.total < 1:
            raise ConfigError(
                f"segment = {self.segment}, first = {self.first}, total = {self.total}: give segments of at least one base, a "
                "number of them above 0, and a first below segment; change the [negatives] table."
            )


class FreshNegatives:
    """Data of each epoch, as a function of (seed, epoch): some of the negatives are changed positives."""

    def __init__(
        self, sequences: Sequence[Codes], targets: Targets, soft: SoftTargets, config: NegativesConfig, seed: int
    ) -> None:
        """Find positives and negatives; soft: targets to train on.

        Raises ConfigError for other tasks than two classes, and for an unknown class.
        """
        task, values = targets
        if not task.one_class or len(task.names) != 2:
            number = counted(len(task.names), task.word, "classes" if task.one_class else "")
            raise ConfigError(
                f"[negatives] needs two classes, found {number} ({join_names(task.names)}); remove the table, or take another "
                "recipe."
            )
        if config.negative and config.negative not in task.names:
            raise ConfigError(
                f"negative = {config.negative!r}: the classes are {join_names(task.names)}; change the [negatives] table."
            )
        negative = np.asarray(values) == (task.names.index(config.negative) if config.negative else 0)
        self.sequences, self.soft, self.config, self.seed = sequences, soft, config, seed
        self.negatives, self.positives = np.flatnonzero(negative), np.flatnonzero(~negative)

    def __call__(self, epoch: int) -> tuple[Sequence[Codes], NDArray[Any]]:
        """Return the sequences of an epoch and their targets."""
        random = np.random.default_rng([self.seed, epoch, 11])
        rows = self.negatives[random.random(len(self.negatives)) < self.config.fraction]
        sources = _spread(self.positives, len(rows), random)
        sequences = list(self.sequences)
        lengths = np.array([len(self.sequences[i]) for i in sources])
        for length in np.unique(lengths):
            at = np.flatnonzero(lengths == length)
            codes = np.stack([self.sequences[i] for i in sources[at]])  # [n, L]
            for row, new in zip(rows[at], self._changed(codes, random), strict=True):
                sequences[row] = new
        if self.soft.labels is self.soft.taught:
            return sequences, self.soft.labels
        targets = self.soft.taught.copy()
        targets[rows] = self.soft.labels[rows]
        return sequences, targets

    def _changed(self, codes: Codes, random: np.random.Generator) -> Codes:
        if self.config.kind == "dinucleotide":
            return dinucleotide_shuffle(codes, random)
        return replace_segments(codes, self.config, random)


def replace_segments(codes: Codes, config: NegativesConfig, random: np.random.Generator) -> Codes:
    """Return codes [B, L] in which the bases of some segments are uniform random bases; N stays.

    Of `total` segments (or those of a sequence, if it has more) the fraction `replaced` is drawn for each row.

    >>> codes = np.zeros((1, 12), dtype=np.uint8)
    >>> config = NegativesConfig(kind="segments", segment=4, first=2, replaced=0.5, total=4)
    >>> replace_segments(codes, config, np.random.default_rng(0))
    array([[0, 3, 2, 3, 2, 2, 0, 0, 0, 0, 0, 0]], dtype=uint8)
    """
    ends_before = config.segment - config.first if config.first else 0
    segment = (np.arange(codes.shape[1]) + ends_before) // config.segment  # [L]
    n = max(config.total, int(segment[-1]) + 1)
    n_kept = n - round(config.replaced * n)
    kept = np.argsort(np.argsort(random.random((len(codes), n)), axis=1), axis=1) < n_kept  # [B, n]
    keep = kept[:, segment] | (codes >= N)
    return np.where(keep, codes, random.integers(0, N, codes.shape)).astype(codes.dtype)


def _spread(rows: NDArray[np.int64], n: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Return n of the rows in a random order, each as often as any other, or once more."""
    return random.permutation(np.concatenate([random.permutation(rows) for _ in range(-(-n // len(rows)))])[:n])
