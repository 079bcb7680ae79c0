"""Model folders that somebody made to do harm: nothing is run, no memory is taken that the file does not fill."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_models import small_encoder, small_enformer

from genoformer.errors import CheckpointError, ConfigError, FileFormatError
from genoformer.formats.arrays import read_arrays
from genoformer.genome.minhash import Sketch
from genoformer.models import folders, registry
from genoformer.models.enformer.config import EnformerConfig
from genoformer.models.transformer.config import EncoderConfig
from genoformer.scoring.calibration import Calibration
from genoformer.tokenizers import KmerTokenizer

WEIGHTS, PICKLED = "model.safetensors", "pytorch_model.bin"


class Payload:
    """What pickle would run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.fixture
def folder(tmp_path: Path, tiny_model_folder: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))


@pytest.fixture
def dnabert(tmp_path: Path) -> Path:
    model = small_encoder(KmerTokenizer(3), position="learned", n_token_types=2, max_tokens=64)
    registry.save(model, tmp_path / "bert", layout="dnabert")
    return tmp_path / "bert"


def with_pickle(folder: Path, write: Callable[[Path], object]) -> Path:
    (folder / WEIGHTS).unlink()
    write(folder / PICKLED)
    return folder


# --- pickles


@pytest.mark.parametrize("how", ["bare", "in a table", "as torch saves it"])
def test_a_payload_is_not_run(dnabert: Path, tmp_path: Path, how: str) -> None:
    payload: Any = Payload(tmp_path / "ran")
    if how == "as torch saves it":
        with_pickle(dnabert, lambda path: torch.save({"a": torch.zeros(1), "b": payload}, path))
    else:
        with_pickle(dnabert, lambda path: path.write_bytes(pickle.dumps(payload if how == "bare" else {"a": payload})))
    with pytest.raises(CheckpointError, match="something else than plain tensors"):
        registry.load(dnabert)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", [folders.SKETCH, "calibration.npz"])
def test_a_payload_among_arrays_is_not_run(folder: Path, tmp_path: Path, name: str) -> None:
    payload = np.array([Payload(tmp_path / "ran")], dtype=object)
    with (folder / name).open("wb") as file:
        np.savez(file, format=payload, hashes=payload, about=payload, allow_pickle=True)
    with pytest.raises((FileFormatError, CheckpointError), match="objects, which are pickled"):
        Calibration.load(folder / name) if name.startswith("cal") else registry.load(folder)
    (folder / name).write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises((FileFormatError, CheckpointError), match="not a zip file"):
        Calibration.load(folder / name) if name.startswith("cal") else registry.load(folder)
    assert not (tmp_path / "ran").exists()


def test_a_packed_pickle_is_not_unpacked(dnabert: Path) -> None:
    """A zip of zeros: 20 KB that would be 20 MB."""

    def write(path: Path) -> None:
        torch.save({"a": torch.zeros(5_000_000)}, path)
        with zipfile.ZipFile(path) as archive:
            members = {member.filename: archive.read(member) for member in archive.infolist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    with_pickle(dnabert, write)
    with pytest.raises(CheckpointError, match=r"is compressed, and unpacks to 20,\d+,\d+ bytes"):
        registry.load(dnabert)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.zeros(1).expand(10**6, 10**6), r"bytes would be tensors of 4,000,0"),
        (torch.zeros(3, device="meta"), "something else|plain tensors are read"),
        (torch.zeros(3).to_sparse(), "plain tensors are read"),
        (torch.zeros(3, dtype=torch.complex64), "is torch.complex64"),
    ],
)
def test_tensors_that_are_not_plain(dnabert: Path, tensor: torch.Tensor, words: str) -> None:
    tensors = load_file(dnabert / WEIGHTS)
    with_pickle(dnabert, lambda path: torch.save({**tensors, "bert.pooler.dense.bias": tensor}, path))
    with pytest.raises(CheckpointError, match=words):
        registry.load(dnabert)


# --- safetensors


