"""genoformer report."""

from __future__ import annotations

from typing import Any

import click


@click.command()
@click.argument("scored", type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(), help="The page, such as report.html.")
@click.option("--title", help="[default: the name of SCORED]")
@click.option("-m", "--model", "model_name", metavar="MODEL", help="With -f: draws what this model says around the strongest.")
@click.option("-f", "--fasta", type=click.Path(), help="The genome.")
@click.option("--top", type=click.IntRange(min=0), default=6, show_default=True, help="Variants that are drawn.")
@click.option("--flank", type=click.IntRange(min=5, max=75), default=25, show_default=True, help="Bases on either side.")
def report(
    scored: str, output: str, title: str | None, model_name: str | None, fasta: str | None, top: int, flank: int
) -> None:
    """One HTML page of a scored VCF, which needs no server and no network: summary, distributions, a table, figures.

    \b
    genoformer report scored.vcf.gz -o report.html
    genoformer report scored.vcf.gz -o report.html -m mini-human -f hg38.fa
    """
    from pathlib import Path

    from genoformer.errors import ConfigError
    from genoformer.report import read_scored, write_report

    if (model_name is None) != (fasta is None):
        raise ConfigError("figures need both: give the model (-m) and the genome (-f), or neither.")
    found = read_scored(Path(scored))
    figures = _figures(found, model_name, fasta, top, flank) if model_name and fasta else []
    n = write_report(found, Path(output), title=title or Path(scored).name, figures=figures)
    click.echo(f"{output}: {n:,} of {len(found.rows):,} alleles", err=True)


def _figures(found: Any, model_name: str, fasta: str, top: int, flank: int) -> list[Any]:
    """Mutagenesis around the alleles with the largest |first score|, each place once."""
    import tempfile
    from pathlib import Path

    from genoformer.genome.reference import Genome
    from genoformer.interpretation.figures import draw_mutagenesis
    from genoformer.interpretation.places import Place
    from genoformer.interpretation.run import mutageneses
    from genoformer.models import checkpoint
    from genoformer.models.encoder import Encoder
    from genoformer.report import FIXED, Figure
    from genoformer.scoring.scorers import OfTracks, Work

    first = len(FIXED)
    rows = sorted((row for row in found.rows if isinstance(row[first], float)), key=lambda row: -abs(row[first]))
    genome, model = Genome(fasta), checkpoint.load_scoring(model_name)
    language = isinstance(model, Encoder)
    of_tracks = None if language else OfTracks(tracks=[0])
    work = Work((model,), genome, "LLR" if language else "SAD", of_tracks=of_tracks)
    places: dict[tuple[str, int], Any] = {}
    for row in rows:
        if len(places) == top:
            break
        chrom, middle = genome.resolve(row[0]), row[1] - 1
        if (chrom, middle) not in places:
            name = f"{row[0]}:{row[1]:,} {row[3]}>{row[4]}, {found.columns[0].name} {row[first]:.3g}"
            codes = genome.window(chrom, middle - flank, 2 * flank + 1)
            places[chrom, middle] = Place(name, chrom, middle - flank, codes)
    made = []
    with work.ready() as scorer, tempfile.TemporaryDirectory() as folder:
        for place, of in zip(places.values(), mutageneses(scorer, genome, list(places.values())), strict=True):
            draw_mutagenesis(Path(folder) / "figure", place, of)
            made.append(Figure(place.name, (Path(folder) / "figure.png").read_bytes()))
    return made
