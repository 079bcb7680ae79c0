"""BED, VCF and FASTA as places, and maps as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer.errors import ConfigError, ContigError, FileFormatError, MissingFileError
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


SNVS = [(101, TEXT[100], "ACGT"[TEXT[100] == "A"]), (201, TEXT[200], "ACGT"[TEXT[200] == "A"])]  # position, REF, ALT


@pytest.fixture(params=["ids", "table", "vcf", "frame"])
def snvs(request, tmp_path: Path):
    """The two SNVs in every form in which variants come."""
    if request.param == "ids":
        return tuple(f"1:{pos}:{ref}:{alt}" for pos, ref, alt in SNVS)
    if request.param == "frame":
        frame = [{"chr": "1", "bp": pos, "ref": ref, "alt": alt, "beta": 0.5} for pos, ref, alt in SNVS]
        return pytest.importorskip("pandas").DataFrame(frame)
    path = tmp_path / ("a.tsv" if request.param == "table" else "a.vcf")
    if request.param == "table":
        path.write_text("chr\tbp\tref\talt\n" + "".join(f"1\t{pos}\t{ref}\t{alt}\n" for pos, ref, alt in SNVS))
    else:
        head = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        path.write_text(head + "".join(f"1\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\n" for pos, ref, alt in SNVS))
    return path


def test_variants_come_in_every_form_that_score_takes(genome, snvs) -> None:
    found = read_loci(snvs, genome, length=20)
    assert [(locus.start, decode(locus.codes)) for locus in found.loci] == [(p - 11, TEXT[p - 11 : p + 9]) for p, _, _ in SNVS]
    assert [(allele.chrom, allele.pos, allele.ref, allele.alt) for allele in found.alleles] == [("chr1", *snv) for snv in SNVS]
    assert [allele.pos for allele in read_loci(snvs, genome, length=20, region="chr1:150-300").alleles] == [201]
    with pytest.raises(FileFormatError, match="has no regions"):
        read_loci(snvs, genome, length=20, region="chr1:300-310")
    with pytest.raises(ConfigError, match="holds variants of a genome; give the FASTA"):
        read_loci(snvs, length=20)
    with pytest.raises(ConfigError, match="holds variants; give the length"):
        read_loci(snvs, genome)


def test_one_id_is_a_variant(genome) -> None:
    pos, ref, alt = SNVS[0]
    assert [allele.pos for allele in read_loci(f"chr1:{pos}:{ref}>{alt}", genome, length=20).alleles] == [pos]


def test_a_table_with_ends_holds_regions(genome, tmp_path: Path) -> None:
    """A MAF or a table of ranges that has alleles, too, is read as regions, as before."""
    (tmp_path / "a.tsv").write_text("chrom\tstart_position\tend_position\tref\talt\n1\t11\t20\tA\tC\n")
    assert [(locus.chrom, locus.alleles) for locus in read_loci(tmp_path / "a.tsv", genome).loci] == [("chr1", None)]


def test_regions_without_a_file(genome, tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_text("1\t10\t30\tone\n")
    found = read_loci(None, genome, region=["chr2:5-8", tmp_path / "a.bed", "1:1-3"])
    assert [(locus.name, locus.chrom, locus.start, decode(locus.codes)) for locus in found.loci] == [
        ("chr2:5-8", "chr2", 4, TEXT[4:8]),
        ("one", "chr1", 10, TEXT[10:30]),
        ("chr1:1-3", "chr1", 0, TEXT[:3]),
    ]
    assert [locus.start for locus in read_loci(None, genome, region="1:101-110", length=4).loci] == [103]
    for source, options, message in (
        (None, {}, "found no data and no region"),
        (
            tmp_path / "a.bed",
            {"region": "chr1:1-3", "genome": genome},
            "selects variants, found .*a.bed, which holds no variants",
        ),
        (None, {"region": "chr1:1-3"}, "is of a genome, found none"),
        (None, {"region": "chr9:1-3", "genome": genome}, "There is no contig chr9"),
    ):
        with pytest.raises((ConfigError, ContigError), match=message):
            read_loci(source, **options)


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
