"""`genoformer haplotypes` over a phased VCF of many samples, in the shape of the 1000 Genomes' chr22: time and memory.

The genotypes are simulated: each chromosome of a sample copies one of eight founders per block of 500,000 bases, so that few
haplotypes of a window differ, as identical ones are predicted once; what is measured is reading and joining them. The model is
a very small one with mini-tracks' window; BENCH_MODEL names another. BENCH_RECORDS, BENCH_SAMPLES and BENCH_REGIONS make the
run shorter.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import Row, holds, script

N_RECORDS = int(os.environ.get("BENCH_RECORDS", "10000"))
N_SAMPLES = int(os.environ.get("BENCH_SAMPLES", "3202"))
N_REGIONS = int(os.environ.get("BENCH_REGIONS", "100"))
MODEL = os.environ.get("BENCH_MODEL", "")
LENGTH, BLOCK, N_FOUNDERS = 31_000_000, 500_000, 8
MOST_SECONDS, MOST_MEMORY = 60, 1.0  # GB


class Load(NamedTuple):
    """Time and memory of a run, and its output."""

    seconds: float
    processor: float  # seconds
    memory: float  # the most, in GB
    n_rows: int
    n_sequences: int


def main() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate(folder)
        with multiprocessing.get_context("spawn").Pool(1) as fresh:
            load = fresh.apply(run, (folder,))
    what = f"haplotypes of {N_REGIONS} regions, {N_RECORDS:,} records of {N_SAMPLES:,} samples, {MODEL or 'a very small model'}"
    seen = f"{load.n_rows:,} rows from {load.n_sequences:,} sequences; {load.processor:.1f} s of processors"
    return [
        Row(what, "", f"{load.seconds:.1f} s", f"<= {MOST_SECONDS} s", load.seconds <= MOST_SECONDS, seen),
        Row(f"{what}: most memory", "", f"{load.memory:.2f} GB", f"<= {MOST_MEMORY:g} GB", load.memory <= MOST_MEMORY),
        holds(f"{what}: rows", load.n_rows, 3 * N_SAMPLES * N_REGIONS),
    ]


def simulate(folder: Path) -> None:
    """Write a genome, a phased VCF (bgzip) and regions."""
    import pysam

    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, LENGTH, dtype=np.uint8)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)
    with (folder / "genome.fa").open("wb") as file:
        file.write(b">chr22\n" + letters[codes].tobytes() + b"\n")
    positions = np.sort(rng.choice(np.arange(100, LENGTH - 100), N_RECORDS, replace=False))
    alts = (codes[positions] + rng.integers(1, 4, N_RECORDS)) % 4
    frequency = rng.beta(0.3, 1.0, N_RECORDS)  # most ALTs are rare
    founders = rng.random((N_RECORDS, N_FOUNDERS)) < frequency[:, None]
    copied = rng.integers(0, N_FOUNDERS, (LENGTH // BLOCK + 1, 2 * N_SAMPLES))  # the founder of each chromosome in each block
    text = np.frombuffer(b"\t0|0" * N_SAMPLES, dtype=np.uint8).reshape(N_SAMPLES, 4).copy()
    names = "\t".join(f"S{i}" for i in range(N_SAMPLES))
    with (folder / "in.vcf").open("wb") as file:
        head = f"##fileformat=VCFv4.2\n##contig=<ID=chr22,length={LENGTH}>\n"
        head += '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
        file.write(f"{head}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}\n".encode())
        for i, (at, alt) in enumerate(zip(positions.tolist(), alts.tolist(), strict=True)):
            carried = founders[i, copied[at // BLOCK]].astype(np.uint8)
            text[:, 1], text[:, 3] = ord("0") + carried[::2], ord("0") + carried[1::2]
            file.write(
                f"chr22\t{at + 1}\trs{i}\t{'ACGT'[codes[at]]}\t{'ACGT'[alt]}\t.\tPASS\t.\tGT".encode() + text.tobytes() + b"\n"
            )
    pysam.tabix_compress(str(folder / "in.vcf"), str(folder / "in.vcf.gz"), force=True)
    pysam.tabix_index(str(folder / "in.vcf.gz"), preset="vcf", force=True)
    (folder / "in.vcf").unlink()
    centres = np.linspace(100_000, LENGTH - 100_000, N_REGIONS).astype(int).tolist()
    (folder / "regions.bed").write_text("".join(f"chr22\t{at}\t{at + 200}\tr{i}\n" for i, at in enumerate(centres)))


def very_small_model() -> Any:
    """The window and the bins of mini-tracks, twelve channels, two tracks."""
    import torch

    from genoformer.models.enformer.model import Enformer, EnformerConfig

    torch.manual_seed(0)
    fields = {"width": 12, "n_blocks": 1, "n_heads": 1, "key_width": 6, "n_pools": 7, "divisible_by": 2}
    return Enformer(EnformerConfig(**fields, context_length=49_152, target_bins=256, heads={"tracks": 2})).eval()


def run(folder: Path) -> Load:
    from genoformer.formats.bed import Region
    from genoformer.scoring.haplotypes import score_haplotypes
    from genoformer.scoring.job import HaplotypeJob

    rows = [line.split("\t") for line in (folder / "regions.bed").read_text().splitlines()]
    regions = [Region(chrom, int(start), int(end), name) for chrom, start, end, name in rows]
    job = HaplotypeJob.from_names(
        folder / "in.vcf.gz",
        folder / "genome.fa",
        MODEL or very_small_model(),
        regions,
        folder / "out.tsv",
        device="cpu",
        strand="forward",
    )
    begin, used = time.perf_counter(), time.process_time()
    done = score_haplotypes(job)
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return Load(seconds, used, memory, done.n_rows, done.n_sequences)


if __name__ == "__main__":
    script(main)
