"""Parts: what is finished is not done again, another job's parts are not taken, and a torn one is done anew."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.compute.pools import run_local
from genoformer.formats.vcf import Record
from genoformer.progress import Progress, Stage
from genoformer.resume_folder import JobError
from genoformer.scoring.parts import PartFolder, PartLimits, PartResult, PartSize, chunks, part_size

JOB = {"scores": "LLR", "VCF": "v1", "model": "m1"}
RECORDS = [Record("", "chr1", i, ".", "A", ("T",)) for i in range(1, 9)]  # POS 1 to 8


def compute(records: Sequence[Record]) -> PartResult:
    """The score of a record is its POS."""
    values = np.array([[record.pos] for record in records], dtype=np.float32)
    return PartResult(np.zeros(len(records), dtype=np.uint8), values)


def counting(done: list[list[int]], stop_at: int | None = None) -> Callable[[Sequence[Record]], PartResult]:
    """`compute` that writes down the POS it was asked for; at a given one it is interrupted."""

    def scored(records: Sequence[Record]) -> PartResult:
        if stop_at in [record.pos for record in records]:
            raise KeyboardInterrupt
        done.append([record.pos for record in records])
        return compute(records)

    return scored


def values(folder: PartFolder) -> list[float]:
    parts = [folder.get(i) for i in range(3)]
    return [float(value) for part in parts if part is not None for value in part.values[:, 0]]


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def test_chunks_are_cut_the_same_wherever_they_are_read() -> None:
    assert [[r.pos for r in chunk] for chunk in chunks(iter(RECORDS), 3)] == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert list(chunks(iter([]), 3)) == []
    far = [
        r._replace(pos=pos, chrom=chrom)
        for r, (chrom, pos) in zip(
            RECORDS, [("a", 5), ("a", 9), ("a", 15), ("a", 16), ("b", 16), ("b", 16), ("b", 17)], strict=False
        )
    ]
    cut = [[(r.chrom, r.pos) for r in chunk] for chunk in chunks(far, 2, within=10)]
    assert cut == [[("a", 5), ("a", 9)], [("a", 15), ("a", 16)], [("b", 16), ("b", 16)], [("b", 17)]]
    assert [len(chunk) for chunk in chunks(far, 9, within=10)] == [3, 1, 3]


@given(st.lists(st.integers(0, 12), max_size=30), st.integers(1, 10))
def test_chunks_of_a_cost(costs: list[int], size: int) -> None:
    records = [Record("", "c", i, ".", "A", ("C",)) for i in range(len(costs))]
    found = list(chunks(iter(records), size, cost=lambda record: costs[record.pos]))
    assert [record for chunk in found for record in chunk] == records
    for i, chunk in enumerate(found):
        spent = sum(max(1, costs[record.pos]) for record in chunk)
        assert spent <= size or len(chunk) == 1
        assert i == len(found) - 1 or spent + max(1, costs[found[i + 1][0].pos]) > size


@pytest.mark.parametrize(
    ("limits", "operations", "shared", "longest", "expected"),
    [
        (PartLimits(), 1e6, 0, 1, PartSize(4_096)),
        (PartLimits(records=4), 1e6, 0, 1, PartSize(4)),
        (PartLimits(records=4), 1e6, 500, 1, PartSize(4)),
        (PartLimits(records=4), 1e12, 0, 1, PartSize(1, weighed=True)),
        (PartLimits(records=4), 1e12, 500, 1, PartSize(4, 500)),  # not the 16 of the default
        (PartLimits(operations=1.0), 1e6, 500, 1, PartSize(16, 500)),
        (PartLimits(operations=1.0, sharing_records=1), 1e6, 500, 1, PartSize(1, weighed=True)),
        (PartLimits(records=100), 1e6, 0, 1 << 20, PartSize(64, weighed=True)),  # 64 MiB of lines
    ],
)
def test_a_part_is_within_all_limits(
    limits: PartLimits, operations: float, shared: int, longest: int, expected: PartSize
) -> None:
    assert part_size(operations, shared, longest, limits) == expected


def test_only_other_limits_than_the_defaults_are_stored() -> None:
    """Folders of runs before there was a choice have no entry for it."""
    assert PartLimits().fingerprint() == {}
    texts = [
        limits.fingerprint()["part size"] for limits in (PartLimits(records=4), PartLimits(records=5), PartLimits(pairs=4))
    ]
    assert len(set(texts)) == 3


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    done: list[list[int]] = []
    folder = PartFolder(tmp_path / "out.vcf", JOB)
    assert folder.path == tmp_path / ".out.vcf.parts"
    with pytest.raises(KeyboardInterrupt):
        run_local(chunks(RECORDS, 3), counting(done, stop_at=7), folder)
    assert done == [[1, 2, 3], [4, 5, 6]]

    heard: list[Progress] = []
    again = PartFolder(tmp_path / "out.vcf", dict(reversed(JOB.items())))
    assert again.n_found == 2
    run_local(chunks(RECORDS, 3), counting(done), again, Stage(heard.append, "score", 8))
    assert done == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert heard == [Progress("score", n, 8) for n in (3, 6, 8)]
    assert values(again) == [1, 2, 3, 4, 5, 6, 7, 8]
    again.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("job", "named"),
    [
        ({"scores": "L2"}, "differs in scores;"),
        ({"VCF": "v2", "model": "m2"}, "differs in VCF, model;"),
        ({"region": "chr1"}, "differs in region;"),  # an option that the first run did not have
    ],
)
def test_another_job_is_refused_by_name_and_harms_nothing(tmp_path: Path, job: dict[str, str], named: str) -> None:
    run_local(chunks(RECORDS, 3), compute, PartFolder(tmp_path / "out.vcf", JOB))
    before = {path.name: path.read_bytes() for path in (tmp_path / ".out.vcf.parts").iterdir()}
    with pytest.raises(JobError, match=named) as caught:
        PartFolder(tmp_path / "out.vcf", JOB | job)
    assert str(tmp_path / ".out.vcf.parts") in str(caught.value)
    assert "remove the folder to start over" in str(caught.value)
    assert {path.name: path.read_bytes() for path in (tmp_path / ".out.vcf.parts").iterdir()} == before
    assert values(PartFolder(tmp_path / "out.vcf", JOB)) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_outputs_beside_each_other_do_not_share_parts(tmp_path: Path) -> None:
    PartFolder(tmp_path / "out.vcf", JOB)
    assert PartFolder(tmp_path / "out.tsv", JOB | {"scores": "L2"}).path == tmp_path / ".out.tsv.parts"


def test_a_part_cut_anywhere_is_absent(tmp_path: Path) -> None:
    folder = PartFolder(tmp_path / "out.vcf", JOB)
    folder.put(0, compute(RECORDS[:3]))
    path = folder.path / "00000000.npz"
    whole = path.read_bytes()
    for n in range(len(whole)):
        path.write_bytes(whole[:n])
        assert folder.get(0) is None, n
    path.write_bytes(whole)
    assert folder.get(0) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 600,  # as a file system may leave it after a power cut
        b"not an npz",
        npz(statuses=np.zeros(3, np.uint8)),  # no values
        npz(statuses=np.zeros(3, np.uint8), values=np.array([{}], dtype=object)),  # a pickle is not loaded
        npz(statuses=np.zeros(3, np.uint8), values=np.ones((3, 1)))[:-30],
    ],
    ids=["empty", "zeros", "text", "no values", "pickle", "cut"],
)
def test_a_torn_part_is_done_anew(tmp_path: Path, content: bytes) -> None:
    run_local(chunks(RECORDS, 3), compute, PartFolder(tmp_path / "out.vcf", JOB))
    (tmp_path / ".out.vcf.parts" / "00000001.npz").write_bytes(content)
    done: list[list[int]] = []
    folder = PartFolder(tmp_path / "out.vcf", JOB)
    run_local(chunks(RECORDS, 3), counting(done), folder)
    assert done == [[4, 5, 6]]
    assert values(folder) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert folder.n_found == 2  # the torn one was of no use


def test_a_flipped_byte_is_never_taken_for_a_score(tmp_path: Path) -> None:
    folder = PartFolder(tmp_path / "out.vcf", JOB)
    folder.put(0, compute(RECORDS[:3]))
    path = folder.path / "00000000.npz"
    whole = path.read_bytes()
    at = whole.index(np.float32(2).tobytes() + np.float32(3).tobytes())
    path.write_bytes(whole[:at] + b"\x01" + whole[at + 1 :])
    assert folder.get(0) is None


@pytest.mark.parametrize("ticket", [b"", b"{", b"[]", b"\xff", None], ids=["empty", "cut", "list", "not text", "none"])
def test_parts_of_nobody_knows_whom_are_refused(tmp_path: Path, ticket: bytes | None) -> None:
    run_local(chunks(RECORDS, 3), compute, PartFolder(tmp_path / "out.vcf", JOB))
    path = tmp_path / ".out.vcf.parts" / "job.json"
    path.unlink()
    if ticket is not None:
        path.write_bytes(ticket)
    with pytest.raises(JobError, match=r"\.parts has no readable job.json, so its run is unknown; remove the folder"):
        PartFolder(tmp_path / "out.vcf", JOB)


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".out.vcf.parts").write_text("")
    with pytest.raises(JobError, match=r"\.out\.vcf\.parts is a file, expected a folder"):
        PartFolder(tmp_path / "out.vcf", JOB)


def test_a_part_that_cannot_be_written_leaves_no_stray_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = PartFolder(tmp_path / "out.vcf", JOB)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        folder.put(0, compute(RECORDS[:3]))
    assert [path.name for path in folder.path.iterdir()] == ["job.json"]
    assert json.loads((folder.path / "job.json").read_text()) == JOB


def test_standard_output_has_its_parts_in_a_folder_of_its_own() -> None:
    one, other = PartFolder(None, JOB), PartFolder(None, JOB)
    try:
        assert one.path != other.path
        assert one.n_found == 0
    finally:
        one.remove()
        other.remove()
    assert not one.path.exists()
