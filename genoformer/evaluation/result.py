"""Metrics of models as a dict for JSON, with a table and a figure for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genoformer import plots
from genoformer.evaluation.report import LABELS, NAMES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MAIN = ("mcc", "auroc", "pearson")  # the metric of the figure: the first that is there


class Evaluation(dict[str, Any]):
    """Metrics that `evaluate_models` returns, ready for `json.dumps`.

    >>> estimate = {"value": 0.5, "low": 0.4, "high": 0.6}
    >>> found = Evaluation(n=9, task="classification", models=[{"model": "run", "mcc": estimate}])
    >>> found, found.to_frame().to_numpy().tolist()
    (Evaluation(classification of 9: run mcc 0.500), [['run', 'mcc', 0.5, 0.4, 0.6]])
    """

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each model and metric, with the value and its 95 % interval; NaN where it is not defined."""
        import pandas as pd

        rows = [
            (row["model"], metric, *(estimate.get(key) for key in ("value", "low", "high")))
            for row in self["models"]
            for metric, estimate in row.items()
            if isinstance(estimate, dict) and "value" in estimate
        ]
        table = pd.DataFrame(rows, columns=["model", "metric", "value", "low", "high"])
        return table.astype(dict.fromkeys(("value", "low", "high"), float))

    @property
    def _main(self) -> str:
        metrics = list(dict.fromkeys(self.to_frame()["metric"]))
        return next((name for name in _MAIN if name in metrics), metrics[0])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the main metric of each model with its interval, in the axes of the caller or of a new figure."""
        panel = plots.shown_axes(ax, *self._size)
        self._draw([panel])
        return panel

    @property
    def _size(self) -> tuple[float, float]:
        return 5.2, 1.0 + 0.34 * len(self["models"])

    def _draw(self, panels: list[Axes]) -> None:
        named = {NAMES.get(model, model): point for model, point in self._points.items()}
        label = LABELS.get(self._main, self._main)
        plots.comparison(panels[0], named, xlabel=f"{label} with 95 % interval (n = {self['n']:,})")

    @property
    def _points(self) -> dict[str, tuple[float, float, float]]:
        """Value and interval of the main metric by model."""
        table = self.to_frame()
        of_main = table[table["metric"] == self._main]
        rows = zip(*(of_main[name].tolist() for name in ("model", "value", "low", "high")), strict=True)
        return {model: (value, low, high) for model, value, low, high in rows}

    def __repr__(self) -> str:
        values = ", ".join(f"{model} {self._main} {value:.3f}" for model, (value, *_) in self._points.items())
        return f"Evaluation({self['task']} of {self['n']:,}: {values})"

    def _repr_html_(self) -> str:
        return plots.as_html(repr(self), self._draw, self._size)
