"""Names of foreign tensors both ways: templates, fused and tied tensors, copies, shapes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genoformer.errors import CheckpointError
from genoformer.models.formats import NameMap

PATH = Path("weights")
NAMES = NameMap(
    rename={
        "embed": "tokens",
        "blocks.{}.mlp.out": "layers.{}.down",
        "tower.{}.conv": "stages.{+1}.conv",
        "first.conv": "stages.0.conv",
        "heads.NAME.0": "heads.NAME",
        "blocks.{}.scale": "layers.{}.scale",
        "decoder.weight": "decoder.weight",
    },
    fuse={"layers.{}.qkv": ("blocks.{}.q", "blocks.{}.k")},
    tied={"decoder.weight": "embed.weight"},
    copies={"tower": "copy.2"},
    suffixes={".gamma": ".weight"},
    axes={"scale": (None, slice(None))},
)
THEIRS = {
    "embed.weight": torch.arange(6.0).reshape(3, 2),
    "blocks.0.mlp.out.bias": torch.tensor([1.0]),
    "blocks.11.mlp.out.gamma": torch.tensor([2.0]),
    "blocks.0.q.weight": torch.tensor([[1.0], [2.0]]),
    "blocks.0.k.weight": torch.tensor([[3.0], [4.0]]),
    "tower.0.conv.weight": torch.tensor([5.0]),
    "copy.2.0.conv.weight": torch.tensor([5.0]),
    "first.conv.weight": torch.tensor([6.0]),
    "heads.mouse.0.weight": torch.tensor([7.0]),
    "blocks.0.scale": torch.tensor([[8.0, 9.0]]),
}


def test_names_are_read_by_the_templates() -> None:
    ours = NAMES.read(dict(THEIRS), PATH)
    assert {name: tensor.flatten().tolist() for name, tensor in ours.items()} == {
        "tokens.weight": [0, 1, 2, 3, 4, 5],
        "decoder.weight": [0, 1, 2, 3, 4, 5],  # tied
        "layers.0.down.bias": [1],
        "layers.11.down.weight": [2],
        "layers.0.qkv.weight": [1, 2, 3, 4],
        "stages.1.conv.weight": [5],
        "stages.0.conv.weight": [6],
        "heads.mouse.weight": [7],
        "layers.0.scale": [8, 9],
    }


def test_what_is_written_is_what_was_read() -> None:
    ours = NAMES.read(dict(THEIRS), PATH) | {"layers.0.scale": torch.tensor([8.0, 9.0])}
    again = NAMES.write(ours)
    expected = {name.replace("gamma", "weight"): tensor for name, tensor in THEIRS.items() if not name.startswith("copy.")}
    assert again.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(again[name], tensor), name
    assert "copy.2.0.conv.weight" in NAMES.write(ours, frozenset(["stages.1.conv.weight"]))  # a buffer has both names


def test_copies_that_differ_are_refused_and_untied_tensors_are_read() -> None:
    with pytest.raises(CheckpointError, match=r"tower\.0\.conv\.weight and copy\.2\.0\.conv\.weight .* differ"):
        NAMES.read(THEIRS | {"copy.2.0.conv.weight": torch.tensor([1.0])}, PATH)
    untied = NAMES.read(THEIRS | {"decoder.weight": torch.zeros(3, 2)}, PATH)
    assert untied["decoder.weight"].tolist() == [[0, 0]] * 3
    written = NAMES.write(untied)
    assert written["decoder.weight"].tolist() == [[0, 0]] * 3
    tied = NAMES.read(dict(THEIRS), PATH)
    assert "decoder.weight" not in NAMES.write(tied)  # the same tensor in memory


def test_other_tensors_are_kept_under_their_name_or_left_out() -> None:
    other = THEIRS | {"position_ids": torch.zeros(1)}
    assert "position_ids" in NAMES.read(other, PATH)  # and refused where the model is filled
    assert "position_ids" not in NAMES._replace(ignore_others=True).read(other, PATH)


def test_half_of_a_fused_tensor_is_missing() -> None:
    half = {name: tensor for name, tensor in THEIRS.items() if name != "blocks.0.k.weight"}
    assert "layers.0.qkv.weight" not in NAMES.read(half, PATH)
