"""Rows of a BED beyond their contig: refused, or counted, with the line and the numbers of the row, by whoever reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from genoformer.errors import ConfigError, ContigError, GenoformerError
from genoformer.genome.beyond import first_beyond, placed_regions, regions_on
from genoformer.genome.contigs import ContigIndex
from genoformer.genome.reference import Genome
from genoformer.interpretation.loci import read_loci


@pytest.fixture
def genome(make_fasta: Callable[..., Path]) -> Iterator[Genome]:
    with Genome(make_fasta(chr1="ACGT" * 250, chr2="ACGT")) as found:
        yield found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chr1\t0\t9\nchr1\t1000\t1100\n", "a.bed, line 2: chr1:1,000-1,100 lies beyond the end of chr1 of"),
        ("#c\nchr1\t990\t1001\n", "a.bed, line 2: chr1:990-1,001 reaches beyond the end of chr1 of"),
        ("2\t4\t5\n", "a.bed, line 1: 2:4-5 lies beyond the end of chr2 of"),
        ("p\tchr1\t1001\t1001\t+\n", "a.bed, line 1: chr1:1,001-1,001 lies beyond"),  # HOMER's, from 1
        ("chr9\t0\t5\n", "a.bed, line 1: There is no contig chr9"),
        ("chr1\t-5\t5\n", "a.bed, line 1: START '-5'"),
        ("chr1\t9\t5\n", "a.bed, line 1: END 5 is not after START 9"),
    ],
)
def test_a_row_beyond_its_contig_is_refused_as_the_file_has_it(genome: Genome, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.bed"
    path.write_text(text)
    for read in (lambda: list(regions_on(path, genome)), lambda: read_loci(path, genome)):
        with pytest.raises(GenoformerError) as refused:
            read()
        assert said in str(refused.value)
    if "beyond" in said:
        assert "bases; is the file of another assembly?" in str(refused.value)


def test_windows_may_reach_beyond_where_rows_do_not(genome: Genome, tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text("chr1\t0\t2\tx\nchr1\t998\t1000\ty\n")
    assert [(place.name, place.start, place.end) for place in read_loci(path, genome, length=10).loci] == [
        ("x", -4, 6),
        ("y", 994, 1004),
    ]


def test_predict_cuts_and_says_so(genome: Genome, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="predictions need torch")
    from genoformer.inference.regions import resolve_regions

    path = tmp_path / "a.bed"
    path.write_text("chr1\t0\t9\nchr1\t990\t1010\nchr2\t7\t9\n")
    found = resolve_regions(genome, bed=path)
    assert {chrom: rows.tolist() for chrom, rows in found.intervals.items()} == {"chr1": [[0, 9], [990, 1000]]}
    assert "a.bed, line 3: chr2:7-9 lies beyond the end of chr2" in found.notes[0]
    assert first_beyond(path, genome) is not None
    path.write_text("chr1\t0\t9\n")
    assert first_beyond(path, genome) is None


def test_names_of_contigs_are_those_of_the_genome(genome: Genome, tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text("1\t0\t9\nchr2\t0\t4\n")
    assert [placed.chrom for placed in regions_on(path, genome)] == ["chr1", "chr2"]
    path.write_text("chrUn\t0\t9\n")
    with pytest.raises(ContigError, match=r"a.bed, line 1: There is no contig chrUn"):
        list(regions_on(path, genome))


def test_contigs_are_looked_up_once(genome: Genome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of contigs in turn, some of them unknown: one index of the genome, and one look for each name."""
    looked: list[str] = []
    made: list[ContigIndex] = []

    class Counting(ContigIndex):
        def __init__(self, reference: Iterable[str]) -> None:
            super().__init__(reference)
            made.append(self)

        def get(self, name: str) -> str | None:
            looked.append(name)
            return super().get(name)

    monkeypatch.setattr("genoformer.genome.beyond.ContigIndex", Counting)
    path = tmp_path / "a.bed"
    path.write_text("chr1\t0\t9\nchrUn\t0\t9\n2\t0\t2\n" * 50 + "2\t4\t5\n")
    said = f"{path}, line 151: 2:4-5 lies beyond the end of chr2 of {genome.name}, which has 4 bases"
    assert first_beyond(path, genome) == said
    assert (len(made), looked) == (1, ["chr1", "chrUn", "2"])


def test_regions_of_texts_and_files_keep_their_order(genome: Genome, tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text("1\t5\t9\tx\t0\t-\n")
    placed = list(placed_regions(["chr2", path, "1:11-20"], genome))
    assert [(row.start, row.end, row.name, row.strand, chrom) for row, chrom in placed] == [
        (0, 4, "", ".", "chr2"),
        (5, 9, "x", "-", "chr1"),
        (10, 20, "", ".", "chr1"),
    ]
    assert list(placed_regions(None, genome)) == []


@pytest.mark.parametrize("region", ["chr1:990-1001", "chr1:1001", "chr2:5-9"])
def test_a_text_beyond_its_contig_is_refused(genome: Genome, region: str) -> None:
    with pytest.raises(ConfigError, match=f"region '{region}' reaches beyond the end of chr"):
        list(placed_regions(region, genome))
