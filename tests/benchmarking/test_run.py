"""run_benchmark: rows, published figures, differences, ensembles and notes; models of the package as scorers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, matthews_corrcoef

from genoformer import __version__
from genoformer.benchmarking import run as run_module
from genoformer.benchmarking import variant_scores
from genoformer.benchmarking.ensembles import linear_probe
from genoformer.benchmarking.registry import BENCHMARKS
from genoformer.benchmarking.request import BenchmarkRequest
from genoformer.benchmarking.result import BenchmarkResult, Row
from genoformer.benchmarking.run import run_benchmark
from genoformer.benchmarking.texts import list_benchmarks
from genoformer.benchmarking.truth_set import Allele, variant_set
from genoformer.benchmarking.variant_scores import Column
from genoformer.errors import ConfigError, GenoformerError, MissingFileError, OptionError
from genoformer.evaluation.intervals import Estimate
from genoformer.progress import Progress

pa = pytest.importorskip("pyarrow", reason="Parquet is an extra: pip install genoformer[parquet]")
pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

N = 400
random = np.random.default_rng(0)
LABEL = np.arange(N) % 10 == 0
CHROMS = [str(1 + i // 10 % 6) for i in range(N)]
POS = list(range(1, N + 1))
LLR = np.round(random.normal(size=N) - 1.5 * LABEL, 3)
SAD = np.round(random.normal(size=N) * (1 + 2 * LABEL), 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of TraitGym's form with two files of scores, and features in its order."""
    path = tmp_path_factory.mktemp("traits")
    columns = {"chrom": CHROMS, "pos": POS, "ref": ["A"] * N, "alt": ["G"] * N}
    groups = [f"g{i // 10}" for i in range(N)]
    (path / "set").mkdir()
    pq.write_table(pa.table({**columns, "label": LABEL.tolist(), "match_group": groups}), path / "set" / "test.parquet")
    pq.write_table(pa.table({"RawScore": LLR.tolist(), "name": ["x"] * N}), path / "features.parquet")
    for name, score, values in (("lm", "LLR", LLR), ("tracks", "SAD", SAD)):
        rows = [f"{c}\t{p}\tA\tG\t{v}" for c, p, v in zip(CHROMS, POS, values, strict=True)]
        (path / f"{name}.tsv").write_text("\n".join([f"chrom\tpos\tref\talt\t{score}", *rows, ""]))
    return path


def request(folder: Path, name: str = "traitgym-mendelian", **options) -> BenchmarkRequest:
    files = {"lm": folder / "lm.tsv", "tracks": folder / "tracks.tsv"}
    return BenchmarkRequest(name, folder / "set", **{"score_files": files, "resamplings": 30, **options})


def values_of(result, metric: str, subset: str = "all") -> dict[str, float]:
    return {row.model: row.estimate.value for row in result.rows if (row.metric, row.subset) == (metric, subset)}


def weighted(values: np.ndarray) -> float:
    chroms = np.array(CHROMS)
    return sum(
        (chroms == c).mean() * average_precision_score(LABEL[chroms == c], values[chroms == c]) for c in sorted(set(CHROMS))
    )


def test_each_score_is_ordered_as_the_benchmark_reads_it(folder: Path) -> None:
    mendelian = values_of(run_benchmark(request(folder)), "AUPRC by chromosome")
    assert mendelian["lm LLR"] == pytest.approx(weighted(-LLR))
    assert mendelian["tracks SAD"] == pytest.approx(weighted(abs(SAD)))
    complex_ = values_of(run_benchmark(request(folder, "traitgym-complex")), "AUPRC by chromosome")
    assert complex_["lm LLR"] == pytest.approx(weighted(abs(LLR)))
    plus = values_of(run_benchmark(request(folder, sign="plus")), "AUPRC by chromosome")
    assert plus["lm LLR"] == pytest.approx(weighted(LLR))


def test_published_figures_stand_in_the_table_with_their_source(folder: Path) -> None:
    result = run_benchmark(request(folder))
    published = {row.model: row for row in result.rows if row.source}
    assert published["CADD"].estimate.value == 0.712
    assert all("songlab-cal/TraitGym" in row.source for row in published.values())
    assert any(line.startswith("published: songlab-cal/TraitGym") for line in result.lines())
    assert {row.metric for row in published.values()} == {"AUPRC by chromosome"}


