"""A scored VCF -> the alleles of the page, counts and the values of all scores; streamed in bounded memory."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from genoformer.errors import FileFormatError
from genoformer.formats.vcf import Record, open_vcf
from genoformer.formats.vcf_records import parse_info
from genoformer.genome.structural import is_symbolic
from genoformer.genome.variants import Status, allele_status
from genoformer.genome.wording import counted
from genoformer.report.strongest import Rank, Ranked, Strongest, by_strength

if TYPE_CHECKING:
    import pandas as pd

MOST = 10_000  # maximum number of alleles of the table; a larger VCF keeps the strongest
_SHOWN = 20  # rows of a table in a notebook
FIXED = ("chrom", "pos", "id", "ref", "alt", "status")
_ANNOTATIONS = 12  # maximum number of INFO keys with their own columns: the most frequent ones
_LOOKED_AT = 10_000  # number of first records in which INFO keys are counted
_INFO = re.compile(r'##INFO=<ID=([^,]+),Number=([^,]+),Type=(\w+),Description="((?:[^"\\]|\\.)*)"')
_VERSION = (*(f"##genoformer_{name}=" for name in ("version", "model", "options", "caution", "noise")), "##genoformer=")
_SPELLED = ("NO_ALT", "SYMBOLIC", "BREAKEND", "STAR", "NOT_ACGT")  # statuses of single alleles, not of records
BELOW = "below"  # in GF_SAD_NOISE: the score is below the noise floor
_KEYS = re.compile(r'##genoformer_annotation=<.*?Keys="([^"]*)"')
_TOGETHER = {"GF_LLR": "GF_PLL"}  # two scores; each allele has one of them


class Column(NamedTuple):
    """A key of INFO: a score (GF_...) or another annotation of the VCF."""

    key: str
    numeric: bool
    by_allele: bool  # True: one value for each ALT
    meaning: str
    flag: bool = False  # True: a key without a value

    @property
    def name(self) -> str:
        return self.key.removeprefix("GF_")


class Shown(NamedTuple):
    """The rows with the largest scores."""

    rows: list[Ranked]
    above: bool | None  # True if a score is above the noise floor; None without a noise floor


@dataclass
class Scored:
    """Alleles of a scored VCF: `rows` has all alleles in file order, or the strongest if there are more than requested."""

    scores: list[Column]
    annotations: list[Column]
    rows: list[list[Any]]  # FIXED, a value for each score and annotation (None if missing), then the rest of INFO
    made_by: list[tuple[str, str]]  # header entries on the scores: version, model, options
    n_alleles: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    values: list[array[float]] = field(default_factory=list)  # for each score, the values of all alleles with the score
    n_below: int = 0  # alleles with a first score below the noise floor
    n_above: int = 0  # scored alleles that are not below the noise floor
    contig_lengths: Mapping[str, int] = field(default_factory=dict)  # of the header, as far as it has lengths

    def __repr__(self) -> str:
        names = ", ".join(column.name for column in self.scores if column.numeric)
        return f"Scored({counted(self.n_alleles, 'allele')}, {len(self.rows):,} in the table; scores {names})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.to_frame().head(_SHOWN).to_html(index=False)}"

    @property
    def columns(self) -> list[Column]:
        return [*self.scores, *self.annotations]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each allele: chrom, pos (1-based), id, ref, alt, status, scores, annotations, the rest of INFO.

        Names of scores are without GF_, as in a table of `score`.
        """
        import pandas as pd

        names = [*FIXED, *(column.name for column in self.columns), "rest"]
        return pd.DataFrame(self.rows, columns=names)

    @property
    def options(self) -> dict[str, str]:
        """Options of the scoring run in the header: scores, context, strands, head ..."""
        text = dict(self.made_by).get("options", "")
        return dict(item.partition("=")[::2] for item in text.split(";") if item)

    @property
    def of_tracks(self) -> bool:
        """True if the first score is of a track model; such scores depend on the start of the window."""
        keys = {column.key for column in self.scores}
        moved = "shifts" in self.options and "tile" not in self.options  # tiled windows are those of a fine-tuned model
        return moved or bool(keys & {f"{self.scores[0].key}_TRACK", f"{self.scores[0].key}_NOISE"})

    def column_index(self, suffix: str, score: int = 0) -> int | None:
        """Return the row index of a column that belongs to a score, such as TRACK, SE or NOISE; None without one."""
        keys = [column.key for column in self.scores]
        key = f"{self.scores[score].key}_{suffix}"
        return len(FIXED) + keys.index(key) if key in keys else None

    @cached_property
    def ranking(self) -> list[int]:
        """Indices of the scores that rank alleles: the first score, and PLL for insertions and deletions if present."""
        keys = [column.key for column in self.scores]
        return [0, *([keys.index(other)] if (other := _TOGETHER.get(keys[0])) in keys else [])]

    def row_rank(self, row: list[Any]) -> Rank | None:
        """Return the rank of a row; None for a row without a ranking score."""
        for score in self.ranking:
            if isinstance(value := row[len(FIXED) + score], float):
                return Rank(score, abs(value), self.is_below(row))
        return None

    @cached_property
    def _flag(self) -> int | None:
        return self.column_index("NOISE")

    def is_below(self, row: list[Any]) -> bool:
        """True if the first score of a row is below the noise floor."""
        return self._flag is not None and row[self._flag] == BELOW

    def strongest(self, n: int) -> Shown:
        """Return n rows by decreasing |first score|; rows below the noise floor only if no row is above it.

        Insertions and deletions have PLL instead of LLR. They are ranked by PLL and alternate with the other alleles.
        """
        ranked = ((rank, row) for row in self.rows if (rank := self.row_rank(row)) is not None)
        above, below = by_strength(ranked)
        return Shown((above or below)[:n], None if self._flag is None else self.n_above > 0)

    def noise(self) -> str:
        """Return a sentence on the noise floor; "" for language models."""
        if not self.of_tracks:
            return ""
        flag, text = self.column_index("NOISE"), dict(self.made_by).get("noise", "")
        name = self.scores[0].name
        if flag is None and text:
            return f"{name} has no noise floor: it is a level of the tracks, not a change."
        if flag is None or not text:
            return (
                f"No noise floor of {name} is known (--noise-places 0, or an older version): it is not said which scores are "
                "more than what the start of a window does."
            )
        floors = dict(item.partition("=")[::2] for item in text.split(";"))
        sides = floors.get(name, "").partition("/")
        indel, substitution = ("no known size" if side == "." else side for side in (sides[0], sides[2]))
        return (
            f"Noise floor of |{name}|, measured at {floors.get('places', '?')} loci: {indel} of insertions and "
            f"deletions, {substitution} of substitutions. {self.n_below:,} of {len(self.values[0]):,} scored alleles are "
            "below it and grey in the table: sign and size may come from where the window begins."
        )


