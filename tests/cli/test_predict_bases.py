"""`genoformer predict --track`: bigWigs of a language model with gaps, notes on a stride, and a run that is killed."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest
from commands import assert_refused, run, run_well
from processes import command, finished, started
from small_models import small_encoder

import genoformer as gf
from genoformer.models import registry
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer

KILLS = 5


@pytest.fixture
def model(tmp_path: Path) -> Path:
    registry.save(small_encoder(BaseTokenizer(), context_length=32, init_std=0.5), tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def contigs() -> dict[str, str]:
    letters = np.random.default_rng(0).choice(list("ACGT"), 1500)
    letters[400:450] = letters[700] = "N"
    return {"chr1": "".join(letters), "chr2": "".join(np.random.default_rng(1).choice(list("ACGT"), 77))}


@pytest.fixture
def fasta(make_fasta, contigs) -> Path:
    return make_fasta(**contigs)


def test_a_genome_becomes_a_bigwig_for_each_track_with_gaps_at_n(tmp_path: Path, model: Path, fasta, contigs) -> None:
    names = ["entropy", "constraint"]
    common = ("predict", "-f", fasta, "-m", model)
    done = run_well(*common, "--track", "entropy,constraint", "-o", tmp_path / "out", "--part-size", 300)
    assert "Note: 51 of the 1,577 bases have no value: they are N" in done.stderr
    assert "out: entropy, constraint of 1,577 bases in " in done.stderr
    assert " bases a second" in done.stderr
    assert done.stdout == ""
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["constraint.bw", "entropy.bw", "tracks.tsv"]
    table = gf.predict(fasta, None, model, track=names)
    for name in names:
        with pyBigWig.open(str(tmp_path / "out" / f"{name}.bw")) as file:
            assert file.chroms() == {chrom: len(text) for chrom, text in contigs.items()}
            values = np.concatenate([file.values(chrom, 0, len(text), numpy=True) for chrom, text in contigs.items()])
        np.testing.assert_array_equal(np.isnan(values), [base == "N" for text in contigs.values() for base in text])
        np.testing.assert_allclose(values, table[name], atol=1e-5)
    assert not list(tmp_path.glob(".*"))


def test_one_track_of_a_region_is_one_bigwig_and_a_stride_is_measured(tmp_path: Path, model: Path, fasta) -> None:
    common = ("predict", "-f", fasta, "-m", model, "-r", "chr1:701-900", "--stride", 8)
    done = run_well(*common, "--track", "logprob", "-o", tmp_path / "o.bw")
    with pyBigWig.open(str(tmp_path / "o.bw")) as file:
        values = file.values("chr1", 700, 900, numpy=True)
        assert file.header()["nBasesCovered"] == 199
    together = gf.predict(fasta, "chr1:701-900", model, track="logprob", stride=8).logprob
    alone = gf.predict(fasta, "chr1:701-900", model, track="logprob").logprob
    np.testing.assert_allclose(values, together, atol=1e-6)
    at = np.unique(np.linspace(0, 199, 64).astype(int))[1:]  # the first of them is N
    change = np.abs(together - alone)[at]
    expected = f"stride 8 changes logprob by {change.mean():.3f} bits in the mean and {change.max():.3f} at most, correlation "
    assert expected + f"{np.corrcoef(alone[at], together[at])[0, 1]:.3f} (63 bases)." in done.stderr
    assert_refused(run(*common, "--track", "logprob", "-o", tmp_path / "o.bw"), "o.bw exists; set force to replace it")
    run_well(*common, "--track", "entropy", "-o", tmp_path / "o.bw", "--force")
    assert_refused(run(*common, "--track", "entropy,logprob", "-o", tmp_path / "x.bw"), "--track selects 2, but")
    assert_refused(run(*common, "--track", "entropy", "--calls", tmp_path / "c.bed", "-o", tmp_path / "x.bw"), "fine-tuned")
    assert_refused(run(*common, "--track", "entropi", "-o", tmp_path / "x.bw"), "--track names 'entropi', expected entropy")
    assert_refused(run("predict", "-m", model, "--track", "entropy", "-o", tmp_path / "x.bw"), "--fasta is missing")
    assert not (tmp_path / "x.bw").exists()


def test_tracks_become_a_table_with_a_row_for_each_base(tmp_path: Path, model: Path, fasta) -> None:
    common = ("predict", "-f", fasta, "-m", model, "-r", "chr1:696-705", "-r", "chr2:1-3", "--track", "entropy,logprob")
    run_well(*common, "-o", tmp_path / "o.tsv.gz")
    run_well(*common, "-o", tmp_path / "o.parquet")
    table, exact = pd.read_csv(tmp_path / "o.tsv.gz", sep="\t"), pd.read_parquet(tmp_path / "o.parquet")
    assert list(table) == ["chrom", "start", "end", "entropy", "logprob"]
    assert table.start.tolist() == [*range(695, 705), 0, 1, 2]
    assert table[table.entropy.isna()].start.tolist() == [700]
    pd.testing.assert_frame_equal(table, exact, check_dtype=False, rtol=1e-4)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_ensemble_of_two_folders_and_all_phases(tmp_path: Path, model: Path, fasta, workers: int) -> None:
    registry.save(small_encoder(BlockTokenizer.new(3), seed=1, context_length=32, init_std=0.5), tmp_path / "blocks")
    common = (
        "predict",
        "-f",
        fasta,
        "-m",
        model,
        "-m",
        tmp_path / "blocks",
        "-r",
        "chr1:1-60",
        "--track",
        "entropy",
        "--threads",
        1,
    )
    rows = dict(line.split("  ", 1) for line in run_well(*common, "--plan").stdout.splitlines())
    assert rows["passes"].strip() == "120 on each strand"
    run_well(*common, "--workers", workers, "--part-size", 20, "-o", tmp_path / "o.bw")
    assert_refused(
        run(*common, "--phases", "all", "-o", tmp_path / "x.bw"), "--model has models whose tokens have different numbers"
    )
    found = gf.predict(fasta, "chr1:1-60", [model, tmp_path / "blocks"], track="entropy").entropy
    with pyBigWig.open(str(tmp_path / "o.bw")) as file:
        np.testing.assert_allclose(file.values("chr1", 0, 60, numpy=True), found, atol=1e-5)
    common = ("predict", "-f", fasta, "-m", tmp_path / "blocks", "-r", "chr1:1-60", "--track", "entropy", "--phases", "all")
    rows = dict(line.split("  ", 1) for line in run_well(*common, "--plan").stdout.splitlines())
    assert rows["passes"].strip() == "180 on each strand"


def test_a_plan_counts_bases_and_passes(tmp_path: Path, model: Path, fasta) -> None:
    common = ("predict", "-f", fasta, "-m", model, "-r", "chr1:1-160", "--track", "entropy", "--plan")
    rows = dict(line.split("  ", 1) for line in run_well(*common).stdout.splitlines())
    assert rows["bases"].strip() == "160"
    assert rows["passes"].strip() == "160 on each strand"
    rows = dict(line.split("  ", 1) for line in run_well(*common, "--stride", 4, "--strand", "forward").stdout.splitlines())
    assert rows["passes"].strip() == "40"  # ten cells of 16 bases, four of them in each pass
    assert "bases a second, on cpu" in rows["rate"]


@pytest.mark.parametrize("workers", [1, 2], ids=["one process", "two workers"])
def test_a_run_that_is_killed_resumes_with_the_same_bytes(workers: int, tmp_path: Path, model: Path, fasta) -> None:
    def words(name: str, n_workers: int = workers) -> list[object]:
        tracks = ["--track", "entropy,information,logprob,constraint", "--stride", 4, "--part-size", 32]
        common = ["predict", "-f", fasta, "-m", model, *tracks, "--device", "cpu", "--threads", 1]
        return [*common, *(["--workers", n_workers] if n_workers > 1 else []), "-o", tmp_path / name]

    def made(name: str) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    said, moments = tmp_path / "said", random.Random(3)
    finished(started(command, words("whole", 1), said), said)
    parts = tmp_path / ".out.parts"
    for _ in range(KILLS):
        child = started(command, words("out"), said)
        enough = len(list(parts.glob("*.npz"))) + moments.randint(1, 6)
        while child.is_alive() and len(list(parts.glob("*.npz"))) < enough:
            time.sleep(0.001)
        assert child.is_alive(), said.read_text()
        child.kill()
        child.join()
        assert not (tmp_path / "out").exists()
    assert_refused(run(*words("out"), "--context", 30), "unfinished work of a run that differs in", "window")
    os.truncate(sorted(parts.glob("*.npz"))[0], 10)  # a damaged part is computed again
    finished(started(command, words("out"), said), said)
    assert "finished parts of an earlier run were used" in said.read_text()
    assert made("out") == made("whole")
    assert len(made("out")) == 5
    assert not parts.exists()
