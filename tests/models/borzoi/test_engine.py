"""BorzoiEngine equals PlainEngine: whole windows, windows of a stretch, edited copies; and the plan of its memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from borzoi_models import KINDS, TABLE_OF_FOUR, small_borzoi
from scoring_jobs import track_scorer

from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.models.base import Bins
from genoformer.models.borzoi.engine import BorzoiEngine, BorzoiWindow
from genoformer.models.plain_engine import PlainEngine, PlainWindow


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_whole_windows(kind) -> None:
    model = small_borzoi(kind)
    engine = model.engine("human")
    assert isinstance(engine, BorzoiEngine)
    unit, size = model.config.unit, model.config.bin_size
    codes = np.random.default_rng(0).integers(0, 5, (2, 9 * unit), dtype=np.uint8)
    with torch.inference_mode():
        for bins in (Bins(0, 9 * unit // size), Bins(4, 3), Bins(9 * unit // size - 1, 1)):
            assert_same(engine.embed(codes, bins), PlainEngine(model).embed(codes, bins))


@pytest.mark.parametrize("kind", KINDS)
def test_windows_of_a_stretch_and_their_edited_copies(kind) -> None:
    """One base in the middle and near each end, two bases near and far apart, an insertion; windows on both grids."""
    model = small_borzoi(kind)
    engine, naive = model.engine(), PlainEngine(model)
    unit, size = model.config.unit, model.config.bin_size
    length = 20 * unit
    codes = np.random.default_rng(1).integers(0, 4, 2 * length, dtype=np.uint8)
    stretch, plain = engine.stretch(codes), naive.stretch(codes)
    with torch.inference_mode():
        for first in (0, unit // size, length // size, 1):
            window, expected = stretch.window(first, length // size), plain.window(first, length // size)
            assert isinstance(window, BorzoiWindow if first * size % unit == 0 else PlainWindow)
            copies = [None]
            for places in ([10 * unit], [10 * unit, 10 * unit + 3], [3], [length - 1], [7 * unit + 5, 13 * unit], []):
                copy = expected.codes.copy()
                copy[places] = (copy[places] + 1) % 4
                copies.append(copy)
            copy = expected.codes.copy()
            copy[10 * unit + 2 :] = copy[10 * unit : -2]
            copies.append(copy)
            for bins in (Bins(0, length // size), Bins(11, 1)):
                assert_same(window.embed(copies, bins), expected.embed(copies, bins))


def test_near_variants_share_the_tower_and_keep_their_scores(make_fasta, monkeypatch) -> None:
    """Windows of 8,192 bases begin at multiples of 128; sixteen SNVs need one stretch a strand."""
    text = "".join(np.random.default_rng(3).choice(list("ACGT"), 20_000))
    model = small_borzoi(context_length=8192, target_bins=64, heads={"human": 4})
    scorer = track_scorer(model, Genome(make_fasta(c=text)), "SAD", head="human", targets=TABLE_OF_FOUR)
    variants = [Variant("c", pos, text[pos - 1], "ACGT"["ACGT".index(text[pos - 1]) - 1]) for pos in range(9000, 12_000, 200)]
    made = []
    original = BorzoiWindow.__init__
    monkeypatch.setattr(BorzoiWindow, "__init__", lambda self, *rest: (made.append(rest[1]), original(self, *rest))[1])
    values = scorer.values(variants)[0]
    assert made
    monkeypatch.undo()
    expected = scorer.reference_scorer().values(variants)[0]
    np.testing.assert_allclose(values, expected, rtol=1e-3, atol=2e-5 * float(abs(expected).max()))


def test_the_planned_memory_counts_the_largest_stage() -> None:
    """The second stage needs most: its input of 262,144 x 512 numbers, its output of 131,072 x 608, and the one-hot bases."""
    from genoformer.models import cost
    from genoformer.models.borzoi.config import preset
    from genoformer.models.borzoi.model import Borzoi

    model = cost.meta_model(Borzoi, preset("borzoi"))
    copies, most = model.cpu_engine_size(524_288, 1, "human", 6144)
    assert copies == 512 * 61 + sum(8 * a * b + b + 2 * a for a, b in zip([512, *WIDTHS], WIDTHS, strict=False))
    outputs = 262_144 * 512 + 131_072 * 608 + 65_536 * 736
    assert most == outputs + max(4 * 524_288, 32_768 * 896)


WIDTHS = [608, 736, 896, 1056, 1280, 1536]
