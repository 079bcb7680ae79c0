"""finetune(): labelled sequences + a language model (or none) -> predictors that classify or predict values, one a seed."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, replace
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
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer
from genoformer.training.config import FinetuneConfig, TuningConfig
from genoformer.training.loop import STATE, Monitor, fit
from genoformer.training.supervised import LabelledBatches, predictor_loss
from genoformer.whole import refuse_others, sha256_of, whole_file

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
) -> Finetuned | None:
    """Train a predictor for each start and seed; writes the run's folder and returns what came out.

    starts: language models to go on from; none trains from scratch in the shape of [tokenizer] and [encoder]. With one
    start and one seed `folder` is the model itself, otherwise it names its members, whose predictions are averaged.
    valid None holds out a tenth of the training data, class by class. Sequences longer than the window are cut into
    overlapping windows, whose logits are averaged; the notes say how many. Returns None in processes other than the first.

    Raises ConfigError for what cannot be trained, TrainingError when a loss is no longer a number.
    """
    plan = config.finetune
    if (folder / "config.json").exists() or (folder / checkpoint.ENSEMBLE).exists():
        raise ConfigError(f"{folder} holds a finished run; name another folder, or remove it.")
    refuse_others(folder, ("manifest.json",), "manifest.json", lambda found: "finetune" in found)  # as that of `data build`
    if (folder / STATE).exists():
        raise ConfigError(f"{folder} holds an unfinished run of pretrain; name another folder.")
    if plan.strategy == "fsdp":
        raise ConfigError("strategy = 'fsdp': a model is fine-tuned whole on every device; take auto or ddp.")
    if n_seeds < 1:
        raise ConfigError(f"seeds = {n_seeds}: give a whole number of at least 1.")
    if starts and (config.tokenizer or config.encoder):
        raise ConfigError("[tokenizer] and [encoder] are for training from scratch; leave them out, or the model.")
    fitted = _Part(train.sequences, targets_of(train.labels, task, columns=train.columns, multi_label=multi_label))
    notes = []
    if valid is not None:
        kind = fitted.targets.kind
        targets = targets_of(
            valid.labels, task, fitted.targets.classes, columns=valid.columns, multi_label=kind == "multilabel"
        )
        checked_on = _Part(valid.sequences, targets)
    else:
        fitted, checked_on = _held_out(fitted, plan.seed)
        n_held = len(checked_on.sequences)
        notes.append(f"No validation data was given: {n_held:,} of the {len(train):,} sequences were held out.")
    _refuse_constant(fitted.targets)
    monitor, note = _monitor(plan.monitor, checked_on.targets)
    notes += note
    found = leakage(fitted.sequences, checked_on.sequences, _class_names(checked_on.targets))
    notes.append(found.describe("the training data", "the validation data"))
    data = {
        "train": _record(train.path, len(fitted.sequences)),
        "valid": _record(valid.path, len(checked_on.sequences)) if valid is not None else None,
        "leakage": found.as_dict(),
    }
    members, predicted = [], []
    origin = {"command": command, "data": data}
    for start, name in _origins(starts):
        for seed in range(plan.seed, plan.seed + n_seeds):
            inside = "-".join([*([name] * (len(starts) > 1)), *([f"seed-{seed}"] * (n_seeds > 1))])
            trained = _member(config, fitted, checked_on, folder / inside, start, seed, task, monitor, origin, listen)
            if trained is None:
                continue
            members.append(trained.member)
            predicted.append(trained.values)
            notes += [note for note in trained.notes if note not in notes]
    if not members:
        return None
    together = _metrics(checked_on.targets, np.mean(predicted, axis=0))
    names = members[0].metrics
    spread: dict[str, Estimate] = {}
    if len(members) > 1:
        for name in names:
            spread[name] = over_runs([member.metrics[name].value for member in members], metrics.range_of(name))
        table = {
            "members": [member.folder.name for member in members],
            "metrics": {name: _json(together[name]) for name in names},
            "over_members": {name: _json(spread[name]) for name in names},
        }
        with whole_file(folder / checkpoint.ENSEMBLE) as part:
            part.write_text(json.dumps(table, indent=1, allow_nan=False) + "\n")
    return Finetuned(members, together, spread, notes)


def _class_names(targets: Targets) -> list[str]:
    """The class of each sequence; none where it is not one."""
    return [targets.classes[i] for i in targets.values] if targets.kind == "classes" else []


class _Trained(NamedTuple):
    """A member, what it predicts for the validation data, and notes on the data."""

    member: Member
    values: NDArray[np.float32]
    notes: list[str]


def _member(
    config: FinetuneConfig,
    train: _Part,
    valid: _Part,
    folder: Path,
    start: str | Path | None,
    seed: int,
    task: str,
    monitor: str,
    manifest: dict[str, Any],
    listen: Listener,
) -> _Trained | None:
    """The predictor of one start and seed, saved in its folder; None in processes other than the first.

    A member that an interrupted run had finished is taken as it is.
    """
    plan = replace(config.finetune, seed=seed)
    L.seed_everything(seed, verbose=False)
    encoder, made_for = _encoder(config, start)
    before = checkpoint.find(start) if start is not None else None
    manifest = {
        **manifest,
        "version": __version__,
        "task": task,
        "start": {"sha256": encoder.sha256, "manifest": checkpoint.read_manifest(before)} if before else None,
        "shape": {"tokenizer": dict(config.tokenizer), "encoder": dict(config.encoder)},
        "finetune": asdict(plan),
        "packages": {"torch": torch.__version__, "lightning": L.__version__, "numpy": np.__version__},
    }
    model = _predictor(encoder, train, plan)
    there = (folder / "config.json").is_file()
    if there:
        model = _finished(folder, manifest)
    else:
        best_step = _trained(model, train, valid, folder, plan, monitor, listen)
        if best_step is None:
            return None
        manifest["best_step"] = best_step
    values, n_windowed = inference.predictions(model, valid.sequences)
    of_valid = metrics.cases(model.config.kind, valid.targets.values, values, train.targets.classes)
    found = _metrics(valid.targets, values)
    failed = [note for note in metrics.notes(of_valid) if "failed" in note] if metrics.collapsed(of_valid) else []
    window = model.config.window
    n_long = sum(len(sequence) > window for sequence in train.sequences)
    if not there:
        manifest["windowed"] = {"window": window, "overlap": model.config.overlap, "train": n_long, "valid": n_windowed}
        manifest |= {"metrics": {name: _json(estimate) for name, estimate in found.items()}, "notes": failed}
        _seen(train.sequences, before).save(folder / checkpoint.SKETCH)
        checkpoint.save(model, folder, manifest=manifest)
    notes = []
    if n_long or n_windowed:
        notes.append(
            f"{n_long:,} of {len(train.sequences):,} sequences to train on and {n_windowed:,} of {len(valid.sequences):,} to "
            f"validate with are longer than the window of {window:,} bases and were cut into overlapping windows."
        )
    if start is None:
        return _Trained(Member(folder, seed, "scratch", found, failed), values, notes)
    longest = min(window, max(len(sequence) for part in (train, valid) for sequence in part.sequences))
    if longest > made_for:
        notes.append(
            f"windows of up to {longest:,} bases, but {start} is made for {made_for:,}: it has to learn here what lies "
            f"further apart; window = {made_for} in [finetune] keeps to what it knows."
        )
    for part, what in ((train, "the training data"), (valid, "the validation data")):
        if note := checkpoint.overlap_note(encoder, str(start), part.sequences, what):
            notes.append(note)
    return _Trained(Member(folder, seed, str(start), found, failed), values, notes)


def _trained(
    model: Predictor, train: _Part, valid: _Part, folder: Path, plan: TuningConfig, monitor: str, listen: Listener
) -> int | None:
    """Train a predictor in place, to the weights of its best step, which is returned; None in processes but the first."""
    choose_trained(model, plan.tune, last_layers=plan.last_layers, lora_rank=plan.lora_rank)  # type: ignore[arg-type]
    batches = LabelledBatches(
        train.sequences, train.targets.values, _weights(train.targets, plan.class_weights), model,
        batch_size=plan.batch_size, seed=plan.seed, mask_rate=plan.mask_rate, shift=plan.shift,
    )  # fmt: skip

    def validate(trained: Any) -> dict[str, float]:
        values = inference.predictions(trained, valid.sequences).values
        known = {name: found.value for name, found in _metrics(valid.targets, values, n=1).items()}
        known["loss"] = _loss(valid.targets, values)
        found = {f"valid_{name}": known[name] for name in dict.fromkeys(["loss", monitor])}
        return {name: value for name, value in found.items() if math.isfinite(value)}  # MCC of one class only is not

    fitted = fit(
        model, batches, lambda m, batch: predictor_loss(m, batch, plan.batch_size), folder, plan.loop(batches.n_batches),
        validate=validate, monitor=Monitor(f"valid_{monitor}", monitor.partition(":")[0] not in _LESS_IS_BETTER, plan.patience),
        rates=lambda name: plan.encoder_rate if name.startswith("encoder.") else 1.0,
        resumable=False, listen=listen,
    )  # fmt: skip
    if fitted is None:
        return None
    model.load_state_dict(fitted.weights)
    merge_adapters(model.encoder)
    model.eval()
    return fitted.step


def _finished(folder: Path, manifest: dict[str, Any]) -> Predictor:
    """A member of an interrupted run, if it was trained in the same way; else ConfigError."""
    before, mine = (json.loads(json.dumps(m)) for m in (checkpoint.read_manifest(folder) or {}, manifest))
    what = ("task", "start", "shape", "finetune", "data")
    if changed := [name for name in what if before.get(name) != mine[name]]:
        raise ConfigError(
            f"{folder} holds a model that was trained in another way ({', '.join(changed)} differ); name another folder."
        )
    (model,) = checkpoint.load_predictors(folder)
    return model


def _origins(starts: Sequence[str | Path]) -> list[tuple[str | Path | None, str]]:
    """Each start with a name of its own for its folder; those that are named alike are numbered."""
    if not starts:
        return [(None, "")]
    names = [checkpoint.find(start).resolve().name for start in starts]
    return [
        (start, name if names.count(name) == 1 else f"{name}-{i}")
        for i, (start, name) in enumerate(zip(starts, names, strict=True), 1)
    ]


def _encoder(config: FinetuneConfig, start: str | Path | None) -> tuple[Encoder, int]:
    """The encoder to train, and the bases of the windows that it was trained with."""
    if start is not None:
        loaded = checkpoint.load_token_model(start)
        if isinstance(loaded, Encoder):
            return loaded, loaded.config.context_length
        encoder = loaded.encoder  # of a predictor
        encoder.tokenizer, encoder.sha256, encoder.seen = loaded.tokenizer, loaded.sha256, loaded.seen
        return encoder, max(loaded.config.window, encoder.config.context_length)
    if not config.tokenizer:
        raise ConfigError("no model to go on from: name one with -m, or give [tokenizer] and [encoder] to train from scratch.")
    table = dict(config.tokenizer)
    name = table.pop("tokenizer", "kmer")
    if name not in ("kmer", "base"):
        raise ConfigError(f"tokenizer = {name!r}: from scratch it is kmer or base; a BPE vocabulary comes from pretrain.")
    if name == "base" and table:
        raise ConfigError(f"[tokenizer]: unknown fields {', '.join(table)}; base has none.")
    tokenizer = BaseTokenizer() if name == "base" else KmerTokenizer(**checked(KmerTokenizer, table, "[tokenizer]"))
    shape = checked(EncoderConfig, config.encoder, "[encoder]")
    if "n_vocab" in shape:
        raise ConfigError("[encoder]: n_vocab follows from the tokenizer; leave it out.")
    encoder = Encoder(EncoderConfig.from_dict({**shape, "n_vocab": tokenizer.n_vocab}))
    encoder.tokenizer = tokenizer
    return encoder, encoder.config.context_length


def _predictor(encoder: Encoder, train: _Part, plan: TuningConfig) -> Predictor:
    """A predictor with the encoder's weights and a new head."""
    tokenizer, targets = encoder.tokenizer, train.targets
    longest, shortest = max(len(sequence) for sequence in train.sequences), getattr(tokenizer, "k", 1)
    room = tokenizer.length_of(encoder.config.max_tokens)
    if plan.window is not None and encoder.config.position == "learned" and plan.window > room:
        raise ConfigError(f"window = {plan.window}: this encoder has positions for {room} bases; give that or less.")
    if plan.window is not None and plan.window < shortest:
        raise ConfigError(f"window = {plan.window}: a token of this encoder has {shortest} bases; give at least as many.")
    window = plan.window or max(shortest, min(longest, room))  # shorter sequences get N at their end
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
            centre=tuple(values.mean(0, dtype=np.float64).tolist()) if len(values) else (),
            spread=tuple(values.std(0, dtype=np.float64).tolist()) if len(values) else (),
        )
    )
    model.encoder.load_state_dict(encoder.state_dict())
    model.tokenizer = tokenizer
    return model


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
    """Nine tenths to train on and a tenth to validate with, class by class; of every class one is left to train on."""
    random = np.random.default_rng([seed, 3])
    values = part.targets.values
    group = values if part.targets.kind == "classes" else np.zeros(len(values), dtype=np.int64)
    rows = [random.permutation(np.flatnonzero(group == g)) for g in np.unique(group)]
    held = np.sort(np.concatenate([r[: min(len(r) - 1, max(1, round(_HELD_OUT * len(r))))] for r in rows]))
    kept = np.setdiff1d(np.arange(len(values)), held)
    if not len(held):
        raise ConfigError(f"{len(values)} sequences are too few to hold some out; give validation data.")

    def take(rows: NDArray[np.int64]) -> _Part:
        return _Part([part.sequences[i] for i in rows], replace(part.targets, values=values[rows]))

    return take(kept), take(held)


