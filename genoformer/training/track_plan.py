"""plan_tracks(): settings of a run on tracks -> memory and time of its steps, before a model is built or loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch

from genoformer.genome.reference import Genome
from genoformer.inference import resolve_device
from genoformer.inference.throughput import measured_rate
from genoformer.models import cost, families, registry
from genoformer.models.base import PredictsTracks
from genoformer.models.tuning import set_trainable
from genoformer.training.jobs import TrackTrainingJob
from genoformer.training.losses import TRACK_LOSSES
from genoformer.training.soft_tracks import fitting_windows
from genoformer.training.track_config import training_crop
from genoformer.training.track_contexts import job_shape


class StepPlan(NamedTuple):
    """Cost of training on one device. memory: bytes by name; multiply_adds: per step; rate: multiply-adds a second.

    n_steps: of all models; n_teaching: of them, those of the models that [distil] trains first.
    """

    shape: Any  # the configuration of the model
    length: int
    bin_size: int
    n_bins: int
    n_parameters: int
    n_trained: int
    memory: dict[str, int]
    multiply_adds: int
    rate: float
    n_steps: int
    device: str
    n_teaching: int = 0

    @property
    def seconds(self) -> float:
        """Seconds per step."""
        return self.multiply_adds / self.rate

    def text(self) -> str:
        kinds = ", ".join(f"{name} {cost.gigabytes(n)}" for name, n in self.memory.items())
        teaching = f", of which {self.n_teaching:,} train the models that teach" if self.n_teaching else ""
        return cost.table(
            {
                "parameters": f"{self.n_parameters:,}, of which {self.n_trained:,} are trained",
                "window": f"{self.length:,} bases, {self.n_bins:,} of {self.length // self.bin_size:,} bins with targets",
                "memory of a step": f"about {cost.gigabytes(sum(self.memory.values()))} ({kinds})",
                "multiply-adds of a step": f"{self.multiply_adds:,}",
                "rate": f"{self.rate / 1e9:,.1f} billion a second, measured here on {self.device} with a short window",
                "time of a step": f"about {cost.duration(self.seconds)}",
                "time of the run": f"about {cost.duration(self.seconds * self.n_steps)}, {self.n_steps:,} "
                f"steps{teaching}, without validation",
            }
        )


def plan_tracks(job: TrackTrainingJob, *, rate: float | None = None) -> StepPlan:
    """Estimate the cost of `train_tracks` on one device; of a start model only config.json is read.

    rate: multiply-adds per second; None measures it here. Raises ConfigError for a set and a shape that do not fit.
    """
    data, head, tracks = job.data, job.head, job.config.tracks
    old = registry.load_config(job.start, PredictsTracks) if job.start is not None else None
    shape, part = job_shape(job, old), training_crop(tracks, data)
    length = (part.n_bins + 2 * part.context_bins) * data.bin_size
    device = "cpu" if tracks.accelerator == "cpu" else resolve_device("auto")
    half = "16" in tracks.precision
    family = families.class_of(shape)
    model = cost.meta_model(family, shape)
    with torch.device("meta"):  # new parameters of adapters
        set_trainable(model, tracks.tune, n_last=tracks.last_blocks, rank=tracks.lora_rank)
    model.head_module(head).requires_grad_(True)
    model.to(torch.bfloat16 if half else torch.float32)
    model.activation_checkpointing = tracks.checkpointing
    run = cost.track_run(model.train(), head, length, part.n_bins, batch=tracks.batch_size)
    measured = torch.empty(tracks.batch_size, model.track_heads[head].n_tracks, part.n_bins, device="meta")
    loss = TRACK_LOSSES[tracks.loss]
    step = cost.trace(model, lambda: loss(run().float(), measured), backward=True, boolean_masks=device != "cpu")
    if rate is None:
        rate = measured_rate(family, shape, training=True, device=device, precision="bfloat16" if half else "float32")
    n_steps, n_teaching = _steps(job, max(1, data.n_bins // part.n_bins))
    return StepPlan(
        shape,
        length,
        data.bin_size,
        part.n_bins,
        n_parameters=cost.count_parameters(model),
        n_trained=cost.count_parameters(model, trained=True),
        memory=cost.step_memory(model, step, autocast=half),
        multiply_adds=tracks.grad_accumulation * step.multiply_adds,
        rate=rate,
        n_steps=n_steps,
        device=device,
        n_teaching=n_teaching,
    )


def _steps(job: TrackTrainingJob, n_parts: int) -> tuple[int, int]:
    """Return the number of steps of all models, and of them that of the models that teach; n_parts: of a window."""
    data, tracks, plan = job.data, job.config.tracks, job.config.distil
    n_windows = n_labelled = len(data.rows("train"))
    n_teaching = 0
    if plan is not None and job.fasta is not None:
        with Genome(job.fasta) as genome:
            n_fitting = len(fitting_windows(genome, data, plan))
        n_windows += min(plan.windows or n_fitting, n_fitting)
    if plan is not None and job.teacher is None:
        teaching = replace(tracks, epochs=plan.epochs or tracks.epochs)
        n_teaching = plan.members * teaching.loop(-(-n_labelled * n_parts // tracks.batch_size)).max_steps
    return n_teaching + tracks.loop(-(-n_windows * n_parts // tracks.batch_size)).max_steps, n_teaching
