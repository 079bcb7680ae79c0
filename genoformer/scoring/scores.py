"""Variant scores, each with one function and a description, in the table SCORES at the end of the file."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from genoformer.errors import ConfigError
from genoformer.scoring.alphagenome_scores import ALPHAGENOME_SCORES
from genoformer.scoring.borzoi_scores import BORZOI_SCORES, KEEPS_FACTOR
from genoformer.scoring.formulas import (
    change,
    cosine_distance,
    d1,
    d2,
    entropy,
    euclidean_distance,
    jensen_shannon,
    js,
    log_odds_change,
    log_ratio,
    log_sad,
    sad,
    sar,
    sax,
)
from genoformer.scoring.score_inputs import (
    AlleleLikelihood,
    ClassLogits,
    ClassValues,
    Embedding,
    NextToken,
    Posterior,
    PseudoLikelihood,
    TokenLikelihood,
    Tracks,
)
from genoformer.scoring.score_types import Score

if TYPE_CHECKING:
    import pandas as pd


MOST_CLOSEST = 5  # scores that the refusal of an unknown name has


def parse_scores(names: str) -> list[Score]:
    """Return the scores named in a comma-separated list, in its order; ConfigError for an unknown name, with the closest ones.

    A name may be the key in INFO (GF_LLR).
    """
    chosen = list(dict.fromkeys(name.strip().upper().removeprefix("GF_") for name in names.split(",") if name.strip()))
    unknown = [name for name in chosen if name not in SCORES]
    every = f"`genoformer score --explain` describes all {len(SCORES)}."
    if not chosen:
        defaults = f"{DEFAULT_SCORES} (language models), {DEFAULT_TRACK_SCORES} (tracks) or {DEFAULT_CLASS_SCORES} (classes)"
        raise ConfigError(f"no score is named; give some, such as {defaults}; {every}")
    if unknown:
        closest = get_close_matches(unknown[0], SCORES, n=MOST_CLOSEST, cutoff=0)
        raise ConfigError(f"unknown score {', '.join(unknown)}; the closest to {unknown[0]} are {', '.join(closest)}; {every}")
    return [SCORES[name] for name in chosen]


class Scores(dict[str, Score]):
    """Scores of variants by name: unit, sign, the alleles it is defined for, and the meaning; `to_frame()` has all of them.

    Names are those of `genoformer.score(scores=...)`, of `genoformer score -s` and of columns (LLR) and INFO keys (GF_LLR).

    >>> SCORES["LLR"].unit, SCORES
    ('bits', Scores(LLR, PLL, TOKEN_LLR, JSD, ENTROPY, COSINE, L2, SAD, SAR, LOGSAD, ...))
    """

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each score: name, alleles, unit, signed and meaning."""
        import pandas as pd

        rows = [(score.name, score.alleles, score.unit, score.signed, score.meaning) for score in self.values()]
        return pd.DataFrame(rows, columns=["name", "alleles", "unit", "signed", "meaning"])

    def __repr__(self) -> str:
        return f"Scores({', '.join(list(self)[:10])}{', ...' if len(self) > 10 else ''})"

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False)


