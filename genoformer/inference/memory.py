"""Memory of finished operations that the next ones reuse, so that the kernel does not clear it again each time."""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # numbers of glibc's malloc.h
_TRIM = 1 << 28  # free bytes at the end of the heap that stay with the process
_MMAP = 1 << 25  # bytes of an array from which on it has pages of its own; the largest number that glibc allows
_OF_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


@lru_cache(maxsize=1)
def reuse_freed_memory() -> bool:
    """Let this process keep up to 256 MB of freed memory; False without glibc, or if the user has chosen otherwise.

    A language model on a CPU frees and requests the same few megabytes in each layer. glibc returns them to the kernel in
    between, and every page is then cleared again: a tenth of the time of a small model.
    """
    if any(name in os.environ for name in _OF_USER):
        return False
    try:
        libc = ctypes.CDLL(None)
        if not hasattr(libc, "gnu_get_libc_version"):
            return False
        return bool(libc.mallopt(_M_TRIM_THRESHOLD, _TRIM) and libc.mallopt(_M_MMAP_THRESHOLD, _MMAP))
    except (OSError, TypeError, AttributeError):  # no C library that can be opened
        return False
