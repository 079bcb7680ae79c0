"""Scores of variants on each track or class, and their layout as a table (a row per variant) or a matrix (variant and score).

An output is a track of a head, or a class, label or value of a fine-tuned model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.formats.track_table import TrackTable
from genoformer.genome.genes import Genes
from genoformer.scoring.score_inputs import TRANSCRIPT
from genoformer.scoring.score_types import Score, TrackScoreMatrix
from genoformer.tables import MISSING
from genoformer.writers import Column, Floats, info_key


class Item(NamedTuple):
    """A gene or transcript, and the score that is of it."""

    score: int  # index among all scores
    number: int  # of the gene or transcript


class TrackScores(NamedTuple):
    """Scores of one variant, or of a combination of variants, on each of K tracks or classes."""

    values: Floats  # [scores, K]; NaN for gene scores; a score without tracks has only the first of K, the others are NaN
    items: dict[Item, Floats]  # genes and transcripts of gene scores -> [K]; NaN on a track of the other strand
    shifts: tuple[TrackScores, ...] = ()  # mean over the models for each shift; empty for a single shift

    def only(self, outputs: NDArray[np.int64]) -> TrackScores:
        """Return the scores on some outputs, by their indices in K; gene scores are not of classes and are left out."""
        return TrackScores(self.values[:, outputs], {}, tuple(one.only(outputs) for one in self.shifts))

    @property
    def errors(self) -> TrackScores:
        """Standard errors of the mean over shifts, s / sqrt(n) with n - 1 in s; for a gene, over the shifts that contain it."""
        values = _standard_error([one.values for one in self.shifts])
        items = {item: _standard_error([one.items[item] for one in self.shifts if item in one.items]) for item in self.items}
        return TrackScores(values, items)


class Noise(NamedTuple):
    """Scores at one position that no variant explains."""

    of_nothing: TrackScores  # reference against itself moved by one base, as an indel moves the sequence too
    of_window: TrackScores  # change of the scores of a substitution if its window moves by one base


class Outputs(NamedTuple):
    """The outputs that scores are of: tracks of a head, or classes of a fine-tuned model."""

    word: str  # "track" or "class"
    numbers: NDArray[np.int64]  # [K], in the head or among the classes
    names: list[str]  # [K]
    descriptions: list[str] | None = None  # [K]
    named_alone: bool = False  # a lone output is named in the meaning of its column

    @classmethod
    def of_tracks(cls, head: str, tracks: NDArray[np.int64], targets: TrackTable | None) -> Outputs:
        """Return tracks of a head; targets: the table of its tracks, if known."""
        numbers = tracks.tolist()
        if targets is None:
            return cls("track", tracks, [f"{head}_{i}" for i in numbers])
        return cls("track", tracks, [targets[i].identifier for i in numbers], [targets[i].description for i in numbers])


def _standard_error(each: Sequence[Floats]) -> Floats:
    """Return the standard error of the mean; NaN for fewer than two values. Arrays of NaN alone are no values."""
    known = [values for values in each if not np.isnan(values).all()]
    n = len(known)
    return np.std(known, axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full_like(each[0], np.nan)


def over_shifts(runs: Sequence[TrackScores], n_shifts: int) -> TrackScores:
    """Return the mean over shifts and models; runs: the scores of all models at the first shift, then the next."""
    mean = weighted_sum(runs)
    if n_shifts == 1:
        return mean
    n_models = len(runs) // n_shifts
    shifts = (weighted_sum(runs[i : i + n_models]) for i in range(0, len(runs), n_models))
    return mean._replace(shifts=tuple(shifts))


def weighted_sum(runs: Sequence[TrackScores], weights: Sequence[float] | None = None) -> TrackScores:
    """Return the mean, or the weighted sum of haplotypes.

    A gene that only some windows contain has the mean over those windows. A haplotype without a value of a gene adds nothing.
    """
    factors = weights or [1 / len(runs)] * len(runs)
    values = np.sum([w * one.values for w, one in zip(factors, runs, strict=True)], axis=0)
    items: dict[Item, Floats] = {}
    for item in dict.fromkeys(item for one in runs for item in one.items):
        known = [(w, one.items[item]) for w, one in zip(factors, runs, strict=True) if item in one.items]
        scale = 1.0 if weights or len(known) == len(runs) else sum(factors) / sum(w for w, _ in known)
        items[item] = np.sum([scale * w * of for w, of in known], axis=0)
    shifts = tuple(weighted_sum(of, weights) for of in zip(*(one.shifts for one in runs), strict=True))
    return TrackScores(values, items, shifts)


def zeros_like(like: TrackScores) -> TrackScores:
    """Return the scores of the reference against itself, which are 0."""
    items = {item: np.where(np.isnan(of), of, 0) for item, of in like.items.items()}
    return TrackScores(np.zeros_like(like.values), items, tuple(map(zeros_like, like.shifts)))


class TrackColumns:
    """Tracks (or classes) and genes of the scores, and the output columns for them."""

    def __init__(
        self, scores: Sequence[Score], outputs: Outputs, genes: Genes | None = None, *, chosen: bool, n_shifts: int = 1
    ) -> None:
        """Set up the layout.

        chosen: also add one column per output, next to the strongest. n_shifts: with several, each score gets an error column.
        """
        self.scores, self.outputs, self.genes = list(scores), outputs, genes
        self.chosen, self.n_shifts = chosen, n_shifts
        self.names, self.word = outputs.names, outputs.word
        n = Counter(map(info_key, self.names))
        self.unique_names = [
            f"{name}.{i}" if n[info_key(name)] > 1 else name
            for i, name in zip(outputs.numbers.tolist(), self.names, strict=True)
        ]
        self.of_genes = [i for i, score in enumerate(self.scores) if score.input.per_gene]

    @property
    def has_column_per_track(self) -> bool:
        """True if each track or class has its own column next to the strongest."""
        return self.chosen and len(self.names) > 1

    def name_column(self, score: Score) -> str:
        """Return the name of the column with the strongest track or class of a score, which exists if there are several."""
        return f"{score.name}_{self.word.upper()}"

    @property
    def columns(self) -> list[Column]:
        """Columns of `table`: for each score the strongest output, its name, and each chosen output."""
        found: list[Column] = []

        def add(name: str, score: Score, meaning: str) -> None:
            found.append(Column(name, score.unit, meaning))
            if self.n_shifts > 1:
                error = f"Standard error of {name}: standard deviation over the {self.n_shifts} shifts / sqrt({self.n_shifts})."
                found.append(Column(f"{name}_SE", score.unit, error, belongs_to=name))

        for score in self.scores:
            if not score.per_output or len(self.names) == 1:
                alone = score.per_output and self.outputs.named_alone
                add(score.name, score, f"{score.meaning} The {self.word} is {self.names[0]}." if alone else score.meaning)
            else:
                add(score.name, score, f"{score.meaning} Of the {self.word} where it is largest (or smallest).")
                meaning = f"The {self.word} that {score.name} is of."
                found.append(Column(self.name_column(score), f"a {self.word}", meaning, tuple(self.names)))
                if self.chosen:
                    for name in self.unique_names:
                        add(f"{score.name}_{name}", score, f"{score.name} of {name}.")
            if score.input.per_gene:
                assert self.genes is not None
                item = score.input.item
                names = self.genes.item_names if item == TRANSCRIPT else self.genes.names
                found.append(Column(f"{score.name}_{item.upper()}", f"a {item}", f"The {item} that {score.name} is of.", names))
        return found

    def strongest(self, variants: Sequence[TrackScores]) -> tuple[Floats, NDArray[np.int64]]:
        """Return values [n, scores, K], float32, and for gene scores the gene [n, scores] with the largest value, else -1.

        Gene scores are NaN without a gene in reach, and on tracks of the other strand. A gene can be a transcript.
        """
        values = np.array([one.values for one in variants], dtype=np.float32).reshape(
            len(variants), len(self.scores), len(self.names)
        )
        genes = np.full((len(variants), len(self.scores)), -1, dtype=np.int64)
        for i in self.of_genes:
            values[:, i] = np.nan
            for row, one in enumerate(variants):
                if items := _items_of(one, i):
                    item = max(items, key=lambda item: np.abs(np.nan_to_num(one.items[item])).max())
                    genes[row, i] = item.number
                    values[row, i] = one.items[item]
        return values, genes

    def errors(self, variants: Sequence[TrackScores], genes: NDArray[np.int64]) -> Floats:
        """Return the standard errors [n, scores, K] over shifts of the values of `strongest`; NaN without a gene."""
        each = [one.errors for one in variants]
        found = np.array([of.values for of in each], dtype=np.float32).reshape(len(variants), len(self.scores), len(self.names))
        for i in self.of_genes:
            for row, of in enumerate(each):
                found[row, i] = of.items[Item(i, int(genes[row, i]))] if genes[row, i] >= 0 else np.nan
        return found

    def value(self, scores: TrackScores, score: int, track: int, gene: int) -> float:
        """Return one score of one variant on one track; for a gene score that of `gene`, NaN if it is -1 (none)."""
        if score not in self.of_genes:
            return float(scores.values[score, track])
        if gene < 0:
            return np.nan
        of_gene = scores.items.get(Item(score, gene))
        return 0.0 if of_gene is None else float(of_gene[track])  # the change of one variant lies outside the gene

    def name_of_gene(self, gene: int) -> str:
        """Return the name of a gene or transcript; empty for -1 (none)."""
        return self.genes.item_names[gene] if self.genes is not None and gene >= 0 else MISSING

    def table(self, variants: Sequence[TrackScores]) -> Floats:
        """Return the values [n, columns]; a word is stored as its index."""
        values, genes = self.strongest(variants)
        errors = self.errors(variants, genes) if self.n_shifts > 1 else None
        found: list[Floats] = []

        def add(score: int, track: NDArray[np.intp] | int) -> None:
            rows = np.arange(len(values))
            found.extend(of[rows, score, track] for of in (values, errors) if of is not None)

        for i, score in enumerate(self.scores):
            if not score.per_output or len(self.names) == 1:
                add(i, 0)
            else:
                strongest = np.abs(np.nan_to_num(values[:, i])).argmax(-1)
                add(i, strongest)
                lacks = np.isnan(values[np.arange(len(values)), i, strongest])
                found.append(np.where(lacks, np.nan, strongest))
                if self.chosen:
                    for track in range(len(self.names)):
                        add(i, track)
            if score.input.per_gene:
                found.append(np.where(genes[:, i] < 0, np.nan, genes[:, i]))
        return np.stack(found, axis=1) if found else np.zeros((len(values), 0))

    def matrix(self, variants: Sequence[TrackScores]) -> TrackScoreMatrix:
        """Return the scores of every track: one row per variant and score; for gene scores one row per gene in reach.

        A gene score without a gene in reach has one row, without values.
        """
        values, genes = self.strongest(variants)
        index, rows = [], []
        for v, one in enumerate(variants):
            for i in range(len(self.scores)):
                items = _items_of(one, i)
                if not items:
                    index.append((v, i, -1, 1))
                    rows.append(values[v, i])
                for item in items:
                    index.append((v, i, item.number, int(item.number == genes[v, i])))
                    rows.append(one.items[item].astype(np.float32))
        return TrackScoreMatrix(
            np.array(index, dtype=np.int32).reshape(-1, 4), np.array(rows, np.float32).reshape(-1, len(self.names))
        )


def _items_of(scores: TrackScores, score: int) -> list[Item]:
    """Return the genes or transcripts that have a value of a score on some track."""
    return [item for item, values in scores.items.items() if item.score == score and not np.isnan(values).all()]
