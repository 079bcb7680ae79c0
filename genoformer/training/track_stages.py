"""Stages of a run on tracks: models that teach, and unlabelled windows -> the job with a set of soft tracks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from genoformer.errors import ConfigError, OptionError
from genoformer.files import check_overwrite, write_text
from genoformer.formats.motif_files import read_matrices
from genoformer.genome.contigs import counted
from genoformer.genome.reference import Genome
from genoformer.models import folders
from genoformer.progress import ProgressCallback
from genoformer.training import resume
from genoformer.training.jobs import TrackTrainingJob
from genoformer.training.recipe import Run, refuse_finished, run_once
from genoformer.training.soft_tracks import TrackTeacher, load_teachers, soft_track_set, unlabelled_windows
from genoformer.training.stage_config import TEACHERS, TrackDistilConfig, runs_of_teachers
from genoformer.training.track_recipe import TrackRecipe

SOFT = "soft"  # folder of the set with soft tracks in that of the run


def prepare(
    job: TrackTrainingJob, folder: Path, progress: ProgressCallback, on_note: Callable[[str], None]
) -> TrackTrainingJob:
    """Return the job with soft tracks if it has [distil]: train the models that teach, or reuse those that are finished.

    Raises ConfigError, before any training, for a folder with other files, for several processes, and for contexts.
    """
    plan, tracks = job.config.distil, job.config.tracks
    if plan is None:
        return job
    _check(job, plan, folder)
    motifs = read_matrices(plan.motifs) if plan.motifs else []
    opened: AbstractContextManager[Genome | None] = Genome(job.fasta) if job.fasta is not None else nullcontext()
    with opened as genome:
        unlabelled = None
        if genome is not None:
            unlabelled, note = unlabelled_windows(genome, job.data, plan)
            on_note(note)
        names: Sequence[str | Path] = [job.teacher] if job.teacher is not None else []
        if not names:
            on_note(
                f"{folder / TEACHERS}: trains {counted(plan.members, 'model')}, whose predictions become part of the tracks."
            )
            names = _teachers(job, plan, folder / TEACHERS, progress)
        models = load_teachers(names, job.data)
        teacher = TrackTeacher(models, plan.weight, tracks.loss, tracks.both_strands, plan.composition, motifs)
        return replace(job, data=soft_track_set(folder / SOFT, job.data, teacher, unlabelled, progress))


def _check(job: TrackTrainingJob, plan: TrackDistilConfig, folder: Path) -> None:
    refuse_finished(folder)
    resume.refuse_other_command(folder, resume.TRACKS)
    if not (folder / resume.RUN).is_file():
        check_overwrite(folder, resume.FILES, "manifest.json", lambda manifest: False)
    if job.config.tracks.devices > 1:
        raise ConfigError(f"devices = {job.config.tracks.devices}: the stage [distil] runs in one process; set it to 1.")
    if job.fasta is None and (named := [name for name in ("contigs", "windows") if getattr(plan, name)]):
        raise OptionError(
            "fasta",
            f"is missing: [distil] {named[0]} names unlabelled windows of a genome; give its FASTA, or remove {named[0]}.",
        )
    if job.contexts is not None:
        raise ConfigError("[distil] is for the tracks of a set, found a table of contexts, too; leave one of them out.")


def _teachers(job: TrackTrainingJob, plan: TrackDistilConfig, folder: Path, progress: ProgressCallback) -> list[Path]:
    """Train the models that teach, or reuse them, and return the folder of their ensemble."""
    tracks = replace(job.config.tracks, epochs=plan.epochs or job.config.tracks.epochs)
    runs = runs_of_teachers(folder, tracks.seed, plan.members)
    for member, seed in runs:
        config = replace(job.config, tracks=replace(tracks, seed=seed), distil=None)
        own = replace(job, folder=member, config=config, teacher=None, fasta=None)

        def build(own: TrackTrainingJob = own) -> TrackRecipe:
            return TrackRecipe(own)

        run_once(build, Run(member, seed, job.command), progress, kind="a model")
    names = {"members": [member.name for member, _ in runs]}
    write_text(folder / folders.ENSEMBLE, json.dumps(names, indent=1) + "\n")
    return [folder]
