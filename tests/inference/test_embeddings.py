"""Embeddings of sequences of any length against a naive loop over windows; windows, strands and batches change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import small_encoder

from genoformer.errors import ConfigError
from genoformer.genome.codes import Codes, encode, reverse_complement
from genoformer.inference import WindowSize, embedding_window, sequence_embeddings, token_embeddings
from genoformer.inference.embeddings import _owned
from genoformer.inference.windows import window_starts
from genoformer.models.heads import pool
from genoformer.models.transformer.model import Encoder
from genoformer.progress import Progress
from genoformer.tokenizers import BaseTokenizer, BPETokenizer, KmerTokenizer


def encoder(k: int = 1, n_layers: int = 2, tokenizer: object = None, **fields: object) -> Encoder:
    tokenizer = tokenizer or (BaseTokenizer() if k == 1 else KmerTokenizer(k))
    shape = {"max_tokens": 34, "init_std": 0.3, "dropout": 0.0, "norm": "pre"} | fields
    with torch.random.fork_rng(devices=[]):
        return small_encoder(tokenizer, width=8, n_layers=n_layers, ffn_width=16, **shape)


def sequences_of(lengths: list[int], seed: int = 0) -> list[Codes]:
    random = np.random.default_rng(seed)
    return [random.choice(5, size=n, p=[0.24] * 4 + [0.04]).astype(np.uint8) for n in lengths]


ONE, THREE = encoder(1), encoder(3)


def naive(model: Encoder, codes: Codes, pooling: str, window: int, overlap: int, layer: int | None = None) -> np.ndarray:
    """One window at a time, without padding; a sequence below k bases gets N at its end."""
    k = model.tokenizer.k
    codes = np.append(codes, np.full(max(0, k - len(codes)), 4, dtype=np.uint8))
    vectors, weights = [], []
    for start in window_starts(len(codes), window, overlap):
        encoding = model.tokenizer.encode(codes[None, start : start + window])
        ids, is_base = torch.from_numpy(encoding.ids), torch.from_numpy(encoding.is_base)
        with torch.no_grad():
            vectors.append(pool(model.embed(ids, layer=layer), is_base, pooling)[0].numpy())
        weights.append(ids.shape[1] - 2 if pooling == "mean" else 1)
    return np.max(vectors, axis=0) if pooling == "max" else np.average(vectors, axis=0, weights=weights)


@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=6),
    st.sampled_from([ONE, THREE]),
    st.sampled_from(["mean", "max", "cls"]),
    st.integers(4, 40),
    st.integers(0, 3),
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, 0, 1]),
)
@settings(max_examples=40, deadline=None)
def test_as_one_by_one(lengths, model, pooling, window, overlap, batch_size, layer) -> None:
    sequences = sequences_of(lengths)
    found = sequence_embeddings(
        model, sequences, pooling=pooling, windows=WindowSize(window, overlap), batch_size=batch_size, layer=layer
    )
    expected = [naive(model, codes, pooling, window, overlap, layer) for codes in sequences]
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    assert found.n_windowed == sum(n > window for n in lengths)
    assert found.values.dtype == np.float32


def test_the_default_window_is_what_the_model_holds() -> None:
    assert embedding_window(ONE) == (32, 16)  # 34 tokens, two of them special
    assert embedding_window(THREE) == (34, 17)
    sequences = sequences_of([32, 33])
    found = sequence_embeddings(ONE, sequences)
    assert found.n_windowed == 1
    np.testing.assert_allclose(found.values[1], naive(ONE, sequences[1], "mean", 32, 16), atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "max", "cls"])
def test_both_strands_are_those_of_the_reverse_complement(pooling) -> None:
    sequences = sequences_of([5, 20, 77])
    turned = [reverse_complement(codes) for codes in sequences]
    both = sequence_embeddings(THREE, sequences, pooling=pooling, both_strands=True).values
    np.testing.assert_allclose(both, sequence_embeddings(THREE, turned, pooling=pooling, both_strands=True).values, atol=1e-6)
    single = [sequence_embeddings(THREE, s, pooling=pooling).values for s in (sequences, turned)]
    np.testing.assert_allclose(both, np.mean(single, axis=0), atol=1e-6)


def test_what_is_done_is_told() -> None:
    heard: list[Progress] = []
    sequence_embeddings(ONE, sequences_of([40, 10]), batch_size=2, both_strands=True, progress=heard.append)
    assert heard == [Progress("embed", n, 6) for n in (2, 3, 5, 6)]


@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=5),
    st.sampled_from([ONE, THREE]),
    st.integers(4, 40),
    st.integers(2, 3),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_each_token_is_from_the_window_where_it_is_farthest_from_an_end(lengths, model, window, overlap, size, both) -> None:
    def expected(codes: Codes) -> np.ndarray:
        k = model.tokenizer.k
        codes = np.append(codes, np.full(max(0, k - len(codes)), 4, dtype=np.uint8))
        best: list[tuple[int, np.ndarray]] = [(-1, np.empty(0))] * (len(codes) - k + 1)
        for start in window_starts(len(codes), window, overlap):
            part = codes[None, start : start + window]
            with torch.no_grad():
                x = model.embed(torch.from_numpy(model.tokenizer.encode(part).ids))[0, 1:-1].numpy()
            for i, vector in enumerate(x):
                if (margin := min(i, len(x) - 1 - i)) > best[start + i][0]:
                    best[start + i] = margin, vector
        return np.stack([vector for _, vector in best])

    sequences = sequences_of(lengths)
    found = list(token_embeddings(model, sequences, windows=WindowSize(window, overlap), batch_size=size, both_strands=both))
    for codes, (values, offsets) in zip(sequences, found, strict=True):
        here = expected(codes)
        n_tokens = max(1, len(codes) - model.tokenizer.k + 1)
        assert offsets[:, 0].tolist() == list(range(n_tokens))
        assert offsets[:, 1].tolist() == [min(len(codes), i + model.tokenizer.k) for i in range(n_tokens)]
        if not both:
            np.testing.assert_allclose(values, here, atol=1e-5)
            continue
        there = expected(reverse_complement(codes))[::-1] if len(codes) >= model.tokenizer.k else None
        if there is not None:
            np.testing.assert_allclose(values, (here + there) / 2, atol=1e-5)


def test_a_model_of_a_stem_alone_sees_no_window_borders() -> None:
    """Eight bases on either side decide a token; windows that share 16 give what one window gives."""
    model = encoder(3, n_layers=1, conv_kernel=5)
    model.layers[0].attention.out.weight.data.zero_()  # what is left of the layer is local
    sequences = sequences_of([200, 30, 64])
    whole = list(token_embeddings(model, sequences, windows=WindowSize(400)))
    for window, overlap in ((40, 16), (25, 20), (64, 8)):
        cut = list(token_embeddings(model, sequences, windows=WindowSize(window, overlap)))
        for a, b in zip(whole, cut, strict=True):
            np.testing.assert_allclose(a.values, b.values, atol=1e-5)
    np.testing.assert_allclose(
        sequence_embeddings(model, sequences, windows=WindowSize(400)).values, [x.values.mean(0) for x in whole], atol=1e-5
    )


@given(st.integers(1, 300), st.integers(3, 50), st.integers(2, 49), st.integers(1, 3))
def test_windows_own_every_token_once(length, window, overlap, k) -> None:
    length, overlap = max(length, k), min(overlap, window - 1)
    spans = _owned(length, window, overlap, k)
    assert [i for _, low, high in spans for i in range(low, high)] == list(range(length - k + 1))
    assert all(start <= low and high <= start + window - k + 1 for start, low, high in spans)


def test_sequences_are_taken_as_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model has seen only the first sequences when the first is there."""
    seen: list[int] = []
    model = encoder(1)
    embed = model.embed
    monkeypatch.setattr(model, "embed", lambda ids, *a, **k: (seen.append(len(ids)), embed(ids, *a, **k))[1])
    found = token_embeddings(model, sequences_of([10] * 7), group_bases=25)
    assert not seen
    next(found)
    assert seen == [2]
    assert len(list(found)) == 6
    assert seen == [2, 2, 2, 1]


