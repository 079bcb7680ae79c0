"""Scores of Borzoi for genes: expression per gene and isoform, polyadenylation, splicing (Linder et al. 2025)."""

from __future__ import annotations

from genoformer.formats.squashed_scale import UndoneSteps
from genoformer.scoring.formulas import coverage_ratio, largest_shape_change, sar, usage_ratio
from genoformer.scoring.gene_inputs import ExonTracks, SiteCoverage, SpanShapes, TranscriptTracks
from genoformer.scoring.score_types import Score

KEEPS_FACTOR = UndoneSteps(factor=False)  # borzoi_sed.py, borzoi_sad.py and snps.py: `untransform_preds1(preds, targets)`
KEEPS_SOFT_CLIP = UndoneSteps(soft_clip=False)  # borzoi_sed_paqtl_cov.py: `unscale=True, unclip=False`

BORZOI_SCORES = (
    Score(
        "LOGSED",
        ExonTracks(),
        "any",
        signed=True,
        unit="log2",
        meaning=(
            "log2(1 + sum of alt) - log2(1 + sum of ref) over the bins that a gene's exons cover by more than half, on "
            "the tracks of its strand (logSED of Borzoi), of the gene in the window with the largest; needs --gtf, missing "
            "without a gene."
        ),
        function=sar,
        published_steps=KEEPS_FACTOR,
    ),
    Score(
        "LOGSED_ISOFORM",
        TranscriptTracks(),
        "any",
        signed=True,
        unit="log2",
        meaning=(
            "log2(1 + sum of alt) - log2(1 + sum of ref) over the bins that a transcript's exons cover by more than "
            "half, on the tracks of its strand, of the transcript in the window with the largest; needs --gtf, missing without "
            "one."
        ),
        function=sar,
        published_steps=KEEPS_FACTOR,
    ),
    Score(
        "COVR",
        SiteCoverage(),
        "any",
        signed=False,
        unit="log2",
        meaning=(
            "|log2 of the mean alt / ref after a split over that before it| among the coverage on both sides of the "
            "polyadenylation sites of a gene (4 bins each, 50 added), at the split with the largest mean over the scored "
            "tracks of the gene's strand (COVR of Borzoi); needs --gtf, missing without sites."
        ),
        function=coverage_ratio,
        joins_tracks=True,
        published_steps=KEEPS_SOFT_CLIP,
    ),
    Score(
        "COVR3",
        SiteCoverage(n_bins=5, downstream=False),
        "any",
        signed=False,
        unit="log2",
        meaning=(
            "Polyadenylation ratio: |change of the log2 odds of using a site after a split of the sites of a gene|, from the "
            "coverage of the 5 bins before each site, at the split with the largest mean over the scored tracks of the gene's "
            "strand (COVR3 of Borzoi); needs --gtf, missing without sites."
        ),
        function=usage_ratio,
        joins_tracks=True,
        published_steps=KEEPS_SOFT_CLIP,
    ),
    Score(
        "NDI",
        SpanShapes(),
        "any",
        signed=False,
        unit="fraction of the coverage",
        meaning=(
            "Largest |alt - ref| of a bin in the body of a gene, both divided by their sum there (nDi, the splicing score of "
            "Borzoi); needs --gtf, missing without a gene."
        ),
        function=largest_shape_change,
        published_steps=KEEPS_FACTOR,
    ),
)
