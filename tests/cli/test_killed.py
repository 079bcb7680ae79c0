"""A run that is killed at random moments, twenty times, with a model of tracks: the bytes are those of an undisturbed run."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from processes import environment
from small_models import small_long_range

from genoformer.models import checkpoint

KILLS = 20
DRIVER = """
import sys
from genoformer.scoring import engines
engines.PART_RECORDS, engines._TOGETHER = 3, 1
from genoformer_cli.main import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """`score` of 240 records, in parts of three."""
    folder = tmp_path_factory.mktemp("input")
    text = "".join(np.random.default_rng(1).choice(list("ACGT"), 4000))
    (folder / "g.fa").write_text(f">chr1\n{text}\n")
    rows = (f"chr1\t{i}\t.\t{text[i - 1]}\t{'ACGT'['ACGT'.index(text[i - 1]) - 1]}\t.\t.\t." for i in range(200, 3800, 15))
    head = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (folder / "in.vcf").write_text("\n".join([*head, *rows]) + "\n")
    checkpoint.save(small_long_range(seed=3), folder / "model")
    options = ["-m", str(folder / "model"), "--head", "human", "--strand", "forward", "-s", "SAD,D2", "--noise", "3", "-q"]
    return [sys.executable, "-c", DRIVER, "score", str(folder / "in.vcf"), "-f", str(folder / "g.fa"), *options]


def test_killed_twenty_times(command: list[str], tmp_path: Path) -> None:
    def outputs(name: str) -> list[str]:
        return ["-o", str(tmp_path / f"{name}.vcf.gz"), "--matrix", str(tmp_path / f"{name}.parquet")]

    def made(name: str) -> dict[str, bytes]:
        return {path.name.removeprefix(name): path.read_bytes() for path in tmp_path.glob(f"{name}.*")}

    def undisturbed(name: str) -> float:
        began = time.monotonic()
        done = subprocess.run([*command, *outputs(name)], env=environment(), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return time.monotonic() - began

    most = undisturbed("whole")
    whole = made("whole")
    assert sorted(whole) == [".parquet", ".vcf.gz", ".vcf.gz.tbi"]
    moments, parts = random.Random(7), tmp_path / ".out.vcf.gz.parts"
    kills, stages = 0, set()
    while kills < KILLS:
        child = subprocess.Popen([*command, *outputs("out")], env=environment(), stderr=subprocess.DEVNULL)
        before = len(list(parts.glob("*.npz")))
        if moments.random() < 0.8:  # once some parts have been done; else at any moment, that of starting too
            enough = min(before + moments.randint(1, 12), 80)
            while child.poll() is None and len(list(parts.glob("*.npz"))) < enough:
                time.sleep(0.002)
            time.sleep(moments.random() * 0.05)
        else:
            time.sleep(moments.random() * most)
        if child.poll() is None:
            child.send_signal(signal.SIGKILL)
            child.wait()
            kills += 1
            stages.add(min(len(list(parts.glob("*.npz"))), 80) // 20)
        else:
            assert child.returncode == 0
        if (tmp_path / "out.vcf.gz").exists() and not parts.exists():  # it had come to its end
            assert made("out") == whole
            for path in tmp_path.glob("*out.*"):
                path.unlink()
    undisturbed("out")
    assert made("out") == whole
    assert not list(tmp_path.glob(".*"))
    assert len(stages) >= 3  # it was killed early, in the middle and late


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_stays_behind_when_only_the_first_is_killed(command: list[str], tmp_path: Path, how: int) -> None:
    """As the kernel does where memory runs out: the workers, each with its model, end with the one that waits for them."""

    def group() -> dict[int, str]:
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if int(fields[2]) == child.pid and fields[0] not in "ZX":
                    found[int(entry.name)] = fields[0]
        return found

    options = ["-o", str(tmp_path / "o.vcf"), "--workers", "2"]
    child = subprocess.Popen([*command, *options], env=environment(), start_new_session=True, stderr=subprocess.DEVNULL)
    parts = tmp_path / ".o.vcf.parts"
    while child.poll() is None and not list(parts.glob("*.npz")):
        time.sleep(0.01)
    assert child.poll() is None
    assert len(group()) >= 3
    child.send_signal(how)
    child.wait()
    until = time.monotonic() + 60
    while group() and time.monotonic() < until:
        time.sleep(0.1)
    assert group() == {}
