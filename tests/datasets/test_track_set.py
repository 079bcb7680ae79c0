"""Sets of tracks: every number beside a naive reader of the same files, every drop with its reason, nothing half written."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pysam
import pytest

from genoformer.datasets.request import TrackSetRequest
from genoformer.datasets.track_build import build_track_set, build_tracks
from genoformer.datasets.track_set import Window, read_tracks, write_track_set
from genoformer.errors import ConfigError, ContigError, FileFormatError, MissingFileError
from genoformer.formats.bigwig_writer import write_bigwig
from genoformer.formats.track_table import Track, TrackTable, read_targets
from genoformer.genome.bins import summarise
from genoformer.genome.codes import decode, encode
from genoformer.genome.reference import Genome
from genoformer.progress import Progress

RANDOM = np.random.default_rng(0)
CONTIGS = {name: "".join(RANDOM.choice(list("ACGT"), n)) for name, n in (("chr1", 900), ("chr2", 500), ("chr3", 450))}
CONTIGS["chr1"] = CONTIGS["chr1"][:600] + "N" * 100 + CONTIGS["chr1"][700:]
VALUES = {name: RANDOM.gamma(0.5, 4, len(text)).astype(np.float32).round(2) for name, text in CONTIGS.items()}
PEAKS = {"chr1": (50, 170), "chr2": (0, 60), "chr3": (10, 20)}


@pytest.fixture
def genome(make_fasta: Callable[..., Path]) -> Genome:
    return Genome(make_fasta(**CONTIGS))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Three tracks: a bigWig, its values as bedGraph with other contig names and scaling, and peaks."""
    at = {name: np.arange(len(values)) for name, values in VALUES.items()}
    lengths = {name: len(values) for name, values in VALUES.items()}
    write_bigwig(tmp_path / "a.bw", lengths, ((name, at[name], at[name] + 1, VALUES[name]) for name in VALUES))
    lines = [f"{name[3:]}\t{i}\t{i + 1}\t{value}\n" for name, values in VALUES.items() for i, value in enumerate(values)]
    (tmp_path / "a.bdg").write_text("".join(lines))
    (tmp_path / "a.bed").write_text("".join(f"{name}\t{a}\t{b}\n" for name, (a, b) in PEAKS.items()))
    path = tmp_path / "targets.tsv"
    path.write_text(
        "identifier\tfile\tclip\tclip_soft\tscale\tsum_stat\tstrand_pair\n"
        "plus\ta.bw\t\t\t\tmean\t1\nminus\ta.bdg\t30\t20\t0.5\tsum\t0\npeaks\ta.bed\t\t\t\tmax\t2\n"
    )
    return path


def expected(chrom: str, start: int, n_bins: int, bin_size: int) -> np.ndarray:
    """Targets [3, N] of the tracks above, one bin after the other."""
    rows = np.zeros((3, n_bins))
    first, last = PEAKS[chrom]
    for i in range(n_bins):
        a, b = start + i * bin_size, start + (i + 1) * bin_size
        values = VALUES[chrom][a:b].astype(float)
        total = values.sum()
        squashed = total if total <= 20 else 19 + (total - 19) ** 0.5
        rows[:, i] = values.mean(), min(squashed, 30) / 2, a < last and b > first
    return rows


