"""Scores of variants beside what is known of them, against scikit-learn and scipy."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from genoformer_cli.main import main
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import spearmanr
from sklearn.metrics import auc, average_precision_score, roc_auc_score

import genoformer as gf
from genoformer.errors import ConfigError
from genoformer.evaluation.truth import Truth
from genoformer.evaluation.variants import draw_curves, evaluate_variants, read_scores, write_evaluation

pa = pytest.importorskip("pyarrow", reason="Parquet is an extra: pip install genoformer[parquet]")
pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

N = 60
random = np.random.default_rng(1)
KEYS = [("1", 10 + i, "A", "CGT"[i % 3]) for i in range(N)]
EFFECTS = random.normal(size=N)
SCORES = EFFECTS + random.normal(size=N)
ELEMENTS = [f"e{i % 3}" for i in range(N)]
LABELS = (EFFECTS > 0.5).astype(float)


def of(values) -> dict:
    return dict(zip(KEYS, values, strict=True))


def test_correlations_are_scipys() -> None:
    found = evaluate_variants({"S": of(SCORES)}, Truth(of(EFFECTS), of(ELEMENTS), binary=False))
    for element in ("all", "e0", "e1", "e2"):
        here = np.array([element in ("all", e) for e in ELEMENTS])
        metrics = found.metrics["S"][element]
        assert found.n["S"][element] == here.sum()
        assert metrics["spearman"].value == pytest.approx(spearmanr(SCORES[here], EFFECTS[here]).statistic)
        both = spearmanr(abs(SCORES[here]), abs(EFFECTS[here])).statistic
        assert metrics["spearman_abs"].value == pytest.approx(both)
        assert metrics["spearman"].low < metrics["spearman"].value < metrics["spearman"].high
    mean = np.mean([found.metrics["S"][f"e{i}"]["spearman"].value for i in range(3)])
    assert found.means["S"]["spearman"].value == pytest.approx(mean)


def test_each_score_tells_how_many_variants_have_it() -> None:
    """Two scores on different variants do not stand side by side as if they were on the same."""
    some = dict(list(of(SCORES).items())[:25])
    few = dict(list(of(SCORES).items())[:5])
    found = evaluate_variants({"A": of(SCORES), "B": some, "C": few}, Truth(of(EFFECTS), {}, binary=False), n_resamplings=20)
    assert found.n == {"A": {"all": N}, "B": {"all": 25}}
    assert found.few == ["C"]
    assert found.counted("all") == "25 to 60"
    assert found.to_dict()["too_few_variants"] == ["C"]


def test_areas_are_scikit_learns() -> None:
    found = evaluate_variants({"S": of(SCORES), "P": of(abs(SCORES))}, Truth(of(LABELS), {}, binary=True))
    metrics = found.metrics["S"]["all"]
    assert metrics["auroc"].value == pytest.approx(roc_auc_score(LABELS, abs(SCORES)))
    assert metrics["auprc"].value == pytest.approx(average_precision_score(LABELS, abs(SCORES)))
    assert metrics["auroc_low"].value == pytest.approx(roc_auc_score(LABELS, -SCORES))
    assert "auroc_low" not in found.metrics["P"]["all"]  # has no sign
    assert not found.means


def test_labels_have_roc_curves_and_effects_have_none(tmp_path: Path) -> None:
    labelled = evaluate_variants({"S": of(SCORES), "P": of(SCORES**2)}, Truth(of(LABELS), {}, binary=True), n_resamplings=20)
    ax = Figure().add_subplot()
    draw_curves(ax, labelled)
    curve = next(line for line in ax.lines if line.get_label() == f"|S|, AUROC {roc_auc_score(LABELS, abs(SCORES)):.3f}")
    assert auc(*curve.get_xydata().T) == pytest.approx(roc_auc_score(LABELS, abs(SCORES)))
    assert len(ax.lines) == 3  # two scores, and chance
    assert ax.get_title(loc="left") == f"n = {N}, {int(LABELS.sum())} positive"
    write_evaluation(tmp_path, labelled)
    figures = {"variants.png", "variants.svg"}
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "roc.png", "roc.svg"} | figures
    write_evaluation(tmp_path, evaluate_variants({"S": of(SCORES)}, Truth(of(EFFECTS), {}, binary=False), n_resamplings=20))
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json"} | figures


def test_what_does_not_match_is_counted_and_missing_scores_are_left_out() -> None:
    scores = of(SCORES) | {("2", 5, "A", "C"): 1.0}
    truth = of(EFFECTS) | {("9", 1, "G", "T"): 0.3, ("9", 2, "G", "T"): 0.3}
    scores[KEYS[0]] = np.nan
    found = evaluate_variants({"S": scores}, Truth(truth, {}, binary=False), n_resamplings=20)
    assert (found.n_unscored, found.n_unknown, found.n["S"]["all"]) == (2, 1, N - 1)
    assert found.metrics["S"]["all"]["spearman"].value == pytest.approx(spearmanr(SCORES[1:], EFFECTS[1:]).statistic)
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert '"not_scored": 2' in text


@pytest.mark.parametrize(
    ("scores", "truth", "message"),
    [
        ({"S": {("7", 1, "A", "C"): 1.0}}, Truth(of(EFFECTS), {}, False), "no scored variant is in the truth"),
        ({"S": of(SCORES)}, Truth(of(np.ones(N)), {}, True), "have the same label"),
        ({"S": dict(list(of(SCORES).items())[:5])}, Truth(of(EFFECTS), {}, False), "fewer than 10 variants"),
    ],
)
def test_what_cannot_be_judged_is_refused(scores, truth, message) -> None:
    with pytest.raises(ConfigError, match=message):
        evaluate_variants(scores, truth)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    rows = list(zip(KEYS, SCORES, EFFECTS, ELEMENTS, strict=True))
    info = "X=1;GF_SAD={:.6g};GF_SAD_TRACK=t1;GF_SAD_Q=0.5"
    vcf = "".join(f"chr1\t{p}\t.\t{r}\t{a}\t.\t.\t{info.format(s)}\n" for (_, p, r, a), s, *_ in rows)
    head = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (tmp_path / "s.vcf").write_text(head + vcf + "chr1\t900\t.\tA\tC,G\t.\t.\tGF_SAD=1,.\n")
    tsv = "".join(f"chr1\t{p}\t.\t{r}\t{a}\t.\t.\tX=1\t.\t{s:.6g}\tt1\t0.5\n" for (_, p, r, a), s, *_ in rows)
    names = "chrom\tpos\tid\tref\talt\tqual\tfilter\tinfo\tstatus\tSAD\tSAD_TRACK\tSAD_Q\n"
    with gzip.open(tmp_path / "s.tsv.gz", "wt") as file:
        file.write(names + tsv)
    columns = {"chrom": ["chr1"] * N, "pos": [k[1] for k in KEYS], "ref": ["A"] * N, "alt": [k[3] for k in KEYS]}
    numbers = {"SAD": pa.array(SCORES, pa.float32()), "SAD_Q": pa.array(SCORES, pa.float32())}
    pq.write_table(pa.table(columns | numbers), tmp_path / "s.parquet")
    table = "".join(f"1\t{p}\t{r}\t{a}\t{e:.9g}\t{g}\tnew\n" for (_, p, r, a), _, e, g in rows)
    head = "Chrom\tPos\tRef\tAlt\tCoefficient\tElement\tRelease\n"
    (tmp_path / "truth.tsv").write_text(head + table + "1\t10\tA\tC\t9\te0\told\n")
    return {path.name: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize("name", ["s.vcf", "s.tsv.gz", "s.parquet"])
def test_every_format_of_score_is_read(name, files) -> None:
    found = read_scores(files[name])
    assert list(found) == ["SAD"]
    for key, value in of(SCORES).items():
        assert found["SAD"][key] == pytest.approx(value, rel=1e-4)
    assert list(read_scores(files[name], ["sad_q"])) == ["SAD_Q"]
    assert read_scores(files[name], ["GF_SAD"]) == {"SAD": found["SAD"]}  # the key in INFO
    with pytest.raises(ConfigError, match="has no score LLR; it has SAD"):
        read_scores(files[name], ["LLR"])


def test_the_call_in_python_is_the_command(files, tmp_path) -> None:
    truth = {"table": files["truth.tsv"], "truth": "Coefficient"}
    found = gf.evaluate(files["s.vcf"], **truth, element="Element", where={"Release": "new"}, output=tmp_path / "py")
    command = ["evaluate", "variants", str(files["s.vcf"]), str(files["truth.tsv"]), "--truth", "Coefficient"]
    done = CliRunner().invoke(main, [*command, "--element", "Element", "--where", "Release=new"])
    assert dict(found) == json.loads(done.stdout) == json.loads((tmp_path / "py" / "metrics.json").read_text())
    table = found.to_frame()
    row = table[(table["element"] == "e1") & (table["metric"] == "spearman_abs")].iloc[0]
    expected = found["scores"]["SAD"]["e1"]["spearman_abs"]
    assert (row["score"], row["value"], row["low"]) == ("SAD", expected["value"], expected["low"])
    assert repr(found).startswith(f"ScoredEvaluation({N} variants: SAD spearman_abs 0.")
    assert len(found.plot().get_yticklabels()) == 5  # three elements, their mean, and all
    for options, sentence in (
        ({"truth": "Coefficient"}, "option table is missing, expected the table"),
        ({**truth, "model": "demo"}, "option model is of labelled sequences"),
        ({**truth, "where": ["Release"]}, "option where is 'Release', expected COLUMN=VALUE"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            gf.evaluate(files["s.vcf"], **options)


def test_the_command_prints_json_and_draws(files, tmp_path) -> None:
    out = tmp_path / "report"
    command = ["evaluate", "variants", str(files["s.vcf"]), str(files["truth.tsv"]), "--truth", "Coefficient"]
    done = CliRunner().invoke(main, [*command, "--element", "Element", "--where", "Release=new", "-o", str(out)])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found == json.loads((out / "metrics.json").read_text())
    assert found["n"] == {"SAD": {"all": N, "e0": 20, "e1": 20, "e2": 20}}
    assert found["scores"]["SAD"]["all"]["spearman"]["value"] == pytest.approx(spearmanr(SCORES, EFFECTS).statistic, abs=1e-4)
    assert set(found["scores"]["SAD"]) == {"all", "e0", "e1", "e2", "mean_of_elements"}
    with Image.open(out / "variants.png") as image:
        assert image.size[0] > 600
    again = CliRunner().invoke(main, [*command, "-o", str(out)])
    assert again.exit_code == 0, again.output
    (out / "metrics.json").write_text("{}")
    assert CliRunner().invoke(main, [*command, "-o", str(out)]).exit_code == 2
    assert CliRunner().invoke(main, [*command, "--where", "x"]).exit_code == 2
