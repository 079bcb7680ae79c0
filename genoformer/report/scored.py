"""A scored VCF -> the alleles that a page shows, counts and the values of every score; streamed, in bounded memory."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genoformer.errors import FileFormatError
from genoformer.genome.variants import allele_status
from genoformer.genome.vcf import info_of, open_vcf
from genoformer.report.strongest import Rank, Ranked, Strongest, by_strength

MOST = 10_000  # alleles of the table; of more, the strongest
FIXED = ("chrom", "pos", "id", "ref", "alt", "status")
_ANNOTATIONS = 12  # keys of INFO that have columns of their own: those that most records have
_LOOKED_AT = 10_000  # records by which that is decided
_INFO = re.compile(r'##INFO=<ID=([^,]+),Number=([^,]+),Type=(\w+),Description="((?:[^"\\]|\\.)*)"')
_VERSION = ("##genoformer_version=", "##genoformer_model=", "##genoformer_options=", "##genoformer_noise=", "##genoformer=")
_SPELLED = ("NO_ALT", "SYMBOLIC", "BREAKEND", "STAR", "NOT_ACGT")  # statuses that are of one allele, whatever the record
BELOW = "below"  # in GF_SAD_NOISE: the score is below the noise floor
_TOGETHER = {"GF_LLR": "GF_PLL"}  # two scores of which each allele has one


class Column(NamedTuple):
    """A key of INFO: a score (GF_...), or what the VCF says besides."""

    key: str
    numeric: bool
    by_allele: bool  # a value for each ALT
    meaning: str
    flag: bool = False  # without a value

    @property
    def name(self) -> str:
        return self.key.removeprefix("GF_")


class Shown(NamedTuple):
    """The rows with the largest scores."""

    rows: list[Ranked]
    above: bool | None  # the noise floor; None where there is none of these scores


@dataclass
class Scored:
    """The alleles of a scored VCF; those in `rows` are all, in order, or where there are more than asked for the strongest."""

    scores: list[Column]
    annotations: list[Column]
    rows: list[list[Any]]  # FIXED, a value a score, a value an annotation (None where missing), then the rest of INFO
    made_by: list[tuple[str, str]]  # what the header says of the scores: version, model, options
    n_alleles: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    values: list[array[float]] = field(default_factory=list)  # of each score, of all alleles that have it
    n_below: int = 0  # alleles whose first score is below the noise floor
    n_above: int = 0  # scored alleles that are not below it

    @property
    def columns(self) -> list[Column]:
        return [*self.scores, *self.annotations]

    @property
    def options(self) -> dict[str, str]:
        """How the scores were made, as the header says: scores, context, strands, head ..."""
        text = dict(self.made_by).get("options", "")
        return dict(item.partition("=")[::2] for item in text.split(";") if item)

    @property
    def of_tracks(self) -> bool:
        """The first score is of a model of tracks, whose scores depend on where a window begins."""
        keys = {column.key for column in self.scores}
        return "shifts" in self.options or bool(keys & {f"{self.scores[0].key}_TRACK", f"{self.scores[0].key}_NOISE"})

    def column_of(self, what: str, score: int = 0) -> int | None:
        """The place in a row of a column that goes with a score, such as its TRACK, SE or NOISE."""
        keys = [column.key for column in self.scores]
        key = f"{self.scores[score].key}_{what}"
        return len(FIXED) + keys.index(key) if key in keys else None

    @cached_property
    def ranking(self) -> list[int]:
        """The numbers of the scores that rank alleles: the first one, and PLL where insertions and deletions have it."""
        keys = [column.key for column in self.scores]
        return [0, *([keys.index(other)] if (other := _TOGETHER.get(keys[0])) in keys else [])]

    def rank_of(self, row: list[Any]) -> Rank | None:
        """The rank of a row; None for one without a score that ranks."""
        for score in self.ranking:
            if isinstance(value := row[len(FIXED) + score], float):
                return Rank(score, abs(value), self.is_below(row))
        return None

    @cached_property
    def _flag(self) -> int | None:
        return self.column_of("NOISE")

    def is_below(self, row: list[Any]) -> bool:
        """The first score of a row is below the noise floor."""
        return self._flag is not None and row[self._flag] == BELOW

    def strongest(self, n: int) -> Shown:
        """Rows by |first score|, the largest first; those below the noise floor only where all are.

        Insertions and deletions, which have PLL where others have LLR, are ranked by that, and take turns with the others.
        """
        ranked = ((rank, row) for row in self.rows if (rank := self.rank_of(row)) is not None)
        above, below = by_strength(ranked)
        return Shown((above or below)[:n], None if self._flag is None else self.n_above > 0)

    def noise(self) -> str:
        """A sentence on the noise floor; nothing of language models."""
        if not self.of_tracks:
            return ""
        flag, text = self.column_of("NOISE"), dict(self.made_by).get("noise", "")
        name = self.scores[0].name
        if flag is None or not text:
            return (
                f"No noise floor of {name} is known (--noise 0, or an older version): it is not said which scores are more "
                "than what the start of a window does."
            )
        floors = dict(item.partition("=")[::2] for item in text.split(";"))
        indel, _, substitution = floors.get(name, "").partition("/")
        return (
            f"Noise floor of |{name}|, measured at {floors.get('places', '?')} places: {indel} of insertions and "
            f"deletions, {substitution} of substitutions. {self.n_below:,} of {len(self.values[0]):,} scored alleles are "
            "below it and grey in the table: sign and size may come from where the window begins."
        )


def read_scored(path: Path, most: int = MOST) -> Scored:
    """Reads what `score` wrote as VCF; FileFormatError where it has no scores."""
    with open_vcf(path) as file:
        scores, others = _columns(file.header)
        if not scores:
            raise FileFormatError(f"{path} has no scores; give a VCF that `genoformer score` wrote.")
        annotations = _chosen(path, others)
        flags = {column.key for column in annotations if column.flag}
        found = Scored(scores, annotations, [], _made_by(file.header), values=[array("d") for _ in scores])
        apart = {column.key for column in annotations}
        kept = Strongest(most)
        for record in file:
            info = info_of(record)
            info |= dict.fromkeys(flags & info.keys(), "yes")
            rest = ";".join(f"{k}={v}" if v else k for k, v in info.items() if k[:3] != "GF_" and k != "." and k not in apart)
            for i, alt in enumerate(record.alts):
                values = [_value(info.get(column.key, ""), i, column) for column in scores]
                known = any(value is not None for value in values)
                status = "OK" if known else _status(record.ref, alt, info.get("GF_STATUS", ""))
                for of, value in zip(found.values, values, strict=True):
                    if isinstance(value, float):
                        of.append(value)
                more = [_value(info.get(column.key, ""), i, column) for column in annotations]
                row = [record.chrom, record.pos, record.id, record.ref, alt, status, *values, *more, rest]
                found.statuses[status] += 1
                found.n_below += found.is_below(row)
                rank = found.rank_of(row)
                found.n_above += rank is not None and not rank.below
                kept.add(row, rank)
                found.n_alleles += 1
    found.rows = kept.rows()
    return found


def _columns(header: Sequence[str]) -> tuple[list[Column], dict[str, Column]]:
    """Scores in the order of the header, and the other keys by name."""
    scores, others = [], {}
    for line in header:
        if not (match := _INFO.match(line)):
            continue
        numeric, meaning = match[3] in ("Float", "Integer"), match[4].replace('\\"', '"')
        column = Column(match[1], numeric, match[2] == "A", meaning, match[3] == "Flag")
        if not column.key.startswith("GF_"):
            others[column.key] = column._replace(numeric=column.numeric and match[2] in ("A", "1"))
        elif column.key != "GF_STATUS" and column.by_allele:
            scores.append(column)
    return scores, others


def _status(ref: str, alt: str, of_record: str) -> str:
    """Why an allele has no score: what its own spelling says, else what the record says of its first such allele.

    NONE where the record speaks of the spelling of another allele.
    """
    own = allele_status(ref, alt)
    if own.value in _SPELLED:
        return own.value
    return "NONE" if of_record in ("", *_SPELLED) else of_record


def _chosen(path: Path, others: Mapping[str, Column]) -> list[Column]:
    """The annotations that most of the first records have, in the order of the header."""
    n: Counter[str] = Counter()
    with open_vcf(path) as file:
        for _, record in zip(range(_LOOKED_AT), file, strict=False):
            n.update(info_of(record).keys())
    often = {key for key, _ in Counter({key: n[key] for key in others if n[key]}).most_common(_ANNOTATIONS)}
    return [column for key, column in others.items() if key in often]


def _made_by(header: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for line in header:
        if begin := next((name for name in _VERSION if line.startswith(name)), None):
            found.append((begin[2:-1].removeprefix("genoformer_"), line[len(begin) :]))
    return found


def _value(text: str, i: int, column: Column) -> Any:
    """The value of ALT number i; None where it is missing, or no finite number where one is expected."""
    if column.by_allele:
        values = text.split(",")
        text = values[i] if i < len(values) else ""
    if text in ("", "."):
        return None
    if not column.numeric:
        return text
    try:
        number = float(text)
    except ValueError:
        return None
    return number if np.isfinite(number) else None  # JSON has no others
