"""FASTA files that are bad, packed, in a folder that cannot be written to, or with an index that does not fit."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pysam
import pytest
from fasta_files import bgzipped, write

from genoformer.errors import FileFormatError, GenoformerError, MissingFileError
from genoformer.formats import fasta_index
from genoformer.formats.fasta import Fasta
from genoformer.genome import codes
from genoformer.genome.reference import Genome


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that cannot be written to (root may write to any, so the writer itself refuses)."""
    folder = tmp_path / "locked"
    folder.mkdir()
    real = fasta_index.atomic_write

    def refusing(path: Path) -> Any:
        if path.parent == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(fasta_index, "atomic_write", refusing)
    return folder


# --- bad files


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "not FASTA"),
        (b"ACGT\n", "not FASTA"),
        (b"@read\nACGT\n+\nIIII\n", "looks like FASTQ"),
        (b"##fileformat=VCFv4.2\n", "is a VCF"),
        (b"\x43\x27\x41\x1a\0\0\0\0", "twoBitToFa"),
        (b">a\n", r"holds no sequence: record a \(line 1\) has 0 bases"),
        (b">a\nACGT\nAC\nACGT\n", "line 3: lines of a differ in length"),
        (b">b\nA\n>a\nACG\nACGT\n", "line 5: lines of a differ in length"),
        (b">a\nACGT\r\nACGT\nACGT\n", "lines of a differ in length"),
        (b">a\nACGT\n\nACGT\n", "line 3: lines of a differ in length"),
        (b">a\n\nACGT\n", "line 2: an empty line inside a contig"),
        (b">a\nAC GT\nACGT\n", "line 2: a space"),
        (b">a\nAC\0GT\n", "line 2: a space or control character"),
        (b">a\rACGT\r", "line 1: lines end in CR alone"),
        (b">\nACGT\n", "line 1: a > line without a name"),
        (b">a\nAC\n>b\nAC\n>a x\nGG\n", "line 5: a second contig is named a"),
        (gzip.compress(b"ACGT\n", mtime=0), "not FASTA"),
        (gzip.compress(b">a\n" + bytes(range(65, 91)) * 999, mtime=0)[:-20], "cut short"),
    ],
)
def test_bad_files_are_refused_in_a_sentence(tmp_path: Path, cache: Path, text: bytes, said: str) -> None:
    path = write(tmp_path / "bad.fa", text)
    with pytest.raises(FileFormatError, match=said) as caught:
        Genome(path)
    assert str(path) in str(caught.value)
    assert [file for file in [*tmp_path.iterdir(), *cache.rglob("*")] if file.is_file()] == [path]


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 8, 13])
def test_the_index_does_not_depend_on_how_the_file_is_cut(tmp_path: Path, piece: int) -> None:
    text = ">a some\r\nACGT\r\nACGT\r\nAC\r\n\r\n>b\r\n>c\r\nA"
    index = Fasta(write(tmp_path / "a.fa", text), index_bytes=piece).index
    assert {name: contig.length for name, contig in index.items()} == {"a": 10, "b": 0, "c": 1}
    assert (tmp_path / "a.fa.fai").read_text() == "a\t10\t9\t4\t6\nb\t0\t31\t1\t2\nc\t1\t35\t1\t2\n"
    for bad in (b">a\nACGT\nAC\nACGT\n", b">a\nACGT\n\n\nA\n", b">a\nAC GT\n", b">a\nAC\nACG\n", b">a\nA\n>a\nA\n"):
        with pytest.raises(FileFormatError, match="line"):
            Fasta(write(tmp_path / "bad.fa", bad), index_bytes=piece)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no file .*nowhere\.fa"):
        Genome(tmp_path / "nowhere.fa")
    with pytest.raises(FileNotFoundError):
        Genome(tmp_path / "nowhere.fa")
    with pytest.raises(GenoformerError, match="folder"):
        Genome(tmp_path)


