"""GenoformerTokenizer and the fast one: ids, masks, padding, offsets and text as ours and transformers define them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import small_encoder

from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import decode, encode
from genoformer.models import registry
from genoformer.models.transformer.config import SHAPES
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, BPETokenizer, KmerTokenizer

transformers = pytest.importorskip("transformers", reason="the class is one of transformers (extra: hf)")

from genoformer.huggingface import GenoformerConfig, GenoformerFastTokenizer, GenoformerTokenizer  # noqa: E402  # transformers is installed

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


# The fast tokenizers


def published(letter: str, n: str) -> BPETokenizer:
    """A tokenizer.json as others publish them: a frame of its own, pieces in one case, and a normalizer or none."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    pieces = [letter, *"acgt", "ac", "gt", "acgt", "tt", n]
    change = str.lower if letter == "<lower>" else str.upper
    vocab = {
        piece if piece.startswith("<") else change(piece): i for i, piece in enumerate(["<unk>", "<pad>", "<cls>", *pieces])
    }
    merges = [tuple(map(change, pair)) for pair in (("a", "c"), ("g", "t"), ("ac", "gt"), ("t", "t"))]
    model = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=False))
    if change is str.lower:
        model.normalizer = normalizers.Lowercase()
    model.pre_tokenizer = pre_tokenizers.Split(Regex("[nN]"), "isolated")
    model.post_processor = processors.TemplateProcessing(single="<cls> $A", special_tokens=[("<cls>", vocab["<cls>"])])
    return BPETokenizer(model.to_str())


FAST: dict[str, Any] = {
    name: tokenizer for name, tokenizer in TOKENIZERS.items() if name in ("bases", "blocks", "blocks with an end", "BPE")
} | {
    "blocks of 6": BlockTokenizer.new(6),
    "bases in another order": BlockTokenizer(["[PAD]", "T", "G", "C", "A", "N", "[BOS]"]),
    "bases without N": BlockTokenizer(["[PAD]", "[UNK]", "T", "G", "C", "A"], start=False),
    "published BPE": published("<upper>", "n"),
    "published BPE in lower case": published("<lower>", "<other>"),
}


