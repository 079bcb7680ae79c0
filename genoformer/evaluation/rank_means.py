"""Scores of several models or kinds -> one: the mean of the ranks of |score| among the variants that have all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from genoformer.errors import ConfigError
from genoformer.evaluation.variants import Key, read_scores
from genoformer.evaluation.weighted import ranks

RANK_MEAN = "RANK_MEAN"


def rank_mean(scores: Sequence[Mapping[Key, float]]) -> dict[Key, float]:
    """Return for each variant with all scores the mean of its ranks of |score|, from 0 (smallest) to 1; ties share their mean.

    Raises ConfigError for fewer than two scores, or without a variant that has all.

    >>> a, b = ("1", 5, "A", "C"), ("1", 9, "A", "G")
    >>> rank_mean([{a: -3.0, b: 1.0}, {a: 0.1, b: 0.4}]) == {a: 0.5, b: 0.5}
    True
    """
    if len(scores) < 2:
        raise ConfigError(f"found {len(scores)} score, expected at least 2 for a mean of ranks; name more scores or files.")
    keys = [key for key in scores[0] if all(np.isfinite(one.get(key, np.nan)) for one in scores)]
    if not keys:
        raise ConfigError("no variant has all scores, so that there is no mean of ranks; score the same variants.")
    unit = np.ones((1, len(keys)))
    values = [ranks(unit, np.abs([one[key] for key in keys]))[0] for one in scores]
    mean = (np.mean(values, axis=0) - 1) / max(1, len(keys) - 1)
    return dict(zip(keys, mean.tolist(), strict=True))


def read_score_files(
    paths: Sequence[str | Path], names: Sequence[str] = (), known: Collection[str] = ()
) -> dict[str, dict[Key, float]]:
    """Read outputs of `score` (`read_scores`); scores of several files are named FILE:SCORE, FILE without its suffixes.

    Raises the errors of `read_scores`, and ConfigError for files of the same name.
    """
    if len(paths) == 1:
        return read_scores(paths[0], names, known)
    stems = [Path(path).name.partition(".")[0] for path in paths]
    if len(set(stems)) < len(stems):
        raise ConfigError(f"found files of the same name ({', '.join(stems)}), expected different ones; rename them.")
    return {
        f"{stem}:{name}": values
        for stem, path in zip(stems, paths, strict=True)
        for name, values in read_scores(path, names, known).items()
    }
