"""Reductions of attention against the full softmax: of transformers, and of plain matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import small_encoder, small_enformer

from genoformer.errors import ConfigError
from genoformer.interpretation.attention import AttentionReader, base_scores, observed_over_expected, viz
from genoformer.models.plain_engine import one_hot
from genoformer.models.registry import load
from genoformer.tokenizers import BaseTokenizer, BPETokenizer, KmerTokenizer

CODES = np.random.default_rng(1).integers(0, 4, (3, 40), dtype=np.uint8)
ENCODERS = {
    "kmer": small_encoder(KmerTokenizer(3), n_layers=3, position="learned", norm="post", context_length=64),
    "rotary": small_encoder(BaseTokenizer(), n_layers=3, norm="pre", conv_kernel=5, context_length=64),
    "alibi": small_encoder(KmerTokenizer(4), n_layers=3, position="alibi", context_length=64),
    "causal": small_encoder(BaseTokenizer(), n_layers=3, causal=True, context_length=64),
}
LONG = small_enformer(seed=2, n_blocks=3)


def full_of_encoder(model, codes) -> torch.Tensor:
    """All weights [layers, B, H, T, T], written out anew."""
    found = []
    x = model._embed_tokens(torch.from_numpy(model.tokenizer.encode(codes).ids))
    x = model.stem(x) if model.stem is not None else x
    n = x.shape[1]
    for layer in model.layers:
        seen = x if layer.post else layer.norm_attention(x)
        q, k, _ = (t.unflatten(-1, (model.config.n_heads, -1)).transpose(1, 2) for t in layer.attention.qkv(seen).chunk(3, -1))
        if model.config.position == "rotary":
            from genoformer.models.transformer.attention import rotate

            q, k = (rotate(t, torch.arange(n)[None]) for t in (q, k))
        logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        distance = (torch.arange(n)[:, None] - torch.arange(n)[None]).float()
        if model.config.position == "alibi":
            n_heads = model.config.n_heads  # a power of two
            slopes = torch.tensor([2 ** (-8 * head / n_heads) for head in range(1, n_heads + 1)])
            logits = logits - slopes[:, None, None] * distance.abs()
        if model.config.causal:
            logits = logits.masked_fill(distance < 0, -torch.inf)
        found.append(logits.softmax(-1))
        x = layer(x)
    return torch.stack(found)


def full_of_long_range(model, codes) -> torch.Tensor:
    found = []
    x = model.convolve_bases(one_hot(torch.from_numpy(codes))).transpose(1, 2)
    for block in model.blocks:
        seen, basis = block.norm_attention(x), model.basis(x.shape[1])
        weights = block.attention.logits(seen, basis).softmax(-1)
        value = block.attention._heads(block.attention.value(seen))
        out = block.attention.out((weights @ value).transpose(1, 2).flatten(2))  # these are the weights that it uses
        torch.testing.assert_close(out, block.attention(seen, basis), atol=1e-5, rtol=1e-4)
        found.append(weights)
        x = block(x, basis)
    return torch.stack(found)


CASES = {
    **{name: (model, CODES, full_of_encoder) for name, model in ENCODERS.items()},
    "longrange": (LONG, np.random.default_rng(2).integers(0, 5, (2, 256), dtype=np.uint8), full_of_long_range),
}


@pytest.mark.parametrize("held", [1, 1 << 24], ids=["a query at a time", "all at once"])
@pytest.mark.parametrize("name", CASES)
def test_reductions_are_those_of_the_full_softmax(name, held) -> None:
    model, codes, full_of = CASES[name]
    with torch.no_grad():
        full = full_of(model, codes).transpose(0, 1).double()  # [B, layers, H, T, T]
    looked = AttentionReader(model, (0, -1), max_weights=held)
    some = full[:, [0, 2]]
    n = full.shape[-1]
    assert looked.n_units(codes.shape[1]) == n
    expected = {
        "row": (looked.rows(codes), some[..., 0, :]),
        "another row": (looked.rows(codes, 7), some[..., 7, :]),
        "received": (looked.attention_received(codes), some.mean(-2)),
        "entropy": (looked.entropy(codes), -torch.xlogy(some, some).sum(-1) / math.log(2)),
        "block": (looked.block(codes, slice(3, 9), slice(1, 12)), some[..., 3:9, 1:12].mean(2)),
    }
    step = (torch.eye(n, dtype=torch.float64) + full.mean(2)) / 2
    whole = step[:, 2] @ step[:, 1] @ step[:, 0]
    expected["rollout"] = (looked.rollout(codes, 5), whole[:, 5])
    for what, (found, of) in expected.items():
        np.testing.assert_allclose(found, of.numpy(), atol=2e-6, rtol=1e-5, err_msg=what)
    np.testing.assert_allclose(looked.rollout(codes, 5).sum(-1), 1, atol=1e-5)


def test_attention_is_that_of_transformers(tmp_path) -> None:
    transformers = pytest.importorskip("transformers", reason="the reference: pip install transformers")
    config = transformers.BertConfig(
        vocab_size=69,
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=32,
        max_position_embeddings=60,
        attn_implementation="eager",
    )
    torch.manual_seed(0)
    theirs = transformers.BertForMaskedLM(config).eval()
    for p in theirs.parameters():
        torch.nn.init.normal_(p, std=0.3)
    theirs.save_pretrained(tmp_path / "b")
    (tmp_path / "b" / "vocab.txt").write_text("\n".join(KmerTokenizer(3).vocab) + "\n")
    model = load(tmp_path / "b")
    ids = torch.from_numpy(model.tokenizer.encode(CODES).ids)
    with torch.no_grad():
        attentions = torch.stack(theirs(input_ids=ids, output_attentions=True).attentions, dim=1)  # [B, layers, H, T, T]
    looked = AttentionReader(model, (0, 1, 2))
    np.testing.assert_allclose(looked.rows(CODES), attentions[..., 0, :].numpy(), atol=1e-5)
    np.testing.assert_allclose(looked.attention_received(CODES), attentions.mean(-2).numpy(), atol=1e-5)


def test_pieces_of_different_numbers_do_not_look_at_padding() -> None:
    tokenizer = BPETokenizer.train([np.random.default_rng(3).integers(0, 4, 3000, dtype=np.uint8)], n_vocab=40)
    model = small_encoder(tokenizer, context_length=64, max_tokens=80)
    together = AttentionReader(model).attention_received(CODES)
    for codes, found in zip(CODES, together, strict=True):
        n = tokenizer.encode(codes[None]).ids.shape[1]
        assert found.sum(-1) == pytest.approx(1, abs=1e-5)
        assert (found[..., n:] == 0).all()


@pytest.mark.parametrize(("layers", "message"), [((3,), "layer 3: this model has layers 0 to 2"), ((-4,), "layer -4")])
def test_a_layer_that_is_not_there_is_refused(layers, message) -> None:
    with pytest.raises(ConfigError, match=message):
        AttentionReader(ENCODERS["kmer"], layers)


def test_a_block_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="keys 0 to 40: the sequences have 32 of them"):
        AttentionReader(LONG).block(CASES["longrange"][1], slice(0, 2), slice(0, 40))


def visualize(row: np.ndarray, k: int, length: int) -> np.ndarray:
    """DNABERT's `get_attention_dna` and what it does next, written from DEFINITIONS as loops: of one sequence, row [H, T]."""
    tokens = [sum(float(head[i]) for head in row) for i in range(1, length - k + 2)]
    scores = []
    for base in range(length):
        covering = [tokens[t] for t in range(len(tokens)) if t <= base < t + k]
        scores.append(sum(covering) / len(covering))
    norm = math.sqrt(sum(x * x for x in scores))
    return np.array([x / norm for x in scores])


