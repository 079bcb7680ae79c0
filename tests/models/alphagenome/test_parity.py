"""AlphaGenome against two PyTorch ports: alphagenome-pt at tiny sizes, and when asked alphagenome-pytorch at full size.

Both are compared through their folder. alphagenome-pytorch has the exact GELU in its transformer, DeepMind's model has the
approximation with tanh (the default of jax.nn.gelu): for the comparison its function is put right here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from alphagenome_models import ROWS, settled
from amounts import FULL
from small_models import random_onehot
from torch import Tensor

from genoformer.models import registry
from genoformer.models.alphagenome.model import AlphaGenome
from genoformer.models.base import PredictsTracks

full_size = pytest.mark.skipif(not FULL, reason="needs 8 GB and some minutes: set GENOFORMER_FULL=1")
MASKS = {  # name -> (human, mouse); other outputs have tracks in all rows
    "atac": ([1, 1, 1, 1, 1, 0], [1, 0, 1, 1, 0, 0]),
    "splice_sites_classification": ([1, 1, 1, 1, 0], [1, 1, 1, 1, 0]),
    "splice_sites_usage": ([1] * 8, [1, 1, 0, 0, 1, 1, 0, 0]),
    "splice_sites_junction": ([1] * 4, [1, 1, 0, 0]),
    "contact_maps": ([1] * 3, [1, 0, 1]),
}
ORGANISMS = ["human", "mouse"]


def metadata() -> dict[str, Any]:
    """Tracks of all outputs as alphagenome-pt describes them."""
    generator = torch.Generator().manual_seed(1)
    heads: dict[str, Any] = {}
    for name, n in ROWS.items():
        counts, mask = ("num_tissues", "tissue_mask") if "junction" in name else ("num_tracks", "track_mask")
        heads[name] = {counts: [n, n], mask: [list(row) for row in MASKS.get(name, ([1] * n, [1] * n))]}
        if "splice" not in name and "contact" not in name:
            heads[name]["means"] = (torch.rand(2, n, generator=generator) + 0.2).tolist()
    return {"organisms": ORGANISMS, "heads": heads}


@pytest.fixture(scope="module")
def theirs() -> Any:
    """A tiny model of alphagenome-pt, whose every weight shows in its output."""
    port = pytest.importorskip("alphagenome_pt", reason="alphagenome-pt is not installed")
    from alphagenome_pt.layers import BatchNorm

    torch.manual_seed(0)
    shape = {"num_channels": 24, "transformer_layers": 3, "pair_heads": 4, "pos_channels": 6, "num_q_heads": 4}
    config = port.AlphaGenomeConfig(
        **shape, max_seq_len=8192, num_splice_sites=7, dtype_policy="float32", metadata=metadata(), splice_site_threshold=0.2
    )
    model = port.AlphaGenome(config).eval()
    onehot = random_onehot(1, 4096, 1).transpose(1, 2)
    return settled(model, lambda: model(onehot, organism_index=0), BatchNorm, "var_EMA")


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest number."""
    return ((found - expected).abs().max() / expected.abs().max()).item()


def rows(model: AlphaGenome, output: str, organism: int) -> Tensor:
    return model.outputs[output].get_buffer(f"rows_{organism}")


@pytest.mark.parametrize("length", [2048, 6144])
@pytest.mark.parametrize("organism", [0, 1], ids=ORGANISMS)
def test_tiny_models_give_the_same_outputs(theirs: Any, tmp_path: Path, length: int, organism: int) -> None:
    theirs.save(tmp_path)
    ours = registry.load(tmp_path, PredictsTracks)
    onehot, name = random_onehot(2, length, length), ORGANISMS[organism]
    with torch.no_grad():
        outputs = theirs(onehot.transpose(1, 2), organism_index=organism)
        heads = {head: ours.parts_of(head) for head in ours.track_heads if ours.parts_of(head).organism == name}
        assert len(heads) == 14
        for head, parts in heads.items():
            there = outputs[parts.output]
            expected = there.get(f"predictions_{parts.bin_size}bp", there.get("predictions")).transpose(1, 2)
            expected = expected[:, rows(ours, parts.output, organism)]
            assert expected.std(-1).max() > 0.02 * expected.mean()
            assert relative(ours(onehot, head), expected) < 1e-4, head
        maps = outputs["contact_maps"]["predictions"].permute(0, 3, 1, 2)[:, rows(ours, "contact_maps", organism)]
        assert relative(ours.contact_maps(onehot, name), maps) < 1e-5
        there, (sites, counts) = outputs["splice_sites_junction"], ours.junctions(onehot, name)
        assert torch.equal(sites.int(), there["splice_site_positions"])
        assert (sites >= 0).sum() > 4
        tissues = rows(ours, "splice_sites_junction", organism)
        expected = there["predictions"].permute(0, 3, 1, 2)[:, torch.cat([tissues, 4 + tissues])]
        assert relative(counts, expected) < 1e-4


