"""Stages of a fine-tuning run: in-domain pre-training and models that teach -> the start and the labels of its members."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from genoformer.errors import ConfigError
from genoformer.genome.contigs import counted
from genoformer.progress import ProgressCallback
from genoformer.training.classifier_recipe import ClassifierRecipe, MemberResult, TrainingData
from genoformer.training.config import FinetuneConfig
from genoformer.training.fresh_negatives import FreshNegatives, SoftTargets
from genoformer.training.in_domain import InDomainRecipe
from genoformer.training.jobs import FinetuneJob, is_finetuned
from genoformer.training.recipe import Run, run_once, run_recipe, seeded
from genoformer.training.soft_targets import ask_teacher, soft_targets
from genoformer.training.stage_config import TEACHERS, runs_of_teachers

PRETRAINED = "pretrained"  # folder of the encoder in that of the run


def prepare(
    job: FinetuneJob, data: TrainingData, progress: ProgressCallback, on_note: Callable[[str], None]
) -> tuple[FinetuneJob, TrainingData]:
    """Run the stages that come before the training of members, or reuse their finished models.

    Return the job with the encoder that [pretrain] trained as its start, and the data with the predictions of the teacher.
    """
    config = job.config
    if config.finetune.devices > 1 and (config.pretrain is not None or config.distil is not None):
        raise ConfigError(
            f"devices = {config.finetune.devices}: the stages [pretrain] and [distil] run in one process; set it to 1."
        )
    _check_targets(config, data)
    if config.pretrain is not None:
        n, folder = len(data.train.sequences), job.folder / PRETRAINED
        on_note(f"{folder}: trains an encoder on masked tokens of the {n:,} training sequences.")
        job = replace(job, starts=[_pretrained(job, data, folder, progress)])
    if config.distil is not None:
        names: Sequence[str | Path] = [job.teacher] if job.teacher is not None else []
        if not names:
            folder, n_members = job.folder / TEACHERS, config.distil.members
            on_note(f"{folder}: trains {counted(n_members, 'model')}, whose predictions become part of the labels.")
            names = _teachers(job, data, folder, progress)
        asked = ask_teacher(names, data.train.targets.task, data.train.sequences, config.distil.weight, progress)
        data = data._replace(teacher=asked)
    return job, data


def _check_targets(config: FinetuneConfig, data: TrainingData) -> None:
    """Raise ConfigError for settings that do not fit the labels, which would otherwise end the run after its first stages."""
    train, plan = data.train, config.finetune
    soft = soft_targets(train.targets, plan)
    if config.negatives is not None:
        FreshNegatives(train.sequences, train.targets, SoftTargets(soft, soft), config.negatives, plan.seed)


def train_member(
    job: FinetuneJob, data: TrainingData, folder: Path, start: str | Path | None, seed: int, progress: ProgressCallback
) -> MemberResult | None:
    """Fine-tune the model of one start and seed; a member that an interrupted run had finished is loaded unchanged."""
    more = {"recipe": job.recipe.record} if job.recipe is not None else {}

    def build() -> ClassifierRecipe:
        return ClassifierRecipe(job.config, data, start, seed, more)

    if (folder / "config.json").is_file():
        return seeded(build, seed).reload(folder)
    return run_recipe(build, Run(folder, seed, job.command, replaces=is_finetuned), progress)


def _pretrained(job: FinetuneJob, data: TrainingData, folder: Path, progress: ProgressCallback) -> Path:
    """Return the folder of the encoder that was trained on the training sequences; ConfigError if it has other settings."""
    assert job.config.pretrain is not None
    seed = job.config.pretrain.seed

    def build() -> InDomainRecipe:
        return InDomainRecipe(job.config, data.train.sequences, data.record)

    run_once(build, Run(folder, seed, job.command), progress, kind="an encoder")
    return folder


def _teachers(job: FinetuneJob, data: TrainingData, folder: Path, progress: ProgressCallback) -> list[Path]:
    """Train the members that teach, or reuse them, and return their folders."""
    assert job.config.distil is not None
    start = job.starts[0] if job.starts else None
    runs = runs_of_teachers(folder, job.config.finetune.seed, job.config.distil.members)
    for member, seed in runs:
        train_member(job, data, member, start, seed, progress)
    return [member for member, _ in runs]
