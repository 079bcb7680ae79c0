"""Scored variants and their truth -> correlation with effects, or AUROC of labels; by element."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.evaluation import weighted
from genoformer.evaluation.intervals import Estimate, estimate, resamplings
from genoformer.evaluation.truth import Key, Truth, number_in, table_rows, variant_key
from genoformer.extras import require_parquet
from genoformer.files import check_overwrite, make_folder, save_figures, write_text
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_records import parse_info
from genoformer.genome.digits import is_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

ALL = "all"
FIGURE, CURVES, METRICS = "variants.png", "roc.png", "metrics.json"  # figures also as SVG; the curves of labels only
_SCORE = re.compile(r"[A-Z][A-Z0-9]*")  # excludes quantiles (SAD_Q) and single tracks (SAD_CNhs1)
_FEW = 10  # an element with fewer variants is not evaluated
_N_RESAMPLINGS = 1000
MEANINGS = {
    "spearman_abs": "Spearman correlation of |score| and |effect|",
    "spearman": "Spearman correlation of score and effect, with their signs",
    "auroc": "chance that a positive variant has a larger |score| than a negative one; 0.5: chance",
    "auprc": "average precision of |score|; its chance level is the fraction of positives",
    "auroc_low": "chance that a positive variant has a lower score, with its sign, than a negative one",
}


class VariantEvaluation(NamedTuple):
    """Metrics: score -> element ("all" for all) -> metric -> estimate; and the numbers of unmatched variants."""

    metrics: dict[str, dict[str, dict[str, Estimate]]]
    n: dict[str, dict[str, int]]  # score -> element -> number of scored variants
    few: list[str]  # scores with too few variants
    means: dict[str, dict[str, Estimate]]  # score -> metric -> mean over the elements
    n_unscored: int  # variants of the truth without a score
    n_unknown: int  # scored variants that are not in the truth
    curves: Mapping[str, tuple[NDArray[np.bool_], Floats]] = {}  # of labels: score -> positive or not, and |score|

    def counted(self, element: str) -> str:
        """Return the number of variants of an element that have a score, or its range over the scores, as text."""
        n = sorted({of[element] for of in self.n.values()})
        return f"{n[0]:,}" if len(n) == 1 else f"{n[0]:,} to {n[-1]:,}"

    def to_dict(self) -> dict[str, Any]:
        def rounded(of: Mapping[str, Estimate]) -> dict[str, dict[str, float | None]]:
            return {name: Estimate(*(round(x, 4) for x in value)).to_dict() for name, value in of.items()}

        return {
            "n": self.n,
            "too_few_variants": self.few,
            "not_scored": self.n_unscored,
            "not_in_truth": self.n_unknown,
            "meaning": {name: text for name, text in MEANINGS.items() if any(name in of[ALL] for of in self.metrics.values())},
            "scores": {
                score: {element: rounded(of) for element, of in elements.items()}
                | ({"mean_of_elements": rounded(self.means[score])} if score in self.means else {})
                for score, elements in self.metrics.items()
            },
        }


def evaluate_variants(
    scores: Mapping[str, Mapping[Key, float]], truth: Truth, *, n_resamplings: int = _N_RESAMPLINGS, seed: int = 0
) -> VariantEvaluation:
    """Compare scores (name -> variant -> value) with the truth; a variant without a value is left out of that score.

    Measured effects: Spearman correlation of |score| and |effect|, and of signed values. Labels: AUROC and average precision
    of |score|, and AUROC of -score. Intervals resample variants; the interval of a mean over elements resamples elements.
    Raises ConfigError if no scored variant is in the truth, or if all labels are equal.
    """
    known = [key for key in truth.effects if any(key in of for of in scores.values())]
    if not known:
        raise ConfigError("no scored variant is in the truth (by contig, POS, REF and ALT); are both on the same build?")
    everything = {key for of in scores.values() for key in of}
    groups: dict[str, list[Key]] = {ALL: known}
    for key in known:
        if key in truth.elements:
            groups.setdefault(truth.elements[key], []).append(key)
    if truth.binary and len({truth.effects[key] for key in known}) < 2:
        raise ConfigError("all scored variants of the truth have the same label; give both kinds.")
    metrics: dict[str, dict[str, dict[str, Estimate]]] = {}
    n: dict[str, dict[str, int]] = {}
    curves: dict[str, tuple[NDArray[np.bool_], Floats]] = {}
    for name, of in scores.items():
        metrics[name], n[name] = {}, {}
        for element, keys in groups.items():
            have = [key for key in keys if np.isfinite(of.get(key, np.nan))]
            n[name][element] = len(have)
            if len(have) >= _FEW:
                value, effect = (np.array([x[key] for key in have]) for x in (of, truth.effects))
                metrics[name][element] = _metrics(value, effect, n_resamplings, seed, binary=truth.binary)
                if truth.binary and element == ALL and len(set(effect.tolist())) == 2:
                    curves[name] = effect > 0, np.abs(value)
        if ALL not in metrics[name]:
            del metrics[name], n[name]
    if not metrics:
        raise ConfigError(f"fewer than {_FEW} variants of the truth have a score; score more of them.")
    means = {
        name: {metric: _mean([e[metric].value for key, e in of.items() if key != ALL], seed) for metric in of[ALL]}
        for name, of in metrics.items()
        if len(of) > 2
    }
    few = [name for name in scores if name not in metrics]
    n_unscored, n_unknown = len(truth.effects) - len(known), len(everything - truth.effects.keys())
    return VariantEvaluation(metrics, n, few, means, n_unscored, n_unknown, curves)


def _metrics(value: Floats, effect: Floats, n: int, seed: int, *, binary: bool) -> dict[str, Estimate]:
    strata = effect.astype(np.int64) if binary else np.zeros(len(effect), dtype=np.int64)
    found: dict[str, list[Floats]] = {}
    for weights in resamplings(strata, n, seed):
        if binary:
            auroc, auprc = weighted.ranking(weights, effect > 0, np.abs(value))
            low, _ = weighted.ranking(weights, effect > 0, -value)
            rows = {"auroc": auroc, "auprc": auprc} | ({"auroc_low": low} if (value < 0).any() else {})
        else:
            rows = {"spearman_abs": _spearman(weights, np.abs(value), np.abs(effect))}
            if (value < 0).any():
                rows["spearman"] = _spearman(weights, value, effect)
        for name, of in rows.items():
            found.setdefault(name, []).append(of)
    return {name: estimate(np.concatenate(parts)) for name, parts in found.items()}


def _spearman(weights: Floats, x: Floats, y: Floats) -> Floats:
    return weighted.pearson(weights, weighted.ranks(weights, x), weighted.ranks(weights, y))


def _mean(values: Sequence[float], seed: int) -> Estimate:
    """Return the mean over elements, with an interval that resamples elements."""
    known = np.array([value for value in values if np.isfinite(value)])
    if len(known) < 2:
        return Estimate(float(known.mean()) if len(known) else np.nan, np.nan, np.nan)
    draws = np.random.default_rng(seed).choice(known, (2000, len(known))).mean(1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(known.mean()), float(low), float(high))


# --- files


def read_scores(path: str | Path, names: Sequence[str] = (), known: Collection[str] = ()) -> dict[str, dict[Key, float]]:
    """Read the output of `score` (VCF or BCF, TSV or Parquet): score -> variant -> value; names: scores to read, () for all.

    Quantiles, and columns of single tracks other than the strongest, are read only if they are named. A name may be the key in
    INFO (GF_LLR). known: scores with _ in their names.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist; give the output of `genoformer score`.")
    found: dict[str, dict[Key, float]] = {}
    read = _parquet_rows if path.suffix == ".parquet" else _tsv_rows if _is_table(path) else _vcf_rows
    for key, row in read(path):
        for name, value in row.items():
            found.setdefault(name, {})[key] = value
    wanted = [name.strip().upper().removeprefix("GF_") for name in names] or [
        name for name in found if _SCORE.fullmatch(name) or name in known
    ]
    upper = {name.upper(): name for name in found}
    if missing := [name for name in wanted if name not in upper]:
        raise ConfigError(f"{path} has no score {', '.join(missing)}; it has {', '.join(found) or 'none'}.")
    if not wanted:
        raise FileFormatError(f"{path} has no scores; give the output of `genoformer score`.")
    return {upper[name]: found[upper[name]] for name in wanted}


