"""A score of an allele -> one sentence on its value and sign."""

from __future__ import annotations

from genoformer.scoring.score_types import Score
from genoformer.scoring.scores import SCORES

_HUGE = 1e6  # ratios above it are given as a power of ten


def score_sentence(name: str, value: float, alleles: tuple[str, str], output: str | None = None, meaning: str = "") -> str:
    """Return the statement of a score about an allele, with the direction of its sign.

    alleles: REF and ALT as shown. output: name of the track or class. meaning: the description in the header, which is returned
    for a score that this version does not know.

    >>> score_sentence("LLR", -2.0, ("A", "G"))
    'The model predicts G 4 times less likely than A here, given the bases around it: it expects the reference.'
    >>> score_sentence("SAR501", 1.0, ("A", "G"), "DNASE")
    'The predicted DNASE around the variant is 2 times higher with G than with A.'
    >>> score_sentence("COSINE", 0.25, ("A", "G"))
    'A distance between REF and ALT: 0 means no difference, and it has no direction.'
    """
    score = SCORES.get(name)
    if score is None:
        return meaning
    if not score.signed:
        return "A distance between REF and ALT: 0 means no difference, and it has no direction."
    if value == 0:
        return "The model predicts no difference between REF and ALT."
    ref, alt = alleles
    if not score.per_output:
        return _language_sentence(score, value, ref, alt)
    return _output_sentence(score, value, (ref, alt), output)


def _language_sentence(score: Score, value: float, ref: str, alt: str) -> str:
    """Return the sentence of a language model's score in bits."""
    more = "more" if value > 0 else "less"
    expected = "it expects the alternative" if value > 0 else "it expects the reference"
    if score.name == "LLR":
        return f"The model predicts {alt} {_ratio(value)} {more} likely than {ref} here, given the bases around it: {expected}."
    if score.name == "PLL":
        return (
            f"The model finds the sequence with {alt} {more} likely than that with {ref}, each base predicted from the others: "
            f"{expected}."
        )
    return f"{score.meaning.rstrip('.')}. The value is {'positive' if value > 0 else 'negative'}."


def _output_sentence(score: Score, value: float, alleles: tuple[str, str], output: str | None) -> str:
    """Return the sentence of a score of a track or class."""
    ref, alt = alleles
    if score.of_classes:
        name, more = output or "the class", "more" if value > 0 else "less"
        return f"With {alt} the model predicts {name} {more} strongly than with {ref}."
    place = "around the variant" if "around the variant" in score.input.bins else "over the window"
    higher = "higher" if value > 0 else "lower"
    track = f"predicted {output}" if output else "predicted signal"
    times = f"{_ratio(value)} " if score.unit == "log2" and score.name.startswith("SAR") else ""
    return f"The {track} {place} is {times}{higher} with {alt} than with {ref}."


def _ratio(bits: float) -> str:
    """Return 2 to the power of |bits| in words."""
    if abs(bits) > 1000:
        return "far"
    ratio = 2 ** abs(bits)
    return f"{ratio:.1e} times" if ratio > _HUGE else f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.2g} times"
