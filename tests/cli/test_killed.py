"""A run that is killed at random moments, again and again, with a track model: the bytes are those of an undisturbed run."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest
from amounts import FULL
from processes import command, finished, started
from small_models import small_enformer

from genoformer.models import registry

KILLS = 20 if FULL else 10


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """`score` of 240 records, in parts of three."""
    folder = tmp_path_factory.mktemp("input")
    text = "".join(np.random.default_rng(1).choice(list("ACGT"), 4000))
    (folder / "g.fa").write_text(f">chr1\n{text}\n")
    rows = (f"chr1\t{i}\t.\t{text[i - 1]}\t{'ACGT'['ACGT'.index(text[i - 1]) - 1]}\t.\t.\t." for i in range(200, 3800, 15))
    head = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (folder / "in.vcf").write_text("\n".join([*head, *rows]) + "\n")
    registry.save(small_enformer(seed=3), folder / "model")
    options = [
        "-m",
        str(folder / "model"),
        "--head",
        "human",
        "--strand",
        "forward",
        "-s",
        "SAD,D2",
        "--noise-places",
        "3",
        "--part-size",
        "3",
        "-q",
    ]
    return ["score", str(folder / "in.vcf"), "-f", str(folder / "g.fa"), *options]


def test_killed_again_and_again(arguments: list[str], tmp_path: Path) -> None:
    said = tmp_path / "said"

    def outputs(name: str) -> list[str]:
        return ["-o", str(tmp_path / f"{name}.vcf.gz"), "--matrix", str(tmp_path / f"{name}.parquet")]

    def made(name: str) -> dict[str, bytes]:
        return {path.name.removeprefix(name): path.read_bytes() for path in tmp_path.glob(f"{name}.*")}

    def undisturbed(name: str) -> float:
        began = time.monotonic()
        finished(started(command, [*arguments, *outputs(name)], said), said)
        return time.monotonic() - began

    most = undisturbed("whole")
    whole = made("whole")
    assert sorted(whole) == [".parquet", ".vcf.gz", ".vcf.gz.tbi"]
    moments, parts = random.Random(7), tmp_path / ".out.vcf.gz.parts"
    kills, stages = 0, set()
    while kills < KILLS:
        child = started(command, [*arguments, *outputs("out")], said)
        before = len(list(parts.glob("*.npz")))
        if moments.random() < 0.8:  # once some parts have been done; else at any moment, that of starting too
            enough = min(before + moments.randint(1, 12), 80)
            while child.is_alive() and len(list(parts.glob("*.npz"))) < enough:
                time.sleep(0.002)
            time.sleep(moments.random() * 0.05)
        else:
            time.sleep(moments.random() * most)
        if child.is_alive():
            child.kill()
            child.join()
            kills += 1
            stages.add(min(len(list(parts.glob("*.npz"))), 80) // 20)
        else:
            assert child.exitcode == 0
        if (tmp_path / "out.vcf.gz").exists() and not parts.exists():  # it had come to its end
            assert made("out") == whole
            for path in tmp_path.glob("*out.*"):
                path.unlink()
    undisturbed("out")
    assert made("out") == whole
    assert not list(tmp_path.glob(".*"))
    assert len(stages) >= 3  # it was killed early, in the middle and late
