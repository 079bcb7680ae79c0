"""`genoformer annotate` beside bcftools annotate: variants against a large VCF with five fields, the same values.

GENOFORMER_LOOKUP_VARIANTS and GENOFORMER_LOOKUP_RECORDS give smaller sizes. Processor time is compared, which depends less on
other programs than time on the clock does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TextIO

import numpy as np
import pysam
from common import NotHere, Row, faster, holds, script

N_VARIANTS = int(os.environ.get("GENOFORMER_LOOKUP_VARIANTS", "1_000_000"))
N_RECORDS = int(os.environ.get("GENOFORMER_LOOKUP_RECORDS", "10_000_000"))
N_ROUNDS = 3
MOST_MEMORY = 0.5  # GB
FIELDS = ("AC", "AN", "AF", "nhomalt", "AF_nfe")
CONTIGS = {"chr1": 248_956_422, "chr2": 242_193_529, "chr3": 198_295_559, "chr4": 190_214_555}


def main() -> list[Row]:
    if shutil.which("bcftools") is None:
        raise NotHere("bcftools is not installed (Debian package bcftools)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)  # the files are made by another process, whose memory the measured ones do not inherit
        subprocess.run([sys.executable, __file__, "--make", name], check=True)
        source, variants = folder / "source.vcf.gz", folder / "variants.vcf.gz"
        keys = ",".join(FIELDS)
        columns = ",".join(f"INFO/{key}" for key in FIELDS)
        ours, theirs = folder / "ours.vcf", folder / "theirs.vcf"
        commands = {
            "ours": [
                sys.executable,
                "-m",
                "genoformer_cli",
                "annotate",
                variants,
                "-a",
                f"S={source}:{keys}",
                "-q",
                "-o",
                ours,
            ],
            "theirs": ["bcftools", "annotate", "-a", source, "-c", columns, variants, "-o", theirs],
        }
        taken: dict[str, list[float]] = {key: [] for key in commands}
        memory: dict[str, float] = {}
        for _ in range(N_ROUNDS):
            for key, command in commands.items():
                seconds, memory[key] = run([str(word) for word in command])
                taken[key].append(seconds)
        differing = differences(ours, theirs)
    speed = {key: N_VARIANTS / median(values) for key, values in taken.items()}
    what = f"{N_VARIANTS:,} variants against a VCF of {N_RECORDS:,} records, five fields of INFO; processor time"
    return [
        faster(what, "bcftools annotate", speed["ours"], speed["theirs"], 1.0, "variants/s of one core"),
        Row(
            "peak memory",
            f"bcftools annotate: {memory['theirs']:.2f} GB",
            f"{memory['ours']:.2f} GB",
            f"< {MOST_MEMORY:g} GB",
            memory["ours"] < MOST_MEMORY,
        ),
        holds("records with other values", differing, 0, "bcftools annotate"),
    ]


def run(command: list[str]) -> tuple[float, float]:
    """Processor seconds and peak memory (GB) of a process."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}  # as users have it
    process = subprocess.Popen(command, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6


def differences(ours: Path, theirs: Path) -> int:
    """Return the number of records whose lines differ, but for the prefix of the keys."""
    n = 0
    with ours.open() as one, theirs.open() as other:
        lines = (line for line in one if line[0] != "#")
        expected = (line for line in other if line[0] != "#")
        for line, right in zip(lines, expected, strict=True):
            n += line.replace(";S_", ";") != right
    return n


def make(folder: Path) -> None:
    """Write the source, of which one record in ten is an insertion or deletion, and every n-th record of it as variants."""
    rng = np.random.default_rng(0)
    total = sum(CONTIGS.values())
    counts = [round(N_RECORDS * length / total) for length in CONTIGS.values()]
    counts[-1] += N_RECORDS - sum(counts)
    edges = np.cumsum([0, *counts])
    step = max(1, N_RECORDS // N_VARIANTS)
    source, variants = folder / "source.vcf", folder / "variants.vcf"
    with source.open("w") as out, variants.open("w") as few:
        for file, keys in ((out, FIELDS), (few, ())):
            file.write("##fileformat=VCFv4.2\n")
            file.writelines(f"##contig=<ID={name},length={length}>\n" for name, length in CONTIGS.items())
            file.write('##INFO=<ID=VT,Number=.,Type=String,Description="kind">\n')
            file.write('##INFO=<ID=AF_afr,Number=A,Type=Float,Description="frequency">\n' if keys else "")
            for key in keys:
                number, kind = ("1" if key == "AN" else "A"), ("Float" if key.startswith("AF") else "Integer")
                file.write(f'##INFO=<ID={key},Number={number},Type={kind},Description="{key} of the simulation">\n')
            file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for (name, length), (i, j) in zip(CONTIGS.items(), pairwise(edges.tolist()), strict=True):
            _write_contig(out, few, name, _positions(rng, length, j - i), i, step, rng)
    for path in (source, variants):
        pysam.tabix_compress(str(path), f"{path}.gz", force=True)
        pysam.tabix_index(f"{path}.gz", preset="vcf", force=True)
        path.unlink()


def _positions(rng: np.random.Generator, length: int, n: int) -> np.ndarray:
    """Return n different sorted positions."""
    steps = rng.integers(1, max(2, 2 * length // max(n, 1)), n)
    return np.minimum(np.cumsum(steps), length - 10 - np.arange(n)[::-1])


def _write_contig(
    out: TextIO, few: TextIO, name: str, positions: np.ndarray, first: int, step: int, rng: np.random.Generator
) -> None:
    n = len(positions)
    bases = "ACGT"
    ref, change, counts = rng.integers(0, 4, n).tolist(), rng.integers(1, 4, n).tolist(), rng.integers(1, 5_000, n).tolist()
    kinds = rng.random(n).tolist()
    for i, pos in enumerate(positions.tolist()):
        a, b, count = bases[ref[i]], bases[(ref[i] + change[i]) % 4], counts[i]
        alleles = f"{a}\t{b}" if kinds[i] > 0.1 else f"{a}{b}\t{a}" if kinds[i] > 0.05 else f"{a}\t{a}{b}{b}"
        values = (
            f"AC={count};AN=5008;AF={count / 5008:.6g};nhomalt={count % 7};AF_nfe={count / 7000:.5g};AF_afr={count / 6000:.5g}"
        )
        out.write(f"{name}\t{pos}\trs{first + i}\t{alleles}\t100\tPASS\t{values};VT=SNP\n")
        if (first + i) % step == 0:
            few.write(f"{name}\t{pos}\t.\t{alleles}\t.\tPASS\tVT=SNP\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(Path(sys.argv[2]))
    else:
        script(main)
