"""Folders of labelled sequences as GUE, Genomic Benchmarks and the Nucleotide Transformer publish them -> tasks."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from genoformer.benchmarking.columns import read_table
from genoformer.datasets.sequence_rows import LabelledSequences, SequenceRows
from genoformer.datasets.sequences import read_labelled
from genoformer.errors import ConfigError, MissingFileError
from genoformer.genome.codes import decode, reverse_complement
from genoformer.genome.contigs import ContigMap
from genoformer.genome.reference import Genome

SplitName = Literal["train", "test"]


class SequenceTask(NamedTuple):
    """A task: its name, its split that is evaluated (test, or dev where the folder has no test), and its main metric.

    read: returns the sequences of a split. metric: name in `evaluation.metrics`.
    """

    name: str
    split: str
    metric: str
    read: Callable[[SplitName], LabelledSequences]


GUE = (
    *(
        f"EMP/{mark}"
        for mark in ("H3", "H3K14ac", "H3K36me3", "H3K4me1", "H3K4me2", "H3K4me3", "H3K79me3", "H3K9ac", "H4", "H4ac")
    ),
    *(f"mouse/{i}" for i in range(5)),
    *(f"prom/{name}" for kind in ("300", "core") for name in (f"prom_{kind}_all", f"prom_{kind}_notata", f"prom_{kind}_tata")),
    "splice/reconstructed",
    *(f"tf/{i}" for i in range(5)),
    "virus/covid",
)
NT = (
    *("promoter_all", "promoter_tata", "promoter_no_tata", "enhancers", "enhancers_types"),
    *("splice_sites_all", "splice_sites_acceptors", "splice_sites_donors"),
    *("H3", "H3K14ac", "H3K36me3", "H3K4me1", "H3K4me2", "H3K4me3", "H3K79me3", "H3K9ac", "H4", "H4ac"),  # yeast, first version
    *("H2AFZ", "H3K27ac", "H3K27me3", "H3K9me3", "H4K20me1"),  # human, the revised one, with some of those above
)
_TABLES = ("csv", "csv.gz", "tsv", "tsv.gz")
_FASTA = ("fna", "fna.gz", "fa", "fa.gz", "fasta")


def read_gue(data: Path, genome: Genome | None = None) -> list[SequenceTask]:
    """Read the tasks of GUE that a folder has: TASK/train.csv, dev.csv and test.csv with the columns sequence and label.

    TASK is EMP/H3, tf/0 ... as published, or with underscores (tf_0) and without its group (prom_core_all). The metric is MCC,
    and macro F1 for virus/covid, which has nine classes (Zhou et al. 2024, DNABERT-2).
    """
    tasks = []
    for name in GUE:
        group, _, last = name.partition("/")
        for folder in (data / "GUE" / name, data / name, data / f"{group}_{last}", data / last):
            if folder.is_dir() and (
                last.isalpha() or not last.isdecimal() or folder.name != last or folder.parent.name == group
            ):
                tasks.append(_task(name, folder, _TABLES, "f1" if name == "virus/covid" else "mcc"))
                break
    return _some(tasks, data, "EMP/H3/train.csv ... virus/covid/test.csv")


def read_nt(data: Path, genome: Genome | None = None) -> list[SequenceTask]:
    """Read the Nucleotide Transformer's tasks that a folder has: TASK/train.fna and test.fna, with headers >NAME|LABEL.

    The metric is MCC (Dalla-Torre et al. 2024, Nature Methods, figure 2a). The files of the first and the revised version have
    the same form; they share some names and have 18 tasks each.
    """
    tasks = [_task(name, data / name, _FASTA, "mcc") for name in NT if (data / name).is_dir()]
    return _some(tasks, data, "promoter_all/train.fna ... H4ac/test.fna")


def _task(name: str, folder: Path, suffixes: tuple[str, ...], metric: str) -> SequenceTask:
    files = {
        split: path
        for split in ("train", "dev", "test")
        for suffix in suffixes
        if (path := folder / f"{split}.{suffix}").is_file()
    }
    split = "test" if "test" in files else "dev"
    if split not in files:
        raise MissingFileError(f"{folder} has no test.{suffixes[0]}; give the folder that the authors publish.")

    def read(which: SplitName) -> LabelledSequences:
        wanted = split if which == "test" else "train"
        if wanted not in files:
            raise MissingFileError(
                f"{folder} has no {wanted}.{suffixes[0]}, and a baseline is trained on it; add it, or name no baseline."
            )
        return read_labelled(files[wanted])

    return SequenceTask(name, split, metric, read)


def _some(tasks: list[SequenceTask], data: Path, layout: str) -> list[SequenceTask]:
    if not tasks:
        raise MissingFileError(
            f"{data} has no task of the benchmark, expected {layout}; give the folder that the authors publish."
        )
    return tasks


def read_genomic_benchmarks(data: Path, genome: Genome | None = None) -> list[SequenceTask]:
    """Read the sets of Genomic Benchmarks that a folder has: SET/train and SET/test, with a folder or a table for each class.

    A folder of a class has a text file for each sequence, as their download_dataset writes. A table (CLASS.csv.gz) has the
    intervals id, region, start, end (0-based half-open) and strand, and needs the genome. The metric is accuracy (Gresova et
    al. 2023).
    """
    folders = [data] if (data / "test").is_dir() else sorted(path.parent for path in data.glob("*/test"))
    tasks = []
    for folder in folders:

        def read(which: SplitName, folder: Path = folder) -> LabelledSequences:
            return _class_folders(folder / which, genome)

        tasks.append(SequenceTask(folder.name, "test", "accuracy", read))
    return _some(tasks, data, "SET/train/CLASS and SET/test/CLASS")


def _class_folders(folder: Path, genome: Genome | None) -> LabelledSequences:
    """Read a split of Genomic Benchmarks."""
    rows = SequenceRows(folder, may_be_empty=False)
    classes = sorted(path for path in folder.iterdir() if path.is_dir() or ".csv" in path.suffixes)
    if not classes:
        raise MissingFileError(f"{folder} has no folder or table of a class; give the folder that the authors publish.")
    for path in classes:
        label = path.name.partition(".")[0]
        for name, text in _texts(path) if path.is_dir() else _intervals(path, genome):
            rows.add(f"{path}, {name}", 0, name, text)
            rows.label(f"{path}, {name}", (label,), ["label"])
    return rows.done(["label"])


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.txt*")):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        yield path.name.partition(".")[0], raw.decode("ascii", "replace").strip()


def _intervals(path: Path, genome: Genome | None) -> Iterator[tuple[str, str]]:
    if genome is None:
        raise ConfigError(f"{path} has intervals without sequences; give the FASTA of the genome that its metadata.yaml names.")
    table = read_table(path)
    contigs = ContigMap(set(table.text("region")), genome.contigs)
    columns = (table.text("id"), table.text("region"), table.whole("start"), table.whole("end"), table.text("strand"))
    for name, region, start, end, strand in zip(*columns, strict=True):
        contig = contigs.get(region)
        if contig is None:
            raise ConfigError(f"{path}: {genome.name} has no contig {region}; give the FASTA that metadata.yaml names.")
        if not 0 <= start < end <= genome.contigs[contig]:
            raise ConfigError(
                f"{path}: {region}:{start}-{end} is not within {contig} of {genome.name}, which has {genome.contigs[contig]:,} "
                "bases; give the FASTA that metadata.yaml names."
            )
        codes = genome.window(contig, start, end - start)
        yield name, decode(reverse_complement(codes) if strand == "-" else codes)
