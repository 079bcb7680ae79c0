"""Records in regions: each record that overlaps some region, once, under any name of its contig."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from genoformer.formats.vcf import Record
from genoformer.formats.vcf_selection import overlapping
from genoformer.genome.region_text import Interval, parse_region


def test_records_in_a_region() -> None:
    rows = [
        ("20", 8, "A"),
        ("20", 9, "AAA"),
        ("chr20", 10, "A"),
        ("NC_000020.11", 12, "A"),
        ("20", 13, "A"),
        ("2", 11, "A"),
    ]
    records = [Record("", chrom, pos, ".", ref, ("T",)) for chrom, pos, ref in rows]
    kept = [(r.chrom, r.pos) for r in overlapping(records, parse_region("chr20:10-12"))]
    assert kept == [("20", 9), ("chr20", 10), ("NC_000020.11", 12)]
    assert list(overlapping(records, None)) == records


def test_records_of_another_contig_with_a_similar_name_are_not_in_the_region() -> None:
    records = [Record("", chrom, 5, ".", "A", ("T",)) for chrom in ("chrM", "MT", "chrMT", "M", "NC_012920.1")]
    contigs = ["chr1", "chrM", "chrMT"]
    for region, kept in (("chrM", ["chrM", "M"]), ("MT", ["MT", "chrMT"]), ("NC_012920.1", ["NC_012920.1"])):
        assert [r.chrom for r in overlapping(records, parse_region(region, contigs), contigs)] == kept
    assert len(list(overlapping(records, parse_region("chrM"), ["chrM"]))) == 5  # one mitochondrion, all its names


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(1, 20)), min_size=1, max_size=8),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 80), st.integers(1, 5)), max_size=20),
)
def test_each_record_that_overlaps_some_region_comes_once(regions, rows) -> None:
    intervals = [Interval(name, start, start + n) for name, start, n in regions]
    records = [Record(str(i), chrom, pos, ".", "A" * n, ("T",)) for i, (chrom, pos, n) in enumerate(rows)]
    naive = [
        record
        for record in records
        if any(
            record.chrom == of.chrom and set(range(record.pos - 1, record.pos - 1 + len(record.ref))) & set(range(*of[1:]))
            for of in intervals
        )
    ]
    assert list(overlapping(records, intervals, ["a", "b"])) == naive
