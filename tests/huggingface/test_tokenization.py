"""GenoformerTokenizer: ids, masks, padding, truncation, offsets and text as our tokenizers and transformers define them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from genoformer.errors import ConfigError
from genoformer.genome.codes import encode
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, BPETokenizer, KmerTokenizer

transformers = pytest.importorskip("transformers", reason="the class is one of transformers (extra: hf)")

from genoformer.huggingface import GenoformerConfig, GenoformerTokenizer  # noqa: E402  # transformers is installed

TOKENIZERS: dict[str, Any] = {
    "k-mers": KmerTokenizer(3),
    "k-mers with a stride": KmerTokenizer(4, stride=3),
    "bases": BaseTokenizer(),
    "blocks": BlockTokenizer.new(3),
    "blocks with an end": BlockTokenizer(BlockTokenizer.new(2).tokens, end=True),
    "BPE": BPETokenizer.train(np.random.default_rng(0).integers(0, 4, (40, 120), dtype=np.uint8), 64),
}
TEXTS = ["ACGTNNNACGTTGCATGCA", "acgtnnacgttrug", "TTGACACCC"]


@pytest.fixture(params=TOKENIZERS)
def both(request):
    """One of our tokenizers, and the same as one of transformers."""
    return TOKENIZERS[request.param], GenoformerTokenizer(dna=TOKENIZERS[request.param])


def test_ids_and_offsets_are_those_of_our_tokenizers(both) -> None:
    ours, theirs = both
    batch = theirs(TEXTS, return_offsets_mapping=True)
    for text, ids, mask, offsets in zip(TEXTS, *batch.values(), strict=True):
        encoding = ours.encode(encode(text)[None])
        assert ids == encoding.ids[0].tolist()
        assert mask == [1] * len(ids)
        expected = [(a, b) if b > a else (0, 0) for a, b in encoding.spans[0].tolist()]
        assert offsets == expected


def test_padding_to_the_longest_text(both) -> None:
    ours, theirs = both
    batch = theirs(TEXTS, padding=True, return_tensors="pt", return_offsets_mapping=True)
    longest = max(len(ours(text)["input_ids"]) for text in TEXTS)
    assert {tuple(tensor.shape[:2]) for tensor in batch.values()} == {(3, longest)}
    for text, ids, mask, offsets in zip(TEXTS, *batch.values(), strict=True):
        alone = ours(text)["input_ids"]
        assert ids.tolist() == alone + [ours.pad_id] * (longest - len(alone))
        assert mask.tolist() == [1] * len(alone) + [0] * (longest - len(alone))
        assert not offsets[len(alone) :].any()


@pytest.mark.parametrize("side", ["right", "left"])
def test_truncation_keeps_the_frame(both, side) -> None:
    ours, theirs = both
    theirs.truncation_side = side
    whole = theirs(TEXTS[0], return_offsets_mapping=True)
    cut = theirs(TEXTS[0], truncation=True, max_length=6, return_offsets_mapping=True)
    n_body = 6 - ours.n_added
    before = [i for i in whole["input_ids"][:1] if ours.n_added]  # all of these have a token at the start
    body = slice(len(before), len(before) + n_body) if side == "right" else slice(None)
    assert len(cut["input_ids"]) == len(cut["offset_mapping"]) == 6
    assert cut["input_ids"][0] == whole["input_ids"][0]
    if ours.n_added == 2:
        assert cut["input_ids"][-1] == whole["input_ids"][-1]
    for name in ("input_ids", "offset_mapping"):
        last = len(whole[name]) - (ours.n_added - 1)
        kept = whole[name][body] if side == "right" else whole[name][last - n_body : last]
        assert cut[name][1 : 1 + n_body] == kept


def test_left_padding_moves_the_offsets(both) -> None:
    _, theirs = both
    theirs.padding_side = "left"
    batch = theirs(TEXTS, padding=True, return_offsets_mapping=True)
    alone = theirs(TEXTS[2], return_offsets_mapping=True)
    n_padding = batch["attention_mask"][2].count(0)
    assert n_padding > 0
    assert batch["offset_mapping"][2] == [(0, 0)] * n_padding + alone["offset_mapping"]
    assert batch["input_ids"][2][n_padding:] == alone["input_ids"]


def test_text_comes_back(both) -> None:
    ours, theirs = both
    text = "ACGTTGCATGCAT" if isinstance(ours, KmerTokenizer) and ours.stride > 1 else "ACGTNNNNACGTTGCATGCA"
    text = text.replace("N", "") if ours.name == "kmer" else text  # a k-mer over an N hides its other bases
    ids = theirs(text.lower())["input_ids"]
    assert theirs.decode(ids, skip_special_tokens=True) == text
    assert theirs.decode(torch.tensor(ids), skip_special_tokens=True) == text
    first = theirs.convert_ids_to_tokens(ids[0])
    assert theirs.decode(ids).startswith(f"{first}{text}")
    assert theirs.batch_decode([ids, ids], skip_special_tokens=True) == [text, text]


def test_special_tokens_may_stand_in_the_text(both) -> None:
    ours, theirs = both
    text = f"ACGTTGCA{theirs.mask_token}ACGTTGCA"
    batch = theirs(text, return_offsets_mapping=True)
    assert batch["input_ids"].count(ours.mask_id) == 1
    at = batch["input_ids"].index(ours.mask_id)
    assert batch["offset_mapping"][at] == (8, 8 + len(theirs.mask_token))
    assert next(text[a:b] for a, b in batch["offset_mapping"][at + 1 :] if b > a).startswith("A")


def test_a_saved_tokenizer_is_loaded_by_its_name(both, tmp_path) -> None:
    ours, theirs = both
    theirs.model_max_length = 77
    theirs.save_pretrained(tmp_path)
    GenoformerConfig.for_tokenizer({"n_vocab": ours.n_vocab, "width": 8, "n_layers": 1, "n_heads": 1}, ours).save_pretrained(
        tmp_path
    )
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert type(again) is GenoformerTokenizer
    assert again.model_max_length == 77
    assert again.dna.to_dict() == ours.to_dict()
    assert again(TEXTS)["input_ids"] == theirs(TEXTS)["input_ids"]
    assert (again.pad_token_id, again.mask_token_id) == (ours.pad_id, ours.mask_id)
    assert len(again) == len(ours.vocab)
    assert "dna" not in json.loads((tmp_path / "tokenizer_config.json").read_text())


def test_masks_of_special_tokens(both) -> None:
    ours, theirs = both
    ids = theirs(TEXTS[0])["input_ids"]
    is_base = ours.encode(encode(TEXTS[0])[None]).is_base[0]
    expected = (~is_base).astype(int).tolist()
    assert theirs(TEXTS[0], return_special_tokens_mask=True)["special_tokens_mask"] == expected
    assert theirs.get_special_tokens_mask(ids, already_has_special_tokens=True) == expected


def test_pairs_of_sequences_share_a_frame() -> None:
    theirs = GenoformerTokenizer(dna=KmerTokenizer(3))
    a, b = theirs("ACGT")["input_ids"], theirs("TTGA")["input_ids"]
    assert theirs("ACGT", "TTGA")["input_ids"] == [*a, *b[1:]]
    assert theirs("ACGT", "TTGA", return_special_tokens_mask=True)["special_tokens_mask"] == [1, 0, 0, 1, 0, 0, 1]
    with pytest.raises(ConfigError, match="found a pair"):
        theirs("ACGT", "TTGA", return_offsets_mapping=True)


def test_text_that_is_no_dna_is_refused() -> None:
    theirs = GenoformerTokenizer(dna=KmerTokenizer(3))
    with pytest.raises(ConfigError, match="give DNA as text"):
        theirs("ACGT ACGT")
    with pytest.raises(ConfigError, match="a sequence of 2 bases has no 3-mer"):
        theirs("AC")
    with pytest.raises(ConfigError, match="give texts, without return_overflowing_tokens"):
        theirs([["ACG", "CGT"]], return_offsets_mapping=True)
    with pytest.raises(ConfigError, match="found no vocabulary"):
        GenoformerTokenizer()