def test_every_published_figure_is_of_a_metric_and_says_its_source() -> None:
    rows = list_benchmarks()
    assert {row["name"] for row in rows} == set(BENCHMARKS)
    assert len(rows) == 12
    for row in rows:
        assert row["where"]
        assert row["citation"]
        for published in row["published"]:
            assert published["source"]
            assert all(0 <= value <= 1 for value in published["values"].values())


def test_differences_are_of_the_same_samples_and_change_sign(folder: Path) -> None:
    result = run_benchmark(request(folder))
    (one,) = [d for d in result.differences if (d.metric, d.first, d.second) == ("AUPRC", "lm LLR", "tracks SAD")]
    own = values_of(result, "AUPRC")
    assert one.estimate.value == pytest.approx(own["lm LLR"] - own["tracks SAD"])
    assert one.estimate.low < one.estimate.value < one.estimate.high
    same = run_benchmark(request(folder, score_files={"a": folder / "lm.tsv", "b": folder / "lm.tsv"}))
    (zero,) = [d for d in same.differences if (d.metric, d.first, d.second) == ("AUPRC", "a LLR", "b LLR")]
    assert zero.estimate == (0.0, 0.0, 0.0)


def test_ensembles_and_the_probe_are_rows(folder: Path) -> None:
    result = values_of(run_benchmark(request(folder, ensemble=["mean", "ranks", "probe"])), "AUPRC by chromosome")
    assert result["mean of scores"] == pytest.approx(weighted((-LLR + abs(SAD)) / 2))
    assert set(result) >= {"lm LLR", "tracks SAD", "mean of ranks", "linear probe", "transversion (baseline)"}
    assert result["linear probe"] > 0.15
    replicates = request(folder, score_files={"a": folder / "tracks.tsv", "b": folder / "tracks.tsv"}, ensemble="mean")
    mean = values_of(run_benchmark(replicates), "AUPRC by chromosome")
    assert mean["mean of scores"] == pytest.approx(mean["a SAD"])


def test_the_probe_reads_a_signed_score_and_its_size(folder: Path) -> None:
    """TraitGym's features of a language model are LLR and absLLR; a score of another program is read as it is."""
    ones, llr = np.ones(2), np.array([-2.0, 1.0])
    columns = [Column("m LLR", "LLR", llr), Column("m L2", "L2", ones), Column("CADD RawScore", "RawScore", llr)]
    features = run_module._features(columns)
    assert {name: values.tolist() for name, values in features.items()} == {
        "m LLR": [-2.0, 1.0],
        "|m LLR|": [2.0, 1.0],
        "m L2": [1.0, 1.0],
        "CADD RawScore": [-2.0, 1.0],
    }
    result = values_of(run_benchmark(request(folder, ensemble="probe")), "AUPRC by chromosome")
    truth = variant_set([Allele(c, p, "A", "G") for c, p in zip(CHROMS, POS, strict=True)], label=LABEL)
    probed = linear_probe(truth, {"a": LLR, "b": abs(LLR), "c": SAD, "d": abs(SAD)})
    assert result["linear probe"] == pytest.approx(weighted(probed))


def test_many_scores_are_features_of_the_probe_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "MOST_ROWS", 1)
    with pytest.raises(OptionError, match="option scores stands for 2 columns, expected 1 or fewer; name some"):
        run_benchmark(request(folder))
    notes: list[str] = []
    result = run_benchmark(request(folder, ensemble=["probe", "mean"]), on_note=notes.append)
    assert set(values_of(result, "AUPRC")) == {"linear probe", "mean of scores", "transversion (baseline)"}
    assert notes == ["2 scores are features of the linear probe and have no rows of their own."]


def test_features_in_the_order_of_the_rows_are_read_as_published(folder: Path) -> None:
    result = run_benchmark(request(folder, score_files={"CADD": folder / "features.parquet"}, sign="minus"))
    assert values_of(result, "AUPRC by chromosome")["CADD RawScore"] == pytest.approx(weighted(-LLR))
    short = folder / "short.parquet"
    pq.write_table(pa.table({"RawScore": [0.5, 0.2]}), short)
    with pytest.raises(GenoformerError, match="has 2 rows and no columns chrom and pos"):
        run_benchmark(request(folder, score_files={"CADD": short}))


