"""Lightning's strategies: one process, a full model on every device (DDP), or a model sharded over the devices (FSDP)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from genoformer.errors import ConfigError

STRATEGIES = ("auto", "ddp", "fsdp")


def make_strategy(name: str, n_devices: int) -> Any:
    """Return Lightning's strategy by name; "auto" is one process, or DDP on several devices."""
    if name not in STRATEGIES:
        raise ConfigError(f"strategy = {name!r}: allowed are {', '.join(STRATEGIES)}.")
    if name == "fsdp":
        from lightning.pytorch.strategies import ModelParallelStrategy

        return ModelParallelStrategy(save_distributed_checkpoint=False)  # FSDP2, which also runs on CPUs
    return "ddp" if name == "auto" and n_devices > 1 else name


def shard(model: Any) -> None:
    """Shard each repeated part of a `Model`, and then the remaining parameters, over the processes (torch's fully_shard)."""
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    for part in model.shard_parts():
        fully_shard(part)
    fully_shard(model)
    for name in ("embed", "head", "logits_at"):  # entry points of the model other than forward
        if hasattr(model, name):
            register_fsdp_forward_method(model, name)


def full_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """Return the full weights of a model, sharded or not; every process must call this."""
    return {
        name: (tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor).detach()
        for name, tensor in model.state_dict().items()
    }
