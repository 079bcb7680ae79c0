"""Results of fine-tuning as text, tables and figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genoformer.evaluation.intervals import Estimate
from genoformer.evaluation.tracks import TrackFit
from genoformer.training.finetune import EnsembleMember, Finetuned
from genoformer.training.track_recipe import TrainedTracks


def test_a_result_of_sequences() -> None:
    estimates = {"mcc": Estimate(0.5, 0.4, 0.6), "auroc": Estimate(0.75, 0.7, 0.8)}
    good = EnsembleMember(Path("run/seed-0"), 0, "demo", estimates, [])
    bad = EnsembleMember(Path("run/seed-1"), 1, "demo", estimates, ["the model predicts one class."])
    result = Finetuned([good, bad], estimates, {}, [], ["mcc"])
    assert repr(result) == (
        "Finetuned(run/seed-0: mcc 0.500 (95 % interval 0.400 to 0.600); "
        "run/seed-1 FAILED: mcc 0.500 (95 % interval 0.400 to 0.600))"
    )
    table = result.to_frame()
    assert table.iloc[1].tolist() == ["run/seed-0", "auroc", 0.75, 0.7, 0.8]
    assert len(table) == 4
    assert [label.get_text() for label in result.plot().get_yticklabels()] == ["seed-1", "seed-0"]
    assert "data:image/png" in result._repr_html_()


def test_a_result_of_tracks() -> None:
    fit = TrackFit(np.array([0.5, 0.7]), np.array([0.1, 0.3]))
    result = TrainedTracks(Path("run"), fit, 40, [], None, ("CAGE", "DNase"))
    assert result.to_frame().to_numpy().tolist() == [
        ["valid", "all", 2, 0.6, 0.2],
        ["valid", "CAGE", 1, 0.5, 0.1],
        ["valid", "DNase", 1, 0.7, 0.3],
    ]
    assert repr(result) == "TrainedTracks(run, step 40: valid all r 0.600, valid CAGE r 0.500, valid DNase r 0.700)"
    assert repr(TrainedTracks(Path("run"), None, 40, [])) == "TrainedTracks(run, step 40)"
