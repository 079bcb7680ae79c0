"""Real tracks: `mini-tracks` beside ridge regression on GC and CpG.

Baskerville's test data: 45 windows of 131,072 bp to train on and 10 to validate with, 74 tracks (24 CAGE, 10 DNASE, 40 RNA)
over the middle 65,536 bp; four bins of 32 bp make one of 128 bp, their mean. r is Pearson's, of log(1 + x), over all bins of
the validation windows, in float64, mean over tracks, with an interval from bootstrap samples of the windows. The model and its
recipe were chosen without these windows (`cross_validate_tracks.py`). Half a minute on two cores.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from common import Row, data_folder, script

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from genoformer.datasets.track_set import TrackSet

OUT = Path(__file__).resolve().parents[2] / "build" / "tracks"
BIN = 128
GROUPS = {"CAGE": slice(0, 24), "DNASE": slice(24, 34), "CAGE and DNASE": slice(0, 34), "all 74": slice(None)}
TARGETS = {"CAGE": 0.35, "DNASE": 0.50}
N_SAMPLES = 1000


def main() -> list[Row]:
    data = track_set()
    valid = data.rows("valid")
    measured = np.log1p(data.tracks[valid].astype(np.float64))
    predicted = {
        "ridge regression on GC, CpG, their product and CpG squared": ridge(data, ()),
        "ridge regression on these and their means over 3, 5, 9, 17 and 65 bins": ridge(data, (1, 2, 4, 8, 32)),
        "one of its teachers, regression on GC, CpG, 4-mers and motifs": teacher_ridge(data),
        "mini-tracks": of_model(data, "mini-tracks"),
    }
    spreads = {name: spread(logs, measured) for name, logs in predicted.items()}
    rows = [row for name, of in spreads.items() for row in rows_of(f"{name}: mean r", *of, goal=name == "mini-tracks")]
    for name in list(spreads)[1:3]:
        more = [own - other for own, other in zip(spreads["mini-tracks"], spreads[name], strict=True)]
        rows += rows_of(f"mini-tracks, r above that of {name}: mean", *more)
    return rows


def track_set() -> TrackSet:
    """The windows as `genoformer data tracks` would have written them."""
    from genoformer.datasets.track_set import Window, read_tracks, write_track_set
    from genoformer.formats.track_table import read_targets
    from genoformer.genome.reference import Genome

    folder = data_folder() / "seq2track"
    if not (OUT / "set" / "manifest.json").exists():
        with np.load(folder / "targets.npz") as file:
            tracks, splits = file["target"].astype(np.float32), [str(name) for name in file["split"]]
        n, n_bins, n_tracks = tracks.shape
        pooled = tracks.reshape(n, n_bins // 4, 4, n_tracks).mean(2).transpose(0, 2, 1)  # [n, K, N]
        with Genome(folder / "windows.fa.gz") as genome:
            names = list(genome.contigs)
            codes = (genome.window(name, 0, genome.contigs[name]) for name in names)
            windows = [
                Window(chrom, int(place.partition("-")[0]), int(place.partition("-")[2]), split)
                for (chrom, _, place), split in zip((name.partition(":") for name in names), splits, strict=True)
            ]
            write_track_set(OUT / "set", codes, iter(pooled), windows, read_targets(folder / "targets.txt"), BIN)
    return read_tracks(OUT / "set")


def of_model(data: TrackSet, name: str | Path) -> NDArray[np.float64]:
    """log(1 + x) of the validation windows, both strands averaged, [n, K, N]."""
    from genoformer.inference.set_windows import predict_windows
    from genoformer.models import registry
    from genoformer.models.base import PredictsTracks

    model = registry.load(name, PredictsTracks).eval()
    return np.stack([np.log1p(one.astype(np.float64)) for one in predict_windows(model, data, data.rows("valid"))])


def ridge(data: TrackSet, context: tuple[int, ...], penalty: float = 1000.0) -> NDArray[np.float64]:
    """log(1 + x) from GC, CpG, their product and CpG squared in a bin, and their means over 2 w + 1 bins for w in context."""
    begin, n = data.first_bin * BIN, data.n_bins
    codes = np.array(data.sequence)[:, begin : begin + n * BIN + 1]
    gc = np.isin(codes[:, :-1], (1, 2)).reshape(-1, n, BIN).mean(2)
    cpg = ((codes[:, :-1] == 1) & (codes[:, 1:] == 2)).reshape(-1, n, BIN).mean(2)
    bins = np.stack([gc, cpg, gc * cpg, cpg**2], axis=-1)  # [n, N, F]
    means = [np.apply_along_axis(np.convolve, 1, bins, np.full(2 * w + 1, 1 / (2 * w + 1)), "same") for w in context]
    features = np.concatenate([bins, *means], axis=-1)
    train, valid = data.rows("train"), data.rows("valid")
    logs = np.log1p(np.array(data.tracks).astype(np.float64)).transpose(0, 2, 1)  # [n, N, K]
    x, y = (values[train].reshape(-1, values.shape[-1]) for values in (features, logs))
    centre, spread, level = x.mean(0), x.std(0), y.mean(0)
    x = (x - centre) / spread
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (y - level))
    return (((features[valid] - centre) / spread) @ weights + level).transpose(0, 2, 1)


def teacher_ridge(data: TrackSet) -> NDArray[np.float64]:
    """log(1 + x) of the validation windows by the regression that teaches mini-tracks, fitted on the training windows."""
    from genoformer.formats.motif_files import read_matrices
    from genoformer.training.composition import CompositionRidge

    rows = data.rows("train")
    train = replace(
        data, sequence=data.sequence[rows], tracks=data.tracks[rows], windows=tuple(data.windows[i] for i in rows.tolist())
    )
    motifs = Path(str(files("genoformer_data"))) / "models" / "mini-tracks" / "motifs.meme"
    fitted = CompositionRidge.fit(train, np.log1p, read_matrices(motifs))
    return np.stack([fitted.predict(np.asarray(data.sequence[row]), data) for row in data.rows("valid")])


def correlations(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's r of each track over all positions of the windows, from log(1 + x) [n, K, N]."""
    from genoformer.evaluation.tracks import TrackFitting

    fitting = TrackFitting(measured.shape[1])
    fitting.add(predicted, measured)
    return fitting.fit.positions


def spread(predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """r of each track [K], and in bootstrap samples of the windows [N_SAMPLES, K], the same ones for each model."""
    rng = np.random.default_rng(0)
    samples = [rng.integers(0, len(measured), len(measured)) for _ in range(N_SAMPLES)]
    return correlations(predicted, measured), np.stack([correlations(predicted[i], measured[i]) for i in samples])


def rows_of(name: str, found: NDArray[np.float64], samples: NDArray[np.float64], *, goal: bool = False) -> list[Row]:
    """A row for each group of tracks, with its interval."""
    made = []
    for group, part in GROUPS.items():
        r = float(np.nanmean(found[part]))
        low, high = np.quantile(np.nanmean(samples[:, part], axis=1), [0.025, 0.975])
        target, met = (f">= {TARGETS[group]}", r >= TARGETS[group]) if goal and group in TARGETS else ("", None)
        made.append(Row(f"{name} of {group}", "", f"{r:.3f} ({low:.3f} to {high:.3f})", target, met))
    return made


if __name__ == "__main__":
    script(main)
