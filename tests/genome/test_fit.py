"""Records read as they were meant: swapped, on the other strand, counted from 0; on a genome that can be read by eye."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from genoformer.formats.vcf import Record
from genoformer.genome.fit import FIX_WORDS, Fit, check_fit, exchanged_alt, scorable
from genoformer.genome.readings import Reading, readings
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status

#         1234567890123456
CONTIG = "ACGTTGCAAGGCTTAA"
ALL = Reading.SWAP | Reading.STRAND | Reading.AT_ONCE


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    path = tmp_path_factory.mktemp("fit") / "g.fa"
    path.write_text(f">chr1\n{CONTIG}\n>chr2\n{CONTIG}\n")
    return Genome(path)


def record(text: str, chrom: str = "chr1") -> Record:
    pos, ref, alts = text.split()
    return Record(f"{chrom}\t{text}", chrom, int(pos), ".", ref, tuple(alts.split(",")) if alts != "." else ())


CASES = [  # as written; what is allowed; as read; in which way
    ("1 T A", Reading.SWAP, "1 A T", "SWAP"),
    ("1 T A", Reading.STRAND, "1 A T", "STRAND"),
    ("1 T A", ALL, "1 A T", "SWAP_OR_STRAND"),  # one variant either way
    ("1 G A", ALL, "1 A G", "SWAP"),
    ("1 g a", ALL, "1 a g", "SWAP"),
    ("1 T C", ALL, "1 A G", "STRAND"),
    ("1 G T", ALL, "1 A C", "SWAP_AND_STRAND"),
    ("1 G T", Reading.SWAP | Reading.STRAND, None, None),
    ("1 G A", Reading.STRAND, None, None),
    ("2 AC CG", Reading.SWAP, "2 CG AC", "SWAP"),  # an MNV
    ("2 AC CG", ALL, None, None),  # CG reads alike on both strands
    ("2 AC TG", ALL, None, None),
    ("3 AC CC", ALL, "3 GT GG", "STRAND"),  # the reverse complement, not the complement
    ("3 TG TT", ALL, None, None),
    ("1 G A,C", ALL, "1 A G,C", "SWAP"),  # each value stays with its ALT
    ("1 T G,C", ALL, "1 A C,G", "STRAND"),
    ("1 T A,C", Reading.SWAP, "1 A T,C", "SWAP"),
    ("1 T A,C", ALL, None, None),  # with several ALTs the two differ
    ("1 G A,<DEL>,*", ALL, "1 A G,<DEL>,*", "SWAP"),
    ("4 TAA T", Reading.SWAP, "4 T TAA", "SWAP"),  # an insertion, swapped
    ("4 TAA TG", Reading.SWAP, None, None),
    ("4 CAA C", ALL, None, None),
    ("5 A TT", ALL, None, None),  # an indel of the other strand has no anchor
]


@pytest.mark.parametrize(("written", "allowed", "read", "word"), CASES)
def test_a_record_is_read_as_it_was_meant(
    written: str, allowed: Reading, read: str | None, word: str | None, genome: Genome
) -> None:
    given = record(written)
    checked = check_fit([given], genome, Fit({"chr1": "chr1"}, fixes={"chr1": allowed}), 100)
    assert checked.records[0].line == given.line
    if read is None:
        assert (checked.records[0], checked.fixes) == (given, [-1])
        assert set(checked.statuses[0]) <= {Status.REF_MISMATCH, Status.SYMBOLIC}
    else:
        meant = record(read)
        assert (checked.records[0].pos, checked.records[0].ref, checked.records[0].alts) == meant[2:3] + meant[4:]
        assert FIX_WORDS[checked.fixes[0]] == word
        assert checked.statuses == check_fit([meant], genome, {"chr1": "chr1"}, 100).statuses


@pytest.mark.parametrize(
    ("written", "allowed", "number"),
    [
        ("1 A C", ALL, 0),  # as written
        ("1 G C,A", Reading.SWAP, 2),
        ("1 g c,a", Reading.SWAP, 2),
        ("1 T C", ALL, 0),  # the other strand
        ("1 G T", ALL, 1),  # both at once
        ("1 G C,T", ALL, 2),
        ("1 T A", Reading.SWAP, 1),
        ("1 T A", Reading.STRAND, 0),
        ("1 T A", ALL, None),
        ("4 TAA T", Reading.SWAP, 1),
        ("2 A C", Reading.PREVIOUS, 0),
    ],
)
def test_the_alt_that_changed_places_with_ref(written: str, allowed: Reading, number: int | None, genome: Genome) -> None:
    given = record(written)
    checked = check_fit([given], genome, Fit({"chr1": "chr1"}, fixes={"chr1": allowed}), 100)
    assert checked.statuses[0][-1] is Status.OK
    assert exchanged_alt(given, checked.records[0], checked.fixes[0]) == number


#          1234567890123456: TA agrees on both strands at 2 and 10, CG at 6, TATA at 13
MIRRORED = "GTACACGTCTACTATA"
ALL_FLIPPED, PART_FLIPPED = (Reading.STRAND | way for way in (Reading.ALL_FLIPPED, Reading.PART_FLIPPED))
OK, EITHER = Status.OK, Status.EITHER_STRAND


@pytest.mark.parametrize(
    ("written", "fix", "read", "statuses"),
    [
        ("2 TA CC", ALL_FLIPPED, "2 TA GG", [OK]),
        ("2 ta cc", ALL_FLIPPED, "2 TA GG", [OK]),
        ("6 CG TT,CG", ALL_FLIPPED, "6 CG AA,CG", [OK, OK]),
        ("13 TATA CCCA,<DEL>", ALL_FLIPPED, "13 TATA TGGG,<DEL>", [OK, Status.SYMBOLIC]),
        ("2 TA CG", ALL_FLIPPED, None, [OK]),  # one variant on both strands
        ("2 TA T", ALL_FLIPPED, None, [EITHER]),  # an indel has no other strand
        ("2 TA CC", PART_FLIPPED, None, [EITHER]),
        ("2 TA CC,CG,*,N", PART_FLIPPED, None, [EITHER, OK, Status.STAR, Status.NOT_ACGT]),
        ("13 TATA T,TA", PART_FLIPPED, None, [EITHER, OK]),
        ("2 TA CG", PART_FLIPPED, None, [OK]),
        ("2 TA CC", Reading.SWAP | Reading.ALL_SWAPPED, None, [OK]),
        ("2 TAC TGG", ALL_FLIPPED, None, [OK]),  # REF of an odd length agrees on one strand only
        ("2 T A", ALL_FLIPPED, None, [OK]),
        ("2 T A", PART_FLIPPED, None, [OK]),
        ("6 C G", PART_FLIPPED, None, [OK]),
    ],
)
def test_a_ref_that_is_its_own_reverse_complement(
    written: str, fix: Reading, read: str | None, statuses: list[Status], tmp_path: Path
) -> None:
    (tmp_path / "g.fa").write_text(f">chr1\n{MIRRORED}\n")
    given = record(written)
    checked = check_fit([given], Genome(tmp_path / "g.fa"), Fit({"chr1": "chr1"}, fixes={"chr1": fix}), 100)
    meant = record(read or written)
    assert (checked.records[0].ref, checked.records[0].alts) == (meant.ref, meant.alts)
    assert checked.statuses == [tuple(statuses)]
    assert [FIX_WORDS[i] if i >= 0 else None for i in checked.fixes] == ["STRAND" if read else None]


def test_an_alt_that_agrees_on_both_strands_is_not_swapped_where_records_are_flipped(tmp_path: Path) -> None:
    """CC>TA is TA>CC swapped, and TA>GG swapped on the other strand."""
    (tmp_path / "g.fa").write_text(f">chr1\n{MIRRORED}\n")
    for more in (Reading.NONE, Reading.PART_FLIPPED, Reading.ALL_FLIPPED):
        status = Status.REF_MISMATCH if more else OK
        fit = Fit({"chr1": "chr1"}, fixes={"chr1": Reading.SWAP | Reading.STRAND | more})
        assert check_fit([record("2 CC TA")], Genome(tmp_path / "g.fa"), fit, 100).statuses == [(status,)]


def test_what_agrees_stays_as_it_is(genome: Genome) -> None:
    given = [record(f"{i + 1} {base} {'A' if base != 'A' else 'C'}") for i, base in enumerate(CONTIG)]
    checked = check_fit(given, genome, Fit({"chr1": "chr1"}, fixes={"chr1": ALL}), 100)
    assert (list(checked.records), checked.fixes) == (given, [-1] * len(CONTIG))
    assert set(checked.statuses) == {(Status.OK,)}


def test_an_indel_that_agrees_both_ways_is_swapped_where_all_are(genome: Genome) -> None:
    both_ways = [record("9 A AG"), record("4 TT T")]
    fixes = {"chr1": Reading.SWAP}
    assert check_fit(both_ways, genome, Fit({"chr1": "chr1"}, fixes=fixes), 100).fixes == [-1, -1]
    fixes = {"chr1": Reading.SWAP | Reading.ALL_SWAPPED}
    checked = check_fit(both_ways, genome, Fit({"chr1": "chr1"}, fixes=fixes), 100)
    assert [(r.ref, r.alts) for r in checked.records] == [("AG", ("A",)), ("T", ("TT",))]


@pytest.mark.parametrize(("fix", "by", "word"), [(Reading.NEXT, -1, "SHIFT"), (Reading.PREVIOUS, 1, "SHIFT_BACK")])
def test_positions_of_a_contig_are_moved(fix: Reading, by: int, word: str, genome: Genome) -> None:
    given = [
        record(f"{i + 1 + by} {CONTIG[i]} {'A' if CONTIG[i] != 'A' else 'C'}", chrom)
        for i in (2, 5, 8)
        for chrom in ("chr1", "chr2")
    ]
    checked = check_fit(given, genome, Fit({"chr1": "chr1", "chr2": "chr2"}, fixes={"chr1": fix}), 100)
    assert [r.pos for r in checked.records[::2]] == [3, 6, 9]
    assert [FIX_WORDS[i] if i >= 0 else None for i in checked.fixes] == [word, None] * 3
    assert list(checked.records[1::2]) == given[1::2]


def test_records_of_another_sequence_have_that_reason(genome: Genome) -> None:
    lost = [record(text, "chr2") for text in ("1 A C", "1 A <DEL>", "99 A C")]
    given = [*lost, record("1 A C"), record("1 A C", "9")]
    fit = Fit({"chr1": "chr1", "chr2": "chr2"}, frozenset({"chr2"}))
    statuses = [status.value for (status,) in check_fit(given, genome, fit, 100).statuses]
    assert statuses == ["OTHER_SEQUENCE", "SYMBOLIC", "OTHER_SEQUENCE", ".", "NO_CONTIG"]
    left_out: Counter[str] = Counter()
    assert [variant.chrom for _, variant in scorable(given, genome, 100, left_out, fit)] == ["chr1"]
    assert left_out == {"OTHER_SEQUENCE": 2, "SYMBOLIC": 1, "NO_CONTIG": 1}


def test_readings_of_snvs_are_those_of_longer_records(genome: Genome) -> None:
    """One base at a time many at once; with the next base beside it, one by one."""
    snvs = [
        record(f"{pos} {ref} {alt}")
        for pos in range(2, 15)
        for ref in "ACGT"
        for alt in "ACGT"
        if ref not in (alt, CONTIG[pos - 1])
    ]
    slow = [one._replace(alts=(one.alts[0], "*")) for one in snvs]  # "*" sends it the other way
    assert readings(snvs, genome, {"chr1": "chr1"}).tolist() == readings(slow, genome, {"chr1": "chr1"}).tolist()
    assert readings(snvs, genome, {}).tolist() == [0] * len(snvs)


def test_real_fit_is_picklable(tmp_path: Path) -> None:
    import pickle

    fit = Fit({"1": "chr1"}, frozenset({"MT"}), {"1": ALL})
    assert pickle.loads(pickle.dumps(fit)) == fit