def _is_table(path: Path) -> bool:
    return path.name.endswith((".tsv", ".tsv.gz", ".csv", ".csv.gz", ".txt", ".txt.gz"))


def _vcf_rows(path: Path) -> Iterator[tuple[Key, dict[str, float]]]:
    with open_vcf(path) as file:
        for record in file:
            info = parse_info(record)
            for i, alt in enumerate(record.alts):
                row = {}
                for name, text in info.items():
                    values = text.split(",")
                    if name.startswith("GF_") and len(values) == len(record.alts):
                        row[name[3:]] = number_in(values[i])
                yield variant_key(record.chrom, record.pos, record.ref, alt), {k: v for k, v in row.items() if v == v}


def _tsv_rows(path: Path) -> Iterator[tuple[Key, dict[str, float]]]:
    for number, row in table_rows(path):
        if missing := [name for name in _PLACES if row.get(name) is None]:
            raise FileFormatError(f"{path}, line {number} has no {', '.join(missing)}; give the output of `genoformer score`.")
        if not is_count(row["pos"]):
            raise FileFormatError(f"{path}, line {number}: pos is {row['pos'][:24]!r}; give a whole number.")
        of = {name: number_in(text) for name, text in row.items() if text is not None and name not in _COLUMNS_OF_VCF}
        yield variant_key(row["chrom"], int(row["pos"]), row["ref"], row["alt"]), {k: v for k, v in of.items() if v == v}


