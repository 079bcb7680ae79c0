"""How far a map can be trusted: does it agree with mutagenesis, does what it names matter, does it need the model's weights?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N
from genoformer.scoring.scores import Floats

STEPS = 11  # of a deletion curve, from none to all
_RANDOM = 5  # orders that the curve is compared with


class Deletion(NamedTuple):
    """What is left of a model's output when the bases that a map names most are taken away, a share after the other."""

    shares: Floats  # [STEPS] of bases that are N
    mapped: Floats  # [STEPS], the map's order
    random: Floats  # [STEPS], the mean of random orders

    @property
    def gain(self) -> float:
        """The mean of random less mapped over the curve, in units of the output: above 0 the map names what matters."""
        return float(np.trapezoid(self.random - self.mapped, self.shares))


class Audit(NamedTuple):
    """Of one map of one sequence."""

    with_mutagenesis: float  # Spearman of |map| with the largest |change| at each base
    deletion: Deletion
    reinitialised: float  # Spearman of |map| with |map| of the model with its weights shuffled: near 0 where it needs them

    def text(self) -> str:
        """A line that belongs beside the figure."""
        return (
            f"Spearman with mutagenesis {self.with_mutagenesis:.2f}; deleting by the map beats random by "
            f"{self.deletion.gain:.3g}; with shuffled weights it agrees {self.reinitialised:.2f}"
        )


def agreement(one: Floats, other: Floats) -> float:
    """Spearman of |one| and |other|, [L] each; NaN where one of them is all alike."""
    one, other = np.abs(one), np.abs(other)
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(spearmanr(one, other).statistic)


def deletion(codes: Codes, scores: Floats, output: Callable[[Codes], Floats], *, seed: int = 0) -> Deletion:
    """Deletes bases (N) in the order of scores [L], the largest |.| first, and in random orders; output: [B, L] -> [B]."""
    rng = np.random.default_rng(seed)
    n = len(codes)
    shares = np.linspace(0, 1, STEPS)
    orders = [np.argsort(-np.abs(scores), kind="stable"), *(rng.permutation(n) for _ in range(_RANDOM))]
    made = np.tile(codes, (len(orders), STEPS, 1))
    for of, order in zip(made, orders, strict=True):
        for row, share in zip(of, shares, strict=True):
            row[order[: round(share * n)]] = N
    found = np.asarray(output(made.reshape(-1, n)), dtype=float).reshape(len(orders), STEPS)
    return Deletion(shares, found[0], found[1:].mean(0))


def shuffled(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy with the entries of each weight in another order: the model has learned nothing (Adebayo et al. 2018)."""
    other = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            flat = parameter.detach().cpu().flatten()
            order = torch.randperm(flat.numel(), generator=generator)
            parameter.copy_(flat[order].view_as(parameter).to(parameter.device))
    return other


def audit(
    codes: Codes,
    model: nn.Module,
    map_of: Callable[[nn.Module, Codes], Floats],
    output: Callable[[nn.Module, Codes], Floats],
    changes: NDArray[np.floating] | None = None,
    *,
    seed: int = 0,
) -> Audit:
    """The three questions, of one sequence [L].

    map_of: a model and codes [L] -> the map [L]; output: a model and codes [B, L] -> numbers [B]; changes [L]: the largest
    |change| of the output by a change of each base, computed here where it is not given.
    Raises ConfigError where the map does not have one number for each base.
    """
    found = np.asarray(map_of(model, codes))
    if found.shape != codes.shape:
        raise ConfigError(f"a map of shape {list(found.shape)} of {len(codes)} bases: give one number for each base.")
    if changes is None:
        changes = largest_changes(codes, lambda of: output(model, of))
    again = agreement(found, map_of(shuffled(model, seed), codes))
    return Audit(agreement(found, changes), deletion(codes, found, lambda of: output(model, of), seed=seed), again)


def largest_changes(codes: Codes, output: Callable[[Codes], Floats]) -> Floats:
    """The largest |change| of the output by one of the three changes of each base, [L]; 0 at an N."""
    known = np.flatnonzero(codes < N)
    made = np.tile(codes, (1 + 3 * len(known), 1))
    for i, place in enumerate(known.tolist()):
        others: Sequence[int] = [b for b in range(N) if b != codes[place]]
        made[1 + 3 * i : 4 + 3 * i, place] = others
    values = np.asarray(output(made), dtype=float)
    found = np.zeros(len(codes))
    found[known] = np.abs(values[1:].reshape(-1, 3) - values[0]).max(1)
    return found
