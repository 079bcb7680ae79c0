"""Runs of parts: results in order from any process, resumed runs, shards, and a driver that reads few parts ahead."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from compute_tasks import Adding

from genoformer.compute import (
    Compute,
    InputParts,
    MemoryStore,
    MissingPartsError,
    PartedRun,
    Partition,
    resumable,
    resumed_threads,
    split_shard,
)
from genoformer.compute.pools import LocalPool, Pool, WorkerError, pool_results, run_pool
from genoformer.errors import ConfigError, OptionError
from genoformer.files import write_text
from genoformer.progress import Progress, Stage
from genoformer.resume_folder import JobError, ResumeFolder, folder_of

INPUTS = [[1, 2], [3], [4, 5, 6], [7], [8, 9], [10]]
SUMS = [3, 3, 15, 7, 17, 10]


class Sums(ResumeFolder):
    """Resume folder with one number per part."""

    ending = ".json"

    def get(self, i: int) -> int | None:
        try:
            return int(json.loads(self._name(i).read_text()))
        except (OSError, ValueError):
            return None

    def put(self, i: int, result: int) -> None:
        write_text(self._name(i), json.dumps(result))


def parts(shard: tuple[int, int] | None = None) -> InputParts[list[int]]:
    return InputParts(lambda: INPUTS, shard)


def run_of(folder: Path, *, task: Adding | None = None, **options) -> PartedRun[list[int], int]:
    compute = Compute(**options)
    return PartedRun(parts(compute.shard), task or Adding(folder), Sums(folder / "out", {}), compute)


@pytest.mark.parametrize("workers", [None, 1, 2, 9])
def test_results_come_in_order_and_are_counted(tmp_path: Path, workers) -> None:
    events: list[Progress] = []
    run = run_of(tmp_path, workers=workers, task=Adding(tmp_path, slow=1))
    assert list(run.results(Stage(events.append, "add", 10))) == list(zip(INPUTS, SUMS, strict=True))
    assert events[-1] == Progress("add", 10, 10)
    assert len(events) == len(INPUTS)


def test_results_that_are_not_kept_are_dropped_when_they_are_read(tmp_path: Path) -> None:
    store: MemoryStore[int] = MemoryStore()
    run = PartedRun(parts(), Adding(tmp_path), store, Compute(workers=2))
    assert [result for _, result in run.results(Stage(None, "add"))] == SUMS
    assert store.numbers() == set()


def test_a_process_that_is_killed_costs_one_part(tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    lives.mkdir()
    (lives / "0").touch()
    run = run_of(tmp_path, task=Adding(lives, deadly=5), workers=2)
    assert [result for _, result in run.results(Stage(None, "add"))] == SUMS
    assert not list(lives.iterdir())
    for i in range(9):
        (lives / str(i)).touch()
    Sums(tmp_path / "out", {}).remove()
    with pytest.raises(WorkerError, match=r"the process of part [1-4] died 3 times"):  # 2, or a neighbour
        list(run_of(tmp_path, task=Adding(lives, deadly=5), workers=2).results(Stage(None, "add")))


def test_finished_parts_are_not_computed_again(tmp_path: Path) -> None:
    first = run_of(tmp_path).results(Stage(None, "add"))
    assert [next(first)[1], next(first)[1]] == SUMS[:2]
    first.close()
    Sums(tmp_path / "out", {}).put(1, 1_000)  # not what would be computed
    (folder_of(tmp_path / "out") / "00000000.json").write_text("")  # damaged
    for options in ({}, {"workers": 2}):
        results = [result for _, result in run_of(tmp_path, **options).results(Stage(None, "add"))]
        assert results == [SUMS[0], 1_000, *SUMS[2:]]


def test_shards_compute_their_parts_and_are_joined(tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert run_of(tmp_path, shard=(2, 2)).compute_shard(output, Stage(None, "add")) == (
        f"shard 2/2: 3 of 6 parts are done; when all are: genoformer merge {output}"
    )
    assert Sums(output, {}).numbers() == {1, 3, 5}
    joined = run_of(tmp_path, assemble=True)
    with pytest.raises(JobError, match=r"3 of 6 parts are missing \(the first has number 1\)"):
        next(joined.results(Stage(None, "add")))
    assert "6 of 6 parts" in run_of(tmp_path, shard="1/2", workers=2).compute_shard(output, Stage(None, "add"))
    assert [result for _, result in joined.results(Stage(None, "add"))] == SUMS


def interrupted(output: Path, job: dict[str, str], *, n: int) -> None:
    """Store n parts, and stop."""
    with resumable(Sums(output, job), output, Compute()) as folder:
        for i in range(n):
            folder.put(i, 1)
        raise KeyboardInterrupt


def test_a_resume_folder_stays_after_an_error_and_goes_after_success(tmp_path: Path) -> None:
    output, compute = tmp_path / "out", Compute()
    with pytest.raises(KeyboardInterrupt):
        interrupted(output, {"number of threads": "3"}, n=1)
    assert resumed_threads(output) == 3
    with resumable(Sums(output, {"number of threads": "3"}), output, Compute(shard=(1, 2))) as folder:
        assert folder.n_found == 1
    with resumable(Sums(output, {"number of threads": "3"}), output, compute):
        assert folder_of(output).is_dir()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        interrupted(output, {}, n=0)
    assert list(tmp_path.iterdir()) == []


class HerePool(Pool):
    """In place of processes: the oldest part is computed when one is waited for."""

    n_workers = 2

    def __enter__(self) -> HerePool:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, part: list[int]) -> tuple[int, ...]:
        return tuple(part)

    def next_done(self, tickets: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        return tickets[-1]  # the newest, so that the first waits longest

    def result(self, ticket: tuple[int, ...]) -> int:
        return sum(ticket)


def test_the_driver_reads_few_parts_ahead() -> None:
    n_read, n_ahead, store = 0, [], MemoryStore[int]()

    def inputs() -> Iterator[list[int]]:
        nonlocal n_read
        for i in range(500):
            n_read += 1
            yield [i]

    for n, (part, result) in enumerate(pool_results(inputs(), HerePool(), store)):
        assert part == [result] == [n]
        n_ahead.append(n_read - n)
        assert len(store.numbers()) <= 4 * HerePool.n_workers
    assert n == 499
    assert max(n_ahead) <= 4 * HerePool.n_workers + 1
    assert run_pool([], HerePool(), store) == 0


def test_the_number_of_threads_does_not_depend_on_the_number_of_workers() -> None:
    assert Compute().n_threads(None, 8) == 8
    assert {Compute(workers=n).n_threads(None, 8) for n in (2, 3, 8)} == {1}
    assert Compute(shard=(1, 4)).n_threads(None, 8) == Compute(engine="ray").n_threads(None, 8) == 1
    assert Compute(workers=2).n_threads(8, 8) == 8  # of the interrupted run
    assert Compute(threads=3).n_threads(None, 8) == 3


@pytest.mark.parametrize("shard", ["", "1", "0/2", "3/2", "a/b", "1/2/3", (1,), 5])
def test_a_wrong_shard_is_refused(shard) -> None:
    with pytest.raises(OptionError, match="expected the number of the shard and the number of shards; give one such as 2/8"):
        Compute(shard=shard)


def test_workers_do_not_share_a_gpu(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 workers would share cuda"):
        LocalPool(Adding(tmp_path, device="cuda"), 2)


def test_a_partition_counts_its_missing_parts(tmp_path: Path) -> None:
    store: MemoryStore[int] = MemoryStore()
    store.put(1, 5)
    partition: Partition[list[int]] = parts((2, 2))
    assert (partition.n_parts, partition.n_missing(store)) == (6, 2)


@pytest.mark.parametrize(
    ("shard", "lost", "message"),
    [
        (
            (1, 4),
            [2, 6],
            "shard 3/4 has not finished: 2 of its 3 parts are missing; run `genoformer score 'my in.vcf' --shard 3/4`",
        ),
        (
            (4, 4),
            [1, 2, 5, 6, 9],
            "shards 2/4 and 3/4 have not finished: 5 of their 6 parts are missing; run `genoformer score 'my in.vcf' --shard "
            "2/4`, and the others likewise; then merge again.",
        ),
        ((1, 11), list(range(1, 11)), "shards 2/11, 3/11, 4/11, 5/11, 6/11 and 5 more have not finished: 10 of their 10 parts"),
        (
            None,
            [4],
            "1 of 11 parts are missing; run `genoformer score 'my in.vcf'`, which computes them and writes the output.",
        ),
    ],
)
def test_an_error_names_the_missing_shards_and_their_command(monkeypatch, tmp_path: Path, shard, lost, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    error, command = MissingPartsError(lost, 11), ["score", "my in.vcf"]
    assert str(error.with_command(tmp_path, command, shard)).startswith(message)
    elsewhere = error.with_command(tmp_path / "runs", command, shard)
    assert f"` in {tmp_path / 'runs'}" in str(elsewhere)


@pytest.mark.parametrize("option", [["--shard", "2/8"], ["--shard=2/8"]])
def test_the_shard_of_a_command_is_split_off(option: list[str]) -> None:
    assert split_shard(["score", *option, "--sharded", "-q"]) == (["score", "--sharded", "-q"], (2, 8))
    assert split_shard(["score", "-q"]) == (["score", "-q"], None)
