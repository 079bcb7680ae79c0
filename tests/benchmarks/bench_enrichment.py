"""Enrichment: sets of variants in which 1x, 2x and 5x is planted, from files to the table; and lead SNPs of the GWAS catalog.

The planted world is real: all bases of chr20:1,000,000-2,000,000 of hg19, the union of nine TF ChIP-seq peak sets, the
sequence's GC and GENCODE's start sites; so the share of bases in peaks is known exactly for every stratum of both. A variant
is a random base; with the share of its stratum, times what is planted, it is moved into a peak of the stratum, else outside.
Variants and controls are of strata of which less than a fifth is in peaks, so that five times the share is one.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from common import Row, data_folder

N_SEEDS, N_MORE = 100, 300  # the sets that are asked for, and others, which tell the coverage better
N_VARIANTS, N_CONTROLS = 1_000, 20_000
FOLDS = (1, 2, 5)
LEAST_COVERED = 93  # of 100
FIRST, LAST = 1_000_000, 2_000_000
FIGURE = Path(__file__).with_name("gwas_enrichment.png")
FIGURES = {FIGURE: "Lead SNPs of the GWAS catalog beside random places at equal distances to start sites"}


def main() -> list[Row]:
    return [*planted(), *catalog()]


def planted() -> list[Row]:
    from scipy import stats

    from genoformer import annotation
    from genoformer.annotation.matching import Described, covariates, coverage, membership, stratify
    from genoformer.annotation.study import enrich_variants
    from genoformer.annotation.variant_regions import VariantRegions
    from genoformer.genome.reference import Genome

    hg19 = data_folder() / "hg19"
    genome = Genome(hg19 / "hg19.sparse.fa.gz")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        annotations = annotation.read_annotations(
            [union_of_peaks(hg19, folder)], tss=hg19 / "annotation" / "wgEncodeGencodeBasicV19.txStart.bed.gz"
        )
        starts = np.arange(FIRST, LAST)
        nothing = np.full(len(starts), np.nan)
        none = np.full(len(starts), -1, dtype=np.int32)
        every = VariantRegions("all", ("chr20",), none + 1, starts, starts + 1, nothing, nothing, none)
        values = covariates(every, ["tss", "gc"], annotations, genome)
        described = Described(every, values, coverage(every, annotations))
        stratum = stratify(described, described, {"tss": 1, "gc": 1}).variants
        inside = membership(every, annotations)[1][:, 0]
        groups = [
            np.split(
                np.flatnonzero(inside == side)[np.argsort(stratum[inside == side], kind="stable")],
                np.cumsum(np.bincount(stratum[inside == side], minlength=stratum.max() + 1))[:-1],
            )
            for side in (False, True)
        ]
        share = np.array([len(b) / max(1, len(a) + len(b)) for a, b in zip(*groups, strict=True)])
        usable = share[stratum] * max(FOLDS) < 1  # where five times the share is a share
        for fold in FOLDS:
            held, p, estimates, observed = [], [], [], []
            for seed in range(N_SEEDS + N_MORE):
                rng = np.random.default_rng([seed, fold])
                of = stratum[rng.choice(np.flatnonzero(usable), N_VARIANTS)]
                moved = rng.random(N_VARIANTS) < share[of] * fold
                chosen = np.array([rng.choice(groups[int(m)][s]) for s, m in zip(of.tolist(), moved.tolist(), strict=True)])
                write(folder / "variants.vcf", np.unique(chosen), rng)
                write(folder / "controls.vcf", np.sort(rng.choice(np.flatnonzero(usable), N_CONTROLS, replace=False)), rng)
                study = enrich_variants(folder / "variants.vcf", annotations, folder / "controls.vcf", genome=genome, seed=seed)
                assert study.matched_on == ["af", "tss", "gc"]
                found = study.compared[0].enrichment
                held.append(bool(found.low[0] <= fold <= found.high[0]))
                p.append(found.p[0])
                estimates.append(found.fold[0])
                observed.append(int(found.observed[0]))
            what = (
                f"{fold}x planted, {N_VARIANTS:,} variants, {N_CONTROLS:,} controls matched on frequency, TSS distance and GC"
            )
            median = f"median estimate {np.median(estimates):.2f}, median of {int(np.median(observed))} overlaps"
            first, more = sum(held[:N_SEEDS]), sum(held[N_SEEDS:])
            name = f"{what}: 95 % intervals that hold it"
            rows.append(Row(f"{name}, of {N_SEEDS}", median, str(first), f">= {LEAST_COVERED}", first >= LEAST_COVERED))
            rows.append(Row(f"the same, of {N_MORE} other sets", "", f"{more} ({more / N_MORE:.1%})"))
            if fold == 1:
                what = "P at 1x: Kolmogorov-Smirnov against uniform"
                test = stats.kstest(p[:N_SEEDS], "uniform")
                asked = ("> 0.01", bool(test.pvalue > 0.01))
                rows.append(Row(what, f"{N_SEEDS} sets, D = {test.statistic:.3f}", f"P = {test.pvalue:.2g}", *asked))
                test = stats.kstest(p[N_SEEDS:], "uniform")
                small = float(np.mean(np.array(p[N_SEEDS:]) <= 0.05))
                rows.append(
                    Row(
                        "the same; P counts sets with as many overlaps, too, so that it has steps and errs to the safe side",
                        f"{N_MORE} other sets, D = {test.statistic:.3f}; P <= 0.05 in {small:.1%}",
                        f"P = {test.pvalue:.2g}",
                    )
                )
    return rows


def union_of_peaks(hg19: Path, folder: Path) -> str:
    """The nine peak sets as one file."""
    from genoformer.formats.bed import read_bed
    from genoformer.genome.regions import merge

    peaks = [read_bed(path)["chr20"] for path in sorted((hg19 / "annotation" / "tf_chip").glob("*.gz"))]
    (folder / "peaks.bed").write_text("".join(f"chr20\t{a}\t{b}\n" for a, b in merge(np.concatenate(peaks)).tolist()))
    return f"PEAKS={folder / 'peaks.bed'}"


def write(path: Path, places: np.ndarray, rng: np.random.Generator) -> None:
    """A VCF of bases of the slice, with frequencies as those of a population: many rare ones."""
    frequency = np.clip(rng.beta(0.3, 2.0, len(places)), 0.0005, 0.9995)
    with path.open("w") as file:
        file.write("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        for pos, af in zip((places + FIRST + 1).tolist(), frequency.tolist(), strict=True):
            file.write(f"20\t{pos}\t.\tN\tA\t.\t.\tAF={af:.5f}\n")


def catalog() -> list[Row]:
    from genoformer import annotation
    from genoformer.annotation.figures import controls_figure
    from genoformer.annotation.random_regions import read_sizes
    from genoformer.annotation.study import enrich_variants
    from genoformer.annotation.study_result import describe
    from genoformer.files import save_figure
    from genoformer.formats.bed import read_bed
    from genoformer.genome.reference import Genome

    hg19 = data_folder() / "hg19"
    folder = hg19 / "annotation"
    given = [
        f"PROMOTER={folder / 'wgEncodeGencodeBasicV19.promoter.merged.bed.gz'}",
        f"CPG={folder / 'cpgisland.bed.gz'}",
        *(f"{path.name.removesuffix('.narrowPeak.gz')}={path}" for path in sorted((folder / "tf_chip").glob("*.gz"))),
    ]
    tss = folder / "wgEncodeGencodeBasicV19.txStart.bed.gz"
    leads = hg19 / "gwasCatalog_2014-07-09.bed.gz"
    blocked: dict[str, list[np.ndarray]] = {}
    for path in (folder / "hg19_gaps.bed", folder / "hg19-blacklist.v2.bed"):
        for contig, intervals in read_bed(path).items():
            blocked.setdefault(contig, []).append(intervals)
    exclude = {contig: np.concatenate(parts) for contig, parts in blocked.items()}
    rows = []
    for title, options in (
        ("matched on TSS distance", {}),
        ("matched on TSS distance, one lead SNP in 100 kb", {"prune": 100_000}),
        ("not matched", {"match_on": []}),
    ):
        annotations = annotation.read_annotations(given, tss=tss)
        study = enrich_variants(leads, annotations, sizes=read_sizes("hg19"), exclude=exclude, **options)
        (compared,) = study.compared
        e = compared.enrichment
        for i, name in enumerate(study.annotations):
            rows.append(
                Row(
                    f"GWAS lead SNPs, {title}: {name}",
                    f"{e.observed[i]:,} of {e.n[i]:,} beside {e.expected[i]:,.1f} expected",
                    f"{e.fold[i]:.2f}x ({e.low[i]:.2f} to {e.high[i]:.2f}), P = {e.p[i]:.2g}, q = {e.q[i]:.2g}",
                )
            )
        if not options:
            save_figure(controls_figure(study, compared), FIGURE)
    study = enrich_variants(
        leads,
        annotation.read_annotations(given, tss=tss),
        hg19 / "1000G.chr20_1000001-2000000.vcf.gz",
        genome=Genome(hg19 / "hg19.sparse.fa.gz"),
    )
    (compared,) = study.compared
    n = compared.n_variants - sum(compared.unmatched.values())
    e = compared.enrichment
    rows.append(
        Row(
            "GWAS lead SNPs with 1000 Genomes frequencies (chr20:1-2 Mb only), matched on frequency, TSS distance and GC",
            f"unmatched: {'; '.join(f'{why}: {count:,}' for why, count in compared.unmatched.items())}",
            f"{n} matched; overlaps of all annotations {int(e.observed.sum())} beside {e.expected.sum():.2f} expected: too few",
        )
    )
    assert describe(study)
    return rows


if __name__ == "__main__":
    for row in main():
        print(row)
