"""VCF at an address: copied whole, or through its index the records of some regions, each once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pysam
import pytest
from commands import run_well
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


SCORED = """##fileformat=VCFv4.2
##contig=<ID=c,length=200>
##INFO=<ID=GF_LLR,Number=A,Type=Float,Description="score">
##INFO=<ID=T,Number=A,Type=Float,Description="truth">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
"""


def test_commands_read_variants_at_an_address(server: FolderServer, tmp_path: Path, tiny_model_folder: Path) -> None:
    """enrich, evaluate variants, report and interpret: the same as from the file."""
    pytest.importorskip("torch", reason="maps need torch")
    text = "".join(np.random.default_rng(0).choice(list("ACGT"), 200))
    (tmp_path / "g.fa").write_text(f">c\n{text}\n")
    rows = [f"c\t{i}\t.\t{text[i - 1]}\t{'ACGT'['ACGT'.index(text[i - 1]) - 1]}" for i in range(20, 180, 4)]
    lines = [f"{row}\t.\t.\tGF_LLR={i % 7 - 3};T={i % 5}\n" for i, row in enumerate(rows)]
    (tmp_path / "s.vcf").write_text(SCORED + "".join(lines))
    table = "chrom\tpos\tid\tref\talt\tT\n" + "".join(f"{row}\t{i % 5}\n" for i, row in enumerate(rows))
    (tmp_path / "t.tsv").write_text(table)
    (tmp_path / "e.bed").write_text("c\t0\t90\tleft\n")
    local = {name: str(tmp_path / name) for name in ("s.vcf", "t.tsv")}
    remote = {name: server.put(name, Path(path).read_bytes()) for name, path in local.items()}
    outputs = []
    for name, files in (("local", local), ("remote", remote)):
        run_well("report", files["s.vcf"], "-o", tmp_path / f"{name}.html")
        words = ("-f", tmp_path / "g.fa", "-m", tiny_model_folder, "--length", 8, "--figures", 0, "-r", "c:1-30")
        run_well("interpret", "ism", files["t.tsv"], *words, "-o", tmp_path / name)
        with np.load(tmp_path / name / "maps.npz") as maps:
            names = maps["names"].tolist()
        of_enrich = ("-a", f"E={tmp_path / 'e.bed'}", "-f", tmp_path / "g.fa", "--resamplings", 5, "--controls", 500)
        outputs.append(
            [
                run_well("evaluate", "variants", files["s.vcf"], files["t.tsv"], "--truth", "T").stdout,
                run_well("evaluate", "variants", files["s.vcf"], files["s.vcf"], "--truth", "T").stdout,
                run_well("enrich", files["t.tsv"], *of_enrich, "--match", "none").stdout,
                names,
                (tmp_path / f"{name}.html").read_text(),
            ]
        )
    assert outputs[0] == outputs[1]
    assert outputs[0][0] == outputs[0][1]
    assert len(outputs[0][3]) == 3
