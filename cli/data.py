"""`genoformer data`: data sets that come from elsewhere, and one that is made here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from genoformer.labelled.build import Built


@click.group()
def data() -> None:
    """Data to train and test on."""


@data.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Another seed, another genome; the motifs stay the same.")
@click.option("--contigs", default=2, show_default=True, help="How many contigs: chrS1, chrS2, ...")
@click.option("--contig-length", default=1_000_000, show_default=True, help="Bases of each contig.")
@click.option("--variants", default=4_000, show_default=True, help="Records of the VCF.")
def simulate(out: Path, seed: int, contigs: int, contig_length: int, variants: int) -> None:
    """Make a genome in which every answer is known, in the folder OUT.

    It has human-like base composition, CpG islands, repeats, genes, and promoters, enhancers and CTCF sites whose motif
    instances are drawn from JASPAR matrices; peaks, a segmentation in seven states, and a VCF that says which variants
    break a motif and by how many bits. The same command writes the same bytes; another world in OUT is refused.

    \b
    Example:
      genoformer data simulate world --seed 1 --contigs 2 --contig-length 500000 --variants 2000
    """
    from genoformer.simulation import simulate as make

    world = make(out, seed=seed, n_contigs=contigs, contig_length=contig_length, n_variants=variants)
    n = world.counts
    click.echo(
        f"{out}: {n['bases']:,} bases in {contigs:,} contigs (seed {seed}) with {n['genes']:,} genes and "
        f"{n['elements']:,} regulatory elements with {n['instances']:,} motif instances; {n['variants']:,} variants "
        f"({n['snvs']:,} SNVs, {n['indels']:,} insertions and deletions), of which {n['motif_breaking']:,} break a "
        f"motif. Checksums, and whom to cite for the motifs, are in {out / 'world.json'}."
    )


@data.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("-f", "--fasta", required=True, type=click.Path(path_type=Path), help="The genome; plain, bgzipped or gzipped.")
@click.option(
    "-p",
    "--positives",
    required=True,
    multiple=True,
    metavar="NAME=FILE",
    help="A class and its regions: BED, narrowPeak, broadPeak or GTF (start sites). Once per class.",
)
@click.option(
    "--negatives",
    type=click.Choice(["gc", "dinucleotide", "elsewhere", "none"]),
    default="gc",
    show_default=True,
    help="Random windows of the same GC, shuffles that keep dinucleotides, or random windows.",
)
@click.option("--ratio", default=1.0, show_default=True, help="Negatives per positive.")
@click.option("--length", type=int, help="Bases of a window, around the summit or middle.  [default: 300]")
@click.option("--upstream", type=int, help="Bases before the start site, summit or middle; in place of --length.")
@click.option("--downstream", type=int, help="Bases from there on.")
@click.option("--valid", multiple=True, metavar="CONTIGS", help="Contigs to validate on: chr8 or chr8,chr9; may be repeated.")
@click.option("--test", multiple=True, metavar="CONTIGS", help="Contigs to test on.")
@click.option("--blacklist", type=click.Path(path_type=Path), help="BED of regions that no window may touch.")
@click.option("--max-n", default=0.05, show_default=True, help="Share of N up to which a window is kept.")
@click.option("--seed", default=0, show_default=True, help="The same seed writes the same bytes.")
def build(
    out: Path, fasta: Path, positives: tuple[str, ...], negatives: str, ratio: float, length: int | None,
    upstream: int | None, downstream: int | None, valid: tuple[str, ...], test: tuple[str, ...], blacklist: Path | None,
    max_n: float, seed: int,
) -> None:  # fmt: skip
    """Make labelled sequences to train on, in the folder OUT.

    Writes train.tsv, valid.tsv and test.tsv (sequence, label, chrom, start, end, strand, name; 0-based half-open), split by
    contig, and manifest.json with the checksums of all that went in. Prints what was kept, what was dropped and why, the GC
    of each class, and how much of one split, and of each class in it, is found in another. The same command writes
    the same set again; a folder that holds another set, or other files of these names, is refused.

    A GTF gives a window around each transcript's start, from 5/6 of the length before it to 1/6 behind it, unless
    --upstream and --downstream say otherwise. Other files give windows around the summit, or the middle.

    \b
    Example:
      genoformer data simulate world --seed 1 --contigs 3 --contig-length 300000
      genoformer data build promoters -f world/genome.fa.gz -p promoter=world/genes.gtf.gz --valid chrS2 --test chrS3
    """
    from genoformer.genome.reference import Genome
    from genoformer.labelled import build as building

    with Genome(fasta) as genome:
        built = building.build(
            out, genome, _named(positives), length=length, upstream=upstream, downstream=downstream,
            negatives=None if negatives == "none" else negatives, ratio=ratio, valid=_listed(valid), test=_listed(test),
            blacklist=blacklist, max_n=max_n, seed=seed,
        )  # fmt: skip
        for note in [*genome.notes, *built.notes]:
            click.echo(f"Note: {note}", err=True)
    _show(built)


def _named(positives: tuple[str, ...]) -> dict[str, Path]:
    """NAME=FILE, each class once."""
    files: dict[str, Path] = {}
    for text in positives:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise click.BadParameter(f"{text!r} is not NAME=FILE, such as promoter=tss.bed", param_hint="--positives")
        if name in files:
            raise click.BadParameter(f"class {name} is given twice; each class has one file", param_hint="--positives")
        files[name] = Path(path)
    return files


def _listed(contigs: tuple[str, ...]) -> list[str]:
    return [name.strip() for text in contigs for name in text.split(",") if name.strip()]


def _show(built: Built) -> None:
    click.echo(f"{built.out}: windows of {built.length:,} bases")
    for split, counts in built.counts.items():
        parts = [
            f"{n:,} {name}" + (f" (GC {built.gc[split][name]:.1%})" if name in built.gc[split] else "")
            for name, n in counts.items()
        ]
        click.echo(f"  {split}: {', '.join(parts)}")
    for name, reasons in built.dropped.items():
        if reasons:
            click.echo(f"  left out of {name}: {', '.join(f'{n:,} {reason}' for reason, n in reasons.items())}")
    for pair, found in built.leakage.items():
        first, second = pair.split(", ")
        click.echo(f"  leakage: {found.describe(first, second)}")
