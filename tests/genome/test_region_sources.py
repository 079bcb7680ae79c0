"""Regions as text, as BED files and as lists of both: one reader for VCF, predictions and Python."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from genoformer.errors import ConfigError, ContigError, MissingFileError, OptionError
from genoformer.genome.preflight import preflight
from genoformer.genome.reference import Genome
from genoformer.genome.region_sources import region_sources, select_regions
from genoformer.genome.region_text import Interval

CONTIGS = {"chr1": 1000, "chr2": 100}


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    fasta = tmp_path / "g.fa"
    fasta.write_text("".join(f">{name}\n{'ACGTTGCA' * (n // 8) + 'A' * (n % 8)}\n" for name, n in CONTIGS.items()))
    return Genome(fasta)


def test_texts_are_regions_and_paths_are_files() -> None:
    assert region_sources(None) == ()
    assert region_sources("chr1:1-2") == ("chr1:1-2",)
    assert region_sources(Path("peaks")) == (Path("peaks"),)
    texts = ["chr1", "a/b", "x.bed", "x.bed.gz", "x.narrowPeak", "KI270706.1", "HLA-A*01:01:01:01:1-100"]
    assert [isinstance(source, Path) for source in region_sources(texts)] == [False, True, True, True, True, False, False]


@pytest.mark.parametrize("value", [5, [], ["chr1", 5], {"chr1"}, Interval("chr1", 0, 5), [None]])
def test_other_values_are_refused(value) -> None:
    with pytest.raises(OptionError, match="expected a region such as 'chr1:1-200,000', the path of a BED"):
        region_sources(value)


def test_a_selection_has_the_intervals_of_all_sources_and_a_text_with_the_hash_of_its_files(tmp_path: Path) -> None:
    bed = tmp_path / "a.bed"
    bed.write_text("1\t10\t20\n1\t5\t12\n")
    found = select_regions(["chr2", bed], CONTIGS)
    assert found is not None
    assert sorted(found.intervals)[:2] == [Interval("1", 5, 12), Interval("1", 10, 20)]
    assert [region.chrom for region in found.named] == ["chr2"]
    assert found.text == f"chr2,a.bed sha256:{hashlib.sha256(bed.read_bytes()).hexdigest()}"
    assert "contig 1 is chr1" in found.notes[0]
    assert select_regions(None, CONTIGS) is None
    one = select_regions("chr1:5-9", CONTIGS)
    assert one is not None
    assert (one.text, one.intervals) == ("chr1:5-9", (Interval("chr1", 4, 9),))  # the text of headers as it always was


def test_files_without_regions_of_the_genome_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none.bed").write_text("# none\n")
    (tmp_path / "other.bed").write_text("chr9\t1\t5\n")
    with pytest.raises(ConfigError, match="has no regions"):
        select_regions(tmp_path / "none.bed", CONTIGS)
    with pytest.raises(ContigError, match=r"no contig of .*other.bed \(chr9\) is in the FASTA"):
        select_regions(tmp_path / "other.bed", CONTIGS)
    with pytest.raises(MissingFileError, match="absent"):
        select_regions(str(tmp_path / "absent.bed"), CONTIGS)


def test_several_regions_of_a_vcf_are_checked_each(genome: Genome, tmp_path: Path) -> None:
    vcf, bed = tmp_path / "in.vcf", tmp_path / "a.bed"
    rows = "".join(f"1\t{pos}\t.\tA\tC\t.\t.\t.\n" for pos in (1, 9, 17, 25))
    vcf.write_text(f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{rows}")
    bed.write_text("chr1\t8\t17\nchr1\t16\t17\n")
    assert preflight(vcf, genome, max_length=5, region=["chr1:1-9", "1:5-9"]).n_records == 2
    assert preflight(vcf, genome, max_length=5, region=bed).n_records == 2
    assert preflight(vcf, genome, max_length=5, region=["chr1:1", bed]).n_records == 3
    assert preflight(vcf, genome, max_length=5, region=["chr1:1", "chr2"]).n_records == 1
    with pytest.raises(ContigError, match="no contig chrQ"):
        preflight(vcf, genome, max_length=5, region=["chr1:1", "chrQ"])
    with pytest.raises(ConfigError, match="begins at chr2:101"):
        preflight(vcf, genome, max_length=5, region=["chr1:1", "chr2:101-200"])
    found = preflight(vcf, genome, max_length=5, region=["chr1:500", "chr2:5"])
    assert found.notes[0] == f"no record of {vcf} lies in the regions."


def test_predictions_of_several_regions_and_a_bed_are_their_union(genome: Genome, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="predictions need torch")
    from genoformer.inference.regions import resolve_regions

    bed = tmp_path / "a.bed"
    bed.write_text("chr1\t150\t300\nchr1\t990\t1010\n")
    found = resolve_regions(genome, region=["1:101-200", "chr1:191-210", bed, "chr2"])
    assert {name: rows.tolist() for name, rows in found.intervals.items()} == {
        "chr1": [[100, 300], [990, 1000]],
        "chr2": [[0, 100]],
    }
    assert found.notes == ["1 of the regions reaches beyond the end of its contig and is cut there."]
    by_bed = resolve_regions(genome, bed=bed).intervals
    assert np.array_equal(resolve_regions(genome, region=bed).intervals["chr1"], by_bed["chr1"])
    with pytest.raises(ConfigError, match="more than one way"):
        resolve_regions(genome, region=bed, bed=bed)
    with pytest.raises(ConfigError, match="chr2:200-300 lies beyond its contig"):
        resolve_regions(genome, region=["chr1", "chr2:200-300"])
