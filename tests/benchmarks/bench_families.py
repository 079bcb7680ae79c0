"""Forward passes of each family at base size and 512 tokens, compared with its class in transformers; random weights.

DNABERT-2, GENA-LM and Nucleotide Transformer v2 have no class there: their peers are plain torch modules of the published
formulas (plain_families.py), with the attention spelt out as in the published code, or BENCH_ATTENTION=sdpa.

Two ways: the logits of all tokens on both sides, and only those that a masked variant needs (our `logits_at` of 6 tokens, or of
the last one of a causal model), which transformers has no option for in most classes. BENCH_FAMILIES=llama,esm runs some of
them, BENCH_ROUNDS=5 changes the number of rounds, BENCH_BATCH=2 the number of windows.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from common import NotHere, Row, faster, holds, script, seconds

sys.path.append(str(Path(__file__).resolve().parents[1]))  # shapes of published files: naive_families.py of the tests

N_TOKENS, N_ROWS = 512, 6
BATCH, N_ROUNDS = int(os.environ.get("BENCH_BATCH", "2")), int(os.environ.get("BENCH_ROUNDS", "5"))
LEAST_WHOLE, LEAST_ROWS = 0.95, 1.2
CLOSE = {"float32": 1e-3, "bfloat16": 0.25}
BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}


class Peer(NamedTuple):
    """A model that ours is compared with: `make` writes its folder, without a tokenizer, and returns it."""

    family: str
    make: Callable[[Path], Any]
    name: str


def main() -> list[Row]:
    peers = {peer.family: peer for peer in (*of_transformers(), *plain())}
    wanted = [name for name in os.environ.get("BENCH_FAMILIES", "").split(",") if name] or list(peers)
    if unknown := set(wanted) - peers.keys():
        raise NotHere(f"BENCH_FAMILIES names {', '.join(sorted(unknown))}; known are {', '.join(peers)}")
    return [row for name, peer in peers.items() if name in wanted for row in compare(peer)]


def of_transformers() -> Iterator[Peer]:
    """Yield the classes of transformers."""
    try:
        import transformers as t
    except ImportError as error:
        raise NotHere("transformers is not installed (extra: dev)") from error

    def peer(family: str, name: str, config: str, fields: Mapping[str, Any]) -> Peer:
        def make(folder: Path) -> Any:
            model = getattr(t, name)(getattr(t, config)(**fields)).eval()
            model.save_pretrained(folder)
            return model

        return Peer(family, make, name)

    bert = {**BASE, "intermediate_size": 3072, "vocab_size": 4101}
    yield peer("bert", "BertForMaskedLM", "BertConfig", bert)
    esm = {**bert, "vocab_size": 4107, "pad_token_id": 1, "mask_token_id": 2, "max_position_embeddings": 1026}
    yield peer("nucleotide-transformer", "EsmForMaskedLM", "EsmConfig", {**esm, "token_dropout": True})
    yield peer("esm", "EsmForMaskedLM", "EsmConfig", {**esm, "position_embedding_type": "rotary"})
    if hasattr(t, "ModernBertForMaskedLM"):
        modern = {**BASE, "num_hidden_layers": 22, "intermediate_size": 1152, "vocab_size": 32_000, "pad_token_id": 3}
        yield peer("modernbert", "ModernBertForMaskedLM", "ModernBertConfig", {**modern, "reference_compile": False})
    causal = {**BASE, "num_key_value_heads": 4, "intermediate_size": 2048, "vocab_size": 4107, "pad_token_id": 1}
    yield peer("llama", "LlamaForCausalLM", "LlamaConfig", causal)
    if hasattr(t, "Qwen3ForCausalLM"):
        yield peer("qwen3", "Qwen3ForCausalLM", "Qwen3Config", {**causal, "head_dim": 64})


def plain() -> Iterator[Peer]:
    """Yield plain torch modules of the published formulas."""
    import naive_families
    from plain_families import PlainDnaBert2, PlainGena, PlainModel, PlainNt2, random_weights

    kind: Any = os.environ.get("BENCH_ATTENTION", "softmax")

    def peer(family: str, module: type[PlainModel], shapes: Callable[..., Any], fields: Mapping[str, Any]) -> Peer:
        def make(folder: Path) -> Any:
            from safetensors.torch import save_file

            tensors = random_weights(shapes(fields))
            save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
            (folder / "config.json").write_text(json.dumps(fields))
            return module(tensors, fields, kind).eval()

        return Peer(family, make, f"plain torch module of the published formula, attention by {kind}")

    names = {"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_act": "gelu", "pad_token_id": 1}
    sizes = {**BASE, "intermediate_size": 3072, "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
    yield peer(
        "dnabert2",
        PlainDnaBert2,
        naive_families.dnabert2_shapes,
        {**names, **sizes, "vocab_size": 4096, "auto_map": {"AutoModelForMaskedLM": "bert_layers.BertForMaskedLM"}},
    )
    gena = {**names, **sizes, "vocab_size": 32_000, "pre_layer_norm": True, "position_embedding_type": "absolute"}
    yield peer("gena-lm", PlainGena, naive_families.gena_shapes, gena)
    nt = {
        **BASE,
        "model_type": "esm",
        "architectures": ["EsmForMaskedLM"],
        "auto_map": {"AutoModelForMaskedLM": "modeling_esm.EsmForMaskedLM"},
        "add_bias_fnn": False,
        "intermediate_size": 2048,
        "layer_norm_eps": 1e-12,
        "mask_token_id": 2,
        "max_position_embeddings": 2050,
        "pad_token_id": 1,
        "position_embedding_type": "rotary",
        "tie_word_embeddings": False,
        "token_dropout": False,
        "vocab_size": 4107,
    }
    yield peer("nucleotide-transformer-v2", PlainNt2, naive_families.nt2_shapes, nt)


def compare(peer: Peer) -> list[Row]:
    import torch
    from transformers.utils import logging

    from genoformer.models import registry
    from genoformer.tokenizers import BlockTokenizer, KmerTokenizer

    logging.set_verbosity_error()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name)
        theirs = peer.make(folder)
        tokens = KmerTokenizer(6).vocab if peer.family == "bert" else BlockTokenizer.new(4).tokens  # 267 of the tokens
        (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
        ours = registry.load(folder)
    ids = torch.randint(6, 260, (BATCH, N_TOKENS), generator=torch.Generator().manual_seed(1))
    rows = torch.arange(250, 250 + N_ROWS).expand(BATCH, -1) if not ours.causal else torch.full((BATCH, 1), N_TOKENS - 1)
    return [row for dtype in CLOSE for row in in_dtype(peer, theirs, ours, ids, rows, dtype)]


def in_dtype(peer: Peer, theirs: Any, ours: Any, ids: Any, rows: Any, dtype: str) -> list[Row]:
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
    what = f"{peer.family}, {dtype}"
    return [
        holds(f"{what}: the logits agree", close, True),
        faster(f"{what}: all logits", peer.name, speeds["ours"], speeds["theirs"], LEAST_WHOLE),
        faster(f"{what}: logits that are read", peer.name, speeds["ours at rows"], speeds["theirs"], LEAST_ROWS),
    ]


if __name__ == "__main__":
    script(main)
