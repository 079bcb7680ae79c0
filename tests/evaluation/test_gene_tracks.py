"""Tracks around each TSS: sums by hand, predictions of one window read directly, genes that windows do not hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import genoformer as gf
from genoformer.datasets.track_set import TrackSet, Window, read_tracks, write_track_set
from genoformer.errors import ConfigError, ContigError, OptionError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import reverse_complement

BIN, N_BINS, LENGTH = 8, 24, 256  # the middle 24 of 32 bins have targets
TABLE = TrackTable((Track(0, "plus", strand_pair=1), Track(1, "minus", strand_pair=0), Track(2, "open", strand_pair=2)))
FIRST = 4 * BIN  # bases of a window before its targets
RNG = np.random.default_rng(3)
CODES = RNG.integers(0, 4, (3, LENGTH)).astype(np.uint8)
VALUES = RNG.integers(0, 9, (3, 3, N_BINS)).astype(np.float16)


def exon(contig: str, start: int, end: int, strand: str, gene: str, transcript: str) -> str:
    """A line of a GTF, from 0-based half-open coordinates."""
    return (
        f'{contig}\tx\texon\t{start + 1}\t{end}\t.\t{strand}\t.\tgene_id "{gene}"; transcript_id "{transcript}"; '
        f'gene_name "{gene.upper()}";\n'
    )


@pytest.fixture
def data(tmp_path: Path) -> TrackSet:
    windows = [
        Window("chr1", 0, LENGTH, "train"),
        Window("chr1", 0 + 8 * BIN, LENGTH + 8 * BIN, "test"),
        Window("chr2", 1_000, 1_000 + LENGTH, "test"),
    ]
    write_track_set(tmp_path / "set", list(CODES), list(VALUES), windows, TABLE, BIN)
    return read_tracks(tmp_path / "set")


@pytest.fixture
def gtf(tmp_path: Path) -> Path:
    begin = 1_000 + FIRST  # of the targets on chr2
    lines = [
        exon("2", begin + 80, begin + 90, "+", "a", "a1"),  # TSS in bin 9, of the transcript that begins later
        exon("2", begin + 75, begin + 78, "+", "a", "a2"),  # and this is bin 9, the first base of the gene
        exon("2", begin + 10, begin + 41, "-", "b", "b1"),  # TSS at +40, the first base of bin 5
        exon("2", begin, begin + 5, "+", "edge", "e1"),  # bin 0, whose neighbour has no target
        exon("2", begin + 5_000, begin + 5_010, "+", "far", "f1"),
        exon(
            "chr1", 8 * BIN + FIRST + 16, 8 * BIN + FIRST + 20, "+", "c", "c1"
        ),  # bin 2 of the test window, 10 of that of train
        exon("chr9", 5, 9, "+", "elsewhere", "w1"),
    ]
    path = tmp_path / "g.gtf"
    path.write_text("".join(lines))
    return path


def model():
    pytest.importorskip("torch", reason="models need torch")
    from small_models import small_enformer

    made = small_enformer(heads={"tracks": 3}, target_bins=N_BINS)
    return made


def naive(made, row: int) -> np.ndarray:
    """Tracks [3, 24] of a window, the mean of both strands, from the model itself."""
    import torch

    from genoformer.models.plain_engine import one_hot

    with torch.inference_mode():
        both = [
            made(one_hot(torch.from_numpy(codes[None])), "tracks", N_BINS)[0].numpy()
            for codes in (CODES[row], reverse_complement(CODES[row]))
        ]
    return (both[0] + both[1][[1, 0, 2], ::-1]) / 2


def test_a_row_is_the_sum_over_three_bins_of_each_track(data: TrackSet, gtf: Path) -> None:
    made = model()
    table = gf.gene_tracks(data, made, gtf, device="cpu")
    assert table.columns.tolist() == ["gene", "chrom", "tss", "strand", "track", "measured", "predicted"]
    assert table["track"].tolist() == ["plus", "minus", "open"] * 3
    begin = 1_000 + FIRST
    places = {
        "C": (1, "chr1", 8 * BIN + FIRST + 16, "+", 2),
        "A": (2, "chr2", begin + 75, "+", 9),
        "B": (2, "chr2", begin + 40, "-", 5),
    }
    assert table["gene"].unique().tolist() == list(places)
    for gene, (row, chrom, tss, strand, at) in places.items():
        found = table[table["gene"] == gene]
        assert set(zip(found["chrom"], found["tss"], found["strand"], strict=True)) == {(chrom, tss, strand)}
        assert found["measured"].tolist() == VALUES[row, :, at - 1 : at + 2].astype(float).sum(1).tolist()
        np.testing.assert_allclose(found["predicted"], naive(made, row)[:, at - 1 : at + 2].sum(1), rtol=1e-5)
    assert not made.training


def test_bins_around_and_split_are_chosen(data: TrackSet, gtf: Path) -> None:
    table = gf.gene_tracks(data.folder, model(), gtf, split="train", around=0, device="cpu")
    assert table["gene"].unique().tolist() == ["C"]
    assert table["measured"].tolist() == VALUES[0, :, 10].tolist()
    assert "EDGE" in gf.gene_tracks(data, model(), gtf, around=0, device="cpu")["gene"].tolist()


def test_genes_of_another_genome_are_refused(data: TrackSet, gtf: Path, tmp_path: Path) -> None:
    made = model()
    with pytest.raises(ConfigError, match=r"no TSS of g\.gtf is in the bins of split valid"):
        gf.gene_tracks(data, made, gtf, split="valid", device="cpu")
    with pytest.raises(OptionError, match="around is -1"):
        gf.gene_tracks(data, made, gtf, around=-1, device="cpu")
    other = tmp_path / "other.gtf"
    other.write_text(exon("chr9", 5, 9, "+", "elsewhere", "w1"))
    with pytest.raises(ContigError, match=r"no contig of .*other.gtf .chr9. is in the windows .chr1, chr2."):
        gf.gene_tracks(data, made, other, device="cpu")
