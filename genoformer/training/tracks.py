"""train_tracks(): a job: a set of windows with tracks + a track model (or none) -> a model that predicts the tracks."""

from __future__ import annotations

from collections.abc import Callable

from genoformer.errors import OptionError
from genoformer.progress import ProgressCallback
from genoformer.training.jobs import TrackTrainingJob
from genoformer.training.recipe import Run, run_recipe
from genoformer.training.track_recipe import TrackRecipe, TrainedTracks
from genoformer.training.track_stages import prepare


def train_tracks(
    job: TrackTrainingJob, *, progress: ProgressCallback = None, on_note: Callable[[str], None] = lambda text: None
) -> TrainedTracks | None:
    """Train a track model on windows of split train; the best step has the highest r on split valid.

    Without validation windows the last step is taken. With [distil], other models are trained first, and their predictions
    become part of the tracks. `on_note` receives descriptions of such stages. Return None in processes other than the first.

    Raises ConfigError for settings or data that cannot be trained on, TrainingError when a loss is not finite.
    """
    if job.folder is None:
        raise OptionError("output", "is missing, expected a folder for the model; name one.")
    prepared = prepare(job, job.folder, progress, on_note)
    run = Run(job.folder, job.config.tracks.seed, job.command)
    return run_recipe(lambda: TrackRecipe(prepared), run, progress)
