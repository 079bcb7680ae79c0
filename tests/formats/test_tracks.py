"""Tracks: every reader beside a naive loop, bigWig beside another library, and what is refused."""

from __future__ import annotations

import gzip
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pybigtools
import pyBigWig
import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import in_forks
from readings import sum_of_track

from genoformer.errors import ConfigError, ContigError, FileFormatError, MissingFileError
from genoformer.formats.bed_kinds import layout_of
from genoformer.formats.bigwig import BigWig
from genoformer.formats.bigwig_writer import new_bigwig, write_bigwig
from genoformer.formats.tracks import BedGraph, TrackSource, open_track
from genoformer.genome.bins import SUMMARIES, summarise

LENGTH = 60
ROWS = [("chr1", 3, 10, 2.0), ("chr1", 10, 11, -1.5), ("chr1", 20, 30, 0.25), ("chr2", 0, 5, 7.0)]
NAIVE = {
    "mean": lambda bin: sum(bin) / len(bin),
    "sum": sum,
    "max": max,
    "min": min,
    "median": lambda bin: (sorted(bin)[len(bin) // 2] + sorted(bin)[(len(bin) - 1) // 2]) / 2,
    "sum_sqrt": lambda bin: np.sign(sum(bin)) * ((1 + abs(sum(bin))) ** 0.5 - 1),
    "mean_sqrt": lambda bin: np.sign(sum(bin)) * ((1 + abs(sum(bin) / len(bin))) ** 0.5 - 1),
    "sum_exp75": lambda bin: np.sign(sum(bin)) * ((1 + abs(sum(bin))) ** 0.75 - 1),
}


def bedgraph(path: Path, rows: list[tuple[str, int, int, float]]) -> Path:
    path.write_text("track type=bedGraph\n" + "".join(f"{a}\t{b}\t{c}\t{d}\n" for a, b, c, d in rows))
    return path


def bigwig(path: Path, rows: list[tuple[str, int, int, float]]) -> Path:
    write_bigwig(path, {"chr1": LENGTH, "chr2": LENGTH}, ((chrom, [a], [b], [value]) for chrom, a, b, value in rows))
    return path


def naive(rows: list[tuple[str, int, int, float]], chrom: str, start: int, end: int) -> list[float]:
    """One base after the other."""
    return [next((v for c, a, b, v in rows if c == chrom and a <= base < b), 0.0) for base in range(start, end)]


@pytest.fixture(params=["a.bw", "a.bedGraph", "a.bdg.gz"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> TrackSource:
    """The rows above, as bigWig and as bedGraph."""
    path = tmp_path / request.param
    if path.suffix == ".bw":
        return open_track(bigwig(path, ROWS))
    text = bedgraph(tmp_path / "plain", ROWS).read_bytes()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return open_track(path)


def test_values_are_those_of_a_naive_loop(source: TrackSource) -> None:
    for chrom in ("chr1", "chr2"):
        for start in range(-4, 35):
            for end in range(start, 36):
                found = source.values(chrom, start, end)
                assert found.dtype == np.float32
                assert found.tolist() == naive(ROWS, chrom, start, end)
    assert not source.values("chr1", LENGTH - 5, LENGTH + 5).any()
    assert not source.values("chr1", 1000, 1010).any()
    with pytest.raises(ValueError, match="end lies before the start"):
        source.values("chr1", 5, 4)


def binned(track: TrackSource, chrom: str, start: int, n_bins: int, bin_size: int, summary: str = "mean") -> np.ndarray:
    return summarise(track.values(chrom, start, start + n_bins * bin_size), bin_size, summary)


@pytest.mark.parametrize("summary", SUMMARIES)
def test_bins_are_those_of_a_naive_loop(source: TrackSource, summary: str) -> None:
    expected = [NAIVE[summary](naive(ROWS, "chr1", at, at + 4)) for at in range(-6, 30, 4)]
    np.testing.assert_allclose(binned(source, "chr1", -6, 9, 4, summary), expected, rtol=1e-6)


def test_contig_names_are_reconciled_and_unknown_ones_hold_nothing(source: TrackSource) -> None:
    assert source.values("1", 9, 12).tolist() == source.values("chr1", 9, 12).tolist() == [2.0, -1.5, 0.0]
    assert not source.values("chrX", 0, 10).any()
    assert list(source.contigs) == ["chr1", "chr2"]


@pytest.mark.parametrize("suffix", ["bedgraph", "bedGraph", "bdg", "bg", "bg.gz"])
def test_a_bedgraph_has_any_of_its_suffixes(tmp_path: Path, suffix: str) -> None:
    path = bedgraph(tmp_path / "a.txt", ROWS)
    named = tmp_path / f"a.{suffix}"
    named.write_bytes(gzip.compress(path.read_bytes()) if suffix.endswith("gz") else path.read_bytes())
    track = open_track(named)
    assert isinstance(track, BedGraph)
    assert track.values("chr1", 3, 6).tolist() == [2.0, 2.0, 2.0]
    assert layout_of(named).kind == "bedGraph"


def test_a_name_that_fits_two_contigs_is_refused(tmp_path: Path) -> None:
    track = open_track(bedgraph(tmp_path / "a.bdg", [("1", 0, 5, 1.0), ("CHR1", 0, 5, 1.0)]))
    with pytest.raises(ContigError, match="chr1 fits more than one"):
        track.values("chr1", 0, 5)


some_rows = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6), st.integers(-40, 40)), max_size=8)


@given(rows=some_rows, start=st.integers(-8, 50), n_bins=st.integers(0, 6), bin_size=st.integers(1, 9), order=st.randoms())
def test_bedgraph_bins(tmp_path_factory: pytest.TempPathFactory, rows, start, n_bins, bin_size, order) -> None:
    placed, at = [("chr9", 0, 1, 1.0)], 0
    for gap, width, value in rows:
        placed.append(("chr1", at + gap, at + gap + width, value / 4))
        at += gap + width
    shuffled = list(placed)
    order.shuffle(shuffled)
    track = BedGraph(bedgraph(tmp_path_factory.mktemp("bins") / "a.bdg", shuffled))
    for summary, function in NAIVE.items():
        bins = [naive(placed, "chr1", start + i * bin_size, start + (i + 1) * bin_size) for i in range(n_bins)]
        np.testing.assert_allclose(
            binned(track, "chr1", start, n_bins, bin_size, summary), [function(bin) for bin in bins], rtol=1e-6, atol=1e-6
        )


def test_pooling_bins_is_binning_with_wider_bins() -> None:
    values = np.random.default_rng(0).normal(size=(3, 64)).astype(np.float32)
    np.testing.assert_allclose(summarise(summarise(values, 2), 4), summarise(values, 8), rtol=1e-5, atol=1e-6)
    sums = summarise(summarise(values, 2, "sum"), 4, "sum")
    np.testing.assert_allclose(sums, summarise(values, 8, "sum"), rtol=1e-5, atol=1e-5)
    with pytest.raises(ConfigError, match="bins of 5 do not fill 64 values"):
        summarise(values, 5)
    with pytest.raises(ConfigError, match="'mode' is unknown; known are mean, sum"):
        summarise(values, 4, "mode")


# --- peaks


def test_peaks_are_1_inside_or_their_signal(tmp_path: Path) -> None:
    path = tmp_path / "a.narrowPeak"
    rows = [("chr1", 5, 9, 3), ("chr1", 7, 12, 1.5), ("chr1", 2, 4, 8), ("chr2", 0, 1, 1)]
    path.write_text("".join(f"{c}\t{a}\t{b}\t.\t0\t.\t{v}\t-1\t-1\t-1\n" for c, a, b, v in rows))
    assert open_track(path).values("1", 0, 14).tolist() == [0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0]
    signal = open_track(path, "signal")
    assert signal.values("1", 0, 14).tolist() == [0, 0, 8, 8, 0, 3, 3, 3, 3, 1.5, 1.5, 1.5, 0, 0]
    assert signal.values("1", 8, 10).tolist() == [3, 1.5]


# --- bigWig


def random_rows(seed: int, n: int = 3000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    edges = np.cumsum(random.integers(1, 40, 2 * n))
    return edges[::2], edges[1::2], random.gamma(0.5, 10, n).astype(np.float32)


def test_another_library_reads_what_we_write(tmp_path: Path) -> None:
    lengths = {"chr2": 500_000, "chr10": 400_000, "chr1": 10}  # in the order of the genome, not of the alphabet
    rows = {"chr2": random_rows(1), "chr10": random_rows(2)}
    pieces = [(chrom, *(column[i : i + 700] for column in rows[chrom])) for chrom in rows for i in range(0, 3000, 700)]
    write_bigwig(tmp_path / "a.bw", lengths, iter(pieces))
    assert [path.name for path in tmp_path.iterdir()] == ["a.bw"]
    ours, theirs = BigWig(tmp_path / "a.bw"), pybigtools.open(str(tmp_path / "a.bw"))
    assert ours.contigs == theirs.chroms() == lengths
    for chrom, columns in rows.items():
        expected = np.zeros(lengths[chrom], dtype=np.float32)
        for start, end, value in zip(*columns, strict=True):
            expected[start:end] = value
        np.testing.assert_array_equal(ours.values(chrom, 0, lengths[chrom]), expected)
        np.testing.assert_array_equal(theirs.values(chrom, 0, lengths[chrom], fillna=0), expected)


def test_we_read_what_another_library_writes(tmp_path: Path) -> None:
    starts, ends, values = random_rows(3)
    rows = (("chr1", int(a), int(b), float(v)) for a, b, v in zip(starts, ends, values, strict=True))
    pybigtools.open(str(tmp_path / "a.bw"), "w").write({"chr1": 500_000}, rows)
    found = open_track(tmp_path / "a.bw")
    for a, b, v in zip(starts[::50], ends[::50], values[::50], strict=True):
        assert set(found.values("chr1", a, b).tolist()) == {float(v)}
        assert found.values("chr1", b, b + 1) in (0, values)


def test_bins_without_gaps_and_nan(tmp_path: Path) -> None:
    with new_bigwig(tmp_path / "a.bw", {"chr1": 1000}) as file:
        at = np.arange(0, 400, 100)
        file.add("chr1", at, at + 100, [1, 2, 3, 4])
        file.add("chr1", at + 400, at + 500, [5, np.nan, 7, 8])
        file.add("chr1", [800], [1000], [np.nan])
    assert binned(BigWig(tmp_path / "a.bw"), "chr1", 0, 10, 100).tolist() == [1, 2, 3, 4, 5, 0, 7, 8, 0, 0]


def stored(path: Path, values: list[float]) -> Path:
    """A bigWig with these values of the first bases of chr1, as pyBigWig writes it."""
    file = pyBigWig.open(str(path), "w")
    file.addHeader([("chr1", 1000)])
    file.addEntries("chr1", 0, values=values, span=1, step=1)
    file.close()
    return path


@pytest.mark.parametrize("values", [[1.0, np.inf, 2.0], [np.nan, np.inf, 2.0], [1.0, -np.inf]])
def test_a_bigwig_with_infinite_values_is_refused(tmp_path: Path, values: list[float]) -> None:
    with pytest.raises(FileFormatError, match="holds infinite values"):
        open_track(stored(tmp_path / "a.bw", values))


@pytest.mark.parametrize(
    "values", [[1.0, np.nan, 2.0], [np.nan, 3.0], [3.0, np.nan], [np.nan, np.nan], [1.0, np.nan, np.nan, 5.0, 6.0]]
)
def test_stored_nan_is_no_value(tmp_path: Path, values: list[float]) -> None:
    """As a base without a value is: 0 in windows and sums; pyBigWig itself tells neither apart."""
    nan, without = stored(tmp_path / "a.bw", values), tmp_path / "b.bw"
    at = np.flatnonzero(~np.isnan(values))
    write_bigwig(without, {"chr1": 1000}, [("chr1", at, at + 1, np.array(values)[at])])
    one, other = BigWig(nan), BigWig(without)
    assert one.values("chr1", 0, 8).tolist() == [*np.nan_to_num(values), *[0.0] * (8 - len(values))]
    assert one.intervals("chr1", 0, 1000) == other.intervals("chr1", 0, 1000)
    for summary in ("mean", "sum", "max"):
        assert binned(one, "chr1", 0, 2, 4, summary).tolist() == binned(other, "chr1", 0, 2, 4, summary).tolist()
    with pyBigWig.open(str(nan)) as file:
        assert np.nan_to_num(file.values("chr1", 0, 8)).tolist() == one.values("chr1", 0, 8).tolist()


def test_a_bigwig_without_values(tmp_path: Path) -> None:
    write_bigwig(tmp_path / "a.bw", {"chr1": 1000}, [])
    assert not open_track(tmp_path / "a.bw").values("chr1", 0, 1000).any()


@pytest.mark.parametrize(
    ("runs", "error", "message"),
    [
        ([("chr3", [0], [1], [1])], ContigError, "chr3 is not among those"),
        ([("chr1", [5], [9], [1]), ("chr1", [8], [10], [1])], ValueError, "chr1:8-10 with value 1 follows base 9; "),
        ([("chr1", [5, 3], [6, 4], [1, 2])], ValueError, "chr1:3-4 with value 2 follows base 6"),
        ([("chr2", [0], [5], [1]), ("chr1", [0], [5], [1])], ValueError, "chr1 comes after chr2"),
        ([("chr1", [90], [101], [1])], ValueError, "end by 100"),
        ([("chr1", [-1], [5], [1])], ValueError, "chr1:-1-5"),
        ([("chr1", [5], [5], [1])], ValueError, "chr1:5-5"),
        ([("chr1", [5], [6], [np.inf])], ValueError, "have finite values"),
        ([("chr1", [5, 6], [6, 7], [1])], ValueError, r"starts \(2,\), ends \(2,\), values \(1,\)"),
    ],
)
def test_the_writer_refuses_and_leaves_nothing(tmp_path: Path, runs, error, message) -> None:
    with pytest.raises(error, match=message):
        write_bigwig(tmp_path / "a.bw", {"chr1": 100, "chr2": 100}, runs)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no posix_fallocate here")
@pytest.mark.parametrize("most", [8_000, 200_000, 2_000_000])
def test_a_full_disk_is_an_error_not_a_crash(tmp_path: Path, most: int) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    starts, ends, values = random_rows(4, 50_000)
    runs = [("chr1", starts + i * 10_000_000, ends + i * 10_000_000, values) for i in range(8)]
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        with pytest.raises(OSError, match="File too large"):
            write_bigwig(tmp_path / "a.bw", {"chr1": 90_000_000}, runs)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_sources_are_read_by_other_processes(source: TrackSource) -> None:
    expected = sum_of_track(source)
    assert sum_of_track(pickle.loads(pickle.dumps(source))) == expected
    assert in_forks(sum_of_track, [(source,)] * 3) == [expected] * 3
    source.close()
    assert sum_of_track(source) == expected


# --- what is refused


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.bw", b"chr1\t0\t5\t1\n", FileFormatError, "a.bw is no bigWig file, it begins with b'chr1'"),
        ("a.bw", gzip.compress(b"x", mtime=0), FileFormatError, "unpack it"),
        ("a.bw", b"", FileFormatError, "is no bigWig file"),
        ("a.bigWig", b"\x26\xfc\x8f\x88", FileFormatError, "was cut off: it has 4 bytes"),
        ("a.bw", b"\xeb\xf2\x89\x87" + bytes(80), FileFormatError, "is a bigBed file"),
        ("a.bdg", b"chr1\t0\t5\n", FileFormatError, "a.bdg, line 1: bedGraph has CHROM START END VALUE"),
        ("a.bdg", b"chr1\t0\t5\tx\n", FileFormatError, "line 1: bedGraph has"),
        ("a.bdg", b"chr1\t5\t5\t1\n", FileFormatError, "5-5, 1 is no interval with a finite value"),
        ("a.bdg", b"chr1\t5\t9\tinf\n", FileFormatError, "finite value"),
        ("a.bdg", b"chr1\t5\t9\t1e300\n", FileFormatError, "finite value"),
        ("a.bdg", b"chr1\t0\t5\t1\nchr1\t4\t6\t1\n", FileFormatError, "chr1:0-5 and 4-6 overlap"),
        ("a.bdg.gz", gzip.compress(b"chr1\t0\t5\t1\n" * 99, mtime=0)[:30], FileFormatError, "cannot be read"),
        ("a.bed", b"chr1\t9\t5\n", FileFormatError, "END 5 is not after START 9"),
        ("a.w5", b"", ConfigError, r"ends in \.w5; tracks are recognised by \.bw, \.bigwig"),
        ("track", b"", ConfigError, "has no suffix"),
    ],
)
def test_a_file_that_is_not_what_it_seems_is_refused_in_a_sentence(tmp_path: Path, name, content, error, message) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        open_track(tmp_path / name).values("chr1", 0, 5)