def test_a_score_of_another_program_counts_as_it_is_also_for_complex_traits(folder: Path) -> None:
    """TraitGym has CADD.plus.RawScore; CADD writes #Chrom, Pos, Ref and Alt below a comment."""
    path = folder / "cadd.tsv"
    rows = [f"{c}\t{p}\tA\tG\t{v}\tx" for c, p, v in zip(CHROMS, POS, LLR, strict=True)]
    path.write_text("\n".join(["## CADD GRCh38-v1.7", "#Chrom\tPos\tRef\tAlt\tRawScore\tName", *rows, ""]))
    result = run_benchmark(request(folder, "traitgym-complex", score_files={"CADD": path, "t": folder / "tracks.tsv"}))
    own = values_of(result, "AUPRC by chromosome")
    assert own["CADD RawScore"] == pytest.approx(weighted(LLR))
    assert own["t SAD"] == pytest.approx(weighted(abs(SAD)))


def test_one_column_in_the_order_of_the_rows_is_enough(folder: Path) -> None:
    path = folder / "column.tsv"
    path.write_text("\n".join(["score", *map(str, LLR), ""]))
    result = run_benchmark(request(folder, score_files={"a": path}))
    assert values_of(result, "AUPRC by chromosome")["a score"] == pytest.approx(weighted(LLR))


def test_files_of_scores_that_cannot_be_read_are_refused(folder: Path) -> None:
    words = folder / "words.tsv"
    words.write_text("name\n" + "x\n" * N)
    for path, message in ((folder, "is a folder"), (folder / "no.tsv", "does not exist"), (words, "no column of numbers")):
        with pytest.raises(GenoformerError, match=message):
            run_benchmark(request(folder, score_files={"a": path}))


def test_items_without_a_score_are_left_out_of_all_rows(folder: Path) -> None:
    part = folder / "part.tsv"
    part.write_text("\n".join((folder / "lm.tsv").read_text().splitlines()[:301]) + "\n")
    notes: list[str] = []
    result = run_benchmark(request(folder, score_files={"p": part, "t": folder / "tracks.tsv"}), on_note=notes.append)
    assert "100 of 400 items lack a score and are left out of all rows." in notes
    part.write_text("\n".join((folder / "lm.tsv").read_text().splitlines()[:306]) + "\n")
    run_benchmark(request(folder, score_files={"p": part}), on_note=notes.append)
    assert notes[-1].endswith("left out of all rows. 1 of 40 matched groups are incomplete without them.")
    assert {row.n for row in result.rows if row.metric == "AUPRC"} == {300}


def test_the_same_request_gives_the_same_table_in_files_and_json(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run_benchmark(request(folder, out=out), command="genoformer benchmark run ...")
    record = json.loads((out / "results.json").read_text())
    assert record == json.loads(json.dumps(first.to_dict()))
    assert record["command"] == "genoformer benchmark run ..."
    assert record["version"] == __version__
    table = (out / "results.tsv").read_text()
    run_benchmark(request(folder, out=out))
    assert (out / "results.tsv").read_text() == table
    assert list(first.to_frame().columns) == table.splitlines()[0].split("\t")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "results.tsv").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds results.tsv, which another program made"):
        run_benchmark(request(folder, out=tmp_path / "mine"))


