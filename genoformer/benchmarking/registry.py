"""Benchmarks by name: reader, measure and reading of scores, with the texts of data/benchmarks.toml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from genoformer.benchmarking import measures
from genoformer.benchmarking.assay_readers import read_cagi5, read_crispri, read_mpra
from genoformer.benchmarking.measures import Measure
from genoformer.benchmarking.sequence_readers import SequenceTask, read_genomic_benchmarks, read_gue, read_nt
from genoformer.benchmarking.texts import Published, benchmark_texts
from genoformer.benchmarking.truth_set import TruthSet
from genoformer.benchmarking.variant_readers import read_clinvar, read_pairs, read_qtl, read_traitgym
from genoformer.genome.reference import Genome

Reading = Literal["signed", "size", "harmful"]
ReadTruth = Callable[[Path, Genome | None], TruthSet]
ReadTasks = Callable[[Path, Genome | None], list[SequenceTask]]


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
EFFECTS = ("mpra", "cagi5")  # measured effects of substitutions in elements
_SEQUENCES: dict[str, ReadTasks] = {
    "gue": read_gue,
    "genomic-benchmarks": read_genomic_benchmarks,
    "nucleotide-transformer": read_nt,
}


def _benchmark(name: str) -> Benchmark:
    texts = benchmark_texts()[name]
    if name in _SEQUENCES:
        return Benchmark(name, reading="signed", read=None, measure=None, tasks=_SEQUENCES[name], **texts)
    if name == "crispri":
        return Benchmark(name, reading="signed", read=read_crispri, measure=measures.by_distance, **texts)
    reading, read, measure = _VARIANTS[name]
    return Benchmark(name, reading=reading, read=read, measure=measure, **texts)


class Benchmarks(Mapping[str, Benchmark]):
    """Benchmarks by name; the texts are read on first use."""

    def __getitem__(self, name: str) -> Benchmark:
        return _benchmark(name)

    def __iter__(self) -> Any:
        return iter(benchmark_texts())

    def __len__(self) -> int:
        return len(benchmark_texts())


BENCHMARKS = Benchmarks()
