"""Variants: why an allele is not scored, one spelling per variant, and the two sequences of a window."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amounts import examples
from hypothesis import given
from hypothesis import strategies as st

from genoformer.formats.vcf import Record, read_variants
from genoformer.genome.codes import decode
from genoformer.genome.contigs import ContigMap
from genoformer.genome.fit import check_fit
from genoformer.genome.normalise import normalise, trim
from genoformer.genome.reference import Genome
from genoformer.genome.variants import (
    STATUS_MEANING,
    Align,
    RefState,
    Status,
    Variant,
    _bases_at,
    allele_status,
    centred_start,
    compare_refs,
    place_alleles,
    place_snvs,
)

ALIGNS: tuple[Align, ...] = ("left", "right", "symmetric")
TINY = "ACGTNacgtRTTTTACACACGG"  # chrT; index 4 is N, 9 is an IUPAC code


def make_genome(folder: Path, **contigs: str) -> Genome:
    path = folder / "made.fa"
    path.with_name("made.fa.fai").unlink(missing_ok=True)
    path.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    return Genome(path)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return make_genome(tmp_path_factory.mktemp("tiny"), chrT=TINY, chrU="GATTACA")


def record(chrom: str, pos: int, ref: str, *alts: str) -> Record:
    return Record("", chrom, pos, ".", ref, alts)


def random_bases(rng: np.random.Generator, n: int, letters: str = "ACGT") -> str:
    return "".join(rng.choice(list(letters), n))


# Statuses


@pytest.mark.parametrize(
    ("chrom", "pos", "ref", "alt", "status"),
    [
        ("T", 1, "A", "C", Status.OK),
        ("chrT", 1, "a", "c", Status.OK),
        ("T", 6, "A", "C", Status.OK),  # lower case in the FASTA
        ("T", 1, "ACGT", "A", Status.OK),
        ("T", 1, "A", "ACCC", Status.OK),
        ("T", 22, "G", "T", Status.OK),  # the last base
        ("T", 1, "G", "C", Status.REF_MISMATCH),
        ("T", 1, "ACGA", "A", Status.REF_MISMATCH),
        ("X", 1, "A", "C", Status.NO_CONTIG),
        ("T", 0, "A", "C", Status.OUTSIDE),
        ("T", 23, "A", "C", Status.OUTSIDE),
        ("T", 22, "GA", "G", Status.OUTSIDE),
        ("T", 10**15, "A", "C", Status.OUTSIDE),
        ("T", 5, "A", "C", Status.N_IN_REF),
        ("T", 5, "N", "C", Status.N_IN_REF),
        ("T", 1, "N", "C", Status.N_IN_REF),
        ("T", 4, "TNA", "T", Status.N_IN_REF),
        ("T", 10, "A", "C", Status.N_IN_REF),  # R in the FASTA is an unknown base
        ("T", 10, "R", "C", Status.NOT_ACGT),
        ("T", 1, "A", "N", Status.NOT_ACGT),
        ("T", 1, "A", "R", Status.NOT_ACGT),
        ("T", 1, "A", "AU", Status.NOT_ACGT),
        ("T", 1, "A", "", Status.NOT_ACGT),
        ("T", 1, ".", "A", Status.NOT_ACGT),
        ("T", 1, "A", "<DEL>", Status.SYMBOLIC),
        ("T", 1, "A", "<*>", Status.SYMBOLIC),
        ("T", 1, "A", "<NON_REF>", Status.SYMBOLIC),
        ("T", 1, "A", "<INS:ME:ALU>", Status.SYMBOLIC),
        ("T", 1, "A", "A[chrU:5[", Status.BREAKEND),
        ("T", 1, "A", "]chrU:5]A", Status.BREAKEND),
        ("T", 1, "A", "]<ctg>:5]A", Status.BREAKEND),
        ("T", 1, "A", ".A", Status.BREAKEND),
        ("T", 1, "A", "A.", Status.BREAKEND),
        ("T", 1, "A", "*", Status.STAR),
        ("T", 1, "A", "ACCCCCCCCCC", Status.TOO_LONG),  # 11 bases, 10 are allowed
        ("T", 11, "TTTTACACACG", "T", Status.TOO_LONG),
        # Several reasons at once: the first in the order of STATUS_MEANING
        ("X", 0, "N", "<DEL>", Status.SYMBOLIC),
        ("X", 0, "N", "*", Status.STAR),
        ("X", 0, "N", "R", Status.NOT_ACGT),
        ("X", 0, "N", "A", Status.NO_CONTIG),
        ("T", 0, "N", "A", Status.OUTSIDE),
        ("T", 4, "TN", "AAAAAAAAAAAAAA", Status.N_IN_REF),
        ("T", 1, "G", "AAAAAAAAAAAAAA", Status.TOO_LONG),
    ],
)
def test_status(chrom: str, pos: int, ref: str, alt: str, status: Status, tiny: Genome) -> None:
    names = ContigMap(["T", "chrT", "X"], tiny.contigs)
    assert check_fit([record(chrom, pos, ref, alt)], tiny, names, 10).statuses == [(status,)]


def test_status_of_every_alt_in_order(tiny: Genome) -> None:
    (found,) = check_fit([record("chrT", 1, "A", "C", "<DEL>", "*", "N", "AC")], tiny, {"chrT": "chrT"}, 10).statuses
    assert found == (Status.OK, Status.SYMBOLIC, Status.STAR, Status.NOT_ACGT, Status.OK)
    assert check_fit([record("chrT", 1, "A")], tiny, {"chrT": "chrT"}, 10).statuses == [(Status.NO_ALT,)]
    assert check_fit([], tiny, {}, 10).statuses == []


def test_every_status_has_a_meaning() -> None:
    assert list(STATUS_MEANING) == list(Status)
    assert all(text.endswith(".") for text in STATUS_MEANING.values())
    assert all(str(status) == status.name for status in Status if status is not Status.OK)
    assert str(Status.OK) == "."


def naive_status(r: Record, alt: str, contigs: dict[str, str], max_length: int) -> Status:
    spelled = allele_status(r.ref, alt)
    if spelled not in (Status.OK, Status.N_IN_REF):
        return spelled
    if r.chrom not in contigs:
        return Status.NO_CONTIG
    text = contigs[r.chrom].upper()
    if r.pos < 1 or r.pos - 1 + len(r.ref) > len(text):
        return Status.OUTSIDE
    found = text[r.pos - 1 : r.pos - 1 + len(r.ref)]
    if set(found + r.ref.upper()) - set("ACGT"):
        return Status.N_IN_REF
    if max(len(r.ref), len(alt)) > max_length:
        return Status.TOO_LONG
    return Status.OK if found == r.ref.upper() else Status.REF_MISMATCH


@pytest.mark.parametrize("is_sorted", [True, False])
def test_batches_agree_with_one_by_one(is_sorted: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    contigs = {"a": random_bases(rng, 60_000, "ACGTacgtNR"), "b": random_bases(rng, 300)}
    genome = make_genome(tmp_path, **contigs)
    records = []
    for _ in range(3000):
        chrom = str(rng.choice(["a", "a", "b", "c"]))
        pos = int(rng.integers(0, len(contigs.get(chrom, "x" * 10)) + 3))
        ref = contigs.get(chrom, "")[max(pos - 1, 0) :][: int(rng.integers(1, 12))]
        if not ref or rng.random() < 0.3:
            ref = random_bases(rng, int(rng.integers(1, 6)), "ACGTN")
        records.append(
            record(chrom, pos, ref, *(random_bases(rng, int(rng.integers(1, 9))) for _ in range(rng.integers(1, 4))))
        )
    if is_sorted:
        records.sort()
    names = {"a": "a", "b": "b"}
    expected = [tuple(naive_status(r, alt, contigs, 7) for alt in r.alts) for r in records]
    assert check_fit(records, genome, names, 7).statuses == expected
    assert [check_fit([r], genome, names, 7).statuses[0] for r in records[:300]] == expected[:300]
    assert len(Counter(status for statuses in expected for status in statuses)) == 7


@pytest.mark.parametrize("limits", [{}, {"max_gap": 5}, {"max_span": 100}, {"max_gap": 0, "max_span": 1}])
def test_bases_do_not_depend_on_the_windows_that_are_read(limits: dict[str, int], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    text = random_bases(rng, 3_000, "ACGTN")
    genome = make_genome(tmp_path, a=text)
    starts, lengths = np.sort(rng.integers(0, 2_980, 200)), rng.integers(1, 20, 200)
    places = np.concatenate([np.arange(start, start + n) for start, n in zip(starts, lengths, strict=True)])
    bases = _bases_at(genome, "a", places, np.cumsum(lengths) - lengths, **limits)
    assert decode(bases) == "".join(text[place] for place in places)


def test_symbolic_alleles_have_a_ref_to_compare(tiny: Genome) -> None:
    rows = [
        record("chrT", 1, "A", "<DEL>"),
        record("chrT", 1, "C", "<DEL>"),
        record("chrT", 5, "A", "C"),
        record("chrT", 99, "A"),
    ]
    states = compare_refs(rows, tiny, {"chrT": "chrT"})
    assert states.tolist() == [RefState.AGREES, RefState.DIFFERS, RefState.UNKNOWN, RefState.OUTSIDE]
    assert compare_refs(rows[:1], tiny, {}).tolist() == [RefState.NO_CONTIG]


def test_variant() -> None:
    v = Variant("chr20", 1_000_010, "A", "T")
    assert (str(v), v.start, v.end) == ("chr20:1000010:A>T", 1_000_009, 1_000_010)


# One spelling per variant


@pytest.mark.parametrize(
    ("pos", "ref", "alt", "expected"),
    [  # chrT: ACGTN ACGTN TTTT ACACAC GG, 1-based 11-14 T, 15-20 AC repeats
        (1, "A", "C", (1, "A", "C")),
        (1, "a", "c", (1, "A", "C")),
        (2, "CGT", "CTT", (3, "G", "T")),
        (2, "CG", "TA", (2, "CG", "TA")),
        (2, "CGT", "CAAT", (3, "G", "AA")),
        (19, "AC", "ACAC", (14, "T", "TAC")),
        (14, "T", "TAC", (14, "T", "TAC")),
        (16, "C", "CAC", (14, "T", "TAC")),
        (18, "CAC", "C", (14, "TAC", "T")),
        (14, "TACACACGG", "TACACGG", (14, "TAC", "T")),
        (21, "G", "GG", (20, "C", "CG")),
        (2, "C", "CC", (1, "A", "AC")),
        (1, "A", "AA", (1, "A", "AA")),  # before the first base there is none: the anchor is the one after
        (1, "A", "GA", (1, "A", "GA")),
        (1, "AC", "C", (1, "AC", "C")),
        (3, "G", "G", (3, "G", "G")),
    ],
)
def test_normalise(pos: int, ref: str, alt: str, expected: tuple[int, str, str], tiny: Genome) -> None:
    assert normalise(Variant("chrT", pos, ref, alt), tiny) == ("chrT", *expected)


def test_normalise_equals_trimming_the_whole_contigs(tmp_path: Path) -> None:
    """The oracle: write both contigs out in full, cut off what they share at the right, then at the left."""
    rng = np.random.default_rng(1)
    text = random_bases(rng, 30, "AC") + "AC" * 200 + random_bases(rng, 30, "AC")  # repeats longer than a block of 64
    genome = make_genome(tmp_path, c=text)
    n_moved = 0
    for _ in range(3000):
        start = int(rng.integers(0, len(text)))
        ref = text[start : start + int(rng.integers(1, 6))]
        alt = ref[:1] + random_bases(rng, int(rng.integers(0, 6)), "AC") if rng.random() < 0.8 else random_bases(rng, 3, "AC")
        changed = text[:start] + alt + text[start + len(ref) :]
        n_prefix, cut_ref, cut_alt = trim(text, changed)
        if bool(cut_ref) == bool(cut_alt):
            expected = Variant("c", n_prefix + 1, cut_ref, cut_alt) if cut_ref else Variant("c", start + 1, ref, alt)
        elif n_prefix:
            anchor = text[n_prefix - 1]
            expected = Variant("c", n_prefix, anchor + cut_ref, anchor + cut_alt)
        else:
            anchor = text[len(cut_ref)]
            expected = Variant("c", 1, cut_ref + anchor, cut_alt + anchor)
        found = normalise(Variant("c", start + 1, ref, alt), genome)
        assert found == expected
        assert normalise(found, genome) == found
        n_moved += found.pos != start + 1
    assert n_moved > 500


# Alleles in a window


def naive_window(text: str, start: int, length: int) -> str:
    return "".join(text[i] if 0 <= i < len(text) else "N" for i in range(start, start + length))


def naive_alt(text: str, v: Variant, start: int, length: int, align: str) -> str:
    d = len(v.alt) - len(v.ref)
    shift = {"left": 0, "right": d, "symmetric": len(v.alt) // 2 - len(v.ref) // 2}[align]
    return naive_window(text[: v.start] + v.alt + text[v.end :], start + shift, length)


def assert_placed(genome: Genome, text: str, v: Variant, start: int, length: int, align: Align) -> None:
    found = place_alleles(genome, v, start, length, align)
    assert decode(found.ref) == naive_window(text, start, length)
    assert decode(found.alt) == naive_alt(text, v, start, length, align)
    assert (found.ref_length, found.alt_length) == (len(v.ref), len(v.alt))
    assert found.ref_start == v.start - start
    inside = range(max(found.alt_start, 0), min(found.alt_start + found.alt_length, length))
    assert all(decode(found.alt)[i] == v.alt[i - found.alt_start] for i in inside)


def test_alleles_by_eye(tmp_path: Path) -> None:
    genome = make_genome(tmp_path, c="AACCGGTT")
    insertion, deletion = Variant("c", 4, "C", "CTT"), Variant("c", 3, "CCG", "C")
    placed = {align: [decode(place_alleles(genome, v, 1, 6, align).alt) for v in (insertion, deletion)] for align in ALIGNS}
    # the reference is A|ACCGGT|T; with the insertion the contig is AACCTTGGTT, with the deletion AACGTT
    assert decode(place_alleles(genome, insertion, 1, 6).ref) == "ACCGGT"
    assert placed == {
        "left": ["ACCTTG", "ACGTTN"],
        "right": ["CTTGGT", "NAACGT"],
        "symmetric": ["CCTTGG", "AACGTT"],
    }
    with pytest.raises(ValueError, match="align is 'middle'"):
        place_alleles(genome, insertion, 1, 6, "middle")  # type: ignore[arg-type]


def test_alleles_equal_naive_splice(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    text = random_bases(rng, 120, "ACGTN")
    genome = make_genome(tmp_path, c=text)
    for case in range(10_000):
        v_start = int(rng.integers(0, 121))
        ref = text[v_start : v_start + int(rng.integers(0, 40))]
        v = Variant("c", v_start + 1, ref, random_bases(rng, int(rng.integers(0, 40))))
        start, length = int(rng.integers(-60, 160)), int(rng.integers(1, 60))
        assert_placed(genome, text, v, start, length, ALIGNS[case % 3])


@examples(200)
@given(data=st.data(), align=st.sampled_from(ALIGNS))
def test_alleles_hypothesis(data: st.DataObject, align: Align, tiny: Genome) -> None:
    text = decode(tiny.window("chrT", 0, len(TINY)))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    v = Variant("chrT", start + 1, text[start:end], data.draw(st.text("ACGT", max_size=30)))
    assert_placed(tiny, text, v, data.draw(st.integers(-40, 60)), data.draw(st.integers(1, 50)), align)


def test_swapping_the_alleles_gives_the_swapped_windows(tmp_path: Path) -> None:
    text = random_bases(np.random.default_rng(3), 200)
    v = Variant("c", 101, text[100:104], "TTTTTTT")
    genome, changed = make_genome(tmp_path, c=text, d=text[:100] + v.alt + text[104:]), Variant("d", 101, v.alt, v.ref)
    there, back = place_alleles(genome, v, 80, 50), place_alleles(genome, changed, 80, 50)
    assert np.array_equal(there.ref, back.alt)
    assert np.array_equal(there.alt, back.ref)


@pytest.mark.parametrize("length", [1, 2, 9, 10])
def test_centre(length: int, tiny: Genome) -> None:
    snv, deletion = Variant("chrT", 8, "G", "T"), Variant("chrT", 6, "ACG", "A")
    for v in (snv, deletion):
        window = decode(place_alleles(tiny, v, centred_start(v, length), length).ref)
        assert window[length // 2] == v.ref[len(v.ref) // 2]


def test_place_snvs_is_place_alleles(tiny: Genome) -> None:
    positions, alts = np.array([0, 3, 21]), "TAC"
    windows, centre = place_snvs(tiny, "chrT", positions, 8)
    for row, position, alt in zip(windows, positions.tolist(), alts, strict=True):
        v = Variant("chrT", position + 1, TINY[position], alt)
        placed = place_alleles(tiny, v, centred_start(v, 8), 8)
        assert np.array_equal(row, placed.ref)
        row[centre] = "ACGT".index(alt)
        assert np.array_equal(row, placed.alt)
        assert placed.ref_start == placed.alt_start == centre


# A second opinion


def kipoiseq_module() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pyranges, pkg_resources ...
        pytest.importorskip("kipoiseq.extractors", reason="kipoiseq is an extra: pip install genoformer[kipoi]")
        import kipoiseq
    return kipoiseq


def test_kipoiseq_agrees_where_it_is_right(tmp_path: Path) -> None:
    """VariantSeqExtractor's anchor is an ABSOLUTE coordinate, clamped into the interval: what lies there stays.

    anchor = interval.start is our "left" as long as the variant begins inside or right of the window; anchor =
    interval.end is our "right" as long as it ends inside or left of it. Beyond the anchor a variant moves nothing,
    whereas we cut the changed contig at the same coordinate. A variant across the anchor is split by its letters (next
    test), which is nobody's allele. With its own FASTA reader it also fails where a window leaves the contig; here it
    reads through our Genome, N beyond the ends.
    """
    kipoiseq = kipoiseq_module()
    rng = np.random.default_rng(4)
    text = random_bases(rng, 400)
    genome = make_genome(tmp_path, c=text)
    extractor = kipoiseq.extractors.VariantSeqExtractor(reference_sequence=genome)
    n_compared: Counter[str] = Counter()
    for _ in range(1500):
        start, length = int(rng.integers(-10, 390)), int(rng.integers(5, 60))
        v_start = int(rng.integers(max(0, start - 20), min(399, start + length + 20)))
        ref = text[v_start : v_start + int(rng.integers(1, 12))]
        v = Variant("c", v_start + 1, ref, random_bases(rng, int(rng.integers(1, 12))))
        interval = kipoiseq.Interval("c", start, start + length)
        for align, anchor, is_right in (
            ("left", start, v.start >= start),
            ("right", start + length, v.end <= start + length),
        ):
            if is_right:
                theirs = extractor.extract(interval, [kipoiseq.Variant(*v)], anchor=anchor)
                assert theirs == decode(place_alleles(genome, v, start, length, align).alt), (v, start, length, align)
                n_compared[align] += 1
    assert min(n_compared.values()) > 700


def test_kipoiseq_splits_a_variant_at_the_anchor(tmp_path: Path) -> None:
    kipoiseq = kipoiseq_module()
    genome = make_genome(tmp_path, c="AACCGGTTAACCGGTT")
    v = Variant("c", 3, "CCGG", "T")  # the changed contig is AATTTAACCGGTT
    extractor = kipoiseq.extractors.VariantSeqExtractor(reference_sequence=genome)
    theirs = extractor.extract(kipoiseq.Interval("c", 4, 10), [kipoiseq.Variant(*v)], anchor=4)
    assert theirs == "TTAACC"
    assert decode(place_alleles(genome, v, 4, 6, "left").alt) == "TAACCG"


# Real variants


def test_real_variants_have_the_expected_statuses(real_data: Path) -> None:
    genome = Genome(real_data / "hg19/hg19.sparse.fa.gz")
    records = list(read_variants(real_data / "hg19/1000G.chr20_1000001-2000000.vcf.gz"))
    names = ContigMap(["20"], genome.contigs)
    assert (compare_refs(records, genome, names) == RefState.AGREES).all()
    statuses = check_fit(records, genome, names, 100_000).statuses
    assert Counter(s for found in statuses for s in found) == {Status.OK: 29_120, Status.SYMBOLIC: 24}


def test_real_indels_keep_their_sequence_when_normalised(real_data: Path) -> None:
    """Two spellings of one variant give the same changed contig."""
    genome = Genome(real_data / "hg19/hg19.sparse.fa.gz")
    n_indels = n_moved = 0
    for r in read_variants(real_data / "hg19/1000G.chr20_1000001-2000000.vcf.gz"):
        for alt in r.alts:
            if len(alt) != len(r.ref) and not alt.startswith("<"):
                v = Variant("chr20", r.pos, r.ref, alt)
                left = normalise(v, genome)
                start = left.start - 20
                length = v.end - start + 40
                assert np.array_equal(
                    place_alleles(genome, v, start, length).alt, place_alleles(genome, left, start, length).alt
                )
                n_indels += 1
                n_moved += left != v
    assert n_indels > 900
    assert n_moved < n_indels
