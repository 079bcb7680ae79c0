"""Training with contexts: which track is which measurement, the set in that order, and the commands, with wrong input."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from commands import assert_refused, rows_of, run, run_well
from small_models import LONG_TABLE

from genoformer.datasets.chosen_tracks import choose_tracks
from genoformer.datasets.track_set import Window, read_tracks, write_track_set
from genoformer.errors import ConfigError
from genoformer.formats.context_table import ContextTable
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import decode
from genoformer.inference.tracks import TrackPredictor
from genoformer.models import registry
from genoformer.training.track_contexts import assign_tracks

CELLS = "context\tgc\tt\nliver\t1\t0\nbrain\t0\t1\n"
VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
NEW = "t\tcontext\tgc\n0.5\tlung\t0.5\n"


def table(*rows: tuple[str, str, int]) -> TrackTable:
    return TrackTable(tuple(Track(i, name, description=about, strand_pair=pair) for i, (name, about, pair) in enumerate(rows)))


def contexts(*names: str) -> ContextTable:
    return ContextTable(names, ("x",), np.arange(len(names), dtype=float)[:, None])


# --- which track is which


def test_tracks_are_assigned_by_words_of_their_names() -> None:
    targets = table(
        ("dnase.liver", "", 0),
        ("ENC1", "DNASE:Liver", 1),  # the identifier has no name of a context
        ("cage.liver.plus", "", 3),
        ("cage.liver.minus", "", 2),
        ("dnase.K562 treated", "", 4),
        ("dnase.K562", "", 5),
        ("delivery", "", 6),  # liver is no word of it
    )
    found = assign_tracks(targets, contexts("K562", "liver", "K562 treated", "lung"))
    assert found.contexts.names == ("K562", "liver", "K562 treated")
    np.testing.assert_array_equal(found.contexts.vectors[:, 0], [0, 1, 2])
    assert found.measurements == ("dnase", "DNASE", "cage.plus", "cage.minus")
    assert found.strand_pairs == (0, 1, 3, 2)
    assert found.strands == (".", ".", "+", "-")
    assert found.numbers.tolist() == [5, -1, -1, -1, 0, 1, 2, 3, 4, -1, -1, -1]
    assert found.notes[0] == "No track of the set is of lung: not trained on."
    assert found.notes[1].startswith("1 tracks of the set are of no context of the table, and left out: delivery")
    assert found.notes[2].startswith("6 of 12 measurements of contexts have no track in the set")
    means = found.filled(np.array([9, 0, 0, 0, 5, 4, 3, 2, 1, 0, 0, 0.0]))
    assert means.tolist() == [9, 4, 3, 2, 5, 4, 3, 2, 1, 4, 3, 2]


def test_a_track_that_is_named_as_its_context_is_the_only_measurement() -> None:
    found = assign_tracks(table(("b", "", 0), ("a", "", 1)), contexts("a", "b"))
    assert (found.measurements, found.numbers.tolist()) == (("",), [1, 0])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("lung", "", 0)], "no track of the set has the name of a context .*liver.* in its identifier or description"),
        ([("liver.brain", "", 0)], "names the contexts liver and brain; give each track the name of one context"),
        (
            [("dnase.liver", "", 0), ("dnase-liver", "", 1), ("x.liver", "", 2), ("dnase liver", "", 3)],
            "are both dnase of liver",
        ),
        ([("p.liver", "", 1), ("m.brain", "", 0)], "track p.liver has another track of the other strand"),
        ([("p.liver", "", 1), ("m.liver", "", 0), ("p.brain", "", 2), ("m.brain", "", 3)], "track p.brain has another track"),
    ],
)
def test_names_that_cannot_be_assigned_are_refused(rows, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        assign_tracks(table(*rows), contexts("liver", "brain"))


# --- the set in the order of the head


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 20 windows in bins of 8 bases: the GC is the track of liver, the share of T that of brain, and skin is noise."""
    folder = tmp_path_factory.mktemp("cells")
    random = np.random.default_rng(0)
    codes = random.integers(0, 4, (20, 128)).astype(np.uint8)
    bins = codes.reshape(20, 16, 8)[:, 4:12]
    tracks = np.stack([(bins == 3).mean(-1), random.random((20, 8)), np.isin(bins, (1, 2)).mean(-1)], axis=1)
    names = ("share.brain", "share.skin", "share.liver")
    windows = [Window("chr1", 128 * i, 128 * (i + 1), "train" if i < 16 else "valid") for i in range(20)]
    targets = TrackTable(tuple(Track(i, name, strand_pair=i) for i, name in enumerate(names)))
    write_track_set(folder / "set", codes, tracks, windows, targets, 8)
    (folder / "genome.fa").write_text(f">chr1\n{decode(codes.ravel())}\n")
    (folder / "c.toml").write_text(
        LONG_TABLE + "dropout = 0.0\n[tracks]\nepochs = 30\nevals_per_epoch = 0.2\nlearning_rate = 1e-2\nbatch_size = 2\n"
    )
    (folder / "cells.tsv").write_text(CELLS)
    (folder / "new.tsv").write_text(NEW)
    return folder


