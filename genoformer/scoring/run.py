"""score_variants(): VCF -> preflight -> parts of records -> evidence -> scores -> sink; every record comes out again."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genoformer import __version__, inference
from genoformer.genome.codes import Codes
from genoformer.genome.preflight import Preflight, check_preflight, preflight
from genoformer.genome.reference import Genome
from genoformer.genome.variants import ContigNames, Status, Variant, check_batch
from genoformer.genome.vcf import Record, Region, VariantFile, open_vcf, overlapping, parse_region, spooled
from genoformer.models import checkpoint
from genoformer.models.encoder import Encoder
from genoformer.progress import Listener, Progress
from genoformer.scoring.engines import PartFolder, Scored, chunks, records_per_part, run_local
from genoformer.scoring.evidence import Pair, Reader
from genoformer.scoring.scores import Evidence, Score
from genoformer.scoring.sinks import Header, Provenance, Sink, open_sink

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


def score_variants(
    variants: str | Path,
    genome: Genome,
    model: Encoder,
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
    on_preflight: Callable[[Preflight], None] | None = None,
    progress: Listener = None,
) -> Summary:
    """Score every ALT of a VCF or BCF ("-" is standard input) and write every record to `sink`.

    scores: from SCORES; each applies to the alleles of its kind. context: bases in a window, the model's own by
    default. both_strands: the mean over both strands. region: only records whose REF overlaps it. force: go on where
    the preflight would stop. The output takes its final name when it is complete; what an interrupted run finished is
    kept beside it, and the same call goes on from there.

    Raises PreflightError (the VCF does not belong to the reference), FileFormatError, ConfigError, JobError.
    """
    sink = sink if isinstance(sink, Sink) else open_sink(sink)
    tell = progress or (lambda _: None)
    began = time.monotonic()
    wanted = parse_region(region, genome.contigs) if region else None
    with spooled(variants) as vcf, inference.borrowed(model, device, precision) as ready:
        reader = Reader(ready, genome, context, both_strands=both_strands, batch_size=batch_size)
        reader.require({score.evidence for score in scores})
        found = preflight(
            vcf, genome, max_length=reader.longest_allele, region=wanted, name=variants,
            progress=lambda n: tell(Progress("preflight", n, None)),
        )  # fmt: skip
        if on_preflight:
            on_preflight(found)
        check_preflight(found, force=force)
        overlap = checkpoint.overlap_note(
            model, model_name, _around(found, genome, reader.length), f"the sequence around the records of {found.vcf}"
        )
        options = {
            "scores": ",".join(score.name for score in scores),
            "context": str(reader.length),
            "strands": "both" if both_strands else "forward",
            "precision": precision,
            "reference": genome.name,
        } | ({"region": region} if region else {})
        origin = Provenance(
            __version__, model_name, model.sha256, ";".join(f"{key}={value}" for key, value in options.items())
        )
        n_tokens = ready.tokenizer.n_tokens(reader.length) * len(reader.strands)
        size = records_per_part(2.0 * sum(p.numel() for p in ready.parameters()) * n_tokens)
        parts = PartFolder(sink.path, _job(found, genome, model, device, batch_size, options))
        names = found.contig_map

        def compute(records: Sequence[Record]) -> Scored:
            return score_records(records, reader, names, scores)

        done = 0

        def count(n: int) -> None:
            nonlocal done
            done += n
            tell(Progress("score", done, found.n_records))

        try:
            with open_vcf(vcf) as file:
                run_local(overlapping(file, wanted), size, compute, parts, count)
            with open_vcf(vcf) as file:
                lengths = {use.name: genome.contigs[use.reference] for use in found.contigs if use.reference}
                sink.begin(Header(file.header, lengths, scores, origin))
                scored, skipped = _assemble(file, wanted, size, parts, sink, tell, found.n_records)
        except BaseException:
            if sink.path is None:
                parts.remove()
            raise
        parts.remove()
    seconds = time.monotonic() - began
    return Summary(found.n_records, scored, skipped, seconds, parts.n_found, (*sink.notes, *([overlap] if overlap else [])))


def _around(found: Preflight, genome: Genome, length: int) -> Iterator[Codes]:
    """Windows around a sample of the records."""
    places: dict[str, list[int]] = {}
    for contig, start in found.places:
        places.setdefault(contig, []).append(start - length // 2)
    for contig, starts in places.items():
        yield from genome.windows(contig, starts, length)


def score_records(
    records: Sequence[Record], reader: Reader, names: ContigNames, scores: Sequence[Score]
) -> Scored:
    """Statuses and values of every ALT of some records: the work of one part, a function of its arguments only."""
    statuses = [s for row in check_batch(records, reader.genome, names, reader.longest_allele) for s in row]
    values = np.full((len(statuses), len(scores)), np.nan, dtype=np.float32)
    rows: dict[str, list[int]] = {"substitution": [], "indel": []}
    alleles: dict[str, list[Variant]] = {"substitution": [], "indel": []}
    row = 0
    for record in records:
        for alt in record.alts or (".",):
            if statuses[row] is Status.OK:
                kind = "substitution" if len(record.ref) == len(alt) else "indel"
                contig = names.get(record.chrom)
                assert contig is not None
                rows[kind].append(row)
                alleles[kind].append(Variant(contig, record.pos, record.ref.upper(), alt.upper()))
            row += 1
    for kind, variants in alleles.items():
        mine = [i for i, score in enumerate(scores) if score.kind in (kind, "any")]
        if variants and mine:
            evidence = _gather(reader, kind, variants, {scores[i].evidence for i in mine})
            for i in mine:
                values[rows[kind], i] = _mean(scores[i], evidence[scores[i].evidence])
        unanswered = np.isnan(values[np.ix_(rows[kind], mine)]).any(axis=1) | (not mine)
        for i in np.flatnonzero(unanswered).tolist():
            statuses[rows[kind][i]] = Status.N_IN_REF if mine else Status.NO_SCORE
    return Scored(np.array([_NUMBER[s] for s in statuses], dtype=np.uint8), values)


def _gather(
    reader: Reader, kind: str, variants: Sequence[Variant], wanted: set[Evidence]
) -> Mapping[Evidence, list[Pair]]:
    found: dict[Evidence, list[Pair]] = {}
    if wanted & {"allele", "posterior"}:
        found |= reader.substitutions(variants, with_posterior="posterior" in wanted)
    if "pseudo" in wanted:
        found["pseudo"] = reader.indels(variants)
    if "embedding" in wanted:
        found["embedding"] = reader.embeddings(variants)
    return found


def _mean(score: Score, pairs: Sequence[Pair]) -> np.ndarray:
    """The score on each strand, averaged."""
    return np.mean([score.function(pair.ref, pair.alt) for pair in pairs], axis=0)


def _assemble(
    file: VariantFile,
    wanted: Region | None,
    size: int,
    parts: PartFolder,
    sink: Sink,
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
            statuses = [_STATUSES[n] for n in scored.statuses]
            counts.update(statuses)
            for record in chunk:
                rows = slice(at, at + max(1, len(record.alts)))
                sink.write(record, statuses[rows], scored.values[rows])
                at = rows.stop
            done += len(chunk)
            tell(Progress("write", done, total))
        complete = True
    finally:
        sink.close(complete=complete)
    n_scored = counts.pop(Status.OK, 0)
    return n_scored, {status.value: counts[status] for status in _STATUSES if counts[status]}


def _job(
    found: Preflight, genome: Genome, model: Encoder, device: str, batch_size: int | None, options: dict[str, str]
) -> dict[str, str]:
    """All that the scores depend on, for PartFolder."""
    stat = genome.path.stat()
    return options | {
        "VCF": found.sha256,
        "model": model.sha256 or "in memory",
        "FASTA": f"{genome.path.resolve()} {stat.st_size} {stat.st_mtime_ns}",
        "device": device,
        "batch size": str(batch_size or "auto"),
        "version": __version__,
        "model configuration": f"{model.config} {hashlib.sha256(repr(model.tokenizer.to_dict()).encode()).hexdigest()}",
    }
