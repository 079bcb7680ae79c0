"""mini-human: bits per base beside count models on held-out sequence, in all bases, inside repeats and outside.

The reference has no annotation of repeats, so sequence that occurs in many copies is found by counting, as WindowMasker does
(Morgulis et al. 2006). The target base takes no part in the decision, so that neither group is chosen by its bases.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from common import Row, data_folder, script
from numpy.typing import NDArray

if TYPE_CHECKING:
    from genoformer.models.token_model import TokenModel

MODEL = "mini-human"
TARGETS = {"chr1": 1.58, "chr22": 1.57}  # bits per base, at most
N_BASES = 20_000  # of each held-out contig
KMER, COPIES = 13, 10  # a 13-mer with at least 10 copies in the training sequence and its reverse complement is repeated
AROUND, SHARE = 100, 0.25  # a base is in a repeat if a quarter of the 13-mers within 100 bases that do not hold it are repeated
SHOWN = ("order 0", "order 5", "order 11", "4+4", "5+5")


class Measured(NamedTuple):
    """Bits of models [n_models, B] at bases of a held-out contig, the language model first, and which bases lie in repeats."""

    contig: str
    models: list[str]
    bits: NDArray[np.float64]
    inside: NDArray[np.bool_]


def main() -> list[Row]:
    from genoformer.models import registry
    from genoformer.training.curves import bits_rows

    rows = []
    for contig, models, bits, inside in measured(registry.load(MODEL)):
        for where, chosen in (("", inside | ~inside), (" inside repeats", inside), (" outside repeats", ~inside)):
            found = bits_rows(models, contig, bits[:, chosen])
            best = min(found[1:], key=lambda row: row.bits)
            for row in found:
                if row.model != MODEL and row.model not in SHOWN:
                    continue
                what = f"bits per base of {row.model} on {contig}{where} ({row.n:,} bases)"
                target = TARGETS[contig] if row.model == MODEL and not where else None
                peer = f"best count model: {best.model}, {best.bits:.3f}" if row.model == MODEL else ""
                met = None if target is None else row.bits <= target
                rows.append(Row(what, peer, f"{row.bits:.4f} ± {row.error:.4f}", f"<= {target}" if target else "", met))
    return rows


def measured(model: TokenModel) -> Iterator[Measured]:
    """Yield the bits of a model and of count models of its training sequence, on random bases of each held-out contig."""
    from genoformer.formats.bed import read_bed
    from genoformer.genome.reference import Genome
    from genoformer.genome.regions import on_reference
    from genoformer.models import folders
    from genoformer.training.bits_per_base import QueriedBases, queried_bases, true_base_bits
    from genoformer.training.kmer_baseline import CountModels, count_kmers
    from genoformer.training.windows import RandomWindows, Source, iter_unmasked

    data, manifest = data_folder(), folders.read_manifest(MODEL)
    assert manifest is not None
    genomes = {path.name: path for path in (*data.glob("hg*/*.fa.gz"), *data.glob("seq2track/*.fa.gz"))}
    sources = [(Genome(genomes[g["fasta"]["name"]]), g) for g in manifest["genomes"]]
    black = {path.name: read_bed(path) for path in data.glob("hg*/annotation/*blacklist*.bed")}
    train = [
        Source(genome, list(g["train"]), on_reference(black[g["blacklist"]["name"]], genome) if "blacklist" in g else {})
        for genome, g in sources
    ]
    length = model.config.context_length
    counts = CountModels.fit(iter_unmasked(train, length))
    copies = count_kmers(iter_unmasked(train, length), [KMER], both_strands=True)[KMER]
    held = [(genome, contig) for genome, g in sources for contig in g["valid"]]
    for i, (genome, contig) in enumerate(held):
        queried = queried_bases(RandomWindows([Source(genome, [contig])], length, 64, seed=19 + i), N_BASES)
        nearest = np.argsort(np.abs(queried.target - length // 2), kind="stable")  # as far as a cloze model reads
        queried = QueriedBases(queried.codes[nearest], queried.target[nearest])
        bits = np.vstack([true_base_bits(model, queried, 64)[None], counts.bits(queried.codes, queried.target)])
        yield Measured(contig, [MODEL, *counts.names], bits, in_repeats(queried.codes, queried.target, copies))


def in_repeats(codes: NDArray[np.uint8], target: NDArray[np.int64], copies: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which targets [B] of windows [B, L] lie in a repeat; copies [4^KMER]: counts of the training sequence."""
    digits, known = (codes & 3).astype(np.int32), codes < 4
    n = codes.shape[1] - KMER + 1
    number, whole = np.zeros((len(codes), n), dtype=np.int32), np.ones((len(codes), n), dtype=np.bool_)
    for i in range(KMER):
        number = number * 4 + digits[:, i : i + n]
        whole &= known[:, i : i + n]
    repeated = (copies[number] >= COPIES) & whole
    first = np.arange(n) - target[:, None]  # of each k-mer, relative to the target
    last = first + KMER - 1
    near = ((first > 0) & (last <= AROUND)) | ((last < 0) & (first >= -AROUND))
    return np.asarray((repeated & near).sum(1) >= SHARE * near.sum(1))


if __name__ == "__main__":
    script(main)
