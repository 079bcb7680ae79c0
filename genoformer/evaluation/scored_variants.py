"""Outputs of `score` and a table of effects or labels -> metrics as a dict, with a table and a figure for notebooks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoformer import plots
from genoformer.errors import OptionError
from genoformer.evaluation.rank_means import RANK_MEAN, rank_mean, read_score_files
from genoformer.evaluation.truth import read_truth
from genoformer.evaluation.variants import VariantEvaluation, draw_evaluation, evaluate_variants, figure_size, write_evaluation
from genoformer.formats.remote import local_copy
from genoformer.option_checks import check_flag, check_kind

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class VariantEvaluationJob:
    """Scored variants, and the table that they are compared with.

    Raises OptionError for a value of another kind.
    """

    scored: str | Path  # output of `score`, or its address
    table: str | Path  # table of variants, or a VCF, whose columns are the keys of INFO
    truth: str  # column of the measured effects, or of the labels
    positive: str | None = None  # value of the label column that is positive; None: a column of 0 and 1, or effects
    element: str | None = None  # column that groups the variants
    where: Mapping[str, str] | Sequence[str] = ()  # rows to use: column -> value, or COLUMN=VALUE
    scores: str | Sequence[str] | None = None  # names; None: all scores
    also: Sequence[str | Path] = ()  # outputs of `score` with other models
    rank_mean: bool = False  # add the mean of the ranks of all scores
    output: str | Path | None = None  # folder for metrics.json and figures

    def __post_init__(self) -> None:
        for name in ("scored", "table"):
            check_kind(name, getattr(self, name), (str, Path), "the path of a file")
        for name in ("truth", "positive", "element"):
            check_kind(name, getattr(self, name), str, "text")
        check_flag("rank_mean", self.rank_mean)
        _ = self.conditions  # checks itself

    @property
    def conditions(self) -> dict[str, str]:
        """Value of each column of the rows to use."""
        if isinstance(self.where, Mapping):
            return dict(self.where)
        texts = [self.where] if isinstance(self.where, str) else self.where
        if bad := [text for text in texts if "=" not in text]:
            raise OptionError("where", f"is {bad[0]!r}, expected COLUMN=VALUE; give this.")
        return {column: value for column, _, value in (text.partition("=") for text in texts)}

    @property
    def names(self) -> list[str]:
        """Names of the scores; none stands for all."""
        names = self.scores.split(",") if isinstance(self.scores, str) else self.scores or ()
        return [name for name in names if name.strip()]


def evaluate_scored(job: VariantEvaluationJob, known: Collection[str] = ()) -> ScoredEvaluation:
    """Return the metrics of scored variants, and write them if the job has an output. known: scores with _ in their names.

    Raises the errors of `read_truth`, `read_score_files` and `evaluate_variants`.
    """
    with ExitStack() as copies:
        path, *paths = (copies.enter_context(local_copy(file)) for file in (job.table, job.scored, *job.also))
        truth = read_truth(path, job.truth, element=job.element, positive=job.positive, where=job.conditions)
        values = read_score_files(paths, job.names, known)
    if job.rank_mean:
        values[RANK_MEAN] = rank_mean(list(values.values()))
    found = evaluate_variants(values, truth)
    if job.output is not None:
        write_evaluation(Path(job.output), found)
    return ScoredEvaluation(found)


class ScoredEvaluation(dict[str, Any]):
    """Metrics of scored variants, as `genoformer evaluate variants` prints them, ready for `json.dumps`."""

    def __init__(self, evaluation: VariantEvaluation) -> None:
        super().__init__(evaluation.to_dict())
        self.evaluation = evaluation

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each score, element ("all", "mean_of_elements") and metric, with its value and 95 % interval."""
        import pandas as pd

        rows = [
            (score, element, metric, *(estimate[key] for key in ("value", "low", "high")))
            for score, elements in self["scores"].items()
            for element, metrics in elements.items()
            for metric, estimate in metrics.items()
        ]
        table = pd.DataFrame(rows, columns=["score", "element", "metric", "value", "low", "high"])
        return table.astype(dict.fromkeys(("value", "low", "high"), float))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the main metric of each score and element with its interval, in the axes of the caller or of a new figure."""
        panel = plots.shown_axes(ax, *figure_size(self.evaluation))
        draw_evaluation(panel, self.evaluation)
        return panel

    def __repr__(self) -> str:
        texts = []
        for score, elements in self["scores"].items():
            metric, estimate = next(iter(elements["all"].items()))
            texts.append(f"{score} {metric} {estimate['value']:.3f}")
        return f"ScoredEvaluation({self.evaluation.counted('all')} variants: {', '.join(texts)})"

    def _repr_html_(self) -> str:
        return plots.as_html(
            repr(self), lambda panels: draw_evaluation(panels[0], self.evaluation), figure_size(self.evaluation)
        )
