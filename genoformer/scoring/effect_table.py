"""Parts of rows -> TSV of joint effects of several variants; an interrupted run resumes from its finished parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from genoformer import inference
from genoformer.compute import THREADS, InputParts, PartedRun, resumable, resumed_threads
from genoformer.errors import ConfigError
from genoformer.files import atomic_write, sha256_of
from genoformer.genome.fit import Fit
from genoformer.genome.preflight import check_preflight, preflight
from genoformer.genome.preflight_result import Preflight
from genoformer.genome.reference import Genome
from genoformer.genome.variant_input import VariantInput
from genoformer.progress import ProgressCallback, Stage
from genoformer.scoring.job import HaplotypeJob, PairsJob
from genoformer.scoring.parts import RowFolder, Rows
from genoformer.scoring.scorers import open_haplotype_scorer
from genoformer.scoring.settings import Runtime, Scoring
from genoformer.scoring.variant_scorer import HaplotypeScorer, strand_notes
from genoformer.tables import tsv_line

Input = TypeVar("Input")
N_ROWS, N_SEQUENCES = "rows", "sequences"  # keys in the counts of a part


class HaplotypeSummary(NamedTuple):
    """Counts of written rows and of alleles or genotypes left out, by reason."""

    n_rows: int
    n_sequences: int  # sequences that the model has read, without the references
    left_out: dict[str, int]
    reused: int  # parts that an earlier, interrupted run had finished
    notes: tuple[str, ...]  # on contigs and records that do not match the genome
    fixed: dict[str, int]  # word of GF_FIX -> number of corrected ALTs


class UnsortedError(ConfigError):
    """The records of a VCF are not sorted; its finished parts cannot be reused for the sorted VCF."""


RowsOf = Callable[[HaplotypeScorer, Input], Rows]


@dataclass(frozen=True)
class RowTask(Generic[Input]):
    """Rows of a part, from its input and a scorer; `rows` is a function of a module, or a partial of one."""

    genome: Genome
    scoring: Scoring
    runtime: Runtime
    rows: RowsOf[Input]
    threads: int  # of a process

    @property
    def device(self) -> str:
        return self.runtime.device

    @contextmanager
    def open(self) -> Iterator[Callable[[Input], Rows]]:
        """Yield the function that computes the rows of a part; the models are on their device in the block."""
        with (
            inference.threads(self.threads),
            open_haplotype_scorer(self.genome, self.scoring, self.runtime) as scorer,
        ):
            yield lambda part: self.rows(scorer, part)


@dataclass(frozen=True)
class EffectTable(Generic[Input]):
    """A table to write: its columns, its parts, and what they depend on."""

    job: HaplotypeJob | PairsJob
    variants: VariantInput
    settings: dict[str, str]  # on which the rows depend, such as the options and inputs of the scorer
    preflight: Preflight
    header: Sequence[str]
    stage: str
    n_parts: int | None  # None: not known

    def write(self, inputs: Callable[[], Iterable[Input]], rows: RowsOf[Input], progress: ProgressCallback) -> HaplotypeSummary:
        """Write the rows of all parts; each finished part is stored, so that an interrupted run resumes.

        inputs: returns the inputs of the parts, the same on each call. A shard computes its parts only.
        """
        job, output, compute = self.job, self.job.output, self.job.compute
        n_threads = compute.n_threads(resumed_threads(output), inference.n_cores())
        totals: Counter[str] = Counter()
        stage = Stage(progress, self.stage, self.n_parts)
        folder = RowFolder(output, self._fingerprint(n_threads))
        try:
            with resumable(folder, output, compute):
                task = RowTask(job.genome, job.scoring, job.runtime, rows, n_threads)
                run = PartedRun(InputParts(inputs, compute.shard), task, folder, compute, _one)
                if compute.shard is not None:
                    return self._summary(totals, folder, [run.compute_shard(output, stage)])
                with atomic_write(output) as path, path.open("w", encoding="utf-8") as file:
                    file.write(tsv_line(self.header) + "\n")
                    for _, part in run.results(stage):
                        file.write(part.lines)
                        totals.update(part.counts)
        except UnsortedError:
            folder.remove()
            raise
        return self._summary(totals, folder)

    def _summary(self, totals: Counter[str], folder: RowFolder, notes: Sequence[str] = ()) -> HaplotypeSummary:
        n_rows, n_sequences = totals.pop(N_ROWS, 0), totals.pop(N_SEQUENCES, 0)
        findings = (*self.variants.notes, *self.preflight.findings, *notes)
        return HaplotypeSummary(n_rows, n_sequences, dict(totals), folder.n_found, findings, {})

    def _fingerprint(self, n_threads: int) -> dict[str, str]:
        """Return what the rows depend on, for job.json."""
        fix, fit = self.job.checks.fix, self.preflight.fit()
        return {
            "VCF": sha256_of(self.variants.path),
            "model": self.job.scoring.sha256,
            "scores": self.job.scoring.names,
            "FASTA": self.job.genome.signature,
            THREADS: str(n_threads) if self.job.runtime.device == "cpu" else "any",
            "contigs left out": ",".join(sorted(fit.others)),
            **({"fix": ",".join(fix)} if fix else {}),
            **self.settings,
            **self.job.runtime.parts.fingerprint(),
        }


def _one(part: object) -> int:
    return 1


def check_input(job: HaplotypeJob | PairsJob, scorer: HaplotypeScorer, variants: VariantInput) -> tuple[Preflight, Fit]:
    """Compare the VCF with the genome, and return the result and how the records are read. Raises PreflightError."""
    checks = job.checks
    checked = preflight(
        variants.path,
        job.genome,
        max_length=scorer.longest_allele,
        name=variants.name,
        fix=checks.fix,
        force=checks.force,
    ).with_notes(strand_notes(scorer))
    check_preflight(checked, force=checks.force)
    return checked, checked.fit()
