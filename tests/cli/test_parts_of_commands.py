"""Long commands give the bytes of one process in two workers, as merged shards, and after an interruption."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import assert_refused, run, run_well
from compute_tasks import command_that_dies
from processes import command as whole_command
from processes import finished, started
from small_models import small_classifier, small_encoder, small_enformer

import genoformer as gf
from genoformer.compute import run as compute_run
from genoformer.errors import OptionError
from genoformer.formats.motif_files import write_meme
from genoformer.formats.motif_matrix import Matrix
from genoformer.models import registry
from genoformer.scoring import plan
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A genome, and models of each kind."""
    folder, random = tmp_path_factory.mktemp("input"), np.random.default_rng(0)
    texts = {name: "".join(random.choice(list("ACGT"), n)) for name, n in (("chr1", 1500), ("chr2", 700))}
    (folder / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    registry.save(small_enformer(), folder / "tracks")
    registry.save(small_classifier(KmerTokenizer(3), window=40), folder / "classes")
    registry.save(small_encoder(BaseTokenizer(), context_length=40), folder / "tokens")
    rows = [f">s{i}\n{texts['chr1'][20 * i : 20 * i + 15 + 7 * (i % 9)]}\n" for i in range(60)]
    (folder / "s.fa").write_text("".join(rows))
    labelled = [f"{texts['chr1'][i : i + 30]},{'yes' if i % 2 else 'no'}" for i in range(40)]
    (folder / "l.csv").write_text("\n".join(["sequence,label", *labelled, ""]))
    (folder / "e.bed").write_text("".join(f"chr1\t{n}\t{n + 30}\te{n}\t{n % 7}\n" for n in range(0, 1400, 55)))
    records = [(name, pos, text[pos - 1]) for name, text in texts.items() for pos in range(5, len(text), 11)]
    lines = [f"{name}\t{pos}\t.\t{ref}\t{'ACGT'['ACGT'.index(ref) - 1]}\t.\t.\tAF=0.{pos}" for name, pos, ref in records]
    header = ["##fileformat=VCFv4.3", "##contig=<ID=chr1>", "##contig=<ID=chr2>"]
    header += ['##INFO=<ID=AF,Number=A,Type=Float,Description="AF">', "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (folder / "v.vcf").write_text("\n".join([*header, *lines, ""]))
    (folder / "r.bed").write_text("".join(f"chr1\t{n}\t{n + 60}\tr{n}\n" for n in range(200, 1000, 100)))
    phased = [f"{line}\tGT\t{i % 2}|{i % 3 % 2}\t0|{i % 5 % 2}" for i, line in enumerate(lines)]
    columns = f"{header[-1]}\tFORMAT\tS1\tS2"
    form = '##FORMAT=<ID=GT,Number=1,Type=String,Description="GT">'
    (folder / "phased.vcf").write_text("\n".join([*header[:-1], form, columns, *phased, ""]))
    motifs = [Matrix(f"m{i}", random.dirichlet([0.4] * 4, size=4 + i % 5)) for i in range(8)]
    write_meme(folder / "m.meme", motifs)
    note = "x" * 16_000  # so that there are several blocks
    (folder / "long.vcf").write_text("\n".join([*header, *(f"{line};NOTE={note}" for line in lines), ""]))
    return folder


CASES: dict[str, tuple[str, str]] = {  # words of the command, and its output
    "predict tracks": ("predict -f g.fa -m tracks --head human --tracks 0-2 --part-size 3", "out"),
    "predict tracks, batches": ("predict -f g.fa -m tracks --head mouse --batch-size 2 --part-size 4 -r chr1", "out.parquet"),
    "predict bases": ("predict -f g.fa -m tokens --track entropy,constraint -r chr1:1-300 --part-size 40", "out"),
    "predict classes": ("predict -f g.fa -m classes --step 7 --part-size 40 --calls {}.bed --threshold 0.1", "out"),
    "annotate": ("annotate long.vcf -a E=e.bed", "out.vcf.gz"),
    "annotate motifs": ("annotate long.vcf -f g.fa --motifs m.meme --motif-p 0.01 -a E=e.bed", "out.vcf.gz"),
    "annotate a table": ("annotate long.vcf -a E=e.bed --figures {}.figures", "out.tsv"),
    "haplotypes": ("haplotypes phased.vcf -f g.fa -b r.bed -m tracks --head human --strand forward", "out.tsv"),
    "pairs": ("pairs v.vcf -f g.fa -m tracks --head human --strand forward --within 12 --part-size 20", "out.tsv"),
    "pairs of heads": (
        "pairs v.vcf -f g.fa -m tracks --head human --head mouse --strand forward -s SAD --within 12",
        "out.tsv",
    ),
    "calibrate": ("calibrate v.vcf -f g.fa -m tokens -s LLR --part-size 40", "out.npz"),
    "ism": ("interpret ism r.bed -f g.fa -m tokens --length 12 --figures 1", "out"),
    "ism of a class": ("interpret ism s.fa -m classes --figures 0", "out"),
    "embed": ("embed s.fa -m tokens --part-size 8 --layer 1 --layer 2", "out.npy"),
    "embed and draw": ("embed s.fa -m classes --part-size 8 --pca {}.png", "out.parquet"),
    "embed tokens": ("embed s.fa -m tokens --part-size 8 --pooling tokens", "out.parquet"),
    "embed bins": ("embed s.fa -m tracks --head human --part-size 8", "out.npy"),
    "predict sequences": ("predict s.fa -m classes --part-size 7", "out.tsv"),
}


def files_of(folder: Path) -> dict[str, bytes]:
    """The outputs in a folder: their names and bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def shard_words(words: list[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """Run a command whose words are also those of the process, as `merge` finds them."""
    with monkeypatch.context() as patch:
        patch.setattr("sys.argv", ["genoformer", *words])
        return run(*words)


@pytest.mark.parametrize("case", CASES)
def test_every_way_gives_the_same_bytes(case: str, folder: Path, tmp_path: Path, monkeypatch) -> None:
    words, output = CASES[case]
    monkeypatch.chdir(folder)

    def command(name: str, *more: str) -> list[str]:
        (tmp_path / name).mkdir(exist_ok=True)
        out = str(tmp_path / name / output)
        device = [] if words.startswith("annotate") else ["--device", "cpu"]
        return [*words.format(out).split(), "-o", out, *device, "--threads", "1", *more]

    run_well(*command("whole"))
    whole = files_of(tmp_path / "whole")
    assert whole
    run_well(*command("two", "--workers", "2"))
    assert files_of(tmp_path / "two") == whole
    _check_shards(command, folder, tmp_path / "shards", output, monkeypatch)
    assert files_of(tmp_path / "shards") == whole
    keeping = ["--workers", "2"] if words.startswith("annotate") else []  # in one process it is as fast as its parts are read
    _interrupt(command("stopped", *keeping), monkeypatch)
    assert [path for path in files_of(tmp_path / "stopped") if path.endswith(("00000000.npz", "00000000.json"))]
    result = run_well(*command("stopped", *keeping))
    assert files_of(tmp_path / "stopped") == whole
    assert "finished parts of an earlier run were used" in result.stderr


def _check_shards(
    command: Callable[..., list[str]], folder: Path, place: Path, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compute two of three shards, merge in vain, compute the third, and merge."""
    for number in (3, 1):
        result = shard_words(command("shards", "--shard", f"{number}/3"), monkeypatch)
        assert result.exit_code == 0, (result.output, result.exception)
        assert f"shard {number}/3: " in result.stderr
        assert f"when all are: genoformer merge {place / output}" in result.stderr
        assert not [path for path in place.iterdir() if not path.name.startswith(".")]
    again = shlex.join(["genoformer", *command("shards"), "--shard", "2/3"])
    parts = ("shard 2/3 has not finished: ", f" parts are missing; run `{again}`; then merge again")
    assert_refused(run("merge", place / output), *parts)
    assert shard_words(command("shards", "--shard=2/3"), monkeypatch).exit_code == 0
    if command("shards")[0] in ("embed", "predict"):
        assert_refused(run("merge", place / output, "--json"), "has no numbers at its end; leave --json out")
    monkeypatch.chdir(place)  # `merge` returns to the folder of the shards
    result = run_well("merge", place / output)
    assert re.search(r"\b[1-9][0-9]* parts of the shards were joined", result.stderr)
    assert "earlier run" not in result.stderr
    monkeypatch.chdir(folder)


def _interrupt(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a command that is interrupted after its second part."""
    n_done = 0
    true = compute_run.PartedRun.results

    def stopped(self, stage):
        nonlocal n_done
        for part in true(self, stage):
            n_done += 1
            if n_done == 2:
                raise KeyboardInterrupt
            yield part

    scored = plan.score_records

    def stopped_scores(*arguments):
        nonlocal n_done
        n_done += 1
        if n_done == 2:
            raise KeyboardInterrupt
        return scored(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(compute_run.PartedRun, "results", stopped)
        patch.setattr(plan, "score_records", stopped_scores)
        result = run(*words)
    assert result.exit_code == 130, (result.output, result.exception)
    assert n_done == 2


@pytest.mark.parametrize("case", ["predict tracks", "embed", "haplotypes", "ism"])
def test_a_command_that_is_killed_resumes_with_the_same_bytes(case: str, folder: Path, tmp_path: Path, monkeypatch) -> None:
    words, output = CASES[case]
    monkeypatch.chdir(folder)
    said = tmp_path / "said"

    def command(name: str) -> list[str]:
        (tmp_path / name).mkdir(exist_ok=True)
        return [*words.split(), "-o", str(tmp_path / name / output), "--device", "cpu", "--threads", "1"]

    run_well(*command("whole"))
    for n_parts in (2, 4):
        child = started(command_that_dies, command("out"), said)
        child.join()
        assert child.exitcode == -signal.SIGKILL
        assert not (tmp_path / "out" / output).exists() or not list((tmp_path / "out" / output).iterdir())
        parts = (tmp_path / "out" / f".{output}.parts").iterdir()
        assert len([path for path in parts if path.stem.isdecimal()]) == n_parts
    finished(started(whole_command, command("out"), said), said)
    made = files_of(tmp_path / "out")
    assert {name: data for name, data in made.items() if not name.endswith(".part") and ".part/" not in name} == files_of(
        tmp_path / "whole"
    )  # kill -9 leaves the half of an output that was being written
    assert not (tmp_path / "out" / f".{output}.parts").exists()


@pytest.mark.parametrize("case", ["predict tracks", "haplotypes", "embed", "annotate", "ism"])
def test_a_ray_cluster_gives_the_same_bytes(case: str, folder: Path, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("ray", reason="Ray is an extra: pip install genoformer[ray]")
    words, output = CASES[case]
    monkeypatch.chdir(folder)
    for name, engine in (("whole", []), ("ray", ["--engine", "ray", "--workers", "2"])):
        (tmp_path / name).mkdir()
        device = [] if case == "annotate" else ["--device", "cpu"]
        run_well(*words.split(), "-o", tmp_path / name / output, *device, "--threads", "1", *engine)
    assert files_of(tmp_path / "ray") == files_of(tmp_path / "whole")


def test_calls_in_python_take_workers(folder: Path) -> None:
    fasta, texts = folder / "g.fa", ["ACGTTGCATTAGC" * 3, "TTTTTTTTTTTTTAC", "GATTACA" * 5]
    tracks = gf.predict(fasta, "chr1", folder / "tracks", head="human", part_size=2, threads=1, device="cpu")
    several = gf.predict(fasta, "chr1", folder / "tracks", head="human", part_size=2, threads=1, device="cpu", workers=2)
    pd.testing.assert_frame_equal(several, tracks)
    vectors = gf.embed(texts, folder / "tokens", part_size=1, threads=1, device="cpu", workers=2)
    np.testing.assert_array_equal(vectors, np.stack([gf.embed([text], folder / "tokens", device="cpu")[0] for text in texts]))
    for call in (
        lambda: gf.predict(fasta, "chr1", folder / "tracks", head="human", shard="1/2"),
        lambda: gf.embed(texts, folder / "tokens", shard="1/2"),
        lambda: gf.score(folder / "v.vcf", fasta, folder / "tokens", shard="1/2"),
    ):
        with pytest.raises(OptionError, match="option shard keeps its parts next to an output"):
            call()
    with pytest.raises(OptionError, match="option engine is 'spark', expected local, ray or ray:ADDRESS"):
        gf.embed(texts, folder / "tokens", engine="spark")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("embed l.csv -m tokens --probe --shard 1/2", ("--shard keeps its parts next to an output, found no output file",)),
        ("annotate v.vcf -a E=e.bed --shard 1/2", ("--shard keeps its parts next to an output, found standard output",)),
        ("annotate v.vcf -a E=e.bed --workers 2", ("--workers keeps its parts next to an output file, found standard output",)),
        ("predict -f g.fa -m classes -o {} --shard 3/2", ("--shard is 3/2, expected the number of the shard",)),
        ("interpret ism r.bed -f g.fa -m tokens -o {} --engine spark", ("--engine is 'spark', expected local, ray or",)),
    ],
)
def test_options_that_do_not_fit_are_refused(
    words: str, parts: tuple[str, ...], folder: Path, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(folder)
    assert_refused(run(*words.format(tmp_path / "out").split()), *parts)
    assert list(tmp_path.iterdir()) == []


def test_merge_needs_unfinished_work(tmp_path: Path) -> None:
    assert_refused(run("merge", tmp_path / "out.bw"), "there is no unfinished work for", "of a run with shards")
    shutil.rmtree(tmp_path)
