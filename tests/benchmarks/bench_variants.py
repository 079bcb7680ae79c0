"""Scores beside measured effects: saturation mutagenesis (MPRA) of 16 elements, and causal variants of a simulated world.

The elements stand alone: 600 bases or less between N, so that mini-tracks, which reads 49,152, sees little of what it knows.
Beside the models stand what needs none: distance to the middle of the element, transversion or not, and the log ratio of both
alleles under a count model (5 bases on either side) of the human slices that mini-human was trained on.

Scores are kept in `build/variants` and taken again.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
from common import Row, data_folder, script

OUT = Path(__file__).parents[2] / "build" / "variants"
BASES = "ACGT"
TRANSITIONS = ({"A", "G"}, {"C", "T"})
TRACK_SCORES = "SAD,SAR501,D2"


def main() -> list[Row]:
    OUT.mkdir(parents=True, exist_ok=True)
    return [*mutagenesis(), *simulated()]


def mutagenesis() -> list[Row]:
    from genoformer.evaluation.truth import read_truth
    from genoformer.evaluation.variants import evaluate_variants, write_evaluation

    fasta, vcf, table = elements(data_folder() / "mpra")
    truth = read_truth(table, "effect", element="element")
    scores = models(vcf, fasta) | baselines(vcf, fasta)
    found = evaluate_variants(scores, truth)
    write_evaluation(OUT / "mpra", found)
    rows = []
    for name, mean in found.means.items():
        of = {element: x["spearman_abs"].value for element, x in found.metrics[name].items() if element != "all"}
        n = found.counted("all")
        what = f"Spearman of the sizes of score and log2 effect, mean over {len(of)} elements (MPRA, {n} SNVs)"
        rows.append(Row(f"{what}: {name}", "0: no relation", str(mean["spearman_abs"])))
    for element in sorted({element for of in found.metrics.values() for element in of} - {"all"}):
        of = {name: x[element]["spearman_abs"].value for name, x in found.metrics.items() if element in x}
        each = ", ".join(f"{name} {value:.2f}" for name, value in of.items())
        rows.append(Row(f"the same, {element} ({found.counted(element)} SNVs)", "", each))
    return rows


def simulated() -> list[Row]:
    """The demo's world: variants that break a planted motif against neutral ones."""
    from importlib.resources import files

    from genoformer.evaluation.truth import read_truth
    from genoformer.evaluation.variants import evaluate_variants

    world = Path(str(files("genoformer_data"))) / "demo"
    truth = read_truth(world / "truth.tsv.gz", "truth", positive="MOTIF_BREAKING")
    scores = models(world / "variants.vcf.gz", world / "genome.fa.gz", ("demo", "mini-human", "mini-tracks"))
    found = evaluate_variants(scores, truth)
    what = f"AUROC of the size of the score, variants that break a planted motif, simulated world ({found.counted('all')})"
    return [Row(f"{what}: {name}", "0.5: chance", str(of["all"]["auroc"])) for name, of in found.metrics.items()]


def models(vcf: Path, fasta: Path, names: tuple[str, ...] = ("mini-human", "mini-tracks")) -> dict[str, dict]:
    from genoformer.evaluation.variants import read_scores
    from genoformer.models import registry
    from genoformer.models.base import SCORES_VARIANTS, PredictsTracks, has
    from genoformer.scoring.job import ScoringJob
    from genoformer.scoring.plan import score_variants

    found: dict[str, dict] = {}
    for name in names:
        model = registry.load(name, SCORES_VARIANTS)
        options = {"scores": TRACK_SCORES, "noise_places": 0} if has(model, PredictsTracks) else {"scores": "LLR"}
        out = OUT / f"{vcf.name.partition('.')[0]}.{name}.tsv"
        if not out.exists():
            score_variants(ScoringJob.from_names(vcf, fasta, model, out, device="cpu", **options))
        found |= {f"{name} {score}": of for score, of in read_scores(out).items()}
    return found


def baselines(vcf: Path, fasta: Path) -> dict[str, dict]:
    from genoformer.formats.vcf import open_vcf
    from genoformer.genome.contigs import canonical_key
    from genoformer.genome.reference import Genome
    from genoformer.models import folders
    from genoformer.training.kmer_baseline import Context, CountModels

    genome, manifest = Genome(fasta), folders.read_manifest("mini-human")
    assert manifest is not None
    genomes = {path.name: path for path in data_folder().glob("hg*/*.fa.gz")}
    slices = [(Genome(genomes[g["fasta"]["name"]]), name) for g in manifest["genomes"] for name in g["train"]]
    counts = CountModels.fit((source.window(name, 0, source.contigs[name]) for source, name in slices), [Context(5, 5)])
    found: dict[str, dict] = {name: {} for name in ("nearness to the middle", "transversion", "counts 5+5 LLR")}
    with open_vcf(vcf) as file:
        for record in file:
            for alt in record.alts:
                key = (canonical_key(record.chrom), record.pos, record.ref, alt)
                found["nearness to the middle"][key] = -abs(record.pos - genome.contigs[record.chrom] / 2)
                found["transversion"][key] = float({record.ref, alt} not in TRANSITIONS)
                window = genome.window(record.chrom, record.pos - 6, 11)
                pair = np.stack([window, window])
                pair[1, 5] = BASES.index(alt)
                bits = counts.bits(pair, np.array([5, 5]))[0]  # of a context: [ref, alt]
                found["counts 5+5 LLR"][key] = float(bits[0] - bits[1])
    nearness = found["nearness to the middle"]
    low = min(nearness.values())
    found["nearness to the middle"] = {key: value - low for key, value in nearness.items()}  # |score| is looked at
    return found


def elements(data: Path) -> tuple[Path, Path, Path]:
    """Each element as a contig of its own, its SNVs as a VCF, their effects as a table."""
    fasta, vcf, table = OUT / "elements.fa", OUT / "mpra.vcf", OUT / "mpra.tsv"
    texts, starts = {}, {}
    with gzip.open(data / "satmut_elements.GRCh38.fa.gz", "rt") as file:
        for record in file.read().split(">")[1:]:
            head, _, text = record.partition("\n")
            name, place = head.split()[:2]
            texts[name], starts[name] = text.replace("\n", "").upper(), int(place.partition(":")[2].split("-")[0])
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    rows = []
    with gzip.open(data / "satmut_elements.tsv.gz", "rt") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["Release"] == "GRCh38" and row["Ref"] in BASES and row["Alt"] in BASES and row["Element"] in texts:
                pos = int(row["Pos"]) - starts[row["Element"]] + 1
                if 1 <= pos <= len(texts[row["Element"]]) and texts[row["Element"]][pos - 1] == row["Ref"]:
                    rows.append((row["Element"], pos, row["Ref"], row["Alt"], row["Coefficient"]))
    order = list(texts)
    rows.sort(key=lambda row: (order.index(row[0]), row[1]))
    head = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    vcf.write_text(head + "".join(f"{c}\t{p}\t.\t{r}\t{a}\t.\t.\t.\n" for c, p, r, a, _ in rows))
    lines = (f"{c}\t{p}\t{r}\t{a}\t{e}\t{c}\n" for c, p, r, a, e in rows)
    table.write_text("chrom\tpos\tref\talt\teffect\telement\n" + "".join(lines))
    return fasta, vcf, table


if __name__ == "__main__":
    script(main)
