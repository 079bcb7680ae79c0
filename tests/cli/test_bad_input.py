"""DESIGN.md, "What happens to bad input", row by row through the command line, and what lies near those rows."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import pickle
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import click
import pysam
import pytest
from click.testing import Result
from commands import assert_refused, run
from genoformer_cli.main import main
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import no_file_larger_than
from scoring_jobs import run_score

from genoformer import inference
from genoformer.errors import GenoformerError
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status
from genoformer.models import registry
from genoformer.scoring import parts, plan
from genoformer.scoring.scores import SCORES
from genoformer.writers import SINKS
from genoformer.writers.parquet import ParquetRows
from genoformer.writers.tables import ParquetWriter

PROGRAM = str(Path(sys.executable).with_name("genoformer"))  # as installed beside the running interpreter
PART = 400  # records of a part, for runs that are killed in the middle
PARTS_OF_TEN = ("--part-size", 10)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

CHR1 = (
    "TTGACCTGAACGTTAGCCATGCAAGTCTTGGACCTAGATTCAGGCATCTA"  # 1 to 50
    "ggcattacgttacgatcggattaNNNNNNNNNNRYSWKMacgtagcattg"  # 51 to 100: lower case, N at 74 to 83, IUPAC at 84 to 89
    "CATGGTTACCAGATTTACGGCTAACGATCCATTGCAGGTCAATCGTACCA"  # 101 to 150
)
CHR2 = "ACGGTACCTTAGGCATTACAGGATTCCAATCGGCATTAGG"
SOUND = tuple(f"chr1 {pos} . {CHR1[pos - 1]} {'T' if CHR1[pos - 1] == 'A' else 'A'}" for pos in range(1, 41))


class World(NamedTuple):
    """A FASTA, a model, and an empty folder for the output."""

    folder: Path
    fasta: Path
    model: Path
    out: Path


@pytest.fixture
def world(tmp_path: Path, tiny_model_folder: Path, make_fasta: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("GENOFORMER_CACHE", str(tmp_path / "cache"))
    (tmp_path / "out").mkdir()
    return World(tmp_path, make_fasta(chr1=CHR1, chr2=CHR2), tiny_model_folder, tmp_path / "out")


def score(world: World, vcf: object, *more: object, out: str = "out.vcf", stdin: bytes = b"") -> Result:
    return run("score", vcf, "-f", world.fasta, "-m", world.model, "-o", world.out / out, *more, stdin=stdin)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_scored(result: Result) -> None:
    assert result.exit_code == 0, (result.stderr, result.exception)


def unpacked(content: bytes) -> bytes:
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def split(content: bytes) -> tuple[list[bytes], list[list[bytes]]]:
    """Header lines, and the columns of each record; line ends and empty lines do not count."""
    lines = [line for line in unpacked(content).replace(b"\r\n", b"\n").split(b"\n") if line]
    head = [line for line in lines if line.startswith(b"#")]
    return head, [line.split(b"\t") for line in lines[len(head) :]]


def without_ours(fields: list[bytes]) -> list[bytes]:
    """The columns without the GF_ keys in INFO."""
    kept = b";".join(item for item in fields[7].split(b";") if not item.startswith(b"GF_"))
    return [*fields[:7], kept or b".", *fields[8:]]


def assert_nothing_lost(before: bytes, after: bytes) -> None:
    """Every record, in order, with every field byte for byte; every header line, in order."""
    head_before, records_before = split(before)
    head_after, records_after = split(after)
    padded = [fields + [b"."] * (8 - len(fields)) for fields in records_before]
    assert [without_ours(fields) for fields in records_after] == [without_ours(fields) for fields in padded]
    added = (b"##INFO=<ID=GF_", b"##genoformer_", b"##contig=<ID=")
    kept = [line for line in head_before if not line.startswith(added)]
    assert [line for line in head_after if not line.startswith(added)] == kept
    assert all(fields[7] not in (b".", b"") for fields in records_after)  # each has a score or a reason


def infos(path: Path) -> list[dict[str, str]]:
    """INFO of each record of a VCF."""
    rows = (fields[7].decode().split(";") for fields in split(path.read_bytes())[1])
    return [dict(item.partition("=")[::2] for item in row) for row in rows]


def bgzip(*parts: bytes) -> bytes:
    """A bgzip file whose blocks begin where the parts do."""
    blocks = []
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            path = Path(folder, "part.gz")
            with pysam.BGZFile(str(path), "wb") as file:
                file.write(part)
            blocks.append(path.read_bytes().removesuffix(BGZIP_END))
    return b"".join(blocks) + BGZIP_END


# Row 1: missing, unreadable, not what it says, truncated


def test_missing_files(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf(*SOUND)
    nowhere = world.folder / "nowhere"
    assert_refused(score(world, nowhere), nowhere, "does not exist; check the name of the VCF")
    assert_refused(score(world._replace(fasta=nowhere), vcf), nowhere, "There is no file", "Check the path of the FASTA")
    assert_refused(score(world._replace(model=nowhere), vcf), nowhere, "no model folder", "give a folder with config.json")
    assert names(world.out) == set()


@contextlib.contextmanager
def without_rights() -> Iterator[Path]:
    """A folder with a file nobody may read; of root's rights nothing is left meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for secret in ("secret.vcf", "secret.fa"):
            (folder / secret).write_text(">a\nA\n")
            (folder / secret).chmod(0)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)


