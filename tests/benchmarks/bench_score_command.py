"""VCF -> preflight -> scores -> VCF with a very small model: nothing lost, memory that does not grow, and the speed.

Then mini-human over records of chr20, by one process and by two. BENCH_RECORDS=100000 makes the long run a short one, and
BENCH_REGION=chr20 takes all 28,998 records for the processes (half an hour).
"""

from __future__ import annotations

import gzip
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import Row, data_folder, holds, script

N_RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))
LIMIT_REGION = "chr20:1000001-1100000"
REGION = os.environ.get("BENCH_REGION", LIMIT_REGION)  # for the processes
SHORT_REGION = "chr20:1000001-1010000"
_CHUNKS = 6  # of 40 records, in a round
MOST_MEMORY = 300  # MB above the start
N_DRIVER, MOST_DRIVER, MOST_GROWTH = 200_000, 150, 20  # records, and MB of the process that hands parts to workers
LEAST_SPEED = 30_000  # records/s, preflight and writing included
# of an SNV on both strands: 514 tokens through four layers and the keys and values of the fifth, 1.9e9, and attention to the
# tokens before, 0.2e9; fraction of the limit
OPERATIONS, LEAST_OF_LIMIT, SNVS_IN_ROUND = 2.1e9, 0.8, 120
MOST_TIME = 16  # times that of pysam, which copies the records
PAGE = os.sysconf("SC_PAGE_SIZE")


class Load(NamedTuple):
    """Time and memory of a run."""

    seconds: float
    memory: float  # the most above the start, in MB
    scored: int
    growth: float  # MB by which the most of the second half is above that of the first


def small_model() -> Any:
    """One layer, width 8, 3-mers, windows of 32 bases."""
    import torch

    from genoformer.models.transformer.config import EncoderConfig
    from genoformer.models.transformer.model import Encoder
    from genoformer.tokenizers import KmerTokenizer

    torch.manual_seed(1)
    tokenizer = KmerTokenizer(3)
    model = Encoder(
        EncoderConfig(n_vocab=tokenizer.n_vocab, width=8, n_layers=1, n_heads=1, ffn_width=16, max_tokens=40, context_length=32)
    )
    model.tokenizer = tokenizer
    return model.eval()


def main() -> list[Row]:
    data = data_folder()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [
            *chr20(data, folder),
            *hg38(data, folder),
            *million(data, folder),
            *driver(data, folder),
            *limit(data),
            *workers(data, folder),
        ]


def workers(data: Path, folder: Path) -> list[Row]:
    """The second core, with the model that ships, by processes that have begun: the same records to one and to two, in turn.

    A round is short, for the speed of a machine that others share may drift by a third within minutes.
    """
    from genoformer.compute.pools import LocalPool
    from genoformer.formats.vcf import open_vcf
    from genoformer.formats.vcf_selection import overlapping
    from genoformer.genome.contigs import ContigMap
    from genoformer.genome.reference import Genome
    from genoformer.genome.region_text import parse_region
    from genoformer.models import registry
    from genoformer.scoring.job import ScoringJob
    from genoformer.scoring.parts import chunks
    from genoformer.scoring.plan import score_variants
    from genoformer.scoring.workers import WorkerTask

    genome, model = Genome(data / "hg19" / "hg19.sparse.fa.gz"), registry.load("mini-human")
    source = data / "hg19" / "1000G.chr20_1000001-2000000.vcf.gz"
    with open_vcf(source) as file:
        lists = list(chunks(overlapping(file, parse_region(REGION, genome.contigs)), 40))
    jobs = {
        n: ScoringJob.from_names(
            source, genome, model, folder / f"{n}.vcf", workers=n, threads=1, region=SHORT_REGION, device="cpu"
        )
        for n in (1, 2)
    }
    task = WorkerTask(genome, jobs[1].scoring, jobs[1].runtime, ContigMap(["20"], genome.contigs), threads=1)
    seconds: dict[int, list[float]] = {1: [], 2: []}

    def run(pool: LocalPool, some: list[Any]) -> float:
        begin = time.perf_counter()
        left = [pool.submit(chunk) for chunk in some]
        while left:
            done = pool.next_done(left)
            pool.result(done)
            left.remove(done)
        return time.perf_counter() - begin

    with LocalPool(task, 1) as one, LocalPool(task, 2) as two:
        for pool in (one, two, two):
            run(pool, lists[:4])
        for first in range(0, len(lists) - _CHUNKS + 1, _CHUNKS):
            for n, pool in ((1, one), (2, two)) if first % 2 else ((2, two), (1, one)):
                seconds[n].append(run(pool, lists[first : first + _CHUNKS]))
    ratio = float(np.median(np.array(seconds[1]) / np.array(seconds[2])))
    n_records, n_rounds = sum(map(len, lists)), len(seconds[1])
    what = f"mini-human over {n_records:,} records of chr20, in {n_rounds} rounds"
    for n in seconds:
        score_variants(jobs[n])
    same = (folder / "1.vcf").read_bytes() == (folder / "2.vcf").read_bytes()
    speeds = ", ".join(f"{n}: {n_records / sum(of):.4g} records/s" for n, of in seconds.items())
    return [
        Row(f"{what}: two processes", "one process", f"{ratio:.3g}x", ">= 1.7x", ratio >= 1.7, speeds),
        holds("mini-human: the same bytes by both", same, True),
    ]


