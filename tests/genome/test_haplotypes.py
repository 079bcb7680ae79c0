"""Sequences of haplotypes against kipoiseq, and against edits of text."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from genoformer.errors import ConfigError
from genoformer.genome.codes import decode
from genoformer.genome.haplotypes import Change, drop_overlapping, haplotype
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant

TEXT = "".join("ACGT"[(i * i * 7 + i // 3 + i // 11) % 4] for i in range(700))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">c\n{TEXT}\n")
    return path


@pytest.fixture(scope="module")
def genome(path) -> Genome:
    return Genome(path)


@st.composite
def asked(draw):
    variants = []
    for _ in range(draw(st.integers(0, 5))):
        pos, n = draw(st.integers(200, 480)), draw(st.integers(1, 6))
        variants.append(Variant("c", pos, TEXT[pos - 1 : pos - 1 + n], draw(st.text("ACGT", min_size=1, max_size=8))))
    start, length = draw(st.integers(200, 350)), draw(st.integers(10, 150))
    return drop_overlapping(variants)[0], start, length, draw(st.integers(start, start + length))


def changed_contig(variants) -> tuple[str, int]:
    out, place = [], 0
    for v in variants:
        out += [TEXT[place : v.start], v.alt]
        place = v.end
    return "".join(out) + TEXT[place:], 0


@given(asked())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_sequence_is_a_piece_of_the_changed_contig_with_the_anchor_in_its_place(genome, case) -> None:
    variants, start, length, anchor = case
    found = haplotype(genome, variants, "c", start, length, anchor)
    across = [v for v in variants if v.start < anchor < v.end]
    moved = across[0].start if across else anchor
    text, _ = changed_contig(variants)
    at = moved + sum(len(v.alt) - len(v.ref) for v in variants if v.start < moved and v.end <= moved)
    begin = at - (moved - start)
    assert decode(found.codes) == text[begin : begin + length]
    for change in found.changes:  # the bases before a change stand `offset` behind those of the reference
        i = change.start + change.offset
        if i > 0 and change.start > 0:
            before = text[begin + i - 1]
            assert before == TEXT[start + change.start - 1] or any(v.end == start + change.start for v in variants)


def as_one_where_both_begin(variants: list[Variant]) -> list[Variant]:
    """An insertion and the variant of the base behind it as one, A>G after +C as A>CG.

    kipoiseq sorts by start alone. Where both begin left of the anchor it takes the insertion for the later of the two, and
    writes the bases of REF once more behind it.
    """
    spelt: list[Variant] = []
    for v in variants:
        if spelt and spelt[-1].start == v.start:
            spelt[-1] = v._replace(alt=spelt[-1].alt + v.alt)
        else:
            spelt.append(v)
    return spelt


@given(asked())
@example(([Variant("c", 308, "", "C"), Variant("c", 308, "AGG", "C")], 302, 28, 314))  # found at random
@example(([Variant("c", 308, "", "C"), Variant("c", 308, "AGG", "C")], 302, 28, 302))
@example(([Variant("c", 302, "", "AGG"), Variant("c", 302, "GTT", "CGA")], 301, 26, 312))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore")
def test_it_is_kipoiseqs_sequence(path, genome, case) -> None:
    pytest.importorskip("kipoiseq", reason="kipoiseq is an extra: pip install genoformer[kipoi]")
    from kipoiseq.dataclasses import Interval
    from kipoiseq.dataclasses import Variant as Theirs
    from kipoiseq.extractors import VariantSeqExtractor

    variants, start, length, anchor = case
    assume(not any(v.start < anchor < v.end or v.start == v.end == anchor for v in variants))  # cut in two, or on both sides
    of = [Theirs("c", v.pos, v.ref, v.alt) for v in as_one_where_both_begin(variants)]
    extractor = VariantSeqExtractor(fasta_file=str(path))
    theirs = extractor.extract(Interval("c", start, start + length), variants=of, anchor=anchor)
    assert decode(haplotype(genome, variants, "c", start, length, anchor).codes) == theirs


def test_changes_by_hand(genome) -> None:
    variants = [Variant("c", 305, TEXT[304], ""), Variant("c", 311, "", "GG"), Variant("c", 321, TEXT[320], "A")]
    found = haplotype(genome, variants, "c", 300, 40, 315)
    assert found.changes == (Change(4, 1, 0, -1), Change(10, 0, 2, -2), Change(20, 1, 1, 0))
    expected = TEXT[301:304] + TEXT[305:310] + "GG" + TEXT[310:320] + "A" + TEXT[321:340]
    assert decode(found.codes)[-len(expected) :] == expected
    assert decode(found.codes) == TEXT[301:304] + expected[3:]


def test_alleles_that_overlap_are_left_out_and_counted() -> None:
    rows = [
        Variant("c", 10, "ACGT", "A"),
        Variant("c", 12, "G", "T"),
        Variant("c", 30, "A", "AT"),
        Variant("c", 30, "A", "AC"),
        Variant("c", 40, "A", "A"),
        Variant("c", 50, "A", "C"),
        Variant("c", 50, "A", "C"),
    ]
    kept, n_out = drop_overlapping(rows)
    assert kept == [Variant("c", 11, "CGT", ""), Variant("c", 31, "", "T"), Variant("c", 50, "A", "C")]
    assert n_out == 2


def test_a_base_behind_an_insertion_may_change_too(genome) -> None:
    rows = [Variant("c", 306, TEXT[305], "T" if TEXT[305] != "T" else "A"), Variant("c", 305, TEXT[304], TEXT[304] + "GG")]
    kept, n_out = drop_overlapping(rows)
    assert (len(kept), n_out) == (2, 0)
    found = decode(haplotype(genome, kept, "c", 300, 20, 300).codes)
    assert found == (TEXT[300:305] + "GG" + kept[1].alt + TEXT[306:])[:20]


@pytest.mark.parametrize("anchor", [302, 304, 306, 307, 309, 312, 316])
def test_an_insertion_and_the_base_beside_it_change_together(genome, anchor: int) -> None:
    """The reference c:303-316, from 1, is TTATCAGGTGATAA: c:307 is C, c:308 is A."""
    assert TEXT[302:316] == "TTATCAGGTGATAA"
    inserted = Variant("c", 307, "C", "CT")  # T between them
    for other, changed in (
        (Variant("c", 307, "C", "G"), "TTATGTAGGTGATAA"),  # the base that VCF pads the insertion with
        (Variant("c", 308, "A", "G"), "TTATCTGGGTGATAA"),  # the base behind it
        (Variant("c", 308, "AGG", "C"), "TTATCTCTGATAA"),
        (Variant("c", 305, "ATC", "A"), "TTATAGGTGATAA"),  # a deletion that ends before it
    ):
        for rows in ([inserted, other], [other, inserted]):
            kept, n_out = drop_overlapping(rows)
            assert (len(kept), n_out) == (2, 0)
            found = decode(haplotype(genome, kept, "c", 290, 40, anchor).codes)
            assert changed in found, (other, found)


def test_an_anchor_outside_is_refused(genome) -> None:
    with pytest.raises(ConfigError, match="does not lie in the window"):
        haplotype(genome, [], "c", 300, 40, 341)
