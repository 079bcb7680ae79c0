"""Scores of tracks against a naive scorer: text windows, the whole model on each, loops over bins."""

from __future__ import annotations

import copy
import csv
import math
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pysam
import pytest
import torch
from borzoi_models import TABLE_OF_FOUR, small_borzoi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive_alignment import realigned as naive_realigned
from scoring_jobs import run_score, scorer_of, track_scorer
from small_models import small_encoder, small_enformer

from genoformer.errors import CheckpointError, ConfigError
from genoformer.formats.track_table import Track, TrackTable
from genoformer.genome.codes import decode, encode, reverse_complement
from genoformer.genome.genes import Gene, Genes
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.models.plain_engine import one_hot
from genoformer.scoring import allele_tracks
from genoformer.scoring.alignment import AlignedChange
from genoformer.scoring.alphagenome_scores import ALPHAGENOME_SCORES
from genoformer.scoring.borzoi_scores import BORZOI_SCORES
from genoformer.scoring.noise import flag_columns, measure, n_places
from genoformer.scoring.plan import Summary
from genoformer.scoring.scores import SCORES
from genoformer.scoring.settings import AlleleComparison
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.track_scores import Item
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

pq = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install genoformer[parquet]")

BIN, LENGTH = 8, 256
random = np.random.default_rng(5)
CONTIGS = {
    "c1": decode(random.integers(0, 4, 3000, dtype=np.uint8)),
    "c2": decode(random.integers(0, 4, 500, dtype=np.uint8)) + "N" * 60 + decode(random.integers(0, 4, 90, dtype=np.uint8)),
}
PAIRS = [1, 0, 2, 3, 4]
TARGETS = TrackTable(tuple(Track(i, f"t{i}", strand_pair=PAIRS[i], description="alike") for i in range(5)))
MODEL = small_enformer(seed=3, target_bins=24)
GENES = Genes(
    {
        "c1": [
            Gene(0, "near", np.array([[900, 930], [1000, 1020]])),
            Gene(1, "inside", np.array([[1010, 1100]])),
            Gene(2, "far", np.array([[2500, 2600]])),
        ],
    }
)
NAMED = {score.name for score in (*BORZOI_SCORES, *ALPHAGENOME_SCORES)} - {"LOGSED"}  # tested with the models of these names
OF_TRACKS = [name for name, score in SCORES.items() if score.of_tracks and name not in NAMED]


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in CONTIGS.items()))
    return Genome(path)


def scorer(genome: Genome, names: str = "SAD", tracks=None, **changed) -> TrackScorer:
    both_strands = changed.pop("both_strands", True)
    return track_scorer(
        MODEL,
        genome,
        names,
        both_strands=both_strands,
        batch_size=changed.pop("batch_size", None),
        head="human",
        targets=TARGETS,
        tracks=tracks,
        genes=GENES,
        settings=AlleleComparison(**changed),
    )


def text_at(contig: str, start: int, length: int) -> str:
    return "".join(contig[i] if 0 <= i < len(contig) else "N" for i in range(start, start + length))


def predicted(text: str, *, both: bool = True) -> np.ndarray:
    """Tracks [5, 24] of a window of text."""

    def run(window: str) -> np.ndarray:
        with torch.no_grad():
            return MODEL(one_hot(torch.tensor(encode(window)[None])), "human")[0].double().numpy()

    forward = run(text)
    return (forward + run(decode(reverse_complement(encode(text))))[PAIRS, ::-1]) / 2 if both else forward


