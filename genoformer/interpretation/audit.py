"""How far a map can be trusted: does it agree with mutagenesis, does what it names matter, does it need the model's weights?"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N
from genoformer.interpretation.ism import substitutions
from genoformer.scoring.scores import Floats

STEPS = 11  # of a deletion curve, from none to all
_FEWEST = 3  # bases that can be compared
_RANDOM = 5  # orders that the curve is compared with
MOST = 100  # bases of a sequence that are changed for an audit


M = TypeVar("M", bound=nn.Module)


class Deletion(NamedTuple):
    """What is left of a model's output when the bases that a map names most are taken away, a share after the other."""

    shares: Floats  # [STEPS] of bases that are N
    mapped: Floats  # [STEPS], the map's order
    random: Floats  # [STEPS], the mean of random orders
    spread: float = 0.0  # the mean standard deviation of random orders

    @property
    def gain(self) -> float:
        """How far the map's curve lies beyond the random one, as a share of what deleting everything does.

        Above 0 the map names what matters; NaN where deleting everything does hardly more than the order of random ones.
        """
        whole = self.random[0] - self.random[-1]
        clear = abs(whole) > 2 * self.spread
        apart = self.random - self.mapped
        area = ((apart[1:] + apart[:-1]) / 2 * np.diff(self.shares)).sum()  # np.trapezoid is of numpy 2
        return float(area / whole) if clear else float("nan")


class Audit(NamedTuple):
    """Of one map of one sequence."""

    with_mutagenesis: float  # Spearman of |map| with the largest |change| at each base
    deletion: Deletion
    reinitialised: float  # Spearman of |map| with |map| of the model with its weights shuffled: near 0 where it needs them

    def text(self) -> str:
        """A line that belongs beside the figure."""
        alike = f"Spearman with mutagenesis {self.with_mutagenesis:.2f}; " if np.isfinite(self.with_mutagenesis) else ""
        gain = self.deletion.gain
        deleted = f"deletion beats random by {gain:.0%}" if np.isfinite(gain) else "deletion of all changes too little to judge"
        again = f"{self.reinitialised:.2f}" if np.isfinite(self.reinitialised) else "not defined"
        return f"audit: {alike}{deleted}; with shuffled weights {again}"


def agreement(one: Floats, other: Floats) -> float:
    """Spearman of |one| and |other|, [L] each, where both are known; NaN where one of them is all alike, or hardly any are."""
    known = np.isfinite(one) & np.isfinite(other)
    one, other = np.abs(one[known]), np.abs(other[known])
    if len(one) < _FEWEST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(spearmanr(one, other).statistic)


def deletion(codes: Codes, scores: Floats, output: Callable[[Codes], Floats], *, seed: int = 0) -> Deletion:
    """Deletes bases (N) in the order of scores [L], the largest |.| first, and in random orders; output: [B, L] -> [B]."""
    rng = np.random.default_rng(seed)
    n = len(codes)
    shares = np.linspace(0, 1, STEPS)
    orders = [np.argsort(-np.abs(np.nan_to_num(scores)), kind="stable"), *(rng.permutation(n) for _ in range(_RANDOM))]
    made = np.tile(codes, (len(orders), STEPS, 1))
    for of, order in zip(made, orders, strict=True):
        for row, share in zip(of, shares, strict=True):
            row[order[: round(share * n)]] = N
    found = np.asarray(output(made.reshape(-1, n)), dtype=float).reshape(len(orders), STEPS)
    return Deletion(shares, found[0], found[1:].mean(0), float(found[1:].std(0).mean()))


def shuffled(model: M, seed: int = 0) -> M:
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
    found: Floats,
    again: Floats,
    output: Callable[[Codes], Floats],
    changes: Floats | None = None,
    *,
    seed: int = 0,
) -> Audit:
    """The three questions, of one map of one sequence, [L] each.

    found: the map; again: the same map of the model with its weights `shuffled`; output: codes [B, L] -> numbers [B];
    changes [L]: the largest |change| by a substitution of each base, NaN where it is not known, computed here of at most 100
    bases where it is not given. Raises ConfigError where a map does not have one number for each base.
    """
    for of in (found, again):
        if np.shape(of) != codes.shape:
            raise ConfigError(f"a map of shape {list(np.shape(of))} of {len(codes)} bases: give one number for each base.")
    if changes is None:
        changes = largest_changes(codes, output, most=MOST)
    return Audit(agreement(found, changes), deletion(codes, found, output, seed=seed), agreement(found, again))


def largest_changes(codes: Codes, output: Callable[[Codes], Floats], *, most: int | None = None) -> Floats:
    """The largest |change| of the output by one of the three changes of each base, [L]; NaN at an N.

    most: of so many bases at even distances, NaN at the others.
    """
    known = np.flatnonzero(codes < N)
    if most is not None and len(known) > most:
        known = known[np.linspace(0, len(known) - 1, most).round().astype(np.int64)]
    found = np.full(len(codes), np.nan)
    if len(known):
        found[known] = np.abs(substitutions(codes, output, at=known)).max(1)
    return found
