"""Files of contact maps and junctions: rows, arrays, and outputs that are complete or absent."""

from __future__ import annotations

import numpy as np
import pytest

from genoformer.errors import ConfigError, OptionError
from genoformer.formats.track_table import Track
from genoformer.writers.pairs import CONTACT_LAYOUT, JUNCTION_LAYOUT, ContactMap, Junctions, new_pair_sink
from genoformer.writers.tracks import TrackOutput

VALUES = np.array([[[1, 2], [2, 3]], [[4, 5], [5, 6]]], dtype=np.float32)
MAP = ContactMap("c1", 2048, 2048, VALUES)
JUNCTIONS = Junctions(
    "c1", np.array([10, 30]), np.array([20, 40]), ["+", "-"], np.array([[0.5, 1], [np.nan, 2]], dtype=np.float32)
)
TRACKS = [Track(0, "a", strand_pair=0), Track(5, "a", strand_pair=5)]


def output(path, n_regions: int = 1, tracks=TRACKS) -> TrackOutput:
    return TrackOutput(path, {"c1": 9000}, tracks, {"c1": np.array([[2048, 6144]] * n_regions)})


def test_pairs_of_bins_are_rows_of_the_upper_triangle(tmp_path) -> None:
    with new_pair_sink(CONTACT_LAYOUT, output(tmp_path / "m.tsv")) as add:
        add(MAP)
    assert (tmp_path / "m.tsv").read_text().splitlines() == [
        "chrom1\tstart1\tend1\tchrom2\tstart2\tend2\ta.0\ta.5",
        "c1\t2048\t4096\tc1\t2048\t4096\t1\t4",
        "c1\t2048\t4096\tc1\t4096\t6144\t2\t5",
        "c1\t4096\t6144\tc1\t4096\t6144\t3\t6",
    ]


def test_junctions_are_introns_with_counts(tmp_path) -> None:
    with new_pair_sink(JUNCTION_LAYOUT, output(tmp_path / "j.tsv", 2)) as add:
        add(JUNCTIONS)
    assert (
        tmp_path / "j.tsv"
    ).read_text() == "chrom\tstart\tend\tstrand\ta.0\ta.5\nc1\t10\t20\t+\t0.5\t1\nc1\t30\t40\t-\t\t2\n"


def test_a_map_is_whole_or_absent(tmp_path) -> None:
    path = tmp_path / "m.npz"

    def interrupted() -> None:
        with new_pair_sink(CONTACT_LAYOUT, output(path)) as add:
            add(MAP)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
    with new_pair_sink(CONTACT_LAYOUT, output(path)) as add:
        add(MAP)
    with np.load(path, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["maps"], VALUES)
        assert arrays["starts"].tolist() == [2048, 4096]
    first = path.read_bytes()
    with new_pair_sink(CONTACT_LAYOUT, output(path)) as add:
        add(MAP)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("layout", "name", "error"),
    [
        (JUNCTION_LAYOUT, "j.npz", r"the suffix names no known format; end the name in .tsv, .parquet\.$"),
        (JUNCTION_LAYOUT, "folder", "the suffix names no known format"),
        (CONTACT_LAYOUT, "m.txt", "end the name in .npz, .tsv, .parquet, .png, or name a folder without suffix"),
        (CONTACT_LAYOUT, "no/m.npz", "the folder .* does not exist; create it first"),
    ],
)
def test_other_outputs_are_refused(tmp_path, layout, name, error) -> None:
    with pytest.raises(ConfigError, match=error), new_pair_sink(layout, output(tmp_path / name)):
        raise AssertionError


def test_a_figure_shows_few_maps(tmp_path) -> None:
    many = [Track(i, f"t{i}", strand_pair=i) for i in range(25)]
    with pytest.raises(OptionError, match="tracks selects 25, but a figure shows up to 24"):
        new_pair_sink(CONTACT_LAYOUT, output(tmp_path / "m.png", tracks=many)).__enter__()
    with pytest.raises(ConfigError, match="holds one contact map, found 2 regions; give one with -r, or name a folder"):
        new_pair_sink(CONTACT_LAYOUT, output(tmp_path / "m.png", 2)).__enter__()
