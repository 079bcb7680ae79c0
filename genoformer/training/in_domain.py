"""In-domain pre-training: training sequences -> masked tokens -> an encoder that fine-tuning on them starts from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, reverse_complement
from genoformer.inference.windows import cut_windows, tokenize_windows
from genoformer.models.families import family_of
from genoformer.progress import ProgressCallback
from genoformer.tokenizers import BPETokenizer, Encoding, Tokenizer
from genoformer.training.config import FinetuneConfig, encoder_for_sequences, make_tokenizer, tokenizer_record
from genoformer.training.language import Batch, language_model_loss, ready_batch
from genoformer.training.loop import FitResult, Trainable
from genoformer.training.objectives import ClozeLM, MaskedLM
from genoformer.training.random_streams import RandomStream
from genoformer.training.recipe import Finished, training_sketch
from genoformer.training.stage_config import InDomainConfig

_SKETCHED = 200_000  # approximate number of training k-mers that a sketch keeps


class MaskedSequences:
    """Batches of sequences with masked tokens by their number: every sequence once per epoch, in an order of (seed, epoch)."""

    def __init__(self, windows: Sequence[Codes], tokenizer: Tokenizer, plan: InDomainConfig, objective: Any) -> None:
        self.windows, self.tokenizer, self.plan = windows, tokenizer, plan
        self.objective = objective
        self.n_batches = math.ceil(len(windows) / plan.batch_size)
        self.epoch, self.order = -1, np.empty(0, dtype=np.int64)

    def __call__(self, i: int) -> Batch:
        epoch, within = divmod(i, self.n_batches)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, self._order(epoch)
        size, n = self.plan.batch_size, len(self.windows)
        rows = self.order[within * size : (within + 1) * size]
        windows, numbers = [self.windows[row] for row in rows], rows + epoch * n
        if self.plan.both_strands:
            flips = RandomStream(self.plan.seed, numbers)(1)[:, 0] < 0.5
            windows = [reverse_complement(codes) if flip else codes for codes, flip in zip(windows, flips, strict=True)]
        ids, keep, is_base = tokenize_windows(self.tokenizer, windows)
        spans = np.stack([np.zeros_like(ids), is_base.astype(np.int64)], axis=-1)  # which tokens are bases is all that is read
        example = self.objective(Encoding(ids, spans), RandomStream(self.plan.seed, numbers, stream=1))
        keep = np.ones(ids.shape, dtype=np.bool_) if keep is None else keep
        return ready_batch(
            self.tokenizer, example, np.ones(ids.shape, dtype=np.float32), keep, few_labels=self.objective.label_rate < 1
        )

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.plan.seed, epoch, 7]).permutation(len(self.windows))


class InDomainRecipe:
    """Training of an encoder on masked tokens of labelled sequences; see `training.recipe.run_recipe`."""

    def __init__(self, config: FinetuneConfig, sequences: Sequence[Codes], record: dict[str, Any]) -> None:
        assert config.pretrain is not None
        self.config, self.plan, self.record = config, config.pretrain, record
        tokenizer = make_tokenizer(config.tokenizer, partial(BPETokenizer.train, sequences))
        longest = max(len(sequence) for sequence in sequences)
        shape = {**config.model, "dropout": self.plan.dropout}
        self.model = encoder_for_sequences(shape, tokenizer, longest, context_length=config.finetune.window or longest)
        if self.model.causal:
            raise ConfigError("[pretrain] predicts masked tokens, which a causal model cannot; leave it out, or causal.")
        room = self.model.tokenizer.max_bases(self.model.config.max_tokens)
        window = min(config.finetune.window or longest, room)
        self.windows = cut_windows(sequences, window, 0, tokenizer.min_bases).codes

    @cached_property
    def settings(self) -> dict[str, Any]:
        tokenizer: Tokenizer = self.model.tokenizer
        return {
            "data": self.record,
            "start": None,
            "tokenizer": {
                **{field: value for field, value in tokenizer.to_dict().items() if field != "model"},
                **tokenizer_record(self.config.tokenizer, tokenizer),
            },
            "model": {"family": family_of(self.model), **asdict(self.model.config)},
            "in_domain": asdict(self.plan),
        }

    @cached_property
    def loop(self) -> Any:
        return self.plan.loop(self.trainable.batches.n_batches)  # type: ignore[attr-defined]

    @cached_property
    def trainable(self) -> Trainable:
        tokenizer, plan = self.model.tokenizer, self.plan
        masked = MaskedLM(tokenizer, plan.mask_rate, plan.span_tokens)
        batches = MaskedSequences(self.windows, tokenizer, plan, masked if self.model.sees_itself else ClozeLM(tokenizer))
        loss = partial(language_model_loss, label_rate=batches.objective.label_rate)
        return Trainable(self.model, batches, loss)

    def finish(self, fitted: FitResult, folder: Path, progress: ProgressCallback) -> Finished[Path]:
        self.model.load_state_dict(fitted.weights)
        self.model.eval()
        metrics = {name: round(value, 4) for name, value in fitted.metrics.items() if name != "learning_rate"}
        record = {"sequences": len(self.windows), "metrics": metrics, "notes": []}
        scale = max(1, math.ceil(sum(map(len, self.windows)) / _SKETCHED))
        return Finished(self.model, record, training_sketch(self.windows, scale), folder)
