"""plan_prediction(): a model's configuration and intervals -> the cost of a prediction, before the model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from genoformer.formats.bed import Intervals
from genoformer.inference.runtime import CPU, PRECISIONS, Runtime
from genoformer.inference.throughput import measured_rate
from genoformer.inference.track_prediction import kept_bins, lattice_cells, windows_at_once
from genoformer.models import cost, families
from genoformer.models.base import Head
from genoformer.models.track_model import head_named


class PredictionPlan(NamedTuple):
    """Cost of a prediction. memory: bytes by name; multiply_adds: of a window; rate: multiply-adds per second."""

    length: int  # bases of a window
    head: Head
    n_parameters: int
    n_windows: int
    n_strands: int
    memory: dict[str, int]
    multiply_adds: int
    rate: float
    device: str

    @property
    def seconds(self) -> float:
        """Seconds per window, for both strands if both are predicted."""
        return self.n_strands * self.multiply_adds / self.rate

    def text(self) -> str:
        kinds = ", ".join(f"{name} {cost.gigabytes(n)}" for name, n in self.memory.items())
        n_bins = self.length // self.head.bin_size
        windows = "1 window" if self.n_windows == 1 else f"{self.n_windows:,} windows"
        return cost.table(
            {
                "parameters": f"{self.n_parameters:,}",
                "window": f"{self.length:,} bases, of whose {n_bins:,} bins {kept_bins(self.length, self.head):,} are kept",
                "memory without Python and torch": f"about {cost.gigabytes(sum(self.memory.values()))} ({kinds})",
                "multiply-adds of a window": f"{self.multiply_adds:,}{' on each strand' if self.n_strands > 1 else ''}",
                "rate": f"{self.rate / 1e9:,.1f} billion a second, measured here on {self.device} with a short window",
                "time of a window": f"about {cost.duration(self.seconds)}",
                "time of the run": f"about {cost.duration(self.seconds * self.n_windows)} for {windows}",
            }
        )


def plan_prediction(
    config: Any,
    intervals: Mapping[str, Intervals],
    *,
    head: str | None = None,
    both_strands: bool = False,
    runtime: Runtime = CPU,
    rate: float | None = None,
) -> PredictionPlan:
    """Return the cost of `predict_tracks` with the same arguments.

    config: of a family that predicts tracks. rate: multiply-adds per second; None measures it on this machine.
    """
    family, length = families.class_of(config), config.context_length
    heads: dict[str, Head] = family.heads_of(config)
    head = head_named(heads, head)
    kept = kept_bins(length, heads[head])
    model = cost.meta_model(family, config, PRECISIONS[runtime.precision]).eval()
    batch = windows_at_once(length, on_cpu=runtime.device == "cpu", batch_size=runtime.batch_size)
    if rate is None:
        rate = measured_rate(family, config, training=False, device=runtime.device, precision=runtime.precision)
    return PredictionPlan(
        length,
        heads[head],
        n_parameters=cost.count_parameters(model),
        n_windows=sum(len(cells) for cells in lattice_cells(length, heads[head], intervals).values()),
        n_strands=1 + both_strands,
        memory=cost.prediction_memory(
            model, head, length, kept, batch=batch, on_cpu=runtime.device == "cpu", n_strands=1 + both_strands
        ),
        multiply_adds=cost.trace(model, cost.track_run(model, head, length, kept)).multiply_adds,
        rate=rate,
        device=runtime.device,
    )
