"""Small files that unpack to large ones, long lines and many of everything: refused, or read in little memory."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from any_bytes import bgzipped

from genoformer.annotation.elements import read_elements
from genoformer.annotation.genes import read_gene_map
from genoformer.datasets.sequences import read_labelled
from genoformer.errors import FileFormatError
from genoformer.evaluation.truth import read_truth
from genoformer.formats.bed import read_bed
from genoformer.formats.fasta import Fasta
from genoformer.formats.motif_files import read_matrices
from genoformer.formats.track_table import read_targets
from genoformer.formats.tracks import open_track
from genoformer.formats.vcf import VcfLimits, open_vcf
from genoformer.genome.codes import decode
from genoformer.genome.reference import Genome

HEADER = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
MEASURED = """
import json, sys, time
from pathlib import Path
from genoformer.annotation.elements import read_elements
from genoformer.annotation.genes import read_gene_map
from genoformer.errors import GenoformerError
from genoformer.evaluation.truth import read_truth
from genoformer.formats.bed import read_bed
from genoformer.formats.tracks import open_track
from genoformer.formats.vcf import open_vcf
from genoformer.formats.motif_files import read_matrices
from genoformer.datasets.sequences import read_labelled

def vcf(path):
    with open_vcf(path) as file:
        sum(1 for _ in file)

readers = [vcf, read_bed, read_elements, read_gene_map, read_matrices, read_labelled, lambda path: read_truth(path, "a"),
           lambda path: open_track(path.with_suffix(".bdg.gz")).contigs]
def peak():  # KiB; ru_maxrss would count the parent, which is copied before Python starts
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

before = peak()
refused = []
for name in sys.argv[1:]:
    for read in readers[:1] if "head" in name else readers:  # lines that are comments elsewhere
        try:
            read(Path(name))
        except GenoformerError as error:
            refused.append(str(error))
print(json.dumps({"refused": refused, "MiB": (peak() - before) >> 10}))
"""


def bomb(path: Path, head: bytes, filling: bytes, size: int = 1 << 30) -> Path:
    """A gzip of many members, each of which unpacks to 16 MB."""
    text = filling * ((1 << 24) // len(filling))
    path.write_bytes(gzip.compress(head, mtime=0) + gzip.compress(text, mtime=0) * (size // len(text)))
    return path


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc")
def test_a_megabyte_that_is_a_gigabyte(tmp_path: Path) -> None:
    """Zeros, letters on one line, and lines without end of their number; read by all readers of text."""
    files = [
        bomb(tmp_path / "zeros.gz", b"", b"\0"),
        bomb(tmp_path / "line.gz", HEADER, b"A"),
        bomb(tmp_path / "head.gz", b"##fileformat=VCFv4.2\n", b"##\n#"),
    ]
    for path in files:
        (tmp_path / f"{path.stem}.bdg.gz").symlink_to(path)
        assert path.stat().st_size < 2_000_000
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, files)], capture_output=True, text=True, check=True, timeout=300
    )
    found = json.loads(done.stdout)
    assert len(found["refused"]) == 2 * 8 + 1
    assert found["MiB"] < 2_000
    assert not any("\n" in text for text in found["refused"])


READERS: dict[str, Callable[[Path], object]] = {
    "bed": read_bed,
    "elements": read_elements,
    "genes": read_gene_map,
    "motifs": read_matrices,
    "track": lambda path: open_track(path).contigs,
    "labelled": read_labelled,
    "targets": read_targets,
    "truth": lambda path: read_truth(path, "a"),
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a line, and with a small gzip of many lines, of slightly more than 64 MiB each."""
    folder = tmp_path_factory.mktemp("large")
    n_bytes = (1 << 26) + (1 << 18)
    (folder / "line").write_bytes(b"#" + b"a" * n_bytes + b"\n")
    line = b"#" + b"a" * 65_534 + b"\n"
    (folder / "gzip").write_bytes(gzip.compress(line * (n_bytes >> 16), mtime=0))
    return folder


@pytest.mark.parametrize("kind", READERS)
def test_lines_and_gzips_have_a_most(tmp_path: Path, large: Path, kind: str) -> None:
    path = tmp_path / ("a.txt" if kind == "labelled" else "a.bdg")  # .bdg are regions, which hold no sequences
    path.symlink_to(large / "line")
    with pytest.raises(FileFormatError, match=r"has a line of more than 67,108,864 bytes"):
        READERS[kind](path)
    if kind in ("labelled", "targets", "truth"):  # whose first line says already that it is none
        return
    path.unlink()
    path.symlink_to(large / "gzip")
    with pytest.raises(FileFormatError, match=r"unpacks to more than 100 times its size.*gunzip"):
        READERS[kind](path)


