"""Tokenizers: ids against a naive loop and DNABERT's file, round trips, offsets, and what `mask_bases` asks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import N, decode, encode
from genoformer.tokenizers import (
    CLS,
    MASK,
    PAD,
    SEP,
    TOKENIZERS,
    UNK,
    BaseTokenizer,
    BlockTokenizer,
    BPETokenizer,
    KmerTokenizer,
    load_tokenizer,
    save_tokenizer,
    tokenizers_in,
)

random = np.random.default_rng(0)
TRAINING = random.integers(0, 4, (50, 200), dtype=np.uint8)
EVERY = {
    "kmer": KmerTokenizer(6),
    "base": BaseTokenizer(),
    "blocks": BlockTokenizer.new(3),
    "bpe": BPETokenizer.train(TRAINING, 64),
}


def test_every_registered_tokenizer_is_tested() -> None:
    assert EVERY.keys() == TOKENIZERS.keys()


def test_tokenizers_of_a_new_module_are_found(tmp_path, monkeypatch) -> None:
    package = tmp_path / "more_tokenizers"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "helpers.py").write_text("class Helper:\n    name = 'helper'\n")
    (package / "pairs.py").write_text("class Pairs:\n    name = 'pairs'\n\n\nTOKENIZERS = (Pairs,)\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = tokenizers_in("more_tokenizers", [str(package)])
    assert list(found) == ["pairs"]
    assert found["pairs"].__module__ == "more_tokenizers.pairs"


@pytest.mark.parametrize("name", EVERY)
@given(st.lists(st.text("ACGT", min_size=23, max_size=23), min_size=1, max_size=4))
@settings(deadline=None, max_examples=30)
def test_decode_undoes_encode_and_every_base_is_covered(name, rows) -> None:
    codes = np.stack([encode(row) for row in rows])
    encoding = EVERY[name].encode(codes)
    assert np.array_equal(EVERY[name].codes_from_ids(encoding.ids, 23), codes)
    for offsets, ids in zip(encoding.spans, encoding.ids, strict=True):
        covered = {base for start, end in offsets for base in range(start, end)}
        assert covered == set(range(23))
        special = np.isin(ids, [CLS, SEP, PAD])
        assert (offsets[special] == 0).all()
        assert (offsets[~special, 1] > offsets[~special, 0]).all()


@pytest.mark.parametrize("name", EVERY)
def test_saved_and_loaded_it_gives_the_same_ids(name, tmp_path) -> None:
    save_tokenizer(EVERY[name], tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert type(again) is type(EVERY[name])
    assert np.array_equal(again.encode(TRAINING[:5]).ids, EVERY[name].encode(TRAINING[:5]).ids)
    assert again.vocab == EVERY[name].vocab


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("text", ["ACGTTGCATTAGCAACGT", "ACGTTGCNATTAGCAACGTAC"])
def test_names_of_tokens_are_those_of_the_ids(name: str, text: str) -> None:
    """Without the special tokens at the ends; where no token covers an N, the names spell the text."""
    tokenizer = EVERY[name]
    names, ids = tokenizer.tokenize(text), tokenizer(text)["input_ids"]
    n_before = next(i for i, (start, end) in enumerate(tokenizer.encode(encode(text)[None]).spans[0]) if end > start)
    assert [tokenizer.get_vocab()[name] for name in names] == ids[n_before : n_before + len(names)]
    assert len(names) == len(ids) - tokenizer.n_added
    if "N" not in text:
        spans = tokenizer.encode(encode(text)[None]).spans[0, n_before : n_before + len(names)]
        assert names == [text[start:end] for start, end in spans]
    assert (tokenizer.pad_token_id, tokenizer.mask_token_id) == (tokenizer.pad_id, tokenizer.mask_id)


@pytest.mark.parametrize(("k", "stride"), [(k, s) for k in range(1, 9) for s in (1, 2, 3) if s <= k])
def test_kmer_ids_are_those_of_a_naive_loop(k, stride) -> None:
    tokenizer = KmerTokenizer(k, stride)
    text = "ACGTTGCANNACGTACGGTTACAGATTACAGGC"
    starts = list(range(0, len(text) - k + 1, stride))
    if starts[-1] != len(text) - k:
        starts.append(len(text) - k)
    naive = [CLS, *(tokenizer.vocab.get(text[i : i + k], UNK) for i in starts), SEP]
    encoding = tokenizer.encode(encode(text)[None])
    assert encoding.ids[0].tolist() == naive
    assert encoding.spans[0, 1:-1].tolist() == [[i, i + k] for i in starts]
    assert tokenizer.n_tokens(len(text)) == len(naive)


def test_ids_worked_out_by_hand() -> None:
    """id = 5 + digits in base 4 with A0 T1 C2 G3: AAC -> 5 + 2, GTA -> 5 + 3*16 + 1*4 + 0."""
    assert KmerTokenizer(3).encode(encode("AACNGTA")[None]).ids[0].tolist() == [2, 7, 1, 1, 1, 57, 3]


@pytest.mark.parametrize(("k", "size"), [(3, 69), (4, 261), (5, 1029), (6, 4101)])
def test_vocabulary_sizes_are_dnaberts(k, size) -> None:
    assert KmerTokenizer(k).n_vocab == len(KmerTokenizer(k).vocab) == size


def test_vocabulary_is_dnaberts_file(real_data) -> None:
    published = (real_data / "classification" / "dnabert" / "vocab_6mer.txt").read_text().split()
    assert list(KmerTokenizer(6).vocab) == published


def test_ids_of_dnaberts_sample_sequences(real_data) -> None:
    """The sample file holds sequences cut into 6-mers by DNABERT's own script."""
    import gzip

    with gzip.open(real_data / "classification" / "dnabert" / "prom-core_6mer_dev.tsv.gz", "rt") as file:
        rows = [line.split("\t")[0].split() for line in file.readlines()[1:101]]
    tokenizer = KmerTokenizer(6)
    for kmers in rows:
        sequence = kmers[0] + "".join(kmer[-1] for kmer in kmers[1:])
        ids = tokenizer.encode(encode(sequence)[None]).ids[0, 1:-1]
        assert ids.tolist() == [tokenizer.vocab[kmer] for kmer in kmers]


