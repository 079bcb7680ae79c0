"""Normalised alleles as arrays: against `normalise`, one by one, and sequences that are changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.formats.text_columns import split_columns, whole_numbers
from genoformer.genome.allele_table import AlleleTable, Spans, furthest_start, read_alleles, trim_to_anchor
from genoformer.genome.normalise import normalise
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant


def table(rows: list[tuple[int, str, str]], genome: Genome | None = None) -> AlleleTable:
    """Alleles of rows (POS, REF, ALT)."""
    columns = split_columns("".join(f"{pos}\t{ref}\t{alt}\n" for pos, ref, alt in rows).encode(), 3)
    starts, _ = whole_numbers(columns.letters, *columns.span(0))
    return read_alleles(Spans(columns.letters, starts - 1, columns.span(1), columns.span(2)), genome, "c" if genome else None)


def spellings(alleles: AlleleTable) -> list[tuple[int, str, str]]:
    return [(start + 1, ref, alt) for start, ref, alt in map(alleles.spelling, range(len(alleles)))]


def test_alleles_without_a_genome_are_trimmed() -> None:
    rows = [
        (5, "a", "g"),
        (7, "CAA", "CA,CAAA,TAA"),
        (9, "ACG", "ATG"),
        (11, "T", "<DEL>,*,TG"),
        (13, "N", "C"),
        (15, "A", "."),
    ]
    alleles = table(rows)
    assert spellings(alleles) == [
        (5, "A", "G"),
        (7, "CA", "C"),
        (7, "C", "CA"),
        (7, "C", "T"),
        (10, "C", "T"),
        (11, "T", "TG"),
        (13, "N", "C"),
    ]
    assert alleles.record.tolist() == [0, 1, 1, 1, 2, 3, 4]
    assert alleles.number.tolist() == [0, 0, 1, 2, 0, 2, 0]
    assert (alleles.n_alleles, alleles.n_unfit) == (10, 0)
    moved = alleles.take(np.arange(7)[::-1]).sorted()
    assert moved.start.tolist() == [4, 6, 6, 6, 9, 10, 12]


@settings(deadline=None)
@given(st.data())
def test_every_spelling_is_that_of_normalise(tmp_path_factory, data: st.DataObject) -> None:
    sequence = data.draw(st.text("AC", min_size=3, max_size=25))
    folder: Path = tmp_path_factory.mktemp("genome")
    (folder / "g.fa").write_text(f">c\n{sequence}\n")
    genome = Genome(folder / "g.fa")
    rows = []
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(sequence) - 1))
        end = data.draw(st.integers(start + 1, min(start + 5, len(sequence))))
        rows.append((start + 1, sequence[start:end], data.draw(st.text("AC", min_size=1, max_size=5))))
    alleles = table(rows, genome)
    for row, (pos, ref, alt) in zip(spellings(alleles), rows, strict=True):
        expected = normalise(Variant("c", pos, ref, alt), genome)
        assert row == (expected.pos, expected.ref, expected.alt)
        furthest = max(
            p
            for p in range(len(sequence))
            for q in range(p + 1, min(p + 9, len(sequence)) + 1)
            if spelled(sequence, p, q, pos, ref, alt)
        )
        one = alleles.take(slice(rows.index((pos, ref, alt)), rows.index((pos, ref, alt)) + 1))
        assert ref == alt or furthest_start(one, genome, "c") >= furthest


def spelled(sequence: str, p: int, q: int, pos: int, ref: str, alt: str) -> bool:
    """True if replacing [p, q) by one or more bases can give the sequence that REF -> ALT gives."""
    changed = sequence[: pos - 1] + alt + sequence[pos - 1 + len(ref) :]
    n = len(changed) - (len(sequence) - q) - p
    return n > 0 and changed.startswith(sequence[:p]) and changed.endswith(sequence[q:])


def test_a_ref_that_differs_is_only_trimmed(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">c\nGCACACAT\n")
    genome = Genome(tmp_path / "g.fa")
    alleles = table([(5, "ACA", "A"), (5, "AGA", "A"), (4, "NAC", "C")], genome)
    assert spellings(alleles) == [(1, "GCA", "G"), (5, "AGA", "A"), (4, "NAC", "C")]
    assert alleles.n_unfit == 2


def test_trimming_keeps_a_base() -> None:
    assert trim_to_anchor(Variant("c", 3, "AA", "AAA")) == Variant("c", 3, "A", "AA")
    assert trim_to_anchor(Variant("c", 3, "A", "A")) == Variant("c", 3, "A", "A")
