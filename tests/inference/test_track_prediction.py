"""Predicted tracks: exact coordinates by a reader whose values say where it reads, a naive loop, both strands, the ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_models import small_enformer

from genoformer.errors import CheckpointError, ConfigError, ContigError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import N, encode, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.inference import head_readers
from genoformer.inference.regions import resolve_regions
from genoformer.inference.runtime import Runtime
from genoformer.inference.track_prediction import TrackSelection, head_tracks, kept_bins, predict_tracks
from genoformer.inference.tracks import TrackPredictor
from genoformer.models.plain_engine import one_hot

LENGTHS = {"chr1": 1000, "chr2": 203, "chr3": 5}


@pytest.fixture
def genome(make_fasta) -> Genome:
    random = np.random.default_rng(0)
    return Genome(make_fasta(**{name: "".join(random.choice(list("ACGT"), n)) for name, n in LENGTHS.items()}))


class Kept(list):
    """A sink that keeps (chrom, start, end, values [K])."""

    def add(self, stretch) -> None:
        rows = zip(stretch.starts.tolist(), stretch.ends.tolist(), stretch.values.T, strict=True)
        self += [(stretch.chrom, start, end, values.tolist()) for start, end, values in rows]


class Counting:
    """In place of a model: bins of 8 bases -> how many G and C, and how many N, of the middle n_bins bins."""

    device = torch.device("cpu")

    def __init__(self, model, head, n_bins: int, others=()) -> None:
        self.n_bins = n_bins

    def __call__(self, codes, batch_size: int):
        bins = codes.reshape(len(codes), -1, 8)
        first = (bins.shape[1] - self.n_bins) // 2
        bins = bins[:, first : first + self.n_bins]
        return np.stack([np.isin(bins, (1, 2)).sum(-1), (bins == N).sum(-1)], axis=1).astype(np.float32)


def predicted(genome: Genome, model, intervals, tracks=(0, 1), *, strand_pairs=None, batch_size=None, progress=None) -> Kept:
    found, selection = Kept(), TrackSelection("human", tracks, strand_pairs)
    runtime = Runtime(batch_size=batch_size)
    done = predict_tracks(genome, model, intervals, selection, found, runtime=runtime, progress=progress)
    assert done.n_bins == len(found)
    return found


@pytest.mark.parametrize("region", ["chr1", "chr1:1-1,000", "chr1:14-30", "chr1:121-391", "chr1:985-", "2", "chr3", "chr1:64"])
def test_every_bin_is_counted_where_it_lies(genome: Genome, monkeypatch, region: str) -> None:
    monkeypatch.setattr(head_readers, "TrackPredictor", Counting)
    asked = resolve_regions(genome, region=region).intervals
    ((chrom, rows),) = asked.items()
    ((begin, stop),) = rows.tolist()
    found = predicted(genome, small_enformer(), asked)
    assert [end for _, _, end, _ in found[:-1]] == [start for _, start, _, _ in found[1:]]  # nothing missing, nothing twice
    assert (found[0][1], found[-1][2]) == (begin, stop)
    for name, start, end, (gc, unknown) in found:
        assert name == chrom
        assert end % 8 == 0 or end == stop
        whole = genome.window(chrom, start // 8 * 8, 8)  # the bin that was cut to the region
        assert gc == np.isin(whole, (1, 2)).sum()
        assert unknown == (whole == N).sum()  # N beyond the contig's end


def test_many_regions_come_in_order_each_bin_once(genome: Genome, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(head_readers, "TrackPredictor", Counting)
    (tmp_path / "a.bed").write_text("2\t0\t9\nchr1\t500\t510\nchr1\t100\t103\nchr1\t505\t520\nchr1\t103\t104\nchr1\t105\t109\n")
    asked = resolve_regions(genome, bed=tmp_path / "a.bed")
    places = [place[:3] for place in predicted(genome, small_enformer(), asked.intervals)]
    assert places == [
        ("chr1", 100, 104),
        ("chr1", 105, 109),
        ("chr1", 500, 504),
        ("chr1", 504, 512),
        ("chr1", 512, 520),
        ("chr2", 0, 8),
        ("chr2", 8, 9),
    ]
    (note,) = asked.notes
    assert note.startswith(f"{tmp_path / 'a.bed'} contig 2 is chr2 in genome.fa")


def naive(genome: Genome, model, chrom: str, head: str = "human") -> np.ndarray:
    """[K, bins of the contig]: a plain forward pass of each window on its own."""
    length = model.config.context_length
    kept = kept_bins(length, model.track_heads[head])
    before = (length // 8 - kept) // 2 * 8
    parts = []
    for start in range(0, genome.contigs[chrom], 8 * kept):
        codes = genome.window(chrom, start - before, length)
        with torch.no_grad():
            parts.append(model(one_hot(torch.from_numpy(codes)[None]), head, kept)[0].numpy())
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("fields", [{}, {"target_bins": 32}, {"target_bins": 12}, {"target_bins": 5}, {"context_length": 72}])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_tracks_are_those_of_a_plain_loop_over_windows(genome: Genome, fields, batch_size: int) -> None:
    model = small_enformer(**fields)
    asked = resolve_regions(genome).intervals
    found = predicted(genome, model, asked, tracks=[4, 0], batch_size=batch_size)
    for chrom, length in LENGTHS.items():
        values = np.array([values for name, _, _, values in found if name == chrom]).T
        expected = naive(genome, model, chrom)[[4, 0], : -(-length // 8)]
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    assert found[0][3] != found[1][3]


def test_a_bin_has_one_value_whatever_else_is_asked_for(genome: Genome) -> None:
    model = small_enformer()
    everything = {place[:3]: place[3] for place in predicted(genome, model, resolve_regions(genome).intervals)}
    part = predicted(genome, model, resolve_regions(genome, region="chr1:305-704").intervals)
    assert len(part) == 50
    for chrom, start, end, values in part:
        assert values == everything[chrom, start, end]


@pytest.mark.parametrize(
    ("fields", "kept"),
    [({}, 16), ({"target_bins": 32}, 16), ({"target_bins": 8}, 8), ({"target_bins": 5}, 4), ({"context_length": 8}, 1)],
)
def test_bins_are_kept_in_the_very_middle(fields, kept: int) -> None:
    model = small_enformer(**fields)
    config = model.config
    assert kept_bins(config.context_length, model.track_heads["human"]) == kept
    assert kept == 1 or (config.context_length // 8 - kept) % 2 == 0


@pytest.mark.parametrize("n_bins", [6, 5])
def test_both_strands_are_averaged_with_their_pairs_exchanged(genome: Genome, n_bins: int) -> None:
    """Of an odd rest too: 32 bins, of which 5 lie 13 from one end and 14 from the other."""
    model, pairs = small_enformer(), np.array([1, 0, 2, 4, 3])
    codes = genome.window("chr1", 0, 256)
    found = TrackPredictor(model, "human", n_bins).both_strands(codes[None], pairs)[0]
    with torch.no_grad():
        forward = model(one_hot(torch.from_numpy(codes)[None]), "human", 0)[0].numpy()
        turned = model(one_hot(torch.from_numpy(reverse_complement(codes).copy())[None]), "human", 0)[0].numpy()
    expected = (forward + turned[pairs, ::-1]) / 2
    first = (32 - n_bins) // 2
    np.testing.assert_allclose(found, expected[:, first : first + n_bins], rtol=1e-5, atol=1e-6)


def test_the_other_strand_of_a_genome_has_the_mirrored_tracks(make_fasta) -> None:
    """Of a palindromic genome, whose two ends lie on the lattice alike."""
    random = np.random.default_rng(1)
    half = "".join(random.choice(list("ACGT"), 256))
    codes = np.concatenate([encode(half), reverse_complement(encode(half))])
    genome = Genome(make_fasta(c="".join("ACGT"[code] for code in codes)))
    model, pairs = small_enformer(), np.array([1, 0, 2, 4, 3])
    found = predicted(genome, model, resolve_regions(genome).intervals, tracks=range(5), strand_pairs=pairs)
    values = np.array([values for _, _, _, values in found]).T  # [K, N]
    np.testing.assert_allclose(values, values[pairs, ::-1], rtol=1e-4, atol=1e-6)
    alone = predicted(genome, model, resolve_regions(genome).intervals, tracks=range(5))
    assert np.abs(np.array([values for _, _, _, values in alone]).T - values).max() > 1e-3


def test_the_model_is_handed_back_and_progress_is_told(genome: Genome) -> None:
    model, told = small_enformer().train(), []
    predicted(genome, model, resolve_regions(genome, region="chr1").intervals, batch_size=3, progress=told.append)
    assert model.training
    assert [(p.done, p.total) for p in told] == [(3, 8), (6, 8), (8, 8)]


def test_bins_in_gaps_of_the_assembly_are_counted(make_fasta) -> None:
    """Bins of 8: a run of N over bases 20 to 60 holds the bins 24, 32, 40 and 48 whole, of which a region may show some."""
    genome = Genome(make_fasta(chr1="ACGTACGTAC" * 2 + "N" * 40 + "ACGTACGTAC" * 10))
    for region, n in (("chr1", 4), ("chr1:1-24", 0), ("chr1:30-40", 2)):
        asked = resolve_regions(genome, region=region).intervals
        done = predict_tracks(genome, small_enformer(), asked, TrackSelection("human", [0]), Kept())
        assert done.n_unknown == n, region


# --- which tracks, which regions


def test_tracks_come_from_the_table_the_model_or_their_numbers() -> None:
    model = small_enformer()
    assert [track.identifier for track in head_tracks(model.track_heads, "mouse")] == ["mouse_0", "mouse_1", "mouse_2"]
    own = TrackTable(tuple(Track(i, f"t{i}", strand_pair=i) for i in range(3)))
    assert head_tracks(model.track_heads, "mouse", own) is own
    model.targets = {"mouse": own}
    assert head_tracks(model.track_heads, "mouse") is own
    assert head_tracks(model.track_heads, "human")[4].identifier == "human_4"
    with pytest.raises(ConfigError, match=r"the table has 3 tracks, but head human has 5 \(the model has human: 5, mouse: 3\)"):
        head_tracks(model.track_heads, "human", own)
    with pytest.raises(ConfigError, match="this model has human, mouse"):
        head_tracks(model.track_heads)


def test_a_track_that_is_not_there_and_values_that_are_no_numbers_are_refused(genome: Genome) -> None:
    model = small_enformer()
    with pytest.raises(ConfigError, match="track 5 does not exist; those of head human are numbered 0 to 4"):
        predicted(genome, model, resolve_regions(genome).intervals, tracks=[5])
    with torch.no_grad():
        model.heads["human"].bias[1] = torch.nan
    with pytest.raises(CheckpointError, match="predicts NaN or infinite values at chr1:1; are its weights damaged"):
        predicted(genome, model, resolve_regions(genome).intervals)


def test_regions_in_each_way(genome: Genome, tmp_path: Path) -> None:
    def asked(**options):
        found = resolve_regions(genome, **options)
        return {name: rows.tolist() for name, rows in found.intervals.items()}, found.notes

    whole = {name: [[0, n]] for name, n in LENGTHS.items()}
    assert asked() == (whole, [])
    assert asked(contigs=["3", "chr1"])[0] == {"chr1": [[0, 1000]], "chr3": [[0, 5]]}
    assert asked(region="1:101-200")[0] == {"chr1": [[100, 200]]}
    assert asked(region="chr1:101-")[0] == {"chr1": [[100, 1000]]}
    (tmp_path / "a.bed").write_text("chr9\t0\t5\n1\t990\t1010\nchr1\t980\t991\nchr1\t2000\t2001\nchr1\t1000\t1001\n")
    rows, notes = asked(bed=tmp_path / "a.bed")
    assert rows == {"chr1": [[980, 1000]]}
    assert "chr9" in notes[0]
    assert notes[1:] == [
        f"2 of the regions lie beyond the end of their contig and are left out; the first: {tmp_path / 'a.bed'}, line 4: "
        f"chr1:2,000-2,001 lies beyond the end of chr1 of {genome.name}, which has 1,000 bases.",
        "1 of the regions reaches beyond the end of its contig and is cut there.",
    ]
    (tmp_path / "b.bed").write_text("chr1\t2000\t2001\n")
    with pytest.raises(ConfigError, match=r"no region remains: .*b.bed, line 1: chr1:2,000-2,001 lies beyond"):
        asked(bed=tmp_path / "b.bed")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"region": "chr1", "contigs": ["chr1"]}, ConfigError, "more than one way"),
        ({"region": "chr8"}, ContigError, "no contig chr8"),
        ({"contigs": ["chr8"]}, ContigError, "no contig chr8"),
        ({"region": "chr1:2,000-3,000"}, ConfigError, "chr1:2,000-3,000 lies beyond its contig, which has 1,000 bases"),
        ({"region": "chr1:9-1"}, ConfigError, "begins at 1 or later and does not end before"),
    ],
)
def test_regions_that_are_not_there_are_refused(genome: Genome, options, error, message: str) -> None:
    with pytest.raises(error, match=message):
        resolve_regions(genome, **options)


def test_a_bed_of_another_genome_names_both_lists(genome: Genome, tmp_path: Path) -> None:
    (tmp_path / "a.bed").write_text("chr9\t0\t5\n")
    with pytest.raises(ContigError, match=r"\(chr9\) is in genome.fa \(chr1, chr2, chr3\)"):
        resolve_regions(genome, bed=tmp_path / "a.bed")
    (tmp_path / "a.bed").write_text("# none\n")
    with pytest.raises(ConfigError, match="has no regions"):
        resolve_regions(genome, bed=tmp_path / "a.bed")
