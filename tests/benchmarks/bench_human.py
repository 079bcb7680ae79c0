"""mini-human: bits per base beside count models on held-out sequence, its scores beside saturation mutagenesis (MPRA)."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from pathlib import Path

import numpy as np
from common import Row, data_folder, script

MODEL = "mini-human"
TARGETS = {"chr22": 1.748, "chr1": 1.780}  # bits per base that the shipped model must be below
N_BASES = 20_000  # of each held-out contig
BASES = "ACGT"


def main() -> list[Row]:
    return [*bits_per_base(), *mutagenesis()]


def bits_per_base() -> list[Row]:
    from genoformer.genome.reference import Genome
    from genoformer.genome.regions import on_reference, read_bed
    from genoformer.models import checkpoint
    from genoformer.training.config import TrainingConfig
    from genoformer.training.datasets import Source
    from genoformer.training.report import compare

    data, manifest = data_folder(), checkpoint.read_manifest(MODEL)
    assert manifest is not None
    genomes = {path.name: path for path in data.glob("hg*/*.fa.gz")}
    sources = [(Genome(genomes[g["fasta"]["name"]]), g) for g in manifest["genomes"]]
    black = {path.name: read_bed(path) for path in data.glob("hg*/annotation/*blacklist*.bed")}
    train = [Source(genome, list(g["train"]), on_reference(black[g["blacklist"]["name"]], genome)) for genome, g in sources]
    held = [Source(genome, [name]) for genome, g in sources for name in g["valid"]]
    plan = TrainingConfig(valid_bases=N_BASES, seed=17)
    found = compare(checkpoint.load(MODEL), MODEL, train, held, plan).rows
    rows = []
    for contig in dict.fromkeys(row.contig for row in found):
        here = [row for row in found if row.contig == contig]
        best = min((row for row in here if row.model != MODEL), key=lambda row: row.bits)
        for row in here:
            if row.model in (MODEL, "order 0", "order 5", "order 11", "4+4", "5+5"):
                what = f"bits per base of {row.model} on {contig} ({row.n:,} bases)"
                target = TARGETS.get(contig) if row.model == MODEL else None
                peer = f"best count model: {best.model}, {best.bits:.3f}" if row.model == MODEL else ""
                met = None if target is None else row.bits < target
                rows.append(Row(what, peer, f"{row.bits:.4f} ± {row.error:.4f}", f"< {target}" if target else "", met))
    return rows


def mutagenesis() -> list[Row]:
    """Spearman correlation of LLR and the log2 effect of every substitution, element by element."""
    from scipy.stats import spearmanr

    from genoformer import inference
    from genoformer.genome.codes import encode
    from genoformer.models import checkpoint

    data, model = data_folder() / "mpra", checkpoint.load(MODEL)
    with gzip.open(data / "satmut_elements.tsv.gz", "rt") as file:
        table = [row for row in csv.DictReader(file, delimiter="\t") if row["Release"] == "GRCh38"]
    effects: dict[str, list[tuple[int, str, str, float]]] = defaultdict(list)
    for row in table:
        if row["Ref"] in BASES and row["Alt"] in BASES:
            effects[row["Element"]].append((int(row["Pos"]) - 1, row["Ref"], row["Alt"], float(row["Coefficient"])))
    length, rho, n = model.config.context_length, {}, 0
    for name, start, text in _elements(data / "satmut_elements.GRCh38.fa.gz"):
        codes = np.concatenate([np.full(length, 4, np.uint8), encode(text), np.full(length, 4, np.uint8)])
        windows = np.lib.stride_tricks.sliding_window_view(codes, length)[length - length // 2 :][: len(text)]
        log2_p = inference.posteriors(model, np.ascontiguousarray(windows), np.full(len(windows), length // 2))
        known = [e for e in effects[name] if 0 <= e[0] - start < len(text) and text[e[0] - start] == e[1]]
        llr = [log2_p[at - start, BASES.index(alt)] - log2_p[at - start, BASES.index(ref)] for at, ref, alt, _ in known]
        rho[name] = spearmanr(-np.array(llr), [abs(effect) for *_, effect in known]).statistic
        n += len(known)
    value = f"median {np.median(list(rho.values())):.3f}, {min(rho.values()):.3f} to {max(rho.values()):.3f}"
    what = f"Spearman of -LLR and |log2 effect|, {n:,} substitutions in {len(rho)} elements (MPRA)"
    return [Row(what, "0: no relation", value)]


def _elements(path: Path) -> list[tuple[str, int, str]]:
    """Name, 0-based start and sequence of each element."""
    found = []
    with gzip.open(path, "rt") as file:
        for record in file.read().split(">")[1:]:
            head, _, text = record.partition("\n")
            name, place = head.split()[:2]
            found.append((name, int(place.partition(":")[2].split("-")[0]) - 1, text.replace("\n", "").upper()))
    return found


if __name__ == "__main__":
    script(main)
