"""One number for one variant: `score`, the report's captions and `interpret ism` agree to the last printed digit."""

from __future__ import annotations

import html
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from commands import rows_of, run_well
from small_models import small_encoder, small_enformer

from genoformer.formats.track_table import Track, TrackTable
from genoformer.models import registry
from genoformer.tokenizers import BaseTokenizer
from genoformer.writers import number

BASES = "".join(random.Random(5).choices("ACGT", k=900))
OTHER = str.maketrans("ACGT", "CGTA")


def changed(pos: int, n_ref: int, alt: str) -> tuple[int, str, str]:
    """POS, REF and ALT; in alt, = stands for the base of the reference, * for another one."""
    ref = BASES[pos - 1 : pos - 1 + n_ref]
    return pos, ref, alt.replace("=", ref[0]).replace("*", ref[0].translate(OTHER))


VARIANTS = [
    changed(3, 1, "*"),
    changed(12, 1, "=AC"),
    changed(300, 1, "*"),
    changed(330, 1, "*"),
    changed(360, 3, "*GA"),
    changed(401, 1, "=GGATC"),
    changed(440, 1, "=T"),
    changed(471, 5, "="),
    changed(500, 2, "="),
    changed(530, 4, "*CA"),
    changed(880, 3, "="),
    changed(899, 1, "*"),
]
FEW = [0, 3, 5, 7, 9]  # for the cases that change an option: SNVs at a window's edge and inside, an insertion, a deletion, both
CASES = [
    ("language", "LLR,PLL", []),
    ("language", "LLR,PLL", ["--strand", "forward", "--context", "30"]),
    ("language", "COSINE", []),
    ("tracks", "SAD,SAR501", ["--head", "human"]),
    ("tracks", "SAD", ["--head", "human", "--tracks", "3", "--strand", "forward"]),
    ("tracks", "D2,SAD", ["--head", "human", "--tracks", "3,1", "--indels", "stitch", "--anchor", "variant"]),
    ("tracks", "SAR501", ["--head", "human", "--shifts", "-8,0,8"]),
    ("tracks", "SAX", ["--head", "human", "--tracks", "3", "--indels", "symmetric", "--noise-places", "0"]),
    ("both language", "LLR,PLL", []),
    ("both tracks", "SAD", ["--head", "human"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agree")
    (path / "g.fa").write_text(f">chr1\n{BASES}\n")
    registry.save(small_encoder(BaseTokenizer(), context_length=40, init_std=0.4), path / "language")
    model = small_enformer(seed=3, target_bins=24)
    tracks = TrackTable(tuple(Track(i, f"t{i}", strand_pair=[1, 0, 2, 3, 4][i]) for i in range(5)))
    model.targets = {"human": tracks}
    registry.save(model, path / "tracks")
    registry.save(small_encoder(BaseTokenizer(), seed=7, context_length=40, init_std=0.4), path / "other language")
    other = small_enformer(seed=8, target_bins=24)
    other.targets = {"human": tracks}
    registry.save(other, path / "other tracks")
    rows = [f"1\t{pos}\tv{i}\t{ref}\t{alt}\t.\t.\t." for i, (pos, ref, alt) in enumerate(VARIANTS)]
    head = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (path / "v.vcf").write_text("\n".join([*head, *rows]) + "\n")
    (path / "few.vcf").write_text("\n".join([*head, *(rows[i] for i in FEW)]) + "\n")
    return path


def captions(path: Path) -> dict[int, str]:
    """POS -> title and text of its figure."""
    found = re.findall(r"</span> ([^<]*)</h3>(?:(?!</article>).)*<figcaption>(.*?)</figcaption>", path.read_text(), re.DOTALL)
    texts = [html.unescape(f"{title}<br>{meaning}") for title, meaning in found]
    return {int(re.search(r":([\d,]+) ", text)[1].replace(",", "")): text for text in texts}  # type: ignore[index]


def table_numbers(path: Path, scores: str) -> dict[int, list[str]]:
    """POS -> the scores in the table of the page, as `score` prints numbers; "" for a missing one."""
    text = re.search(r'id="data">(.*?)</script>', path.read_text(), re.DOTALL)
    assert text is not None
    data = json.loads(text[1])
    columns = [data["names"].index(name) for name in scores.split(",")]
    return {row[1]: ["" if row[at] is None else number(row[at]) for at in columns] for row in data["rows"]}


@pytest.mark.parametrize(("kind", "scores", "options"), CASES)
def test_score_report_and_mutagenesis_print_the_same_numbers(folder: Path, tmp_path: Path, kind, scores, options) -> None:
    kind, both = kind.removeprefix("both "), kind.startswith("both ")
    plain = not both and options in ([], ["--head", "human"]) and scores != "COSINE"
    vcf, variants = (folder / "v.vcf", VARIANTS) if plain else (folder / "few.vcf", [VARIANTS[i] for i in FEW])
    models = [x for name in (kind, f"other {kind}")[: 1 + both] for x in ("-m", folder / name)]
    common = ["-f", folder / "g.fa", *models]
    for name in ("s.vcf", "s.tsv"):
        run_well("score", vcf, *common, "-s", scores, *options, "-o", tmp_path / name, "-q")
    printed = {int(row["pos"]): row for row in rows_of(tmp_path / "s.tsv")}
    assert len(printed) == len(variants)

    run_well("report", tmp_path / "s.vcf", *common, "-o", tmp_path / "r.html", "--top", 20, "--flank", 8)
    assert table_numbers(tmp_path / "r.html", scores) == {
        pos: [row[name] for name in scores.split(",")] for pos, row in printed.items()
    }
    drawn = captions(tmp_path / "r.html")
    flags = {row.get(f"{scores.split(',')[0]}_NOISE", "") for row in printed.values()}
    assert drawn.keys() <= printed.keys()
    assert drawn
    if flags == {""}:
        assert drawn.keys() == printed.keys()
    for pos, text in drawn.items():
        row = printed[pos]
        name = next(name for name in scores.split(",") if row[name])
        title, meaning = text.split("<br>")
        assert f", {name} {row[name]}" in title
        assert re.search(rf"(^|\. ){name} {re.escape(row[name])}[ ,]", meaning), meaning
        assert "Recomputed here" not in meaning
        assert "did not make" not in meaning
        numbers = re.findall(rf"{name} (-?[\d.e-]+\d)", text)
        assert set(numbers) == {row[name]}  # and no other number by that name

    if both:
        return  # mutagenesis takes one model
    name = scores.split(",")[0]
    options = [x for x in options if x not in ("--noise-places", "0")]
    windows = ["--length", 24, "--figures", 0, "-o", tmp_path / "i"]
    run_well("interpret", "ism", vcf, *common, "-s", name, *options, *windows, "-q")
    own = rows_of(tmp_path / "i/variants.tsv")
    assert len(own) == len(variants)
    for row in own:
        for column in row.keys() & printed[int(row["pos"])].keys() - {"chrom", "status"}:
            assert row[column] == printed[int(row["pos"])][column], column
    if kind == "tracks" and "3" not in options:
        return  # the map is the sum of several tracks
    with np.load(tmp_path / "i/maps.npz") as maps:
        for i, (pos, ref, alt) in enumerate(variants):
            if len(ref) == len(alt) == 1:
                value = maps[f"map_{i}"][pos - 1 - maps["starts"][i], "ACGT".index(alt)]
                assert number(float(value)) == printed[pos][name]


def test_what_cannot_be_made_again_is_said(folder: Path, tmp_path: Path) -> None:
    common = ["-f", folder / "g.fa", "-m", folder / "tracks"]
    run_well(
        "score",
        folder / "v.vcf",
        *common,
        "-s",
        "SAD",
        "--head",
        "human",
        "--noise-places",
        "0",
        "-o",
        tmp_path / "s.vcf",
        "-q",
    )
    text = (tmp_path / "s.vcf").read_text()

    def report(changed: str, *models: Path) -> str:
        (tmp_path / "c.vcf").write_text(changed)
        given = [x for model in models or (folder / "tracks",) for x in ("-m", model)]
        run_well(
            "report", tmp_path / "c.vcf", "-f", folder / "g.fa", *given, "-o", tmp_path / "r.html", "--top", 1, "--flank", 5
        )
        return html.unescape((tmp_path / "r.html").read_text())

    assert "Recomputed here" not in report(text)
    assert "Largest |SAD|, no noise floor known" in report(text)
    assert "No noise floor of SAD is known" in report(text)
    moved = report(text.replace("shifts=0", "shifts=5"))
    assert re.search(r"Recomputed here it is -?[\d.]+: the FASTA or an option differs", moved)
    assert "The header does not say how the scores were made" in report(re.sub("##genoformer_options=.*\n", "", text))
    assert "in bfloat16, the figures in float32" in report(text.replace("precision=float32", "precision=bfloat16"))
    with_genes = report(text.replace("scores=SAD;", "scores=SAD,LOGSED;genes=g.gtf;"))
    assert "LOGSED took the genes of g.gtf, which are not read here" in with_genes
    assert "The options of the header are not for" in report(text.replace("head=human", "head=fly"))
    assert "did not make these scores" in report(text, folder / "language")
    registry.save(small_enformer(seed=9, target_bins=24), tmp_path / "other")
    other = report(text, tmp_path / "other")
    assert "which did not make these scores" in other
    assert "SAD of the model in this figure:" in other


def test_nothing_below_the_noise_floor_is_called_strongest(folder: Path, tmp_path: Path) -> None:
    common = ["-f", folder / "g.fa", "-m", folder / "tracks"]
    run_well("score", folder / "v.vcf", *common, "-s", "SAD", "--head", "human", "-o", tmp_path / "s.vcf", "-q")
    lines = (tmp_path / "s.vcf").read_text().splitlines()

    def report(above: set[int]) -> str:
        """With the flags that the test chooses."""
        rows = []
        for line in lines:
            if not line.startswith("#"):
                line = line.replace(";GF_SAD_NOISE=below", "")
                line += "" if int(line.split("\t")[1]) in above else ";GF_SAD_NOISE=below"
            rows.append(line)
        (tmp_path / "c.vcf").write_text("\n".join(rows) + "\n")
        run_well("report", tmp_path / "c.vcf", *common, "-o", tmp_path / "r.html", "--top", 3, "--flank", 5)
        return html.unescape((tmp_path / "r.html").read_text())

    some = report({330, 471})
    assert "<h2>Strongest variants</h2>" in some
    assert captions(tmp_path / "r.html").keys() == {330, 471}
    assert "10 of 12 scored alleles are below it and grey in the table" in some
    none = report(set())
    assert "Strongest" not in none
    assert "<h2>Largest |SAD|: none is above the noise floor</h2>" in none
    assert len(captions(tmp_path / "r.html")) == 3
    assert all("below the noise floor" in text for text in captions(tmp_path / "r.html").values())


def test_a_deletion_of_chromosome_20_has_one_score_everywhere(real_data: Path, tmp_path: Path) -> None:
    """CCCTG>C at 1,042,261: the sum over its window was one number in `score` and another in the report."""
    head = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (tmp_path / "v.vcf").write_text("\n".join([*head, "20\t1042261\trs10597473\tCCCTG\tC\t.\t.\t."]) + "\n")
    common = ["-f", real_data / "hg19/hg19.sparse.fa.gz", "-m", "mini-tracks"]
    said = run_well("score", tmp_path / "v.vcf", *common, "-s", "SAD", "-o", tmp_path / "s.vcf").stderr
    record = (tmp_path / "s.vcf").read_text().splitlines()[-1]
    value = re.search(r"GF_SAD=([^;]+)", record)[1]  # type: ignore[index]
    assert float(value) == pytest.approx(0.0373, abs=0.0003)
    assert "GF_SAD_NOISE=below" in record
    assert "below the noise floor: SAD 1 of 1" in said
    run_well("report", tmp_path / "s.vcf", *common, "-o", tmp_path / "r.html")
    (text,) = captions(tmp_path / "r.html").values()
    assert f"SAD {value} over all bins of the window" in text
    assert f", SAD {value}, below the noise floor" in text
    assert "Strongest" not in (tmp_path / "r.html").read_text()
