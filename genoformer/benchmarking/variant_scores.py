"""Scores of the items of a benchmark: from models, from files of scores, and a baseline -> one column [N] for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genoformer.benchmarking.assay_readers import read_pair_scores
from genoformer.benchmarking.columns import Table, read_table
from genoformer.benchmarking.registry import Reading
from genoformer.benchmarking.request import BenchmarkRequest
from genoformer.benchmarking.truth_set import Allele, Floats, TruthSet
from genoformer.errors import ConfigError, FileFormatError, MissingFileError, OptionError
from genoformer.evaluation.variants import read_scores
from genoformer.genome.contigs import join_names
from genoformer.genome.reference import Genome
from genoformer.progress import ProgressCallback
from genoformer.scoring.each_model import choices_of_model
from genoformer.scoring.job import ScoringJob
from genoformer.scoring.plan import score_variants
from genoformer.scoring.scores import RECOMMENDED, SCORES
from genoformer.writers.tables import EXACT, TSVSink
from genoformer.writers.variants import write_variants

LIKELIHOODS = frozenset({"LLR", "PLL", "TOKEN_LLR"})  # low where an allele is not expected
BASELINE = "transversion (baseline)"
_PURINES = frozenset("AG")
_CHROM, _POS = ("chrom", "chr", "chromosome", "#chrom"), ("pos", "position")
_REF, _ALT = ("ref", "reference", "ref_allele"), ("alt", "alternate", "alt_allele")
_NO_SCORES = {*_CHROM, *_POS, *_REF, *_ALT} | {"id", "qual", "filter", "info", "status", "label", "match_group", "start", "end"}


Choices = tuple[list[str] | None, dict[str, Any]]  # names of scores (None: the default ones) and options of a model


class Column(NamedTuple):
    """Score of the items, [N], NaN where missing; name: its name in tables; score: name of the score, such as LLR."""

    name: str
    score: str
    values: Floats


def columns_of(
    request: BenchmarkRequest,
    truth: TruthSet,
    genome: Genome | None,
    folder: Path,
    progress: ProgressCallback,
    on_note: Callable[[str], None],
) -> list[Column]:
    """Return the scores of the models, of the files and of the baseline; a score that no item has is left out with a note.

    folder: for the VCF of the variants and the outputs of the models.
    """
    columns = []
    if request.models:
        assert genome is not None
        vcf = _write_vcf(truth, genome, folder)
        chosen = _choices(request)
        for label, model in _labels(request.models).items():
            if chosen[model][0] == []:
                continue  # none of the named scores is of this model
            found, reused = _of_model(label, model, chosen[model], vcf, request, truth, genome, progress)
            columns += found
            if reused:
                on_note(f"{label}: {reused} parts were there from an interrupted run.")
    for name, path in request.score_files.items():
        columns += _of_file(name, Path(path), request, truth)
    if lost := [name for name in request.scores if all(not _is_named(column.score, name) for column in columns)]:
        raise ConfigError(f"no model and no file has the score {lost[0]}; leave it out, or name a model or file with it.")
    columns.append(_baseline(truth))
    check_names(columns)
    known = [column for column in columns if np.isfinite(column.values).any()]
    for column in columns:
        if column not in known:
            on_note(f"{column.name} has no value for the items of {request.name}, and is left out.")
    if len(known) < min(2, len(columns)):
        raise ConfigError(
            f"no score has a value for the items of {request.name}; are contigs and assembly those of the benchmark?"
        )
    return known


def check_names(columns: Sequence[Column]) -> None:
    """Refuse two scores of one name with ConfigError."""
    names = [column.name for column in columns]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ConfigError(f"{twice[0]} is the name of two scores, expected one each; give a file of scores another name.")


def _is_named(score: str, name: str) -> bool:
    """True if a name means the score; recommended scores have other names."""
    return score.upper() == name.upper().removeprefix("GF_") or name.lower() == RECOMMENDED


def _write_vcf(truth: TruthSet, genome: Genome, folder: Path) -> Path:
    order = {name: i for i, name in enumerate(genome.contigs)}
    unique = {allele.key: allele for allele in truth.alleles}
    rows = sorted(unique.values(), key=lambda a: (order.get(a.chrom, len(order)), a.chrom, a.pos, a.ref, a.alt))
    return write_variants(folder / "variants.vcf", [tuple(row) for row in rows], genome)


def _labels(models: Sequence[str]) -> dict[str, str]:
    """Return each model by its last name, or by its whole path if another has the same last name."""
    last = [Path(model).name for model in models]
    return {name if last.count(name) == 1 else model.replace("/", "_"): model for name, model in zip(last, models, strict=True)}


def _of_model(
    label: str,
    model: str,
    choices: Choices,
    vcf: Path,
    request: BenchmarkRequest,
    truth: TruthSet,
    genome: Genome,
    progress: ProgressCallback,
) -> tuple[list[Column], int]:
    """Score the variants with a model; also return how many parts of an interrupted run were there."""
    out = vcf.with_name(f"scores_{label}.tsv")
    names, options = choices
    scores = ",".join(names or ()) or None
    job = ScoringJob.from_names(
        vcf, genome, model, TSVSink(out, EXACT), scores=scores, **(options | {"device": request.device})
    )
    reused = score_variants(job, progress=progress).reused
    found = read_scores(out, names or (), SCORES)
    return [Column(f"{label} {score}", score, truth.values_of(values)) for score, values in found.items()], reused


def _choices(request: BenchmarkRequest) -> dict[str, Choices]:
    """Return the names of the scores and the options of each model; of several models those that it has."""
    if not _has_several(request):
        return {model: (list(request.scores), dict(request.options)) for model in request.models}
    chosen = {model: choices_of_model(model, request.scores, request.options) for model in request.models}
    if lost := [name for name in request.options if all(name not in options for _, options in chosen.values())]:
        raise OptionError(lost[0], "is for none of these models; leave it out.")
    return chosen


def _has_several(request: BenchmarkRequest) -> bool:
    """True for several models and files: each gives those of the named scores that it has."""
    return len(request.models) + len(request.score_files) > 1


def _of_file(name: str, path: Path, request: BenchmarkRequest, truth: TruthSet) -> list[Column]:
    """Read a file of scores: by key, or, if it has no positions, in the order of the rows of the benchmark."""
    if request.benchmark.kind == "pairs":
        found = read_pair_scores(path)
        return [Column(f"{name} {score}", score, truth.values_of(values)) for score, values in _named(found, request, path)]
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise MissingFileError(f"the file of scores {path} {kind}; give a table of scores, or an output of `genoformer score`.")
    if path.name.endswith((".parquet", ".tsv", ".tsv.gz", ".csv", ".csv.gz", ".txt", ".txt.gz")):
        table = read_table(path, fewest=1)
        if not table.has("chrom", "pos") and not (table.find(*_CHROM) and table.find(*_POS)):
            return _in_order(name, path, table, request, truth)
        own = [score for score in table.columns if score.lower() not in _NO_SCORES and _are_numbers(table, score)]
        by_name = not any(score.isupper() for score in own)  # of another program
        if by_name or not {"chrom", "pos", "ref", "alt"} <= set(table.columns):  # CADD has #Chrom, Pos, Ref and Alt
            by_key = _by_key(table, own)
            return [Column(f"{name} {score}", score, truth.values_of(of)) for score, of in _named(by_key, request, path)]
    return _of_output(name, path, request, truth)


def _of_output(name: str, path: Path, request: BenchmarkRequest, truth: TruthSet) -> list[Column]:
    """Read an output of `score`."""
    several = bool(request.scores) and _has_several(request)
    found = read_scores(path, () if several else request.scores, SCORES)
    if several:
        found = {score: of for score, of in found.items() if any(_is_named(score, name) for name in request.scores)}
    return [Column(f"{name} {score}", score, truth.values_of(values)) for score, values in found.items()]


def _by_key(table: Table, scores: Sequence[str]) -> dict[str, dict[Any, float]]:
    """Return scores by variant from a table whose columns of alleles have other names than those of `genoformer score`."""
    names = [table.find(*of) or of[0] for of in (_CHROM, _POS, _REF, _ALT)]
    chroms, refs, alts = (table.text(names[i]) for i in (0, 2, 3))
    keys = [Allele(*row).key for row in zip(chroms, table.whole(names[1]), refs, alts, strict=True)]
    return {score: dict(zip(keys, table.numbers(score).tolist(), strict=True)) for score in scores}


def _named(found: Mapping[str, Mapping], request: BenchmarkRequest, path: Path) -> list[tuple[str, Mapping]]:
    wanted = {score.upper() for score in request.scores}
    missing = [score for score in request.scores if score.upper() not in {name.upper() for name in found}]
    if missing and not _has_several(request):
        raise ConfigError(f"{path} has no score {join_names(missing)}; it has {join_names(list(found)) or 'none'}.")
    return [(score, values) for score, values in found.items() if not wanted or score.upper() in wanted]


def _in_order(name: str, path: Path, table: Table, request: BenchmarkRequest, truth: TruthSet) -> list[Column]:
    """Read columns of numbers in the order of the rows of the benchmark's file, as TraitGym publishes features."""
    assert truth.row is not None
    if len(table) <= int(truth.row.max()):
        raise FileFormatError(
            f"{path} has {len(table):,} rows and no columns chrom and pos, expected a row for each of the benchmark's "
            f"(more than {int(truth.row.max()):,}); give scores with positions."
        )
    every = [score for score in table.columns if _are_numbers(table, score)]
    scores = request.scores or every
    if request.scores and _has_several(request):
        scores = [score for score in every if any(_is_named(score, name) for name in request.scores)]
    elif not scores:
        raise FileFormatError(
            f"{path} has no column of numbers, found {join_names(list(table.columns))}; give a table of scores."
        )
    return [Column(f"{name} {score}", score, truth.in_order(table.numbers(score))) for score in scores]


