"""plan_tracks(): settings of a run on tracks -> memory and time of its steps, before a model is built or loaded."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from genoformer.datasets.track_set import TrackSet
from genoformer.inference import resolve_device
from genoformer.inference.throughput import measured_rate
from genoformer.models import registry
from genoformer.models.base import PredictsTracks
from genoformer.models.enformer import cost
from genoformer.models.enformer.model import EnformerConfig
from genoformer.training.track_config import TracksConfig, part_of, shape_of


class StepPlan(NamedTuple):
    """Cost of training on one device. memory: bytes by name; products: multiply-adds per step; rate: multiply-adds a second."""

    shape: EnformerConfig
    length: int
    n_bins: int
    n_parameters: int
    n_trained: int
    memory: dict[str, int]
    products: int
    rate: float
    n_steps: int
    device: str

    @property
    def seconds(self) -> float:
        """Seconds per step."""
        return self.products / self.rate

    def text(self) -> str:
        kinds = ", ".join(f"{name} {cost.gigabytes(n)}" for name, n in self.memory.items())
        return cost.table(
            {
                "parameters": f"{self.n_parameters:,}, of which {self.n_trained:,} are trained",
                "window": f"{self.length:,} bases, {self.n_bins:,} of {self.length // self.shape.bin_size:,} bins with targets",
                "memory of a step": f"about {cost.gigabytes(sum(self.memory.values()))} ({kinds})",
                "multiply-adds of a step": f"{self.products:,}",
                "rate": f"{self.rate / 1e9:,.1f} billion a second, measured here on {self.device} with a short window",
                "time of a step": f"about {cost.duration(self.seconds)}",
                "time of the run": f"about {cost.duration(self.seconds * self.n_steps)}, {self.n_steps:,} "
                "steps without validation",
            }
        )


def plan_tracks(
    config: TracksConfig, data: TrackSet, *, start: str | Path | None = None, head: str = "tracks", rate: float | None = None
) -> StepPlan:
    """Estimate the cost of `train_tracks` with the same arguments on one device; of a start model only config.json is read.

    rate: multiply-adds per second; None measures it here. Raises ConfigError for a set and a shape that do not fit.
    """
    tracks = config.tracks
    old = registry.load_config(start, PredictsTracks) if start is not None else None
    shape, part = shape_of(config, data, old, head), part_of(tracks, data)
    length = (part.n_bins + 2 * part.context_bins) * data.bin_size
    how = cost.Training(tracks.tune, tracks.last_blocks, tracks.lora_rank, tracks.checkpointing)
    device = "cpu" if tracks.accelerator == "cpu" else resolve_device("auto")
    half = "16" in tracks.precision
    n_tracks, n_windows = len(data.targets), tracks.batch_size * tracks.grad_accumulation
    memory = cost.step_memory(
        shape, length, part.n_bins, n_tracks, tracks.batch_size, how, itemsize=2 if half else 4, on_cpu=device == "cpu"
    )
    if rate is None:
        rate = measured_rate(shape, training=True, device=device, precision="bfloat16" if half else "float32")
    own, trained = sum(cost.parameters(shape).values()), cost.trained_parameters(shape, how)
    n_batches = -(-len(data.rows("train")) * max(1, data.n_bins // part.n_bins) // tracks.batch_size)
    products = n_windows * cost.step_products(shape, length, part.n_bins, n_tracks, how)
    n_steps = tracks.loop(n_batches).max_steps
    return StepPlan(shape, length, part.n_bins, own, trained, memory, products, rate, n_steps, device)
