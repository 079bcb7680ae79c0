"""Borzoi in the commands: published folder, track table, squashed scale; each number against one worked out from the tracks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from borzoi_models import KINDS, SMALL, small_borzoi
from commands import assert_refused, rows_of, run, run_well
from scoring_jobs import track_scorer
from small_models import random_onehot, shaken

from genoformer.formats.bigwig import BigWig
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import encode, reverse_complement
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.models import registry
from genoformer.models.borzoi.config import BorzoiConfig
from genoformer.models.borzoi.model import Borzoi
from genoformer.models.plain_engine import one_hot
from genoformer.models.track_model import NewHead

TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 3000))
WINDOW = {"context_length": 1024, "target_bins": 16}
TABLE = TrackTable(  # of the small human head: the two strands of an RNA-seq, one of DNase, one without a soft clip
    (
        Track(0, "RNA+", clip=768, clip_soft=384, scale=0.01, sum_stat="sum_sqrt", strand_pair=1),
        Track(1, "RNA-", clip=768, clip_soft=384, scale=0.01, sum_stat="sum_sqrt", strand_pair=0),
        Track(2, "DNase", clip_soft=1.5, scale=2, strand_pair=2),
        Track(3, "ChIP", scale=0.5, strand_pair=3),
    )
)
PAIRS = [1, 0, 2, 3]


def coverage(tracks: np.ndarray) -> np.ndarray:
    """Values [4, N] of the tracks of TABLE without the squashed scale."""
    rna = (tracks[:2] / 0.01).copy()
    rna = np.where(rna > 384, 384 + (rna - 384) ** 2, rna) ** (4 / 3)
    dnase = tracks[2:3] / 2
    dnase = np.where(dnase > 1.5, 1.5 + (dnase - 1.5) ** 2, dnase)
    return np.concatenate([rna, dnase, tracks[3:] / 0.5])


def squashed(model: Borzoi, codes: np.ndarray, head: str = "human", *, both: bool = True) -> np.ndarray:
    """Tracks [K, N] of the middle bins of a window as the model predicts them, mean of both strands."""

    def tracks(read: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(one_hot(torch.from_numpy(read.copy())[None]), head)[0].double().numpy()

    forward = tracks(codes)
    return (forward + tracks(reverse_complement(codes))[PAIRS, ::-1]) / 2 if both else forward


@pytest.fixture
def model() -> Borzoi:
    model = small_borzoi(squashed_scale="borzoi", heads={"human": 4}, **WINDOW)
    model.targets["human"] = TABLE
    return model


@pytest.fixture
def folder(model, tmp_path) -> Path:
    registry.save(model, tmp_path / "borzoi")
    return tmp_path / "borzoi"


@pytest.fixture
def genome(make_fasta) -> Genome:
    return Genome(make_fasta(c=TEXT))


@pytest.fixture
def vcf(tmp_path) -> Path:
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=c,length=3000>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    lines += [f"c\t{pos}\t.\t{TEXT[pos - 1]}\t{other(pos)}\t.\t.\t." for pos in (900, 1500, 1510, 2600)]
    (tmp_path / "in.vcf").write_text("\n".join(lines) + "\n")
    return tmp_path / "in.vcf"


def other(pos: int) -> str:
    return "ACGT"["ACGT".index(TEXT[pos - 1]) - 1]


@pytest.mark.parametrize("scale", ["original", "model"])
@pytest.mark.parametrize("strand", ["both", "forward"])
def test_predict_gives_coverage(model, folder, genome, tmp_path, scale, strand) -> None:
    command = ("predict", "-f", genome.path, "-m", folder, "-r", "c:1,025-1,536", "--strand", strand)
    run_well(*command, "-o", tmp_path / "out", *(() if scale == "original" else ("--scale", scale)))
    expected = squashed(model, encode(TEXT[768:1792]), both=strand == "both")
    expected = np.repeat(coverage(expected) if scale == "original" else expected, 32, axis=1)
    for track, values in zip(TABLE, expected, strict=True):
        found = np.asarray(BigWig(tmp_path / "out" / f"{track.identifier}.bw").values("c", 1024, 1536))
        np.testing.assert_allclose(found, values, rtol=1e-4)


@pytest.mark.parametrize("scale", ["original", "model"])
@pytest.mark.parametrize("both", [True, False])
def test_sad_is_of_the_coverage(model, genome, scale, both) -> None:
    scorer = track_scorer(model, genome, "SAD", head="human", targets=TABLE, scale=scale, both_strands=both)
    for pos in (900, 1500, 2600):
        variant = Variant("c", pos, TEXT[pos - 1], other(pos))
        start = scorer.window_start(variant)
        ref = encode(("N" * 1024 + TEXT + "N" * 1024)[1024 + start : 2048 + start])
        alt = ref.copy()
        alt[pos - 1 - start] = encode(other(pos))[0]
        sides = [squashed(model, side, both=both) for side in (ref, alt)]
        before, after = map(coverage, sides) if scale == "original" else sides
        expected = (after - before).sum(-1)
        found = scorer.values([variant])[0][0, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(before).max())
        np.testing.assert_allclose(found, scorer.reference_scorer().values([variant])[0][0, 0], rtol=1e-3, atol=1e-3)
    assert scorer.options["scale"] == scale
    assert ("scales of tracks" in scorer.inputs) == (scale == "original")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_each_model_of_an_ensemble_is_undone_by_its_own_rule(model, genome, order) -> None:
    """A squashed model and one of coverage: the mean of the scores of each alone, in either order."""
    plain = small_borzoi(heads={"human": 4}, **WINDOW)
    plain.targets["human"] = TABLE
    models = [(model, plain)[i] for i in order]
    variant = Variant("c", 1500, TEXT[1499], other(1500))
    alone = [track_scorer(one, genome, "SAD", head="human").values([variant])[0] for one in models]
    mean = track_scorer(models, genome, "SAD", head="human").values([variant])[0]
    np.testing.assert_allclose(mean, (alone[0] + alone[1]) / 2, rtol=1e-5)
    assert abs(alone[order.index(0)] / alone[order.index(1)]).max() > 10  # the rules differ


def test_score_and_ism_on_the_command_line(folder, genome, vcf, tmp_path) -> None:
    """The two scales give other numbers; ISM gives those of score; a run is checked with whole windows."""
    values = {}
    for scale in ("original", "model"):
        out = tmp_path / f"{scale}.tsv"
        words = ("-m", folder, "-s", "SAD", "--tracks", "RNA+", "--scale", scale, "--workers", "1", "--noise-places", "0")
        run_well("score", vcf, "-f", genome.path, *words, "--verify", "2", "-o", out)
        values[scale] = [float(row["SAD"]) for row in rows_of(out)]
    assert len(values["model"]) == 4
    ratios = np.array(values["original"]) / np.array(values["model"])
    assert abs(ratios).min() > 50  # a value above 3.84 is squared
    (tmp_path / "r.bed").write_text("c\t1498\t1502\n")
    run_well(
        "interpret",
        "ism",
        tmp_path / "r.bed",
        "-f",
        genome.path,
        "-m",
        folder,
        "--tracks",
        "RNA+",
        "--length",
        "4",
        "-o",
        tmp_path / "ism",
    )
    assert (tmp_path / "ism").is_dir()


def test_ism_takes_a_table_of_tracks(folder, genome, tmp_path) -> None:
    """The values are those of a model with the table in its folder; without a table the message names the option."""
    registry.save(small_borzoi(squashed_scale="borzoi", heads={"human": 4}, **WINDOW), tmp_path / "bare")
    TABLE.write(tmp_path / "t.tsv")
    words = ("interpret", "ism", "-f", genome.path, "-r", "c:1499-1502", "--tracks", "RNA+")
    run_well(*words, "-m", folder, "-o", tmp_path / "own")
    run_well(*words, "-m", tmp_path / "bare", "--targets", tmp_path / "t.tsv", "-o", tmp_path / "given")
    with np.load(tmp_path / "own" / "maps.npz") as own, np.load(tmp_path / "given" / "maps.npz") as given:
        for name in own.files:
            np.testing.assert_array_equal(own[name], given[name])
    bare = run("interpret", "ism", "-f", genome.path, "-r", "c:1499-1502", "-m", tmp_path / "bare", "-o", tmp_path / "no")
    assert_refused(bare, "--targets is missing", "strand pairs")
    of_language = (*words[:6], "-m", "demo", "--targets", tmp_path / "t.tsv", "-o", tmp_path / "no")
    assert_refused(run(*of_language), "--targets needs a track model, found a language model")


def test_without_a_table_the_scale_has_to_be_named(genome, vcf, tmp_path) -> None:
    model = small_borzoi(squashed_scale="borzoi", heads={"human": 4}, **WINDOW)
    registry.save(model, tmp_path / "bare")
    common = ("-f", genome.path, "-m", tmp_path / "bare", "--strand", "forward")
    for words in (("score", vcf, "-s", "SAD", "-o", tmp_path / "o.tsv"), ("predict", "-r", "c:1-99", "-o", tmp_path / "o")):
        assert_refused(run(*words, *common), "scale", "give targets, or scale model")
        assert run(*words, *common, "--scale", "model").exit_code == 0
    TABLE.write(tmp_path / "t.tsv")
    assert run("score", vcf, "-s", "SAD", *common, "--targets", tmp_path / "t.tsv", "-o", tmp_path / "p.tsv").exit_code == 0


def test_other_models_do_not_have_the_option(genome, vcf, tmp_path) -> None:
    words = ("score", vcf, "-f", genome.path, "-m", "demo", "--scale", "model", "-o", tmp_path / "o.tsv")
    assert_refused(run(*words), "scale", "needs a track model, found a language model")


def test_info_and_conversion_of_a_published_folder(genome, vcf, tmp_path) -> None:
    """From the folder of borzoi-pytorch, with a table of 7,611 tracks, to genoformer's layout and back."""
    torch.manual_seed(1)
    fields = {"width": 16, "n_blocks": 1, "n_heads": 2, "key_width": 4, "value_width": 6, "heads": {"human": 7611}}
    model = Borzoi(BorzoiConfig(**{**fields, **WINDOW, "squashed_scale": "borzoi"}))
    shaken(model, lambda: model.embed(random_onehot(1, 1024), 0))
    registry.save(model, tmp_path / "hub", layout="borzoi")
    several = [*TABLE, *(Track(i, f"t{i}", clip_soft=32, scale=2, strand_pair=i) for i in range(4, 7611))]
    TrackTable(tuple(several)).write(tmp_path / "targets.tsv")
    info = json.loads(run_well("models", "info", tmp_path / "hub", "--json").stdout)
    assert info["layout"] == "borzoi"
    assert info["tracks"] == {"human": 7611}
    command = ("score", vcf, "-f", genome.path, "-s", "SAD", "--tracks", "RNA+,t4", "--workers", "1", "--noise-places", "0")
    run_well(*command, "-m", tmp_path / "hub", "--targets", tmp_path / "targets.tsv", "-o", tmp_path / "a.tsv")
    run_well("models", "convert", tmp_path / "hub", tmp_path / "mine", "-t", f"human={tmp_path / 'targets.tsv'}")
    run_well(*command, "-m", tmp_path / "mine", "-o", tmp_path / "b.tsv")
    first, second = rows_of(tmp_path / "a.tsv"), rows_of(tmp_path / "b.tsv")
    assert [row["SAD"] for row in first] == [row["SAD"] for row in second]
    assert any(float(row["SAD"]) for row in first)
    run_well("models", "convert", tmp_path / "mine", tmp_path / "back", "--layout", "borzoi")
    assert (tmp_path / "back" / "model.safetensors").read_bytes() == (tmp_path / "hub" / "model.safetensors").read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_head_has_the_scale_of_its_data(kind) -> None:
    model = small_borzoi(kind, squashed_scale="borzoi")
    shape = model.config_with_head(model.config, NewHead("cage", 3, 32, 512, 4))
    assert (dict(shape.heads), shape.context_length, shape.target_bins, shape.squashed_scale) == ({"cage": 3}, 512, 4, "")
    assert {**vars(shape), **{name: SMALL[name] for name in ("heads", "context_length", "target_bins")}} == {
        **vars(model.config),
        "squashed_scale": "",
    }
