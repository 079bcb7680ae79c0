"""Figures: arrays -> Axes. The caller owns the figure. The colours suit readers with red-green colour blindness."""

from genoformer.plots.annotation import over_controls, stacked_fractions, trait_matrix
from genoformer.plots.curves import context_curve, loss_with_trend, running_mean
from genoformer.plots.locus import (
    allele_coordinates,
    allele_tracks,
    attention_map,
    contacts,
    coordinates,
    landmarks,
    n_rows,
    tracks,
)
from genoformer.plots.metrics import (
    agreement,
    calibration,
    comparison,
    confusion,
    intervals_by_row,
    precision_recall,
    principal_components,
    roc,
    roc_curves,
    scatter,
    two_histograms,
)
from genoformer.plots.sequence import allele_logos, heat_map, information, letters, logo
from genoformer.plots.style import BASE_COLOURS, BLUE, GREY, MANY, ORANGE, RED, plain

__all__ = [
    "BASE_COLOURS",
    "BLUE",
    "GREY",
    "MANY",
    "ORANGE",
    "RED",
    "agreement",
    "allele_coordinates",
    "allele_logos",
    "allele_tracks",
    "attention_map",
    "calibration",
    "comparison",
    "confusion",
    "contacts",
    "context_curve",
    "coordinates",
    "heat_map",
    "information",
    "intervals_by_row",
    "landmarks",
    "letters",
    "logo",
    "loss_with_trend",
    "n_rows",
    "over_controls",
    "plain",
    "precision_recall",
    "principal_components",
    "roc",
    "roc_curves",
    "running_mean",
    "scatter",
    "stacked_fractions",
    "tracks",
    "trait_matrix",
    "two_histograms",
]