@given(st.text("ACGTN", min_size=12, max_size=40))
@settings(deadline=None)
def test_a_base_under_an_n_comes_back_as_itself_or_as_n(text) -> None:
    codes = encode(text)[None]
    back = KmerTokenizer(4).codes_from_ids(KmerTokenizer(4).encode(codes).ids)[0]
    assert ((back == codes[0]) | (back == N)).all()
    for i in range(len(text) - 3):  # a whole 4-mer without N is kept
        if "N" not in text[i : i + 4]:
            assert decode(back[i : i + 4]) == text[i : i + 4]


@pytest.mark.parametrize(("k", "stride"), [(1, 1), (3, 1), (6, 1), (6, 3), (5, 2)])
def test_hide_asks_what_a_naive_reader_would(k, stride) -> None:
    """Masked are the tokens over hidden bases; candidates are those tokens with A, C, G or T put at the target."""
    tokenizer = KmerTokenizer(k, stride)
    codes = random.integers(0, 4, (40, 31), dtype=np.uint8)
    codes[:, 3] = N
    target = random.integers(0, 31, 40)
    end = np.minimum(target + random.integers(1, 4, 40), 31)
    hidden = tokenizer.mask_bases(codes, target, end)
    plain = tokenizer.encode(codes).ids
    starts = tokenizer.starts(31)
    for b in range(40):
        over = {t + 1 for t, s in enumerate(starts) if s < end[b] and s + k > target[b]}
        assert {t for t in range(plain.shape[1]) if hidden.ids[b, t] == MASK} == over
        untouched = [t for t in range(plain.shape[1]) if t not in over]
        assert hidden.ids[b, untouched].tolist() == plain[b, untouched].tolist()
        expected = {}
        for t, s in enumerate(starts):
            others = [i for i in range(s, s + k) if i != target[b]]
            covers = s <= target[b] < s + k
            if covers and not any(target[b] < i < end[b] or codes[b, i] == N for i in others):
                kmers = (decode(np.where(np.arange(31) == target[b], base, codes[b])[s : s + k]) for base in range(4))
                expected[t + 1] = [tokenizer.vocab[kmer] for kmer in kmers]
        found = {
            int(hidden.rows[b, m]): hidden.candidates[b, m].tolist() for m in range(hidden.rows.shape[1]) if hidden.valid[b, m]
        }
        assert found == expected


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: KmerTokenizer(9), "1 to 8"),
        (lambda: KmerTokenizer(0), "1 to 8"),
        (lambda: KmerTokenizer(4, 5), "stride = 5"),
        (lambda: KmerTokenizer(6).encode(encode("ACG")[None]), "no 6-mer"),
        (lambda: KmerTokenizer(6).codes_from_ids(np.zeros((1, 9), np.int64), 40), "not those of 40 bases"),
        (lambda: BPETokenizer.train(TRAINING, 5), "at least 9"),
    ],
)
def test_refusals(make, words) -> None:
    with pytest.raises(ConfigError, match=words):
        make()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"tokenizer": "words"}',
        '{"k": 6}',
        '{"tokenizer": "kmer"}',
        '{"tokenizer": "kmer", "k": "six"}',
        '{"tokenizer": "kmer", "k": 99}',
        '{"tokenizer": "bpe"}',
        '{"tokenizer": ["kmer"]}',
    ],
)
def test_a_file_that_is_no_tokenizer_is_refused(text, tmp_path) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(CheckpointError):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_bpe_keeps_n_and_pads() -> None:
    bpe = EVERY["bpe"]
    codes = np.stack([encode("ACGTNNACGTTG"), encode("AAAAAAAAAAAA")])
    encoding = bpe.encode(codes)
    assert np.array_equal(bpe.codes_from_ids(encoding.ids, 12), codes)
    lengths = (encoding.ids != PAD).sum(1)
    assert encoding.ids.shape[1] == lengths.max()
    assert json.dumps(bpe.to_dict())  # it is JSON


