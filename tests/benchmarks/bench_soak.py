"""A long scoring run that is killed and begun again: nothing lost, memory flat. By hand: python tests/benchmarks/bench_soak.py

200,000 records over real sequence (the 28,998 of chr20 and single-base changes at random places between them) are scored
with mini-human on the forward strand. For half an hour the run is killed at random moments (SIGKILL to all of its processes,
SIGTERM or SIGINT to the first) and begun again; then it is left to end. Then the output is compared with the input record by
record, and a stretch of it with an uninterrupted run.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pysam
from common import data_folder

from genoformer.formats.vcf import open_vcf
from genoformer.genome.codes import decode
from genoformer.genome.reference import Genome

N_RECORDS = 200_000
REGION = (1_000_000, 2_000_000)  # of chr20, what the sparse FASTA holds
CHECKED = "20:1500000-1506000"  # scored again without interruption


def write_input(path: Path, vcf: Path, fasta: Path, seed: int = 0) -> None:
    """The real records and SNVs at random places, in the order of their places."""
    rng = random.Random(seed)
    with open_vcf(vcf) as file:
        header, real = file.header, [record.line for record in file]
    with Genome(fasta) as genome:
        bases = decode(genome.windows("chr20", [REGION[0]], REGION[1] - REGION[0])[0])
    made: list[tuple[int, str]] = [(int(line.split("\t", 2)[1]), line.rstrip("\n")) for line in real]
    while len(made) < N_RECORDS:
        at = rng.randrange(len(bases))
        if bases[at] in "ACGT":
            alt = rng.choice([base for base in "ACGT" if base != bases[at]])
            place = REGION[0] + at + 1
            made.append((place, f"20\t{place}\ts{len(made)}\t{bases[at]}\t{alt}\t.\t.\t."))
    made.sort(key=lambda row: row[0])
    with pysam.BGZFile(str(path), "w", None) as out:
        out.write("".join(f"{line}\n" for line in [*header[:-1], "\t".join(header[-1].split("\t")[:8])]).encode())
        for _, line in made:
            fields = line.split("\t")[:8]
            out.write(("\t".join(fields) + "\n").encode())


def processes_of(leader: int) -> dict[int, int]:
    """Resident KB of the processes of a process group."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if os.getpgid(int(entry.name)) == leader:
                    status = (entry / "status").read_text()
                    found[int(entry.name)] = int(status.split("VmRSS:")[1].split()[0]) if "VmRSS:" in status else 0
            except (OSError, ProcessLookupError):
                continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--model", default="mini-human")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else ignored by all that is begun, where this runs behind an "&"
    given.folder.mkdir(parents=True, exist_ok=True)
    hg19 = data_folder() / "hg19"
    source, out = given.folder / "soak.vcf.gz", given.folder / "scored.vcf.gz"
    if not source.exists():
        write_input(source, hg19 / "1000G.chr20_1000001-2000000.vcf.gz", hg19 / "hg19.sparse.fa.gz")
    fasta = ["-f", str(hg19 / "hg19.sparse.fa.gz"), "-m", given.model, "--strand", "forward"]
    command = [sys.executable, "-m", "genoformer_cli", "score", str(source), *fasta, "-o", str(out), "--workers", "2"]
    moments = random.Random(1)
    begun, kills, runs, peaks = time.monotonic(), {"SIGKILL": 0, "SIGTERM": 0, "SIGINT": 0}, 0, []
    log = (given.folder / "log.txt").open("w")
    while not out.exists():
        child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=log)
        runs += 1
        killing = time.monotonic() - begun < given.minutes * 60
        until = time.monotonic() + (moments.uniform(10, 120) if killing else float("inf"))
        peak: list[int] = []
        while child.poll() is None and time.monotonic() < until:
            peak.append(sum(processes_of(child.pid).values()))
            time.sleep(1)
        if child.poll() is None:
            name = moments.choice(["SIGKILL", "SIGKILL", "SIGTERM", "SIGINT"])
            kills[name] += 1
            if name == "SIGKILL":
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.send_signal(getattr(signal, name))
            child.wait()
        elif child.returncode != 0:
            raise SystemExit(f"run {runs} ended by itself with {child.returncode}; see {log.name}")
        for _ in range(60):
            if not (left := processes_of(child.pid)):
                break
            time.sleep(0.5)
        assert not left, f"processes stay behind: {left}"
        peaks.append((len(peak), peak))
        print(f"{(time.monotonic() - begun) / 60:.1f} min: run {runs}, {max(peak, default=0) / 1024:.0f} MB", flush=True)
    seconds = time.monotonic() - begun
    compare(source, out)
    again = given.folder / "again.vcf"
    subprocess.run([*command[:5], *fasta, "-o", str(again), "-r", CHECKED, "-q"], check=True)
    largest, n = difference(again, out)
    long = [peak for n_seen, peak in peaks if n_seen > 20]
    last = long[-1]
    half = len(last) // 2
    print(
        f"{date.today()}: {N_RECORDS:,} records in {seconds / 60:.0f} min, {runs} runs, killed {kills}; nothing lost; "
        f"{n:,} records of an uninterrupted run differ by at most {largest:g}; resident MB of all processes, runs of more than "
        f"20 s: largest {max(max(p) for p in long) / 1024:.0f}, median of the largest of each "
        f"{statistics.median(max(p) for p in long) / 1024:.0f}; the last run: first half {max(last[:half]) / 1024:.0f}, "
        f"second half {max(last[half:]) / 1024:.0f}"
    )


def compare(source: Path, out: Path) -> None:
    """Every record of the input is in the output, in order, with all it had, and with a score or a reason."""
    with pysam.BGZFile(str(source), "r", None) as a, pysam.BGZFile(str(out), "r", None) as b:
        before = (line for line in a if not line.startswith(b"#"))
        after = (line for line in b if not line.startswith(b"#"))
        n = 0
        for first, second in zip(before, after, strict=True):
            x, y = first.split(b"\t"), second.split(b"\t")
            assert x[:7] == y[:7], (x, y)
            info = x[7].strip()
            assert info == b"." or y[7].startswith(info), (x, y)
            assert b"GF_LLR=" in y[7] or b"GF_PLL=" in y[7] or b"GF_STATUS=" in y[7], y
            n += 1
    assert n == N_RECORDS, n


def difference(again: Path, out: Path) -> tuple[float, int]:
    """The largest difference of a score between two outputs, over the records of the first."""
    chosen: dict[tuple[str, ...], str] = {}
    with pysam.BGZFile(str(out), "r", None) as file:
        for row in file:
            if not row.startswith(b"#"):
                fields = row.decode().rstrip("\n").split("\t")
                chosen[tuple(fields[:5])] = fields[7]
    largest, n = 0.0, 0
    for line in again.read_text().splitlines():
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        n += 1
        for key in ("GF_LLR=", "GF_PLL="):
            infos = (fields[7], chosen[tuple(fields[:5])])
            pair = [[part for part in text.split(";") if part.startswith(key)] for text in infos]
            assert len(pair[0]) == len(pair[1]), fields
            for x, y in zip(*pair, strict=True):
                for u, v in zip(x.removeprefix(key).split(","), y.removeprefix(key).split(","), strict=True):
                    assert (u == ".") == (v == "."), fields
                    if u != ".":
                        largest = max(largest, abs(float(u) - float(v)))
    return largest, n


if __name__ == "__main__":
    main()
