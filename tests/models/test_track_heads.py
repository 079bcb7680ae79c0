"""Other heads on a track model: against enformer-pytorch's modules and plain formulas; what a call trains and leaves."""

from __future__ import annotations

import pytest
import torch
from small_models import random_onehot, small_enformer
from torch import nn

from genoformer.errors import ConfigError
from genoformer.models.enformer.model import Enformer
from genoformer.models.lora import LowRank, add_adapters, merge_adapters
from genoformer.models.track_heads import (
    CONTEXT_HEADS,
    ContextAttentionHead,
    ContextHead,
    TrackHead,
    TrackModelWithHead,
    make_context_head,
)
from genoformer.models.tuning import trained_names

WIDTH, CONTEXT = 48, 5  # of the embedding of a small model, and of a cell type's vector


@pytest.fixture
def embedding() -> torch.Tensor:
    return torch.randn(2, WIDTH, 7, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def contexts() -> torch.Tensor:
    return torch.randn(3, 4, CONTEXT, generator=torch.Generator().manual_seed(1))  # 3 cell types of 4 vectors


def theirs(name: str, width: int, **options):
    """A module of enformer-pytorch's whose model hands out an embedding [B, N, 2 C] that it is given."""
    pytest.importorskip("enformer_pytorch", reason="enformer-pytorch is not installed (extra: dev)")
    from enformer_pytorch import Enformer
    from enformer_pytorch import finetune as reference

    class Given(Enformer):
        def __init__(self) -> None:
            nn.Module.__init__(self)
            self.dim = width // 2

        def forward(self, embedding, **_):
            return embedding

    torch.manual_seed(0)
    return getattr(reference, name)(enformer=Given(), **options)


def test_a_context_head_is_that_of_enformer_pytorch(embedding, contexts) -> None:
    reference, head = theirs("ContextAdapterWrapper", WIDTH, context_dim=CONTEXT), ContextHead(WIDTH, CONTEXT)
    head.load_state_dict({"to_weight": reference.to_context_weights[None], "to_bias": reference.to_context_bias[None]})
    expected = reference(embedding.transpose(1, 2), context=contexts[:, 0])  # [B, N, K]
    torch.testing.assert_close(head(embedding, contexts[:, 0]).transpose(1, 2), expected, rtol=1e-5, atol=1e-6)


def attention_heads():
    reference = theirs("ContextAttentionAdapterWrapper", WIDTH, context_dim=CONTEXT, heads=2, dim_head=6)
    for norm in (reference.query_norm, reference.key_values_norm):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    head = ContextAttentionHead(WIDTH, CONTEXT, n_heads=2, key_width=6)
    key, value = reference.to_key_values.weight.chunk(2)
    parts = {
        "norm_bins": reference.query_norm,
        "norm_context": reference.key_values_norm,
        "query": reference.to_queries,
        "mix": reference.to_out,
        "out": reference.to_pred[0],
    }
    weights = {f"{name}.{what}": t for name, part in parts.items() for what, t in part.state_dict().items()}
    own = {"key.weight": key, "value.weight": value, "null_key": reference.null_key, "null_value": reference.null_value}
    head.load_state_dict(weights | own)
    return reference, head


@pytest.mark.parametrize("several", [False, True])
def test_a_context_attention_head_is_that_of_enformer_pytorch(embedding, contexts, several: bool) -> None:
    reference, head = attention_heads()
    asked = contexts if several else contexts[:, 0]
    windows = embedding.transpose(1, 2).split(1)  # of several, theirs adds the attention of one to the bins of another
    expected = torch.cat([reference(window, context=asked) for window in windows])  # [B, N, K]
    torch.testing.assert_close(head(embedding, asked).transpose(1, 2), expected, rtol=1e-4, atol=1e-5)
    assert expected.std() > 0.1


def test_vectors_that_are_not_there_are_as_if_left_out(embedding, contexts) -> None:
    head = ContextAttentionHead(WIDTH, CONTEXT, n_heads=2, key_width=6)
    there = torch.tensor([[True, True, False, False], [True, True, True, True], [False, False, False, False]])
    found = head(embedding, contexts, there)
    torch.testing.assert_close(found[:, 0], head(embedding, contexts[:1, :2])[:, 0])
    torch.testing.assert_close(found[:, 1], head(embedding, contexts[1:2])[:, 0])
    plain = embedding.transpose(1, 2) + head.mix(head.null_value)  # all attend to the null key
    expected = nn.functional.softplus(head.out(plain))[..., 0]
    torch.testing.assert_close(found[:, 2], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", CONTEXT_HEADS)
def test_several_measurements_are_one_head_each(embedding, contexts, kind: str) -> None:
    """Tracks are ordered by context, then by measurement; some tracks are those of all."""
    torch.manual_seed(2)
    head = make_context_head(kind, WIDTH, CONTEXT, 2)
    for parameter in head.parameters():
        nn.init.normal_(parameter, std=0.3)
    found = head(embedding, contexts[:, 0])
    assert found.shape == (2, 6, 7)
    for a in range(2):
        one = make_context_head(kind, WIDTH, CONTEXT, 1)
        own = ("out.weight", "out.bias", "to_weight", "to_bias")  # of a measurement; the rest is shared
        one.load_state_dict({name: t[a : a + 1] if name in own else t for name, t in head.state_dict().items()})
        torch.testing.assert_close(found[:, a::2], one(embedding, contexts[:, 0]), rtol=1e-4, atol=1e-5)
    for only in ([5], [3, 0, 4, 1, 2, 5, 3], [2, 5]):
        torch.testing.assert_close(
            head(embedding, contexts[:, 0], only=torch.tensor(only)), found[:, only], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("kind", CONTEXT_HEADS)
def test_a_head_starts_near_the_means(embedding, contexts, kind: str) -> None:
    torch.manual_seed(2)
    head = make_context_head(kind, WIDTH, CONTEXT + 1, 2)
    described = torch.cat([contexts[:, 0], torch.ones(3, 1)], 1)
    head.start_at(torch.tensor([0.5, 20.0]), has_constant=True)
    means = head(embedding, described).mean((0, 2))
    torch.testing.assert_close(means, torch.tensor([0.5, 20.0] * 3), rtol=0.35, atol=0)


def test_a_head_on_new_tracks_is_that_of_the_model(embedding) -> None:
    model, head = small_enformer(), TrackHead(WIDTH, 5)
    own = model.heads["human"]
    head.out.load_state_dict(own.state_dict())
    torch.testing.assert_close(head(embedding), model.tracks(embedding, "human"))


@pytest.mark.parametrize(
    ("head", "arguments", "message"),
    [
        (ContextHead(WIDTH, CONTEXT), (torch.zeros(3, 4),), r"contexts are \[3, 4\]; give \[K, D\] with D = 5"),
        (ContextHead(WIDTH, CONTEXT), (torch.zeros(3, 2, 5),), r"give \[K, D\] with"),
        (ContextAttentionHead(WIDTH, CONTEXT), (torch.zeros(5),), r"give \[K, D\] or \[K, M, D\] with D = 5"),
        (ContextAttentionHead(WIDTH, CONTEXT), (torch.zeros(3, 2, 5), torch.ones(2, 2) > 0), r"the mask is \[2, 2\]"),
    ],
)
def test_contexts_of_other_shapes_are_refused(embedding, head, arguments, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        head(embedding, *arguments)


# --- a model with such a head


def adapted(n_tracks: int = 3) -> TrackModelWithHead:
    model = small_enformer()
    return TrackModelWithHead(model, TrackHead(2 * model.config.width, n_tracks))


def squared(predicted: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
    return (predicted - measured).square().mean()


def test_the_loss_is_that_of_the_tracks() -> None:
    one, onehot, measured = adapted(), random_onehot(2, 256), torch.ones(2, 3, 10)
    expected = squared(one(onehot, n_bins=10), measured)
    assert one.loss(squared, onehot, measured, n_bins=10).item() == expected.item()
    assert one(onehot).shape == (2, 3, 32)
    torch.testing.assert_close(one(onehot)[..., 11:21], one(onehot, n_bins=10), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2, 3, 40), {}, "with 40 bins, and the model gives 32; give windows of 320 bases .a window of 256 bases has up"),
        ((2, 3, 32), {"n_bins": 10}, "with 32 bins, and the model gives 10; give n_bins = 32"),
        ((2, 4, 32), {}, "4 tracks of 2 windows; the model gives 3 of 2"),
        ((1, 3, 32), {}, "3 tracks of 1 windows; the model gives 3 of 2"),
        ((3, 32), {}, r"the target is \[3, 32\]"),
        ((2, 3, 40), {"n_bins": 40}, "found n_bins = 40, but a window of 256 bases has 32 bins of 8 bases"),
    ],
)
def test_targets_of_other_shapes_are_refused_with_the_numbers(shape, options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        adapted().loss(squared, random_onehot(2, 256), torch.zeros(shape), **options)


TRUNK = {name for name, _ in small_enformer().named_parameters() if not name.startswith("heads.")}
LAST = {name for name in TRUNK if name.startswith(("blocks.1.", "final."))}
NORMS = {f"blocks.{i}.norm_{part}.{what}" for i in (0, 1) for part in ("attention", "feed") for what in ("weight", "bias")}


@pytest.mark.parametrize(("tune", "chosen"), [("full", TRUNK), ("last", LAST), ("norms", NORMS), ("frozen", set())])
@pytest.mark.parametrize("fixed", [False, True])
def test_a_call_trains_what_it_is_asked_for_and_puts_everything_back(tune: str, chosen, fixed: bool) -> None:
    one = adapted().train()
    one.model.requires_grad_(not fixed)
    flags, modes = [p.requires_grad for p in one.parameters()], [module.training for module in one.modules()]
    statistics = [t.clone() for t in one.model.buffers()]
    one.loss(squared, random_onehot(2, 256), torch.zeros(2, 3, 32), tune=tune, last_blocks=1).backward()
    moved = {name for name, p in one.model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert moved == (set() if fixed else chosen)  # a parameter's own flag holds
    assert all(p.grad is not None for p in one.head.parameters())
    assert [p.requires_grad for p in one.parameters()] == flags
    assert [module.training for module in one.modules()] == modes
    same = [a.equal(b) for a, b in zip(statistics, one.model.buffers(), strict=True)]
    own = 0 if tune == "frozen" or fixed else 3 if tune == "last" else 0  # the final convolution's norm is trained too
    assert not any(same) if tune == "full" and not fixed else sum(same) == len(same) - own


def test_flags_of_the_parameters_hold_where_none_are_asked_for() -> None:
    one = adapted().train()
    one.model.requires_grad_(False)
    one.loss(squared, random_onehot(2, 256), torch.zeros(2, 3, 32)).backward()
    assert all(p.grad is None for p in one.model.parameters())


def test_a_failure_puts_everything_back_too() -> None:
    one = adapted().train()
    with pytest.raises(ConfigError, match="whole number of bins"):
        one(random_onehot(1, 100), tune="frozen")
    assert all(p.requires_grad for p in one.parameters())
    assert all(module.training for module in one.modules())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tune": "half"}, "tune = 'half': allowed are full, last, norms, frozen, lora"),
        ({"tune": "last", "n_last": 3}, "last 3 layers: the model has layers 1 to 2"),
        ({"tune": "last", "n_last": 0}, "last 0 layers"),
    ],
)
def test_choices_that_cannot_be_are_refused(options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        trained_names(small_enformer(), **options)
    one = adapted().train()
    one.model.activation_checkpointing = True
    with pytest.raises(ConfigError, match="with checkpointing"):
        one(random_onehot(1, 256), tune="norms")


# --- low-rank adapters on the blocks


@pytest.mark.parametrize("training", [False, True])
def test_low_rank_adapters_start_as_nothing_and_merge_into_the_same_function(training: bool) -> None:
    model = small_enformer(dropout=0.0, attention_dropout=0.0, position_dropout=0.0)
    onehot, names = random_onehot(2, 256), list(model.state_dict())

    def tracks(of: Enformer) -> torch.Tensor:
        with torch.set_grad_enabled(training):  # the other way through attention
            return of(onehot, "human").detach()

    base = tracks(model)
    model.requires_grad_(False)
    add_adapters(model.blocks, rank=2)
    adapters = [module for module in model.modules() if isinstance(module, LowRank)]
    assert len(adapters) == 2 * 7  # query, key, value, position, out, up, down
    assert {name.rpartition(".")[2] for name, p in model.named_parameters() if p.requires_grad} == {"a", "b"}
    torch.testing.assert_close(tracks(model), base, rtol=1e-5, atol=1e-6)
    for adapter in adapters:
        nn.init.normal_(adapter.b, std=0.1)
    changed = tracks(model)
    assert (changed - base).abs().max() > 1e-2
    merge_adapters(model)
    torch.testing.assert_close(tracks(model), changed, rtol=1e-4, atol=1e-5)
    assert list(model.state_dict()) == names


def test_the_last_blocks_of_a_model_without_any() -> None:
    model = small_enformer(n_blocks=0)
    assert {name.partition(".")[0] for name in trained_names(model, "last", 2)} == {"final"}
