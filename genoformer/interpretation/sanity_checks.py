"""Sanity checks of maps: agreement with ISM, a deletion curve, and dependence on the model's weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from scipy.integrate import trapezoid  # numpy has this name only since 2.0
from scipy.stats import spearmanr
from torch import nn

from genoformer.errors import ConfigError
from genoformer.files import write_text
from genoformer.genome.codes import Codes, N
from genoformer.inference.runtime import Floats, evaluating
from genoformer.interpretation.input_windows import InputWindows
from genoformer.interpretation.ism import mutageneses, substitutions
from genoformer.interpretation.session import MapFunction, Result, Session
from genoformer.interpretation.targets import AttributionTarget
from genoformer.models.base import PredictsBases, has
from genoformer.progress import Stage
from genoformer.scoring.scorers import open_scorer
from genoformer.scoring.scores import SCORES
from genoformer.scoring.settings import Runtime, Scoring
from genoformer.tables import rounded, tsv_line

STEPS = 11  # points of a deletion curve, from no base to all bases
_FEWEST = 3  # minimum number of bases for a comparison
_RANDOM = 5  # random orders that the curve is compared with
MOST = 100  # maximum number of bases of a sequence that a check mutates


M = TypeVar("M", bound=nn.Module)


class Deletion(NamedTuple):
    """Deletion curve: the output of a model while growing fractions of the bases are deleted, the highest scored first."""

    fractions: Floats  # [STEPS], fraction of bases that are N
    mapped: Floats  # [STEPS], output for the order of the map
    random: Floats  # [STEPS], mean output over random orders
    spread: float = 0.0  # mean standard deviation over random orders

    @property
    def gain(self) -> float:
        """Area between the map's curve and the random curve, as a fraction of the effect of deleting all bases.

        A gain above 0 means that the map ranks important bases first. The gain is NaN if the effect of deleting all bases is
        at most twice `spread`.
        """
        total = self.random[0] - self.random[-1]
        clear = abs(total) > 2 * self.spread
        return float(trapezoid(self.random - self.mapped, self.fractions) / total) if clear else float("nan")


class MapChecks(NamedTuple):
    """Results of the three checks of one map of one sequence."""

    with_mutagenesis: float  # Spearman of |map| and the largest |change| at each base
    deletion: Deletion
    reinitialised: float  # Spearman of |map| and |map| of the model with shuffled weights: near 0 if the map needs them

    def text(self) -> str:
        """Return the note for the figure, in one line."""
        ism = f"Spearman with ISM {self.with_mutagenesis:.2f}; " if np.isfinite(self.with_mutagenesis) else ""
        gain = self.deletion.gain
        deleted = f"deletion gain {gain:.0%}" if np.isfinite(gain) else "deletion gain not defined, effect too small"
        shuffled = f"{self.reinitialised:.2f}" if np.isfinite(self.reinitialised) else "not defined"
        return f"sanity checks: {ism}{deleted}; Spearman with shuffled weights {shuffled}"


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
    fractions: Any = np.linspace(0, 1, STEPS)
    orders = [np.argsort(-np.abs(np.nan_to_num(scores)), kind="stable"), *(rng.permutation(n) for _ in range(_RANDOM))]
    deleted = np.tile(codes, (len(orders), STEPS, 1))
    for copies, order in zip(deleted, orders, strict=True):
        for row, fraction in zip(copies, fractions, strict=True):
            row[order[: round(fraction * n)]] = N
    values: Any = np.asarray(output(deleted.reshape(-1, n)), dtype=float).reshape(len(orders), STEPS)
    return Deletion(fractions, values[0], values[1:].mean(0), float(values[1:].std(0).mean()))


def shuffled(model: M, seed: int = 0) -> M:
    """Return a copy of the model with the entries of each weight permuted, as an untrained control (Adebayo et al. 2018)."""
    control = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in control.parameters():
            flat = parameter.detach().cpu().flatten()
            order = torch.randperm(flat.numel(), generator=generator)
            parameter.copy_(flat[order].view_as(parameter).to(parameter.device))
    return control


def check_map(
    codes: Codes,
    values: Floats,
    shuffled_values: Floats,
    output: Callable[[Codes], Floats],
    changes: Floats | None = None,
    *,
    seed: int = 0,
) -> MapChecks:
    """Return the three checks of one map of one sequence.

    values [L]: the map; shuffled_values [L]: the map of the model with its weights `shuffled`; output: codes [B, L] -> numbers
    [B]; changes [L]: the largest |change| by a substitution of each base, NaN where it is unknown. By default the changes of at
    most 100 bases are computed here. Raises ConfigError if a map does not have one number for each base.
    """
    for numbers in (values, shuffled_values):
        if np.shape(numbers) != codes.shape:
            shape = list(np.shape(numbers))
            raise ConfigError(f"found a map of shape {shape} for {len(codes)} bases; give one number for each base.")
    if changes is None:
        changes = largest_changes(codes, output, most=MOST)
    return MapChecks(agreement(values, changes), deletion(codes, values, output, seed=seed), agreement(values, shuffled_values))


def largest_changes(codes: Codes, output: Callable[[Codes], Floats], *, most: int | None = None) -> Floats:
    """Return the largest |change| of the output over the three substitutions of each base, [L]; NaN at an N.

    most: maximum number of bases, evenly spaced; the other bases are NaN.
    """
    known = np.flatnonzero(codes < N)
    if most is not None and len(known) > most:
        known = known[np.linspace(0, len(known) - 1, most).round().astype(np.int64)]
    changes = np.full(len(codes), np.nan)
    if len(known):
        changes[known] = np.abs(substitutions(codes, output, at=known)).max(1)
    return changes


# --- loci of a session


def check_loci(
    session: Session,
    maps: Sequence[Floats],
    maps_of: MapFunction,
    target: AttributionTarget | Sequence[AttributionTarget],
    *,
    maps_are_ism: bool = False,
    windows: InputWindows | None = None,
) -> tuple[list[MapChecks], Result]:
    """Return the sanity checks of each locus with a figure, and write audit.tsv; nothing if they are not requested.

    target: of all loci, or of each of them. maps_are_ism: skip the comparison with ISM. windows: the sequences around the loci
    that the model reads; by default the loci alone.
    """
    if not session.request.sanity_checks or not session.drawn:
        return [], Result()
    stage = Stage(session.progress, "sanity checks", len(session.drawn))
    shuffled_maps = maps_of(shuffled(session.model), session.drawn)
    changes = _known_changes(session, maps_are_ism)
    targets = [target] * len(session.drawn) if isinstance(target, AttributionTarget) else target
    around = windows or InputWindows()
    checks = []
    with evaluating(session.model, session.request.device) as model:
        for i, locus in enumerate(session.drawn):
            output = partial(_output_in_window, targets[i], model, *around.of(locus))
            checks.append(check_map(locus.codes, maps[i], shuffled_maps[i], output, changes[i]))
            stage.add(1)
    return checks, _write_checks(session, checks)


def _known_changes(session: Session, maps_are_ism: bool) -> list[Floats | None]:
    """Return the largest |change| at each base of the drawn loci where the checks do not compute it from the target.

    ISM maps are not compared with themselves: all NaN. ISM of a language model scores the bases as `score` does, because its
    target is not an output of its own.
    """
    unknown = [np.full(len(locus.codes), np.nan) for locus in session.drawn]
    if maps_are_ism:
        return [*unknown]
    if not has(session.model, PredictsBases):
        return [None] * len(unknown)
    genome, loci = session.on_genome()
    scoring = Scoring((session.model,), (SCORES["LLR"],))
    with open_scorer(genome, scoring, Runtime(session.request.device)) as scorer:
        maps = mutageneses(scorer, genome, loci[: len(unknown)])
    for changes, locus, ism in zip(unknown, session.drawn, maps, strict=True):
        first = ism.start - locus.start  # no changes beyond the ends of the contig
        changes[first : first + len(ism.codes)] = np.abs(ism.values[0]).max(-1)
    return [*unknown]


def _output_in_window(target: AttributionTarget, model: Any, window: Codes, start: int, codes: Codes) -> Floats:
    """Return the target of edited copies [B, L] of a locus, which begins at index `start` of its input window."""
    edited = np.tile(window, (len(codes), 1))
    edited[:, start : start + codes.shape[1]] = codes
    return target.compute(model, edited, window)


def _write_checks(session: Session, checks: Sequence[MapChecks]) -> Result:
    """Write audit.tsv, and report the medians."""
    columns = {
        "spearman_with_mutagenesis": [one.with_mutagenesis for one in checks],
        "deletion_gain": [one.deletion.gain for one in checks],
        "spearman_shuffled_weights": [one.reinitialised for one in checks],
    }
    rows = [
        tsv_line([locus.name, *(rounded(value, ".4f") for value in values)])
        for locus, values in zip(session.drawn, zip(*columns.values(), strict=True), strict=True)
    ]
    path = session.request.folder / "audit.tsv"
    write_text(path, "\n".join(["\t".join(["place", *columns]), *rows, ""]))
    labels = ("Spearman with ISM", "deletion gain", "Spearman with shuffled weights")
    defined = {
        label: [value for value in values if np.isfinite(value)] for label, values in zip(labels, columns.values(), strict=True)
    }
    medians = [f"{label} {np.median(values):.2f} (n = {len(values)})" for label, values in defined.items() if values]
    note = f"sanity checks, medians: {'; '.join(medians) or 'none is defined'}"
    return Result(notes=(note,), files=(path,))
