"""pretrain(): FASTA -> windows -> masked or causal objective -> a model folder with its manifest and its report."""

from __future__ import annotations

import math
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from genoformer.errors import ConfigError
from genoformer.genome.minhash import GENOME_SCALE
from genoformer.models import folders
from genoformer.models.base import Embeds
from genoformer.models.families import family_of, model_class
from genoformer.models.token_model import TokenModel
from genoformer.progress import Progress, ProgressCallback
from genoformer.tokenizers import BPETokenizer, Tokenizer
from genoformer.training import report, run_checks
from genoformer.training.bits_per_base import VALIDATION_BASES, queried_bases, true_base_bits, why_no_bits
from genoformer.training.config import (
    CLOZE,
    TRANSFORMER,
    PretrainConfig,
    encoder_family,
    encoder_fields,
    make_tokenizer,
    new_encoder,
    tokenizer_record,
)
from genoformer.training.genomes import open_genomes
from genoformer.training.language import LanguageModelBatches, language_model_loss
from genoformer.training.log import LOG, read_log
from genoformer.training.loop import FitResult, Trainable
from genoformer.training.objectives import OBJECTIVES, CausalLM, MaskedLM, objective_of
from genoformer.training.optimizer import windows_per_step
from genoformer.training.recipe import Finished, Run, load_start, run_recipe, start_record, training_sketch
from genoformer.training.windows import RandomWindows, iter_unmasked

_BPE_WINDOWS = 2_000  # windows from which a BPE vocabulary is learned
_LARGE, _DENSE = 1e8, 100  # the sketch keeps one training k-mer in 100 below so many bases, and one in 1,000 above


def pretrain(
    config: PretrainConfig,
    folder: Path,
    *,
    start: str | Path | None = None,
    command: str = "",
    progress: ProgressCallback = None,
) -> dict[str, Any] | None:
    """Train a language model on genomes, write the model folder, and return its manifest.

    Contigs in `valid_contigs` are held out (default: the last contig, or the end of an only contig). Validation is bits per
    base on them, from the exact single-base posterior, or given the bases before for a causal model. A killed run is resumed
    from its last saved state and ends with the weights of an undisturbed run; `progress` receives the step of that state.
    start: a model whose weights, shape and tokenizer are used; [model] and [tokenizer] must then be left out.
    "notes" in the manifest are the reasons for a failed run (collapse, divergence); "warnings" are other remarks.
    Return None in processes other than the first.

    Raises ConfigError for settings that cannot be trained, TrainingError when the loss is not finite.
    """
    done = run_recipe(lambda: PretrainRecipe(config, start), Run(folder, config.training.seed, command), progress)
    return folders.read_manifest(folder) if done is not None else None


