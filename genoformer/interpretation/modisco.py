"""TF-MoDISco: attributions -> recurring patterns as matrices (Shrikumar et al. 2018, by modisco-lite)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genoformer.errors import ConfigError
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.codes import Codes, N
from genoformer.inference import Floats


class Pattern(NamedTuple):
    """A pattern that recurs in sequence and in contribution."""

    sign: int  # 1: the pattern raises the output, -1: it lowers the output
    matrix: Matrix


def patterns(codes: Codes, hypothetical: Floats) -> list[Pattern]:
    """Return recurring patterns of sequences [B, L] and hypothetical contributions [B, L, 4], the most frequent first.

    The list is empty if no pattern stands out.
    Raises ConfigError without modisco-lite (extra `interpret`), and for arrays of different shapes.
    """
    try:
        from modiscolite.tfmodisco import TFMoDISco
    except ImportError as error:
        raise ConfigError("modisco-lite is not installed; install genoformer[interpret] to find patterns.") from error
    if hypothetical.shape != (*codes.shape, 4):
        raise ConfigError(
            f"found attributions of shape {list(hypothetical.shape)} for sequences {list(codes.shape)}; give [B, L, 4]."
        )
    onehot = (codes[..., None] == np.arange(N)).astype(np.float32)
    contributions = np.asarray(hypothetical, dtype=np.float32)
    if not np.abs(onehot * contributions).max(initial=0):
        return []
    try:
        groups = TFMoDISco(onehot, contributions)
    except (ZeroDivisionError, IndexError):  # too few or too short sequences for a null distribution
        return []
    recurring = []
    for sign, group in zip((1, -1), groups, strict=True):
        for i, pattern in enumerate(group or ()):
            p = np.asarray(pattern.sequence, dtype=float)
            name = f"{'pos' if sign > 0 else 'neg'}_pattern_{i}"
            p = p / np.maximum(p.sum(1, keepdims=True), 1e-9)
            recurring.append(Pattern(sign, Matrix(name, p, len(pattern.seqlets))))
    return sorted(recurring, key=lambda pattern: -pattern.matrix.n_sites)