@pytest.mark.parametrize("name", ["a.bw", "a.bdg", "a.bed"])
def test_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingFileError, match=f"{name} does not exist"):
        open_track(tmp_path / name)


def test_columns_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.bed"
    path.write_text("chr1\t0\t5\n")
    with pytest.raises(FileFormatError, match="line 1: the signal, column 7"):
        open_track(path, "signal").values("chr1", 0, 1)
    with pytest.raises(ConfigError, match="column 'score'"):
        open_track(path, "score")
    with pytest.raises(ConfigError, match="no peak file"):
        open_track(bedgraph(tmp_path / "a.bdg", ROWS), "signal")


def test_a_cut_or_damaged_bigwig(tmp_path: Path) -> None:
    starts, ends, values = random_rows(5)
    write_bigwig(tmp_path / "a.bw", {"chr1": 500_000}, [("chr1", starts, ends, values)])
    content = (tmp_path / "a.bw").read_bytes()
    (tmp_path / "cut.bw").write_bytes(content[: len(content) // 2])
    with pytest.raises(FileFormatError, match=r"cut\.bw was cut off: it has [\d,]+ bytes and needs"):
        open_track(tmp_path / "cut.bw")
    (tmp_path / "hole.bw").write_bytes(content[:2000] + bytes(4000) + content[6000:])
    with pytest.raises(FileFormatError, match=r"hole\.bw is a damaged bigWig file"):
        open_track(tmp_path / "hole.bw").values("chr1", 0, 400_000)


# --- real data


@pytest.fixture
def chipseq(real_data: Path) -> Callable[[str], TrackSource]:
    folder = real_data / "hg19" / "chipseq_chr22"
    return lambda name: open_track(folder / f"CTCF_chr22_{name}")


def test_the_real_bigwig_is_its_bedgraph(chipseq: Callable[[str], TrackSource]) -> None:
    wig, graph = chipseq("treat_pileup.hg19.bw"), chipseq("treat_pileup.bdg.gz")
    assert wig.contigs == {"chr22": 51_304_566}
    for start in (16_000_000, 20_100_000, 35_555_555, 51_200_000):
        assert graph.values("22", start, start + 196_608).any()
        np.testing.assert_array_equal(wig.values("22", start, start + 196_608), graph.values("22", start, start + 196_608))
        for summary in SUMMARIES:
            np.testing.assert_array_equal(
                binned(wig, "chr22", start, 896, 128, summary), binned(graph, "chr22", start, 896, 128, summary)
            )


def test_the_real_bigwig_in_another_library_and_its_peaks(real_data: Path, chipseq: Callable[[str], TrackSource]) -> None:
    wig, peaks = chipseq("treat_pileup.hg19.bw"), chipseq("peaks.narrowPeak")
    theirs = pybigtools.open(str(wig.path))
    inside = []
    for start in (20_000_000, 30_000_000, 40_000_000):
        values = wig.values("chr22", start, start + 1_000_000)
        np.testing.assert_array_equal(values, theirs.values("chr22", start, start + 1_000_000, fillna=0))
        inside.append((values[peaks.values("chr22", start, start + 1_000_000) > 0].mean(), values.mean()))
    for peak, everywhere in inside:
        assert peak > 10 * everywhere