def test_models_score_the_substitutions_of_an_element(tmp_path: Path) -> None:
    """The bundled demo model on random DNA: its scores are those of genoformer.score."""
    pytest.importorskip("torch", reason="models need torch")
    import genoformer as gf

    dna = "".join(random.choice(list("ACGT"), 300))
    (tmp_path / "e.fa").write_text(f">chrS1\n{dna}\n")
    rows, effects = [], random.normal(size=12)
    for i, effect in enumerate(effects):
        at = 100 + 5 * i
        rows.append(f"chrS1\t{at}\t{dna[at - 1]}\t{'ACGT'[('ACGT'.index(dna[at - 1]) + 1) % 4]}\t{effect:.4f}\tE")
    (tmp_path / "m.tsv").write_text("\n".join(["Chrom\tPos\tRef\tAlt\tCoefficient\tElement", *rows, ""]))
    out = tmp_path / "out"
    result = gf.benchmark("mpra", tmp_path / "m.tsv", "demo", tmp_path / "e.fa", scores="LLR", out=out, resamplings=20)
    from scipy.stats import spearmanr

    table = gf.score([":".join(row.split("\t")[:4]) for row in rows], tmp_path / "e.fa", "demo", scores="LLR")
    known = [float(row.split("\t")[4]) for row in rows]
    assert values_of(result, "Spearman", "E")["demo LLR"] == pytest.approx(spearmanr(table["LLR"], known).statistic)
    assert (out / "scores_demo.tsv").is_file()


def test_each_of_several_models_and_files_gives_the_scores_and_options_that_it_has(tmp_path: Path) -> None:
    """A language model has LLR and no tracks, the track model SAD, and the file FOREIGN."""
    pytest.importorskip("torch", reason="models need torch")
    dna = "".join(random.choice(list("ACGT"), 300))
    (tmp_path / "e.fa").write_text(f">chrS1\n{dna}\n")
    rows = [f"chrS1\t{at}\t{dna[at - 1]}\t{'C' if dna[at - 1] != 'C' else 'G'}\t{at % 7}" for at in range(100, 112)]
    (tmp_path / "m.tsv").write_text(
        "\n".join(["Chrom\tPos\tRef\tAlt\tCoefficient\tElement", *(f"{row}\tE" for row in rows), ""])
    )
    (tmp_path / "f.tsv").write_text("\n".join(["#CHROM\tPOS\tREF\tALT\tFOREIGN", *rows, ""]))

    def models_of(models: list[str], scores: str, **options) -> set[str]:
        wanted = BenchmarkRequest(
            "mpra",
            tmp_path / "m.tsv",
            models,
            tmp_path / "e.fa",
            scores,
            {"f": tmp_path / "f.tsv"},
            resamplings=10,
            device="cpu",
            options=options,
        )
        return set(values_of(run_benchmark(wanted), "Spearman", "E"))

    base = "transversion (baseline)"
    assert models_of(["demo", "mini-tracks"], "LLR,SAD,FOREIGN", tracks="CAGE") == {
        *("demo LLR", "mini-tracks SAD", "f FOREIGN", base)
    }
    assert models_of(["demo"], "FOREIGN") == {"f FOREIGN", base}
    with pytest.raises(ConfigError, match="no model and no file has the score RAW"):
        models_of(["demo"], "LLR,RAW")
    with pytest.raises(OptionError, match="option tracks is for none of these models"):
        models_of(["demo"], "LLR", tracks="CAGE")


def test_a_name_in_other_case_chooses_a_score_of_a_file_in_the_order_of_the_rows(tmp_path: Path) -> None:
    rows = [f"1\t{at}\tA\tC\t{at % 7}\tE" for at in range(100, 124)]
    (tmp_path / "m.tsv").write_text("\n".join(["Chrom\tPos\tRef\tAlt\tCoefficient\tElement", *rows, ""]))
    for name in "ab":
        (tmp_path / f"{name}.tsv").write_text("\n".join(["Raw\tOther", *(f"{i}\t{-i}" for i in range(24)), ""]))
    files = {name: tmp_path / f"{name}.tsv" for name in "ab"}
    found = run_benchmark(BenchmarkRequest("mpra", tmp_path / "m.tsv", score_files=files, scores="raw", resamplings=10))
    assert set(values_of(found, "Spearman", "E")) == {"a Raw", "b Raw", "transversion (baseline)"}


def test_two_scores_of_one_name_are_refused(folder: Path) -> None:
    """The name of a file is that of a model, and both have LLR."""
    columns = [Column("a LLR", "LLR", LLR), Column("a LLR", "LLR", LLR)]
    with pytest.raises(ConfigError, match="a LLR is the name of two scores"):
        variant_scores.check_names(columns)


