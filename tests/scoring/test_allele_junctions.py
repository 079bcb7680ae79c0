"""Contact maps and splice junctions of both alleles against the published definitions over whole sequences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from alphagenome_models import small_alphagenome
from published_scorers import (
    CHANGED,
    CODING,
    CONTIG,
    EXONS,
    GENES,
    KINDS,
    LENGTH,
    VARIANTS,
    aligned,
    body,
    deletion,
    insertion,
    snv,
)
from scoring_jobs import track_scorer
from small_models import small_enformer

from genoformer.errors import OptionError
from genoformer.genome.codes import encode, reverse_complement
from genoformer.genome.genes import Gene
from genoformer.genome.haplotypes import Change
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Status, Variant
from genoformer.models.plain_engine import one_hot
from genoformer.scoring.alignment import AlignedChange, align_alternate
from genoformer.scoring.allele_junctions import JunctionEvidence, annotated_sites, take_aligned
from genoformer.scoring.allele_tracks import Grid
from genoformer.scoring.score_inputs import AllelePair
from genoformer.scoring.scores import SCORES
from genoformer.scoring.settings import AlleleComparison
from genoformer.scoring.support import lacking
from genoformer.scoring.track_scorer import TrackScorer
from genoformer.scoring.windows import Job

MODEL = small_alphagenome()
CONTACTS, JUNCTIONS, SITES = "human_contact_maps", "human_splice_sites_junction", "human_splice_sites_classification_1bp"


@pytest.fixture(scope="module")
def genome(tmp_path_factory) -> Genome:
    path = tmp_path_factory.mktemp("genome") / "g.fa"
    path.write_text(f">c1\n{CONTIG}\n")
    return Genome(path)


def scorer(genome: Genome, name: str, head: str, *, both: bool, **options) -> TrackScorer:
    return track_scorer(MODEL, genome, name, head=head, genes=GENES, both_strands=both, **options)


def texts(variant: Variant, start: int) -> list[str]:
    changed = CONTIG[: variant.start] + variant.alt + CONTIG[variant.end :]
    return [text[start : start + LENGTH] for text in (CONTIG, changed)]


def onehot(text: str, *, back: bool = False) -> torch.Tensor:
    codes = encode(text)
    return one_hot(torch.tensor((reverse_complement(codes) if back else codes)[None].copy()))


# --- contact maps


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("variant", VARIANTS, ids=KINDS)
def test_contact_maps_are_compared_at_the_bin_of_the_variant(genome, variant, both) -> None:
    made = scorer(genome, "CONTACT_MAP", CONTACTS, both=both)
    values, _ = made.values([variant, snv(3000)])
    start = made.windows.jobs([variant], 0)[0].start
    maps = []
    for text in texts(variant, start):
        with torch.no_grad():
            of = [
                MODEL.contact_maps(onehot(text, back=back), "human")[0].double().numpy() for back in (False, True)[: 1 + both]
            ]
        maps.append(np.mean([of[0], *(one[:, ::-1, ::-1] for one in of[1:])], axis=0))
    b = (variant.start - start) // 2048
    expected = [sum(abs(maps[1][k, i, b] - maps[0][k, i, b]) for i in range(2)) / 2 for k in range(3)]
    assert values[0, 0] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert min(expected) > 0


# --- splice junctions


def sites_of(likely: np.ndarray) -> list[list[int]]:
    """The 6 likeliest positions of each kind with a probability of 0.1 at least, in ascending order; likely: [L, 4]."""
    sites = []
    for kind in range(4):
        best = sorted(range(LENGTH), key=lambda i: -likely[i, kind])[:6]
        sites.append(sorted(i for i in best if likely[i, kind] >= 0.1))
    return sites


def naive_junctions(variant: Variant, start: int, *, both: bool) -> dict[int, np.ndarray]:
    """Score [T] of each gene."""
    overlapping = [
        name
        for name in EXONS
        if body(name)[1] > variant.start and body(name)[0] < max(variant.end, variant.start + len(variant.alt))
    ]
    mask = np.zeros(LENGTH)
    annotated = np.zeros((LENGTH, 4))
    for name in overlapping:
        first, end = body(name)
        mask[max(0, first - start) : end - start] = 1
    for strand, transcripts in EXONS.values():
        for exons in transcripts:
            for (_, intron), (after, _) in pairwise(exons):
                for place, kind in ((intron - 1, 0), (after, 1)) if strand == "+" else ((after, 2), (intron - 1, 3)):
                    if strand in "+-" and 0 <= place - start < LENGTH:
                        annotated[place - start, kind] = 1
    embeddings, likely = [], []  # of each allele
    for i, text in enumerate(texts(variant, start)):
        strands, probabilities = [], []
        for back in (False, True)[: 1 + both]:
            with torch.no_grad():
                x = MODEL.embed(onehot(text, back=back), 0, SITES)[0].double().numpy().T
                p = MODEL(onehot(text, back=back), SITES)[0].double().numpy().T
            if back:
                x, p = x[::-1], p[::-1][:, [2, 3, 0, 1]]
            strands.append(aligned(x, variant, start) if i else x)
            probabilities.append(p)
        p = np.mean(probabilities, axis=0)
        likely.append((aligned(p, variant, start) if i else p) * mask[:, None])
        embeddings.append(strands)
    sites = sites_of(np.maximum(np.maximum(*likely), annotated * mask[:, None]))
    padded = torch.tensor([[*of, *[-1] * (6 - len(of))] for of in sites])
    logs = []
    for strands in embeddings:
        counts = []
        for back, x in zip((False, True), strands, strict=False):
            at, of = padded, torch.tensor(x.copy()).float().T[None]
            if back:
                at = torch.where(padded[[2, 3, 0, 1]] >= 0, LENGTH - 1 - padded[[2, 3, 0, 1]], -1)
                of = of.flip(-1)
            with torch.no_grad():
                n = MODEL.outputs["splice_sites_junction"].counts(of, 0, at[None])[0].double().numpy()
            counts.append(np.concatenate([n[4:], n[:4]]) if back else n)
        logs.append(np.log(np.mean(counts, axis=0) + 1e-7))
    scores = {}
    for number, name in enumerate(EXONS):
        strand, (first, end) = EXONS[name][0], body(name)
        if name not in overlapping or name not in CODING:
            continue
        best = None
        for i, donor in enumerate(sites[0] if strand == "+" else sites[2]):
            for j, acceptor in enumerate(sites[1] if strand == "+" else sites[3]):
                a, b = (donor, acceptor) if strand == "+" else (acceptor, donor)
                if first < a + 1 + start < b + start < end:
                    tissues = slice(0, 4) if strand == "+" else slice(4, 8)
                    change = abs(logs[1][tissues, i, j] - logs[0][tissues, i, j])
                    best = change if best is None else np.maximum(best, change)
        if best is not None:
            scores[number] = best
    return scores


@pytest.mark.parametrize("both", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("variant", [*VARIANTS, snv(4650)], ids=[*KINDS, "one gene"])
def test_junction_scores_are_those_published(genome, variant, both) -> None:
    made = scorer(genome, "SPLICE_JUNCTION", JUNCTIONS, both=both)
    (scores,) = made.score_each([variant])
    expected = naive_junctions(variant, made.windows.jobs([variant], 0)[0].start, both=both)
    assert {item.number for item in scores.items} == set(expected)
    assert expected
    for number, values in expected.items():
        assert scores.items[0, number] == pytest.approx(values, rel=5e-3, abs=1e-5)


def test_a_variant_outside_genes_has_no_junctions(genome) -> None:
    made = scorer(genome, "SPLICE_JUNCTION", JUNCTIONS, both=False)
    far = Variant("c1", 7500, CONTIG[7499], CHANGED[CONTIG[7499]])
    values, genes = made.values([far, *VARIANTS])
    assert np.isnan(values[0]).all()
    assert genes[0].tolist() == [-1]
    assert (genes[1:] >= 0).all()
    batch = made.score([far, *VARIANTS])
    assert batch.statuses == [Status.NO_SCORE, Status.OK, Status.OK, Status.OK]
    assert np.isnan(batch.values[0]).all()


@pytest.mark.parametrize(("name", "head"), [("CONTACT_MAP", CONTACTS), ("SPLICE_JUNCTION", JUNCTIONS)])
def test_the_reference_and_other_records_do_not_change_a_score(genome, name, head) -> None:
    made = scorer(genome, name, head, both=True)
    rows = [*VARIANTS, snv(4700)]
    together, _ = made.values(rows)
    alone = np.concatenate([made.values([row])[0] for row in rows])
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(made.reference_scorer().values(rows)[0], together, rtol=1e-3, atol=1e-5)
    equal, _ = made.values([row._replace(alt=row.ref) for row in rows])
    assert np.abs(equal).max() < 1e-5
    assert made.flops_per_variant > 1e6
    assert len(made.noise(rows[:1])) == 1


def test_a_score_of_another_head_is_refused(genome) -> None:
    with pytest.raises(
        OptionError, match="head is human_contact_maps, which predicts contact maps, and SAD needs tracks; give"
    ):
        scorer(genome, "SAD", CONTACTS, both=False)
    with pytest.raises(
        OptionError, match="head is human_atac_1bp, which predicts tracks, and CONTACT_MAP needs contact maps; give"
    ):
        scorer(genome, "CONTACT_MAP", "human_atac_1bp", both=False)
    reason = lacking(small_enformer(), SCORES["SPLICE_JUNCTION"])
    assert reason == "needs splice junctions, which it does not predict"


# --- parts


def test_annotated_sites_are_the_ends_of_introns() -> None:
    sites = list(annotated_sites(list(GENES.over("c1", 0, 9000))))
    assert (0, 4179) in sites  # the last base of the first exon of forward
    assert (1, 4490) in sites
    assert (3, 4529) in sites  # of backward, whose intron is read from 4,899 to 4,530
    assert (2, 4900) in sites
    assert len(sites) == 2 * 6  # none of the gene without strand


def test_the_first_256_sites_of_each_kind_are_scored() -> None:
    """`score_variant` of splice_junction.py leaves out the sites behind the first 256."""
    random, n = np.random.default_rng(3), 300
    sites = np.sort(random.permutation(4000)[: 4 * n].reshape(4, n), axis=1)
    counts = AllelePair(*random.uniform(1, 2, (2, 2 * 3, n, n)))
    evidence = JunctionEvidence(Grid("c1", 0, 4096, 1), 0, (0, 1), sites, counts)
    gene = Gene(0, "g", np.array([[0, 4096]]), "+")
    pair = evidence.counts(gene)
    expected = [counts.ref[0, i, j] for i in range(256) for j in range(256) if 0 < sites[0, i] + 1 < sites[1, j]]
    assert pair is not None
    assert pair.ref[0].tolist() == expected


@pytest.mark.parametrize("variant", [snv(4500), insertion(4511, "GA"), deletion(4520, 6)], ids=KINDS)
def test_gathered_bases_are_those_of_the_whole_alignment(variant) -> None:
    x = np.random.default_rng(1).normal(size=(200, 3))
    start = 4420
    trimmed = (variant.ref[1:], variant.alt[1:]) if len(variant.ref) != len(variant.alt) else (variant.ref, variant.alt)
    at = variant.start + (len(variant.ref) != len(variant.alt)) - start
    job = Job(0, "c1", start, 0, (Change(at, len(trimmed[0]), len(trimmed[1]), 0),), ())
    padded = np.concatenate([x, np.zeros((LENGTH - 200, 3))])
    expected = aligned(padded, variant, start)[:150]
    gathered = take_aligned(torch.tensor(x.T), 0, job, torch.arange(150)).numpy().T
    np.testing.assert_allclose(gathered, expected)
    inside = take_aligned(torch.tensor(x[40:].T), 40, job, torch.arange(60, 150)).numpy().T
    np.testing.assert_allclose(inside, expected[60:])


def test_gathered_bases_of_several_changes_are_those_of_tracks() -> None:
    """The alignment of tracks in bins of one base is another implementation, tested against loops."""
    random = np.random.default_rng(4)
    x = random.normal(size=(2, 300))
    for _ in range(30):
        starts = np.sort(random.choice(np.arange(20, 250, 12), 3, replace=False)).tolist()
        lengths = [(int(random.integers(0, 6)), int(random.integers(0, 6))) for _ in starts]
        offset, changes = int(random.integers(-5, 6)), []
        for start, (ref, alt) in zip(starts, lengths, strict=True):
            changes.append(Change(start, ref, alt, offset))
            offset += alt - ref
        expected = align_alternate(np.zeros_like(x), x, [AlignedChange(*change) for change in changes], 1)
        job = Job(0, "c1", 0, 0, tuple(changes), ())
        np.testing.assert_allclose(take_aligned(torch.tensor(x), 0, job, torch.arange(300)).numpy(), expected, atol=1e-12)


def test_junctions_are_compared_after_realignment_only(genome) -> None:
    with pytest.raises(OptionError, match="option indels is right, and splice junctions are compared after realignment; give"):
        scorer(genome, "SPLICE_JUNCTION", JUNCTIONS, both=False, settings=AlleleComparison(indels="right"))


def test_haplotypes_take_junctions_and_contact_maps(genome) -> None:
    for name, head in (("SPLICE_JUNCTION", JUNCTIONS), ("CONTACT_MAP", CONTACTS)):
        made = scorer(genome, name, head, both=False)
        one, two = snv(4500), snv(4650)
        start = made.window_start(one)
        alone, both_, none = made.haplotypes("c1", start, 4500, [[one], [one, two], []])
        expected, _ = made.layout.strongest(made.score_each([one]))
        found, _ = made.layout.strongest([alone, both_, none])
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-3, atol=1e-5)
        assert np.abs(found[1] - found[0]).max() > 1e-6
        assert np.abs(found[2]).max() < 1e-6
