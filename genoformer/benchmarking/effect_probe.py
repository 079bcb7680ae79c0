"""Measured effects of elements + features of the alleles -> predictions of elements that the probe was not fitted on.

A ridge regression of ranks. Its sums are kept for each locus, so that every fold is a subtraction and a solution of one system.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, solve
from scipy.special import ndtr

from genoformer.benchmarking.truth_set import Floats, Ints, TruthSet
from genoformer.errors import ConfigError
from genoformer.evaluation import weighted
from genoformer.progress import ProgressCallback, Stage

Strings = NDArray[np.str_]

SIGNED, SIZES = "probe of effects", "probe of sizes"
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)  # for each training variant, of standardised features
SCALES = (0.0, 0.1, 0.3)  # of the features of a large block, next to 1 for those of the main one
_INNER_FOLDS = 5
_FEWEST_LOCI = 3
_CONSTANT = 1e-10  # variance of a constant feature, up to rounding


class Block(NamedTuple):
    """Features [N, F] with one scale, chosen of `SCALES`; those of the main, first block have the scale 1.

    n_components: if the block has more features, their first principal components in the training variants replace them.
    """

    x: NDArray[np.floating]
    n_components: int | None = None


class Choice(NamedTuple):
    """Choice of the inner folds: the scale of each block, and the penalty."""

    scales: tuple[float, ...]
    penalty: float


class Probed(NamedTuple):
    """Predictions of the probes, [N] each, and their choices: locus -> choice."""

    signed: Floats  # in standard deviations of the rank within the element
    sizes: Floats  # between 0 and 1: no size is below 0
    choices: dict[str, tuple[Choice, Choice]]  # of the signed probe and of that of sizes


class _Data(NamedTuple):
    """Features [N, F], targets [N, 2], element and locus of each row, and the number of features of each block."""

    x: Floats
    y: Floats
    elements: Strings
    loci: Strings
    widths: list[int]


class _Sums(NamedTuple):
    """Sums over rows: their number, features [F], products [F, F], products with targets [F, 2], targets [2]."""

    n: float
    x: Floats
    xx: Floats
    xy: Floats
    y: Floats

    def plus(self, other: _Sums) -> _Sums:
        xx, xy = self.xx + other.xx, self.xy + other.xy
        return _Sums(self.n + other.n, self.x + other.x, xx, xy, self.y + other.y)


def loci_of(truth: TruthSet) -> list[str]:
    """Return the locus of each item: elements whose variants overlap on a contig are one locus, with all their names.

    >>> from genoformer.benchmarking.truth_set import Allele, variant_set
    >>> alleles = [Allele("1", pos, "A", "C") for pos in (1, 9, 5, 30)]
    >>> loci_of(variant_set(alleles, effect=np.zeros(4), subset=("a", "a", "b", "c")))
    ['a, b', 'a, b', 'a, b', 'c']
    """
    spans: dict[tuple[str, str], tuple[int, int]] = {}
    for chrom, allele, element in zip(truth.chrom, truth.alleles, truth.subset, strict=True):
        first, last = spans.get((chrom, element), (allele.pos, allele.pos))
        spans[chrom, element] = min(first, allele.pos), max(last, allele.pos)
    locus, names, end = dict[tuple[str, str], list[str]](), list[str](), ("", 0)
    for (chrom, element), (first, last) in sorted(spans.items(), key=lambda item: (item[0][0], item[1])):
        if chrom != end[0] or first > end[1]:
            names, end = [], (chrom, last)
        names.append(element)
        locus[chrom, element] = names
        end = (chrom, max(last, end[1]))
    return [", ".join(locus[key]) for key in zip(truth.chrom, truth.subset, strict=True)]


def effect_probe(truth: TruthSet, blocks: Sequence[Block], progress: ProgressCallback = None) -> Probed:
    """Return the predicted effect and its predicted size of each variant, from a probe that was fitted on other loci.

    Each locus (`loci_of`) is predicted by a ridge regression of the ranks within each element (of the effects; of their sizes)
    that was fitted on the other loci. The scales of the blocks and the penalty are those of the highest mean Spearman over the
    elements of five folds of loci within the training loci; the held-out locus has no part in a choice. Features are
    standardised by the training variants.

    Raises ConfigError for fewer than three loci.
    """
    loci = np.array(loci_of(truth))
    names = sorted(set(loci.tolist()))
    if len(names) < _FEWEST_LOCI:
        raise ConfigError(
            f"a probe of effects holds loci out, found {len(names)} ({'; '.join(names)}), expected {_FEWEST_LOCI} or more; "
            "give more elements, or leave the probe out."
        )
    elements = np.array(truth.subset)
    y = _targets(np.asarray(truth.effect), elements)
    found, choices = np.full((len(truth), 2), np.nan), {}
    reductions = [_Reduction(block, loci) for block in blocks]
    stage = Stage(progress, "probe", len(names))
    for name in names:
        training = [other for other in names if other != name]
        parts = [reduction.features(training) for reduction in reductions]
        data = _Data(np.concatenate(parts, axis=1), y, elements, loci, [part.shape[1] for part in parts])
        sums = {other: _sums(data.x[loci == other], y[loci == other]) for other in training}
        choices[name] = _choose(data, sums)
        for target, choice in enumerate(choices[name]):
            used, scale = _columns(choice.scales, data.widths)
            weights, intercept = _fit(_of_columns(_total(sums.values()), used), scale, [choice.penalty])[0]
            found[loci == name, target] = (data.x[np.ix_(loci == name, used)] @ weights + intercept)[:, target]
        stage.add(1)
    return Probed(found[:, 0], np.asarray(ndtr(found[:, 1])), choices)


class _Reduction:
    """A block, and its sums for each locus if principal components replace its features."""

    def __init__(self, block: Block, loci: Strings) -> None:
        self.x, self.n_components = np.asarray(block.x), block.n_components
        self.sums: dict[str, _Sums] = {}
        if block.n_components is not None and self.x.shape[1] > block.n_components:
            nothing = np.zeros((len(loci), 0))
            self.sums = {str(name): _sums(self.x[loci == name], nothing[loci == name]) for name in np.unique(loci)}

    def features(self, training: Sequence[str]) -> Floats:
        """Return the features, or their first principal components in the training loci, [N, F]."""
        if not self.sums:
            return self.x.astype(np.float64)
        sums = _total(self.sums[name] for name in training)
        mean, factor = _standard(sums)
        last = len(mean) - 1
        _, vectors = eigh(_products(sums, factor), subset_by_index=[last - (self.n_components or 1) + 1, last])
        weights = (vectors * factor[:, None]).astype(self.x.dtype)
        return np.asarray(self.x @ weights - mean @ weights, dtype=np.float64)


def _targets(effect: Floats, elements: Strings) -> Floats:
    """Return the ranks of the effects and of their sizes within each element, with mean 0 and variance 1, [N, 2]."""
    y = np.zeros((len(effect), 2))
    for element in np.unique(elements):
        rows = elements == element
        unit = np.ones((1, int(rows.sum())))
        for target, values in enumerate((effect[rows], np.abs(effect[rows]))):
            rank = weighted.ranks(unit, values)[0]
            y[rows, target] = (rank - rank.mean()) / (rank.std() or 1)
    return y


def _sums(x: NDArray[np.floating], y: Floats) -> _Sums:
    n = len(x)
    return _Sums(float(n), x.sum(0, dtype=np.float64), (x.T @ x).astype(np.float64), x.T @ y, y.sum(0))


def _total(parts: Iterable[_Sums]) -> _Sums:
    total, *others = parts
    for part in others:
        total = total.plus(part)
    return total


def _standard(sums: _Sums) -> tuple[Floats, Floats]:
    """Return the mean of each feature, and 1 / its standard deviation, 0 for a constant, [F]."""
    mean = sums.x / sums.n
    variance = np.diag(sums.xx) / sums.n - mean**2
    return mean, np.where(variance > _CONSTANT, 1 / np.sqrt(np.maximum(variance, _CONSTANT)), 0)


def _products(sums: _Sums, factor: Floats) -> Floats:
    """Return the products of the features without their means, each multiplied by its factor, [F, F]."""
    mean = sums.x / sums.n
    return np.asarray((sums.xx - sums.n * np.outer(mean, mean)) * np.outer(factor, factor))


def _fit(sums: _Sums, scale: Floats, penalties: Sequence[float]) -> list[tuple[Floats, Floats]]:
    """Return weights [F, 2] and intercepts [2] for each penalty."""
    mean, factor = _standard(sums)
    factor = factor * scale
    products = _products(sums, factor)
    with_target = (sums.xy - np.outer(mean, sums.y)) * factor[:, None]
    fits = []
    for penalty in penalties:
        system = products.copy()
        system[np.diag_indices_from(system)] += penalty * sums.n
        weights = solve(system, with_target, assume_a="pos", overwrite_a=True) * factor[:, None]
        fits.append((weights, sums.y / sums.n - mean @ weights))
    return fits


def _columns(scales: Sequence[float], widths: Sequence[int]) -> tuple[Ints, Floats]:
    """Return the numbers of the features with a scale above 0, and their scales."""
    scale = np.repeat([1.0, *scales], widths)
    used = np.flatnonzero(scale > 0)
    return used, scale[used]


def _of_columns(sums: _Sums, used: Ints) -> _Sums:
    return _Sums(sums.n, sums.x[used], sums.xx[np.ix_(used, used)], sums.xy[used], sums.y)


def _choose(data: _Data, sums: Mapping[str, _Sums]) -> tuple[Choice, Choice]:
    """Return the choices with the highest mean Spearman over the elements of inner folds, for effects and for sizes."""
    training = list(sums)
    n_folds = min(_INNER_FOLDS, len(training))
    means = dict[Choice, list[Floats]]()
    for held in (training[i::n_folds] for i in range(n_folds)):
        rows = np.flatnonzero(np.isin(data.loci, held))
        of_fold = _total(of for name, of in sums.items() if name not in held)
        for scales in product(SCALES, repeat=len(data.widths) - 1):
            used, scale = _columns(scales, data.widths)
            x = data.x[np.ix_(rows, used)]
            fits = _fit(_of_columns(of_fold, used), scale, PENALTIES)
            for penalty, (weights, _) in zip(PENALTIES, fits, strict=True):
                found = _by_element(x @ weights, data.y[rows], data.elements[rows])
                means.setdefault(Choice(scales, penalty), []).append(found)
    mean = {choice: np.concatenate(values).mean(0) for choice, values in means.items()}
    signed = max(mean, key=lambda choice: float(mean[choice][0]))
    return signed, max(mean, key=lambda choice: float(mean[choice][1]))


def _by_element(found: Floats, y: Floats, elements: Strings) -> Floats:
    """Return Spearman's correlation of predictions and ranks in each element, [E, 2]."""
    values = []
    for element in np.unique(elements):
        rows = elements == element
        unit = np.ones((1, int(rows.sum())))
        pairs = ((found[rows, i], y[rows, i]) for i in range(2))
        values.append([float(weighted.pearson(unit, weighted.ranks(unit, a), b)[0]) for a, b in pairs])
    return np.nan_to_num(np.array(values))