class PretrainRecipe:
    """Training of a language model on genomes."""

    def __init__(self, config: PretrainConfig, start: str | Path | None) -> None:
        plan = self.plan = self.loop = config.training
        self.start = start
        begun: TokenModel | None = load_start(start, Embeds) if start is not None else None
        table = _checked_shape(config, begun, start)
        shape = asdict(begun.config) if begun else table
        length = int(shape.get("context_length", model_class(encoder_family(config.model)).config_type.context_length))
        self.genomes = open_genomes(config.genome, length)
        self.windows = RandomWindows(self.genomes.train, length, plan.batch_size, plan.seed, both_strands=plan.both_strands)
        self.model = begun or self._new_encoder(config, length)
        self.tokenizer: Tokenizer = self.model.tokenizer
        self.tokenizer_file = tokenizer_record(config.tokenizer, self.tokenizer)
        self.objective: Any = (
            MaskedLM(self.tokenizer, plan.mask_rate, plan.span_tokens)
            if plan.objective == "masked"
            else OBJECTIVES[plan.objective](self.tokenizer)
        )
        self.no_bits = why_no_bits(self.tokenizer, self.model.causal)
        self.queried = None
        if not self.no_bits and self.genomes.held:
            held_out = RandomWindows(self.genomes.held, length, plan.batch_size, plan.seed + 1)
            self.queried = queried_bases(held_out, VALIDATION_BASES)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Settings of the run; the hash of the start model is that from before the training."""
        family = family_of(self.model)
        return {
            "genomes": self.genomes.record,
            "start": start_record(self.model, self.start),
            "tokenizer": {
                **{field: value for field, value in self.tokenizer.to_dict().items() if field != "model"},
                **self.tokenizer_file,
            },
            "model": ({} if family == TRANSFORMER else {"family": family}) | asdict(self.model.config),
            "training": asdict(self.plan),
        }

    @property
    def trainable(self) -> Trainable:
        return Trainable(
            self.model,
            self._batches(self.objective),
            lambda model, batch: language_model_loss(model, batch, self.objective.label_rate),
            validate=self.validate if self.queried is not None else None,
        )

    def validate(self, trained: Any) -> dict[str, float]:
        """Return the mean bits per base on the held-out contigs."""
        assert self.queried is not None
        return {"valid_bits_per_base": float(np.nanmean(true_base_bits(trained, self.queried, self.plan.batch_size)))}

    def finish(self, fitted: FitResult, folder: Path, progress: ProgressCallback) -> Finished[dict[str, Any]]:
        plan, genomes = self.plan, self.genomes
        model = type(self.model)(self.model.config)  # a plain copy, because the trained model may be sharded over processes
        model.tokenizer = self.tokenizer
        model.load_state_dict(fitted.weights)
        model.eval()
        record: dict[str, Any] = {}
        record["metrics"] = {name: round(value, 4) for name, value in fitted.metrics.items() if name != "learning_rate"}
        if progress is not None:
            progress(Progress("report", 0, None))
        warnings, comparison = [*genomes.warnings, *self._bits_warnings()], None
        if self.queried is not None:
            comparison = report.compare(model, folder.resolve().name, genomes.train, genomes.held, plan)
            record |= report.in_manifest(comparison)
            record["metrics"]["valid_bits_per_base"] = record["held_out"]["model"]["bits"]  # from more bases than in the log
            warnings += run_checks.baseline_warnings(comparison)
        record["notes"] = run_checks.failures(
            comparison,
            [row["valid_bits_per_base"] for row in read_log(folder / LOG) if "valid_bits_per_base" in row],
            fitted.metrics["train_loss"],
            run_checks.unigram_nats(self._batches(CausalLM(self.tokenizer))),
            single_bases=self.tokenizer.masks_bases and self.tokenizer.min_bases == 1,
        )
        record["warnings"] = warnings
        rows = comparison.rows if comparison is not None else []
        report.write(
            folder, rows, tokens_per_step=windows_per_step(plan) * self.tokenizer.n_typical_tokens(self.windows.length)
        )
        scale = _DENSE if self.windows.n_bases < _LARGE else GENOME_SCALE
        sketch = training_sketch(iter_unmasked(self.windows.sources, self.windows.length), scale, self.start)
        return Finished(model, record, sketch, record)

    def _batches(self, objective: Any) -> LanguageModelBatches:
        return LanguageModelBatches(self.windows, self.tokenizer, objective, self.plan.soft_masked_weight)

    def _new_encoder(self, config: PretrainConfig, length: int) -> TokenModel:
        """Return an encoder with the tokenizer of the configuration, in windows of `length` bases."""
        tokenizer = make_tokenizer(config.tokenizer, self._learn_vocabulary)
        kind = model_class(encoder_family(config.model)).config_type
        sizes = {"max_tokens": max(kind.max_tokens, tokenizer.n_tokens(length))}
        causal = {"causal": True} if config.training.objective == "causal" else {}
        return new_encoder({**config.model, **causal}, tokenizer, **sizes)

    def _learn_vocabulary(self, n_vocab: int) -> BPETokenizer:
        """Learn a BPE vocabulary of n_vocab tokens from the first training windows."""
        batches = self.windows.batches(math.ceil(_BPE_WINDOWS / self.windows.batch_size))
        return BPETokenizer.train((row for batch in batches for row in batch), n_vocab)

    def _bits_warnings(self) -> list[str]:
        if not self.no_bits:
            return []
        return [
            f"No bits per base and no comparison with Markov baselines: {self.no_bits}. Nothing is validated, and only the "
            "training loss shows whether the model learned."
        ]


def _checked_shape(config: PretrainConfig, begun: TokenModel | None, start: str | Path | None) -> dict[str, Any]:
    """Return the fields of [model]; raise ConfigError if they or the objective do not fit the start model."""
    if begun and (config.model or config.tokenizer != PretrainConfig().tokenizer):
        raise ConfigError(f"the shape and the tokenizer are those of {start}; leave out [model] and [tokenizer].")
    if begun and objective_of(begun) != config.training.objective:
        kind = objective_of(begun)
        raise ConfigError(f'{start} is a {kind} model; set objective = "{kind}" in [training].')
    if begun and not begun.predicts_tokens:
        raise ConfigError(f"{start} has no head that predicts tokens, which pretrain trains; start from a model with one.")
    if set(config.model) & {"n_vocab", "causal"}:
        raise ConfigError("[model]: n_vocab follows from the tokenizer and causal from the objective; leave them out.")
    table, objective, family = encoder_fields(config.model), config.training.objective, encoder_family(config.model)
    if begun is None and family == CLOZE and objective != "cloze":
        raise ConfigError(
            '[model]: a cloze model does not see the base that it predicts; set objective = "cloze" in [training].'
        )
    if begun is None and family != CLOZE and objective == "cloze":
        raise ConfigError(f'objective = "cloze" needs family = "cloze" in [model], found {family!r}; change one of them.')
    causal = objective == "causal"
    if causal and family != TRANSFORMER:
        raise ConfigError('[model]: a hybrid model sees both sides of a base; set objective = "masked" in [training].')
    if table.pop("causal", False) and not causal:
        raise ConfigError(
            f'[model]: {config.model["family"]} is a causal model; set objective = "causal" in [training], or change family.'
        )
    return table
