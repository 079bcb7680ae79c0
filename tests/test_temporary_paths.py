"""Temporary files of killed processes are removed by the next run of the same output; those of running ones stay."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genoformer import temporary_paths
from genoformer.files import atomic_folder, atomic_write
from genoformer.temporary_paths import remove_abandoned, temporary_path

WRITES = """
import sys, time
from pathlib import Path
from genoformer.files import atomic_folder, atomic_write
with atomic_write(Path(sys.argv[1], "a.tsv")) as part, atomic_folder(Path(sys.argv[1], "maps")) as folder:
    part.write_text("half")
    (folder / "x.bw").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path: Path):
    """A process that is writing a file and a folder."""
    process = subprocess.Popen([sys.executable, "-c", WRITES, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def names(folder: Path) -> list[str]:
    """The files and folders, without what differs from run to run."""
    return sorted(re.sub(r"\.[-0-9a-f]+\.part$", ".part", path.name) for path in folder.iterdir())


def test_what_a_killed_process_leaves_is_removed_by_the_next(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    assert names(tmp_path) == [".a.tsv.part", ".maps.part"]
    for path in (tmp_path / "a.tsv", tmp_path / "maps"):
        remove_abandoned(path)
    assert names(tmp_path) == [".a.tsv.part", ".maps.part"]  # the process is running
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    with atomic_write(tmp_path / "other.tsv") as part:
        part.write_text("of another output")
    assert names(tmp_path) == [".a.tsv.part", ".maps.part", "other.tsv"]
    with atomic_write(tmp_path / "a.tsv") as part:
        part.write_text("whole")
    with atomic_folder(tmp_path / "maps") as folder:
        (folder / "x.bw").write_text("whole")
    assert names(tmp_path) == ["a.tsv", "maps", "other.tsv"]


def test_a_process_that_is_dead_but_not_reaped_is_gone(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    os.kill(writer.pid, signal.SIGKILL)
    os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
    remove_abandoned(tmp_path / "a.tsv")
    assert names(tmp_path) == [".maps.part"]


def test_a_number_that_another_process_has_taken_is_of_a_process_that_is_gone(tmp_path: Path) -> None:
    own = temporary_path(tmp_path / "a")
    own.write_text("")
    machine, pid, started, word = own.name.split(".")[2].split("-")
    assert (int(pid), int(started) > 0) == (os.getpid(), Path("/proc/self/stat").exists())
    if int(started):
        (tmp_path / f".a.{machine}-{pid}-{int(started) - 1}-{word}.part").write_text("")
    remove_abandoned(tmp_path / "a")
    assert list(tmp_path.iterdir()) == [own]


def test_of_other_machines_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(temporary_paths, "_machine", lambda: "0" * 8)
        patch.setattr(os, "getpid", lambda: 1 << 22)  # no process has this number
        foreign = temporary_path(tmp_path / "a")
    foreign.write_text("")
    (tmp_path / ".a.0123456789abcdef0123456789abcdef.part").write_text("of an earlier version, which did not name its process")
    remove_abandoned(tmp_path / "a")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_system_without_proc_asks_for_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary_paths, "_started", lambda pid: None)
    own = temporary_path(tmp_path / "a")
    own.write_text("")
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1 << 30)
        temporary_path(tmp_path / "a").write_text("")
    remove_abandoned(tmp_path / "a")
    assert list(tmp_path.iterdir()) == [own]


def test_a_folder_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    remove_abandoned(tmp_path / "none" / "a")