def test_unreadable_files(world: World) -> None:
    run("score", "-", "-f", world.fasta, "--preflight")  # so that everything is imported
    with without_rights() as folder:
        vcf = run("score", folder / "secret.vcf", "-f", folder / "secret.vcf", "--preflight")
        fasta = run("score", "-", "-f", folder / "secret.fa", "--preflight", stdin=b"##fileformat=VCFv4.2\n")
    assert_refused(fasta, folder / "secret.fa", "Permission denied")
    assert_refused(vcf, folder / "secret.vcf", "Permission denied")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "is empty; a VCF has at least the lines"),
        (b">chr1\nACGT\n", "begins with '>chr1'"),
        (b"PK\x03\x04 and more", "is zip, not VCF or BCF"),
        (b"BAM\x01" + bytes(40), "is BAM, not VCF or BCF"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "is binary data, not VCF or BCF"),
        (gzip.compress(b"BAM\x01" + bytes(40), mtime=0), "is BAM, not VCF or BCF"),
        (b"gene score alt\n", "has no #CHROM line, so it is not VCF"),
        (f"##fileformat=VCFv4.2\n{COLUMNS}\nchr1 5 . A T\n".encode(), "line 3: 1 tab-separated column(s)"),
        (f"##fileformat=VCFv4.2\n{COLUMNS}\nchr1\tfive\t.\tA\tT\t.\t.\t.\n".encode(), "line 3: POS is 'five'"),
        (f"##fileformat=VCFv4.2\n{COLUMNS}\nchr1\t-5\t.\tA\tT\t.\t.\t.\n".encode(), "line 3: POS is '-5'"),
        (f"##fileformat=VCFv4.2\n{COLUMNS}\nchr1\t5\t.\t\tT\t.\t.\t.\n".encode(), "line 3: REF is empty"),
    ],
    ids=["empty", "FASTA", "zip", "BAM", "PNG", "packed BAM", "table", "blanks", "POS", "negative POS", "REF"],
)
def test_a_vcf_that_is_none(world: World, content: bytes, found: str) -> None:
    vcf = world.folder / "in.vcf.gz"
    vcf.write_bytes(content)
    assert_refused(score(world, vcf), vcf, found)
    assert names(world.out) == set()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "is empty"),
        (f"##fileformat=VCFv4.2\n{COLUMNS}\n".encode(), "It is a VCF; give the FASTA of its reference"),
        (b"@read\nACGT\n+\nIIII\n", "It looks like FASTQ"),
        (bytes(100), "is not FASTA"),
        (b"\xef\xbb\xbf>chr1\nACGT\n", "begins with a byte order mark, as some editors write it"),
        (gzip.compress(b"\xef\xbb\xbf>chr1\nACGT\n", mtime=0), "| tail -c +4 > new.fa"),
        (gzip.compress(b"BAM\x01" + bytes(40), mtime=0), "It is a BAM"),
        (b">chr1\n>chr2\n", "holds no sequence"),
        (b">chr1\nACGT\nAC\nACGT\n", "line 3: lines of chr1 differ in length"),
        (b">chr1\nAC GT\n", "line 2: a space or control character"),
        (b">chr1\nACGT\n>chr1\nACGT\n", "line 3: a second contig is named chr1"),
    ],
    ids=["empty", "VCF", "FASTQ", "zeros", "BOM", "packed BOM", "BAM", "names only", "ragged", "blank", "twice"],
)
def test_a_fasta_that_is_none(world: World, make_vcf: Callable[..., Path], content: bytes, found: str) -> None:
    fasta = world.folder / "bad.fa"
    fasta.write_bytes(content)
    before = names(world.folder)
    vcf = make_vcf(*SOUND)
    assert_refused(score(world._replace(fasta=fasta), vcf), fasta, found)
    assert names(world.out) == set()
    assert names(world.folder) == before | {vcf.name}  # no index, whole or half


