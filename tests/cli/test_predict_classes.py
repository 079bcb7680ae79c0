"""`genoformer predict` with fine-tuned models: tables of sequences, bigWigs and calls of regions, and a run that is killed."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import assert_refused, rows_of, run, run_well
from processes import command, finished, started
from small_models import small_classifier

import genoformer as gf
from genoformer.formats.bigwig import BigWig
from genoformer.models import registry
from genoformer.tokenizers import KmerTokenizer

CLASSES = ["a", "b", "c"]
SEQUENCES = {"s1": "ACGTTGCATTAGC", "s2": "GATTACA" * 40, "s3": "GGGCC" * 8}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    registry.save(small_classifier(KmerTokenizer(3)), tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def fasta(make_fasta) -> Path:
    random = np.random.default_rng(0)
    return make_fasta(chr1="".join(random.choice(list("ACGT"), 3000)), chr2="".join(random.choice(list("ACGT"), 203)))


def expected(model: Path, sequences=SEQUENCES) -> np.ndarray:
    return gf.classify(list(sequences.values()), model).to_numpy()


def test_sequences_of_a_fasta_and_a_table(tmp_path: Path, model: Path) -> None:
    fasta, table = tmp_path / "in.fa", tmp_path / "in.csv"
    fasta.write_text("".join(f">{name} words\n{text}\n" for name, text in SEQUENCES.items()))
    table.write_text("id,sequence,label\n" + "".join(f"{name},{text},\n" for name, text in SEQUENCES.items()))
    for path in (fasta, table):
        done = run_well("predict", path, "-m", model, "-o", tmp_path / "o.tsv")
        assert done.stdout == ""
        assert "o.tsv: a, b, c of 3 sequences; 1 longer than the window of 40 bases, cut into windows" in done.stderr
        rows = rows_of(tmp_path / "o.tsv")
        assert [row["name"] for row in rows] == list(SEQUENCES)
        assert list(rows[0]) == ["name", *CLASSES]
        np.testing.assert_allclose([[float(row[c]) for c in CLASSES] for row in rows], expected(model), rtol=1e-4)
    run_well("predict", table, "-m", model, "-o", tmp_path / "o.parquet", "--classes", "c,a")
    written = pd.read_parquet(tmp_path / "o.parquet")
    assert list(written) == ["name", "c", "a"]
    np.testing.assert_allclose(written[["c", "a"]], expected(model)[:, [2, 0]], rtol=1e-6)
    pd.testing.assert_frame_equal(gf.predict(None, None, model, data=table, classes=["c", "a"]), written, check_dtype=False)


def test_regions_of_a_bed_keep_their_coordinates(tmp_path: Path, model: Path, fasta: Path) -> None:
    (tmp_path / "in.bed").write_text("1\t100\t140\tfirst\t5\t-\nchr2\t3\t60\tsecond\t0\t+\n")
    run_well("predict", tmp_path / "in.bed", "-f", fasta, "-m", model, "-o", tmp_path / "o.tsv")
    rows = rows_of(tmp_path / "o.tsv")
    assert [tuple(row.values())[:5] for row in rows] == [("1", "100", "140", "first", "-"), ("chr2", "3", "60", "second", "+")]
    with gf.Genome(fasta) as genome:
        text = gf.genome.codes.decode(gf.genome.codes.reverse_complement(genome.window("chr1", 100, 40)))
        texts = {"first": text, "second": gf.genome.codes.decode(genome.window("chr2", 3, 57))}
    np.testing.assert_allclose([[float(row[c]) for c in CLASSES] for row in rows], expected(model, texts), rtol=1e-4)
    assert_refused(run("predict", tmp_path / "in.bed", "-m", model, "-o", tmp_path / "x.tsv"), "give the FASTA of its genome")


def test_a_context_is_the_window(tmp_path: Path, model: Path, fasta: Path) -> None:
    """Windows of 20 bases as if the model had been trained on them; a model in memory keeps its own."""
    short = registry.load(model)
    short.config = replace(short.config, window=20)
    registry.save(short, tmp_path / "short")
    loaded = registry.load(model)
    chrom = "".join(np.random.default_rng(0).choice(list("ACGT"), 3000))  # chr1 of the genome
    by_hand = gf.classify([chrom[start : start + 20] for start in (95, 105, 115)], tmp_path / "short")
    bins = gf.predict(fasta, "chr1:101-130", loaded, classes="a", step=10, context=20)
    np.testing.assert_allclose(bins["a"], by_hand["a"], rtol=1e-6)
    (tmp_path / "in.fa").write_text("".join(f">{name}\n{text}\n" for name, text in SEQUENCES.items()))
    done = run_well("predict", tmp_path / "in.fa", "-m", model, "-o", tmp_path / "o.tsv", "--context", 20)
    assert "2 longer than the window of 20 bases" in done.stderr
    values = [[float(row[c]) for c in CLASSES] for row in rows_of(tmp_path / "o.tsv")]
    np.testing.assert_allclose(values, expected(tmp_path / "short"), rtol=0, atol=6e-6)  # five digits
    assert np.abs(values - expected(model)).max() > 2e-5
    assert loaded.config.window == 40
    np.testing.assert_allclose(gf.classify([SEQUENCES["s2"]], loaded), expected(model)[1:2], rtol=1e-6)


def test_many_sequences_are_written_in_their_order(tmp_path: Path, model: Path) -> None:
    random = np.random.default_rng(0)
    texts = {f"n{i}": "".join(random.choice(list("ACGT"), int(random.integers(3, 90)))) for i in range(50)}
    (tmp_path / "in.tsv").write_text("name\tsequence\n" + "".join(f"{name}\t{text}\n" for name, text in texts.items()))
    for name in ("o.parquet", "o.tsv"):
        run_well("predict", tmp_path / "in.tsv", "-m", model, "-o", tmp_path / name, "--part-size", 7)
    written = pd.read_parquet(tmp_path / "o.parquet")
    assert written.name.to_list() == list(texts) == [row["name"] for row in rows_of(tmp_path / "o.tsv")]
    np.testing.assert_allclose(written[CLASSES], expected(model, texts), rtol=1e-5)


def test_a_class_with_the_name_of_a_column_gets_its_number(tmp_path: Path) -> None:
    from dataclasses import replace

    from genoformer.models.heads import SequenceClassifier

    named = small_classifier(KmerTokenizer(3))
    other = SequenceClassifier(replace(named.config, classes=("name", "b", "c"))).eval()
    other.tokenizer = named.tokenizer
    registry.save(other, tmp_path / "model")
    (tmp_path / "in.csv").write_text("sequence\nACGTTGCA\n")
    run_well("predict", tmp_path / "in.csv", "-m", tmp_path / "model", "-o", tmp_path / "o.tsv")
    assert list(rows_of(tmp_path / "o.tsv")[0]) == ["name", "name.0", "b", "c"]


def test_regions_to_bigwigs_a_table_and_calls(tmp_path: Path, model: Path, fasta: Path) -> None:
    common = ("predict", "-f", fasta, "-m", model, "--step", 10)
    threshold = float(gf.predict(fasta, "chr1:101-900", model, step=10)["c"].quantile(0.9))
    calls = ("--calls", tmp_path / "calls.bed", "--threshold", threshold)
    done = run_well(*common, "-o", tmp_path / "out", "-r", "chr1:101-900", *calls)
    assert "out: a, b, c in 80 bins of 10, from 80 windows of 40 bases" in done.stderr
    run_well(*common, "-o", tmp_path / "o.parquet", "-r", "chr1:101-900")
    written = pd.read_parquet(tmp_path / "o.parquet")
    pd.testing.assert_frame_equal(gf.predict(fasta, "chr1:101-900", model, step=10), written)
    for name in CLASSES:
        values = BigWig(tmp_path / "out" / f"{name}.bw").values("chr1", 0, 3000)
        np.testing.assert_allclose(values[100:900], np.repeat(written[name], 10), rtol=1e-6)
        assert not values[:100].any()
        assert not values[900:].any()
    table = gf.predict(fasta, "chr1:101-900", model, step=10, threshold=threshold)
    lines = [line.split("\t") for line in (tmp_path / "calls.bed").read_text().splitlines()]
    rows = [(row[0], int(row[1]), int(row[2]), row[3]) for row in lines]
    assert rows == list(table[["chrom", "start", "end", "name"]].itertuples(index=False, name=None))
    assert len(lines) > 3
    run_well(*common, "-o", tmp_path / "a.png", "-r", "chr1:101-900")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    plan = run_well(*common, "--plan").stdout
    assert "windows     321" in plan
    assert "step        10 bases" in plan


def test_a_killed_run_resumes_with_the_same_bytes(tmp_path: Path, model: Path, fasta: Path) -> None:
    said = tmp_path / "said"

    def arguments(name: str) -> list[object]:
        outputs = ["-o", tmp_path / name, "--calls", tmp_path / f"{name}.bed", "--threshold", 0.3]
        return ["predict", "-f", fasta, "-m", model, "--step", 4, "--part-size", 10, "--device", "cpu", *outputs]

    finished(started(command, arguments("whole"), said), said)
    parts, n_killed = tmp_path / ".out.parts", 0
    for enough in (1, 20, 50):
        child = started(command, arguments("out"), said)
        while child.is_alive() and len(list(parts.glob("*.npz"))) < enough:
            time.sleep(0.001)
        if child.is_alive() and child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)
            n_killed += 1
        child.join()
        assert not (tmp_path / "out").exists()
    assert n_killed == 3
    finished(started(command, arguments("out"), said), said)
    assert "finished parts of an earlier run were used" in said.read_text()
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "out.bed").read_bytes() == (tmp_path / "whole.bed").read_bytes() != b""
    assert not parts.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["-f", "genome.fa", "-o", "o.bw"],
            "--classes selects 3, but o.bw is a bigWig, which holds one; choose one, or name a folder",
        ),
        (["-f", "genome.fa", "-o", "o.txt"], "the suffix names no known format"),
        (["-f", "genome.fa", "-o", "out", "--head", "x"], "--head needs a track model, found a fine-tuned model"),
        (["-f", "genome.fa", "-o", "out", "--classes", "d"], "there is no class 'd'; the model predicts a, b, c"),
        (["-f", "genome.fa", "-o", "out", "--step", 0], "step = 0: give 1 base up to the window of the model, 40"),
        (
            ["-f", "genome.fa", "-o", "out", "--threshold", 0.5],
            "--threshold is the least value of a call and needs a file of calls",
        ),
        (["-f", "genome.fa", "-o", "out", "-r", "chr1:4,000-5,000"], "lies beyond its contig"),
        (["-o", "out"], "--fasta is missing, expected the genome of the regions; give its FASTA, or name"),
        (["genome.fa", "-o", "o.bw"], "end the name in .tsv or .parquet"),
        (["genome.fa", "-o", "o.tsv", "-r", "chr1"], "--region is for regions of a genome, found a file of sequences"),
        (["genome.fa", "-o", "o.tsv", "--calls", "c.bed"], "--calls merges windows of regions"),
        (["genome.fa", "-o", "o.tsv", "--plan"], "--plan counts the windows of regions"),
        (["genome.fa", "-f", "genome.fa", "-o", "o.tsv"], "is no BED file by its name"),
        (["-m", "mini-tracks", "-f", "genome.fa", "-o", "out", "--classes", "a"], "--classes needs a fine-tuned model"),
        (["-m", "mini-tracks", "-f", "genome.fa", "-o", "out", "--calls", "c.bed"], "--calls needs a fine-tuned model"),
        (["-m", "mini-tracks", "genome.fa", "-o", "o.tsv"], "option data needs a fine-tuned model, found a track model"),
        (["-m", "mini-tracks", "-f", "genome.fa", "-o", "out", "--context", "9"], "--context needs a fine-tuned model"),
        (["-f", "genome.fa", "-o", "out", "--context", "2"], "--context is 2, expected 3 to 40 bases, the window of the model"),
        (
            ["-f", "genome.fa", "-o", "out", "--context", "41"],
            "--context is 41, expected 3 to 40 bases, the window of the model",
        ),
        (["genome.fa", "-o", "o.tsv", "--context", "0"], "--context is 0, expected a whole number of bases, 1 or more"),
        (["-m", "demo", "-f", "genome.fa", "-o", "out"], "give a model that predicts tracks or a model that `finetune` made"),
    ],
)
def test_a_refusal_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, model: Path, fasta: Path, monkeypatch, arguments: list[object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    named = [] if "-m" in arguments else ["-m", model]  # two models would be refused as such
    assert_refused(run("predict", *named, *arguments), message)
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".fai") == before


def test_an_output_is_no_input(tmp_path: Path, model: Path, fasta: Path) -> None:
    (tmp_path / "a.bed").write_text("chr1\t0\t100\n")
    refused = run(
        "predict", "-f", fasta, "-m", model, "-b", tmp_path / "a.bed", "-o", tmp_path / "out", "--calls", tmp_path / "a.bed"
    )
    assert_refused(refused, "a.bed is the input, which the output would replace")
