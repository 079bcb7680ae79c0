"""What is drawn of genes, attention, contacts and alleles, read back from the Axes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure

from genoformer import plots
from genoformer.genome.genes import read_landmarks
from genoformer.genome.reference import Genome


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


def test_genes_and_elements_of_files(make_fasta, tmp_path) -> None:
    genome = Genome(make_fasta(chr1="A" * 1000, chr2="A" * 50))
    rows = [("chr1", 101, 200, "+", "a"), ("chr1", 301, 400, "+", "a"), ("1", 601, 700, "-", "b"), ("chr2", 1, 9, "+", "c")]
    (tmp_path / "g.gtf").write_text("".join(f'{c}\tx\texon\t{s}\t{e}\t.\t{d}\t.\tgene_id "{n}";\n' for c, s, e, d, n in rows))
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
    assert [tick.get_text() for tick in axes[1].get_yticklabels()] == ["\N{MINUS SIGN}1", "0", "1"]
    assert axes[1].get_xlabel() == "chr1:1-256"


def test_the_name_of_a_track_stands_above_the_legend_in_lines_that_fit() -> None:
    figure = Figure(figsize=(4.2, 3), layout="constrained")
    axes = figure.subplots(2, 1)
    name = "CAGE:oral squamous cell carcinoma cell line:Ca9-22 and what else a name may hold, to the very end"
    plots.allele_tracks(axes, [0, 128, 256], [1.0, 2], [1.5, 1], label=name, chrom="chr1")
    figure.draw_without_rendering()
    title, legend = axes[0].get_title(loc="left"), axes[0].get_legend().get_window_extent()
    assert title.replace("\n", " ") == name
    assert not axes[0].texts
    text = next(child for child in axes[0].get_children() if getattr(child, "get_text", str)() == title)
    assert not text.get_window_extent().overlaps(legend)
    assert text.get_window_extent().x1 <= figure.bbox.x1


@pytest.mark.parametrize("inches", [2.4, 3.4, 7.2])
@pytest.mark.parametrize(
    ("start", "end"), [(1_042_242, 1_042_283), (0, 60), (148_000_000, 148_114_688), (99_999_990, 100_000_010)]
)
def test_labels_of_coordinates_do_not_touch(inches: float, start: int, end: int) -> None:
    figure = Figure(figsize=(inches, 2), layout="constrained")
    ax = figure.subplots()
    ax.set_xlim(start + 0.5, end + 0.5)
    plots.coordinates(ax, start, end, "chr20")
    figure.draw_without_rendering()
    low, high = ax.get_xlim()
    shown = [label for at, label in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True) if low <= at <= high]
    boxes = [label.get_window_extent() for label in shown if label.get_text()]
    assert boxes
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))


@pytest.mark.parametrize(
    ("ref", "alt", "alt_start", "label"),  # of 57 bases of REF from 1,001; the variant at 1,026
    [
        ("AAAAAAC", "A", None, "chr1:1,001-1,063"),  # 6 bases are deleted: ALT reaches 6 further
        ("A", "ACC", None, "chr1:1,001-1,055"),
        ("AAC", "CT", None, "chr1:1,001-1,058"),
        ("AAAAAAC", "A", 31, "chr1:995-1,057"),  # laid so that the right ends agree
        ("A", "A" * 60, None, "chr1:1,001-1,026"),  # the insertion reaches beyond the end
        ("A" * 20, "A", None, "chr1:1,001-1,076"),  # ticks on both sides of it come close
        ("A", "C", None, "chr1:1,001-1,057"),
    ],
)
def test_behind_an_indel_alt_has_the_coordinates_of_the_reference(
    ref: str, alt: str, alt_start: int | None, label: str
) -> None:
    of_alt: list[int | None] = [*range(1, 1_026), *range(1_026, 1_026 + len(alt)), *range(1_026 + len(ref), 2_000)]
    inserted = range(1_025 + len(ref), 1_025 + len(alt))
    of_alt = [None if i in inserted else place for i, place in enumerate(of_alt)]
    drawn = of_alt[1_025 - (25 if alt_start is None else alt_start) :][:57]  # the base of the genome under each letter
    changed = (25, len(ref), len(alt))
    axes = Figure(figsize=(6, 3), layout="constrained").subplots(2, 1)
    logo = np.eye(4)[np.arange(57) % 4]
    plots.allele_logos(axes, logo, logo, first=1001, changed=changed, alt_start=alt_start)
    plots.allele_coordinates(axes, 1001, 57, changed, "chr1", alt_start=alt_start)
    axes[0].figure.draw_without_rendering()
    low, high = axes[1].get_xlim()
    ticks = {round(at): text.get_text() for at, text in zip(axes[1].get_xticks(), axes[1].get_xticklabels(), strict=True)}
    inside = {at: text for at, text in ticks.items() if low <= at <= high}
    boxes = [label.get_window_extent() for label in axes[1].get_xticklabels()]
    assert all(one.x1 < other.x0 for one, other in itertools.pairwise(boxes))
    assert inside
    assert inside == {at: f"{drawn[at - 1001]:,}" for at in inside}
    assert axes[1].get_xlabel() == label
    if len(ref) != len(alt):
        assert axes[0].get_xlabel() == "chr1:1,001-1,057"
