"""Formulas of the variant scores: evidence for REF and ALT -> one number for each variant, track or class."""

from __future__ import annotations

import numpy as np

from genoformer.writers import Floats


def log_ratio(ref: Floats, alt: Floats) -> Floats:
    """log2 P(alt) - log2 P(ref) [B], in bits; Benegas et al. 2023 (GPN)."""
    return alt - ref


def entropy(ref: Floats, alt: Floats) -> Floats:
    """-sum p log2 p over A, C, G and T at the position, from log2 p of the reference window [B, 4]."""
    return -(np.exp2(ref) * ref).sum(-1)


def jensen_shannon(ref: Floats, alt: Floats) -> Floats:
    """KL(p || m) / 2 + KL(q || m) / 2 in bits, m = (p + q) / 2, from log2 p and log2 q [B, V]: 0 to 1 (Lin 1991)."""
    middle = np.logaddexp2(ref, alt) - 1
    terms = [np.exp2(side) * np.where(np.isneginf(side), 0, side - middle) for side in (ref, alt)]
    return np.maximum(0, (terms[0] + terms[1]).sum(-1) / 2)


def cosine_distance(ref: Floats, alt: Floats) -> Floats:
    """1 - cos(ref, alt) of embeddings [B, D]; 0 for equal embeddings."""
    norms = np.linalg.norm(ref, axis=-1) * np.linalg.norm(alt, axis=-1)
    distances = np.maximum(0, 1 - (ref * alt).sum(-1) / np.maximum(norms, 1e-30))
    return np.where((ref == alt).all(-1), np.zeros_like(distances), distances)  # rounding leaves 1e-16 of equal vectors


def euclidean_distance(ref: Floats, alt: Floats) -> Floats:
    """|alt - ref| of embeddings [B, D]."""
    return np.linalg.norm(alt - ref, axis=-1)


# Track scores: ref and alt [..., N] are the bins of a track in a window


def sad(ref: Floats, alt: Floats) -> Floats:
    """sum(alt - ref); Kelley et al. 2018 (Basset's SAD, over the bins as in Basenji)."""
    return (alt - ref).sum(-1)


def sar(ref: Floats, alt: Floats) -> Floats:
    """log2(1 + sum alt) - log2(1 + sum ref); SAR of Basenji, logSED of Borzoi over a gene, DIFF_LOG2_SUM of AlphaGenome."""
    return np.log2(1 + alt.sum(-1)) - np.log2(1 + ref.sum(-1))


def log_sad(ref: Floats, alt: Floats) -> Floats:
    """sum of log2(1 + alt) - log2(1 + ref); logSUM of baskerville."""
    return (np.log2(1 + alt) - np.log2(1 + ref)).sum(-1)


def sax(ref: Floats, alt: Floats) -> Floats:
    """alt - ref in the bin with the largest |alt - ref|; SAX of Basenji."""
    difference = alt - ref
    return np.take_along_axis(difference, np.abs(difference).argmax(-1)[..., None], axis=-1)[..., 0]


def d1(ref: Floats, alt: Floats) -> Floats:
    """sum |alt - ref|; D1 of baskerville."""
    return np.abs(alt - ref).sum(-1)


def d2(ref: Floats, alt: Floats) -> Floats:
    """sqrt(sum (alt - ref)^2); D2 of baskerville and Borzoi."""
    return np.sqrt(((alt - ref) ** 2).sum(-1))


def js(ref: Floats, alt: Floats) -> Floats:
    """(KL(p || q) + KL(q || p)) / 2 of p, q = ref, alt + the 25th percentile of ref, over their sums; JS of baskerville."""
    pseudocount = np.percentile(ref, 25, axis=-1, keepdims=True)
    p, q = ((x + pseudocount) / np.maximum((x + pseudocount).sum(-1, keepdims=True), 1e-30) for x in (ref, alt))
    return ((p - q) * (np.log(np.maximum(p, 1e-30)) - np.log(np.maximum(q, 1e-30)))).sum(-1) / 2


# Aggregations of AlphaGenome (`_apply_aggregation` in center_mask.py of google-deepmind/alphagenome_research)


def diff_mean(ref: Floats, alt: Floats) -> Floats:
    """mean(alt) - mean(ref); DIFF_MEAN."""
    return alt.mean(-1) - ref.mean(-1)


def active_mean(ref: Floats, alt: Floats) -> Floats:
    """max(mean(alt), mean(ref)); ACTIVE_MEAN, and over the exons of a gene GeneMaskActiveScorer."""
    return np.maximum(alt.mean(-1), ref.mean(-1))


def active_sum(ref: Floats, alt: Floats) -> Floats:
    """max(sum alt, sum ref); ACTIVE_SUM."""
    return np.maximum(alt.sum(-1), ref.sum(-1))


