"""A session reads the files of a request, and returns what it wrote."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from small_models import small_encoder

from genoformer.errors import ConfigError
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.request import InterpretationRequest, IsmOptions, MotifOptions
from genoformer.interpretation.session import Result, Session, join_notes, merge, open_session
from genoformer.models import registry
from genoformer.progress import Progress
from genoformer.tokenizers import KmerTokenizer

TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 400))


@pytest.fixture
def request_(tmp_path: Path) -> InterpretationRequest:
    (tmp_path / "g.fa").write_text(f">chr1\n{TEXT}\n")
    (tmp_path / "r.bed").write_text("chr1\t100\t140\tone\nchr1\t200\t240\ttwo\n")
    registry.save(small_encoder(KmerTokenizer(3), context_length=30), tmp_path / "model")
    return InterpretationRequest(tmp_path / "r.bed", tmp_path / "model", tmp_path / "out", tmp_path / "g.fa", n_figures=1)


def test_a_session_has_the_loci_and_notes_of_its_files(request_: InterpretationRequest, tmp_path: Path) -> None:
    (tmp_path / "n.fa").write_text(">n\nACGTACGT\n")
    seen: list[Progress] = []
    session = open_session(request_, MotifOptions(negative=tmp_path / "n.fa"), seen.append)
    assert [locus.name for locus in session.loci] == ["one", "two"]
    assert [locus.name for locus in session.drawn] == ["one"]
    assert [locus.name for locus in session.background] == ["n"]
    assert session.opened.notes == ("regions have up to 40 bases, but the model was trained on 30; give a shorter length.",)
    assert session.figure_path(1, "_matrix") == tmp_path / "out" / "002_two_matrix"
    assert session.progress is not None
    session.progress(Progress("attention", 2, 2))
    assert seen == [Progress("attention", 2, 2)]
    with pytest.raises(FrozenInstanceError):
        session.loci = []  # type: ignore[misc]


def test_files_and_notes_of_maps_are_returned(request_: InterpretationRequest) -> None:
    session: Session = open_session(request_)
    maps = [np.arange(40.0), np.ones(40)]
    result = session.write(maps, "numbers")
    assert [path.name for path in result.files] == ["maps.npz", "maps.bw"]
    assert result.notes == (f"{result.files[0]}: numbers, 2 regions", f"{result.files[1]}: 80 bases")
    np.testing.assert_array_equal(result.maps, maps)
    drawn = session.draw(maps, lambda model, loci: [], "number", ["a note"])
    assert [path.name for path in drawn.files] == ["001_one.png", "001_one.svg"]
    assert all(path.exists() for path in (*result.files, *drawn.files))


def test_genes_need_a_genome(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="genes and elements need a genome"):
        open_session(InterpretationRequest(tmp_path / "a.fa", "demo", tmp_path / "out", gtf=tmp_path / "a.gtf"))


def test_results_are_merged_in_their_order() -> None:
    first, second = Result(notes=("a",), files=(Path("x"),)), Result((np.ones(2),), ("b", "c"))
    merged = merge(first, Result(), second)
    assert (merged.notes, merged.files, len(merged.maps)) == (("a", "b", "c"), (Path("x"),), 1)


def test_notes_of_a_figure_stand_in_one_line() -> None:
    assert join_notes(["a", "", "c"], ["b"], []) == ["a; b", "", "c"]


def test_a_locus_without_a_contig_has_no_annotation(request_: InterpretationRequest) -> None:
    session = open_session(request_)
    assert session.visible(session.loci[0]) is None
    assert session.visible(Locus("a", "", 0, session.loci[0].codes)) is None


def test_shifts_are_text_or_numbers() -> None:
    assert IsmOptions(shifts="-8,0").windows == IsmOptions(shifts=[-8, 0]).windows
    assert IsmOptions(shifts="-8,0").windows.shifts == (-8, 0)
    for shifts in ("x", "", (), [0.5], 3, [True]):
        with pytest.raises(ConfigError, match=r"^option shifts is .*, expected whole numbers; give numbers and commas"):
            IsmOptions(shifts=shifts)  # type: ignore[arg-type]
