"""What fuzz.py has found, each with the sentence that took the place of a crash, and damaged binary files of any kind."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pysam
import pytest
from amounts import examples
from any_bytes import bgzipped, damaged, read_or_refuse
from hypothesis import given
from hypothesis import strategies as st

from genoformer.annotation.elements import read_elements
from genoformer.annotation.genes import read_gene_map
from genoformer.annotation.random_regions import read_sizes
from genoformer.datasets.sequences import read_labelled
from genoformer.errors import ConfigError, FileFormatError
from genoformer.evaluation.truth import read_truth
from genoformer.evaluation.variants import read_scores
from genoformer.formats.bed import read_regions
from genoformer.formats.bigwig import BigWig
from genoformer.formats.bigwig_writer import write_bigwig
from genoformer.formats.gtf import read_tss
from genoformer.formats.motif_files import read_matrices
from genoformer.formats.track_table import read_targets
from genoformer.formats.vcf import open_vcf
from genoformer.formats.vcf_blocks import iter_blocks
from genoformer.models import registry
from genoformer.scoring.calibration import Calibration
from genoformer.training.config import PretrainConfig
from genoformer.writers import Column, Header, Provenance, open_sink

VCF = b"##fileformat=VCFv4.2\n##contig=<ID=1,length=900>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
VCF += b"1\t5\t.\tA\tC\t.\t.\t.\n"
LONG = b"9" * 5_000
PEAK = b"1\t1\t9\ta\t0\t.\t1\t-1\t-1\t"
GTF = b'1\tx\texon\t5\t%b\t.\t+\t.\tgene_id "G";\n'
TABLE = b"chrom\tpos\tref\talt\tLLR\n1\t%b\tA\tC\t1\n"


def records(path: Path) -> object:
    with open_vcf(path) as file:
        return list(file)


def _bcf(path: Path, text: pysam.VariantFile) -> pysam.VariantFile:
    return pysam.VariantFile(str(path), "wb", header=text.header)


@pytest.mark.parametrize(
    ("content", "read", "said"),
    [
        (b"\x1f\x8b\x08", records, "is truncated or damaged"),
        (VCF.replace(b"\t5\t", "\t٥\t".encode()), records, "POS is '٥'"),
        (VCF.replace(b"\t5\t", b"\t" + LONG + b"\t"), records, "POS is '99999999999999999999', but"),
        (GTF % LONG, lambda path: list(read_tss(path)), "GTF has nine columns"),
        (GTF % LONG, read_gene_map, "GTF has nine columns"),
        (PEAK + LONG + b"\n", lambda path: list(read_regions(path)), "the summit, column 10"),
        (b"1\t" + LONG + b"\n", lambda path: read_sizes(str(path)), "a contig and its length are expected"),
        (b"index\tidentifier\n" + LONG + b"\tx\n", read_targets, "give each track another whole number"),
        (b">a\nA [ 1e308 ]\nC [ 1e308 ]\nG [ 1e308 ]\nT [ 1 ]\n", read_matrices, "has infinite counts"),
        (TABLE % b"x", lambda path: read_scores(path), "pos is 'x'"),
        (TABLE % LONG, lambda path: read_truth(path, "LLR"), "POS is '9999"),
        (b"pos\tref\talt\tLLR\n1\tA\tC\t1\n", lambda path: read_scores(path), "has no chrom"),
        (b"chrom\tpos\tref\talt\tLLR\n1\t5\n", lambda path: read_truth(path, "LLR"), "has fewer columns than the header"),
        (b"chrom\tpos\tref\talt\tLLR\n1\t5\tA\tC\t\xff\n", lambda path: read_truth(path, "LLR"), "cannot be read"),
        (b'sequence\n,"a\nb",c\n', read_labelled, "but no column that begins with `label`"),
        (b'"seq\nx",label\nACGT,1\n', read_labelled, r"the header names seq\nx, label"),
    ],
)
def test_text(tmp_path: Path, content: bytes, read: Callable[[Path], object], said: str) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(content)
    with pytest.raises((FileFormatError, ConfigError)) as refused:
        read(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) <= 1_010


@pytest.mark.parametrize("text", ["\0", "x", "1e", "\u0663"])
def test_a_signal_that_is_no_number(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.broadPeak"
    path.write_text(f"# c\nchr1\t0\t5\t\t\t+\t.\nchr1\t0\t5\t\t\t+\t{text}\n", encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"a.broadPeak, line 3: the signal \(column 7\) is .*; give a number"):
        read_elements(path)


def test_digits_are_those_of_ascii_in_blocks_too(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_bytes(VCF.replace(b"\t5\t", "\t٥\t".encode()))
    with open_vcf(tmp_path / "a.vcf") as file, pytest.raises(FileFormatError, match="line 4: POS is"):
        list(iter_blocks(file))


@pytest.mark.parametrize("name", ["a.tsv.gz", "a.csv.gz", "a.parquet"])
def test_damaged_tables_of_scores(tmp_path: Path, name: str) -> None:
    for content in (b"chrom", gzip.compress(TABLE * 100)[:40], b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x07\x07\x07"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises((FileFormatError, ConfigError)):
            read_scores(tmp_path / name)


def test_a_bcf_that_is_plain_gzip_or_no_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_bytes(VCF)
    with pysam.VariantFile(str(tmp_path / "a.vcf")) as text, _bcf(tmp_path / "a.bcf", text) as out:
        for record in text:
            out.write(record)
    plain = gzip.decompress((tmp_path / "a.bcf").read_bytes())
    (tmp_path / "b.bcf").write_bytes(gzip.compress(plain))
    with pytest.raises(FileFormatError):
        records(tmp_path / "b.bcf")
    (tmp_path / "c.bcf").write_bytes(bgzipped(plain.replace(b"VCFv4.2", b"VCFv4.\xe9")))
    with pytest.raises(FileFormatError, match="text that is not UTF-8, which cannot be read from a BCF"):
        records(tmp_path / "c.bcf")


def test_a_bcf_with_a_block_of_a_wrong_length(tmp_path: Path) -> None:
    """htslib remembers the error, and says it a second time when the file is closed."""
    (tmp_path / "a.vcf").write_bytes(VCF)
    with pysam.VariantFile(str(tmp_path / "a.vcf")) as text, _bcf(tmp_path / "a.bcf", text) as out:
        for record in text:
            out.write(record)
    plain = gzip.decompress((tmp_path / "a.bcf").read_bytes())
    second = bytearray(bgzipped(plain[-20:]))
    second[16:18] = b"\1\0"  # BSIZE
    (tmp_path / "b.bcf").write_bytes(bgzipped(plain[:-20])[:-28] + second)  # the first without its end marker
    with pytest.raises(FileFormatError, match="is truncated or damaged"):
        records(tmp_path / "b.bcf")


def test_two_columns_of_one_name_in_parquet(tmp_path: Path) -> None:
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts\ts"]
    header = Header(lines, {}, [Column("LLR", "nats", "")], Provenance("0"))
    with pytest.raises(ConfigError, match="would have two columns s, which Parquet cannot hold"):
        open_sink(tmp_path / "o.parquet").check(header)
    open_sink(tmp_path / "o.tsv").check(header)


def test_calibrations(tmp_path: Path) -> None:
    path = tmp_path / "calibration.npz"
    for content in (b"", b"PK\x05\x06" + bytes(18), b"\x80\x04N."):
        path.write_bytes(content)
        with pytest.raises(registry.CheckpointError, match="is not a calibration of genoformer"):
            Calibration.load(path)
    for about in ("[]", "{}", "[" * 10_000, '{"background": 1}'):
        with path.open("wb") as file:
            np.savez(file, about=np.array(about))
        with pytest.raises(registry.CheckpointError, match="is not a calibration of genoformer"):
            Calibration.load(path)


@pytest.mark.parametrize("text", ["a = " + "9" * 5_000, "a = " + "[" * 5_000, "[model]\nwidth = 1e400", "\ufffe"])
def test_toml_that_no_parser_likes(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_bytes(text.encode("utf-8"))
    with pytest.raises(ConfigError):
        checkpoint_of(PretrainConfig.read(tmp_path / "c.toml"))


def checkpoint_of(config: PretrainConfig) -> object:
    from genoformer.models.transformer.config import EncoderConfig

    return EncoderConfig.from_dict(dict(config.model))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("bw") / "a.bw"
    starts = np.arange(0, 9_000, 8)
    runs = [("chr1", [0, 10, 30], [10, 20, 35], [0.5, 2, -1]), ("chr2", starts, starts + 7, np.sin(starts))]
    write_bigwig(path, {"chr1": 1_000, "chr2": 10_000}, runs)
    return path.read_bytes()


def values(path: Path) -> None:
    track = BigWig(path)
    for contig, length in list(track.contigs.items())[:5]:
        track.values(contig, -5, 200)
        track.intervals(contig, length - 10, length + 10)


def test_bigwigs(sound: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any damage is refused or read, and never ends the process."""
    folder = tmp_path_factory.mktemp("fuzz")

    @examples(300)
    @given(content=damaged(sound))
    def check(content: bytes) -> None:
        read_or_refuse(values, folder / "a.bw", content, False)

    check()


def test_trees_that_lead_back_to_themselves(sound: bytes, tmp_path: Path) -> None:
    index = struct.unpack_from("<Q", sound, 24)[0]
    root = index + 48
    looped = bytearray(sound)
    looped[root : root + 4] = struct.pack("<BxH", 0, 1)
    looped[root + 4 : root + 28] = struct.pack("<IIIIQ", 0, 0, 9, 9_000, root)
    (tmp_path / "a.bw").write_bytes(looped)
    with pytest.raises(FileFormatError, match="is a damaged bigWig file"):
        values(tmp_path / "a.bw")


@examples(100)
@given(data=st.data())
def test_bcf(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("bcf")
    (folder / "a.vcf").write_bytes(VCF)
    with pysam.VariantFile(str(folder / "a.vcf")) as text, _bcf(folder / "a.bcf", text) as out:
        for record in text:
            out.write(record)
    packed = (folder / "a.bcf").read_bytes()
    content = data.draw(damaged(packed) | damaged(gzip.decompress(packed)).map(bgzipped))
    read_or_refuse(lambda path: records(path) and None, folder / "b.bcf", content, False)
