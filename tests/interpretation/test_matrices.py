"""Files of motifs both ways, and matching against what was planted."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.errors import FileFormatError
from genoformer.formats.motif_files import read_matrices, write_meme
from genoformer.formats.motif_matrix import Matrix
from genoformer.genome.codes import encode, reverse_complement
from genoformer.inference import threads
from genoformer.interpretation.matrices import fimo, tomtom, trimmed

COUNTS = np.array([[10, 0, 0, 0], [0, 8, 1, 1], [5, 5, 0, 0]], dtype=float)
MEME = """MEME version 4

ALPHABET= ACGT

strands: + -

MOTIF MA0001.1 one
letter-probability matrix: alength= 4 w= 2 nsites= 7 E= 0
 0.5 0.5 0.0 0.0
 1.0 0.0 0.0 0.0
URL http://example.org

MOTIF two
letter-probability matrix: alength= 4 w= 1 nsites= 20
0.1 0.2 0.3 0.4
"""
JASPAR = ">MA0001.1\tone\nA [ 10 0 5 ]\nC [ 0 8 5 ]\nG [ 0 1 0 ]\nT [ 0 1 0 ]\n>MA0002 two\n1 1\n1 1\n1 1\n2 2\n"
PFM = ">one\n10 0 5\n0 8 5\n0 1 0\n0 1 0\n"
HOCOMOCO = ">one_HUMAN.H11MO.0.A\n10.0\t0.0\t0.0\t0.0\n0.0\t8.0\t1.0\t1.0\n5.0\t5.0\t0.0\t0.0\n"


@pytest.mark.parametrize("text", [JASPAR, PFM, HOCOMOCO], ids=["jaspar", "pfm", "hocomoco"])
def test_counts_of_every_kind_of_file_become_the_same_frequencies(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.txt").write_text(text)
    first = read_matrices(tmp_path / "m.txt")[0]
    assert first.name.startswith(("one", "MA0001.1 one"))
    assert first.n_sites == 10
    np.testing.assert_allclose(first.p, (COUNTS + 0.025) / 10.1)


def test_a_meme_file_is_read_and_written(tmp_path: Path) -> None:
    (tmp_path / "m.meme").write_text(MEME)
    one, two = read_matrices(tmp_path / "m.meme")
    assert (one.name, one.n_sites, one.p.tolist()) == ("MA0001.1 one", 7, [[0.5, 0.5, 0, 0], [1, 0, 0, 0]])
    assert (two.name, two.n_sites) == ("two", 20)
    write_meme(tmp_path / "again.meme", [one, two])
    for before, after in zip((one, two), read_matrices(tmp_path / "again.meme"), strict=True):
        assert (before.name, before.n_sites) == (after.name, after.n_sites)
        np.testing.assert_allclose(before.p, after.p, atol=1e-6)


@given(st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=4), min_size=1, max_size=9))
@settings(deadline=None, max_examples=40)
def test_matrices_survive_a_round_trip(tmp_path_factory, rows) -> None:
    counts = np.array(rows, dtype=float)
    matrix = Matrix.of_counts("m", counts)
    path = tmp_path_factory.mktemp("m") / "m.meme"
    write_meme(path, [matrix])
    (again,) = read_matrices(path)
    np.testing.assert_allclose(again.p, matrix.p, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no motif; give a MEME or TRANSFAC file, or one of JASPAR"),
        (">a\n1 2 3\n4 5 6\n", "line 2: motif a is not four numbers for every position: it has 2 rows, and this one has 3"),
        (">a\n1 2\n1 2\n1 2\n1 x\n", "line 5: '1 x' are no numbers of a motif"),
        (">a\n0 2\n0 2\n0 2\n0 2\n", "lines 2 to 5, position 1: motif a has a position without counts"),
        (MEME.replace("0.1 0.2 0.3 0.4", "0.1 0.2 0.3"), "line 15: motif two is not four numbers"),
    ],
)
def test_broken_files_are_refused_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.txt").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_matrices(tmp_path / "m.txt")
    with pytest.raises(FileFormatError, match="does not exist or is no file; give a file of motifs"):
        read_matrices(tmp_path / "none.txt")


def test_ends_without_information_are_cut_off() -> None:
    flat, sharp = [0.25] * 4, [0.97, 0.01, 0.01, 0.01]
    assert len(trimmed(Matrix("m", np.array([flat, sharp, flat, sharp, flat]))).p) == 3
    assert len(trimmed(Matrix("m", np.array([flat, flat]))).p) == 2


def known(n: int = 30) -> list[Matrix]:
    random = np.random.default_rng(0)
    return [Matrix.of_counts(f"known{i}", random.dirichlet(np.full(4, 0.2), 10) * 50) for i in range(n)]


def test_a_motif_is_matched_with_itself_on_either_strand() -> None:
    pytest.importorskip("memelite", reason="memelite is an extra: pip install genoformer[interpret]")
    targets = known()
    turned = Matrix("turned", targets[7].p[::-1, ::-1])
    part = Matrix("part", targets[3].p[1:9])
    before = torch.get_num_threads()
    with threads(before % 2 + 1):
        found = tomtom([turned, part], targets, n_nearest=3)
        assert torch.get_num_threads() == before % 2 + 1  # numba's are the same
    assert [m.query for m in found] == ["turned"] * 3 + ["part"] * 3
    assert (found[0].target, found[0].strand) == ("known7", "-")
    assert (found[3].target, found[3].strand) == ("known3", "+")
    assert found[0].p < 1e-5
    assert found[0].q >= found[0].p
    assert tomtom([], targets) == []


def test_places_of_a_motif_are_found_on_both_strands() -> None:
    pytest.importorskip("memelite", reason="memelite is an extra: pip install genoformer[interpret]")
    site = "GGCACGTTAC"
    matrix = Matrix.of_counts("m", (encode(site)[:, None] == np.arange(4)) * 20.0)
    random = np.random.default_rng(2)
    sequences = [random.integers(0, 4, n, dtype=np.uint8) for n in (60, 80, 60)]
    sequences[0][12:22] = encode(site)
    sequences[1][50:60] = reverse_complement(encode(site))
    found = fimo([matrix], sequences, threshold=1e-5)
    assert [(hit.sequence, hit.start, hit.end, hit.strand) for hit in found] == [(0, 12, 22, "+"), (1, 50, 60, "-")]
    assert all(hit.p < 1e-5 and hit.motif == "m" for hit in found)
    assert fimo([matrix], [np.zeros(5, np.uint8)]) == []


def test_transfac_as_jaspar_gives_it(tmp_path) -> None:
    rows = "01\t0.0\t92.0\t0.0\t8.0\n02\t10\t80\t5\t5\n03\t1\t1\t1\t97\n"
    entry = f"AC MA0001.3\nXX\nID AGL3\nXX\nDE MA0001.3 AGL3\nPO\tA\tC\tG\tT\n{rows}XX\nCC tax_group:plants\n//\n"
    other = entry.replace("MA0001.3", "MA0002.1").replace("AGL3", "Runx1").replace("PO\t", "P0\t")
    with gzip.open(tmp_path / "a.transfac.gz", "wt") as file:
        file.write(entry + other)
    found = read_matrices(tmp_path / "a.transfac.gz")
    assert [matrix.name for matrix in found] == ["MA0001.3 AGL3", "MA0002.1 Runx1"]
    assert found[0].p.shape == (3, 4)
    np.testing.assert_allclose(found[0].p[0], [0, 0.92, 0, 0.08], atol=1e-3)


@pytest.mark.parametrize(("name", "n"), [("jaspar2024_core.transfac.gz", 2_000), ("hocomoco_v12_core.meme.gz", 1_000)])
def test_published_collections(name, n, real_data) -> None:
    found = read_matrices(real_data / "motifs" / name)
    assert len(found) > n
    assert len({matrix.name for matrix in found}) == len(found)
    assert all(np.allclose(matrix.p.sum(1), 1) for matrix in found)


def test_few_targets_are_compared_with_their_shuffles() -> None:
    pytest.importorskip("memelite", reason="memelite is an extra: pip install genoformer[interpret]")
    rng = np.random.default_rng(0)
    known = [Matrix(f"k{i}", rng.dirichlet(np.full(4, 0.3), 12)) for i in range(10)]
    noise = [Matrix(f"n{i}", rng.dirichlet(np.full(4, 0.7), 12)) for i in range(20)]
    found = tomtom([*known, *noise], known, n_nearest=1)
    assert [match.target for match in found[:10]] == [matrix.name for matrix in known]
    assert all(match.q < 0.01 for match in found[:10])
    assert sum(match.q < 0.01 for match in found[10:]) <= 2


def test_reading_is_known_by_this_address_too() -> None:
    from genoformer.formats import motif_files
    from genoformer.interpretation import matrices

    assert matrices.read_matrices is motif_files.read_matrices
