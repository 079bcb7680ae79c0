"""The commands that score variants, with fine-tuned models: files, workers, checks, tables of pairs and haplotypes, pages."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from commands import assert_refused, rows_of, run, run_well, with_five_digits
from small_models import small_classifier

import genoformer as gf
from genoformer.formats.vcf import read_variants
from genoformer.formats.vcf_records import parse_info
from genoformer.genome.codes import decode
from genoformer.models import registry
from genoformer.scoring import class_scorer
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

TEXT = decode(np.random.default_rng(21).integers(0, 4, 600, dtype=np.uint8))
HEADER = ["##fileformat=VCFv4.2", "##contig=<ID=c1,length=600>"]
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
sensitive = partial(small_classifier, std=0.6)


def record(pos: int, ref: str, alt: str) -> str:
    return f"c1\t{pos}\t.\t{ref}\t{alt}\t.\tPASS\t."


def snv(pos: int, step: int = 1) -> str:
    ref = TEXT[pos - 1]
    return record(pos, ref, "ACGT"["ACGT".index(ref) - step])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A genome, a VCF, phased genotypes, and models."""
    folder = tmp_path_factory.mktemp("classes")
    (folder / "g.fa").write_text(f">c1\n{TEXT}\n")
    records = [snv(pos) for pos in range(50, 550, 50)]
    records[3] = record(200, TEXT[199], f"{TEXT[199]}GAT,<DEL>")  # of two alleles one has no sequence
    records[5] = record(300, TEXT[299:303], TEXT[299])
    (folder / "in.vcf").write_text("\n".join([*HEADER, COLUMNS, *records, ""]))
    genotypes = [
        f"{text}\tGT\t{gt}"
        for text, gt in ((snv(255), "1|0"), (snv(262), "1|1"), (record(270, TEXT[269], f"{TEXT[269]}CC"), "0|1"))
    ]
    (folder / "phased.vcf").write_text("\n".join([*HEADER, f"{COLUMNS}\tFORMAT\tmother", *genotypes, ""]))
    (folder / "r.bed").write_text("c1\t260\t262\n")
    registry.save(sensitive(KmerTokenizer(3)), folder / "three")
    registry.save(sensitive(KmerTokenizer(3), seed=5), folder / "other")
    for name in ("three", "other"):  # as `finetune --seeds` writes them
        shutil.copytree(folder / name, folder / "run" / f"seed-{name}")
    (folder / "run" / "ensemble.json").write_text(json.dumps({"members": ["seed-three", "seed-other"]}))
    registry.save(sensitive(BaseTokenizer(), classes=("no", "yes")), folder / "two")
    registry.save(sensitive(BaseTokenizer(), "regression", ("activity",)), folder / "value")
    return folder


def score(folder: Path, out: Path, *words: object, model: str = "three"):
    return run_well("score", folder / "in.vcf", "-f", folder / "g.fa", "-m", folder / model, "-o", out, *words)


def test_vcf_tsv_parquet_and_matrix_have_the_same_scores(folder, tmp_path) -> None:
    names = ["LOGIT", "LOGIT_CLASS", "LOGIT_a", "LOGIT_c", "DIFF", "DIFF_CLASS", "DIFF_a", "DIFF_c"]
    for suffix in ("vcf", "tsv", "parquet"):
        score(folder, tmp_path / f"o.{suffix}", "--classes", "a,c", "--matrix", tmp_path / f"{suffix}.parquet")
    rows = rows_of(tmp_path / "o.tsv")
    assert list(rows[0])[-len(names) :] == names
    assert len(rows) == 11
    table = pq.read_table(tmp_path / "o.parquet").to_pandas()
    matrix = pq.read_table(tmp_path / "tsv.parquet").to_pandas()
    assert list(matrix.columns[-3:]) == ["a", "b", "c"]
    alleles = [(record, alt) for record in read_variants(tmp_path / "o.vcf") for alt in record.alts]
    for i, (row, (of, alt)) in enumerate(zip(rows, alleles, strict=True)):
        if alt == "<DEL>":
            assert row["status"] == "SYMBOLIC"
            assert not any(row[name] for name in names)
            continue
        which = of.alts.index(alt)
        for name in names:
            in_vcf = parse_info(of)[f"GF_{name}"].split(",")[which]
            if name.endswith("CLASS"):
                assert in_vcf == row[name] == table[name][i]
            else:
                assert float(in_vcf) == pytest.approx(float(row[name]), rel=1e-4)
                assert table[name][i] == pytest.approx(float(row[name]), rel=1e-4)
        for name in ("LOGIT", "DIFF"):
            (values,) = matrix[(matrix.pos == of.pos) & (matrix.alt == alt) & (matrix.score == name)][["a", "c"]].to_numpy()
            assert values == pytest.approx([float(row[f"{name}_a"]), float(row[f"{name}_c"])], rel=1e-4)
            assert abs(float(row[name])) == pytest.approx(np.abs(values).max(), rel=1e-4)
    assert len({(tmp_path / f"{suffix}.parquet").read_bytes() for suffix in ("vcf", "tsv", "parquet")}) == 1


