"""finetune(): labelled sequences + a language model (or none) -> predictors that classify or predict values, one a seed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray

from genoformer import __version__, inference
from genoformer.errors import ConfigError
from genoformer.evaluation import metrics
from genoformer.evaluation.intervals import Estimate, over_runs
from genoformer.fields import checked
from genoformer.genome.codes import Codes
from genoformer.genome.sketch import Sketch
from genoformer.labelled.leakage import leakage
from genoformer.labelled.read import LabelledSequences
from genoformer.labelled.targets import Targets, targets_of
from genoformer.models import checkpoint
from genoformer.models.encoder import Encoder, EncoderConfig
from genoformer.models.heads import Predictor, PredictorConfig, choose_trained, merge_adapters
from genoformer.progress import Listener
from genoformer.tokenizers import TOKENIZERS
from genoformer.training.config import FinetuneConfig, TuningConfig
from genoformer.training.loop import LoopConfig, Monitor, OptimizerConfig, fit
from genoformer.training.supervised import LabelledBatches, predictor_loss
from genoformer.whole import whole_file

_HELD_OUT = 0.1  # of the training data, where no validation data is given
_LESS_IS_BETTER = ("loss", "mse", "ece", "brier")
_MONITOR = {"classes": "mcc", "multilabel": "auroc", "values": "pearson"}
_SKETCHED = 200_000  # k-mers kept, about, of what a predictor was trained on


class Member(NamedTuple):
    """One trained predictor: its folder, seed, start, metrics on the validation data, and what is wrong with it."""

    folder: Path
    seed: int
    start: str
    metrics: dict[str, Estimate]
    notes: list[str]


class Finetuned(NamedTuple):
    """All members of a run, the metrics of their averaged predictions, each metric's mean and interval over the members."""

    members: list[Member]
    ensemble: dict[str, Estimate]
    over_members: dict[str, Estimate]
    notes: list[str]

    @property
    def failed(self) -> list[Member]:
        """Members that collapsed: they predict one and the same class for everything."""
        return [member for member in self.members if member.notes]


class _Part(NamedTuple):
    """Sequences with their targets."""

    sequences: Sequence[Codes]
    targets: Targets


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
    listen: Listener = None,
) -> Finetuned:
    """Train a predictor for each start and seed; writes the run's folder and returns what came out.

    starts: language models to go on from; none trains from scratch in the shape of [tokenizer] and [encoder]. With one
    start and one seed `folder` is the model itself, otherwise it names its members, whose predictions are averaged.
    valid None holds out a tenth of the training data, class by class. Sequences longer than the window are cut into
    overlapping windows, whose logits are averaged; the notes say how many.

    Raises ConfigError for what cannot be trained, TrainingError when a loss is no longer a number.
    """
    plan = config.finetune
    if (folder / "config.json").exists() or (folder / checkpoint.ENSEMBLE).exists():
        raise ConfigError(f"{folder} holds a finished run; name another folder, or remove it.")
    if n_seeds < 1:
        raise ConfigError(f"seeds = {n_seeds}: give a whole number of at least 1.")
    if starts and (config.tokenizer or config.encoder):
        raise ConfigError("[tokenizer] and [encoder] are for training from scratch; leave them out, or the model.")
    fitted = _Part(train.sequences, targets_of(train.labels, task, columns=train.columns, multi_label=multi_label))
    held, notes = _held_out(fitted, plan.seed), []
    if valid is not None:
        kind = fitted.targets.kind
        targets = targets_of(
            valid.labels, task, fitted.targets.classes, columns=valid.columns, multi_label=kind == "multilabel"
        )
        held = (fitted, _Part(valid.sequences, targets))
    else:
        notes.append(f"No validation data was given: {len(held[1].sequences):,} of the {len(train):,} sequences were held out.")
    fitted, checked_on = held
    found = leakage(fitted.sequences, checked_on.sequences)
    notes.append(found.describe("the training data", "the validation data"))
    data = {
        "train": _record(train.path, len(fitted.sequences)),
        "valid": _record(valid.path, len(checked_on.sequences)) if valid is not None else None,
        "leakage": found.as_dict(),
    }
    members, predicted = [], []
    origins: list[str | Path | None] = list(starts) or [None]
    for start in origins:
        for seed in range(plan.seed, plan.seed + n_seeds):
            name = "-".join([*([Path(start).name] if start and len(starts) > 1 else []), *([f"seed-{seed}"] * (n_seeds > 1))])
            member, values = _member(
                config, fitted, checked_on, folder / name, start, seed, task, {"command": command, "data": data}, listen
            )
            members.append(member)
            predicted.append(values)
    together = _metrics(checked_on.targets, np.mean(predicted, axis=0))
    names = members[0].metrics
    spread = {name: over_runs([member.metrics[name].value for member in members]) for name in names} if len(members) > 1 else {}
    if len(members) > 1:
        table = {
            "members": [member.folder.name for member in members],
            "metrics": {name: together[name]._asdict() for name in names},
            "over_members": {name: spread[name]._asdict() for name in names},
        }
        with whole_file(folder / checkpoint.ENSEMBLE) as part:
            part.write_text(json.dumps(table, indent=1) + "\n")
    return Finetuned(members, together, spread, notes)


