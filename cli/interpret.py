"""Define the commands of genoformer interpret: attention, ism, attribution, filters, motifs."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .track_options import window_options, window_settings
from .verbosity import Group, print_note

_common = shared.option_group(
    click.argument("data", type=click.Path()),
    click.option("-m", "--model", type=shared.MODEL, required=True, help="Model folder, or a name from `models list`."),
    click.option("-f", "--fasta", type=click.Path(), help="Genome FASTA, needed if DATA is a BED or VCF."),
    click.option("-o", "--output", "out", required=True, type=click.Path(), help="Folder for maps, motifs and figures."),
    click.option(
        "--length",
        type=click.IntRange(min=1),
        metavar="BASES",
        help="Length of the maps in bases, around the middle of each region or variant.",
    ),
    shared.columns,
    shared.fix,
    shared.force,
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
        "audits",
        is_flag=True,
        help="Report how reliable the drawn maps are, next to the figures and in audit.tsv.",
    ),
    click.option("--gtf", type=click.Path(), help="Genes (GTF or GFF3), drawn above the figures."),
    click.option("--elements", multiple=True, metavar="[NAME=]BED", help="Elements, drawn above the figures; may be repeated."),
)
_negative = click.option(
    "--negative",
    type=click.Path(),
    help="Background sequences for motif enrichment; also find motifs in the maps as DNABERT-viz does.",
)
_patterns = shared.option_group(
    _negative,
    click.option("--modisco", is_flag=True, help="Also find recurring patterns with TF-MoDISco (needs the extra interpret)."),
    click.option("--known", type=click.Path(), help="Known motifs (MEME, JASPAR, HOMER ...) to match patterns with."),
)
_of_tracks = shared.option_group(
    click.option("--tracks", metavar="SPEC", help="Tracks to sum, by number, name or pattern.  [default: all]"),
    shared.head,
)


@click.group(cls=Group)
def interpret() -> None:
    """Map which bases a model uses in the regions of a BED, VCF or FASTA, with tracks, motifs and figures.

    Maps are of the forward strand; the strand column of a BED is ignored. A VCF is first compared with the genome, as in
    `genoformer score`: records that do not match are left out, --fix reads them as corrected, and --force continues if the
    check fails.
    """


@interpret.command()
@_common
@_drawn
@click.option(
    "--profile", default="viz", show_default=True, help="Attention profile: viz, cls, received, rollout or entropy; see above."
)
@click.option(
    "--layers",
    default="-1",
    show_default=True,
    metavar="NUMBERS",
    help="Layers, counted from 0; negative numbers count from the last.",
)
@click.option("--heads", metavar="NUMBERS", help="Heads, counted from 0, such as 0,3.  [default: all]")
@click.option(
    "--query",
    metavar="NUMBER|tss",
    help="Query token or bin; tss: the bin of the nearest TSS (--gtf).  [default: [CLS], or the middle bin]",
)
@_negative
@click.option(
    "--min-fold",
    type=click.FloatRange(min=0),
    default=10,
    show_default=True,
    help="Motif threshold as a multiple of the minimum attention; 0: only the mean is the threshold.",
)
def attention(
    profile: str, layers: str, heads: str | None, query: str | None, negative: str | None, min_fold: float, **options: Any
) -> None:
    """Map the attention of a model along each sequence.

    \b
    genoformer interpret attention peaks.bed -f hg38.fa -m mini-human --length 200 -o attention
    genoformer interpret attention positive.fa -m promoters/ --negative negative.fa -o motifs
    genoformer interpret attention genes.bed -f hg38.fa -m mini-tracks --length 65536 \\
        --profile cls --query tss \\
        --gtf gencode.gtf.gz --elements enhancers.bed -o contacts

    viz is DNABERT-viz's projection of the attention of [CLS], and cls its plain mean. received is the attention that a base
    receives from all queries, rollout is attention rollout over all layers, and entropy is the entropy of each query's
    attention. Each map comes with its query-key matrix. For a track model with genes and elements, arcs connect TSS and
    elements. For a VCF, both alleles are drawn. With --negative, motifs are found as in DNABERT-viz, from regions of high
    attention that are enriched and merged; the number left after each stage is reported.
    """
    from genoformer.interpretation import methods

    asked_for = int(query) if query is not None and query.lstrip("-").isdecimal() else query
    with _asked(options) as asked:
        _say(
            methods.attention(
                asked,
                profile=profile,  # type: ignore[arg-type]
                layers=_numbers("--layers", layers),
                heads=_numbers("--heads", heads),
                query=asked_for,
                min_fold=min_fold,
                negative=_path(negative),
            )
        )


@interpret.command()
@_common
@_drawn
@_of_tracks
@_patterns
@click.option(
    "-s", "--score", metavar="NAME", help="Score to map; see `score --explain`.  [default: LLR; for a track model SAD]"
)
@click.option("--class", "output", metavar="NAME", help="Class of a fine-tuned model.  [default: the last]")
@shared.strand
@shared.context
@window_options
def ism(
    score: str | None,
    output: str | None,
    tracks: str | None,
    head: str | None,
    strand: str,
    context: int | None,
    shifts: str,
    indels: str,
    anchor: str,
    modisco: bool,
    known: str | None,
    negative: str | None,
    **options: Any,
) -> None:
    """Score every single-base change (in-silico mutagenesis, ISM) as `genoformer score` would.

    \b
    genoformer interpret ism enhancers.bed -f hg38.fa -m mini-human --length 100 -o ism
    genoformer interpret ism enhancers.bed -f hg38.fa -m mini-tracks -s SAD501 --tracks 5 \\
        --length 100 -o ism

    Every change is scored in the window that `score` would use; --context, --shifts and --anchor work as in `score`. For a VCF,
    the `score` values of its variants, including insertions and deletions, are in variants.tsv and below the figures. Without
    --tracks, the map of a track model is the sum over all tracks. For a fine-tuned model, the map is the change of a class's
    logit.
    """
    from genoformer.interpretation import methods

    with _asked(options) as asked:
        _say(
            methods.ism(
                asked,
                score=score,
                tracks=tracks,
                head=head,
                output=output,
                both_strands=strand == "both",
                context=context,
                settings=window_settings(shifts, indels, anchor),
                modisco=modisco,
                known=_path(known),
                negative=_path(negative),
            )
        )


@interpret.command()
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
    "--steps", "n_steps", type=click.IntRange(min=2), default=50, show_default=True, help="Steps of integrated gradients."
)
def attribution(
    method: str,
    output: str | None,
    tracks: str | None,
    head: str | None,
    n_steps: int,
    modisco: bool,
    known: str | None,
    negative: str | None,
    **options: Any,
) -> None:
    """Compute how much each base adds to an output: a class of a fine-tuned model, or the sum of tracks.

    \b
    genoformer interpret attribution peaks.bed -f hg38.fa -m promoters/ --class promoter \\
        --modisco --known jaspar.meme -o attr
    """
    from genoformer.interpretation import methods

    with _asked(options) as asked:
        _say(
            methods.attribution(
                asked,
                method=method,  # type: ignore[arg-type]
                output=output,
                tracks=tracks,
                head=head,
                n_steps=n_steps,
                modisco=modisco,
                known=_path(known),
                negative=_path(negative),
            )
        )


@interpret.command()
@_common
@click.option("--known", type=click.Path(), help="Known motifs (MEME, JASPAR, HOMER ...) to match filters with.")
def filters(known: str | None, **options: Any) -> None:
    """Turn the first-layer filters of a track model into motifs, from the bases in the regions where each is most active.

    \b
    genoformer interpret filters peaks.bed -f hg38.fa -m mini-tracks --length 500 \\
        --known jaspar.meme -o filters
    """
    from genoformer.interpretation import methods

    with _asked(options) as asked:
        _say(methods.filters(asked, known=_path(known)))


@interpret.command()
@click.argument("motifs", type=click.Path())
@click.argument("known", type=click.Path(), required=False)
@click.option("--nearest", type=click.IntRange(min=1), default=3, show_default=True, help="Number of known motifs per motif.")
@click.option("--scan", type=click.Path(), metavar="DATA", help="BED (with -f) or FASTA to scan for MOTIFS.")
@click.option("-f", "--fasta", type=click.Path(), help="Genome FASTA, needed if the scanned file is a BED.")
@click.option(
    "--p-value",
    "threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=1e-4,
    show_default=True,
    help="Maximum p-value of a hit.",
)
def motifs(motifs: str, known: str | None, nearest: int, scan: str | None, fasta: str | None, threshold: float) -> None:
    """Match the MOTIFS of a file with KNOWN motifs (MEME, TRANSFAC, JASPAR, HOMER ...) by Tomtom, as a table on stdout.

    \b
    genoformer interpret motifs attr/motifs.meme jaspar.meme
    genoformer interpret motifs attr/motifs.meme --scan peaks.bed -f hg38.fa > places.bed

    With --scan, FIMO finds the sites that match MOTIFS, as BED6 on stdout. Motif files hold counts or probabilities of DNA in
    the formats MEME, TRANSFAC, JASPAR, HOMER, HOCOMOCO, Cluster-Buster, CIS-BP or UniPROBE; the format is detected from the
    content (docs/motif-files.md).
    """
    from pathlib import Path

    from genoformer.errors import ConfigError
    from genoformer.interpretation import methods

    if (known is None) == (scan is None):
        raise ConfigError("give one of both: a file of known motifs, or --scan with sequences.")
    if scan is not None:
        found = methods.scan_motifs(Path(motifs), Path(scan), _path(fasta), threshold=threshold)
        if found.hits:
            click.echo(found.bed())
        _say(list(found.notes))
        print_note(f"{len(found.hits):,} places in {len(found.places):,} sequences")
        return
    assert known is not None
    matches = methods.match_motifs(Path(motifs), Path(known), nearest)
    click.echo("query\ttarget\tp\tq\toffset\tstrand")
    for match in matches:
        click.echo(f"{match.query}\t{match.target}\t{match.p:.3g}\t{match.q:.3g}\t{match.offset}\t{match.strand}")


def _asked(options: dict[str, Any]) -> Any:
    from contextlib import contextmanager
    from pathlib import Path

    from genoformer import inference
    from genoformer.interpretation.methods import InterpretationRequest

    from .output_lock import lock_outputs
    from .progress import progress_bar

    @contextmanager
    def ready() -> Any:
        lock_outputs(options["out"])
        device = inference.resolve_device(options["device"])
        paths = {name: _path(options.get(name)) for name in ("fasta", "gtf")}
        with progress_bar("places") as listen:
            yield InterpretationRequest(
                **{
                    **options,
                    **paths,
                    "data": Path(options["data"]),
                    "out": Path(options["out"]),
                    "device": device,
                    "progress": listen,
                }
            )

    return ready()


def _numbers(option: str, text: str | None) -> list[int]:
    from genoformer.errors import ConfigError

    try:
        return [int(part) for part in text.split(",")] if text is not None else []
    except ValueError as error:
        raise ConfigError(f"{option} {text}: give whole numbers and commas, such as 0,5,-1.") from error


def _path(text: str | None) -> Any:
    from pathlib import Path

    return Path(text) if text else None


def _say(lines: list[str]) -> None:
    for line in lines:
        print_note(line)
