"""Choice of the parameters of a pre-trained model that are trained with a new head."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from genoformer.errors import ConfigError
from genoformer.models.base import Model
from genoformer.models.lora import add_adapters

TUNE = ("full", "last", "norms", "frozen", "lora")


def trained_names(model: Model, tune: str, n_last: int = 2) -> set[str]:
    """Return the names of a model's own parameters that are trained, without those that serve only its own outputs.

    "full": all; "last": the last `n_last` layers, if the model has layers, and what comes after them; "norms": the layer and
    RMS norms; "frozen" and "lora": none.
    """
    if tune not in TUNE:
        raise ConfigError(f"tune = {tune!r}: allowed are {', '.join(TUNE)}.")
    own = {id(p) for part in model.output_parts() for p in _parameters(part)}
    trunk = {name: id(p) for name, p in model.named_parameters() if id(p) not in own}
    if tune == "full":
        return set(trunk)
    parts: list[nn.Module] = []
    if tune == "last":
        n_layers = len(model.layers)
        if n_layers and not 1 <= n_last <= n_layers:
            raise ConfigError(f"the last {n_last} layers: the model has layers 1 to {n_layers}; change the number.")
        parts = [*model.layers[max(0, n_layers - n_last) :], *model.last_parts()]
    elif tune == "norms":
        parts = [module for module in model.modules() if isinstance(module, nn.LayerNorm | nn.RMSNorm)]
    chosen = {id(p) for part in parts for p in part.parameters()}
    return {name for name, p in trunk.items() if p in chosen}


def set_trainable(model: Model, tune: str, *, n_last: int = 2, rank: int = 8) -> None:
    """Set which of a model's own parameters have gradients (see `trained_names`); "lora" adds adapters of this rank.

    The head that is trained with them is the caller's: parameters that serve only the model's own outputs are frozen.
    """
    chosen = trained_names(model, tune, n_last)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in chosen)
    n_adapters = add_adapters(model.layers, rank) if tune == "lora" else 0
    if tune != "frozen" and not chosen and not n_adapters:
        raise ConfigError(
            f"found no parameters that tune = {tune!r} trains in a {type(model).__name__}, expected some; take full or frozen."
        )


@contextmanager
def trainable(model: Model, tune: str | None, n_last: int = 2) -> Iterator[None]:
    """Restrict gradients inside the context to the chosen parameters, and restore flags and modes at the end.

    A parameter with requires_grad=False stays frozen. Batch norm that is not trained uses its running statistics and does not
    update them. With tune = None, nothing changes.
    """
    if tune is None:
        yield
        return
    chosen = trained_names(model, tune, n_last)
    if getattr(model, "activation_checkpointing", False) and model.training and tune in ("last", "norms"):
        raise ConfigError(
            f"tune = {tune!r} with checkpointing: the backward pass computes again, when flags of one call are gone; set "
            "requires_grad of the parameters yourself and leave tune out."
        )
    flags = {parameter: parameter.requires_grad for parameter in model.parameters()}
    modes = {module: module.training for module in model.modules() if isinstance(module, nn.BatchNorm1d)}
    try:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(parameter.requires_grad and name in chosen)
        for module in modes:
            module.train(module.training and module.weight.requires_grad)
        yield
    finally:
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)
        for module, mode in modes.items():
            module.train(mode)


def _parameters(part: nn.Module | nn.Parameter) -> list[nn.Parameter]:
    return [part] if isinstance(part, nn.Parameter) else list(part.parameters())