def test_an_interrupted_run_resumes_from_the_parts_of_a_model(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="models need torch")
    dna = "".join(random.choice(list("ACGT"), 300))
    (tmp_path / "e.fa").write_text(f">chrS1\n{dna}\n")
    rows = [f"chrS1\t{at}\t{dna[at - 1]}\t{'C' if dna[at - 1] != 'C' else 'G'}\t{at % 7}\tE" for at in range(100, 124)]
    (tmp_path / "m.tsv").write_text("\n".join(["Chrom\tPos\tRef\tAlt\tCoefficient\tElement", *rows, ""]))
    options = {"options": {"part_size": 8}, "scores": "LLR", "fasta": tmp_path / "e.fa", "resamplings": 10}

    def stop(event: Progress) -> None:
        if event.stage == "score" and event.done >= 8:
            raise KeyboardInterrupt

    request = BenchmarkRequest("mpra", tmp_path / "m.tsv", ["demo"], out=tmp_path / "out", **options)
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(request, progress=stop)
    notes: list[str] = []
    result = run_benchmark(request, on_note=notes.append)
    assert any(note.startswith("demo: ") and "there from an interrupted run" in note for note in notes)
    whole = BenchmarkRequest("mpra", tmp_path / "m.tsv", ["demo"], **options)
    assert [row[:5] for row in result.rows] == [row[:5] for row in run_benchmark(whole).rows]


# --- sequences


@pytest.fixture(scope="module")
def gue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gue")
    own = np.random.default_rng(3)
    for task in ("tf_0", "tf_1"):
        (path / task).mkdir()
        for split, n in (("train", 120), ("test", 60)):
            rows = []
            for i in range(n):
                text = "".join(own.choice(list("ACGT"), 30)) + ("GATAGATA" if i % 2 and own.random() < 0.8 else "")
                rows.append(f"{text},{i % 2}")
            (path / task / f"{split}.csv").write_text("\n".join(["sequence,label", *rows, ""]))
    return path


def test_baselines_of_sequences_have_the_metric_of_each_task_and_their_mean(gue: Path) -> None:
    result = run_benchmark(BenchmarkRequest("gue", gue, baselines="kmer_regression", resamplings=20))
    own = values_of(result, "mcc", "mean of tasks")
    each = [values_of(result, "mcc", task)["kmer_regression"] for task in ("tf/0", "tf/1")]
    assert own["kmer_regression"] == pytest.approx(np.mean(each))
    assert result.rows[0].subset == "mean of tasks"
    assert values_of(result, "mcc", "tf/0")["DNABERT-2"] == 0.72
    assert own["DNABERT-2"] == pytest.approx((0.720 + 0.761) / 2)
    one = run_benchmark(BenchmarkRequest("gue", gue, tasks="tf_1", baselines="kmer_regression", resamplings=20))
    assert {row.subset for row in one.rows} == {"tf/1"}


def test_the_table_shows_the_metric_that_a_task_publishes() -> None:
    rows = [("tf/0", "mcc"), ("tf/0", "f1"), ("virus/covid", "f1"), ("virus/covid", "mcc"), ("virus/covid", "auc")]
    own = [Row(subset, metric, "m", Estimate(0.5, 0.4, 0.6), 9) for subset, metric in rows]
    published = Row("virus/covid", "f1", "DNABERT-2", Estimate(0.71, math.nan, math.nan), source="table 4")
    lines = BenchmarkResult("gue", "GUE", "mcc", (*own, published)).lines()
    assert [line.split()[:3] for line in lines[1:6]] == [[*row, "m"] for row in rows[:4]] + [["virus/covid", "f1", "DNABERT-2"]]


def test_the_mcc_of_a_baseline_is_scikit_learns(gue: Path) -> None:
    pytest.importorskip("torch", reason="evaluation needs torch")
    from genoformer.datasets.sequences import read_labelled
    from genoformer.datasets.targets import make_targets
    from genoformer.evaluation import BASELINES

    train, test = read_labelled(gue / "tf_0" / "train.csv"), read_labelled(gue / "tf_0" / "test.csv")
    task, y = make_targets(train.labels, "classify")
    p = BASELINES["kmer_regression"](train.sequences, y, task).predict(test.sequences)
    result = run_benchmark(BenchmarkRequest("gue", gue, tasks="tf/0", baselines="kmer_regression", resamplings=20))
    truth = [int(label) for (label,) in test.labels]
    assert values_of(result, "mcc", "tf/0")["kmer_regression"] == pytest.approx(matthews_corrcoef(truth, p.argmax(1)))


