"""borzoi-pytorch's layouts, read and written: config.json and the weights of its Borzoi (also Flashzoi) and its Prime.

Their config.json has no widths of stem and tower, no kernels and no numbers of tracks: they are constants of borzoi-pytorch.
Tables of tracks are not part of these folders. If the number of bins to crop is odd, borzoi-pytorch
returns one bin fewer than bins_to_return.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from genoformer.errors import CheckpointError, ConfigError
from genoformer.models.borzoi.config import PRIME, PRIME_TRACKS, TRACKS, BorzoiConfig
from genoformer.models.borzoi.model import Borzoi
from genoformer.models.formats import NameMap, WeightFormat
from genoformer.models.weights import refuse_misspelt

_FIELDS = {  # their field -> ours; the defaults are the same
    "dim": "width",
    "depth": "n_blocks",
    "heads": "n_heads",
    "attn_dim_key": "key_width",
    "attn_dim_value": "value_width",
    "dropout_rate": "dropout",
    "attn_dropout": "attention_dropout",
    "pos_dropout": "position_dropout",
    "context_length": "context_length",  # our field: theirs have no length
}
_CONSTANTS = ("stem_width", "tower_widths", "n_features", "position_range", "rotary_width", "rotary_base")
_CROPPED = 16  # bins on each side that are left out if `return_center_bins_only` is false
_BLOCKS = {
    "transformer.{}.0.fn.0": "blocks.{}.norm_attention",
    "transformer.{}.0.fn.1.to_q": "blocks.{}.attention.query",
    "transformer.{}.0.fn.1.to_k": "blocks.{}.attention.key",
    "transformer.{}.0.fn.1.to_v": "blocks.{}.attention.value",
    "transformer.{}.0.fn.1.to_rel_k": "blocks.{}.attention.position",
    "transformer.{}.0.fn.1.rel_content_bias": "blocks.{}.attention.content_bias",
    "transformer.{}.0.fn.1.rel_pos_bias": "blocks.{}.attention.position_bias",
    "transformer.{}.0.fn.1.to_out": "blocks.{}.attention.out",
    "transformer.{}.0.fn.1.mha.Wqkv": "blocks.{}.attention.qkv",
    "transformer.{}.0.fn.1.mha.out_proj": "blocks.{}.attention.out",
    "transformer.{}.1.fn.0": "blocks.{}.norm_feed",
    "transformer.{}.1.fn.1": "blocks.{}.up",
    "transformer.{}.1.fn.4": "blocks.{}.down",
}


@dataclass(frozen=True)
class _Class:
    """A class of borzoi-pytorch, with what its config.json leaves out."""

    model_type: str
    name: str
    shape: Mapping[str, Any]  # fields that differ from the defaults of BorzoiConfig
    tracks: Mapping[str, int]
    has_final: bool  # a convolution after the decoder

    @property
    def default(self) -> BorzoiConfig:
        """Configuration of the published model."""
        return BorzoiConfig(**self.shape)


_BORZOI = _Class("borzoi", "Borzoi", {}, TRACKS, has_final=True)
_PRIME = _Class("prime", "Prime", PRIME, PRIME_TRACKS, has_final=False)


def names(n_upsamples: int, *, flashed: bool, final: bool) -> NameMap:
    """Return their modules and single tensors -> ours."""
    n_stages = len(BorzoiConfig().widths)
    blocks = {
        theirs: ours
        for theirs, ours in _BLOCKS.items()
        if ("mha" in theirs) == flashed or not ours.startswith("blocks.{}.attention.")
    }
    table = {"conv_dna.conv_layer": "stem"}
    n_unet = n_upsamples - 1  # stages that their unet1, unet2 hold; the others are a tower with a pooling after each
    for i in range(n_stages):
        at = n_stages - n_unet
        theirs = f"res_tower.{2 * i}" if i < at else f"unet{i - at + 1}.1"
        table |= {f"{theirs}.norm": f"stages.{i}.norm", f"{theirs}.conv_layer": f"stages.{i}.conv"}
    table |= blocks
    for i in range(n_upsamples):
        step = f"decoder.{n_upsamples - 1 - i}"
        for theirs, ours in ((f"upsampling_unet{i}.0", "point"), (f"horizontal_conv{i}", "skip")):
            table |= {f"{theirs}.norm": f"{step}.{ours}.norm", f"{theirs}.conv_layer": f"{step}.{ours}.conv"}
        table |= {f"separable{i}.conv_layer.0": f"{step}.depthwise", f"separable{i}.conv_layer.1": f"{step}.pointwise"}
    if final:
        table |= {"final_joined_convs.0.norm": "final.norm", "final_joined_convs.0.conv_layer": "final.conv"}
    table |= {"human_head": "heads.human", "mouse_head": "heads.mouse"}
    axes: dict[str, tuple[Any, ...]] = {
        "content_bias": (None, slice(None), None),
        "position_bias": (None, slice(None), None),
        "heads.human.weight": (..., None),
        "heads.mouse.weight": (..., None),
    }
    return NameMap(rename=table, axes=axes)


def _is_flashed(config: Mapping[str, Any]) -> bool:
    return bool(config.get("flashed", False))


def _to_config(kind: _Class, config: Mapping[str, Any], folder: Path) -> BorzoiConfig:
    """Convert a config.json to our configuration; raise CheckpointError if it is not valid."""
    path = folder / "config.json"
    refuse_misspelt(config, path, "context_length")
    default = kind.default
    tracks = dict(default.heads)
    enabled = {"human": config.get("enable_human_head", True), "mouse": config.get("enable_mouse_head", False)}
    heads = {name: n for name, n in tracks.items() if enabled[name]}
    n_all = default.context_length // default.bin_size
    is_cropped = config.get("return_center_bins_only", True)
    bins = config.get("bins_to_return", default.target_bins) if is_cropped else n_all - 2 * _CROPPED
    if type(bins) is not int or (bins < 1 and bins != -1):
        raise CheckpointError(f"{path}: bins_to_return = {bins!r}; give a number of bins, or -1 for all.")
    if not heads:
        raise CheckpointError(f"{path} has neither enable_human_head nor enable_mouse_head; give one of them.")
    fields = {ours: config[theirs] for theirs, ours in _FIELDS.items() if theirs in config}
    if _is_flashed(config):
        n_heads = fields.get("n_heads", default.n_heads)
        fields |= {"attention": "rotary", "n_kv_heads": max(1, n_heads // 2) if type(n_heads) is int else n_heads}
    changed = {**kind.shape, **fields, "heads": heads, "target_bins": max(bins, 0), "squashed_scale": kind.model_type}
    try:
        return BorzoiConfig.from_dict(changed)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _from_config(kind: _Class, name: str, model: Any) -> dict[str, Any]:
    """Return the config.json of a model; raise ConfigError if the layout cannot hold it."""
    layout, instead = f"layout {name}", "save in genoformer's layout instead"
    if not isinstance(model, Borzoi):
        raise ConfigError(f"the {layout} of borzoi-pytorch holds its class {kind.name} and no other models; {instead}.")
    shape = model.config
    for field in ("n_upsamples", "final_width", *_CONSTANTS):
        if getattr(shape, field) != (expected := getattr(kind.default, field)):
            raise ConfigError(
                f"the {layout} of borzoi-pytorch holds {field} = {expected}, found {getattr(shape, field)}; {instead}."
            )
    if unlike := [f"{head} of {n:,}" for head, n in shape.heads.items() if kind.tracks.get(head) != n]:
        allowed = ", ".join(f"{head} of {n:,}" for head, n in kind.tracks.items())
        raise ConfigError(f"borzoi-pytorch's {layout} holds the heads {allowed} tracks, found {unlike[0]}; {instead}.")
    flashed = shape.attention == "rotary"
    if flashed and shape.n_kv_heads * 2 != shape.n_heads:
        raise ConfigError(f"borzoi-pytorch has half as many heads of keys as of queries, found {shape.n_kv_heads}; {instead}.")
    return {
        "architectures": [kind.name],
        "model_type": kind.model_type,
        **{theirs: getattr(shape, ours) for theirs, ours in _FIELDS.items()},
        "enable_human_head": "human" in shape.heads,
        "enable_mouse_head": "mouse" in shape.heads,
        "return_center_bins_only": True,
        "bins_to_return": shape.target_bins or -1,
        **({"flashed": True} if flashed else {}),
    }


def _layout(name: str, kind: _Class, *, flashed: bool) -> WeightFormat:
    def detect(config: dict[str, Any]) -> bool:
        return config.get("model_type") == kind.model_type and _is_flashed(config) == flashed

    def to_config(config: dict[str, Any], folder: Path, tensors: Mapping[str, Tensor]) -> BorzoiConfig:
        return _to_config(kind, config, folder)

    def from_config(model: Any) -> dict[str, Any]:
        config = _from_config(kind, name, model)
        if _is_flashed(config) != flashed:
            found, other = ("rotary", "relative") if flashed else ("relative", "rotary")
            raise ConfigError(f"this layout holds {found} positions, and this model has {other} ones; name the other layout.")
        return config

    return WeightFormat(detect, to_config, from_config, names(kind.default.n_upsamples, flashed=flashed, final=kind.has_final))


BORZOI = _layout("borzoi", _BORZOI, flashed=False)
FLASHZOI = _layout("flashzoi", _BORZOI, flashed=True)
BORZOI_PRIME = _layout("borzoi-prime", _PRIME, flashed=False)