@pytest.mark.parametrize("name", FAST)
@given(text=st.text("ACGTNacgtnUuRy", max_size=40))
@settings(deadline=None, max_examples=150)
def test_fast_ids_offsets_and_masks_are_ours(name, text) -> None:
    ours, fast = FAST[name], fast_tokenizers()[name]
    batch = fast(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    if not text:  # our own calls refuse a text without a token
        assert len(batch["input_ids"]) == ours.n_added
        return
    encoding = ours.encode(encode(text)[None])
    assert batch["input_ids"] == encoding.ids[0].tolist()
    assert batch["offset_mapping"] == [(a, b) if b > a else (0, 0) for a, b in encoding.spans[0].tolist()]
    assert batch["special_tokens_mask"] == (~encoding.is_base[0]).astype(int).tolist()
    assert batch["attention_mask"] == [1] * len(batch["input_ids"])
    assert fast.decode(batch["input_ids"], skip_special_tokens=True) == decode(encode(text))


@cache
def fast_tokenizers() -> dict[str, GenoformerFastTokenizer]:
    return {name: GenoformerFastTokenizer(dna=tokenizer) for name, tokenizer in FAST.items()}


def as_lists(values: Any) -> list[list[Any]]:
    """Numbers of each text, of offsets the starts and ends in turn."""
    rows = values.tolist() if hasattr(values, "tolist") else values
    return [[x for pair in row for x in (pair if isinstance(pair, list | tuple) else [pair])] for row in rows]


@pytest.mark.parametrize("name", FAST)
def test_fast_and_slow_agree_on_everything_that_they_return(name) -> None:
    slow, fast = GenoformerTokenizer(dna=FAST[name]), GenoformerFastTokenizer(dna=FAST[name])
    assert fast.is_fast
    assert fast.special_tokens_map == slow.special_tokens_map
    assert (len(fast), fast.vocab_size, fast.get_vocab()) == (len(slow), slow.vocab_size, slow.get_vocab())
    texts = [*TEXTS, f"ACGT{slow.mask_token or slow.pad_token}TTGA"]
    for options in (
        {"padding": True, "return_tensors": "pt"},
        {"truncation": True, "max_length": 7},
        {"padding": "max_length", "max_length": 30, "return_tensors": "np"},
        {"add_special_tokens": False},
    ):
        a, b = (tokenizer(texts, return_offsets_mapping=True, **options) for tokenizer in (slow, fast))
        for field in ("input_ids", "attention_mask", "offset_mapping"):
            assert as_lists(a[field]) == as_lists(b[field]), (options, field)
    ids = slow(TEXTS[0])["input_ids"]
    assert fast.decode(ids) == slow.decode(ids)
    assert fast.get_special_tokens_mask(ids, already_has_special_tokens=True) == slow.get_special_tokens_mask(
        ids, already_has_special_tokens=True
    )
    assert fast("ACGT", "TTGA")["input_ids"] == slow("ACGT", "TTGA")["input_ids"]


@pytest.mark.parametrize("name", FAST)
def test_a_saved_fast_tokenizer_is_loaded_by_its_name(name, tmp_path) -> None:
    ours, fast = FAST[name], GenoformerFastTokenizer(dna=FAST[name], model_max_length=77)
    fast.save_pretrained(tmp_path)
    shape = {"n_vocab": ours.n_vocab, "width": 8, "n_layers": 1, "n_heads": 1}
    GenoformerConfig.for_tokenizer(shape, ours).save_pretrained(tmp_path)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert type(again) is GenoformerFastTokenizer
    assert again.model_max_length == 77
    assert again.dna.to_dict() == ours.to_dict()
    assert again(TEXTS)["input_ids"] == fast(TEXTS)["input_ids"]
    assert type(GenoformerTokenizer.from_pretrained(tmp_path)) is GenoformerTokenizer


@pytest.mark.parametrize(
    ("tokenizer", "kind"), [(BlockTokenizer.new(3), GenoformerFastTokenizer), (KmerTokenizer(3), GenoformerTokenizer)]
)
def test_an_exported_folder_names_the_class_that_is_exact(tokenizer, kind, tmp_path) -> None:
    registry.save(small_encoder(tokenizer, conv_kernel=3), tmp_path / "own")
    registry.save(small_encoder(tokenizer, conv_kernel=3), tmp_path / "out", layout="hf")
    assert type(transformers.AutoTokenizer.from_pretrained(tmp_path / "out")) is kind
    assert kind.from_pretrained(tmp_path / "own")(TEXTS)["input_ids"] == GenoformerTokenizer(dna=tokenizer)(TEXTS)["input_ids"]


PUBLISHED = {  # tokenizer, shape, layout, most tokens that transformers reads
    "DNABERT": (KmerTokenizer(3), {"position": "learned"}, "dnabert", 512),
    "GROVER": (TOKENIZERS["BPE"], {"position": "learned"}, "dnabert", 512),
    "Nucleotide Transformer v2": (BlockTokenizer.new(3), SHAPES["nucleotide-transformer-v2"], "esm", None),
    "Llama": (BlockTokenizer.new(1), {**SHAPES["llama"], "causal": True}, "decoder-only", None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_folders_of_published_layouts_give_their_tokenizer(name, tmp_path) -> None:
    """The class of the model reads these folders, and so does that of its tokenizer, which needs no weights."""
    tokenizer, shape, layout, limit = PUBLISHED[name]
    registry.save(small_encoder(tokenizer, **shape), tmp_path / "in", layout=layout)
    (tmp_path / "in" / "model.safetensors").unlink()
    theirs = GenoformerTokenizer.from_pretrained(tmp_path / "in")
    assert theirs(TEXTS)["input_ids"] == GenoformerTokenizer(dna=tokenizer)(TEXTS)["input_ids"]
    assert theirs.model_max_length == (limit or int(1e30))
    assert GenoformerTokenizer.from_pretrained(tmp_path / "in", model_max_length=9).model_max_length == 9
    theirs.save_pretrained(tmp_path / "in")  # as a Trainer does, next to a config.json of another class
    again = GenoformerTokenizer.from_pretrained(tmp_path / "in")
    assert again(TEXTS)["input_ids"] == theirs(TEXTS)["input_ids"]


def test_a_model_without_tokens_has_no_tokenizer() -> None:
    with pytest.raises(CheckpointError, match="mini-tracks reads no tokens, so it has no tokenizer; give a language model"):
        GenoformerTokenizer.from_pretrained("mini-tracks")


@pytest.mark.parametrize(
    "tokenizer", [KmerTokenizer(3), BlockTokenizer.new(3).limited_to(40)], ids=["k-mers", "limited blocks"]
)
def test_tokens_that_the_library_cannot_cut_are_refused(tokenizer) -> None:
    with pytest.raises(ConfigError, match=r"cannot cut exactly .*take GenoformerTokenizer"):
        GenoformerFastTokenizer(dna=tokenizer)
