"""FASTA files of any text, plain or bgzipped."""

from __future__ import annotations

from pathlib import Path

import pysam


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def bgzipped(path: Path, text: str | bytes) -> Path:
    plain = write(path.with_suffix(".txt"), text)
    pysam.tabix_compress(str(plain), str(path), force=True)
    return path
