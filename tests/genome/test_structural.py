"""Structural variants spelled in bases: by a naive edit of the contig, and the reasons where the sequence is not known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genoformer.formats.vcf import Record
from genoformer.genome.fit import check_fit
from genoformer.genome.preflight import preflight
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status

SEQUENCE = "".join(np.random.default_rng(3).choice(list("ACGT"), 400)) + "NNNN" + "ACGT" * 10
COMPLEMENT = str.maketrans("ACGT", "TGCA")


@pytest.fixture
def genome(tmp_path: Path) -> Genome:
    (tmp_path / "g.fa").write_text(f">chr1\n{SEQUENCE}\n")
    return Genome(tmp_path / "g.fa")


def record(pos: int, alt: str, info: str, ref: str | None = None) -> Record:
    ref = ref or SEQUENCE[pos - 1]
    return Record(f"1\t{pos}\t.\t{ref}\t{alt}\t.\t.\t{info}", "1", pos, ".", ref, tuple(alt.split(",")))


def read(genome: Genome, one: Record, longest: int = 1000) -> tuple[Record, tuple[Status, ...]]:
    checked = check_fit([one], genome, {"1": "chr1"}, longest)
    return checked.records[0], checked.statuses[0]


def edited(pos: int, end: int, event: str) -> str:
    """The contig with bases pos + 1 to end (1-based) replaced."""
    return SEQUENCE[:pos] + event + SEQUENCE[end:]


@pytest.mark.parametrize(
    ("alt", "info", "event"),
    [
        ("<DEL>", "SVTYPE=DEL;END=60", ""),
        ("<DEL>", "SVLEN=-10", ""),
        ("<DEL:ME:ALU>", "END=60;SVLEN=-10", ""),
        ("<DUP>", "END=60", SEQUENCE[50:60] * 2),
        ("<DUP:TANDEM>", "SVLEN=10", SEQUENCE[50:60] * 2),
        ("<INV>", "END=60;SVLEN=0", SEQUENCE[50:60].translate(COMPLEMENT)[::-1]),
        ("<INS>", "SEQ=ttgca", "TTGCA" + SEQUENCE[50:60]),
        ("<INS>", "SVINSSEQ=TTGCA;SVLEN=5;END=50", "TTGCA" + SEQUENCE[50:60]),
        ("<DEL>", "END=60;CIPOS=0,0;CIEND=0,0", ""),
        ("<DEL>", "END=60;CIPOS=0,3;CIEND=0,3;HOMLEN=3;HOMSEQ=ACG", ""),
    ],
)
@pytest.mark.parametrize("ref", [None, "N"])
def test_spelled_alleles_edit_the_contig_as_a_naive_reader_does(genome, alt: str, info: str, event: str, ref) -> None:
    written = record(50, alt, info, ref)
    meant, (status,) = read(genome, written)
    assert status is Status.OK
    assert meant.line == written.line
    start = meant.pos - 1
    assert SEQUENCE[start : start + len(meant.ref)] == meant.ref
    assert SEQUENCE[:start] + meant.alts[0] + SEQUENCE[start + len(meant.ref) :] == edited(50, 60, event)


@pytest.mark.parametrize(
    ("alt", "info", "reason"),
    [
        ("<DEL>", "END=60;IMPRECISE", Status.IMPRECISE),
        ("<DEL>", "END=60;CIPOS=-5,5", Status.IMPRECISE),
        ("<INV>", "END=60;CIEND=0,1", Status.IMPRECISE),
        ("<DEL>", "END=60;CIPOS=0,4;HOMLEN=3", Status.IMPRECISE),
        ("<DEL>", "END=60;SVLEN=-11", Status.IMPRECISE),
        ("<DEL>", "END=50", Status.IMPRECISE),
        ("<INS>", "SEQ=TTGCA;SVLEN=7", Status.IMPRECISE),
        ("<DEL>", "SVTYPE=DEL", Status.SYMBOLIC),
        ("<INS>", "SVLEN=100", Status.SYMBOLIC),
        ("<INS>", "LEFT_SVINSSEQ=ACGT;RIGHT_SVINSSEQ=ACGT", Status.SYMBOLIC),
        ("<INS>", "SEQ=ACNGT", Status.NOT_ACGT),
        ("<DUP:DISPERSED>", "END=60", Status.SYMBOLIC),
        ("<CNV>", "END=60", Status.SYMBOLIC),
        ("<*>", "END=60", Status.SYMBOLIC),
        ("<DEL>", "END=60;CHR2=chr7", Status.SYMBOLIC),
        ("<DEL>", "END=9999", Status.OUTSIDE),
        ("<DEL>", "END=401", Status.N_IN_REF),
        ("<DEL>", "END=150", Status.TOO_LONG),
        ("<DUP>", "END=150", Status.TOO_LONG),  # ALT has 101 bases
        ("<DUP>", "END=402", Status.N_IN_REF),
    ],
)
def test_reasons(genome: Genome, tmp_path: Path, alt: str, info: str, reason: Status) -> None:
    longest = 400 if reason is Status.N_IN_REF else 100  # bases of REF or ALT
    one = record(50, alt, info)
    assert read(genome, one, longest)[1] == (reason,)
    vcf = tmp_path / "a.vcf"
    plain = "".join(f"1\t{pos}\t.\t{SEQUENCE[pos - 1]}\tAC\t.\t.\t.\n" for pos in range(101, 141))
    vcf.write_text(f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{one.line}\n" + plain)
    assert preflight(vcf, genome, max_length=longest).statuses[reason] == 1  # the preflight counts the same


def test_several_symbols_of_one_record(genome: Genome) -> None:
    meant, statuses = read(genome, record(50, "<DEL>,<DUP>,<CNV>", "SVLEN=-10,20,30"))
    assert statuses == (Status.OK, Status.OK, Status.SYMBOLIC)
    end = 49 + len(meant.ref)
    assert SEQUENCE[:49] + meant.alts[0] + SEQUENCE[end:] == edited(50, 60, "")
    assert SEQUENCE[:49] + meant.alts[1] + SEQUENCE[end:] == edited(50, 70, SEQUENCE[50:70] * 2)
    assert read(genome, record(50, "T,<DEL>", "END=60"))[1][1] is Status.SYMBOLIC  # beside bases a symbol is not spelled


def test_a_wrong_base_before_the_event_keeps_the_symbol(genome: Genome) -> None:
    wrong = "ACGT"[("ACGT".index(SEQUENCE[49]) + 1) % 4]
    assert read(genome, record(50, "<DEL>", "END=60", wrong))[1] == (Status.SYMBOLIC,)
