"""Baselines learn what is there to learn, and nothing where nothing is; lengths, padding and N make no difference."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
import torch
from sklearn.metrics import matthews_corrcoef

from genoformer.evaluation.baselines import BASELINES
from genoformer.evaluation.examples import examples, pad, split
from genoformer.evaluation.kmer_regression import fit_kmer_regression, kmer_frequencies
from genoformer.evaluation.networks import CNN, LSTMAttention, _inputs, _plan, fit_cnn
from genoformer.genome.codes import encode, reverse_complement
from genoformer.tasks import Classification, MultiLabel, Regression
from genoformer.tokenizers import kmer_numbers

MOTIF = encode("GATTACAGCG")


def planted(n: int, seed: int, low: int = 24, high: int = 36):
    """Random sequences of 24 to 36 bases, one motif planted anywhere in those of class 1."""
    random = np.random.default_rng(seed)
    truth = np.arange(n) % 2
    sequences = []
    for label in truth:
        codes = random.integers(4, size=random.integers(low, high + 1)).astype(np.uint8)
        if label:
            place = random.integers(len(codes) - len(MOTIF))
            codes[place : place + len(MOTIF)] = MOTIF
        sequences.append(codes)
    return sequences, truth


def short(name: str, epochs: int) -> dict[str, int]:
    """Fewer epochs for the networks, which is all that these small tasks need."""
    return {} if name == "kmer_regression" else {"epochs": epochs}


@pytest.mark.parametrize("name", BASELINES)
def test_a_planted_motif_is_found(name) -> None:
    sequences, truth = planted(600, seed=0)
    unseen, expected = planted(400, seed=1)
    model = BASELINES[name](sequences, truth, Classification(("a", "b")), **short(name, 8))
    p = model.predict(unseen)
    assert p.dtype == np.float32
    assert p.sum(1) == pytest.approx(np.ones(400), abs=1e-5)
    assert (p.argmax(1) == expected).mean() > 0.9
    assert "validation loss" in model.notes[0]


def test_a_small_set_is_not_given_up_after_ten_steps() -> None:
    """200 sequences of 80 bases, 12 batches: for the first epochs the validation loss stays that of a guess, 0.69."""
    sequences, truth = planted(200, seed=0, low=80, high=80)
    unseen, expected = planted(400, seed=1, low=80, high=80)
    model = fit_cnn(sequences, truth, Classification(("a", "b")), epochs=45)
    assert (model.predict(unseen).argmax(1) == expected).mean() > 0.9
    assert "of 45 epochs of 12 steps" in model.notes[0]


@pytest.mark.parametrize(
    ("n", "plan"),
    [
        (18, (16, 2, 1000, 150)),
        (186, (16, 12, 167, 25)),
        (1800, (28, 65, 31, 5)),
        (27_000, (128, 211, 30, 4)),
        (500_000, (128, 3907, 30, 4)),
    ],
)
def test_a_small_set_has_small_batches_and_more_epochs(n, plan) -> None:
    """Sequences in a batch, batches in an epoch, epochs for 2,000 steps, and for 300 steps; of a large set 30 and 4."""
    assert _plan(n) == plan


@pytest.mark.parametrize("name", BASELINES)
def test_shuffled_labels_teach_nothing(name) -> None:
    sequences, truth = planted(400, seed=0)
    shuffled = np.random.default_rng(2).permutation(truth)
    unseen, expected = planted(400, seed=1)
    p = BASELINES[name](sequences, shuffled, Classification(("a", "b")), **short(name, 3)).predict(unseen)
    assert 0.38 < (p.argmax(1) == expected).mean() < 0.62  # half, give or take five standard errors


@pytest.mark.parametrize("name", BASELINES)
def test_labels_and_values(name) -> None:
    """Label 0 is the planted motif, label 1 never varies; the value is the share of C and G, which all can read off."""
    sequences, truth = planted(600, seed=0)
    labels = np.stack([truth, np.zeros_like(truth)], axis=1)
    p = BASELINES[name](sequences, labels, MultiLabel(("a", "b")), **short(name, 8)).predict(sequences)
    assert ((p[:, 0] > 0.5) == truth).mean() > 0.85
    assert p[:, 1].max() < 0.2
    share = np.array([np.isin(s, (1, 2)).mean() for s in sequences])
    values = np.stack([100 * share + 7, -share], axis=1)
    found = BASELINES[name](sequences, values, Regression(("a", "b")), **short(name, 8)).predict(sequences)
    assert found.shape == (600, 2)
    for i in range(2):
        assert np.corrcoef(found[:, i], values[:, i])[0, 1] > 0.9


@pytest.mark.parametrize("name", BASELINES)
def test_the_same_seed_is_the_same_model_and_the_outside_is_left_alone(name) -> None:
    sequences, truth = planted(100, seed=3)
    valid = planted(40, seed=4)
    state = torch.random.get_rng_state()
    first, again = (
        BASELINES[name](sequences, truth, Classification(("a", "b")), valid=valid, seed=5, **short(name, 2)).predict(valid[0])
        for _ in range(2)
    )
    assert (first == again).all()
    assert (torch.random.get_rng_state() == state).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_prediction_depends_on_its_own_sequence_alone(name) -> None:
    """Short and long together, or each by itself; also one of a single base, and one of N only."""
    sequences, truth = planted(100, seed=3)
    model = BASELINES[name](sequences, truth, Classification(("a", "b")), **short(name, 1))
    mixed = [sequences[0], encode("A"), encode("NNNNNNN"), np.concatenate(sequences[:5]), sequences[1][:37]]
    together = model.predict(mixed)
    assert together == pytest.approx(np.concatenate([model.predict([one]) for one in mixed]), abs=1e-5)
    assert np.isfinite(together).all()


@pytest.mark.parametrize("make", [CNN, LSTMAttention])
def test_what_lies_beyond_the_end_is_not_seen(make) -> None:
    torch.manual_seed(0)
    net = make(2).eval()
    x, keep = _inputs([MOTIF, np.concatenate([MOTIF] * 3)], net.pool)
    with torch.inference_mode():
        alone, both = net(*_inputs([MOTIF], net.pool)), net(x, keep)
    assert both[:1].numpy() == pytest.approx(alone.numpy(), abs=1e-5)


def test_kmer_frequencies_are_counts_by_hand() -> None:
    """ACGN: one each of A, C, G; AC and CG; ACG. Nothing over the N, and no 4-mer."""
    row = kmer_frequencies([encode("ACGN"), encode("TTTTTTTT")], 4).toarray()[0]

    def column(kmer: str) -> int:
        return sum(4**k for k in range(1, len(kmer))) + int(kmer_numbers(encode(kmer)[None], len(kmer))[0, 0])

    expected = dict.fromkeys(map(column, ("A", "C", "G")), 1 / 3) | {column("AC"): 0.5, column("CG"): 0.5, column("ACG"): 1.0}
    assert {int(i): row[i] for i in np.flatnonzero(row)} == pytest.approx(expected)


def test_canonical_frequencies_know_no_strand() -> None:
    sequences, _ = planted(5, seed=6)
    there, back = (kmer_frequencies(s, canonical=True) for s in (sequences, [reverse_complement(s) for s in sequences]))
    assert there.toarray() == pytest.approx(back.toarray(), abs=1e-7)
    assert abs(kmer_frequencies(sequences) - kmer_frequencies([reverse_complement(s) for s in sequences])).max() > 0.01


def test_a_class_that_was_never_seen_has_no_chance() -> None:
    sequences, truth = planted(100, seed=3)
    p = fit_kmer_regression(sequences, 2 * truth, Classification(("a", "b", "c", "d"))).predict(sequences)
    assert p[:, [1, 3]].max() == 0
    assert p.shape == (100, 4)


@pytest.mark.parametrize("place", range(3))
def test_the_only_one_of_a_class_is_learned_from(place) -> None:
    """It may stand anywhere in the order of the classes; the penalty is chosen without it, the model knows it."""
    sequences, truth = planted(60, seed=4)
    classes = np.where(truth, (place + 1) % 3, (place + 2) % 3)
    classes[7] = place
    p = fit_kmer_regression(sequences, classes, Classification(("a", "b", "c"))).predict(sequences)
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)


def test_a_held_out_tenth_has_the_classes_of_the_rest() -> None:
    data = examples([MOTIF] * 100, np.repeat([0, 1], [20, 80]), Classification(("a", "b")))
    train, held_out = split(data, None, Classification(("a", "b")), seed=0)
    assert np.bincount(held_out.targets).tolist() == [2, 8]
    assert len(train.targets) == 90
    lone = examples([MOTIF] * 41, np.repeat([0, 1, 2], [20, 1, 20]), Classification(("a", "b", "c")))  # number 20 of 41
    train, held_out = split(lone, None, Classification(("a", "b", "c")), seed=0)
    assert np.bincount(held_out.targets, minlength=3).tolist() == [2, 0, 2]
    codes, lengths = pad([MOTIF[:3], MOTIF], multiple=5)
    assert codes.shape == (2, 10)
    assert lengths.tolist() == [3, 10]


@pytest.mark.parametrize(
    ("sequences", "targets", "task", "sentence"),
    [
        ([MOTIF] * 30, [0] * 29, Classification(("a", "b")), r"targets of shape \(29,\) for 30 sequences"),
        ([], [], Classification(("a", "b")), "at least one sequence"),
        ([MOTIF, MOTIF[:0]] * 15, [0, 1] * 15, Classification(("a", "b")), "has no bases"),
        ([MOTIF] * 30, [0, 2] * 15, Classification(("a", "b")), "numbers 0 to 1, found 0 to 2"),
        ([MOTIF] * 30, [1] * 30, Classification(("a", "b")), "needs two classes"),
        ([MOTIF] * 4, [0, 1] * 2, Classification(("a", "b")), "too few to hold some out"),
        ([MOTIF] * 30, [[0.5]] * 30, MultiLabel(("a",)), "0 or 1"),
        ([MOTIF] * 30, [np.nan] * 30, Regression(("a",)), "missing or infinite"),
    ],
)
@pytest.mark.parametrize("fit", [fit_kmer_regression, fit_cnn])
def test_what_does_not_fit_is_refused(fit, sequences, targets, task, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        fit(sequences, targets, task)


def test_kmer_regression_on_real_promoters(real_data) -> None:
    """GUE prom_300_tata: MCC 0.489 on the development set for the same features, measured independently."""

    def read(part: str):
        with gzip.open(real_data / "classification" / "GUE" / "prom_300_tata" / f"{part}.csv.gz", "rt") as file:
            rows = list(csv.DictReader(file))
        return [encode(row["sequence"]) for row in rows], [int(row["label"]) for row in rows]

    sequences, truth = read("train")
    unseen, expected = read("dev")
    p = fit_kmer_regression(sequences, truth, Classification(("a", "b"))).predict(unseen)
    assert matthews_corrcoef(expected, p.argmax(1)) > 0.45
