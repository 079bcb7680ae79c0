"""`genoformer annotate` beside bedtools intersect: a million variants, ten files of 100,000 intervals, the same overlaps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from common import NotHere, Row, faster, holds

N_VARIANTS, N_FILES, N_INTERVALS = 1_000_000, 10, 100_000
N_ROUNDS = 5
MOST_MEMORY = 1.0  # GB


def main() -> list[Row]:
    if shutil.which("bedtools") is None:
        raise NotHere("bedtools is not installed (Debian package bedtools)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        vcf, beds, sizes = make(folder)
        beds_sorted = []
        for bed in beds:
            beds_sorted.append(folder / "sorted" / bed.name)
            beds_sorted[-1].parent.mkdir(exist_ok=True)
            with beds_sorted[-1].open("w") as out:
                subprocess.run(["sort", "-k1,1V", "-k2,2n", str(bed)], stdout=out, check=True)
        given = [argument for bed in beds for argument in ("-a", f"{bed.stem}={bed}")]
        written = folder / "ours.vcf"
        commands = {
            "ours": [sys.executable, "-m", "genoformer_cli", "annotate", str(vcf), "-q", *given, "-o", str(written)],
            "pairs": ["bedtools", "intersect", "-a", str(vcf), "-b", *map(str, beds), "-wa", "-wb", "-filenames"],
            "all": ["bedtools", "intersect", "-a", str(vcf), "-b", *map(str, beds), "-loj", "-filenames"],
            "sorted": [
                *("bedtools", "intersect", "-sorted", "-g", str(sizes), "-a", str(vcf), "-b"),
                *map(str, beds_sorted),
                *("-wa", "-wb", "-filenames"),
            ],
        }
        taken: dict[str, list[float]] = {key: [] for key in commands}
        memory: dict[str, float] = {}
        for _ in range(N_ROUNDS):
            for key, command in commands.items():
                seconds, memory[key] = run(command, folder / f"{key}.txt")
                taken[key].append(seconds)
        speed = {key: N_VARIANTS / median(values) for key, values in taken.items()}
        n_theirs = len((folder / "pairs.txt").read_bytes().splitlines())
        n_ours = sum(n_names(line.split("\t")[7]) for line in written.read_text().splitlines() if line[0] != "#")
    what = f"{N_VARIANTS:,} variants against {N_FILES} unsorted files of {N_INTERVALS:,} intervals, every record written with "
    what += "names, scores, signals and summits"
    unit = "variants/s"
    return [
        faster(what, "bedtools intersect -wa -wb: overlapping pairs only", speed["ours"], speed["pairs"], 1.0, unit),
        faster("the same", "bedtools intersect -loj: every record", speed["ours"], speed["all"], 1.0, unit),
        faster("the same", "bedtools intersect -sorted, on files sorted before", speed["ours"], speed["sorted"], None, unit),
        Row(
            "peak memory",
            f"bedtools -wa -wb: {memory['pairs']:.2f} GB; -sorted: {memory['sorted']:.2f} GB",
            f"{memory['ours']:.2f} GB",
            f"< {MOST_MEMORY:g} GB",
            memory["ours"] < MOST_MEMORY,
        ),
        holds("overlapping pairs", n_ours, n_theirs, "bedtools intersect"),
    ]


def n_names(info: str) -> int:
    """How many elements are named in INFO: the values of keys such as b3, not of b3_SCORE."""
    return sum(item.count(",") + 1 for item in info.split(";") if item[0] == "b" and "_" not in item)


def run(command: list[str], out: Path) -> tuple[float, float]:
    """Seconds and peak memory (GB) of a process."""
    with out.open("wb") as file:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=file)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return seconds, used.ru_maxrss / 1e6


def make(folder: Path) -> tuple[Path, list[Path], Path]:
    """Variants at random places of hg19's autosomes, sorted; files of peaks, every second one unsorted."""
    from genoformer.genome.assemblies import BUILDS

    lengths = {f"chr{name}": length for name, length in BUILDS["hg19"].items() if name.isdecimal()}
    names, sizes = list(lengths), np.array(list(lengths.values()))
    rng = np.random.default_rng(0)

    def places(n: int) -> tuple[list[str], list[int]]:
        contig = rng.choice(len(names), n, p=sizes / sizes.sum())
        at = (rng.random(n) * (sizes[contig] - 2_000)).astype(int) + 1
        order = np.lexsort((at, contig))
        return [names[i] for i in contig[order]], at[order].tolist()

    vcf = folder / "variants.vcf"
    with vcf.open("w") as file:
        file.write('##fileformat=VCFv4.2\n##INFO=<ID=AF,Number=A,Type=Float,Description="frequency">\n')
        file.writelines(f"##contig=<ID={name},length={length}>\n" for name, length in lengths.items())
        file.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for i, (chrom, pos) in enumerate(zip(*places(N_VARIANTS), strict=True)):
            file.write(f"{chrom}\t{pos}\trs{i}\tA\tG\t100\tPASS\tAC=1;AF=0.000199681;AN=5008;NS=2504;DP=18669\n")
    beds = []
    for k in range(N_FILES):
        beds.append(folder / f"b{k}.narrowPeak")
        chroms, starts = places(N_INTERVALS)
        order = rng.permutation(N_INTERVALS) if k % 2 else np.arange(N_INTERVALS)
        widths = rng.integers(150, 900, N_INTERVALS).tolist()
        with beds[-1].open("w") as file:
            for i in order.tolist():
                of = f"p{i}\t{i % 1000}\t.\t{i % 97 / 7:.4f}\t-1\t{i % 89 / 9:.3f}\t{widths[i] // 2}"
                file.write(f"{chroms[i]}\t{starts[i]}\t{starts[i] + widths[i]}\t{of}\n")
    genome = folder / "genome.sizes"
    genome.write_text("".join(f"{name}\t{length}\n" for name, length in lengths.items()))
    return vcf, beds, genome


if __name__ == "__main__":
    for row in main():
        print(row)