def test_the_header_says_what_was_scored(folder, tmp_path) -> None:
    score(folder, tmp_path / "o.vcf", "--tile", "max", model="two")
    header = (tmp_path / "o.vcf").read_text().split("#CHROM")[0]
    assert "##genoformer_options=scores=LOGIT,DIFF;context=40;strands=both;shifts=-16,-8,0,8,16;tile=max;" in header
    assert "ID=GF_LOGIT,Number=A,Type=Float" in header
    assert "The class is yes. Unit: nats." in header
    assert "_CLASS" not in header
    score(folder, tmp_path / "v.vcf", model="value")
    text = (tmp_path / "v.vcf").read_text()
    assert "GF_DIFF=" in text
    assert "GF_LOGIT" not in text


def test_workers_write_the_same_bytes(folder, tmp_path) -> None:
    for n in (1, 2):
        score(folder, tmp_path / f"{n}.vcf", "--workers", n, "--threads", 1, "--matrix", tmp_path / f"{n}.parquet")
    assert (tmp_path / "1.vcf").read_bytes() == (tmp_path / "2.vcf").read_bytes()
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_verify_finds_a_wrong_engine(folder, tmp_path, monkeypatch) -> None:
    result = score(folder, tmp_path / "right.vcf", "--verify", 5)
    (note,) = [line for line in result.stderr.splitlines() if line.startswith("verified: 5 random records")]
    assert float(note.split("largest difference is ")[1].split(",")[0]) < 1e-5

    def wrong(model, codes, batch_size=None):
        return right(model, codes, batch_size) + np.arange(len(codes), dtype=np.float32)[:, None] ** 2

    right = class_scorer.class_logits
    monkeypatch.setattr(class_scorer, "class_logits", wrong)
    result = score(folder, tmp_path / "wrong.vcf", "--verify", 5, "-s", "DIFF", model="value")
    (note,) = [line for line in result.stderr.splitlines() if line.startswith("verified: 5 random records")]
    assert float(note.split("largest difference is ")[1].split(",")[0]) > 0.5


def test_an_ensemble_is_the_mean_of_both_models(folder, tmp_path) -> None:
    for name, models in (("a", ["three"]), ("b", ["other"]), ("both", ["three", "other"])):
        words = [word for model in models for word in ("-m", folder / model)]
        out = tmp_path / f"{name}.tsv"
        run_well("score", folder / "in.vcf", "-f", folder / "g.fa", *words, "--classes", "b", "-o", out)
    a, b, both = (pd.read_csv(tmp_path / f"{name}.tsv", sep="\t")["LOGIT"].to_numpy() for name in ("a", "b", "both"))
    assert both == pytest.approx((a + b) / 2, rel=1e-3, abs=1e-6, nan_ok=True)


MEMBERS = ("three", "other")


def words_of(folder: Path, *models: str) -> list[object]:
    return ["-f", folder / "g.fa", *(word for model in models for word in ("-m", folder / model))]


