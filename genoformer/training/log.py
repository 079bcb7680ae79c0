"""Log of a training run: a CSV that stays consistent when a run is killed and resumed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

LOG = "log.csv"


class Log:
    """CSV with a row for each step that has results: step, train_loss, learning_rate, and the validation metrics.

    Rows after `step`, which a killed run wrote after its last saved state, are dropped.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.rows = [row for row in read_log(path) if row["step"] <= step] if step and path.is_file() else []
        self._rewrite()

    def write(self, step: int, row: Mapping[str, float]) -> None:
        self.rows.append({"step": step, **row})
        if set(row) <= set(self.names):
            self.writer.writerow({"step": step} | {name: f"{value:.6g}" for name, value in row.items()})
            self.file.flush()
        else:
            self.close()
            self._rewrite()

    def _rewrite(self) -> None:
        self.names = list(dict.fromkeys(["step", "train_loss", "learning_rate", *(n for row in self.rows for n in row)]))
        self.file = self.path.open("w", encoding="utf-8", newline="")
        self.writer = csv.DictWriter(self.file, self.names, lineterminator="\n")
        self.writer.writeheader()
        for row in self.rows:
            self.writer.writerow({n: v if n == "step" else f"{v:.6g}" for n, v in row.items()})
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def read_log(path: Path) -> list[dict[str, float]]:
    """Read the rows of a log; empty cells are left out, and a truncated last line is dropped."""
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            try:
                numbers = {name: float(value) for name, value in row.items() if value}
                rows.append({**numbers, "step": int(numbers["step"])})
            except (TypeError, ValueError, KeyError):
                continue
    return rows
