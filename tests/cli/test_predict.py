"""`genoformer predict` through the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import run
from small_models import small_enformer

from genoformer.formats.bigwig import BigWig
from genoformer.formats.track_table import Track, TrackTable
from genoformer.models import cost, registry

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")


@pytest.fixture
def fasta(make_fasta) -> Path:
    random = np.random.default_rng(0)
    return make_fasta(chr1="".join(random.choice(list("ACGT"), 1000)), chr2="".join(random.choice(list("ACGT"), 203)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    registry.save(small_enformer(), tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    pairs = [1, 0, 2, 3, 4]
    targets = TrackTable(tuple(Track(i, f"t{i}", strand_pair=pairs[i], group="CAGE" if i < 2 else "DNASE") for i in range(5)))
    targets.write(tmp_path / "targets.tsv")
    return tmp_path / "targets.tsv"


def test_the_same_numbers_in_every_format(tmp_path: Path, fasta: Path, model: Path, table: Path) -> None:
    common = ("predict", "-f", fasta, "-m", model, "--head", "human", "--targets", table)
    for name, options in {
        "a.parquet": [],
        "one.bw": ["--tracks", "t3"],
        "cage": ["--tracks", "CAGE", "-r", "1:101-900"],
        "a.png": ["--tracks", "t*", "-r", "1:101-900"],
    }.items():
        done = run(*common, "-o", tmp_path / name, *options)
        assert done.exit_code == 0, done.output
        assert not done.stdout
        assert f"{tmp_path / name}: " in done.stderr
    found = pq.read_table(tmp_path / "a.parquet").to_pandas()
    assert list(found) == ["chrom", "start", "end", "t0", "t1", "t2", "t3", "t4"]
    assert len(found) == 125 + 26
    chr1 = found[found.chrom == "chr1"]
    bins = BigWig(tmp_path / "one.bw").values("chr1", 0, 1000)[::8]
    np.testing.assert_allclose(bins, chr1.t3, rtol=1e-6)
    cage = BigWig(tmp_path / "cage/t1.bw").values("chr1", 0, 1000)
    np.testing.assert_array_equal(cage[100:900], np.repeat(chr1.t1.to_numpy(), 8)[100:900])
    assert not cage[:100].any()
    assert not cage[900:].any()
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_both_strands(tmp_path: Path, fasta: Path, model: Path, table: Path) -> None:
    common = ("predict", "-f", fasta, "-m", model, "--head", "human", "--strand", "both", "-o", tmp_path / "a.parquet")
    done = run(*common)
    assert done.exit_code == 2
    assert "no table has the strand pairs of the tracks; give targets" in done.stderr
    assert run(*common, "--targets", table).exit_code == 0
    both = pq.read_table(tmp_path / "a.parquet").to_pandas()
    assert run("predict", "-f", fasta, "-m", model, "--head", "human", "-o", tmp_path / "b.parquet").exit_code == 0
    one = pq.read_table(tmp_path / "b.parquet").to_pandas()
    assert list(one)[3:] == [f"human_{i}" for i in range(5)]
    assert np.abs(both.t0 - one.human_0).max() > 1e-3


def test_a_plan_is_printed_without_reading_weights(fasta: Path, model: Path, table: Path) -> None:
    (model / "model.safetensors").unlink()
    done = run("predict", "-f", fasta, "-m", model, "--head", "human", "--plan", "--strand", "both", "--targets", table)
    assert done.exit_code == 0, done.output
    said = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    assert said["parameters"].strip() == f"{cost.count_parameters(small_enformer()):,}"
    assert said["window"].strip() == "256 bases, of whose 32 bins 16 are kept"
    assert said["time of the run"].endswith(" for 10 windows")  # of 128 bases: 8 and 2
    assert said["multiply-adds of a window"].endswith("on each strand")
    human = ["--plan", "--head", "human"]
    for arguments, message in (
        ([*human, "--tracks", "7"], "tracks 7 are requested, but tracks are numbered 0 to 4"),
        ([*human, "--strand", "both"], "no table has the strand pairs"),
        (["--plan"], "no head was named; this model has human, mouse"),
        ([], "Missing option '-o'"),
    ):
        refused = run("predict", "-f", fasta, "-m", model, *arguments)
        assert refused.exit_code == 2
        assert message in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "{}/a.parquet"], "no head was named; this model has human, mouse"),
        (["--head", "rat", "-o", "{}/a.parquet"], "there is no head 'rat'"),
        (["--head", "human", "-o", "{}/a.bw"], "--tracks selects 5, but"),
        (["--head", "human", "--tracks", "7", "-o", "{}/a.bw"], "tracks 7 are requested, but tracks are numbered 0 to 4"),
        (["--head", "mouse", "--targets", "{}/targets.tsv", "-o", "{}/out"], "the table has 5 tracks"),
        (["--head", "human", "-r", "chr7", "-o", "{}/out"], "There is no contig chr7"),
        (["--head", "human", "-r", "chr1", "-b", "x.bed", "-o", "{}/out"], "more than one way"),
        (["--head", "human", "-b", "nothing.bed", "-o", "{}/out"], "nothing.bed does not exist"),
        (["--head", "human", "--contigs", "1,9", "-o", "{}/out"], "There is no contig 9"),
        (["--head", "human", "-o", "{}/no/out"], "does not exist; create it first"),
        (["-m", "demo", "-o", "{}/out"], "give a model that predicts tracks"),
    ],
)
def test_a_refusal_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, fasta: Path, model: Path, table: Path, arguments: list[str], message: str
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    models = [] if "-m" in arguments else ["-m", model]
    done = run("predict", "-f", fasta, *models, *(text.format(tmp_path) for text in arguments))
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(".fai")) == before


def test_enformers_table_names_the_tracks_of_a_human_head(tmp_path: Path, fasta: Path, real_data: Path) -> None:
    registry.save(small_enformer(heads={"human": 5313}), tmp_path / "model")
    done = run(
        *("predict", "-f", fasta, "-m", tmp_path / "model", "--targets", real_data / "enformer/targets_human.txt.gz"),
        *("--tracks", "CAGE:*k562*,0", "-r", "chr2", "-o", tmp_path / "a.parquet"),
    )
    assert done.exit_code == 0, done.output
    names = list(pq.read_table(tmp_path / "a.parquet").to_pydict())[3:]
    assert len(names) > 1
    assert all(name.startswith("CNhs") for name in names[:-1])
    assert names[-1] == "ENCFF833POA"  # the first row of the table
