"""Compare two output files: by bytes, and where these differ, by the numbers in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

_ARRAYS = (".npz", ".npy", ".safetensors", ".parquet", ".bw")
_BINARY = (".png", ".tbi", ".fai", ".gzi")
_SVG_ID = re.compile(rb"(?<=[\"#])[a-zA-Z]*[0-9a-f]{10}(?=[\")])")  # matplotlib makes them from a hash
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])")


class Comparison(NamedTuple):
    """Difference of two files."""

    detail: str  # the first difference in words
    distance: float  # largest difference of two numbers, in units of the tolerance; infinite if not only numbers differ
    largest: str  # the numbers with that difference


def with_plain_ids(content: bytes) -> bytes:
    """Replace the ids of an SVG, which older versions drew at random, by their numbers in order of appearance."""
    numbers: dict[bytes, bytes] = {}
    return _SVG_ID.sub(lambda match: numbers.setdefault(match.group(), b"id%d" % len(numbers)), content)


def compare_files(first: Path, second: Path, contents: tuple[bytes, bytes], absolute: float, relative: float) -> Comparison:
    """Compare two files that differ; contents: their bytes, decompressed and with sentences reworded.

    Two numbers agree if they differ by at most `absolute` + `relative` * the larger one. In text, numbers without a decimal
    point or an exponent are counts and positions, which have to be equal.
    """
    try:
        if first.suffix in _ARRAYS:
            return _compare_arrays(dict(_arrays(first)), dict(_arrays(second)), absolute, relative)
        if first.suffix in _BINARY:
            sizes = " and ".join(f"{len(content):,}" for content in contents)
            return Comparison(f"bytes differ, {sizes}", np.inf, "")
    except (ValueError, OSError, KeyError) as error:
        return Comparison(f"cannot be read: {error}", np.inf, "")
    one, other = (content.decode("utf-8", errors="replace").splitlines() for content in contents)
    return _compare_texts(one, other, absolute, relative)


def _arrays(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of a file by name; metadata is an array of text."""
    if path.suffix == ".npy":
        yield "array", np.load(path)
    elif path.suffix == ".npz":
        yield from np.load(path).items()
    elif path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        yield from load_file(path).items()
    elif path.suffix == ".bw":
        import pyBigWig

        file = pyBigWig.open(str(path))
        for chrom in file.chroms():
            yield chrom, np.nan_to_num(file.values(chrom, 0, file.chroms(chrom), numpy=True))
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(path)
        metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        yield "metadata", np.array(json.dumps(metadata, sort_keys=True))
        for name in table.column_names:
            values = table[name].combine_chunks()
            while pa.types.is_nested(values.type):
                values = values.flatten()
            yield name, values.to_numpy(zero_copy_only=False)


def _compare_arrays(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], absolute: float, relative: float) -> Comparison:
    if a.keys() != b.keys():
        return Comparison(f"names only in one: {sorted(a.keys() ^ b.keys())}", np.inf, "")
    worst = Comparison("bytes differ, values agree", 0.0, "")
    for name in a:
        one, other = a[name], b[name]
        if one.shape != other.shape or one.dtype != other.dtype:
            return Comparison(f"{name}: {one.dtype}{one.shape} and {other.dtype}{other.shape}", np.inf, "")
        if one.dtype.kind != "f":
            if not np.array_equal(one, other):
                return Comparison(f"values of {name} differ", np.inf, "")
            continue
        if not np.array_equal(np.isfinite(one), np.isfinite(other)):
            return Comparison(f"{name} has other missing values", np.inf, "")
        one, other = (np.nan_to_num(x.astype(np.float64), posinf=0, neginf=0).ravel() for x in (one, other))
        if one.size:
            size = np.maximum(np.abs(one), np.abs(other))
            distances = np.abs(one - other) / (absolute + relative * size)
            i = int(distances.argmax())
            if distances[i] > worst.distance:
                worst = Comparison(f"values of {name} differ", float(distances[i]), f"{name}: {one[i]:.7g} and {other[i]:.7g}")
    return worst


def _compare_texts(a: list[str], b: list[str], absolute: float, relative: float) -> Comparison:
    worst = Comparison("bytes differ, text agrees", 0.0, "")
    for n, (one, other) in enumerate(zip(a, b, strict=False), 1):
        if one == other:
            continue
        detail = f"line {n:,}: {one[:160]!r} and {other[:160]!r}"
        if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
            return Comparison(detail, np.inf, "")
        for x, y in zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True):
            if x == y:
                continue
            counts = not any(mark in x + y for mark in ".e")
            distance = (
                np.inf if counts else abs(float(x) - float(y)) / (absolute + relative * max(abs(float(x)), abs(float(y))))
            )
            if distance > worst.distance:
                worst = Comparison(detail, float(distance), f"{x} and {y}")
    if len(a) != len(b):
        return Comparison(f"{len(a):,} and {len(b):,} lines", np.inf, "")
    return worst
