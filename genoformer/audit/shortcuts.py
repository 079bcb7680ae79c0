"""A single property of sequences (length, GC, position ...) -> how well it alone tells the classes apart, cross-validated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.datasets.sequence_rows import LabelledSequences, Place
from genoformer.genome.codes import Codes, N, gc_share

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

N_FOLDS = 5
N_BINS = 10  # quantiles of a property; a class may prefer its middle, which a line would miss
LONGEST = 4  # 340 k-mers of 1 to 4 bases
N_NEIGHBOURS = 5
MOST_CLASSES = 20  # more labels that are numbers are read as above or below the median
_PRIOR = 1.0  # sequences of average labels that each bin begins with


class Labels(NamedTuple):
    """Classes of sequences, [N], their names, and how they were read, for a sentence."""

    classes: Ints
    names: tuple[str, ...]
    reading: str


class Area(NamedTuple):
    """AUROC of a class against the others, with its 95 % interval, and the class."""

    value: float
    low: float
    high: float
    name: str


def labels_of(data: LabelledSequences) -> Iterator[Labels]:
    """Yield the classes of each label column; numbers of many values are cut at their median."""
    for i, column in enumerate(data.columns):
        texts = [row[i] for row in data.labels]
        names = sorted(set(texts))
        if 2 <= len(names) <= MOST_CLASSES:
            number = {name: n for n, name in enumerate(names)}
            yield Labels(np.array([number[text] for text in texts]), tuple(names), column)
        elif len(names) > MOST_CLASSES and (values := _numbers(texts)) is not None:
            above = values > np.median(values)
            if 0 < above.sum() < len(above):
                yield Labels(above.astype(np.int64), ("below", "above"), f"{column} above its median")


def _numbers(texts: Sequence[str]) -> Floats | None:
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def area(score: Floats, positive: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return the AUROC of a score, ties counted half, with the 95 % interval of Hanley and McNeil 1982.

    >>> [round(x, 3) for x in area(np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True]))]
    [0.875, 0.468, 1.0]
    """
    from scipy.stats import rankdata

    n1 = int(positive.sum())
    n0 = len(positive) - n1
    if not n1 or not n0:
        return math.nan, math.nan, math.nan
    a = float((rankdata(score)[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = (a * (1 - a) + (n1 - 1) * (q1 - a * a) + (n0 - 1) * (q2 - a * a)) / (n1 * n0)
    half = 1.96 * math.sqrt(max(variance, 0.0))
    return a, max(a - half, 0.0), min(a + half, 1.0)


def worst(scores: Floats, labels: Labels) -> Area:
    """Return the AUROC of the class that scores [N, C] separate best from the others; of two classes that of the second."""
    classes = range(1, 2) if len(labels.names) == 2 else range(len(labels.names))
    found = [Area(*area(scores[:, c], labels.classes == c), labels.names[c]) for c in classes]
    return max(found, key=lambda one: -math.inf if math.isnan(one.low) else one.low)


def folds(labels: Labels, seed: int) -> Ints:
    """Return the fold of each sequence, stratified by class."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels.classes))
    order = order[np.argsort(labels.classes[order], kind="stable")]
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % N_FOLDS
    return fold


# --- properties


def of_bins(x: Floats, labels: Labels, fold: Ints) -> Floats:
    """Return out-of-fold fractions of the classes, [N, C], among training sequences in the same quantile of a property x [N].

    >>> labels = Labels(np.array([0, 1] * 20), ("a", "b"), "label")
    >>> found = of_bins(labels.classes * 1.0, labels, np.arange(40) % 5)
    >>> bool((found[labels.classes == 1, 1] > 0.9).all())
    True
    """
    scores = np.zeros((len(x), len(labels.names)))
    for k in range(N_FOLDS):
        train = fold != k
        edges = np.unique(np.quantile(x[train], np.linspace(0, 1, N_BINS + 1)[1:-1]))
        bins = np.searchsorted(edges, x, side="right")
        scores[~train] = _by_bin(bins, labels, train)[~train]
    return scores


def of_names(names: Sequence[str], labels: Labels, fold: Ints) -> Floats:
    """Return out-of-fold fractions of the classes, [N, C], among training sequences with the same name, such as a contig."""
    bins = np.unique(np.asarray(names), return_inverse=True)[1]
    scores = np.zeros((len(bins), len(labels.names)))
    for k in range(N_FOLDS):
        scores[fold == k] = _by_bin(bins, labels, fold != k)[fold == k]
    return scores


def _by_bin(bins: Ints, labels: Labels, train: NDArray[np.bool_]) -> Floats:
    """Return the fractions of the classes in the bin of each sequence, from training sequences, [N, C]."""
    n_classes = len(labels.names)
    overall = np.bincount(labels.classes[train], minlength=n_classes) / max(1, train.sum())
    counts = np.zeros((int(bins.max()) + 1, n_classes))
    np.add.at(counts, (bins[train], labels.classes[train]), 1)
    fractions = (counts + _PRIOR * overall) / (counts.sum(1, keepdims=True) + _PRIOR)
    return np.asarray(fractions[bins])


def of_neighbours(places: Sequence[Place], labels: Labels, fold: Ints) -> Floats:
    """Return out-of-fold fractions of the classes, [N, C], among the five nearest training sequences on the same contig."""
    scores = np.zeros((len(places), len(labels.names)))
    for k in range(N_FOLDS):
        held = np.flatnonzero(fold == k)
        scores[held] = from_neighbours(places, labels, np.flatnonzero(fold != k), [places[i] for i in held.tolist()])
    return scores


def from_neighbours(places: Sequence[Place], labels: Labels, train: Ints, asked: Sequence[Place]) -> Floats:
    """Return fractions of the classes, [M, C], among the five training sequences nearest to each place on its contig."""
    n_classes = len(labels.names)
    one_hot = np.eye(n_classes)[labels.classes]
    overall = one_hot[train].mean(0) if len(train) else np.full(n_classes, 1 / n_classes)
    scores = np.tile(overall, (len(asked), 1))
    of_contig: dict[str, list[int]] = {}
    for i in train.tolist():
        of_contig.setdefault(places[i].contig, []).append(i)
    rows_of: dict[str, list[int]] = {}
    for row, place in enumerate(asked):
        rows_of.setdefault(place.contig, []).append(row)
    for contig, rows in rows_of.items():
        if contig not in of_contig:
            continue
        here = np.array(of_contig[contig])
        middle = np.array([places[i].start + places[i].end for i in here])
        order = np.argsort(middle, kind="stable")
        here, middle = here[order], middle[order]
        at = np.array([asked[row].start + asked[row].end for row in rows])
        near = np.searchsorted(middle, at)[:, None] + np.arange(-N_NEIGHBOURS, N_NEIGHBOURS)
        outside = (near < 0) | (near >= len(here))
        near = np.clip(near, 0, len(here) - 1)
        distance = np.where(outside, np.inf, np.abs(middle[near] - at[:, None]))
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :N_NEIGHBOURS]
        weight = np.isfinite(np.take_along_axis(distance, nearest, 1)).astype(float)
        votes = one_hot[here[np.take_along_axis(near, nearest, 1)]]  # [M, 5, C]
        summed = (votes * weight[:, :, None]).sum(1) + _PRIOR * overall
        scores[rows] = summed / (weight.sum(1, keepdims=True) + _PRIOR)
    return scores


def properties(data: LabelledSequences) -> dict[str, Floats]:
    """Return length, N, lower case and GC of each sequence, [N]; lower case only where the file has letters."""
    lengths = np.array([len(sequence) for sequence in data.sequences], dtype=np.float64)
    unknown = np.array([int((sequence >= N).sum()) for sequence in data.sequences]) / lengths
    found = {"length": lengths, "N": unknown}
    if data.n_lower:
        found["lower case"] = np.array(data.n_lower) / lengths
    return found | {"GC": np.array([float(gc_share(sequence)) for sequence in data.sequences])}


def kmer_fractions(sequences: Sequence[Codes]) -> Floats:
    """Return each k-mer's fraction among the k-mers of its length without N, [N, 4 + 16 + 64 + 256]; A C G T in this order.

    >>> kmer_fractions([np.array([0, 0, 4], dtype=np.uint8)])[0, [0, 4]].tolist()
    [1.0, 1.0]
    """
    owner = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
    codes = np.concatenate(list(sequences)).astype(np.int64)
    parts, number, known = [], codes, codes < N
    for k in range(1, LONGEST + 1):
        if k > 1:
            number = number[:-1] * 4 + codes[k - 1 :]
            known = known[:-1] & (codes[k - 1 :] < N)
        whole = known & (owner[: len(known)] == owner[k - 1 :])  # within one sequence
        flat = owner[: len(known)][whole] * 4**k + number[whole]
        counts = np.bincount(flat, minlength=len(sequences) * 4**k).reshape(len(sequences), 4**k)
        parts.append(counts / np.maximum(counts.sum(1, keepdims=True), 1))
    return np.hstack(parts)


def of_kmers(sequences: Sequence[Codes], labels: Labels, fold: Ints) -> Floats:
    """Return out-of-fold probabilities [N, C] of a logistic regression on the frequencies of all 1- to 4-mers."""
    from sklearn.linear_model import LogisticRegression

    x = kmer_fractions(sequences)
    scores = np.zeros((len(x), len(labels.names)))
    for k in range(N_FOLDS):
        train = fold != k
        centre, spread = x[train].mean(0), x[train].std(0)
        scaled = (x - centre) / np.where(spread > 1e-9, spread, 1)
        model = LogisticRegression(C=0.01, max_iter=200).fit(scaled[train], labels.classes[train])
        scores[np.ix_(~train, model.classes_)] = model.predict_proba(scaled[~train])
    return scores
