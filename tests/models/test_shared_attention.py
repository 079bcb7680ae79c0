"""SharedAttention: copies with few changed rows have the attention of the formula, also where little of a query is kept."""

from __future__ import annotations

import copy

import pytest
import torch

from genoformer.models import track_layers
from genoformer.models.borzoi.attention import central_mask_features
from genoformer.models.shared_attention import SharedAttention, Span, spans_of
from genoformer.models.track_layers import AttentionShape, RelativeAttention, attend_with_positions, columns_of_distances

N_ROWS, WIDTH = 40, 12


def attention_of(n_features: int, *, scale: float = 1.0) -> RelativeAttention:
    torch.manual_seed(1)
    attention = RelativeAttention(AttentionShape(WIDTH, n_heads=2, key_width=5, value_width=6, n_features=n_features)).eval()
    torch.nn.init.normal_(attention.out.weight)
    with torch.no_grad():
        attention.query.weight *= scale
    return attention


def by_formula(attention: RelativeAttention, x: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """softmax((q + u) k + (q + v) r) v in float64, one query at a time."""
    wide = RelativeAttention(attention_shape(attention)).double().eval()
    wide.load_state_dict(attention.state_dict())
    x, basis, rows = x.double(), basis.double(), []
    query, key, value = (part(x).unflatten(-1, (2, -1)) for part in (wide.query, wide.key, wide.value))
    position = wide.position(basis).unflatten(-1, (2, -1))
    for i in range(len(x)):
        heads = []
        for h in range(2):
            q = query[i, h] * 5**-0.5
            distances = torch.arange(len(x)) - i + len(x) - 1
            logits = key[:, h] @ (q + wide.content_bias[h]) + position[distances, h] @ (q + wide.position_bias[h])
            heads.append(logits.softmax(0) @ value[:, h])
        rows.append(torch.cat(heads))
    return wide.out(torch.stack(rows))


def attention_shape(attention: RelativeAttention) -> AttentionShape:
    return AttentionShape(WIDTH, n_heads=2, key_width=5, value_width=6, n_features=attention.position.in_features)


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


@pytest.mark.parametrize("n_features", [4, 9])  # fewer features of a position than channels of a key, and more
@pytest.mark.parametrize("scale", [1.0, 30.0])  # in the second, single keys have most of the weight of a query
@pytest.mark.parametrize("spans", [[Span(0, 1)], [Span(17, 20)], [Span(3, 5), Span(38, 40)], [Span(0, 40)]])
@torch.no_grad()
def test_copies_have_the_attention_of_the_formula(n_features, scale, spans) -> None:
    attention = attention_of(n_features, scale=scale)
    x, basis = torch.randn(N_ROWS, WIDTH), torch.randn(2 * N_ROWS - 1, n_features)
    shared = SharedAttention(attention, x, basis)
    assert_close(shared.output, by_formula(attention, x, basis))
    changed = [5 * torch.randn(span.end - span.start, WIDTH) for span in spans]
    copy = x.clone()
    for rows, span in zip(changed, spans, strict=True):
        copy[span.start : span.end] = rows
    assert_close(shared.edited(changed, spans), by_formula(attention, copy, basis))
    assert_close(shared.output, by_formula(attention, x, basis))  # a copy leaves the window as it was


@torch.no_grad()
def test_few_queries_are_recomputed(monkeypatch) -> None:
    """Weak attention: only the changed rows are new. Strong attention: also the queries with most of their weight on them."""
    computed = []
    original = SharedAttention._compute
    monkeypatch.setattr(
        SharedAttention, "_compute", lambda self, span, *rest: (computed.append(span), original(self, span, *rest))[1]
    )
    x, basis = torch.randn(N_ROWS, WIDTH), torch.zeros(2 * N_ROWS - 1, 4)
    SharedAttention(attention_of(4, scale=0.1), x, basis).edited([x[7:9] + 1], [Span(7, 9)])
    assert computed == [Span(0, N_ROWS), Span(7, 9)]
    computed.clear()
    strong = attention_of(4)
    x[9] *= 100  # the key that has all the weight of the queries that agree with it
    SharedAttention(strong, x, basis).edited([x[9:10] + 1], [Span(9, 10)])
    assert sum(span.end - span.start for span in computed[1:]) > 5


@torch.no_grad()
def test_with_many_changed_rows_all_queries_are_computed(monkeypatch) -> None:
    monkeypatch.setattr("genoformer.models.shared_attention._MOST_CHANGED", 3)
    attention, x, basis = attention_of(4), torch.randn(N_ROWS, WIDTH), torch.randn(2 * N_ROWS - 1, 4)
    copy = x.clone()
    copy[5:9] = 1
    found = SharedAttention(attention, x, basis).edited([copy[5:9]], [Span(5, 9)])
    assert_close(found, by_formula(attention, copy, basis))


@pytest.mark.parametrize("shift", [0.0, 200.0, -200.0])
@torch.no_grad()
def test_powers_that_would_overflow_or_vanish(shift) -> None:
    """e^200 and e^-200 are no float32; adding the same to all logits of a query leaves the softmax as it was."""
    torch.manual_seed(2)
    head = track_layers.HeadProducts(
        torch.randn(6, 4),
        torch.randn(4, 9),
        torch.cat([torch.randn(6, 3), torch.ones(6, 1)], 1),
        torch.randn(4, 17),
        None,
        torch.randn(9, 5),
    )
    head.positions[3] = shift
    out, log_sums = torch.empty(6, 5), torch.empty(6)
    attend_with_positions(head, 2, out, log_sums)
    wide = track_layers.HeadProducts(*(None if x is None else x.double() for x in head))
    logits = torch.stack(
        [wide.to_key[i] @ wide.keys + wide.to_position[i] @ wide.positions[:, 6 - i : 15 - i] for i in range(6)]
    )
    torch.testing.assert_close(out.double(), logits.softmax(-1) @ wide.values, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(log_sums.double(), logits.logsumexp(-1), rtol=1e-5, atol=1e-5)


def test_distances_with_equal_features_share_a_column() -> None:
    """Borzoi's features are constant between the widths of their masks; those of two distances of random numbers differ."""
    basis = central_mask_features(1024, 32, 4096)
    few, column = columns_of_distances(basis)
    assert len(few) < 32
    assert torch.equal(few[column], basis)
    basis = torch.randn(2047, 4)
    assert columns_of_distances(basis) == (basis, None)


def test_runs_of_true() -> None:
    assert spans_of(torch.zeros(4, dtype=torch.bool)) == []
    assert spans_of(torch.tensor([False, True, True, False, True])) == [Span(1, 3), Span(4, 5)]


@pytest.mark.parametrize("by_sdpa", [True, False])
@pytest.mark.parametrize(("n_features", "key_width"), [(8, 16), (32, 16), (8, 4)])
@torch.no_grad()
def test_attention_in_bfloat16(monkeypatch, by_sdpa, n_features, key_width) -> None:
    """On a matrix unit through SDPA, 64 queries at a time; positions with and without shared columns, narrow and wide keys."""
    monkeypatch.setattr(track_layers, "has_matrix_unit", lambda: by_sdpa)
    monkeypatch.setattr(track_layers, "_ROWS_OF_SDPA", 64)
    torch.manual_seed(3)
    shape = AttentionShape(24, n_heads=2, key_width=key_width, value_width=12, n_features=n_features)
    attention = RelativeAttention(shape).eval()
    torch.nn.init.normal_(attention.out.weight, std=0.2)
    x = torch.randn(1, 200, 24)
    half = copy.deepcopy(attention).to(torch.bfloat16)
    for basis in (central_mask_features(200, n_features, 200), torch.randn(399, n_features)):
        for rows in (slice(None), slice(30, 131)):
            with torch.enable_grad():
                expected = attention(x, basis, rows)  # the formula in whole matrices
            found = half(x.bfloat16(), basis.bfloat16(), rows).float()
            assert float((found - expected).abs().max() / expected.abs().max()) < 0.06