def test_the_folder_of_an_ensemble_is_its_members(folder, tmp_path) -> None:
    """Each command writes with the folder what it writes with its members named one by one."""
    commands = {
        "score.tsv": ("score", folder / "in.vcf"),
        "pairs.tsv": ("pairs", folder / "phased.vcf", "--within", 7),
        "haplotypes.tsv": ("haplotypes", folder / "phased.vcf", "-b", folder / "r.bed"),
        "quantiles.npz": ("calibrate", folder / "in.vcf"),
    }
    for name, command in commands.items():
        run_well(*command, *words_of(folder, "run"), "-o", tmp_path / f"folder.{name}")
        run_well(*command, *words_of(folder, *MEMBERS), "-o", tmp_path / f"members.{name}")
        if name.endswith(".tsv"):
            assert rows_of(tmp_path / f"folder.{name}") == rows_of(tmp_path / f"members.{name}"), name
    assert [path.name for path in (folder / "run").glob("*.npz")] == []
    run_well("calibrate", folder / "in.vcf", *words_of(folder, "run"))  # into the folder, for the next run
    score(folder, tmp_path / "o.tsv", model="run")
    assert "LOGIT_Q" in rows_of(tmp_path / "o.tsv")[0]
    (folder / "run" / "calibration.npz").unlink()
    score(folder, tmp_path / "o.vcf", "--verify", 3, "--workers", 2, model="run")
    assert "##genoformer_model=<ID=run," in (tmp_path / "o.vcf").read_text()
    run_well("report", tmp_path / "o.vcf", "-o", tmp_path / "page.html", *words_of(folder, "run"), "--top", 1)
    assert "which did not make these scores" not in (tmp_path / "page.html").read_text()
    assert run_well("score", "--explain", "-m", folder / "run").stdout.startswith(f"{folder / 'run'} supports LOGIT, DIFF.")


@pytest.mark.parametrize("options", [{}, {"score": "LOGIT"}], ids=["logit", "score"])
def test_the_map_of_an_ensemble_is_the_mean_of_those_of_its_members(folder, tmp_path, options) -> None:
    maps = [
        gf.mutagenesis(folder / "g.fa", "c1:301-312", folder / model, **options, output="b").values
        for model in (*MEMBERS, "run")
    ]
    assert np.abs(maps[0] - maps[1]).max() > 0.01
    assert maps[2] == pytest.approx((maps[0] + maps[1]) / 2, abs=1e-6)
    (tmp_path / "r.bed").write_text("c1\t300\t312\n")
    words = ["--class", "b", *(["-s", options["score"]] if options else [])]
    run_well("interpret", "ism", tmp_path / "r.bed", *words_of(folder, "run"), *words, "-o", tmp_path / "ism")
    with np.load(tmp_path / "ism" / "maps.npz") as written:
        assert written["map_0"] == pytest.approx(maps[2][0], abs=1e-5)
    refused = run(
        "interpret", "ism", tmp_path / "r.bed", *words_of(folder, "run"), *words, "-o", tmp_path / "checked", "--sanity-checks"
    )
    assert_refused(refused, "--sanity-checks needs a single model, found an ensemble")


def test_what_reads_one_model_names_the_members_of_an_ensemble(folder, tmp_path) -> None:
    (tmp_path / "r.bed").write_text("c1\t300\t312\n")
    for command in ("attention", "attribution"):
        done = run("interpret", command, tmp_path / "r.bed", *words_of(folder, "run"), "-o", tmp_path / command)
        assert_refused(done, "is a run of several models, and one is needed here", "seed-three", "seed-other")


