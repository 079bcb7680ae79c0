"""Result of a benchmark: rows of metrics with intervals, paired differences and published figures, as tables and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genoformer import __version__
from genoformer.evaluation.intervals import Estimate
from genoformer.files import check_overwrite, make_folder, write_text

if TYPE_CHECKING:
    import pandas as pd

TABLE, RECORD = "results.tsv", "results.json"
_MOST_LINES = 200  # all tasks of GUE with a model and the published ones; of the table in a terminal; the files have all rows


class Row(NamedTuple):
    """A metric of a model: measured here, on n items, or published. se: standard error by the authors' formula, or NaN."""

    subset: str
    metric: str
    model: str
    estimate: Estimate
    n: int = 0
    se: float = math.nan
    source: str = ""  # of a published figure


class Difference(NamedTuple):
    """Metric of the first model minus that of the second, over the same bootstrap samples."""

    subset: str
    metric: str
    first: str
    second: str
    estimate: Estimate


@dataclass(frozen=True)
class BenchmarkResult:
    """Rows and differences of a benchmark.

    metric: the main one. notes: sentences on variants without a score and others. command: the command line, or the call.
    """

    name: str
    title: str
    metric: str
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the result for JSON; a metric is {"value", "low", "high"}."""
        rows = [
            {
                "subset": row.subset,
                "metric": row.metric,
                "model": row.model,
                "value": row.estimate.to_dict(),
                "se": row.se if math.isfinite(row.se) else None,
                "n": row.n or None,
                "source": row.source or "measured",
            }
            for row in self.rows
        ]
        differences = [{**one._asdict(), "estimate": one.estimate.to_dict()} for one in self.differences]
        texts = {"benchmark": self.name, "title": self.title, "metric": self.metric}
        texts |= {"command": self.command, "version": __version__}
        return {**texts, "rows": rows, "differences": differences, "notes": list(self.notes)}

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each metric of each model: subset, metric, model, n, value, low, high, se, source."""
        import pandas as pd

        columns = ("subset", "metric", "model", "n", "value", "low", "high", "se", "source")
        rows = [(r.subset, r.metric, r.model, r.n, *r.estimate, r.se, r.source or "measured") for r in self.rows]
        return pd.DataFrame(rows, columns=list(columns))

    def write(self, folder: Path) -> None:
        """Write results.tsv and results.json to a folder, created if missing; only an earlier result is replaced."""
        check_folder(folder)
        make_folder(folder)
        write_text(folder / RECORD, json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n")
        lines = ["subset\tmetric\tmodel\tn\tvalue\tlow\thigh\tse\tsource"]
        for r in self.rows:
            numbers = (_text(x, 6) for x in (*r.estimate, r.se))
            lines.append("\t".join([r.subset, r.metric, r.model, str(r.n or ""), *numbers, r.source or "measured"]))
        write_text(folder / TABLE, "\n".join(lines) + "\n")

    def lines(self) -> list[str]:
        """Return the table for a terminal.

        It has the main metric of every subset, every metric of the first subset, and metrics with published figures.
        """
        first = self.rows[0].subset if self.rows else ""
        compared = {(row.subset, row.metric) for row in self.rows if row.source}
        shown = [
            row for row in self.rows if row.metric == self.metric or row.subset == first or (row.subset, row.metric) in compared
        ]
        cells = [("subset", "metric", "model", "n", "value", "95 % interval")]
        for row in shown[:_MOST_LINES]:
            low, high = row.estimate.low, row.estimate.high
            interval = f"{low:.3f} to {high:.3f}" if math.isfinite(low) else "published" if row.source else "not defined"
            interval += f" (se {row.se:.3f})" if math.isfinite(row.se) else ""
            cells.append(
                (row.subset, row.metric, row.model, f"{row.n:,}" if row.n else "", _text(row.estimate.value, 3), interval)
            )
        widths = [max(len(cell[i]) for cell in cells) for i in range(len(cells[0]))]
        lines = ["  ".join(text.ljust(width) for text, width in zip(cell, widths, strict=True)).rstrip() for cell in cells]
        if len(shown) > _MOST_LINES:
            lines.append(f"... and {len(shown) - _MOST_LINES:,} more rows, in the files of an output folder or in JSON")
        lines += self._differences_from_best(first)
        lines += [f"published: {source}" for source in dict.fromkeys(row.source for row in shown if row.source)]
        return lines

    def _differences_from_best(self, subset: str) -> list[str]:
        """Return a line for the difference of the best model and each other one, in the main metric of a subset."""
        measured = [row for row in self.rows if (row.subset, row.metric, row.source) == (subset, self.metric, "")]
        best = max(measured, key=lambda row: row.estimate.value, default=None)
        lines = []
        for one in self.differences:
            if best is None or (one.subset, one.metric) != (subset, self.metric) or best.model not in (one.first, one.second):
                continue
            value, low, high = one.estimate
            other = one.second
            if one.second == best.model:
                (value, low, high), other = (-value, -high, -low), one.first
            value, low, high = (round(x, 3) + 0.0 for x in (value, low, high))  # no -0.000
            lines.append(f"{best.model} minus {other}: {value:+.3f} ({low:+.3f} to {high:+.3f}), {one.metric}")
        return lines

    def __repr__(self) -> str:
        first = self.rows[0].subset if self.rows else ""
        own = [row for row in self.rows if row.metric == self.metric and row.subset == first and not row.source]
        values = ", ".join(f"{row.model} {row.estimate.value:.3f}" for row in own)
        return f"BenchmarkResult({self.name}: {self.metric} of {first}: {values})"


def _text(x: float, digits: int) -> str:
    return f"{x:.{digits}f}" if math.isfinite(x) else ""


def check_folder(folder: Path) -> None:
    """Refuse, with ConfigError, a folder in which a result would overwrite files that are no result."""
    check_overwrite(folder, (TABLE, RECORD), RECORD, lambda old: old.keys() >= {"benchmark", "rows", "differences"})
