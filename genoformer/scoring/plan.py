"""score_variants(): job -> plan -> preflight -> parts of records -> scores -> sink, which gets every record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from genoformer import __version__, inference
from genoformer.annotation.overlap import Annotations, contig_notes, require_shared
from genoformer.compute.garbage import rare_collections
from genoformer.compute.partition import THREADS, resumed_threads
from genoformer.errors import ConfigError, GenoformerError
from genoformer.files import lock_folder
from genoformer.formats.vcf import Record
from genoformer.genome.codes import Codes, N
from genoformer.genome.fit import Fit
from genoformer.genome.preflight import check_preflight, preflight
from genoformer.genome.preflight_result import Preflight
from genoformer.genome.reference import Genome
from genoformer.genome.region_sources import Selection, select_regions
from genoformer.genome.variant_input import input_name, variant_file
from genoformer.genome.variants import Status
from genoformer.models import folders
from genoformer.progress import ProgressCallback, Stage
from genoformer.scoring.assembly import AddedColumns, OpenAnnotations, check_unique_info_keys, count_fixes, write_parts
from genoformer.scoring.calibration import Quantiles, quantile_columns
from genoformer.scoring.job import ScoringJob
from genoformer.scoring.matrix import MatrixFile
from genoformer.scoring.noise import Flags, flag_columns, measure, n_places
from genoformer.scoring.parts import STATUSES, PartFolder, PartResult, RecordPartition, part_size
from genoformer.scoring.quality import verify_note
from genoformer.scoring.scorers import open_reference_scorer, open_scorer
from genoformer.scoring.settings import Scoring
from genoformer.scoring.variant_scorer import VariantScorer, strand_notes
from genoformer.scoring.worker import fix_columns, score_records
from genoformer.scoring.workers import WorkerPlan, WorkerTask, plan_workers, run_parts
from genoformer.writers import Column, Header, Provenance, Sink, UnfitRecordError, open_sink

MUCH_UNKNOWN = 0.1  # fraction of a window


class Summary(NamedTuple):
    """Counts of scored and skipped alleles."""

    records: int
    scored: int  # ALTs with at least one score
    skipped: dict[str, int]  # reason -> ALTs
    seconds: float
    reused: int  # parts that an earlier, interrupted run had finished
    notes: tuple[str, ...]
    parts: int
    missing: int  # parts that other shards have not finished; if any, there is no output and no count of alleles
    fixed: dict[str, int]  # word of GF_FIX -> number of ALTs scored after correction
    below: dict[str, int]  # track score -> number of ALTs whose score is below the noise floor


def score_variants(
    job: ScoringJob, *, on_preflight: Callable[[Preflight], None] | None = None, progress: ProgressCallback = None
) -> Summary:
    """Score every ALT of a VCF or BCF and write every record.

    The output gets its final name when it is complete. Parts finished by an interrupted run are kept next to the output; the
    same job resumes from them. on_preflight: receives the result of the preflight before scoring, also if it fails.

    Raises PreflightError (the VCF does not match the reference), FileFormatError, ConfigError, JobError.

    >>> import tempfile
    >>> from importlib.resources import files
    >>> demo, folder = files("genoformer_data") / "demo", tempfile.TemporaryDirectory()
    >>> out = Path(folder.name) / "scored.vcf"
    >>> job = ScoringJob.from_names(demo / "variants.vcf.gz", demo / "genome.fa.gz", "demo", out, region="chrS1:1-9,000")
    >>> score_variants(job).records
    15
    >>> folder.cleanup()
    """
    with rare_collections(), open_plan(job, on_preflight=on_preflight, progress=progress) as plan:
        plan.compute()
        if job.shard is not None:
            return plan.shard_summary()
        plan.verify()
        return plan.assemble()


@dataclass
class Plan:
    """A checked job: what will be computed by whom, and what has been reported so far."""

    job: ScoringJob
    scoring: Scoring
    scorer: VariantScorer
    sink: Sink
    matrix: MatrixFile | None
    preflight: Preflight
    workers: WorkerPlan
    parts: PartFolder
    partition: RecordPartition
    options: dict[str, str]  # for the header
    quantiles: Quantiles | None
    notes: list[str]
    progress: ProgressCallback
    began: float
    n_parts: int = 0  # known after `compute`
    flags: Flags | None = None  # known after `verify`
    is_complete: bool = field(default=False, init=False)

    @cached_property
    def fit(self) -> Fit:
        """Rules by which the records are read on the genome."""
        return self.preflight.fit()

    @property
    def columns(self) -> list[Column]:
        """Columns of the parts: the scores, and the corrections if requested."""
        return [*self.scorer.columns, *fix_columns(self.job.checks.fix)]

    def compute(self) -> None:
        """Compute the missing parts, in this process or in a pool of workers."""
        job, threads = self.job, self.workers.threads
        if job.command:
            self.parts.note(job.command)

        def compute(records: Sequence[Record]) -> PartResult:
            with inference.threads(threads) if job.runtime.device == "cpu" else nullcontext():
                return score_records(records, job.genome, self.scorer, self.fit)

        task = WorkerTask(job.genome, self.scoring, job.runtime, self.fit, threads)
        stage = Stage(self.progress, "score", self.preflight.n_records)
        stage.report(0)  # the stage begins
        self.n_parts = run_parts(self.workers, self.partition, self.parts, compute, task, stage)

    def shard_summary(self) -> Summary:
        """Return the summary of one shard, which has no output."""
        n_missing = self.n_parts - len(self.parts.numbers())
        return self._summary(0, {}, self.notes, n_missing)

    def verify(self) -> None:
        """Score some records again with the reference implementation, and measure the noise floor of track scores."""
        job, checks = self.job, self.job.checks
        if checks.n_verify:
            with open_reference_scorer(job.genome, self.scoring, job.runtime) as reference:
                again = partial(score_records, genome=job.genome, scorer=reference, names=self.fit)
                self.notes.append(verify_note(self.partition.parts, self.parts, checks.n_verify, self.columns, again))
        if not self.scorer.has_noise_floor:  # that of scores which depend on where the window begins
            return
        n = n_places(self.scorer, self.preflight.n_records, checks.n_noise)
        floor = measure(self.scorer, job.genome, self.preflight.places, n)
        if floor is not None:
            self.flags = Flags.of_scorer(self.scorer, floor)
            self.notes.append(floor.note)

    def assemble(self) -> Summary:
        """Write all records with their scores from the finished parts."""
        annotations, motifs = self.job.outputs.annotations, self.job.outputs.motifs
        added: list[AddedColumns] = [of for of in (self.quantiles, self.flags) if of is not None]
        lengths = {use.name: self.job.genome.contigs[use.reference] for use in self.preflight.contigs if use.reference}
        header, stage = self._header(added, lengths), Stage(self.progress, "write", self.preflight.n_records)
        # the matrix gets its final name before the output, so that a finished output implies a finished matrix
        with ExitStack() as closing:
            output = closing.enter_context(self.sink.writing(header))
            matrix = closing.enter_context(self.matrix.writing()) if self.matrix else None
            opened = None
            if annotations is not None or motifs is not None:
                chosen = annotations or Annotations([])
                opened = OpenAnnotations(chosen, closing.enter_context(chosen.open_lookups(self.job.genome)), motifs)
            counts = write_parts(self.partition.parts(), self.parts, output, matrix, added, opened, stage)
        scores = self.flags.flagged(self.scorer.scores) if self.flags else []
        below = {name: self.flags.n_below[name] for name in scores} if self.flags else {}
        notes = [*self.sink.notes, *self.notes, *filter(None, [self.flags.note(scores) if self.flags else ""])]
        if annotations is not None:
            notes += [note for of in annotations.all for note in of.notes]
            contigs = {use.name: lengths.get(use.name, 0) for use in self.preflight.contigs}
            notes += contig_notes(annotations, contigs, Path(input_name(self.job.vcf)).name)
        notes += opened.notes() if opened is not None else []
        fixed = count_fixes(self.parts, self.n_parts, len(self.scorer.columns)) if self.job.checks.fix else {}
        self.is_complete = True
        n_scored = counts.pop(Status.OK, 0)
        skipped = {status.value: counts[status] for status in STATUSES if counts[status]}
        return self._summary(n_scored, skipped, notes)._replace(fixed=fixed, below=below)

    def _summary(self, n_scored: int, skipped: dict[str, int], notes: Sequence[str], n_missing: int = 0) -> Summary:
        n_records, seconds = self.preflight.n_records, time.monotonic() - self.began
        return Summary(n_records, n_scored, skipped, seconds, self.parts.n_found, tuple(notes), self.n_parts, n_missing, {}, {})

    def _header(self, added: Sequence[AddedColumns], lengths: dict[str, int]) -> Header:
        options = ";".join(f"{key}={value}" for key, value in self.options.items())
        caution = " ".join(filter(None, (self.job.caution, *strand_notes(self.scorer))))
        origin = Provenance(__version__, self.job.model_name, self.scoring.sha256, options, caution)
        columns = [*self.columns, *(column for of in added for column in of.columns)]
        header = Header(self.preflight.header, lengths, columns, origin, noise=self.flags.floor.text() if self.flags else "")
        return header._replace(fields=self.job.outputs.fields, sources=self.job.outputs.sources)

    def clean_up(self, error: BaseException) -> None:
        """Remove the finished parts after an error if no rerun could use them."""
        is_ours = self.job.shard is None or isinstance(error, GenoformerError)  # another shard may have started too
        is_empty = is_ours and self.parts.is_new and not self.parts.numbers()
        if self.sink.path is None or is_empty or isinstance(error, UnfitRecordError):  # a rerun needs another output
            self.parts.remove()


@contextmanager
def open_plan(
    job: ScoringJob, *, on_preflight: Callable[[Preflight], None] | None = None, progress: ProgressCallback = None
) -> Iterator[Plan]:
    """Check a job and yield its plan; the folder of parts is removed when the plan is complete.

    All that can be refused is refused here, before any score is computed.
    """
    began, outputs, checks = time.monotonic(), job.outputs, job.checks
    sink = outputs.sink if isinstance(outputs.sink, Sink) else open_sink(outputs.sink)
    region = select_regions(job.region, job.genome.contigs, job.genome.name)
    scoring = _with_matrix(job, sink)
    with (
        variant_file(job.vcf, job.genome, job.name, regions=region.intervals if region else None) as (vcf, shown, input_notes),
        open_scorer(job.genome, scoring, job.runtime) as scorer,
        ExitStack() as lock,
    ):
        flags = flag_columns(scorer) if scorer.has_noise_floor and checks.n_noise != 0 else []
        check_unique_info_keys([*scorer.columns, *flags])
        layout = scorer.matrix_layout
        matrix = MatrixFile(outputs.matrix, layout) if outputs.matrix is not None and layout else None
        checked = preflight(
            vcf,
            job.genome,
            max_length=scorer.longest_allele,
            region=region,
            name=shown,
            fix=checks.fix,
            force=checks.force,
            progress=progress,
        ).with_notes(input_notes)
        if on_preflight:
            on_preflight(checked)
        check_preflight(checked, force=checks.force)
        _check_sink(job, sink, checked, [*scorer.columns, *fix_columns(checks.fix), *flags])
        quantiles, notes = _quantiles(job, scoring, scorer)
        threads = job.runtime.threads or resumed_threads(sink.path)
        workers = plan_workers(scorer, checked.n_records, job.runtime, threads=threads, sharded=job.shard is not None)
        options = _options(job, scoring, scorer, region)
        ticket = _fingerprint(job, scoring, checked, checked.fit(), workers.threads) | options | scorer.inputs
        parts = PartFolder(sink.path, ticket, scoring.current_job)
        if job.shard is None and sink.path is not None:  # several shards may run together
            lock.enter_context(lock_folder(parts.path, sink.path))
        size = part_size(scorer.flops_per_variant, scorer.sharing_distance, checked.longest, job.runtime.parts)
        contigs = tuple(job.genome.contigs) if region else ()
        intervals = region.intervals if region else None
        partition = RecordPartition(vcf, intervals, checked.n_records, size, job.shard, scorer.cost, contigs)
        if job.assemble:
            partition.require(parts)
        notes = [*checked.findings, *scoring.window_notes(job.model_name), *_input_notes(job, checked, scorer), *notes]
        plan = Plan(
            job, scoring, scorer, sink, matrix, checked, workers, parts, partition, options, quantiles, notes, progress, began
        )
        try:
            yield plan
        except BaseException as error:
            plan.clean_up(error)
            raise
        if plan.is_complete:
            parts.remove()


def _with_matrix(job: ScoringJob, sink: Sink) -> Scoring:
    """Return the settings of the scores, with the values of every track or class if the job has a matrix."""
    matrix = job.outputs.matrix
    if matrix is None:
        return job.scoring
    if sink.path is not None and Path(matrix).absolute() == sink.path.absolute():
        raise ConfigError(f"{matrix}: the output and the matrix would be one file; give the matrix another name.")
    return job.scoring.with_matrix()


def _check_sink(job: ScoringJob, sink: Sink, checked: Preflight, columns: Sequence[Column]) -> None:
    """Refuse a header or annotations that the sink cannot hold, now and not after hours of scoring."""
    annotations = job.outputs.annotations
    if annotations is not None:
        require_shared(annotations, {**{use.name: 0 for use in checked.contigs}, **job.genome.contigs}, input_name(job.vcf))
    fields, sources = job.outputs.fields, job.outputs.sources
    sink.check(Header(checked.header, {}, columns, Provenance(__version__), fields, sources))


def _quantiles(job: ScoringJob, scoring: Scoring, scorer: VariantScorer) -> tuple[Quantiles | None, list[str]]:
    """Return the quantile columns, if the job has a calibration that applies, and notes on it."""
    notes = []
    if job.runtime.precision == "bfloat16" and scorer.matrix_layout is not None:
        notes.append("bfloat16: its rounding can be as large as the effect of a base; the option verify measures the error.")
    calibration = job.outputs.calibration
    if calibration is None or scoring.has_parts:
        what = "model" if scoring.of_models else "head"
        of_heads = [f"no quantiles: a calibration is of one {what}; score a {what} alone for them."] if calibration else []
        return None, [*notes, *of_heads]
    if reason := calibration.incompatibility(scorer, scoring.sha256):
        return None, [*notes, f"no quantiles: of the calibration with {calibration.background}, {reason}; calibrate again."]
    return quantile_columns(scorer, calibration), [*notes, *calibration.notes(scorer)]


def _options(job: ScoringJob, scoring: Scoring, scorer: VariantScorer, region: Selection | None) -> dict[str, str]:
    """Return the options that the values depend on, as text for the header."""
    options = {"scores": scoring.names, **scorer.options, "precision": job.runtime.precision, "reference": job.genome.name}
    options |= {"region": region.text} if region else {}
    return options | ({"fix": ",".join(job.checks.fix)} if job.checks.fix else {})


def _fingerprint(job: ScoringJob, scoring: Scoring, checked: Preflight, fit: Fit, threads: int) -> dict[str, str]:
    """Return what the scores depend on besides the options and inputs of the scorer, for PartFolder."""
    return scoring.fingerprint() | {
        "VCF": checked.sha256,
        "FASTA": job.genome.signature,
        "device": job.runtime.device,
        "batch size": str(job.runtime.batch_size or "auto"),
        THREADS: str(threads) if job.runtime.device == "cpu" else "any",
        "version": __version__,
        "statuses": ",".join(STATUSES),  # parts store their indices
        "contigs left out": ",".join(sorted(fit.others)),
        **job.runtime.parts.fingerprint(),
    }


def _input_notes(job: ScoringJob, checked: Preflight, scorer: VariantScorer) -> list[str]:
    """Return cautions of the models' cards, and notes on models trained on the sequence around the records, and on much N.

    Of records with a known base at the centre and an allele to score, windows with much N or beyond a contig are counted.
    """
    what = f"the sequence around the records of {checked.vcf}"
    windows = partial(_sample_windows, genome=job.genome, length=scorer.window)
    overlaps = (folders.training_overlap_note(model, name, windows(checked.places), what) for name, model in job.named_models)
    notes = [*job.cautions, *dict.fromkeys(note for note in (*strand_notes(scorer), *overlaps) if note)]
    known = [window for window in windows(checked.places_with_bases) if window[scorer.window // 2] < N]
    n = sum(float((window >= N).mean()) > MUCH_UNKNOWN for window in known)
    if n:
        have = "has a window" if n == 1 else "have windows"
        notes.append(
            f"unknown bases: of {len(known):,} sampled records, {n:,} {have} of which more than "
            f"{100 * MUCH_UNKNOWN:.0f} % is N or beyond the contig; few windows of the training data were like these."
        )
    return notes


def _sample_windows(sample: Iterable[tuple[str, int]], genome: Genome, length: int) -> Iterator[Codes]:
    """Yield the windows around a sample of the records."""
    starts: dict[str, list[int]] = {}
    for contig, start in sample:
        starts.setdefault(contig, []).append(start - length // 2)
    for contig, of_contig in starts.items():
        yield from genome.windows(contig, of_contig, length)
