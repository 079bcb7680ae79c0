"""The whole pipeline on the bundled simulated dataset: VCF -> scores -> AUROC against the truth -> a figure."""

from __future__ import annotations

import gzip
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from genoformer import plots
from genoformer.evaluation import Estimate, auroc, bootstrap
from genoformer.evaluation.correlations import correlate
from genoformer.files import make_folder, save_figures
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_records import parse_info
from genoformer.genome.reference import Genome
from genoformer.inference.base_probabilities import posteriors_in
from genoformer.models import registry
from genoformer.models.transformer.model import Encoder
from genoformer.progress import ProgressCallback
from genoformer.scoring.job import ScoringJob
from genoformer.scoring.plan import Summary, score_variants

_LOGO_FLANK = 12  # bases on each side of the motif


class Case(NamedTuple):
    """An ALT of the demo VCF with its truth."""

    chrom: str
    pos: int
    breaking: bool
    is_snv: bool
    bits: float  # bits of the motif's matrix that the variant removes
    score: float  # LLR of an SNV, PLL of an insertion or deletion


class DemoResult(NamedTuple):
    folder: Path
    summary: Summary
    snvs: Estimate
    indels: Estimate
    n_breaking: int
    n_neutral: int

    def text(self) -> str:
        """Return the text that the command prints."""
        return (
            f"AUROC {self.snvs}: LLR, {self.n_breaking:,} SNVs that break a planted motif against "
            f"{self.n_neutral:,} neutral ones\n"
            f"AUROC of insertions and deletions (PLL): {self.indels}\n"
            f"{self.folder / 'scored.vcf.gz'}: {self.summary.records:,} records with their scores\n"
            f"{self.folder / 'demo.png'}: the figure"
        )


def run_demo(folder: Path, *, progress: ProgressCallback = None) -> DemoResult:
    """Score the bundled VCF with the bundled model; write scored.vcf.gz and demo.png into `folder`."""
    world = Path(str(files("genoformer_data"))) / "demo"
    make_folder(folder)
    genome, model = Genome(world / "genome.fa.gz"), registry.load("demo")
    scored = folder / "scored.vcf.gz"
    summary = score_variants(ScoringJob.from_names(world / "variants.vcf.gz", genome, "demo", scored), progress=progress)
    cases = read_cases(scored)
    snvs = [case for case in cases if case.is_snv]
    indels = [case for case in cases if not case.is_snv]
    snv_auroc, indel_auroc = (
        bootstrap(auroc, [c.breaking for c in group], [-c.score for c in group]) for group in (snvs, indels)
    )
    draw(folder / "demo.png", snvs, snv_auroc, genome, model, world / "motifs.bed.gz")
    n_breaking = sum(case.breaking for case in snvs)
    return DemoResult(folder, summary, snv_auroc, indel_auroc, n_breaking, len(snvs) - n_breaking)


def read_cases(scored: Path) -> list[Case]:
    """Return the scored ALTs of a simulated VCF with their truth."""
    cases = []
    with open_vcf(scored) as file:
        for record in file:
            info = parse_info(record)
            for i, alt in enumerate(record.alts):
                is_snv = len(record.ref) == len(alt) == 1
                value = info.get("GF_LLR" if is_snv else "GF_PLL", ".").split(",")
                if value[i % len(value)] != ".":
                    bits = info.get("BITS", ".").split(",")[i]
                    number = 0.0 if bits == "." else float(bits)
                    breaking = info["TRUTH"].split(",")[i] == "MOTIF_BREAKING"
                    cases.append(Case(record.chrom, record.pos, breaking, is_snv, number, float(value[i])))
    return cases


def draw(path: Path, snvs: list[Case], estimate: Estimate, genome: Genome, model: Encoder, motifs: Path) -> None:
    """Draw the demo's figure.

    Panels: predicted bases at a motif, the two score distributions, the ROC curve, score against bits lost.
    """
    from scipy.stats import rankdata

    breaking = [case for case in snvs if case.breaking]
    case, start, end, name = _most_broken(breaking, motifs)
    log2_p = posteriors_in(model, genome, case.chrom, start - _LOGO_FLANK, end + _LOGO_FLANK)
    figure = plots.new_figure(1.35 * plots.PAGE, 5.4)
    grid = figure.add_gridspec(2, 3, height_ratios=(1, 1.7))
    top = plots.logo(figure.add_subplot(grid[0, :]), plots.information(log2_p), first=start - _LOGO_FLANK + 1)
    top.axvspan(start + 0.5, end + 0.5, color=plots.GREY, alpha=0.18, lw=0)
    top.axvspan(case.pos - 0.5, case.pos + 0.5, fill=False, ec="black", lw=1)
    top.set_title(
        f"Predicted probability of each masked base. Shaded: an {name} site; box: an SNV of LLR {_minus(case.score, 1)}",
        loc="left",
        fontsize="medium",
    )
    plots.coordinates(top, start - _LOGO_FLANK, end + _LOGO_FLANK, case.chrom)
    plots.panel_letter(top, "A")
    groups = {"motif-disrupting": [c.score for c in breaking], "neutral": [c.score for c in snvs if not c.breaking]}
    bars = plots.two_histograms(figure.add_subplot(grid[1, 0]), groups, xlabel="LLR (bits)")
    bars.set_title("LLR of SNVs\n(−3: new CpG; +3: lost CpG)", loc="left", fontsize="medium")
    plots.panel_letter(bars, "B")
    bars.locator_params(axis="x", integer=True, nbins=6)
    label = f"AUROC {estimate.value:.3f}\n[{estimate.low:.3f}, {estimate.high:.3f}]"
    curve = plots.roc(figure.add_subplot(grid[1, 1]), [c.breaking for c in snvs], [-c.score for c in snvs], label=label)
    curve.set_title("motif-disrupting\nvs. neutral", loc="left", fontsize="medium")
    plots.panel_letter(curve, "C")
    dots = plots.scatter(
        figure.add_subplot(grid[1, 2]),
        [c.bits for c in breaking],
        [c.score for c in breaking],
        xlabel="PWM score loss (bits)",
        ylabel="LLR (bits)",
    )
    ranks = (rankdata([c.score for c in breaking]), rankdata([c.bits for c in breaking]))
    rho, low, high = (_minus(x, 2) for x in correlate({"LLR": ranks[0]}, ranks[1], resamplings=1_000)["LLR"])
    dots.set_title(f"Spearman's ρ {rho}\n[{low}, {high}], n = {len(breaking):,}", loc="left", fontsize="medium")
    plots.panel_letter(dots, "D")
    save_figures(figure, path)


def _minus(value: float, digits: int) -> str:
    """Return a number with a minus sign in place of a hyphen."""
    return f"{value:.{digits}f}".replace("-", "−")


def _most_broken(breaking: list[Case], motifs: Path) -> tuple[Case, int, int, str]:
    """Return the variant with the lowest score, and the planted instance that it breaks: start, end, motif."""
    with gzip.open(motifs, "rt") as file:
        rows = [line.split("\t")[:4] for line in file if not line.startswith("#")]
    for case in sorted(breaking, key=lambda case: case.score):
        for chrom, start, end, name in rows:
            if chrom == case.chrom and int(start) < case.pos <= int(end):
                return case, int(start), int(end), name
    raise ValueError("no variant lies in a planted instance")
