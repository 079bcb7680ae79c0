"""The canvas of a track model: the numbers of the run, text that stays text, and a page that zooms and pans in a browser."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chromium import open_tab
from commands import assert_refused, run, run_well
from small_models import small_enformer

from genoformer.genome.codes import encode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Alleles, Variant
from genoformer.models import registry
from genoformer.report.canvas import BasesRow, Change, Scene, TrackRow, canvas_files, unpacked
from genoformer.scoring.scorers import make_scorer
from genoformer.scoring.scores import SCORES
from genoformer.scoring.settings import Scoring, TrackOptions

BASES = "".join(random.Random(5).choices("ACGT", k=900))
EVIL = "</script><script>document.title='broken'</script>"
GTF = f"""chr1\tx\texon\t301\t340\t.\t+\t.\tgene_id "g1"; transcript_id "t1"; gene_name "{EVIL}";
chr1\tx\texon\t401\t420\t.\t+\t.\tgene_id "g1"; transcript_id "t1"; gene_name "{EVIL}";
chr1\tx\texon\t880\t890\t.\t-\t.\tgene_id "g2"; transcript_id "t2"; gene_name "FAR";
"""
SNV = f"1\t400\trs1\t{BASES[399]}\t{'C' if BASES[399] == 'A' else 'A'}"
DELETION = f"1\t500\t.\t{BASES[499:503]}\t{BASES[499]}"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report of an SNV and a deletion, with genes and elements."""
    folder = tmp_path_factory.mktemp("canvas")
    (folder / "g.fa").write_text(f">chr1\n{BASES}\n")
    (folder / "g.gtf").write_text(GTF)
    (folder / "e.bed").write_text("chr1\t350\t380\nchr1\t510\t520\n")
    registry.save(small_enformer(), folder / "model")
    head = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (folder / "v.vcf").write_text(head + "".join(f"{row}\t.\t.\t.\n" for row in (SNV, DELETION)))
    common = ("-f", folder / "g.fa", "-m", folder / "model")
    run_well(
        *("score", folder / "v.vcf", *common, "-s", "SAD", "--head", "human", "--strand", "forward", "--noise-places", 0),
        *("-o", folder / "s.vcf"),
    )
    more = ("--gtf", folder / "g.gtf", "--elements", f"PEAKS={folder / 'e.bed'}")
    run_well("report", folder / "s.vcf", *common, *more, "-o", folder / "r.html")
    return folder


def scenes(text: str) -> list[dict[str, Any]]:
    return [json.loads(data) for data in re.findall(r'class="scene">(.*?)</script>', text, re.DOTALL)]


def scorer_of(folder: Path) -> Any:
    model = registry.load(folder / "model").eval()
    scoring = Scoring((model,), (SCORES["SAD"],), both_strands=False, tracks=TrackOptions("human"))
    return make_scorer(Genome(folder / "g.fa"), scoring)


def test_the_numbers_of_the_canvas_are_those_of_the_predictor(page: Path) -> None:
    """To the last bit those of the scorer, and up to rounding those of plain passes over whole windows."""
    found = {scene["title"]: scene for scene in scenes((page / "r.html").read_text())}
    assert len(found) == 2
    scorer = scorer_of(page)
    for row in (SNV, DELETION):
        _, pos, _, ref, alt = row.split("\t")
        variant = Variant("chr1", int(pos), ref, alt)
        (scene,) = [of for title, of in found.items() if f"chr1:{pos} " in title]
        printed = float(re.search(rf"\t{pos}\t.*GF_SAD=([^;\s]+)", (page / "s.vcf").read_text())[1])  # type: ignore[index]
        first = scene["rows"][0]["pieces"][0]
        assert float((unpacked(first["alt"]) - unpacked(first["ref"])).sum()) == pytest.approx(printed, rel=1e-3)
        names = [f"human_{i}" for i in range(5)]
        sad = np.abs(scorer.score_each([variant])[0].values[0])
        (fast,), (plain,) = scorer.compared(variant), scorer.reference_scorer().compared(variant)
        inside = (fast.first + 8 * np.arange(fast.ref.shape[1]) >= 0) & (
            fast.first + 8 * np.arange(fast.ref.shape[1]) + 8 <= 900
        )
        assert [track["label"] for track in scene["rows"]] == [names[i] for i in np.argsort(-sad)[:4]]
        for track in scene["rows"]:
            number = names.index(track["label"])
            (piece,) = track["pieces"]
            assert (piece["bin"], piece["start"]) == (8, scene["start"])
            assert track["unit"] == "predicted signal of 8 bp bins"
            for side in ("ref", "alt"):
                values = unpacked(piece[side])
                assert values.tolist() == getattr(fast, side)[number, inside].astype(np.float32).tolist()
                assert np.allclose(values, getattr(plain, side)[number, inside], rtol=1e-4, atol=1e-6)
            assert unpacked(piece["ref"]).tolist() != unpacked(piece["alt"]).tolist()


