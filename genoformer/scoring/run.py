"""score_variants(): VCF -> preflight -> parts of records -> evidence -> scores -> sink; every record comes out again."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer import __version__, inference
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.genome.preflight import Preflight, check_preflight, preflight
from genoformer.genome.reference import Genome
from genoformer.genome.variants import ContigNames, Status, Variant, check_batch
from genoformer.genome.vcf import Record, Region, VariantFile, open_vcf, overlapping, parse_region, spooled
from genoformer.models import checkpoint
from genoformer.models.encoder import Encoder
from genoformer.models.longrange import LongRange
from genoformer.progress import Listener, Progress
from genoformer.scoring.checks import MOST_NOISE, RECORDS_OF_NOISE, noise_note, verify_note
from genoformer.scoring.engines import THREADS, JobError, PartFolder, Scored, chunks, noted_threads, records_per_part, run_local
from genoformer.scoring.matrix import MatrixFile
from genoformer.scoring.quantiles import Calibration, Quantiles, quantiles_of
from genoformer.scoring.scorers import OfTracks, Scorer, scorer_of
from genoformer.scoring.scores import Score
from genoformer.scoring.sinks import Header, Provenance, Sink, open_sink
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.workers import LocalPool, Pool, RayPool, Work, run_pool

_LARGE = 2e11  # operations of an ALT from which on a model takes all cores for itself
WORTH_PROCESSES = 1e13  # operations from which on it pays to start processes, each of which takes seconds to begin
_STATUSES = list(Status)
_NUMBER = {status: i for i, status in enumerate(_STATUSES)}


class Summary(NamedTuple):
    """What became of the alleles of a VCF."""

    records: int
    scored: int  # ALTs with at least one score
    skipped: dict[str, int]  # reason -> ALTs
    seconds: float
    reused: int  # parts that an earlier, interrupted run had finished
    notes: tuple[str, ...]
    parts: int = 0
    missing: int = 0  # parts that other shards have not finished; there is no output yet, and no count of alleles


def score_variants(
    variants: str | Path,
    genome: Genome,
    model: Encoder | LongRange,
    scores: Sequence[Score],
    sink: str | Path | Sink,
    *,
    model_name: str = "model",
    context: int | None = None,
    both_strands: bool = True,
    region: str | None = None,
    device: str = "cpu",
    precision: str = "float32",
    batch_size: int | None = None,
    force: bool = False,
    of_tracks: OfTracks | None = None,
    matrix: str | Path | None = None,
    n_noise: int | None = None,
    n_verify: int = 0,
    calibration: Calibration | None = None,
    workers: int | None = None,
    threads: int | None = None,
    engine: str = "local",
    shard: tuple[int, int] | None = None,
    assemble: bool = False,
    command: Sequence[str] = (),
    on_preflight: Callable[[Preflight], None] | None = None,
    progress: Listener = None,
) -> Summary:
    """Score every ALT of a VCF or BCF ("-" is standard input) and write every record to `sink`.

    scores: from SCORES; each applies to the alleles of its kind. context: bases in a window, the model's own by
    default. both_strands: the mean over both strands. region: only records whose REF overlaps it. force: go on where
    the preflight would stop. of_tracks: what only a model of tracks knows. matrix: a Parquet file for the scores of every
    track, which the table in `sink` has not. n_noise: places at which the noise floor of scores of tracks is measured, None
    for one in 20 records, 16 at the most. n_verify: records to score again the naive way. calibration: adds the quantile of
    each score among those of a background; a note says why where they cannot be compared. The output takes its final name
    when it is complete; what an interrupted run finished is kept beside it, and the same call goes on from there.

    workers: processes, each with the model; None for as many as there are cores, where a small model has work for minutes.
    threads: of the CPU for each process, on whose number the last digits depend; None for one where several processes have a
    small model, else all; unfinished work goes on with those that it has begun with. engine: "local", "ray", or "ray:ADDRESS".
    shard: (i, n), from 1: only every n-th part, and no output; who calls without it once all are done gets that. assemble:
    refuse where a part is missing. command: is noted beside the parts.

    Raises PreflightError (the VCF does not belong to the reference), FileFormatError, ConfigError, JobError.
    """
    sink = sink if isinstance(sink, Sink) else open_sink(sink)
    tell = progress or (lambda _: None)
    began = time.monotonic()
    wanted = parse_region(region, genome.contigs) if region else None
    with spooled(variants) as vcf, inference.borrowed(model, device, precision) as ready:
        if matrix is not None:
            of_tracks = (of_tracks or OfTracks())._replace(matrix=True)
        scorer = scorer_of(
            ready, genome, scores, context=context, both_strands=both_strands, batch_size=batch_size, of_tracks=of_tracks
        )
        whole = _matrix_file(matrix, scorer)
        found = preflight(
            vcf, genome, max_length=scorer.longest_allele, region=wanted, name=variants,
            progress=lambda n: tell(Progress("preflight", n, None)),
        )  # fmt: skip
        if on_preflight:
            on_preflight(found)
        check_preflight(found, force=force)
        overlap = checkpoint.overlap_note(
            model, model_name, _around(found, genome, scorer.length), f"the sequence around the records of {found.vcf}"
        )
        options = {
            "scores": ",".join(score.name for score in scores),
            **scorer.options,
            "precision": precision,
            "reference": genome.name,
        } | ({"region": region} if region else {})
        origin = Provenance(__version__, model_name, model.sha256, ";".join(f"{key}={value}" for key, value in options.items()))
        size = records_per_part(scorer.operations)
        n_cores = inference.n_cores()
        alone = device != "cpu" or found.n_records * scorer.operations < WORTH_PROCESSES
        several = engine != "local" or shard is not None or (not alone if workers is None else workers > 1)
        n_threads = threads or noted_threads(sink.path) or (1 if several and scorer.operations < _LARGE else n_cores)
        parts = PartFolder(sink.path, _job(found, genome, model, device, batch_size, n_threads, options | scorer.inputs))
        names = found.contig_map
        notes = [overlap] if overlap else []
        why = calibration.misfit(scorer, model.sha256) if calibration else None
        if calibration and why:
            notes.append(f"no quantiles: of the calibration with {calibration.background}, {why}; calibrate anew.")
        quantiles = quantiles_of(scorer, calibration) if calibration and not why else None

        def compute(records: Sequence[Record]) -> Scored:
            with inference.threads(n_threads) if device == "cpu" else nullcontext():
                return score_records(records, genome, scorer, names)

        done = 0

        def count(n: int) -> None:
            nonlocal done
            done += n
            tell(Progress("score", done, found.n_records))

        n_parts = -(-found.n_records // size)

        def mine(i: int) -> bool:
            return shard is None or i % shard[1] == shard[0] - 1

        lost = sorted(set(range(n_parts)) - parts.numbers()) if assemble else []
        if lost:
            raise JobError(
                f"{len(lost):,} of {n_parts:,} parts are missing (the first has number {lost[0] + 1}); run the shards that are "
                "not done, or the command without --shard."
            )
        try:
            if command:
                parts.command.write_text(json.dumps(list(command)))
            with open_vcf(vcf) as file:
                n_left = sum(mine(i) for i in set(range(n_parts)) - parts.numbers())
                n_workers = workers or (1 if alone else min(max(1, n_cores // n_threads), n_left))
                if engine == "local" and n_workers <= 1:
                    run_local(overlapping(file, wanted), size, compute, parts, count, mine)
                else:
                    work = Work(
                        model, genome, names, options["scores"], context, both_strands, device, precision, batch_size,
                        of_tracks, n_threads,
                    )  # fmt: skip
                    pool = _pool(engine, workers if engine != "local" else n_workers, work)
                    run_pool(overlapping(file, wanted), size, pool, parts, count, mine)
            if shard is not None:
                missing = n_parts - len(parts.numbers())
                return Summary(found.n_records, 0, {}, time.monotonic() - began, parts.n_found, tuple(notes), n_parts, missing)
            if n_verify:
                notes.append(_verified(vcf, wanted, genome, model, scorer, names, size, parts, n_verify, of_tracks))
            if isinstance(scorer, TrackScorer):
                n = min(MOST_NOISE, -(-found.n_records // RECORDS_OF_NOISE)) if n_noise is None else n_noise
                notes += filter(None, [noise_note(scorer, genome, found.places, n)])
            with open_vcf(vcf) as file:
                lengths = {use.name: genome.contigs[use.reference] for use in found.contigs if use.reference}
                with whole as every:
                    added = quantiles.columns if quantiles else []
                    sink.begin(Header(file.header, lengths, [*scorer.columns, *added], origin))
                    scored, skipped = _assemble(file, wanted, size, parts, sink, every, quantiles, tell, found.n_records)
        except BaseException:
            if sink.path is None:
                parts.remove()
            raise
        parts.remove()
    seconds = time.monotonic() - began
    return Summary(found.n_records, scored, skipped, seconds, parts.n_found, (*sink.notes, *notes), n_parts)


def _pool(engine: str, workers: int | None, work: Work) -> Pool:
    kind, _, address = engine.partition(":")
    if kind == "ray":
        return RayPool(work, address or None, workers)
    if engine != "local":
        raise ConfigError(f"engine {engine!r}: allowed are local, ray and ray:ADDRESS.")
    return LocalPool(work, workers or 1)


def _around(found: Preflight, genome: Genome, length: int) -> Iterator[Codes]:
    """Windows around a sample of the records."""
    places: dict[str, list[int]] = {}
    for contig, start in found.places:
        places.setdefault(contig, []).append(start - length // 2)
    for contig, starts in places.items():
        yield from genome.windows(contig, starts, length)


def score_records(records: Sequence[Record], genome: Genome, scorer: Scorer, names: ContigNames) -> Scored:
    """Statuses and values of every ALT of some records: the work of one part, a function of its arguments only."""
    statuses = [s for row in check_batch(records, genome, names, scorer.longest_allele) for s in row]
    rows: list[int] = []
    variants: list[Variant] = []
    row = 0
    for record in records:
        for alt in record.alts or (".",):
            if statuses[row] is Status.OK:
                contig = names.get(record.chrom)
                assert contig is not None
                rows.append(row)
                variants.append(Variant(contig, record.pos, record.ref.upper(), alt.upper()))
            row += 1
    values = np.full((len(statuses), len(scorer.columns)), np.nan, dtype=np.float32)
    matrix = np.full((len(statuses), *scorer.matrix_shape), np.nan, dtype=np.float32)
    if variants:
        answers = scorer(variants)
        values[rows] = answers.values
        if answers.matrix is not None:
            matrix[rows] = answers.matrix
        for i, status in zip(rows, answers.statuses, strict=True):
            statuses[i] = status
    return Scored(np.array([_NUMBER[s] for s in statuses], dtype=np.uint8), values, matrix)


def _assemble(
    file: VariantFile,
    wanted: Region | None,
    size: int,
    parts: PartFolder,
    sink: Sink,
    matrix: MatrixFile | None,
    quantiles: Quantiles | None,
    tell: Callable[[Progress], None],
    total: int,
) -> tuple[int, dict[str, int]]:
    """Input records and finished parts -> output, in order; counts of scored and skipped ALTs."""
    counts: Counter[Status] = Counter()
    done, complete = 0, False
    try:
        for i, chunk in enumerate(chunks(overlapping(file, wanted), size)):
            scored = parts.get(i)
            assert scored is not None
            at = 0
            values = np.hstack([scored.values, quantiles.of(scored.values)]) if quantiles else scored.values
            statuses = [_STATUSES[n] for n in scored.statuses]
            counts.update(statuses)
            for record in chunk:
                rows = slice(at, at + max(1, len(record.alts)))
                sink.write(record, statuses[rows], values[rows])
                if matrix is not None:
                    matrix.write(record, scored.matrix[rows])
                at = rows.stop
            done += len(chunk)
            tell(Progress("write", done, total))
        complete = True
    finally:
        sink.close(complete=complete)
    n_scored = counts.pop(Status.OK, 0)
    return n_scored, {status.value: counts[status] for status in _STATUSES if counts[status]}


def _verified(
    vcf: Path, wanted: Region | None, genome: Genome, model: Encoder | LongRange, scorer: Scorer, names: ContigNames, size: int,
    parts: PartFolder, n: int, of_tracks: OfTracks | None,
) -> str:  # fmt: skip
    """The sentence of `verify_note`."""

    def records() -> Iterator[Record]:
        with open_vcf(vcf) as file:
            yield from overlapping(file, wanted)

    with inference.borrowed(model, "cpu", "float32") as plain:
        if isinstance(scorer, TrackScorer):
            assert isinstance(plain, LongRange)
            naive: Scorer = scorer.naive(plain)
        else:
            context, both = scorer.length, scorer.options["strands"] == "both"
            naive = scorer_of(plain, genome, scorer.scores, context=context, both_strands=both, batch_size=1)
        return verify_note(records, size, parts, n, scorer.columns, lambda of: score_records(of, genome, naive, names))


def _matrix_file(path: str | Path | None, scorer: Scorer) -> AbstractContextManager[MatrixFile | None]:
    if path is None:
        return nullcontext()
    assert isinstance(scorer, TrackScorer)
    return MatrixFile(path, [score.name for score in scorer.scores], scorer.apart)


def _hash_of_tokenizer(model: Encoder | LongRange) -> str:
    return "" if isinstance(model, LongRange) else hashlib.sha256(repr(model.tokenizer.to_dict()).encode()).hexdigest()


def _job(
    found: Preflight, genome: Genome, model: Encoder | LongRange, device: str, batch_size: int | None, threads: int,
    options: dict[str, str],
) -> dict[str, str]:  # fmt: skip
    """All that the scores depend on, for PartFolder."""
    stat = genome.path.stat()
    return options | {
        "VCF": found.sha256,
        "model": model.sha256 or "in memory",
        "FASTA": f"{genome.path.resolve()} {stat.st_size} {stat.st_mtime_ns}",
        "device": device,
        "batch size": str(batch_size or "auto"),
        THREADS: str(threads) if device == "cpu" else "any",
        "version": __version__,
        "model configuration": f"{model.config} {_hash_of_tokenizer(model)}",
    }
