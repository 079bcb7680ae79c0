"""`genoformer annotate --motifs`: SNVs of a random genome against 800 matrices of random sites."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_lookups import run
from common import Row, holds, script

N_VARIANTS = int(os.environ.get("BENCH_SNVS", "20_000"))
N_MATRICES = 800
LEAST = 50_000  # SNVs per minute of two cores, so half of it per minute of processor time


def main() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder)
        command = [sys.executable, "-m", "genoformer_cli", "annotate", folder / "variants.vcf", "-f", folder / "genome.fa"]
        command += ["--motifs", folder / "motifs.meme", "-q", "-o", folder / "out.vcf"]
        seconds, memory = run([str(word) for word in command])
        begin = time.perf_counter()
        run([str(word) for word in [*command[:-1], folder / "two.vcf", "--workers", "2"]])
        wall = time.perf_counter() - begin
        same = (folder / "out.vcf").read_bytes() == (folder / "two.vcf").read_bytes()
    rate, of_two = 60 * N_VARIANTS / seconds, 60 * N_VARIANTS / wall
    return [
        Row(
            f"{N_VARIANTS:,} SNVs against {N_MATRICES} matrices, both strands; SNVs per minute of processor time",
            "",
            f"{rate:,.0f}",
            f">= {LEAST // 2:,}",
            rate >= LEAST // 2,
        ),
        Row(
            f"{N_VARIANTS:,} SNVs against {N_MATRICES} matrices by two workers; SNVs per minute",
            "",
            f"{of_two:,.0f}",
            f">= {LEAST:,}",
            of_two >= LEAST,
        ),
        holds("the same bytes by two workers", same, True),
        Row("peak memory", "", f"{memory:.2f} GB"),
    ]


def make(folder: Path) -> None:
    """Write a random genome, SNVs, and matrices of the widths that JASPAR has."""
    from genoformer.formats.motif_files import write_meme
    from genoformer.formats.motif_matrix import Matrix

    rng = np.random.default_rng(0)
    sequence = rng.integers(0, 4, 20 * N_VARIANTS)
    text = "".join("ACGT"[code] for code in sequence.tolist())
    (folder / "genome.fa").write_text(f">chr1\n{text}\n")
    with (folder / "variants.vcf").open("w") as file:
        file.write("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for start in sorted(rng.choice(len(text), N_VARIANTS, replace=False).tolist()):
            alt = "ACGT"[(sequence[start] + rng.integers(1, 4)) % 4]
            file.write(f"chr1\t{start + 1}\t.\t{text[start]}\t{alt}\t.\t.\t.\n")
    widths = np.clip(rng.normal(12.5, 4, N_MATRICES).round(), 6, 30).astype(int)
    matrices = [Matrix(f"m{i}", rng.dirichlet(np.full(4, 0.2), w), 100) for i, w in enumerate(widths.tolist())]
    write_meme(folder / "motifs.meme", matrices)


if __name__ == "__main__":
    script(main)