def test_every_number_is_what_a_naive_reader_finds(tmp_path: Path, genome: Genome, table: Path) -> None:
    heard: list[Progress] = []
    built = build_tracks(
        tmp_path / "set",
        genome,
        table,
        length=96,
        bin_size=16,
        target_bins=3,
        valid=["2"],
        test=["chr3"],
        max_n=0.1,
        progress=heard.append,
    )
    found = read_tracks(tmp_path / "set")
    assert found.sequence.dtype == np.uint8
    assert found.tracks.dtype == np.float16
    assert (found.length, found.n_bins, found.bin_size, found.first_bin, len(found)) == (96, 3, 16, 1, len(found.windows))
    assert found.tracks.shape == (len(found), 3, 3)
    for window, codes, tracks in zip(found.windows, found.sequence, found.tracks, strict=True):
        text = CONTIGS[window.chrom]
        beyond = "N" * max(0, -window.start), "N" * max(0, window.end - len(text))
        assert decode(codes) == beyond[0] + text[max(0, window.start) : window.end] + beyond[1]
        np.testing.assert_allclose(tracks, expected(window.chrom, window.start + 16, 3, 16), rtol=2**-10, atol=1e-6)
        assert window.split == {"chr1": "train", "chr2": "valid", "chr3": "test"}[window.chrom]
    kept = {(window.chrom, window.start) for window in found.windows}
    tiles = {(name, at) for name, text in CONTIGS.items() for at in range(-16, len(text) - 48 - 16 + 1, 48)}
    known = {(name, at): CONTIGS[name][max(0, at) : at + 96].replace("N", "") for name, at in tiles}
    assert kept == {(name, at) for name, at in tiles if len(known[name, at]) >= 96 - 9}
    assert built.dropped == {"too_many_n": len(tiles - kept)}
    assert built.counts == {split: len(found.rows(split)) for split in ("train", "valid", "test")}
    assert [found.windows[i].chrom for i in found.rows("valid")] == ["chr2"] * built.counts["valid"]
    assert heard[-1].done == heard[-1].total == 2 * len(found)
    assert built.notes == []


def test_a_part_of_the_tracks_is_that_part_of_the_whole_set(tmp_path: Path, genome: Genome, table: Path) -> None:
    options = {"length": 96, "bin_size": 16, "valid": ["chr2"]}
    build_tracks(tmp_path / "all", genome, table, **options)
    build_tracks(tmp_path / "some", genome, table, tracks="peaks", **options)
    whole, some = read_tracks(tmp_path / "all"), read_tracks(tmp_path / "some")
    assert [track.identifier for track in some.targets] == ["peaks"]
    np.testing.assert_array_equal(some.tracks, whole.tracks[:, 2:])
    assert some.manifest["options"]["tracks"] == "peaks"
    assert "tracks" not in whole.manifest["options"]


def test_the_manifest_tells_what_went_in(tmp_path: Path, genome: Genome, table: Path) -> None:
    options = {"length": 96, "bin_size": 16, "valid": ["chr2"], "stride": 40}
    build_tracks(tmp_path / "set", genome, table, **options)
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest["options"] == {**options, "target_bins": 0, "test": [], "max_n": 0.05}
    assert set(manifest["inputs"]) == {"genome", "targets", "track 0 plus", "track 1 minus", "track 2 peaks"}
    for entry in manifest["inputs"].values():
        assert entry["sha256"] == hashlib.sha256(Path(entry["path"]).read_bytes()).hexdigest()
    for name, digest in manifest["files"].items():
        assert digest == hashlib.sha256((tmp_path / "set" / name).read_bytes()).hexdigest()
    assert manifest["contigs"] == {"train": ["chr1", "chr3"], "valid": ["chr2"], "test": []}
    assert manifest["notes"] == ["there is no test set, as no contigs were named for it."]
    before = {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()}
    build_tracks(tmp_path / "set", genome, table, **options)  # in place of the first
    assert {path.name: path.read_bytes() for path in (tmp_path / "set").iterdir()} == before