def test_their_folder_comes_back_to_them_bit_by_bit(theirs: Any, tmp_path: Path) -> None:
    theirs.save(tmp_path / "there")
    ours = registry.load(tmp_path / "there", PredictsTracks)
    assert registry.layout_of(tmp_path / "there") == "alphagenome-pt"
    registry.save(ours, tmp_path / "back", layout="alphagenome-pt")
    again = type(theirs).load(tmp_path / "back").eval()
    expected = theirs.state_dict()
    assert list(again.state_dict()) == list(expected)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in again.state_dict().items())
    onehot = random_onehot(1, 2048, 4).transpose(1, 2)
    with torch.no_grad():
        for name, values in theirs(onehot, organism_index=1).items():
            for key, tensor in again(onehot, organism_index=1)[name].items():
                torch.testing.assert_close(tensor, values[key], rtol=0, atol=0)


def other_names() -> set[str]:
    port = pytest.importorskip("alphagenome_pytorch", reason="alphagenome-pytorch is not installed")
    with torch.device("meta"):
        return {f"{name} {list(tensor.shape)}" for name, tensor in port.AlphaGenome().state_dict().items()}


def test_names_and_shapes_are_those_of_alphagenome_pytorch() -> None:
    from genoformer.models.alphagenome.config import AlphaGenomeConfig
    from genoformer.models.alphagenome.weights_pytorch import NAMES

    names = other_names()
    with torch.device("meta"):
        ours = AlphaGenome(AlphaGenomeConfig())
    written = NAMES.write(ours.state_dict())
    assert {f"{name} {list(tensor.shape)}" for name, tensor in written.items()} == names


@full_size
def test_alphagenome_pytorch_gives_the_same_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 2e-3: with random weights nine blocks amplify rounding; in float64 both agree within 5e-12."""
    port = pytest.importorskip("alphagenome_pytorch", reason="alphagenome-pytorch is not installed")
    from alphagenome_pytorch import attention
    from alphagenome_pytorch.layers import RMSBatchNorm
    from safetensors.torch import save_file

    class Functional:
        relu, softmax = torch.nn.functional.relu, torch.nn.functional.softmax

        @staticmethod
        def gelu(x: Tensor) -> Tensor:
            return torch.nn.functional.gelu(x, approximate="tanh")

    monkeypatch.setattr(attention, "F", Functional)
    torch.manual_seed(0)
    model = port.AlphaGenome().eval()
    for module in model.modules():
        if isinstance(module, RMSBatchNorm):
            module.dim = -1 if module.channels_last else 1  # type: ignore[assignment]
    onehot = random_onehot(1, 2048, 1)
    settled(model, lambda: model(onehot.transpose(1, 2), torch.zeros(1).long()), RMSBatchNorm, "running_var")
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "alphagenome-pytorch"}))
    ours = registry.load(tmp_path, PredictsTracks)
    for organism, name in enumerate(ORGANISMS):
        with torch.no_grad():
            outputs = model(onehot.transpose(1, 2), torch.tensor([organism]))
            for head in ("atac_1bp", "atac_128bp", "rna_seq_1bp", "rna_seq_128bp", "chip_tf_128bp"):
                parts = ours.parts_of(f"{name}_{head}")
                expected = outputs[parts.output][parts.bin_size].transpose(1, 2)[:, rows(ours, parts.output, organism)]
                assert relative(ours(onehot, f"{name}_{head}"), expected) < 2e-3, head
            maps = outputs["contact_maps"].permute(0, 3, 1, 2)[:, rows(ours, "contact_maps", organism)]
            assert relative(ours.contact_maps(onehot, name), maps) < 2e-3