def test_folders_in_place_of_files(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf(*SOUND)
    assert_refused(score(world, world.out), world.out, "is a folder; give the VCF")
    assert_refused(score(world._replace(fasta=world.out), vcf), world.out, "not a file but a folder")
    (world.out / "out.vcf").mkdir()
    assert_refused(score(world, vcf), world.out / "out.vcf", "is a folder, not a file")
    assert names(world.out) == {"out.vcf"}


def test_the_suffix_does_not_matter_where_the_content_speaks(world: World, make_vcf: Callable[..., Path]) -> None:
    """Plain text named .gz and bgzip named .vcf are read for what they are."""
    plain = make_vcf(*SOUND, name="plain.vcf.gz")
    packed = world.folder / "packed.vcf"
    packed.write_bytes(bgzip(plain.read_bytes()))
    assert_scored(score(world, plain, out="a.vcf"))
    assert_scored(score(world, packed, out="b.vcf"))
    assert (world.out / "a.vcf").read_bytes() == (world.out / "b.vcf").read_bytes()


TRUNCATED = {
    "in the first block": lambda first, whole: whole[: len(first) // 2],
    "at a block border": lambda first, whole: whole[: len(first)],
    "in the second block": lambda first, whole: whole[: len(first) + 30],
    "before the end mark": lambda first, whole: whole[: -len(BGZIP_END)],
    "in the end mark": lambda first, whole: whole[:-1],
}


@pytest.mark.parametrize("cut", TRUNCATED.values(), ids=TRUNCATED)
def test_truncated_bgzip(world: World, make_vcf: Callable[..., Path], cut: Callable[[bytes, bytes], bytes]) -> None:
    text = make_vcf(*SOUND).read_bytes()
    half = text.index(b"chr1\t20\t")
    vcf = world.folder / "cut.vcf.gz"
    vcf.write_bytes(cut(bgzip(text[:half]).removesuffix(BGZIP_END), bgzip(text[:half], text[half:])))
    assert_refused(score(world, vcf, out="out.vcf.gz"), vcf, "truncated or damaged", "copy or download it again")

    bases = world.fasta.read_bytes()
    fasta = world.folder / "cut.fa.gz"
    fasta.write_bytes(cut(bgzip(bases[:61]).removesuffix(BGZIP_END), bgzip(bases[:61], bases[61:])))
    sound = make_vcf(*SOUND)
    assert_refused(score(world._replace(fasta=fasta), sound), fasta, "cut short", "Copy or make it again")
    assert names(world.out) == set()
    assert not [name for name in names(world.folder) if name.startswith((".", "cut.fa.gz."))]


def test_truncated_gzip(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = world.folder / "cut.vcf.gz"
    vcf.write_bytes(gzip.compress(make_vcf(*SOUND).read_bytes())[:-20])
    assert_refused(score(world, vcf), vcf, "truncated or damaged", "copy or download it again")
    assert_refused(score(world, "-", stdin=vcf.read_bytes()), "standard input is truncated or damaged")
    fasta = world.folder / "cut.fa.gz"
    fasta.write_bytes(gzip.compress(world.fasta.read_bytes())[:-20])
    assert_refused(score(world._replace(fasta=fasta), make_vcf(*SOUND)), fasta, "cut short or damaged")
    assert names(world.out) == set()
    assert not [p for p in (world.folder / "cache").rglob("*") if p.is_file()]


def test_a_damaged_middle_leaves_no_output(world: World, make_vcf: Callable[..., Path]) -> None:
    content = bytearray(bgzip(make_vcf(*SOUND).read_bytes()))
    content[60] ^= 0xFF
    vcf = world.folder / "damaged.vcf.gz"
    vcf.write_bytes(content)
    assert_refused(score(world, vcf), vcf, "truncated or damaged")
    assert names(world.out) == set()


# Row 2: contig names


@pytest.mark.parametrize("name", ["20", "chr20", "NC_000020.10", "NC_000020.11", "CHR20"])
@pytest.mark.parametrize("reference", ["20", "chr20", "NC_000020.10"])
def test_contigs_named_differently(
    world: World, make_fasta: Callable[..., Path], make_vcf: Callable[..., Path], name: str, reference: str
) -> None:
    fasta = make_fasta("other.fa", **{reference: CHR1})
    vcf = make_vcf(*(row.replace("chr1", name) for row in SOUND))
    result = score(world._replace(fasta=fasta), vcf)
    assert_scored(result)
    assert (f"{name} is {reference}" in " ".join(result.stderr.split())) is (name != reference)
    assert all("GF_LLR" in info for info in infos(world.out / "out.vcf"))
    assert_nothing_lost(vcf.read_bytes(), (world.out / "out.vcf").read_bytes())


def test_an_absent_contig_is_a_status(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf(*SOUND, "chrUn_1 7 x A T 3 PASS A=1")
    result = score(world, vcf)
    assert_scored(result)
    assert "not scored: NO_CONTIG 1" in result.stderr
    assert "chrUn_1" in result.stderr
    assert infos(world.out / "out.vcf")[-1] == {"A": "1", "GF_STATUS": "NO_CONTIG"}


def test_no_contig_matches(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf("chr7 1 . T A", "scaffold_9 1 . T A")
    result = score(world, vcf)
    assert_refused(result, vcf, "(chr7, scaffold_9)", "is in genome.fa (chr1, chr2)", "give the FASTA of the assembly")
    assert names(world.out) == set()


# Row 3: another build

SHIFTED = tuple(row.replace(f" {pos} ", f" {pos + 6} ", 1) for pos, row in enumerate(SOUND, 1))
N_BY_CHANCE = sum(row.split()[3] == CHR1[int(row.split()[1]) - 1] for row in SHIFTED)  # of 40
WRONG = tuple(f"chr1 {pos} . {'C' if CHR1[pos - 1] != 'C' else 'G'} <X>" for pos in range(1, 11))


@pytest.mark.parametrize("suffix", [".vcf.gz", ".parquet"])
def test_another_build(world: World, make_vcf: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    asked: list[int] = []
    posteriors = inference.sliding_posteriors
    monkeypatch.setattr(inference, "sliding_posteriors", lambda *a, **k: (asked.append(1), posteriors(*a, **k))[1])
    vcf = make_vcf(*SHIFTED, header=("##contig=<ID=chr20,length=64444167>", "##contig=<ID=chr21,length=46709983>"))
    result = score(world, vcf, out=f"out{suffix}")
    agreement = f"{N_BY_CHANCE / 0.4:g} % of 40"
    assert_refused(result, vcf, f"agrees with genome.fa in {agreement} records", "points to hg38", "or continue with --force.")
    assert any(agreement in line for line in result.stderr.splitlines()[:-1])  # in the table too
    assert asked == []  # no model ran
    assert names(world.out) == set()

    forced = score(world, vcf, "--force", out=f"out{suffix}")
    assert_scored(forced)
    assert asked
    assert f"scored {N_BY_CHANCE} alleles of 40 records" in forced.stderr
    assert f"out{suffix}" in names(world.out)


def test_slips_and_bases_before_symbolic_alleles_stop_nothing(world: World, make_vcf: Callable[..., Path]) -> None:
    slips = [f"chr1 {pos} . {'C' if CHR1[pos - 1] != 'C' else 'G'} N,{CHR1[pos]}A" for pos in range(1, 11)]
    result = score(world, make_vcf(*SOUND, *WRONG, *slips))
    assert_scored(result)
    assert "REF agrees in 80 % of 50 records on chr1; the other 10 have no score (REF_MISMATCH)" in result.stderr


def test_one_record_is_no_plural(world: World, make_vcf: Callable[..., Path]) -> None:
    pos = next(i for i in range(20, 200) if CHR1[i - 2 : i + 1] in ("AAA", "TTT", "ATA", "TAT", "AAT", "TTA"))
    result = score(world, make_vcf(f"chr1 {pos} . G C"), "--force")
    assert result.exit_code == 0
    assert "scored 0 alleles of 1 record (" in result.stderr
    assert "REF agrees in none of 1 record on chr1; it has no score (REF_MISMATCH), and " in result.stderr


def test_swapped_alleles_are_recognised(world: World, make_vcf: Callable[..., Path]) -> None:
    rows = (f"{chrom} {pos} . {alt} {ref}" for chrom, pos, _, ref, alt in map(str.split, SOUND))
    assert_refused(score(world, make_vcf(*rows)), "in 0 % of 40 records", "REF and ALT look swapped", "100 %")


# Row 4: typed reasons

LONG = CHR1[:23]
REASONS = {  # row: reason
    "chr1 1 . G A . . .": "REF_MISMATCH",
    "chr1 2 . AG TA,C . . AF=.": "REF_MISMATCH",
    "chr1 3 sv G <DEL> 9 PASS END=30;SVTYPE=DEL;CIPOS=-3,3": "IMPRECISE",
    "chr1 4 . A <NON_REF> . . .": "SYMBOLIC",
    "chr1 5 bnd C C[chr2:7[ . . SVTYPE=BND": "BREAKEND",
    "chr1 6 bnd C ]chr2:7]C . . .": "BREAKEND",
    "chr1 7 . T .TA . . .": "BREAKEND",
    "chr1 8 . G * . . .": "STAR",
    "chr1 74 . N A . . .": "N_IN_REF",
    "chr1 72 . TAN T . . .": "N_IN_REF",
    "chr1 84 . A C . . .": "N_IN_REF",  # an R in the FASTA
    "chr1 9 . N A . . .": "N_IN_REF",
    "chr1 151 . A C . . .": "OUTSIDE",
    "chr1 150 . AG A . . .": "OUTSIDE",
    "chr1 0 . N A . . .": "OUTSIDE",
    "chr1 999999999999999999 . A C . . .": "OUTSIDE",
    f"chr1 1 . {LONG} T . . .": "TOO_LONG",
    f"chr1 10 . A A{LONG} . . .": "TOO_LONG",
    "chr1 11 . C R . . .": "NOT_ACGT",
    "chr1 12 . G N . . .": "NOT_ACGT",
    "chr1 13 . R A . . .": "NOT_ACGT",
    "chr1 14 . T X-1 . . .": "NOT_ACGT",
    "chr9 1 . T A . . .": "NO_CONTIG",
    "chr1 15 . A . . . .": "NO_ALT",
}


@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz"])
def test_reasons(world: World, make_vcf: Callable[..., Path], suffix: str) -> None:
    vcf = make_vcf(*SOUND, *REASONS)
    result = score(world, vcf, out=f"out{suffix}")
    assert_scored(result)
    out = world.out / f"out{suffix}"
    assert_nothing_lost(vcf.read_bytes(), out.read_bytes())
    statuses = [info.get("GF_STATUS") for info in infos(out)]
    assert statuses == [None] * len(SOUND) + list(REASONS.values())
    n_alts = dict.fromkeys(REASONS.values(), 0)
    for row, reason in REASONS.items():
        n_alts[reason] += 1 + row.split()[4].count(",")
    summary = result.stderr.split("not scored: ")[1].splitlines()[0]
    assert dict(part.rsplit(" ", 1) for part in summary.split(", ")) == {k: str(n) for k, n in n_alts.items()}
    as_json = score(world, vcf, "--json", out=f"again{suffix}")
    last = json.loads(as_json.stderr.splitlines()[-1])["summary"]
    assert (last["records"], last["scored"], last["skipped"]) == (len(SOUND) + len(REASONS), len(SOUND), n_alts)


def test_a_score_for_other_alleles_only(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf("chr1 2 . TG T", "chr1 2 . T A")
    assert "not scored: NO_SCORE 1" in score(world, vcf, "-s", "LLR").stderr
    assert [info.get("GF_STATUS") for info in infos(world.out / "out.vcf")] == ["NO_SCORE", None]


# Row 5: lower case, IUPAC and N in the FASTA


def test_letters_of_the_fasta(world: World, make_fasta: Callable[..., Path], make_vcf: Callable[..., Path]) -> None:
    """Case does not matter; IUPAC codes are the N they stand beside, and not the A they might be taken for."""
    vcf = make_vcf(*SOUND, "chr1 55 . T A", "chr1 55 . t a", "chr1 91 . c T", "chr1 71 . T G", "chr1 71 . TT T")
    found = {}
    for name, bases in {
        "as it is": CHR1,
        "upper": CHR1.upper(),
        "n": CHR1.translate(str.maketrans("RYSWKM", "NNNNNN")).lower(),
        "other": CHR1.translate(str.maketrans("NRYSWKM", "BDHV-*.")),
        "a": CHR1.translate(str.maketrans("NRYSWKM", "AAAAAAA")),
    }.items():
        fasta = make_fasta(f"{name.replace(' ', '_')}.fa", chr1=bases)
        assert_scored(score(world._replace(fasta=fasta), vcf, out=f"{name}.vcf"))
        found[name] = [(info.get("GF_LLR"), info.get("GF_PLL")) for info in infos(world.out / f"{name}.vcf")]
    assert all(llr or pll for llr, pll in found["as it is"])
    assert found["as it is"] == found["upper"] == found["n"] == found["other"]
    assert found["as it is"][40] == found["as it is"][41]
    assert found["a"][:40] == found["as it is"][:40]
    assert found["a"][42] != found["as it is"][42]  # windows there reach the N


# Row 6: plain gzip


@pytest.mark.parametrize("pack", [gzip.compress, bgzip], ids=["gzip", "bgzip"])
def test_packed_input(world: World, make_vcf: Callable[..., Path], pack: Callable[[bytes], bytes]) -> None:
    vcf, fasta = make_vcf(*SOUND), world.folder / "genome.fa.gz"
    packed = world.folder / "in.vcf.gz"
    packed.write_bytes(pack(vcf.read_bytes()))
    fasta.write_bytes(pack(world.fasta.read_bytes()))
    assert_scored(score(world, vcf, out="plain.vcf"))
    assert_scored(score(world, packed, out="packed.vcf"))
    assert_scored(score(world, "-", out="stdin.vcf", stdin=packed.read_bytes()))
    result = score(world._replace(fasta=fasta), packed, out="both.vcf")
    assert_scored(result)
    assert ("is gzipped, not bgzipped: it is read from a decompressed copy" in result.stderr) is (pack is gzip.compress)
    assert (
        (world.out / "plain.vcf").read_bytes()
        == (world.out / "packed.vcf").read_bytes()
        == (world.out / "stdin.vcf").read_bytes()
        == (world.out / "both.vcf").read_bytes().replace(b"genome.fa.gz", b"genome.fa")
    )


# Row 7: multi-allelic


def test_values_stand_in_the_order_of_alt(world: World, make_vcf: Callable[..., Path]) -> None:
    """Each ALT has the value it has alone, wherever it stands; what has none is "."."""
    alone = ("chr1 10 . A C", "chr1 10 . A G", "chr1 10 . A AT", "chr1 20 . TG T", "chr1 20 . TG CC")
    vcf = make_vcf(*alone, "chr1 10 . A G,AT,C", "chr1 10 . A *,C,<X>,G", "chr1 20 . TG CC,T", "chr1 10 . A C,C")
    assert_scored(score(world, vcf))
    found = infos(world.out / "out.vcf")
    c, g, cc = (found[i]["GF_LLR"] for i in (0, 1, 4))
    at, t = (found[i]["GF_PLL"] for i in (2, 3))
    assert len({c, g, cc, at, t}) == 5
    assert found[5:] == [
        {"GF_LLR": f"{g},.,{c}", "GF_PLL": f".,{at},."},
        {"GF_LLR": f".,{c},.,{g}", "GF_STATUS": "STAR"},
        {"GF_LLR": f"{cc},.", "GF_PLL": f".,{t}"},
        {"GF_LLR": f"{c},{c}"},
    ]


# Row 8: interrupted, killed, out of disk


class Big(NamedTuple):
    world: World
    vcf: Path
    whole: Path  # folder with the outputs of uninterrupted runs


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Big:
    """Four thousand SNVs, so ten parts; and what comes out when nothing happens."""
    folder = tmp_path_factory.mktemp("big")
    (folder / "whole").mkdir()
    bases = "".join(random.Random(1).choices("ACGT", k=10 * PART))
    fasta, vcf = folder / "genome.fa", folder / "in.vcf"
    fasta.write_text(f">chr1\n{bases}\n")
    alts = {"A": "C", "C": "G,T", "G": "T", "T": "A"}
    rows = (f"chr1\t{i}\tv{i}\t{base}\t{alts[base]}\t.\tPASS\tN={i}" for i, base in enumerate(bases, 1))
    vcf.write_text("\n".join(["##fileformat=VCFv4.2", f"##contig=<ID=chr1,length={10 * PART}>", COLUMNS, *rows]) + "\n")
    world = World(folder, fasta, tiny_model_folder, folder / "whole")
    for name in ("out.vcf", "out.vcf.gz"):
        assert_scored(score(world, vcf, out=name))
    return Big(world, vcf, folder / "whole")


@pytest.mark.parametrize(
    ("sent", "status", "name"), [(signal.SIGKILL, -signal.SIGKILL, "out.vcf"), (signal.SIGINT, 130, "out.vcf.gz")]
)
def test_killed_and_repeated(big: Big, tmp_path: Path, sent: signal.Signals, status: int, name: str) -> None:
    out, kept = tmp_path / name, tmp_path / f".{name}.parts"
    command = ["score", big.vcf, "-f", big.world.fasta, "-m", big.world.model, "-o", out, "--part-size", str(PART)]
    process = subprocess.Popen(
        [PROGRAM, *command],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # else ignored where the tests run behind an "&"
    )
    while not (kept / "00000000.npz").exists() and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(sent)
    said = process.communicate()[1]
    assert process.returncode == status, said
    assert "Traceback" not in said
    assert names(tmp_path) == {kept.name}  # nothing under the final name, and no half of it
    n_done = len(list(kept.glob("*.npz")))
    assert 1 <= n_done < 10
    if sent == signal.SIGINT:
        assert "Interrupted; finished parts are kept" in said

    again = run(*command)
    assert_scored(again)
    assert f"{n_done} finished parts of an earlier run were used" in again.stderr
    assert names(tmp_path) == {p.name for p in big.whole.glob(f"{name}*") if p.name in (name, f"{name}.tbi")}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (big.whole / path.name).read_bytes()


MIXED = (*SOUND, *REASONS)


@contextlib.contextmanager
def interrupted(target: object, name: str, n: int) -> Iterator[None]:
    """The n-th call of target.name is Ctrl-C."""
    real, calls = getattr(target, name), iter(range(1, 10_000))

    def call(*arguments: object, **options: object) -> object:
        if next(calls) == n:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, name, call)
        yield


@pytest.mark.parametrize("suffix", SINKS)
def test_interrupted_at_every_stage(world: World, make_vcf: Callable[..., Path], suffix: str) -> None:
    vcf, name = make_vcf(*MIXED), f"out{suffix}"
    writer = getattr(SINKS[suffix], "writer", ParquetWriter)
    assert_scored(score(world, vcf, out=f"whole{suffix}"))
    whole = {path.name[5:]: path.read_bytes() for path in world.out.iterdir()}
    stages = [
        (plan, "score_records", 3, 2),
        (parts.PartFolder, "put", 2, 3),
        (SINKS[suffix], "_open", 1, 7),
        (writer, "write_all", 3, 7),
        (ParquetRows if writer is ParquetWriter else writer, "flush", 1, 7),
    ]
    for target, function, n, n_parts in stages:
        with interrupted(target, function, n):
            result = score(world, vcf, *PARTS_OF_TEN, out=name)
        assert (result.exit_code, "Interrupted" in result.stderr) == (130, True)
        assert len(list((world.out / f".{name}.parts").glob("*.npz"))) == n_parts
        assert name not in names(world.out)
    again = score(world, vcf, *PARTS_OF_TEN, out=name)
    assert_scored(again)
    assert "7 finished parts of an earlier run" in again.stderr
    assert {path.name[3:]: path.read_bytes() for path in world.out.glob("out*")} == whole
    assert not list(world.out.glob(".*"))


def test_another_command_does_not_go_on(world: World, make_vcf: Callable[..., Path], make_fasta: Callable[..., Path]) -> None:
    vcf = make_vcf(*MIXED)
    with interrupted(plan, "score_records", 3):
        score(world, vcf, *PARTS_OF_TEN)
    parts = world.out / ".out.vcf.parts"
    before = {path.name: path.read_bytes() for path in parts.iterdir()}
    other_vcf = make_vcf(*MIXED[:-1], name="other.vcf")
    other_fasta = world._replace(fasta=make_fasta("other.fa", chr1=CHR1, chr2=CHR2))
    other_model = world._replace(model=world.folder / "model")
    model = registry.load(world.model)
    model.decoder.bias.data += 0.1 * model.decoder.bias.data.new_ones(69).cumsum(0)
    registry.save(model, other_model.model)
    for where, changed_vcf, options, named in [
        (world, vcf, ("-s", "ENTROPY"), "scores"),
        (world, vcf, ("--strand", "forward", "--context", 30), "context, strands"),
        (world, vcf, ("-r", "chr1"), "region"),
        (world, vcf, ("--batch-size", 3), "batch size"),
        (world, other_vcf, (), "VCF"),
        (other_fasta, vcf, (), "FASTA, reference"),
        (other_model, vcf, (), "model"),
        (world, vcf, ("--part-size", 9), "part size"),
    ]:
        result = score(where, changed_vcf, *PARTS_OF_TEN, *options)
        assert_refused(
            result, parts, f"unfinished work of a run that differs in {named};", "repeat that run to finish it, or remove"
        )
        assert {path.name: path.read_bytes() for path in parts.iterdir()} == before
        assert names(world.out) == {parts.name}
    assert_scored(score(world, vcf, *PARTS_OF_TEN))
    assert names(world.out) == {"out.vcf"}


def test_a_torn_part_is_done_again(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf(*MIXED)
    assert_scored(score(world, vcf, out="whole.vcf"))
    with interrupted(plan, "score_records", 5):
        score(world, vcf, *PARTS_OF_TEN)
    part = world.out / ".out.vcf.parts" / "00000001.npz"
    part.write_bytes(part.read_bytes()[:100])
    again = score(world, vcf, *PARTS_OF_TEN)
    assert_scored(again)
    assert "3 finished parts of an earlier run" in again.stderr
    assert (world.out / "out.vcf").read_bytes() == (world.out / "whole.vcf").read_bytes()


@pytest.mark.parametrize("suffix", SINKS)
@pytest.mark.parametrize(("room", "n_parts"), [(400, 0), (1_500, 20)])
def test_out_of_disk(
    world: World, make_vcf: Callable[..., Path], capfd: pytest.CaptureFixture[str], suffix: str, room: int, n_parts: int
) -> None:
    """Too little for a part, or for the output only."""
    random_ids = random.Random(2)
    rows = [row.replace(" . ", f" {random_ids.random()} ", 1) for row in SOUND * 5]
    vcf, name = make_vcf(*rows), f"out{suffix}"
    assert_scored(score(world, vcf, out=f"whole{suffix}"))
    capfd.readouterr()
    with no_file_larger_than(room):
        result = score(world, vcf, "-q", *PARTS_OF_TEN, out=name)
    assert_refused(result, "disk", "run the same command again")
    assert result.stderr.count("\n") == 1
    assert capfd.readouterr().err == ""  # htslib keeps quiet
    assert [path for path in names(world.out) if "out" in path] == [f".{name}.parts"]
    assert len(list((world.out / f".{name}.parts").glob("*.npz"))) == n_parts
    assert_scored(score(world, vcf, *PARTS_OF_TEN, out=name))
    whole = {path.name[5:]: path.read_bytes() for path in world.out.glob("whole*")}
    assert {path.name[3:]: path.read_bytes() for path in world.out.glob("out*")} == whole
    assert not list(world.out.glob(".*"))


def test_disk_full(world: World, make_vcf: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert_refused(score(world, make_vcf(*SOUND)), "the disk is full; make room and run the same command again")
    assert names(world.out) == set()  # nothing was finished that could be kept


def test_a_full_device_as_standard_output(world: World, make_vcf: Callable[..., Path]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    command = [PROGRAM, "score", "-q", make_vcf(*SOUND), "-f", world.fasta, "-m", world.model]
    with full.open("wb") as device:
        done = subprocess.run(command, stdout=device, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: the disk is full")
    assert done.stderr.count("\n") == 1


# Pipes


def test_a_closed_pipe(world: World, big: Big) -> None:
    """As with `| head -1`: no traceback, nothing left behind, and not status 0."""
    command = [PROGRAM, "score", "-q", big.vcf, "-f", big.world.fasta, "-m", world.model]
    environment = os.environ | {"TMPDIR": str(world.out), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert first == b"##fileformat=VCFv4.2\n"
    assert process.wait() == 1
    assert said == b""
    assert names(world.out) == set()


def test_standard_input_and_output(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf(*MIXED)
    assert_scored(score(world, vcf))
    piped = run("score", "-", "-f", world.fasta, "-m", world.model, stdin=vcf.read_bytes())
    assert_scored(piped)
    assert piped.stdout_bytes == (world.out / "out.vcf").read_bytes()
    quiet = run("score", "-", "-f", world.fasta, "-m", world.model, "-q", stdin=vcf.read_bytes())
    assert (quiet.stdout_bytes, quiet.stderr) == (piped.stdout_bytes, "")


def test_standard_input_is_called_so(world: World) -> None:
    assert_refused(score(world, "-", stdin=b""), "standard input is empty")
    rows = f"##fileformat=VCFv4.2\n{COLUMNS}\nchr7\t1\t.\tA\tT\t.\t.\t.\n".encode()
    assert_refused(score(world, "-", stdin=rows), "contigs of standard input (chr7)")
    assert_refused(run("score", "-", "-f", world.fasta, "--preflight", stdin=rows), "contigs of standard input (chr7)")


def test_bcf(world: World, make_vcf: Callable[..., Path]) -> None:
    header = (
        "##contig=<ID=chr1,length=150>",
        '##INFO=<ID=DP,Number=1,Type=Integer,Description="x">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="x">',
    )
    vcf = make_vcf(*(f"{row} . . DP=7 GT 0/1" for row in SOUND), header=header, columns=f"{COLUMNS}\tFORMAT\tann")
    bcf = world.folder / "in.bcf"
    with pysam.VariantFile(str(vcf)) as source, pysam.VariantFile(str(bcf), "wb", header=source.header) as copy:
        for record in source:
            copy.write(record)
    assert_scored(score(world, bcf))
    assert_scored(score(world, "-", out="stdin.vcf", stdin=bcf.read_bytes()))
    assert (world.out / "stdin.vcf").read_bytes() == (world.out / "out.vcf").read_bytes()
    assert split((world.out / "out.vcf").read_bytes())[1][0][7].startswith(b"DP=7;GF_LLR=")
    assert_nothing_lost(
        vcf.read_bytes(),
        (world.out / "out.vcf").read_bytes().replace(b'##FILTER=<ID=PASS,Description="All filters passed">\n', b""),
    )
    bcf.write_bytes(bcf.read_bytes()[:-40])
    assert_refused(score(world, bcf, out="cut.vcf"), bcf, "truncated or damaged")


# Odd but sound


@pytest.mark.parametrize("suffix", SINKS)
def test_no_records(world: World, make_vcf: Callable[..., Path], suffix: str) -> None:
    result = score(world, make_vcf(), out=f"out{suffix}")
    assert_scored(result)
    assert "scored 0 alleles of 0 records" in result.stderr
    bgzipped = {f"out{suffix}.tbi"} if suffix in (".vcf.gz", ".vcf.bgz") else set()
    assert names(world.out) == {f"out{suffix}"} | bgzipped


def test_scoring_a_scored_file_replaces_ours(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf(*MIXED)
    assert_scored(score(world, vcf, out="once.vcf"))
    assert_scored(score(world, world.out / "once.vcf", out="twice.vcf"))
    assert (world.out / "twice.vcf").read_bytes() == (world.out / "once.vcf").read_bytes()
    stale = world.folder / "stale.vcf"
    text = (world.out / "once.vcf").read_text()
    stale.write_text(text.replace("GF_LLR=", "GF_LLR=99,").replace("GF_STATUS=", "GF_STATUS=OLD_"))
    assert_scored(score(world, stale, out="thrice.vcf"))
    assert (world.out / "thrice.vcf").read_bytes() == (world.out / "once.vcf").read_bytes()


@pytest.mark.parametrize("more", [[], ["-r", "chr1:1-10"]])
def test_the_input_is_never_replaced(world: World, make_vcf: Callable[..., Path], more: list[str]) -> None:
    """With a region the records outside would be gone."""
    vcf = make_vcf(*MIXED)
    before = vcf.read_bytes()
    done = run("score", vcf, "-f", world.fasta, "-m", world.model, "-o", vcf, *more)
    assert_refused(done, str(vcf), "is the input, which the output would replace")
    assert vcf.read_bytes() == before


def test_unsorted(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf(*SOUND[::-1])
    assert_scored(score(world, make_vcf(*SOUND, name="sorted.vcf"), out="out.vcf.gz"))
    assert "out.vcf.gz.tbi" in names(world.out)
    result = score(world, vcf, out="out.vcf.gz")
    assert_scored(result)
    assert "out.vcf.gz has no index, because the input is not sorted (bcftools sort)." in result.stderr
    assert names(world.out) == {"out.vcf.gz"}  # nor the old one, which would not fit
    assert_nothing_lost(vcf.read_bytes(), (world.out / "out.vcf.gz").read_bytes())


def test_without_a_column_line(world: World) -> None:
    body = b"##fileformat=VCFv4.2\n" + "".join("\t".join(row.split()) + "\n" for row in SOUND).encode()
    result = score(world, "-", stdin=body)
    assert_scored(result)
    assert "no #CHROM line" in result.stderr
    records = split((world.out / "out.vcf").read_bytes())[1]
    assert [without_ours(r)[:5] for r in records] == [row.encode().split() for row in SOUND]
    no_header = body.partition(b"\n")[2]
    assert_refused(score(world, "-", out="none.vcf", stdin=no_header), "has no #CHROM line, so it is not VCF")


def test_line_ends_and_odd_bytes(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf(*MIXED)
    assert_scored(score(world, vcf))
    windows = world.folder / "windows.vcf"
    windows.write_bytes(vcf.read_bytes().replace(b"\n", b"\r\n"))
    assert_scored(score(world, windows, out="windows.vcf"))
    assert (world.out / "windows.vcf").read_bytes() == (world.out / "out.vcf").read_bytes()
    latin = world.folder / "latin.vcf"
    odd = b"chr1\t3\tr\xe9\xff\tG\tA\t1e400\t;;\t;A==\xe9;GF_;;B\tGT:\x01\t\xff|0\n"
    latin.write_bytes(f"##fileformat=VCFv4.2\n{COLUMNS}\tFORMAT\tbj".encode() + b"\xf6rn\n" + odd)
    for suffix in SINKS:
        assert_scored(score(world, latin, out=f"latin{suffix}"))
    for name in ("latin.vcf", "latin.vcf.gz"):
        content = unpacked((world.out / name).read_bytes())
        assert content.splitlines()[-1].split(b";GF_LLR")[0] == odd.split(b"\tGT:")[0]
        assert content.endswith(b"\tGT:\x01\t\xff|0\n")
        assert b"\tbj\xf6rn\n" in content


# Output


def test_outputs_that_cannot_be(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf(*SOUND)
    before = names(world.folder)
    assert_refused(score(world, vcf, out="no/where.vcf"), world.out / "no", "does not exist; create it")
    assert_refused(score(world, vcf, out="out.bcf"), world.out / "out.bcf", "names no known format", ".vcf.gz, .vcf.bgz")
    assert names(world.out) == set()
    assert names(world.folder) - before <= {"genome.fa.fai"}


# Models

LOADED = "the payload ran"


class Payload:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (LOADED,)


def broken(folder: Path, name: str, content: bytes | None) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("config.json", None, "cannot be read"),
        ("config.json", b'{"genoformer": "0', "cannot be read"),
        ("config.json", b"[]", "is not a JSON object"),
        ("config.json", b"{}", "names no model; genoformer does not read it"),
        ("config.json", b'{"genoformer": "1", "model": "os:system", "config": {}}', "of no family that is installed"),
        (
            "config.json",
            b'{"genoformer": "1", "model": "genoformer.models.transformer.model:No", "config": {}}',
            "of no family that is installed",
        ),
        (
            "config.json",
            b'{"genoformer": "1", "model": "genoformer.models.transformer.model:Encoder", "config": {"wide": 8}}',
            "unknown fields wide",
        ),
        (
            "config.json",
            b'{"genoformer": "1", "model": "genoformer.models.transformer.model:Encoder", '
            b'"config": {"n_vocab": 69, "n_heads": 2, "width": 18}}',
            "of another shape",
        ),
        ("model.safetensors", None, "cannot be read"),
        ("model.safetensors", b"", "cannot be read"),
        ("model.safetensors", b"\x80\x04not safetensors", "cannot be read"),
        ("model.safetensors", pickle.dumps(Payload()), "cannot be read"),
        ("tokenizer.json", None, "not a tokenizer file"),
        ("tokenizer.json", b'{"tokenizer": "words"}', "'words' is unknown; known are "),
    ],
)
def test_a_damaged_model_folder(
    world: World, make_vcf: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, found: str
) -> None:
    monkeypatch.chdir(world.out)
    model = world.folder / "model"
    shutil.copytree(world.model, model)
    broken(model, name, content)
    assert_refused(score(world._replace(model=model), make_vcf(*SOUND)), model, found)
    assert_refused(run("models", "info", model), model, found)
    assert names(world.out) == set()


def test_a_damaged_manifest_is_not_needed_to_score(world: World, make_vcf: Callable[..., Path]) -> None:
    model = world.folder / "model"
    shutil.copytree(world.model, model)
    (model / "manifest.json").write_text("{")
    assert_refused(run("models", "info", model), model / "manifest.json", "as JSON")
    assert_scored(score(world._replace(model=model), make_vcf(*SOUND)))


def test_a_pickle_is_not_run(world: World, make_vcf: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """pytorch_model.bin of a BERT folder may hold tensors only."""
    monkeypatch.chdir(world.out)
    model = world.folder / "bert"
    registry.save(registry.load(world.model), model, layout="dnabert")
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps({"bert.embeddings": Payload()}))
    vcf = make_vcf(*SOUND)
    assert_refused(score(world._replace(model=model), vcf), model, "something else than plain tensors; it was not loaded")
    assert not Path(LOADED).exists()
    (model / "pytorch_model.bin").unlink()
    assert_refused(score(world._replace(model=model), vcf), model, "neither model.safetensors nor pytorch_model.bin")
    assert names(world.out) == set()


# Options and help


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("-s", "LLR,SIFT"), ("unknown score SIFT; the closest to SIFT are ", "describes all ")),
        (("-s", ","), ("no score is named", "LLR,PLL (language models), SAD,SAR501 (tracks) or LOGIT,DIFF (classes)")),
        (("--context", 3), ("a window of 3 bases", "at least 15")),
        (("--context", 5_000), ("a window of 5000 bases", "at most 64")),
        (("-r", "chr1:9-5"), ("region 'chr1:9-5'", "from 9 to 5")),
        (("-r", "a b"), ("region 'a b' is not understood", "write it like chr20")),
    ],
)
def test_options_that_cannot_be(
    world: World, make_vcf: Callable[..., Path], options: tuple[object, ...], parts: tuple[str, ...]
) -> None:
    assert_refused(score(world, make_vcf(*SOUND), *options), *parts)
    assert names(world.out) == set()


def test_usage_errors_have_status_2(world: World) -> None:
    for arguments in (("score",), ("score", "a.vcf"), ("nonsense",), ("score", "a.vcf", "-f", "x", "--batch-size", "0")):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "Usage: genoformer" in result.stderr


def test_debug_shows_where(world: World) -> None:
    result = run("--debug", "score", world.folder / "nowhere", "-f", world.fasta, "-m", world.model)
    assert isinstance(result.exception, GenoformerError)


def test_explain_lists_every_score_and_status() -> None:
    result = run("score", "--explain")
    assert result.exit_code == 0
    for name, one in SCORES.items():
        assert f"{name}  (INFO GF_{name}; " in result.output
        assert one.meaning.split(";")[0][:40] in result.output
        assert not re.search(r"`|ignored|despite|hidden", f"{one.meaning} {one.function.__doc__}")  # formulas, not code
    shown = {line.split()[0] for line in result.output.partition("GF_STATUS")[2].splitlines()[1:] if line}
    assert shown == {status.value for status in Status} - {Status.OK.value}


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


COMMANDS = list(commands(main))


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(path) for path, _ in COMMANDS])
def test_help(path: tuple[str, ...], command: click.Command) -> None:
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert result.output == run(*path, "-h").output
    usage, _, text = result.output.partition("\n")
    assert usage.startswith(f"Usage: genoformer {' '.join(path)}")
    if not isinstance(command, click.Group):
        assert f"genoformer {' '.join(path)}" in text  # an example


def test_version() -> None:
    result = run("--version")
    assert result.exit_code == 0
    first, python, *others = result.output.splitlines()
    assert first == "genoformer 0.1.0"
    assert python.split()[1] == platform.python_version()
    assert dict(line.split(" ", 1) for line in others)["numpy"] == version("numpy")


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from genoformer_cli.main import main\n"
        f"main({arguments!r}, prog_name='genoformer', standalone_mode=False)\n"
        "print('loaded:', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("loaded: ")[2].split())
    assert "click" in loaded
    heavy = {"torch", "numpy", "pandas", "pysam", "pyarrow", "sklearn", "matplotlib", "lightning", "scipy", "rich"}
    assert loaded & heavy == set()


# Preflight


def test_preflight(world: World, make_vcf: Callable[..., Path]) -> None:
    vcf = make_vcf(*MIXED)
    table = run("score", vcf, "-f", world.fasta, "--preflight")
    assert table.exit_code == 0
    assert ["records", "64"] in [line.split() for line in table.stdout.splitlines()]
    for options, n_too_long in (((), 0), (("-m", world.model, "--context", 22), 2)):
        as_json = run("score", vcf, "-f", world.fasta, "--preflight", "--json", *options)
        found = json.loads(as_json.stdout)
        assert (found["n_records"], found["n_scorable"], found["problem"]) == (64, 42 - n_too_long, None)
        assert found["statuses"].get("TOO_LONG", 0) == n_too_long
    wrong = make_vcf(*SHIFTED)
    for options in ((), ("--json",)):
        assert_refused(run("score", wrong, "-f", world.fasta, "--preflight", *options), wrong, "% of 40")
        assert run("score", wrong, "-f", world.fasta, "--preflight", "--force", *options).exit_code == 0
    assert names(world.out) == set()


# Anything


text_column = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), min_size=1, max_size=8)
allele = st.one_of(
    st.text("ACGT", min_size=1, max_size=4),
    st.text("ACGTacgtNRYn", min_size=1, max_size=30),
    st.sampled_from(["*", ".", "<DEL>", "<*>", "N[chr2:5[", "]chr1:2]A", "A.", ".A", "A,", "", "<", "-", "0"]),
)
contig_name = st.sampled_from(["chr1", "1", "chr2", "NC_000001.10", "chrM", "MT", "scaffold_3", "HLA-A*01:01"])
info = st.one_of(
    st.sampled_from([".", "", "A=1", "GF_LLR=3", "GF_STATUS=STAR;B", ";;", "GF_LLR=1;GF_PLL=2", "END=5"]), text_column
)


@st.composite
def fastas(draw: st.DrawFn) -> tuple[dict[str, str], bytes]:
    contigs = draw(st.dictionaries(contig_name, st.text("ACGTacgtNnRYKM", min_size=1, max_size=70), min_size=1, max_size=3))
    newline, lines = draw(st.sampled_from(["\n", "\r\n"])), []
    for name, bases in contigs.items():
        width = draw(st.integers(1, 80))
        lines += [f">{name} and more", *(bases[i : i + width] for i in range(0, len(bases), width))]
    return contigs, newline.join(lines).encode() + draw(st.sampled_from([b"", newline.encode()]))


@st.composite
def records(draw: st.DrawFn, contigs: dict[str, str]) -> str:
    name = draw(st.sampled_from(sorted(contigs)) | contig_name)
    bases = contigs.get(name, "ACGT")
    start = draw(st.integers(0, len(bases) - 1) | st.sampled_from([-1, len(bases), 10**9]))
    stop = start + draw(st.integers(1, 30))
    ref = draw(st.sampled_from([bases[max(start, 0) : stop] or "A", "A", "N", "acgt"]))
    alts = ",".join(draw(st.lists(allele, min_size=1, max_size=3))) or "."
    fixed = [name, str(start + 1), draw(text_column), ref, alts, draw(text_column), draw(text_column), draw(info)]
    return "\t".join([*fixed, *draw(st.lists(text_column, max_size=2))])


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_records_come_out_again(tiny_model_folder: Path, data: st.DataObject) -> None:
    """Random FASTA and VCF: a sentence of ours, or every record in order with every field it had."""
    contigs, fasta = data.draw(fastas())
    rows = data.draw(st.lists(records(contigs), max_size=12))
    newline = data.draw(st.sampled_from(["\n", "\r\n"]))
    text = newline.join(["##fileformat=VCFv4.2", f"{COLUMNS}\tFORMAT\tann", *rows, ""]).encode()
    chosen = data.draw(st.sampled_from(["LLR,PLL", "ENTROPY", "COSINE,L2,LLR", ",".join(SCORES)]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.vcf").write_bytes(text)
        (folder / "in.fa").write_bytes(fasta)
        suffix = data.draw(st.sampled_from(list(SINKS)))
        out = folder / f"out{suffix}"
        refusal = ""
        try:
            summary = run_score(
                folder / "in.vcf",
                Genome(folder / "in.fa"),
                registry.load(tiny_model_folder),
                out,
                scores=chosen,
                force=True,
                part_size=5,
                strand="both" if data.draw(st.booleans()) else "forward",
            )
        except GenoformerError as error:
            refusal = str(error)
        indexes = {"in.fa.fai", f"{out.name}.tbi", f"{out.name}.csi"}
        if refusal:
            assert "\n" not in refusal
            assert names(folder) - indexes - {f".{out.name}.parts"} == {"in.vcf", "in.fa"}
            return
        assert summary.records == len(rows)
        assert names(folder) - indexes == {"in.vcf", "in.fa", out.name}
        if ".vcf" in suffix:
            assert_nothing_lost(text, out.read_bytes())
