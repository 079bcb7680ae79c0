"""The encoder against transformers' BertForMaskedLM: same numbers, and the same folder both ways."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from genoformer.models import registry
from genoformer.tokenizers import KmerTokenizer

transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra: dev)")


def bert(k: int, *, width: int = 32, layers: int = 2, heads: int = 4, hidden: int = 64, seed: int = 0, **fields):
    """A BertForMaskedLM with DNABERT's vocabulary size and weights large enough for differences to show."""
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=5 + 4**k, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=hidden, max_position_embeddings=512, **fields,
    )  # fmt: skip
    model = transformers.BertForMaskedLM(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "LayerNorm" in name or name.endswith("bias"):
                p.add_(0.1 * torch.randn_like(p))
    return model


def write_folder(model, folder, k: int, *, binary: bool = False) -> None:
    model.save_pretrained(folder, safe_serialization=not binary)
    (folder / "vocab.txt").write_text("\n".join(KmerTokenizer(k).vocab) + "\n")


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("k", [3, 4])
def test_small_bert_gives_the_same_logits(tmp_path, k, binary) -> None:
    theirs = bert(k, width=64)
    write_folder(theirs, tmp_path, k, binary=binary)
    ours = registry.load(tmp_path)
    ids = torch.randint(0, 5 + 4**k, (3, 77))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=2e-5, rtol=0)


def test_dnabert6_shape_agrees_within_1e_4(tmp_path) -> None:
    """12 x 768, vocabulary 4,101: the shape that users have weights of."""
    theirs = bert(6, width=768, layers=12, heads=12, hidden=3072)
    write_folder(theirs, tmp_path, 6)
    ours = registry.load(tmp_path)
    assert isinstance(ours.tokenizer, KmerTokenizer)
    assert ours.config.context_length == 515  # 512 tokens, less [CLS] and [SEP], of 6-mers
    ids = torch.randint(0, 4101, (2, 200))
    with torch.no_grad():
        difference = (ours(ids) - theirs(ids).logits).abs().max().item()
    assert difference <= 1e-4


@pytest.mark.parametrize("pooler", [False, True])
def test_the_folder_survives_a_round_trip_bit_for_bit(tmp_path, pooler) -> None:
    theirs = bert(3)
    if pooler:  # DNABERT's published files bring the pooler of the pre-training model
        theirs.bert.pooler = transformers.models.bert.modeling_bert.BertPooler(theirs.config)
    write_folder(theirs, tmp_path / "a", 3)
    registry.save(registry.load(tmp_path / "a"), tmp_path / "b", layout="dnabert")
    before, after = load_file(tmp_path / "a" / "model.safetensors"), load_file(tmp_path / "b" / "model.safetensors")
    before.pop("cls.predictions.decoder.bias", None)  # a second name of cls.predictions.bias
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    again = transformers.BertForMaskedLM.from_pretrained(tmp_path / "b").eval()
    ids = torch.randint(0, 69, (2, 40))
    with torch.no_grad():
        assert torch.equal(again(ids).logits, theirs(ids).logits)
    assert (tmp_path / "b" / "vocab.txt").read_text() == (tmp_path / "a" / "vocab.txt").read_text()