@pytest.mark.parametrize("name", ["kmer", "alibi"])
def test_base_scores_are_those_of_dnabert_viz(name) -> None:
    model = ENCODERS[name]
    rows = AttentionReader(model).rows(CODES)
    encoding = model.tokenizer.encode(CODES)
    found = viz(rows, encoding.spans, CODES.shape[1])
    for i in range(len(CODES)):
        np.testing.assert_allclose(found[i], visualize(rows[i, 0], model.tokenizer.k, CODES.shape[1]), atol=1e-6)


@given(st.data())
@settings(deadline=None, max_examples=50)
def test_the_score_of_a_base_is_the_mean_over_its_tokens(data) -> None:
    length = data.draw(st.integers(1, 12))
    spans = data.draw(st.lists(st.tuples(st.integers(0, length), st.integers(0, length)).map(sorted), min_size=1, max_size=6))
    tokens = np.array([data.draw(st.lists(st.integers(-5, 5), min_size=len(spans), max_size=len(spans)))], dtype=float)
    found = base_scores(tokens, np.array(spans), length)
    for base in range(length):
        covering = [value for value, (a, b) in zip(tokens[0], spans, strict=True) if a <= base < b]
        assert found[0, base] == pytest.approx(np.mean(covering) if covering else 0)


def test_memory_does_not_hold_the_weights() -> None:
    """Never more weights at once than max_weights, beside one query of a batch."""
    seen: list[int] = []
    model = ENCODERS["kmer"]
    true = type(model.layers[0].attention).weights

    def counted(self, *arguments):
        found = true(self, *arguments)
        seen.append(found.numel())
        return found

    codes = np.tile(CODES, (40, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.layers[0].attention), "weights", counted)
        AttentionReader(model, max_weights=5_000).attention_received(codes)
    assert max(seen) <= 5_000