def test_a_set_with_chosen_tracks_reads_them_in_order(data: Path) -> None:
    whole = read_tracks(data / "set")
    chosen = choose_tracks(whole, np.array([2, -1, 0]), table(("a", "", 0), ("b", "", 1), ("c", "", 2)))
    for one in (chosen, pickle.loads(pickle.dumps(chosen))):
        np.testing.assert_array_equal(one.tracks[3], np.stack([whole.tracks[3, 2], np.zeros(8), whole.tracks[3, 0]]))
        np.testing.assert_array_equal(one.tracks[3, :, 2:5], one.tracks[3][:, 2:5])
        assert (len(one.targets), one.n_bins, one.tracks.shape) == (3, 8, (20, 3, 8))


# --- commands


@pytest.fixture(scope="module", params=["linear", "attention"])
def trained(request: pytest.FixtureRequest, data: Path) -> Path:
    folder = data / request.param
    words = ("finetune", data / "set", "--task", "tracks", "-c", data / "c.toml", "--contexts", data / "cells.tsv")
    done = run_well(*words, "--context-head", request.param, "-o", folder)
    assert "1 tracks of the set are of no context of the table, and left out: share.skin" in done.stderr
    return folder


def test_the_head_is_trained_and_named_by_context(trained: Path) -> None:
    model, manifest = registry.load(trained), json.loads((trained / "manifest.json").read_text())
    assert manifest["contexts"]["names"] == ["liver", "brain"]
    assert manifest["contexts"]["head"] == model.config.head
    assert [track.identifier for track in model.track_heads["tracks"].table] == ["liver", "brain"]
    assert manifest["pearson"]["all"]["positions"] > 0.3
    assert [row["identifier"] for row in rows_of(trained / "pearson.valid.tsv")] == ["liver", "brain"]
    info = json.loads(run_well("models", "info", trained, "--json").stdout)
    assert info["tracks"] == {"tracks": 2}
    assert info["contexts"] == {"names": ["liver", "brain"], "columns": ["gc", "t"], "measurements": ["share"]}


