"""The report page: one file, nothing from outside, text that stays text; in headless Chromium it loads, sorts and filters."""

from __future__ import annotations

import html
import json
import random
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from commands import assert_refused, run, run_well
from context_models import NEW, small_contexts
from genoformer_cli.main import main
from small_models import small_classifier, small_encoder, small_enformer

from genoformer.errors import FileFormatError
from genoformer.genome.codes import decode
from genoformer.genome.variants import STATUS_MEANING, Status
from genoformer.models import registry
from genoformer.report import read_scored
from genoformer.report.page import write_page
from genoformer.tokenizers import BaseTokenizer

EVIL = "</script><script>document.title='broken'</script>"
HEAD = [
    "##fileformat=VCFv4.3",
    "##genoformer_version=0.1.0 <b>model</b>",
    '##INFO=<ID=GF_LLR,Number=A,Type=Float,Description="How <i>unexpected</i> it is.">',
    '##INFO=<ID=GF_SAD_TRACK,Number=A,Type=String,Description="The track.">',
    '##INFO=<ID=GF_STATUS,Number=1,Type=String,Description="Why not.">',
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
]


def write_vcf(path: Path, n: int) -> Path:
    """n records, the first with script tags in ID and INFO, the second with two ALTs, the third without a score."""
    draw = random.Random(1)
    rows = [
        f"1\t10\t{EVIL}\tA\tC\t.\t.\tGENE={EVIL};GF_LLR=-3.5;GF_SAD_TRACK=t1",
        "1\t20\trs2\tA\tC,G\t.\t.\tGF_LLR=0.25,-1;GF_SAD_TRACK=t1,t2",
        "2\t5\t.\tA\t<DEL>\t.\t.\tGF_LLR=.;GF_STATUS=SYMBOLIC",
    ]
    rows += [f"3\t{i}\trs{i}\tA\tT\t.\t.\tAF=0.5;GF_LLR={draw.gauss(0, 1):.4f};GF_SAD_TRACK=t3" for i in range(30, 27 + n)]
    path.write_text("\n".join(HEAD + rows[:n]) + "\n")
    return path


