"""The entropy of a region has the values of `predict` at the points that the sentence names, and takes seconds at most."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from browse_worlds import World
from small_models import small_encoder

import genoformer as gf
from genoformer.browse import entropy
from genoformer.browse.entropy import EntropyTrack
from genoformer.browse.place import read_place
from genoformer.browse.request import BrowseRequest, Query
from genoformer.browse.views import Browser, open_browser
from genoformer.models import registry
from genoformer.models.cloze.config import ClozeConfig
from genoformer.models.cloze.model import Cloze
from genoformer.report.canvas import TrackRow
from genoformer.tokenizers import BaseTokenizer, BPETokenizer, KmerTokenizer

PLACE = "chr1:101-1700"


def save_models(folder: Path) -> None:
    """Write models of the kinds that differ in their points."""
    registry.save(small_encoder(BaseTokenizer(), context_length=64, init_std=0.4), folder / "masked")
    registry.save(small_encoder(KmerTokenizer(3), context_length=64, init_std=0.4), folder / "kmers")
    registry.save(small_encoder(BaseTokenizer(), context_length=64, init_std=0.4, causal=True), folder / "causal")
    cloze = Cloze(ClozeConfig(n_vocab=9, width=16, n_layers=2, n_heads=2, ffn_width=32, context_length=64, init_std=0.4))
    cloze.tokenizer = BaseTokenizer()
    registry.save(cloze, folder / "cloze")
    windows = np.random.default_rng(0).integers(0, 4, (50, 200), dtype=np.uint8)
    registry.save(small_encoder(BPETokenizer.train(windows, 64)), folder / "bpe")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("entropy")
    save_models(folder)
    return folder


@contextmanager
def browser_of(world: World, model: Path, seconds: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """Yield a browser on a machine on which a pass takes this long."""
    timed = cached_property(lambda _: seconds)
    timed.__set_name__(EntropyTrack, "seconds_per_pass")
    monkeypatch.setattr(EntropyTrack, "seconds_per_pass", timed)
    with open_browser(BrowseRequest(model, world.fasta, device="cpu")) as browser:
        yield browser


@pytest.mark.parametrize(
    ("model", "step", "stride"), [("masked", 4, 16), ("kmers", 4, 16), ("cloze", 1, 1), ("causal", 1, None)]
)
def test_the_points_have_the_values_of_predict(
    world: World, models: Path, model: str, step: int, stride: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with browser_of(world, models / model, 1e-3, monkeypatch) as browser:
        view = browser.show(Query(PLACE))
    (row,) = [row for row in view.scene.rows if isinstance(row, TrackRow)]
    table = gf.predict(world.fasta, PLACE, models / model, track="entropy", stride=stride)
    at = table["start"] % step == 0
    assert (row.start, row.bin_size) == (100, step)
    np.testing.assert_allclose(row.ref, table.loc[at, "entropy"], atol=1e-5)
    assert row.ref.std() > 0.01
    (text,) = view.texts
    assert text.startswith(f"Entropy of {'every base' if step == 1 else f'one base in {step}'}")
    assert f"as predict computes it with track entropy{'' if stride is None else f' and stride {stride}'}: " in text
    assert ("given the bases before it" in text) == (model == "causal")
    assert view.scene.view == (100, 1_700)


def test_points_of_a_slow_model_are_coarser_and_of_a_slower_one_none(
    world: World, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,600 bases in cells of 32 are 50 or 51 windows: with both strands and 5 s, a pass may take 49 ms."""
    steps = []
    for seconds in (0.001, 0.015, 0.03, 0.06):
        with browser_of(world, models / "masked", seconds, monkeypatch) as browser:
            rows, text = EntropyTrack(browser.opened).row(read_place(PLACE, browser.genome))
            steps.append(rows[0].bin_size if rows else None)  # type: ignore[attr-defined]
    assert steps == [4, 8, 16, None]
    assert text == "The entropy of 1,600 bases takes more than 5 s on this machine; choose a region of up to 1,000 bases."


def test_a_region_of_the_stated_length_is_shown(world: World, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cloze model is read once for both strands, so a pass may take twice as long."""
    for model, seconds in (("masked", 0.06), ("cloze", 0.12), ("causal", 0.06)):
        with browser_of(world, models / model, seconds, monkeypatch) as browser:
            track = EntropyTrack(browser.opened)
            rows, text = track.row(read_place(PLACE, browser.genome))
            assert not rows
            length = int(re.findall(r"up to ([\d,]+) bases", text)[0].replace(",", ""))
            rows, _ = track.row(read_place(f"chr1:101-{100 + length}", browser.genome))
            assert len(rows) == 1


def test_no_region_is_shown_by_a_model_that_is_too_slow(world: World, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with browser_of(world, models / "masked", 3, monkeypatch) as browser:
        for place in ("chr1:102-104", PLACE):
            rows, text = EntropyTrack(browser.opened).row(read_place(place, browser.genome))
            assert not rows
            n = "3" if place != PLACE else "1,600"
            assert text.startswith(f"The entropy of {n} bases takes more than 5 s on this machine")


def test_a_model_of_bpe_tokens_has_none(world: World, models: Path) -> None:
    with open_browser(BrowseRequest(models / "bpe", world.fasta, device="cpu")) as browser:
        view = browser.show(Query("chr1:101-700"))
    assert not [row for row in view.scene.rows if isinstance(row, TrackRow)]
    assert view.texts[0].startswith("The region has no entropy: ")


def test_the_time_of_a_pass_is_measured(world: World, models: Path) -> None:
    with open_browser(BrowseRequest(models / "cloze", world.fasta, device="cpu")) as browser:
        track = EntropyTrack(browser.opened)
        assert 0 < track.seconds_per_pass < entropy.SECONDS
        assert track.seconds_per_pass == track.seconds_per_pass
