"""genoformer interpret: attention, ism, attribution, motifs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_COMMON = [
    click.argument("data", type=click.Path()),
    click.option("-m", "--model", "model_name", metavar="MODEL", required=True, help="A model folder, or a shipped name."),
    click.option("-f", "--fasta", type=click.Path(), help="The genome, where DATA is a BED or VCF."),
    click.option("-o", "--output", required=True, type=click.Path(), help="Folder for maps.npz, maps.bw and the figures."),
    click.option("--length", type=click.IntRange(min=1), metavar="BASES", help="Around the middle of each region or variant."),
    click.option("--figures", type=click.IntRange(min=0), default=10, show_default=True, help="Of the first so many places."),
    click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...; auto: a GPU if there is one."),
]


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_COMMON):
        command = option(command)
    return command


@click.group()
def interpret() -> None:
    """What a model looks at and depends on, at the places of a BED, VCF or FASTA: maps, tracks, motifs and figures."""


@interpret.command()
@_common
@click.option("--profile", default="viz", show_default=True, help="viz, cls, received, rollout or entropy; see below.")
@click.option("--layers", default="-1", show_default=True, metavar="NUMBERS", help="From 0; negative ones from the last.")
@click.option("--query", type=int, help="Token or bin that is asked.  [default: [CLS], or the middle bin]")
@click.option("--negative", type=click.Path(), help="Sequences without what DATA has in common: motifs are searched, too.")
def attention(data: str, profile: str, layers: str, query: int | None, negative: str | None, **options: Any) -> None:
    """Which bases attention looks at.

    \b
    genoformer interpret attention peaks.bed -f hg38.fa -m mini-human --length 200 -o attention
    genoformer interpret attention positive.fa -m promoters/ --negative negative.fa -o motifs

    viz is DNABERT-viz's projection of what [CLS] looks at; cls the plain mean of it; received how much a base is looked at;
    rollout where the end of all layers comes from; entropy how spread the looks are. With --negative the motifs of
    DNABERT-viz: regions that are looked at, enriched, merged, with what is left after each stage.
    """
    from genoformer.errors import ConfigError
    from genoformer.interpretation.discovery import discover
    from genoformer.interpretation.places import read_places
    from genoformer.interpretation.run import attention_profiles
    from genoformer.models import checkpoint

    from .progress import progress_bar

    genome, places, out, device = _begin(data, options)
    model = checkpoint.load_any(options["model_name"])
    try:
        numbers = [int(text) for text in layers.split(",")]
    except ValueError as error:
        raise ConfigError(f"--layers {layers}: give whole numbers and commas, such as 0,5,-1.") from error
    with progress_bar("places") as watch:
        maps = attention_profiles(
            model, places, profile=profile, layers=numbers, query=query, device=device,  # type: ignore[arg-type]
            on_done=_told(watch, "attention", len(places)),
        )  # fmt: skip
    _write(out, places, maps, genome, f"attention {profile}", options["figures"])
    if negative is None:
        return
    others = read_places(negative, genome, length=options["length"])
    found = discover([p.codes for p in places], maps, [p.codes for p in others])
    click.echo(found.text(), err=True)
    _write_motifs(out, [(m.name, m.frequencies, len(m.places), f"{m.name}, n = {len(m.places)}, q = {m.q:.1g}")
                        for m in found.motifs])  # fmt: skip


@interpret.command()
@_common
@click.option("-s", "--score", metavar="NAME", help="Of `score --explain`.  [default: LLR, of a model of tracks SAD]")
@click.option("--tracks", metavar="SPEC", help="Which are summed up apart: numbers, names or patterns; one is best.")
@click.option("--head", metavar="NAME", help="Such as human, where the model has several.")
@click.option("--strand", type=click.Choice(["both", "forward"]), default="both", show_default=True)
def ism(data: str, score: str | None, tracks: str | None, head: str | None, strand: str, **options: Any) -> None:
    """What every single-base change does (in-silico mutagenesis), scored as `genoformer score` would.

    \b
    genoformer interpret ism enhancers.bed -f hg38.fa -m mini-human --length 100 -o ism
    genoformer interpret ism enhancers.bed -f hg38.fa -m mini-tracks -s SAD501 --tracks 5 --length 100 -o ism
    """
    from pathlib import Path

    from genoformer.interpretation.figures import draw_mutagenesis, file_name
    from genoformer.interpretation.run import mutageneses
    from genoformer.models import checkpoint
    from genoformer.models.longrange import LongRange
    from genoformer.prediction import tracks_of
    from genoformer.scoring.scorers import OfTracks, Work

    from .progress import progress_bar

    genome, places, out, device = _begin(data, options)
    model = checkpoint.load_scoring(options["model_name"])
    of_tracks = None
    if isinstance(model, LongRange):
        known = tracks_of(model.config, model.targets, head, None)
        of_tracks = OfTracks(
            head=model.head_named(head), targets=model.targets.get(model.head_named(head)),
            tracks=known.choose(tracks) if tracks else None,
        )  # fmt: skip
    name = score or ("SAD" if isinstance(model, LongRange) else "LLR")
    work = Work((model,), genome, name, None, strand == "both", device, of_tracks=of_tracks)
    with work.ready() as scorer, progress_bar("places") as watch:
        found = mutageneses(scorer, genome, places, on_done=_told(watch, "mutagenesis", len(places)))
    _write(out, places, [of.values[0] for of in found], None, f"mutagenesis {found[0].names[0]}", 0)
    for i, (place, of) in enumerate(zip(places[: options["figures"]], found, strict=False)):
        draw_mutagenesis(Path(out) / file_name(i, place.name), place, of)
    _write_track(out, places, [of.importance[0].sum(-1) for of in found], genome)


@interpret.command()
@_common
@click.option("--method", type=click.Choice(["gradient", "integrated"]), default="gradient", show_default=True,
              help="Gradient x input with the simplex correction, or integrated gradients (captum).")  # fmt: skip
@click.option("--class", "output_class", metavar="NAME", help="Of a fine-tuned model.  [default: the last]")
@click.option("--tracks", metavar="SPEC", help="Of a model of tracks, whose sum is explained.  [default: all]")
@click.option("--head", metavar="NAME", help="Such as human, where the model has several.")
@click.option("--steps", type=click.IntRange(min=2), default=50, show_default=True, help="Of integrated gradients.")
@click.option("--modisco", is_flag=True, help="Recurring patterns too, by TF-MoDISco (extra interpret).")
@click.option("--known", type=click.Path(), help="Motifs (JASPAR, HOCOMOCO, MEME) that patterns are matched with.")
def attribution(
    data: str, method: str, output_class: str | None, tracks: str | None, head: str | None, steps: int, modisco: bool,
    known: str | None, **options: Any,
) -> None:  # fmt: skip
    """How much each base adds to an output: a class of a fine-tuned model, or the sum of tracks.

    \b
    genoformer interpret attribution peaks.bed -f hg38.fa -m promoters/ --class promoter --modisco --known jaspar.meme -o attr
    """
    import numpy as np

    from genoformer.errors import ConfigError
    from genoformer.interpretation.run import attributions
    from genoformer.models import checkpoint
    from genoformer.models.heads import Predictor
    from genoformer.models.longrange import LongRange
    from genoformer.prediction import tracks_of

    from .progress import progress_bar

    genome, places, out, device = _begin(data, options)
    model = checkpoint.load_any(options["model_name"])
    output, chosen = 0, []
    if isinstance(model, Predictor):
        classes = list(model.config.classes)
        if output_class is not None and output_class not in classes:
            raise ConfigError(f"--class {output_class}: the model has {', '.join(classes)}.")
        output = classes.index(output_class) if output_class else len(classes) - 1
    if isinstance(model, LongRange) and tracks:
        chosen = tracks_of(model.config, model.targets, head, None).choose(tracks)
    with progress_bar("places") as watch:
        found = attributions(
            model, places, method=method, output=output, head=head, tracks=chosen, n_steps=steps,  # type: ignore[arg-type]
            device=device, on_done=_told(watch, "attribution", len(places)),
        )  # fmt: skip
    _write(out, places, [of.values[0].sum(-1) for of in found], genome, f"attribution {method}", options["figures"])
    if method == "integrated":
        errors = np.concatenate([of.error for of in found if of.error is not None])
        middle, most = np.median(errors), errors.max()
        click.echo(f"completeness: sums are off by {middle:.2%} in the middle, {most:.2%} at most", err=True)
    if modisco:
        _patterns(out, places, found, known)


def _patterns(out: Any, places: Any, found: Any, known: str | None) -> None:
    import numpy as np

    from genoformer.errors import ConfigError
    from genoformer.interpretation.matrices import read_matrices, tomtom, trimmed
    from genoformer.interpretation.modisco import patterns

    if len({len(place.codes) for place in places}) > 1:
        raise ConfigError("TF-MoDISco takes places of one length; give --length.")
    codes = np.stack([place.codes for place in places])
    made = patterns(codes, np.concatenate([of.hypothetical for of in found]))
    click.echo(f"{len(made)} patterns", err=True)
    matrices = [trimmed(pattern.matrix) for pattern in made]
    best: dict[str, str] = {}
    if known and matrices:
        for match in tomtom(matrices, read_matrices(known), n_nearest=1):
            best[match.query] = f"{match.target}, p = {match.p:.1g}"
            click.echo(f"{match.query}\t{match.target}\t{match.p:.2g}\t{match.q:.2g}")
    _write_motifs(out, [(m.name, m.p, m.n_sites, f"{m.name}, n = {m.n_sites}" + (f"; {best[m.name]}" if m.name in best else ""))
                        for m in matrices])  # fmt: skip


@interpret.command()
@click.argument("motifs", type=click.Path())
@click.argument("known", type=click.Path())
@click.option("-n", "nearest", type=click.IntRange(min=1), default=3, show_default=True, help="Known motifs for each.")
def motifs(motifs: str, known: str, nearest: int) -> None:
    """Which known motifs (JASPAR, HOCOMOCO, MEME) those of a file are like: Tomtom, as a table on stdout.

    \b
    genoformer interpret motifs attr/motifs.meme jaspar.meme
    """
    from genoformer.interpretation.matrices import read_matrices, tomtom

    click.echo("query\ttarget\tp\tq\toffset\tstrand")
    for match in tomtom(read_matrices(motifs), read_matrices(known), n_nearest=nearest):
        click.echo(f"{match.query}\t{match.target}\t{match.p:.3g}\t{match.q:.3g}\t{match.offset}\t{match.strand}")


def _begin(data: str, options: dict[str, Any]) -> tuple[Any, Any, Any, str]:
    from pathlib import Path

    from genoformer import inference
    from genoformer.genome.reference import Genome
    from genoformer.interpretation.places import MANIFEST, MAPS, read_places
    from genoformer.whole import refuse_others

    genome = Genome(options["fasta"]) if options["fasta"] else None
    places = read_places(data, genome, length=options["length"])
    out = Path(options["output"])
    refuse_others(out, MAPS, MANIFEST, lambda old: old.get("what") is not None)
    out.mkdir(parents=True, exist_ok=True)
    return genome, places, out, inference.best_device() if options["device"] == "auto" else options["device"]


def _told(watch: Any, stage: str, n: int) -> Callable[[int], None] | None:
    from genoformer.progress import Progress

    return (lambda done: watch(Progress(stage, done, n))) if watch else None


def _write(out: Any, places: Any, maps: Any, genome: Any, what: str, n_figures: int) -> None:
    from genoformer.interpretation.figures import draw_map, file_name
    from genoformer.interpretation.places import write_maps

    write_maps(out / "maps.npz", places, maps, what)
    click.echo(f"{out / 'maps.npz'}: {what}, {len(places):,} places", err=True)
    for i, (place, of) in enumerate(zip(places[:n_figures], maps, strict=False)):
        draw_map(out / file_name(i, place.name), place, of, label=what.split()[0])
    if genome is not None:
        _write_track(out, places, maps, genome)


def _write_track(out: Any, places: Any, maps: Any, genome: Any) -> None:
    from genoformer.interpretation.places import write_map_track

    if genome is not None and all(place.chrom for place in places):
        n = write_map_track(out / "maps.bw", places, maps, genome)
        click.echo(f"{out / 'maps.bw'}: {n:,} bases", err=True)


def _write_motifs(out: Any, found: list[tuple[str, Any, int, str]]) -> None:
    from genoformer.interpretation.figures import draw_motif, file_name
    from genoformer.interpretation.matrices import Matrix, write_meme

    matrices = [Matrix(name, p, n) for name, p, n, _ in found]
    write_meme(out / "motifs.meme", matrices)
    click.echo(f"{out / 'motifs.meme'}: {len(matrices):,} motifs", err=True)
    for i, (matrix, (*_, title)) in enumerate(zip(matrices, found, strict=True)):
        draw_motif(out / f"motif_{file_name(i, matrix.name)}", matrix, title)