@lru_cache
def naive_pair(variant: Variant, how: str, *, both: bool = True, shift: int = 0) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Tracks of both alleles, aligned; the first base of the first bin, and the middle of the variant. REF != ALT, trimmed."""
    contig, n = CONTIGS[variant.chrom], len(variant.ref)
    start = variant.start + n // 2 - LENGTH // 2
    start = math.floor((start + BIN // 2) / BIN) * BIN + shift  # 256 / 64 is less than a bin
    changed = contig[: variant.start] + variant.alt + contig[variant.end :]
    d = len(variant.alt) - n
    ref = predicted(text_at(contig, start, LENGTH), both=both)
    laid = {"left": 0, "right": d, "symmetric": len(variant.alt) // 2 - n // 2}
    first = start + (LENGTH // BIN - 24) // 2 * BIN
    change = AlignedChange(variant.start - first, n, len(variant.alt))
    if d == 0 or how in laid:
        alt = predicted(text_at(changed, start + (laid[how] if d else 0), LENGTH), both=both)
    elif how == "realign":
        raw = predicted(text_at(changed, start, LENGTH), both=both)
        alt = np.stack([naive_realigned(r, a, change, BIN) for r, a in zip(ref, raw, strict=True)])
    else:
        left, right = (predicted(text_at(changed, start + shift, LENGTH), both=both) for shift in (0, d))
        alt = np.array([[(left if j * BIN <= change.start else right)[k, j] for j in range(24)] for k in range(5)])
    return ref, alt, first, variant.start + n // 2


def naive_score(name: str, variant: Variant, how: str = "realign", **options) -> np.ndarray:
    ref, alt, first, middle = naive_pair(variant, how, **options)
    bins = range(24)
    if name.endswith("501"):
        bins = [j for j in bins if first + j * BIN <= middle + 250 and first + (j + 1) * BIN > middle - 250]
    if name.endswith("2001"):
        bins = [j for j in bins if first + j * BIN <= middle + 1000 and first + (j + 1) * BIN > middle - 1000]
    r, a = ref[:, bins], alt[:, bins]
    match name.rstrip("0125") if name.startswith(("SAD", "SAR")) else name:
        case "SAD":
            return a.sum(1) - r.sum(1)
        case "SAR":
            return np.log2((1 + a.sum(1)) / (1 + r.sum(1)))
        case "LOGSAD":
            return np.log2((1 + a) / (1 + r)).sum(1)
        case "SAX":
            return np.array([max(y - x, key=abs) for x, y in zip(r, a, strict=True)])
        case "D1":
            return abs(a - r).sum(1)
        case "D2":
            return np.linalg.norm(a - r, axis=1)
        case "JS":
            out = []
            for x, y in zip(r, a, strict=True):
                low = np.quantile(x, 0.25)
                p, q = (x + low) / (x + low).sum(), (y + low) / (y + low).sum()
                out.append((sum(p * np.log(p / q)) + sum(q * np.log(q / p))) / 2)
            return np.array(out)
    best = np.full(5, np.nan)
    for exons in ([(900, 930), (1000, 1020)], [(1010, 1100)], [(2500, 2600)]):
        ends = [[min(round(max(0, base - first) / BIN), 24) for base in exon] for exon in exons]
        inside = sorted({j for low, high in ends for j in range(low, high)})
        if inside and variant.chrom == "c1":
            value = np.log2((1 + alt[:, inside].sum(1)) / (1 + ref[:, inside].sum(1)))
            if not abs(best).max() >= abs(value).max():
                best = value
    return best


@st.composite
def variants(draw) -> Variant:
    """Anywhere on either contig; trimmed, and no indel of a repeat, so that normalising moves it nowhere."""
    chrom = draw(st.sampled_from(sorted(CONTIGS)))
    contig = CONTIGS[chrom]
    pos = draw(st.integers(1, len(contig) - 12))
    ref = contig[pos - 1 : pos - 1 + draw(st.integers(1, 12))]
    alt = draw(st.text("ACGT", min_size=1, max_size=12))
    if "N" in ref:
        pos, ref = 20, contig[19]
    if ref[0] == alt[0] or ref[-1] == alt[-1]:
        ref = ref[0]
        alt = "ACGT"[("ACGT".index(ref) + 1) % 4]
    return Variant(chrom, pos, ref, alt)


@pytest.mark.parametrize("how", ["realign", "stitch", "left", "right", "symmetric"])
@given(rows=st.lists(variants(), min_size=1, max_size=3), both=st.booleans())
@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_score_is_that_of_the_naive_reading(genome, how, rows, both) -> None:
    names = ",".join(OF_TRACKS)
    values, _ = scorer(genome, names, indels=how, both_strands=both).values(rows)
    for variant, found in zip(rows, values, strict=True):
        for name, of in zip(OF_TRACKS, found, strict=True):
            expected = naive_score(name, variant, how, both=both)
            tolerance = 2e-4 if name != "D1" else 1e-3
            assert of == pytest.approx(expected, abs=tolerance, rel=1e-4, nan_ok=True), (name, variant)


def snv(pos: int) -> Variant:
    base = CONTIGS["c1"][pos - 1]
    return Variant("c1", pos, base, "ACGT"[("ACGT".index(base) + 1) % 4])


SNVS = [snv(pos) for pos in (1005, 1040, 1300)]
INDELS = [Variant("c1", 1010, CONTIGS["c1"][1009:1020], CONTIGS["c1"][1009]), Variant("c1", 990, CONTIGS["c1"][989], "TTGACCA")]


def test_company_order_and_batches_do_not_matter(genome) -> None:
    rows = SNVS + INDELS
    together, genes = scorer(genome, "SAD,D2,LOGSED").values(rows)
    backwards, _ = scorer(genome, "SAD,D2,LOGSED", batch_size=3).values(rows[::-1])
    alone = np.concatenate([scorer(genome, "SAD,D2,LOGSED").values([row])[0] for row in rows])
    np.testing.assert_allclose(backwards[::-1], together, atol=1e-5)
    np.testing.assert_allclose(alone, together, atol=1e-5)
    assert genes[2].tolist() == [-1, -1, -1]  # no gene near 1,300
    assert set(genes[:, 2].tolist()) <= {-1, 0, 1}
    assert (genes[:, :2] == -1).all()


@pytest.mark.parametrize("name", OF_TRACKS)
def test_swapping_the_alleles_turns_the_sign_exactly_when_signed(name, genome, tmp_path) -> None:
    for variant in SNVS[:2]:
        contig = CONTIGS["c1"]
        path = tmp_path / f"{variant.pos}.fa"
        path.write_text(f">c1\n{contig[: variant.start]}{variant.alt}{contig[variant.end :]}\n")
        before = scorer(genome, name).values([variant])[0][0, 0]
        after = scorer(Genome(path), name).values([Variant("c1", variant.pos, variant.alt, variant.ref)])[0][0, 0]
        if name != "JS":  # its pseudocount is that of the reference
            assert after == pytest.approx(-before if SCORES[name].signed else before, abs=1e-5)
        assert SCORES[name].signed or (before >= 0).all()


@pytest.mark.parametrize("name", [*OF_TRACKS, "COSINE", "L2"])
def test_equal_alleles_give_zero(name, genome) -> None:
    values, _ = scorer(genome, name).values([row._replace(alt=row.ref) for row in SNVS + INDELS])
    assert np.nanmax(np.abs(values)) < 1e-6


def test_embedding_distances_are_those_of_the_bins_around(genome) -> None:
    values, _ = scorer(genome, "COSINE,L2", both_strands=False).values(SNVS[:1])
    first, start = 1005 - 1 - LENGTH // 2, 0
    start = math.floor((first + BIN // 2) / BIN) * BIN
    sides = []
    for contig in (CONTIGS["c1"], CONTIGS["c1"][:1004] + SNVS[0].alt + CONTIGS["c1"][1005:]):
        with torch.no_grad():
            x = MODEL.embed(one_hot(torch.tensor(encode(contig[start : start + LENGTH])[None])))[0].double().numpy()
        sides.append(x.mean(1))  # 501 bases are all of the 24 bins
    a, b = sides
    assert values[0, 1, 0] == pytest.approx(np.linalg.norm(a - b), rel=1e-4)
    assert values[0, 0, 0] == pytest.approx(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b), rel=1e-2, abs=1e-7)
    assert np.isnan(values[0, :, 1:]).all()


def test_spellings_of_one_indel_agree(tmp_path) -> None:
    text = CONTIGS["c1"][:400] + "G" + "CA" * 8 + "T" + CONTIGS["c1"][400:800]
    path = tmp_path / "g.fa"
    path.write_text(f">c\n{text}\n")
    spellings = [
        Variant("c", 401, "GCA", "G"),
        Variant("c", 415, "ACA", "A"),
        Variant("c", 405, "ACAC", "AC"),
        Variant("c", 401, text[400:417], text[400:415]),
    ]
    for how in ("realign", "stitch", "symmetric"):
        made = track_scorer(MODEL, Genome(path), "SAD,D2", head="human", targets=TARGETS, settings=AlleleComparison(indels=how))
        values, _ = made.values(spellings)
        assert np.ptp(values, axis=0).max() == 0


def test_scores_are_averaged_over_shifts(genome) -> None:
    names = "SAD,D2,JS"
    values, _ = scorer(genome, names, shifts=(-1, 0, 5)).values(SNVS)
    for i, variant in enumerate(SNVS):
        for j, name in enumerate(names.split(",")):
            each = [naive_score(name, variant, shift=shift) for shift in (-1, 0, 5)]
            assert values[i, j] == pytest.approx(np.mean(each, axis=0), abs=1e-4)


@pytest.mark.parametrize("models", [[MODEL], [MODEL, small_enformer(seed=8, target_bins=24)]], ids=["one", "ensemble"])
@pytest.mark.parametrize("tracks", [None, [3, 0]])
def test_standard_errors_are_those_of_runs_with_single_shifts(genome, models, tracks) -> None:
    """s / sqrt(n) over shifts of the mean over models; a run with one shift has no error."""
    shifts = (-8, 3, 0, 8)
    rows, names = [*SNVS[:2], *INDELS], "SAD,D2,LOGSED,COSINE"

    def run(*shifts: int) -> dict[str, np.ndarray]:
        made = track_scorer(
            models,
            genome,
            names,
            head="human",
            targets=TARGETS,
            tracks=tracks,
            genes=GENES,
            settings=AlleleComparison(shifts=shifts),
        )
        return dict(zip((column.name for column in made.columns), made.score(rows).values.T, strict=True))

    def every(*shifts: int) -> TrackScorer:
        return track_scorer(
            models,
            genome,
            names,
            head="human",
            targets=TARGETS,
            tracks=tracks,
            genes=GENES,
            settings=AlleleComparison(shifts=shifts),
        )

    found, single = run(*shifts), run(0)
    assert [name for name in found if not name.endswith("_SE")] == list(single)
    assert not any(name.endswith("_SE") for name in single)
    each = np.array([every(shift).values(rows)[0] for shift in shifts])  # [shifts, n, scores, K]
    for i, name in enumerate(names.split(",")):
        if name == "LOGSED":  # whose gene may be another for each shift
            continue
        by_row = each[:, :, i].swapaxes(0, 1)
        errors = np.array([[math.dist(x, [x.mean()] * 4) / math.sqrt(3) / 2 for x in of.T] for of in by_row])
        k = found[f"{name}_TRACK"].astype(int) if f"{name}_TRACK" in found else np.zeros(len(rows), dtype=int)
        np.testing.assert_allclose(found[f"{name}_SE"], errors[np.arange(len(rows)), k], rtol=1e-3, atol=1e-6)
        for j, track in enumerate(tracks or () if SCORES[name].of_tracks else ()):
            np.testing.assert_allclose(found[f"{name}_t{track}_SE"], errors[:, j], rtol=1e-3, atol=1e-6)
    assert (found["SAD_SE"] > 0).all()
    assert np.isfinite(found["LOGSED_SE"]).all()


def test_the_gene_is_chosen_after_the_mean_over_shifts(genome) -> None:
    """Each shift may have another strongest gene; what is averaged is one gene."""
    shifts = (-8, 0, 8)
    values, genes = scorer(genome, "LOGSED", shifts=shifts).values(SNVS)
    each = [scorer(genome, "LOGSED", shifts=(shift,)).score_each(SNVS) for shift in shifts]
    for i in range(len(SNVS)):
        by_gene = {}
        for item in {item for of in each for item in of[i].items}:
            by_gene[item.number] = np.mean([of[i].items[item] for of in each if item in of[i].items], axis=0)
        if not by_gene:
            assert genes[i, 0] == -1
            assert np.isnan(values[i]).all()
            continue
        strongest = max(by_gene, key=lambda gene: np.abs(by_gene[gene]).max())
        assert genes[i, 0] == strongest
        assert values[i, 0] == pytest.approx(by_gene[strongest], abs=1e-6)
    assert set(genes[:, 0].tolist()) > {-1}


OTHER = small_enformer(seed=8, target_bins=24)


def of_models(models, genome, names: str, **changed) -> TrackScorer:
    return track_scorer(
        models, genome, names, head="human", targets=TARGETS, genes=GENES, settings=AlleleComparison(shifts=(0, 8), **changed)
    )


def test_an_ensemble_gives_the_mean_of_its_models(genome) -> None:
    names, rows = "SAD,D2,LOGSED,L2", SNVS + INDELS
    both = of_models([MODEL, OTHER], genome, names)
    apart = [of_models(model, genome, names).score_each(rows) for model in (MODEL, OTHER)]
    for i, told in enumerate(both.score_each(rows)):
        mean = np.mean([of[i].values for of in apart], axis=0)
        np.testing.assert_allclose(told.values, mean, atol=1e-9)
        assert told.items.keys() == apart[0][i].items.keys()
        for item, values in told.items.items():
            np.testing.assert_allclose(values, (apart[0][i].items[item] + apart[1][i].items[item]) / 2, atol=1e-9)
    naive = both.reference_scorer().values(rows[:2])[0]
    np.testing.assert_allclose(both.values(rows[:2])[0], naive, atol=1e-4)
    assert both.flops_per_variant == pytest.approx(2 * of_models(MODEL, genome, names).flops_per_variant)
    noise = [of_models(model, genome, names).noise(SNVS[:1])[0] for model in (MODEL, OTHER, [MODEL, OTHER])]
    for which in range(2):
        one, other, ensemble = (of[which].values for of in noise)
        np.testing.assert_allclose(ensemble, (one + other) / 2, atol=1e-9)


def test_models_that_differ_are_no_ensemble(genome) -> None:
    with pytest.raises(ConfigError, match="models of an ensemble have 24 and 32 bins, expected the same number"):
        of_models([MODEL, small_enformer(seed=8, target_bins=32)], genome, "SAD")
    encoder = small_encoder(BaseTokenizer(), context_length=40)
    with pytest.raises(ConfigError, match="found models of several kinds in an ensemble, expected only language models"):
        scorer_of([MODEL, encoder], genome, "SAD")
    others = [copy.deepcopy(MODEL) for _ in range(2)]
    others[0].targets = {"human": TARGETS}
    others[1].targets = {"human": TrackTable(tuple(Track(i, f"u{i}", strand_pair=PAIRS[i]) for i in range(5)))}
    with pytest.raises(ConfigError, match=r"name a track of head human .*, expected the same tracks"):
        of_models(others, genome, "SAD")


def test_language_models_with_other_tokens_are_an_ensemble_too(genome) -> None:
    models = [small_encoder(BaseTokenizer(), context_length=40), small_encoder(KmerTokenizer(3), context_length=30)]
    together, *apart = (scorer_of(of, genome, "LLR,PLL,COSINE") for of in (models, *models))
    rows = SNVS + INDELS
    found = together.score(rows)
    np.testing.assert_allclose(found.values, np.mean([of.score(rows).values for of in apart], axis=0), atol=1e-6)
    assert (together.window, together.options["context"]) == (40, "40+30")
    assert together.longest_allele == min(of.longest_allele for of in apart)
    np.testing.assert_allclose(together.reference_scorer().score(rows).values, found.values, atol=1e-5)


def test_the_noise_floor_is_the_reference_against_itself_moved_by_a_base(genome) -> None:
    found = scorer(genome, "SAD,D2").noise(SNVS)
    for i, variant in enumerate(SNVS):
        (here, _), (there, _) = (naive_pair(variant, "realign", shift=shift)[:2] for shift in (0, 1))
        assert found[i].of_nothing.values[0] == pytest.approx(there.sum(1) - here.sum(1), abs=1e-4)
        assert found[i].of_nothing.values[1] == pytest.approx(np.linalg.norm(there - here, axis=1), abs=1e-4)
        for j, name in enumerate(("SAD", "D2")):
            moved = naive_score(name, variant, shift=1) - naive_score(name, variant)
            assert found[i].of_window.values[j] == pytest.approx(moved, abs=1e-4)


def test_noise_of_masks_reads_their_bins_only(genome, monkeypatch) -> None:
    """In the window that begins one base further on, the bin of a base can be another one: both are read."""
    names = "SAD501,CENTER_MASK_501_DIFF_SUM"
    made = track_scorer(small_borzoi(), genome, names, head="human", targets=TABLE_OF_FOUR, settings=AlleleComparison())
    rows, of_masks, read = [snv(32 * 40 + 1), snv(1011)], allele_tracks.AllelePredictor._compared_bins, []

    def noted(self, *jobs_and_more):
        read.append(of_masks(self, *jobs_and_more))
        return read[-1]

    monkeypatch.setattr(allele_tracks.AllelePredictor, "_compared_bins", noted)
    noise = made.noise(rows)
    assert len(read) == 4
    assert sorted(read[:2]) == sorted(read[2:])  # of the windows, and of those one base further on
    assert all(16 < bins.n < 24 for bins in read)  # of 64
    monkeypatch.setattr(allele_tracks.AllelePredictor, "_compared_bins", lambda self, *others: self.bins)
    for few, whole in zip(noise, made.noise(rows), strict=True):
        for part, of_whole in zip(few, whole, strict=True):
            assert np.abs(of_whole.values).min() > 1e-3
            np.testing.assert_allclose(part.values, of_whole.values, atol=1e-4)


def test_variants_of_a_window_share_its_reference_and_neighbours_its_trunk(genome, monkeypatch) -> None:
    """1,001 to 1,004 lie in one window, 1,008 in the next: two references and five alternatives, one stretch a strand."""
    from genoformer.models.enformer import engine

    passes, strips = [], []
    true_transform, true_strip = MODEL.attend, engine.SharedTrunk
    monkeypatch.setattr(MODEL, "attend", lambda x: passes.append(len(x)) or true_transform(x))
    monkeypatch.setattr(
        engine, "SharedTrunk", lambda trunk, onehot: strips.append(onehot.shape[-1]) or true_strip(trunk, onehot)
    )
    rows = [snv(pos) for pos in (1001, 1002, 1003, 1004, 1008)]
    scorer(genome).values(rows)
    assert sum(passes) == 2 * (2 + 5)
    assert strips == [LENGTH + BIN] * 2
    scorer(genome, anchor="variant").values(rows)
    assert strips[2:] == [LENGTH] * 10


def test_a_variant_stands_in_the_middle_of_its_own_window(genome) -> None:
    made = scorer(genome, anchor="variant")
    assert made.window_start(Variant("c1", 1001, "A", "C")) == 1000 - LENGTH // 2
    assert scorer(genome).window_start(Variant("c1", 1001, "A", "C")) == 872  # 1000 - 128, a whole number of bins already
    contig = CONTIGS["c1"]
    row = snv(1003)
    changed = contig[:1002] + row.alt + contig[1003:]
    both = [predicted(text_at(text, 1002 - LENGTH // 2, LENGTH)).sum(1) for text in (contig, changed)]
    assert made.values([row])[0][0, 0] == pytest.approx(both[1] - both[0], abs=1e-4)


def test_the_table_has_the_strongest_track_and_those_that_are_chosen(genome) -> None:
    names = [column.name for column in scorer(genome, "SAD,LOGSED,L2").columns]
    assert names == ["SAD", "SAD_TRACK", "LOGSED", "LOGSED_TRACK", "LOGSED_GENE", "L2"]
    some = scorer(genome, "SAD", tracks=[3, 0])
    assert [column.key for column in some.columns] == ["GF_SAD", "GF_SAD_TRACK", "GF_SAD_t3", "GF_SAD_t0"]
    everything, _ = scorer(genome, "SAD").values(SNVS)
    answers = some.score(SNVS)
    np.testing.assert_allclose(answers.values[:, 2:], everything[:, 0, [3, 0]], atol=1e-5)
    for row in answers.values:
        strongest = max(row[2:], key=abs)
        assert row[0] == strongest
        assert some.columns[1].words[int(row[1])] == ("t3", "t0")[row[2:].tolist().index(strongest)]
    assert [column.name for column in scorer(genome, "SAD", tracks=[2]).columns] == ["SAD"]
    alike = TrackTable(tuple(Track(i, "same", strand_pair=i) for i in range(5)))
    made = track_scorer(MODEL, genome, "SAD", head="human", targets=alike, tracks=[0, 1])
    assert [column.name for column in made.columns][2:] == ["SAD_same.0", "SAD_same.1"]


def test_the_two_strands_of_a_pair_have_keys_of_their_own(genome, vcf, tmp_path) -> None:
    pair = TrackTable(tuple(Track(i, name, strand_pair=PAIRS[i]) for i, name in enumerate(["C+", "C-", "a b", "a:b", "u"])))
    made = track_scorer(MODEL, genome, "SAD", head="human", targets=pair, tracks=[0, 1, 2, 3, 4])
    keys = [column.key for column in made.columns]
    assert keys[2:] == ["GF_SAD_C_plus", "GF_SAD_C_minus", "GF_SAD_a_b.2", "GF_SAD_a_b.3", "GF_SAD_u"]
    assert [column.key for column in flag_columns(made)][1:3] == ["GF_SAD_C_plus_NOISE", "GF_SAD_C_minus_NOISE"]
    moved = track_scorer(
        MODEL, genome, "SAD", head="human", targets=pair, tracks=[0, 1], settings=AlleleComparison(shifts=(0, 8))
    )
    assert [column.key for column in moved.columns if column.belongs_to] == [
        "GF_SAD_SE",
        "GF_SAD_C_plus_SE",
        "GF_SAD_C_minus_SE",
    ]
    clash = TrackTable(tuple(Track(i, f"TRACK{i}"[: 5 + (i > 0)], strand_pair=PAIRS[i]) for i in range(5)))
    with pytest.raises(ConfigError, match="SAD_TRACK and SAD_TRACK would both be GF_SAD_TRACK in a VCF; rename the tracks"):
        run_score(vcf, genome, MODEL, tmp_path / "o.vcf", scores="SAD", head="human", targets=clash, tracks=[0, 1])
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]


def test_the_output_and_the_matrix_are_two_files(genome, vcf, tmp_path) -> None:
    with pytest.raises(ConfigError, match="the output and the matrix would be one file"):
        run_score(
            vcf,
            genome,
            MODEL,
            tmp_path / "a.parquet",
            scores="SAD",
            head="human",
            targets=TARGETS,
            matrix=tmp_path / "a.parquet",
        )


def test_windows_of_unknown_bases_are_noted(genome, vcf, tmp_path) -> None:
    """The windows of c2's records reach into N and beyond the contig."""
    text = vcf.read_text() + f"c2\t490\t.\t{CONTIGS['c2'][489]}\t{'ACGT'['ACGT'.index(CONTIGS['c2'][489]) - 1]}\t.\t.\t.\n"
    (tmp_path / "more.vcf").write_text(text)
    options = {"head": "human", "targets": TARGETS, "noise_places": 0}
    notes = [
        run_score(source, genome, MODEL, tmp_path / "o.tsv", scores="SAD", **options).notes
        for source in (vcf, tmp_path / "more.vcf")
    ]
    assert "unknown bases" not in "\n".join(notes[0])
    assert "of 7 sampled records, 1 has a window of which more than 10 % is N" in "\n".join(notes[1])


