"""Files of motifs, compared with what Biopython and memelite read in them; and which way a matrix lies."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from genoformer.errors import FileFormatError
from genoformer.formats.motif_files import read_matrices
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.codes import decode, encode
from genoformer.interpretation.matrices import fimo, tomtom

BIO = pytest.importorskip("Bio.motifs", reason="Biopython is a peer of the tests: pip install biopython")
SHORT = st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(lambda row: sum(row) > 1), min_size=1, max_size=4)
GATC = [[1, 1, 97, 1], [97, 1, 1, 1], [1, 1, 1, 97], [1, 97, 1, 1]]  # whose transpose is CTAG
PALE = [[8, 0, 20, 0], [12, 0, 0, 7], [0, 9, 0, 13], [0, 11, 0, 0]]  # totals of bases are alike, those of positions are not


def consensus(matrix: Matrix) -> str:
    return decode(matrix.p.argmax(1).astype(np.uint8))


def text_of(rows: Any, before: tuple[str, ...] = ("",) * 99, tab: str = "\t", after: str = "") -> str:
    return "".join(name + tab.join(map(str, row)) + after + "\n" for name, row in zip(before, rows, strict=False))


def columns(rows: list[list[int]]) -> list[tuple[int, ...]]:
    return list(zip(*rows, strict=True))


def numbered(rows: list[list[int]]) -> str:
    return text_of(rows, tuple(f"{i:02d}      " for i in range(1, len(rows) + 1)), "      ", "      N")


FORMATS: dict[str, tuple[Callable[[list[list[int]]], str], str]] = {
    "JASPAR": (lambda rows: ">X1\tx\n" + text_of(columns(rows), ("A [ ", "C [ ", "G [ ", "T [ "), " ", " ]"), "jaspar"),
    "JASPAR without letters": (lambda rows: ">MA0001.1\tx\n" + text_of(columns(rows)), "jaspar"),
    "JASPAR's accession": (lambda rows: ">MA0001.1 x\n" + text_of(columns(rows), tab=" "), "jaspar"),
    "letters in another order": (
        lambda rows: text_of(columns([row[::-1] for row in rows]), ("T | ", "G | ", "C | ", "A | ")),
        "pfm-four-rows",
    ),
    "TRANSFAC": (lambda rows: f"ID  x\nXX\nP0      A      C      G      T\n{numbered(rows)}XX\n//\n", "transfac"),
    "Cluster-Buster": (lambda rows: ">x\n# WEIGHT: 2.5\n" + text_of(rows), "clusterbuster"),
    "HOMER": (lambda rows: f">{'N' * len(rows)}\tx/Homer\t6.05\t-17.8\t0\n" + text_of(rows), "pfm-four-columns"),
    "CIS-BP": (
        lambda rows: "Pos\tA\tC\tG\tT\n" + text_of(rows, tuple(f"{i}\t" for i in range(1, 5))),
        "pfm-four-columns",
    ),
    "columns in another order": (
        lambda rows: "T A G C\n" + text_of([[r[3], r[0], r[2], r[1]] for r in rows]),
        "pfm-four-columns",
    ),
}


def of_bio(motif: Any) -> Matrix:
    return Matrix.of_counts("", np.array([motif.counts[base] for base in "ACGT"]).T)


@pytest.mark.parametrize("name", FORMATS)
@given(rows=SHORT)
@example(rows=GATC)
@example(rows=PALE)
@settings(max_examples=30)
def test_short_matrices_are_those_that_biopython_reads(tmp_path_factory, name: str, rows: list[list[int]]) -> None:
    write, theirs = FORMATS[name]
    path = tmp_path_factory.mktemp("m") / "m.txt"
    path.write_text(write(rows))
    (ours,) = read_matrices(path)
    (motif,) = BIO.parse(io.StringIO(write(rows)), theirs)
    np.testing.assert_allclose(ours.p, of_bio(motif).p)
    np.testing.assert_allclose(ours.p, Matrix.of_counts("", np.array(rows, dtype=float)).p)


@given(rows=SHORT, keys=st.sampled_from(["", " w= {w}", " alength= 4 w= {w} nsites= 20 E= 0", " alength=4 w={w}"]))
@example(rows=GATC, keys=" w= {w}")
def test_short_matrices_of_meme_are_those_that_memelite_reads(tmp_path_factory, rows: list[list[int]], keys: str) -> None:
    read_meme = pytest.importorskip("memelite.io", reason="memelite is an extra: pip install genoformer[interpret]").read_meme
    path = tmp_path_factory.mktemp("m") / "m.meme"
    p = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    head = "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF x other\nletter-probability matrix:"
    path.write_text(head + keys.format(w=len(p)) + "\n" + text_of(p.tolist(), tab=" ") + "URL http://x\n")
    (ours,) = read_matrices(path)
    np.testing.assert_allclose(ours.p, p)
    if "w=" in keys:  # which memelite needs
        np.testing.assert_allclose(ours.p, read_meme(str(path))["x other"].T)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("MA0004.1\tArnt\t20", "MA0004.1 Arnt 20"),  # JASPAR's, and a number of sites
        ("MA0004.1\tArnt", "MA0004.1 Arnt"),
        ("MA0004.1 Arnt\tbHLH\t0.9", "MA0004.1 Arnt bHLH 0.9"),
        ("CACGTG\tArnt(bHLH)/Cell\t6.5\t-10", "Arnt(bHLH)/Cell"),  # HOMER's
        ("CACGTG\tMA0004.1 Arnt\t6.5", "MA0004.1 Arnt"),
        ("CACGTG\t\t6.5", "CACGTG"),
    ],
)
def test_an_accession_stays_in_the_name(tmp_path: Path, header: str, name: str) -> None:
    (tmp_path / "m.txt").write_text(f">{header}\n8\t1\t0\t1\n1\t8\t1\t0\n")
    (matrix,) = read_matrices(tmp_path / "m.txt")
    assert matrix.name == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (">x\n{a}", "line 1: motif x is four by four numbers, and nothing says if rows are bases or positions; write A, C, G"),
        ("{a}", "four by four numbers"),
        (">x\n{a}>y\n{a}1\t2\t3\t4\n", "GATC GATCT"),  # as the other motif of the file
        (">x\n{a}>y\n1\t2\n5\t1\n1\t1\n1\t1\n", "CTAG CA"),
        (">x\n{a}>y\n1\t2\n5\t1\n1\t1\n1\t1\n>z\n1\t1\t1\t7\n", "four by four numbers"),  # two ways in one file
        (">x\n{a}>y\nA [ 1 ]\nC [ 1 ]\nG [ 1 ]\nT [ 9 ]\n", "CTAG T"),
        (">x\ty\n{a}", "four by four numbers"),
        (">AHR_HUMAN.H11MO.0.B\tAHR\n{a}", "four by four numbers"),
        (">GATC\n{a}", "four by four numbers"),
        (">GATC\tDam\n{a}", "GATC"),
        (">rwbm\tDam\n{a}", "GATC"),
        (">CUAG\tDam\n{a}", "CTAG"),
        (">NNNN\tDam\n{a}", "four by four numbers"),  # both ways
        (">GGGG\tDam\n{a}", "four by four numbers"),  # neither
        (">GATC\tDam\n{a}>x\n{a}", "GATC GATC"),
        (">MA0001.1 AGL3\n{a}", "CTAG"),
        (">MA0001.1\tAGL3\n{a}", "CTAG"),
        (">MA0001.1\tAGL3\t1\n{a}", "CTAG"),
        (">MA0001.1\tAGL3\t1\n{a}>y\ty\t1\n1\t1\t1\t7\n", "GATC T"),  # a file of HOMER with names of JASPAR
        (">x\ty\t0.5\n{a}", "four by four numbers"),
        (">GATC\ty\t0.5\n{a}", "GATC"),
        (">NNNN\ty\t0.5\n{a}", "GATC"),
        (">CTAG\ty\t0.5\n{a}", "four by four numbers"),  # HOMER has positions alone
        (">GAT\ty\t0.5\n{a}", "four by four numbers"),
        (">x\ty\tz\n{a}", "four by four numbers"),  # no threshold
        (">x\n# GAP 3\n{a}", "GATC"),
        (">x\n# a comment\n{a}", "four by four numbers"),
        (">x\nA C G T\n{a}", "GATC"),
        (">x\nT G C A\n{a}", "CTAG"),
        (">x\n[{a}", "CTAG"),
    ],
)
def test_four_by_four_numbers_lie_as_the_format_says(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "m.txt").write_text(text.format(a=text_of(GATC)))
    try:
        answer = " ".join(consensus(matrix) for matrix in read_matrices(tmp_path / "m.txt"))
    except FileFormatError as error:
        answer = str(error)
    assert said in answer


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89HDF\r\n\x1a\n", "m.txt is HDF5, as TF-MoDISco writes; write its motifs with `modisco meme"),
        (b"PK\x03\x04", "is a zip archive or .npz"),
        (b"<?xml version='1.0'?>\n<MEME>\n", "is XML or HTML; give the text file that MEME writes next to it"),
        (b'{"pfm": {"A": [1]}}', "is JSON"),
        (b">x\nACGT\n", "line 2: 'ACGT' is a sequence, as of FASTA"),
        (b">x\nA [ 1 ]\nD [ 1 ]\n", "line 3: motif x has a row of D, which is an amino acid, as motifs of proteins have"),
        (b">x\nA 1 2 3\nC 1 2 3\nD 1 2 3\nE 1 2 3\n", "line 4: motif x has a row of D, which is an amino acid"),
        (b"A\t1\t2\nR\t1\t2\n", "line 2: motif m has a row of R, which is an amino acid"),
        (b">x\nA [ 1 ]\nC [ 1 ]\nG [ 1 ]\nN [ 0 ]\n", "line 5: motif x has a row of N, which is any base; remove the row"),
        (b">x\nA 1\nZ 1\n", "line 3: motif x has a row of Z, which is no base"),
        (
            b">x\nA [1.9 .1 .02]\nC [.02 1.2 .01]\nG [.01 .1 .01]\nT [.01 .2 .05]\n",
            "line 1: motif x has decimals, and its positions sum to 0.09 up to 1.94: it holds information contents (ICM) or",
        ),
        (b">x\n1.5 0 0 0\n0 2 0 0\n0 0 0.1 0\n", "positions sum to 0.1 up to 2"),
        (b"P0 A C G T\n01 1.9 0 0.02 0\n02 0.1 0.2 0.1 0.1\n//\n", "line 1: motif motif_1 has decimals"),
        (b">x\nA [ 1 ]\nA [ 1 ]\nG [ 1 ]\nT [ 1 ]\n", "line 2: motif x has the rows A, A, G, T"),
        (b">x\nA [ 1 2 ]\nC [ 1 ]\nG [ 1 2 ]\nT [ 1 2 ]\n", "line 3: this row of motif x has 1 numbers, the first one 2"),
        (b">x\nA [ 1 2 ]\nC [ 1 -1 ]\nG [ 1 2 ]\nT [ 1 2 ]\n", "lines 2 to 5, position 2: motif x has negative numbers"),
        (b">x\n.1 .1 .1 .1\n.1 .2 .3 .4\n", "line 2: probabilities of motif x sum to 0.4 and not to 1"),
        (b">x\n1 2 3 4\n0 0 0 0\n", "line 3: motif x has a position without counts"),
        (b">x\n0.1 nan 0.1 0.1\n", "line 2: '0.1 nan 0.1 0.1' are no numbers of a motif"),
        (b"nan 0.1 0.1 0.1\n0.1 0.1 0.1 0.7\n", "line 1: 'nan 0.1 0.1 0.1' are no numbers"),
        (b">x\n0,1 0,2 0,3 0,4\n", "line 2: '0,1 0,2 0,3 0,4' are no numbers of a motif"),
        (b">x\n>y\n1 2 3 4\n", "line 1: motif x has no rows of numbers"),
        (b">x\nA [ ]\nC [ ]\nG [ ]\nT [ ]\n", "line 1: motif x has no rows of numbers"),
        (b">x\ty\t0.5\n1 2 3\n", "line 2: motif y is not four numbers (A, C, G, T) for every position; this row has 3"),
        (b"Pos A C G T\n1 .1 .2 .7\n", "line 2: motif m is not four numbers (A, C, G, T) for every position; this row has 3"),
    ],
)
def test_what_is_no_file_of_motifs_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "m.txt").write_bytes(content)
    with pytest.raises(FileFormatError) as refused:
        read_matrices(tmp_path / "m.txt")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "n_sites"),
    [
        ("9.00 1.00 0.00 0.00\n1.00 1.00 1.00 2.00\n", 10),  # whole numbers
        ("9.25 1.25 0.25 0.25\n1.25 1.25 1.25 2.25\n", 11),  # a pseudocount
        ("9.13 1.26 0.12 0.2\n1.2 5.3 2.1 2.1\n", 11),  # weighted sites, 10.71 and 10.7
        ("97.5 0.8 0.8 0.8\n25 25 25 25\n1.0 2.0 3.0 94.0\n", 100),  # percent
    ],
)
def test_counts_with_decimals_have_one_total(tmp_path: Path, text: str, n_sites: int) -> None:
    (tmp_path / "m.txt").write_text(">x\n" + text)
    (matrix,) = read_matrices(tmp_path / "m.txt")
    assert matrix.n_sites == n_sites
    assert matrix.p[0].argmax() == 0


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (">AC\tAP-1(bZIP)/Homer\t6.0\t-17\n.1 .7 .1 .1\n", ["AP-1(bZIP)/Homer"]),
        (">MA0001.1\tAGL3\n1\n2\n3\n4\n", ["MA0001.1 AGL3"]),
        ("> AHR_si\n1 2 3 4\n>\n1 2 3 4\n", ["AHR_si", "motif_3"]),
        ("1 2 3 4\n\n1 2 3 4\n", ["m", "m_2"]),
        ("TF\tT1\nTF Name\tGATA1\nMotif\tM0001_1.02\nPos\tA\tC\tG\tT\n1\t1\t2\t3\t4\n", ["M0001_1.02"]),
        ("Protein: Six6\tSeed k-mer: A.C\nA:\t.1\nC:\t.4\nG:\t.3\nT:\t.2\n", ["Six6"]),
        (">x\n1 2 3 4\n>x\n4 3 2 1\n", ["x", "x"]),
    ],
)
def test_every_motif_is_kept_under_its_name(tmp_path: Path, text: str, names: list[str]) -> None:
    (tmp_path / "m.txt").write_text(text)
    assert [matrix.name for matrix in read_matrices(tmp_path / "m.txt")] == names


def test_every_motif_of_jaspar_as_biopython_reads_and_writes_it(tmp_path: Path, real_data: Path) -> None:
    path = real_data / "motifs" / "jaspar2024_core.transfac.gz"
    with gzip.open(path, "rt") as file:
        theirs = BIO.parse(file, "transfac", strict=False)
    ours = read_matrices(path)
    assert [matrix.name for matrix in ours] == [f"{motif['AC']} {motif['ID']}" for motif in theirs]
    for matrix, motif in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(matrix.p, of_bio(motif).p)
    for motif in theirs:
        motif.matrix_id, motif.name = motif["AC"], motif["ID"]
    for form in ("jaspar", "transfac"):
        (tmp_path / form).write_text(BIO.write(theirs, form))
        again = read_matrices(tmp_path / form)
        assert [matrix.name for matrix in again] == [matrix.name for matrix in ours]
        assert max(abs(a.p - b.p).max() for a, b in zip(again, ours, strict=True)) < 1e-4  # JASPAR's has two decimals
    for header in ("{} {}", "{}\t{}\t1.5"):  # by bases, then by positions
        by_bases = "\t" not in header
        rows = [text_of(m.p.T.tolist() if by_bases else m.p.tolist()) for m in ours]
        names = [header.format(*m.name.split(" ", 1)) for m in ours]
        (tmp_path / "plain").write_text("".join(f">{name}\n{row}" for name, row in zip(names, rows, strict=True)))
        for a, b in zip(read_matrices(tmp_path / "plain"), ours, strict=True):
            np.testing.assert_allclose(a.p, b.p)


def test_every_motif_of_hocomoco_as_memelite_reads_it(tmp_path: Path, real_data: Path) -> None:
    read_meme = pytest.importorskip("memelite.io", reason="memelite is an extra: pip install genoformer[interpret]").read_meme
    (tmp_path / "m.meme").write_bytes(gzip.decompress((real_data / "motifs" / "hocomoco_v12_core.meme.gz").read_bytes()))
    theirs, ours = read_meme(str(tmp_path / "m.meme")), read_matrices(tmp_path / "m.meme")
    assert [matrix.name for matrix in ours] == list(theirs)
    for matrix, p in zip(ours, theirs.values(), strict=True):
        np.testing.assert_allclose(matrix.p, p.T, atol=1e-6)


def test_short_motifs_are_scanned_and_matched() -> None:
    """In one test: numba compiles for a minute in the first process that scans, and would in another one at the same time."""
    pytest.importorskip("memelite", reason="memelite is an extra: pip install genoformer[interpret]")
    text = "TTTTTTTTTTGATCTTTTTTTTTTTTTTTTTTTTTTTCTAGTTTTTTTTACCAGTGATG"
    for word in ("G", "GA", "GAT", "GATC"):
        sharp = Matrix(word, np.where(encode(word)[:, None] == np.arange(4), 0.97, 0.01))
        turned = word[::-1].translate(str.maketrans("ACGT", "TGCA"))
        expected = {(i, s) for i in range(len(text)) for s, of in (("+", word), ("-", turned)) if text.startswith(of, i)}
        hits = fimo([sharp], [encode(text)], threshold=0.25 ** len(word) * 1.01)
        assert {(hit.start, hit.strand) for hit in hits} == expected, word
        (match,) = tomtom([sharp], [sharp], n_nearest=1)
        assert (match.target, match.offset, 0 <= match.p <= 1) == (word, 0, True)
