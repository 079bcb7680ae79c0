"""`--scale published`: each score of a squashed model as its published script computes it, in float64 step by step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from borzoi_models import small_borzoi
from commands import assert_refused, run, run_well
from scoring_jobs import track_scorer

from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import decode, encode, reverse_complement
from genoformer.genome.genes import Genes, read_genes
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.models import registry
from genoformer.models.borzoi.model import Borzoi
from genoformer.models.plain_engine import one_hot
from genoformer.scoring.scores import SCORES
from genoformer.scoring.track_scorer import TrackScorer

LENGTH, SIZE, N_BINS = 2048, 32, 64
CONTIG = decode(np.random.default_rng(11).integers(0, 4, 6000, dtype=np.uint8))
TABLE = TrackTable(
    (
        Track(0, "rna", clip=768, clip_soft=3, scale=0.25, sum_stat="sum_sqrt", strand_pair=0),
        Track(1, "cage", clip=384, clip_soft=0.4, scale=1.7, sum_stat="sum", strand_pair=1),
        Track(2, "dnase", clip=64, clip_soft=32, scale=2.0, sum_stat="mean", strand_pair=2),
        Track(3, "mean", clip=64, clip_soft=5, scale=0.125, sum_stat="mean_sqrt", strand_pair=3),
    )
)
EXONS, SITES, BODY = [(2500, 2600), (2752, 2800), (3000, 3100)], (2799, 3099), (2500, 3100)
GTF = """\
c1\tx\texon\t2501\t2600\t.\t+\t.\tgene_id "F"; transcript_id "F.1";
c1\tx\texon\t3001\t3100\t.\t+\t.\tgene_id "F"; transcript_id "F.1";
c1\tx\texon\t2753\t2800\t.\t+\t.\tgene_id "F"; transcript_id "F.2";
"""
SNV = Variant("c1", 2760, CONTIG[2759], "ACGT"[("ACGT".index(CONTIG[2759]) + 1) % 4])
NAMES = ("LOGSED", "NDI", "COVR", "COVR3", "SAD", "SAR", "LOGSAD", "SAX", "D1", "D2", "JS", "SAD501", "GENE_MASK_ACTIVE")
STEPS = {  # (unscale, unclip) of the call of `untransform_preds` in the script of a score
    "borzoi_sed.py": (False, True),  # and borzoi_sad.py, snps.py
    "borzoi_sed_paqtl_cov.py": (True, False),
    "no script": (True, True),
}


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">c1\n{CONTIG}\n")
    return Genome(path)


@pytest.fixture(scope="module")
def gtf(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("genes") / "genes.gtf"
    path.write_text(GTF)
    return path


@pytest.fixture(scope="module")
def genes(genome, gtf) -> Genes:
    return read_genes(gtf, genome, transcripts=True)


def model_of(kind: str) -> Borzoi:
    model = small_borzoi(squashed_scale=kind)
    model.targets["human"] = TABLE
    return model


def untransformed(kind: str, preds: np.ndarray, script: str) -> np.ndarray:
    """`untransform_preds1` (Borzoi) or `untransform_preds` (Prime) of baskerville's dataset.py; preds [bins, K]."""
    unscale, unclip = STEPS[script]
    out = np.zeros(preds.shape)
    for k, track in enumerate(TABLE):
        for i, x in enumerate(preds[:, k]):
            y = float(x)
            if kind == "borzoi":
                y = y / track.scale
                if unclip and y > track.clip_soft:
                    y = track.clip_soft + (y - track.clip_soft) ** 2
                if "_sqrt" in track.sum_stat:
                    y = y ** (4 / 3)
                if not unscale:
                    y = y * track.scale
            else:
                if unclip and y > track.clip_soft:
                    y = track.clip_soft - 1 + (y - track.clip_soft + 1) ** 2
                if "_sqrt" in track.sum_stat:
                    y = -1 + (y + 1) ** 2
                if unscale:
                    y = y / track.scale
            out[i, k] = y
    return out


