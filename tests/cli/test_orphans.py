"""Processes that work for another one end with it, however it ends."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from processes import environment, genoformer
from small_models import small_encoder

from genoformer.models import registry
from genoformer.tokenizers import BaseTokenizer


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """`score` of 3,000 records, in parts of three."""
    text = "".join(np.random.default_rng(1).choice(list("ACGT"), 4000))
    (tmp_path / "g.fa").write_text(f">chr1\n{text}\n")
    rows = (f"chr1\t{i}\t.\t{text[i - 1]}\t{'ACGT'['ACGT'.index(text[i - 1]) - 1]}\t.\t.\t." for i in range(500, 3500))
    head = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (tmp_path / "in.vcf").write_text("\n".join([*head, *rows]) + "\n")
    registry.save(small_encoder(BaseTokenizer()), tmp_path / "model")
    options = ["-f", str(tmp_path / "g.fa"), "-m", str(tmp_path / "model"), "-q", "--part-size", "3"]
    return genoformer("score", tmp_path / "in.vcf", *options)


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