def test_few_places_say_nothing_of_noise(genome, vcf, tmp_path) -> None:
    options = {"head": "human", "targets": TARGETS}
    notes = run_score(vcf, genome, MODEL, tmp_path / "o.tsv", scores="SAD", noise_places=2, **options).notes
    assert "at 2 loci" in "\n".join(notes)
    assert "of too few loci to be sure (noise_places = 8 is enough). A smaller score may" in "\n".join(notes)
    assert re.search(r"values are \|GF_SAD\| [\d.e-]+ \(indels\) and [\d.e-]+ \(substitutions\)", "\n".join(notes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"settings": AlleleComparison(shifts=(0, 60))},
            "a shift of 60 bases: give 48 at most, a quarter of what is predicted",
        ),
        ({"scores": "LLR"}, "LLR needs a language model, and this one predicts tracks; choose others"),
        ({"scores": "LOGSED", "genes": None}, "option gtf is missing, and LOGSED compares the exons of a gene"),
        ({"targets": None}, "option strand is both, but no table has the strand pairs"),
        ({"settings": AlleleComparison(indels="guess")}, "option indels is 'guess', expected realign, stitch"),
        ({"head": None}, "no head was named; this model has human, mouse"),
        ({"context": 100}, "not a whole number of bins of 8 bases"),
    ],
)
def test_what_a_model_cannot_tell_is_refused_at_once(genome, change, message) -> None:
    options = {"scores": "SAD", "head": "human", "targets": TARGETS, **change}
    with pytest.raises(ConfigError, match=message):
        track_scorer(MODEL, genome, options.pop("scores"), **options)


