"""SNVs through a fine-tuned model of DNABERT-6's size, 301 bp: our scores compared with a loop of transformers, equal weights.

All three ALTs of each position are scored, as in saturation mutagenesis; and one ALT of each position, of a fifth of the SNVs.
The loop is what scripts do: both alleles spelt out, cut into k-mers, encoded and run one by one; it runs on a sample, whose
size is in the row. Both read the forward strand. The two alternate in three parts, so that what else runs on the machine slows
both. BENCH_SNVS=1000 is the whole, about 10 minutes on 2 cores; the default takes two.
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import Row, faster, script

N_SNVS, LENGTH, K = int(os.environ.get("BENCH_SNVS", "120")), 301, 6
N_PARTS = 3
N_LOOP = int(os.environ.get("BENCH_LOOP", "0")) or max(9, min(N_SNVS // 9, 60))  # the loop is slow
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
                    snvs = _snvs(text, n_alts, N_SNVS if n_alts == 3 else -(-N_SNVS // 5))
                    ours, usual, n_in_loop = _speeds(scorer, (theirs, words, text), snvs, close)
                    alts = "the three ALTs of each position" if n_alts == 3 else "one ALT of each position"
                    what = f"{len(snvs):,} SNVs of {LENGTH} bp, {alts}, {dtype}; {n_in_loop} of them in the loop"
                    rows.append(faster(what, f"{PEER}, {dtype}", ours, usual, least, "SNVs/s"))
    return rows


def _speeds(scorer: Any, loop: tuple[Any, Any, str], snvs: Sequence[Any], close: float) -> tuple[float, float, int]:
    """Return SNVs per second of our scorer and of the loop, and the number of SNVs in the loop; compare the values.

    The loop takes the first SNVs of each part.
    """
    n_alts = 3 if snvs[0].pos == snvs[1].pos else 1
    size = -(-len(snvs) // (N_PARTS * n_alts)) * n_alts  # the ALTs of a position stay together
    parts = [snvs[first : first + size] for first in range(0, len(snvs), size)]
    scorer.score(parts[0][:n_alts])
    _loop(*loop, parts[0][:1])
    seconds, n_in_loop = np.zeros(2), 0
    for part in parts:
        some = part[: -(-N_LOOP // len(parts))]
        begin = time.perf_counter()
        values = scorer.score(part).values
        middle = time.perf_counter()
        expected = _loop(*loop, some)
        seconds += middle - begin, time.perf_counter() - middle
        n_in_loop += len(some)
        far = float(np.abs(values[: len(some), 0] - expected).max())
        assert far <= close, f"the numbers differ by {far}"
    return len(snvs) / float(seconds[0]), n_in_loop / float(seconds[1]), n_in_loop


def _snvs(text: str, n_alts: int, n_snvs: int) -> list[Any]:
    """Return SNVs at evenly spaced positions, each with `n_alts` ALTs."""
    from genoformer.genome.variants import Variant

    places = np.linspace(LENGTH, 40_000, -(-n_snvs // n_alts)).astype(int).tolist()
    snvs = [
        Variant("c1", pos, text[pos - 1], "ACGT"["ACGT".index(text[pos - 1]) - step])
        for pos in places
        for step in range(1, 1 + n_alts)
    ]
    return snvs[:n_snvs]


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