def test_a_folder_of_transformers_is_scored_in_the_window_of_its_training(folder, tmp_path) -> None:
    """Against transformers over the 41 bases around each SNV; an option, a setting or the limit of the tokenizer names them."""
    transformers = pytest.importorskip("transformers", reason="the reference is BertForSequenceClassification (extra: hf)")
    torch.manual_seed(3)
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = transformers.BertConfig(vocab_size=69, max_position_embeddings=80, initializer_range=0.5, **shape)
    bert = transformers.BertForSequenceClassification(config).eval()
    model, kmers = tmp_path / "bert", KmerTokenizer(3)
    bert.save_pretrained(model)
    (model / "vocab.txt").write_text("\n".join(kmers.vocab) + "\n")
    vcf = tmp_path / "snvs.vcf"
    vcf.write_text("\n".join([*HEADER, COLUMNS, *(snv(pos) for pos in (100, 300, 444)), ""]))

    def logit(text: str) -> float:
        ids = torch.tensor([[2, *(kmers.vocab[text[i : i + 3]] for i in range(len(text) - 2)), 3]])
        with torch.no_grad():
            no, yes = bert(ids).logits[0].double()
        return float(yes - no)

    def run_score(name: str, *words: object) -> tuple[list[float], str]:
        done = run_well("score", vcf, "-f", folder / "g.fa", "-m", model, "-o", tmp_path / name, "--strand", "forward", *words)
        return [float(row["LOGIT"]) for row in rows_of(tmp_path / name)], done.stderr

    expected = []
    for pos in (100, 300, 444):
        ref, alt = TEXT[pos - 21 : pos + 20], snv(pos).split("\t")[4]
        expected.append(logit(ref[:20] + alt + ref[21:]) - logit(ref))
    longest, note = run_score("longest.tsv")
    assert "bert does not name the window of its fine-tuning, so windows of 80 bases are read, the longest that fit" in note
    values, note = run_score("context.tsv", "--context", 41)
    assert values == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert longest != pytest.approx(expected, rel=1e-2)
    assert "does not name" not in note
    for file, fields in (
        ("tokenizer_config.json", {"model_max_length": 41}),
        ("config.json", {"genoformer_settings": {"window": 41}}),
    ):
        path = model / file
        before = path.read_text() if path.is_file() else "{}"
        path.write_text(json.dumps({**json.loads(before), **fields}))
        assert run_score("named.tsv")[0] == values
        assert "does not name" not in run_score("named.tsv")[1]
        words = ("-f", folder / "g.fa", "-m", model, "-r", "c1:101-300", "--force", "-o", tmp_path / "bins.parquet")
        assert "windows of 41 bases" in run_well("predict", *words).stderr
        path.write_text(before)
    assert "does not name the window" in run_well("predict", *words).stderr
    done = run_well("predict", *words, "--context", 41)
    assert "windows of 41 bases" in done.stderr
    assert "does not name" not in done.stderr
    data = tmp_path / "data.fa"
    for length, is_noted in ((80, False), (81, True)):  # a sequence is read whole unless it is cut into windows
        data.write_text(f">a\n{TEXT[:length]}\n")
        done = run_well("predict", data, "-m", model, "-o", tmp_path / "data.tsv")
        assert ("does not name the window" in done.stderr) == is_noted
    assert "bert reads 80; scores may be unreliable" in run_score("far.tsv", "--context", 161)[1]


def test_the_call_equals_the_command(folder, tmp_path) -> None:
    score(folder, tmp_path / "o.tsv", "--classes", "c,a", "--tile", "mean", "--strand", "forward")
    expected = gf.score(folder / "in.vcf", folder / "g.fa", folder / "three", scores="LOGIT,DIFF")
    table = gf.score(
        folder / "in.vcf", folder / "g.fa", folder / "three", classes=["c", "a"], tile="mean", strand="forward", device="cpu"
    )
    from genoformer.formats.score_tables import read_score_table

    pd.testing.assert_frame_equal(with_five_digits(table), read_score_table(tmp_path / "o.tsv"))
    assert list(expected.columns[-4:]) == ["LOGIT", "LOGIT_CLASS", "DIFF", "DIFF_CLASS"]
    loaded = gf.load(folder / "three")
    pd.testing.assert_frame_equal(expected, gf.score(folder / "in.vcf", folder / "g.fa", loaded))


def test_quantiles_are_those_of_the_same_class(folder, tmp_path) -> None:
    calibration = tmp_path / "c.npz"
    background = tmp_path / "background.vcf"
    background.write_text("\n".join([*HEADER, COLUMNS, *(snv(pos) for pos in range(30, 570, 9)), ""]))
    run_well("calibrate", background, "-f", folder / "g.fa", "-m", folder / "three", "-o", calibration)
    run_well(
        "score",
        background,
        "-f",
        folder / "g.fa",
        "-m",
        folder / "three",
        "--matrix",
        tmp_path / "m.parquet",
        "-o",
        tmp_path / "b.tsv",
    )
    matrix = pq.read_table(tmp_path / "m.parquet").to_pandas()
    score(folder, tmp_path / "o.tsv", "--classes", "b,c", "--calibration", calibration)
    for row in rows_of(tmp_path / "o.tsv"):
        if row["status"] != ".":
            continue
        for name, label in (("LOGIT", row["LOGIT_CLASS"]), ("LOGIT_b", "b"), ("LOGIT_c", "c")):
            share = (matrix[matrix.score == "LOGIT"][label].abs() <= abs(float(row[name])) * (1 + 1e-5)).mean()
            assert float(row[f"{name}_Q"]) == pytest.approx(share, abs=0.03)
    score(folder, tmp_path / "two.tsv", "--calibration", calibration, model="other")
    assert "LOGIT_Q" not in rows_of(tmp_path / "two.tsv")[0]  # of other weights