def _are_numbers(table: Table, name: str) -> bool:
    """True for a column of numbers with at least one."""
    try:
        return bool(np.isfinite(table.numbers(name)).any())
    except ValueError:
        return False


def _baseline(truth: TruthSet) -> Column:
    """Return the baseline: transversion or not, and for enhancer-gene pairs the nearness to the TSS."""
    if truth.distance is not None:
        return Column("nearness to the TSS (baseline)", "", -truth.distance)
    changes = np.array([(a.ref.upper() in _PURINES) != (a.alt.upper() in _PURINES) for a in truth.alleles], dtype=np.float64)
    return Column(BASELINE, "", changes)


def ordering(values: Floats, score: str, reading: Reading, sign: str) -> Floats:
    """Return values that are high for the items that the benchmark ranks first.

    sign: "plus", "minus" or "size"; "auto" follows the reading: by size; or, "harmful", low likelihoods and the size of other
    scores. Scores that are not genoformer's, such as RawScore of CADD, count as they are, because TraitGym ranks them so for
    both of its sets (CADD.plus.RawScore and phyloP-100v.plus.score in workflow/Snakefile).

    >>> ordering(np.array([-3.0, 1.0]), "LLR", "harmful", "auto").tolist()
    [3.0, -1.0]
    >>> ordering(np.array([-3.0, 1.0]), "SAD", "harmful", "auto").tolist()
    [3.0, 1.0]
    >>> ordering(np.array([-3.0, 1.0]), "RawScore", "size", "auto").tolist()
    [-3.0, 1.0]
    """
    name = score.upper()
    if sign == "auto" and name in SCORES and reading != "signed":
        sign = "minus" if name in LIKELIHOODS and reading == "harmful" else "size"
    return -values if sign == "minus" else np.abs(values) if sign == "size" and score else values
