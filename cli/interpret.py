"""genoformer interpret: attention, ism, attribution, filters, motifs."""

from __future__ import annotations

from typing import Any

import click

from . import options as shared
from .of_tracks import window_options, window_settings
from .talk import Group, print_note

_common = shared.option_group(
    click.argument("data", type=click.Path()),
    click.option("-m", "--model", type=shared.MODEL, required=True, help="A model folder, or a name of `models list`."),
    click.option("-f", "--fasta", type=click.Path(), help="The genome, where DATA is a BED or VCF."),
    click.option("-o", "--output", "out", required=True, type=click.Path(), help="Folder for maps, motifs and figures."),
    click.option("--length", type=click.IntRange(min=1), metavar="BASES", help="Around the middle of each region or variant."),
    shared.columns,
    shared.fix,
    shared.force,
    shared.device,
)
_drawn = shared.option_group(
    click.option(
        "--figures", "n_figures", type=click.IntRange(min=0), default=10, show_default=True, help="Of the first so many places."
    ),
    click.option(
        "--audit",
        "audits",
        is_flag=True,
        help="How far the maps that are drawn can be trusted: beside the figures, and in audit.tsv.",
    ),
    click.option("--gtf", type=click.Path(), help="Genes (GTF or GFF3), above the figures."),
    click.option("--elements", multiple=True, metavar="[NAME=]BED", help="Elements, above the figures; may be repeated."),
)
_negative = click.option(
    "--negative", type=click.Path(), help="Sequences without what DATA has in common: DNABERT-viz's motifs of the maps, too."
)
_patterns = shared.option_group(
    _negative,
    click.option("--modisco", is_flag=True, help="Recurring patterns too, by TF-MoDISco (extra interpret)."),
    click.option("--known", type=click.Path(), help="Motifs (MEME, JASPAR, HOMER ...) that patterns are matched with."),
)
_of_tracks = shared.option_group(
    click.option("--tracks", metavar="SPEC", help="Which are summed up: numbers, names or patterns.  [default: all]"),
    shared.head,
)


@click.group(cls=Group)
def interpret() -> None:
    """What a model looks at and depends on, at the places of a BED, VCF or FASTA: maps, tracks, motifs and figures.

    Maps are of the forward strand; the strand column of a BED is not used. A VCF is compared with the genome first, as in
    `genoformer score`: what does not fit it has no place, --fix reads it as it is meant, --force goes on all the same.
    """


@interpret.command()
@_common
@_drawn
@click.option("--profile", default="viz", show_default=True, help="viz, cls, received, rollout or entropy; see above.")
@click.option("--layers", default="-1", show_default=True, metavar="NUMBERS", help="From 0; negative ones from the last.")
@click.option("--heads", metavar="NUMBERS", help="From 0, such as 0,3.  [default: all]")
@click.option(
    "--query",
    metavar="NUMBER|tss",
    help="Token or bin that is asked; tss: the bin of the next one (--gtf).  [default: [CLS], or the middle bin]",
)
@_negative
@click.option(
    "--over-least",
    type=click.FloatRange(min=0),
    default=10,
    show_default=True,
    help="Motifs lie above so many times the least attention; 0: above the mean alone.",
)
def attention(
    profile: str, layers: str, heads: str | None, query: str | None, negative: str | None, over_least: float, **options: Any
) -> None:
    """Which bases attention looks at.

    \b
    genoformer interpret attention peaks.bed -f hg38.fa -m mini-human --length 200 -o attention
    genoformer interpret attention positive.fa -m promoters/ --negative negative.fa -o motifs
    genoformer interpret attention genes.bed -f hg38.fa -m mini-tracks --length 65536 \\
        --profile cls --query tss \\
        --gtf gencode.gtf.gz --elements enhancers.bed -o contacts

    viz is DNABERT-viz's projection of what [CLS] looks at; cls the plain mean of it; received how much a base is looked at;
    rollout where the end of all layers comes from; entropy how spread the looks are. Beside each map the matrix of what looks
    at what; with genes and elements, of a model of tracks, arcs from transcription starts to elements. Of a VCF both alleles
    are drawn. With --negative the motifs of DNABERT-viz: regions that are looked at, enriched, merged, with what is left after
    each stage.
    """
    from genoformer.interpretation import jobs

    asked_for = int(query) if query is not None and query.lstrip("-").isdecimal() else query
    with _asked(options) as asked:
        _say(
            jobs.attention(
                asked,
                profile=profile,  # type: ignore[arg-type]
                layers=_numbers("--layers", layers),
                heads=_numbers("--heads", heads),
                query=asked_for,
                over_least=over_least,
                negative=_path(negative),
            )
        )