def predictions(model: Borzoi, start: int) -> list[np.ndarray]:
    """Mean of both strands [bins, K] of the reference and of the alternative, as the model predicts it."""

    def tracks(codes: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(one_hot(torch.tensor(codes[None])), "human")[0].double().numpy().T

    changed = CONTIG[: SNV.start] + SNV.alt + CONTIG[SNV.end :]
    sides = [encode(text[start : start + LENGTH]) for text in (CONTIG, changed)]
    return [(tracks(side) + tracks(reverse_complement(side[None])[0])[::-1]) / 2 for side in sides]


def naive(name: str, ref: np.ndarray, alt: np.ndarray, start: int) -> np.ndarray:
    """A score [K] of both alleles, coverage [bins, K], with the formulas of the scripts."""
    rounded = [tuple(int(np.round((base - start) / SIZE)) for base in exon) for exon in EXONS]
    if name == "LOGSED":
        bins = sorted({i for a, b in rounded for i in range(a, b)})
        return np.log2(alt[bins].sum(0) + 1) - np.log2(ref[bins].sum(0) + 1)
    if name == "GENE_MASK_ACTIVE":
        bins = sorted({i for a, b in EXONS for i in range((a - start) // SIZE, -(-(b - start) // SIZE))})
        return np.maximum(alt[bins].mean(0), ref[bins].mean(0))
    if name in ("NDI", "JS"):
        first, end = (int(np.round((base - start) / SIZE)) for base in BODY) if name == "NDI" else (0, N_BINS)
        pseudo = np.percentile(ref, 25, axis=0)
        p, q = ((x[first:end] + pseudo) / (x[first:end] + pseudo).sum(0) for x in (ref, alt))
        return np.abs(p - q).max(0) if name == "NDI" else ((p * np.log(p / q)).sum(0) + (q * np.log(q / p)).sum(0)) / 2
    if name in ("COVR", "COVR3"):
        intervals = []
        for site in SITES:
            left, right = int(np.round((site - start) / SIZE)) + 1, int(np.round((site + 1 - start) / SIZE))
            intervals += [(left - 4, left), (right, right + 4)] if name == "COVR" else [(left - 5, left)]
        before, after = (np.array([x[a:b].sum(0) for a, b in intervals]) for x in (ref, alt))
        best = np.zeros(len(TABLE))
        if name == "COVR":
            covered = before.mean(1) > 100
            ratios = ((after + 50) / (before + 50))[covered if covered.any() else slice(None)]
            ones = np.ones((1, len(TABLE)))
            ratios = np.concatenate([ones, ratios, ones])
            splits = [np.abs(np.log2(ratios[j:].mean(0) / ratios[:j].mean(0))) for j in range(1, len(ratios))]
        else:
            use = [(x + 50) / (x + 50).sum(0) for x in (before, after)]
            odds = [[np.log2(x[j:].sum(0) / (1 - x[j:].sum(0))) for x in use] for j in range(1, len(before))]
            splits = [np.abs(of_alt - of_ref) for of_ref, of_alt in odds]
        for scores in splits:
            best = scores if scores.mean() > best.mean() else best
        return best
    if name == "SAD501":
        low, high = SNV.start - 250 - start, SNV.start + 251 - start
        ref, alt = (x[low // SIZE : -(-high // SIZE)] for x in (ref, alt))
    difference = alt - ref
    return {
        "SAD": difference.sum(0),
        "SAD501": difference.sum(0),
        "SAR": np.log2(alt.sum(0) + 1) - np.log2(ref.sum(0) + 1),
        "LOGSAD": (np.log2(alt + 1) - np.log2(ref + 1)).sum(0),
        "SAX": difference[np.abs(difference).argmax(0), range(len(TABLE))],
        "D1": np.abs(difference).sum(0),
        "D2": np.sqrt((difference**2).sum(0)),
    }[name]


def script_of(name: str) -> str:
    if name in ("COVR", "COVR3"):
        return "borzoi_sed_paqtl_cov.py"
    return "no script" if name in ("SAD501", "GENE_MASK_ACTIVE") else "borzoi_sed.py"


def scores_of(made: TrackScorer) -> dict[str, np.ndarray]:
    (scores,) = made.score_each([SNV])
    values = dict(zip((score.name for score in made.scores), scores.values, strict=True))
    return values | {made.scores[item.score].name: of for item, of in scores.items.items()}


@pytest.mark.parametrize("kind", ["borzoi", "prime"])
def test_each_score_is_that_of_its_script(genome, genes, kind) -> None:
    model = model_of(kind)
    options = {"head": "human", "targets": TABLE, "genes": genes}
    made = track_scorer(model, genome, ",".join(NAMES), scale="published", **options)
    found = scores_of(made)
    start = made.window_start(SNV)
    ref, alt = predictions(model, start)
    for name in NAMES:
        sides = [untransformed(kind, side, script_of(name)) for side in (ref, alt)]
        expected = naive(name, *sides, start)
        np.testing.assert_allclose(found[name], expected, rtol=2e-3, atol=2e-5 * max(1, np.abs(expected).max()), err_msg=name)
        for other in STEPS.keys() - {script_of(name)}:
            changed = naive(name, *(untransformed(kind, side, other) for side in (ref, alt)), start)
            no_unit = name in ("NDI", "JS") and other == "no script"  # the factor of a track cancels
            assert np.allclose(changed, expected, rtol=5e-3, atol=1e-9) == no_unit, (name, other)
        alone = scores_of(track_scorer(model, genome, name, scale="published", **options))
        np.testing.assert_allclose(alone[name], found[name], rtol=1e-5, atol=1e-7)
    original = scores_of(track_scorer(model, genome, ",".join(NAMES), **options))
    for name in ("SAD501", "GENE_MASK_ACTIVE"):
        np.testing.assert_allclose(found[name], original[name], rtol=1e-5)
    (shown,) = made.compared(SNV)
    np.testing.assert_allclose(shown.ref, untransformed(kind, ref, "no script").T, rtol=1e-3)


def test_published_steps_are_named_for_scores_of_tracks_alone() -> None:
    from genoformer.formats.squashed_scale import ALL_STEPS

    changed = {name: score.published_steps for name, score in SCORES.items() if score.published_steps != ALL_STEPS}
    assert set(changed) == {"LOGSED_ISOFORM", *(name for name in NAMES if script_of(name) != "no script")}
    assert {name: tuple(steps) for name, steps in changed.items() if name != "LOGSED_ISOFORM"} == {
        name: STEPS[script_of(name)] for name in NAMES if script_of(name) != "no script"
    }


def test_the_command_says_it_in_the_header_and_predict_refuses_it(genome, gtf, tmp_path) -> None:
    registry.save(model_of("borzoi"), tmp_path / "model")
    vcf, out = tmp_path / "in.vcf", tmp_path / "out.vcf"
    line = f"c1\t2760\t.\t{SNV.ref}\t{SNV.alt}\t.\t.\t.\n"
    vcf.write_text(f"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{line}")
    common = ("-f", genome.path, "-m", tmp_path / "model", "--head", "human", "--scale", "published")
    common += ("--workers", "1")
    run_well("calibrate", vcf, *common, "-s", "LOGSED,COVR", "--gtf", gtf)
    run_well("score", vcf, *common, "-s", "LOGSED,COVR", "--gtf", gtf, "-o", out, "--verify", "1", "--noise-places", "0")
    text = out.read_text()
    assert "scale=published" in next(line for line in text.splitlines() if line.startswith("##genoformer_options"))
    assert "GF_LOGSED_Q=" in text
    run_well("report", out, "-f", genome.path, "-o", tmp_path / "report.html", "-m", tmp_path / "model")
    found = run("predict", "-r", "c1:2,501-3,100", *common[:-2], "-o", tmp_path / "tracks")
    assert_refused(found, "scale", "'published' is not one of 'original', 'model'")