def read_scored(path: str | Path, most: int = MOST) -> Scored:
    """Read the alleles of a VCF that `score` wrote, the strongest `most` if there are more; `.to_frame()` is their table.

    Raises FileFormatError for a VCF without scores.

    >>> import tempfile
    >>> from importlib.resources import files
    >>> from genoformer import ScoringJob, score_variants
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     out, fasta = Path(folder, "scored.vcf"), files("genoformer_data") / "demo" / "genome.fa.gz"
    ...     _ = score_variants(ScoringJob.from_names("chrS1:6000:G:A", fasta, "demo", out))
    ...     read_scored(out).to_frame()[["chrom", "pos", "ref", "alt", "status"]].values.tolist()
    [['chrS1', 6000, 'G', 'A', 'OK']]
    """
    path = Path(path)
    with open_vcf(path) as file:
        scores, others = _columns(file.header)
        if not scores:
            raise FileFormatError(f"{path} has no scores; give a VCF that `genoformer score` wrote.")
        annotations = _chosen(path, others, annotation_keys(file.header))
        flags = {column.key for column in annotations if column.flag}
        found = Scored(scores, annotations, [], _made_by(file.header), values=[array("d") for _ in scores])
        found.contig_lengths = file.contig_lengths
        apart = {column.key for column in annotations}
        kept = Strongest(most)
        for record in file:
            info = parse_info(record)
            info |= dict.fromkeys(flags & info.keys(), "yes")
            rest = ";".join(f"{k}={v}" if v else k for k, v in info.items() if k[:3] != "GF_" and k != "." and k not in apart)
            for i, alt in enumerate(record.alts):
                values = [_value(info.get(column.key, ""), i, column) for column in scores]
                known = any(value is not None for value in values)
                status = "OK" if known else _status(record, alt, info.get("GF_STATUS", ""))
                for of, value in zip(found.values, values, strict=True):
                    if isinstance(value, float):
                        of.append(value)
                more = [_value(info.get(column.key, ""), i, column) for column in annotations]
                row = [record.chrom, record.pos, record.id, record.ref, alt, status, *values, *more, rest]
                found.statuses[status] += 1
                found.n_below += found.is_below(row)
                rank = found.row_rank(row)
                found.n_above += rank is not None and not rank.below
                kept.add(row, rank)
                found.n_alleles += 1
    found.rows = kept.rows()
    return found


