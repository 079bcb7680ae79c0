"""Contig names and builds: tables with visible answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from genoformer.genome.contigs import BUILDS, ContigMap, canonical_key, likely_build


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
        ("chrUn_KI270302v1", "Un_KI270302v1"),
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
    assert names.get("never asked") is None
    said = names.describe("VCF", "genome.fa")
    assert said.startswith("VCF contig 20 is chr20 in genome.fa (names are matched")
    assert "NC_000001.10 fits more than one of them: 1, chr1" in said
    assert "1 contig of VCF not in genome.fa: GL1" in said
    assert said.endswith(".")


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
        ({"chr20": 0}, None),
        ({"ctg1": 64444167}, None),
        ({}, None),
    ],
)
def test_likely_build(lengths: dict[str, int], build: str | None) -> None:
    assert likely_build(lengths) == build


def test_tables_agree_with_published_sizes(real_data: Path) -> None:
    rows = (real_data / "hg38" / "annotation" / "hg38.chrom.sizes").read_text().split("\n")
    sizes = {name: int(length) for name, length in (row.split()[:2] for row in rows if row)}
    assert {
        f"chr{'M' if name == 'MT' else name}": length for name, length in BUILDS["hg38"].items()
    }.items() <= sizes.items()
    for build in ("hg19", "hg38"):
        fai = (real_data / build / f"{build}.sparse.fa.gz.fai").read_text().splitlines()
        found = {row.split("\t")[0]: int(row.split("\t")[1]) for row in fai}
        assert {name: BUILDS[build][canonical_key(name)] for name in found} == found
        assert likely_build(found) == build
