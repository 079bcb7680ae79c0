"""Files at addresses: the bytes, bases and values of the local file, read in parts from a server on this machine."""

from __future__ import annotations

import gzip
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pysam
import pytest
from commands import run_well
from folder_server import FolderServer, serving_folder

import genoformer as gf
from genoformer.errors import FileFormatError, MissingFileError
from genoformer.formats import remote
from genoformer.formats.bigwig import BigWig
from genoformer.formats.bigwig_writer import write_bigwig
from genoformer.formats.remote import RemoteFile, read_remote, remote_file
from genoformer.formats.tracks import open_track
from genoformer.genome.reference import Genome


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FolderServer]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTS_RETRY_MAX", "0")
    monkeypatch.setenv("HTS_RETRY_DELAY", "1")
    with serving_folder(tmp_path / "served") as made:
        yield made


def test_bytes_at_any_offset(server: FolderServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_BLOCK", 100)
    content = np.random.default_rng(0).integers(0, 256, 1_234, dtype=np.uint8).tobytes()
    file = RemoteFile(server.put("a.bin", content))
    assert len(file) == 1_234
    for begin, end in [(0, 5), (95, 105), (1_200, 1_234), (300, 999), (0, 1_234), (7, 7), (1_230, 5_000)]:
        assert file[begin:end] == content[begin:end]
    assert b"".join(file.chunks()) == content
    n = len(server.requests())
    assert file[300:999] == content[300:999]
    assert len(server.requests()) == n  # blocks are kept
    assert remote_file("a.bin") is None


def test_what_cannot_be_read_is_one_sentence(server: FolderServer) -> None:
    with pytest.raises(
        MissingFileError, match=r"absent cannot be opened \(No such file or directory\); check it, or download it"
    ):
        RemoteFile(f"{server.address}/absent")
    assert read_remote(f"{server.address}/absent") is None
    with pytest.raises(FileFormatError, match="is empty"):
        RemoteFile(server.put("empty"))
    with pytest.raises(FileFormatError, match=r"sends no lengths or ranges; download it first .curl -LO"):
        RemoteFile(server.put("plain/a.bin", b"x" * 9))


def fasta_of(folder: Path) -> Path:
    rng = np.random.default_rng(1)
    text = "".join(
        f">chr{i}\n" + "\n".join("".join(rng.choice(list("ACGTN"), 60)) for _ in range(3_000)) + "\nACGT\n" for i in (1, 2)
    )
    (folder / "g.fa").write_text(text)
    return folder / "g.fa"


@pytest.mark.parametrize("packed", [False, True])
def test_a_genome(server: FolderServer, tmp_path: Path, packed: bool) -> None:
    path = fasta_of(tmp_path)
    if packed:
        pysam.tabix_compress(str(path), f"{path}.gz")
        path = Path(f"{path}.gz")
    pysam.faidx(str(path))
    for suffix in ("", ".fai", ".gzi"):
        if Path(f"{path}{suffix}").exists():
            server.put(f"{path.name}{suffix}", Path(f"{path}{suffix}").read_bytes())
    address = f"{server.address}/{path.name}"
    with Genome(address) as genome, Genome(path) as local:
        assert genome.contigs == local.contigs
        assert genome.name == path.name
        for start, length in [(0, 10), (-5, 30), (59, 3), (100_000, 70_000), (179_990, 40)]:
            assert np.array_equal(genome.window("chr2", start, length), local.window("chr2", start, length))
        starts = np.arange(0, 170_000, 997)
        assert np.array_equal(genome.windows("chr1", starts, 50), local.windows("chr1", starts, 50))
        other = pickle.loads(pickle.dumps(genome))  # as a worker gets it
        assert np.array_equal(other.window("1" if "1" in genome else "chr1", 5, 9), local.window("chr1", 5, 9))
        signature = genome.signature
    assert signature == Genome(Path(address)).signature
    assert signature.startswith(address)
    assert list(tmp_path.glob("*.tmp")) == []


def test_genomes_that_cannot_be_read_in_parts(server: FolderServer, tmp_path: Path) -> None:
    path = fasta_of(tmp_path)
    text = path.read_bytes()
    with pytest.raises(
        MissingFileError, match=r"/a.fa has no index http.*a.fa.fai, without which no part can be read; download"
    ):
        Genome(server.put("a.fa", text))
    with pytest.raises(FileFormatError, match="is gzipped, not bgzipped, and cannot be read in parts; download"):
        Genome(server.put("a.fa.gz", gzip.compress(text)))
    with pytest.raises(FileFormatError, match="is not FASTA: it begins with b'##fileformat"):
        Genome(server.put("a.vcf", b"##fileformat=VCFv4.2\n"))
    server.put("b.fa", text)
    server.put("b.fa.fai", b"chr1\t180004\t6\t60\t61\nchr2\t999999999\t183013\t60\t61\n")
    with pytest.raises(FileFormatError, match=r"b.fa.fai does not fit .*b.fa; make it again"):
        Genome(f"{server.address}/b.fa")
    with pytest.raises(
        MissingFileError, match=r"gs://b/g.fa is an address, and only local files and https, http and s3 can be read"
    ):
        Genome("gs://b/g.fa")


def test_a_server_that_breaks_off(server: FolderServer, tmp_path: Path) -> None:
    path = fasta_of(tmp_path)
    pysam.faidx(str(path))
    server.put("g.fa", path.read_bytes())
    server.put("g.fa.fai", Path(f"{path}.fai").read_bytes())
    with Genome(f"{server.address}/g.fa") as genome:
        server.put("cut")
        with pytest.raises(FileFormatError, match=r"g.fa (broke off|cannot be read) at byte [\d,]+"):
            genome.window("chr2", 0, 170_000)


def test_a_genome_in_a_bucket(server: FolderServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server takes the place of Amazon's."""
    monkeypatch.setenv("HTS_S3_HOST", server.address.removeprefix("http://"))
    monkeypatch.setenv("HTS_S3_ADDRESS_STYLE", "path")
    path = fasta_of(tmp_path)
    pysam.faidx(str(path))
    server.put("bucket/g.fa", path.read_bytes())
    server.put("bucket/g.fa.fai", Path(f"{path}.fai").read_bytes())
    with Genome("s3+http://bucket/g.fa") as genome, Genome(path) as local:
        assert np.array_equal(genome.window("chr2", 100, 1_000), local.window("chr2", 100, 1_000))


def test_a_bigwig(server: FolderServer, tmp_path: Path) -> None:
    starts = np.arange(0, 90_000, 30)
    values = np.random.default_rng(0).random(len(starts)).astype(np.float32)
    write_bigwig(tmp_path / "a.bw", {"chr1": 100_000}, [("chr1", starts, starts + 20, values)])
    address = server.put("a.bw", (tmp_path / "a.bw").read_bytes())
    for file in (BigWig(address), BigWig(Path(address))):
        assert file.contigs == {"chr1": 100_000}
        assert np.array_equal(file.values("1", 500, 9_000), BigWig(tmp_path / "a.bw").values("1", 500, 9_000))
        file.close()
    with pytest.raises(FileFormatError, match="is no bigWig file"):
        BigWig(server.put("b.bw", b"chr1\t0\t5\t1\n"))
    with pytest.raises(FileFormatError, match="was cut off"):
        BigWig(server.put("c.bw", (tmp_path / "a.bw").read_bytes()[:80]))
    with pytest.raises(MissingFileError, match=re.escape("only local files can be read; download it first")):
        open_track(address)  # of a training set, which reads whole files


def test_a_command_reads_genome_and_variants_at_addresses(
    server: FolderServer, tmp_path: Path, tiny_model_folder: Path
) -> None:
    path = fasta_of(tmp_path)
    pysam.faidx(str(path))
    server.put("g.fa", path.read_bytes())
    server.put("g.fa.fai", Path(f"{path}.fai").read_bytes())
    ref = Genome(path).window("chr1", 999, 1)[0]
    rows = f"chr1\t1000\t{'ACGT'[ref]}\t{'ACGT'[(ref + 1) % 4]}\n" if ref < 4 else "chr1\t1000\tN\tA\n"
    (tmp_path / "v.tsv").write_text(f"chrom\tpos\tref\talt\n{rows}")
    server.put("v.tsv", (tmp_path / "v.tsv").read_bytes())
    words = ["score", f"{server.address}/v.tsv", "-f", f"{server.address}/g.fa", "-m", tiny_model_folder, "-r", "1:1-2,000"]
    run_well(*words, "-o", tmp_path / "o.vcf")
    assert "\nchr1\t1000\t" in (tmp_path / "o.vcf").read_text()
    scored = gf.score(f"{server.address}/v.tsv", f"{server.address}/g.fa", tiny_model_folder)
    assert scored.equals(gf.score(tmp_path / "v.tsv", path, tiny_model_folder))


def test_annotate_looks_up_a_bigwig_at_an_address(server: FolderServer, tmp_path: Path) -> None:
    write_bigwig(tmp_path / "a.bw", {"chr1": 1_000}, [("chr1", [10, 20], [20, 30], [0.5, 2.0])])
    address = server.put("a.bw", (tmp_path / "a.bw").read_bytes())
    for source, name in ((address, "remote"), (tmp_path / "a.bw", "local")):
        run_well("annotate", "chr1:15:A:G", "chr1:25:A:G", "-a", f"P={source}", "-o", tmp_path / f"{name}.tsv")
    assert (tmp_path / "remote.tsv").read_bytes() == (tmp_path / "local.tsv").read_bytes()
    assert "\t0.5\n" in (tmp_path / "local.tsv").read_text()
    run_well("annotate", "chr1:15:A:G", "-a", f"P={address}", "-o", tmp_path / "o.vcf")
    assert 'File="a.bw",header_sha256="' in (tmp_path / "o.vcf").read_text()
