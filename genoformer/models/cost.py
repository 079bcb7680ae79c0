"""Cost of a model: counted parameters, and the multiply-adds and memory of a run that is traced on torch's meta device.

A meta tensor has a shape and no data, so a run of any module is traced in about a second, whatever its size. The counts are
those of the plain modules. Internal buffers of libraries and fragments between tensors are not counted.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

M = TypeVar("M", bound=nn.Module)


class Trace(NamedTuple):
    """Cost of a run, without the weights and their gradients."""

    multiply_adds: int
    kept: int  # bytes at the end of the forward pass: the result, and what the backward pass needs
    peak: int  # largest number of bytes at any time


# --- models without weights


def meta_model(family: type[M], config: Any, dtype: torch.dtype = torch.float32) -> M:
    """Return a model on the meta device, without memory for its weights."""
    with torch.device("meta"):
        return family(config).to(dtype)


def count_parameters(model: nn.Module, *, trained: bool = False) -> int:
    """Return the number of parameters, each counted once; trained: only of those with a gradient."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trained)


# --- runs


def trace(model: nn.Module, run: Callable[[], Tensor], *, backward: bool = False, boolean_masks: bool = False) -> Trace:
    """Count multiply-adds and bytes of a run of a meta model; inputs count if `run` creates them.

    backward: also compute the gradients of the sum of the result. boolean_masks: dropout keeps a byte for each value, as on a
    GPU, instead of a number.
    """
    meter = _Meter(model)
    hooks = [p.register_post_accumulate_grad_hook(meter.forget_gradient) for p in model.parameters() if p.requires_grad]
    with torch.set_grad_enabled(backward), _BooleanMasks() if boolean_masks else nullcontext(), meter:
        result = run()
        kept = meter.n_bytes
        if backward:
            result.sum().backward()
    model.zero_grad()
    for hook in hooks:
        hook.remove()
    return Trace(meter.flops // 2, kept, meter.peak)


class _Meter(TorchDispatchMode):
    """Counts operations, and the bytes of all storages that exist, except those of weights, buffers and their gradients.

    The formulas are torch's. `FlopCounterMode`, which uses the same, would keep the tensors at the borders of modules alive.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.flops = self.n_bytes = self.peak = 0
        self.sizes = {tensor.untyped_storage()._cdata: 0 for tensor in (*model.parameters(), *model.buffers())}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func._overloadpacket in flop_registry:
            self.flops += flop_registry[func._overloadpacket](*args, **kwargs, out_val=out)
        for storage in [leaf.untyped_storage() for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]:
            key = storage._cdata
            if key not in self.sizes:
                self.sizes[key] = storage.nbytes()
                self.n_bytes += storage.nbytes()
                self.peak = max(self.peak, self.n_bytes)
                weakref.finalize(storage, self._forget, key).atexit = False
        return out

    def _forget(self, key: int) -> None:
        self.n_bytes -= self.sizes.pop(key, 0)

    def forget_gradient(self, parameter: Tensor) -> None:
        assert parameter.grad is not None
        key = parameter.grad.untyped_storage()._cdata
        self.n_bytes -= self.sizes[key]
        self.sizes[key] = 0


class _BooleanMasks(TorchFunctionMode):
    """Computes dropout with the operation for GPUs, whose mask is boolean."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.dropout:
            return torch.native_dropout(args[0], kwargs["p"], kwargs["training"])[0]
        return func(*args, **(kwargs or {}))


# --- track models: one-hot [B, 4, L] -> `embed` -> `tracks`


def track_run(
    model: Any, head: str, length: int, n_bins: int, *, batch: int = 1, n_tracks: int | None = None
) -> Callable[[], Tensor]:
    """Return a forward pass of a meta model: windows of `length` bases -> n_tracks (None: all) tracks of n_bins bins."""

    def run() -> Tensor:
        onehot = torch.empty(batch, 4, length, device="meta", dtype=next(model.parameters()).dtype)
        only = None if n_tracks is None else torch.empty(n_tracks, device="meta", dtype=torch.int64)
        tracks: Tensor = model.tracks(model.embed(onehot, n_bins, head), head, only)
        return tracks

    return run


def prediction_memory(
    model: Any, head: str, length: int, n_bins: int, *, batch: int, on_cpu: bool, n_strands: int = 1
) -> dict[str, int]:
    """Return the bytes of a prediction of a batch of windows by a meta model, by kind: weights, workspace and tracks.

    On a CPU, the model's engine may hold copies of weights and have its own workspace (`cpu_engine_size`). The tracks of the
    first strand are kept while those of the second are computed.
    """
    dtype = next(model.parameters()).dtype
    n_values, copies = batch * n_bins * model.track_heads[head].n_tracks, 0
    engine = model.cpu_engine_size(length, batch, head, n_bins) if on_cpu else None
    if engine is None:
        workspace = trace(model, track_run(model, head, length, n_bins, batch=batch)).peak
    else:
        copies, workspace = engine[0] * dtype.itemsize, engine[1] * dtype.itemsize
    return {
        "weights": count_parameters(model) * dtype.itemsize + copies,
        "workspace": workspace,
        "tracks": n_strands * 4 * n_values,  # float32
    }


def step_memory(model: nn.Module, step: Trace, *, autocast: bool) -> dict[str, int]:
    """Return the bytes of a traced training step with Adam, by kind: weights, gradients, moments, activations and workspace.

    Weights, gradients and the two moments are float32; autocast: with a copy of the weights in 16 bits.
    """
    own, trained = count_parameters(model), count_parameters(model, trained=True)
    return {
        "weights": (6 if autocast else 4) * own,
        "gradients": 4 * trained,
        "optimizer": 8 * trained,
        "activations": step.kept,
        "workspace": step.peak - step.kept,
    }


# --- text


def table(rows: Mapping[str, str]) -> str:
    """Format names and values in two columns."""
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())


def gigabytes(n: float) -> str:
    """Format a size in GB or MB."""
    return f"{n / 1e9:,.2f} GB" if n >= 1e8 else f"{n / 1e6:,.1f} MB"


def duration(seconds: float) -> str:
    """Format a time in a unit of suitable size.

    >>> [duration(x) for x in (0.02, 12.34, 600, 7300, 400_000)]
    ['20 ms', '12.3 s', '10.0 min', '2.0 h', '4.6 days']
    """
    for unit, size, least in (("days", 86400, 172_800), ("h", 3600, 7200), ("min", 60, 120), ("s", 1, 1)):
        if seconds >= least:
            return f"{seconds / size:,.1f} {unit}"
    return f"{1000 * seconds:.0f} ms"