@pytest.mark.parametrize("k", [1, 2, 3])
def test_successors_of_a_kmer_share_its_last_bases(k: int) -> None:
    """Independent of the arithmetic: the vocabulary is read as text."""
    tokenizer = KmerTokenizer(k)
    kmers = {token: i for token, i in tokenizer.vocab.items() if not token.startswith("[")}
    ids = np.array(list(kmers.values()))[None]
    found = tokenizer.successors(ids)
    assert found.shape == (1, len(kmers), 4)
    for kmer, row in zip(kmers, found[0], strict=True):
        assert row.tolist() == [kmers[kmer[1:] + base] for base in "ATCG"]  # DNABERT's order


@pytest.mark.parametrize("name", EVERY)
def test_typical_numbers_of_tokens_are_near_those_of_random_sequences(name) -> None:
    tokenizer = EVERY[name]
    codes = random.integers(0, 4, (20, 300), dtype=np.uint8)
    n_tokens = (tokenizer.encode(codes).ids != tokenizer.pad_id).sum(1)
    assert tokenizer.n_typical_tokens(300) == pytest.approx(n_tokens.mean(), rel=0.03)
    assert n_tokens.max() <= tokenizer.n_tokens(300)
    for n in (20, 100, 300):
        length = tokenizer.n_typical_bases(n)
        assert tokenizer.n_typical_tokens(length) <= n < tokenizer.n_typical_tokens(length + 8)