def test_lines_of_a_vcf_have_a_most(tmp_path: Path) -> None:
    path = tmp_path / "a.vcf"
    path.write_bytes(HEADER + b"1\t5\t.\tA\t" + b"C" * 5_000_000 + b"\n")
    refused = r"a.vcf, line 3: more than 3,000,000 bytes without"
    with open_vcf(path, limits=VcfLimits(line_bytes=3_000_000)) as file, pytest.raises(FileFormatError, match=refused):
        list(file)
    with open_vcf(path) as file:
        assert [len(record.alts[0]) for record in file] == [5_000_000]
    path.write_bytes(b"##fileformat=VCFv4.2\n" + b"##a\n" * 1_000 + HEADER)
    with pytest.raises(FileFormatError, match="a header of more than 1,000 lines"):
        open_vcf(path, limits=VcfLimits(header_lines=1_000))
    with open_vcf(path, limits=VcfLimits(header_lines=1_003)) as file:
        assert len(file.header) == 1_003


@pytest.mark.parametrize("pack", [lambda text: text, gzip.compress, bgzipped])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_contig_on_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes], newline: bytes
) -> None:
    """Of a line that is longer than what is read at a time the middle is not kept while the index is made."""
    monkeypatch.setenv("GENOFORMER_CACHE", str(tmp_path / "cache"))
    letters = np.random.default_rng(0).choice(list("ACGTN"), 20_001).tolist()
    texts = {"a": "".join(letters), "b": "".join(letters[:1_999]), "c": "ACG", "d": "".join(letters[:7_000])}
    content = b"".join(
        b">%b  of it%b%b%b%b" % (n.encode(), b"x" * 5_000 * (n == "b"), newline, t.encode(), newline) for n, t in texts.items()
    )
    (tmp_path / "a.fa").write_bytes(pack(content))
    Fasta(tmp_path / "a.fa", index_bytes=1_000)  # which stores the index
    for _ in range(2):
        with Genome(tmp_path / "a.fa") as genome:
            assert {name: decode(genome.window(name, 0, n)) for name, n in genome.contigs.items()} == texts
            assert not [note for note in genome.notes if "rebuilt" in note]
    spoilt = content.replace(texts["a"].encode(), (texts["a"][:9_000] + " " + texts["a"][9_000:]).encode())
    (tmp_path / "b.fa").write_bytes(pack(spoilt))
    with pytest.raises(FileFormatError, match="line 2: a space or control character inside the sequence"):
        Fasta(tmp_path / "b.fa", index_bytes=1_000)


@pytest.mark.parametrize(
    "fai",
    [
        "chr1\t22\t8\t10\t11\n",
        "2\t4\t36\t2\t3\n",
        "chr1\t22\t8\t10\t16\n2\t4\t36\t2\t3\n",
        "chr1\t30\t8\t40\t41\n",
        "chr1\t20\t8\t10\t11\n2\t4\t36\t2\t3\n",
    ],
)
def test_an_index_that_leaves_something_out_is_made_again(tmp_path: Path, fai: str) -> None:
    (tmp_path / "a.fa").write_text(">chr1 a\nACGTNacgtn\nACGTNacgtn\nAC\n>2\nGG\nCC\n")
    (tmp_path / "a.fa.fai").write_text(fai)
    with Genome(tmp_path / "a.fa") as genome:
        assert genome.contigs == {"chr1": 22, "2": 4}
        assert "rebuilt" in genome.notes[0]


def test_ten_thousand_contigs(tmp_path: Path) -> None:
    """In a FASTA, the header of a VCF, its records, and a BED."""
    names = [f"scaffold_{i}" for i in range(10_000)]
    (tmp_path / "a.fa").write_text("".join(f">{name}\nACGT{'ACGT'[i % 4]}\n" for i, name in enumerate(names)))
    with Genome(tmp_path / "a.fa") as genome:
        assert list(genome.contigs) == names
        assert decode(genome.window("scaffold_9999", 0, 5)) == "ACGTT"
    head = "##fileformat=VCFv4.2\n" + "".join(f"##contig=<ID={name},length=5>\n" for name in names)
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    (tmp_path / "a.vcf").write_text(head + columns + "".join(f"{name}\t2\t.\tC\tG\t.\t.\t.\n" for name in names))
    with open_vcf(tmp_path / "a.vcf") as file:
        assert len(file.contig_lengths) == 10_000
        assert [record.chrom for record in file] == names
    (tmp_path / "a.bed").write_text("".join(f"{name}\t0\t3\n" for name in names))
    assert list(read_bed(tmp_path / "a.bed")) == names
    assert len(read_elements(tmp_path / "a.bed").contigs) == 10_000


def test_fields_of_a_table_are_as_long_as_a_window(tmp_path: Path) -> None:
    """Python's csv takes 131,072 letters by itself; Enformer's window has 196,608."""
    (tmp_path / "a.csv").write_text(f"sequence,label\n{'ACGT' * 50_000},1\n")
    assert len(read_labelled(tmp_path / "a.csv").sequences[0]) == 200_000


def test_a_gzipped_fasta_leaves_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "g.fa.gz"
    path.write_bytes(gzip.compress(b">chr1\n" + b"N" * 1_000_000))
    monkeypatch.setenv("GENOFORMER_CACHE", str(tmp_path / "cache"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=(1 << 29) - 1))
    with pytest.raises(FileFormatError, match=r"cannot be decompressed to .*less than 512 MB would be left of the disk"):
        Genome(path)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file()]
