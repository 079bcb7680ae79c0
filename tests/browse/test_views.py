"""Views have the numbers of `predict`, `score`, `interpret ism` and `interpret attention`, for every kind of model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browse_worlds import BASES, DELETION, INSERTION, SNV, World
from small_models import small_classifier

import genoformer as gf
from genoformer.browse.request import BrowseRequest, Query
from genoformer.browse.views import View, open_browser
from genoformer.errors import GenoformerError
from genoformer.models import registry
from genoformer.report.canvas import BasesRow, ChangesRow, TrackRow
from genoformer.tokenizers import BaseTokenizer


def view_of(world: World, model: str, query: Query, **options: object) -> View:
    with open_browser(world.request(model, **options)) as browser:
        return browser.show(query)


def rows_of(view: View, kind: type) -> Sequence[Any]:
    return [row for row in view.scene.rows if isinstance(row, kind)]


def test_tracks_of_a_region_are_those_of_predict(world: World) -> None:
    view = view_of(world, "tracks", Query("chr1:801-1200", tracks="human_1,0"))
    tracks = rows_of(view, TrackRow)
    assert [row.label for row in tracks] == ["human_1", "human_0"]
    start, end = view.scene.start, view.scene.end
    assert (start, end) == (0 if start == 0 else 800 - 128, end)
    assert end - start == 8 * len(tracks[0].ref)
    table = gf.predict(world.fasta, f"chr1:{start + 1}-{end}", world.folder / "tracks", head="human", tracks="1,0")
    for row, name in zip(tracks, table.columns[3:], strict=True):
        assert row.ref.tolist() == table[name].astype(np.float32).tolist()
        assert row.alt is None
    assert view.scene.view == (800, 1_200)
    assert [gene.name for gene in view.scene.annotation.genes] == ["NEAR"]  # type: ignore[union-attr]


def test_of_many_tracks_the_first_are_shown(world: World) -> None:
    view = view_of(world, "tracks", Query("chr1:801-1200"))
    assert len(view.scene.rows) == 4


@pytest.mark.parametrize("text", [SNV, DELETION, INSERTION])
def test_a_variant_has_both_alleles_and_the_scores_of_the_command(world: World, text: str) -> None:
    view = view_of(world, "tracks", Query(text, tracks="0-2", ism=True, attention="received"))
    options = {"head": "human", "strand": "forward", "noise_places": 0}
    table = gf.score(text, world.fasta, world.folder / "tracks", tracks="0-2", **options)
    scores = dict(view.scores)
    assert float(scores["SAD"]) == pytest.approx(float(table["SAD"].iloc[0]), rel=1e-3)
    assert scores["SAD_TRACK"] == table["SAD_TRACK"].iloc[0]
    tracks = [row for row in rows_of(view, TrackRow) if row.alt is not None and row.label.startswith("human")]
    assert {row.label for row in tracks} == {"human_0", "human_1", "human_2"}
    assert tracks[0].label == scores["SAD_TRACK"]  # the scored one is the first
    change = sum(float((row.alt - row.ref).sum()) for row in tracks if row.label == scores["SAD_TRACK"])
    assert change == pytest.approx(float(scores["SAD"]), rel=2e-3, abs=1e-5)
    _, pos, ref, alt = text.split(":")
    logos = rows_of(view, BasesRow)[:2]
    assert [row.label for row in logos] == ["Logo of REF", "Logo of ALT"]
    at = int(pos) - 1 - logos[0].start
    assert (logos[1].change is None) == (len(ref) == len(alt))
    letters = ["ACGTN"[code] for code in logos[1].codes]
    assert "".join(letters[at : at + len(alt)]) == alt


def test_ism_of_tracks_is_that_of_interpret(world: World) -> None:
    view = view_of(world, "tracks", Query(SNV, tracks="1", bases=10, ism=True))
    (cells,) = rows_of(view, ChangesRow)
    options = {"tracks": "1", "head": "human", "strand": "forward"}
    one = gf.mutagenesis(world.fasta, f"chr1:{cells.start + 1}-{cells.start + 10}", world.folder / "tracks", **options)
    assert np.allclose(cells.values, one.values[0], rtol=1e-4, atol=1e-6)
    assert cells.start == 999 - 5
    importance = rows_of(view, BasesRow)[-1]
    assert np.allclose(importance.values, one.base_importance[0], rtol=1e-4, atol=1e-6)


def test_maps_of_a_language_model_are_those_of_interpret(world: World) -> None:
    view = view_of(world, "language", Query("chr1:501-540", ism=True, attention="received"))
    (cells,) = rows_of(view, ChangesRow)
    one = gf.mutagenesis(world.fasta, "chr1:501-540", world.folder / "language")
    assert (cells.start, "".join("ACGTN"[code] for code in cells.codes)) == (500, BASES[500:540])
    assert np.allclose(cells.values, one.values[0], atol=1e-5)
    attention = rows_of(view, BasesRow)[-1]
    expected = gf.attention(world.fasta, "chr1:501-540", world.folder / "language", profile="received")
    assert np.allclose(attention.values, expected.values, atol=1e-6)


@pytest.mark.parametrize("text", [SNV, DELETION])
def test_a_variant_of_a_language_model_has_its_likelihood(world: World, text: str) -> None:
    view = view_of(world, "language", Query(text, ism=True, attention="viz"))
    table = gf.score(text, world.fasta, world.folder / "language")
    name = "LLR" if text == SNV else "PLL"
    assert float(dict(view.scores)[name]) == pytest.approx(float(table[name].iloc[0]), rel=1e-3)
    assert [row.label for row in rows_of(view, BasesRow)] == [
        *("Logo of REF", "Logo of ALT", "ISM of LLR: importance"),
        *("Attention (viz) of REF", "Attention (viz) of ALT"),
    ]
    assert any("likely" in text for text in view.texts)


def test_a_fine_tuned_model_has_the_class_of_its_strongest_score(world: World) -> None:
    view = view_of(world, "classes", Query(SNV, ism=True, bases=10, attention="cls"))
    table = gf.score(SNV, world.fasta, world.folder / "classes")
    scores = dict(view.scores)
    assert float(scores["LOGIT"]) == pytest.approx(float(table["LOGIT"].iloc[0]), rel=1e-3)
    assert scores["LOGIT_CLASS"] == table["LOGIT_CLASS"].iloc[0]
    (cells,) = rows_of(view, ChangesRow)
    _, pos, ref, alt = SNV.split(":")
    assert cells.values[int(pos) - 1 - cells.start, "ACGT".index(alt)] == pytest.approx(float(scores["LOGIT"]), rel=1e-3)
    assert cells.values[int(pos) - 1 - cells.start, "ACGT".index(ref)] == 0
    assert cells.label == f"ISM of LOGIT of {scores['LOGIT_CLASS']}: each change"
    assert rows_of(view, BasesRow)[-1].label == "Attention (cls) of ALT"


def test_the_sentence_on_a_model_of_two_classes_names_the_second(world: World, tmp_path: Path) -> None:
    registry.save(small_classifier(BaseTokenizer(), classes=("no", "promoter")), tmp_path / "two")
    with open_browser(BrowseRequest(tmp_path / "two", world.fasta, device="cpu")) as browser:
        texts = browser.show(Query(SNV)).texts
    assert " the model predicts promoter " in texts[0]


@pytest.mark.parametrize("region", ["chr1:801-1200", "chr1:1901-2000"])
def test_a_fine_tuned_model_has_its_classes_along_a_region(world: World, region: str) -> None:
    view = view_of(world, "classes", Query(region, ism=False))
    rows = rows_of(view, TrackRow)
    table = gf.predict(world.fasta, region, world.folder / "classes")
    assert [row.label for row in rows] == [f"probability of class {name}" for name in table.columns[3:]]
    assert (rows[0].start, rows[0].bin_size) == (table["start"].iloc[0], 20)
    for row, name in zip(rows, table.columns[3:], strict=True):
        np.testing.assert_allclose(row.ref, table[name], atol=1e-6)
    assert view.scene.view == tuple(int(x) for x in (table["start"].iloc[0], table["end"].iloc[-1]))


def test_an_insertion_is_named_with_the_base_before_it(world: World) -> None:
    scene = view_of(world, "classes", Query(INSERTION)).scene
    assert scene.variant is not None
    assert re.fullmatch(r"([ACGT])>\1[ACGT]{3}", scene.variant.label)


def test_attention_of_a_track_model_is_in_its_bins(world: World) -> None:
    view = view_of(world, "tracks", Query(SNV, attention="cls"))
    row = rows_of(view, TrackRow)[-1]
    assert (row.label, row.bin_size, len(row.ref)) == ("Attention (cls)", 8, 32)
    locus = f"chr1:{row.start + 1}-{row.start + 256}"
    expected = gf.attention(world.fasta, locus, world.folder / "tracks", profile="cls")
    assert np.allclose(row.ref, expected.values[::8], atol=1e-6)
    assert row.alt is not None
    assert not np.allclose(row.ref, row.alt)


def test_variants_of_a_scored_file_are_listed_with_their_scores(world: World) -> None:
    with open_browser(world.request("tracks", scored=world.folder / "s.vcf")) as browser:
        listed = browser.about()["listed"]
        assert browser.about()["variant"] == listed[0]["place"]
        assert {of["place"] for of in listed} == {SNV, DELETION}
        assert [of["id"] for of in listed if of["place"] == SNV] == ["rs1"]
        view = browser.show(Query(listed[0]["place"]))
        assert f"In the scored file: {listed[0]['score']}." in view.texts
        assert not any("Recomputed here" in text for text in view.texts)
        assert browser.opened.warnings == ()
        assert browser.opened.scorer.options["strands"] == "forward"


@pytest.mark.parametrize(
    ("model", "query", "sentence"),
    [
        ("tracks", Query("chr1:801-1200", tracks="liver"), "liver"),
        ("tracks", Query(SNV, tracks="liver"), "liver"),
        ("tracks", Query("chr9:1-100"), "There is no contig chr9"),
        ("language", Query(f"{SNV[:-3]}{SNV[-1]}:{SNV[-3]}"), "chr1"),
    ],
)
def test_what_is_not_there_is_refused_in_a_sentence(world: World, model: str, query: Query, sentence: str) -> None:
    with pytest.raises(GenoformerError) as error:
        view_of(world, model, query)
    assert sentence in str(error.value)
