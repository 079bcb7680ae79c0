"""BED, VCF and FASTA as places, and maps as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.formats.bigwig import BigWig
from genoformer.genome.codes import decode
from genoformer.genome.reference import Genome
from genoformer.interpretation.loci import Locus, read_loci, write_map_track, write_maps

TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 400))


@pytest.fixture
def genome(make_fasta) -> Genome:
    return Genome(make_fasta(chr1=TEXT, chr2=TEXT[:50]))


def test_regions_keep_their_length_or_get_the_length_given(genome, tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_text("1\t10\t30\tone\nchr1\t100\t101\n")
    found = read_loci(tmp_path / "a.bed", genome).loci
    assert [(p.name, p.chrom, p.start, decode(p.codes)) for p in found] == [
        ("one", "chr1", 10, TEXT[10:30]),
        ("chr1:101-101", "chr1", 100, TEXT[100:101]),
    ]
    wide = read_loci(tmp_path / "a.bed", genome, length=50).loci
    assert [(p.start, decode(p.codes)) for p in wide] == [(-5, "N" * 5 + TEXT[:45]), (75, TEXT[75:125])]


def test_windows_around_variants(genome, tmp_path: Path) -> None:
    lines = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    alts = ",".join(alt for alt in "ACG" if alt != TEXT[100])
    lines += [f"1\t101\trs1\t{TEXT[100]}\t{alts},*\t.\t.\t.", "zz\t5\t.\tA\tC\t.\t.\t."]
    lines += [f"1\t102\t.\t{TEXT[101]}\t.\t.\t.\t."]  # as of a VCF that has every base
    (tmp_path / "a.vcf").write_text("\n".join(lines) + "\n")
    places, alleles, notes = read_loci(tmp_path / "a.vcf", genome, length=20)
    others = [alt for alt in "ACG" if alt != TEXT[100]]
    assert [(p.name, p.start, decode(p.codes)) for p in places] == [
        (f"1:101:{TEXT[100]}>{alt}", 90, TEXT[90:110]) for alt in others
    ]
    assert [decode(p.alternative.codes) for p in places] == [TEXT[90:100] + alt + TEXT[101:110] for alt in others]
    assert {p.variant for p in places} == {(100, 101)}
    assert [allele.alt for allele in alleles] == others
    assert notes == ["3 alleles have no window: 1 NO_ALT, 1 NO_CONTIG, 1 STAR."]
    (tmp_path / "one.vcf").write_text("\n".join([*lines[:2], lines[2].replace(alts + ",*", others[0] + ",*")]) + "\n")
    assert read_loci(tmp_path / "one.vcf", genome, length=20).notes == ["1 allele has no window: 1 STAR."]
    with pytest.raises(ConfigError, match="give the length of the windows"):
        read_loci(tmp_path / "a.vcf", genome)


def test_sequences_of_a_fasta_have_no_contig(tmp_path: Path) -> None:
    (tmp_path / "a.fa").write_text(">x y\nACGTN\n>z\nGG\n")
    found = read_loci(tmp_path / "a.fa").loci
    assert [(p.name, p.chrom, p.start, decode(p.codes)) for p in found] == [("x", "", 0, "ACGTN"), ("z", "", 0, "GG")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (">a\nACGT\n>empty\n>b\nGG\n", "a.fa, line 3: record empty has 0 bases; complete or remove it."),
        (">a\nACGT\n>empty x y\n", "a.fa, line 3: record empty has 0 bases;"),
        (">a\r\nACGT\r\n>empty\r\n\r\n>b\r\nGG\r\n", "a.fa, line 3: record empty has 0 bases;"),
        (">a b\n>b\nAC\n>c\n", "a.fa, line 1: record a has 0 bases, as has 1 other;"),
        (">a\nACGT\n>empty\n  \n>b\nGG\n", "a.fa, line 4: a space or control character inside the sequence"),
        (">a\nACGT\n>\nGG\n", "a.fa, line 3: a > line without a name"),
        (">a\n>b\n", "a.fa holds no sequence: record a (line 1) has 0 bases, as all others."),
    ],
)
def test_records_without_bases_are_refused_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.fa").write_text(text, newline="")
    with pytest.raises(FileFormatError) as refused:
        read_loci(tmp_path / "a.fa")
    assert said in str(refused.value)


def test_files_without_regions_are_refused(genome, tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_text("")
    with pytest.raises(FileFormatError, match="has no regions"):
        read_loci(tmp_path / "a.bed", genome)
    with pytest.raises(ConfigError, match="holds regions of a genome; give the FASTA of the genome"):
        read_loci(tmp_path / "a.bed")
    (tmp_path / "a.bed").write_text("chr1\t0\t1000000000000\n")
    with pytest.raises(FileFormatError, match=r"a.bed, line 1: chr1:0-1,000,000,000,000 reaches beyond the end of chr1"):
        read_loci(tmp_path / "a.bed", genome)
    with pytest.raises(ConfigError, match="1,000,000,000,000 bases"):
        read_loci(tmp_path / "a.bed", genome, length=10**12)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.csv", "sequence,label\nACGTAC,1\n"),
        ("x.tsv", "name\tSeq\none\tACGTAC\n"),
        ("x.csv", "ACGTACGT,1\n"),
    ],
)
def test_a_table_of_sequences_is_no_file_of_regions(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=rf"{name} is a table of sequences, expected a FASTA, .*; write its sequences as"):
        read_loci(tmp_path / name)


def test_without_a_genome_a_missing_file_is_missing(tmp_path: Path) -> None:
    for name in ("x.bed", "x.vcf"):
        with pytest.raises(MissingFileError, match=rf"{name} does not exist"):
            read_loci(tmp_path / name)
    (tmp_path / "x.vcf").write_text("##fileformat=VCFv4.3\n")
    with pytest.raises(ConfigError, match=r"x\.vcf holds variants of a genome; give the FASTA of the genome"):
        read_loci(tmp_path / "x.vcf")


def test_a_region_longer_than_any_model_reads_is_refused(make_fasta, tmp_path: Path) -> None:
    genome = Genome(make_fasta(chr1="A" * 2_097_153))
    (tmp_path / "a.bed").write_text("chr1\t0\t2097153\n")
    refused = r"a.bed, line 1: chr1:1-2,097,153 is longer than 2,097,152 bases; give a shorter length"
    with pytest.raises(ConfigError, match=refused):
        read_loci(tmp_path / "a.bed", genome)
    (tmp_path / "a.bed").write_text("chr1\t0\t2097152\n")
    assert [len(locus.codes) for locus in read_loci(tmp_path / "a.bed", genome).loci] == [2_097_152]


def test_maps_are_written_without_pickles_and_as_a_track(genome, tmp_path: Path) -> None:
    places = [
        Locus("a", "chr1", 10, np.zeros(4, np.uint8)),
        Locus("b", "chr1", 12, np.ones(4, np.uint8)),
        Locus("c", "chr2", 48, np.ones(4, np.uint8)),
    ]
    maps = [np.array([1.0, 2, 3, 4]), np.array([5.0, np.nan, 7, 8]), np.array([1.0, 2, 3, 4])]
    write_maps(tmp_path / "m.npz", places, maps, "what")
    with np.load(tmp_path / "m.npz", allow_pickle=False) as found:
        assert found["names"].tolist() == ["a", "b", "c"]
        assert found["starts"].tolist() == [10, 12, 48]
        np.testing.assert_array_equal(found["map_1"], maps[1])
        assert found["codes_1"].tolist() == [1] * 4
    assert write_map_track(tmp_path / "m.bw", places, maps, genome) == 8
    values = BigWig(tmp_path / "m.bw").values("chr1", 9, 17)
    np.testing.assert_array_equal(values, [0, 1, 2, 4, 4, 7, 8, 0])  # 12: the mean of 3 and 5
    np.testing.assert_array_equal(BigWig(tmp_path / "m.bw").values("chr2", 47, 50), [0, 1, 2])
