"""Blocks of bases: ids as transformers' EsmTokenizer gives them, marginals over the blocks that carry a base."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genoformer.errors import CheckpointError, ConfigError
from genoformer.genome.codes import encode
from genoformer.tokenizers import BlockTokenizer, load_tokenizer, save_tokenizer

TOKENIZER = BlockTokenizer.new(6)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    transformers = pytest.importorskip("transformers", reason="the reference tokenizer is transformers' EsmTokenizer")
    folder = tmp_path_factory.mktemp("nt")
    (folder / "vocab.txt").write_text("\n".join(TOKENIZER.tokens) + "\n")
    return transformers.EsmTokenizer(str(folder / "vocab.txt"), model_max_length=2048, eos_token=None)


@given(st.text("ACGTN", min_size=1, max_size=60))
@settings(deadline=None, max_examples=200)
def test_ids_equal_those_of_transformers(reference, text) -> None:
    ids = TOKENIZER.encode(encode(text)[None]).ids[0].tolist()
    assert ids == reference(text)["input_ids"]


def test_vocabulary_of_the_nucleotide_transformer_by_hand() -> None:
    assert TOKENIZER.n_vocab == 4107  # 6 special tokens, 4,096 6-mers, A, T, C, G and N
    ids = TOKENIZER.encode(encode("AAAAAAAAAAATACNACGTAC")[None]).ids[0]
    assert ids.tolist() == [3, 6, 7, 4102, 4104, 4106, 6 + int("023102", 4)]  # <cls> AAAAAA AAAAAT A C N ACGTAC


def test_padded_rows_have_empty_spans() -> None:
    encoding = TOKENIZER.encode(np.stack([encode("ACGTACGTACGT"), encode("ACGTANNNNNNN")]))
    assert encoding.ids.shape == (2, 13)
    assert encoding.spans[0, :4].tolist() == [[0, 0], [0, 6], [6, 12], [0, 0]]
    assert (encoding.ids[0, 3:] == TOKENIZER.pad_id).all()
    assert not encoding.is_base[0, 3:].any()
    assert encoding.is_base[1, 1:].all()


@given(st.text("ACGTN", min_size=13, max_size=40), st.integers(0, 12), st.integers(1, 4))
@settings(deadline=None, max_examples=100)
def test_masked_windows_against_a_naive_loop(text, target, width) -> None:
    end = min(len(text), target + width)
    masked = TOKENIZER.mask_bases(encode(text)[None], np.array([target]), np.array([end]))
    encoding = TOKENIZER.encode(encode(text)[None])
    for i, (first, after) in enumerate(encoding.spans[0]):
        hidden = first < end and after > target
        assert masked.ids[0, i] == (TOKENIZER.mask_id if hidden else encoding.ids[0, i])
        if first <= target < after:
            assert masked.rows[0, 0] == i
            assert masked.valid[0, 0] == (text[target] != "N")
            for code, base in enumerate("ACGT"):
                tokens = {TOKENIZER.tokens[j] for j in masked.candidates[0, 0, code]}
                if text[target] != "N":
                    expected = {
                        token
                        for token in TOKENIZER.tokens
                        if len(token) == after - first and set(token) <= set("ACGT") and token[target - first] == base
                    }
                    assert tokens == expected


def test_round_trip(tmp_path: Path) -> None:
    save_tokenizer(TOKENIZER, tmp_path / "tokenizer.json")
    tokenizer = load_tokenizer(tmp_path / "tokenizer.json")
    assert tokenizer.to_dict() == TOKENIZER.to_dict()


def test_one_base_per_token_with_any_ids() -> None:
    tokenizer = BlockTokenizer(["[PAD]", "T", "G", "C", "A", "N", "[BOS]"])
    assert tokenizer.encode(encode("ACGTN")[None]).ids.tolist() == [[6, 4, 3, 2, 1, 5]]
    assert tokenizer.fixed_length


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        (["<pad>", "<cls>", "AA", "AC"], "expected all blocks of one length"),
        (["<pad>", "<pad>"], "names '<pad>' twice, with upper and lower case as one"),
        (["<cls>", *"ACGT"], "no token for padding"),
        (["<pad>", *"ACGT"], "no token for the start"),
    ],
)
def test_other_vocabularies_are_refused(vocab, message) -> None:
    with pytest.raises(CheckpointError, match=message):
        BlockTokenizer(vocab)


def test_too_long_blocks_are_refused() -> None:
    with pytest.raises(ConfigError, match="k = 9: blocks of 1 to 8 bases"):
        BlockTokenizer.new(9)


def test_a_limit_makes_runs_of_n_one_token_where_all_would_be_too_many() -> None:
    limited = BlockTokenizer.new(3).limited_to(7)
    text = "NNNNNACGTACNNNGA"
    ids = limited.encode(encode(text)[None])
    assert [limited.tokens[i] for i in ids.ids[0]] == ["<cls>", "N", "ACG", "TAC", "N", "G", "A"]
    assert ids.spans[0].tolist() == [[0, 0], [0, 5], [5, 8], [8, 11], [11, 14], [14, 15], [15, 16]]
    short = "NACGTACNG"  # 7 tokens: nothing has to be cut
    assert limited.encode(encode(short)[None]).ids.tolist() == BlockTokenizer.new(3).encode(encode(short)[None]).ids.tolist()
    masked = limited.mask_bases(encode(text)[None], np.array([6]))
    assert (masked.rows[0, 0], masked.valid[0, 0]) == (2, True)
    assert BlockTokenizer.from_dict(limited.to_dict()).longest == 7


LIMITED = BlockTokenizer.new(6).limited_to(8)  # <cls> and 7 blocks of 6: windows of 42 bases


def names_of(text: str) -> list[str]:
    return [LIMITED.tokens[i] for i in LIMITED.encode(encode(text)[None]).ids[0]]


def test_one_n_in_a_full_window_leaves_out_tokens_at_the_far_ends() -> None:
    assert names_of("ACGTAC" * 7) == ["<cls>", *["ACGTAC"] * 7]
    text = "ACGTAC" * 2 + "N" + "ACGTAC" * 4 + "ACGTA"  # 2 blocks, N, 4 blocks, 5 letters: 5 tokens too many
    # Of runs of 7 tokens that of bases 6 to 38 reaches 17 bases from the middle, 21; those of 0 to 37, 12 to 39: 21, 18.
    encoding = LIMITED.encode(encode(text)[None])
    assert names_of(text) == ["<cls>", "ACGTAC", "N", *["ACGTAC"] * 4, "A"]
    assert encoding.spans[0, 1].tolist() == [6, 12]
    assert encoding.spans[0, -1].tolist() == [37, 38]


@given(st.text("ACGTN", min_size=1, max_size=42))
@settings(deadline=None, max_examples=300)
def test_a_limited_tokenizer_reads_the_run_of_tokens_nearest_to_the_middle(text) -> None:
    limited = LIMITED.encode(encode(text)[None])
    assert limited.ids.shape[1] <= 8
    letters = [LIMITED.tokens[i] for i in limited.ids[0, 1:]]
    every = TOKENIZER.encode(encode(text)[None])
    if every.ids.shape[1] <= 8:
        assert limited.ids.tolist() == every.ids.tolist()
        return
    pieces: list[tuple[str, int, int]] = []  # a loop over the tokens, with runs of N as one
    for i, (start, end) in zip(every.ids[0, 1:], every.spans[0, 1:].tolist(), strict=True):
        if pieces and pieces[-1][0] == TOKENIZER.tokens[i] == "N":
            pieces[-1] = ("N", pieces[-1][1], end)
        else:
            pieces.append((TOKENIZER.tokens[i], start, end))
    runs = [pieces[i : i + 7] for i in range(max(1, len(pieces) - 6))]
    middle = len(text) / 2
    best = min(runs, key=lambda run: max(middle - run[0][1], run[-1][2] - middle))
    assert letters == [piece[0] for piece in best]
    assert limited.spans[0, 1:].tolist() == [list(piece[1:]) for piece in best]


def test_a_longer_sequence_is_not_shortened_in_silence() -> None:
    assert LIMITED.encode(encode("ACGTAC" * 8)[None]).ids.shape[1] == 9  # the model refuses it
    assert LIMITED.encode(encode("ACGTAC" * 7 + "N")[None]).ids.shape[1] == 9


@pytest.mark.parametrize("k", [1, 2, 6])
@given(length=st.integers(1, 80), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=30)
def test_the_typical_number_of_tokens_is_that_of_known_bases(k, length, seed) -> None:
    tokenizer = BlockTokenizer.new(k)
    codes = np.random.default_rng(seed).integers(0, 4, (1, length), dtype=np.uint8)
    assert tokenizer.n_typical_tokens(length) == tokenizer.encode(codes).ids.shape[1]
    codes[:] = 4
    assert tokenizer.n_tokens(length) == tokenizer.encode(codes).ids.shape[1]  # the bound: none is known


def test_typical_bases_by_hand() -> None:
    assert TOKENIZER.n_typical_tokens(512) == 1 + 85 + 2  # <cls>, blocks of 6, two letters
    assert TOKENIZER.n_tokens(512) == 513
    assert TOKENIZER.n_typical_bases(101) == 600
