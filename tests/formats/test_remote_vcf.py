"""VCF at an address: copied whole, or through its index the records of some regions, each once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pysam
import pytest
from folder_server import FolderServer, serving_folder

from genoformer.errors import FileFormatError, MissingFileError
from genoformer.formats.remote_vcf import copy_vcf
from genoformer.formats.vcf import open_vcf, read_variants
from genoformer.formats.vcf_selection import overlapping
from genoformer.genome.region_text import Interval
from genoformer.genome.variant_input import variant_file


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FolderServer]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTS_RETRY_MAX", "0")
    monkeypatch.setenv("HTS_RETRY_DELAY", "1")
    with serving_folder(tmp_path / "served") as made:
        yield made


@pytest.fixture
def vcf(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = [
        "##fileformat=VCFv4.2",
        "##contig=<ID=chr1>",
        "##contig=<ID=chr2>",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
    ]
    for chrom in ("chr1", "chr2"):
        for pos in sorted(rng.integers(1, 100_000, 800).tolist()):
            lines.append(f"{chrom}\t{pos}\t.\t{'A' * int(rng.integers(1, 200))}\tC\t.\t.\t.")
    (tmp_path / "in.vcf").write_text("\n".join([*lines, ""]))
    pysam.tabix_index(str(tmp_path / "in.vcf"), preset="vcf", keep_original=True)
    return tmp_path / "in.vcf.gz"


REGIONS = [
    Interval("1", 100, 5_000),
    Interval("chr1", 5_050, 5_100),
    Interval("1", 4_000, 4_500),
    Interval("2", 99_000, 1 << 60),
]


def test_regions_are_read_through_the_index(server: FolderServer, vcf: Path, tmp_path: Path) -> None:
    address = server.put("in.vcf.gz", vcf.read_bytes())
    server.put("in.vcf.gz.tbi", Path(f"{vcf}.tbi").read_bytes())
    folder = tmp_path / "copies"
    folder.mkdir()
    copy = copy_vcf(address, folder, REGIONS, ["chr1", "chr2"])
    expected = list(overlapping(read_variants(vcf), REGIONS, ["chr1", "chr2"]))
    assert list(overlapping(read_variants(copy), REGIONS, ["chr1", "chr2"])) == expected
    assert len(expected) > 40
    with open_vcf(copy) as file, open_vcf(vcf) as whole:
        assert file.header == whole.header
    assert copy.stat().st_size < vcf.with_suffix("").stat().st_size / 4
    assert not list(Path.cwd().glob("in.vcf.gz*"))  # htslib would leave the index in the working directory


def test_without_an_index_or_regions_the_file_is_copied_whole(server: FolderServer, vcf: Path, tmp_path: Path) -> None:
    address = server.put("in.vcf.gz", vcf.read_bytes())
    for regions in (None, REGIONS):
        (tmp_path / str(regions is None)).mkdir()
        assert copy_vcf(address, tmp_path / str(regions is None), regions).read_bytes() == vcf.read_bytes()
    with variant_file(address) as given:
        assert given.name == address
        assert len(list(read_variants(given.path))) == 1_600
    assert not given.path.exists()


def test_errors(server: FolderServer, vcf: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"absent.vcf cannot be opened"), variant_file(f"{server.address}/absent.vcf"):
        pass
    with pytest.raises(MissingFileError, match=r"ftp://a/v.vcf is an address"), variant_file("ftp://a/v.vcf"):
        pass
    address = server.put("in.vcf.gz", vcf.read_bytes())
    server.put("in.vcf.gz.tbi", b"no index")
    with pytest.raises(FileFormatError, match="cannot be read through its index"):
        copy_vcf(address, tmp_path, REGIONS)
