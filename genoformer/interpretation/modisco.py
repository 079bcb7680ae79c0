"""TF-MoDISco over attributions: what recurs in them, as matrices (Shrikumar et al. 2018, by modisco-lite)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N
from genoformer.interpretation.matrices import Matrix
from genoformer.scoring.scores import Floats


class Pattern(NamedTuple):
    """Stretches that are alike in sequence and in what they add."""

    sign: int  # 1: they raise the output, -1: they lower it
    matrix: Matrix


def patterns(codes: Codes, hypothetical: Floats) -> list[Pattern]:
    """Recurring patterns of sequences [B, L] and what each base adds or would add, [B, L, 4]; the most frequent first.

    An empty list where nothing stands out.
    Raises ConfigError without modisco-lite (extra `interpret`), and for arrays that do not belong together.
    """
    try:
        from modiscolite.tfmodisco import TFMoDISco
    except ImportError as error:
        raise ConfigError("modisco-lite is not installed; install genoformer[interpret] to find patterns.") from error
    if hypothetical.shape != (*codes.shape, 4):
        raise ConfigError(f"attributions of shape {list(hypothetical.shape)} of sequences {list(codes.shape)}: give [B, L, 4].")
    onehot = (codes[..., None] == np.arange(N)).astype(np.float32)
    of = np.asarray(hypothetical, dtype=np.float32)
    if not np.abs(onehot * of).max(initial=0):
        return []
    try:
        found = TFMoDISco(onehot, of)
    except (ZeroDivisionError, IndexError):  # of too few or too short sequences it has no null to compare with
        return []
    made = []
    for sign, group in zip((1, -1), found, strict=True):
        for i, pattern in enumerate(group or ()):
            p = np.asarray(pattern.sequence, dtype=float)
            name = f"{'pos' if sign > 0 else 'neg'}_pattern_{i}"
            p = p / np.maximum(p.sum(1, keepdims=True), 1e-9)
            made.append(Pattern(sign, Matrix(name, p, len(pattern.seqlets))))
    return sorted(made, key=lambda pattern: -pattern.matrix.n_sites)
