"""train_tracks(): a set of windows with tracks + a track model (or none) -> a model that predicts the tracks."""

from __future__ import annotations

from pathlib import Path

from genoformer.datasets.track_set import TrackSet
from genoformer.progress import ProgressCallback
from genoformer.training.recipe import Run, run_recipe
from genoformer.training.track_config import TracksConfig
from genoformer.training.track_recipe import TrackRecipe, TrainedTracks


def train_tracks(
    config: TracksConfig,
    data: TrackSet,
    folder: Path,
    *,
    start: str | Path | None = None,
    head: str = "tracks",
    command: str = "",
    progress: ProgressCallback = None,
) -> TrainedTracks | None:
    """Train a track model on windows of split train; the best step has the highest r on split valid.

    start: a pre-trained model whose trunk (stem, tower and transformer) is reused with a new head; None trains from scratch
    with [model]. Without validation windows the last step is taken. Return None in processes other than the first.
    Raises ConfigError for settings or data that cannot be trained on, TrainingError when a loss is not finite.
    """
    run = Run(folder, config.tracks.seed, command)
    return run_recipe(lambda: TrackRecipe(config, data, start, head), run, progress)
