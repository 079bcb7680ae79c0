"""Safe reading of the arrays of a .npz: no pickle, and no more memory than the file declares."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genoformer.errors import FileFormatError

MOST = 1 << 30  # bytes of all arrays of a file; a compressed file can expand a thousandfold
_HEADERS: dict[tuple[int, int], Callable[[IO[bytes]], Any]] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


def read_arrays(path: Path, most: int = MOST) -> dict[str, NDArray[Any]]:
    """Read name -> read-only array from a file of np.savez or np.savez_compressed.

    Raises FileFormatError for a file that is damaged or not an .npz, holds objects, or has more than `most` bytes of arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if (n := sum(member.file_size for member in members)) > most:
                raise ValueError(f"its arrays would take {n:,} bytes, {most:,} are allowed")
            arrays = {}
            for member in members:
                with archive.open(member) as file:
                    arrays[member.filename.removesuffix(".npy")] = _array(file, member.file_size)
            return arrays
    except Exception as error:  # zipfile, zlib and numpy raise different errors for a damaged file
        raise FileFormatError(f"{path} is no whole file of arrays ({error}); copy or make it again.") from error


def _array(file: IO[bytes], size: int) -> NDArray[Any]:
    shape, by_columns, dtype = _HEADERS[npy.read_magic(file)](file)
    if dtype.hasobject:
        raise ValueError("it holds objects, which are pickled")
    expected, available = math.prod(shape) * dtype.itemsize, size - file.tell()
    if expected != available or min(shape, default=0) < 0:
        raise ValueError(f"an array of shape {shape} takes {expected:,} bytes, and {available:,} are there")
    flat = np.frombuffer(file.read(), dtype=dtype) if expected else np.zeros(0, dtype=dtype)
    return flat.reshape(shape, order="F" if by_columns else "C")
