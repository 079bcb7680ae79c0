"""Streams of zlib are read the same with libdeflate and without it, damaged ones too."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.formats import inflate as module
from genoformer.formats.inflate import inflate

content = st.one_of(st.binary(max_size=300), st.integers(0, 5_000).map(lambda n: b"ACGT" * n))


def answer(stream: bytes, most: int, usual: int) -> bytes | None:
    try:
        return inflate(stream, most, usual)
    except zlib.error:
        return None


@given(content, st.integers(0, 9), st.integers(1, 30_000), st.integers(1, 30_000), st.data())
def test_both_ways_give_the_same(text: bytes, level: int, most: int, usual: int, data: st.DataObject) -> None:
    stream = zlib.compress(text, level)
    assert inflate(stream, most, usual) == text[:most]
    damage = data.draw(st.sampled_from(["cut", "longer", "other byte"]))
    at = data.draw(st.integers(0, len(stream) - 1))
    damaged = {
        "cut": stream[:at],
        "longer": stream + b"xyz",
        "other byte": stream[:at] + bytes([stream[at] ^ 1]) + stream[at + 1 :],
    }
    with_library = answer(damaged[damage], most, usual)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_library", lambda: None)
        assert answer(damaged[damage], most, usual) == with_library


def test_threads_have_buffers_of_their_own() -> None:
    texts = [bytes([i]) * (1_000 * i) for i in range(1, 30)] * 20
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: inflate(zlib.compress(text), 1 << 20), texts)) == texts
