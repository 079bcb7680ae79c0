"""Checks of an attribution map: agreement with ISM, a deletion curve, and dependence on the model's weights."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from scipy.integrate import trapezoid  # numpy has this name only since 2.0
from scipy.stats import spearmanr
from torch import nn

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N
from genoformer.interpretation.ism import substitutions
from genoformer.scoring.scores import Floats

STEPS = 11  # points of a deletion curve, from no base to all bases
_FEWEST = 3  # minimum number of bases for a comparison
_RANDOM = 5  # random orders that the curve is compared with
MOST = 100  # maximum number of bases of a sequence that an audit mutates


M = TypeVar("M", bound=nn.Module)


class Deletion(NamedTuple):
    """Deletion curve: the output of a model while growing fractions of the bases are deleted, the highest scored first."""

    shares: Floats  # [STEPS], fraction of bases that are N
    mapped: Floats  # [STEPS], output for the order of the map
    random: Floats  # [STEPS], mean output over random orders
    spread: float = 0.0  # mean standard deviation over random orders

    @property
    def gain(self) -> float:
        """Area between the map's curve and the random curve, as a fraction of the effect of deleting all bases.

        A gain above 0 means that the map ranks important bases first. The gain is NaN if the effect of deleting all bases is
        at most twice `spread`.
        """
        whole = self.random[0] - self.random[-1]
        clear = abs(whole) > 2 * self.spread
        return float(trapezoid(self.random - self.mapped, self.shares) / whole) if clear else float("nan")


class Audit(NamedTuple):
    """Results of the three checks of one map of one sequence."""

    with_mutagenesis: float  # Spearman of |map| and the largest |change| at each base
    deletion: Deletion
    reinitialised: float  # Spearman of |map| and |map| of the model with shuffled weights: near 0 if the map needs them

    def text(self) -> str:
        """Return the note for the figure, in one line."""
        alike = f"Spearman with mutagenesis {self.with_mutagenesis:.2f}; " if np.isfinite(self.with_mutagenesis) else ""
        gain = self.deletion.gain
        deleted = f"deletion beats random by {gain:.0%}" if np.isfinite(gain) else "deletion of all changes too little to judge"
        again = f"{self.reinitialised:.2f}" if np.isfinite(self.reinitialised) else "not defined"
        return f"audit: {alike}{deleted}; with shuffled weights {again}"


def agreement(one: Floats, other: Floats) -> float:
    """Return the Spearman correlation of |one| and |other|, [L] each, where both are finite; NaN if it is not defined.

    The correlation is not defined for fewer than 3 bases or for constant values.
    """
    known = np.isfinite(one) & np.isfinite(other)
    one, other = np.abs(one[known]), np.abs(other[known])
    if len(one) < _FEWEST or np.ptp(one) == 0 or np.ptp(other) == 0:
        return float("nan")
    return float(spearmanr(one, other).statistic)


def deletion(codes: Codes, scores: Floats, output: Callable[[Codes], Floats], *, seed: int = 0) -> Deletion:
    """Return the deletion curves of scores [L]: bases become N by decreasing |score|, and in random orders.

    output: codes [B, L] -> numbers [B].
    """
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
    """Return a copy of the model with the entries of each weight permuted, as an untrained control (Adebayo et al. 2018)."""
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
    """Return the three checks of one map of one sequence.

    found [L]: the map; again [L]: the same map of the model with its weights `shuffled`; output: codes [B, L] -> numbers [B];
    changes [L]: the largest |change| by a substitution of each base, NaN where it is unknown. By default the changes of at
    most 100 bases are computed here. Raises ConfigError if a map does not have one number for each base.
    """
    for of in (found, again):
        if np.shape(of) != codes.shape:
            raise ConfigError(f"a map of shape {list(np.shape(of))} of {len(codes)} bases: give one number for each base.")
    if changes is None:
        changes = largest_changes(codes, output, most=MOST)
    return Audit(agreement(found, changes), deletion(codes, found, output, seed=seed), agreement(found, again))


def largest_changes(codes: Codes, output: Callable[[Codes], Floats], *, most: int | None = None) -> Floats:
    """Return the largest |change| of the output over the three substitutions of each base, [L]; NaN at an N.

    most: maximum number of bases, evenly spaced; the other bases are NaN.
    """
    known = np.flatnonzero(codes < N)
    if most is not None and len(known) > most:
        known = known[np.linspace(0, len(known) - 1, most).round().astype(np.int64)]
    found = np.full(len(codes), np.nan)
    if len(known):
        found[known] = np.abs(substitutions(codes, output, at=known)).max(1)
    return found