def limit(data: Path) -> list[Row]:
    """Speed of mini-human on one thread as a fraction of the limit of its arithmetic: records and matrix products in turn."""
    import torch
    import torch.nn.functional as F

    from genoformer import inference
    from genoformer.formats.vcf import open_vcf
    from genoformer.formats.vcf_selection import overlapping
    from genoformer.genome.contigs import ContigMap
    from genoformer.genome.reference import Genome
    from genoformer.genome.region_text import parse_region
    from genoformer.models import registry
    from genoformer.models.cpu_kernels import linear_as_convolution
    from genoformer.scoring.scorers import open_scorer
    from genoformer.scoring.scores import parse_scores
    from genoformer.scoring.settings import Scoring
    from genoformer.scoring.worker import score_records

    genome, model = Genome(data / "hg19" / "hg19.sparse.fa.gz"), registry.load("mini-human")
    with open_vcf(data / "hg19" / "1000G.chr20_1000001-2000000.vcf.gz") as file:
        records = [
            record
            for record in overlapping(file, parse_region(LIMIT_REGION, genome.contigs))
            if len(record.ref) == 1 and record.alts and all(alt in "ACGT" for alt in record.alts)
        ]
    lists = [records[i : i + SNVS_IN_ROUND] for i in range(0, len(records) - SNVS_IN_ROUND + 1, SNVS_IN_ROUND)]
    n_tokens = 2_048
    x, weight = torch.randn(n_tokens, model.config.width), torch.randn(model.config.ffn_width, model.config.width)
    fractions, speeds = [], []
    scoring = Scoring((model,), tuple(parse_scores("LLR")))
    with inference.threads(1), torch.inference_mode(), open_scorer(genome, scoring) as scorer:
        names = ContigMap(["20"], genome.contigs)
        score_records(lists[0], genome, scorer, names)
        for part in lists:
            rate = 0.0  # that of the faster library: MKL on processors of Intel, oneDNN on others
            for product in (F.linear, linear_as_convolution):
                begin = time.perf_counter()
                for _ in range(40):
                    product(x, weight, None)
                rate = max(rate, 40 * 2 * n_tokens * weight.numel() / (time.perf_counter() - begin))
            begin = time.perf_counter()
            score_records(part, genome, scorer, names)
            speeds.append(len(part) / (time.perf_counter() - begin))
            fractions.append(speeds[-1] * OPERATIONS / rate)
    fraction, speed = float(np.median(fractions)), float(np.median(speeds))
    what = f"mini-human over {sum(map(len, lists)):,} SNVs of chr20, both strands, one thread"
    peer = "its arithmetic, 2.1 GFLOP an SNV, at the rate of a matrix product of its shape"
    seen = f"{speed:.3g} of {speed / fraction:.3g} SNVs/s"
    return [Row(what, peer, f"{fraction:.0%}", f">= {LEAST_OF_LIMIT:.0%}", fraction >= LEAST_OF_LIMIT, seen)]


