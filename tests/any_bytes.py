"""Bytes that no writer would write, for readers: read, or refused in a sentence of ours."""

from __future__ import annotations

import gzip
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


NUMBERS = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**60, 2**63 - 1, 2**64 - 1]
_EXTREME = [
    *(0, 1, -1, 2, 3, 5, 10**9, 2**31, 2**63, 10**400, 0.5, -0.5, 1e308, float("nan"), float("inf")),
    *("", "a", "../../x", "\0"),
    *(None, True, [], {}, [[]], {"": {}}, [0, 10**12], "\ud800"),
]


def damaged(valid: bytes) -> st.SearchStrategy[bytes]:
    """A valid binary file that ends early, or in which bytes are others, or whole numbers extreme."""
    number = st.tuples(st.sampled_from(["<H", "<I", "<Q"]), st.sampled_from(NUMBERS)).map(_packed)
    place = st.integers(0, len(valid)) | st.integers(0, min(len(valid), 96))
    edit = st.tuples(place, number | st.binary(min_size=1, max_size=4))

    def apply(of: tuple[list[tuple[int, bytes]], int]) -> bytes:
        edits, end = of
        content = valid
        for at, piece in edits:
            content = content[:at] + piece + content[at + len(piece) :]
        return content[:end]

    ends = st.just(len(valid) + 8) | st.integers(0, len(valid))
    return st.tuples(st.lists(edit, min_size=1, max_size=3), ends).map(apply)


def _packed(of: tuple[str, int]) -> bytes:
    return struct.pack(of[0], of[1] & (2 ** (8 * struct.calcsize(of[0])) - 1))


def changed_json(valid: Any) -> st.SearchStrategy[Any]:
    """A value of JSON in which a value anywhere is another, or gone, or under another name."""
    places = list(_places(valid))

    def apply(of: tuple[int, str, Any]) -> Any:
        place, how, value = places[of[0]], of[1], of[2]
        return _replaced(valid, place, how, value)

    how = st.sampled_from(["set", "set", "set", "remove", "rename", "double"])
    return st.tuples(st.integers(0, len(places) - 1), how, st.sampled_from(_EXTREME)).map(apply)


def _places(value: Any, at: tuple[Any, ...] = ()) -> Any:
    yield at
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*at, key))


def _replaced(value: Any, place: tuple[Any, ...], how: str, new: Any) -> Any:
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    key = place[0]
    if len(place) > 1 or how == "set":
        copy[key] = _replaced(copy[key], place[1:], how, new)
    elif how == "remove":
        del copy[key]
    elif isinstance(copy, dict):
        copy[str(new)] = copy[key] if how == "double" else copy.pop(key)
    else:
        copy.append(copy[key])
    return copy


def bgzipped(content: bytes, block: int = 65_280) -> bytes:
    """bgzip, made here: blocks of deflated text with their size, and the empty one at the end (SAM specification, 4.1)."""
    blocks = []
    for at in [*range(0, len(content), block), len(content)]:
        text = content[at : at + block]
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = deflate.compress(text) + deflate.flush()
        head = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(body) + 25)
        blocks.append(head + body + struct.pack("<II", zlib.crc32(text), len(text)))
    return b"".join(blocks)


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
