"""Variant scorers of AlphaGenome by their names (Avsec et al. 2026).

The definitions are those of `model/variant_scoring` in google-deepmind/alphagenome_research; those that its authors recommend
for each output are in `models/alphagenome/config.py`. Differences: the mean over strands and shifts is taken if it is
requested, variants are left-aligned and trimmed first, and genes and sites are those of the given GTF.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from genoformer.scoring.formulas import (
    active_mean,
    active_sum,
    d2,
    diff_mean,
    gene_log_fold_change,
    l2_diff_log1p,
    largest_change,
    largest_log_change,
    log_sad,
    mean_change,
    polyadenylation_ratio,
    sad,
    sar,
)
from genoformer.scoring.gene_inputs import BodyTracks, CleavageCoverage, GeneJunctions, StartedGeneTracks
from genoformer.scoring.score_inputs import CenterMask, Contacts
from genoformer.scoring.score_types import Score
from genoformer.writers import Floats

TRACK_UNIT = "units of the track"


class Aggregation(NamedTuple):
    """Comparison of the bins of both alleles within a mask."""

    function: Callable[[Floats, Floats], Floats]
    meaning: str
    signed: bool = True
    unit: str = TRACK_UNIT
    zero_at_reference: bool = True


AGGREGATIONS = {
    "DIFF_MEAN": Aggregation(diff_mean, "Mean of alt minus mean of ref"),
    "ACTIVE_MEAN": Aggregation(active_mean, "Larger of the means of alt and ref", signed=False, zero_at_reference=False),
    "DIFF_SUM": Aggregation(sad, "Sum of alt minus sum of ref"),
    "ACTIVE_SUM": Aggregation(active_sum, "Larger of the sums of alt and ref", signed=False, zero_at_reference=False),
    "L2_DIFF": Aggregation(d2, "Square root of the sum of (alt - ref)^2", signed=False),
    "L2_DIFF_LOG1P": Aggregation(
        l2_diff_log1p, "Square root of the sum of (log(1 + alt) - log(1 + ref))^2", signed=False, unit="nats"
    ),
    "DIFF_SUM_LOG2": Aggregation(log_sad, "Sum of log2(1 + alt) minus that of log2(1 + ref)", unit="log2"),
    "DIFF_LOG2_SUM": Aggregation(sar, "log2(1 + sum of alt) - log2(1 + sum of ref)", unit="log2"),
}
WIDTHS = (501, 2001, 10_001, 100_001, 200_001, None)  # SUPPORTED_WIDTHS; None: the whole window
OF_SPLICING = ("splice_sites_classification", "splice_sites_usage")  # SUPPORTED_OUTPUT_TYPES of google-deepmind/alphagenome
OF_GENES = ("atac", "cage", "dnase", "procap", "rna_seq", *OF_SPLICING)


def _center_mask(width: int | None, name: str, how: Aggregation) -> Score:
    bases = "the whole window" if width is None else f"{width:,} bases around the variant"
    return Score(
        f"CENTER_MASK_{'WINDOW' if width is None else width}_{name}",
        CenterMask(width),
        "any",
        signed=how.signed,
        unit=how.unit,
        meaning=f"{how.meaning}, over {bases}, not realigned (AlphaGenome's CenterMaskScorer).",
        function=how.function,
        zero_at_reference=how.zero_at_reference,
    )


ALPHAGENOME_SCORES = (
    *(_center_mask(width, name, how) for width in WIDTHS for name, how in AGGREGATIONS.items()),
    Score(
        "GENE_MASK_LFC",
        StartedGeneTracks(),
        "any",
        signed=True,
        unit="nats",
        meaning=(
            "log(mean of alt + 0.001) - log(mean of ref + 0.001) over the exons of a gene, natural logarithm, on the tracks of "
            "its strand: transcripts with their TSS in the window (AlphaGenome's GeneMaskLFCScorer); needs --gtf, missing "
            "without a TSS."
        ),
        function=gene_log_fold_change,
        outputs=OF_GENES,
    ),
    Score(
        "GENE_MASK_ACTIVE",
        StartedGeneTracks(),
        "any",
        signed=False,
        unit=TRACK_UNIT,
        meaning=(
            "Larger of the means of alt and ref over the exons of a gene, on the tracks of its strand: transcripts with their "
            "TSS in the window (AlphaGenome's GeneMaskActiveScorer); needs --gtf, missing without "
            "a TSS."
        ),
        function=active_mean,
        zero_at_reference=False,
        outputs=OF_GENES,
    ),
    Score(
        "GENE_MASK_SPLICING",
        BodyTracks(),
        "any",
        signed=False,
        unit=TRACK_UNIT,
        meaning=(
            "Largest |alt - ref| in the body of a gene that the variant lies in, on the tracks of its strand (AlphaGenome's "
            "score of splice sites and of their usage); needs --gtf, missing without a gene."
        ),
        function=largest_change,
        outputs=OF_SPLICING,
    ),
    Score(
        "SPLICE_JUNCTION",
        GeneJunctions(),
        "any",
        signed=False,
        unit="nats",
        meaning=(
            "Largest |log(alt) - log(ref)| of the read counts of the splice junctions inside a protein-coding gene that the "
            "variant lies in (AlphaGenome); needs --gtf, missing without a gene or a junction."
        ),
        function=largest_log_change,
    ),
    Score(
        "POLYADENYLATION",
        CleavageCoverage(),
        "any",
        signed=False,
        unit="log2",
        meaning=(
            "Largest |log2 of the mean alt / ref of proximal over that of distal polyadenylation sites| over all splits of the "
            "sites of a gene that the variant lies in, from the 400 bases before each site (AlphaGenome); needs --gtf, "
            "missing without a gene with two sites."
        ),
        function=polyadenylation_ratio,
    ),
    Score(
        "CONTACT_MAP",
        Contacts(),
        "any",
        signed=False,
        unit="units of the contact map",
        meaning="Mean |alt - ref| of the contacts of the variant's bin with all bins of the window (AlphaGenome, after Orca).",
        function=mean_change,
    ),
)
