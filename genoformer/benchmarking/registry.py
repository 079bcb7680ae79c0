"""Benchmarks by name: reader, measure, reading of scores and published figures; data/benchmarks.toml has the texts."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple

from genoformer.benchmarking import measures
from genoformer.benchmarking.assay_readers import read_cagi5, read_crispri, read_mpra
from genoformer.benchmarking.measures import Measure
from genoformer.benchmarking.sequence_readers import SequenceTask, read_genomic_benchmarks, read_gue, read_nt
from genoformer.benchmarking.truth_set import TruthSet
from genoformer.benchmarking.variant_readers import read_clinvar, read_pairs, read_qtl, read_traitgym
from genoformer.genome.reference import Genome

Reading = Literal["signed", "size", "harmful"]
ReadTruth = Callable[[Path, Genome | None], TruthSet]
ReadTasks = Callable[[Path, Genome | None], list[SequenceTask]]


class Published(NamedTuple):
    """Published figures: values by model, of a metric of a subset, and where they were read."""

    subset: str
    metric: str
    source: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Benchmark:
    """A benchmark. reading: how a score orders items: as it is, by its size, or "harmful" (low likelihood, or size).

    kind: "variants", "pairs" (enhancers and genes) or "sequences". metric: the main one.
    """

    name: str
    kind: Literal["variants", "pairs", "sequences"]
    reading: Reading
    read: ReadTruth | None  # of variants and pairs
    measure: Measure | None
    tasks: ReadTasks | None = None  # of sequences
    title: str = ""
    assembly: str = ""
    metric: str = ""
    where: str = ""
    citation: str = ""
    catalog: str = ""
    published: tuple[Published, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the description for JSON."""
        fields = ("name", "kind", "title", "assembly", "metric", "where", "citation")
        return {name: getattr(self, name) for name in fields} | {"published": [one._asdict() for one in self.published]}


_VARIANTS: dict[str, tuple[Reading, ReadTruth, Measure]] = {
    "traitgym-mendelian": ("harmful", read_traitgym, measures.by_chromosome),
    "traitgym-complex": ("size", read_traitgym, measures.by_chromosome),
    "mpra": ("signed", read_mpra, measures.by_element),
    "clinvar-noncoding": ("harmful", read_clinvar, measures.areas),
    "eqtl-pairs": ("size", read_pairs, measures.pairwise),
    "caqtl": ("signed", read_qtl, measures.causality_and_direction),
    "dsqtl": ("signed", read_qtl, measures.causality_and_direction),
    "cagi5": ("signed", read_cagi5, measures.of_challenge),
}
_SEQUENCES: dict[str, ReadTasks] = {
    "gue": read_gue,
    "genomic-benchmarks": read_genomic_benchmarks,
    "nucleotide-transformer": read_nt,
}


@cache
def _texts() -> dict[str, Any]:
    source = Path(str(files("genoformer_data"))) / "benchmarks.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))


def _benchmark(name: str) -> Benchmark:
    texts = dict(_texts()[name])
    texts["published"] = tuple(Published(**row) for row in texts.pop("published", []))
    if name in _SEQUENCES:
        return Benchmark(name, "sequences", "signed", None, None, _SEQUENCES[name], **texts)
    if name == "crispri":
        return Benchmark(name, "pairs", "signed", read_crispri, measures.by_distance, **texts)
    reading, read, measure = _VARIANTS[name]
    return Benchmark(name, "variants", reading, read, measure, **texts)


class Benchmarks(Mapping[str, Benchmark]):
    """Benchmarks by name; the texts are read on first use."""

    def __getitem__(self, name: str) -> Benchmark:
        return _benchmark(name)

    def __iter__(self) -> Any:
        return iter(_texts())

    def __len__(self) -> int:
        return len(_texts())


BENCHMARKS = Benchmarks()


def list_benchmarks() -> list[dict[str, Any]]:
    """Return a description of each benchmark: name, kind, title, assembly, metric, where, citation and published figures.

    >>> [row["metric"] for row in list_benchmarks() if row["name"] in ("mpra", "gue")]
    ['Spearman', 'mcc']
    """
    return [benchmark.to_dict() for benchmark in BENCHMARKS.values()]
