"""Contig names and builds: tables with visible answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from genoformer.genome.assemblies import BUILDS, VERSIONS
from genoformer.genome.contigs import ContigMap, canonical_key, likely_build, renaming_by_length, renaming_table


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("20", "20"),
        ("chr20", "20"),
        ("CHR20", "20"),
        ("Chr20", "20"),
        ("NC_000020.10", "20"),
        ("NC_000020.11", "20"),
        ("NC_000020", "20"),
        ("NC_000001.11", "1"),
        ("NC_000023.11", "X"),
        ("NC_000024.10", "Y"),
        ("chrX", "X"),
        ("chrM", "MT"),
        ("M", "MT"),
        ("MT", "MT"),
        ("chrMT", "MT"),
        ("NC_012920.1", "MT"),
        ("NC_000025.1", "NC_000025.1"),
        ("NC_000000.1", "NC_000000.1"),
        ("NC_000913.3", "NC_000913.3"),  # E. coli
        ("NC_0000201.1", "NC_0000201.1"),
        ("CM000682.1", "20"),
        ("CM000682.2", "20"),
        ("CM000686.2", "Y"),
        ("NC_060925.1", "1"),  # T2T-CHM13
        ("CP068277.2", "1"),
        ("CP068255.2", "X"),
        ("CP086569.2", "Y"),
        ("NC_000067.6", "1"),  # mouse
        ("NC_000087.8", "Y"),
        ("CM001012.3", "19"),
        ("CM001013.2", "X"),
        ("J01415.2", "MT"),
        ("AY172335.1", "MT"),
        ("NC_001807.4", "NC_001807.4"),  # UCSC's chrM of hg19, which is not the MT of GRCh37
        ("CM000687.1", "CM000687.1"),
        ("NC_060949.1", "NC_060949.1"),
        ("CP086569", "Y"),
        ("chrUn_KI270302v1", "KI270302.1"),
        ("Un_KI270302v1", "KI270302.1"),
        ("KI270302.1", "KI270302.1"),
        ("chr1_KI270706v1_random", "KI270706.1"),
        ("1_KI270706v1_random", "KI270706.1"),
        ("chr14_GL000009v2_random", "GL000009.2"),
        ("chrX_KI270880v1_alt", "KI270880.1"),
        ("chr1_KN196472v1_fix", "KN196472.1"),
        ("chr1_gl000191_random", "GL000191.1"),  # hg19 writes no version
        ("chrUn_GL456239", "GL456239.1"),  # nor does mm10
        ("chrUn_NW_019937194v1", "NW_019937194.1"),
        ("chr6_apd_hap1", "6_apd_hap1"),
        ("HLA-A*01:01:01:01", "HLA-A*01:01:01:01"),
        ("chrIV", "IV"),  # yeast: Roman numbers stay
        ("chrmt", "MT"),
        ("Mito", "MT"),
        ("MtDNA", "MT"),
        ("mitochondrion_genome", "MT"),
        ("23", "23"),
        ("GL000192.1", "GL000192.1"),
        ("chr", "chr"),
        ("2L", "2L"),
        ("", ""),
    ],
)
def test_canonical_key(name: str, key: str) -> None:
    assert canonical_key(name) == key


@pytest.mark.parametrize(
    ("query", "reference", "found"),
    [
        ("20", ["chr1", "chr20"], "chr20"),
        ("chr20", ["1", "20"], "20"),
        ("20", ["NC_000020.11"], "NC_000020.11"),
        ("NC_000023.10", ["chrX"], "chrX"),
        ("chrM", ["MT"], "MT"),
        ("20", ["20", "chr20"], "20"),  # its own name comes first
        ("NC_000020.11", ["20", "chr20"], None),  # could be either
        ("20", ["Chr20", "chr20"], "chr20"),  # chr + name comes before other spellings
        ("chr20", ["20", "CHR20"], "20"),  # and the name without chr
        ("CHR20", ["20", "chr20"], "chr20"),
        ("CHR20", ["20"], "20"),
        ("MT", ["chrM", "chrMT"], "chrMT"),
        ("M", ["chrM", "chrMT"], "chrM"),
        ("chrMT", ["M", "MT"], "MT"),
        ("NC_012920.1", ["chrM", "chrMT"], None),
        ("chrM", ["chrMT", "MT"], None),
        ("GL000220.1", ["chrUn_GL000220v1", "chr1"], "chrUn_GL000220v1"),
        ("chrUn_GL000220v1", ["GL000220.1"], "GL000220.1"),
        ("GL000009.1", ["chr14_GL000009v2_random"], None),  # another version is another sequence
        ("I", ["chrI", "chr1"], "chrI"),
        ("1", ["chrI", "chrII"], None),
        ("chrX", ["chrI", "chrX"], "chrX"),  # the tenth of yeast
        ("23", ["chr22", "chrX"], None),  # of PLINK
        ("23", ["chr22", "chr23"], "chr23"),  # of zebrafish
        ("20", ["chr2", "chr200"], None),
        ("chrx", ["chrX"], None),  # names keep their case
        ("20", [], None),
    ],
)
def test_one_name_meets_its_contig(query: str, reference: list[str], found: str | None) -> None:
    assert ContigMap([query], reference).get(query) == found


def test_map_says_what_was_renamed_and_what_was_left() -> None:
    names = ContigMap(["20", "chrX", "GL1", "NC_000001.10"], ["chr20", "chrX", "1", "chr1"])
    assert names.renamed == {"20": "chr20"}
    assert names.unmatched == ["GL1", "NC_000001.10"]
    assert names.ambiguous == {"NC_000001.10": ["1", "chr1"]}
    assert names.remarks("g.fa") == [
        "contig NC_000001.10 fits more than one contig of g.fa (1, chr1): none is used; rename it."
    ]
    assert names.get("never asked") is None
    said = names.describe("VCF", "genome.fa")
    assert said.startswith("VCF contig 20 is chr20 in genome.fa (names are matched")
    assert "contig NC_000001.10 fits more than one contig of genome.fa (1, chr1): none is used; rename it" in said
    assert "1 contig of VCF not in genome.fa: GL1" in said
    assert said.endswith(".")


@pytest.mark.parametrize(
    ("query", "used"),
    [("chrM", "chrM"), ("MT", "chrMT"), ("M", "chrM"), ("NC_012920.1", None)],
)
def test_a_name_that_fits_two_contigs_is_reported_with_the_one_that_is_used(query: str, used: str | None) -> None:
    names = ContigMap([query, "1"], ["chr1", "chrM", "chrMT"])
    assert names.get(query) == used
    assert names.ambiguous == {query: ["chrM", "chrMT"]}
    said = f"contig {query} fits more than one contig of g.fa (chrM, chrMT): {used or 'none'} is used"
    assert names.remarks("g.fa")[0].startswith(said)
    assert said in names.describe("VCF", "g.fa")


def test_many_ambiguous_names_are_counted() -> None:
    names = [str(i) for i in range(1, 101)]
    remarks = ContigMap(names, [*names, *(f"chr{name}" for name in names)]).remarks("g.fa")
    assert len(remarks) == 31
    assert remarks[-1] == "70 more contigs fit more than one of g.fa."


def test_numbers_of_plink_are_named_and_not_guessed() -> None:
    names = ContigMap(["chr1", "23", "chr26"], ["chr1", "chrX", "chrM"])
    assert names.unmatched == ["23", "chr26"]
    (said,) = names.remarks()
    assert said.startswith("as PLINK numbers human chromosomes 23 is X, chr26 is MT: export with --output-chr chrM")
    assert not ContigMap(["23"], ["chr23"]).remarks()  # a species that has it


@pytest.mark.parametrize(
    ("query", "reference", "renaming"),
    [
        ({"a": 5, "b": 7}, {"x": 7, "y": 5}, {"a": "y", "b": "x"}),
        ({"a": 5, "b": 5}, {"x": 5}, {}),  # two of one length
        ({"a": 5}, {"x": 5, "y": 5}, {}),
        ({"a": 0}, {"x": 0}, {}),  # not known
        ({"a": 5}, {"a": 5}, {}),  # its own name
        ({"a": 5, "b": 6}, {"a": 6, "x": 5}, {"a": "x", "b": "a"}),
        ({}, {"x": 5}, {}),
    ],
)
def test_equal_lengths_tell_new_names(query: dict[str, int], reference: dict[str, int], renaming: dict[str, str]) -> None:
    assert renaming_by_length(query, reference) == renaming


def test_a_table_of_new_names_is_ready_for_bcftools_and_bounded() -> None:
    rows = renaming_table({"NC_1": "chr1", "NC_2": "chr2"}, "my.vcf.gz").splitlines()
    assert rows == ["bcftools annotate --rename-chrs names.txt my.vcf.gz, where names.txt holds", "NC_1 chr1", "NC_2 chr2"]
    long = renaming_table({f"c{i}": f"d{i}" for i in range(1000)}).splitlines()
    assert (len(long), long[-1]) == (32, "... and 970 more")


@pytest.mark.parametrize(
    ("query", "reference", "said"),
    [
        (["1", "2"], ["1", "2", "3"], "VCF and the FASTA name their 2 contigs alike."),
        (["a", "b"], ["c"], "2 contigs of VCF not in the FASTA: a, b."),
        ([], ["c"], "VCF names no contigs."),
    ],
)
def test_short_descriptions(query: list[str], reference: list[str], said: str) -> None:
    assert ContigMap(query, reference).describe() == said


@pytest.mark.parametrize(
    ("build", "n_bases"),  # whole assemblies, chromosomes and MT, as published; a wrong digit anywhere breaks the sum
    [
        ("hg19", 3_095_677_412),
        ("hg38", 3_088_269_832 + 16_569),
        ("chm13", 3_117_292_070),
        ("mm10", 2_725_521_370 + 16_299),
        ("mm39", 2_723_414_844 + 16_299),
    ],
)
def test_build_tables_add_up(build: str, n_bases: int) -> None:
    table = BUILDS[build]
    assert sum(table.values()) == n_bases
    assert len(table) == (22 if build.startswith("mm") else 24) + (build not in ("hg19", "mm10", "mm39"))
    assert likely_build(table) == build
    assert likely_build({f"chr{name}": length for name, length in table.items()}) == build


@pytest.mark.parametrize(
    ("lengths", "build"),
    [
        ({"20": 63025520}, "hg19"),
        ({"chr20": 64444167, "chr21": 46709983, "chrUn_x": 5}, "hg38"),
        ({"chr20": 64444167, "chr21": 48129895}, None),  # one each
        ({"chr20": 64444167, "chr21": 46709983, "chr22": 1}, "hg38"),
        ({"chr20": 64444167, "chr21": 2, "chr22": 1}, None),  # most agree with no build
        ({"chrM": 16569}, None),  # the same in three builds
        ({"NC_000020.10": 0}, "hg19"),
        ({"NC_000020.11": 0}, "hg38"),
        ({"NC_000024.9": 0, "NC_000001.10": 0}, "hg19"),
        ({"NC_000020.9": 0}, None),  # hg18
        ({"NC_000020.10": 63025520}, "hg19"),
        ({"CM000682.1": 0}, "hg19"),
        ({"CM000682.2": 0}, "hg38"),
        ({"NC_060944.1": 0}, "chm13"),
        ({"CP068258.2": 0}, "chm13"),
        ({"CP086569.2": 0}, "chm13"),
        ({"NC_000067.6": 0}, "mm10"),
        ({"NC_000068.7": 0}, "mm10"),  # chromosome 2 is one version ahead
        ({"NC_000067.7": 0, "NC_000068.8": 0}, "mm39"),
        ({"NC_000067.5": 0}, None),  # mm9
        ({"CM000994.2": 0}, "mm10"),
        ({"CM000994.3": 0}, "mm39"),
        ({"NC_000001.10": 0, "NC_000067.6": 0}, None),
        ({"NC_012920.1": 0}, None),
        ({"chr20": 0}, None),
        ({"ctg1": 64444167}, None),
        ({}, None),
    ],
)
def test_likely_build(lengths: dict[str, int], build: str | None) -> None:
    assert likely_build(lengths) == build


@pytest.mark.parametrize(
    ("build", "accessions"),  # as the assembly reports of NCBI have them, in the order 1 ..., X, Y
    [
        (
            "hg19",
            "NC_000001.10 NC_000002.11 NC_000003.11 NC_000004.11 NC_000005.9 NC_000006.11 NC_000007.13 NC_000008.10 "
            "NC_000009.11 NC_000010.10 NC_000011.9 NC_000012.11 NC_000013.10 NC_000014.8 NC_000015.9 NC_000016.9 "
            "NC_000017.10 NC_000018.9 NC_000019.9 NC_000020.10 NC_000021.8 NC_000022.10 NC_000023.10 NC_000024.9",
        ),
        (
            "hg38",
            "NC_000001.11 NC_000002.12 NC_000003.12 NC_000004.12 NC_000005.10 NC_000006.12 NC_000007.14 NC_000008.11 "
            "NC_000009.12 NC_000010.11 NC_000011.10 NC_000012.12 NC_000013.11 NC_000014.9 NC_000015.10 NC_000016.10 "
            "NC_000017.11 NC_000018.10 NC_000019.10 NC_000020.11 NC_000021.9 NC_000022.11 NC_000023.11 NC_000024.10",
        ),
        (
            "mm10",
            "NC_000067.6 NC_000068.7 NC_000069.6 NC_000070.6 NC_000071.6 NC_000072.6 NC_000073.6 NC_000074.6 NC_000075.6 "
            "NC_000076.6 NC_000077.6 NC_000078.6 NC_000079.6 NC_000080.6 NC_000081.6 NC_000082.6 NC_000083.6 NC_000084.6 "
            "NC_000085.6 NC_000086.7 NC_000087.7",
        ),
        (
            "mm39",
            "NC_000067.7 NC_000068.8 NC_000069.7 NC_000070.7 NC_000071.7 NC_000072.7 NC_000073.7 NC_000074.7 NC_000075.7 "
            "NC_000076.7 NC_000077.7 NC_000078.7 NC_000079.7 NC_000080.7 NC_000081.7 NC_000082.7 NC_000083.7 NC_000084.7 "
            "NC_000085.7 NC_000086.8 NC_000087.8",
        ),
        (
            "chm13",
            "CP068277.2 CP068276.2 CP068275.2 CP068274.2 CP068273.2 CP068272.2 CP068271.2 CP068270.2 CP068269.2 "
            "CP068268.2 CP068267.2 CP068266.2 CP068265.2 CP068264.2 CP068263.2 CP068262.2 CP068261.2 CP068260.2 "
            "CP068259.2 CP068258.2 CP068257.2 CP068256.2 CP068255.2 CP086569.2",
        ),
    ],
)
def test_published_accessions_name_their_chromosome_and_build(build: str, accessions: str) -> None:
    names = accessions.split()
    chromosomes = [name for name in BUILDS[build] if name != "MT"]
    assert [canonical_key(name) for name in names] == chromosomes
    assert [VERSIONS[name.split(".")[0]][int(name.split(".")[1])] for name in names] == [build] * len(names)
    assert likely_build(dict.fromkeys(names, 0)) == build


def test_tables_agree_with_published_sizes(real_data: Path) -> None:
    rows = (real_data / "hg38" / "annotation" / "hg38.chrom.sizes").read_text().split("\n")
    sizes = {name: int(length) for name, length in (row.split()[:2] for row in rows if row)}
    assert {f"chr{'M' if name == 'MT' else name}": length for name, length in BUILDS["hg38"].items()}.items() <= sizes.items()
    for build in ("hg19", "hg38"):
        fai = (real_data / build / f"{build}.sparse.fa.gz.fai").read_text().splitlines()
        found = {row.split("\t")[0]: int(row.split("\t")[1]) for row in fai}
        assert {name: BUILDS[build][canonical_key(name)] for name in found} == found
        assert likely_build(found) == build