def chr20(data: Path, folder: Path) -> list[Row]:
    """Every record of a real VCF comes out as it went in."""
    source, output = data / "hg19" / "1000G.chr20_1000001-2000000.vcf.gz", folder / "chr20.vcf.gz"
    summary = score(source, data / "hg19" / "hg19.sparse.fa.gz", output)
    before, after = lines(source), lines(output)
    info = [(old.split("\t")[7], new.split("\t")[7]) for old, new in zip(before, after, strict=False)]
    others = [[line.split("\t")[:7] + line.split("\t")[8:] for line in file] for file in (before, after)]
    kept = others[0] == others[1] and all(new.startswith(old) for old, new in info)
    statuses = Counter(new.partition("GF_STATUS=")[2] for _, new in info)
    what = "1000 Genomes chr20"
    rows = [
        holds(f"{what}: records out", len(after), 28_998),
        holds(f"{what}: in order, with every field they had", kept, True),
        holds(f"{what}: SYMBOLIC", statuses["SYMBOLIC"], 24),
        holds(f"{what}: SYMBOLIC in the summary", summary.skipped.get("SYMBOLIC", 0), 24),
    ]
    if shutil.which("bcftools"):
        peer = "bcftools query"
        command = [*peer.split(), "-f", "%CHROM\t%POS\t%INFO/GF_LLR\n", str(output)]
        found = subprocess.run(command, check=False, capture_output=True, text=True)
        rows.append(holds(f"{what}: records read", found.stdout.count("\n"), len(before), peer))
        rows.append(holds(f"{what}: complaints", found.stderr.strip() or "none", "none", peer))
    return rows


def hg38(data: Path, folder: Path) -> list[Row]:
    """Contigs under other names, records outside the sequence, and REF and ALT swapped."""
    from genoformer.errors import PreflightError

    genome, output = data / "hg38" / "hg38.sparse.fa.gz", folder / "hg38.vcf"
    source = data / "hg38" / "1000G.chr21-22.sites.vcf.gz"
    summary = score(source, genome, output)
    try:
        score(data / "hg38" / "chr1_eqtl_flip.vcf", genome, folder / "flip.vcf")
        refused = "it was scored"
    except PreflightError:
        refused = "refused"
    what = "1000 Genomes chr21-22"
    return [
        holds(f"{what}: records out", len(lines(output)), 96_711),
        holds(f"{what}: scored", summary.scored, 273),
        holds("GTEx SNPs with REF and ALT swapped", refused, "refused"),
        holds("GTEx SNPs with REF and ALT swapped: files left", len(list(folder.glob("*flip*"))), 0),
    ]


def million(data: Path, folder: Path) -> list[Row]:
    """Memory and speed over many SNVs."""
    from genoformer.genome.reference import Genome

    fasta, vcf, copy = folder / "slice.fa", folder / "snvs.vcf", folder / "copy.vcf.gz"
    bases = Genome(data / "hg19" / "hg19.sparse.fa.gz").window("chr20", 1_000_000, 1_000_000)
    write_fasta(fasta, bases)
    write_snvs(vcf, bases, N_RECORDS)
    with multiprocessing.get_context("spawn").Pool(1) as fresh:  # a process whose memory holds nothing yet
        load = fresh.apply(watched, (vcf, fasta, folder / "scored.vcf.gz"))
    begin = time.perf_counter()
    copy_with_pysam(vcf, copy)
    theirs = time.perf_counter() - begin
    what = f"{N_RECORDS:,} SNVs"
    speed = N_RECORDS / load.seconds
    beside = "pysam: copying the records, one INFO value added, nothing scored"
    done = f"{what}: preflight, scores on one strand and one thread, output"
    ratio = load.seconds / theirs
    both = f"{speed:,.4g} and {N_RECORDS / theirs:,.4g} records/s"
    return [
        holds(f"{what}: scored", load.scored, N_RECORDS),
        Row(
            f"{what}: most memory above the start",
            "",
            f"{load.memory:.0f} MB",
            f"<= {MOST_MEMORY} MB",
            load.memory <= MOST_MEMORY,
        ),
        Row(done, "", f"{speed:,.0f} records/s", f">= {LEAST_SPEED:,} records/s", speed >= LEAST_SPEED),
        Row(f"{done}: time", beside, f"{ratio:.3g}x", f"<= {MOST_TIME}x", ratio <= MOST_TIME, both),
    ]


