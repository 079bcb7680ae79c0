"""The text of the page: regions, variants and genes of the genome; it never names a file."""

from __future__ import annotations

import pytest
from browse_worlds import BASES, DELETION, SNV, World

from genoformer.annotation.genes import read_gene_map
from genoformer.browse.place import read_place
from genoformer.errors import GenoformerError
from genoformer.genome.reference import Genome


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [("chr1:11-20", 10, 20), ("1:1,001-1,100", 1_000, 1_100), ("chr1:1950-9000", 1_949, 2_000), ("chr1", 0, 2_000)],
)
def test_a_region_is_read_as_in_the_commands(world: World, text: str, start: int, end: int) -> None:
    assert read_place(text, Genome(world.fasta))[:3] == ("chr1", start, end)


@pytest.mark.parametrize("text", [SNV, DELETION, SNV.replace("chr1:", "1-").replace(":", "-")])
def test_a_variant_has_the_bases_of_its_ref(world: World, text: str) -> None:
    place = read_place(text, Genome(world.fasta))
    assert place.variant is not None
    assert BASES[place.start : place.end] == place.variant.ref
    assert place.chrom == "chr1"


def test_a_gene_is_found_by_its_name(world: World) -> None:
    genes = read_gene_map(world.folder / "g.gtf")
    place = read_place("near", Genome(world.fasta), genes)
    assert (place.start, place.end) == (0, 1_120)  # with its promoter, 1,000 bases upstream
    with pytest.raises(GenoformerError, match="There is no contig near"):
        read_place("near", Genome(world.fasta))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("chr7:1-10", "There is no contig chr7 in g.fa"),
        ("chr1:3000-4000", "lies beyond its contig, which has 2,000 bases"),
        ("chr1:20-10", "runs from 20 to 10"),
        ("chr1:abc", "region 'chr1:abc' is not understood"),
        (f"{SNV[:-3]}{SNV[-1]}:{SNV[-3]}", f"REF is {SNV[-1]}, but g.fa has {SNV[-3]} there; is it on another assembly"),
        (f"{SNV[:-1]}{SNV[-3]}", "REF and ALT are equal"),
        ("chr1:5000:A:G", "chr1:5000:A>G lies beyond its contig, which has 2,000 bases"),
        ("chr1:0:A:G", "lies beyond its contig"),
        ("chr1:5:N:G", "cannot be scored (N_IN_REF)"),
        ("{place}", "There is no contig"),
    ],
)
def test_other_texts_are_refused_in_a_sentence(world: World, text: str, sentence: str) -> None:
    with pytest.raises(GenoformerError) as error:
        read_place(text.format(place=world.folder / "e.bed"), Genome(world.fasta))
    assert sentence in str(error.value)
