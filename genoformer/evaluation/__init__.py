"""Truth and predictions -> metrics with intervals, compared with baselines that were trained on the same data."""

from genoformer.datasets.leakage import leakage
from genoformer.datasets.targets import make_targets
from genoformer.evaluation.baselines import BASELINES
from genoformer.evaluation.intervals import Estimate, auroc, bootstrap
from genoformer.evaluation.kmer_regression import fit_kmer_regression
from genoformer.evaluation.metrics import compute_metrics
from genoformer.evaluation.report import evaluate

__all__ = [
    "BASELINES",
    "Estimate",
    "auroc",
    "bootstrap",
    "compute_metrics",
    "evaluate",
    "fit_kmer_regression",
    "leakage",
    "make_targets",
]
