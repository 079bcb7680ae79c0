"""Files of another kind and addresses of the web are refused for what they are, wherever a file is taken."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from genoformer_cli.main import main

from genoformer.addresses import address_in, refuse_address
from genoformer.annotation.elements import read_elements
from genoformer.annotation.genes import read_gene_map
from genoformer.errors import FileFormatError, MissingFileError
from genoformer.formats.bed import read_bed, read_regions
from genoformer.formats.bigwig import BigWig
from genoformer.formats.file_kinds import _FIRST_BYTES, binary_kind, format_of_bytes
from genoformer.formats.gtf import read_tss
from genoformer.formats.motif_files import read_matrices
from genoformer.formats.tracks import open_track
from genoformer.formats.vcf import open_vcf
from genoformer.genome.reference import Genome


def load_model(path: Path) -> object:
    pytest.importorskip("torch", reason="models need torch")
    from genoformer.models import registry

    return registry.load(path)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\xeb\xf2\x89\x87\x04\0", "; make a BED of it first (bigBedToBed FILE out.bed)"),
        (b"\x87\x89\xf2\xeb\0\x04", "is a bigBed file"),  # of the other byte order
        (b"\x26\xfc\x8f\x88\x04\0", "is a bigWig file, which holds values"),
        (gzip.compress(b"BAM\x01" + b"\0" * 40, mtime=0), "is a BAM file"),
        (gzip.compress(b"BCF\x02\x02", mtime=0), "is a BCF file"),
        (gzip.compress(b"TBI\x01", mtime=0), "is a tabix index"),
        (b"CRAM\x03\0", "is a CRAM file"),
        (b"PK\x03\x04xl/workbook", "an Excel workbook (.xlsx)"),
        (b"\xd0\xcf\x11\xe0\xa1", "is an Excel workbook (.xls)"),
        (b"PAR1\x15\x04", "is a Parquet table"),
        (b"\xfd7zXZ\0", "is packed with xz"),
        (b"BZh91AY&SY", "is packed with bzip2"),
        (b"BZh11AY&SY", "is packed with bzip2"),  # bzip2 -1
        ("chr1\t5\t9\n".encode("utf-16"), "is text in UTF-16, but should be"),
        (b"\n<!doctype html>\n<html>", "is a web page"),
    ],
)
@pytest.mark.parametrize(
    "read", [read_bed, read_elements, lambda path: list(read_regions(path)), read_gene_map, lambda path: list(read_tss(path))]
)
def test_files_of_another_kind_are_named(tmp_path: Path, head: bytes, said: str, read: Callable[[Path], object]) -> None:
    path = tmp_path / "peaks.bed"
    path.write_bytes(head + b"\0" * 100)
    with pytest.raises(FileFormatError) as refused:
        read(path)
    assert said in str(refused.value)


@pytest.mark.parametrize("head", [magic for magic, _ in _FIRST_BYTES])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_of_every_other_format_is_refused_by_every_reader(tmp_path: Path, head: bytes, zipped: bool) -> None:
    """One table of first bytes: a VCF reader, a reader of regions and one of motifs know the same formats."""
    path = tmp_path / "a.x"
    path.write_bytes(gzip.compress(head + b"\0" * 50, mtime=0) if zipped else head + b"\0" * 50)
    name = format_of_bytes(head)
    assert name is not None
    with pytest.raises(FileFormatError, match=binary_kind(head).name.partition("(")[0]):  # type: ignore[union-attr]
        read_bed(path)
    with pytest.raises(FileFormatError):
        read_matrices(path)
    if name != "BCF":
        with pytest.raises(FileFormatError, match=f"is {name}, (not VCF or BCF|which stands for the file)"):
            open_vcf(path)


@pytest.mark.parametrize("row", ["PAR1\t5\t9\n", "CRAM\t5\t9\n", "BZh1\t5\t9\n", "PK\t5\t9\n"])
def test_contigs_may_have_such_names(tmp_path: Path, row: str) -> None:
    path = tmp_path / "a.bed"
    path.write_text(row)
    assert list(read_bed(path)) == [row.split("\t")[0]]


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("https://a.org/b.bed.gz", "https://a.org/b.bed.gz"),
        (Path("https://a.org/b.bed.gz"), "https://a.org/b.bed.gz"),  # of which Path makes https:/a.org
        ("S3://bucket/key", "S3://bucket/key"),
        (Path("ftp://ftp.ebi.ac.uk/x.gtf.gz"), "ftp://ftp.ebi.ac.uk/x.gtf.gz"),
        ("gs://b/x.vcf.gz", "gs://b/x.vcf.gz"),
        ("file:///tmp/x.bed", "file:///tmp/x.bed"),
        (Path("file:///tmp/x.bed"), "file:///tmp/x.bed"),
        ("dx://project-1:/x.bed", "dx://project-1:/x.bed"),
        (Path("dx://project-1:/x.bed"), "dx://project-1:/x.bed"),
        (Path("wasbs://box@account.blob.core.windows.net/x.bed"), "wasbs://box@account.blob.core.windows.net/x.bed"),
        ("any+thing.9://x", "any+thing.9://x"),
        ("data/https.bed", None),
        ("/s3/a.bed", None),
        ("C:/a.bed", None),
        ("http:", None),
        ("CTCF=a.bed", None),
    ],
)
def test_addresses(given: str | Path, address: str | None) -> None:
    assert address_in(given) == address


@pytest.mark.parametrize(
    "read",
    [
        open_vcf,
        read_bed,
        read_elements,
        lambda path: list(read_regions(path)),
        read_gene_map,
        open_track,
        lambda path: list(read_tss(path)),
        load_model,
    ],
)
@pytest.mark.parametrize("typed", ["https://a.org/x.bed", "s3://bucket/x.bed"])
@pytest.mark.parametrize("kind", [str, Path])
def test_an_address_is_refused_as_it_was_typed(read: Callable[[object], object], typed: str, kind: type) -> None:
    with pytest.raises(MissingFileError) as refused:
        read(kind(typed))
    assert str(refused.value).startswith(f"{typed} is an address, and only local files can be read; download it first")


def test_a_folder_may_be_called_as_a_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert address_in(Path("run2:/a.bed")) == "run2://a.bed"
    (tmp_path / "run2:").mkdir()
    assert address_in(Path("run2:/a.bed")) is None


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (
            ["annotate", "in.vcf", "-a", "P=a.bed", "--figures", "s3://b/f"],
            "can be written; write a file and upload it afterwards.",
        ),
        (
            ["annotate", "in.vcf", "-a", "P=a.bed", "-o", "s3://b/f.vcf"],
            "can be written; write a file and upload it afterwards.",
        ),
        (["models", "convert", "demo", "gs://b/m"], "can be written; write a file and upload it afterwards."),
        (
            ["embed", "a.fa", "-m", "demo", "-o", "a.npy", "--pca", "gs://b/m.png"],
            "can be written; write a file and upload it afterwards.",
        ),
        (["score", "in.vcf", "-f", "a.fa", "-m", "https://huggingface.co/x/y"], "(hf download x/y) and give the folder."),
        (["score", "in.vcf", "-f", "ftp://a.org/a.fa", "-m", "demo"], "(curl -LO ftp://a.org/a.fa) and give the file."),
    ],
)
def test_addresses_of_inputs_outputs_and_models(command: list[str], says: str) -> None:
    result = CliRunner().invoke(main, command, prog_name="genoformer")
    assert result.exit_code == 2
    assert says in result.stderr


def test_how_to_get_it() -> None:
    for given, how in (
        ("CTCF=https://a.org/x", "(curl -LO https://a.org/x)"),
        ("s3://b/x", "(aws s3 cp s3://b/x .)"),
        ("az://box/x", "download it first and give the file"),
        ("dx://project-1:/x", "(dx download project-1:/x)"),
        ("ssh://me@host/data/x", "(scp me@host:/data/x .)"),
        ("hf://datasets/a/b/x.bed", "(hf download a/b x.bed --repo-type dataset)"),
        ("hf://a/b", "(hf download a/b)"),
        ("foo://x", "download it first and give the file"),
        ("file:///tmp/x.bed", "file:///tmp/x.bed is an address; give the path of the file alone"),
    ):
        with pytest.raises(MissingFileError) as refused:
            refuse_address(given)
        assert how in str(refused.value)


def read_vcf(path: Path) -> object:
    with open_vcf(path) as file:
        return list(file)


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (Genome, "x.fa"),
        (read_vcf, "x.vcf"),
        (read_vcf, "x.vcf.gz"),
        (BigWig, "x.bw"),
        (open_track, "x.bw"),
        (read_bed, "x.bed"),
        (lambda path: list(read_regions(path)), "x.narrowPeak"),
        (lambda path: list(read_tss(path)), "x.gtf"),
        (read_elements, "x.bed"),
    ],
)
def test_a_pointer_of_git_lfs_is_named(tmp_path: Path, read: Callable[[Path], object], name: str) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    with pytest.raises(FileFormatError, match=r"is a Git LFS pointer, which stands for the file.* `git lfs pull`"):
        read(tmp_path / name)
