"""Functions and files of genoformer that the scoring of one SNV calls: `python tests/benchmarks/walk.py [--list]`.

The walk is `score_variants(job)` for a VCF with one SNV, the score LLR and the demo model, after a first run, so that imports
and caches are warm. It counts the distinct functions and files of genoformer/ that Python's profiler sees, by package, and how
often the VCF is opened. The command line, the construction of the job, lambdas and comprehensions are not counted.

`--list` names every function, with the number of its calls and its callers.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from types import FrameType
from typing import Any

import genoformer as gf

PACKAGE = Path(gf.__file__).resolve().parent
N_BASES, POS = 5_000, 2_500


class Walk:
    """Profiler: functions of genoformer/ as (file, qualified name, first line), their calls, and their callers."""

    def __init__(self, vcf: Path) -> None:
        self.vcf = str(vcf)
        self.calls: Counter[tuple[str, str, int]] = Counter()
        self.callers: dict[tuple[str, str, int], set[str]] = defaultdict(set)
        self.n_opens = 0
        self.on = False
        sys.addaudithook(self._count_opens)  # a hook cannot be removed

    def __enter__(self) -> Walk:
        self.on = True
        sys.setprofile(self._note_call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self.on = False

    def _note_call(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(f"{PACKAGE}/") or code.co_qualname.endswith(">"):
            return
        key = (code.co_filename[len(str(PACKAGE)) + 1 :], code.co_qualname, code.co_firstlineno)
        self.calls[key] += 1
        if frame.f_back is not None:
            self.callers[key].add(frame.f_back.f_code.co_qualname)

    def _count_opens(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event == "open" and str(arguments[0]) == self.vcf:
            self.n_opens += 1


def one_snv(folder: Path) -> Path:
    """Write a genome of one contig and a VCF with one SNV; return the path of the VCF."""
    sequence = "".join(random.Random(0).choices("ACGT", k=N_BASES))
    (folder / "genome.fa").write_text(f">chr1\n{sequence}\n")
    ref = sequence[POS - 1]
    header = f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length={N_BASES}>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    vcf = folder / "one.vcf"
    vcf.write_text(f"{header}chr1\t{POS}\t.\t{ref}\t{'C' if ref == 'A' else 'A'}\t.\t.\t.\n")
    return vcf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="name every function, its calls and its callers")
    with_list = parser.parse_args().list
    with tempfile.TemporaryDirectory() as folder:
        vcf = one_snv(Path(folder))
        genome = str(vcf.with_name("genome.fa"))
        jobs = [gf.ScoringJob.from_names(str(vcf), genome, "demo", vcf.with_name(f"{i}.vcf"), scores="LLR") for i in range(2)]
        gf.score_variants(jobs[0])
        walk = Walk(vcf)
        with walk:
            gf.score_variants(jobs[1])
    files = Counter(file for file, _, _ in walk.calls)
    print(f"{len(walk.calls)} functions in {len(files)} files; the VCF is opened {walk.n_opens} times\n")
    packages: dict[str, list[int]] = defaultdict(list)
    for file, n in files.items():
        packages[file.partition("/")[0] if "/" in file else "(top)"].append(n)
    print("| package | functions | files |\n| --- | --- | --- |")
    for package, counts in sorted(packages.items(), key=lambda item: -sum(item[1])):
        print(f"| {package} | {sum(counts)} | {len(counts)} |")
    if with_list:
        for key in sorted(walk.calls):
            print(f"{key[0]}:{key[2]} {key[1]}: {walk.calls[key]}, from {', '.join(sorted(walk.callers[key]))}")


if __name__ == "__main__":
    main()