def l2_diff_log1p(ref: Floats, alt: Floats) -> Floats:
    """sqrt(sum (log(1 + alt) - log(1 + ref))^2), natural logarithm; L2_DIFF_LOG1P."""
    return d2(np.log1p(ref), np.log1p(alt))


# Scores of genes: bins, sites or junctions of a gene


def gene_log_fold_change(ref: Floats, alt: Floats) -> Floats:
    """log(mean alt + 0.001) - log(mean ref + 0.001), natural logarithm; GeneMaskLFCScorer of AlphaGenome."""
    return np.log(alt.mean(-1) + 1e-3) - np.log(ref.mean(-1) + 1e-3)


def largest_change(ref: Floats, alt: Floats) -> Floats:
    """max |alt - ref|; GeneMaskSplicingScorer of AlphaGenome."""
    return np.abs(alt - ref).max(-1)


def largest_log_change(ref: Floats, alt: Floats) -> Floats:
    """max |log(alt + 1e-7) - log(ref + 1e-7)| over junctions, natural logarithm; SpliceJunctionScorer of AlphaGenome."""
    return np.abs(np.log(alt + 1e-7) - np.log(ref + 1e-7)).max(-1)


def mean_change(ref: Floats, alt: Floats) -> Floats:
    """mean |alt - ref|; ContactMapScorer of AlphaGenome, after Orca (Zhou 2022)."""
    return np.abs(alt - ref).mean(-1)


def polyadenylation_ratio(ref: Floats, alt: Floats) -> Floats:
    """max over splits |log2 of the mean alt / ref of proximal over that of distal sites|, [K, P]; PolyadenylationScorer.

    Ratios and logarithms that are not finite count as 0 (polyadenylation.py of google-deepmind/alphagenome_research).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.nan_to_num(alt / ref, nan=0, posinf=0, neginf=0)
        k = np.arange(1, ratios.shape[-1])
        proximal = ratios.cumsum(-1)[:, :-1]
        distal = ratios.sum(-1, keepdims=True) - proximal
        scores = np.abs(np.log2((ratios.shape[-1] - k) / k * proximal / distal))
    return np.nan_to_num(scores, nan=0, posinf=0, neginf=0).max(-1)


_PSEUDOCOUNT, _LEAST_COVERAGE = 50, 100  # borzoi_sed_paqtl_cov.py, --pseudo and --cov


def coverage_ratio(ref: Floats, alt: Floats) -> Floats:
    """|log2 of the mean alt / ref after a split over that before it|, [K, S], at the split with the largest mean over tracks.

    Intervals of the reference below a mean coverage of 100 are left out, 50 is added to the others, and a ratio of 1 to both
    ends (COVR of borzoi_sed_paqtl_cov.py, calico/borzoi).
    """
    ratios = (alt + _PSEUDOCOUNT) / (ref + _PSEUDOCOUNT)
    covered = ref.mean(0) > _LEAST_COVERAGE
    if covered.any():
        ratios = ratios[:, covered]
    ratios = np.pad(ratios, ((0, 0), (1, 1)), constant_values=1)
    splits = range(1, ratios.shape[1])
    return _largest_split([np.abs(np.log2(ratios[:, j:].mean(1) / ratios[:, :j].mean(1))) for j in splits], len(ref))


def usage_ratio(ref: Floats, alt: Floats) -> Floats:
    """|change of the log2 odds of using a site after a split|, [K, S], at the split with the largest mean over tracks.

    The odds are those of the coverage at the sites, each plus 50 (COVR3 of borzoi_sed_paqtl_cov.py, calico/borzoi).
    """

    def log_odds(coverage: Floats, split: int) -> Floats:
        distal = (coverage[:, split:] + _PSEUDOCOUNT).sum(1) / (coverage + _PSEUDOCOUNT).sum(1)
        return np.log2(distal / (1 - distal))

    return _largest_split([np.abs(log_odds(alt, j) - log_odds(ref, j)) for j in range(1, ref.shape[1])], len(ref))


def _largest_split(scores: list[Floats], n_tracks: int) -> Floats:
    return max([np.zeros(n_tracks), *scores], key=lambda score: float(score.mean()) if n_tracks else 0.0)


def largest_shape_change(ref: Floats, alt: Floats) -> Floats:
    """max |alt / sum alt - ref / sum ref|; nDi of borzoi_sed.py (calico/borzoi)."""
    return np.abs(alt / alt.sum(-1, keepdims=True) - ref / ref.sum(-1, keepdims=True)).max(-1)


# Scores of fine-tuned models: ref and alt [..., C] are of each class, label or value


def log_odds_change(ref: Floats, alt: Floats) -> Floats:
    """alt - ref of log(p / (1 - p)), natural logarithm; kipoi-veff2's logit. DNABERT's SNP.py: log2, opposite sign."""
    return alt - ref


def change(ref: Floats, alt: Floats) -> Floats:
    """alt - ref of the probability, or of the value; kipoi-veff2's diff."""
    return alt - ref
