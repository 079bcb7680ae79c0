"""SNVs through a fine-tuned model of DNABERT-6's size, 301 bp: our scores compared with a loop of transformers, equal weights.

BENCH_SNVS=1000 is the whole; by default a few. All three ALTs of each position are scored, as in saturation mutagenesis, or
one ALT of each position. The loop is what scripts do: both alleles spelt out, cut into k-mers, encoded and run one by one.
Both read the forward strand.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, faster, script, seconds

N_SNVS, LENGTH, K = int(os.environ.get("BENCH_SNVS", "24")), 301, 6
N_LOOP = max(3, min(N_SNVS // 6, 60) // 3 * 3)  # the loop is slow
N_ROUNDS = 3
LEAST = {3: 2.5, 1: None}  # by ALTs of a position: three share the window of the reference
CLOSE = {"float32": 1e-4, "bfloat16": 0.1}
PEER = "transformers BertForSequenceClassification, SDPA: ref and alt, one variant at a time"


def main() -> list[Row]:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast
    from transformers.utils import logging

    from genoformer.genome.codes import decode
    from genoformer.genome.reference import Genome
    from genoformer.models import registry
    from genoformer.scoring.scorers import open_scorer
    from genoformer.scoring.scores import parse_scores
    from genoformer.scoring.settings import Runtime, Scoring
    from genoformer.tokenizers import KmerTokenizer

    logging.set_verbosity_error()
    torch.manual_seed(1)
    text = decode(np.random.default_rng(0).integers(0, 4, 40_000 + LENGTH, dtype=np.uint8))
    rows = []
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        (folder / "g.fa").write_text(f">c1\n{text}\n")
        (folder / "vocab.txt").write_text("\n".join(KmerTokenizer(K).vocab) + "\n")
        BertForSequenceClassification(BertConfig(vocab_size=KmerTokenizer(K).n_vocab)).save_pretrained(folder)  # DNABERT's size
        load = {"attn_implementation": "sdpa", "local_files_only": True}
        network = BertForSequenceClassification.from_pretrained(folder, **load).eval()
        words = BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), do_lower_case=False)
        scoring = Scoring((registry.load(folder),), tuple(parse_scores("LOGIT,DIFF")), LENGTH, both_strands=False)
        for dtype, close in CLOSE.items():
            theirs = network.to(getattr(torch, dtype))
            with open_scorer(Genome(folder / "g.fa"), scoring, Runtime(precision=dtype)) as scorer:
                for n_alts, least in LEAST.items():
                    snvs = _snvs(text, n_alts)
                    loop = partial(_loop, theirs, words, text, snvs[:N_LOOP])
                    far = float(np.abs(scorer.score(snvs).values[:N_LOOP, 0] - loop()).max())
                    assert far <= close, f"the numbers differ by {far}"
                    taken = seconds({"loop": loop, "ours": partial(scorer.score, snvs)}, N_ROUNDS, long=True)
                    ours, usual = len(snvs) / taken["ours"], N_LOOP / taken["loop"]
                    alts = "the three ALTs of each position" if n_alts == 3 else "one ALT of each position"
                    what = f"SNVs of {LENGTH} bp, {alts}, {dtype}"
                    rows.append(faster(what, f"{PEER}, {dtype}", ours, usual, least, "SNVs/s"))
    return rows


def _snvs(text: str, n_alts: int) -> list[Any]:
    """Return SNVs at evenly spaced positions, each with `n_alts` ALTs."""
    from genoformer.genome.variants import Variant

    places = np.linspace(LENGTH, 40_000, -(-N_SNVS // n_alts)).astype(int).tolist()
    snvs = [
        Variant("c1", pos, text[pos - 1], "ACGT"["ACGT".index(text[pos - 1]) - step])
        for pos in places
        for step in range(1, 1 + n_alts)
    ]
    return snvs[:N_SNVS]


def _loop(model: Any, words: Any, text: str, snvs: Sequence[Any]) -> list[float]:
    """Return the change of the log-odds of each SNV, as scripts compute it."""
    import torch

    changes = []
    for snv in snvs:
        window = text[snv.start - LENGTH // 2 :][:LENGTH]
        log_odds = []
        for allele in (snv.ref, snv.alt):
            spelt = window[: LENGTH // 2] + allele + window[LENGTH // 2 + 1 :]
            kmers = " ".join(spelt[i : i + K] for i in range(LENGTH - K + 1))
            with torch.no_grad():
                logits = model(**words(kmers, return_tensors="pt")).logits[0]
            log_odds.append(float(logits[1] - logits[0]))
        changes.append(log_odds[1] - log_odds[0])
    return changes


if __name__ == "__main__":
    script(main)
