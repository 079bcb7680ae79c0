"""fit(): a model, a loss and batches -> AdamW on Lightning -> trained weights, with logs, validation and resume."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from genoformer.errors import Stopped, TrainingError
from genoformer.files import make_folder
from genoformer.progress import RESUMED, Progress, ProgressCallback
from genoformer.training.averaging import Average
from genoformer.training.lightning import make_trainer, quiet, stopped
from genoformer.training.log import LOG, Log
from genoformer.training.loggers import close_loggers, open_loggers
from genoformer.training.losses import Loss
from genoformer.training.make_optimizer import make_optimizer
from genoformer.training.optimizer import LoopConfig, rate_at
from genoformer.training.saving import SaveClock, StopSignals
from genoformer.training.strategies import full_state_dict, make_strategy, shard

STATE = "state.ckpt"  # weights, optimizer and step of an unfinished run
_TOGETHER = 10  # steps after which several processes agree on a save
Batches = Callable[[int], Any]  # batch number -> batch


LossFunction = Callable[[Any, Any], Loss]  # model, batch
Validate = Callable[[nn.Module], Mapping[str, float]]


class FitResult(NamedTuple):
    """Trained weights (of the best validation if one is monitored), the last metrics, and the step of the weights."""

    weights: dict[str, Tensor]
    metrics: dict[str, float]
    step: int


class Monitor(NamedTuple):
    """Metric that selects the best step, its direction, and the number of validations without improvement to wait."""

    metric: str
    more_is_better: bool
    patience: int


class Trainable(NamedTuple):
    """A model with its batches, its loss, and the validations that select the best step.

    batches: number n -> batch n. With P processes and A backward passes, a step uses the numbers from step * A * P on.
    rates: parameter name -> factor on the learning rate.
    """

    model: nn.Module
    batches: Batches
    loss: LossFunction
    validate: Validate | None = None
    monitor: Monitor | None = None
    rates: Callable[[str], float] = lambda name: 1.0


def fit(what: Trainable, folder: Path, config: LoopConfig, *, progress: ProgressCallback = None) -> FitResult | None:
    """Train a model in place, and resume from the checkpoint in `folder` if there is one.

    progress receives RESUMED with the step that the run resumes from.
    The checkpoint stays on disk until `unfinished.finished`, because the work after training may be interrupted too.
    Return None in processes other than the first. Raises TrainingError when the loss is not finite.
    """
    make_folder(folder)
    module = _Training(what, config)
    watch = _ValidationCallback(folder, config, what.validate, what.monitor, progress)
    world, local = int(os.environ.get("WORLD_SIZE", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 0))
    with quiet():
        trainer = make_trainer(
            max_steps=config.max_steps,
            accumulate_grad_batches=config.grad_accumulation,
            gradient_clip_val=None,
            precision=config.precision,
            accelerator=config.accelerator,
            devices=local or config.devices,
            num_nodes=world // local if local else 1,
            strategy=make_strategy(config.strategy, local or config.devices),
            logger=False,
            callbacks=[watch],
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            deterministic=True,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        )
        state = folder / STATE
        if progress is not None and state.is_file() and trainer.is_global_zero:
            progress(Progress(RESUMED, _step_of(state), config.max_steps))
        with stopped():
            trainer.fit(module, ckpt_path=state if state.is_file() else None, weights_only=True)
        if watch.signals.number is not None:  # the signal came in the last step
            raise Stopped(watch.signals.number)
        weights = {
            name.removeprefix("model."): tensor for name, tensor in trainer.strategy.lightning_module_state_dict().items()
        }
    if not trainer.is_global_zero:
        return None
    if watch.best is not None:
        weights = watch.best
    elif watch.average is not None:
        weights |= watch.average.mean
    return FitResult(weights, watch.metrics, watch.best_step or trainer.global_step)


def _step_of(state: Path) -> int:
    """Return the step at which the state of an unfinished run was saved."""
    return int(torch.load(state, map_location="cpu", weights_only=True, mmap=True)["global_step"])


def _divergence(first_loss: Tensor | None, step: int, loss: float) -> str:
    """Return a sentence on a loss that is not finite: before the first step it is no matter of the learning rate."""
    if first_loss is not None and not bool(first_loss.isfinite()):
        return (
            f"the loss of the first batch is {first_loss.item()}, before the first step, and no learning rate changes it; use "
            "precision 32-true or another start model, and start in a new folder."
        )
    return (
        f"the training diverged: at step {step} the loss is {loss}; lower learning_rate, raise warmup_fraction, or use "
        "precision 32-true, and start in a new folder."
    )


class _BatchStream(IterableDataset[Any]):
    """Endless stream of the batches first, first + step, ...; each of n workers takes every n-th batch."""

    def __init__(self, batches: Batches, first: int, step: int) -> None:
        self.batches, self.first, self.step = batches, first, step

    def __iter__(self) -> Iterator[Any]:
        worker = get_worker_info()
        number, n_workers = (self.first, 1) if worker is None else (self.first + worker.id * self.step, worker.num_workers)
        while True:
            yield self.batches(number)
            number += n_workers * self.step


class _Training(L.LightningModule):
    """Lightning module with the training step and the optimizer."""

    def __init__(self, what: Trainable, config: LoopConfig) -> None:
        super().__init__()
        self.model, self.batches, self.loss, self.rates = what.model, what.batches, what.loss, what.rates
        self.config = config
        self.sums = torch.zeros(2, dtype=torch.float64)  # loss and weight since the last row of the log
        self.first_loss: Tensor | None = None  # of the first batch of a run, before any step

    def configure_model(self) -> None:
        if self.config.strategy == "fsdp":
            shard(self.model)

    def train_dataloader(self) -> DataLoader[Any]:
        rank, world = self.trainer.global_rank, self.trainer.world_size
        first = self.trainer.global_step * self.config.grad_accumulation * world + rank
        workers = self.config.workers
        return DataLoader(
            _BatchStream(self.batches, first, world), batch_size=None, num_workers=workers, persistent_workers=workers > 0
        )

    def on_train_batch_start(self, batch: Any, index: int) -> None:
        # dropout depends on the batch alone, not on what was drawn before a run was interrupted
        number = index * self.trainer.world_size + self.trainer.global_rank
        torch.manual_seed((self.config.seed % 2**22 << 40) + number)  # fits into 63 bits

    def training_step(self, batch: Any, index: int) -> Tensor:
        self.model.train()
        found = self.loss(self.model, batch)
        if index == 0:
            self.first_loss = found.total.detach()
        self.sums += torch.stack([found.total.detach().double(), found.weight.double()]).to(self.sums.device)
        return found.total / found.divisor

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_grad_norm)

    def configure_optimizers(self) -> Any:
        c = self.config
        optimizer = make_optimizer(self.model, c, self.rates)
        rate = partial(rate_at, n_steps=c.max_steps, warmup=c.warmup_fraction, schedule=c.schedule)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _ValidationCallback(Callback):
    """After each step: write the log, validate, save the state of the run, and report progress."""

    def __init__(
        self, folder: Path, config: LoopConfig, validate: Validate | None, monitor: Monitor | None, progress: ProgressCallback
    ) -> None:
        self.folder, self.config, self.validate, self.monitor, self.progress = folder, config, validate, monitor, progress
        self.clock, self.signals = SaveClock(config.save_every), StopSignals()
        self.metrics: dict[str, float] = {}
        self.best: dict[str, Tensor] | None = None
        self.best_step, self.best_rank, self.waited = 0, (-math.inf, -math.inf), 0
        self.average: Average | None = None
        self.boards: list[Any] = []  # of TensorBoard and of other services
        self.written: Log | None = None  # not `log`, which Lightning gives to every callback
        self.earlier: dict[str, Tensor] = {}  # the average of the run that is resumed
        self.sums = torch.zeros(2, dtype=torch.float64)  # the module's sums over all processes, when the state was saved

    def state_dict(self) -> dict[str, Any]:
        best = {"weights": self.best or {}, "step": self.best_step, "rank": list(self.best_rank), "waited": self.waited}
        return {"average": self.average.mean if self.average is not None else {}, "best": best, "sums": self.sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.earlier, best, self.sums = state["average"], state["best"], state["sums"]
        self.best, self.best_step = best["weights"] or None, best["step"]
        self.best_rank, self.waited = (best["rank"][0], best["rank"][1]), best["waited"]

    def on_train_start(self, trainer: L.Trainer, module: Any) -> None:
        step = trainer.global_step
        if trainer.is_global_zero:
            self.written = Log(self.folder / LOG, step)
            self.boards = open_loggers(self.folder, step, asdict(self.config))
        sums = self.sums if trainer.is_global_zero else module.sums
        module.sums = sums.to(module.device if module.device.type != "mps" else "cpu", copy=True)
        if self.config.ema_decay:
            self.average = Average(module.model, self.config.ema_decay)
            if self.earlier:
                self.average.load(self.earlier)
        self.clock = SaveClock(self.config.save_every)
        if trainer.world_size == 1:  # with several processes Lightning's own handlers end all of them together
            self.signals.listen()

    def on_train_batch_end(self, trainer: L.Trainer, module: Any, outputs: Any, batch: Any, index: int) -> None:
        if (index + 1) % self.config.grad_accumulation:
            return
        step, c = trainer.global_step, self.config
        row: dict[str, float] = {}
        last = step == c.max_steps
        if self.average is not None:
            self.average.update(step)
        if step % c.log_every == 0 or last:
            total, count = trainer.strategy.reduce(module.sums, reduce_op="sum").tolist()
            if not count:
                raise TrainingError(
                    f"no base up to step {step} counts in the loss: with soft_masked_weight = 0, soft-masked bases have weight "
                    "0; give a larger weight, or larger batches."
                )
            module.sums.zero_()
            row["train_loss"] = total / max(count, 1e-12)
            row["learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
            if not math.isfinite(row["train_loss"]):
                if self.written is not None:
                    self.written.write(step, row)  # the folder keeps the reason
                raise TrainingError(_divergence(module.first_loss, step, row["train_loss"]))
        if self.validate is not None and (step % c.eval_every == 0 or last):
            with self.average.in_place() if self.average is not None else nullcontext():
                row |= self._validated(trainer, module)
                if self._is_best(row):
                    self.best_step = step
                    self.best = {name: t.cpu().clone() for name, t in full_state_dict(module.model).items()}
            if step <= c.warmup_fraction * c.max_steps:
                self.waited = 0  # steps this small do not predict later progress
            if self.monitor is not None and self.waited >= self.monitor.patience:
                trainer.should_stop = True
        self.metrics |= row
        if row and self.written is not None:
            self.written.write(step, row)
            for board in self.boards:
                board.log_metrics(row, step)
        self._keep(trainer, module, step)
        if self.progress is not None and trainer.is_global_zero:
            note = ", ".join(f"{name} {self.metrics[name]:.4g}" for name in self.metrics if name != "learning_rate")
            self.progress(Progress("training", step, c.max_steps, note))

    def _validated(self, trainer: L.Trainer, module: Any) -> dict[str, float]:
        assert self.validate is not None
        module.model.eval()
        with torch.no_grad(), trainer.strategy.precision_plugin.val_step_context():
            found = dict(self.validate(module.model))
        module.model.train()
        return found

    def _is_best(self, row: Mapping[str, float]) -> bool:
        """True if this validation is the best so far; the smaller loss decides between equal or undefined metrics."""
        if self.monitor is None:
            return False
        value = row.get(self.monitor.metric, math.nan)
        value = -math.inf if math.isnan(value) else value if self.monitor.more_is_better else -value
        rank = (value, -row.get("valid_loss", math.inf))
        if self.best is None or rank > self.best_rank:
            self.best_rank, self.waited = rank, 0
            return True
        self.waited += 1
        return False

    def _keep(self, trainer: L.Trainer, module: Any, step: int) -> None:
        """Save the state if a save is due, and end the run after a signal."""
        ended = step == self.config.max_steps or trainer.should_stop
        if not ended and (self.signals.number is not None or self._due(trainer, step)):
            began = self.clock.seconds()
            self.sums = trainer.strategy.reduce(module.sums.clone(), reduce_op="sum").cpu()
            self._save(trainer)
            self.clock.saved(began)
        if self.signals.number is not None and not ended:
            raise KeyboardInterrupt if self.signals.number == signal.SIGINT else SIGTERMException

    def _due(self, trainer: L.Trainer, step: int) -> bool:
        if trainer.world_size == 1:
            return self.clock.due(step)
        # one clock decides for all processes; they agree only every few steps, because each agreement makes them wait
        return (step % self.config.save_every == 0 or step % _TOGETHER == 0) and trainer.strategy.reduce_boolean_decision(
            trainer.is_global_zero and self.clock.due(step), all=False
        )

    def _save(self, trainer: L.Trainer) -> None:
        part = self.folder / f".{STATE}.part"
        trainer.save_checkpoint(part)
        if trainer.is_global_zero:
            part.replace(self.folder / STATE)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.signals.release()
        if self.written is not None:
            self.written.close()
        close_loggers(self.boards, "success")

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        self.signals.release()
        close_loggers(self.boards[1:], "failed")  # without TensorBoard's
        if self.written is not None:
            self.written.close()