def test_many_files_are_opened_some_at_a_time(tmp_path: Path, genome: Genome, table: Path) -> None:
    build_tracks(tmp_path / "one", genome, table, length=96, bin_size=16)
    request = TrackSetRequest(str(tmp_path / "two"), genome, str(table), length=96, bin_size=16)
    build_track_set(request, n_open=2)
    for name in ("tracks.npy", "sequence.npy", "windows.tsv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_windows_from_bed_are_centred_and_dropped_with_a_reason(tmp_path: Path, genome: Genome, table: Path) -> None:
    bed = tmp_path / "w.bed"
    rows = ["1 100 120", "1 100 120", "9 0 20", "chr1 0 20", "2 490 500", "chr1 640 660", "chr1 300 330", "2 100 120"]
    bed.write_text("".join("\t".join(row.split()) + "\n" for row in rows))
    black = tmp_path / "black.bed"
    black.write_text("chr1\t290\t330\nchr1\t98\t108\n")
    built = build_tracks(
        tmp_path / "set", genome, table, windows=bed, length=64, bin_size=8, target_bins=4, blacklist=black, valid=["2"]
    )
    assert built.dropped == {"repeated": 1, "no_contig": 1, "outside": 2, "too_many_n": 1, "blacklist": 1}
    found = read_tracks(tmp_path / "set")
    assert found.windows == (Window("chr1", 78, 142, "train"), Window("chr2", 78, 142, "valid"))
    held = VALUES["chr1"][94:126].copy()  # the blacklist takes 98-108
    held[4:14] = np.minimum(held[4:14], np.median(held))
    np.testing.assert_allclose(found.tracks[0, 0], held.reshape(4, 8).mean(axis=1), rtol=2**-10)
    np.testing.assert_allclose(found.tracks[1], expected("chr2", 94, 4, 8), rtol=2**-10)


def test_splits_by_the_names_of_the_rows(tmp_path: Path, genome: Genome, table: Path) -> None:
    bed = tmp_path / "w.bed"
    bed.write_text("chr1\t0\t64\ttrain\nchr1\t48\t112\tvalid\nchr2\t0\t64\ttrain\nchr3\t0\t64\ttest\n")
    built = build_tracks(tmp_path / "set", genome, table, windows=bed, bin_size=16)
    assert [window.split for window in read_tracks(tmp_path / "set").windows] == ["train", "valid", "train", "test"]
    assert built.notes == [
        "splits are as the rows of the BED are named.",
        "bases of train are also in 1 window of valid or test.",
    ]


def test_tracks_that_say_little_are_noted(tmp_path: Path, genome: Genome, table: Path) -> None:
    (tmp_path / "low.bdg").write_text("chr1\t0\t500\t1e-5\n")
    (tmp_path / "none.bdg").write_text("chr1\t899\t900\t1\n")
    table.write_text("identifier\tfile\nlow\tlow.bdg\nnone\tnone.bdg\n")
    built = build_tracks(tmp_path / "set", genome, table, length=96, bin_size=16)
    assert built.notes[2:] == [
        "without any value on chr2, taken as 0: 2 tracks (low, none).",
        "without any value on chr3, taken as 0: 2 tracks (low, none).",
        "0 in all windows: 1 track (none).",
        "below 6e-05 everywhere, where float16 is coarse: 1 track (low).",
    ]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"length": 100}, ConfigError, "length 100 is no whole number of bins of 16 bases"),
        ({"target_bins": 7}, ConfigError, "target_bins 7: a window has 6 bins"),
        ({"stride": 0}, ConfigError, "stride is 0"),
        ({"max_n": 1}, ConfigError, "max_n is 1"),
        ({"length": 1600}, ConfigError, "has 1,600 bases for the bins"),
        ({"valid": ["chr7"]}, ContigError, "There is no contig chr7"),
        ({"valid": ["chr1", "chr2", "chr3"]}, ConfigError, "leave some to train on"),
        ({"windows": "none.bed"}, MissingFileError, r"none\.bed does not exist"),
        ({"windows": "w.bed", "stride": 9}, ConfigError, "stride is for windows that tile"),
        ({"windows": "w.bed", "length": None}, ConfigError, r"rows of w\.bed have 32 to 64 bases; give a length"),
        ({"windows": "other.bed"}, ContigError, r"no contig of other\.bed \(chrX\) is in genome\.fa"),
        ({"windows": "empty.bed"}, ConfigError, r"empty\.bed has no rows"),
        ({"windows": "far.bed"}, ConfigError, r"no window is left \(dropped: 1 outside\)"),
        (
            {"windows": "w.bed", "length": 32, "valid": ["chr3"]},
            ConfigError,
            r"valid \(chr3\) has no window; the windows lie on: chr1 2",
        ),
        ({"blacklist": "none.bed"}, MissingFileError, r"none\.bed does not exist"),
    ],
)
def test_refusals_leave_nothing(tmp_path: Path, genome: Genome, table: Path, options, error, message, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("w.bed").write_text("chr1\t0\t32\nchr1\t32\t96\n")
    Path("other.bed").write_text("chrX\t0\t32\n")
    Path("empty.bed").write_text("# nothing\n")
    Path("far.bed").write_text("chr2\t490\t800\n")
    before = set(tmp_path.iterdir())
    with pytest.raises(error, match=message):
        build_tracks("set", genome, table, **({"length": 96, "bin_size": 16} | options))
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ("a\t", ConfigError, "track a of .* has no file"),
        ("a\tmissing.bw", MissingFileError, r"missing\.bw does not exist"),
        ("a\tgenome.fa", ConfigError, r"ends in \.fa; tracks are recognised by"),
        ("a\tlong.bw", ContigError, r"long\.bw: 1 has 1,000 bases, but 900 in genome\.fa; is the track on another assembly"),
        ("a\tlong.bdg", ContigError, r"long\.bdg: chr1 has at least 950 bases, but 900 in genome\.fa"),
        ("a\tother.bdg", ContigError, r"other\.bdg \(chrX\) has none of the contigs that windows lie on"),
        (
            "a\tlarge.bdg",
            ConfigError,
            r"track a reaches 100000 in chr1:0-96, but float16 holds numbers up to 65,504; give it a clip",
        ),
    ],
)
def test_tracks_that_do_not_fit_are_refused_and_leave_nothing(
    tmp_path: Path, genome: Genome, row: str, error, message: str
) -> None:
    write_bigwig(tmp_path / "long.bw", {"1": 1000}, [("1", [0], [5], [1])])
    for name, line in (("long", "chr1 0 950 1"), ("other", "chrX 0 9 1"), ("large", "chr1 0 900 1e5")):
        (tmp_path / f"{name}.bdg").write_text(line + "\n")
    (tmp_path / "t.tsv").write_text(f"identifier\tfile\n{row}\n")
    before = {path for path in tmp_path.iterdir() if path.name != "genome.fa.fai"}
    with pytest.raises(error, match=message):
        build_tracks(tmp_path / "set", genome, tmp_path / "t.tsv", length=96, bin_size=16)
    assert {path for path in tmp_path.iterdir() if path.name != "genome.fa.fai"} == before


