"""mini-human: bits per base beside count models on held-out sequence."""

from __future__ import annotations

from common import Row, data_folder, script

MODEL = "mini-human"
TARGETS = {"chr22": 1.748, "chr1": 1.780}  # bits per base that the shipped model must be below
N_BASES = 20_000  # of each held-out contig


def main() -> list[Row]:
    from genoformer.formats.bed import read_bed
    from genoformer.genome.reference import Genome
    from genoformer.genome.regions import on_reference
    from genoformer.models import folders, registry
    from genoformer.training.config import TrainingConfig
    from genoformer.training.report import compare
    from genoformer.training.windows import Source

    data, manifest = data_folder(), folders.read_manifest(MODEL)
    assert manifest is not None
    genomes = {path.name: path for path in data.glob("hg*/*.fa.gz")}
    sources = [(Genome(genomes[g["fasta"]["name"]]), g) for g in manifest["genomes"]]
    black = {path.name: read_bed(path) for path in data.glob("hg*/annotation/*blacklist*.bed")}
    train = [Source(genome, list(g["train"]), on_reference(black[g["blacklist"]["name"]], genome)) for genome, g in sources]
    held = [Source(genome, [name]) for genome, g in sources for name in g["valid"]]
    plan = TrainingConfig(eval_bases=N_BASES, seed=17)
    found = compare(registry.load(MODEL), MODEL, train, held, plan).rows
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


if __name__ == "__main__":
    script(main)