def test_truncated_and_damaged_bgzip(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = bgzipped(tmp_path / "a.fa.gz", ">a\n" + "".join(rng.choice(list("ACGT"), 300_000)) + "\n").read_bytes()
    for n_cut in (28, 29, 5000, len(whole) - 100):
        with pytest.raises(FileFormatError, match=r"cut\.fa\.gz is cut short"):
            Genome(write(tmp_path / "cut.fa.gz", whole[:-n_cut]))
    middle = len(whole) // 2
    with pytest.raises(FileFormatError, match="damaged at byte"):
        Genome(write(tmp_path / "cut.fa.gz", whole[:middle] + bytes(500) + whole[middle + 500 :]))


def test_kind_is_by_content_not_by_suffix(tmp_path: Path) -> None:
    text = ">a\nACGT\n"
    assert Genome(write(tmp_path / "plain.fa.gz", text)).window("a", 0, 4).tolist() == [0, 1, 2, 3]
    assert Genome(bgzipped(tmp_path / "packed.fa", text)).window("a", 0, 4).tolist() == [0, 1, 2, 3]
    assert Genome(write(tmp_path / "noname", gzip.compress(text.encode()))).window("a", 0, 4).tolist() == [0, 1, 2, 3]


def test_gzip_is_decompressed_once(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "a.fa.gz", gzip.compress(b">a\nACGT\n") + gzip.compress(b">b\nGG\n"))  # two members
    genome = Genome(path)
    assert genome.contigs == {"a": 4, "b": 2}
    assert genome.name == "a.fa.gz"
    assert "gzipped, not bgzipped" in genome.notes[0]
    copies = {file: file.stat().st_mtime_ns for file in cache.rglob("*.fa")}
    assert len(copies) == 1
    assert Genome(path).windows("b", [-1], 4).tolist() == [[4, 2, 2, 4]]
    assert {file: file.stat().st_mtime_ns for file in cache.rglob("*.fa")} == copies
    assert list(tmp_path.iterdir()) == [path]


def test_the_copy_of_an_earlier_version_goes(tmp_path: Path, cache: Path) -> None:
    path = write(tmp_path / "a.fa.gz", gzip.compress(b">a\nACGT\n"))
    other = write(tmp_path / "b.fa.gz", gzip.compress(b">b\nAC\n"))
    for text in (b">a\nACGTAC\n", b">a\nA\n"):
        for each in (path, other):
            assert Genome(each).contigs
        write(path, gzip.compress(text))
    assert Genome(path).contigs == {"a": 1}
    assert sorted(file.name for file in cache.rglob("*.fa")) == ["a.fa", "b.fa"]


# --- the index


def test_the_index_is_that_of_samtools(tmp_path: Path) -> None:
    text = ">a x\nACGT\nAC\n>b\nACGTACG\n>c\nAC\nG"
    for path in (write(tmp_path / "a.fa", text), bgzipped(tmp_path / "b.fa.gz", text * 1)):
        Genome(path)
        ours = Path(f"{path}.fai").read_text()
        pysam.faidx(str(path), "--fai-idx", str(tmp_path / "other.fai"), "--gzi-idx", str(tmp_path / "other.gzi"))
        assert ours == (tmp_path / "other.fai").read_text()
        if path.suffix == ".gz":
            assert Path(f"{path}.gzi").read_bytes() == (tmp_path / "other.gzi").read_bytes()
        with pysam.FastaFile(str(path)) as other:
            assert other.fetch("b", 2, 5) == "GTA"


def test_read_only_folder(locked: Path, cache: Path) -> None:
    for path in (write(locked / "a.fa", ">a\nACGT\n"), bgzipped(locked / "b.fa.gz", ">a\nACGT\n")):
        genome = Genome(path)
        assert genome.window("a", 0, 4).tolist() == [0, 1, 2, 3]
        assert "cannot be written to: its index is in" in genome.notes[0]
        assert Genome(path).notes == []  # found in the cache
    assert sorted(file.suffix for file in locked.iterdir()) == [".fa", ".gz", ".txt"]
    assert sorted(file.name for file in cache.rglob("*") if file.is_file()) == [
        "a.fa.fai",
        "b.fa.gz.fai",
        "b.fa.gz.gzi",
    ]
    os.utime(locked / "a.fa", ns=(1, 1))
    assert len(Genome(locked / "a.fa").notes) == 1  # another version of the file


def test_nowhere_to_write(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(locked / "a.fa", ">a\nACGT\n")
    monkeypatch.setenv("GENOFORMER_CACHE", str(path / "not" / "a" / "folder"))
    genome = Genome(path)
    assert genome.window("a", 0, 4).tolist() == [0, 1, 2, 3]
    assert "cannot be stored" in genome.notes[0]
    packed = write(locked / "b.fa.gz", gzip.compress(b">a\nACGT\n"))
    with pytest.raises(FileFormatError, match=r"cannot be decompressed .* Compress it with bgzip"):
        Genome(packed)


@pytest.mark.parametrize(
    "fai",
    [
        "",
        "rubbish",
        "a\t10\t3\t4\n",
        "a\t4\t3\t4\tx\n",
        "a\t400\t3\t4\t5\n",  # ends beyond the file
        "a\t4\t3\t4\t5\n",  # ends too early
        "a\t4\t3\t0\t0\n",
        "a\t4\t2\t4\t5\n",  # begins elsewhere
        "b\t4\t3\t4\t5\n",  # another name
        "a\t-4\t3\t4\t5\n",
    ],
)
def test_an_index_that_does_not_fit_is_made_again(tmp_path: Path, fai: str) -> None:
    for path in (write(tmp_path / "a.fa", ">a\nACGT\nAC\n"), bgzipped(tmp_path / "b.fa.gz", ">a\nACGT\nAC\n")):
        index = Path(f"{path}.fai")
        index.write_text(fai)
        genome = Genome(path)
        assert genome.notes == [f"{index.name} does not fit {path.name}: the index was rebuilt."]
        assert genome.window("a", 0, 6).tolist() == [0, 1, 2, 3, 0, 1]
        assert index.read_text() == "a\t6\t3\t4\t5\n"
        assert Genome(path).notes == []


@pytest.mark.parametrize("gzi", [b"", b"\1", bytes(8 * 3), b"\1" + bytes(7) + b"\7" + bytes(15)])
def test_a_block_index_that_does_not_fit_is_made_again(tmp_path: Path, gzi: bytes) -> None:
    path = bgzipped(tmp_path / "b.fa.gz", ">a\n" + "ACGT" * 50_000 + "\n")
    Genome(path)
    right = Path(f"{path}.gzi").read_bytes()
    Path(f"{path}.gzi").write_bytes(gzi)
    genome = Genome(path)
    assert len(genome.notes) == 1
    assert genome.window("a", 199_998, 4).tolist() == [2, 3, 4, 4]
    assert Path(f"{path}.gzi").read_bytes() == right


def test_an_index_older_than_the_fasta_is_made_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fa", ">a\nACGT\n")
    Genome(path)
    os.utime(f"{path}.fai", ns=(10**9, 10**9))
    assert Genome(path).notes == ["a.fa.fai is older than a.fa: the index was rebuilt."]
    assert Genome(path).notes == []


def test_a_fasta_that_changes_after_opening_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.fa", ">a\nACGT\n")
    genome = Genome(path)
    write(path, ">a\nACGTACGT\n")
    with pytest.raises(FileFormatError, match="changed since"):
        genome.window("a", 0, 1)


def test_real_gzip_genome(real_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "ecoli.fna.gz"
    shutil.copyfile(real_data / "genomes" / "ecoli_K12.fna.gz", path)
    genome = Genome(path)
    assert genome.contigs == {"NC_000913.3": 4_641_652}
    assert codes.decode(genome.window("NC_000913.3", 0, 20)) == "AGCTTTTCATTCTGACTGCA"  # where its sequence begins
