"""Rows of a report as the variants that were scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from genoformer.genome.reference import Genome
from genoformer.report.meant import Meant

HEAD = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
ROWS = {  # the genome is ACGTACGTAC; of POS REF ALT, a word of GF_FIX and an ALT what was scored
    ("2 a A C,T", "SWAP", "C"): (2, "C", "A"),
    ("2 a A C,T", "SWAP", "T"): (2, "C", "T"),  # REF is the other ALT
    ("2 b A T,C", "SWAP", "T"): (2, "C", "T"),
    ("3 c c a", "STRAND", "a"): (3, "G", "T"),
    ("3 d C A,T", "STRAND", "T"): (3, "G", "A"),
    ("1 e T A", "SWAP_OR_STRAND", "A"): (1, "A", "T"),
    ("3 f A C", "SWAP_AND_STRAND", "C"): (3, "G", "T"),
    ("3 g T GT", "SWAP", "GT"): (3, "GT", "T"),
    ("1 h C T,G", "SHIFT", "G"): (2, "C", "G"),
    ("0 i A G", "SHIFT", "G"): (1, "A", "G"),
    ("3 j C T", "SHIFT_BACK", "T"): (2, "C", "T"),
    ("2 k c t", None, "t"): (2, "C", "T"),
    ("2 l A G", "SWAP", "G"): None,  # not on this genome
    ("2 m A C", "TURNED", "C"): None,  # a word of another version
}


@pytest.mark.parametrize("case", ROWS, ids=str)
def test_a_row_is_the_variant_that_was_scored(tmp_path: Path, make_fasta: Callable[..., Path], case) -> None:
    lines = ["\t".join(["1", *text.split(), ".", ".", "."]) for text in dict.fromkeys(text for text, *_ in ROWS)]
    (tmp_path / "s.vcf").write_text("\n".join([*HEAD, *lines]) + "\n")
    text, word, alt = case
    pos, name, ref, _ = text.split()
    row = ["1", int(pos), name, ref, alt, word]
    found = Meant(tmp_path / "s.vcf", [row], 5, Genome(make_fasta(chr1="ACGTACGTAC"))).variant(row, word)
    assert (found and (found.chrom, *found[1:])) == (ROWS[case] and ("chr1", *ROWS[case]))
