"""AUROC, bins, neighbours and k-mers against scikit-learn and naive loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from genoformer.audit import shortcuts
from genoformer.audit.shortcuts import Labels
from genoformer.datasets.sequence_rows import LabelledSequences, Place
from genoformer.genome.codes import encode

random = np.random.default_rng(0)


def labels(n: int = 400, n_classes: int = 2, seed: int = 0) -> Labels:
    classes = np.random.default_rng(seed).integers(n_classes, size=n)
    return Labels(classes, tuple("abcdef"[:n_classes]), "label")


def test_the_area_is_scikit_learns_and_its_interval_holds_it() -> None:
    of = labels()
    score = np.round(random.normal(size=400) + of.classes, 1)  # with ties
    value, low, high = shortcuts.area(score, of.classes == 1)
    assert value == pytest.approx(roc_auc_score(of.classes, score))
    assert low < value < high
    assert all(np.isnan(shortcuts.area(score, np.zeros(400, dtype=bool))))


def test_the_interval_of_a_random_score_holds_one_half_nineteen_times_in_twenty() -> None:
    hits = 0
    for seed in range(200):
        of = labels(200, seed=seed)
        _, low, high = shortcuts.area(np.random.default_rng(1000 + seed).normal(size=200), of.classes == 1)
        hits += low <= 0.5 <= high
    assert 180 <= hits <= 199


def test_a_property_of_the_middle_is_found_and_a_random_one_is_not() -> None:
    of = labels()
    x = np.where(of.classes == 1, random.normal(0, 0.3, 400), random.choice([-2.0, 2.0], 400))
    fold = shortcuts.folds(of, 0)
    assert shortcuts.worst(shortcuts.of_bins(x, of, fold), of).value > 0.95
    found = shortcuts.worst(shortcuts.of_bins(random.normal(size=400), of, fold), of)
    assert found.low < 0.55


def test_folds_are_stratified_and_depend_on_the_seed_only() -> None:
    of = labels(100, 3)
    fold = shortcuts.folds(of, 1)
    assert (fold == shortcuts.folds(of, 1)).all()
    assert (fold != shortcuts.folds(of, 2)).any()
    for c in range(3):
        counts = np.bincount(fold[of.classes == c], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_neighbours_are_those_of_a_naive_search() -> None:
    of = labels(60)
    places = [Place(f"chr{i % 3}", s := int(random.integers(10_000)), s + 100) for i in range(60)]
    train = np.arange(0, 60, 2)
    asked = [places[i] for i in range(1, 60, 2)]
    found = shortcuts.from_neighbours(places, of, train, asked)
    overall = np.bincount(of.classes[train], minlength=2) / len(train)
    for place, scores in zip(asked, found, strict=True):
        middle = place.start + place.end
        own = sorted(
            (abs(places[i].start + places[i].end - middle), int(i)) for i in train if places[i].contig == place.contig
        )[:5]
        votes = np.bincount([of.classes[i] for _, i in own], minlength=2) + overall
        assert scores == pytest.approx(votes / votes.sum())


def test_an_unknown_contig_gets_the_overall_fractions() -> None:
    of = labels(20)
    places = [Place("chr1", i * 10, i * 10 + 5) for i in range(20)]
    found = shortcuts.from_neighbours(places, of, np.arange(20), [Place("chr9", 5, 6)])
    assert found[0] == pytest.approx(np.bincount(of.classes, minlength=2) / 20)


def test_fractions_of_kmers_are_those_of_a_loop() -> None:
    texts = ["ACGTNACGGT", "AA", "TTTTTGCA"]
    found = shortcuts.kmer_fractions([encode(text) for text in texts])
    kmers = [""]
    for row, text in zip(found, texts, strict=True):
        at = 0
        for k in range(1, 5):
            kmers = [a + b for a in (kmers if k > 1 else [""]) for b in "ACGT"]
            own = [text[i : i + k] for i in range(len(text) - k + 1) if "N" not in text[i : i + k]]
            expected = [own.count(kmer) / max(1, len(own)) for kmer in kmers]
            assert row[at : at + 4**k] == pytest.approx(expected)
            at += 4**k


def test_kmers_tell_a_planted_motif() -> None:
    of = labels(300)
    sequences = [
        encode("".join(random.choice(list("ACGT"), 60)) + ("GATAGATAGATA" if c else "ACGTTGCACTGA")) for c in of.classes
    ]
    found = shortcuts.worst(shortcuts.of_kmers(sequences, of, shortcuts.folds(of, 0)), of)
    assert found.value > 0.9


def data_with(rows: list[tuple[str, ...]], columns: tuple[str, ...]) -> LabelledSequences:
    return LabelledSequences(("x",) * len(rows), (encode("ACGT"),) * len(rows), tuple(rows), columns, Path("x.csv"))


def test_labels_are_classes_or_numbers_cut_at_their_median() -> None:
    two = list(shortcuts.labels_of(data_with([("0", "x"), ("1", "x")] * 3, ("a", "b"))))
    assert [(of.reading, of.names) for of in two] == [("a", ("0", "1"))]  # b has one class
    values = [(str(i / 10),) for i in range(50)]
    (cut,) = shortcuts.labels_of(data_with(values, ("signal",)))
    assert cut.reading == "signal above its median"
    assert cut.classes.sum() == 25
    assert not list(shortcuts.labels_of(data_with([(f"name{i}",) for i in range(50)], ("a",))))
