"""Explanation of one variant: base predictions of a language model, the scored track of a track model, or a class.

Windows, strands, shifts, alignment and tracks come from the scorer, so figures and texts agree with `score`.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, N
from genoformer.genome.normalise import normalise, trimmed
from genoformer.genome.variants import Variant, place_alleles
from genoformer.inference.base_probabilities import predict_bases
from genoformer.inference.runtime import Floats
from genoformer.interpretation.allele_ism import AlleleLogos, Logos, classes_ism, sequence_ism, uses_ism
from genoformer.interpretation.attribution import attributions
from genoformer.interpretation.explain_tracks import explain_tracks
from genoformer.interpretation.explanation import Printed, VariantExplanation, allele_locus, difference
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.targets import AttributionTarget
from genoformer.progress import ProgressCallback
from genoformer.scoring.class_scorer import ClassScorer
from genoformer.scoring.sequence_scorer import SequenceScorer
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.variant_scorer import VariantScorer
from genoformer.tables import rounded

_OF_MASKED = (
    "Logos: ISM of each allele, minus the mean LLR of the three changes of each base. It is log2 P of the base minus the mean "
    "log2 P of the three others, as the model predicts the masked base from all other bases. A letter below 0 is unexpected."
)
_OF_CAUSAL = (
    "Logos: how much the model expects each base of each allele from the bases before it on the strand that it reads: log2 P "
    "of the base minus the mean log2 P of the three others. A letter below 0 is unexpected."
)


@singledispatch
def explain(
    scorer: VariantScorer,
    variant: Variant,
    *,
    flank: int = 25,
    printed: Printed | None = None,
    logos: Logos = "auto",
    progress: ProgressCallback = None,
) -> VariantExplanation:
    """Explain a variant by logos of both alleles, in windows of the longer allele and `flank` bases on either side.

    variant.chrom is the contig name of the FASTA. A track model gives the track of `printed`, or else the strongest track of
    the scorer's first score, in the compared bins (of the shift nearest to 0). A fine-tuned model gives the class of `printed`,
    or else the class with the largest first score. printed: the score in a file, which is reported unchanged; a remark reports
    a different result of the scorer.

    logos: "ism" draws the ISM importance of each allele, see `allele_ism`; a masked language model has it from its prediction
    of each base, `expected_letters`. "gradient" draws gradient x input on the forward strand, of the track's sum over the bins
    shown or of the logit of the class; a language model has ISM or, if causal, its prediction of each base. "auto" is ISM where
    it is quick. progress receives the mutated bases. Other packages register the explanation of their own scorers with
    `explain.register`.
    """
    raise ConfigError(f"variants scored by {type(scorer).__name__} have no explanation; use a model of genoformer.")


@explain.register
def _(
    scorer: SequenceScorer,
    variant: Variant,
    *,
    flank: int = 25,
    printed: Printed | None = None,
    logos: Logos = "auto",
    progress: ProgressCallback = None,
) -> VariantExplanation:
    length = 2 * flank + max(len(variant.ref), len(variant.alt))
    margin = scorer.window
    start = variant.start - flank
    alleles = place_alleles(scorer.genome, variant, start - margin, length + 2 * margin)
    ref, alt = (_base_predictions(scorer, codes, margin, length) for codes in (alleles.ref, alleles.alt))
    locus, cut = allele_locus(variant, start, alleles, margin, length), slice(margin, margin + length)
    first, second = (expected_letters(log2_p, codes[cut]) for log2_p, codes in ((ref, alleles.ref), (alt, alleles.alt)))
    is_causal = any(model.causal for model in scorer.models)
    label, meaning = ("log-odds (bits)", _OF_CAUSAL) if is_causal else ("ISM of LLR (bits)", _OF_MASKED)
    if is_causal and uses_ism(logos, scorer, length):
        first, second, label, meaning = sequence_ism(scorer, locus, progress)
    if printed is not None:
        names = [score.name for score in scorer.scores]
        values = scorer.score([variant]).values[0]
        value = float(values[names.index(printed.score.name)]) if printed.score.name in names else np.nan
        parts = ""
        if printed.score.name == "LLR" and len(variant.ref) == len(variant.alt) == 1 and printed.remade and not is_causal:
            log2_alt, log2_ref = (float(ref[flank]["ACGT".index(base)]) for base in (variant.alt, variant.ref))
            parts = f", log2 P({variant.alt}) = {log2_alt:.3g} minus log2 P({variant.ref}) = {log2_ref:.3g}"
        strands = "mean of both strands" if scorer.both_strands else "forward strand"
        windows = f"({strands}, windows of {scorer.options['context'].replace('+', ' and ')} bases)"
        meaning = f"{printed.text}{parts} {windows}.{difference(printed, value, abs(printed.value))} {meaning}"
    return VariantExplanation(locus, first, second, label, meaning)


def expected_letters(log2_p: Floats, codes: Codes) -> Floats:
    """Return the heights [L, 4] of the bases of a sequence: log2 P of each base minus the mean log2 P of the three others.

    This is the ISM importance, minus the mean LLR of the three changes of a base. Unlike the prediction of a masked base, which
    is the same for both alleles, it shows the alleles themselves.

    >>> expected_letters(np.log2([[0.5, 0.125, 0.125, 0.25]]), np.array([1])).tolist()
    [[0.0, -1.0, 0.0, 0.0]]
    """
    known = codes < N
    at = np.flatnonzero(known), codes[known]
    heights = np.zeros(log2_p.shape, dtype=np.float32)
    heights[at] = (4 * log2_p[at] - log2_p[known].sum(-1)) / 3
    return heights


def _base_predictions(scorer: SequenceScorer, codes: Codes, margin: int, length: int) -> Floats:
    """Return log2 P of the bases [margin, margin + length) of a sequence, the mean over models: [length, 4]."""
    log2_p = [
        predict_bases(reader.model, codes, margin, margin + length, window=reader.length, both_strands=scorer.both_strands)
        for reader in scorer.readers
    ]
    return np.asarray(np.mean(log2_p, axis=0))


@explain.register
def _(
    scorer: ClassScorer,
    variant: Variant,
    *,
    flank: int = 25,
    printed: Printed | None = None,
    logos: Logos = "auto",
    progress: ProgressCallback = None,
) -> VariantExplanation:
    short = trimmed(normalise(variant, scorer.genome))
    shift = min(scorer.shifts, key=abs)
    start = scorer.window_start(short) + shift
    alleles = place_alleles(scorer.genome, short, start, scorer.window, "symmetric")
    values = scorer.layout.strongest(scorer.score_each([variant]))[0][0]  # [scores, K]
    names = [score.name for score in scorer.scores]
    which = names.index(printed.score.name) if printed is not None and printed.score.name in names else 0
    classes = scorer.layout.names
    named = [k for k, name in enumerate(classes) if printed is not None and name == printed.track]
    chosen = named[0] if named else int(np.abs(values[which]).argmax())
    target = AttributionTarget(int(scorer.classes[chosen]))
    first = max(0, short.start - start - flank)
    cut = slice(first, first + 2 * flank + max(len(variant.ref), len(variant.alt)))
    locus = allele_locus(variant, start + first, alleles, first, cut.stop - first)
    if uses_ism(logos, scorer, len(locus.codes)):
        seen = classes_ism(scorer, locus, chosen, scorer.scores[which], progress)
    else:
        loci = [Locus("", variant.chrom, start, codes) for codes in (alleles.ref, alleles.alt)]
        by_model = [[one.values[0] for one in attributions(model, loci, output=target)] for model in scorer.models]
        ref, alt = np.mean(by_model, axis=0)[:, cut]
        shown = f"Logos: contribution of each base to the logit of {classes[chosen]}, on the forward strand."
        seen = AlleleLogos(ref, alt, "gradient x input", shown)
    value = float(values[which, chosen])
    is_printed = printed is not None and printed.score.name == names[which]
    text = printed.text if printed is not None and is_printed else f"{names[which]} {rounded(value)}"
    remark = difference(printed, value, abs(printed.value)) if printed is not None and is_printed else ""
    strands = "mean of both strands" if scorer.both_strands else "forward strand"
    moved = (
        f", {scorer.tile or 'mean'} of {len(scorer.shifts)} windows, shift {shift:+d} drawn" if len(scorer.shifts) > 1 else ""
    )
    text = f"{classes[chosen]}: {text} ({strands}, windows of {scorer.window:,} bases{moved}).{remark} {seen.meaning}"
    return VariantExplanation(locus, seen.ref, seen.alt, seen.label, text)


explain.register(TrackScorer, explain_tracks)
