"""Result of an audit: the sizes of the splits and the checks, as a table, a dict for JSON, or a DataFrame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genoformer.audit.checks import ORDER, Check, Verdict
from genoformer.files import write_text

if TYPE_CHECKING:
    import pandas as pd


class Leak(NamedTuple):
    """Sequence of a split that an earlier split has too: number in its file, counted from 1, and its name there.

    check: name of the check that found it. of_split, of_sequence, of_name: the sequence of the earlier split.
    """

    check: str
    split: str
    sequence: int
    name: str
    of_split: str
    of_sequence: int
    of_name: str


@dataclass(frozen=True)
class Audit:
    """Checks of a labelled set. sizes: number of sequences of each split; notes: sentences of the readers; leaks: one by one.

    >>> Audit({"train": 9}, (Check("exact copies", "dev in train", 0.0, 9, "0 of 9"),)).verdict
    'PASS'
    """

    sizes: dict[str, int]
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()
    leaks: tuple[Leak, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The most serious verdict of the checks."""
        return max((check.verdict for check in self.checks), key=ORDER.index, default="SKIP")

    def counted(self) -> dict[Verdict, int]:
        """Return the number of checks by verdict, the most serious first."""
        verdicts = [check.verdict for check in self.checks]
        return {verdict: verdicts.count(verdict) for verdict in reversed(ORDER)}

    def to_dict(self) -> dict[str, Any]:
        """Return the audit for JSON."""
        return {
            "verdict": self.verdict,
            "sizes": self.sizes,
            "counts": self.counted(),
            "checks": [check.to_dict() for check in self.checks],
            "notes": list(self.notes),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each check: check, where, verdict, value, low, high, n, warn_above, fail_above, found and reason."""
        import pandas as pd

        rows = [check.to_dict() for check in self.checks]
        return pd.DataFrame([{**row, **row["value"]} for row in rows]).astype(dict.fromkeys(("value", "low", "high"), float))

    def leak_frame(self) -> pd.DataFrame:
        """Return a row for each leaked sequence: check, split, sequence, name, of_split, of_sequence and of_name."""
        import pandas as pd

        return pd.DataFrame(self.leaks, columns=list(Leak._fields))

    def write_leaks(self, path: str | Path) -> None:
        """Write the leaked sequences to a TSV, with the columns of `leak_frame`."""
        rows = ["\t".join(map(str, row)) for row in (Leak._fields, *self.leaks)]
        write_text(Path(path), "\n".join([*rows, ""]))

    def lines(self) -> list[str]:
        """Return the checks as a table, the most serious first, and below it the reason for each warning and failure."""
        checks = sorted(self.checks, key=lambda check: -ORDER.index(check.verdict))
        rows: list[tuple[str, ...]] = [("", "check", "where", "found", "warn above", "fail above")]
        rows += [(check.verdict, check.name, check.where, check.found, *_limits(check)) for check in checks]
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        serious = [check for verdict in ("FAIL", "WARN") for check in self.checks if check.verdict == verdict]
        reasons = dict.fromkeys(f"{check.verdict} {check.name}: {check.limit.reason}." for check in serious)
        return [*lines, *reasons]

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {verdict}" for verdict, n in self.counted().items() if n)
        return f"Audit({self.verdict}: {counts}; {', '.join(f'{n:,} {name}' for name, n in self.sizes.items())})"


def _limits(check: Check) -> tuple[str, str]:
    if check.limit.is_auroc:
        return f"{check.limit.warn:g}", f"{check.limit.fail:g}"
    return f"{100 * check.limit.warn:g} %", f"{100 * check.limit.fail:g} %"