def test_a_report_of_other_contexts_takes_their_table(tmp_path) -> None:
    text = decode(np.random.default_rng(2).integers(0, 4, 2000, dtype=np.uint8))
    fasta, vcf, scored, page = (tmp_path / name for name in ("g.fa", "in.vcf", "out.vcf", "page.html"))
    fasta.write_text(f">c1\n{text}\n")
    change = "ACGT"["CGTA".index(text[999])]
    vcf.write_text("##fileformat=VCFv4.3\n##contig=<ID=c1,length=2000>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    with vcf.open("a") as file:
        file.write(f"c1\t1000\t.\t{text[999]}\t{change}\t.\t.\t.\n")
    registry.save(small_contexts("enformer"), tmp_path / "m")
    contexts = tmp_path / "new.tsv"
    lines = ["\t".join((name, *map(str, row))) for name, row in zip(NEW.names, NEW.vectors.tolist(), strict=True)]
    contexts.write_text("\n".join(["\t".join(("context", *NEW.columns)), *lines]) + "\n")
    common = ("-f", fasta, "-m", tmp_path / "m", "--contexts", contexts)
    run_well("score", vcf, *common, "-s", "SAD", "--noise-places", 0, "-o", scored)
    track = re.search(r"GF_SAD_TRACK=([^;\s]+)", scored.read_text())
    assert track is not None
    run_well("report", scored, *common, "-o", page)
    drawn = page.read_text()
    assert track[1] in drawn
    assert "is not among these tracks" not in drawn
    run_well("report", scored, *common[:-2], "-o", page)
    assert "is not among these tracks" in page.read_text()
    refused = run("report", scored, "-f", fasta, "--contexts", contexts, "-o", page)
    assert_refused(refused, "--contexts needs a model that draws figures")


class Page(HTMLParser):
    """What the page loads, and its data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.anchors: list[str] = []
        self.scripts = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        addresses = [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset", "data", "poster")]
        (self.anchors if tag == "a" else self.loads).extend(addresses)


def test_alleles_are_read_as_they_were_scored(tmp_path: Path) -> None:
    found = read_scored(write_vcf(tmp_path / "s.vcf", 3))
    assert [(c.name, c.numeric) for c in found.scores] == [("LLR", True), ("SAD_TRACK", False)]
    assert [list(values) for values in found.values] == [[-3.5, 0.25, -1.0], []]
    assert (found.n_alleles, found.statuses) == (4, {"OK": 3, "SYMBOLIC": 1})
    assert found.rows == [
        ["1", 10, EVIL, "A", "C", "OK", -3.5, "t1", f"GENE={EVIL}"],
        ["1", 20, "rs2", "A", "C", "OK", 0.25, "t1", ""],
        ["1", 20, "rs2", "A", "G", "OK", -1.0, "t2", ""],
        ["2", 5, ".", "A", "<DEL>", "SYMBOLIC", None, None, ""],
    ]


def test_each_allele_without_a_score_has_a_reason_that_is_true_of_it(tmp_path: Path) -> None:
    """GF_STATUS is of the first such allele of a record; another one may have another reason."""
    rows = [
        "1\t10\t.\tA\tC,*,<X>\t.\t.\tGF_LLR=5,.,.;GF_STATUS=STAR",
        "1\t20\t.\tA\t<DEL>,AG\t.\t.\tGF_STATUS=SYMBOLIC",
        "1\t30\t.\tA\tC,<DEL>\t.\t.\tGF_STATUS=REF_MISMATCH",
        "1\t40\t.\tA\t<DEL>\t.\t.\tGF_STATUS=IMPRECISE",
    ]
    (tmp_path / "s.vcf").write_text("\n".join(HEAD + rows) + "\n")
    statuses = [row[5] for row in read_scored(tmp_path / "s.vcf").rows]
    assert statuses == ["OK", "STAR", "SYMBOLIC", "SYMBOLIC", "NONE", "REF_MISMATCH", "SYMBOLIC", "IMPRECISE"]


def test_what_is_no_finite_number_is_missing(tmp_path: Path) -> None:
    rows = [f"1\t{i}\t.\tA\tC\t.\t.\tGF_LLR={text}" for i, text in enumerate(("nan", "inf", "x", "1.5"), 1)]
    (tmp_path / "s.vcf").write_text("\n".join(HEAD + rows) + "\n")
    found = read_scored(tmp_path / "s.vcf")
    assert [row[6] for row in found.rows] == [None, None, None, 1.5]
    assert write_page(found, tmp_path / "r.html", title="t") == 4


def test_text_of_the_vcf_never_becomes_html(tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    done = CliRunner().invoke(main, ["report", str(write_vcf(tmp_path / "s.vcf", 50)), "-o", str(out), "--title", EVIL])
    assert done.exit_code == 0, done.output
    assert "51 of 51 alleles" in done.stderr
    text = out.read_text()
    page = Page(text)
    assert page.scripts == 2  # the data and the code
    assert all(where.startswith("data:image/png;base64,") for where in page.loads)
    assert f"<td>SYMBOLIC</td><td>1</td><td>{html.escape(STATUS_MEANING[Status.SYMBOLIC])}</td>" in text
    assert page.anchors == ["#variants", "#scores", "#top", "#variants", "#settings"]
    assert "http://" not in text
    assert "https://" not in text
    assert "<script>document" not in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert data["rows"][0][2] == EVIL
    assert data["names"] == ["chrom", "pos", "id", "ref", "alt", "status", "LLR", "SAD_TRACK", "INFO"]


def test_of_very_many_the_strongest_are_shown(tmp_path: Path) -> None:
    every = read_scored(write_vcf(tmp_path / "s.vcf", 60))
    found = read_scored(tmp_path / "s.vcf", most=10)
    assert write_page(found, tmp_path / "r.html", title="t") == 10
    assert (found.statuses, found.values) == (every.statuses, every.values)
    text = (tmp_path / "r.html").read_text()
    assert "10 of 61 alleles, those with the largest |LLR|" in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert data["rows"][0][6] == -3.5
    by_strength = sorted(every.rows, key=lambda row: -abs(row[6] or 0))
    assert data["rows"] == by_strength[:10]


def test_a_vcf_without_scores_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.vcf").write_text("\n".join([HEAD[0], HEAD[-1], "1\t5\t.\tA\tC\t.\t.\t."]) + "\n")
    with pytest.raises(FileFormatError, match="has no scores; give a VCF that `genoformer score` wrote"):
        read_scored(tmp_path / "s.vcf")
    done = CliRunner().invoke(main, ["report", str(tmp_path / "s.vcf"), "-o", str(tmp_path / "r.html"), "-m", "demo"])
    assert done.exit_code == 2
    assert "--fasta is missing, expected the genome, which figures need" in done.stderr


def test_annotations_have_columns_of_their_own(tmp_path: Path) -> None:
    keys = ["FLAG,Number=0,Type=Flag", "AF,Number=A,Type=Float", "GENE,Number=1,Type=String", "DP,Number=1,Type=Integer"]
    keys.append("X,Number=R,Type=Float")
    head = [HEAD[0], *(f'##INFO=<ID={key},Description="d">' for key in keys), *HEAD[2:]]
    row = f"1\t10\t.\tA\tC,G\t.\t.\tDB;AF=0.1,0.2;GENE={EVIL};DP=7;X=1,2,3;FLAG;GF_LLR=1,2"
    (tmp_path / "s.vcf").write_text("\n".join([*head, row, "1\t11\t.\tA\tC\t.\t.\tGF_LLR=1"]) + "\n")
    found = read_scored(tmp_path / "s.vcf")
    assert [(c.name, c.numeric) for c in found.annotations] == [
        ("FLAG", False),
        ("AF", True),
        ("GENE", False),
        ("DP", True),
        ("X", False),
    ]
    assert [row[8:] for row in found.rows] == [
        ["yes", 0.1, EVIL, 7.0, "1,2,3", "DB"],
        ["yes", 0.2, EVIL, 7.0, "1,2,3", "DB"],
        [None] * 5 + [""],
    ]


@pytest.mark.parametrize("kind", ["language", "tracks", "classes"])
def test_the_strongest_are_drawn_with_both_alleles(tmp_path: Path, kind: str) -> None:
    sequence = "".join(random.Random(5).choices("ACGT", k=900))
    (tmp_path / "g.fa").write_text(f">chr1\n{sequence}\n")
    models = {
        "language": lambda: small_encoder(BaseTokenizer(), context_length=40),
        "tracks": small_enformer,
        "classes": lambda: small_classifier(BaseTokenizer(), classes=("no", "promoter")),
    }
    registry.save(models[kind](), tmp_path / "model")
    other = "C" if sequence[399] == "A" else "A"
    rows = [f"1\t400\trs1\t{sequence[399]}\t{other}", f"1\t500\t.\t{sequence[499:502]}\t{sequence[499]}"]
    (tmp_path / "v.vcf").write_text("\n".join(["##fileformat=VCFv4.3", HEAD[-1], *(f"{row}\t.\t.\t." for row in rows)]) + "\n")
    common = ["-f", str(tmp_path / "g.fa"), "-m", str(tmp_path / "model")]
    scores = {"language": "COSINE", "tracks": "SAD", "classes": "LOGIT"}[kind]
    more = ["--head", "human", "--strand", "forward"] if kind == "tracks" else []
    done = CliRunner().invoke(
        main, ["score", str(tmp_path / "v.vcf"), *common, "-s", scores, "-o", str(tmp_path / "s.vcf"), *more]
    )
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, ["report", str(tmp_path / "s.vcf"), *common, "-o", str(tmp_path / "r.html"), "--top", "5"])
    assert done.exit_code == 0, done.output
    assert "2 of 2 alleles, 2 drawn" in done.stderr
    text = (tmp_path / "r.html").read_text()
    assert text.count("data:image/png;base64,") == 2
    assert f"1:500 {sequence[499:502]}&gt;{sequence[499]}, {scores}" in text
    assert "REF agrees" in text  # the preflight
    assert "did not make these scores" not in text
    texts = {"language": "minus the mean LLR of the three changes", "tracks": "the track with the largest SAD"}
    assert texts.get(kind, " the model predicts promoter ") in text


ACTIONS = """<script>
const said = {};
const rows = () => [...document.querySelectorAll("#body tr")].map((row) => [...row.children].map((cell) => cell.textContent));
const header = (name) => [...document.querySelectorAll("#head th")].find((cell) => cell.textContent.startsWith(name));
const set = (id, value) => {
  const e = document.getElementById(id);
  e.value = value;
  e.dispatchEvent(new Event("input"));
  e.dispatchEvent(new Event("change"));
};
said.first = rows()[0];
header("LLR").querySelector("button").click();
said.sorts = [...document.querySelectorAll("#head th")].map((cell) => cell.getAttribute("aria-sort"));
said.focus = document.activeElement.textContent;
said.falling = rows().slice(0, 3).map((row) => row[6]);
header("LLR").querySelector("button").click();
said.rising = rows().slice(0, 3).map((row) => row[6]);
set("filter", "symbolic");
said.filtered = rows().map((row) => row[2] + row[4]);
said.csv = csv();
document.querySelector("#columns [data-column='2']").click();
said.narrow = [document.querySelectorAll("#head th").length, rows()[0].length, csv().split("\\r")[0]];
document.querySelector("#columns [data-column='2']").click();
set("filter", ""); set("column", "6"); set("operator", "abs"); set("limit", "3");
said.strong = rows().every((row) => Math.abs(parseFloat(row[6])) >= 3);
set("limit", "");
said.count = document.getElementById("count").textContent;
document.getElementById("after").click();
said.page = document.getElementById("count").textContent;
said.title = document.title;
said.wide = [document.documentElement.scrollWidth, window.innerWidth];
const box = document.querySelector(".scroll");
box.scrollTop = 900;
said.sticky = header("chrom").getBoundingClientRect().top - box.getBoundingClientRect().top;
said.live = document.getElementById("count").getAttribute("aria-live");
document.body.insertAdjacentHTML("beforeend", "<pre id=said></pre>");
document.getElementById("said").textContent = JSON.stringify(said);
</script></body>"""


def test_the_page_works_in_a_browser(tmp_path: Path) -> None:
    chromium = browser()
    found = read_scored(write_vcf(tmp_path / "s.vcf", 9_999))
    write_page(found, tmp_path / "r.html", title="ten thousand")
    page = (tmp_path / "r.html").read_text().replace("</body>", ACTIONS)
    (tmp_path / "t.html").write_text(page)
    said = said_by(chromium, tmp_path, (tmp_path / "t.html"))
    assert said["first"][2] == EVIL
    assert said["title"] == "ten thousand"
    values = sorted((row[6] for row in found.rows if row[6] is not None), reverse=True)
    assert [float(x) for x in said["falling"]] == values[:3]
    assert [float(x) for x in said["rising"]] == values[:-4:-1]
    assert said["sorts"] == ["none"] * 6 + ["descending"] + ["none"] * 2
    assert said["focus"].startswith("LLR")
    assert said["filtered"] == [".<DEL>"]
    names = "chrom,pos,id,ref,alt,status,LLR,SAD_TRACK,INFO"
    assert said["csv"] == f"{names}\r\n2,5,.,A,<DEL>,SYMBOLIC,,,\r\n"
    assert said["narrow"] == [8, 8, names.replace(",id", "")]
    assert said["strong"] is True
    assert said["count"].startswith("10,000 alleles, page 1 of 100")
    assert said["page"].startswith("10,000 alleles, page 2 of 100")
    assert abs(said["sticky"]) <= 2
    assert said["live"] == "polite"
    assert said["wide"][0] <= said["wide"][1]


NARROW = """<!doctype html><body>
<iframe id="f" width="390" height="900" style="border:0" srcdoc="PAGE"></iframe>
<pre id="said"></pre><script>
document.getElementById("f").addEventListener("load", (event) => {
  const inner = event.target.contentDocument, view = event.target.contentWindow;
  document.getElementById("said").textContent = JSON.stringify({
    wide: inner.documentElement.scrollWidth, back: view.getComputedStyle(inner.body).backgroundColor,
    cards: inner.querySelectorAll("article").length,
  });
});
</script></body>"""


@pytest.mark.parametrize(("scheme", "background"), [(0, "rgb(18, 24, 31)"), (1, "rgb(255, 255, 255)")], ids=["dark", "light"])
def test_a_narrow_page_does_not_scroll_sideways(tmp_path: Path, scheme: int, background: str) -> None:
    chromium = browser()
    vcf = write_vcf(tmp_path / "s.vcf", 200)
    run_well("report", vcf, "-o", tmp_path / "r.html", "--top", 4, "--title", "a_title_without_any_space_" * 5)
    page = NARROW.replace("PAGE", html.escape((tmp_path / "r.html").read_text()))
    (tmp_path / "t.html").write_text(page)
    said = said_by(chromium, tmp_path, tmp_path / "t.html", f"--blink-settings=preferredColorScheme={scheme}")
    assert said["wide"] <= 390
    assert (said["back"], said["cards"]) == (background, 4)


def browser() -> str:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium on the PATH")
    return chromium


def said_by(chromium: str, folder: Path, page: Path, *more: str) -> dict[str, Any]:
    """Return the text of the element `said` of a page in headless Chromium, whose console has no error."""
    options = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
        *("--disable-sync", "--disable-component-update", f"--user-data-dir={folder / 'profile'}"),
        *("--enable-logging=stderr", "--dump-dom", "--window-size=1280,900", "--virtual-time-budget=5000", *more),
    ]
    done = subprocess.run([chromium, *options, page.as_uri()], capture_output=True, text=True, timeout=300, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    text = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert text is not None, done.stderr[-2000:]
    return json.loads(html.unescape(text[1]))
