"""Scores that a model supports, by its kind, and the reason for the others."""

from __future__ import annotations

import numpy as np
import pytest
from alphagenome_models import small_alphagenome
from commands import run_well
from small_models import small_classifier, small_encoder, small_enformer

from genoformer.models import registry
from genoformer.scoring.scores import SCORES
from genoformer.scoring.support import covers, lacking, refusal, supported
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer

LANGUAGE = small_encoder(BaseTokenizer())
CAUSAL = small_encoder(BaseTokenizer(), causal=True)
TRACKS = small_enformer()
CLASSES = small_classifier(BaseTokenizer())
VALUES = small_classifier(BaseTokenizer(), "regression", ("x",))


def test_supported_scores_by_kind_of_model() -> None:
    assert {"LLR", "PLL", "ENTROPY", "COSINE"} <= set(supported(LANGUAGE))
    assert {"LLR", "PLL", "COSINE"} <= set(supported(CAUSAL))
    assert {"SAD", "SAR501", "LOGSED"} <= set(supported(TRACKS))
    assert set(supported(CLASSES)) == {"LOGIT", "DIFF"}
    assert supported(VALUES) == ["DIFF"]
    for model in (LANGUAGE, CAUSAL, TRACKS, CLASSES, VALUES):
        for name, score in SCORES.items():
            assert (refusal(model, score) is None) == (name in supported(model))


@pytest.mark.parametrize(
    ("model", "name", "reason"),
    [
        (TRACKS, "LLR", "needs a language model, and this one predicts tracks"),
        (TRACKS, "LOGIT", "needs a fine-tuned model, and this one predicts tracks"),
        (CLASSES, "SAD", "needs a track model, and this one was fine-tuned"),
        (VALUES, "LOGIT", "needs classes or labels, and this model predicts values"),
        (LANGUAGE, "SAD", "is of tracks, and this is a language model"),
        (LANGUAGE, "LOGIT", "is of classes, and this is a language model"),
    ],
)
def test_the_reason_names_the_model_that_is_needed(model, name: str, reason: str) -> None:
    assert lacking(model, SCORES[name]) == reason
    names = supported(model)
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    assert refusal(model, SCORES[name]) == f"{name} {reason}; choose {', '.join(names[:12])}{more}."


def test_alleles_that_a_score_covers() -> None:
    masked = small_encoder(KmerTokenizer(3))
    assert covers(masked, SCORES["LLR"], "substitution")
    assert not covers(masked, SCORES["LLR"], "indel")
    assert covers(masked, SCORES["PLL"], "indel")
    assert covers(CAUSAL, SCORES["PLL"], "indel")


def test_scores_of_heads_that_their_published_scorer_refuses_have_a_caution(make_fasta, tmp_path) -> None:
    """SUPPORTED_OUTPUT_TYPES of google-deepmind/alphagenome: no gene masks of ChIP, splicing of splice sites alone."""
    text = "".join(np.random.default_rng(4).choice(list("ACGT"), 9000))
    registry.save(small_alphagenome(context_length=2048), tmp_path / "m")
    (tmp_path / "g.gtf").write_text('c\tx\texon\t4001\t5000\t.\t+\t.\tgene_id "G"; transcript_id "T";\n')
    common = ("score", f"c:4500:{text[4499]}:{'CA'[text[4499] == 'C']}", "-f", make_fasta(c=text), "-m", tmp_path / "m")
    words = (*common, "--gtf", tmp_path / "g.gtf", "--strand", "forward", "--noise-places", "0", "--workers", "1")

    def run_with(heads: str, scores: str) -> tuple[str, str]:
        named = [word for head in heads.split(",") for word in ("--head", head)]
        done = run_well(*words, *named, "-s", scores, "-o", tmp_path / "o.vcf", "--tracks", "0")
        header = [line for line in (tmp_path / "o.vcf").read_text().splitlines() if line.startswith("##genoformer_caution")]
        return done.stderr, "\n".join(header)

    note, header = run_with("human_chip_tf_128bp", "GENE_MASK_LFC,SAD")
    problem = (
        "AlphaGenome defines GENE_MASK_LFC for atac, cage, dnase, procap, rna_seq, splice_sites_classification and "
        "splice_sites_usage, not for chip_tf; the values of head human_chip_tf_128bp have no published counterpart."
    )
    assert f"caution: {problem}" in note
    assert problem in header
    note, header = run_with("human_dnase_1bp,human_splice_sites_usage_1bp", "GENE_MASK_SPLICING")
    assert note.count("AlphaGenome defines") == header.count("AlphaGenome defines") == 1
    assert "defines GENE_MASK_SPLICING for splice_sites_classification and splice_sites_usage, not for dnase" in header
    note, header = run_with("human_dnase_1bp", "GENE_MASK_LFC,CENTER_MASK_501_DIFF_SUM")
    assert "AlphaGenome defines" not in note + header