def test_a_language_model_has_no_tracks(genome) -> None:
    encoder = small_encoder(BaseTokenizer(), context_length=40)
    with pytest.raises(ConfigError, match="SAD is of tracks, and this is a language model; choose LLR"):
        scorer_of(encoder, genome, "SAD")
    with pytest.raises(ConfigError, match="found options of tracks with a language model, expected a track model"):
        scorer_of(encoder, genome, "LLR", head="human")


def test_a_model_that_predicts_no_numbers_is_refused(genome) -> None:
    model = small_enformer(seed=3)
    with torch.no_grad():
        model.heads["human"].bias[1] = torch.nan
    made = track_scorer(model, genome, "SAD", head="human", targets=TARGETS)
    with pytest.raises(CheckpointError, match="values that are no numbers"):
        made.score(SNVS)


# Through score_variants


@pytest.fixture
def vcf(tmp_path: Path) -> Path:
    rows = [f"{v.chrom}\t{v.pos}\t.\t{v.ref}\t{v.alt}\t.\t.\tA=1" for v in sorted(SNVS + INDELS, key=lambda v: v.pos)]
    rows[1:1] = [f"c1\t992\tx\t{CONTIGS['c1'][991]}\t<DEL>,{'ACGT'.replace(CONTIGS['c1'][991], '')[0]}\t.\t.\t."]
    head = ["##fileformat=VCFv4.3", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    (tmp_path / "in.vcf").write_text("\n".join(head + rows) + "\n")
    return tmp_path / "in.vcf"


def test_a_vcf_comes_back_with_tracks_and_the_matrix_has_them_all(genome, vcf, tmp_path) -> None:
    out, matrix = tmp_path / "out.tsv", tmp_path / "m.parquet"
    summary = run_score(
        vcf, genome, MODEL, out, scores="SAD,D2", head="human", targets=TARGETS, matrix=matrix, noise_places=2, verify=3
    )
    assert (summary.scored, summary.skipped) == (6, {"SYMBOLIC": 1})
    with out.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 7
    table = pq.read_table(matrix).to_pandas()
    assert list(table) == ["chrom", "pos", "id", "ref", "alt", "score", "t0", "t1", "t2", "t3", "t4"]
    assert table.score.tolist() == ["SAD", "D2"] * 7
    for row, (_, of) in zip(rows, table.groupby(table.index // 2), strict=True):
        assert (row["pos"], row["alt"]) == (str(of.pos.iloc[0]), of.alt.iloc[0])
        for name, numbers in zip(("SAD", "D2"), of[["t0", "t1", "t2", "t3", "t4"]].to_numpy(), strict=True):
            if row["status"] == "SYMBOLIC":
                assert row[name] == ""
                assert np.isnan(numbers).all()
            else:
                strongest = int(np.abs(numbers).argmax())
                assert float(row[name]) == pytest.approx(numbers[strongest], rel=1e-4)
                assert row[f"{name}_TRACK"] == f"t{strongest}"
    notes = "\n".join(summary.notes)
    assert "at 2 loci the reference was scored against itself, one base further on" in notes
    difference = float(notes.partition("largest difference is ")[2].split(",")[0])
    assert "verified: 3 random records" in notes
    assert difference < 1e-4


@pytest.mark.parametrize("kind", ["parquet", "h5ad"])
def test_the_matrix_has_every_gene_of_the_window(genome, vcf, tmp_path, kind) -> None:
    out, path = tmp_path / "out.tsv", tmp_path / f"m.{kind}"
    run_score(
        vcf, genome, MODEL, out, scores="SAD,LOGSED", head="human", targets=TARGETS, gtf=GENES, matrix=path, noise_places=0
    )
    if kind == "parquet":
        table = pq.read_table(path).to_pandas()
    else:
        anndata = pytest.importorskip("anndata", reason="AnnData is an extra: pip install genoformer[anndata]")
        data = anndata.read_h5ad(path)
        assert list(data.var["track"]) == [f"t{i}" for i in range(5)]
        table = data.obs.reset_index(drop=True)
        table[list(data.var_names)] = data.X
    names = [f"t{i}" for i in range(5)]
    assert list(table) == ["chrom", "pos", "id", "ref", "alt", "score", "gene", "strongest", *names]
    of_genes = table[table.score == "LOGSED"]
    near = of_genes[of_genes.pos == 1005]
    assert sorted(near.gene) == ["inside", "near"]
    made = scorer(genome, "LOGSED")
    (told,) = made.score_each(SNVS[:1])
    for gene, name in ((0, "near"), (1, "inside")):
        assert near[near.gene == name][names].to_numpy()[0] == pytest.approx(told.items[Item(0, gene)], abs=1e-5)
    with out.open() as file:
        rows = {(row["pos"], row["alt"]): row for row in csv.DictReader(file, delimiter="\t")}
    for _, row in of_genes[of_genes.strongest.astype(bool)].iterrows():
        scored = rows[str(row.pos), row.alt]
        if scored["status"] == "SYMBOLIC":
            assert row[names].isna().all()
        elif row.gene in ("near", "inside"):
            assert scored["LOGSED_GENE"] == row.gene
            assert float(scored["LOGSED"]) == pytest.approx(row[scored["LOGSED_TRACK"]], rel=1e-4)
        else:
            assert scored["LOGSED_GENE"] == ""
    assert of_genes.groupby(["pos", "alt"], observed=True).strongest.sum().eq(1).all()


def test_a_matrix_of_another_kind_is_refused(genome, vcf, tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"end its name in .parquet or .h5ad"):
        run_score(
            vcf, genome, MODEL, tmp_path / "o.tsv", scores="SAD", head="human", targets=TARGETS, matrix=tmp_path / "m.csv"
        )
    assert [path.name for path in tmp_path.iterdir()] == ["in.vcf"]


def test_other_genes_and_tables_are_another_job(genome) -> None:
    def inputs(**changed) -> dict[str, str]:
        options = {"head": "human", "targets": TARGETS, "genes": GENES, **changed}
        return track_scorer(MODEL, genome, "LOGSED", **options).inputs

    other_table = TrackTable(tuple(Track(i, f"t{i}", strand_pair=i) for i in range(5)))
    assert inputs() == inputs()
    assert inputs(targets=other_table)["table of tracks"] != inputs()["table of tracks"]
    assert inputs(genes=Genes({}, "g.gtf", "a"))["GTF"] != inputs()["GTF"]


def test_words_in_info_are_escaped_and_two_runs_give_the_same_bytes(genome, vcf, tmp_path) -> None:
    odd = TrackTable(tuple(Track(i, f"CAGE:a b;c={i}", strand_pair=PAIRS[i]) for i in range(5)))
    for name in ("a.vcf", "b.vcf"):
        run_score(vcf, genome, MODEL, tmp_path / name, scores="SAD", head="human", targets=odd, tracks=[0, 1], noise_places=0)
    text = (tmp_path / "a.vcf").read_text()
    assert text == (tmp_path / "b.vcf").read_text()
    assert "GF_SAD_TRACK=CAGE:a%20b%3Bc%3D" in text
    assert "##INFO=<ID=GF_SAD_CAGE_a_b_c_0,Number=A,Type=Float" in text
    assert all(line.split("\t")[7].count(";GF_SAD_CAGE_a_b_c_") == 2 for line in text.splitlines() if line.endswith("GF_"))


# Noise


def flagged(genome, vcf, out: Path, **options) -> tuple[list[dict[str, str]], Summary]:
    summary = run_score(vcf, genome, MODEL, out, scores="SAD,D2", head="human", targets=TARGETS, **options)
    with out.open() as file:
        return list(csv.DictReader(file, delimiter="\t")), summary


@pytest.mark.parametrize("tracks", [None, [2], [3, 0]])
def test_scores_below_the_noise_floor_are_flagged(genome, vcf, tmp_path, tracks) -> None:
    """Against floors measured by hand: of indels the reference moved by a base, of substitutions their own change with it."""
    rows, summary = flagged(genome, vcf, tmp_path / "o.tsv", tracks=tracks)
    names = ["SAD", "D2"] if tracks is None or len(tracks) == 1 else ["SAD", "SAD_t3", "SAD_t0", "D2", "D2_t3", "D2_t0"]
    assert [name for name in rows[0] if name.endswith("_NOISE")] == [f"{name}_NOISE" for name in names]
    made = scorer(genome, "SAD,D2", tracks=tracks)
    floor = measure(made, genome, [(row["chrom"], int(row["pos"]) - 1) for row in rows if row["alt"] != "<DEL>"], 8)
    assert floor is not None
    assert floor.names == tuple(names)
    assert floor.n_places == 8
    below = dict.fromkeys(names, 0)
    for row in rows:
        floors = floor.substitution if len(row["ref"]) == len(row["alt"]) else floor.indel
        for name, limit in zip(names, floors, strict=True):
            is_below = row[f"{name}_NOISE"] == "below"
            below[name] += is_below
            ratio = abs(float(row[name] or "inf")) / limit
            assert is_below == (ratio < 1) or abs(ratio - 1) < 1e-3, (row, name, limit)
    assert summary.below == {name: below[name] for name in ("SAD", "D2")}
    assert f"below the noise floor: SAD {below['SAD']} of 6, D2 {below['D2']} of 6" in "\n".join(summary.notes)


def test_the_header_says_the_floors_and_a_run_without_them_takes_old_flags_away(genome, vcf, tmp_path) -> None:
    once, again = tmp_path / "a.vcf", tmp_path / "b.vcf"
    run_score(vcf, genome, MODEL, once, scores="SAD", head="human", targets=TARGETS, shifts=(0, 8))
    text = once.read_text()
    (floors,) = [line for line in text.splitlines() if line.startswith("##genoformer_noise=")]
    assert re.fullmatch(r"##genoformer_noise=places=8;SAD=[\d.e-]+/[\d.e-]+", floors)
    assert 'ID=GF_SAD_NOISE,Number=A,Type=String,Description="below: |SAD| is below the noise floor' in text
    assert "ID=GF_SAD_SE,Number=A,Type=Float" in text
    with pysam.VariantFile(str(once)) as file:
        assert {value for record in file for value in record.info.get("GF_SAD_NOISE", ())} <= {".", "below"}
    run_score(once, genome, MODEL, again, scores="SAD", head="human", targets=TARGETS, noise_places=0)
    assert not re.search("GF_SAD_NOISE|GF_SAD_SE|genoformer_noise", again.read_text())
    run_score(vcf, genome, MODEL, tmp_path / "c.vcf", scores="SAD", head="human", targets=TARGETS, noise_places=0)
    old = [line for line in (tmp_path / "c.vcf").read_text().splitlines() if not line.startswith("##")]
    assert old == [line for line in again.read_text().splitlines() if not line.startswith("##")]


def test_shards_and_a_run_at_once_flag_the_same_scores(genome, vcf, tmp_path) -> None:
    options = {"head": "human", "targets": TARGETS, "shifts": (0, 3), "threads": 1}
    run_score(vcf, genome, MODEL, tmp_path / "a.vcf", scores="SAD", verify=2, **options)
    for i in (1, 2):
        run_score(vcf, genome, MODEL, tmp_path / "b.vcf", scores="SAD", shard=(i, 2), **options)
    run_score(vcf, genome, MODEL, tmp_path / "b.vcf", scores="SAD", assemble=True, **options)
    assert (tmp_path / "a.vcf").read_text() == (tmp_path / "b.vcf").read_text()
    assert "GF_SAD_NOISE=" in (tmp_path / "b.vcf").read_text()
    assert "GF_SAD_SE=" in (tmp_path / "b.vcf").read_text()


@pytest.mark.parametrize(
    ("operations", "n_records", "asked", "expected"),
    [
        (1e9, 1, None, 8),
        (1e9, 400, None, 16),
        (1e9, 200, None, 10),
        (1e13, 1, None, 1),
        (1e13, 100, None, 5),
        (1e9, 5, 3, 3),
        (1e9, 5, 0, 0),
    ],
)
def test_how_many_places_tell_the_noise(operations, n_records, asked, expected) -> None:
    class Costly:
        pass

    made = Costly()
    made.flops_per_variant = operations
    assert n_places(made, n_records, asked) == expected


def test_scores_do_not_depend_on_how_many_tracks_are_compared_together(genome, monkeypatch) -> None:
    scorer = track_scorer(MODEL, genome, ",".join([*OF_TRACKS, "COSINE"]), head="human", targets=TARGETS, genes=GENES)
    variants = [Variant("c1", 1001, CONTIGS["c1"][1000], "AC"[CONTIGS["c1"][1000] == "A"])]
    expected = scorer.values(variants)[0]
    for n_values in (1, 2 * 24, 1 << 20):  # one track, two, all
        monkeypatch.setattr(allele_tracks, "_VALUES_AT_ONCE", n_values)
        np.testing.assert_array_equal(scorer.values(variants)[0], expected)


def test_one_alternative_is_predicted_at_a_time(genome, monkeypatch) -> None:
    """When the first variant of a window is read, only the reference and its alternative are predicted."""
    scorer = track_scorer(MODEL, genome, "SAD", head="human", targets=TARGETS)
    ref = CONTIGS["c1"][1000]
    variants = [Variant("c1", 1001, ref, alt) for alt in "ACGT" if alt != ref]
    (reader,) = scorer.predictor.readers
    n_predicted = []
    original = MODEL.tracks
    monkeypatch.setattr(reader.model, "tracks", lambda x, *rest: (n_predicted.append(len(x)), original(x, *rest))[1])
    predictions = scorer.predictor.predict(reader, scorer.windows.jobs(variants, 0))
    next(predictions)
    assert sum(n_predicted) == 2 * len(scorer.predictor.strands)
    assert len(list(predictions)) == 2
    assert sum(n_predicted) == 4 * len(scorer.predictor.strands)