def test_contacts_are_over_what_is_usual_at_their_distance() -> None:
    """Every weight falls with the distance alone, but one that is three times as much."""
    n = 100
    weights = 0.5 ** np.abs(np.subtract.outer(np.arange(n), np.arange(n))).astype(float)
    weights[5, 12] *= 3
    intervals = np.array([[1200, 1290], [300, 500], [50_000, 50_100]])
    found = observed_over_expected(weights, np.arange(n + 1) * 100, [550, 990], intervals)
    usual = (185 + 3) / 186  # of both diagonals at 7 bins, which hold that one too
    np.testing.assert_allclose(found[0, 0], 3 / usual)
    np.testing.assert_allclose(found[1, :2], 1, atol=1e-9)
    assert np.isnan(found[:, 2]).all()
    flat = np.full((n, n), 0.01)
    flat[0, n - 1] = 0.1  # alone with one other at its distance
    (corner,) = observed_over_expected(flat, np.arange(n + 1) * 100, [50], np.array([[9_900, 10_000]]))[0]
    assert corner > 5


@pytest.mark.parametrize("k", [1, 3])
def test_the_whole_matrix_is_that_of_the_bases(k) -> None:
    model = small_encoder(KmerTokenizer(k), context_length=30)
    codes = np.random.default_rng(3).integers(0, 4, 30, dtype=np.uint8)
    weights, edges = AttentionReader(model, [1]).matrix(codes)
    ids = torch.from_numpy(model.tokenizer.encode(codes[None]).ids)
    with torch.inference_mode():
        steps = list(model.attentions(ids))
        full = steps[1](0, ids.shape[1])[0].mean(0).numpy()
    np.testing.assert_allclose(weights, full[1:-1, 1:-1], atol=1e-6)
    assert edges.tolist() == [*range(30 - k + 1), 30]


def test_some_heads_are_those_of_all() -> None:
    for model, codes in ((ENCODERS["rotary"], CODES), (LONG, CODES)):
        every, one = AttentionReader(model, [0, 1]), AttentionReader(model, [0, 1], [1])
        for name in ("rows", "attention_received", "entropy"):
            np.testing.assert_allclose(getattr(one, name)(codes), getattr(every, name)(codes)[:, :, [1]], atol=1e-6)
    with pytest.raises(ConfigError, match="head 7: this model has heads 0 to 1 in each layer"):
        AttentionReader(LONG, heads=[7])
