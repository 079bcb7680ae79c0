"""ClassifierRecipe: labelled sequences + an encoder with a new head -> batches, loss, validation and metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from genoformer import inference
from genoformer.errors import ConfigError
from genoformer.evaluation import metrics
from genoformer.evaluation.intervals import Estimate
from genoformer.evaluation.metrics import compute_metrics
from genoformer.evaluation.task_metrics import collapsed
from genoformer.genome.codes import Codes
from genoformer.models import families, folders, registry
from genoformer.models.base import READS_TOKENS
from genoformer.models.heads import ClassifierConfig, SequenceClassifier
from genoformer.models.lora import merge_adapters
from genoformer.models.token_model import TokenModel
from genoformer.models.tuning import set_trainable
from genoformer.progress import ProgressCallback
from genoformer.tokenizers import BPETokenizer
from genoformer.training.config import FinetuneConfig, TuningConfig, encoder_for_sequences, make_tokenizer, tokenizer_record
from genoformer.training.fresh_negatives import FreshNegatives, SoftTargets
from genoformer.training.loop import FitResult, Monitor, Trainable
from genoformer.training.recipe import Finished, load_start, start_record, training_sketch
from genoformer.training.resume import changed_settings
from genoformer.training.soft_targets import Teacher, soft_targets
from genoformer.training.supervised import LabelledBatches, predictor_loss
from genoformer.training.supervised_data import LabelledSet, case_weights

_LESS_IS_BETTER = ("loss", "mse", "ece", "brier")
_SKETCHED = 200_000  # approximate number of training k-mers that a sketch keeps


class TrainingData(NamedTuple):
    """Training and validation data of a run, the metric that selects the best step, and the record of the files.

    teacher: predictions that become part of the training labels.
    """

    train: LabelledSet
    valid: LabelledSet
    monitor: str
    record: dict[str, Any]
    teacher: Teacher | None = None


@dataclass(frozen=True)
class MemberResult:
    """Validation of a fine-tuned model: values [N, C], metrics, and notes on a failed training and on the data."""

    values: NDArray[Any]
    metrics: dict[str, Estimate]
    failures: list[str]
    notes: list[str]
    n_windowed: int


class ClassifierRecipe:
    """Fine-tuning, or training from scratch, of a model with one seed; see `training.finetune.finetune`."""

    def __init__(
        self,
        config: FinetuneConfig,
        data: TrainingData,
        start: str | Path | None,
        seed: int,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Store the settings; more: further ones for the manifest, on which the weights do not depend beyond the others."""
        self.config, self.data, self.start, self.more = config, data, start, dict(more or {})
        self.plan = replace(config.finetune, seed=seed)
        self.encoder, self.made_for = _encoder(config, start, data.train.sequences)
        self.model = _predictor(self.encoder, data.train, self.plan)

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {
            "data": self.data.record,
            "task": self.data.train.targets.task.goal,
            "start": start_record(self.encoder, self.start),
            "shape": {
                "tokenizer": {**self.config.tokenizer, **tokenizer_record(self.config.tokenizer, self.encoder.tokenizer)},
                "model": dict(self.config.model),
            },
            "finetune": asdict(self.plan),
            **({} if self.config.negatives is None else {"negatives": asdict(self.config.negatives)}),
            **({} if self.data.teacher is None else {"teacher": self.data.teacher.record}),
            **self.more,
        }

    @cached_property
    def loop(self) -> Any:
        return self.plan.loop(self.trainable.batches.n_batches)  # type: ignore[attr-defined]

    @cached_property
    def trainable(self) -> Trainable:
        plan, train = self.plan, self.data.train
        set_trainable(self.model.encoder, plan.tune, n_last=plan.last_layers, rank=plan.lora_rank)
        soft = soft_targets(train.targets, plan, self.data.teacher)
        fresh = None
        if (how := self.config.negatives) is not None:
            both = SoftTargets(soft if self.data.teacher is None else soft_targets(train.targets, plan), soft)
            fresh = FreshNegatives(train.sequences, train.targets, both, how, plan.seed)
        weights = case_weights(train.targets, plan.class_weights)
        batches = LabelledBatches(train.sequences, soft, weights, self.model, plan, fresh)
        metric = self.data.monitor
        best = Monitor(f"valid_{metric}", metric.partition(":")[0] not in _LESS_IS_BETTER, plan.patience)
        return Trainable(
            self.model,
            batches,
            lambda model, batch: predictor_loss(model, batch, plan.batch_size),
            validate=self.validate,
            monitor=best if plan.keep == "best" else None,
            rates=lambda name: plan.encoder_lr_scale if name.startswith("encoder.") else 1.0,
        )

    def validate(self, trained: Any) -> dict[str, float]:
        """Return the loss and the monitored metric on the validation data."""
        (task, truth), metric = self.data.valid.targets, self.data.monitor
        values = inference.predictions(trained, self.data.valid.sequences).values
        known = {name: estimate.value for name, estimate in compute_metrics(task, truth, values, n=1).items()}
        known["loss"] = task.mean_loss(truth, values)
        rows = {f"valid_{name}": known[name] for name in dict.fromkeys(["loss", metric])}
        return {name: value for name, value in rows.items() if math.isfinite(value)}  # MCC of a single class is NaN

    def finish(self, fitted: FitResult, folder: Path, progress: ProgressCallback) -> Finished[MemberResult]:
        model = self.model
        model.load_state_dict(fitted.weights)
        merge_adapters(model.encoder)
        model.eval()
        result, sequences, config = self.evaluate(model), self.data.train.sequences, model.config
        n_long = sum(len(sequence) > config.window for sequence in sequences)
        record = {
            "best_step": fitted.step,
            "windowed": {"window": config.window, "overlap": config.overlap, "train": n_long, "valid": result.n_windowed},
            "metrics": {name: estimate.to_dict() for name, estimate in result.metrics.items()},
            "notes": result.failures,
        }
        scale = max(1, math.ceil(sum(map(len, sequences)) / _SKETCHED))
        return Finished(model, record, training_sketch(sequences, scale, self.start), result)

    def reload(self, folder: Path) -> MemberResult:
        """Return the result of a member that an interrupted run finished; ConfigError if its settings differ."""
        manifest = folders.read_manifest(folder) or {}
        if changed := changed_settings({name: manifest.get(name) for name in self.settings}, self.settings):
            raise ConfigError(
                f"{folder} holds a model that was trained in another way ({', '.join(changed[:5])} differ); name another "
                "folder."
            )
        (model,) = registry.load_ensemble(folder)
        return self.evaluate(model)

    def evaluate(self, model: SequenceClassifier) -> MemberResult:
        """Compute the predictions and metrics of a trained model on the validation data."""
        task, truth = self.data.valid.targets
        values, n_windowed = inference.predictions(model, self.data.valid.sequences)
        cases = metrics.cases(task, truth, values)
        failures = [note for note in metrics.notes(cases) if "failed" in note] if collapsed(cases) else []
        return MemberResult(values, compute_metrics(task, truth, values), failures, self._notes(model, n_windowed), n_windowed)

    def _notes(self, model: SequenceClassifier, n_windowed: int) -> list[str]:
        """Return notes on sequences that were cut, on windows longer than the encoder is made for, and on known sequences."""
        train, valid, window = self.data.train.sequences, self.data.valid.sequences, model.config.window
        n_long, notes = sum(len(sequence) > window for sequence in train), []
        if n_long or n_windowed:
            notes.append(
                f"{n_long:,} of {len(train):,} training sequences and {n_windowed:,} of {len(valid):,} validation sequences "
                f"are longer than the window of {window:,} bases and were cut into overlapping windows."
            )
        if self.start is None:
            return notes
        longest = min(window, max(len(sequence) for part in (train, valid) for sequence in part))
        if longest > self.made_for:
            notes.append(
                f"Windows have up to {longest:,} bases, but {self.start} was trained on {self.made_for:,}, so it has no "
                f"experience of longer distances; window = {self.made_for} in [finetune] avoids them."
            )
        known = [(train, "the training data")] * (self.config.pretrain is None)  # the stage before has read them, too
        for part, what in (*known, (valid, "the validation data")):
            if note := folders.training_overlap_note(self.encoder, str(self.start), part, what):
                notes.append(note)
        return notes


