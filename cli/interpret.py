"""Define the commands of genoformer interpret: attention, ism, attribution, filters, motifs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from . import options as shared
from .json_output import json_option, plain, print_json
from .model_option import model_option, print_cautions
from .track_options import tile, window_options
from .verbosity import Group, print_note


def _numbers(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[int, ...]:
    """Return the whole numbers of an option such as 0,5,-1."""
    from genoformer.errors import ConfigError

    try:
        return tuple(int(part) for part in text.split(",")) if text is not None else ()
    except ValueError as error:
        raise ConfigError(f"--{parameter.name} {text}: give whole numbers and commas, such as 0,5,-1.") from error


def _number_or_text(context: click.Context, parameter: click.Parameter, text: str | None) -> int | str | None:
    return int(text) if text is not None and text.lstrip("-").isdecimal() else text


_PATH = click.Path(path_type=Path)
_KNOWN = "Known motifs (MEME, JASPAR, HOMER ...) to match the new ones with."
_common = shared.option_group(
    click.argument("data", type=shared.PathOrAddress(), nargs=-1, callback=shared.one_or_variants),
    model_option("Model folder, or a name from `models list`."),
    click.option(
        "-f",
        "--fasta",
        type=shared.PathOrAddress(path_type=Path),
        help="Reference genome (FASTA), or its address (https, s3), needed unless DATA is a FASTA.",
    ),
    shared.regions("With variants as DATA, map only those whose REF overlaps, or without DATA map", each=True),
    click.option("-o", "--output", "out", required=True, type=_PATH, help="Folder for maps, motifs and figures."),
    click.option(
        "--length",
        type=click.IntRange(min=1),
        metavar="BASES",
        help="Length of the maps in bases, around the middle of each region or variant.  [default: that of a region; attention "
        "of a track model widens it to whole bins]",
    ),
    shared.columns,
    shared.fix,
    shared.force,
    shared.contexts,
    shared.device,
)
_drawn = shared.option_group(
    click.option(
        "--figures",
        "n_figures",
        type=click.IntRange(min=0),
        default=10,
        show_default=True,
        help="Number of regions to draw, from the first on.",
    ),
    click.option(
        "--sanity-checks",
        "sanity_checks",
        is_flag=True,
        help="Report how reliable the drawn maps are, next to the figures and in audit.tsv.",
    ),
    *shared.drawn_genes,
)
_negative = click.option(
    "--negative",
    type=_PATH,
    help="Background sequences for motif enrichment; also find motifs in the maps as DNABERT-viz does.",
)
_patterns = shared.option_group(
    _negative,
    click.option("--modisco", is_flag=True, help="Also find recurring patterns with TF-MoDISco (needs the extra interpret)."),
    click.option("--known", type=_PATH, help=_KNOWN),
)
_of_tracks = shared.option_group(
    click.option("--tracks", metavar="SPEC", help="Tracks to sum, by number, name or pattern.  [default: all]"),
    shared.head,
)


@click.group(cls=Group, short_help="Map the bases that a model uses.")
def interpret() -> None:
    """Map which bases a model uses in the regions of a BED or of -r, at variants or in a FASTA, with motifs and figures.

    Maps are of the forward strand; the strand column of a BED is ignored. Variants (a VCF, a table, or ids such as
    chr20:1050100:A:G) are first compared with the genome, as in `genoformer score`: records that do not match are left out,
    --fix reads them as corrected, and --force continues if the check fails.
    """


@interpret.command(short_help="Map the attention of a model.")
@_common
@_drawn
@click.option(
    "--profile",
    help="Attention profile: viz, cls, received, rollout or entropy; see above.  [default: viz; of a track model, cls]",
)
@click.option(
    "--layers",
    default="-1",
    show_default=True,
    metavar="NUMBERS",
    callback=_numbers,
    help="Layers, counted from 0; negative numbers count from the last.",
)
@click.option("--heads", metavar="NUMBERS", callback=_numbers, help="Heads, counted from 0, such as 0,3.  [default: all]")
@click.option(
    "--query",
    metavar="NUMBER|tss",
    callback=_number_or_text,
    help="Query token or bin of the region; tss: the bin of the nearest TSS (--gtf).  [default: [CLS], or the middle bin]",
)
@shared.context
@_negative
@click.option(
    "--min-fold",
    type=click.FloatRange(min=0),
    default=10,
    show_default=True,
    help="Motif threshold as a multiple of the minimum attention; 0: only the mean is the threshold.",
)
def attention(**options: Any) -> None:
    """Map the attention of a model along each sequence.

    \b
    genoformer interpret attention peaks.bed -f hg38.fa -m mini-human --length 200 -o attention
    genoformer interpret attention positive.fa -m promoters/ --negative negative.fa -o motifs
    genoformer interpret attention genes.bed -f hg38.fa -m mini-tracks --length 65536 \\
        --profile cls --query tss \\
        --gtf gencode.gtf.gz --elements enhancers.bed -o contacts

    viz is DNABERT-viz's projection of the attention of [CLS], and cls its plain mean. received is the attention that a base
    receives from all queries, rollout is attention rollout over all layers, and entropy is the entropy of each query's
    attention. Each map comes with its query-key matrix. A track model reads its context around each region (--context for
    another length), and map and matrix are of the region. For a track model with genes and elements, arcs connect TSS and
    elements. For a VCF, both alleles are drawn. With --negative, motifs are found as in DNABERT-viz, from regions of high
    attention that are enriched and merged; the number left after each stage is reported.
    """
    from genoformer.interpretation.attention_maps import map_attention
    from genoformer.interpretation.request import AttentionOptions, MotifOptions

    _run(map_attention, options, AttentionOptions, MotifOptions)


@interpret.command(short_help="Score every single-base change (ISM).")
@_common
@_drawn
@_of_tracks
@_patterns
@click.option(
    "-s",
    "--score",
    metavar="NAME",
    help="Score to map; see `score --explain`.  [default: LLR; for BPE tokens PLL; for a track model SAD; for a fine-tuned "
    "model the logit]",
)
@click.option("--class", "output", metavar="NAME", help="Class of a fine-tuned model.  [default: the last]")
@click.option(
    "--strand",
    type=click.Choice(["both", "forward"]),
    help="Average over both strands, or use only the forward strand.  [default: both; for the logit of a class, the strands of "
    "the model's training]",
)
@shared.targets
@shared.context
@window_options
@shared.score_scale
@tile
@shared.compute_options()
def ism(**options: Any) -> None:
    """Score every single-base change (in-silico mutagenesis, ISM) as `genoformer score` would.

    \b
    genoformer interpret ism enhancers.bed -f hg38.fa -m mini-human --length 100 -o ism
    genoformer interpret ism -f hg38.fa -r chr20:1,050,001-1,050,100 -m mini-human -o ism
    genoformer interpret ism enhancers.bed -f hg38.fa -m mini-tracks -s SAD501 --tracks 5 \\
        --length 100 -o ism

    Every change is scored in the window that `score` would use; --context, --shifts and --anchor work as in `score`. For a VCF,
    the `score` values of its variants, including insertions and deletions, are in variants.tsv and below the figures. Without
    --tracks, the map of a track model is the sum over all tracks. For a fine-tuned model, the map is the change of a class's
    logit for the sequence of the region alone, or with -s LOGIT or -s DIFF the score of each change in its window.
    """
    from genoformer.interpretation.ism_maps import map_ism
    from genoformer.interpretation.request import IsmOptions, MotifOptions

    options["compute"] = shared.take_compute(options)
    _run(map_ism, options, IsmOptions, MotifOptions)


@interpret.command(short_help="Compute how much each base adds to an output.")
@_common
@_drawn
@_of_tracks
@_patterns
@click.option(
    "--method",
    type=click.Choice(["gradient", "integrated"]),
    default="gradient",
    show_default=True,
    help="Method: gradient x input with the simplex correction, or integrated gradients (captum).",
)
@click.option("--class", "output", metavar="NAME", help="Class of a fine-tuned model.  [default: the last]")
@click.option(
    "--steps", "n_steps", type=click.IntRange(min=2), metavar="N", help="Steps of integrated gradients.  [default: 50]"
)
@click.option(
    "--bins",
    metavar="all|region|CHR:FROM-TO",
    help="Bins to sum: all that the model predicts in its window, those of each region, or those that an interval such as "
    "chr20:1,050,001-1,050,200 touches.  [default: all]",
)
@click.option("--gene", metavar="NAME", help="Sum the bins of the exons of a gene (--gtf), as LOGSED does.")
@shared.context
def attribution(**options: Any) -> None:
    """Compute how much each base adds to an output: a class of a fine-tuned model, or the sum of tracks.

    \b
    genoformer interpret attribution peaks.bed -f hg38.fa -m promoters/ --class promoter \\
        --modisco --known jaspar.meme -o attr
    genoformer interpret attribution -f hg38.fa -r chr20:1,050,001-1,050,500 -m borzoi --tracks 5 \\
        --gtf genes.gtf --gene FKBP1A -o attr

    A track model reads its context around each region (--context for another length), and the maps are of the region. The
    output is the sum of the tracks over all bins that the model predicts there, or over those of --bins or --gene.
    """
    from genoformer.interpretation.attribution_maps import map_attribution
    from genoformer.interpretation.request import AttributionOptions, MotifOptions

    _run(map_attribution, options, AttributionOptions, MotifOptions)


@interpret.command(short_help="Show what the first-layer filters read, as motifs.")
@_common
@click.option("--known", type=_PATH, help=_KNOWN)
def filters(**options: Any) -> None:
    """Turn the first-layer filters of a track model into motifs, from the bases in the regions where each is most active.

    \b
    genoformer interpret filters peaks.bed -f hg38.fa -m mini-tracks --length 500 \\
        --known jaspar.meme -o filters
    """
    from genoformer.interpretation.motif_search import map_filters
    from genoformer.interpretation.request import MotifOptions

    _run(map_filters, options, MotifOptions)


@interpret.command(short_help="Match motifs with known motifs.")
@click.argument("motifs", type=_PATH)
@click.argument("known", type=_PATH, required=False)
@click.option("--nearest", type=click.IntRange(min=1), default=3, show_default=True, help="Number of known motifs per motif.")
@click.option("--scan", type=_PATH, metavar="DATA", help="BED (with -f) or FASTA to scan for MOTIFS.")
@click.option("-f", "--fasta", type=_PATH, help="Reference genome (FASTA), needed if the scanned file is a BED.")
@click.option(
    "--p-value",
    "threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=1e-4,
    show_default=True,
    help="Maximum p-value of a hit.",
)
@json_option
def motifs(motifs: Path, known: Path | None, scan: Path | None, as_json: bool, **options: Any) -> None:
    """Match the MOTIFS of a file with KNOWN motifs (MEME, TRANSFAC, JASPAR, HOMER ...) by Tomtom, as a table on stdout.

    \b
    genoformer interpret motifs attr/motifs.meme jaspar.meme
    genoformer interpret motifs attr/motifs.meme --scan peaks.bed -f hg38.fa > hits.bed

    With --scan, FIMO finds the sites that match MOTIFS, as BED6 on stdout. Motif files hold counts or probabilities of DNA in
    the formats MEME, TRANSFAC, JASPAR, HOMER, HOCOMOCO, Cluster-Buster, CIS-BP or UniPROBE; the format is detected from the
    content (docs/motif-files.md).
    """
    from genoformer.errors import ConfigError
    from genoformer.interpretation.motif_search import match_motifs, scan_motifs

    if (known is None) == (scan is None):
        raise ConfigError("give either a file of KNOWN motifs, or --scan with sequences.")
    if scan is not None:
        result = scan_motifs(motifs, scan, options["fasta"], threshold=options["threshold"])
        if result.hits:
            click.echo(result.bed())
        for note in result.notes:
            print_note(note)
        if as_json:
            print_json({"hits": len(result.hits), "sequences": len(result.loci)}, output="-")
            return
        print_note(f"{len(result.hits):,} hits in {len(result.loci):,} sequences")
        return
    assert known is not None
    matches = match_motifs(motifs, known, options["nearest"])
    if as_json:
        print_json({"matches": [plain(match) for match in matches]})
        return
    click.echo("query\ttarget\tp\tq\toffset\tstrand")
    for match in matches:
        click.echo(f"{match.query}\t{match.target}\t{match.p:.3g}\t{match.q:.3g}\t{match.offset}\t{match.strand}")


def _run(method: Callable[..., Any], options: dict[str, Any], *kinds: type) -> None:
    """Call a method with a request and with its options, each a dataclass of `kinds`, and print the notes of the result."""
    from genoformer.interpretation.request import build_request

    from .output_lock import lock_outputs
    from .progress import progress_bar

    compute = options.get("compute")
    lock_outputs(None if compute is not None and compute.shard else options["out"])
    request, parts = build_request(shared.with_regions(options), *kinds)
    with progress_bar("regions") as progress:
        result = method(request, *parts, progress=progress)
    print_cautions(options["model"], options["fasta"], of_variants="score" in options)
    for note in result.notes:
        print_note(note)
