"""Means of ranks against scipy, and files of several models in `evaluate variants`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import assert_refused, run, run_well
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from genoformer.errors import ConfigError
from genoformer.evaluation.rank_means import rank_mean

N = 50
random = np.random.default_rng(2)
KEYS = [("1", 10 + i, "A", "C") for i in range(N)]
LABELS = (random.random(N) > 0.6).astype(int)
SCORES = [LABELS * random.normal(size=N) + random.normal(size=N).round(1) for _ in range(3)]


def test_ranks_are_scipys_over_variants_with_all_scores() -> None:
    scores = [dict(zip(KEYS, of, strict=True)) for of in SCORES]
    del scores[1][KEYS[3]]
    scores[2][KEYS[7]] = np.nan
    kept = [i for i in range(N) if i not in (3, 7)]
    expected = np.mean([(rankdata(np.abs(of[kept])) - 1) / (len(kept) - 1) for of in SCORES], axis=0)
    found = rank_mean(scores)
    assert list(found) == [KEYS[i] for i in kept]
    np.testing.assert_allclose(list(found.values()), expected)


def test_too_few_scores_and_no_common_variant_are_refused() -> None:
    with pytest.raises(ConfigError, match="found 1 score, expected at least 2 for a mean of ranks"):
        rank_mean([{KEYS[0]: 1.0}])
    with pytest.raises(ConfigError, match="no variant has all scores"):
        rank_mean([{KEYS[0]: 1.0}, {KEYS[1]: 1.0}])


def test_the_command_ranks_scores_of_several_files(tmp_path) -> None:
    def write(name: str, column: str, values: np.ndarray) -> Path:
        path = tmp_path / name
        rows = [f"chr1\t{pos}\t.\t{ref}\t{alt}\t{value:.9g}\n" for (_, pos, ref, alt), value in zip(KEYS, values, strict=True)]
        path.write_text(f"chrom\tpos\tid\tref\talt\t{column}\n" + "".join(rows))
        return path

    one, two = (
        write("borzoi.tsv", "LOGSED_ISOFORM", SCORES[0]),
        write("alphagenome.tsv", "CENTER_MASK_501_DIFF_LOG2_SUM", SCORES[1]),
    )
    truth = write("truth.tsv", "label", LABELS)
    result = run_well("evaluate", "variants", one, truth, "--truth", "label", "--also", two, "--rank-mean")
    metrics = json.loads(result.stdout)["scores"]
    names = ["borzoi:LOGSED_ISOFORM", "alphagenome:CENTER_MASK_501_DIFF_LOG2_SUM", "RANK_MEAN"]
    assert list(metrics) == names
    ranks = [np.abs(SCORES[0]), np.abs(SCORES[1]), sum(rankdata(np.abs(of)) for of in SCORES[:2])]
    for name, of in zip(names, ranks, strict=True):
        assert metrics[name]["all"]["auroc"]["value"] == pytest.approx(roc_auc_score(LABELS, of), abs=1e-4)
    refused = run("evaluate", "variants", one, truth, "--truth", "label", "--also", one)
    assert_refused(refused, "found files of the same name (borzoi, borzoi)")
    assert_refused(
        run("evaluate", "variants", one, truth, "--truth", "label", "--rank-mean"), "found 1 score, expected at least 2"
    )
