"""Maps of bases in notebooks: ISM, attention and attribution of texts or regions, and logos of both alleles of a variant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genoformer.api.inputs import Fasta, Source, loaded_model, opened
from genoformer.option_checks import names_unknown_options
from genoformer.progress_bar import shown_progress

if TYPE_CHECKING:
    from genoformer.genome.variants import Variant
    from genoformer.interpretation.allele_ism import Logos
    from genoformer.interpretation.explanation import VariantExplanation
    from genoformer.interpretation.ism import Mutagenesis


@names_unknown_options("mutagenesis")
def mutagenesis(
    dna: Any = None,
    region: Any = None,
    model: Any = None,
    score: str | None = None,
    *,
    fasta: Fasta | None = None,
    gtf: str | Path | None = None,
    device: str = "auto",
    progress: bool | None = None,
    **options: Any,
) -> Any:
    """Run ISM: score every single-base change of a region as `score` does; `.values` [1, L, 4], `.importance` for a logo.

    Call it as mutagenesis(fasta, region, model), mutagenesis(region, model, fasta=fasta) or mutagenesis(texts, model), where
    the bases around a text are N. One region or text gives a `Mutagenesis` with `.plot()` and `.to_frame()`, several give a
    list.

    score: a name of `SCORES`; by default LLR, SAD for a track model (the sum over tracks), and for a fine-tuned model the
    change of the logit of a class (`output`) for the region alone. gtf: genes, for scores of genes. options: the other fields
    of `IsmOptions`, such as tracks, output, strand, context, shifts and tile, as in `genoformer interpret ism`.
    progress: True shows a bar, False none, None one if stderr is a terminal.

    >>> from importlib.resources import files
    >>> found = mutagenesis(files("genoformer_data") / "demo" / "genome.fa.gz", "chrS1:6001-6010", "demo")
    >>> found.names, found.values.shape, found.importance.shape
    (['LLR'], (1, 10, 4), (1, 10, 4))
    >>> mutagenesis("ACGTTGCATTAGC", "demo")
    Mutagenesis(sequence_1:1-13, LLR: 13 bases)
    """
    from genoformer.interpretation.ism_maps import open_ism
    from genoformer.interpretation.request import InterpretationRequest, IsmOptions
    from genoformer.interpretation.session import open_session
    from genoformer.models.base import Classifies, Embeds, PredictsTracks

    source = Source.of(dna, region, model, fasta)
    is_named = isinstance(source.model, str | Path)
    loaded = source.model if is_named else loaded_model(source.model, (Embeds, PredictsTracks, Classifies))
    with source.open(on_genome=True) as (genome, loci):
        genes = Path(gtf) if gtf is not None else None
        request = InterpretationRequest(loci, loaded, fasta=genome, gtf=genes, device=device)
        session, ism = open_ism(open_session(request, with_ensembles=True), IsmOptions(score, **options))
        with shown_progress(progress, "bases" if ism.counts_bases(session.loci) else "regions") as report:
            results: list[Mutagenesis] = ism.maps(session.model, session.loci, report)
    return results[0] if source.is_one else results


@names_unknown_options("attention")
def attention(
    dna: Any = None,
    region: Any = None,
    model: Any = None,
    *,
    fasta: Fasta | None = None,
    gtf: str | Path | None = None,
    device: str = "auto",
    progress: bool | None = None,
    **options: Any,
) -> Any:
    """Return attention profiles over the bases of DNA, as `genoformer interpret attention` maps them.

    Call it as attention(texts, model), attention(fasta, region, model) or attention(region, model, fasta=fasta). One text or
    region gives a `BaseMap` with `.values` [L], `.plot()` and `.to_frame()`, several give a list. Regions of a track
    model are widened to whole bins, and it reads its context around them.

    options: the fields of `AttentionOptions`. profile: "viz" (default), DNABERT-viz's projection of "cls"; "cls" (default of a
    track model), attention from [CLS] or the middle bin; "received", attention to a base; "rollout", attention rollout through
    all layers; "entropy", entropy of the attention from a base. layers: numbers from 0, negative numbers count from the last.
    heads: numbers from 0, all by default. query: the query token or bin, or "tss", the bin of the nearest TSS of `gtf`.
    context: bases that a track model reads. progress: True shows a bar, False none, None one if stderr is a terminal.

    >>> [of.shape for of in attention(["ACGTTGCATTAGC", "TTTTTTTT"], "demo")]
    [(13,), (8,)]
    """
    from genoformer.interpretation.attention_maps import compute_attention, open_attention, profile_of
    from genoformer.interpretation.base_map import BaseMap
    from genoformer.interpretation.request import AttentionOptions, InterpretationRequest
    from genoformer.models.base import Attends, Classifies

    source, chosen = Source.of(dna, region, model, fasta), AttentionOptions(**options)
    loaded = loaded_model(source.model, (Attends, Classifies))
    with source.open() as (genome, loci):
        genes = Path(gtf) if gtf is not None else None
        request = InterpretationRequest(loci, loaded, fasta=genome, gtf=genes, device=device)
        session = open_attention(request, chosen)
        with shown_progress(progress, "regions") as report:
            values = compute_attention(session, chosen, session.loci, progress=report)
    label = f"attention ({profile_of(chosen, session.model)})"
    maps = [BaseMap(of.chrom, of.start, of.codes, x, label) for of, x in zip(session.loci, values, strict=True)]
    return maps[0] if source.is_one else maps


@names_unknown_options("attribution")
def attribution(
    dna: Any = None,
    region: Any = None,
    model: Any = None,
    *,
    fasta: Fasta | None = None,
    gtf: str | Path | None = None,
    device: str = "auto",
    progress: bool | None = None,
    **options: Any,
) -> Any:
    """Return how much each base adds to an output of a fine-tuned or track model, as `genoformer interpret attribution`.

    Call it as attribution(texts, model), attribution(fasta, region, model) or attribution(region, model, fasta=fasta). One text
    or region gives a `BaseMap` with `.values` [L], `.hypothetical` [L, 4], `.plot()` and `.to_frame()`, several give a list.
    A track model reads its context around a region; texts must be whole bins.

    options: the fields of `AttributionOptions`. method: "gradient" (gradient x input with the simplex correction) or
    "integrated" (integrated gradients; needs the extra "interpret"). output: class of a fine-tuned model, by default the last.
    tracks and head: tracks to sum, by default all. bins: bins to sum, by default all that the model predicts; "region" those of
    the region, or an interval such as "chr20:1,050,001-1,050,200". gene: sum the bins of the exons of a gene of `gtf`. context:
    bases that a track model reads. n_steps: of integrated gradients. progress: True shows a bar, False none, None one if stderr
    is a terminal.

    Raises CheckpointError for a language model, which has no single output, and ConfigError for unknown outputs.

    >>> from importlib.resources import files
    >>> found = attribution(files("genoformer_data") / "demo" / "genome.fa.gz", "chrS1:6001-6256", "mini-tracks", tracks="0")
    >>> found.shape, found.hypothetical.shape
    ((256,), (256, 4))
    """
    from genoformer.interpretation.attribution_maps import compute_attributions, explained_outputs
    from genoformer.interpretation.base_map import BaseMap
    from genoformer.interpretation.request import AttributionOptions, InterpretationRequest
    from genoformer.interpretation.session import open_session
    from genoformer.models.base import Classifies, PredictsTracks

    source, chosen = Source.of(dna, region, model, fasta), AttributionOptions(**options)
    loaded = loaded_model(source.model, (PredictsTracks, Classifies))
    with source.open() as (genome, loci):
        genes = Path(gtf) if gtf is not None else None
        session = open_session(InterpretationRequest(loci, loaded, fasta=genome, gtf=genes, device=device))
        outputs = explained_outputs(session, chosen)
        with shown_progress(progress, "regions") as report:
            found = compute_attributions(session, chosen, session.loci, outputs, progress=report)
    label = f"attribution ({chosen.method})"
    maps = [
        BaseMap(of.chrom, of.start, of.codes, x.values[0].sum(-1), label, x.hypothetical[0])
        for of, x in zip(session.loci, found, strict=True)
    ]
    return maps[0] if source.is_one else maps


@names_unknown_options("explain")
def explain(
    variant: str | Variant,
    fasta: Fasta,
    model: Any = None,
    score: str | None = None,
    *,
    flank: int = 25,
    logos: Logos = "auto",
    progress: bool | None = None,
    **options: Any,
) -> VariantExplanation:
    """Explain a variant by logos of both alleles and, with a track model, by its strongest track, as `genoformer report` does.

    variant: "chr20:1050100:A:G", or a `Variant`. score: a name of `SCORES`; by default the first of `genoformer.score`. flank:
    bases on either side. logos: "ism", minus the mean score of the three changes of each base of either allele; "gradient",
    gradient x input, which is much faster for a large model; "auto", ISM where it is quick. progress: True shows a bar, False
    none, None one if stderr is a terminal. options: those of `genoformer.score` that its windows depend on, such as context,
    strand, tracks, head, gtf, shifts and device; see `ScorerOptions`.

    The result has `.ref` and `.alt` (heights of the letters, [L, 4]), `.label` (their unit), `.meaning` (in words), `.locus`,
    `.tracks` and `.windows` of a track model, and `.plot()`.

    Raises ConfigError for a text that is no variant, for a REF that is not that of the genome, and for options that the model
    does not have.

    >>> from importlib.resources import files
    >>> explain("chrS1:6000:G:A", files("genoformer_data") / "demo" / "genome.fa.gz", "demo", flank=5)
    VariantExplanation(chrS1:6000:G>A, ISM of LLR (bits): 11 bases)
    """
    from genoformer.browse.place import read_variant
    from genoformer.inference.runtime import evaluating, resolve_device
    from genoformer.interpretation.explain import explain as explained
    from genoformer.models.base import SCORES_VARIANTS
    from genoformer.scoring.command_options import ScorerOptions
    from genoformer.scoring.options import parse_options
    from genoformer.scoring.scorers import make_scorer
    from genoformer.scoring.scoring_choices import read_scoring

    loaded = loaded_model(model, SCORES_VARIANTS)
    with opened(fasta) as genome:
        one = read_variant(variant if isinstance(variant, str) else ":".join(map(str, variant)), genome)
        given = parse_options(ScorerOptions, {"scores": score} | options, [loaded])
        with evaluating(loaded, resolve_device(given.device)) as ready:
            scorer = make_scorer(genome, read_scoring(genome, [ready], given))
            with shown_progress(progress, "bases") as report:
                return explained(scorer, one, flank=flank, logos=logos, progress=report)
