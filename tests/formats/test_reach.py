"""Where records of every kind lie, by hand, by htslib, and through both readers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.formats.reach import Doubts, reach, symbol_identity
from genoformer.formats.vcf import Record, open_vcf
from genoformer.formats.vcf_blocks import iter_blocks

HEAD = "##fileformat=VCFv4.5\n##contig=<ID=1,length=1000>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\n"


def record_of(ref: str, alt: str, info: str, form: str = "GT", *samples: str) -> Record:
    line = "\t".join(["1", "10", ".", ref, alt, ".", ".", info, form, *(samples or ("0|1", "0|1"))])
    return Record(line, "1", 10, ".", ref, tuple(alt.split(",")) if alt != "." else ())


def block_interval(path: Path, record: Record) -> tuple[tuple[int, int], list[str]]:
    """The interval by the reader of blocks, and the notes."""
    path.write_text(f"{HEAD}{record.line}\n")
    with open_vcf(path, name="a.vcf") as file:
        (block,) = iter_blocks(file)
        return (int(block.starts[0]), int(block.ends[0])), file.notes


@pytest.mark.parametrize(
    ("ref", "alt", "info", "end"),
    [
        # spelled alleles: REF
        ("A", "C", ".", 10),
        ("ACG", "A", ".", 12),  # a deletion of two bases
        ("A", "ACG", ".", 10),  # an insertion: the base before it
        ("A", "C", "END=12", 10),
        ("A", "C", "SVLEN=-12;END=22", 10),
        ("A", "*", "END=12", 10),
        # SVLEN of each allele
        ("A", "<DEL>", "SVLEN=-20", 30),  # negative until VCF 4.3
        ("A", "<DEL>", "SVLEN=20", 30),
        ("A", "<DEL>", "SVLEN=+20", 30),
        ("A", "<del>", "SVLEN=20", 30),
        ("A", "<DUP>", "SVLEN=20", 30),
        ("A", "<DUP:TANDEM>", "SVLEN=20", 30),
        ("A", "<INV>", "SVLEN=20", 30),
        ("A", "<CNV>", "SVLEN=20", 30),
        ("A", "<CNV:TR>", "SVLEN=20", 30),
        ("A", "<DEL:ME:ALU>", "SVLEN=20", 30),
        ("A", "<CN0>", "SVLEN=20", 30),
        ("A", "<CN0>,<CN2>,<CN10>", "SVLEN=20", 30),  # one value is of all
        ("A", "<CN*>", "SVLEN=20", 30),
        ("A", "<DEL>,<DEL>", "SVLEN=-20,-500", 510),
        ("A", "<DEL>,<DEL>", "SVLEN=-500,-20", 510),
        ("A", "<INS>,<DEL>", "SVLEN=300,-20", 30),  # of an insertion no base of the reference
        ("A", "<DEL>,<INS>", "SVLEN=-20,300", 30),
        ("A", "C,<DEL>", "SVLEN=.,-20", 30),
        ("A", "C,<DEL>", "SVLEN=-20", 30),
        ("A", "<DEL>,<DUP>,C", "SVLEN=-20,70", 80),  # a value short: the largest
        ("ACGT", "<DUP>", "SVLEN=1", 13),  # not before the end of REF
        # END where there is no SVLEN
        ("A", "<DEL>", "SVTYPE=DEL;END=30", 30),
        ("A", "<DEL>", "X;END=30;Y", 30),
        ("A", "<DEL>", "SVLEN=.;END=30", 30),
        ("A", "<INV>", "SVLEN=0;END=30", 30),  # the difference in length
        ("A", "<INV>", "SVLEN=-0;END=30", 30),
        ("A", "<DEL>,<DEL>", "SVLEN=-20,.;END=50", 50),
        ("A", "<CN2>", "CHR2=1;END=30", 30),
        ("A", "<CN2>", "CHR2=chr1;END=30", 30),  # the same contig by another name
        ("A", "<CPX>", "SVLEN=90;END=30", 30),
        ("A", "<X>", "BEND=99", 10),
        ("ACGT", "<DUP>", "CIEND=5;END=11", 13),
        ("A", "<DEL>", "SVLEN=-20;CIPOS=-9,9;CIEND=-9,9", 30),
        # END that is of something else
        ("A", "<DEL>", "CHR2=2;END=30", 10),
        ("A", "<DEL>", "CHR2=2;SVLEN=20;END=900", 30),
        ("A", "<TRA>", "CHR2=2;END=900", 10),
        ("A", "<TRA>", "CHR2=1;END=900", 10),  # two places of one contig, and nothing between them
        ("A", "<BND>", "END=900", 10),
        ("A", "<CTX>", "END=900", 10),
        ("A", "<OTHER>", "SVTYPE=BND;END=900", 10),
        ("A", "A]1:900]", "SVTYPE=BND;END=900", 10),
        ("A", "A[<ctg>:900[", "SVTYPE=BND;END=900", 10),
        ("A", ".A", "SVTYPE=BND;END=900", 10),
        ("A", ".", "SVTYPE=BND;CHR2=2;END=900", 10),
        ("A", "<INS>", "SVLEN=20", 10),
        ("A", "<INS:ME:L1>", "SVLEN=20;END=30", 10),
        ("A", "<DEL>", "END=10", 10),
        ("A", "<DEL>", "SVLEN=-20;END=10", 30),
        # blocks
        ("A", ".", "END=12", 12),
        ("A", "<*>", "END=12", 12),
        ("A", "<NON_REF>", "END=12", 12),
        ("A", "C,<*>", "END=15", 15),
        ("A", "<DEL>,<*>", "SVLEN=20,.;END=50", 50),
        ("A", ".", ".", 10),
        ("A", "<*>", ".", 10),
    ],
)
def test_where_a_record_lies(tmp_path: Path, ref: str, alt: str, info: str, end: int) -> None:
    record = record_of(ref, alt, info)
    assert reach(record) == (9, end)
    assert block_interval(tmp_path / "a.vcf", record)[0] == (9, end)


@pytest.mark.parametrize(
    ("alt", "info", "form", "samples", "end"),
    [
        ("<*>", ".", "GT:LEN", ("0/0:14", "0/0:4"), 23),  # the longest of any sample
        ("<NON_REF>", ".", "LEN:GT", ("4:0/0", "14:0/0"), 23),
        (".", ".", "GT:LEN", ("0/0:14", "0/0:4"), 23),
        ("<*>", "END=23", "GT:LEN", ("0/0:14", "./.:."), 23),
        ("<*>", "END=23", "GT:LEN", ("0/0:.", "./."), 23),  # no LEN: END
        ("C,<*>", ".", "GT:LEN", ("0/1", "0/0:5"), 14),
        ("C", ".", "GT:LEN", ("0/1:500", "0/0:5"), 10),  # of a block only
        ("<DEL>", "SVLEN=3", "GT:LEN", ("0/1:500", "0/0:5"), 13),
        ("<DEL>,<*>", "SVLEN=3,.", "GT:LEN", ("0/1:.", "0/0:9"), 18),
        ("<*>", ".", "GT:XLEN", ("0/0:14", "0/0:4"), 10),
    ],
)
def test_blocks_of_vcf_4_5_have_a_length_in_every_sample(tmp_path, alt, info, form, samples, end) -> None:
    record = record_of("A", alt, info, form, *samples)
    assert reach(record) == (9, end)
    assert block_interval(tmp_path / "a.vcf", record)[0] == (9, end)


@pytest.mark.parametrize(
    ("alt", "info", "form", "end", "note"),
    [
        ("<DEL>", "END=5", "GT", 10, "an END before POS"),
        ("<DEL>", "END=x", "GT", 10, "an END that is not a whole number"),
        ("<DEL>", "END=1e3", "GT", 10, "an END that is not a whole number"),
        ("<DEL>", "END=-3", "GT", 10, "an END that is not a whole number"),
        ("<DEL>", f"END={'9' * 30}", "GT", 10, "an END that is not a whole number"),
        ("<DEL>", "END=٣٠", "GT", 10, "an END that is not a whole number"),
        ("<DEL>", "SVLEN=long;END=30", "GT", 30, "an SVLEN that is not a whole number"),
        ("<DEL>", "SVLEN=20.5", "GT", 10, "an SVLEN that is not a whole number"),
        ("<DEL>", "SVLEN=--20", "GT", 10, "an SVLEN that is not a whole number"),
        ("<DEL>,<DUP>,C", "SVLEN=20,40", "GT", 50, "another number of values in SVLEN"),
        ("<DEL>", "SVLEN=-20;END=700", "GT", 30, "an END that is not where SVLEN ends"),
        ("<DEL>", "SVLEN=-700;END=30", "GT", 710, "an END that is not where SVLEN ends"),
        ("<*>", "END=30", "GT:LEN", 14, "an END that is not where LEN ends"),
        ("<*>", ".", "LEN:GT", 10, "a LEN that is not a whole number"),
        ("<DEL>", "SVLEN=5000", "GT", 1000, "an end beyond that of the contig, which is cut there"),
    ],
)
def test_what_is_odd_is_counted(tmp_path, alt, info, form, end, note) -> None:
    record = record_of("A", alt, info, form, "0/1:5", "0/1")
    doubts = Doubts()
    assert reach(record, 1000, doubts) == (9, end)
    interval, notes = block_interval(tmp_path / "a.vcf", record)
    assert interval == (9, end)
    assert notes == list(doubts.notes("a.vcf"))
    assert len(notes) == 1
    assert notes[0].startswith(f"a.vcf: 1 record has {note}")
    assert notes[0].endswith("(the first is at 1:10).")


def test_records_that_agree_are_not_odd() -> None:
    doubts = Doubts()
    rows = [
        ("<DEL>", "SVLEN=-20;END=30"),
        ("<DEL>,<DEL>", "SVLEN=-5,-20;END=30"),
        ("<DEL>", "END=."),
        ("<INS>", "END=10"),
        ("<DEL>", "SVLEN=."),
        ("<DEL>,<*>", "SVLEN=5,.;END=90"),
        ("C", "END=3"),
        ("<TRA>", "CHR2=2;END=3"),
    ]
    for alt, info in rows:
        reach(record_of("A", alt, info), 1000, doubts)
    assert not list(doubts.notes("a.vcf"))


def test_a_ref_beyond_the_contig_is_not_cut() -> None:
    assert reach(record_of("ACGT", "<DEL>", "SVLEN=50"), 11) == (9, 13)
    assert reach(record_of("ACGT", "<DEL>", "SVLEN=50"), 9) == (9, 60)  # POS is beyond it too: a length of another assembly


HTSLIB = """##fileformat=VCFv4.5
##contig=<ID=1,length=1000>
##INFO=<ID=END,Number=1,Type=Integer,Description="end">
##INFO=<ID=SVLEN,Number=A,Type=Integer,Description="length">
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
##FORMAT=<ID=LEN,Number=1,Type=Integer,Description="length">
#CHROM	POS	ID	REF	ALT	QUAL	FILTER	INFO	FORMAT	a	b
"""


def test_it_is_htslibs_length_on_the_reference(tmp_path: Path) -> None:
    """Where the fields of a record agree; docs/record-reach.md says where the two differ."""
    import pysam

    if tuple(map(int, pysam.version.__htslib_version__.split(".")[:2])) < (1, 22):
        pytest.skip("htslib before 1.22 does not read SVLEN or LEN")
    rows = [
        ("ACG", "A", ".", "GT:LEN", "0/1", "0/1"),
        ("A", "<DEL>", "SVLEN=20", "GT", "0/1", "0/1"),
        ("A", "<DEL>", "END=30", "GT", "0/1", "0/1"),
        ("A", "<DEL>,<DUP>", "SVLEN=20,300", "GT", "0/1", "0/2"),
        ("A", "<INS>,<CNV:TR>", "SVLEN=300,20", "GT", "0/1", "0/2"),
        ("A", "<INS>", "SVLEN=300", "GT", "0/1", "0/1"),
        ("A", "<*>", "END=23", "GT", "0/0", "0/0"),
        ("A", "<*>", ".", "GT:LEN", "0/0:3", "0/0:14"),
        ("A", "<NON_REF>", "END=23", "GT:LEN", "0/0:14", "./.:."),
        ("A", "C,<*>", ".", "GT:LEN", "0/1:.", "0/0:14"),
        ("A", "<DEL>", "SVLEN=20;END=30", "GT", "0/1", "0/1"),
    ]
    lines = ["\t".join(["1", "10", ".", ref, alt, ".", ".", *rest]) for ref, alt, *rest in rows]
    (tmp_path / "a.vcf").write_text(HTSLIB + "\n".join(lines) + "\n")
    with pysam.VariantFile(str(tmp_path / "a.vcf")) as theirs, open_vcf(tmp_path / "a.vcf") as mine:
        assert [(record.start, record.stop) for record in theirs] == [reach(record) for record in mine]


VALUE = st.one_of(
    st.text(st.characters(blacklist_characters="\t\n\r", blacklist_categories=("Cs",)), max_size=8),
    st.integers(-(10**20), 10**20).map(str),
)


@given(
    alt=st.lists(st.sampled_from(["C", "<DEL>", "<CN2>", "<INS>", "<*>", "<TRA>", "<X>", "A]2:5]", "<", "", "<>"]), max_size=4),
    info=st.lists(st.builds("{}={}".format, st.sampled_from(["END", "SVLEN", "CHR2", "SVTYPE"]), VALUE), max_size=5),
    lengths=st.lists(VALUE, max_size=3),
    contig_length=st.integers(0, 50),
)
def test_no_text_is_too_odd(alt: list[str], info: list[str], lengths: list[str], contig_length: int) -> None:
    record = record_of("ACG", ",".join(alt) or ".", ";".join(info), "LEN", *lengths)
    start, end = reach(record, contig_length)
    assert start == 9
    assert end >= 12


@pytest.mark.parametrize(
    ("alt", "info", "identity"),
    [
        ("<DEL>", "END=30", "<DEL>30"),
        ("<del>", "SVLEN=-20", "<DEL>30"),
        ("<DEL>", "END=10", "<DEL>10"),
        ("<DEL>", "END=x", None),
        ("<DEL>", "END=5", None),
        ("<DEL>", ".", None),
        ("<CNV>", "SVLEN=7", "<CNV>17"),
        ("<CPX>", "END=40", "<CPX>40"),
        ("<CPX>", "SVLEN=5", None),  # SVLEN is of no known meaning there
        ("<DUP:TANDEM>", "END=30", "<DUP>30"),
        ("<DUP:DISPERSED>", "END=30", "<DUP:DISPERSED>30"),
        ("<INS>", "SVLEN=5;END=10", "<INS>5"),
        ("<INS>", "END=10", None),
        ("<BND>", "END=30", None),
        ("<NON_REF>", "END=30", None),
        ("<*>", "END=30", None),
        ("T]2:9]", "END=30", None),
        ("C", "END=30", None),
    ],
)
def test_identity_of_symbolic_alleles(alt: str, info: str, identity: str | None) -> None:
    assert symbol_identity(record_of("A", alt, info), 0) == identity
