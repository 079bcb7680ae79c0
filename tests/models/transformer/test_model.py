"""The encoder's own options: every one of them keeps the invariances that its name promises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from genoformer.catalog import shipped
from genoformer.errors import CheckpointError, ConfigError
from genoformer.files import sha256_of
from genoformer.models import folders, registry
from genoformer.models.token_model import successors, window_log2_likelihood
from genoformer.models.transformer.attention import Attention, alibi_slopes, rotate, sinusoidal_positions
from genoformer.models.transformer.config import EncoderConfig
from genoformer.models.transformer.model import Encoder
from genoformer.tokenizers import BaseTokenizer, KmerTokenizer, save_tokenizer

OPTIONS = list(
    itertools.product(["learned", "rotary", "alibi", "sinusoidal"], ["post", "pre"], ["gelu", "geglu"], [False, True], [0, 5])
)


def make(position="learned", norm="post", activation="gelu", causal=False, conv_kernel=0, **fields) -> Encoder:
    torch.manual_seed(0)
    shape = {"n_vocab": 9, "width": 24, "n_layers": 2, "n_heads": 3, "ffn_width": 32, "max_tokens": 64, "init_std": 0.3}
    return Encoder(
        EncoderConfig(**{**shape, **fields}, position=position, norm=norm, activation=activation, causal=causal,
                      conv_kernel=conv_kernel)
    ).eval()  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o)))
def test_logits_at_some_rows_are_those_of_the_whole(options) -> None:
    model, ids = make(*options), torch.randint(0, 9, (3, 20))
    rows = torch.tensor([[0, 5, 19], [3, 3, 4], [19, 0, 1]])
    candidates = torch.randint(0, 9, (3, 3, 4))
    with torch.no_grad():
        whole = model(ids)
        asked = whole.gather(1, rows[..., None].expand(-1, -1, 9))
        torch.testing.assert_close(model.logits_at(ids, rows), asked, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model.logits_at(ids, rows, candidates), asked.gather(2, candidates), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o)))
def test_padding_changes_nothing_and_batches_do_not_mix(options) -> None:
    model, ids = make(*options), torch.randint(5, 9, (2, 12))
    keep = torch.ones(2, 16, dtype=torch.bool)
    keep[:, 12:] = False
    padded = torch.cat([ids, torch.zeros(2, 4, dtype=torch.long)], dim=1)
    with torch.no_grad():
        alone = model(ids[1:])
        torch.testing.assert_close(model(padded, keep)[1:, :12], alone, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model(ids)[1:], alone, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o)))
def test_a_causal_token_sees_only_those_before_it(options) -> None:
    model, ids = make(*options), torch.randint(5, 9, (1, 12))
    changed = ids.clone()
    changed[0, 7] = 5 + (ids[0, 7] - 5 + 1) % 4
    with torch.no_grad():
        before = torch.allclose(model(ids)[:, :7], model(changed)[:, :7], atol=1e-6)
    assert before == options[3]


@pytest.mark.parametrize("position", ["rotary", "alibi"])
def test_relative_positions_do_not_know_where_a_window_begins(position) -> None:
    """Six tokens alone, and the same six far along behind masked-out ones, give the same logits."""
    model, ids = make(position), torch.randint(5, 9, (1, 6))
    shifted = torch.cat([torch.zeros(1, 30, dtype=torch.long), ids], dim=1)
    keep = torch.arange(36)[None] >= 30
    with torch.no_grad():
        torch.testing.assert_close(model(shifted, keep)[:, 30:], model(ids), atol=1e-4, rtol=1e-4)


def test_positions_by_hand() -> None:
    assert sinusoidal_positions(torch.arange(2), 4)[1].tolist() == pytest.approx([0.84147, 0.54030, 0.01, 0.99995], abs=1e-5)
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]
    assert alibi_slopes(3).tolist() == [2.0**-4, 2.0**-8, 2.0**-2]  # 2 of the power of two, 1 between them
    x = torch.tensor([[[[1.0, 0.0]]]])  # one pair turned by one radian
    assert rotate(x, torch.tensor([[1]]))[0, 0, 0].tolist() == pytest.approx([0.54030, 0.84147], abs=1e-5)


def test_a_causal_model_is_a_distribution_over_windows() -> None:
    """P over all 64 windows of three bases sums to 1; k = 2 leaves its first 2-mer out of the sum."""
    model = make(causal=True, n_vocab=9)
    model.tokenizer = BaseTokenizer()
    words = torch.tensor(list(itertools.product(range(5, 9), repeat=3)))
    ids = torch.cat([torch.full((64, 1), 2), words], dim=1)
    with torch.no_grad():
        log_p = model.log_likelihood(ids)[:, :].sum(1)
        among_bases = model.log_likelihood(ids, lambda t: torch.arange(5, 9).expand(*t.shape, 4)).sum(1)
    assert log_p.exp().sum().item() < 1  # special tokens take their share
    assert among_bases.exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_overlapping_kmers_are_a_distribution_over_the_bases_that_follow() -> None:
    tokenizer = KmerTokenizer(2)
    model = make(causal=True, n_vocab=tokenizer.n_vocab)
    model.tokenizer = tokenizer
    words = np.array([[0, 1, *tail] for tail in itertools.product(range(4), repeat=3)], dtype=np.uint8)  # AC...
    ids = torch.from_numpy(tokenizer.encode(words).ids)
    with torch.no_grad():
        log2_p = window_log2_likelihood(model, tokenizer, ids)
    assert log2_p.exp2().sum().item() == pytest.approx(1, abs=1e-5)


def test_samples_follow_the_model() -> None:
    """Frequencies of the next base over 4,000 draws lie within 4 standard errors of its probabilities."""
    model = make(causal=True)
    prompt = torch.tensor([[2, 5, 8]]).repeat(4000, 1)
    drawn = model.sample(prompt, 1, torch.Generator().manual_seed(0))[:, -1]
    with torch.no_grad():
        p = model(prompt[:1])[0, -1].softmax(-1)
    frequency = torch.bincount(drawn, minlength=9) / 4000
    assert ((frequency - p).abs() <= 4 * (p * (1 - p) / 4000).sqrt() + 1e-6).all()


def test_sampled_kmers_overlap() -> None:
    tokenizer = KmerTokenizer(3)
    model = make(causal=True, n_vocab=tokenizer.n_vocab)
    prompt = torch.from_numpy(tokenizer.encode(__import__("numpy").zeros((4, 5), dtype="uint8")).ids[:, :-1])
    ids = model.sample(prompt, 12, torch.Generator().manual_seed(1), candidates=lambda t: successors(tokenizer, t))
    words = [list(tokenizer.vocab)[i] for i in ids[0, 1:].tolist()]
    assert all(a[1:] == b[:-1] for a, b in itertools.pairwise(words))


def test_layers_and_pooled_output() -> None:
    model, ids = make(pooler=True), torch.randint(5, 9, (2, 9))
    with torch.no_grad():
        x = model.embed(ids, layer=0)
        for i, layer in enumerate(model.layers):
            x = layer(x)
            torch.testing.assert_close(model.embed(ids, layer=i + 1), x)
        torch.testing.assert_close(model.pooled(ids), torch.tanh(model.pooler(x[:, 0])), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 10, "n_heads": 3}, "no multiple"),
        ({"position": "none"}, "allowed are 'learned'"),
        ({"norm": "mid"}, "'post', 'pre'"),
        ({"n_layers": 0}, "at least 1"),
        ({"dropout": 1.0}, "from 0 up to"),
        ({"conv_kernel": 4}, "no middle"),
        ({"width": 9, "n_heads": 3, "position": "rotary"}, "even width"),
    ],
)
def test_configurations_that_cannot_work_are_refused(fields, words) -> None:
    with pytest.raises(ConfigError, match=words):
        EncoderConfig(**fields)


def test_calls_that_cannot_work_are_refused() -> None:
    model = make()
    for call in (
        lambda: model(torch.zeros(1, 65, dtype=torch.long)),  # positions end at 64
        lambda: model.embed(torch.zeros(1, 5, dtype=torch.long), layer=3),
        lambda: model.log_likelihood(torch.zeros(1, 5, dtype=torch.long)),
        lambda: model.sample(torch.zeros(1, 5, dtype=torch.long), 1, torch.Generator()),
        lambda: model.pooled(torch.zeros(1, 5, dtype=torch.long)),
    ):
        with pytest.raises(ConfigError):
            call()


def test_our_folder_round_trip_and_half_precision(tmp_path) -> None:
    model = make("rotary", "pre", "geglu")
    model.tokenizer = BaseTokenizer()
    ids = torch.randint(5, 9, (2, 9))
    registry.save(model, tmp_path / "whole", manifest={"seed": 1})
    again = registry.load(tmp_path / "whole")
    assert again.config == model.config
    assert again.sha256 == sha256_of(tmp_path / "whole" / "model.safetensors")
    with torch.no_grad():
        assert torch.equal(again(ids), model(ids))
    registry.save(model, tmp_path / "half", dtype=torch.float16)
    half = registry.load(tmp_path / "half")
    assert next(half.parameters()).dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(half(ids), model(ids), atol=0.02, rtol=0.02)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]


def damage_weights(folder):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def damage_nan(folder):
    model = registry.load(folder)
    with torch.no_grad():
        model.transform.bias[0] = torch.nan
    registry.save(model, folder)


ENCODER_OF_ANOTHER_WIDTH = (
    '{"genoformer": "0", "model": "genoformer.models.transformer.model:Encoder", "config": {"width": 12, "n_vocab": 9}}'
)


def damage_config(text):
    return lambda folder: (folder / "config.json").write_text(text)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_weights, "cannot be read"),
        (damage_nan, "NaN"),
        (damage_config("{"), "cannot be read"),
        (damage_config("[]"), "not a JSON object"),
        (damage_config('{"model_type": "gpt2"}'), "genoformer does not read it"),
        (damage_config('{"genoformer": "0", "model": "os:system", "config": {}}'), "refused"),
        (
            damage_config('{"genoformer": "0", "model": "genoformer.models.transformer.model:Encoder", "config": {"x": 1}}'),
            "unknown",
        ),
        (damage_config(ENCODER_OF_ANOTHER_WIDTH), "shape"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
        (lambda folder: save_tokenizer(KmerTokenizer(2), folder / "tokenizer.json"), "has 21 tokens, config.json 9"),
        (lambda folder: (folder / "model.safetensors").unlink(), "cannot be read"),
    ],
)
def test_damaged_folders_are_refused(tmp_path, damage, words) -> None:
    model = make()
    model.tokenizer = BaseTokenizer()
    registry.save(model, tmp_path)
    damage(tmp_path)
    with pytest.raises(CheckpointError, match=words):
        registry.load(tmp_path)


def test_a_pickle_that_runs_code_is_not_run(tmp_path) -> None:
    import json
    import os
    import pickle

    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    fields = {"vocab_size": 69, "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": 32, **fields}))
    (tmp_path / "vocab.txt").write_text("\n".join(KmerTokenizer(3).vocab))
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"bert.x": Payload()}))
    with pytest.raises(CheckpointError, match="not loaded"):
        registry.load(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("fields", "tokenizer", "words"),
    [
        ({"conv_kernel": 5}, KmerTokenizer(2), "conv_kernel = 0, this one has conv_kernel = 5"),
        ({"position": "rotary"}, KmerTokenizer(2), "position = 'learned', this one has position = 'rotary'"),
        ({"n_token_types": 0}, KmerTokenizer(2), "token types"),
        ({}, KmerTokenizer(2, 2), "stride 1"),
    ],
)
def test_what_dnaberts_layout_cannot_hold_is_not_written(tmp_path, fields, tokenizer, words) -> None:
    model = make(**{"n_vocab": 21, **fields})
    model.tokenizer = tokenizer
    with pytest.raises(ConfigError, match=words):
        registry.save(model, tmp_path / "out", layout="dnabert")
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("device", ["foo", "meta", "cuda:99", ""])
def test_devices_that_are_not_there_are_refused(device) -> None:
    from genoformer.inference import evaluating

    with pytest.raises(ConfigError, match="give one of cpu"), evaluating(make(), device):
        pass


def test_a_folder_that_is_no_model_does_not_hide_a_shipped_one(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    assert folders.resolve_model("demo") == shipped()["demo"]
    (tmp_path / "demo" / "config.json").write_text("{}")
    assert folders.resolve_model("demo").resolve() == tmp_path / "demo"


PADDINGS = {"after": (0, 23), "before": (23, 0), "both": (9, 14), "far": (3, 300)}  # 300: local layers in parts


@pytest.mark.parametrize("where", PADDINGS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("local_window", [0, 2, 6, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_padding_of_any_length_leaves_the_kept_tokens_as_they_are(where, causal, local_window, dtype) -> None:
    """Padding further from the kept tokens than a local layer reads, and before a causal sequence, sees no kept key."""
    shape = {
        "position": "rotary",
        "norm": "pre",
        "local_window": local_window,
        "global_every": 3,
        "dropout": 0.1,
        "n_layers": 4,
        "max_tokens": 400,
    }
    model = make(causal=causal, **shape).to(dtype)
    before, after = PADDINGS[where]
    ids = torch.randint(5, 9, (2, 11))
    padded = torch.nn.functional.pad(ids, (before, after))
    keep = torch.nn.functional.pad(torch.ones(2, 11, dtype=torch.bool), (before, after))
    close = {"atol": 1e-5, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 0.15, "rtol": 0.05}
    with torch.no_grad():
        inside = model(padded, keep)[:, before : before + 11]
        torch.testing.assert_close(inside, model(ids), **close)
        rows = torch.tensor([[before, before + 10]]).expand(2, -1)
        torch.testing.assert_close(model.logits_at(padded, rows, keep=keep), inside[:, [0, 10]], **close)
    model.train()(padded, keep)[:, before : before + 11].square().sum().backward()  # with dropout: another kernel
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_under_any_mask_is_the_softmax_over_the_keys_that_are_kept(seed, dtype) -> None:
    """Masks with holes, any reach, causal or not, with and without dropout's kernel, compared with a loop in float64."""
    draw = np.random.default_rng(seed)
    n, reach, causal = int(draw.integers(1, 30)), int(draw.integers(0, 5)), bool(draw.integers(2))
    torch.manual_seed(seed)
    shape = {"position": "rotary", "norm": "pre", "causal": causal, "local_window": 2 * reach, "global_every": 2}
    config = EncoderConfig(n_vocab=9, width=24, n_layers=2, n_heads=3, ffn_width=32, max_tokens=64, dropout=0.0, **shape)
    layer = Attention(config, index=1).to(dtype).eval()
    x, keep = torch.randn(2, n, 24).to(dtype), torch.from_numpy(draw.random((2, n)) < 0.4)
    with torch.no_grad():
        y = layer(x, keep)
        q, k, v = (t.double() for t in layer._heads(x, None, None, None)[:3])
        assert y.isfinite().all()  # a NaN at padding reaches the others in the next layer
        weights = layer.weights(x, keep, 0, n)
        assert weights.isfinite().all()
        for i, at in itertools.product(range(2), range(n)):
            if not keep[i, at]:
                continue
            near = [t for t in range(n) if keep[i, t] and (abs(t - at) <= reach or not reach) and (t <= at or not causal)]
            p = (q[i, :, at, None] * k[i, :, near] / 8**0.5).sum(-1).softmax(-1)  # [H, keys]
            expected = layer.out.double()((p[..., None] * v[i, :, near]).sum(1).flatten())
            tolerance = 1e-5 if dtype == torch.float32 else 0.03
            torch.testing.assert_close(y[i, at].double(), expected, atol=tolerance, rtol=tolerance)
            layer.to(dtype)


