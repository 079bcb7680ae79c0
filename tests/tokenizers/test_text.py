"""Tokenizers on text: ids that equal those of Hugging Face's tokenizers and of `encode`, padding, tensors, and back to text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genoformer.errors import ConfigError
from genoformer.genome.codes import encode
from genoformer.tokenizers import BaseTokenizer, BlockTokenizer, BPETokenizer, KmerTokenizer, Tokenizer

RANDOM = np.random.default_rng(0)
EVERY: dict[str, Tokenizer] = {
    "3-mers": KmerTokenizer(3),
    "bases": BaseTokenizer(),
    "6-mers by 3": KmerTokenizer(6, stride=3),
    "blocks of 6": BlockTokenizer.new(6),
    "bpe": BPETokenizer.train([RANDOM.integers(0, 4, 600, dtype=np.uint8) for _ in range(4)], 80),
}
TEXTS = ["ACGTTGCATTAGCAGG", "GATTACAGATTACA", "TTTTTTTTNACGTAAATT"]


@pytest.mark.parametrize("name", EVERY)
def test_ids_are_those_of_encode(name: str) -> None:
    tokenizer = EVERY[name]
    for text in TEXTS:
        found = tokenizer(text)
        assert found["input_ids"] == tokenizer.encode(encode(text)[None]).ids[0].tolist()
        assert found["attention_mask"] == [1] * len(found["input_ids"])
    several = tokenizer(TEXTS)
    assert several["input_ids"] == [tokenizer(text)["input_ids"] for text in TEXTS]
    assert tokenizer.vocab_size == tokenizer.n_vocab == len(tokenizer.vocab)


@pytest.mark.parametrize("name", EVERY)
def test_padding_and_tensors(name: str) -> None:
    tokenizer = EVERY[name]
    rows = [tokenizer(text)["input_ids"] for text in TEXTS]
    longest = max(map(len, rows))
    padded = tokenizer(TEXTS, padding=True)
    assert padded["input_ids"] == [row + [tokenizer.pad_id] * (longest - len(row)) for row in rows]
    assert padded["attention_mask"] == [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    arrays, tensors = (tokenizer(TEXTS, padding=True, return_tensors=kind) for kind in ("np", "pt"))
    for key, values in padded.items():
        assert arrays[key].dtype == np.int64
        assert tensors[key].dtype == torch.int64
        assert arrays[key].tolist() == tensors[key].tolist() == values
    assert tokenizer(TEXTS[0], return_tensors="pt")["input_ids"].tolist() == [rows[0]]


@pytest.mark.parametrize("name", EVERY)
def test_decode_gives_the_text_back(name: str) -> None:
    tokenizer = EVERY[name]
    ids = tokenizer(TEXTS[0])["input_ids"]
    if name == "6-mers by 3":  # its last token is not a full stride after the one before
        ids, TEXT = tokenizer(TEXTS[0][:15])["input_ids"], TEXTS[0][:15]
    else:
        TEXT = TEXTS[0]
    assert tokenizer.decode(ids) == TEXT
    assert tokenizer.decode(np.array(ids)) == tokenizer.decode(torch.tensor(ids)) == TEXT
    assert tokenizer.decode([ids, ids]) == tokenizer.decode(torch.tensor([ids, ids])) == [TEXT, TEXT]
    body = [i for i in ids if i not in tokenizer.special_ids]
    assert tokenizer.decode(body) == TEXT  # without the tokens at the ends
    assert tokenizer.decode(tokenizer([TEXT, TEXT[:12]], padding=True)["input_ids"]) == [TEXT, TEXT[:12]]
    assert tokenizer.decode([]) == ""


def test_unknown_bases_are_n() -> None:
    for name in ("bases", "blocks of 6", "bpe"):
        assert EVERY[name].decode(EVERY[name]("ACGNTR")["input_ids"]) == "ACGNTN"
    assert KmerTokenizer(3).decode(KmerTokenizer(3)("ACGTNAACC")["input_ids"]) == "ACGTNAACC"  # known from the k-mers around it


def test_dnabert_ids_equal_those_of_transformers(tmp_path: Path) -> None:
    """BertTokenizer reads the k-mers of a sequence as words."""
    from transformers import BertTokenizer

    tokenizer = KmerTokenizer(4)
    (tmp_path / "vocab.txt").write_text("\n".join(tokenizer.vocab) + "\n")
    reference = BertTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=False)
    texts = ["ACGTTGCATT", "GATTACA"]
    words = [" ".join(text[i : i + 4] for i in range(len(text) - 3)) for text in texts]
    expected = reference(words, padding=True)
    found = tokenizer(texts, padding=True)
    assert found["input_ids"] == expected["input_ids"]
    assert found["attention_mask"] == expected["attention_mask"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t(5), "text is 5; give DNA as text, or a list of texts"),
        (lambda t: t(None), "text is None; give DNA as text, or a list of texts"),
        (lambda t: t("ACGU!"), "sequence 1 is 'ACGU!'; give DNA as text"),
        (lambda t: t(["ACGT", ""]), "sequence 2 is ''"),
        (lambda t: t(["ACGT", 3]), "sequence 2 is '3'"),
        (lambda t: t(b"ACGT"), "sequences is a bytes"),
        (lambda t: t("AC"), "a sequence of 2 bases has no 3-mer"),
        (lambda t: t(["ACGT", "ACGTA"], return_tensors="pt"), "have 4 to 5 tokens, which make no tensor; give padding=True"),
        (lambda t: t("ACGT", return_tensors="tf"), "return_tensors is 'tf'; give 'np', 'pt' or None"),
    ],
)
def test_wrong_calls_are_refused(call, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call(KmerTokenizer(3))