@interpret.command()
@_common
@_drawn
@_of_tracks
@_patterns
@click.option("-s", "--score", metavar="NAME", help="Of `score --explain`.  [default: LLR, of a model of tracks SAD]")
@click.option("--class", "output", metavar="NAME", help="Of a fine-tuned model.  [default: the last]")
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
    """What every single-base change does (in-silico mutagenesis), scored as `genoformer score` would.

    \b
    genoformer interpret ism enhancers.bed -f hg38.fa -m mini-human --length 100 -o ism
    genoformer interpret ism enhancers.bed -f hg38.fa -m mini-tracks -s SAD501 --tracks 5 \\
        --length 100 -o ism

    Every change is scored in the window that `score` would give it; --context, --shifts and --anchor move it as there. Of a VCF
    the scores of its variants themselves, insertions and deletions too, stand in variants.tsv and below the figures, as `score`
    has them. Without --tracks a map of tracks is the sum of all of them. Of a fine-tuned model it is the change of a class's
    logit.
    """
    from genoformer.interpretation import jobs

    with _asked(options) as asked:
        _say(
            jobs.ism(
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
    help="Gradient x input with the simplex correction, or integrated gradients (captum).",
)
@click.option("--class", "output", metavar="NAME", help="Of a fine-tuned model.  [default: the last]")
@click.option("--steps", "n_steps", type=click.IntRange(min=2), default=50, show_default=True, help="Of integrated gradients.")
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
    """How much each base adds to an output: a class of a fine-tuned model, or the sum of tracks.

    \b
    genoformer interpret attribution peaks.bed -f hg38.fa -m promoters/ --class promoter \\
        --modisco --known jaspar.meme -o attr
    """
    from genoformer.interpretation import jobs

    with _asked(options) as asked:
        _say(
            jobs.attribution(
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
@click.option("--known", type=click.Path(), help="Motifs (MEME, JASPAR, HOMER ...) that filters are matched with.")
def filters(known: str | None, **options: Any) -> None:
    """The first-layer filters of a model of tracks as motifs: the bases where each is most active in the places.

    \b
    genoformer interpret filters peaks.bed -f hg38.fa -m mini-tracks --length 500 \\
        --known jaspar.meme -o filters
    """
    from genoformer.interpretation import jobs

    with _asked(options) as asked:
        _say(jobs.filters(asked, known=_path(known)))


@interpret.command()
@click.argument("motifs", type=click.Path())
@click.argument("known", type=click.Path(), required=False)
@click.option("--nearest", type=click.IntRange(min=1), default=3, show_default=True, help="Known motifs for each.")
@click.option("--scan", type=click.Path(), metavar="DATA", help="A BED (with -f) or FASTA in which MOTIFS are looked for.")
@click.option("-f", "--fasta", type=click.Path(), help="The genome of a BED.")
@click.option(
    "--p-value",
    "threshold",
    type=click.FloatRange(0, 1, min_open=True),
    default=1e-4,
    show_default=True,
    help="Largest p of a place.",
)
def motifs(motifs: str, known: str | None, nearest: int, scan: str | None, fasta: str | None, threshold: float) -> None:
    """Which KNOWN motifs (MEME, TRANSFAC, JASPAR, HOMER ...) those of a file are like: Tomtom, as a table on stdout.

    \b
    genoformer interpret motifs attr/motifs.meme jaspar.meme
    genoformer interpret motifs attr/motifs.meme --scan peaks.bed -f hg38.fa > places.bed

    With --scan the places that fit them: FIMO, as BED6 on stdout. Files of motifs: MEME, TRANSFAC, JASPAR, HOMER, HOCOMOCO,
    Cluster-Buster, CIS-BP and UniPROBE, known by what they hold (docs/motif-files.md); counts or probabilities of DNA.
    """
    from pathlib import Path

    from genoformer.errors import ConfigError
    from genoformer.interpretation import jobs

    if (known is None) == (scan is None):
        raise ConfigError("give one of both: a file of known motifs, or --scan with sequences.")
    if scan is not None:
        found = jobs.scan_motifs(Path(motifs), Path(scan), _path(fasta), threshold=threshold)
        if found.hits:
            click.echo(found.bed())
        _say(list(found.notes))
        print_note(f"{len(found.hits):,} places in {len(found.places):,} sequences")
        return
    assert known is not None
    matches = jobs.match_motifs(Path(motifs), Path(known), nearest)
    click.echo("query\ttarget\tp\tq\toffset\tstrand")
    for match in matches:
        click.echo(f"{match.query}\t{match.target}\t{match.p:.3g}\t{match.q:.3g}\t{match.offset}\t{match.strand}")


def _asked(options: dict[str, Any]) -> Any:
    from contextlib import contextmanager
    from pathlib import Path

    from genoformer import inference
    from genoformer.interpretation.jobs import InterpretationRequest

    from .outputs import lock_outputs
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