def test_pairs_are_scored_together(folder, tmp_path) -> None:
    """The joint effect is that of both changes in one sequence."""
    words = ("-f", folder / "g.fa", "-m", folder / "three", "--classes", "b", "--strand", "forward", "-o", tmp_path / "p.tsv")
    result = run("pairs", folder / "phased.vcf", *words, "--within", 11)
    assert_refused(result, "--within is 11, expected 1 to 10, a quarter of the window of 40 bases; give that, or a longer")
    assert run_well("pairs", folder / "phased.vcf", *words).stdout is not None  # by default as far as the window allows
    by_default = (tmp_path / "p.tsv").read_text()
    run_well("pairs", folder / "phased.vcf", *words, "--within", 10)
    assert (tmp_path / "p.tsv").read_text() == by_default
    run_well("pairs", folder / "phased.vcf", *words, "--within", 7)
    (row,) = rows_of(tmp_path / "p.tsv")
    assert (row["pos_a"], row["pos_b"]) == ("255", "262")
    middle = (254 + 262) // 2
    window = TEXT[middle - 20 : middle + 20]
    changes = {int(row[f"pos_{side}"]) - 1 - (middle - 20): row[f"alt_{side}"] for side in "ab"}

    def logit(places) -> float:
        text = "".join(changes[i] if i in places else base for i, base in enumerate(window))
        p = gf.classify([text], folder / "three")["b"][0]
        return float(np.log(p / (1 - p)))

    first, second = changes
    effects = [logit(places) - logit(()) for places in ((first,), (second,), (first, second))]
    assert [float(row[f"LOGIT_{kind}"]) for kind in ("A", "B", "AB")] == pytest.approx(effects, abs=1e-5)
    assert float(row["LOGIT_NONADD"]) == pytest.approx(effects[2] - effects[0] - effects[1], abs=2e-5)
    assert row["LOGIT_CLASS"] == "b"


def test_haplotypes_are_scored_in_the_window_of_a_region(folder, tmp_path) -> None:
    run_well(
        "haplotypes",
        folder / "phased.vcf",
        "-f",
        folder / "g.fa",
        "-m",
        folder / "three",
        "-b",
        folder / "r.bed",
        "--classes",
        "a",
        "-s",
        "DIFF",
        "--strand",
        "forward",
        "-o",
        tmp_path / "h.tsv",
    )
    one, two, total = rows_of(tmp_path / "h.tsv")
    start, alts = 261 - 20, {pos: snv(pos).split("\t")[4] for pos in (255, 262)}
    window = TEXT[start : start + 40]

    def p(text: str) -> float:
        return float(gf.classify([text[:40]], folder / "three")["a"][0])

    first = "".join(alts.get(start + i + 1, base) for i, base in enumerate(window))
    second = "".join(alts[262] if start + i + 1 == 262 else base for i, base in enumerate(window))
    second = second[: 270 - start] + "CC" + second[270 - start :]
    expected = [p(first) - p(window), p(second) - p(window)]
    assert [float(row["DIFF"]) for row in (one, two)] == pytest.approx(expected, abs=1e-6)
    assert float(total["DIFF"]) == pytest.approx(sum(expected), abs=2e-6)


def test_a_map_is_the_score_of_every_change(folder, tmp_path) -> None:
    found = gf.mutagenesis(folder / "g.fa", "c1:301-304", folder / "three", "LOGIT", output="b", tile="max")
    assert found.names == ["LOGIT of b"]
    for i in range(4):
        for b, base in enumerate("ACGT"):
            ref = TEXT[300 + i]
            if base == ref:
                assert found.values[0, i, b] == 0
                continue
            variant = gf.Variant("c1", 301 + i, ref, base)
            table = gf.score([variant], folder / "g.fa", folder / "three", "LOGIT", classes="b", tile="max")
            assert found.values[0, i, b] == pytest.approx(table["LOGIT"][0], abs=2e-6)
    whole = gf.mutagenesis(folder / "g.fa", "c1:301-304", folder / "three", output="b")  # of these four bases alone
    assert whole.names == ["b"]
    few = tmp_path / "few.vcf"
    few.write_text("\n".join([*HEADER, COLUMNS, record(300, TEXT[299:303], TEXT[299]), ""]))
    run_well(
        "interpret",
        "ism",
        few,
        "-f",
        folder / "g.fa",
        "-m",
        folder / "three",
        "-s",
        "DIFF",
        "--class",
        "a",
        "--length",
        12,
        "-o",
        tmp_path / "ism",
    )
    (row,) = rows_of(tmp_path / "ism" / "variants.tsv")
    table = gf.score(few, folder / "g.fa", folder / "three", "DIFF", classes="a")
    assert float(row["DIFF"]) == pytest.approx(table["DIFF"][0], rel=1e-3)
    for options, message in (
        ({"context": 30}, "needs a score, as the logit of a class"),
        ({"anchor": "variant"}, "needs a track model"),
    ):
        with pytest.raises(gf.errors.ConfigError, match=message):
            gf.mutagenesis(folder / "g.fa", "c1:301-304", folder / "three", **options)