def _encoder(config: FinetuneConfig, start: str | Path | None, sequences: Sequence[Codes]) -> tuple[TokenModel, int]:
    """Return the encoder to train, and the window length in bases that it was trained on.

    sequences: of the training data, from which a BPE vocabulary is learned if one is requested.
    """
    if start is not None:
        loaded = load_start(start, READS_TOKENS)
        encoder, window = loaded.encoder, getattr(loaded.config, "window", 0)
        return encoder, max(window, encoder.config.context_length)
    if not config.tokenizer:
        raise ConfigError("no start model: name one, or give [tokenizer] and [model] to train from scratch.")
    tokenizer = make_tokenizer(config.tokenizer, partial(BPETokenizer.train, sequences))
    longest = config.finetune.window or max(len(sequence) for sequence in sequences)
    encoder = encoder_for_sequences(config.model, tokenizer, longest)
    return encoder, encoder.config.context_length


def _predictor(encoder: TokenModel, train: LabelledSet, plan: TuningConfig) -> SequenceClassifier:
    """Return a model with the encoder's weights and a new head."""
    tokenizer, targets = encoder.tokenizer, train.targets
    longest, shortest = max(len(sequence) for sequence in train.sequences), tokenizer.min_bases
    room = tokenizer.max_bases(encoder.config.max_tokens)
    if plan.window is not None and encoder.longest_window is not None and plan.window > room:
        raise ConfigError(f"window = {plan.window}: this encoder has positions for {room} bases; give that or less.")
    if plan.window is not None and plan.window < shortest:
        raise ConfigError(f"window = {plan.window}: a token of this encoder has {shortest} bases; give at least as many.")
    window = plan.window or max(shortest, min(longest, room))  # shorter sequences are padded with N at their end
    task = targets.task.scaled(targets.values)
    model = SequenceClassifier(
        ClassifierConfig(
            encoder=encoder.with_dropout(encoder.config, 0.0 if plan.tune == "frozen" else plan.dropout),
            family=families.family_of(encoder),
            task=task.kind,
            classes=task.names,
            window=window,
            overlap=window // 2 if plan.overlap is None else plan.overlap,
            pooling=plan.pooling,  # type: ignore[arg-type]
            head=plan.head,  # type: ignore[arg-type]
            head_bias=plan.head not in ("gelu-norm", "linear"),  # as in transformers' ModernBERT, Llama and Qwen3
            both_strands=plan.both_strands,
            dropout=plan.dropout if plan.head_dropout is None else plan.head_dropout,
            target_mean=task.mean,
            target_std=task.std,
        )
    )
    model.encoder.load_state_dict(encoder.state_dict())
    model.tokenizer = tokenizer
    return model
