"""Sketches beside a naive reader of k-mers; what is in what; saved and loaded."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.genome.codes import decode, encode, reverse_complement
from genoformer.genome.minhash import Sketch, hashes, sampled

dna = st.text(alphabet="ACGTN", max_size=60).map(encode)


def random_codes(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(4, size=length, dtype=np.uint8)


def naive_kmers(codes: np.ndarray, k: int) -> list[str]:
    """The canonical k-mers as text, one at a time."""
    text = decode(codes)
    other = str.maketrans("ACGT", "TGCA")
    kmers = [text[i : i + k] for i in range(len(text) - k + 1)]
    return [min(kmer, kmer.translate(other)[::-1]) for kmer in kmers if "N" not in kmer]


def naive_hash(kmer: str) -> int:
    """splitmix64 of the k-mer as a number, in Python's integers."""
    most = 2**64
    z = 0
    for base in kmer:
        z = 4 * z + "ACGT".index(base)
    z = (z + 0x9E3779B97F4A7C15) % most
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % most
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % most
    return z ^ (z >> 31)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 8, 16, 31, 32])
@pytest.mark.parametrize("scale", [1, 3])
@given(codes=dna)
@settings(max_examples=15)
def test_hashes_are_those_of_the_naive_reader(codes: np.ndarray, k: int, scale: int) -> None:
    expected = sorted({h for kmer in naive_kmers(codes, k) if (h := naive_hash(kmer)) <= (2**64 - 1) // scale})
    found = hashes(codes, k, scale)
    assert found.dtype == np.uint64
    assert found.tolist() == expected
    assert hashes(reverse_complement(codes), k, scale).tolist() == expected


@given(codes=dna, cut=st.integers(1, 9))
@settings(max_examples=30)
def test_the_size_of_chunks_changes_nothing(codes: np.ndarray, cut: int) -> None:
    places, found = sampled(codes, 4)
    again = sampled(codes, 4, n_hashed=cut)
    assert again[0].tolist() == places.tolist()
    assert again[1].tolist() == found.tolist()
    assert all("N" not in decode(codes[place : place + 4]) for place in places)


def test_one_in_scale_is_sampled() -> None:
    codes = random_codes(200_000)
    n_all = len(hashes(codes))
    assert n_all == 200_000 - 30
    assert len(hashes(codes, scale=100)) == pytest.approx(n_all / 100, rel=0.1)
    assert set(hashes(codes, scale=100).tolist()) <= set(hashes(codes, scale=10).tolist())


def test_containment_is_the_share_of_the_query() -> None:
    here, elsewhere = random_codes(5000), random_codes(5000, seed=1)
    sketch = Sketch.from_sequences([here])
    assert sketch.containment(here) == (4970, 4970)
    assert sketch.containment([reverse_complement(here[:1000])]).share == 1
    assert sketch.containment(elsewhere).share == 0
    half = np.concatenate([here[:1030], [4], elsewhere[:1030]]).astype(np.uint8)
    assert sketch.containment(half) == (1000, 2000)
    assert sketch.containment([]) == (0, 0)
    assert sketch.containment([]).share == 0
    assert sketch.add([elsewhere]).containment(half).share == 1
    estimate = Sketch.from_sequences([here], scale=10).containment(half)
    assert estimate.share == pytest.approx(0.5, abs=0.1)


def test_matches_tells_sequences_apart() -> None:
    here = random_codes(500)
    queries = [here[:100], random_codes(90, seed=3), here[:10], np.zeros(0, np.uint8), reverse_complement(here[40:80])]
    for n_read in (1, 150, 1 << 22):
        n_found, n_sampled = Sketch.from_sequences([here], k=21).matches(queries, n_read=n_read)
        assert n_found.tolist() == [80, 0, 0, 0, 20]
        assert n_sampled.tolist() == [80, 70, 0, 0, 20]


def test_windows_are_sequences_each() -> None:
    windows = np.stack([random_codes(40), random_codes(40, seed=1)])
    assert (
        hashes(windows, k=11).tolist() == hashes(np.concatenate([windows[0], [4], windows[1]]).astype(np.uint8), k=11).tolist()
    )


# --- on disk


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    sketch = Sketch.from_sequences(random_codes(3000), k=21, scale=7)
    for name in ("a.npz", "b"):
        sketch.save(tmp_path / name)
        loaded = Sketch.load(tmp_path / name)
        assert (loaded.k, loaded.scale, loaded.hashes.tolist()) == (21, 7, sketch.hashes.tolist())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b").read_bytes()
    Sketch.from_sequences([]).save(tmp_path / "empty")
    assert not len(Sketch.load(tmp_path / "empty").hashes)


def test_what_is_no_sketch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="There is no file"):
        Sketch.load(tmp_path / "nothing")
    path = tmp_path / "a.npz"
    Sketch.from_sequences(random_codes(300)).save(path)
    content = path.read_bytes()
    good = {"format": 1, "k": 31, "scale": 2, "hashes": np.array([1, 2], dtype=np.uint64)}
    for bad in (b"", b"text", content[: len(content) // 2]):
        path.write_bytes(bad)
        with pytest.raises(FileFormatError, match="is no sketch"):
            Sketch.load(path)
    for changed in (
        {"k": 33},
        {"scale": 0},
        {"format": 2},
        {"hashes": np.array([2, 1], dtype=np.uint64)},
        {"hashes": np.array([1.0])},
        {"hashes": np.array([[1]], dtype=np.uint64)},
        {"hashes": np.array([None])},
    ):
        np.savez(path, **(good | changed))
        with pytest.raises(FileFormatError, match="is no sketch"):
            Sketch.load(path)
    np.savez(path, **(good | {"hashes": np.array([2**63 + 1], dtype=np.uint64)}))
    with pytest.raises(FileFormatError, match="scale 2 leaves out"):
        Sketch.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other", "x")
    with pytest.raises(FileFormatError, match="is no sketch"):
        Sketch.load(path)


@pytest.mark.parametrize(("k", "scale", "message"), [(0, 1, "k = 0"), (33, 1, "k = 33"), (5, 0, "scale = 0")])
def test_options_out_of_range_are_refused(k: int, scale: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        hashes(encode("ACGT"), k, scale)
