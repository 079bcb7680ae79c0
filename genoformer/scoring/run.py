"""score_variants(): VCF -> preflight -> parts of records -> evidence -> scores -> sink, which gets every record."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer import __version__, inference
from genoformer.annotation.overlap import Annotations, cells_of_records, contig_notes, require_shared
from genoformer.errors import ConfigError, GenoformerError
from genoformer.files import lock_folder
from genoformer.formats.vcf import Record, open_vcf, seekable_copy
from genoformer.genome.codes import Codes, N
from genoformer.genome.fit import FIX_MEANING, FIX_WORDS, Fit, check_fit
from genoformer.genome.preflight import Preflight, check_preflight, preflight
from genoformer.genome.reference import Genome
from genoformer.genome.region_text import parse_region
from genoformer.genome.variants import ContigNames, Status, Variant
from genoformer.models import registry
from genoformer.models.enformer.model import Enformer
from genoformer.progress import Progress, ProgressCallback
from genoformer.scoring.matrix import MatrixFile, MatrixWriter
from genoformer.scoring.noise import Flags, flag_columns, measure, n_places
from genoformer.scoring.parts import THREADS, PartFolder, Partition, PartResult, part_size, resumed_threads, run_local
from genoformer.scoring.quality import verify_note
from genoformer.scoring.quantiles import Calibration, Quantiles, quantiles_of
from genoformer.scoring.scorers import Model, Scorer, ScoringSpec, TrackOptions
from genoformer.scoring.scores import Score, ScoreBatch, TrackScoreMatrix, check_unique_info_keys
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.workers import WorkerPlan, WorkerTask, make_pool, plan_workers, run_pool
from genoformer.writers import NO_CELLS, Column, Header, Provenance, RecordWriter, Sink, UnfitRecordError, open_sink

MUCH_UNKNOWN = 0.1  # fraction of a window
_STATUSES = list(Status)
_NUMBER = {status: i for i, status in enumerate(_STATUSES)}


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
    variants: str | Path,
    genome: Genome,
    models: Model | Sequence[Model],
    scores: Sequence[Score],
    sink: str | Path | Sink,
    *,
    name: str | None = None,
    model_name: str = "model",
    context: int | None = None,
    both_strands: bool = True,
    region: str | None = None,
    device: str = "cpu",
    precision: str = "float32",
    batch_size: int | None = None,
    force: bool = False,
    fix: Sequence[str] = (),
    of_tracks: TrackOptions | None = None,
    matrix: str | Path | None = None,
    n_noise: int | None = None,
    n_verify: int = 0,
    calibration: Calibration | None = None,
    annotations: Annotations | None = None,
    workers: int | None = None,
    threads: int | None = None,
    engine: str = "local",
    shard: tuple[int, int] | None = None,
    assemble: bool = False,
    command: Sequence[str] = (),
    on_preflight: Callable[[Preflight], None] | None = None,
    progress: ProgressCallback = None,
) -> Summary:
    """Score every ALT of a VCF or BCF ("-" is standard input) and write every record to `sink`.

    The output gets its final name when it is complete. Parts finished by an interrupted run are kept next to the output; the
    same call resumes from them.

    name: name of the VCF in messages, if `variants` is a copy.
    models: one model, or several of one kind (an ensemble), whose scores are averaged.
    scores: from SCORES; each applies to the alleles of its kind.
    context: bases in a window; default: that of the model.
    both_strands: average over both strands.
    region: score only records whose REF overlaps it.
    force: continue if the preflight fails.
    fix: corrections ("swap", "strand", "shift") for records whose REF differs from the reference; see `preflight`.
    of_tracks: options for track models.
    matrix: Parquet or AnnData file for the scores of every track; the table in `sink` has only some tracks.
    n_noise: positions at which the noise floor of track scores is measured; scores below the floor are flagged. None: one per
        20 records, at most 16 (for a small model at least 8). 0: no floor.
    n_verify: number of random records to score again with the reference implementation.
    calibration: adds the quantile of each score among those of a background; a note gives the reason if it does not apply.
    annotations: elements and genes; adds those that each record overlaps.
    workers: number of processes, each with the model; None: one per core if a small model has work for minutes, else one.
    threads: CPU threads per process; the last digits of scores depend on it. None: one if several processes run a small
        model, else all cores. A resumed run keeps the number it started with.
    engine: "local", "ray" or "ray:ADDRESS".
    shard: (i, n), i from 1: compute only every n-th part, without output; a last call without `shard` writes the output.
    assemble: refuse to run if a part is missing.
    command: command line to store with the parts.

    Raises PreflightError (the VCF does not match the reference), FileFormatError, ConfigError, JobError.
    """
    sink = sink if isinstance(sink, Sink) else open_sink(sink)
    tell = progress or (lambda _: None)
    began = time.monotonic()
    wanted = parse_region(region, genome.contigs) if region else None
    given = tuple(models) if isinstance(models, Sequence) else (models,)
    if matrix is not None and sink.path is not None and Path(matrix).absolute() == sink.path.absolute():
        raise ConfigError(f"{matrix}: the output and the matrix would be one file; give the matrix another name.")
    if matrix is not None:
        of_tracks = (of_tracks or TrackOptions())._replace(matrix=True)
    names_of_scores = ",".join(score.name for score in scores)
    work = ScoringSpec(given, genome, names_of_scores, context, both_strands, device, precision, batch_size, of_tracks)
    with seekable_copy(variants) as vcf, work.open_scorer() as scorer, ExitStack() as alone:
        flagged = flag_columns(scorer) if isinstance(scorer, TrackScorer) and n_noise != 0 else []
        check_unique_info_keys([*scorer.columns, *flagged])
        whole = MatrixFile(matrix, scorer.layout) if matrix is not None and isinstance(scorer, TrackScorer) else None
        found = preflight(
            vcf,
            genome,
            max_length=scorer.longest_allele,
            region=wanted,
            name=name or variants,
            asked=fix,
            force=force,
            progress=lambda n: tell(Progress("preflight", n, None)),
        )
        if on_preflight:
            on_preflight(found)
        check_preflight(found, force=force)
        fit = found.fit()
        columns = [*scorer.columns, *fix_columns(fix)]
        if annotations is not None:
            require_shared(annotations, {**{use.name: 0 for use in found.contigs}, **genome.contigs}, str(variants))
        with open_vcf(vcf) as file:  # fails now, not after hours of scoring
            fields, sources = (annotations.fields, annotations.sources) if annotations is not None else ((), ())
            sink.check(Header(file.header, {}, [*columns, *flagged], Provenance(__version__), fields=fields, sources=sources))
        notes = [
            *found.findings,
            *_training_overlap_notes(work, model_name, found, scorer.length),
            *_n_content_notes(work, found, scorer.length),
        ]
        options = {"scores": names_of_scores, **scorer.options, "precision": precision, "reference": genome.name}
        options |= {"region": region} if region else {}
        options |= {"fix": ",".join(fix)} if fix else {}
        if precision == "bfloat16" and isinstance(scorer, TrackScorer):
            notes.append("bfloat16: rounding is as large as the effect of many a base; --verify tells how far off it is.")
        why = calibration.incompatibility(scorer, work.sha256) if calibration else None
        if calibration and why:
            notes.append(f"no quantiles: of the calibration with {calibration.background}, {why}; calibrate anew.")
        quantiles = quantiles_of(scorer, calibration) if calibration and not why else None
        notes += calibration.notes(scorer) if calibration and not why else []
        how = plan_workers(
            scorer.flops_per_variant,
            found.n_records,
            device=device,
            engine=engine,
            workers=workers,
            threads=threads or resumed_threads(sink.path),
            divided=shard is not None,
        )
        parts = PartFolder(sink.path, _fingerprint(found, fit, work, how.threads, options | scorer.inputs))
        if shard is None and sink.path is not None:  # several shards may run together
            alone.enter_context(lock_folder(parts.path, sink.path))
        size = part_size(scorer.flops_per_variant, scorer.sharing_distance, found.longest)
        cut = Partition(vcf, wanted, found.n_records, size, shard, scorer.cost, tuple(genome.contigs) if wanted else ())
        if assemble:
            cut.require(parts)
        try:
            if command:
                parts.note(command)
            _compute(cut, parts, work, scorer, how, found.n_records, fit, tell)
            if shard is not None:
                missing = cut.n_parts - len(parts.numbers())
                seconds = time.monotonic() - began
                return Summary(found.n_records, 0, {}, seconds, parts.n_found, tuple(notes), cut.n_parts, missing, {}, {})
            if n_verify:
                with work.reference_scorer() as naive:
                    again = partial(score_records, genome=genome, scorer=naive, names=fit)
                    notes.append(verify_note(cut.parts, parts, n_verify, columns, again))
            flags = None
            if isinstance(scorer, TrackScorer):
                floor = measure(scorer, genome, found.places, n_places(scorer, found.n_records, n_noise))
                flags = Flags.of_scorer(scorer, floor) if floor else None
                notes += [floor.note(len(scorer.tracks))] if floor else []
            settings = ";".join(f"{key}={value}" for key, value in options.items())
            origin = Provenance(__version__, model_name, work.sha256, settings)
            lengths = {use.name: genome.contigs[use.reference] for use in found.contigs if use.reference}
            added = [*(quantiles.columns if quantiles else []), *(flags.columns if flags else [])]
            with open_vcf(vcf) as file:
                header = Header(file.header, lengths, [*columns, *added], origin)
                header = header._replace(noise=flags.floor.text()) if flags else header
                if annotations is not None:
                    header = header._replace(fields=annotations.fields, sources=annotations.sources)
                # the matrix gets its final name before the output, so that a finished output implies a finished matrix
                with sink.writing(header) as out, whole.writing() if whole else nullcontext() as matrix_out:
                    scored, skipped = _assemble(
                        cut.of(file), parts, out, matrix_out, quantiles, flags, annotations, tell, found.n_records
                    )
            below = {score.name: flags.n_below[score.name] for score in scorer.scores} if flags else {}
            notes += [flags.note(list(below))] if flags else []
            fixed = _count_fixes(parts, cut.n_parts, len(scorer.columns)) if fix else {}
        except BaseException as error:
            mine = shard is None or isinstance(error, GenoformerError)  # another shard may have started too
            nothing = mine and parts.is_new and not parts.numbers()
            if sink.path is None or nothing or isinstance(error, UnfitRecordError):  # a rerun needs another output
                parts.remove()
            raise
        parts.remove()
    if annotations is not None:
        notes += [note for each in annotations.all for note in each.notes]
        notes += contig_notes(annotations, {use.name: lengths.get(use.name, 0) for use in found.contigs}, Path(variants).name)
    seconds = time.monotonic() - began
    said = (*sink.notes, *notes)
    return Summary(found.n_records, scored, skipped, seconds, parts.n_found, said, cut.n_parts, 0, fixed, below)


def fix_columns(asked: Sequence[str]) -> list[Column]:
    """Return the column with the correction of each ALT, if corrections are requested."""
    meaning = ", ".join(f"{word} ({text})" for word, text in FIX_MEANING.values())
    text = f"How REF, ALT or POS was read for the scores of this ALT, where not as written: {meaning}."
    return [Column("FIX", "a fix", text, FIX_WORDS)] if asked else []


def _count_fixes(parts: PartFolder, n_parts: int, column: int) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for i in range(n_parts):
        scored = parts.get(i)
        assert scored is not None
        of = scored.values[:, column]
        counts.update(FIX_WORDS[int(number)] for number in of[~np.isnan(of)])
    return dict(counts)


def _training_overlap_notes(work: ScoringSpec, model_name: str, found: Preflight, length: int) -> list[str]:
    """Return notes on models whose training data contain the sequence around the records."""
    what = f"the sequence around the records of {found.vcf}"
    notes = [
        registry.training_overlap_note(model, model_name, _sample_windows(found.places, work.genome, length), what)
        for model in work.models
    ]
    return list(dict.fromkeys(note for note in notes if note))


def _n_content_notes(work: ScoringSpec, found: Preflight, length: int) -> list[str]:
    """Return a note if many windows contain much N or reach beyond a contig.

    Only records with a known base at the centre and an allele to score count.
    """
    windows = _sample_windows(found.places_with_bases, work.genome, length)
    shares = [float((window >= N).mean()) for window in windows if window[length // 2] < N]
    n = sum(share > MUCH_UNKNOWN for share in shares)
    if not n:
        return []
    have = "has a window" if n == 1 else "have windows"
    return [
        f"unknown bases: of {len(shares):,} records that were looked at, {n:,} {have} of which more than "
        f"{MUCH_UNKNOWN:.0%} is N or beyond the contig; what a model says of those it was hardly trained for."
    ]


def _compute(
    cut: Partition,
    parts: PartFolder,
    work: ScoringSpec,
    scorer: Scorer,
    how: WorkerPlan,
    n_records: int,
    fit: Fit,
    tell: Callable[[Progress], None],
) -> None:
    """Compute the missing parts, in this process or in a pool of workers."""
    done = 0

    def count(n: int) -> None:
        nonlocal done
        done += n
        tell(Progress("score", done, n_records))

    def compute(records: Sequence[Record]) -> PartResult:
        with inference.threads(how.threads) if work.device == "cpu" else nullcontext():
            return score_records(records, work.genome, scorer, fit)

    count(0)  # the stage begins
    if how.runs_in_process(n_left := cut.n_missing(parts)):
        run_local(cut.parts(), compute, parts, count, cut.in_shard)
    else:
        pool = make_pool(how, n_left, WorkerTask(work, fit, how.threads))
        run_pool(cut.parts(), pool, parts, count, cut.in_shard)


def _sample_windows(sample: Iterable[tuple[str, int]], genome: Genome, length: int) -> Iterator[Codes]:
    """Yield the windows around a sample of the records."""
    places: dict[str, list[int]] = {}
    for contig, start in sample:
        places.setdefault(contig, []).append(start - length // 2)
    for contig, starts in places.items():
        yield from genome.windows(contig, starts, length)


def score_records(records: Sequence[Record], genome: Genome, scorer: Scorer, names: ContigNames) -> PartResult:
    """Return the statuses and values of all ALTs of some records, the work of one part; depends on the arguments only.

    names: a Fit, whose corrections add a column, or only names of contigs.
    """
    checked = check_fit(records, genome, names, scorer.longest_allele)
    statuses = [s for row in checked.statuses for s in row]
    rows: list[int] = []
    variants: list[Variant] = []
    row = 0
    for record in checked.records:
        for alt in record.alts or (".",):
            if statuses[row] is Status.OK:
                contig = names.get(record.chrom)
                assert contig is not None
                rows.append(row)
                variants.append(Variant(contig, record.pos, record.ref.upper(), alt.upper()))
            row += 1
    values = np.full((len(statuses), len(scorer.columns)), np.nan, dtype=np.float32)
    answers = scorer(variants) if variants else ScoreBatch([], values[:0])
    values[rows] = answers.values
    for i, status in zip(rows, answers.statuses, strict=True):
        statuses[i] = status
    if isinstance(names, Fit) and names.is_asked:
        each = [fix for fix, row in zip(checked.fixes, checked.statuses, strict=True) for _ in row]
        done = (np.array(each) >= 0) & ~np.isnan(values).all(axis=1)
        values = np.hstack([values, np.where(done, each, np.nan)[:, None].astype(np.float32)])
    matrix = (
        _expand_to_all_alts(answers.matrix, rows, records, len(scorer.scores), scorer.n_matrix) if scorer.n_matrix else None
    )
    return PartResult.of(np.array([_NUMBER[s] for s in statuses], dtype=np.uint8), values, matrix)


def _expand_to_all_alts(
    matrix: TrackScoreMatrix | None, rows: Sequence[int], records: Sequence[Record], n_scores: int, n_tracks: int
) -> TrackScoreMatrix:
    """Expand the matrix of the scored variants in `rows` to all ALTs; ALTs without a score get rows of NaN."""
    numbers = [0, *np.cumsum([max(1, len(record.alts)) for record in records]).tolist()]
    alts = [numbers[i] + j for i, record in enumerate(records) for j in range(len(record.alts))]
    rest = [(row, score, -1, 1) for row in sorted(set(alts) - set(rows)) for score in range(n_scores)]
    index = np.array(rest, dtype=np.int32).reshape(-1, 4)
    values = np.full((len(rest), n_tracks), np.nan, dtype=np.float32)
    if matrix is not None:
        known = matrix.rows.copy()
        known[:, 0] = np.asarray(rows)[known[:, 0]]
        index, values = np.concatenate([known, index]), np.concatenate([matrix.values, values])
    order = np.argsort(index[:, 0], kind="stable")
    return TrackScoreMatrix(index[order], values[order])


def _assemble(
    chunked: Iterator[list[Record]],
    parts: PartFolder,
    out: RecordWriter,
    matrix: MatrixWriter | None,
    quantiles: Quantiles | None,
    flags: Flags | None,
    annotations: Annotations | None,
    tell: Callable[[Progress], None],
    total: int,
) -> tuple[int, dict[str, int]]:
    """Write the records of all parts with their scores in order; return counts of scored and skipped ALTs."""
    counts: Counter[Status] = Counter()
    done = 0
    for i, chunk in enumerate(chunked):
        scored = parts.get(i)
        assert scored is not None
        at = 0
        values = np.hstack([scored.values, quantiles.of(scored.values)]) if quantiles else scored.values
        values = np.hstack([values, flags.of(chunk, scored.values)]) if flags else values
        statuses = [_STATUSES[n] for n in scored.statuses]
        counts.update(statuses)
        cells = cells_of_records(annotations, chunk) if annotations else {}
        for j, record in enumerate(chunk):
            rows = slice(at, at + max(1, len(record.alts)))
            out.write(record, statuses[rows], values[rows], cells.get(j, NO_CELLS))
            if matrix is not None:
                mine = slice(*np.searchsorted(scored.rows[:, 0], [at, rows.stop]).tolist())
                matrix.write(record, at, scored.rows[mine], scored.matrix[mine])
            at = rows.stop
        done += len(chunk)
        tell(Progress("write", done, total))
    n_scored = counts.pop(Status.OK, 0)
    return n_scored, {status.value: counts[status] for status in _STATUSES if counts[status]}


def _hash_of_tokenizer(model: Model) -> str:
    return "" if isinstance(model, Enformer) else hashlib.sha256(repr(model.tokenizer.to_dict()).encode()).hexdigest()


def _fingerprint(found: Preflight, fit: Fit, work: ScoringSpec, threads: int, options: dict[str, str]) -> dict[str, str]:
    """Return all that the scores depend on, for PartFolder."""
    return options | {
        "VCF": found.sha256,
        "model": work.sha256,
        "FASTA": work.genome.signature,
        "device": work.device,
        "batch size": str(work.batch_size or "auto"),
        THREADS: str(threads) if work.device == "cpu" else "any",
        "version": __version__,
        "statuses": ",".join(_STATUSES),  # parts store their indices
        "contigs left out": ",".join(sorted(fit.others)),
        "model configuration": " ".join(f"{model.config} {_hash_of_tokenizer(model)}" for model in work.models),
    }
