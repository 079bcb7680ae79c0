"""Forward passes of each family at base size and 512 tokens, compared with its class in transformers; random weights.

Two ways: the logits of all tokens on both sides, and only those that a masked variant needs (our `logits_at` of 6 tokens, or of
the last one of a causal model), which transformers has no option for in most classes. BENCH_FAMILIES=llama,esm runs some of
them, BENCH_ROUNDS=5 changes the number of rounds, BENCH_BATCH=2 the number of windows.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from common import NotHere, Row, faster, holds, script, seconds

N_TOKENS, N_ROWS = 512, 6
BATCH, N_ROUNDS = int(os.environ.get("BENCH_BATCH", "2")), int(os.environ.get("BENCH_ROUNDS", "5"))
LEAST_WHOLE, LEAST_ROWS = 0.95, 1.2
CLOSE = {"float32": 1e-3, "bfloat16": 0.25}
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}


def main() -> list[Row]:
    wanted = [name for name in os.environ.get("BENCH_FAMILIES", "").split(",") if name]
    rows: list[Row] = []
    for name, build in references():
        if not wanted or name in wanted:
            rows += compare(name, build)
    return rows


def references() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield names, and functions that build the model of transformers."""
    try:
        import transformers as t
    except ImportError as error:
        raise NotHere("transformers is not installed (extra: dev)") from error
    bert = {**BASE, "intermediate_size": 3072, "vocab_size": 4101}
    yield "bert", lambda: t.BertForMaskedLM(t.BertConfig(**bert))
    esm = {**bert, "vocab_size": 4107, "pad_token_id": 1, "mask_token_id": 2, "max_position_embeddings": 1026}
    yield "nucleotide-transformer", lambda: t.EsmForMaskedLM(t.EsmConfig(**esm, token_dropout=True))
    rotary = {**esm, "position_embedding_type": "rotary"}
    yield "esm", lambda: t.EsmForMaskedLM(t.EsmConfig(**rotary))
    if hasattr(t, "ModernBertForMaskedLM"):
        modern = {**BASE, "num_hidden_layers": 22, "intermediate_size": 1152, "vocab_size": 32_000, "pad_token_id": 3}
        yield "modernbert", lambda: t.ModernBertForMaskedLM(t.ModernBertConfig(**modern, reference_compile=False))
    causal = {**BASE, "num_key_value_heads": 4, "intermediate_size": 2048, "vocab_size": 4107, "pad_token_id": 1}
    yield "llama", lambda: t.LlamaForCausalLM(t.LlamaConfig(**causal))
    if hasattr(t, "Qwen3ForCausalLM"):
        yield "qwen3", lambda: t.Qwen3ForCausalLM(t.Qwen3Config(**causal, head_dim=64))


def compare(name: str, build: Callable[[], Any]) -> list[Row]:
    import torch
    from transformers.utils import logging

    from genoformer.models import registry
    from genoformer.tokenizers import BlockTokenizer

    logging.set_verbosity_error()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = build().eval()
        theirs.save_pretrained(folder)
        (Path(folder) / "vocab.txt").write_text("\n".join(BlockTokenizer.new(4).tokens) + "\n")  # 267 of the tokens
        if name == "bert":
            from genoformer.tokenizers import KmerTokenizer

            (Path(folder) / "vocab.txt").write_text("\n".join(KmerTokenizer(6).vocab) + "\n")
        ours = registry.load(folder)
    ids = torch.randint(6, 260, (BATCH, N_TOKENS), generator=torch.Generator().manual_seed(1))
    rows = torch.arange(250, 250 + N_ROWS).expand(BATCH, -1) if not ours.causal else torch.full((BATCH, 1), N_TOKENS - 1)
    return [row for dtype in CLOSE for row in in_dtype(name, theirs, ours, ids, rows, dtype)]


def in_dtype(name: str, theirs: Any, ours: Any, ids: Any, rows: Any, dtype: str) -> list[Row]:
    import torch

    theirs, ours = (model.to(getattr(torch, dtype)) for model in (theirs, ours))
    with torch.no_grad():
        whole = theirs(input_ids=ids).logits
        at_rows = whole.gather(1, rows[..., None].expand(-1, -1, whole.shape[-1]))
        pairs = ((ours(ids), whole), (ours.logits_at(ids, rows), at_rows))
        close = max(float((own - their).abs().max()) for own, their in pairs) < CLOSE[dtype]
        tasks = {
            "ours": lambda: ours(ids),
            "theirs": lambda: theirs(input_ids=ids).logits,
            "ours at rows": lambda: ours.logits_at(ids, rows),
        }
        speeds = {task: BATCH / taken for task, taken in seconds(tasks, N_ROUNDS).items()}
    peer, what = type(theirs).__name__, f"{name}, {dtype}"
    return [
        holds(f"{what}: the logits agree", close, True),
        faster(f"{what}: all logits", peer, speeds["ours"], speeds["theirs"], LEAST_WHOLE),
        faster(f"{what}: logits that are read", peer, speeds["ours at rows"], speeds["theirs"], LEAST_ROWS),
    ]


if __name__ == "__main__":
    script(main)
