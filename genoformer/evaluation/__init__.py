"""Truth and predictions -> metrics with intervals, compared with baselines that were trained on the same data."""

from genoformer.evaluation.baselines import BASELINES
from genoformer.evaluation.intervals import Estimate, auroc, bootstrap
from genoformer.evaluation.metrics import compute_metrics
from genoformer.evaluation.report import evaluate

__all__ = ["BASELINES", "Estimate", "auroc", "bootstrap", "evaluate", "compute_metrics"]
