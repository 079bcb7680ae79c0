"""Windows by eye, every base in one of them, and padded tokens that are those of each window alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, decode, encode
from genoformer.inference.windows import cut_windows, tokenize_windows, window_starts
from genoformer.tokenizers import BaseTokenizer, BPETokenizer, KmerTokenizer


@pytest.mark.parametrize(
    ("length", "window", "overlap", "starts"),
    [
        (0, 6, 2, [0]),
        (5, 6, 2, [0]),
        (6, 6, 2, [0]),
        (7, 6, 2, [0, 1]),  # flush with the end
        (10, 6, 2, [0, 4]),  # the end falls in with the steps
        (11, 6, 2, [0, 4, 5]),
        (12, 6, 0, [0, 6]),
        (13, 6, 0, [0, 6, 7]),
        (9, 6, 5, [0, 1, 2, 3]),
    ],
)
def test_where_windows_begin(length, window, overlap, starts) -> None:
    assert window_starts(length, window, overlap) == starts


@pytest.mark.parametrize(("window", "overlap"), [(6, 6), (6, 7), (6, -1), (0, 0)])
def test_overlaps_that_never_end_are_refused(window, overlap) -> None:
    with pytest.raises(ConfigError, match="up to, not including, the window"):
        window_starts(10, window, overlap)


def test_windows_by_eye() -> None:
    found = cut_windows([encode("AACCGGTTAC"), encode("GT"), encode("CATCAT")], window=6, overlap=2, shortest=3)
    assert [decode(codes) for codes in found.codes] == ["AACCGG", "GGTTAC", "GTN", "CATCAT"]
    assert found.owner.tolist() == [0, 0, 1, 2]


def test_a_sequence_without_bases_becomes_n() -> None:
    found = cut_windows([encode("")], window=6, overlap=0, shortest=2)
    assert [decode(codes) for codes in found.codes] == ["NN"]


shapes = st.integers(1, 40).flatmap(lambda window: st.tuples(st.just(window), st.integers(0, window - 1)))


@given(length=st.integers(0, 200), shape=shapes)
def test_every_base_is_in_a_window_and_neighbours_share_the_overlap(length, shape) -> None:
    window, overlap = shape
    starts = window_starts(length, window, overlap)
    covered = np.zeros(length, dtype=int)
    for start in starts:
        covered[start : start + window] += 1
    assert (covered >= 1).all()
    assert starts[-1] == max(0, length - window)
    steps = np.diff(starts)
    assert (steps[:-1] == window - overlap).all()
    assert ((steps >= 1) & (steps <= window - overlap)).all()  # the last two share more, if anything


sequences = st.lists(st.lists(st.integers(0, 4), min_size=0, max_size=30), min_size=1, max_size=5)


@given(rows=sequences, shape=shapes)
def test_windows_are_pieces_of_their_owner(rows, shape) -> None:
    given_ = [np.array(row, dtype=np.uint8) for row in rows]
    found = cut_windows(given_, *shape)
    assert set(found.owner) == set(range(len(rows)))
    for codes, owner in zip(found.codes, found.owner, strict=True):
        assert 1 <= len(codes) <= shape[0]
        assert decode(codes) in (decode(given_[owner]) or "N")


def make_tokenizer(name: str) -> KmerTokenizer | BPETokenizer:
    if name == "bpe":
        return BPETokenizer.train([encode("ACGTACGTGGGGTTTTACAC" * 5)], n_vocab=20)
    return {"base": BaseTokenizer(), "kmer": KmerTokenizer(3), "strided": KmerTokenizer(3, 2)}[name]


WINDOWS = ["ACGTACG", "GGGG", "ACGTACGTTT", "TTNTT", "ACG", "CCCC"]


@pytest.mark.parametrize("name", ["base", "kmer", "strided", "bpe"])
def test_padded_tokens_are_those_of_each_window_alone(name) -> None:
    tokenizer = make_tokenizer(name)
    ids, keep, is_base = tokenize_windows(tokenizer, [encode(text) for text in WINDOWS])
    assert keep is not None
    encodings = [tokenizer.encode(encode(text)[None]) for text in WINDOWS]
    alone = [encoding.ids[0] for encoding in encodings]
    assert ids.shape == (6, max(map(len, alone)))
    for row, encoding in zip(is_base, encodings, strict=True):
        assert np.flatnonzero(row).tolist() == np.flatnonzero(encoding.is_base[0]).tolist()
    for row, kept, expected in zip(ids, keep, alone, strict=True):
        assert row[: len(expected)].tolist() == expected.tolist()
        assert kept.tolist() == [True] * len(expected) + [False] * (len(row) - len(expected))
        assert (row[len(expected) :] == tokenizer.pad_id).all()


def test_windows_of_one_length_need_no_padding() -> None:
    windows: list[Codes] = [encode("ACGT"), encode("GGGN")]
    ids, keep, is_base = tokenize_windows(BaseTokenizer(), windows)
    assert keep is None
    assert is_base.tolist() == [[False, True, True, True, True, False]] * 2
    assert ids.tolist() == [[2, 5, 7, 8, 6, 3], [2, 8, 8, 8, 1, 3]]  # A 5, T 6, C 7, G 8; N is [UNK]
