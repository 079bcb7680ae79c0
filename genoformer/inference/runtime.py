"""Devices, precision and batch sizes: the only module with inference_mode; a model is returned in its original state."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from genoformer.compute.settings import Compute
from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes
from genoformer.inference.memory import reuse_freed_memory
from genoformer.models.base import Model
from genoformer.option_checks import check_choice, check_kind, check_number

Floats = NDArray[np.float32]
M = TypeVar("M", bound=Model)

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CORE_TOKENS = 1_024  # tokens per batch and core, for at least two cores: more leave the cache, and cores wait for each other
_CORE_VALUES = 1 << 17  # hidden values of these tokens in a model of 128 columns: a narrower model reads more tokens
_MOST_TOKENS = 1 << 14  # per batch and core, however narrow the model
_GPU_TOKENS = 262_144  # halved if memory is too small


@contextmanager
def evaluating(model: M, device: str = "cpu", precision: str = "float32") -> Iterator[M]:
    """Yield the model in eval mode, on a device, in a precision; the original model is restored at the end."""
    if precision not in PRECISIONS:
        raise ConfigError(f"precision is {precision!r}; give one of {', '.join(PRECISIONS)}.")
    names = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    names += ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    if device not in names:
        raise ConfigError(f"device {device!r} is not on this machine; give one of {', '.join(names)}.")
    if device == "cpu":
        reuse_freed_memory()
    parameter = next(model.parameters())
    target, dtype = torch.device(device), PRECISIONS[precision]
    training = model.training
    if parameter.device != target or parameter.dtype != dtype:
        moved: M = copy.deepcopy(model)
        moved.eval().to(target, dtype)
        yield moved
        return
    model.eval()
    try:
        yield model
    finally:
        model.train(training)


def n_cores() -> int:
    """Return the number of usable processors, as limited by the process affinity (SLURM, containers) and OMP_NUM_THREADS."""
    return torch.get_num_threads()


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Run torch with n threads on the CPU; the last digits of a convolution depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def resolve_device(name: str) -> str:
    """Return the device of a name; "auto" is cuda if available, else cpu."""
    return name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class Runtime:
    """Device, precision and batch size of a run; only the last digits of its numbers depend on them.

    Raises ConfigError for an unknown precision and for a batch size below 1.
    """

    device: str = "cpu"  # "auto" becomes cuda if there is a GPU, else cpu
    precision: str = "float32"  # or bfloat16
    batch_size: int | None = None  # windows; None: chosen for the device

    def __post_init__(self) -> None:
        check_kind("device", self.device, str, "auto, or the name of a device such as cpu or cuda:0")
        object.__setattr__(self, "device", resolve_device(self.device))
        check_choice("precision", self.precision, PRECISIONS)
        check_number("batch_size", self.batch_size, 1, "windows")

    def fingerprint(self) -> dict[str, str]:
        """Return the settings as text, for the folder of an interrupted run."""
        return {"precision": self.precision, "device": self.device, "batch size": str(self.batch_size or "auto")}


CPU = Runtime()
R = TypeVar("R")


def with_runtime(request: Callable[..., R], **options: Any) -> R:
    """Build a request from options by name; those of `Runtime` become its field `runtime`, those of `Compute` `compute`.

    The default device is "auto", as in the commands.

    >>> with_runtime(dict, device="cpu", layers=(1,))
    {'layers': (1,), 'runtime': Runtime(device='cpu', precision='float32', batch_size=None)}
    """
    names = [field.name for field in fields(Runtime) if field.name in options]
    runtime = Runtime(**{"device": "auto"} | {name: options.pop(name) for name in names})
    names = [field.name for field in fields(Compute) if field.name in options]
    if names:
        options["compute"] = Compute(**{name: options.pop(name) for name in names})
    return request(**options, runtime=runtime)


def to_device(model: Model, array: NDArray[np.generic]) -> Tensor:
    """Convert an array to a tensor on the model's device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(next(model.parameters()).device)


def choose_batch_size(model: Any, codes: Codes, batch_size: int | None) -> int:
    """Return the number of windows [B, L] in a batch: the requested number, or as many as `tokens_at_once` allows."""
    if batch_size is not None:
        return batch_size
    return max(1, tokens_at_once(model) // typical_tokens(model, codes.shape[1]))


def typical_tokens(model: Any, length: int) -> int:
    """Return the number of tokens of a window of known bases; of a model without a tokenizer, the number of its bases."""
    tokenizer = getattr(model, "tokenizer", None)
    return length if tokenizer is None else int(tokenizer.n_typical_tokens(length))


def tokens_at_once(model: nn.Module) -> int:
    """Return the number of tokens in a batch for the device of the model; on a CPU a narrow model reads more of them."""
    if next(model.parameters()).is_cuda:
        return _GPU_TOKENS
    width = getattr(getattr(model, "config", None), "width", None) or _CORE_VALUES
    return max(_CORE_TOKENS, min(_MOST_TOKENS, _CORE_VALUES // width)) * max(2, n_cores())


def run_batched(run: Callable[[slice], Tensor], n: int, batch_size: int, shape: tuple[int, ...] | None = None) -> Floats:
    """Return the results of run over 0..n, [n, *shape]; if memory is too small for a batch, it is halved.

    shape: that of one result, for n = 0.
    """
    results: Floats | None = None
    for part, values in batches(run, n, batch_size):
        if len(values) == n and values.flags.c_contiguous:
            return values  # those of a single batch, which can be large, are not copied
        if results is None:
            results = np.empty((n, *values.shape[1:]), dtype=np.float32)
        results[part] = values
    return np.empty((n, *(shape or ())), dtype=np.float32) if results is None else results


def sha256_of_arrays(arrays: Iterable[NDArray[Any]]) -> str:
    """Return a hash of the shapes and numbers of arrays."""
    sha256 = hashlib.sha256()
    for array in arrays:
        sha256.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return sha256.hexdigest()


def batches(run: Callable[[slice], Tensor], n: int, batch_size: int) -> Iterator[tuple[slice, Floats]]:
    """Yield the results of run over 0..n by batches, as `run_batched` joins them; only one batch is in memory."""
    at = 0
    while at < n:
        part = slice(at, min(at + batch_size, n))
        try:
            with torch.inference_mode():
                values = run(part).float().cpu().numpy()
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise
            batch_size = (batch_size + 1) // 2
            torch.cuda.empty_cache()
            continue
        yield part, values
        at = part.stop
