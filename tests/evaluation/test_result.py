"""Evaluations as dicts, tables and figures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from genoformer.evaluation.report import evaluate
from genoformer.evaluation.result import Evaluation
from genoformer.tasks import Classification, Regression


def test_a_table_has_the_metrics_of_every_model() -> None:
    truth, predicted = [0, 0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.1, 0.9]]
    task = Classification(("no", "yes"))
    result = Evaluation(evaluate(task, truth, predicted, baselines={"cnn": [[0.5, 0.5]] * 4}, n=20))
    table = result.to_frame()
    assert set(table["model"]) == {"model", "cnn"}
    row = table[(table["model"] == "model") & (table["metric"] == "accuracy")].iloc[0]
    assert [row["value"], row["low"], row["high"]] == [result["accuracy"][key] for key in ("value", "low", "high")]
    assert table["value"].dtype == np.float64
    assert json.loads(json.dumps(result)) == json.loads(json.dumps(dict(result)))
    mcc = result["mcc"]["value"]
    assert repr(result).startswith(f"Evaluation(classification of 4: model mcc {mcc:.3f}, cnn mcc ")
    ax = result.plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["CNN", "model"]
    assert ax.get_xlabel() == "MCC with 95 % interval (n = 4)"
    assert "data:image/png" in result._repr_html_()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_values_that_are_not_defined_are_nan() -> None:
    result = Evaluation(evaluate(Regression(("x",), (0.0,), (1.0,)), [[1.0], [2.0], [3.0]], [[1.0], [1.0], [1.0]], n=20))
    table = result.to_frame().set_index("metric")
    assert np.isnan(table.loc["pearson", "value"])
    assert "nan" in repr(result)
    result.plot()