# --- sets from arrays


WINDOWS = (Window("chr1", 0, 8, "train"), Window("chr2", 4, 12, "valid"))
TARGETS = TrackTable((Track(0, "a", strand_pair=0), Track(1, "b", strand_pair=1), Track(2, "c", strand_pair=2)))
SEQUENCES = [encode("ACGTNACG"), encode("TTTTTTTT")]
TRACKS = [np.arange(6.0).reshape(3, 2), -np.arange(6.0).reshape(3, 2)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_track_set(tmp_path / "set", iter(SEQUENCES), iter(TRACKS), WINDOWS, TARGETS, 2, {"source": "by hand"})
    return tmp_path / "set"


def test_arrays_come_back(folder: Path) -> None:
    found = read_tracks(folder)
    np.testing.assert_array_equal(found.sequence, SEQUENCES)
    np.testing.assert_array_equal(found.tracks, TRACKS)
    assert (found.windows, found.targets, found.bin_size, found.first_bin) == (WINDOWS, TARGETS, 2, 1)
    assert found.manifest["source"] == "by hand"
    assert found.rows("test").tolist() == []
    with pytest.raises(ConfigError, match="split 'dev' is unknown"):
        found.rows("dev")
    assert sorted(path.name for path in folder.parent.iterdir()) == ["set"]
    assert not found.tracks.flags.writeable
    text = pickle.dumps(found)
    assert len(text) < 500
    np.testing.assert_array_equal(pickle.loads(text).tracks, TRACKS)


@pytest.mark.parametrize(
    ("sequences", "tracks", "windows", "error", "message"),
    [
        ([], [], WINDOWS, ValueError, "no windows with sequence and tracks"),
        (SEQUENCES[:1], TRACKS[:1], WINDOWS, ValueError, "some of 2 windows are missing"),
        (SEQUENCES, TRACKS[:1], WINDOWS, ValueError, "zip"),
        (SEQUENCES * 2, TRACKS * 2, WINDOWS, ValueError, "more sequences than the 2 windows"),
        (SEQUENCES, [track[:2] for track in TRACKS], WINDOWS, ValueError, "are missing or written twice"),
        (SEQUENCES, [np.zeros((3, 5))] * 2, WINDOWS, ConfigError, "5 bins of 2 bases in windows of 8"),
        ([codes[:5] for codes in SEQUENCES], TRACKS, WINDOWS, ValueError, r"give uint8 codes from 0 to 4, \(8,\)"),
        ([codes + 1 for codes in SEQUENCES], TRACKS, WINDOWS, ValueError, "codes from 0 to 4"),
        (SEQUENCES, [np.full((3, 2), np.nan)] * 2, WINDOWS, ConfigError, "track a reaches nan"),
        (SEQUENCES, TRACKS, [*WINDOWS[:1], Window("chr1", 0, 9, "train")], ConfigError, "chr1:0-9, train: windows are of one"),
        (SEQUENCES, TRACKS, [*WINDOWS[:1], Window("chr1", 0, 8, "dev")], ConfigError, "chr1:0-8, dev"),
        (SEQUENCES, TRACKS, [], ConfigError, "there are no windows"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_and_leave_nothing(tmp_path, sequences, tracks, windows, error, message) -> None:
    with pytest.raises(error, match=message):
        write_track_set(tmp_path / "set", sequences, tracks, windows, TARGETS, 2)
    assert not list(tmp_path.iterdir())


def test_an_earlier_set_stays_until_the_next_is_whole(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError):
        write_track_set(folder, SEQUENCES[:1], TRACKS[:1], WINDOWS, TARGETS, 2)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "manifest.json").write_text('{"kind": "labelled windows"}')
    with pytest.raises(ConfigError, match="holds data of another kind"):
        write_track_set(folder, SEQUENCES, TRACKS, WINDOWS, TARGETS, 2)


@pytest.mark.parametrize("name", ["targets.tsv", "windows.tsv", "tracks.npy"])
def test_the_files_of_something_else_are_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(ConfigError, match=f"holds {name}, which another program made"):
        write_track_set(tmp_path, SEQUENCES, TRACKS, WINDOWS, TARGETS, 2)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda f: (f / "manifest.json").unlink(), MissingFileError, r"has no manifest\.json; give a folder that"),
        (lambda f: (f / "manifest.json").write_text("{"), FileFormatError, r"manifest\.json cannot be read"),
        (
            lambda f: _edit(f / "manifest.json", kind="labelled windows"),
            FileFormatError,
            "holds labelled windows, no track windows",
        ),
        (
            lambda f: _edit(f / "manifest.json", n_bins=3),
            FileFormatError,
            r"holds float16 \(2, 3, 2\), but the manifest says .*3\)",
        ),
        (lambda f: _edit(f / "manifest.json", bin_size=5), FileFormatError, "2 bins of 5 bases in windows of 8"),
        (lambda f: (f / "tracks.npy").unlink(), MissingFileError, r"tracks\.npy does not exist; build the set again"),
        (
            lambda f: (f / "tracks.npy").write_bytes((f / "tracks.npy").read_bytes()[:-3]),
            FileFormatError,
            r"tracks\.npy is damaged",
        ),
        (lambda f: (f / "sequence.npy").write_bytes(b""), FileFormatError, r"sequence\.npy is damaged"),
        (lambda f: np.save(f / "sequence.npy", np.array(["a"], dtype=object)), FileFormatError, r"sequence\.npy is damaged"),
        (
            lambda f: (f / "windows.tsv").write_text("chrom\tstart\tend\tsplit\n"),
            FileFormatError,
            "has not 2 rows, as the manifest says, but 0",
        ),
        (lambda f: (f / "windows.tsv").write_text("chr1\t0\n"), FileFormatError, "its header is not chrom start end split"),
        (
            lambda f: (f / "targets.tsv").write_text("identifier\na\n"),
            FileFormatError,
            r"targets\.tsv has not 3 rows, .* but 1",
        ),
    ],
)
def test_a_damaged_set_is_refused_in_a_sentence(folder: Path, damage, error, message: str) -> None:
    damage(folder)
    with pytest.raises(error, match=message):
        read_tracks(folder)


