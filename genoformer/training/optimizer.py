"""Settings of any training run: optimizer, schedule, length, device; the tables of configuration files build on them."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from typing import Any

from genoformer.errors import ConfigError

PRECISIONS = ("32-true", "bf16-mixed", "bf16-true", "16-mixed")
AUTO = "auto"
SCHEDULES = ("linear", "cosine")
OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True)
class OptimizerConfig:
    """Settings of the optimizer and the device; defaults are DNABERT's (README 2.2) unless a comment gives another source."""

    batch_size: int = 32  # windows per process and backward pass; DNABERT: 2,000 in total
    grad_accumulation: int = 1  # backward passes per step
    optimizer: str = "adamw"  # "muon": for the matrices of the layers (Jordan et al. 2024), with AdamW for all others
    learning_rate: float = 4e-4
    muon_learning_rate: float = 0.02  # of the matrices that Muon steps
    warmup_fraction: float = 0.05  # fraction of the steps with a rising rate; it then falls to 0
    schedule: str = "linear"  # fall of the learning rate after the warm-up; "cosine": Loshchilov and Hutter 2017
    weight_decay: float = 0.01  # not on biases and norms
    beta2: float = 0.98
    epsilon: float = 1e-6
    max_grad_norm: float = 1.0  # largest norm of the gradient, Devlin et al. 2019
    ema_decay: float = 0.0  # decay of the weight average per step (0.99 ...); 0 does not average the weights
    precision: str = "32-true"  # Lightning's names: bf16-mixed, bf16-true ...; "auto": `fast_precision`
    accelerator: str = "auto"  # "cpu", "gpu"
    strategy: str = "auto"  # "ddp": a full model on every device; "fsdp": a model sharded over the devices
    devices: int = 1  # processes on this machine; torchrun overrides this number
    workers: int = 0  # processes that prepare batches; use some with a GPU
    seed: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{field.name} = {value}: give a finite number.")
        if self.precision == AUTO:
            object.__setattr__(self, "precision", fast_precision(self.accelerator))
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision = {self.precision!r}: allowed are {', '.join(PRECISIONS)}, {AUTO}.")
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"schedule = {self.schedule!r}: allowed are {', '.join(SCHEDULES)}.")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(f"optimizer = {self.optimizer!r}: allowed are {', '.join(OPTIMIZERS)}.")
        if self.muon_learning_rate <= 0:
            raise ConfigError(f"muon_learning_rate = {self.muon_learning_rate}: give a number above 0, such as 0.02.")
        if self.optimizer == "muon" and self.strategy == "fsdp":
            raise ConfigError("optimizer = 'muon' with strategy fsdp: Muon needs whole matrices; set strategy to auto or ddp.")
        if self.seed < 0 or not 0 <= self.beta2 < 1 or self.epsilon <= 0 or self.max_grad_norm <= 0 or self.workers < 0:
            raise ConfigError("seed and workers must be at least 0, beta2 lie in [0, 1), epsilon and max_grad_norm be above 0.")
        if not 0 <= self.warmup_fraction < 1 or self.learning_rate <= 0:
            raise ConfigError("warmup_fraction must lie in [0, 1) and learning_rate above 0; change the configuration.")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"ema_decay = {self.ema_decay}: give a number from 0 (none) up to, not including, 1.")
        if self.ema_decay and self.strategy == "fsdp":
            raise ConfigError("ema_decay with strategy fsdp: sharded weights cannot be averaged; set strategy to auto or ddp.")
        at_least_one(self, "batch_size", "grad_accumulation", "devices")


@dataclass(frozen=True)
class LoopConfig(OptimizerConfig):
    """Settings of a whole run: its length, and its intervals of logging, validation and saving."""

    max_steps: int = 10_000  # optimizer steps; DNABERT: 200,000
    log_every: int = 50  # steps
    eval_every: int = 1_000  # steps between validations
    save_every: int = 500  # steps; a killed run loses at most these, unless saving is slow (`saving.SaveClock`)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one(self, "max_steps", "log_every", "eval_every", "save_every")


@dataclass(frozen=True)
class EpochsConfig(OptimizerConfig):
    """Settings of a run over a set of examples, with several validations per epoch; the best step is kept."""

    epochs: float = 5.0  # DNABERT
    evals_per_epoch: float = 2.0  # validations
    patience: int = 6  # validations without improvement before the run stops

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one(self, "patience")
        if self.epochs <= 0 or self.evals_per_epoch <= 0:
            raise ConfigError("epochs and evals_per_epoch must be above 0; change the configuration.")

    def loop(self, n_batches: int) -> LoopConfig:
        """Return the number of steps and the validation interval of a run with this number of batches per epoch."""
        per_epoch = n_batches * self.batch_size / windows_per_step(self)
        shared = {entry.name: getattr(self, entry.name) for entry in fields(OptimizerConfig)}
        steps = max(1, round(self.epochs * per_epoch))
        eval_every = max(1, round(per_epoch / self.evals_per_epoch))
        return LoopConfig(
            **shared,
            max_steps=steps,
            eval_every=min(eval_every, steps),
            log_every=min(50, eval_every),
            save_every=min(500, eval_every),
        )


def fast_precision(accelerator: str) -> str:
    """Return bf16-mixed for a GPU or a processor that computes in bfloat16, else 32-true."""
    import torch

    from genoformer.models.cpu_kernels import has_bfloat16

    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if accelerator in ("auto", "cpu") and has_bfloat16() else "32-true"


def at_least_one(config: Any, *names: str) -> None:
    """Refuse fields that are below 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} = {getattr(config, name)}: give a whole number of at least 1.")


def windows_per_step(config: OptimizerConfig) -> int:
    """Return the number of windows in one optimizer step, over all processes."""
    world = int(os.environ.get("WORLD_SIZE", config.devices))
    return config.batch_size * config.grad_accumulation * world


def rate_at(step: int, n_steps: int, warmup: float, schedule: str = "linear") -> float:
    """Return the fraction of the peak learning rate: a linear rise during warm-up, then a fall to 0, linear or as a cosine."""
    n_warm = max(1, round(warmup * n_steps))
    left = max(0.0, (n_steps - step) / max(1, n_steps - n_warm))  # 1 at the end of the warm-up, 0 at that of the run
    fall = left if schedule == "linear" else (1 - math.cos(math.pi * min(1.0, left))) / 2
    return min((step + 1) / n_warm, fall)
