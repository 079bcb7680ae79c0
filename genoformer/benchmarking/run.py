"""run_benchmark(): request -> truth or tasks -> scores or predictions -> metrics with intervals, and published rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path

import numpy as np

from genoformer.benchmarking import ensembles
from genoformer.benchmarking.allele_features import blocks_of
from genoformer.benchmarking.effect_probe import SIGNED, SIZES, effect_probe
from genoformer.benchmarking.measures import Draws, Sampling
from genoformer.benchmarking.registry import Benchmark
from genoformer.benchmarking.request import BenchmarkRequest
from genoformer.benchmarking.result import BenchmarkResult, Difference, Row, check_folder
from genoformer.benchmarking.sequence_run import MEAN_OF_TASKS, draws_of_tasks
from genoformer.benchmarking.texts import Published
from genoformer.benchmarking.truth_set import Bools, Floats, TruthSet, oriented
from genoformer.benchmarking.variant_scores import Column, columns_of, ordering
from genoformer.errors import ConfigError, OptionError
from genoformer.evaluation.intervals import Estimate, estimate
from genoformer.files import make_folder
from genoformer.genome.reference import Genome
from genoformer.progress import ProgressCallback
from genoformer.scoring.scores import SCORES

ByModel = dict[str, list[Draws]]
MOST_ROWS = 50  # scores in a table; each pair of them is compared


def run_benchmark(
    request: BenchmarkRequest,
    *,
    command: str = "",
    progress: ProgressCallback = None,
    on_note: Callable[[str], None] = lambda text: None,
) -> BenchmarkResult:
    """Evaluate models, scores and baselines on a benchmark with the metric of its authors.

    All are evaluated on the same items: those without one of the scores are left out, and counted in a note. Intervals are 95 %
    bootstrap intervals (or by the authors' standard error); differences of two models are of the same bootstrap samples.
    command: command line, kept in the result.

    Raises the errors of the readers, of `score_variants` and of `evaluate_models`; ConfigError if nothing can be evaluated.

    >>> import pathlib, tempfile
    >>> rows = [f"1\\t{i}\\tA\\t{'CG'[i % 2]}\\t{i % 2}\\tg{i // 2}" for i in range(2, 62)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     table, scores = (pathlib.Path(folder, name) for name in ("test.tsv", "scores.tsv"))
    ...     _ = table.write_text("\\n".join(["chrom\\tpos\\tref\\talt\\tlabel\\tmatch_group", *rows, ""]))
    ...     _ = scores.write_text("\\n".join(["chrom\\tpos\\tref\\talt\\tLLR", *(r.rsplit("\\t", 1)[0] for r in rows), ""]))
    ...     found = run_benchmark(BenchmarkRequest("eqtl-pairs", table, score_files={"mine": scores}))
    >>> found
    BenchmarkResult(eqtl-pairs: pairwise accuracy of all: mine LLR 1.000, transversion (baseline) 0.000)
    """
    benchmark, out = request.benchmark, None if request.out is None else Path(request.out)
    if out is not None:
        check_folder(out)
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        on_note(text)

    with ExitStack() as stack:
        genome = None if request.fasta is None else stack.enter_context(Genome(request.fasta))
        if benchmark.kind == "sequences":
            by_model = draws_of_tasks(request, genome, progress, note)
        else:
            folder = out if out is not None else Path(stack.enter_context(tempfile.TemporaryDirectory()))
            if out is not None:
                make_folder(out)
            by_model = _of_truth(request, genome, folder, progress, note)
    if not any(by_model.values()):
        raise ConfigError(
            f"no metric of {request.name} is defined for these files: too few items, or a label that does not differ."
        )
    rows = _rows(by_model, benchmark)
    result = BenchmarkResult(
        benchmark.name, benchmark.title, benchmark.metric, rows, _differences(by_model), tuple(notes), command
    )
    if out is not None:
        result.write(out)
    return result


def _of_truth(
    request: BenchmarkRequest, genome: Genome | None, folder: Path, progress: ProgressCallback, note: Callable[[str], None]
) -> ByModel:
    """Return the draws of each score on the items of a benchmark."""
    benchmark = request.benchmark
    assert benchmark.read is not None
    assert benchmark.measure is not None
    truth = benchmark.read(request.path(), genome)
    if genome is not None and truth.alleles:
        truth = oriented(truth, genome)
    for text in truth.notes:
        note(text)
    columns = columns_of(request, truth, genome, folder, progress, note)
    has_rows = _have_rows(len(columns) - 1, request, truth, note)
    whole = np.asarray(np.isfinite([column.values for column in columns]).all(0))
    if not whole.any():
        raise ConfigError(f"no item of {request.name} has all of {', '.join(c.name for c in columns)}; name fewer scores.")
    if n_lost := int((~whole).sum()):
        note(f"{n_lost:,} of {len(truth):,} items lack a score and are left out of all rows.{_broken_groups(truth, whole)}")
    truth = truth.take(whole)
    columns = [Column(c.name, c.score, c.values[whole]) for c in columns]
    sampling = Sampling(request.resamplings, request.seed)
    ordered = {c.name: ordering(c.values, c.score, benchmark.reading, request.sign) for c in columns}
    values = {c.name: ordered[c.name] for c in (columns if has_rows else columns[-1:])}
    values |= _ensembles(request, truth, columns[:-1], ordered, progress)
    if ensembles.PROBE in request.ensemble and truth.label is None:
        values |= _probes_of_effects(request, truth, columns[:-1], genome, progress, note)
    return {name: benchmark.measure(truth, of_items, sampling) for name, of_items in values.items()}


def _have_rows(n_scores: int, request: BenchmarkRequest, truth: TruthSet, note: Callable[[str], None]) -> bool:
    """False if the scores are features of a linear probe only, such as the thousands of tracks in TraitGym's Borzoi_L2.

    Raises OptionError for too many scores without a probe.
    """
    if n_scores <= MOST_ROWS:
        return True
    if ensembles.PROBE not in request.ensemble or truth.label is None:
        raise OptionError(
            "scores",
            f"stands for {n_scores:,} columns, expected {MOST_ROWS} or fewer; name some, or add the ensemble probe, which "
            "reads all, for labelled variants.",
        )
    note(f"{n_scores:,} scores are features of the linear probe and have no rows of their own.")
    return False


def _broken_groups(truth: TruthSet, whole: Bools) -> str:
    """Return a sentence on matched groups of which some items only are left."""
    kept, lost = ({truth.group[i] for i in np.flatnonzero(rows)} if truth.group else set() for rows in (whole, ~whole))
    n_broken = len(kept & lost)
    return f" {n_broken:,} of {len(kept | lost):,} matched groups are incomplete without them." if n_broken else ""


def _ensembles(
    request: BenchmarkRequest,
    truth: TruthSet,
    columns: Sequence[Column],
    ordered: dict[str, Floats],
    progress: ProgressCallback,
) -> dict[str, Floats]:
    """Return the requested ensembles of the scores, without the baseline."""
    found = {}
    own = {column.name: ordered[column.name] for column in columns}
    if ensembles.MEAN in request.ensemble:
        one_kind = len({column.score for column in columns}) == 1  # replicates: the size of the mean, not the mean of sizes
        raw = {column.name: column.values for column in columns}
        mean = ensembles.mean_of_scores(raw if one_kind else own)
        if one_kind:
            mean = ordering(mean, columns[0].score, request.benchmark.reading, request.sign)
        found[ensembles.NAMES[ensembles.MEAN]] = mean
    if ensembles.RANKS in request.ensemble:
        found[ensembles.NAMES[ensembles.RANKS]] = ensembles.mean_of_ranks(own)
    if ensembles.PROBE in request.ensemble and truth.label is not None:
        found[ensembles.NAMES[ensembles.PROBE]] = ensembles.linear_probe(truth, _features(columns), progress)
    return found


def _features(columns: Sequence[Column]) -> dict[str, Floats]:
    """Return the features of a linear probe: each score, and the size of one of genoformer's with negative values.

    TraitGym's sets of features have both, such as GPN-MSA_LLR and GPN-MSA_absLLR (config/config.yaml).
    """
    features = {}
    for column in columns:
        features[column.name] = column.values
        if column.score.upper() in SCORES and (column.values < 0).any():
            features[f"|{column.name}|"] = np.abs(column.values)
    return features


def _probes_of_effects(
    request: BenchmarkRequest,
    truth: TruthSet,
    columns: Sequence[Column],
    genome: Genome | None,
    progress: ProgressCallback,
    note: Callable[[str], None],
) -> dict[str, Floats]:
    """Return the predictions of the probe of effects and of that of their sizes, each locus held out."""
    if genome is None:
        raise OptionError("ensemble", "has a probe of effects, which reads the bases around the alleles; give the genome.")
    motifs = None if request.motifs is None else Path(request.motifs)
    blocks = blocks_of(truth.alleles, genome, [column.values for column in columns], motifs, progress)
    probed = effect_probe(truth, blocks, progress)
    several = [name for name in probed.choices if ", " in name]
    note(
        f"The probes hold {len(probed.choices)} loci out, one at a time"
        + (f"; elements that overlap are one locus: {'; '.join(several)}." if several else ".")
    )
    return {SIGNED: probed.signed, SIZES: probed.sizes}


def _rows(by_model: ByModel, benchmark: Benchmark) -> tuple[Row, ...]:
    """Return the rows by subset and metric, each followed by the published figures."""
    order = dict.fromkeys((one.subset, one.metric) for draws in by_model.values() for one in draws)
    missing = float("nan")
    rows = []
    for subset, metric in order:
        for model, draws in by_model.items():
            for one in draws:
                if (one.subset, one.metric) == (subset, metric):
                    se = missing if one.se is None else one.se
                    rows.append(Row(subset, metric, model, one.interval, one.n, se))
        published = [of for of in benchmark.published if (of.subset, of.metric) == (subset, metric)]
        if subset == MEAN_OF_TASKS:
            published = _published_mean(list(order), benchmark)
        for of in published:
            for model, value in of.values.items():
                rows.append(Row(subset, metric, model, Estimate(value, missing, missing), source=of.source))
    return tuple(rows)


def _published_mean(order: Sequence[tuple[str, str]], benchmark: Benchmark) -> list[Published]:
    """Return the mean of the main metric over the tasks of models with a published figure of each."""
    first = dict(reversed([(subset, metric) for subset, metric in order if subset != MEAN_OF_TASKS]))  # the main one of a task
    tasks = {subset for subset, metric in first.items() if metric == benchmark.metric}
    of_tasks = [of for of in benchmark.published if of.subset in tasks and of.metric == benchmark.metric]
    values: dict[str, list[float]] = {}
    for of in of_tasks:
        for model, value in of.values.items():
            values.setdefault(model, []).append(value)
    means = {model: float(np.mean(of)) for model, of in values.items() if len(of) == len(tasks)}
    sources = "; ".join(dict.fromkeys(of.source for of in of_tasks))
    return [Published(MEAN_OF_TASKS, benchmark.metric, sources, means)] if means else []


def _differences(by_model: ByModel) -> tuple[Difference, ...]:
    """Return the difference of each pair of models for each metric that both have."""
    found = []
    for first, second in combinations(by_model, 2):
        others = {(one.subset, one.metric): one for one in by_model[second]}
        for one in by_model[first]:
            other = others.get((one.subset, one.metric))
            if other is not None and other.values.shape == one.values.shape:
                found.append(Difference(one.subset, one.metric, first, second, estimate(one.values - other.values)))
    return tuple(found)
