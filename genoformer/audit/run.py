"""audit_set(): request -> splits -> copies across splits, and properties that separate the classes -> checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from genoformer.audit import shortcuts
from genoformer.audit.checks import Check, skipped
from genoformer.audit.copies import copies, digests
from genoformer.audit.request import AuditRequest, Split
from genoformer.audit.result import Audit, Leak
from genoformer.audit.shortcuts import Floats, Ints, Labels
from genoformer.datasets.sequence_rows import Place
from genoformer.genome.codes import reverse_complement
from genoformer.progress import ProgressCallback, Stage

_FEW = 10  # sequences of each class that a property needs


def audit_set(request: AuditRequest, *, progress: ProgressCallback = None) -> Audit:
    """Look for leaks across the splits of a labelled set and for properties that tell its classes apart without biology.

    Copies of sequences of an earlier split in a later one: exact, of the reverse complement, shifted, near, or overlapping
    regions where there are coordinates. In each split: repeated sequences, and copies with conflicting labels. In the first
    split: how well length, N, lower case, GC, k-mers, contig and position alone tell the classes apart, as cross-validated
    AUROC with the interval of Hanley and McNeil (1982). `checks.LIMITS` has the limits and their reasons.

    Raises the errors of `read_labelled`, MissingFileError and OptionError.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, text in (("train", "ACGTTGCAAGGCTTAC"), ("test", "GTAAGCCTTGCAACGT")):
    ...         _ = pathlib.Path(folder, f"{name}.csv").write_text(f"sequence,label\\n{text},1\\n")
    ...     audit = audit_set(AuditRequest(folder))
    >>> audit.verdict, [check.name for check in audit.checks if check.verdict == "FAIL"]
    ('FAIL', ['reverse complements'])
    """
    notes: list[str] = []
    splits = request.read(notes.append)
    checks, leaks = _of_copies(splits, progress)
    for split in splits:
        checks += _inside(split)
    checks += _of_shortcuts(splits, request, progress)
    return Audit({split.name: len(split.data) for split in splits}, tuple(checks), tuple(notes), tuple(leaks))


# --- copies


def _of_copies(splits: Sequence[Split], progress: ProgressCallback) -> tuple[list[Check], list[Leak]]:
    pairs = list(combinations(splits, 2))
    if not pairs:
        why = "the set has one split"
        return [skipped(name, splits[0].name, len(splits[0].data), why) for name in ("exact copies", "near copies")], []
    stage = Stage(progress, "copies", sum(len(other.data) for _, other in pairs))
    checks, leaks = [], []
    for first, other in pairs:
        found = copies(first.data.sequences, other.data.sequences, stage)
        where, n = f"{other.name} in {first.name}", len(other.data)
        n_short = int(found.unchecked.sum())
        short = f"; {n_short:,} too short" if n_short else ""
        kinds = {"exact copies": found.exact, "reverse complements": found.reversed}
        kinds |= {"shifted or partial copies": found.shifted, "near copies": found.near}
        for name, rows in kinds.items():
            is_exact = name in ("exact copies", "reverse complements")
            checks.append(_fraction(name, where, int(rows.sum()), n, "" if is_exact else short))
            leaks += [_leak(name, first, other, i, int(found.origin[i])) for i in np.flatnonzero(rows).tolist()]
        if first.data.places and other.data.places:
            origin = _overlapping(first.data.places, other.data.places)
            checks.append(_fraction("overlapping regions", where, int((origin >= 0).sum()), n))
            over = np.flatnonzero(origin >= 0).tolist()
            leaks += [_leak("overlapping regions", first, other, i, int(origin[i])) for i in over]
    return checks, leaks


def _leak(check: str, first: Split, other: Split, i: int, origin: int) -> Leak:
    """Return sequence i of a split as a leak of a sequence of the first one."""
    return Leak(check, other.name, i + 1, other.data.names[i], first.name, origin + 1, first.data.names[origin])


def _fraction(name: str, where: str, found: int, n: int, more: str = "") -> Check:
    share = f" ({100 * found / n:.3g} %)" if found else ""
    return Check(name, where, found / n, n, f"{found:,} of {n:,}{share}{more}")


def _overlapping(first: Sequence[Place], other: Sequence[Place]) -> Ints:
    """Return for each place of `other` the number of a place of `first` that it overlaps, or -1."""
    by_contig: dict[str, list[int]] = {}
    for i, place in enumerate(first):
        if place.end > place.start:
            by_contig.setdefault(place.contig, []).append(i)
    index = {}
    for contig, rows in by_contig.items():
        rows.sort(key=lambda i: first[i].start)
        ends = np.array([first[i].end for i in rows])
        at = _places_of_maxima(ends)
        index[contig] = np.array(rows), np.array([first[i].start for i in rows]), ends[at], at  # the latest ends so far
    found = np.full(len(other), -1, dtype=np.int64)
    for i, place in enumerate(other):
        if place.contig in index and place.end > place.start:
            numbers, starts, latest, at = index[place.contig]
            last = int(np.searchsorted(starts, place.end, side="left")) - 1  # the last that begins before the end
            if last >= 0 and latest[last] > place.start:
                found[i] = numbers[at[last]]
    return found


def _places_of_maxima(values: Ints) -> Ints:
    """Return where the largest of the values up to each one is.

    >>> _places_of_maxima(np.array([3, 9, 4, 9, 12])).tolist()
    [0, 1, 1, 1, 4]
    """
    is_new = np.diff(np.maximum.accumulate(values), prepend=values[:1] - 1) > 0
    return np.maximum.accumulate(np.where(is_new, np.arange(len(values)), 0))


def _inside(split: Split) -> list[Check]:
    """Check a split for repeated sequences, and for those that have different labels; either strand."""
    data, n = split.data, len(split.data)
    own = digests(data.sequences)
    turned = digests([reverse_complement(sequence) for sequence in data.sequences])
    key = [min(pair) for pair in zip(own, turned, strict=True)]
    seen: dict[bytes, set[tuple[str, ...]]] = {}
    n_repeated = 0
    for digest, label in zip(key, data.labels, strict=True):
        n_repeated += digest in seen
        seen.setdefault(digest, set()).add(label)
    checks = [_fraction("repeated sequences", split.name, n_repeated, n)]
    if data.columns:
        n_conflicting = sum(len(seen[digest]) > 1 for digest in key)
        checks.append(_fraction("conflicting labels", split.name, n_conflicting, n))
    return checks


# --- shortcuts


def _of_shortcuts(splits: Sequence[Split], request: AuditRequest, progress: ProgressCallback) -> list[Check]:
    split = splits[0]
    data, n = split.data, len(split.data)
    values = shortcuts.properties(data)
    names = [*values, "k-mers", *(["contig", "position"] if data.places else [])]
    columns = [labels for labels in shortcuts.labels_of(data) if _is_enough(labels)]
    if not columns:
        why = f"no label with {_FEW} sequences of each class" if data.columns else "the set has no labels"
        return [skipped(name, split.name, n, why) for name in names]
    stage = Stage(progress, "shortcuts", len(names))
    checks = []
    for name in names:
        found = [_score_property(name, values, split, labels, request) for labels in columns]
        checks.append(max(found, key=lambda check: -1.0 if math.isnan(check.low) else check.low))
        stage.add(1)
    if data.places:
        checks += [check for other in splits[1:] for check in _from_first(split, other, columns)]
    return checks


def _is_enough(labels: Labels) -> bool:
    return bool(np.bincount(labels.classes, minlength=len(labels.names)).min() >= _FEW)


def _score_property(name: str, values: dict[str, Floats], split: Split, labels: Labels, request: AuditRequest) -> Check:
    data = split.data
    fold = shortcuts.folds(labels, request.seed)
    if name == "k-mers":
        rows = np.arange(len(data))
        if len(data) > request.n_kmer:
            rows = np.sort(np.random.default_rng(request.seed).choice(len(data), request.n_kmer, replace=False))
        sample = Labels(labels.classes[rows], labels.names, labels.reading)
        scores: Callable[[], Floats] = lambda: shortcuts.of_kmers([data.sequences[i] for i in rows], sample, fold[rows])  # noqa: E731
        return _area(name, split.name, scores(), sample)
    if name == "contig":
        return _area(name, split.name, shortcuts.of_names([place.contig for place in data.places], labels, fold), labels)
    if name == "position":
        return _area(name, split.name, shortcuts.of_neighbours(data.places, labels, fold), labels)
    x = values[name]
    if x.min() == x.max():
        return Check(name, split.name, 0.5, len(x), f"{_shown(name, x[0])} in all", 0.5, 0.5)
    return _area(name, split.name, shortcuts.of_bins(x, labels, fold), labels)


def _shown(name: str, value: float) -> str:
    return f"{value:,.0f}" if name == "length" else f"{100 * value:.3g} %"


def _area(name: str, where: str, scores: Floats, labels: Labels) -> Check:
    found = shortcuts.worst(scores, labels)
    of = f" of {found.name}" if len(labels.names) > 2 else ""
    text = f"AUROC{of} {found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
    return Check(name, where, found.value, len(labels.classes), text, found.low, found.high)


def _from_first(first: Split, other: Split, columns: Sequence[Labels]) -> list[Check]:
    """Predict the labels of another split from the positions of the first, if both lie on the same contigs."""
    where = f"{other.name} from {first.name}"
    shared = {place.contig for place in first.data.places} & {place.contig for place in other.data.places}
    if not shared:
        return [skipped("position", where, len(other.data), "no contig is in both")]
    rows = [i for i, place in enumerate(other.data.places) if place.contig in shared]
    every = np.arange(len(first.data))
    checks = []
    for labels in columns:
        number = {name: i for i, name in enumerate(labels.names)}
        if labels.reading not in other.data.columns:
            continue
        column = other.data.columns.index(labels.reading)
        kept = [i for i in rows if other.data.labels[i][column] in number]
        if not kept:
            continue
        asked = [other.data.places[i] for i in kept]
        scores = shortcuts.from_neighbours(first.data.places, labels, every, asked)
        theirs = Labels(np.array([number[other.data.labels[i][column]] for i in kept]), labels.names, labels.reading)
        if _is_enough(theirs):
            checks.append(_area("position", where, scores, theirs))
    few = skipped("position", where, len(rows), f"fewer than {_FEW} sequences of each class on shared contigs")
    return sorted(checks, key=lambda check: -check.low)[:1] or [few]
