"""BED and narrowPeak -> intervals by contig; 0-based half-open, as these files are."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import FileFormatError, MissingFileError

Intervals = NDArray[np.int64]  # [n, 2], sorted, start < end


def read_bed(path: str | Path) -> dict[str, Intervals]:
    """Intervals [n, 2] of each contig of a BED, narrowPeak or broadPeak file, plain or gzipped, sorted.

    Lines that begin with #, track or browser are comments. Raises FileFormatError with the line number.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"{path} does not exist or is no file; give a BED or narrowPeak file.")
    found: dict[str, list[tuple[int, int]]] = {}
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt") if zipped else path.open() as file:
            for number, line in enumerate(file, 1):
                if line.startswith(("#", "track", "browser")) or not line.strip():
                    continue
                fields = line.rstrip("\r\n").split("\t")
                if len(fields) < 3 or not (fields[1].isdecimal() and fields[2].isdecimal()):
                    raise FileFormatError(f"{path}, line {number}: BED has CHROM START END, tab-separated; mend the line.")
                start, end = int(fields[1]), int(fields[2])
                if end <= start:
                    raise FileFormatError(f"{path}, line {number}: END {end} is not after START {start}; mend the line.")
                found.setdefault(fields[0], []).append((start, end))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path} cannot be read ({error}); give a BED or narrowPeak file.") from error
    return {contig: np.array(sorted(rows), dtype=np.int64) for contig, rows in found.items()}