def test_continued_tokens_do_not_see_an_earlier_key_that_is_hidden() -> None:
    """With `visible`, keys kept from a longer prefix have the positions of the new tokens; none of them is seen as padding."""
    model = make("rotary", "pre", causal=True, n_layers=3, local_window=6, global_every=3)
    ids = torch.randint(5, 9, (1, 12))
    past = model.new_past()
    assert past is not None
    keep = torch.tensor([[True, True, False]])
    with torch.no_grad():
        model.embed(ids, past=past)
        for earlier in past:
            earlier.visible, earlier.frozen = torch.tensor([8]), True
        padded = torch.cat([ids[:, 8:10], ids[:, :1]], dim=1)
        continued = model.embed(padded, keep, past=past)[:, :2]
        torch.testing.assert_close(continued, model.embed(ids[:, :10])[:, 8:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("n_tokens", "reach"), [(300, 4), (128 + 9, 8), (385, 60), (100, 5)])
def test_a_local_layer_in_parts_is_the_softmax_over_its_window(causal, padded, n_tokens, reach) -> None:
    """The reference is a softmax over all pairs of tokens, those out of reach masked; values and gradients."""
    shape = {"n_vocab": 9, "width": 24, "n_heads": 3, "n_kv_heads": 1, "local_window": 2 * reach, "global_every": 3}
    attention = Attention(EncoderConfig(**shape, position="rotary", causal=causal, dropout=0.0), index=1)
    x = torch.randn(2, n_tokens, 24, requires_grad=True)
    keep = torch.ones(2, n_tokens, dtype=torch.bool)
    keep[1, -5:] = not padded
    at = torch.arange(n_tokens)
    distance = at[:, None] - at
    seen = (distance.abs() <= reach) & (distance >= (0 if causal else -n_tokens)) & (keep[:, None, None] | (distance == 0))
    q, k, v = attention.qkv(x).split([24, 8, 8], dim=-1)
    q, k, v = (t.unflatten(-1, (-1, 8)).transpose(1, 2) for t in (q, k, v))
    q, k = rotate(q, at[None]), rotate(k, at[None])
    weights = (q @ k.transpose(-1, -2) * 8**-0.5).masked_fill(~seen, -torch.inf).softmax(-1)
    expected = attention.out((weights @ v).transpose(1, 2).flatten(2))[keep]
    found = attention(x, keep if padded else None, shared={})[keep]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    gradients = [torch.autograd.grad(y.square().sum(), x, retain_graph=True)[0] for y in (found, expected)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(attention(x, keep if padded else None, shared={})[keep], expected, atol=1e-5, rtol=1e-5)
