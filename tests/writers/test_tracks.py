"""What predictions are written to: bigWig, a folder of them, Parquet, a figure; whole or not at all."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pysam
import pytest

from genoformer import plots
from genoformer.errors import ConfigError
from genoformer.formats.bigwig import BigWig
from genoformer.formats.track_table import Track
from genoformer.genome.genes import LocusAnnotation
from genoformer.writers import track_figure
from genoformer.writers.track_figure import MAX_BINS
from genoformer.writers.tracks import (
    BinnedTracks,
    CollectedTracks,
    ParquetTracks,
    TrackOutput,
    column_names,
    file_names,
    new_sink,
    parquet_rows,
)

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

CONTIGS = {"chr1": 1000, "chr2": 50}
TRACKS = [Track(3, "CAGE:liver/1", group="CAGE"), Track(5, "dnase", description="DNASE:K562", group="DNASE")]
ASKED = {"chr1": np.array([[5, 20]])}


def stretch(chrom: str, edges: list[int], *rows: list[float]) -> BinnedTracks:
    values = np.array(rows, dtype=np.float32)
    return BinnedTracks(chrom, np.array(edges[:-1]), np.array(edges[1:]), values)


STRETCHES = [
    stretch("chr1", [5, 8, 16, 20], [1, 2, 3], [4, 5, 6]),
    stretch("chr1", [24, 32], [7], [8]),
    stretch("chr2", [0, 8, 16], [0.5, 0], [0, 1]),
]


def fill(path: Path, tracks=TRACKS, stretches=STRETCHES, asked=ASKED) -> None:
    with new_sink(TrackOutput(path, CONTIGS, tracks, asked)) as sink:
        for one in stretches:
            sink.add(BinnedTracks(*one[:3], one.values[: len(tracks)]))


def test_one_track_is_one_bigwig(tmp_path: Path) -> None:
    fill(tmp_path / "a.bw", TRACKS[:1])
    found = BigWig(tmp_path / "a.bw")
    assert found.contigs == CONTIGS
    assert found.values("chr1", 4, 33).tolist() == [0] + [1] * 3 + [2] * 8 + [3] * 4 + [0] * 4 + [7] * 8 + [0]
    assert found.values("chr2", 0, 17).tolist() == [0.5] * 8 + [0] * 9
    assert found.n_bases == 15 + 8 + 16  # where nothing was asked for there is no data


def test_several_tracks_are_a_folder_with_their_names(tmp_path: Path) -> None:
    fill(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["CAGE_liver_1.bw", "dnase.bw", "tracks.tsv"]
    assert BigWig(tmp_path / "out/dnase.bw").values("chr1", 4, 9).tolist() == [0, 4, 4, 4, 5]
    table = (tmp_path / "out/tracks.tsv").read_text().splitlines()
    assert table == [
        "file\ttrack\tidentifier\tdescription",
        "CAGE_liver_1.bw\t3\tCAGE:liver/1\t",
        "dnase.bw\t5\tdnase\tDNASE:K562",
    ]


@pytest.mark.parametrize("rows", [1, 2, 65_536])
def test_parquet_has_a_row_for_each_bin(tmp_path: Path, rows: int) -> None:
    with parquet_rows(tmp_path / "a.parquet", column_names(TRACKS), rows) as table_rows:
        for one in STRETCHES:
            ParquetTracks(table_rows).add(one)
    table = pq.read_table(tmp_path / "a.parquet").to_pydict()
    assert list(table) == ["chrom", "start", "end", "CAGE:liver/1", "dnase"]
    assert list(zip(*table.values(), strict=True)) == [
        ("chr1", 5, 8, 1, 4),
        ("chr1", 8, 16, 2, 5),
        ("chr1", 16, 20, 3, 6),
        ("chr1", 24, 32, 7, 8),
        ("chr2", 0, 8, 0.5, 0),
        ("chr2", 8, 16, 0, 1),
    ]
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups >= (6 if rows == 1 else 1)


@pytest.mark.parametrize("name", ["a.tsv", "a.b.tsv.gz"])
def test_a_table_has_a_row_for_each_bin_and_tabix_indexes_it(tmp_path: Path, name: str) -> None:
    stretches = [*STRETCHES, stretch("chr2", [16, 17, 18], [1 / 3, np.nan], [np.nan, -2e-7])]
    fill(tmp_path / name, stretches=stretches)
    opened = gzip.open if name.endswith(".gz") else open
    with opened(tmp_path / name, "rt") as file:
        assert [line.rstrip("\n").split("\t") for line in file] == [
            ["chrom", "start", "end", "CAGE:liver/1", "dnase"],
            ["chr1", "5", "8", "1", "4"],
            ["chr1", "8", "16", "2", "5"],
            ["chr1", "16", "20", "3", "6"],
            ["chr1", "24", "32", "7", "8"],
            ["chr2", "0", "8", "0.5", "0"],
            ["chr2", "8", "16", "0", "1"],
            ["chr2", "16", "17", "0.33333", ""],
            ["chr2", "17", "18", "", "-2e-07"],
        ]
    if opened is gzip.open:
        path = pysam.tabix_index(str(tmp_path / name), seq_col=0, start_col=1, end_col=2, zerobased=True, line_skip=1)
        with pysam.TabixFile(path) as file:
            assert [row.split("\t")[1] for row in file.fetch("chr2", 16, 17)] == ["16"]


def test_what_waits_for_its_row_group_does_not_hold_the_window_it_was_cut_from(tmp_path: Path) -> None:
    window = np.ones((2, 1_000), dtype=np.float32)
    with new_sink(TrackOutput(tmp_path / "a.parquet", CONTIGS, TRACKS, ASKED)) as sink:
        sink.add(BinnedTracks("chr1", np.array([8]), np.array([16]), window[:, 5:6]))
        window[:] = 7
    assert pq.read_table(tmp_path / "a.parquet").to_pydict()["dnase"] == [1]


def test_a_figure_of_one_region(tmp_path: Path) -> None:
    fill(tmp_path / "a.png", stretches=STRETCHES[:1])
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_figure_names_the_unit_of_its_values(tmp_path: Path, monkeypatch) -> None:
    drawn = []
    monkeypatch.setattr(track_figure, "save_figure", lambda figure, path: drawn.append(figure))
    edges, values = np.array([0, 8, 16]), np.ones((1, 2), dtype=np.float32)
    for unit in ("", "probability"):
        track_figure.draw_tracks(tmp_path / "a.png", "chr1", edges, values, TRACKS[:1], LocusAnnotation(), unit)
    assert [figure.get_supylabel() for figure in drawn] == ["", "probability"]


def test_a_panel_for_each_track_over_the_contigs_coordinates() -> None:
    from matplotlib.figure import Figure

    axes = list(Figure().subplots(2, 1, sharex=True))
    edges = [1_000_005, 1_000_008, 1_000_016]
    found = plots.tracks(axes, edges, [[1, 3], [0, 0]], labels=["a", "b"], groups=["x", "y"], chrom="chr1")
    for ax, values in zip(found, ([1, 3], [0, 0]), strict=True):
        (steps,) = ax.patches
        assert steps.get_data().values.tolist() == values
        assert steps.get_data().edges.tolist() == edges
        assert ax.get_xlim() == (edges[0], edges[-1])
    assert [ax.texts[0].get_text() for ax in axes] == ["a", "b"]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["0", "3"]
    assert axes[0].patches[0].get_facecolor() != axes[1].patches[0].get_facecolor()
    assert axes[1].get_xlabel() == "chr1:1,000,006-1,000,016"
    assert axes[1].xaxis.get_major_formatter()(1_000_010.0, 0) == "1,000,010"


@pytest.mark.parametrize("name", ["a.bw", "out", "a.parquet", "a.tsv", "a.tsv.gz", "a.png"])
@pytest.mark.parametrize("empty", [False, True])
def test_what_fails_leaves_nothing_behind(tmp_path: Path, name: str, empty: bool) -> None:
    def failing() -> None:
        with new_sink(TrackOutput(tmp_path / name, CONTIGS, TRACKS[:1], ASKED)) as sink:
            if not empty:
                sink.add(BinnedTracks(*STRETCHES[0][:3], STRETCHES[0].values[:1]))
            raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        failing()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "tracks", "asked", "message"),
    [
        (
            "a.bw",
            TRACKS,
            ASKED,
            "option tracks selects 2, but .*a.bw is a bigWig, which holds one",
        ),
        ("a.txt", TRACKS, ASKED, "names no known format; end the name in .bw, .bigwig, .parquet, .tsv, .tsv.gz, .png"),
        ("no/a.bw", TRACKS, ASKED, "does not exist; create it first"),
        ("full", TRACKS, ASKED, "exists and is not an empty folder"),
        ("out", [Track(i, str(i)) for i in range(600)], ASKED, "selects 600, which need as many open files; choose up to 512"),
        ("a.png", [Track(i, str(i)) for i in range(25)], ASKED, "selects 25, but a figure shows up to 24"),
        ("a.png", TRACKS, {"chr1": np.array([[0, 1], [5, 6]])}, "a figure shows one region, not 2"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(tmp_path: Path, name: str, tracks, asked, message: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/kept").write_text("mine")
    with pytest.raises(ConfigError, match=message):
        fill(tmp_path / name, tracks, [], asked)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
    assert (tmp_path / "full/kept").read_text() == "mine"


def test_a_figure_of_too_many_bins_is_refused_while_they_come(tmp_path: Path) -> None:
    edges = np.arange(MAX_BINS + 2)
    many = BinnedTracks("chr1", edges[:-1], edges[1:], np.zeros((2, MAX_BINS + 1), dtype=np.float32))
    with pytest.raises(ConfigError, match="a figure shows up to 50,000 bins"):
        fill(tmp_path / "a.png", stretches=[many])
    assert list(tmp_path.iterdir()) == []


def test_collected_bins_are_columns() -> None:
    collected = CollectedTracks()
    for one in STRETCHES:
        collected.add(one)
    chroms, starts, ends, values = collected.columns()
    assert chroms == ["chr1"] * 4 + ["chr2"] * 2
    assert [*zip(starts.tolist(), ends.tolist(), strict=True)] == [(5, 8), (8, 16), (16, 20), (24, 32), (0, 8), (8, 16)]
    assert values.tolist() == [[1, 2, 3, 7, 0.5, 0], [4, 5, 6, 8, 0, 1]]


def test_names_are_told_apart() -> None:
    tracks = [Track(0, "a"), Track(1, "A"), Track(2, "a.1"), Track(3, "start"), Track(4, "../b")]
    assert column_names(tracks) == ["a.0", "A.1", "a.1.2", "start.3", "../b.4"]
    assert file_names(tracks) == ["a.0.bw", "A.1.bw", "a_1.bw", "start.bw", "_b.bw"]
