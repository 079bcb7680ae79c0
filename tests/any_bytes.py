"""Bytes that no writer would write, for readers: read, or refused in a sentence of ours."""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from genoformer.errors import GenoformerError

PIECES = [
    b"\t",
    b"\n",
    b"\r",
    b"\x00",
    b"\xff",
    b"-",
    b"9" * 25,
    b"1e9",
    b"#",
    b'"',
    b";",
    b",",
    b"<",
    b"=",
    b"chr1",
    b"\n\n",
    b" ",
    b".",
]


def changed(valid: bytes) -> st.SearchStrategy[bytes]:
    """Bytes, or a valid file in which stretches are cut out, doubled or replaced."""
    edit = st.tuples(st.integers(0, len(valid)), st.integers(0, 12), st.sampled_from(PIECES) | st.binary(max_size=6))

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        text = valid
        for at, length, piece in edits:
            text = text[:at] + piece + text[at + length :]
        return text

    return st.binary(max_size=200) | st.lists(edit, min_size=1, max_size=4).map(apply)


def read_or_refuse(read: Callable[[Path], object], path: Path, content: bytes, zipped: bool) -> None:
    path.write_bytes(gzip.compress(content) if zipped else content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = ""
        try:
            read(path)
        except GenoformerError as error:
            said = str(error)
    assert "\n" not in said.strip()
    assert len(said) < 1_000
