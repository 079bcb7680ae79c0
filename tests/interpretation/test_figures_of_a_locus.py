"""What is drawn of genes, attention, contacts and alleles, read back from the Axes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from genoformer import plots
from genoformer.genome.landmarks import read_landmarks
from genoformer.genome.reference import Genome


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


def test_genes_and_elements_of_files(make_fasta, tmp_path) -> None:
    genome = Genome(make_fasta(chr1="A" * 1000, chr2="A" * 50))
    rows = [("chr1", 101, 200, "+", "a"), ("chr1", 301, 400, "+", "a"), ("1", 601, 700, "-", "b"), ("chr2", 1, 9, "+", "c")]
    (tmp_path / "g.gtf").write_text(
        "".join(f'{c}\tx\texon\t{s}\t{e}\t.\t{d}\t.\tgene_id "{n}";\n' for c, s, e, d, n in rows)
    )
    (tmp_path / "e.bed").write_text("1\t10\t20\nchr1\t500\t650\n")
    marks = read_landmarks(genome, tmp_path / "g.gtf", [f"enhancer={tmp_path / 'e.bed'}"])
    seen = marks.over("chr1", 150, 800)
    assert [(gene.name, gene.strand) for gene in seen.genes] == [("a", "+"), ("b", "-")]
    assert seen.elements["enhancer"].tolist() == [[500, 650]]
    assert seen.starts(0, 1000) == [(100, "a"), (699, "b")]
    assert seen.starts(150, 690) == []
    assert not read_landmarks(genome)


def test_genes_that_overlap_stand_in_rows(ax) -> None:
    genes = [("a", "+", [[100, 200]]), ("b", "-", [[150, 400]]), ("c", "+", [[700, 800]])]
    plots.landmarks(ax, 0, 1000, genes=genes, elements={"peaks": [[10, 20], [500, 600]]})
    heights = [line.get_ydata()[0] for line in ax.lines]
    assert heights == [0, -1, 0]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["genes", "peaks"]
    assert [text.get_text() for text in ax.texts if text.get_text()] == ["a", "b", "c"]
    assert ax.get_xlim() == (0, 1000)


def test_attention_lies_over_its_coordinates_with_elements_beside(ax) -> None:
    weights = np.arange(6.0).reshape(2, 3)
    plots.attention_map(ax, weights, [100, 110, 120], [100, 120, 130, 160], chrom="chr1", elements={"e": [[105, 125]]})
    mesh = ax.collections[0]
    np.testing.assert_allclose(mesh.get_array(), weights)
    assert (ax.get_xlim(), ax.get_ylim()) == ((100, 160), (120, 100))  # the first query on top
    assert list(ax.lines[0].get_xdata()) == [105, 125]
    assert list(ax.lines[1].get_ydata()) == [105, 120]  # cut at the edge


def test_arcs_grow_with_their_strength(ax) -> None:
    plots.contacts(ax, [(100, 500, 4.0), (100, 300, 2.0), (100, 200, 0.1)], start=0, end=1000, label="x")
    assert [(arc.get_center()[0], arc.width) for arc in ax.patches] == [(200, 200), (300, 400)]  # the third is too weak
    assert ax.patches[0].get_linewidth() < ax.patches[1].get_linewidth()


def test_alleles_share_a_scale_and_what_differs_is_shaded() -> None:
    axes = Figure(layout="constrained").subplots(2, 1, sharex=True)
    ref, alt = np.zeros((6, 4)), np.zeros((6, 4))
    ref[2, 0], alt[2, 1] = 2, -1
    plots.allele_logos(axes, ref, alt, first=101, changed=(2, 1, 3))
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert axes[0].get_xlim() == (100.5, 106.5)  # and not from 0
    spans = [next(patch for patch in ax.patches if patch.get_alpha() == 0.45) for ax in axes]
    assert [(round(s.get_x(), 1), round(s.get_width(), 1)) for s in spans] == [(102.5, 1), (102.5, 3)]


def test_tracks_of_alleles_and_their_difference() -> None:
    axes = Figure(layout="constrained").subplots(2, 1)
    plots.allele_tracks(axes, [0, 128, 256], [1.0, 2], [1.5, 1], label="t", chrom="chr1", at=130)
    low, high = axes[1].get_ylim()
    assert low == -high
    assert [tick.get_text() for tick in axes[1].get_yticklabels()] == ["-1", "0", "1"]
    assert axes[1].get_xlabel() == "chr1:1-256"
