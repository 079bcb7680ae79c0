"""SNVs of chr20 through a fine-tuned model of DNABERT-6's size, 301 bp: our scores beside a loop of transformers.

BENCH_SNVS=1000 is the whole; by default a few. All ALTs of a position follow each other, as in a VCF of all substitutions, or
each position has one ALT. The loop is what scripts do: both alleles spelt out, cut into k-mers, encoded and run one by one.
Both read the forward strand.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from common import Row, faster, script, seconds

N_SNVS, LENGTH, K = int(os.environ.get("BENCH_SNVS", "24")), 301, 6
N_LOOP = max(3, min(N_SNVS // 6, 60) // 3 * 3)  # the loop is slow
N_ROUNDS = 3
LEAST = 2.5
CLOSE = 1e-4


def main() -> list[Row]:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast
    from transformers.utils import logging

    from genoformer.genome.codes import decode
    from genoformer.genome.reference import Genome
    from genoformer.genome.variants import Variant
    from genoformer.models.heads import ClassifierConfig, SequenceClassifier
    from genoformer.models.transformer.model import EncoderConfig
    from genoformer.scoring.scorers import open_scorer
    from genoformer.scoring.scores import parse_scores
    from genoformer.scoring.settings import Scoring
    from genoformer.tokenizers import KmerTokenizer

    logging.set_verbosity_error()
    tokenizer = KmerTokenizer(K)
    torch.manual_seed(1)
    encoder = EncoderConfig(context_length=LENGTH)  # DNABERT-6, BERT-base size
    ours = SequenceClassifier(ClassifierConfig(encoder, "classification", ("no", "yes"), LENGTH, pooling="cls")).eval()
    ours.tokenizer = tokenizer
    text = decode(np.random.default_rng(0).integers(0, 4, 40_000 + LENGTH, dtype=np.uint8))
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        (folder / "g.fa").write_text(f">c1\n{text}\n")
        (folder / "vocab.txt").write_text("\n".join(tokenizer.vocab) + "\n")
        words = BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), do_lower_case=False)
        genome = Genome(folder / "g.fa")
        theirs = BertForSequenceClassification(BertConfig(vocab_size=tokenizer.n_vocab, num_labels=2)).eval()
        rows = []
        for what, n_alts in (("the three ALTs of each position", 3), ("one ALT of each position", 1)):
            snvs = [
                Variant("c1", pos, text[pos - 1], "ACGT"["ACGT".index(text[pos - 1]) - step])
                for pos in np.linspace(LENGTH, 40_000, -(-N_SNVS // n_alts)).astype(int).tolist()
                for step in range(1, 1 + n_alts)
            ][:N_SNVS]

            def loop(snvs: list[Variant] = snvs) -> list[float]:
                changes = []
                for snv in snvs[:N_LOOP]:
                    start = snv.start - LENGTH // 2
                    window = text[start : start + LENGTH]
                    logits = []
                    for allele in (snv.ref, snv.alt):
                        spelt = window[: LENGTH // 2] + allele + window[LENGTH // 2 + 1 :]
                        kmers = " ".join(spelt[i : i + K] for i in range(LENGTH - K + 1))
                        with torch.no_grad():
                            logits.append(theirs(**words(kmers, return_tensors="pt")).logits[0])
                    changes.append(float((logits[1][1] - logits[1][0]) - (logits[0][1] - logits[0][0])))
                return changes

            scoring = Scoring((ours,), tuple(parse_scores("LOGIT,DIFF")), both_strands=False)
            with open_scorer(genome, scoring) as scorer:
                far = _check(scorer, snvs[:3])
                taken = seconds({"loop": loop, "ours": partial(scorer.score, snvs)}, N_ROUNDS, long=True)
            peer = "transformers BertForSequenceClassification, SDPA: ref and alt, one variant at a time, float32"
            label = (
                f"{len(snvs):,} SNVs of {LENGTH} bp, {what}, float32; largest difference from one window at a time {far:.0e}"
            )
            least = LEAST if n_alts > 1 else None
            rows.append(faster(label, peer, len(snvs) / taken["ours"], N_LOOP / taken["loop"], least, "SNVs/s"))
    return rows


def _check(scorer: object, snvs: list[object]) -> float:
    """Return the largest difference between our scores and the reference implementation."""
    fast = scorer.score(snvs).values  # type: ignore[attr-defined]
    plain = scorer.reference_scorer().score(snvs).values  # type: ignore[attr-defined]
    far = float(np.abs(fast - plain).max())
    assert far <= CLOSE, f"the numbers differ by {far}"
    return far


if __name__ == "__main__":
    script(main)