def _refuse_constant(targets: Targets) -> None:
    """Refuse values that are all the same."""
    if targets.kind == "values":
        for name, column in zip(targets.classes, targets.values.T, strict=True):
            if (column == column[0]).all():
                raise ConfigError(f"{name} is {column[0]:g} in all {len(column):,} sequences: there is nothing to learn.")


def _monitor(wanted: str, targets: Targets) -> tuple[str, list[str]]:
    """The metric of the best step, and a note where it is not the usual one.

    Those are known, and defined on the validation data, that a prediction of its own truth has.
    """
    perfect = np.eye(targets.n_outputs, dtype=np.float32)[targets.values] if targets.kind == "classes" else targets.values
    known = {"loss": 0.0} | {name: found.value for name, found in _metrics(targets, perfect, n=1).items()}
    if wanted and wanted not in known:
        raise ConfigError(f"monitor = {wanted!r}: allowed are {', '.join(known)}.")
    usual = wanted or _MONITOR[targets.kind]
    if math.isfinite(known[usual]):
        return usual, []
    if wanted:
        raise ConfigError(f"monitor = {wanted!r} is not defined where all validation data is alike; take loss, or other data.")
    return "loss", [f"All validation data is alike, so that {usual} is not defined: the best step is that of the least loss."]


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
    sha256, beside = sha256_of(path), path.parent / "manifest.json"
    try:
        made = json.loads(beside.read_text())
        tells = made["files"][path.name] == sha256  # not of another file, nor of this one before it was changed
    except (OSError, ValueError, KeyError, TypeError):
        tells = False
    return {"name": path.name, "sha256": sha256, "sequences": n, "manifest": made if tells else None}


def _json(found: Estimate) -> dict[str, float | None]:
    return {name: round(value, 6) if math.isfinite(value) else None for name, value in found._asdict().items()}
