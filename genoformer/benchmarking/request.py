"""Request to run a benchmark, checked: name, files, models, scores of others, baselines, ensembles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genoformer.benchmarking.ensembles import NAMES
from genoformer.benchmarking.registry import BENCHMARKS, EFFECTS, Benchmark
from genoformer.errors import MissingFileError, OptionError
from genoformer.option_checks import check_choice, check_kind, check_names, check_number

_SIGNS = ("auto", "plus", "minus", "size")


@dataclass(frozen=True)
class BenchmarkRequest:
    """Request to run a benchmark; `run_benchmark` runs it.

    name: of `BENCHMARKS`. data: the folder or file that the authors publish; None: that of the catalog, if it was pulled.
    models: names or folders; for sequences {task} in a folder stands for the name of the task. fasta: genome, to score variants
    with models and to find REF. scores: names of scores, as for `genoformer.score`; of the files their columns. score_files:
    name -> output of `score`, or a table in the order of the benchmark's rows, as TraitGym's features. tasks: of sequences; ()
    is all. baselines: of sequences, names of `evaluation.BASELINES`. ensemble: "mean", "ranks" and "probe". sign: order of
    labelled variants by a score: "auto" (by benchmark and score), "plus", "minus" or "size". motifs: file of motifs, whose
    changes a probe of measured effects reads. options: further ones of `genoformer.score`, such as tracks or context. out:
    folder for the tables and the scores of models; an interrupted run resumes there.

    Raises OptionError for unknown names and for options that the benchmark does not use.
    """

    name: str
    data: str | Path | None = None
    models: Sequence[str] = ()
    fasta: str | Path | None = None
    scores: str | Sequence[str] = ()
    score_files: Mapping[str, str | Path] = field(default_factory=dict)
    tasks: str | Sequence[str] = ()
    baselines: str | Sequence[str] = ()
    ensemble: str | Sequence[str] = ()
    sign: str = "auto"
    motifs: str | Path | None = None
    out: str | Path | None = None
    resamplings: int = 1000
    seed: int = 0
    device: str = "auto"
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice("name", self.name, BENCHMARKS)
        for name in ("data", "fasta", "motifs", "out"):
            check_kind(name, getattr(self, name), (str, Path), "a path")
        for name in ("models", "scores", "tasks", "baselines", "ensemble"):
            check_names(name, getattr(self, name), "names")
            value = getattr(self, name)
            texts = value.split(",") if isinstance(value, str) and name != "models" else value
            names = [str(texts)] if isinstance(texts, str | Path) else [str(text).strip() for text in texts]
            object.__setattr__(self, name, tuple(filter(None, names)))
        for one in self.ensemble:
            check_choice("ensemble", one, NAMES)
        check_choice("sign", self.sign, _SIGNS)
        check_number("resamplings", self.resamplings, 1)
        check_number("seed", self.seed, 0)
        self._check_kind()

    def _check_kind(self) -> None:
        kind = self.benchmark.kind
        if kind == "sequences":
            unused = {"score_files": self.score_files, "scores": self.scores}
            if "ranks" in self.ensemble or "probe" in self.ensemble:
                raise OptionError(
                    "ensemble", "is of ranks or a probe, which are for variants, expected mean; leave the others out."
                )
        else:
            unused = {"tasks": self.tasks, "baselines": self.baselines}
            if kind == "pairs" and self.models:
                raise OptionError(
                    "models",
                    "is for variants and sequences, expected score files with chrom, start, end and gene; name those.",
                )
        if wrong := next((name for name, value in unused.items() if value), None):
            raise OptionError(wrong, f"is not for {self.name}, a benchmark of {kind}; leave it out.")
        has_probe = self.name in EFFECTS and "probe" in self.ensemble
        if self.motifs is not None and not has_probe:
            raise OptionError("motifs", "is for a probe of measured effects; add the ensemble probe, or leave it out.")
        if not self.models and not self.score_files and not self.baselines and not has_probe:
            wanted = "a score file" if kind == "pairs" else "models, a score file or a baseline"
            raise OptionError("models", f"is empty, expected {wanted} to evaluate; name one.")
        if kind == "variants" and self.models and self.fasta is None:
            raise OptionError(
                "fasta", f"is missing, expected the genome ({self.benchmark.assembly}) to score variants on; give it."
            )

    @property
    def benchmark(self) -> Benchmark:
        return BENCHMARKS[self.name]

    def path(self) -> Path:
        """Return the folder or file of the benchmark; MissingFileError says where its authors publish it."""
        if self.data is not None:
            if not Path(self.data).exists():
                raise MissingFileError(f"{self.data} does not exist; the authors publish it as {self.benchmark.where}.")
            return Path(self.data)
        if self.benchmark.catalog:
            from genoformer import catalog

            entry = catalog.entry_named(self.benchmark.catalog, "data")
            if catalog.is_here(entry):
                return catalog.folder_of(entry)
        raise MissingFileError(
            f"{self.name} has no files here; give their folder. The authors publish them as {self.benchmark.where}."
        )