def _columns(header: Sequence[str]) -> tuple[list[Column], dict[str, Column]]:
    """Return the scores in header order, and the other keys by name."""
    scores, others = [], {}
    annotated = annotation_keys(header)
    for line in header:
        if not (match := _INFO.match(line)):
            continue
        numeric, meaning = match[3] in ("Float", "Integer"), match[4].replace('\\"', '"')
        column = Column(match[1], numeric, match[2] == "A", meaning, match[3] == "Flag")
        if not column.key.startswith("GF_") or (column.key in annotated and not column.by_allele):
            others[column.key] = column._replace(numeric=column.numeric and match[2] in ("A", "1"))
        elif column.key != "GF_STATUS" and column.by_allele:
            scores.append(column)
    return scores, others


def _status(record: Record, alt: str, of_record: str) -> str:
    """Return the reason for a missing score: the status of the allele's own spelling, else the status of the record.

    NONE if the status of the record describes the spelling of another allele.
    """
    own = allele_status(record.ref, alt)
    if own is Status.SYMBOLIC and is_symbolic(record) and of_record not in ("", *_SPELLED):
        return of_record  # of a structural variant
    if own.value in _SPELLED:
        return own.value
    return "NONE" if of_record in ("", *_SPELLED) else of_record


def annotation_keys(header: Sequence[str]) -> set[str]:
    """Return the INFO keys that `score -a` or `annotate` wrote, such as GF_TSS, from their header lines."""
    return {key for line in header if (match := _KEYS.match(line)) for key in match[1].split(",")}


def _chosen(path: Path, others: Mapping[str, Column], annotated: set[str]) -> list[Column]:
    """Return the annotations of genoformer, and those that are most frequent in the first records, in header order."""
    n: Counter[str] = Counter()
    with open_vcf(path) as file:
        for _, record in zip(range(_LOOKED_AT), file, strict=False):
            n.update(parse_info(record).keys())
    often = {key for key, _ in Counter({key: n[key] for key in others if n[key]}).most_common(_ANNOTATIONS)}
    often |= annotated & others.keys()
    return [column for key, column in others.items() if key in often]


def _made_by(header: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for line in header:
        if begin := next((name for name in _VERSION if line.startswith(name)), None):
            found.append((begin[2:-1].removeprefix("genoformer_"), line[len(begin) :]))
    return found


def _value(text: str, i: int, column: Column) -> Any:
    """Return the value of ALT number i; None if it is missing, or if a numeric value is not finite."""
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
    return number if np.isfinite(number) else None  # JSON has only finite numbers
