"""The table of tracks: published ones as they are, choosing by text, strand pairs, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from genoformer.errors import ConfigError, FileFormatError, MissingFileError
from genoformer.formats.track_table import Track, TrackTable, read_targets, scaled

HEADER = "\tidentifier\tfile\tclip\tclip_soft\tscale\tsum_stat\tstrand_pair\tdescription"
ROWS = (
    "0\tA+\ta/plus.bw\t384\t64\t0.5\tsum_sqrt\t1\tCAGE:liver, adult",
    "1\tA-\ta/minus.bw\t384\t64\t0.5\tsum_sqrt\t0\tCAGE:liver, adult",
    "2\tD\t/far/d.bw\t\t\t\tavg\t2\tDNASE:K562 treated with x:y",
    "3\tC\t\tnan\t\t2\t\t3\tplain",
)


def table(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines))
    return path


@pytest.fixture
def targets(tmp_path: Path) -> TrackTable:
    return read_targets(table(tmp_path / "targets.txt", HEADER, *ROWS))


def test_every_column_is_read(tmp_path: Path, targets: TrackTable) -> None:
    folder = tmp_path.absolute()
    assert targets.tracks == (
        Track(0, "A+", f"{folder}/a/plus.bw", 384, 64, 0.5, "sum_sqrt", 1, "CAGE:liver, adult", "CAGE"),
        Track(1, "A-", f"{folder}/a/minus.bw", 384, 64, 0.5, "sum_sqrt", 0, "CAGE:liver, adult", "CAGE"),
        Track(2, "D", "/far/d.bw", None, None, 1, "mean", 2, "DNASE:K562 treated with x:y", "DNASE"),
        Track(3, "C", "", None, None, 2, "mean", 3, "plain", ""),
    )
    assert targets.strand_pairs.tolist() == [1, 0, 2, 3]
    assert targets.groups == {"CAGE": [0, 1], "DNASE": [2], "": [3]}
    assert len(targets) == 4
    assert targets[2] in targets


def test_what_is_written_is_read_again(tmp_path: Path, targets: TrackTable) -> None:
    (tmp_path / "model").mkdir()
    targets.write(tmp_path / "model" / "tracks.tsv")
    assert read_targets(tmp_path / "model" / "tracks.tsv") == targets
    odd = TrackTable((Track(0, 'a"b', "/x y.bw", 0.1, None, 1e-7, "max", 0, "it's\u00e9:", "own", "signal"),))
    odd.write(tmp_path / "odd.tsv")
    assert read_targets(tmp_path / "odd.tsv") == odd


def test_the_least_table(tmp_path: Path) -> None:
    found = read_targets(table(tmp_path / "t.tsv", "Identifier\tnote", "a\tx", "", "b\t"))
    assert [(track.identifier, track.strand_pair, track.scale) for track in found] == [("a", 0, 1), ("b", 1, 1)]


@pytest.mark.parametrize(
    ("spec", "indices"),
    [
        ("2", [2]),
        ("1-3", [1, 2, 3]),
        ("3, 0-1,1", [3, 0, 1]),
        ("a-", [1]),
        ("CAGE", [0, 1]),
        ("cage:liver, adult", [0, 1]),
        ("*k562*,C", [2, 3]),
        ("A[+-]", [0, 1]),
        ("d?ase:*", [2]),
        ("plain,", [3]),
    ],
)
def test_choose(targets: TrackTable, spec: str, indices: list[int]) -> None:
    assert targets.choose(spec) == indices


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("4", "tracks 4 are requested, but tracks are numbered 0 to 3"),
        ("3-1", "tracks 3-1"),
        ("0,K562", r"no track is named 'K562'; it is part of the name of 1 track; give '\*k562\*'"),
        ("CAGF", "close to it are 'CAGE'"),
        ("*spleen*", "the groups are CAGE, DNASE"),
        ("livver", r"close to it are '\*liver\*'"),
        (" , ", "no tracks are named"),
    ],
)
def test_choosing_what_is_not_there(targets: TrackTable, spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        targets.choose(spec)


def test_a_subset_is_renumbered_and_keeps_its_strand_pairs(targets: TrackTable) -> None:
    some = targets.subset("3,1,0")
    assert [track.identifier for track in some] == [targets[i].identifier for i in (3, 1, 0)]
    assert [(track.index, track.strand_pair) for track in some] == [(0, 0), (1, 2), (2, 1)]
    with pytest.raises(ConfigError, match=r"track A\+ is selected, but not A-, the same measurement on the other strand"):
        targets.subset("0")


@pytest.mark.parametrize(
    ("lines", "error", "message"),
    [
        ((), FileFormatError, "give a table of tracks"),
        (("identifier",), FileFormatError, "has no tracks"),
        (("name\tfile", "a\tb"), FileFormatError, "line 1: the header is 'name"),
        (("identifier\tidentifier", "a\tb"), FileFormatError, "each column once"),
        (("identifier\tfile", "a"), FileFormatError, "line 2: 1 fields, the header has 2"),
        (("identifier\tclip", "a\tx"), FileFormatError, "line 2: clip is 'x'; give a number above 0"),
        (("identifier\tscale", "a\t0"), FileFormatError, "scale is '0'"),
        (("identifier\tsum_stat", "a\tmode"), FileFormatError, "sum_stat is 'mode'; it may be mean, sum"),
        (("identifier\tcolumn", "a\tscore"), FileFormatError, "column is 'score'"),
        (("identifier\tfile", "\tb"), FileFormatError, "the identifier is empty"),
        (("index\tidentifier", "0\ta", "0\tb"), FileFormatError, "line 3: the index is '0'; give each track another"),
        (("index\tidentifier", "x\ta"), FileFormatError, "line 2: the index is 'x'"),
        (("identifier\tstrand_pair", "a\t7"), FileFormatError, "strand_pair is '7', which is the index of no track"),
        (("identifier\tstrand_pair", "a\t1", "b\t1"), ConfigError, r"track 0 \(a\) has strand_pair 1, whose own is 1"),
        (("identifier\tstrand_pair", "a\t1", "b\t2", "c\t0"), ConfigError, "two strands of one measurement name each other"),
    ],
)
def test_a_bad_table_is_refused_in_a_sentence(tmp_path: Path, lines: tuple[str, ...], error, message: str) -> None:
    with pytest.raises(error, match=message):
        read_targets(table(tmp_path / "t.tsv", *lines))


def test_a_table_that_is_missing_or_in_disorder(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"t\.tsv does not exist"):
        read_targets(tmp_path / "t.tsv")
    with pytest.raises(ConfigError, match="has index 1 at place 0"):
        TrackTable((Track(1, "a"),))
    with pytest.raises(ConfigError, match="strand_pair 5, which is none"):
        TrackTable((Track(0, "a", strand_pair=5),))


def test_squashing_clipping_and_scaling_are_in_this_order() -> None:
    track = Track(0, "a", clip=10, clip_soft=4, scale=3)
    bins = np.array([-50, 0, 4, 5, 12, 28, 10_000], dtype=np.float32)
    expected = [-30, 0, 12, 3 * (3 + 2**0.5), 18, 24, 30]  # 12 -> 4 - 1 + sqrt(9) = 6 -> 18
    np.testing.assert_allclose(scaled(track, bins), expected, rtol=1e-6)
    assert scaled(Track(0, "a"), bins).tolist() == bins.tolist()


# --- real tables


def test_enformers_tables(real_data: Path, tmp_path: Path) -> None:
    human = read_targets(real_data / "enformer" / "targets_human.txt.gz")
    assert len(human) == 5313
    sizes = {group: len(tracks) for group, tracks in human.groups.items()}
    assert sizes == {"DNASE": 674, "ATAC": 10, "CHIP": 3991, "CAGE": 638}
    assert human[0].clip == 32
    assert human[0].scale == 2
    assert human[5110].description.startswith("CAGE:")
    assert human.choose("CAGE") == human.choose("cage:*") == human.choose("4675-5312")
    assert human.choose("ENCFF833POA") == [0]
    assert all("liver" in human[i].description.lower() for i in human.choose("CAGE:*liver*"))
    assert human.choose("CAGE:*liver*")
    with gzip.open(real_data / "enformer" / "targets_human.txt.gz", "rt") as file:
        descriptions = [line.rstrip("\n").split("\t")[-1] for line in file][1:]
    for i in range(0, 5313, 500):  # as they stand, with commas and brackets
        assert i in human.choose(descriptions[i])
    with pytest.raises(ConfigError, match=r"no track is named 'livver'; close to it are '\*liver\*'"):
        human.choose("livver")
    human.write(tmp_path / "tracks.tsv")
    assert read_targets(tmp_path / "tracks.tsv") == human
    mouse = read_targets(real_data / "enformer" / "targets_mouse.txt.gz")  # its index begins at 5,313
    assert (len(mouse), mouse[0].index, mouse[0].identifier, mouse[0].strand_pair) == (1643, 0, "ENCFF866ZTV", 0)


def test_a_borzoi_table(real_data: Path) -> None:
    targets = read_targets(real_data / "seq2track" / "targets.txt")
    assert (len(targets), len(targets.groups["CAGE"])) == (74, 24)
    assert targets[0].strand_pair == 1
    assert (targets[0].clip, targets[0].clip_soft, targets[0].sum_stat) == (384, 64, "sum_sqrt")
    np.testing.assert_array_equal(targets.strand_pairs[targets.strand_pairs], np.arange(74))
