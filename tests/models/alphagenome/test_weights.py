"""AlphaGenome on disk: our folder, and alphagenome-pt's made here by hand, both ways; folders that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from alphagenome_models import small_alphagenome
from safetensors.torch import load_file, save_file
from small_models import random_onehot, small_enformer

from genoformer.errors import CheckpointError, ConfigError
from genoformer.models import registry
from genoformer.models.alphagenome.config import AlphaGenomeConfig
from genoformer.models.alphagenome.model import AlphaGenome
from genoformer.models.alphagenome.weights import NAMES, to_config

LAYOUTS = ["genoformer", "alphagenome-pt", "alphagenome-pytorch"]


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_model_comes_back_bit_by_bit(tmp_path: Path, layout: str) -> None:
    model = small_alphagenome()
    registry.save(model, tmp_path, layout=layout)
    again = registry.load(tmp_path)
    assert registry.layout_of(tmp_path) == layout
    assert again.config == model.config
    assert same(model, again)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as alphagenome-pt writes it."""
    registry.save(small_alphagenome(), tmp_path / "pt", layout="alphagenome-pt")
    return tmp_path / "pt"


def test_names_axes_and_masks_of_alphagenome_pt_by_hand(folder: Path) -> None:
    """Some of each kind, read in its `AlphaGenome` and `Metadata`; without the package."""
    model, tensors = small_alphagenome(), load_file(folder / "model.safetensors")
    own, up = model.state_dict(), "sequence_decoder.upres_blocks.bin_size"
    for theirs, ours in {
        "sequence_encoder.downres_blocks.bin_size_1.conv1_d.weight": own["stages.0.conv.weight"],
        "sequence_encoder.downres_blocks.bin_size_32.conv_block2.norm.var_EMA": own["stages.5.second.norm.running_var"],
        "sequence_encoder.downres_blocks.bin_size_2.conv_block1.conv.scale": own["stages.1.first.conv.scale"],
        f"{up}_64.residual_scale": own["decoder.0.residual_scale"],
        "sequence_decoder.upres_blocks.bin_size_1.pointwise_conv_unet_skip.conv.weight": own["decoder.6.skip.conv.weight"][
            ..., 0
        ],
        "transformer_tower.blocks.2.pair_update.sequence_to_pair_block.k_r_bias": own["blocks.2.pairs.projection.key_bias"][
            None, None
        ],
        "transformer_tower.blocks.1.mha.norm_v.scale": own["blocks.1.attention.norm_value.weight"],
        "_heads.atac.multiorg_linear.128.weight": own["outputs.atac.linears.128.weight"].mT,
        "_heads.contact_maps.multiorg_linear.weight": own["outputs.contact_maps.linear.weight"].mT,
        "_heads.rna_seq.residual_scales.1": own["outputs.rna_seq.scales.1"],
        "_heads.splice_sites_junction.neg_donor_logits_embeddings": own["outputs.splice_sites_junction.tissues.neg_donor"],
    }.items():
        assert torch.equal(tensors[theirs], ours), theirs
    assert not [name for name in tensors if "mean" in name or "rows" in name or "mask" in name]
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["organisms"] == ["human", "mouse"]
    assert metadata["heads"]["atac"]["num_tracks"] == [6, 6]
    assert metadata["heads"]["atac"]["track_mask"][1] == [True] * 3 + [False] * 3
    assert metadata["heads"]["splice_sites_usage"]["track_mask"][1] == [True, True, False, False] * 2
    assert metadata["heads"]["splice_sites_junction"]["tissue_mask"][1] == [True, True, False, False]
    assert torch.equal(torch.tensor(metadata["heads"]["cage"]["means"]), own["outputs.cage.means"])


def test_every_tensor_has_one_name_in_both_layouts() -> None:
    from genoformer.models.alphagenome import weights_pytorch

    model = small_alphagenome()
    kept = [name for name in model.state_dict() if ".rows_" not in name]
    assert len(weights_pytorch.NAMES.write(model.state_dict())) == len(kept)
    assert len(NAMES.write(model.state_dict())) == len([name for name in kept if not name.endswith(".means")])


