"""`genoformer data`: data sets that come from elsewhere, and one that is made here."""

from __future__ import annotations

from pathlib import Path

import click


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
    break a motif and by how many bits. The same command writes the same bytes.

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
