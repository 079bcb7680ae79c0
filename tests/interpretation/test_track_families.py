"""Maps of Borzoi, Flashzoi, AlphaGenome and models with contexts: commands against numbers from the model itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from alphagenome_models import small_alphagenome
from borzoi_models import small_borzoi
from commands import run_well
from context_models import small_contexts

import genoformer as gf
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import encode, reverse_complement
from genoformer.interpretation.filters import filter_matrices, first_convolution
from genoformer.models import registry
from genoformer.models.plain_engine import one_hot

TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 6000))
START = 1024  # of the region, 0-based


class Case(NamedTuple):
    make: Callable[[], Any]
    head: str
    length: int  # bases of the model's window
    unit: int  # bases of a bin of attention


CASES = {
    "borzoi": Case(lambda: small_borzoi(context_length=1024), "human", 1024, 128),
    "flashzoi": Case(lambda: small_borzoi("flashzoi", context_length=1024), "mouse", 1024, 128),
    "alphagenome 1": Case(lambda: small_alphagenome(context_length=2048), "human_dnase_1bp", 2048, 128),
    "alphagenome 128": Case(lambda: small_alphagenome(context_length=2048), "mouse_chip_tf_128bp", 2048, 128),
    "contexts": Case(lambda: small_contexts("borzoi"), "tracks", 1024, 128),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def words(case: Case, tmp_path: Path, make_fasta) -> tuple[object, ...]:
    """The beginning of a command after its name: a region of the length of a window, genome, model."""
    model = case.make()
    for name, head in model.track_heads.items():
        if head.table is None:
            model.targets[name] = TrackTable(tuple(Track(i, f"t{i}", strand_pair=i) for i in range(head.n_tracks)))
    registry.save(model, tmp_path / "m")
    (tmp_path / "r.bed").write_text(f"c\t{START}\t{START + case.length}\tr1\n")
    return tmp_path / "r.bed", "-f", make_fasta(c=TEXT), "-m", tmp_path / "m"


def values(folder: Path) -> np.ndarray:
    """The map of the one region."""
    with np.load(folder / "maps.npz") as maps:
        return maps["map_0"]


def window(case: Case) -> np.ndarray:
    return encode(TEXT[START : START + case.length])


def naive_weights(case: Case) -> np.ndarray:
    """Attention weights [layers, H, T, T] of the window, all queries at once."""
    model = case.make()
    n = case.length // case.unit
    with torch.no_grad():
        return np.stack([weights(0, n)[0].double().numpy() for weights in model.attention(window(case)[None])])


def test_attention_profiles(case: Case, words: tuple[object, ...], tmp_path: Path) -> None:
    weights, n = naive_weights(case), case.length // case.unit
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-5)
    mean = weights.mean(1)
    rolled = np.eye(n)
    for layer in mean:
        rolled = (layer + np.eye(n)) / 2 @ rolled
    expected = {
        "cls": mean[-1, n // 2],
        "received": mean[-1].mean(0),
        "rollout": rolled[n // 2],
        "entropy": -(weights[-1] * np.log2(weights[-1])).sum(-1).mean(0),
    }
    model, text = case.make(), TEXT[START : START + case.length]
    for profile, by_bin in expected.items():
        (found,) = gf.attention([text], model, profile=profile)
        np.testing.assert_allclose(found, np.repeat(by_bin, case.unit), rtol=1e-3, atol=1e-6)
    run_well("interpret", "attention", *words, "--profile", "rollout", "-o", tmp_path / "a")
    np.testing.assert_allclose(values(tmp_path / "a"), np.repeat(expected["rollout"], case.unit), rtol=1e-3, atol=1e-6)
    assert {path.name for path in (tmp_path / "a").glob("*.png")} == {"001_r1.png", "001_r1_matrix.png"}


def sad(case: Case, at: int, base: str) -> float:
    """Sum over the first track and all predicted bins of the change by a base of the genome, mean of both strands.

    The window has the base in its middle, as with --anchor variant.
    """
    model = case.make()
    bins = model.bins_of(case.length, None, case.head)
    n_all = case.length // model.bin_size_of(case.head)
    start, sums = at - case.length // 2, []
    table = model.track_heads[case.head].table
    pair = 0 if table is None else table[0].strand_pair
    for text in (TEXT[at], base):
        codes = encode(TEXT[start:at] + text + TEXT[at + 1 : start + case.length])
        with torch.no_grad():
            forward = model.tracks(model.embed(hot(codes), bins, case.head), case.head)[0, 0]
            backward = model.tracks(model.embed(hot(reverse_complement(codes)), bins.reversed(n_all), case.head), case.head)
        sums.append(float(forward.double().sum() + backward[0, pair].double().sum()) / 2)
    return sums[1] - sums[0]


def hot(codes: np.ndarray) -> torch.Tensor:
    return one_hot(torch.from_numpy(codes.copy())[None])


def test_ism_is_the_difference_of_whole_windows(case: Case, words: tuple[object, ...], tmp_path: Path) -> None:
    options = ("--head", case.head, "--tracks", "0", "--length", 4, "--anchor", "variant")
    run_well("interpret", "ism", *words, *options, "-o", tmp_path / "ism", "--figures", 1)
    assert (tmp_path / "ism" / "001_r1.png").is_file()
    found = np.squeeze(values(tmp_path / "ism"))
    middle = START + case.length // 2 - 2
    expected = np.array([[sad(case, middle + i, base) for base in "ACGT"] for i in range(4)])
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4 * np.abs(expected).max())


def test_gradients_are_those_of_the_sum_of_a_track(case: Case, words: tuple[object, ...], tmp_path: Path) -> None:
    run_well(
        "interpret", "attribution", *words, "--head", case.head, "--tracks", "0", "--method", "gradient", "-o", tmp_path / "g"
    )
    model, onehot = case.make(), hot(window(case)).requires_grad_()
    model(onehot, case.head)[0, 0].sum().backward()
    gradient = onehot.grad[0].numpy()
    expected = gradient[window(case), np.arange(case.length)] - gradient.mean(0)
    np.testing.assert_allclose(values(tmp_path / "g"), expected, rtol=1e-2, atol=1e-3 * np.abs(expected).max())


def test_filters_are_those_of_the_first_convolution(case: Case) -> None:
    """The consensus of a filter's sites is more active than the mean of the positions of a random sequence."""
    model, codes = case.make(), encode(TEXT)[None].copy()
    first = next(module for name, module in model.named_modules() if name.endswith(("stem", "stages.0.conv")))
    assert first_convolution(model) is first
    matrices = filter_matrices(model, codes)
    assert len(matrices) > 4
    for matrix in matrices:
        weight = first.weight[int(matrix.name.removeprefix("filter_"))].detach().double().numpy()  # [4, 15]
        assert weight[matrix.p.argmax(1), np.arange(15)].sum() > weight.mean(0).sum()
