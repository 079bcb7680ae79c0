"""By hand: a FASTA beyond 2^32 bytes with contigs beyond 2^31 bases, in lines of 80 and of a whole contig.

    python tests/benchmarks/bench_large_fasta.py FOLDER

It writes 4.6 GB there at a time, makes the index, reads windows at far ends, compares each with what was written, and prints
seconds and the most memory that was resident, pages of the mapped file included.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np

from genoformer.genome.codes import decode
from genoformer.genome.reference import Genome

N_BASES, SHORT = 2_300_000_000, 1_003
PERIOD = 1_000_003  # of the sequence, in which each base is known by its place: prime to every line
TEXT = np.random.default_rng(0).choice(np.frombuffer(b"ACGT", dtype=np.uint8), PERIOD).tobytes()


def expected(start: int, end: int) -> str:
    n = start // PERIOD * PERIOD
    return (TEXT * ((end - n) // PERIOD + 1))[start - n : end - n].decode()


def write(path: Path, width: int) -> None:
    """Contigs a and b of N_BASES each, and c, a short one; the lines of a have `width` bases, 0 for all."""
    with path.open("wb") as file:
        for name in ("a", "b"):
            file.write(f">{name}\n".encode())
            if not width:
                for start in range(0, N_BASES, PERIOD):
                    file.write(TEXT[: N_BASES - start])
                file.write(b"\n")
                continue
            lines = (TEXT * width)[: width * PERIOD]  # after which it begins anew
            block = b"".join(lines[i : i + width] + b"\n" for i in range(0, len(lines), width))
            left = N_BASES
            while left:
                n = min(left, len(lines))
                file.write(block[: n + -(-n // width)] if n == len(lines) else _wrapped(lines[:n], width))
                left -= n
        file.write(f">c\n{expected(0, SHORT)}\n".encode())


def _wrapped(text: bytes, width: int) -> bytes:
    return b"".join(text[i : i + width] + b"\n" for i in range(0, len(text), width))


def main(folder: Path) -> None:
    for width in (80, 0):
        path = folder / f"large.{width}.fa"
        write(path, width)
        began = time.monotonic()
        with Genome(path) as genome:
            made = time.monotonic() - began
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            assert genome.contigs == {"a": N_BASES, "b": N_BASES, "c": SHORT}
            began = time.monotonic()
            for name in ("a", "b"):
                for start in (0, 2**31 - 500, N_BASES - 1_000, 1_234_567_890):
                    assert decode(genome.window(name, start, 1_000)) == expected(start, start + 1_000), (name, start)
                assert decode(genome.window(name, N_BASES - 10, 20)) == expected(N_BASES - 10, N_BASES) + "N" * 10
            assert decode(genome.window("c", 0, SHORT)) == expected(0, SHORT)
            windows = time.monotonic() - began
        sys.stdout.write(
            f"{path.stat().st_size:,} bytes, lines of {width or N_BASES:,}: index in {made:.1f} s, {peak:,} MiB resident; "
            f"11 windows in {1000 * windows:.0f} ms\n"
        )
        path.unlink()
        Path(f"{path}.fai").unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
