"""mini-tracks, as it ships: what its card says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer.evaluation.tracks import TrackFitting
from genoformer.genome.reference import Genome
from genoformer.inference.tracks import TrackPredictor
from genoformer.models import folders, registry
from genoformer.models.base import PredictsTracks


def test_it_is_small_and_knows_its_tracks() -> None:
    model = registry.load("mini-tracks", PredictsTracks)
    (head,) = model.heads
    table = model.targets[head]
    assert {group: len(rows) for group, rows in table.groups.items()} == {"CAGE": 24, "DNASE": 10, "RNA": 30, "RNA3": 10}
    assert (table.strand_pairs[table.strand_pairs] == np.arange(74)).all()
    folder = folders.resolve_model("mini-tracks")
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8_000_000
    assert "0.374" in (folders.read_card("mini-tracks") or "")


def test_on_real_windows_that_it_never_saw(real_data: Path) -> None:
    """Mean r of log(1 + x) over the first 34 tracks, CAGE and DNase; the card's 0.374 is that of both strands."""
    with np.load(real_data / "seq2track" / "targets.npz") as file:
        valid = np.flatnonzero(file["split"] == "valid")
        measured = file["target"][valid].astype(np.float32)  # [n, 2048 bins of 32, K]
    pooled = measured.reshape(len(valid), 512, 4, 74).mean(2).transpose(0, 2, 1)  # [n, K, 512]
    model, fitting = registry.load("mini-tracks", PredictsTracks).eval(), TrackFitting(74, log=True)
    length, bins = model.config.context_length, model.bins_of(model.config.context_length)
    reader = TrackPredictor(model)
    with Genome(real_data / "seq2track" / "windows.fa.gz") as genome:
        names = list(genome.contigs)
        for i, row in enumerate(valid):
            places = [32_768 + (place - bins.first) * 128 for place in range(0, 512, bins.n)]  # targets begin at 32,768
            found = [reader(genome.window(names[row], start, length)[None]) for start in places]
            fitting.add(np.concatenate(found, axis=-1), pooled[i][None])
    assert fitting.fit.positions[:34].mean() == pytest.approx(0.375, abs=0.002)