def test_fine_tuned_models_are_named_by_task(gue: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="models need torch")
    from small_models import small_classifier

    from genoformer.models import registry
    from genoformer.tokenizers import BaseTokenizer

    for task in ("tf/0", "tf/1"):
        for run in ("one", "two"):
            model = small_classifier(BaseTokenizer(), classes=("0", "1"), seed=len(run))
            registry.save(model, tmp_path / run / task)
    models = [f"{tmp_path}/{run}/{{task}}" for run in ("one", "two")]
    result = run_benchmark(BenchmarkRequest("gue", gue, models, ensemble="mean", resamplings=20, device="cpu"))
    assert set(values_of(result, "accuracy", "tf/0")) == {*models, "mean of probabilities"}
    with pytest.raises(OptionError, match=r"has no \{task\}, found 2 tasks"):
        run_benchmark(BenchmarkRequest("gue", gue, [f"{tmp_path}/one/tf/0"]))


# --- requests


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "nothing"}, "option name is 'nothing', expected"),
        ({"name": "mpra"}, "expected models, a score file or a baseline"),
        ({"name": "crispri"}, "expected a score file"),
        ({"name": "crispri", "models": ["demo"]}, "expected score files with chrom, start, end and gene"),
        ({"name": "mpra", "models": ["demo"]}, "option fasta is missing, expected the genome"),
        ({"name": "mpra", "baselines": "cnn"}, "is not for mpra, a benchmark of variants"),
        ({"name": "gue", "score_files": {"a": "b"}}, "option score_files is not for gue"),
        ({"name": "gue", "baselines": "cnn", "ensemble": "ranks"}, "are for variants, expected mean"),
        (
            {"name": "mpra", "score_files": {"a": "b"}, "ensemble": "sum"},
            "option ensemble is 'sum', expected mean, ranks or probe",
        ),
        ({"name": "mpra", "score_files": {"a": "b"}, "sign": "up"}, "option sign is 'up'"),
        ({"name": "gue", "baselines": "cnn", "resamplings": 0}, "option resamplings is 0"),
    ],
)
def test_wrong_requests_are_refused_before_anything_is_read(options, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        BenchmarkRequest(**options)


def test_missing_files_are_refused_with_the_place_of_publication(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="authors publish it as the dataset songlab/TraitGym"):
        BenchmarkRequest("traitgym-complex", tmp_path / "no", score_files={"a": "b"}).path()
    with pytest.raises(MissingFileError, match="DNABERT_2, section Data"):
        BenchmarkRequest("gue", baselines="cnn").path()


def test_a_pulled_catalog_entry_needs_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENOFORMER_CACHE", str(tmp_path))
    with pytest.raises(MissingFileError, match="genoformer data pull clinvar-hg38"):
        BenchmarkRequest("clinvar-noncoding", score_files={"a": "b"}).path()


def test_files_of_the_catalog_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genoformer import catalog

    monkeypatch.setattr(catalog, "is_here", lambda entry: True)
    monkeypatch.setattr(catalog, "folder_of", lambda entry: tmp_path / entry.name)
    assert BenchmarkRequest("clinvar-noncoding", score_files={"a": "b"}).path() == tmp_path / "clinvar-hg38"


def test_models_of_one_last_name_have_rows_of_their_own() -> None:
    from genoformer.benchmarking.variant_scores import _labels

    assert _labels(("demo", "a/run", "b/run")) == {"demo": "demo", "a_run": "a/run", "b_run": "b/run"}
    assert BenchmarkRequest("gue", models="runs/{task}").models == ("runs/{task}",)


def test_an_unknown_task_and_baseline_are_refused_with_the_known_ones(gue: Path) -> None:
    with pytest.raises(OptionError, match=r"option tasks is 'tf_7', expected one of tf/0, tf/1"):
        run_benchmark(BenchmarkRequest("gue", gue, tasks="tf_7", baselines="cnn"))
    with pytest.raises(OptionError, match="option baselines is 'svm'"):
        run_benchmark(BenchmarkRequest("gue", gue, baselines="svm"))
