"""Weights in shards: read as one file is, beside transformers; what does not fit its index is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import small_encoder, small_enformer

from genoformer.errors import CheckpointError
from genoformer.files import sha256_of
from genoformer.models import registry
from genoformer.models.base import PredictsTracks
from genoformer.tokenizers import KmerTokenizer

INDEX = "model.safetensors.index.json"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A DNABERT of 3-mers in one file."""
    model = small_encoder(KmerTokenizer(3), position="learned", n_token_types=2, max_tokens=64)
    registry.save(model, tmp_path / "whole", layout="dnabert")
    return tmp_path / "whole"


def sharded(folder: Path, out: Path, n: int = 3, *, pickled: bool = False) -> Path:
    """The same model in n shards, its tensors dealt out in turn."""
    shutil.copytree(folder, out)
    tensors = load_file(out / "model.safetensors")
    (out / "model.safetensors").unlink()
    stem, suffix = ("pytorch_model", "bin") if pickled else ("model", "safetensors")
    weight_map = {name: f"{stem}-{i % n + 1:05}-of-{n:05}.{suffix}" for i, name in enumerate(tensors)}
    for shard in set(weight_map.values()):
        part = {name: tensors[name] for name in tensors if weight_map[name] == shard}
        torch.save(part, out / shard) if pickled else save_file(part, out / shard)
    (out / f"{stem}.{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return out


def change_map(folder: Path, **changed: object) -> None:
    """Give the first tensor of the index, or the index itself, other content."""
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(index | changed))


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("n", [1, 3])
def test_shards_are_read_as_one_file_is(whole: Path, tmp_path: Path, n: int, pickled: bool) -> None:
    model, again = registry.load(whole), registry.load(sharded(whole, tmp_path / "parts", n, pickled=pickled))
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    shards = sorted((tmp_path / "parts").glob("*-of-*"))
    assert len(shards) == n
    assert again.sha256 == hashlib.sha256("".join(sha256_of(shard) for shard in shards).encode()).hexdigest()


def test_an_enformer_is_read_from_shards(tmp_path: Path) -> None:
    registry.save(small_enformer(), tmp_path / "whole", layout="enformer")
    model = registry.load(tmp_path / "whole", PredictsTracks)
    again = registry.load(sharded(tmp_path / "whole", tmp_path / "parts"), PredictsTracks)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_logits_are_those_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = KmerTokenizer(3)
    torch.manual_seed(0)
    shape = transformers.BertConfig(
        vocab_size=69,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    theirs = transformers.BertForMaskedLM(shape).eval()
    for name, size in (("one", "1GB"), ("many", "20KB")):
        theirs.save_pretrained(tmp_path / name, max_shard_size=size)
        (tmp_path / name / "vocab.txt").write_text("\n".join(tokenizer.vocab) + "\n")
    assert len(list((tmp_path / "many").glob("model-*.safetensors"))) > 3
    ids = torch.randint(5, 69, (3, 20))
    one, many = (registry.load(tmp_path / name) for name in ("one", "many"))
    with torch.no_grad():
        assert torch.equal(one(ids), many(ids))
        torch.testing.assert_close(many(ids), theirs(input_ids=ids).logits, atol=1e-5, rtol=1e-5)


def lose_a_shard(folder: Path) -> None:
    (folder / "model-00002-of-00003.safetensors").unlink()


def lose_a_tensor(folder: Path) -> None:
    path = folder / "model-00001-of-00003.safetensors"
    tensors = load_file(path)
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, path)


def repeat_a_tensor(folder: Path) -> None:
    first, second = (folder / f"model-0000{i}-of-00003.safetensors" for i in (1, 2))
    save_file(load_file(first) | dict(list(load_file(second).items())[:1]), first)


def add_a_tensor(folder: Path) -> None:
    path = folder / "model-00001-of-00003.safetensors"
    save_file(load_file(path) | {"zero": torch.zeros(1)}, path)


def garble_a_shard(folder: Path) -> None:
    (folder / "model-00003-of-00003.safetensors").write_bytes(b"\x00")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lose_a_shard, r"index\.json names 3 shards, and model-00002-of-00003\.safetensors is missing"),
        (lose_a_tensor, r"00001-of-00003\.safetensors has no tensor bert\..*, which model\.safetensors\.index\.json says"),
        (repeat_a_tensor, r"holds the tensor .*, which belongs to model-00002-of-00003\.safetensors, as"),
        (add_a_tensor, r"holds the tensor zero, which belongs to no shard, as"),
        (garble_a_shard, r"model-00003-of-00003\.safetensors cannot be read"),
        (lambda folder: change_map(folder, weight_map={}), "has no weight_map"),
        (lambda folder: change_map(folder, weight_map=["a"]), "has no weight_map"),
        (lambda folder: (folder / INDEX).write_text("{"), "cannot be read as JSON"),
    ],
)
def test_shards_that_are_not_as_their_index_says(whole: Path, tmp_path: Path, damage, words: str) -> None:
    folder = sharded(whole, tmp_path / "parts")
    damage(folder)
    with pytest.raises(CheckpointError, match=words):
        registry.load(folder)


@pytest.mark.parametrize(
    "shard",
    [
        "../whole/model.safetensors",
        "/etc/passwd",
        "..",
        ".",
        "",
        "a/model.safetensors",
        "..\\model.safetensors",
        3,
        None,
        ["a"],
        "model.bin",
        "config.json",
    ],
)
def test_shards_elsewhere_are_refused(whole: Path, tmp_path: Path, shard: object) -> None:
    """The whole model does lie in ../whole, so that only the name is in the way."""
    folder = sharded(whole, tmp_path / "parts")
    index = json.loads((folder / INDEX).read_text())
    change_map(folder, weight_map=dict.fromkeys(index["weight_map"], shard))
    with pytest.raises(CheckpointError, match=r"which is not a \.safetensors file next to it"):
        registry.load(folder)
