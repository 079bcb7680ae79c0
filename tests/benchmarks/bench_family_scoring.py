"""SNVs through masked and causal models of several families: the scorer compared with the usual loop of transformers.

The usual loop reads one variant at a time, REF and ALT in two passes, on both strands. All run in one process, in alternating
rounds, on windows of random bases. BENCH_SNVS=24 doubles the time; BENCH_LAYERS=12 is the depth of a base model.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import Row, faster, script, seconds

N_SNVS, N_LAYERS = int(os.environ.get("BENCH_SNVS", "12")), int(os.environ.get("BENCH_LAYERS", "2"))
LENGTH, WIDTH, N_ROUNDS = 384, 512, 3
N_LOOP = max(2, N_SNVS // 6)  # the loop is slow
CLOSE = 1e-3  # bits


class Case(NamedTuple):
    kind: str
    score: str
    theirs: Any
    tokenizer: Any
    loop: Callable[[list[Any]], list[float]]
    variants: list[Any]
    sites: str
    least: float | None = None  # ratio that is asked for
    share: bool = False


def main() -> list[Row]:
    import torch
    from transformers import EsmConfig, EsmForMaskedLM, LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging

    from genoformer.genome.codes import decode
    from genoformer.genome.reference import Genome
    from genoformer.genome.variants import Variant
    from genoformer.models import registry
    from genoformer.scoring.scorers import make_scorer
    from genoformer.scoring.scores import parse_scores
    from genoformer.scoring.settings import Scoring
    from genoformer.tokenizers import BlockTokenizer

    logging.set_verbosity_error()
    torch.manual_seed(1)
    blocks, bases = BlockTokenizer.new(6), BlockTokenizer.new(1)
    size = {"hidden_size": WIDTH, "num_hidden_layers": N_LAYERS, "num_attention_heads": 8, "intermediate_size": 4 * WIDTH}
    esm = EsmForMaskedLM(
        EsmConfig(
            vocab_size=blocks.n_vocab,
            pad_token_id=blocks.pad_id,
            mask_token_id=blocks.mask_id,
            position_embedding_type="rotary",
            max_position_embeddings=512,
            **size,
        )
    ).eval()
    llama = LlamaForCausalLM(LlamaConfig(vocab_size=bases.n_vocab, num_key_value_heads=2, max_position_embeddings=512, **size))
    llama = llama.eval()
    sequence = decode(np.random.default_rng(0).integers(0, 4, 2 * LENGTH + 7 * N_SNVS, dtype=np.uint8))
    places = range(LENGTH, LENGTH + 7 * N_SNVS, 7)
    one = [Variant("c", p + 1, sequence[p], other(sequence[p])) for p in places]
    three = [Variant("c", p + 1, sequence[p], b) for p in places[: N_SNVS // 3] for b in "ACGT" if b != sequence[p]]

    def windows(v: Variant) -> list[tuple[str, str, int]]:
        ref = sequence[v.start - LENGTH // 2 :][:LENGTH]
        alt = ref[: LENGTH // 2] + v.alt + ref[LENGTH // 2 + 1 :]
        turned = str.maketrans("ACGT", "TGCA")
        return [
            (ref, alt, LENGTH // 2),
            (ref[::-1].translate(turned), alt[::-1].translate(turned), LENGTH - 1 - LENGTH // 2),
        ]

    def ids_of(tokenizer: Any, text: str) -> torch.Tensor:
        return torch.from_numpy(tokenizer.encode(np.frombuffer(text.translate(CODES).encode("latin1"), np.uint8)[None]).ids)

    def masked_loop(variants: list[Variant]) -> list[float]:
        """log2 P of the token with ALT minus that of the token with REF, each window masked and read on its own."""
        values = []
        for v in variants:
            sides = []
            for ref, alt, centre in windows(v):
                row = centre // 6 + 1
                log_p = []
                for text in (ref, alt):
                    ids = ids_of(blocks, text)
                    token = int(ids[0, row])
                    ids[0, row] = blocks.mask_id
                    with torch.no_grad():
                        log_p.append(float(esm(ids).logits[0, row].log_softmax(-1)[token]))
                sides.append(log_p[1] - log_p[0])
            values.append(float(np.mean(sides) / np.log(2)))
        return values

    def causal_loop(variants: list[Variant]) -> list[float]:
        values = []
        for v in variants:
            sides = []
            for texts in windows(v):
                log_p = []
                for text in texts[:2]:
                    ids = ids_of(bases, text)
                    with torch.no_grad():
                        terms = llama(ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])
                    log_p.append(float(terms.double().sum()))
                sides.append(log_p[1] - log_p[0])
            values.append(float(np.mean(sides) / np.log(2)))
        return values

    rows = []
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        (folder / "g.fa").write_text(f">c\n{sequence}\n")
        genome = Genome(folder / "g.fa")
        cases = [
            Case("masked", "TOKEN_LLR", esm, blocks, masked_loop, one, "one ALT of each site", 3.0),
            Case("causal", "LLR", llama, bases, causal_loop, one, "one ALT of each site"),
            Case("causal", "LLR", llama, bases, causal_loop, three, "all three ALTs of each site", 2.0),
            Case("causal", "LLR", llama, bases, causal_loop, one, "a site every 7 bases, --share-windows", 2.0, share=True),
        ]
        for kind, score, theirs, tokenizer, loop, variants, sites, least, share in cases:
            path = folder / kind
            if not path.is_dir():
                theirs.save_pretrained(path)
                (path / "vocab.txt").write_text("\n".join(tokenizer.tokens) + "\n")
            ours = registry.load(path)
            scorer = make_scorer(genome, Scoring((ours,), tuple(parse_scores(score)), LENGTH, share_windows=share))
            found = scorer.score(variants).values[:, 0]
            far = float(np.abs(found[:N_LOOP] - loop(variants[:N_LOOP])).max())
            assert share or far <= CLOSE, f"{kind}: the numbers differ by {far} bits"  # shared windows are other windows
            tasks: dict[str, Callable[[], object]] = {
                "loop": partial(loop, variants[:N_LOOP]),
                "ours": partial(scorer.score, variants),
            }
            taken = seconds(tasks, N_ROUNDS, long=True)
            what = f"{score} of SNVs, {type(theirs).__name__}, {LENGTH} bp, {sites}"
            speeds = len(variants) / taken["ours"], N_LOOP / taken["loop"]
            rows.append(faster(what, "transformers: a variant at a time, two passes", *speeds, least, "variants/s"))
    return rows


CODES = {ord(base): code for code, base in enumerate("ACGT")}


def other(base: str) -> str:
    return "CATG"["ACGT".index(base)]


if __name__ == "__main__":
    script(main)