# --- real data


def test_a_set_of_real_chipseq(tmp_path: Path, real_data: Path) -> None:
    chipseq = real_data / "hg19" / "chipseq_chr22"
    names = ("treat_pileup.hg19.bw", "treat_pileup.bdg.gz", "peaks.narrowPeak")
    (tmp_path / "t.tsv").write_text(
        "identifier\tfile\tsum_stat\tdescription\n"
        + "".join(f"{name}\t{chipseq}/CTCF_chr22_{name}\tmean\tCHIP:CTCF\n" for name in names)
    )
    genome = Genome(real_data / "hg19" / "hg19.sparse.fa.gz")
    (tmp_path / "w.bed").write_text("".join(f"22\t{at}\t{at + 16_384}\n" for at in range(20_000_000, 21_000_000, 100_000)))
    built = build_tracks(
        tmp_path / "set",
        genome,
        tmp_path / "t.tsv",
        windows=tmp_path / "w.bed",
        target_bins=96,
    )
    found = read_tracks(tmp_path / "set")
    assert built.counts["train"] == len(found) == 10 - built.dropped["too_many_n"] > 5
    np.testing.assert_array_equal(found.tracks[:, 0], found.tracks[:, 1])
    inside = found.tracks[:, 2] == 1
    assert found.tracks[:, 0][inside].mean() > 10 * found.tracks[:, 0][found.tracks[:, 2] == 0].mean()
    with pysam.FastaFile(str(real_data / "hg19" / "hg19.sparse.fa.gz")) as fasta:
        window = found.windows[3]
        assert decode(found.sequence[3]) == fasta.fetch(window.chrom, window.start, window.end).upper()


