"""Several processes and shards give the bytes of one process; a process that is killed loses its part to another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from genoformer_cli.main import main
from scoring_jobs import Mortal, run_score
from small_models import small_encoder, small_enformer

from genoformer.compute.pools import LocalPool, Pool, RayPool, WorkerError, run_pool
from genoformer.errors import ConfigError
from genoformer.formats.vcf import Record, open_vcf
from genoformer.genome.reference import Genome
from genoformer.models import registry
from genoformer.resume_folder import JobError
from genoformer.scoring import plan
from genoformer.scoring.job import ScoringJob
from genoformer.scoring.parts import PartFolder, PartLimits, chunks
from genoformer.scoring.plan import score_variants
from genoformer.tokenizers import BaseTokenizer

N = 40
PARTS_OF_FOUR = PartLimits(records=4)


@pytest.fixture
def genome(make_fasta) -> Genome:
    random = np.random.default_rng(0)
    return Genome(make_fasta(chr1="".join(random.choice(list("ACGT"), 2000))))


@pytest.fixture
def vcf(tmp_path: Path, genome: Genome) -> Path:
    rows = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    for pos in range(100, 100 + 40 * N, 40):
        ref = "ACGT"[int(genome.window("chr1", pos - 1, 1)[0])]
        rows.append(f"chr1\t{pos}\t.\t{ref}\t{'ACGT'['ACGT'.index(ref) - 1]}\t.\t.\t.")
    (tmp_path / "in.vcf").write_text("\n".join(rows) + "\n")
    return tmp_path / "in.vcf"


MODELS = {
    "tokens": (small_encoder(BaseTokenizer(), context_length=40), "LLR,PLL", {}),
    "tracks": (small_enformer(), "SAD,D2", {"head": "human"}),
}


def scored(
    kind: str, vcf: Path, genome: Genome, out: Path, *, limits: PartLimits = PARTS_OF_FOUR, progress=None, **options
) -> bytes:
    """Score in small parts; options: fields of ScoreOptions or ScoringJob."""
    model, names, of_tracks = MODELS[kind]
    of_job = {name: options.pop(name) for name in ("shard", "assemble") if name in options}
    fixed = {"scores": names, "strand": "forward", "threads": 1, "device": "cpu"}
    job = ScoringJob.from_names(vcf, genome, model, out, **fixed, **of_tracks, **options)
    score_variants(replace(job, runtime=replace(job.runtime, parts=limits), **of_job), progress=progress)
    return out.read_bytes() if out.exists() else b""


@pytest.mark.parametrize("kind", MODELS)
def test_two_processes_give_the_bytes_of_one(kind, vcf, genome, tmp_path) -> None:
    told: list[tuple[str, int]] = []
    several = scored(kind, vcf, genome, tmp_path / "two.vcf", workers=2, progress=lambda p: told.append((p.stage, p.done)))
    assert several == scored(kind, vcf, genome, tmp_path / "one.vcf")
    assert [done for stage, done in told if stage == "score"] == list(range(0, N + 1, 4))


def test_a_ray_cluster_gives_the_bytes_of_one_process(vcf, genome, tmp_path) -> None:
    pytest.importorskip("ray", reason="Ray is an extra: pip install genoformer[ray]")
    several = scored("tracks", vcf, genome, tmp_path / "two.vcf", engine="ray", workers=2)
    assert several == scored("tracks", vcf, genome, tmp_path / "one.vcf")


def records(vcf: Path) -> Iterator[Record]:
    with open_vcf(vcf) as file:
        yield from file


def local(work: Mortal, n_workers: int = 2) -> Pool:
    return LocalPool(work, n_workers)


def on_ray(work: Mortal) -> Pool:
    pytest.importorskip("ray", reason="Ray is an extra: pip install genoformer[ray]")
    return RayPool(work, None, 2)


@pytest.mark.parametrize("pool", [local, on_ray])
def test_the_part_of_a_killed_process_is_done_again(pool, vcf, tmp_path, monkeypatch) -> None:
    here = Path(__file__)
    monkeypatch.setenv("PYTHONPATH", f"{here.parent}{os.pathsep}{here.parents[1]}")  # where Ray's processes find Mortal
    lives = tmp_path / "lives"
    lives.mkdir()
    (lives / "0").touch()
    parts = PartFolder(tmp_path / "out.vcf", {})
    run_pool(chunks(records(vcf), 4), pool(Mortal(lives, 260)), parts)
    assert not list(lives.iterdir())
    assert parts.numbers() == set(range(N // 4))
    found = [float(v) for i in range(N // 4) if (part := parts.get(i)) is not None for v in part.values[:, 0]]
    assert found == [float(pos) for pos in range(100, 100 + 40 * N, 40)]


def test_a_part_that_kills_every_process_ends_in_a_sentence(vcf, tmp_path) -> None:
    lives = tmp_path / "lives"
    lives.mkdir()
    for i in range(9):
        (lives / str(i)).touch()
    with pytest.raises(WorkerError, match="died 3 times"):
        run_pool(chunks(records(vcf), 4), local(Mortal(lives, 260), 1), PartFolder(tmp_path / "out.vcf", {}))


def test_shards_and_merge_give_the_bytes_of_one_run(vcf, genome, tmp_path, monkeypatch) -> None:
    registry.save(MODELS["tokens"][0], tmp_path / "model")
    out = tmp_path / "out.vcf"
    monkeypatch.chdir(tmp_path)
    command = ["score", "in.vcf", "-f", str(genome.path), "-m", "model", "-o", "out.vcf", "--part-size", "4"]

    def said(*arguments: str) -> tuple[int, str]:
        # what stands in for sys.argv is noted beside the parts
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["genoformer", *arguments])
            done = CliRunner().invoke(main, list(arguments))
        return done.exit_code, done.stderr

    assert said("merge", str(out))[0] == 2
    for i, n_done in ((1, 4), (3, 7)):
        status, text = said(*command, "--shard", f"{i}/3")
        assert status == 0
        assert f"shard {i}/3: {n_done} of 10 parts are done; when all are: genoformer merge out.vcf" in text
        assert not out.exists()
    status, text = said("merge", str(out))
    assert status == 2
    assert "shard 2/3 has not finished: 3 of its 3 parts are missing; run `genoformer score " in text
    assert text.rstrip().endswith("--shard 2/3`; then merge again.")
    assert said(*command, "--shard=2/3")[0] == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)  # the shards were begun in another folder
    status, text = said("merge", str(out))
    assert status == 0, text
    assert not list(elsewhere.iterdir())
    monkeypatch.chdir(tmp_path)
    assert "10 parts of the shards were joined" in text
    parallel = out.read_bytes()
    out.unlink()
    assert said(*command, "--threads", "1")[0] == 0
    assert out.read_bytes() == parallel
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--shard", "3/2", "-o", "{}/o.vcf"],
            "--shard is 3/2, expected the number of the shard and the number of shards; give one such as 2/8",
        ),
        (["--shard", "0/2", "-o", "{}/o.vcf"], "--shard is 0/2, expected the number of the shard"),
        (["--shard", "1/2"], "name a file with -o"),
        (["--engine", "spark", "-o", "{}/o.vcf"], "--engine is 'spark', expected local, ray or ray:ADDRESS"),
        (["--threads", "99999999", "-o", "{}/o.vcf"], "99,999,999 threads: this machine has"),
        (["--workers", "20000", "-o", "{}/o.vcf"], "20,000 workers: this machine has"),
        (["--context", "1000000000", "-o", "{}/o.vcf"], "the model is made for 40; give 640 at the most"),
        (["-r", "chr1:2001-3000", "-o", "{}/o.vcf"], "the region begins at chr1:2,001, and chr1 has 2,000 bases"),
        (["--shifts", "a", "-o", "{}/o.vcf"], "--shifts is 'a', expected whole numbers"),
        (["--tracks", "1", "-o", "{}/o.vcf"], "--tracks needs a track model, found a language model"),
    ],
)
def test_options_that_do_not_fit_are_refused(vcf, genome, tmp_path, options, message) -> None:
    registry.save(MODELS["tokens"][0], tmp_path / "model")
    command = ["score", str(vcf), "-f", str(genome.path), "-m", str(tmp_path / "model")]
    done = CliRunner().invoke(main, [*command, *(text.format(tmp_path) for text in options)])
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert not list(tmp_path.glob("*o.vcf*"))  # nothing that would be in the way of the right command


def test_a_run_takes_no_more_cores_than_are_its_own(vcf, genome, tmp_path, monkeypatch) -> None:
    """As many threads as torch was given, by OMP_NUM_THREADS or SLURM, whatever the machine has; then as many as before."""
    import torch

    seen: list[int] = []
    true = plan.score_records
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr(plan, "score_records", lambda *a: seen.append(torch.get_num_threads()) or true(*a))
    before = torch.get_num_threads()
    run_score(vcf, genome, MODELS["tokens"][0], tmp_path / "o.vcf", scores="LLR", strand="forward")
    assert set(seen) == {before}
    run_score(vcf, genome, MODELS["tokens"][0], tmp_path / "o.vcf", scores="LLR", strand="forward", threads=1)
    assert set(seen) == {before, 1}
    assert torch.get_num_threads() == before


def test_workers_do_not_share_a_gpu(vcf, genome, tmp_path) -> None:
    with pytest.raises(ConfigError, match="2 workers would share cuda; use one worker, or the engine ray"):
        LocalPool(Mortal(tmp_path, 0, device="cuda"), 2)


def test_another_engine_finds_the_parts_of_an_interrupted_one(vcf, genome, tmp_path, monkeypatch) -> None:
    whole = scored("tokens", vcf, genome, tmp_path / "whole.vcf")
    true, n_done = plan.score_records, []

    def some(*arguments):
        n_done.append(1)
        if len(n_done) > 3:
            raise KeyboardInterrupt
        return true(*arguments)

    monkeypatch.setattr(plan, "score_records", some)
    with pytest.raises(KeyboardInterrupt):
        scored("tokens", vcf, genome, tmp_path / "out.vcf")
    monkeypatch.setattr(plan, "score_records", true)
    with pytest.raises(JobError, match="differs in scores"):
        run_score(
            vcf, genome, MODELS["tokens"][0], tmp_path / "out.vcf", scores="LLR", strand="forward", threads=1, part_size=4
        )
    assert scored("tokens", vcf, genome, tmp_path / "out.vcf", workers=2) == whole


def test_a_large_model_shares_work_over_a_stretch_in_one_part(vcf, genome, tmp_path, monkeypatch) -> None:
    """Records near each other are one part, those far apart are not; shards and a repeated run see the same parts."""
    limits = PartLimits(operations=1.0)
    seen: list[int] = []
    true = plan.score_records
    monkeypatch.setattr(plan, "score_records", lambda records, *a: seen.append(len(records)) or true(records, *a))
    small = scored("tracks", vcf, genome, tmp_path / "a.vcf", limits=limits)
    within = MODELS["tracks"][0].config.context_length // 2
    assert within // 40 + 1 == 4
    assert seen == [4] * (N // 4)
    two = tmp_path / "b.vcf"
    for i in (2, 1):
        scored("tracks", vcf, genome, two, limits=limits, shard=(i, 2))
    assert scored("tracks", vcf, genome, two, limits=limits, assemble=True) == small
