"""FASTA, tables, motifs and model folders of any bytes: read, or refused in a sentence of ours."""

from __future__ import annotations

import shutil
from importlib.resources import files
from pathlib import Path

import pytest
from amounts import examples
from any_bytes import changed, read_or_refuse
from hypothesis import given
from hypothesis import strategies as st
from sample_files import (
    BEDGRAPH,
    CISBP,
    CUSTOM,
    FASTA,
    FASTA_LABELLED,
    HOMER,
    JASPAR,
    LABELLED,
    MEME,
    METADATA,
    TARGETS,
    TRANSFAC,
)

from genoformer.datasets.sequences import read_labelled, read_sequences
from genoformer.formats.alphagenome_metadata import read_metadata
from genoformer.formats.motif_files import read_matrices
from genoformer.formats.track_table import read_targets
from genoformer.formats.tracks import open_track
from genoformer.genome.reference import Genome
from genoformer.models import registry

DEMO = Path(str(files("genoformer_data") / "models" / "demo"))


@examples(200)
@given(content=changed(FASTA), zipped=st.booleans())
def test_fasta(tmp_path_factory: pytest.TempPathFactory, content: bytes, zipped: bool) -> None:
    folder = tmp_path_factory.mktemp("fuzz")

    def read(path: Path) -> None:
        with Genome(path) as genome:
            for contig in genome.contigs:
                genome.windows(contig, [-2, 0, 1], 12)

    read_or_refuse(read, folder / ("a.fa.gz" if zipped else "a.fa"), content, zipped)


@examples(200)
@given(
    content=changed(LABELLED) | changed(FASTA_LABELLED),
    name=st.sampled_from(["a.csv", "a.tsv", "a.fa", "a.txt"]),
    zipped=st.booleans(),
)
def test_labelled(tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str, zipped: bool) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    read_or_refuse(read_labelled, folder / name, content, zipped)
    read_or_refuse(read_sequences, folder / f"s_{name}", content, zipped)


@examples(200)
@given(content=st.sampled_from([MEME, JASPAR, TRANSFAC, HOMER, CISBP, CUSTOM]).flatmap(changed), zipped=st.booleans())
def test_motifs(tmp_path_factory: pytest.TempPathFactory, content: bytes, zipped: bool) -> None:
    read_or_refuse(read_matrices, tmp_path_factory.mktemp("fuzz") / "a.meme", content, zipped)


@examples(200)
@given(content=changed(METADATA))
def test_metadata_of_tracks(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    read_or_refuse(read_metadata, tmp_path_factory.mktemp("fuzz") / "a.textproto", content, False)


@examples(150)
@given(content=changed(TARGETS))
def test_targets(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    read_or_refuse(read_targets, tmp_path_factory.mktemp("fuzz") / "a.tsv", content, False)


@examples(150)
@given(content=changed(BEDGRAPH), zipped=st.booleans())
def test_bedgraph(tmp_path_factory: pytest.TempPathFactory, content: bytes, zipped: bool) -> None:
    def read(path: Path) -> None:
        track = open_track(path)
        for contig in track.contigs:
            track.values(contig, 0, 20)
        track.close()

    name = "a.bedGraph.gz" if zipped else "a.bedGraph"
    read_or_refuse(read, tmp_path_factory.mktemp("fuzz") / name, content, zipped)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Path:
    return tiny_model_folder


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors", "manifest.json"])
def test_model_folders(tmp_path_factory: pytest.TempPathFactory, tiny: Path, name: str) -> None:
    """A changed file of a model: loaded, or refused; never code that runs, nor memory beyond reason."""
    valid = (tiny / name).read_bytes() if (tiny / name).exists() else b"{}"
    folder = tmp_path_factory.mktemp("model") / "m"
    shutil.copytree(tiny, folder)

    @examples(120)
    @given(content=changed(valid))
    def check(content: bytes) -> None:
        read_or_refuse(lambda path: registry.load(path.parent), folder / name, content, False)

    check()


def test_the_demo_is_untouched() -> None:
    assert registry.load("demo").sha256
    assert (DEMO / "config.json").is_file()
