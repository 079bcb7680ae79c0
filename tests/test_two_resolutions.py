"""Heads of one model with bins of 32 and 8 bases: prediction, scores, ISM and the report, each against naive numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from genoformer_cli.main import main
from scoring_jobs import track_scorer
from two_resolutions import TwoConfig, TwoResolutions, two_resolutions

from genoformer.errors import ConfigError
from genoformer.formats.bigwig import BigWig
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import encode
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.inference.tracks import TrackPredictor
from genoformer.interpretation.ism import mutagenesis, sequence_mutageneses
from genoformer.interpretation.loci import Locus
from genoformer.interpretation.targets import AttributionTarget
from genoformer.models import families, registry
from genoformer.models.base import Bins, Head
from genoformer.models.families import Family
from genoformer.models.plain_engine import PlainEngine, one_hot

MODEL = two_resolutions()
BINS = {"coarse": 32, "fine": 8}
PREDICTED = {"coarse": slice(0, 8), "fine": slice(4, 28)}  # of a window of 256 bases
TEXT = "".join(np.random.default_rng(3).choice(list("ACGT"), 1000))


@pytest.fixture(autouse=True)
def _family(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(families.FAMILIES, "two", Family("two_resolutions:TwoResolutions"))
    families.families.cache_clear()
    yield
    families.families.cache_clear()


@pytest.fixture
def genome(make_fasta) -> Genome:
    return Genome(make_fasta(c=TEXT))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = two_resolutions()
    for name, head in model.track_heads.items():
        pairs = range(head.n_tracks)
        model.targets[name] = TrackTable(tuple(Track(i, f"{name}{i}", strand_pair=i) for i in pairs))
    registry.save(model, tmp_path / "two")
    return tmp_path / "two"


def naive(text: str, head: str) -> np.ndarray:
    """All bins of a window [K, N], from the layers of the model one by one."""
    with torch.no_grad():
        x = torch.nn.functional.gelu(MODEL.stem(one_hot(torch.from_numpy(encode(text).copy())[None])))
        x = x + torch.nn.functional.gelu(MODEL.layers[0](x))
        if head == "coarse":
            x = x.unflatten(-1, (-1, 4)).mean(-1)
        return torch.nn.functional.softplus(MODEL.out[head](x[0].T)).T.double().numpy()


def run(*words: object) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_bins_of_each_head_by_hand() -> None:
    assert MODEL.bins_of(256, head="coarse") == (0, 8)
    assert MODEL.bins_of(256, head="fine") == (4, 24)
    assert MODEL.bins_of(256, 0, "fine") == (0, 32)
    assert (MODEL.bin_size_of("coarse"), MODEL.bin_size_of("fine")) == (32, 8)
    assert MODEL.track_heads["fine"] == Head(3, 8, None, 24)
    with pytest.raises(ConfigError, match="this model has coarse, fine; name one of them"):
        MODEL.bins_of(256)
    with pytest.raises(ConfigError, match="264 bases is not a whole number of bins of 32 bases; give a multiple of 32"):
        MODEL.bins_of(264, 0, "fine")


@pytest.mark.parametrize("head", BINS)
def test_the_plain_engine_cuts_windows_in_bins_of_its_head(head: str) -> None:
    codes = encode(TEXT[:512])
    predictor = TrackPredictor(MODEL, head, 0)
    assert isinstance(predictor.engine, PlainEngine)
    window = predictor.engine.stretch(codes).window(64 // BINS[head], 256 // BINS[head])
    np.testing.assert_array_equal(window.codes, codes[64:320])
    bins = Bins(1, 2)
    tracks = MODEL.tracks(window.embed([None], bins), head)[0].detach().numpy()
    np.testing.assert_allclose(tracks, naive(TEXT[64:320], head)[:, 1:3], rtol=1e-5)


@pytest.mark.parametrize("head", BINS)
def test_predict_writes_the_bins_of_the_head(genome: Genome, folder: Path, tmp_path: Path, head: str) -> None:
    """128 bases of the coarse head are kept, and 192 of the fine one, in windows of 256."""
    common = ("predict", "-f", genome.path, "-m", folder, "--head", head, "--strand", "forward")
    run(*common, "--tracks", f"{head}1", "-o", tmp_path / "o.bw")
    found = np.asarray(BigWig(tmp_path / "o.bw").values("c", 0, 1000))
    kept = {"coarse": 128, "fine": 192}[head]
    flank, expected = (256 - kept) // 2, []
    padded = "N" * flank + TEXT + "N" * 512
    for start in range(0, 1000, kept):
        size = BINS[head]
        bins = naive(padded[start : start + 256], head)[1, flank // size : (flank + kept) // size]
        expected += np.repeat(bins, size).tolist()
    np.testing.assert_allclose(found, expected[:1000], rtol=1e-5)
    plan = dict(line.split("  ", 1) for line in run(*common, "--plan").splitlines())
    assert plan["window"].strip() == f"256 bases, of whose {256 // BINS[head]} bins {kept // BINS[head]} are kept"


def test_models_info_lists_the_bins_of_each_head(folder: Path) -> None:
    info = json.loads(run("models", "info", folder, "--json"))
    assert info["bins"] == {
        "coarse": {"of_bases": 32, "in_window": 8, "predicted": 8},
        "fine": {"of_bases": 8, "in_window": 32, "predicted": 24},
    }
    assert info["tracks"] == {"coarse": 2, "fine": 3}


def naive_sad(start: int, pos: int, alt: str, head: str) -> np.ndarray:
    """SAD [K] of a substitution at a position counted from 1, in the window that begins at `start`."""
    ref = TEXT[start : start + 256]
    at = pos - 1 - start
    changed = ref[:at] + alt + ref[at + 1 :]
    return (naive(changed, head) - naive(ref, head))[:, PREDICTED[head]].sum(-1)


@pytest.mark.parametrize("head", BINS)
def test_scores_and_ism_are_those_of_naive_windows(genome: Genome, head: str) -> None:
    scorer = track_scorer(MODEL, genome, "SAD", head=head, both_strands=False)
    assert scorer.bin_size == BINS[head]
    for pos in (301, 507, 640):
        alt = "ACGT"["ACGT".index(TEXT[pos - 1]) - 1]
        variant = Variant("c", pos, TEXT[pos - 1], alt)
        start = scorer.window_start(variant)
        assert start % BINS[head] == 0
        values = scorer.values([variant])[0][0, 0]
        np.testing.assert_allclose(values, naive_sad(start, pos, alt, head), rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(values, scorer.reference_scorer().values([variant])[0][0, 0], rtol=1e-4, atol=1e-5)
    one = track_scorer(MODEL, genome, "SAD", head=head, tracks=[1], both_strands=False)
    effects = mutagenesis(one, genome, "c", 500, 504)
    for i in range(4):
        for b, base in enumerate("ACGT"):
            start = one.window_start(Variant("c", 501 + i, TEXT[500 + i], "A" if TEXT[500 + i] != "A" else "C"))
            expected = naive_sad(start, 501 + i, base, head)[1]
            np.testing.assert_allclose(effects.values[0, i, b], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("head", BINS)
@pytest.mark.parametrize("long", [128, 4096])
def test_the_sum_over_bins_of_a_head_is_the_naive_sum(head: str, long: int) -> None:
    target = AttributionTarget(head=head, tracks=[1])
    codes = np.stack([encode(TEXT[:256]), encode(TEXT[:100] + "A" + TEXT[101:256])])
    expected = [naive(text, head)[1, PREDICTED[head]].sum() for text in (TEXT[:256], TEXT[:100] + "A" + TEXT[101:256])]
    np.testing.assert_allclose(target.track_sum(MODEL, codes, codes[0], long=long), expected, rtol=1e-5)
    module = target.module(MODEL, 256)
    np.testing.assert_allclose(module(one_hot(torch.from_numpy(codes))).detach()[:, 0], expected, rtol=1e-5)
    (effects,) = sequence_mutageneses(MODEL, [Locus("l", "c", 0, codes[0])], output=target)
    np.testing.assert_allclose(effects.values[0, 100, 0], expected[1] - expected[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("head", BINS)
def test_score_verifies_and_the_report_draws_bins_of_the_head(genome: Genome, folder: Path, tmp_path: Path, head: str) -> None:
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=c,length=1000>", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    positions = (301, 507, 640)
    lines += [f"c\t{pos}\t.\t{TEXT[pos - 1]}\t{'ACGT'['ACGT'.index(TEXT[pos - 1]) - 1]}\t.\t.\t." for pos in positions]
    (tmp_path / "v.vcf").write_text("\n".join(lines) + "\n")
    common = ("-f", genome.path, "-m", folder)
    run(
        "score",
        tmp_path / "v.vcf",
        *common,
        "--head",
        head,
        "--tracks",
        "1",
        "-s",
        "SAD",
        "--verify",
        3,
        "-o",
        tmp_path / "o.vcf",
    )
    assert "SAD" in (tmp_path / "o.vcf").read_text()
    run("report", tmp_path / "o.vcf", *common, "-o", tmp_path / "r.html", "--top", 1)
    n = len(range(32)[PREDICTED[head]])
    assert f"of the {n:,} bins" in (tmp_path / "r.html").read_text()


def test_plans_measure_models_of_several_heads() -> None:
    from genoformer.inference.throughput import measured_rate

    assert measured_rate(TwoResolutions, TwoConfig(), training=False) > 0
    assert measured_rate(TwoResolutions, TwoConfig(), training=True) > 0
