"""Costs of a long-range model, computed from its configuration alone: parameters, multiply-adds, memory.

The formulas, with L bases in a window, T = L / bin bins of which N are predicted, C channels, H heads of K keys, V = C / H:

    stage i of L_i = L / 2^i positions, from a to b channels: convolution a b k L_i, pointwise b^2 L_i, pooling b^2 L_i / 2
    block: query and key 2 T C H K, values T C^2, positions (2 T - 1) V H K, logits T^2 H K and T (2 T - 1) H K,
           weighting T^2 C, out T C^2, feed-forward 4 T C^2
    final: N a 2 C; head: N 2 C n_tracks

A backward pass costs each product once more for the gradient of its weights and once more for the gradient of its input;
attention, which has no weights, costs twice its products. With checkpointing the blocks are computed once more. The memory
does not include internal buffers of libraries or the fragments between tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from genoformer.models.enformer.model import EnformerConfig

PARTS = ("stages", "blocks", "final", "heads")


class Training(NamedTuple):
    """Trainable parameters and settings of a training: tune is a `trunk_parameters` word or "lora"."""

    tune: str = "full"
    last_blocks: int = 2
    lora_rank: int = 8
    checkpointing: bool = False


# --- parameters


def parameters(config: EnformerConfig) -> dict[str, int]:
    """Return the exact number of parameters of each of PARTS."""
    c, keys, n = config.width, config.n_heads * config.key_width, 0
    for i, (a, b) in enumerate(_pairs(config)):
        kernel = config.tower_kernel if i else config.stem_kernel
        n += (2 * a if i else 0) + a * b * kernel + b  # batch norm, convolution
        n += 2 * b + b * b + b + b * b  # batch norm, pointwise, pooling
    attention = 2 * c * keys + c * c + config.value_width * keys + 2 * keys + c * c + c
    block = 4 * c + attention + (2 * c * c + 2 * c) + (2 * c * c + c)
    last = config.channels[-1]
    heads = sum(2 * c * k + k for k in config.heads.values())
    return dict(zip(PARTS, (n, config.n_blocks * block, 2 * last + last * 2 * c + 2 * c, heads), strict=True))


def trained_parameters(config: EnformerConfig, how: Training) -> int:
    """Return the number of parameters that get a gradient; adapters count in addition to the model's own parameters."""
    of, n = parameters(config), config.n_blocks
    each, c, keys = of["blocks"] // max(n, 1), config.width, config.n_heads * config.key_width
    sides = 2 * (c + keys) + 2 * c + (config.value_width + keys) + 2 * c + 2 * (3 * c)  # of a block's linear layers
    beside = {
        "full": of["stages"] + of["blocks"] + of["final"],
        "last": min(how.last_blocks, n) * each + of["final"],
        "norms": n * 4 * c,
        "frozen": 0,
        "lora": n * how.lora_rank * sides,
    }
    return beside[how.tune] + of["heads"]


# --- multiply-adds


def forward_products(config: EnformerConfig, length: int, n_bins: int, n_tracks: int) -> dict[str, int]:
    """Return the multiply-adds of a forward pass of one window, for each of PARTS."""
    stages, weighted, attention = _products(config, length)
    n_blocks, c = config.n_blocks, config.width
    return {
        "stages": stages,
        "blocks": n_blocks * (weighted + attention),
        "final": n_bins * config.channels[-1] * 2 * c,
        "heads": n_bins * 2 * c * n_tracks,
    }


def step_products(config: EnformerConfig, length: int, n_bins: int, n_tracks: int, how: Training) -> int:
    """Return the multiply-adds of a forward and a backward pass of one window.

    The number is exact for "full"; for the other modes small parts are left out.
    """
    forward = forward_products(config, length, n_bins, n_tracks)
    _, weighted, attention = _products(config, length)
    bins, n = length // config.bin_size, config.n_blocks
    positions = (2 * bins - 1) * config.value_width * config.n_heads * config.key_width  # their input has no gradient
    through = 2 * weighted - positions + 2 * attention  # backward through a block
    if how.tune == "full":
        stem = config.stem_kernel * 4 * config.channels[0] * length  # nor does the sequence
        back = 2 * forward["stages"] - stem + n * through + 2 * forward["final"] + 2 * forward["heads"]
        again = n
    elif how.tune == "last":
        again = min(how.last_blocks, n)
        back = again * through + 2 * forward["final"] + 2 * forward["heads"]
    elif how.tune == "frozen":
        again, back = 0, forward["heads"]
    else:
        again = n
        back = n * (weighted - positions + 2 * attention) + forward["final"] + 2 * forward["heads"]
    return sum(forward.values()) + back + (again * (weighted + attention) if how.checkpointing else 0)


