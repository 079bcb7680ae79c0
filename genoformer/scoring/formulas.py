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


# Scores of fine-tuned models: ref and alt [..., C] are of each class, label or value


def log_odds_change(ref: Floats, alt: Floats) -> Floats:
    """alt - ref of log(p / (1 - p)), natural logarithm; kipoi-veff2's logit. DNABERT's SNP.py: log2, opposite sign."""
    return alt - ref


def change(ref: Floats, alt: Floats) -> Floats:
    """alt - ref of the probability, or of the value; kipoi-veff2's diff."""
    return alt - ref
