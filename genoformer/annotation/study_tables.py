"""Enrichment as a DataFrame and as a figure for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from genoformer import plots
from genoformer.annotation.figures import controls_panel, drawn_annotations, figure_height
from genoformer.annotation.study_result import Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def enrichment_frame(study: Study) -> pd.DataFrame:
    """Return the columns of enrichment.tsv, unrounded: a row for each comparison and annotation."""
    import pandas as pd

    tables = []
    for comparison in study.compared:
        e = comparison.enrichment
        low, high = np.percentile(e.controls, [2.5, 97.5], axis=1)
        columns = {"variants": comparison.name, "annotation": study.annotations, "n": e.n, "observed": e.observed}
        folds = {"expected": e.expected, "fold": e.fold, "low": e.low, "high": e.high, "p": e.p, "q": e.q}
        others = {"p_depletion": e.p_depletion, "controls_low": low, "controls_high": high}
        tables.append(pd.DataFrame(columns | folds | others))
    return pd.concat(tables, ignore_index=True)


def plot_study(study: Study, ax: Axes | None = None) -> Axes:
    """Draw the first comparison of a study in the axes of the caller, or in a new figure."""
    comparison = study.compared[0]
    kept = drawn_annotations(study, comparison)
    panel = plots.shown_axes(ax, plots.PAGE, figure_height(len(kept)))
    controls_panel(panel, study, comparison, kept)
    return panel