def driver(data: Path, folder: Path) -> list[Row]:
    """Memory of the process that hands parts to two workers and joins them."""
    from genoformer.genome.reference import Genome

    n = min(N_RECORDS, N_DRIVER)
    fasta, vcf = folder / "slice.fa", folder / "driven.vcf"
    bases = Genome(data / "hg19" / "hg19.sparse.fa.gz").window("chr20", 1_000_000, 1_000_000)
    write_fasta(fasta, bases)
    write_snvs(vcf, bases, n)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        load = fresh.submit(watched, vcf, fasta, folder / "driven.vcf.gz", 2).result()
    what = f"{n:,} SNVs by two workers: memory of their driver"
    return [
        holds(f"{n:,} SNVs by two workers: scored", load.scored, n),
        Row(what, "the start", f"{load.memory:.0f} MB more", f"<= {MOST_DRIVER} MB", load.memory <= MOST_DRIVER),
        Row(what, "the first half", f"{load.growth:.0f} MB more", f"<= {MOST_GROWTH} MB", load.growth <= MOST_GROWTH),
    ]


def score(vcf: Path, fasta: Path, output: Path, workers: int | None = None) -> Any:
    from genoformer.scoring.job import ScoringJob
    from genoformer.scoring.plan import score_variants

    options = {"strand": "forward", "device": "cpu"} | ({"workers": workers, "threads": 1} if workers else {})
    return score_variants(ScoringJob.from_names(vcf, fasta, small_model(), output, **options))


def watched(vcf: Path, fasta: Path, output: Path, workers: int | None = None) -> Load:
    """`score`, with an eye on the memory; what a first run loads and warms up does not count."""
    import torch

    torch.set_num_threads(1)  # so small a model spends more on handing work to a second one than on the work
    few = vcf.with_name("few.vcf")
    with vcf.open() as file:
        few.write_text("".join(file.readline() for _ in range(1_000)))
    score(few, fasta, output.with_name("few-scored.vcf.gz"))
    before, seen = resident(), [resident()]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            seen.append(resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    summary = score(vcf, fasta, output, workers)
    taken = time.perf_counter() - begin
    done.set()
    watcher.join()
    middle = len(seen) // 2
    growth = max(seen[middle:]) - max(seen[: max(1, middle)])
    return Load(taken, (max(seen) - before) / 1e6, summary.scored, growth / 1e6)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def lines(path: Path) -> list[str]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return [line.rstrip("\n") for line in file if not line.startswith("#")]


def write_fasta(path: Path, bases: np.ndarray) -> None:
    from genoformer.genome.codes import decode

    text = decode(bases)
    path.write_text(">chr20\n" + "".join(text[i : i + 60] + "\n" for i in range(0, len(text), 60)))


def write_snvs(path: Path, bases: np.ndarray, n: int) -> None:
    """n records in order, a base each; once every base has one, it gets a second one with another ALT."""
    letters = "ACGT"
    known = np.flatnonzero(bases < 4)
    at = known[np.sort(np.arange(n) % len(known))]
    with path.open("w") as file:
        file.write("##fileformat=VCFv4.2\n##contig=<ID=20>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for i, (place, base) in enumerate(zip(at.tolist(), bases[at].tolist(), strict=True)):
            alt = letters[(base + 1 + i % 3) % 4]
            file.write(f"20\t{place + 1}\trs{i}\t{letters[base]}\t{alt}\t.\tPASS\t.\n")


def copy_with_pysam(source: Path, output: Path) -> None:
    import pysam

    verbosity = pysam.set_verbosity(0)
    with pysam.VariantFile(str(source)) as file:
        file.header.info.add("X", "A", "Float", "A number.")
        with pysam.VariantFile(str(output), "wz", header=file.header) as out:
            for i, record in enumerate(file):
                record.info["X"] = (i / 7,)
                out.write(record)
    pysam.set_verbosity(verbosity)


if __name__ == "__main__":
    script(main)
