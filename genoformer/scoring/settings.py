"""Settings of a scoring run: the values depend on Scoring, the time on Runtime."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from genoformer import inference
from genoformer.formats.track_table import TrackTable
from genoformer.genome.genes import Genes
from genoformer.models.base import Model
from genoformer.scoring.alignment import Indels
from genoformer.scoring.parts import PART_LIMITS, PartLimits
from genoformer.scoring.scores import Score
from genoformer.scoring.windows import Anchor


class AlleleComparison(NamedTuple):
    """Settings for the comparison of the tracks of two alleles; the defaults are those of `genoformer score`."""

    shifts: tuple[int, ...] = (0,)  # bases by which windows are shifted; scores are averaged over shifts
    indels: Indels = "realign"
    anchor: Anchor = "grid"  # or "variant": each window is centred on its variant, and no work is shared


DEFAULT_COMPARISON = AlleleComparison()


@dataclass(frozen=True)
class TrackOptions:
    """Options of track scores: the tracks, and how the two alleles are compared."""

    head: str | None = None  # None: the only head
    targets: TrackTable | None = None  # None: the table of the model
    tracks: Sequence[int] | None = None  # None: all of the head
    genes: Genes | None = None
    settings: AlleleComparison = DEFAULT_COMPARISON
    matrix: bool = False  # True: also return the values of every track


@dataclass(frozen=True)
class Scoring:
    """Settings that the values of scores depend on."""

    models: tuple[Model, ...]  # several: an ensemble, whose scores are averaged
    scores: tuple[Score, ...]
    context: int | None = None  # bases of a window; None: that of the model
    both_strands: bool = True  # True: average over both strands
    tracks: TrackOptions | None = None  # for track models only; None: the defaults

    @property
    def names(self) -> str:
        """Names of the scores, separated by commas."""
        return ",".join(score.name for score in self.scores)

    @property
    def sha256(self) -> str:
        return sha256_of_models(self.models)

    def fingerprint(self) -> dict[str, str]:
        """Return the scores, weights and configurations as text, for the folder of an interrupted run."""
        configurations = (f"{model.config} {_hash_of_tokenizer(model)}" for model in self.models)
        return {"scores": self.names, "model": self.sha256, "model configuration": " ".join(configurations)}


@dataclass(frozen=True)
class Runtime(inference.Runtime):
    """Device, precision, batch size and processes of a run; only the last digits of values depend on them."""

    workers: int | None = None  # processes, each with the model; None: chosen for the size of the model and the run
    threads: int | None = None  # CPU threads per process; None: one if several processes run a small model, else all cores
    engine: str = "local"  # or "ray" or "ray:ADDRESS"
    parts: PartLimits = PART_LIMITS


ON_CPU = Runtime()


def sha256_of_models(models: Sequence[Model]) -> str:
    """Return the sha256 of the weights of all models, joined by "+"."""
    return "+".join(model.sha256 or "in memory" for model in models)


def _hash_of_tokenizer(model: Model) -> str:
    tokenizer = getattr(model, "tokenizer", None)  # track models have none
    return "" if tokenizer is None else hashlib.sha256(repr(tokenizer.to_dict()).encode()).hexdigest()
