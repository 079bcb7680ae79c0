"""Each published layout of labelled sequences, on a small folder made here."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from genoformer.benchmarking.sequence_readers import GUE, NT, read_genomic_benchmarks, read_gue, read_nt
from genoformer.errors import ConfigError, MissingFileError
from genoformer.genome.codes import decode
from genoformer.genome.reference import Genome

CSV = "sequence,label\nACGTACGT,1\nTTTTACGT,0\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def test_gue_has_twenty_eight_tasks_in_its_own_layout(tmp_path: Path) -> None:
    assert (len(GUE), len(set(GUE))) == (28, 28)
    for name in GUE:
        for split in ("train", "dev", "test"):
            write(tmp_path / "GUE" / name / f"{split}.csv", CSV)
    tasks = read_gue(tmp_path)
    assert [task.name for task in tasks] == list(GUE)
    assert {task.metric for task in tasks if task.name != "virus/covid"} == {"mcc"}
    assert [task.metric for task in tasks if task.name == "virus/covid"] == ["f1"]
    assert {task.split for task in tasks} == {"test"}
    assert [label for (label,) in tasks[0].read("test").labels] == ["1", "0"]
    assert [task.name for task in read_gue(tmp_path / "GUE")] == list(GUE)


def test_gue_with_flat_names_and_dev_in_place_of_test(tmp_path: Path) -> None:
    for name in ("tf_0", "mouse_3", "prom_core_all"):
        for split in ("train", "dev"):
            write(tmp_path / name / f"{split}.csv.gz", CSV)
    tasks = read_gue(tmp_path)
    assert [(task.name, task.split) for task in tasks] == [("mouse/3", "dev"), ("prom/prom_core_all", "dev"), ("tf/0", "dev")]


def test_numbers_of_tasks_are_not_taken_from_other_groups(tmp_path: Path) -> None:
    """tf/0 and mouse/0 have the same last name."""
    write(tmp_path / "0" / "test.csv", CSV)
    with pytest.raises(MissingFileError, match="no task of the benchmark"):
        read_gue(tmp_path)


def test_nucleotide_transformer_reads_labels_of_headers(tmp_path: Path) -> None:
    for name in ("promoter_tata", "enhancers_types", "H4K20me1"):
        write(tmp_path / name / "train.fna", ">a|0\nACGT\n>b|2\nGGGG\n")
        write(tmp_path / name / "test.fna", ">c|1\nACGTAC\n")
    tasks = read_nt(tmp_path)
    assert [task.name for task in tasks] == ["promoter_tata", "enhancers_types", "H4K20me1"]
    assert tasks[1].read("train").labels == (("0",), ("2",))
    first, revised = {name for name in NT if name not in ("H2AFZ", "H3K27ac", "H3K27me3", "H3K9me3", "H4K20me1")}, 18
    assert len(first) == revised == 18


def test_genomic_benchmarks_reads_files_of_sequences(tmp_path: Path) -> None:
    for split, n in (("train", 3), ("test", 2)):
        for of in ("negative", "positive"):
            for i in range(n):
                write(tmp_path / "human_enhancers_cohn" / split / of / f"{i}.txt", f"ACGT{'A' * (i + 1)}\n")
    (task,) = read_genomic_benchmarks(tmp_path)
    data = task.read("test")
    assert (task.name, task.metric, len(task.read("train"))) == ("human_enhancers_cohn", "accuracy", 6)
    assert data.labels == (("negative",), ("negative",), ("positive",), ("positive",))
    assert [len(sequence) for sequence in data.sequences] == [5, 6, 5, 6]
    (alone,) = read_genomic_benchmarks(tmp_path / "human_enhancers_cohn")
    assert alone.name == "human_enhancers_cohn"


def test_genomic_benchmarks_reads_intervals_of_a_genome(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">chr1\nAACCGGTTAC\n")
    header = "id,region,start,end,strand\n"
    for split in ("train", "test"):
        write(tmp_path / "gb" / "s" / split / "positive.csv.gz", header + "7,chr1,2,6,+\n")
        write(tmp_path / "gb" / "s" / split / "negative.csv.gz", header + "8,1,0,4,-\n")
    with Genome(tmp_path / "g.fa") as genome:
        (task,) = read_genomic_benchmarks(tmp_path / "gb", genome)
        data = task.read("test")
    assert [decode(sequence) for sequence in data.sequences] == ["GGTT", "CCGG"]
    assert data.labels == (("negative",), ("positive",))
    write(tmp_path / "gb" / "s" / "test" / "negative.csv.gz", header + "8,1,6,16,-\n")
    with (
        Genome(tmp_path / "g.fa") as genome,
        pytest.raises(ConfigError, match=r"1:6-16 is not within chr1 of g\.fa, which has 10"),
    ):
        read_genomic_benchmarks(tmp_path / "gb", genome)[0].read("test")
    (without,) = read_genomic_benchmarks(tmp_path / "gb")
    with pytest.raises(ConfigError, match="intervals without sequences"):
        without.read("test")


def test_a_missing_split_is_refused_when_it_is_read(tmp_path: Path) -> None:
    write(tmp_path / "tf_1" / "test.csv", CSV)
    (task,) = read_gue(tmp_path)
    with pytest.raises(MissingFileError, match=r"has no train.csv, and a baseline is trained on it"):
        task.read("train")
    write(tmp_path / "tf_2" / "train.csv", CSV)
    with pytest.raises(MissingFileError, match=r"has no test.csv"):
        read_gue(tmp_path)
