"""What a model says of a variant, as numbers: one small function and one sentence each; SCORES at the foot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genoformer.errors import ConfigError

Floats = NDArray[np.floating]

Kind = Literal["substitution", "indel", "any"]
Evidence = Literal["allele", "pseudo", "posterior", "embedding"]


class Score(NamedTuple):
    """A score of one ALT. `function(ref, alt)` takes the evidence of both alleles, one row a variant."""

    name: str
    kind: Kind  # the alleles it is defined for: equal lengths (SNV, MNV), different lengths, or all
    signed: bool  # swapping the alleles turns the sign
    unit: str
    meaning: str
    evidence: Evidence  # what `function` takes; evidence.py gathers it
    function: Callable[[Floats, Floats], Floats]

    @property
    def key(self) -> str:
        """The key in INFO."""
        return f"GF_{self.name}"


def log_ratio(ref: Floats, alt: Floats) -> Floats:
    """log2 P(alt) - log2 P(ref), from the log2 probabilities [B] of both; Benegas et al. 2023 (GPN), in bits here."""
    return alt - ref


def entropy(ref: Floats, alt: Floats) -> Floats:
    """-sum p log2 p over the four bases, from log2 p [B, 4]; a matter of the place, so `alt` is not looked at."""
    return -(np.exp2(ref) * ref).sum(-1)


def cosine_distance(ref: Floats, alt: Floats) -> Floats:
    """1 - cos(ref, alt) of embeddings [B, D]."""
    norms = np.linalg.norm(ref, axis=-1) * np.linalg.norm(alt, axis=-1)
    return np.maximum(0, 1 - (ref * alt).sum(-1) / np.maximum(norms, 1e-30))


def euclidean_distance(ref: Floats, alt: Floats) -> Floats:
    """|alt - ref| of embeddings [B, D]."""
    return np.linalg.norm(alt - ref, axis=-1)


def choose(names: str) -> list[Score]:
    """The scores of a comma-separated list, in its order; raises ConfigError with the known names for another."""
    chosen = list(dict.fromkeys(name.strip().upper() for name in names.split(",") if name.strip()))
    unknown = [name for name in chosen if name not in SCORES]
    if unknown or not chosen:
        found = f"unknown score {', '.join(unknown)}" if unknown else "no score is named"
        raise ConfigError(f"{found}; known are {', '.join(SCORES)} (genoformer score --explain says what each is).")
    return [SCORES[name] for name in chosen]


SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score(
            "LLR", "substitution", True, "bits",
            "log2 P(alt) - log2 P(ref) given the bases around, from the model's posterior of the hidden base (of several "
            "changed bases, one after the other from the left of each strand: the chain rule); negative: the model "
            "expects the reference, as in a conserved motif.",
            "allele", log_ratio,
        ),
        Score(
            "PLL", "indel", True, "bits",
            "Pseudo-log-likelihood of the alternative minus that of the reference: each base of the allele and near it "
            "is hidden in turn, over equally many bases of both; negative: the change makes the sequence less likely.",
            "pseudo", log_ratio,
        ),
        Score(
            "ENTROPY", "substitution", False, "bits",
            "Entropy of the model's posterior at the place of the variant (of several changed bases, the first): "
            "0 where one base is certain, 2 where all four are equally likely; the same for every ALT.",
            "posterior", entropy,
        ),
        Score(
            "COSINE", "any", False, "1 - cosine",
            "Cosine distance between the embeddings of both alleles (last layer, mean over the tokens that touch the "
            "allele or the base on either side); 0: the model sees no difference.",
            "embedding", cosine_distance,
        ),
        Score(
            "L2", "any", False, "embedding units",
            "Euclidean distance between the same two embeddings; comparable within one model only.",
            "embedding", euclidean_distance,
        ),
    )
}  # fmt: skip

DEFAULT_SCORES = "LLR,PLL"  # each allele gets one of the two
