"""Rare searches for reference cycles: runs that make millions of tuples, none of them in a cycle."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS = 100_000  # new objects between two searches; Python's default of 700 is reached with every 200 records


@contextmanager
def rare_collections() -> Iterator[None]:
    """Let Python search for reference cycles less often in the block: a search of all objects of torch takes 50 ms.

    Objects that are in no cycle are freed as ever.

    >>> with rare_collections():
    ...     gc.get_threshold()[0]
    100000
    """
    before = gc.get_threshold()
    if before[0]:  # 0: the user has switched the searches off
        gc.set_threshold(max(_OBJECTS, before[0]), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
