"""Two processes and one output: the second is refused, and nothing of the first is touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from genoformer import annotation
from genoformer.annotation.run import annotate_variants
from genoformer.files import BusyError, lock_folder, locked
from genoformer.writers import open_sink

HOLD = """
import sys
from genoformer.writers import open_sink
with open_sink(sys.argv[1]).reserved():
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, annotation.Annotations]:
    vcf, bed = tmp_path / "in.vcf", tmp_path / "e.bed"
    vcf.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n1\t5\t.\tA\tC\n")
    bed.write_text("1\t0\t10\n1\t20\t30\n")
    return vcf, annotation.read_annotations([f"E={bed}"])


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz", "out.tsv", "out.parquet"])
def test_a_second_process_is_refused(inputs: tuple[Path, annotation.Annotations], tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdin is not None
    assert other.stdout is not None
    with other.stdin, other.stdout:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match="another process is writing"):
            annotate_variants(*inputs, out)
        assert not out.exists()
        other.kill()  # the lock ends with it, and what it left is no hindrance
        other.wait()
    assert annotate_variants(*inputs, out).records == 1
    assert sorted(path.name for path in tmp_path.glob("*out*")) == ([name, f"{name}.tbi"] if name.endswith(".gz") else [name])
    assert not list(tmp_path.glob(".*"))


def test_a_second_process_that_scores_is_refused(tmp_path: Path) -> None:
    folder, out = tmp_path / ".out.vcf.parts", tmp_path / "out.vcf"
    folder.mkdir()
    program = "import sys\nfrom pathlib import Path\nfrom genoformer.files import lock_folder\n"
    program += (
        "with lock_folder(Path(sys.argv[1]), Path('out.vcf')):\n    print('held', flush=True)\n    sys.stdin.readline()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdin is not None
    assert other.stdout is not None
    with other.stdin, other.stdout:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=r"another process is writing .*out.vcf"), lock_folder(folder, out):
            pass
        other.kill()
        other.wait()
    with lock_folder(folder, out):
        pass


def test_nothing_is_left_where_nothing_is_written(tmp_path: Path) -> None:
    with open_sink(tmp_path / "out.vcf").reserved():
        pass
    assert not list(tmp_path.iterdir())


def test_what_took_its_final_name_stays(tmp_path: Path) -> None:
    part, path = tmp_path / ".part", tmp_path / "out"
    with locked(part, path):
        part.write_text("done")
        part.replace(path)
        part.write_text("of somebody else")
    assert path.read_text() == "done"
    assert part.read_text() == "of somebody else"


def test_one_process_after_the_other(inputs: tuple[Path, annotation.Annotations], tmp_path: Path) -> None:
    out = tmp_path / "out.vcf"
    first = annotate_variants(*inputs, out)
    before = out.read_bytes()
    assert annotate_variants(*inputs, out).records == first.records
    assert out.read_bytes() == before


def test_a_folder_that_cannot_be_written(
    inputs: tuple[Path, annotation.Annotations], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("genoformer.files.os.open", refuse)
    with pytest.raises(Exception, match=r"out.vcf cannot be written .Permission denied."):
        annotate_variants(*inputs, tmp_path / "out.vcf")