def test_predict_and_score_new_contexts(data: Path, trained: Path, tmp_path: Path) -> None:
    model = registry.load(trained).with_contexts(ContextTable(("lung",), ("gc", "t"), np.array([[0.5, 0.5]])))
    common = ("-f", data / "genome.fa", "-m", trained, "--contexts", data / "new.tsv")
    run_well("predict", *common, "-r", "chr1:65-128", "-o", tmp_path / "p.parquet")
    import pandas as pd

    found = pd.read_parquet(tmp_path / "p.parquet")
    assert list(found.columns) == ["chrom", "start", "end", "lung"]
    codes = read_tracks(data / "set").sequence[:2].ravel()
    expected = TrackPredictor(model)(codes[None, 32:160])[0, 0]  # the middle 8 of 16 bins
    np.testing.assert_allclose(found["lung"], expected, rtol=1e-4)
    assert "16 bins 8 are kept" in run_well("predict", *common, "-r", "chr1:33-96", "--plan").stdout
    ref = decode(codes)[64]
    alt = "C" if ref in "AT" else "A"
    (tmp_path / "v.vcf").write_text(f"{VCF}chr1\t65\t.\t{ref}\t{alt}\t.\t.\t.\n")
    options = ("-s", "SAD", "--strand", "forward", "--tracks", "lung", "--anchor", "variant", "--noise-places", 0)
    run_well("score", tmp_path / "v.vcf", *common, *options, "--verify", 1, "-o", tmp_path / "o.tsv")
    (row,) = rows_of(tmp_path / "o.tsv")
    window = np.array(codes[:128])
    changed = window.copy()
    changed[64] = "ACGT".index(alt)
    both = TrackPredictor(model)(np.stack([window, changed]))[:, 0]
    np.testing.assert_allclose(float(row["SAD"]), (both[1] - both[0]).sum(), rtol=1e-3, atol=1e-5)
    run_well("models", "convert", trained, tmp_path / "lung", "--contexts", data / "new.tsv")
    np.testing.assert_array_equal(registry.load(tmp_path / "lung").vectors, model.vectors)
    run_well("score", tmp_path / "v.vcf", *common[:4], "-s", "SAD", "--noise-places", 0, "-o", tmp_path / "own.vcf")
    assert "liver" in (tmp_path / "own.vcf").read_text()


def test_a_model_with_contexts_is_a_start_for_other_tracks(data: Path, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_text('[tracks]\nepochs = 1\ntune = "frozen"\n')
    words = ("finetune", data / "set", "--task", "tracks", "-m", trained, "-c", tmp_path / "t.toml")
    run_well(*words, "-o", tmp_path / "plain")
    run_well(*words, "--contexts", data / "cells.tsv", "-o", tmp_path / "again")
    start, plain, again = (registry.load(folder).trunk_model() for folder in (trained, tmp_path / "plain", tmp_path / "again"))
    for other in (plain, again):
        np.testing.assert_array_equal(other.stages[0].wide.weight.detach(), start.stages[0].wide.weight.detach())
    assert plain.config.heads == {"tracks": 3}


def test_what_does_not_fit_is_refused(data: Path, trained: Path, tmp_path: Path) -> None:
    words = ["finetune", data / "set", "--task", "tracks", "-c", data / "c.toml", "-o", tmp_path / "run"]
    plan = run_well(*words[:-2], "--contexts", data / "cells.tsv", "--plan").stdout
    assert "128 bases, 8 of 16 bins with targets" in plan
    assert_refused(run(*words, "--context-head", "linear"), "--context-head is for a table of contexts, found none")
    assert_refused(run(*words, "--contexts", tmp_path / "no.tsv"), "no.tsv")
    (tmp_path / "one.tsv").write_text("context\tx\nliver\t1\n")
    assert_refused(run(*words, "--contexts", tmp_path / "one.tsv", "--context-head", "attention"), "one number says nothing")
    (tmp_path / "other.tsv").write_text("context\tx\nlung\t1\n")
    assert_refused(run(*words, "--contexts", tmp_path / "other.tsv"), "no track of the set has the name of a context")
    (tmp_path / "seq.csv").write_text("sequence,label\nACGT,0\nACCT,1\n")
    labelled = ("finetune", tmp_path / "seq.csv", "-m", "demo", "--contexts", data / "cells.tsv", "-o", tmp_path / "run")
    assert_refused(run(*labelled), "--contexts is for training on tracks, found labelled sequences")
    predict = ("predict", "-f", data / "genome.fa", "-r", "chr1:33-96", "-o", tmp_path / "p.parquet", "--contexts")
    assert_refused(run(*predict, tmp_path / "one.tsv", "-m", trained), "lacks the columns gc, t")
    assert_refused(run(*predict, data / "new.tsv", "-m", "mini-tracks"), "has no contexts; give a model that was trained with")
    score = ("score", tmp_path / "v.vcf", "-f", data / "genome.fa", "-o", tmp_path / "o.vcf", "--contexts", data / "new.tsv")
    (tmp_path / "v.vcf").write_text(VCF)
    assert_refused(run(*score, "-m", "demo"), "--contexts needs a model that was trained with contexts, found a language model")
    assert not (tmp_path / "run").exists()
