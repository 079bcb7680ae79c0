"""Motif changes of alleles: against loops over all windows and all sequences, and numbers worked out by hand."""

from __future__ import annotations

from itertools import product
from math import log2
from pathlib import Path

import numpy as np
import pytest
from commands import assert_refused, run, run_well
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.annotation import read_annotations
from genoformer.annotation.motif_changes import integer_scores, tail_probabilities
from genoformer.annotation.run import annotate_variants
from genoformer.errors import FileFormatError, OptionError
from genoformer.formats.motif_files import read_matrices, write_meme
from genoformer.formats.motif_matrix import Matrix
from genoformer.formats.vcf import open_vcf, parse_info
from genoformer.genome.reference import Genome

BASES = "ACGT"
PAIR = str.maketrans("ACGTN", "TGCAN")


def write_motifs(path: Path, seed: int = 0, widths: tuple[int, ...] = (3, 4, 5, 4, 6)) -> Path:
    rng = np.random.default_rng(seed)
    matrices = [Matrix(f"m{i}", rng.dirichlet(np.full(4, 0.3), w), 20) for i, w in enumerate(widths)]
    write_meme(path, matrices)
    return path


def naive_scores(path: Path) -> dict[str, list[list[int]]]:
    """Whole numbers of 0.01 bits, from the definition."""
    return {
        m.name: [[round(100 * log2((p * 20 + 0.025) / 20.1 / 0.25)) for p in row] for row in m.p.tolist()]
        for m in read_matrices(path)
    }


def best(scores: list[list[int]], left: str, allele: str, right: str) -> int | None:
    """The best score over both strands and all windows that overlap the allele, or after a deletion the junction."""
    sequence, w = left + allele + right, len(scores)
    found = []
    for i in range(len(sequence) - w + 1):
        overlaps = i < len(left) + len(allele) and i + w > len(left)
        if allele == "":
            overlaps = i < len(left) < i + w
        window = sequence[i : i + w]
        if overlaps and "N" not in window:
            for text in (window, window.translate(PAIR)[::-1]):
                found.append(sum(row[BASES.index(base)] for row, base in zip(scores, text, strict=True)))
    return max(found) if found else None


def naive_p(scores: list[list[int]], score: int) -> float:
    """The fraction of all sequences that score as high."""
    sums = [sum(row[b] for row, b in zip(scores, codes, strict=True)) for codes in product(range(4), repeat=len(scores))]
    return sum(s >= score for s in sums) / len(sums)