def _member(
    config: FinetuneConfig,
    train: _Part,
    valid: _Part,
    folder: Path,
    start: str | Path | None,
    seed: int,
    task: str,
    manifest: dict[str, Any],
    listen: Listener,
) -> tuple[Member, NDArray[np.float32]]:
    plan = replace(config.finetune, seed=seed)
    L.seed_everything(seed, verbose=False)
    encoder = _encoder(config, start)
    model = _predictor(encoder, train, plan)
    choose_trained(model, plan.tune, last_layers=plan.last_layers, lora_rank=plan.lora_rank)  # type: ignore[arg-type]
    batches = LabelledBatches(
        train.sequences, train.targets.values, _weights(train.targets, plan.class_weights), model,
        batch_size=plan.batch_size, seed=seed, mask_rate=plan.mask_rate,
    )  # fmt: skip
    loop = _loop(plan, batches.n_batches)
    monitor = plan.monitor or _MONITOR[train.targets.kind]

    def validate(trained: Any) -> dict[str, float]:
        values = inference.predictions(trained, valid.sequences).values
        known = {name: found.value for name, found in _metrics(valid.targets, values, n=1).items()}
        known["loss"] = _loss(valid.targets, values)
        if monitor not in known:
            raise ConfigError(f"monitor = {monitor!r}: allowed are {', '.join(known)}.")
        return {f"valid_{name}": known[name] for name in dict.fromkeys(["loss", monitor])}

    trained = fit(
        model, batches, lambda m, batch: predictor_loss(m, batch, plan.batch_size), folder, loop,
        validate=validate, monitor=Monitor(f"valid_{monitor}", monitor not in _LESS_IS_BETTER, plan.patience),
        rates=lambda name: plan.encoder_rate if name.startswith("encoder.") else 1.0, listen=listen,
    )  # fmt: skip
    if trained is None:
        raise SystemExit(0)  # another process has the result
    model.load_state_dict(trained.weights)
    merge_adapters(model.encoder)
    model.eval()
    values, n_windowed = inference.predictions(model, valid.sequences)
    of_valid = metrics.cases(model.config.kind, valid.targets.values, values, train.targets.classes)
    found = _metrics(valid.targets, values)
    notes = []
    if train.targets.kind != "values" and metrics.collapsed(of_valid):
        notes = [note for note in metrics.notes(of_valid) if "one class" in note] or ["it predicts one class for everything."]
    window = model.config.window
    n_long = sum(len(sequence) > window for sequence in train.sequences)
    before = checkpoint.find(start) if start is not None else None
    manifest = {
        **manifest,
        "version": __version__,
        "task": task,
        "start": {"sha256": encoder.sha256, "manifest": checkpoint.read_manifest(before)} if before else None,
        "finetune": asdict(plan),
        "windowed": {"window": window, "overlap": model.config.overlap, "train": n_long, "valid": n_windowed},
        "best_step": trained.step,
        "metrics": {name: {k: _number(v) for k, v in estimate._asdict().items()} for name, estimate in found.items()},
        "notes": notes,
        "packages": {"torch": torch.__version__, "lightning": L.__version__, "numpy": np.__version__},
    }
    _seen(train.sequences, before).save(folder / checkpoint.SKETCH)
    checkpoint.save(model, folder, manifest=manifest)
    return Member(folder, seed, str(start or "scratch"), found, notes), values


def _encoder(config: FinetuneConfig, start: str | Path | None) -> Encoder:
    if start is not None:
        loaded = checkpoint.load_any(start)
        if isinstance(loaded, Encoder):
            return loaded
        loaded.encoder.tokenizer, loaded.encoder.sha256 = loaded.tokenizer, loaded.sha256
        return loaded.encoder  # of a predictor
    if not config.tokenizer:
        raise ConfigError("no model to go on from: name one with -m, or give [tokenizer] and [encoder] to train from scratch.")
    table = dict(config.tokenizer)
    name = table.pop("tokenizer", "kmer")
    if name not in ("kmer", "base"):
        raise ConfigError(f"tokenizer = {name!r}: from scratch it is kmer or base; a BPE vocabulary comes from pretrain.")
    tokenizer = TOKENIZERS[name].from_dict({"k": 6, **table})
    shape = checked(EncoderConfig, config.encoder, "[encoder]")
    encoder = Encoder(EncoderConfig.from_dict({**shape, "n_vocab": tokenizer.n_vocab}))
    encoder.tokenizer = tokenizer
    return encoder