_PLACES = ("chrom", "pos", "ref", "alt")
_COLUMNS_OF_VCF = {"chrom", "pos", "id", "ref", "alt", "qual", "filter", "info", "status"}


def _parquet_rows(path: Path) -> Iterator[tuple[Key, dict[str, float]]]:
    require_parquet(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise FileFormatError(f"{path} is not a complete Parquet file ({error}); write it again.") from error
    names = [field.name for field in file.schema_arrow if pa.types.is_floating(field.type)]
    if not {"chrom", "pos", "ref", "alt"} <= set(file.schema_arrow.names):
        raise FileFormatError(f"{path} has no columns chrom, pos, ref and alt; give the output of `genoformer score`.")
    try:
        for batch in file.iter_batches(columns=["chrom", "pos", "ref", "alt", *names]):
            for row in batch.to_pylist():
                of = {name: row[name] for name in names if row[name] is not None}
                yield variant_key(row["chrom"], row["pos"], row["ref"], row["alt"]), of
    except (OSError, pa.ArrowException, AttributeError) as error:  # AttributeError: a column is not text
        raise FileFormatError(f"{path} cannot be read ({error}); write it again.") from error


def write_evaluation(out: Path, evaluation: VariantEvaluation) -> None:
    """Write metrics.json, variants.png and, for labels, roc.png to a folder, created if missing.

    Only an earlier report is replaced.
    """
    from matplotlib.figure import Figure

    names = [str(Path(name).with_suffix(suffix)) for name in (FIGURE, CURVES) for suffix in (".png", ".svg")]
    check_overwrite(out, (METRICS, *names), METRICS, lambda old: "not_in_truth" in old)
    make_folder(out)
    figure = Figure(figsize=figure_size(evaluation), layout="constrained")
    draw_evaluation(figure.subplots(), evaluation)
    save_figures(figure, out / FIGURE)
    for name in names[2:]:  # curves of earlier labels
        (out / name).unlink(missing_ok=True)
    if evaluation.curves:
        figure = Figure(figsize=(4.2, 4.2 + 0.2 * len(evaluation.curves)), layout="constrained")
        draw_curves(figure.subplots(), evaluation)
        save_figures(figure, out / CURVES)
    write_text(out / METRICS, json.dumps(evaluation.to_dict(), indent=1) + "\n")


def _is_binary(evaluation: VariantEvaluation) -> bool:
    return any("auroc" in of[ALL] for of in evaluation.metrics.values())


def _drawn(evaluation: VariantEvaluation) -> dict[str, dict[str, Estimate]]:
    """Return score -> label of a row -> estimate."""
    metric = "auroc" if _is_binary(evaluation) else "spearman_abs"
    return {
        score: {
            f"{element} ({evaluation.counted(element)})": of[metric]
            for element, of in elements.items()
            if element != ALL and np.isfinite(of[metric].value)
        }
        | ({"mean of elements": evaluation.means[score][metric]} if score in evaluation.means else {})
        | {f"all ({evaluation.counted(ALL)})": elements[ALL][metric]}
        for score, elements in evaluation.metrics.items()
    }


def figure_size(evaluation: VariantEvaluation) -> tuple[float, float]:
    """Return width and height in inches of the figure."""
    columns = _drawn(evaluation)
    n_rows = len(dict.fromkeys(row for of in columns.values() for row in of))
    return 6.4, 1.2 + n_rows * (0.16 + 0.11 * len(columns))


def draw_evaluation(ax: Axes, evaluation: VariantEvaluation) -> None:
    """Draw the main metric of each score and element with its interval."""
    from genoformer import plots

    binary = _is_binary(evaluation)
    label = "AUROC of |score|" if binary else "Spearman correlation of |score| and |effect|"
    plots.intervals_by_row(ax, _drawn(evaluation), xlabel=f"{label}, 95 % interval", chance=0.5 if binary else 0.0)


def draw_curves(ax: Axes, evaluation: VariantEvaluation) -> None:
    """Draw the ROC curve of |score| for each score, over all variants with labels."""
    from genoformer import plots

    aurocs = {name: evaluation.metrics[name][ALL]["auroc"].value for name in evaluation.curves}
    curves = {f"|{name}|, AUROC {aurocs[name]:.3f}": pair for name, pair in evaluation.curves.items()}
    plots.roc_curves(ax, curves, first_leads=False)
    n_positive = sorted({int(truth.sum()) for truth, _ in evaluation.curves.values()})
    positive = f"{n_positive[0]:,}" if len(n_positive) == 1 else f"{n_positive[0]:,} to {n_positive[-1]:,}"
    ax.set_title(f"n = {evaluation.counted(ALL)}, {positive} positive", loc="left", fontsize="small")