ALLELES = [("A", "C"), ("AC", "GT"), ("", "ACG"), ("ACG", ""), ("AC", "G"), ("A", "TTTT")]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from(ALLELES),
    st.text("ACGTN", min_size=0, max_size=9),
    st.text("ACGT", min_size=1, max_size=9),
)
def test_changes_are_those_of_a_loop(tmp_path_factory, seed: int, allele: tuple[str, str], left: str, right: str) -> None:
    folder = tmp_path_factory.mktemp("motifs")
    motifs = write_motifs(folder / "m.meme", seed)
    left = left + "G"  # an anchor
    ref, alt = allele
    (folder / "g.fa").write_text(f">c\n{left}{ref}{right}\n")
    fields = f"c\t{len(left)}\t.\t{left[-1]}{ref}\t{left[-1]}{alt}\t.\t.\t."
    (folder / "q.vcf").write_text(f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{fields}\n")
    annotations = read_annotations(motifs=motifs, motif_p=0.02)
    annotate_variants(folder / "q.vcf", annotations, folder / "out.vcf", genome=Genome(folder / "g.fa"))
    with open_vcf(folder / "out.vcf") as file:
        info = parse_info(next(iter(file)))
    changes = {}
    shift = 0  # an insertion or deletion is scored where normalisation puts it
    while not (ref and alt) and left[-1 - shift :] and len(left) > 1 + shift and left[-1] == (ref or alt)[-1]:
        ref, alt = (left[-1] + ref[:-1], alt) if ref else (ref, left[-1] + alt[:-1])
        right, left = left[-1] + right, left[:-1]
    for name, scores in naive_scores(motifs).items():
        before, after = best(scores, left, ref, right), best(scores, left, alt, right)
        if before is not None and after is not None and naive_p(scores, max(before, after)) <= 0.02:
            changes[name] = (before, after, naive_p(scores, max(before, after)))
    for key, sign in (("GAINED", 1), ("LOST", -1)):
        largest = max((sign * (after - before) for before, after, _ in changes.values()), default=0)
        if largest <= 0:
            assert f"GF_MOTIF_{key}" not in info
            continue
        before, after, p = changes[info[f"GF_MOTIF_{key}"]]
        assert sign * (after - before) == largest
        assert float(info[f"GF_MOTIF_{key}_REF"]) == before / 100
        assert float(info[f"GF_MOTIF_{key}_ALT"]) == after / 100
        assert float(info[f"GF_MOTIF_{key}_P"]) == pytest.approx(p, rel=0.01)


def test_tails_are_exact() -> None:
    rng = np.random.default_rng(3)
    scores = integer_scores(Matrix("m", rng.dirichlet(np.full(4, 0.5), 5), 50))
    tail = tail_probabilities(scores)
    sums = sorted({sum(int(scores[i, b]) for i, b in enumerate(codes)) for codes in product(range(4), repeat=5)})
    for score in sums:
        assert tail.p[score - tail.lowest] == pytest.approx(naive_p(scores.tolist(), score))
    assert (tail.lowest, tail.p[0]) == (sums[0], pytest.approx(1))


def test_by_hand(tmp_path: Path) -> None:
    """ACGT with 100 sites at every base: log2(100.025 / 100.1 / 0.25) = 2.00, the others log2(0.025 / 100.1 / 0.25) = -9.97."""
    p = np.zeros((4, 4))
    p[:, :] = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    write_meme(tmp_path / "m.meme", [Matrix("acgt", p, 100)])
    (tmp_path / "g.fa").write_text(">c\nTTTTACGTTTTT\n")
    row = "c\t6\t.\tC\tG,T\t.\t.\t.\n"
    (tmp_path / "q.vcf").write_text(f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{row}")
    words = ["-f", tmp_path / "g.fa", "--motifs", tmp_path / "m.meme", "--motif-p", 0.004]
    result = run_well("annotate", tmp_path / "q.vcf", *words, "-o", tmp_path / "out.vcf")
    assert "motifs: 2 of 2 alleles change a motif of m.meme with P <= 0.004" in result.stderr
    with open_vcf(tmp_path / "out.vcf") as file:
        info = parse_info(next(iter(file)))
        header = file.header
    assert info["GF_MOTIF_LOST"] == "acgt,acgt"
    assert info["GF_MOTIF_LOST_REF"] == "8,8"
    assert info["GF_MOTIF_LOST_ALT"] == "-3.97,-3.97"
    assert info["GF_MOTIF_LOST_P"] == "0.00391,0.00391"  # 1 / 4^4
    assert "GF_MOTIF_GAINED" not in info
    assert any(line.startswith("##INFO=<ID=GF_MOTIF_LOST_P,Number=A,Type=Float") for line in header)
    assert any(line.startswith("##genoformer_annotation=<ID=GF_MOTIF,") for line in header)


def test_wrong_input(tmp_path: Path) -> None:
    motifs = write_motifs(tmp_path / "m.meme")
    (tmp_path / "g.fa").write_text(">c\nTTTTACGTTTTT\n")
    (tmp_path / "q.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nc\t6\t.\tC\tG\t.\t.\t.\n"
    )
    assert_refused(run("annotate", tmp_path / "q.vcf", "--motifs", motifs), "--motifs needs the sequence around the variants")
    with pytest.raises(OptionError, match="is 2, expected a probability"):
        read_annotations(motifs=motifs, motif_p=2)
    with pytest.raises(FileFormatError, match="is a sequence, as of FASTA"):
        read_annotations(motifs=tmp_path / "g.fa")
    annotations = read_annotations(motifs=motifs, motif_p=1e-9)
    with pytest.raises(FileFormatError, match="has no motif that reaches P = 1e-09"):
        annotate_variants(tmp_path / "q.vcf", annotations, tmp_path / "out.vcf", genome=Genome(tmp_path / "g.fa"))
