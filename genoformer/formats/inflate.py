"""Deflated blocks of bytes -> their content: by libdeflate if the machine has it, which takes a third of the time of zlib."""

from __future__ import annotations

import ctypes
import threading
import zlib
from functools import lru_cache
from typing import Any

_NAME = "libdeflate.so.0"


def inflate(content: bytes, most: int, usual: int = 1 << 15) -> bytes:
    """Return the content of a zlib stream, of at most `most` bytes; zlib.error if it is damaged.

    A stream that ends early, and bytes after its end, are read as far as they go. usual: bytes that most streams have.

    >>> inflate(zlib.compress(b"ACGT" * 5), 8)
    b'ACGTACGT'
    """
    library = _library()
    found = _of_thread.inflate(library, content, min(usual, most)) if library is not None else None
    return zlib.decompressobj().decompress(content, most) if found is None else found


@lru_cache(maxsize=1)
def _library() -> Any | None:
    """Return libdeflate, or None."""
    try:
        library = ctypes.CDLL(_NAME)
        library.libdeflate_alloc_decompressor.restype = ctypes.c_void_p
        library.libdeflate_free_decompressor.argtypes = [ctypes.c_void_p]
        function = library.libdeflate_zlib_decompress
    except (OSError, AttributeError):
        return None
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    function.argtypes = [pointer, ctypes.c_char_p, size, pointer, size, ctypes.POINTER(size)]
    function.restype = ctypes.c_int
    return library


class _Inflater(threading.local):
    """Decompressor and buffer of a thread."""

    def __init__(self) -> None:
        self._decompressor: int | None = None
        self._buffer = ctypes.create_string_buffer(0)
        self._n = ctypes.c_size_t()
        self._library: Any = None

    def inflate(self, library: Any, content: bytes, most: int) -> bytes | None:
        """Return the content of a stream; None if it is damaged, or longer than `most`."""
        if self._decompressor is None:
            self._decompressor, self._library = library.libdeflate_alloc_decompressor(), library
        if self._decompressor is None:  # no memory
            return None
        if len(self._buffer) < most:
            self._buffer = ctypes.create_string_buffer(most)
        failed = library.libdeflate_zlib_decompress(
            self._decompressor, content, len(content), self._buffer, most, ctypes.byref(self._n)
        )
        return None if failed else ctypes.string_at(self._buffer, self._n.value)

    def __del__(self) -> None:
        if self._decompressor is not None:
            self._library.libdeflate_free_decompressor(self._decompressor)


_of_thread = _Inflater()
