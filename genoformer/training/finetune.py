"""finetune(): labelled sequences + a language model (or none) -> predictors of classes or values, one for each seed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray

from genoformer import __version__, inference
from genoformer.config import checked
from genoformer.datasets.leakage import leakage
from genoformer.datasets.sequences import LabelledSequences
from genoformer.datasets.targets import hint_at_values, targets_of
from genoformer.errors import ConfigError
from genoformer.evaluation import metrics
from genoformer.evaluation.intervals import Estimate, over_runs
from genoformer.files import check_overwrite, write_text
from genoformer.models import registry
from genoformer.models.base import READS_TOKENS
from genoformer.models.heads import ClassifierConfig, SequenceClassifier, merge_adapters, set_trainable
from genoformer.models.transformer.model import Encoder, EncoderConfig
from genoformer.progress import ProgressCallback
from genoformer.training import resume
from genoformer.training.config import FinetuneConfig, TuningConfig, model_fields, tokenizer_of
from genoformer.training.loop import STATE, Monitor, fit
from genoformer.training.supervised import LabelledBatches, predictor_loss
from genoformer.training.supervised_data import (
    DEFAULT_METRIC,
    LabelledSet,
    case_weights,
    check_validation,
    class_names,
    described,
    held_out,
    loss_of,
    metrics_of,
    monitor_of,
    record_of,
    refuse_constant,
    sketch_of,
)

_OTHER_VALID = "give data with others too, or leave --valid out, and a tenth of the training data is held out"
_OWN_VALID = "give more training data, or validation data with --valid"
_LESS_IS_BETTER = ("loss", "mse", "ece", "brier")


class EnsembleMember(NamedTuple):
    """One trained predictor: its folder, seed, start, validation metrics, and notes on a failed training."""

    folder: Path
    seed: int
    start: str
    metrics: dict[str, Estimate]
    notes: list[str]


class Finetuned(NamedTuple):
    """Members of a run, metrics of their averaged predictions, and mean and interval of each metric over the members.

    told: names of the metrics to print: the monitored one and the usual ones of the task.
    """

    members: list[EnsembleMember]
    ensemble: dict[str, Estimate]
    over_members: dict[str, Estimate]
    notes: list[str]
    told: list[str]

    @property
    def failed(self) -> list[EnsembleMember]:
        """Members that collapsed: they make the same prediction for every sequence."""
        return [member for member in self.members if member.notes]


def finetune(
    config: FinetuneConfig,
    train: LabelledSequences,
    valid: LabelledSequences | None,
    folder: Path,
    *,
    task: str,
    starts: Sequence[str | Path] = (),
    n_seeds: int = 1,
    multi_label: bool | None = None,
    command: str = "",
    progress: ProgressCallback = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Finetuned | None:
    """Train a predictor for each start and seed, write the run's folder, and return the results.

    starts: pre-trained models to fine-tune; none trains from scratch with [tokenizer] and [model]. With one start and one
    seed `folder` is the model itself; otherwise `folder` lists its members, whose predictions are averaged.
    valid: None holds out a tenth of the training data, stratified by class. Sequences longer than the window are cut into
    overlapping windows, whose logits are averaged; the notes give their number. `tell` receives a description of the data
    before training starts. The same call resumes an interrupted run. Return None in processes other than the first.

    Raises ConfigError for settings or data that cannot be trained on, TrainingError when a loss is not finite.
    """
    plan = config.finetune
    if (folder / "config.json").exists() or (folder / registry.ENSEMBLE).exists():
        raise ConfigError(f"{folder} holds a finished run; name another folder, or remove it.")
    check_overwrite(folder, ("manifest.json",), "manifest.json", _is_mine)  # but refuses a manifest of `data build`
    resume.refuse_other_kind(folder, task)
    if (folder / STATE).is_file() and (n_seeds > 1 or len(starts) > 1):
        raise ConfigError(f"{folder} holds the unfinished run of one model, not of several; name another folder.")
    if plan.strategy == "fsdp":
        raise ConfigError("strategy = 'fsdp': a model is fine-tuned whole on every device; take auto or ddp.")
    if n_seeds < 1:
        raise ConfigError(f"seeds = {n_seeds}: give a whole number of at least 1.")
    if starts and (config.tokenizer or config.model):
        raise ConfigError("[tokenizer] and [model] are for training from scratch; leave them out, or the model.")
    whole = targets_of(train.labels, task, columns=train.columns, multi_label=multi_label, place=train.place)
    fitted = LabelledSet(train.sequences, whole)
    tell(described(train.path.name, whole, train.columns))
    if hint := hint_at_values(whole):
        tell(hint)
    refuse_constant(whole, train.path.name)
    notes = []
    if valid is not None:
        kind = fitted.targets.kind
        targets = targets_of(
            valid.labels,
            task,
            fitted.targets.classes,
            columns=valid.columns,
            multi_label=kind == "multilabel",
            place=valid.place,
        )
        tell(described(valid.path.name, targets, valid.columns))
        checked_on = LabelledSet(valid.sequences, targets)
        notes += check_validation(targets, valid.path.name, _OTHER_VALID)
    else:
        fitted, checked_on = held_out(fitted, plan.seed)
        n_held = len(checked_on.sequences)
        notes.append(f"No validation data was given: {n_held:,} of the {len(train):,} sequences were held out.")
        notes += check_validation(checked_on.targets, f"What was held out of {train.path.name}", _OWN_VALID)
    refuse_constant(fitted.targets, f"The training part of {train.path.name}")
    monitor = monitor_of(plan.monitor, checked_on.targets)
    found = leakage(fitted.sequences, checked_on.sequences, class_names(checked_on.targets))
    notes.append(found.describe("the training data", "the validation data"))
    data = {
        "train": record_of(train.path, len(fitted.sequences)),
        "valid": record_of(valid.path, len(checked_on.sequences)) if valid is not None else None,
        "leakage": found.as_dict(),
    }
    members, predicted = [], []
    origin = {"command": command, "data": data}
    for start, name in _origins(starts):
        for seed in range(plan.seed, plan.seed + n_seeds):
            inside = "-".join([*([name] * (len(starts) > 1)), *([f"seed-{seed}"] * (n_seeds > 1))])
            trained = _member(config, fitted, checked_on, folder / inside, start, seed, task, monitor, origin, progress)
            if trained is None:
                continue
            members.append(trained.member)
            predicted.append(trained.values)
            notes += [note for note in trained.notes if note not in notes]
    rank: Any = getattr(rank_zero_only, "rank", None)
    if not members or rank:  # in a process other than the first all members may be finished already
        return None
    together = metrics_of(checked_on.targets, np.mean(predicted, axis=0))
    names = members[0].metrics
    spread: dict[str, Estimate] = {}
    if len(members) > 1:
        for name in names:
            spread[name] = over_runs([member.metrics[name].value for member in members], metrics.range_of(name))
        table = {
            "members": [member.folder.name for member in members],
            "metrics": {name: together[name].to_dict() for name in names},
            "over_members": {name: spread[name].to_dict() for name in names},
        }
        write_text(folder / registry.ENSEMBLE, json.dumps(table, indent=1, allow_nan=False) + "\n")
    told = [monitor, DEFAULT_METRIC[fitted.targets.kind], *(["r2"] if fitted.targets.kind == "values" else [])]
    return Finetuned(members, together, spread, notes, [name for name in dict.fromkeys(told) if name in together])


class _Trained(NamedTuple):
    """A member, its predictions for the validation data, and notes on the data."""

    member: EnsembleMember
    values: NDArray[np.float32]
    notes: list[str]


def _member(
    config: FinetuneConfig,
    train: LabelledSet,
    valid: LabelledSet,
    folder: Path,
    start: str | Path | None,
    seed: int,
    task: str,
    monitor: str,
    manifest: dict[str, Any],
    progress: ProgressCallback,
) -> _Trained | None:
    """Train the predictor of one start and seed and save it in its folder; return None in processes other than the first.

    A member that an interrupted run had finished is loaded unchanged.
    """
    plan = replace(config.finetune, seed=seed)
    L.seed_everything(seed, verbose=False)
    encoder, made_for = _encoder(config, start)
    before = registry.resolve_model(start) if start is not None else None
    manifest = {
        **manifest,
        "version": __version__,
        "task": task,
        "start": {"sha256": encoder.sha256, "manifest": registry.read_manifest(before)} if before else None,
        "shape": {"tokenizer": dict(config.tokenizer), "model": dict(config.model)},
        "finetune": asdict(plan),
        "packages": {"torch": torch.__version__, "lightning": L.__version__, "numpy": np.__version__},
    }
    model = _predictor(encoder, train, plan)
    there = (folder / "config.json").is_file()
    if there:
        model = _finished(folder, manifest)
    else:
        resume.begin(folder, manifest, is_mine=_is_mine)
        best_step = _trained(model, train, valid, folder, plan, monitor, progress)
        if best_step is None:
            return None
        manifest["best_step"] = best_step
    values, n_windowed = inference.predictions(model, valid.sequences)
    asked = metrics.cases(model.config.kind, valid.targets.values, values, train.targets.classes)
    found = metrics_of(valid.targets, values)
    failed = [note for note in metrics.notes(asked) if "failed" in note] if metrics.collapsed(asked) else []
    window = model.config.window
    n_long = sum(len(sequence) > window for sequence in train.sequences)
    if not there:
        manifest["windowed"] = {"window": window, "overlap": model.config.overlap, "train": n_long, "valid": n_windowed}
        manifest |= {"metrics": {name: estimate.to_dict() for name, estimate in found.items()}, "notes": failed}
        sketch_of(train.sequences, before).save(folder / registry.SKETCH)
        registry.save(model, folder, manifest=manifest)
        resume.finished(folder)
    notes = []
    if n_long or n_windowed:
        notes.append(
            f"{n_long:,} of {len(train.sequences):,} sequences to train on and {n_windowed:,} of {len(valid.sequences):,} to "
            f"validate with are longer than the window of {window:,} bases and were cut into overlapping windows."
        )
    if start is None:
        return _Trained(EnsembleMember(folder, seed, "scratch", found, failed), values, notes)
    longest = min(window, max(len(sequence) for part in (train, valid) for sequence in part.sequences))
    if longest > made_for:
        notes.append(
            f"windows of up to {longest:,} bases, but {start} is made for {made_for:,}: it has to learn here what lies "
            f"further apart; window = {made_for} in [finetune] keeps to what it knows."
        )
    for part, what in ((train, "the training data"), (valid, "the validation data")):
        if note := registry.training_overlap_note(encoder, str(start), part.sequences, what):
            notes.append(note)
    return _Trained(EnsembleMember(folder, seed, str(start), found, failed), values, notes)


def _trained(
    model: SequenceClassifier,
    train: LabelledSet,
    valid: LabelledSet,
    folder: Path,
    plan: TuningConfig,
    monitor: str,
    progress: ProgressCallback,
) -> int | None:
    """Train a predictor in place and return its best step, with the weights of that step.

    Return None in processes other than the first.
    """
    set_trainable(model, plan.tune, last_layers=plan.last_layers, lora_rank=plan.lora_rank)  # type: ignore[arg-type]
    batches = LabelledBatches(
        train.sequences,
        train.targets.values,
        case_weights(train.targets, plan.class_weights),
        model,
        batch_size=plan.batch_size,
        seed=plan.seed,
        token_dropout=plan.token_dropout,
        max_shift=plan.max_shift,
    )

    def validate(trained: Any) -> dict[str, float]:
        values = inference.predictions(trained, valid.sequences).values
        known = {name: found.value for name, found in metrics_of(valid.targets, values, n=1).items()}
        known["loss"] = loss_of(valid.targets, values)
        found = {f"valid_{name}": known[name] for name in dict.fromkeys(["loss", monitor])}
        return {name: value for name, value in found.items() if math.isfinite(value)}  # MCC of a single class is NaN

    fitted = fit(
        model,
        batches,
        lambda m, batch: predictor_loss(m, batch, plan.batch_size),
        folder,
        plan.loop(batches.n_batches),
        validate=validate,
        monitor=Monitor(f"valid_{monitor}", monitor.partition(":")[0] not in _LESS_IS_BETTER, plan.patience),
        rates=lambda name: plan.encoder_lr_scale if name.startswith("encoder.") else 1.0,
        progress=progress,
    )
    if fitted is None:
        return None
    model.load_state_dict(fitted.weights)
    merge_adapters(model.encoder)
    model.eval()
    return fitted.step


def _finished(folder: Path, manifest: dict[str, Any]) -> SequenceClassifier:
    """Load a finished member of an interrupted run; ConfigError if it was trained with other settings."""
    before, mine = (json.loads(json.dumps(m)) for m in (registry.read_manifest(folder) or {}, manifest))
    what = ("task", "start", "shape", "finetune", "data")
    if changed := [name for name in what if before.get(name) != mine[name]]:
        raise ConfigError(
            f"{folder} holds a model that was trained in another way ({', '.join(changed)} differ); name another folder."
        )
    (model,) = registry.load_ensemble(folder)
    return model


def _is_mine(manifest: dict[str, Any]) -> bool:
    """True if a manifest is that of a fine-tuned model."""
    return "finetune" in manifest


def _origins(starts: Sequence[str | Path]) -> list[tuple[str | Path | None, str]]:
    """Return each start with a unique name for its folder; equal names are numbered."""
    if not starts:
        return [(None, "")]
    names = [registry.resolve_model(start).resolve().name for start in starts]
    return [
        (start, name if names.count(name) == 1 else f"{name}-{i}")
        for i, (start, name) in enumerate(zip(starts, names, strict=True), 1)
    ]


def _encoder(config: FinetuneConfig, start: str | Path | None) -> tuple[Encoder, int]:
    """Return the encoder to train, and the window length in bases that it was trained on."""
    if start is not None:
        loaded = registry.load(start, READS_TOKENS)
        encoder, window = loaded.encoder, getattr(loaded.config, "window", 0)
        return encoder, max(window, encoder.config.context_length)
    if not config.tokenizer:
        raise ConfigError("no model to go on from: name one with -m, or give [tokenizer] and [model] to train from scratch.")
    tokenizer = tokenizer_of(config.tokenizer)
    shape = checked(EncoderConfig, model_fields(config.model, "transformer"), "[model]")
    if "n_vocab" in shape:
        raise ConfigError("[model]: n_vocab follows from the tokenizer; leave it out.")
    encoder = Encoder(EncoderConfig.from_dict({**shape, "n_vocab": tokenizer.n_vocab}))
    encoder.tokenizer = tokenizer
    return encoder, encoder.config.context_length


def _predictor(encoder: Encoder, train: LabelledSet, plan: TuningConfig) -> SequenceClassifier:
    """Return a predictor with the encoder's weights and a new head."""
    tokenizer, targets = encoder.tokenizer, train.targets
    longest, shortest = max(len(sequence) for sequence in train.sequences), tokenizer.min_bases
    room = tokenizer.max_bases(encoder.config.max_tokens)
    if plan.window is not None and encoder.config.position == "learned" and plan.window > room:
        raise ConfigError(f"window = {plan.window}: this encoder has positions for {room} bases; give that or less.")
    if plan.window is not None and plan.window < shortest:
        raise ConfigError(f"window = {plan.window}: a token of this encoder has {shortest} bases; give at least as many.")
    window = plan.window or max(shortest, min(longest, room))  # shorter sequences are padded with N at their end
    values = targets.values if targets.kind == "values" else np.empty((0, 0))
    model = SequenceClassifier(
        ClassifierConfig(
            encoder=replace(encoder.config, dropout=0.0 if plan.tune == "frozen" else plan.dropout),
            kind=targets.kind,
            classes=targets.classes,
            window=window,
            overlap=window // 2 if plan.overlap is None else plan.overlap,
            pooling=plan.pooling,  # type: ignore[arg-type]
            both_strands=plan.both_strands,
            dropout=plan.dropout,
            target_mean=tuple(values.mean(0, dtype=np.float64).tolist()) if len(values) else (),
            target_std=tuple(values.std(0, dtype=np.float64).tolist()) if len(values) else (),
        )
    )
    model.encoder.load_state_dict(encoder.state_dict())
    model.tokenizer = tokenizer
    return model