def test_genes_elements_and_the_variant_are_on_the_canvas(page: Path) -> None:
    scene = next(of for of in scenes((page / "r.html").read_text()) if "chr1:400 " in of["title"])
    exons = [[300, 340], [400, 420]]
    assert [of for of in scene["genes"] if of["strand"] == "+"] == [{"name": EVIL, "strand": "+", "exons": exons}]
    assert scene["elements"] == [{"name": "PEAKS", "intervals": [[350, 380], [510, 520]]}]
    assert (scene["variant"]["start"], scene["variant"]["end"]) == (399, 400)
    assert scene["variant"]["label"] == ">".join(SNV.split("\t")[3:])


def test_text_of_a_canvas_never_becomes_html(page: Path) -> None:
    text = (page / "r.html").read_text()
    assert "<script>document" not in text
    assert text.count("<script") == 5  # the table's data and code, two scenes, the code of the canvas
    loaded = re.findall(r'(?:src|href)="([^"]*)"', re.sub("<script.*?</script>", "", text, flags=re.DOTALL))
    assert [address for address in loaded if not address.startswith(("data:", "#"))] == []


def test_a_page_without_tracks_has_no_canvas(tmp_path: Path, page: Path) -> None:
    run_well("report", page / "s.vcf", "-o", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "genomeCanvas" not in text
    assert "canvas-tools" not in text
    refused = run("report", page / "s.vcf", "-o", tmp_path / "x.html", "--elements", page / "e.bed")
    assert_refused(refused, "--elements needs a track model that draws figures")


def test_a_long_track_has_means_and_its_middle_as_it_is() -> None:
    values = np.random.default_rng(3).normal(size=20_001).astype(np.float32)
    coarse, fine = TrackRow("t", "u", 1_000, 2, values, values + 1, 31_000).data()["pieces"]
    assert (coarse["start"], coarse["bin"], fine["bin"]) == (1_000, 20, 2)
    expected = [float(np.mean(values[i : i + 10], dtype=float)) for i in range(0, 20_001, 10)]
    assert np.allclose(unpacked(coarse["ref"]), expected, atol=1e-6)
    first = (fine["start"] - 1_000) // 2
    assert first <= 15_000 < first + 4_096
    assert unpacked(fine["ref"]).tolist() == values[first : first + 4_096].tolist()


def test_the_text_of_a_track_names_its_largest_change() -> None:
    ref = np.array([1.0, 4.0, 2.0], dtype=np.float32)
    text = TrackRow("DNASE", "signal", 99, 10, ref, ref + np.array([0, 0.5, -1], dtype=np.float32)).text()
    assert text == "DNASE (signal): the reference is at most 4, at 110; the largest ALT - REF is -1, at 120."


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_the_canvas_works_in_a_browser(tmp_path: Path, page: Path, width: int, dark: bool) -> None:
    with open_tab(tmp_path) as tab:
        tab.show((page / "r.html").as_uri(), width=width, dark=dark)
        tab.wait("document.querySelectorAll('.canvas-ready canvas').length === 2")
        assert tab.value("document.documentElement.scrollWidth") <= width
        pixel = "document.querySelector('canvas').getContext('2d').getImageData(2, 2, 1, 1).data.slice(0, 3).join()"
        assert tab.value(pixel) == ("18,24,31" if dark else "255,255,255")
        where = "document.querySelector('.canvas-where').textContent"
        before = tab.value(where)
        tab.value("document.querySelector('canvas').focus()")
        for key in ("+", "+", "ArrowRight"):
            tab.press(key)
        first = [int(number.replace(",", "")) for number in re.findall(r"[\d,]+", before.partition(":")[2])]
        size = f"Number({where}.match(/\\(([0-9,]+) bp/)[1].replaceAll(',', ''))"
        tab.wait(f"{size} < {0.5 * first[2]}")  # after both steps: on a busy machine each has a message of its own
        from_to = [int(number.replace(",", "")) for number in re.findall(r"[\d,]+", tab.value(where).partition(":")[2])]
        assert from_to[2] == pytest.approx(0.49 * first[2], abs=2)
        assert from_to[0] > first[0]
        tab.press("0")
        tab.wait(f"{where} === {json.dumps(before)}")
        # the values below the pointer are those of the arrays
        scene = scenes((page / "r.html").read_text())[0]
        piece, box = (
            scene["rows"][0]["pieces"][0],
            tab.value("JSON.stringify(document.querySelector('canvas').getBoundingClientRect())"),
        )
        tab.mouse("mouseMoved", json.loads(box)["x"] + width / 2 - 40, json.loads(box)["y"] + 30)
        tab.wait("document.querySelector('.canvas-reading').textContent.includes('REF')")
        reading = tab.value("document.querySelector('.canvas-reading').textContent")
        at = int(re.match(r"chr1:([\d,]+) ", reading)[1].replace(",", "")) - 1  # type: ignore[index]
        value = unpacked(piece["ref"])[(at - piece["start"]) // 8]
        assert float(re.search(rf"{scene['rows'][0]['label']}: REF ([-\d.e]+)", reading)[1]) == pytest.approx(value, rel=6e-3)  # type: ignore[index]
        assert (
            tab.value("[...document.images].filter((of) => of.className === 'canvas-print' && of.naturalWidth > 900).length")
            == 2
        )
        assert tab.errors == []
        assert [address for address in tab.loaded if not address.startswith(("file:", "data:"))] == []


def test_letters_of_alt_lie_over_their_bases_of_the_reference(tmp_path: Path) -> None:
    """An insertion of three bases before base 10 of 20, in a row of ALT that begins two bases later."""
    text = BASES[100:120]
    alt = text[2:10] + "GAC" + text[10:19]
    change = Change.of_alleles(Alleles(encode(text), encode(alt), 10, 8, 0, 3))
    row = BasesRow("ALT", "bits", 100, encode(alt), np.arange(20.0), change)
    style, code = canvas_files()
    scene = json.dumps(Scene("t", "chr1", 100, 120, [row]).data("c"))
    (tmp_path / "p.html").write_text(
        f"<style>{style}</style><div id=h></div><script>{code}\n"
        f"const shown = genomeCanvas(document.getElementById('h'), {scene});</script>"
    )
    with open_tab(tmp_path) as tab:
        tab.show((tmp_path / "p.html").as_uri())
        letters = tab.value("Array.from({length: 20}, (_, i) => shown.rows.at(-1).read(100.01 + i).join())")
        narrow = tab.value("Array.from({length: 4}, (_, i) => shown.rows.at(-1).read(109.1 + i / 4)[0].split(' ')[1])")
        assert tab.errors == []
    assert [of.split(" ")[1] if of else "" for of in letters] == ["", "", *text[2:19], ""]
    assert "".join(narrow) == text[9] + "GAC"


def test_a_printed_page_has_a_picture_of_the_canvas(tmp_path: Path, page: Path) -> None:
    with open_tab(tmp_path) as tab:
        tab.show((page / "r.html").as_uri(), dark=True)
        tab.wait("document.querySelectorAll('img.canvas-print').length === 2")
        tab.send("Emulation.setEmulatedMedia", media="print")
        shown = "[...document.querySelectorAll('.canvas, .canvas-print')].map((of) => getComputedStyle(of).display)"
        assert tab.value(shown) == ["none", "block"] * 2
        assert tab.pdf(tmp_path / "r.pdf").stat().st_size > 20_000


def test_a_printed_table_has_twelve_columns_whose_names_and_numbers_are_whole(tmp_path: Path) -> None:
    """With twenty keys of INFO every column was three letters wide. 700 px are a page of A4 without its margins."""
    keys = [f"POPULATION_{i}" for i in range(20)]
    head = ["##fileformat=VCFv4.3", '##INFO=<ID=GF_LLR,Number=A,Type=Float,Description="x">']
    head += [f'##INFO=<ID={key},Number=1,Type=Float,Description="x">' for key in keys]
    values = ";".join(f"{key}=0.000{i}123" for i, key in enumerate(keys, 1))
    rows = [f"chr1\t{pos}\trs{pos}\tA\tC\t.\t.\t{values};GF_LLR=-1.2345" for pos in range(1_000_000, 1_000_005)]
    (tmp_path / "s.vcf").write_text("\n".join([*head, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", *rows, ""]))
    run_well("report", tmp_path / "s.vcf", "-o", tmp_path / "r.html")
    with open_tab(tmp_path) as tab:
        tab.show((tmp_path / "r.html").as_uri(), width=700)
        cells = "[...document.querySelectorAll('#head th, #body tr:first-child td')].filter((of) => of.offsetWidth > 0)"
        on_screen = tab.value(f"{cells}.length")
        tab.send("Emulation.setEmulatedMedia", media="print")
        assert on_screen > 2 * 12
        assert tab.value(f"{cells}.length") == 2 * 12
        assert tab.value(f"Math.max(...{cells}.slice(0, 12).map((of) => of.offsetHeight))") < 45  # names of one or two lines
        assert tab.value("getComputedStyle(document.querySelector('.onscreen')).display") == "none"