def _predictor(encoder: Encoder, train: _Part, plan: TuningConfig) -> Predictor:
    """A predictor with the encoder's weights and a new head."""
    tokenizer, targets = encoder.tokenizer, train.targets
    longest = max(len(sequence) for sequence in train.sequences)
    room = tokenizer.length_of(encoder.config.max_tokens)
    if plan.window is not None and encoder.config.position == "learned" and plan.window > room:
        raise ConfigError(f"window = {plan.window}: this encoder has positions for {room} bases; give that or less.")
    window = plan.window or min(longest, room)
    values = targets.values if targets.kind == "values" else np.empty((0, 0))
    model = Predictor(
        PredictorConfig(
            encoder=replace(encoder.config, dropout=0.0 if plan.tune == "frozen" else plan.dropout),
            kind=targets.kind,  # type: ignore[arg-type]
            classes=targets.classes,
            window=window,
            overlap=window // 2 if plan.overlap is None else plan.overlap,
            pooling=plan.pooling,  # type: ignore[arg-type]
            both_strands=plan.both_strands,
            dropout=plan.dropout,
            centre=tuple(values.mean(0).tolist()) if len(values) else (),
            spread=tuple(np.maximum(values.std(0), 1e-8).tolist()) if len(values) else (),
        )
    )
    model.encoder.load_state_dict(encoder.state_dict())
    model.tokenizer = tokenizer
    return model


def _loop(plan: TuningConfig, n_batches: int) -> LoopConfig:
    per_epoch = n_batches / plan.accumulate / plan.devices
    shared = {field.name: getattr(plan, field.name) for field in fields(OptimizerConfig)}
    steps = max(1, round(plan.epochs * per_epoch))
    valid_every = max(1, round(per_epoch / plan.validations))
    return LoopConfig(**shared, steps=steps, valid_every=min(valid_every, steps), log_every=min(50, valid_every))


def _weights(targets: Targets, how: str) -> NDArray[np.float32]:
    """Weight of each sequence in the loss, [N]: 1, or so that every class counts alike (scikit-learn's "balanced")."""
    n = len(targets.values)
    if how == "none":
        return np.ones(n, dtype=np.float32)
    if targets.kind != "classes":
        raise ConfigError(f"class_weights = {how!r} needs one class for each sequence; give 'none'.")
    count = np.bincount(targets.values, minlength=targets.n_outputs)
    return (n / (targets.n_outputs * count))[targets.values].astype(np.float32)


def _held_out(part: _Part, seed: int) -> tuple[_Part, _Part]:
    """Nine tenths to train on and a tenth to validate with, class by class."""
    random = np.random.default_rng([seed, 3])
    values = part.targets.values
    group = values if part.targets.kind == "classes" else np.zeros(len(values), dtype=np.int64)
    rows = [random.permutation(np.flatnonzero(group == g)) for g in np.unique(group)]
    held = np.sort(np.concatenate([r[: max(1, round(_HELD_OUT * len(r)))] for r in rows]))
    kept = np.setdiff1d(np.arange(len(values)), held)
    if not len(kept):
        raise ConfigError(f"{len(values)} sequences are too few to hold some out; give validation data.")

    def take(rows: NDArray[np.int64]) -> _Part:
        return _Part([part.sequences[i] for i in rows], replace(part.targets, values=values[rows]))

    return take(kept), take(held)


def _metrics(targets: Targets, values: NDArray[np.float32], n: int = 1000) -> dict[str, Estimate]:
    return metrics.metrics_of(targets.kind, targets.values, values, targets.classes, n=n)  # type: ignore[arg-type]


def _loss(targets: Targets, values: NDArray[np.float32]) -> float:
    """Cross-entropy in nats, or mean squared error."""
    if targets.kind == "values":
        return float(((values - targets.values) ** 2).mean())
    p = np.clip(values, 1e-7, 1 - 1e-7)
    if targets.kind == "classes":
        return float(-np.log(p[np.arange(len(p)), targets.values]).mean())
    return float(-(targets.values * np.log(p) + (1 - targets.values) * np.log(1 - p)).mean())


def _seen(sequences: Sequence[Codes], before: Path | None) -> Sketch:
    scale = max(1, math.ceil(sum(len(s) for s in sequences) / _SKETCHED))
    seen = Sketch.of(sequences, scale=scale)
    earlier = checkpoint.read_sketch(before) if before is not None else None
    return seen if earlier is None else seen.joined(earlier)


def _record(path: Path, n: int) -> dict[str, Any]:
    """A data file in a manifest, with the manifest of `data build` where that lies beside it."""
    beside = path.parent / "manifest.json"
    made = json.loads(beside.read_text()) if beside.is_file() else None
    return {"name": path.name, "sha256": checkpoint.sha256_of(path), "sequences": n, "manifest": made}


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