SCORES: Scores = Scores(
    (score.name, score)
    for score in (
        Score(
            "LLR",
            AlleleLikelihood(),
            "substitution",
            signed=True,
            unit="bits",
            meaning=(
                "log2 P(alt) - log2 P(ref) given the bases around, from the model's posterior of the masked base (of several "
                "changed bases, one after the other from the left of each strand: the chain rule; of a causal model, for every "
                "allele, from the likelihood of the window); negative: the model expects the reference, as in a conserved "
                "motif."
            ),
            function=log_ratio,
        ),
        Score(
            "PLL",
            PseudoLikelihood(),
            "indel",
            signed=True,
            unit="bits",
            meaning=(
                "Pseudo-log-likelihood of the alternative minus that of the reference: each base of the allele and near it "
                "is masked in turn, over equally many bases of both (of BPE, for every allele: each token, in bits per base); "
                "negative: the change makes the sequence less likely."
            ),
            function=log_ratio,
        ),
        Score(
            "TOKEN_LLR",
            TokenLikelihood(),
            "substitution",
            signed=True,
            unit="bits",
            meaning=(
                "log2 P(token with alt) - log2 P(token with ref), the token masked and its other bases as in the reference: "
                "the score of the Nucleotide Transformer (Dalla-Torre et al. 2025), for tokens that do not overlap; LLR for "
                "tokens of one base."
            ),
            function=log_ratio,
        ),
        Score(
            "JSD",
            NextToken(),
            "any",
            signed=False,
            unit="bits",
            meaning=(
                "Jensen-Shannon divergence between the next token after ref and after alt under a causal model: after the "
                "first token over the last base of the allele, or over the base before an empty one (of overlapping k-mers, "
                "the next base); 0: the same prediction, 1: no token in common."
            ),
            function=jensen_shannon,
        ),
        Score(
            "ENTROPY",
            Posterior(),
            "substitution",
            signed=False,
            zero_at_reference=False,  # the same for every ALT, REF included
            unit="bits",
            meaning=(
                "Entropy of the model's posterior at the position of the variant (of several changed bases, the first): "
                "0 where one base is certain, 2 where all four are equally likely; the same for every ALT."
            ),
            function=entropy,
        ),
        Score(
            "COSINE",
            Embedding(),
            "any",
            signed=False,
            unit="1 - cosine",
            meaning=(
                "Cosine distance between the embeddings of both alleles (last layer, mean over the tokens that touch the "
                "allele or the base on either side; of a track model, over the bins that 501 bases around it touch); "
                "0: the model sees no difference."
            ),
            function=cosine_distance,
        ),
        Score(
            "L2",
            Embedding(),
            "any",
            signed=False,
            unit="embedding units",
            meaning="Euclidean distance between the same two embeddings; comparable within one model only.",
            function=euclidean_distance,
        ),
        Score(
            "SAD",
            Tracks(),
            "any",
            signed=True,
            unit="units of the track",
            meaning=(
                "Sum of alt - ref over the bins of the window; positive: the alternative has more of what the track measures."
            ),
            function=sad,
            published_steps=KEEPS_FACTOR,
        ),
        Score(
            "SAR",
            Tracks(),
            "any",
            signed=True,
            unit="log2",
            meaning="log2(1 + sum of alt) - log2(1 + sum of ref) over the bins of the window; 1: twice as much.",
            function=sar,
            published_steps=KEEPS_FACTOR,
        ),
        Score(
            "LOGSAD",
            Tracks(),
            "any",
            signed=True,
            unit="log2",
            meaning=(
                "Sum over the bins of log2(1 + alt) - log2(1 + ref): every bin counts by its ratio (logSUM of baskerville)."
            ),
            function=log_sad,
            published_steps=KEEPS_FACTOR,
        ),
        Score(
            "SAX",
            Tracks(),
            "any",
            signed=True,
            unit="units of the track",
            meaning="alt - ref of the one bin in which the two differ most.",
            function=sax,
            published_steps=KEEPS_FACTOR,
        ),
        Score(
            "D1",
            Tracks(),
            "any",
            signed=False,
            unit="units of the track",
            meaning="Sum over the bins of |alt - ref|; what moves without changing the sum is seen too.",
            function=d1,
            published_steps=KEEPS_FACTOR,
        ),
        Score(
            "D2",
            Tracks(),
            "any",
            signed=False,
            unit="units of the track",
            meaning=(
                "Square root of the sum over the bins of (alt - ref)^2 (D2 of Borzoi): large changes of few bins count most. "
                "The score of a strand pair is the square root of the sum of the two squares."
            ),
            function=d2,
            published_steps=KEEPS_FACTOR,
        ),
        Score(
            "JS",
            Tracks(),
            "any",
            signed=False,
            unit="nats",
            meaning=(
                "Change of the shape of the track: mean of the Kullback-Leibler divergences of alt from ref and of ref from "
                "alt. The 25th percentile of ref is added to both tracks, and each is divided by its sum (baskerville's JS)."
            ),
            function=js,
            published_steps=KEEPS_FACTOR,
        ),
        Score(
            "SAD501",
            Tracks(width=501),
            "any",
            signed=True,
            unit="units of the track",
            meaning=(
                "Sum of alt - ref over the bins that the 501 bases around the variant touch (AlphaGenome's centre mask, "
                "DIFF_SUM)."
            ),
            function=sad,
        ),
        Score(
            "SAD2001",
            Tracks(width=2001),
            "any",
            signed=True,
            unit="units of the track",
            meaning="Sum of alt - ref over the bins that the 2,001 bases around the variant touch (centre mask, DIFF_SUM).",
            function=sad,
        ),
        Score(
            "SAR501",
            Tracks(width=501),
            "any",
            signed=True,
            unit="log2",
            meaning=(
                "log2(1 + sum of alt) - log2(1 + sum of ref) over the bins that the 501 bases around the variant touch "
                "(AlphaGenome's centre mask, DIFF_LOG2_SUM: its score of accessibility, of TSSs and of transcription "
                "factors)."
            ),
            function=sar,
        ),
        Score(
            "SAR2001",
            Tracks(width=2001),
            "any",
            signed=True,
            unit="log2",
            meaning="The same over 2,001 bases around the variant (AlphaGenome's score of histone marks).",
            function=sar,
        ),
        *BORZOI_SCORES,
        *ALPHAGENOME_SCORES,
        Score(
            "LOGIT",
            ClassLogits(),
            "any",
            signed=True,
            unit="nats",
            meaning=(
                "Change of the log-odds log(p / (1 - p)) of a class or label, natural logarithm: for a label or two classes "
                "the change of the logit itself, for more classes that of the log-odds of one class against all others; "
                "positive: the alternative makes the class more likely."
            ),
            function=log_odds_change,
        ),
        Score(
            "DIFF",
            ClassValues(),
            "any",
            signed=True,
            unit="probability or value",
            meaning="p(alt) - p(ref) of a class or label; for a regression value(alt) - value(ref), in the unit of the value.",
            function=change,
        ),
    )
)

RECOMMENDED = "recommended"  # stands for the scores that the authors of a model recommend for the head
DEFAULT_SCORES = "LLR,PLL"  # for language models: each allele gets one of the two
DEFAULT_TRACK_SCORES = "SAD,SAR501"
DEFAULT_CLASS_SCORES = "LOGIT,DIFF"  # for fine-tuned models; for a regression DIFF alone
