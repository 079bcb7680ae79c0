"""AlphaGenomeEngine equals PlainEngine: windows of a stretch, edited copies, and any place of a window."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from alphagenome_models import small_alphagenome

from genoformer.models.alphagenome import engine as engines
from genoformer.models.alphagenome.config import preset
from genoformer.models.alphagenome.engine import AlphaGenomeEngine
from genoformer.models.alphagenome.model import AlphaGenome
from genoformer.models.alphagenome.tiles import encode_bins
from genoformer.models.base import Bins
from genoformer.models.plain_engine import PlainEngine

MODEL = small_alphagenome()
HEADS = ["human_dnase_1bp", "mouse_chip_tf_128bp"]
CODES = np.random.default_rng(1).integers(0, 5, 16_384, dtype=np.uint8)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Within 1e-5 of the largest value."""
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def bins_of(head: str, n: int) -> Bins:
    size = MODEL.bin_size_of(head)
    return Bins(1500 // size, 700 // size) if n > 2 else Bins(0, 1)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("start", [0, 2048, 16_384 - 6144], ids=["first", "inner", "last"])
def test_windows_of_a_stretch(head: str, start: int) -> None:
    size, bins = MODEL.bin_size_of(head), bins_of(head, 48)
    engine = MODEL.engine(head)
    assert isinstance(engine, AlphaGenomeEngine)
    with torch.no_grad():
        window = engine.stretch(CODES).window(start // size, 6144 // size)
        expected = PlainEngine(MODEL, head).embed(CODES[None, start : start + 6144], bins)
        close(window.embed([None], bins), expected)
        close(engine.embed(CODES[None, start : start + 6144], bins), expected)


def test_a_window_that_begins_within_a_bin_shares_nothing() -> None:
    head, bins = HEADS[0], Bins(7, 300)
    with torch.no_grad():
        window = MODEL.engine(head).stretch(CODES).window(77, 4096)
        close(window.embed([None], bins), PlainEngine(MODEL, head).embed(CODES[None, 77 : 77 + 4096], bins))


def test_a_window_of_the_whole_stretch() -> None:
    head, bins = HEADS[1], Bins(0, 128)
    with torch.no_grad():
        window = MODEL.engine(head).stretch(CODES).window(0, 128)
        close(window.embed([None], bins), PlainEngine(MODEL, head).embed(CODES[None], bins))


def edits() -> dict[str, np.ndarray]:
    """Edited copies of the window of 6,144 bases from base 2,048."""
    window = CODES[2048 : 2048 + 6144]
    copies = {name: window.copy() for name in ("none", "one base", "first base", "last base", "two places", "insertion")}
    for name, places in {"one base": [3001], "first base": [0], "last base": [6143], "two places": [200, 5600, 5610]}.items():
        copies[name][places] = (copies[name][places] + 1) % 4
    copies["insertion"][3000:] = np.concatenate([[0, 1, 2], window[3000:-3]])
    return copies


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", list(edits()))
def test_edited_copies(head: str, name: str) -> None:
    size, bins, copy = MODEL.bin_size_of(head), bins_of(head, 48), edits()[name]
    with torch.no_grad():
        window = MODEL.engine(head).stretch(CODES).window(2048 // size, 6144 // size)
        embeddings = window.embed([None, copy, None], bins)
        expected = PlainEngine(MODEL, head).embed(np.stack([CODES[2048 : 2048 + 6144], copy]), bins)
    close(embeddings[1:2], expected[1:])
    close(embeddings[:1], expected[:1])
    assert torch.equal(embeddings[0], embeddings[2])  # a copy does not change the window
    assert torch.equal(embeddings[0], embeddings[1]) == (name == "none")


def test_an_edit_recomputes_the_bins_that_it_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    """513 bases on each side of base 3,001: 2,488 to 3,514, in the bins 19 to 27; two places far apart are two edits."""
    computed: list[Bins] = []

    def counted(model, onehot, bins, *kept):
        computed.append(bins)
        return encode_bins(model, onehot, bins, *kept)

    monkeypatch.setattr(engines, "encode_bins", counted)
    copies = edits()
    with torch.no_grad():
        window = MODEL.engine(HEADS[1]).stretch(CODES).window(16, 48)
        assert sorted(computed) == [Bins(0, 5), Bins(43, 5)]  # the ends of the window
        computed.clear()
        window.embed([None, copies["one base"], copies["two places"]], Bins(0, 1))
    assert computed == [Bins(19, 9), Bins(0, 6), Bins(39, 9)]


def test_the_head_has_to_be_named() -> None:
    from genoformer.errors import ConfigError

    with pytest.raises(ConfigError, match="no head was named"):
        MODEL.engine()


def test_a_stretch_needs_no_gradients_where_they_are_enabled() -> None:
    """As `score --plan` calls it: with channels that the faster convolutions take, and weights that require gradients."""
    one = {"dnase": 1}
    torch.manual_seed(0)
    model = AlphaGenome(preset("tiny", n_blocks=1, outputs=one, tracks={"human": one}, organisms=("human",))).eval()
    head, codes = "human_dnase_128bp", np.random.default_rng(0).integers(0, 4, 16_384).astype(np.uint8)
    window = model.engine(head).stretch(codes).window(16, 64)
    assert window.x.is_inference()
    with torch.inference_mode():
        found = window.embed([None], Bins(3, 5))
        expected = PlainEngine(model, head).embed(codes[None, 2048:10_240], Bins(3, 5))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())
