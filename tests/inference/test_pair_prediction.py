"""predict of contact maps and splice junctions against the model's own functions over whole windows."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
import torch
from alphagenome_models import small_alphagenome
from commands import assert_refused, run, run_well

import genoformer as gf
from genoformer.errors import ConfigError, OptionError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import decode, encode, reverse_complement
from genoformer.inference.pair_prediction import PairWindow, pair_windows
from genoformer.models import registry
from genoformer.models.plain_engine import one_hot

CONTIG = decode(np.random.default_rng(2).integers(0, 4, 30_000, dtype=np.uint8))
MODEL = small_alphagenome(context_length=8192)
CONTACTS, JUNCTIONS = "human_contact_maps", "human_splice_sites_junction"
NAMES = TrackTable(tuple(Track(i, name, strand_pair=i) for i, name in enumerate(("HCT116", "IMR-90", "H1"))))
REGION, FIRST, END = "c1:12,001-17,000", 12_000, 17_000  # its middle, 14,500 - 4,096, is nearest to 10,240
START = 10_240


@pytest.fixture(scope="module")
def fasta(tmp_path_factory):
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">c1\n{CONTIG}\n>c2\n{CONTIG[:6000]}\n")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m"
    MODEL.targets = {CONTACTS: NAMES}
    registry.save(MODEL, path)
    MODEL.targets = {}
    return path


def read(start: int = START, contig: str = CONTIG) -> list[torch.Tensor]:
    """The window as each strand reads it."""
    padded = "N" * max(0, -start) + contig[max(0, start) : start + 8192]
    codes = encode(padded + "N" * (8192 - len(padded)))
    return [one_hot(torch.tensor(of[None].copy())) for of in (codes, reverse_complement(codes))]


def maps(both: bool, **place) -> np.ndarray:
    with torch.no_grad():
        forward, backward = (MODEL.contact_maps(x, "human")[0].double().numpy() for x in read(**place))
    return (forward + backward[:, ::-1, ::-1]) / 2 if both else forward


@pytest.mark.parametrize("strand", ["forward", "both"])
def test_a_contact_map_is_that_of_the_window_around_the_region(fasta, folder, tmp_path, strand) -> None:
    out = tmp_path / "map.npz"
    run_well("predict", "-f", fasta, "-m", folder, "-r", REGION, "--head", CONTACTS, "--strand", strand, "-o", out)
    with np.load(out) as arrays:
        assert str(arrays["chrom"]) == "c1"
        assert arrays["starts"].tolist() == [10_240, 12_288, 14_336, 16_384]  # all four bins touch the region
        assert int(arrays["bin_size"]) == 2048
        assert arrays["tracks"].tolist() == ["HCT116", "IMR-90", "H1"]
        np.testing.assert_allclose(arrays["maps"], maps(strand == "both"), rtol=1e-3, atol=1e-5)


def test_a_map_is_cut_to_the_bins_of_its_region(fasta, folder, tmp_path) -> None:
    table = gf.predict(fasta, "c1:14,337-16,000", folder, head=CONTACTS, tracks="1-2")
    assert list(table.columns) == ["chrom1", "start1", "end1", "chrom2", "start2", "end2", "IMR-90", "H1"]
    assert table.iloc[0, :6].tolist() == ["c1", 14_336, 16_384, "c1", 14_336, 16_384]
    start = 10_240  # 15,168 - 4,096 = 11,072, nearer to 10,240 than to 12,288
    assert table.iloc[0, 6:].tolist() == pytest.approx(maps(False, start=start)[1:, 2, 2], rel=1e-3)
    assert len(table) == 1


def test_rows_of_a_map_are_the_pairs_of_bins(fasta, folder, tmp_path) -> None:
    tsv, parquet, png = (tmp_path / f"m.{kind}" for kind in ("tsv", "parquet", "png"))
    for out in (tsv, parquet, png):
        run_well("predict", "-f", fasta, "-m", folder, "-r", REGION, "--head", CONTACTS, "-o", out)
    expected = maps(False)
    with tsv.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 10
    for row in rows:
        i, j = ((int(row[name]) - START) // 2048 for name in ("start1", "start2"))
        assert i <= j
        assert float(row["IMR-90"]) == pytest.approx(expected[1, i, j], rel=1e-3)
    assert pd.read_parquet(parquet)["H1"].to_numpy() == pytest.approx([float(row["H1"]) for row in rows], rel=1e-4)
    assert png.read_bytes().startswith(b"\x89PNG")


def test_a_folder_has_a_map_for_each_region(fasta, folder, tmp_path) -> None:
    bed, out = tmp_path / "r.bed", tmp_path / "maps"
    bed.write_text("c1\t12000\t17000\nc2\t0\t2000\n")
    command = ("predict", "-f", fasta, "-m", folder, "-b", bed, "--head", CONTACTS, "-o", out)
    run_well(*command)
    assert sorted(path.name for path in out.iterdir()) == ["c1_10240_18432.npz", "c2_0_2048.npz", "maps.tsv"]
    with np.load(out / "c2_0_2048.npz") as arrays:  # the window begins before the contig
        np.testing.assert_allclose(arrays["maps"][:, 0, 0], maps(False, start=-4096, contig=CONTIG[:6000])[:, 2, 2], rtol=1e-3)
    assert_refused(run(*command), "exists and is not an empty folder")
    run_well(*command, "--force")
    assert_refused(run(*command[:-1], tmp_path / "a.npz"), "holds one contact map, found 2 regions; give one with -r")
    assert_refused(run(*command[:-1], tmp_path / "a.bw"), "the suffix names no known format; end the name in .npz, .tsv")


@pytest.mark.parametrize("both", [False, True])
def test_junctions_are_those_between_the_likeliest_sites_of_the_region(fasta, folder, tmp_path, both) -> None:
    out = tmp_path / "j.tsv"
    strand = "both" if both else "forward"
    run_well("predict", "-f", fasta, "-m", folder, "-r", REGION, "--head", JUNCTIONS, "--strand", strand, "-o", out)
    probabilities, embeddings = [], []
    for back, x in enumerate(read()[: 1 + both]):
        with torch.no_grad():
            p = MODEL(x, "human_splice_sites_classification_1bp")[0]
        probabilities.append(p.flip(-1)[[2, 3, 0, 1]] if back else p)
        with torch.no_grad():
            embeddings.append(MODEL.embed(x, 0, "human_splice_sites_classification_1bp"))
    likely = torch.stack(probabilities).mean(0)[:, FIRST - START : END - START]
    sites = []
    for of_kind in likely:
        best = of_kind.argsort(descending=True)[:6]
        sites.append(sorted(int(i) + FIRST - START for i in best if of_kind[i] >= 0.1))
    padded = torch.tensor([[*of, *[-1] * (6 - len(of))] for of in sites])
    counts = []
    for back, x in enumerate(embeddings):
        at = torch.where(padded[[2, 3, 0, 1]] >= 0, 8191 - padded[[2, 3, 0, 1]], -1) if back else padded
        with torch.no_grad():
            n = MODEL.outputs["splice_sites_junction"].counts(x, 0, at[None])[0]
        counts.append(torch.cat([n[4:], n[:4]]) if back else n)
    mean = torch.stack(counts).mean(0).double().numpy()
    expected = {}
    for kinds, sign, tissues in ((sites[:2], "+", mean[:4]), (sites[2:], "-", mean[4:])):
        for i, donor in enumerate(kinds[0]):
            for j, acceptor in enumerate(kinds[1]):
                a, b = (donor, acceptor) if sign == "+" else (acceptor, donor)
                if a + 1 < b:
                    expected[START + a + 1, START + b, sign] = tissues[:, i, j]
    with out.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == len(expected) > 5
    assert [(int(row["start"]), int(row["end"]), row["strand"]) for row in rows] == sorted(expected)
    for row in rows:
        values = expected[int(row["start"]), int(row["end"]), row["strand"]]
        assert [float(row[f"{JUNCTIONS}_{i}"]) for i in range(4)] == pytest.approx(values, rel=2e-3)


def test_tissues_are_chosen_like_tracks(fasta) -> None:
    every = gf.predict(fasta, REGION, MODEL, head=JUNCTIONS)
    some = gf.predict(fasta, REGION, MODEL, head=JUNCTIONS, tracks=[2])
    pd.testing.assert_frame_equal(some, every[["chrom", "start", "end", "strand", f"{JUNCTIONS}_2"]])


def test_a_plan_names_memory_and_windows(fasta, folder) -> None:
    for head in (CONTACTS, JUNCTIONS):
        text = run_well("predict", "-f", fasta, "-m", folder, "-r", REGION, "--head", head, "--plan").stdout
        assert "memory without Python and torch  about" in text
        assert "windows                          1" in text


def test_windows_hold_their_regions() -> None:
    rows = np.array([[0, 10], [8000, 8200], [5000, 13_000]])
    windows = pair_windows({"c": rows}, 8192 + 2048)
    for window, (first, end) in zip(windows, rows.tolist(), strict=True):
        assert window.start % 2048 == 0
        assert window.start <= first
        assert window.start + 10_240 >= -(-end // 2048) * 2048
    with pytest.raises(ConfigError, match="c:5,001-13,000 has 8,000 bases, and its pairs are predicted in a window of 8,192"):
        pair_windows({"c": rows}, 8192)


def test_the_message_names_the_longest_region_that_fits() -> None:
    """A region of less than a window may cross its end, as a window begins at a multiple of 2,048; the named one fits."""
    message = r"begins at a multiple of 2,048; give at most 7,192 bases from its first one \(c:1,001-8,192\)"
    with pytest.raises(ConfigError, match="c:1,001-9,000 has 8,000 bases.*" + message):
        pair_windows({"c": np.array([[1000, 9000]])}, 8192)
    with pytest.raises(ConfigError, match="c:1,001-8,193 has 7,193 bases"):
        pair_windows({"c": np.array([[1000, 8193]])}, 8192)
    assert pair_windows({"c": np.array([[1000, 8192]])}, 8192) == [PairWindow("c", 0, 1000, 8192)]


def test_options_of_tracks_are_refused(fasta, folder, tmp_path) -> None:
    with pytest.raises(OptionError, match="scale is for heads of tracks, found human_contact_maps; leave it out"):
        gf.predict(fasta, REGION, MODEL, head=CONTACTS, scale="model")
    base = ("predict", "-f", fasta, "-m", folder, "-r", REGION, "--head", CONTACTS)
    assert_refused(
        run(*base, "-o", tmp_path / "a.npz", "--shard", "1/2"),
        "--shard keeps its parts next to an output, found a head of pairs",
    )
    assert_refused(run(*base, "-o", tmp_path / "a.npz", "--calls", tmp_path / "c.bed"), "--calls needs a fine-tuned model")
    assert_refused(run(*base[:-1], "human_contacts", "-o", tmp_path / "a.npz"), "there is no head 'human_contacts'")