def _products(config: EnformerConfig, length: int) -> tuple[int, int, int]:
    """Return the multiply-adds of all stages; of a block's layers with weights; of a block's attention, which has none."""
    t, c, keys = length // config.bin_size, config.width, config.n_heads * config.key_width
    stages = 0
    for i, (a, b) in enumerate(_pairs(config)):
        stages += (a * b * (config.tower_kernel if i else config.stem_kernel) + b * b) * (length >> i)
        stages += b * b * (length >> (i + 1))  # pooling, once for two positions
    weighted = 2 * t * c * keys + 2 * t * c * c + (2 * t - 1) * config.value_width * keys + 4 * t * c * c
    return stages, weighted, t * t * keys + t * (2 * t - 1) * keys + t * t * c


def _pairs(config: EnformerConfig) -> list[tuple[int, int]]:
    """Return the numbers of input and output channels of each stage."""
    return list(zip([4, *config.channels], config.channels, strict=False))


# --- memory


def step_memory(
    config: EnformerConfig,
    length: int,
    n_bins: int,
    n_tracks: int,
    batch: int,
    how: Training,
    *,
    on_cpu: bool,
    itemsize: int = 4,
) -> dict[str, int]:
    """Return the bytes of a training step by kind.

    Kinds: weights, gradients, the two moments of Adam, activations kept for the backward pass, workspace.

    itemsize: bytes of an activation, 4 or (bf16) 2; weights, gradients and moments have 4. Kept are, if they have a gradient:
    input and output of batch norm, the sigmoid of gelu, the inputs of every convolution and product, the output of softmax, and
    the mask of dropout (a number on a CPU, a byte on a GPU). Workspace: gradients of the largest stage, or of the logits.
    """
    own, trained = sum(parameters(config).values()), trained_parameters(config, how)
    added = trained - parameters(config)["heads"] if how.tune == "lora" else 0
    t, c = length // config.bin_size, config.width
    stages = [(4 * a * (i > 0) + 4 * (i == 0) + 6 * b) * (length >> i) for i, (a, b) in enumerate(_pairs(config))]
    mask = 1.0 if on_cpu else 1 / itemsize
    dropped = config.attention_dropout > 0
    linear = how.tune != "norms"  # True if inputs of linear layers are kept for the gradients of their weights
    keys, logits = config.n_heads * config.key_width, config.n_heads * t * t
    block = logits * (1 + dropped * (1 + mask))  # the softmax; with dropout also its output and the mask
    block += t * (5 * c + linear * 3 * c + 3 * keys + (config.dropout > 0) * (linear * 2 * c + mask * 4 * c))
    block += (2 * t - 1) * (linear * config.value_width + keys)
    n = config.n_blocks
    reached = {"full": n, "last": min(how.last_blocks, n), "frozen": 0}.get(how.tune, n)
    blocks = n * t * c + (reached > 0) * block if how.checkpointing else reached * block
    last = 0 if how.tune == "frozen" else n_bins * (4 * config.channels[-1] + 2 * 2 * c)
    heads = n_bins * (2 * c + 3 * n_tracks)
    kept = (sum(stages) if how.tune == "full" else 0) + blocks + last + heads
    largest = max(b * (length >> i) for i, (_, b) in enumerate(_pairs(config)))
    workspace = max(3 * largest, (2 * logits + config.n_heads * t * (2 * t - 1)) * (reached > 0))
    return {
        "weights": 4 * (own + added) + (2 * own if itemsize == 2 else 0),
        "gradients": 4 * trained,
        "optimizer": 8 * trained,
        "activations": int(itemsize * batch * kept),
        "workspace": itemsize * batch * workspace,
    }


def prediction_memory(
    config: EnformerConfig, length: int, n_bins: int, n_tracks: int, batch: int, *, itemsize: int = 4, on_cpu: bool
) -> dict[str, int]:
    """Return the bytes of a prediction by kind.

    Kinds: weights (on a CPU the weights of the trunk twice), workspace of the largest part, and the tracks.

    On a CPU the trunk holds input and output of a stage for one window, and attention the logits of one head; on a GPU a whole
    stage of a batch (five tensors), and all heads.
    """
    of, pairs = parameters(config), _pairs(config)
    t, c = length // config.bin_size, config.width
    inside = t * (6 * c + 4 * config.n_heads * config.key_width)
    if on_cpu:
        stage = max(a * (length >> i) + b * (length >> (i + 1)) for i, (a, b) in enumerate(pairs))
        attention = batch * inside + 2 * t * t + t * (2 * t - 1)
    else:
        stage = batch * max(5 * b * (length >> i) for i, (_, b) in enumerate(pairs))
        attention = batch * (inside + config.n_heads * (3 * t * t + t * (2 * t - 1)))
    output = batch * n_bins * (4 * c + 2 * n_tracks) * itemsize + 4 * batch * n_bins * n_tracks
    return {
        "weights": itemsize * (sum(of.values()) + (of["stages"] if on_cpu else 0)),
        "workspace": itemsize * max(stage, attention),
        "tracks": output,
    }


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