def change(path: Path, edit: Any) -> None:
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def test_a_mask_chooses_other_rows(folder: Path) -> None:
    before, onehot = registry.load(folder), random_onehot(1, 2048, 1)
    change(folder / "metadata.json", lambda v: v["heads"]["atac"].update(track_mask=[[0, 1, 1, 0, 0, 1], [0, 0, 0, 1, 0, 0]]))
    after = registry.load(folder)
    assert after.config.tracks["human"]["atac"] == 3
    with torch.no_grad():
        torch.testing.assert_close(after(onehot, "human_atac_128bp")[:, :2], before(onehot, "human_atac_128bp")[:, 1:3])
    registry.save(after, folder.parent / "again", layout="alphagenome-pt")
    assert same(registry.load(folder.parent / "again"), after)
    with pytest.raises(ConfigError, match="stores no masks, and the tracks of human atac are not the first rows"):
        registry.save(after, folder.parent / "other", layout="alphagenome-pytorch")


def test_without_masks_and_means_the_first_rows_are_tracks_of_mean_1(folder: Path) -> None:
    change(folder / "metadata.json", lambda v: v["heads"].update(atac={"num_tracks": [6, 2]}))
    model = registry.load(folder)
    assert (model.config.tracks["human"]["atac"], model.config.tracks["mouse"]["atac"]) == (6, 2)
    assert model.outputs["atac"].means.eq(1).all()


@pytest.mark.parametrize(
    ("file", "edit", "words"),
    [
        ("config.json", lambda v: v.update(num_kv_heads=2), "num_kv_heads = 2 is not read; take a model with 1"),
        ("config.json", lambda v: v.pop("num_channels"), "config.json"),
        ("config.json", lambda v: v.pop("pair_heads"), "has no pair_heads"),
        ("config.json", lambda v: v.update(pair_heads="a"), "n_pair_heads"),
        ("config.json", lambda v: v.update(transformer_layers=4), "missing, foreign or of another shape"),
        ("metadata.json", lambda v: v.pop("heads"), "is not a table of outputs"),
        ("metadata.json", lambda v: v["heads"].update(masked_language_modeling={"num_tracks": [1, 1]}), "give some of atac"),
        ("metadata.json", lambda v: v["heads"]["atac"].update(track_mask=[[1]]), "tracks of other organisms or rows"),
        ("metadata.json", lambda v: v["heads"]["atac"].update(means="x"), "means of atac are not a table"),
        ("metadata.json", lambda v: v["heads"]["atac"].update(means=[[1.0], [2.0]]), "outputs.atac.means"),
        ("metadata.json", lambda v: v["organisms"].append("fly"), "tracks of other organisms or rows"),
    ],
)
def test_files_that_do_not_fit_are_refused(folder: Path, file: str, edit: Any, words: str) -> None:
    change(folder / file, edit)
    with pytest.raises(CheckpointError, match=words):
        registry.load(folder)


def test_tensors_that_do_not_fit_are_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("org_embedder.weight")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"organism\.weight \(missing\)"):
        registry.load(folder)
    (folder / "metadata.json").unlink()
    with pytest.raises(CheckpointError, match=r"metadata\.json is missing"):
        registry.load(folder)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_other_models_are_refused(tmp_path: Path, layout: str) -> None:
    with pytest.raises(ConfigError, match=f"{layout}'s layout holds AlphaGenome and no other models"):
        registry.save(small_enformer(), tmp_path, layout=layout)


def test_the_published_shape_needs_no_fields_in_the_other_layout(tmp_path: Path) -> None:
    from genoformer.models.alphagenome import weights_pytorch

    assert weights_pytorch.to_config({"model_type": "alphagenome-pytorch"}, tmp_path, {}) == AlphaGenomeConfig()
    with torch.device("meta"):
        whole = AlphaGenome(AlphaGenomeConfig(context_length=131_072))
    assert weights_pytorch.detect({"model_type": "alphagenome-pytorch"})
    with pytest.raises(CheckpointError, match="unknown fields dim"):
        weights_pytorch.to_config({"model_type": "alphagenome-pytorch", "dim": 3}, tmp_path, {})
    assert whole.config.context_length == 131_072


def test_the_default_window_is_the_longest(folder: Path) -> None:
    assert registry.load(folder).config.context_length == 4096
    config = json.loads((folder / "config.json").read_text())
    config["context_lenght"] = config.pop("context_length")
    with pytest.raises(CheckpointError, match="found 'context_lenght', which is not read, expected context_length; correct"):
        to_config(config, folder, {})
    config.pop("context_lenght")
    assert to_config(config, folder, {}).context_length == 65_536
