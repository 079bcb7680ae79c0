"""Windows of a real megabase of hg19: our codes beside what people use now. Run it as a script."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, data_folder, faster, holds, script, seconds

CONTIGS = {"chr1": (0, 1_000_000), "chr20": (1_000_000, 2_000_000)}
N_LONG, LONG = 16, 196_608  # Enformer's and Borzoi's scale
N_SHORT, SHORT = 2_000, 512  # DNABERT's scale
N_ROUNDS = 5
KIPOISEQ = "kipoiseq FastaStringExtractor + one_hot_dna"


def _least(length: int, is_plain: bool, peer: str) -> float | None:
    """The ratio that is asked for; none of bgzip."""
    if not is_plain:
        return None
    return 3.0 if length == SHORT else 15.0 if peer == KIPOISEQ else 1.0


def main() -> list[Row]:
    import pysam

    from genoformer.genome.reference import Genome

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from kipoiseq import Interval
        from kipoiseq.extractors import FastaStringExtractor
        from kipoiseq.transforms.functional import one_hot_dna
        from tangermeme.utils import one_hot_encode

    packed = data_folder() / "hg19" / "hg19.sparse.fa.gz"
    rng = np.random.default_rng(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "slices.fa"
        with pysam.FastaFile(str(packed)) as whole, plain.open("w") as file:
            for chrom, (begin, end) in CONTIGS.items():
                text = whole.fetch(chrom, begin, end)
                file.write(f">{chrom}\n" + "".join(f"{text[i : i + 60]}\n" for i in range(0, len(text), 60)))
        zipped = Path(folder) / "slices.fa.gz"
        pysam.tabix_compress(str(plain), str(zipped))

        for n, length in ((N_LONG, LONG), (N_SHORT, SHORT)):
            starts = rng.integers(0, 1_000_000 - length, n)
            near = np.sort(rng.integers(0, 20_000, n))  # as the variants of a sorted VCF
            for kind, path in (("plain", plain), ("bgzip", zipped)):
                genome = Genome(path)
                fasta = pysam.FastaFile(str(path))
                strings = FastaStringExtractor(str(plain), force_upper=True)  # it reads bgzip with BioPython only

                def ours(at: np.ndarray, genome: Any = genome, length: int = length) -> object:
                    if genome.name.endswith(".gz"):
                        genome.close()  # begin with no block in memory
                    return genome.windows("chr20", at, length)

                def pysam_peer(at: np.ndarray, fasta: Any = fasta, length: int = length) -> object:
                    return [one_hot_encode(fasta.fetch("chr20", s, s + length)) for s in at.tolist()]

                def kipoi_peer(at: np.ndarray, strings: Any = strings, length: int = length) -> object:
                    return [one_hot_dna(strings.extract(Interval("chr20", s, s + length))) for s in at.tolist()]

                places = [("at random", starts)] + ([("of a sorted VCF", near)] if length == SHORT else [])
                for where, at in places:
                    few = at[: max(2, n // 8)]  # kipoiseq is slow
                    tasks: dict[str, Callable[[], object]] = {
                        "ours": partial(ours, at),
                        "pysam fetch + tangermeme one_hot_encode": partial(pysam_peer, at),
                    }
                    if path == plain:
                        tasks[KIPOISEQ] = partial(kipoi_peer, few)
                    taken = seconds(tasks, N_ROUNDS)
                    n_bases = {name: length * len(few if name == KIPOISEQ else at) for name in tasks}
                    speed = {name: n_bases[name] / value / 1e6 for name, value in taken.items()}
                    what = f"{length:,} bp windows {where} as codes, {kind} FASTA"
                    rows += [
                        faster(what, name, speed["ours"], speed[name], _least(length, path == plain, name), unit="Mb/s")
                        for name in list(speed)[1:]
                    ]
                fasta.close()
                strings.close()
    return [*rows, *bigwigs()]


def bigwigs() -> list[Row]:
    """Windows of bigWig files as float32 with 0 for missing values: a real ChIP-seq track, and one with a value per base."""
    import pybigtools

    from genoformer.formats.bigwig import BigWig
    from genoformer.formats.bigwig_writer import new_bigwig

    rng, rows = np.random.default_rng(1), []
    with tempfile.TemporaryDirectory() as folder:
        dense = Path(folder) / "dense.bw"
        with new_bigwig(dense, {"chr22": 4_000_000}) as file:
            at = np.arange(4_000_000)
            file.add("chr22", at, at + 1, rng.random(len(at)).round(3))
        real = data_folder() / "hg19" / "chipseq_chr22" / "CTCF_chr22_treat_pileup.hg19.bw"
        for what, path, n in (("a real ChIP-seq track", real, 60), ("a track with a value per base", dense, 10)):
            track, peer = BigWig(path), pybigtools.open(str(path))
            starts = rng.integers(0, track.contigs["chr22"] - LONG, n).tolist()

            def ours(track: Any = track, starts: list[int] = starts) -> list[Any]:
                return [track.values("chr22", start, start + LONG) for start in starts]

            def theirs(peer: Any = peer, starts: list[int] = starts) -> list[Any]:
                return [peer.values("chr22", start, start + LONG, fillna=0).astype(np.float32) for start in starts]

            same = all(np.array_equal(a, b) for a, b in zip(ours(), theirs(), strict=True))
            taken = seconds({"ours": ours, "pybigtools": theirs}, N_ROUNDS)
            speed = {name: LONG * n / value / 1e6 for name, value in taken.items()}
            name = f"{LONG:,} bp windows of {what}, bigWig"
            rows.append(faster(name, "pybigtools values", speed["ours"], speed["pybigtools"], 1.0, unit="Mb/s"))
            rows.append(holds(f"{name}: the same numbers", same, True))
    return rows


if __name__ == "__main__":
    script(main)
