"""The probe of effects on saturation mutagenesis (MPRA): 16 elements of 14 loci, each locus held out.

The two elements of PKLR (24 and 48 hours) and of ZRS (two assays) have one sequence, and are held out together. The features
were designed on seven loci (`DESIGNED`), by leaving one of the seven out; the means over the elements of the other seven are
rows of their own. Scores of models are kept in `build/mpra_probe` and taken again (20 minutes on two cores);
`python bench_mpra_probe.py --without-models` reads bases and motifs alone. "assay FEW" is the inverse of the number of
barcodes: a property of the measurement, which no probe reads, and a measure of its noise.
"""

from __future__ import annotations

import csv
import gzip
import sys
from pathlib import Path

import numpy as np
from bench_variants import BASES
from common import Row, data_folder, script

OUT = Path(__file__).parents[2] / "build" / "mpra_probe"
SCORES = {"mini-human": "LLR,ENTROPY,L2", "mini-tracks": "SAR501,SAD501,D2,L2"}
DESIGNED = ("BCL11A", "FOXE1", "HBG1", "IRF6", "MYCrs11986220", "PKLR", "UC88")
TARGET = 0.25
SIGNED, SIZES = "Spearman", "Spearman of sizes"


def main() -> list[Row]:
    from genoformer.benchmarking.request import BenchmarkRequest
    from genoformer.benchmarking.run import run_benchmark

    OUT.mkdir(parents=True, exist_ok=True)
    fasta, vcf, table, barcodes = loci(data_folder() / "mpra")
    files = {} if "--without-models" in sys.argv else models(vcf, fasta)
    motifs = data_folder() / "motifs" / "hocomoco_v12_core.meme.gz"
    found = run_benchmark(
        BenchmarkRequest("mpra", table, fasta=fasta, score_files=files, ensemble="probe", motifs=motifs, out=OUT / "result")
    )
    noise = run_benchmark(BenchmarkRequest("mpra", table, fasta=fasta, score_files={"assay": barcodes}))
    own = [row for row in noise.to_dict()["rows"] if "baseline" not in row["model"]]
    return rows([*found.to_dict()["rows"], *own])


def rows(results: list[dict]) -> list[Row]:
    """Means over all elements and over those without a part in the design, and the values of each element."""
    values = {(r["metric"], r["subset"], r["model"]): r["value"] for r in results if r["metric"] in (SIGNED, SIZES)}
    models = list(dict.fromkeys(model for _, _, model in values))
    elements = list(dict.fromkeys(r["subset"] for r in results if r["subset"] != "mean of elements"))
    made = []
    for metric in (SIZES, SIGNED):
        for model in models:
            mean = values[metric, "mean of elements", model]
            is_probe = metric == SIZES and model == "probe of sizes"
            text = f"{mean['value']:.3f} ({mean['low']:.3f} to {mean['high']:.3f})"
            goal = (f">= {TARGET}", mean["value"] >= TARGET) if is_probe else ("", None)
            made.append(Row(f"{metric}, mean over {len(elements)} elements: {model}", "0: no relation", text, *goal))
            fresh = [e for e in elements if not e.startswith(DESIGNED)]
            of_fresh = np.mean([values[metric, e, model]["value"] for e in fresh])
            made.append(Row(f"the same, {len(fresh)} elements without a part in the design", "", f"{of_fresh:.3f}"))
    shown = ((SIZES, "probe of sizes"), (SIZES, "transversion (baseline)"), (SIGNED, "probe of effects"))
    for element in elements:
        texts = []
        for metric, model in shown:
            one = values[metric, element, model]
            texts.append(f"{model} {one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})")
        made.append(Row(f"{element}", "", ", ".join(texts)))
    return made


def models(vcf: Path, fasta: Path) -> dict[str, Path]:
    from genoformer.scoring.job import ScoringJob
    from genoformer.scoring.plan import score_variants

    found = {}
    for name, scores in SCORES.items():
        found[name] = OUT / f"{name}.tsv"
        if not found[name].exists():
            further = {"tracks": "CAGE,DNASE", "noise_places": 0} if name == "mini-tracks" else {}
            score_variants(ScoringJob.from_names(vcf, fasta, name, found[name], scores=scores, device="cpu", **further))
    return found


def loci(data: Path) -> tuple[Path, Path, Path, Path]:
    """A contig for each locus, the substitutions as a VCF, their effects as a table, and the inverse number of barcodes."""
    fasta, vcf, table, barcodes = (OUT / name for name in ("loci.fa", "loci.vcf", "effects.tsv", "barcodes.tsv"))
    contigs, of_element, starts = {}, {}, {}
    with gzip.open(data / "satmut_elements.GRCh38.fa.gz", "rt") as file:
        for record in file.read().split(">")[1:]:
            head, _, text = record.partition("\n")
            name, place = head.split()[:2]
            starts[name], of_element[name] = int(place.partition(":")[2].split("-")[0]), place.replace(":", "_")
            contigs[of_element[name]] = text.replace("\n", "").upper()
    fasta.write_text("".join(f">{place}\n{text}\n" for place, text in contigs.items()))
    effects = ["Chrom\tPos\tRef\tAlt\tCoefficient\tElement"]
    counts: dict[tuple[str, int, str, str], list[float]] = {}
    with gzip.open(data / "satmut_elements.tsv.gz", "rt") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if row["Release"] != "GRCh38" or row["Element"] not in starts or row["Ref"] not in BASES or row["Alt"] not in BASES:
                continue
            place, pos = of_element[row["Element"]], int(row["Pos"]) - starts[row["Element"]] + 1
            if 1 <= pos <= len(contigs[place]) and contigs[place][pos - 1] == row["Ref"]:
                effects.append("\t".join([place, str(pos), row["Ref"], row["Alt"], row["Coefficient"], row["Element"]]))
                counts.setdefault((place, pos, row["Ref"], row["Alt"]), []).append(float(row["Barcodes"]))
    table.write_text("\n".join([*effects, ""]))
    order = {place: i for i, place in enumerate(contigs)}
    keys = sorted(counts, key=lambda key: (order[key[0]], *key[1:]))
    head = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    vcf.write_text(head + "".join(f"{c}\t{p}\t.\t{r}\t{a}\t.\t.\t.\n" for c, p, r, a in keys))
    lines = [f"{c}\t{p}\t{r}\t{a}\t{1 / (1 + np.mean(counts[c, p, r, a])):.6f}" for c, p, r, a in keys]
    barcodes.write_text("\n".join(["chrom\tpos\tref\talt\tFEW", *lines, ""]))
    return fasta, vcf, table, barcodes


if __name__ == "__main__":
    script(main)
