"""Checks of an audit: a number, its limits and the reason for them -> PASS, WARN or FAIL."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Verdict = Literal["PASS", "WARN", "FAIL", "SKIP"]
ORDER: tuple[Verdict, ...] = ("SKIP", "PASS", "WARN", "FAIL")  # from the least to the most serious


class Limit(NamedTuple):
    """Largest value that passes, largest value that is a warning only, and the reason for both."""

    warn: float
    fail: float
    reason: str
    is_auroc: bool = False  # judged by the lower end of the interval, so that a small set does not fail by chance


_LEAKED = "each leaked sequence can count as a correct answer: 1 % of them can raise accuracy by 0.01"
LIMITS = {
    "exact copies": Limit(0.0, 0.01, _LEAKED),
    "reverse complements": Limit(0.0, 0.01, _LEAKED),
    "shifted or partial copies": Limit(0.001, 0.01, _LEAKED),
    "near copies": Limit(0.01, 0.05, "related sequences of one family are expected; more of them measure memory of the family"),
    "overlapping regions": Limit(0.0, 0.01, _LEAKED),
    "repeated sequences": Limit(0.01, 0.10, "a repeated sequence has more weight than others, and random folds would leak it"),
    "conflicting labels": Limit(0.001, 0.01, "no model can be right about both copies, so that accuracy has an upper bound"),
    "length": Limit(0.55, 0.65, "length is a property of the collection of a set, not of its classes", True),
    "N": Limit(0.55, 0.65, "unknown bases tell assemblies and sources apart, not classes", True),
    "lower case": Limit(
        0.55, 0.65, "soft-masking tells sources and repeats apart; the models here ignore case, others may not", True
    ),
    "GC": Limit(0.65, 0.80, "negatives of another GC content let a model succeed without motifs; match them by GC", True),
    "k-mers": Limit(0.80, 0.98, "this is the score that a model must exceed to show more than base composition", True),
    "contig": Limit(0.60, 0.75, "classes of different chromosomes tell chromosomes apart", True),
    "position": Limit(0.60, 0.75, "neighbours on a chromosome have the same label; split by chromosome", True),
}


@dataclass(frozen=True)
class Check:
    """Result of a check.

    where: the split, or "dev in train" for copies of sequences of dev in train. value: fraction of the n sequences, or AUROC;
    low, high: its 95 % interval, NaN for fractions, which are counted. found: the value in words.
    """

    name: str
    where: str
    value: float
    n: int
    found: str
    low: float = math.nan
    high: float = math.nan

    @property
    def limit(self) -> Limit:
        return LIMITS[self.name]

    @property
    def verdict(self) -> Verdict:
        """FAIL above the second limit, WARN above the first; of an AUROC the lower end of the interval must be above."""
        if math.isnan(self.value):
            return "SKIP"
        judged = self.low if self.limit.is_auroc else self.value
        return "FAIL" if judged > self.limit.fail else "WARN" if judged > self.limit.warn else "PASS"

    def to_dict(self) -> dict[str, Any]:
        """Return the check for JSON; a metric is {"value", "low", "high"}, with None where it is not defined."""

        def number(x: float) -> float | None:
            return round(x, 6) if math.isfinite(x) else None

        return {
            "check": self.name,
            "where": self.where,
            "verdict": self.verdict,
            "value": {"value": number(self.value), "low": number(self.low), "high": number(self.high)},
            "n": self.n,
            "warn_above": self.limit.warn,
            "fail_above": self.limit.fail,
            "found": self.found,
            "reason": self.limit.reason,
        }


def skipped(name: str, where: str, n: int, why: str) -> Check:
    """Return a check that could not be made."""
    return Check(name, where, math.nan, n, why)
