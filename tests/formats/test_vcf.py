"""VCF and BCF as text: whatever the packing, the records are the same and every byte of a line comes back."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pysam
import pytest
from amounts import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pysam import bcftools

from genoformer.errors import FileFormatError, MissingFileError
from genoformer.formats.vcf import COLUMNS, Record, batches, open_vcf, read_variants
from genoformer.formats.vcf_text import ENCODING, ERRORS, seekable_copy

HEADER = [
    "##fileformat=VCFv4.2",
    '##FILTER=<ID=PASS,Description="All filters passed">',
    "##contig=<ID=chr1,length=1000>",
    '##contig=<ID=chr2,assembly=b37,length=500,species="Homo sapiens">',
    "##contig=<ID=chrUn>",
    '##INFO=<ID=AF,Number=A,Type=Float,Description="Allele frequency">',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    COLUMNS + "\tFORMAT\tann\tbob",
]
LINES = [
    "chr1\t10\trs1\tA\tT\t50\tPASS\tAF=0.5\tGT\t0|1\t1|1",
    "chr1\t20\t.\tac\tG,<DEL>,*\t.\t.\tAF=0.5,0.25,0.125\tGT\t0/1\t./.",
    "chr2\t30\trs2;rs3\tN\t.\t.\tPASS\t.\tGT\t0|0\t0|0",
]
TEXT = "\n".join([*HEADER, *LINES]) + "\n"


def write(folder: Path, content: bytes | str, name: str = "in.vcf") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path | str) -> str:
    with pytest.raises(FileFormatError) as caught:
        list(read_variants(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_records_and_header(tmp_path: Path) -> None:
    with open_vcf(write(tmp_path, TEXT)) as file:
        assert file.header == HEADER
        assert file.samples == ["ann", "bob"]
        assert file.contig_lengths == {"chr1": 1000, "chr2": 500}
        assert (file.format, file.notes) == ("vcf", [])
        assert list(file) == [
            Record(LINES[0], "chr1", 10, "rs1", "A", ("T",)),
            Record(LINES[1], "chr1", 20, ".", "ac", ("G", "<DEL>", "*")),
            Record(LINES[2], "chr2", 30, "rs2;rs3", "N", ()),
        ]
        with pytest.raises(ValueError, match="read already"):
            next(iter(file))


def test_two_samples_of_one_name_are_refused_where_samples_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.vcf"
    path.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts0\ts1\ts0\n")
    with open_vcf(path) as file, pytest.raises(FileFormatError, match="line 2: two samples are called s0; give each its own"):
        list(file.samples)


def packed(folder: Path) -> dict[str, Path]:
    plain = write(folder, TEXT)
    paths = {"vcf": plain, "gzip": write(folder, gzip.compress(TEXT.encode(), mtime=0), "in.gz")}
    paths["bgzip"] = folder / "bgzip.vcf.gz"
    pysam.tabix_compress(str(plain), str(paths["bgzip"]))
    paths["bcf"] = folder / "in.bcf"
    bcftools.view("--no-version", "-Ob", "-o", str(paths["bcf"]), str(plain), catch_stdout=False)
    return paths


@pytest.mark.parametrize("kind", ["vcf", "gzip", "bgzip", "bcf"])
def test_every_packing_gives_the_same(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path)[kind]
    misnamed = write(tmp_path, path.read_bytes(), "misnamed.txt")
    for name in (path, misnamed):
        with open_vcf(name) as file:
            assert file.format == kind
            assert sorted(file.header) == sorted(HEADER)  # htslib moves ##FILTER=PASS
            assert [record.line for record in file] == LINES
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    with open_vcf("-") as file:
        assert (file.name, file.format) == ("standard input", kind)
        assert [record.line for record in file] == LINES
        copy = file.path
        assert copy.exists()
    assert not copy.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(packed(tmp_path)["bgzip"].read_bytes(),))
    writer.start()
    with seekable_copy(pipe) as copy:
        assert [r.line for r in read_variants(copy)] == [r.line for r in read_variants(copy)] == LINES
    writer.join()
    assert not copy.exists()
    with seekable_copy(tmp_path / "in.vcf") as same:
        assert same == tmp_path / "in.vcf"


def test_fingerprint_is_that_of_the_text(tmp_path: Path) -> None:
    paths = packed(tmp_path)
    digests = set()
    for kind in ("vcf", "gzip", "bgzip"):
        with open_vcf(paths[kind], fingerprint=True) as file:
            with pytest.raises(ValueError, match="after the last record"):
                _ = file.sha256
            assert len(list(file)) == 3
            digests.add(file.sha256)
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (TEXT.replace("\n", "\r\n"), LINES),
        (TEXT.rstrip("\n"), LINES),
        (TEXT.replace("\n", "\r\n").rstrip("\n"), LINES),
        (TEXT + "\n\n", LINES),
        (TEXT.replace("chr2\t30", "\nchr2\t30"), LINES),  # an empty line between records holds no record
        ("\ufeff" + TEXT, LINES),
        ("\n".join(HEADER) + "\n", []),
        ("\n".join(HEADER), []),
        (COLUMNS + "\nchr1\t1\t.\tA\tT\t.\t.\t.\n", ["chr1\t1\t.\tA\tT\t.\t.\t."]),  # no ##fileformat
        (
            "##fileformat=VCFv4.2\nchr1\t1\t.\tA\tT\n",
            ["chr1\t1\t.\tA\tT"],
        ),  # neither a #CHROM line nor QUAL, FILTER, INFO
        ("##fileformat=VCFv4.2\n" + COLUMNS + "\nc\t0\t.\tA\tT\tx y\t\t\t", ["c\t0\t.\tA\tT\tx y\t\t\t"]),
    ],
)
def test_unusual_but_read(content: str, lines: list[str], tmp_path: Path) -> None:
    with open_vcf(write(tmp_path, content)) as file:
        assert file.header[-1].startswith("#CHROM\t")
        assert [record.line for record in file] == lines


def test_missing_column_line_is_noted(tmp_path: Path) -> None:
    with open_vcf(write(tmp_path, "##fileformat=VCFv4.2\nchr1\t1\t.\tA\tT\n")) as file:
        assert file.header == ["##fileformat=VCFv4.2", COLUMNS]
        assert len(file.notes) == 1


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("chr1 10 . A T", "1 tab-separated column"),
        ("chr1\t10\t.\tA", "4 tab-separated column"),
        ("chr1\tten\t.\tA\tT\t.\t.\t.", "POS is 'ten'"),
        ("chr1\t-1\t.\tA\tT\t.\t.\t.", "POS is '-1'"),
        ("chr1\t1_0\t.\tA\tT\t.\t.\t.", "POS is '1_0'"),
        ("chr1\t" + "9" * 5000 + "\t.\tA\tT\t.\t.\t.", "at most 18 digits"),
        ("chr1\t10\t.\t\tT\t.\t.\t.", "REF is empty"),
        ("\t10\t.\tA\tT\t.\t.\t.", "CHROM is empty"),
        (HEADER[0], "header line among the records"),
        (HEADER[-1], "header line among the records"),
    ],
)
def test_malformed_lines_are_named(row: str, says: str, tmp_path: Path) -> None:
    path = write(tmp_path, TEXT + "\n" + row + "\n" + LINES[0] + "\n")
    message = refusal(path)
    assert str(path) in message
    assert f"line {len(HEADER) + len(LINES) + 2}:" in message
    assert says in message


def test_line_numbers_beyond_the_first_chunk(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT + (LINES[0] + "\n") * 60_000 + "chr1\t5\n")
    assert f"line {len(HEADER) + len(LINES) + 60_001}:" in refusal(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"chr1\t10\t.\tA\tT\n", "it is not VCF"),
        (b">chr1\nACGT\n", "it is not VCF"),
        (b"##gff-version 3\nchr1\tx\n", "it is not VCF"),
        (b"##fileformat=VCFv4.2\n", "has no #CHROM line, and no records"),
        (
            b"##fileformat=VCFv4.2\nchr1\t1\t.\tA\tT\t.\t.\t.\tGT\t0/1\n",
            "has no #CHROM line, and its first record has 10",
        ),
        (TEXT.replace("\n", "\r").encode(), "carriage return"),
        (bytes(range(256)) * 20, "binary data"),
        (gzip.compress(gzip.compress(TEXT.encode(), mtime=0), mtime=0), "binary data"),
        (b"BAM\x01" + bytes(50), "is BAM"),
        (b"PK\x03\x04" + bytes(50), "is zip"),
        (TEXT.encode("utf-16"), "is UTF-16"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-20], "truncated or damaged"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-8] + bytes(8), "truncated or damaged"),
    ],
)
def test_not_a_vcf(content: bytes, says: str, tmp_path: Path) -> None:
    path = write(tmp_path, content, "in.vcf.gz")
    message = refusal(path)
    assert says in message
    assert str(path) in message


@pytest.mark.parametrize("kind", ["bgzip", "bcf"])
def test_truncated_blocks(kind: str, tmp_path: Path) -> None:
    whole = packed(tmp_path)[kind].read_bytes()
    for n_bytes in (28, 40, len(whole) // 2):  # the end marker, a cut block, half the file
        assert "truncated" in refusal(write(tmp_path, whole[:-n_bytes], "cut"))
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0xFF
    assert "damaged" in refusal(write(tmp_path, bytes(broken), "broken"))


def test_missing_folder_and_unreadable(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "none.vcf")
    with pytest.raises(MissingFileError):
        open_vcf(tmp_path / "none.vcf")
    assert "is a folder" in refusal(tmp_path)


_word = st.text(st.characters(blacklist_characters="\t\n\r", blacklist_categories=["Cs"]), max_size=8)
_bases = st.text("ACGTNacgtnRYKM", min_size=1, max_size=6)
_row = st.tuples(
    st.text(st.characters(blacklist_characters="\t\n\r#", blacklist_categories=["Cs"]), min_size=1, max_size=8),
    st.integers(0, 10**12).map(str),
    _word,
    _bases,
    st.one_of(st.just("."), st.lists(st.one_of(_bases, st.just("*"), st.just("<DEL>")), min_size=1).map(",".join)),
    st.lists(_word, max_size=5).map("\t".join),
    st.binary(max_size=12).map(lambda raw: raw.translate(None, b"\t\n\r")),
)


@examples(150)
@given(rows=st.lists(_row, max_size=6), crlf=st.booleans(), zipped=st.booleans())
def test_every_byte_comes_back(rows: list, crlf: bool, zipped: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = ["\t".join(text).encode() + b"\t" + raw for *text, raw in rows]
    end = b"\r\n" if crlf else b"\n"
    content = end.join([b"##fileformat=VCFv4.3", b"##source=\xe9\xff", COLUMNS.encode(), *lines, b""])
    path = write(tmp_path_factory.getbasetemp(), gzip.compress(content, 1) if zipped else content, "hypothesis.vcf")
    with open_vcf(path) as file:
        assert file.header[1].encode(ENCODING, ERRORS) == b"##source=\xe9\xff"
        records = list(file)
    assert [record.line.encode(ENCODING, ERRORS) for record in records] == lines
    for record, (chrom, pos, name, ref, alt, *_) in zip(records, rows, strict=True):
        alts = () if alt == "." else tuple(alt.split(","))
        assert record[1:] == (chrom, int(pos), name, ref, alts)


@pytest.mark.parametrize(
    ("name", "n_records", "n_samples"),
    [
        ("hg19/1000G.chr20_1000001-2000000.vcf.gz", 28_998, 0),
        ("hg38/1000G.chr21-22.sites.vcf.gz", 96_711, 0),
        ("hg38/kipoiseq/chr22_ENST00000319363.vcf.gz", 9_212, None),
        ("hg19/1000G.chr22.5samples_genotypes.vcf.gz", None, 5),
        ("hg38/chr1_eqtl.vcf", 8, 0),
    ],
)
def test_real_files_line_by_line(name: str, n_records: int | None, n_samples: int | None, real_data: Path) -> None:
    raw = (real_data / name).read_bytes()
    text = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    lines = [line for line in text.rstrip(b"\n").split(b"\n") if not line.startswith(b"#")]
    with open_vcf(real_data / name) as file:
        assert n_samples in (None, len(file.samples))
        assert [record.line.encode(ENCODING, ERRORS) for record in file] == lines
    assert n_records in (None, len(lines))


def test_plain_and_zipped_vcf_need_no_pysam(tmp_path: Path) -> None:
    write(tmp_path, gzip.compress(TEXT.encode(), mtime=0), "in.vcf.gz")
    code = (
        "import sys; from genoformer import read_variants; print(len(list(read_variants('in.vcf.gz'))), 'pysam' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "False"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), max_size=40), st.integers(1, 9), st.integers(1, 60))
def test_batches_are_bounded_in_records_and_in_letters(lengths: list[int], n: int, most: int) -> None:
    records = [Record("x" * length, "c", i, ".", "A", ("C",)) for i, length in enumerate(lengths)]
    found = list(batches(iter(records), n, n_bytes=most))
    assert [record for batch in found for record in batch] == records
    for i, batch in enumerate(found):
        size = sum(len(record.line) for record in batch)
        assert 1 <= len(batch) <= n
        assert size - len(batch[-1].line) <= most
        assert i == len(found) - 1 or len(batch) == n or size > most
