"""Settings of the stages before fine-tuning: the tables [pretrain] and [distil] of its configuration."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from genoformer.errors import ConfigError
from genoformer.training.optimizer import LoopConfig, OptimizerConfig, at_least_one, windows_per_step

TEACHERS = "teachers"  # folder of the models that teach in that of the run
_SEEDS_OF_TEACHERS = 1_000  # between the seeds of members and those of their teachers


@dataclass(frozen=True)
class InDomainConfig(OptimizerConfig):
    """Settings for predicting masked tokens of the training sequences before fine-tuning; the [pretrain] table."""

    batch_size: int = 64
    learning_rate: float = 1e-3
    epochs: float = 10.0
    mask_rate: float = 0.15
    span_tokens: int | None = None  # masked together; None takes the bases of a token
    both_strands: bool = True  # half of the sequences are reverse-complemented
    dropout: float = 0.0  # in the encoder; the few numbers that a small encoder can hold of many bases need none

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs <= 0:
            raise ConfigError(f"epochs = {self.epochs}: give a number above 0; change the [pretrain] table.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout = {self.dropout}: give a number from 0 up to, not including, 1.")

    def loop(self, n_batches: int) -> LoopConfig:
        """Return the number of steps of a run with this number of batches per epoch."""
        shared = {entry.name: getattr(self, entry.name) for entry in fields(OptimizerConfig)}
        steps = max(1, round(self.epochs * n_batches * self.batch_size / windows_per_step(self)))
        return LoopConfig(**shared, max_steps=steps, eval_every=steps, log_every=min(50, steps))


@dataclass(frozen=True)
class DistilConfig:
    """Settings of distillation: the part of the labels that predictions of other models have; the [distil] table."""

    weight: float = 0.5  # of the predictions; the labels have the others (Hinton et al. 2015)
    members: int = 5  # models with other seeds that are trained first, if no model is given; Furlanello et al. 2018

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise ConfigError(f"weight = {self.weight}: give a number above 0, up to 1; change the [distil] table.")
        at_least_one(self, "members")


@dataclass(frozen=True)
class TrackDistilConfig(DistilConfig):
    """Settings of distillation of tracks; the [distil] table of a run on tracks.

    The teachers also predict the tracks of unlabelled windows, if the run has a FASTA for them.
    """

    epochs: float = 0.0  # of the models that are trained first; 0: those of [tracks]
    contigs: tuple[str, ...] = ()  # of the FASTA, with unlabelled windows; () takes all
    windows: int = 0  # largest number of unlabelled windows, evenly spaced; 0: all that fit between stretches of N
    composition: float = 0.0  # part of ridge regression on GC, CpG and 4-mers around each bin in the mean of the teachers
    motifs: str = ""  # file of motifs for that regression; the path is relative to the configuration file

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs < 0 or self.windows < 0:
            raise ConfigError("epochs and windows must be at least 0; change the [distil] table.")
        if not 0 <= self.composition < 1:
            raise ConfigError(f"composition = {self.composition}: give a number from 0 up to, not including, 1.")
        if self.motifs and not self.composition:
            raise ConfigError("[distil] motifs are for the regression on composition; give composition, such as 0.5, too.")


def runs_of_teachers(folder: Path, seed: int, n: int) -> list[tuple[Path, int]]:
    """Return the folder and the seed of each of n models that teach, for a run with this seed; folder: that of all of them.

    >>> [(str(path), seed) for path, seed in runs_of_teachers(Path("teachers"), 3, 2)]
    [('teachers/seed-1003', 1003), ('teachers/seed-1004', 1004)]
    """
    first = seed + _SEEDS_OF_TEACHERS
    return [(folder / f"seed-{number}", number) for number in range(first, first + n)]