def safetensors(header: object, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor(shape: list[int], begin: int, end: int, kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "content",
    [
        safetensors({}, length=2**60),
        safetensors({}, length=2**64 - 1),
        safetensors({}, length=1_000),
        safetensors({"a": tensor([10**18], 0, 4)}, bytes(4)),
        safetensors({"a": tensor([2**62, 4], 0, 4)}, bytes(4)),
        safetensors({"a": tensor([1], 0, 2**62)}, bytes(4)),
        safetensors({"a": tensor([1], 0, 4), "b": tensor([1], 0, 4)}, bytes(4)),  # one over the other
        safetensors({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, bytes(12)),
        safetensors({"a": tensor([1], 4, 0)}, bytes(4)),
        safetensors({"../../../x": tensor([1], 0, 4)}, bytes(4)),
        safetensors({"/etc/passwd": tensor([1], 0, 4)}, bytes(4)),
        safetensors({"a": tensor([1], 0, 8, "I64"), "\u0000": tensor([0], 8, 8)}, bytes(8)),
        safetensors(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        safetensors(b"\xff" * 100),
        b"",
        bytes(7),
    ],
)
def test_a_hostile_table_of_tensors(folder: Path, content: bytes) -> None:
    (folder / WEIGHTS).write_bytes(content)
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(CheckpointError) as refused:
        registry.load(folder)
    assert str(refused.value).startswith(str(folder))
    assert sorted(folder.parent.rglob("*")) == before


def test_names_that_stand_twice(folder: Path) -> None:
    """A parser of JSON takes the last of two; both have a place in the file, so it is refused."""
    one, two = (json.dumps(tensor([1], at, at + 4)) for at in (0, 4))
    (folder / WEIGHTS).write_bytes(safetensors(f'{{"a": {one}, "a": {two}}}'.encode(), bytes(8)))
    with pytest.raises(CheckpointError):
        registry.load(folder)


# --- configurations


def change(folder: Path, **changed: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["config"] |= changed
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    "changed",
    [
        {"width": 10**9, "n_heads": 1},
        {"n_layers": 10**9},
        {"n_layers": 60, "width": 2, "n_heads": 1, "ffn_width": 1},
        {"ffn_width": 10**12},
        {"max_tokens": 10**12},
        {"n_token_types": 10**10},
        {"n_vocab": 10**12},
        {"conv_kernel": 10**10 + 1},
        {"position": "sinusoidal", "width": 10**9, "n_heads": 10**9},
    ],
)
def test_an_encoder_larger_than_its_file(folder: Path, changed: dict[str, object]) -> None:
    change(folder, **changed)
    with pytest.raises(CheckpointError, match=r"tensors are missing or of another shape: config.json asks for"):
        registry.load(folder)


@pytest.mark.parametrize(
    "changed", [{"width": 6 * 2**30}, {"n_blocks": 10**9}, {"heads": {"human": 10**12}}, {"stem_kernel": 10**9 + 1}]
)
def test_a_long_range_model_larger_than_its_file(tmp_path: Path, changed: dict[str, object]) -> None:
    registry.save(small_enformer(), tmp_path / "m")
    change(tmp_path / "m", **changed)
    with pytest.raises(CheckpointError, match=r"config.json"):
        registry.load(tmp_path / "m")


def test_a_bert_larger_than_its_file(dnabert: Path) -> None:
    config = json.loads((dnabert / "config.json").read_text())
    wrong = {"num_hidden_layers": 10**9, "hidden_size": 10**9, "max_position_embeddings": 10**400, "vocab_size": "x"}
    for name, value in wrong.items():
        (dnabert / "config.json").write_text(json.dumps({**config, name: value}))
        with pytest.raises(CheckpointError):
            registry.load(dnabert)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b'{"genoformer": ' + b"9" * 5_000 + b"}", b"\xff\xfe"])
def test_json_that_no_parser_likes(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError):
        registry.load(folder)


@pytest.mark.parametrize("value", [10**400, -(10**17), float("nan"), float("inf"), 2**53 + 1])
def test_numbers_beyond_reason(value: float) -> None:
    for kind, name in ((EncoderConfig, "ffn_width"), (EncoderConfig, "norm_eps"), (EnformerConfig, "qk_init_gain")):
        with pytest.raises(ConfigError):
            kind.from_dict({name: value})  # type: ignore[attr-defined]


# --- arrays


def npz(path: Path, header: bytes, body: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body)
    return path


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}\n", "takes 4,000,000,000,000 bytes, and 8 are"),
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}\n", "no whole file of arrays"),
        (b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n", "objects"),
        (b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"1," * 900 + b")}\n", "no whole file of arrays"),
        (b"__import__('os').mkdir('ran')\n", "no whole file of arrays"),
    ],
)
def test_headers_of_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, header: bytes, words: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileFormatError, match=words):
        read_arrays(npz(tmp_path / "a.npz", header, bytes(8)))
    assert not (tmp_path / "ran").exists()


def test_arrays_that_would_fill_the_memory(tmp_path: Path) -> None:
    with (tmp_path / "a.npz").open("wb") as file:
        np.savez_compressed(file, a=np.zeros(10**6))
    assert (tmp_path / "a.npz").stat().st_size < 20_000
    assert read_arrays(tmp_path / "a.npz")["a"].shape == (10**6,)
    with pytest.raises(FileFormatError, match=r"would take 8,000,128 bytes, 1,000,000 are allowed"):
        read_arrays(tmp_path / "a.npz", most=10**6)


def test_arrays_are_those_that_were_written(tmp_path: Path) -> None:
    written = {
        "a": np.arange(6.0).reshape(2, 3),
        "b": np.array("text"),
        "c": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "d": np.zeros((0, 3), dtype=np.uint8),
    }
    buffer = io.BytesIO()
    np.savez(buffer, **written)
    (tmp_path / "a.npz").write_bytes(buffer.getvalue())
    found = read_arrays(tmp_path / "a.npz")
    assert list(found) == list(written)
    for name, array in written.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    sketch = Sketch.from_sequences(np.random.default_rng(0).integers(0, 4, 99, dtype=np.uint8), k=5)
    sketch.save(tmp_path / "s.npz")
    np.testing.assert_array_equal(Sketch.load(tmp_path / "s.npz").hashes, sketch.hashes)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors", "manifest.json"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_is_refused_at_once(tiny_model_folder: Path, tmp_path: Path, name: str, kind: str) -> None:
    folder = tmp_path / "m"
    shutil.copytree(tiny_model_folder, folder)
    (folder / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("/dev/zero")
    if name == "manifest.json":
        assert folders.read_manifest(folder) is None
        return
    with pytest.raises((CheckpointError, FileFormatError, ConfigError), match=name):
        registry.load(folder)