def test_bpe_pieces_have_their_bases() -> None:
    tokenizer = BPETokenizer.train([encode("ACGTACGTTTACGACG" * 4)], n_vocab=15)
    model = encoder(tokenizer=tokenizer)
    short = [encode("ACGTACGNTT"), encode("AC"), encode("ACGTTTACGTACG")]
    for codes, (values, offsets) in zip(short, token_embeddings(model, short), strict=True):
        assert len(values) == len(offsets)
        assert offsets[0, 0] == 0
        assert offsets[-1, 1] == len(codes)
        ids = torch.from_numpy(tokenizer.encode(codes[None]).ids)
        np.testing.assert_allclose(values, model.embed(ids)[0, 1:-1].detach().numpy(), atol=1e-5)
    means = sequence_embeddings(model, short).values
    np.testing.assert_allclose(means, [x.values.mean(0) for x in token_embeddings(model, short)], atol=1e-5)


def test_the_model_is_left_in_its_mode_and_no_sequences_give_no_rows() -> None:
    assert sequence_embeddings(ONE, []).values.shape == (0, 8)
    assert list(token_embeddings(ONE, [])) == []
    assert not ONE.training


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (ONE, {"pooling": "sum"}, "pooling 'sum': allowed are mean, max, cls"),
        (THREE, {"windows": WindowSize(2)}, "window = 2: a token of this model has 3 bases"),
        (ONE, {"windows": WindowSize(8, 8)}, "overlap = 8"),
        (ONE, {"layer": 3}, "layer 3: this model has layers 0 .* to 2"),
        (encoder(1, causal=True), {"pooling": "cls"}, "knows none of them; take the mean"),
        (encoder(1, position="learned"), {"windows": WindowSize(50)}, "has positions for 34"),
    ],
)
def test_what_does_not_fit_is_refused(model, options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        sequence_embeddings(model, sequences_of([60]), **options)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (THREE, {"windows": WindowSize(overlap=1)}, "a 3-mer across two windows is in neither; give 2"),
        (encoder(tokenizer=KmerTokenizer(3, stride=2)), {"windows": WindowSize(40)}, "its windows have other tokens"),
        (encoder(tokenizer=KmerTokenizer(3, stride=2)), {"windows": WindowSize(60), "both_strands": True}, "have other tokens"),
    ],
)
def test_tokens_that_windows_do_not_have_are_refused(model, options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        token_embeddings(model, sequences_of([60]), **options)