@pytest.mark.parametrize("words", [[], ["--classes", "b,c"], ["--shifts", "-3,0,3"], ["--tile", "max"]])
def test_the_page_draws_the_strongest_variants(folder, tmp_path, words) -> None:
    score(folder, tmp_path / "o.vcf", *words)
    models = ("-m", folder / "three", "-f", folder / "g.fa", "--top", 2, "--flank", 10)
    run_well("report", tmp_path / "o.vcf", "-o", tmp_path / "page.html", *models)
    page = (tmp_path / "page.html").read_text()
    assert "Strongest variants" in page
    assert "Logos: ISM of each allele, minus the mean LOGIT of the three changes of each base" in page
    assert page.count("data:image/png") == 2
    assert "Recomputed here" not in page
    assert "noise floor" not in page.split("<script", 1)[0]
    run_well("report", tmp_path / "o.vcf", "-o", tmp_path / "o.html", "-m", folder / "two", "-f", folder / "g.fa", "--top", 1)
    assert "which did not make these scores" in (tmp_path / "o.html").read_text()


def test_options_that_the_model_does_not_have_are_refused(folder, tmp_path) -> None:
    for model, words, message in (
        ("three", ["-s", "LLR"], "LLR needs a language model, and this one was fine-tuned (classification of a, b, c); choose"),
        ("three", ["--classes", "nothing"], "--classes has 'nothing', expected classes of the model; name some of a, b, c."),
        ("three", ["--tracks", "1"], "--tracks needs a track model, found a fine-tuned model"),
        ("three", ["--noise-places", "2"], "--noise-places needs a track model, found a fine-tuned model"),
        ("value", ["-s", "LOGIT"], "LOGIT needs classes or labels, and this model predicts values"),
        ("demo", ["--classes", "a"], "--classes needs a fine-tuned model, found a language model"),
        ("demo", ["--tile", "max"], "--tile needs a fine-tuned model, found a language model"),
        ("demo", ["--matrix", tmp_path / "m.parquet"], "--matrix needs a track model or a fine-tuned model, found"),
    ):
        name = model if model == "demo" else folder / model
        result = run("score", folder / "in.vcf", "-f", folder / "g.fa", "-m", name, "-o", tmp_path / "o.vcf", *words)
        assert_refused(result, message)
        assert not (tmp_path / "o.vcf").exists()
    result = run("pairs", folder / "in.vcf", "-f", folder / "g.fa", "-m", "demo", "-o", tmp_path / "p.tsv")
    assert_refused(result, "give a model that predicts tracks or a model that `finetune` made")


def test_explain_names_the_scores_of_classes() -> None:
    text = run_well("score", "--explain").output
    assert "LOGIT  (INFO GF_LOGIT; every allele; nats; signed; of classes)" in text
    assert "DIFF  (INFO GF_DIFF; every allele; probability or value; signed; of classes)" in text
    assert "GF_X_CLASS" in text


def test_a_run_that_was_interrupted_resumes_only_with_the_same_classes(folder, tmp_path) -> None:
    score(folder, tmp_path / "whole.vcf")
    score(folder, tmp_path / "o.vcf", "--shard", "1/2")
    other = run(
        "score", folder / "in.vcf", "-f", folder / "g.fa", "-m", folder / "three", "-o", tmp_path / "o.vcf", "--tile", "max"
    )
    assert_refused(other, "holds unfinished work of a run that differs in shifts, tile")
    score(folder, tmp_path / "o.vcf")
    assert (tmp_path / "o.vcf").read_bytes() == (tmp_path / "whole.vcf").read_bytes()


def test_json_counts_are_those_of_the_file(folder, tmp_path) -> None:
    result = score(folder, tmp_path / "o.vcf", "--json")
    summary = json.loads(result.stderr.splitlines()[-1])["summary"]
    assert (summary["records"], summary["scored"], summary["skipped"]) == (10, 10, {"SYMBOLIC": 1})
