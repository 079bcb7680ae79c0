"""Parts of rows -> TSV of joint effects of several variants; an interrupted run resumes from its finished parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from genoformer import inference
from genoformer.errors import ConfigError
from genoformer.files import atomic_write, sha256_of
from genoformer.genome.fit import Fit
from genoformer.genome.preflight import check_preflight, preflight
from genoformer.genome.preflight_result import Preflight
from genoformer.genome.variant_input import VariantInput
from genoformer.progress import Progress, ProgressCallback
from genoformer.scoring.job import HaplotypeJob, PairsJob
from genoformer.scoring.parts import THREADS, RowFolder, Rows
from genoformer.scoring.scorers import HaplotypeScorer
from genoformer.tables import tsv_line

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


class EffectTable(NamedTuple):
    """A table to write: its columns, and what its parts depend on."""

    job: HaplotypeJob | PairsJob
    variants: VariantInput
    scorer: HaplotypeScorer
    preflight: Preflight
    header: Sequence[str]
    ticket: dict[str, str]  # entries for job.json
    stage: str
    n_parts: int | None  # None: not known

    def write(self, parts: Iterable[Callable[[], Rows]], progress: ProgressCallback) -> HaplotypeSummary:
        """Write the rows of all parts; each finished part is stored, so that an interrupted run resumes."""
        output = self.job.output
        folder = RowFolder(output, self._fingerprint())
        totals: Counter[str] = Counter()
        try:
            with atomic_write(output) as path, path.open("w", encoding="utf-8") as file:
                file.write(tsv_line(self.header) + "\n")
                for i, compute in enumerate(parts):
                    rows = folder.get_or_compute(i, compute)
                    file.write(rows.lines)
                    totals.update(rows.counts)
                    if progress is not None:
                        progress(Progress(self.stage, i + 1, self.n_parts))
        except BaseException as error:
            if isinstance(error, UnsortedError) or (folder.is_new and not folder.numbers()):
                folder.remove()
            raise
        folder.remove()
        notes = (*self.variants.notes, *self.preflight.findings)
        n_rows, n_sequences = totals.pop(N_ROWS, 0), totals.pop(N_SEQUENCES, 0)
        return HaplotypeSummary(n_rows, n_sequences, dict(totals), folder.n_found, notes, {})

    def _fingerprint(self) -> dict[str, str]:
        """Return what the rows depend on, for job.json."""
        fix, fit = self.job.checks.fix, self.preflight.fit()
        return {
            "VCF": sha256_of(self.variants.path),
            "model": self.job.scoring.sha256,
            "scores": self.job.scoring.names,
            "FASTA": self.job.genome.signature,
            THREADS: str(inference.n_cores()) if self.job.runtime.device == "cpu" else "any",
            **self.ticket,
            "contigs left out": ",".join(sorted(fit.others)),
            **({"fix": ",".join(fix)} if fix else {}),
            **self.scorer.options,
            **self.scorer.inputs,
            **self.job.runtime.parts.fingerprint(),
        }


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
    )
    check_preflight(checked, force=checks.force)
    return checked, checked.fit()
