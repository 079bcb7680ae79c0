"""Logos of both alleles are ISM as `mutagenesis` computes it, of REF in the genome and of ALT in a FASTA that has ALT."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_models import small_classifier, small_encoder, small_enformer

from genoformer.errors import OptionError
from genoformer.genome.alternative import AlternativeGenome
from genoformer.genome.reference import Genome
from genoformer.genome.variants import Variant
from genoformer.interpretation.allele_ism import uses_ism
from genoformer.interpretation.explain import explain
from genoformer.interpretation.ism import mutagenesis
from genoformer.scoring.scorers import make_scorer
from genoformer.scoring.scores import SCORES
from genoformer.scoring.settings import ClassOptions, Scoring, TrackOptions
from genoformer.tokenizers import BaseTokenizer

BASES = "".join(random.Random(5).choices("ACGT", k=400))
FLANK = 3


def swapped(base: str) -> str:
    return base.translate(str.maketrans("ACGT", "CGTA"))


VARIANTS = {
    "snv": Variant("c1", 201, BASES[200], swapped(BASES[200])),
    "mnv": Variant("c1", 201, BASES[200:203], "".join(swapped(base) for base in BASES[200:203])),
    "insertion": Variant("c1", 201, BASES[200], BASES[200] + "GATTA"),
    "deletion": Variant("c1", 201, BASES[200:206], BASES[200]),
}
each = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


def genomes(folder: Path, variant: Variant) -> tuple[Genome, Genome]:
    """The genome, and one of a file in which the variant was written by hand."""
    (folder / "ref.fa").write_text(f">c1\n{BASES}\n>c2\n{BASES[::-1]}\n")
    changed = BASES[: variant.start] + variant.alt + BASES[variant.start + len(variant.ref) :]
    (folder / "alt.fa").write_text(f">c1\n{changed}\n>c2\n{BASES[::-1]}\n")
    return Genome(folder / "ref.fa"), Genome(folder / "alt.fa")


@each
def test_a_genome_with_an_allele_is_the_file_with_it(tmp_path: Path, variant: Variant) -> None:
    ref, written = genomes(tmp_path, variant)
    changed = AlternativeGenome(ref, variant)
    assert changed.contigs == written.contigs
    assert changed["c1"] == written["c1"] != ref["c1"]
    for length in (1, 4, 30, 900):
        starts = np.arange(-length - 3, 410, 7)
        for chrom in ("c1", "c2"):
            assert (changed.windows(chrom, starts, length) == written.windows(chrom, starts, length)).all()
    assert not changed.soft_masked("c1", [0], 400).any()
    assert changed.signature != ref.signature


def assert_is_ism(folder: Path, variant: Variant, scoring: Scoring, one: Scoring | None = None) -> Any:
    """Logos of `scoring` are ISM of `one`, in the genome and in the file with the variant."""
    ref, written = genomes(folder, variant)
    explained = explain(make_scorer(ref, scoring), variant, flank=FLANK, logos="ism")
    locus = explained.locus
    assert locus.alleles is not None
    for genome, logo, moved in ((ref, explained.ref, 0), (written, explained.alt, locus.alleles.alt_start)):
        start = locus.start + (locus.alleles.ref_start - moved if moved else 0)
        expected = mutagenesis(make_scorer(genome, one or scoring), genome, "c1", start, start + len(logo))
        assert np.allclose(logo, expected.importance[0], atol=2e-5, rtol=1e-4)
        assert np.abs(logo).max() > 1e-4
    return explained


@each
@pytest.mark.parametrize("causal", [False, True], ids=["masked", "causal"])
def test_logos_of_a_language_model(tmp_path: Path, variant: Variant, causal: bool) -> None:
    model = small_encoder(BaseTokenizer(), context_length=40, init_std=0.4, causal=causal).eval()
    scores = tuple(SCORES[name] for name in ("LLR", "PLL"))
    explained = assert_is_ism(tmp_path, variant, Scoring((model,), scores), Scoring((model,), scores[:1]))
    assert explained.label == "ISM of LLR (bits)"


@pytest.mark.parametrize(
    ("kind", "name"), [("snv", "SAR"), ("snv", "D2"), ("mnv", "SAD"), ("insertion", "SAD"), ("deletion", "SAD")]
)
def test_logos_of_a_track_model(tmp_path: Path, kind: str, name: str) -> None:
    """The logos are ISM of the printed score for its track; a score without a sign gives ISM of SAD."""
    variant = VARIANTS[kind]
    model = small_enformer().eval()
    scoring = Scoring((model,), (SCORES[name],), both_strands=False, tracks=TrackOptions("human"))
    ref, _ = genomes(tmp_path, variant)
    scorer = make_scorer(ref, scoring)
    assert scorer.layout is not None
    strongest = scorer.layout.strongest(scorer.score_each([variant]))[0][0, 0]  # type: ignore[attr-defined]
    track = int(np.abs(strongest).argmax())
    shown = "SAD" if name == "D2" else name
    one = replace(scoring, scores=(SCORES[shown],), tracks=TrackOptions("human", tracks=(track,)))
    explained = assert_is_ism(tmp_path, variant, scoring, one)
    assert explained.label.startswith(f"ISM of {shown}")


@each
def test_logos_of_a_fine_tuned_model(tmp_path: Path, variant: Variant) -> None:
    model = small_classifier(BaseTokenizer())
    scoring = Scoring((model,), (SCORES["LOGIT"],))
    ref, _ = genomes(tmp_path, variant)
    scorer = make_scorer(ref, scoring)
    assert scorer.layout is not None
    values = scorer.layout.strongest(scorer.score_each([variant]))[0][0, 0]  # type: ignore[attr-defined]
    one = replace(scoring, classes=ClassOptions((int(np.abs(values).argmax()),)))
    assert_is_ism(tmp_path, variant, scoring, one)


def test_progress_counts_the_bases_of_both_alleles(tmp_path: Path) -> None:
    ref, _ = genomes(tmp_path, VARIANTS["snv"])
    scorer = make_scorer(ref, Scoring((small_classifier(BaseTokenizer()),), (SCORES["LOGIT"],)))
    events: list[Any] = []
    explained = explain(scorer, VARIANTS["snv"], flank=15, logos="ism", progress=events.append)
    assert len(explained.ref) == len(explained.alt) == 31
    assert events[-1].done == events[-1].total == 62
    assert len(events) > 3
    events.clear()
    explain(scorer, VARIANTS["snv"], flank=15, logos="gradient", progress=events.append)
    assert not events


def test_ism_is_automatic_where_it_is_quick() -> None:
    mini_tracks, enformer = (SimpleNamespace(flops_per_variant=flops) for flops in (5.7e9, 2e12))
    assert uses_ism("auto", mini_tracks, 51)
    assert not uses_ism("auto", enformer, 51)
    assert uses_ism("ism", enformer, 51)
    assert not uses_ism("gradient", mini_tracks, 51)
    with pytest.raises(OptionError, match="logos is 'logo', expected auto, ism or gradient"):
        uses_ism("logo", mini_tracks, 51)
