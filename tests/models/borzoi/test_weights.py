"""Folders in the layouts of borzoi-pytorch, written in the test name by name, read and written again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from borzoi_models import small_borzoi
from safetensors.torch import load_file, save_file

from genoformer.errors import CheckpointError, ConfigError
from genoformer.models import registry
from genoformer.models.borzoi.model import Borzoi

PUBLISHED: dict[str, Any] = {  # the config.json of johahi/borzoi-replicate-*, with other sizes
    "architectures": ["Borzoi"],
    "attn_dim_key": 4,
    "attn_dim_value": 6,
    "attn_dropout": 0.05,
    "bins_to_return": 6144,
    "depth": 1,
    "dim": 16,
    "dropout_rate": 0.2,
    "enable_mouse_head": False,
    "heads": 2,
    "model_type": "borzoi",
    "pos_dropout": 0.01,
    "return_center_bins_only": True,
    "torch_dtype": "float32",
    "transformers_version": "4.34.1",
}
TOWER = [512, 608, 736, 896, 1056, 1280]


def published_tensors(config: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors of a Borzoi, Flashzoi or Prime under the names of borzoi-pytorch, with random values."""
    dim, heads, is_prime = config["dim"], config["heads"], config["model_type"] == "prime"
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, n_in: int, n_out: int, kernel: int) -> None:
        shapes.update({f"{name}.weight": (n_out, n_in, kernel), f"{name}.bias": (n_out,)})

    def block(name: str, n_in: int, n_out: int, kernel: int) -> None:
        shapes.update({f"{name}.norm.{part}": (n_in,) for part in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{name}.norm.num_batches_tracked"] = ()
        conv(f"{name}.conv_layer", n_in, n_out, kernel)

    conv("conv_dna.conv_layer", 4, 512, 15)
    widths = [*TOWER, dim]
    stages = ["res_tower.0", "res_tower.2", "res_tower.4", "res_tower.6"]
    stages += ["unet1.1", "unet2.1"] if is_prime else ["res_tower.8", "unet1.1"]
    for name, n_in, n_out in zip(stages, widths, widths[1:], strict=False):
        block(name, n_in, n_out, 5)
    for i in range(config["depth"]):
        at = f"transformer.{i}"
        for norm in (f"{at}.0.fn.0", f"{at}.1.fn.0"):
            shapes |= {f"{norm}.weight": (dim,), f"{norm}.bias": (dim,)}
        if config.get("flashed"):
            n = (heads + 2 * (heads // 2)) * (dim // heads)
            shapes |= {f"{at}.0.fn.1.mha.Wqkv.weight": (n, dim), f"{at}.0.fn.1.mha.Wqkv.bias": (n,)}
            shapes |= {f"{at}.0.fn.1.mha.out_proj.weight": (dim, dim), f"{at}.0.fn.1.mha.out_proj.bias": (dim,)}
        else:
            keys, values = heads * config["attn_dim_key"], heads * config["attn_dim_value"]
            shapes |= {f"{at}.0.fn.1.to_{x}.weight": (n, dim) for x, n in (("q", keys), ("k", keys), ("v", values))}
            shapes |= {f"{at}.0.fn.1.to_rel_k.weight": (keys, 32)}
            shapes |= {f"{at}.0.fn.1.rel_{x}_bias": (1, heads, 1, config["attn_dim_key"]) for x in ("content", "pos")}
            shapes |= {f"{at}.0.fn.1.to_out.weight": (dim, values), f"{at}.0.fn.1.to_out.bias": (dim,)}
        shapes |= {f"{at}.1.fn.1.weight": (2 * dim, dim), f"{at}.1.fn.1.bias": (2 * dim,)}
        shapes |= {f"{at}.1.fn.4.weight": (dim, 2 * dim), f"{at}.1.fn.4.bias": (dim,)}
    skips = [1056, 1280, dim] if is_prime else [1280, dim]
    for i, n in enumerate(skips):
        block(f"horizontal_conv{i}", n, dim, 1)
        block(f"upsampling_unet{i}.0", dim, dim, 1)
        shapes[f"separable{i}.conv_layer.0.weight"] = (dim, 1, 3)
        conv(f"separable{i}.conv_layer.1", dim, dim, 1)
    last = dim
    if not is_prime:
        block("final_joined_convs.0", dim, 1920, 1)
        last = 1920
    tracks = {"human": 5431, "mouse": 1774} if is_prime else {"human": 7611, "mouse": 2608}
    for head, default in (("human", True), ("mouse", False)):
        if config.get(f"enable_{head}_head", default):
            conv(f"{head}_head", last, tracks[head], 1)
    generator = torch.Generator().manual_seed(2)
    return {
        name: torch.zeros((), dtype=torch.int64) if name.endswith("tracked") else torch.rand(shape, generator=generator)
        for name, shape in shapes.items()
    }


def write_folder(folder: Path, config: dict[str, Any]) -> dict[str, torch.Tensor]:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    tensors = published_tensors(config)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return tensors


FLASHZOI = {**PUBLISHED, "flashed": True, "enable_mouse_head": True, "dim": 256}
MOUSE = {**PUBLISHED, "enable_human_head": False, "enable_mouse_head": True}
PRIME = {**PUBLISHED, "architectures": ["Prime"], "model_type": "prime", "bins_to_return": 12_288}
LAYOUTS = {"borzoi": PUBLISHED, "mouse": MOUSE, "flashzoi": FLASHZOI, "borzoi-prime": PRIME}


@pytest.mark.parametrize("name", LAYOUTS)
def test_published_folders_are_read_and_written_again(name, tmp_path) -> None:
    config = {key: value for key, value in LAYOUTS[name].items() if name != "flashzoi" or key != "bins_to_return"}
    tensors = write_folder(tmp_path / "hub", config)
    model = registry.load(tmp_path / "hub")
    assert isinstance(model, Borzoi)
    shape = model.config
    assert (shape.context_length, shape.n_blocks, shape.width) == (524_288, 1, config["dim"])
    assert (shape.bin_size, shape.target_bins) == ((16, 12_288) if name == "borzoi-prime" else (32, 6144))
    assert shape.squashed_scale == ("prime" if name == "borzoi-prime" else "borzoi")
    assert (shape.attention == "rotary") == (name == "flashzoi")
    expected = {"mouse": ["mouse"], "flashzoi": ["human", "mouse"]}.get(name, ["human"])
    assert list(registry.read_heads(tmp_path / "hub")) == list(model.track_heads) == expected
    layout = "borzoi" if name == "mouse" else name
    assert registry.layout_of(tmp_path / "hub") == layout
    registry.save(model, tmp_path / "again", layout=layout)
    again = load_file(tmp_path / "again" / "model.safetensors")
    assert sorted(again) == sorted(tensors)
    assert all(again[key].shape == tensors[key].shape and torch.equal(again[key], tensors[key]) for key in tensors)
    written = json.loads((tmp_path / "again" / "config.json").read_text())
    kept = {key: value for key, value in config.items() if key not in ("torch_dtype", "transformers_version")}
    assert {key: written[key] for key in kept} == kept
    assert registry.load(tmp_path / "again").config == shape


def test_bins_to_return(tmp_path) -> None:
    def bins(**fields: Any) -> int:
        config = {key: value for key, value in {**PUBLISHED, **fields}.items() if value is not None}
        (tmp_path / "config.json").write_text(json.dumps(config))
        return registry.load_config(tmp_path).target_bins

    assert bins(bins_to_return=None) == 6144
    assert bins(bins_to_return=-1) == 0
    assert bins(return_center_bins_only=False) == 16_384 - 32
    assert bins(bins_to_return=None, model_type="prime") == 12_288
    assert bins(return_center_bins_only=False, model_type="prime") == 32_768 - 32
    assert bins(bins_to_return=16, context_length=4096) == 16  # the window of a fine-tuned model
    for wrong, message in (
        ({"bins_to_return": 0}, "bins_to_return = 0; give a number of bins, or -1 for all"),
        ({"bins_to_return": 16_385}, "a window of 524,288 bases has 16384 bins of 32"),
        ({"enable_human_head": False}, "neither enable_human_head nor enable_mouse_head"),
        ({"flashed": True, "heads": 3}, "n_heads = 3: give a divisor of width = 16"),
    ):
        with pytest.raises(CheckpointError, match=message):
            bins(**wrong)


def test_tensors_of_another_layout_are_refused(tmp_path) -> None:
    tensors = write_folder(tmp_path / "hub", PUBLISHED)
    enformer = {name.replace("res_tower", "conv_tower"): tensor for name, tensor in tensors.items()}
    save_file(enformer, tmp_path / "hub" / "model.safetensors")
    with pytest.raises(CheckpointError, match="70 tensors are missing, foreign") as error:
        registry.load(tmp_path / "hub")
    assert str(error.value).count("\n") == 0
    (tmp_path / "hub" / "config.json").write_text(json.dumps({**PUBLISHED, "flashed": True, "dim": 256}))
    save_file(tensors, tmp_path / "hub" / "model.safetensors")
    with pytest.raises(CheckpointError, match="tensors are missing or of another shape"):
        registry.load(tmp_path / "hub")


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("borzoi", "holds final_width = 1920, found 20; save in genoformer's layout instead"),
        ("borzoi-prime", "holds n_upsamples = 3, found 2"),
    ],
)
def test_models_that_the_layout_cannot_hold_are_refused(layout, message, tmp_path) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.save(small_borzoi(), tmp_path / "m", layout=layout)
    assert not (tmp_path / "m").exists()


def test_other_heads_and_positions_are_refused(tmp_path) -> None:
    write_folder(tmp_path / "hub", PUBLISHED)
    model = registry.load(tmp_path / "hub")
    with pytest.raises(ConfigError, match="this layout holds rotary positions, and this model has relative ones"):
        registry.save(model, tmp_path / "m", layout="flashzoi")
    with torch.device("meta"):
        other = Borzoi(type(model.config)(**{**vars(model.config), "heads": {"cage": 3}}))
    with pytest.raises(ConfigError, match="holds the heads human of 7,611, mouse of 2,608 tracks, found cage of 3"):
        registry.save(other, tmp_path / "m", layout="borzoi")


def test_the_layout_that_cannot_hold_a_model_is_named(tmp_path) -> None:
    for kind, layout in (("borzoi", "borzoi"), ("flashzoi", "flashzoi"), ("prime", "borzoi-prime")):
        with pytest.raises(
            ConfigError, match=f"the layout {layout} of borzoi-pytorch holds|borzoi-pytorch's layout {layout} holds"
        ):
            registry.save(small_borzoi(kind), tmp_path / layout, layout=layout)