def test_seq2track_as_a_set_with_bins_of_128(tmp_path: Path, real_data: Path) -> None:
    folder = real_data / "seq2track"
    arrays = np.load(folder / "targets.npz")
    windows, sequences = [], []
    with pysam.FastxFile(str(folder / "windows.fa.gz")) as fasta:
        for record in fasta:
            chrom, _, span = record.name.partition(":")
            start, end = map(int, span.split("-"))
            windows.append(Window(chrom, start, end, record.comment.split()[0].removeprefix("split=")))
            sequences.append(encode(record.sequence))
    pooled = (summarise(target.T.astype(np.float32), 4, "sum") for target in arrays["target"])
    write_track_set(tmp_path / "set", sequences, pooled, windows, read_targets(folder / "targets.txt"), 128)
    found = read_tracks(tmp_path / "set")
    assert found.tracks.shape == (55, 74, 512)
    assert (found.first_bin, len(found.rows("train")), len(found.rows("valid"))) == (256, 45, 10)
    for i in (0, 54):
        chrom, _, span = arrays["window"][i].partition(":")
        start = found.windows[i].start + found.first_bin * 128
        assert (found.windows[i].chrom, f"{start}-{start + 512 * 128}", found.windows[i].split) == (
            chrom,
            span,
            arrays["split"][i],
        )
        expected = arrays["target"][i].astype(np.float64).reshape(512, 4, 74).sum(axis=1).T
        np.testing.assert_allclose(found.tracks[i], expected, rtol=2**-10)
    assert found.tracks[:, found.targets.choose("CAGE")].max() > 1
