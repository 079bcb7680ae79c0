"""Losses of tracks: values by hand, torch's Poisson, a naive multinomial, where the least is, what they do not see."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from genoformer.training.losses import TRACK_LOSSES, log_squares, poisson, poisson_multinomial, track_loss_named


def tracks(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted and measured, [2, 3, 5]."""
    torch.manual_seed(seed)
    return torch.rand(2, 3, 5, dtype=torch.float64) + 0.1, torch.randint(0, 9, (2, 3, 5)).double()


def test_poisson_is_torchs() -> None:
    predicted, measured = tracks()
    expected = F.poisson_nll_loss(predicted, measured, log_input=False, eps=1e-7, reduction="none").mean(-1)
    torch.testing.assert_close(poisson(predicted, measured), expected)


def test_the_multinomial_part_is_the_naive_sum() -> None:
    predicted, measured = tracks()
    found = poisson_multinomial(predicted, measured, total_weight=0.0)
    for b in range(2):
        for k in range(3):
            share = predicted[b, k] / predicted[b, k].sum()
            expected = -sum(float(y) * math.log(float(p)) for y, p in zip(measured[b, k], share, strict=True)) / 5
            assert float(found[b, k]) == pytest.approx(expected, rel=1e-5)


def test_of_two_bins_by_hand() -> None:
    """y = 3, 1 and y' = 2, 2: places -4 log(1/2), total 4 - 4 log 4; weight 0.5, two bins."""
    found = poisson_multinomial(torch.tensor([[[2.0, 2.0]]]), torch.tensor([[[3.0, 1.0]]]), total_weight=0.5)
    assert found.item() == pytest.approx((0.5 * (4 - 4 * math.log(4)) + 4 * math.log(2)) / 2, rel=1e-5)


def test_logarithms_by_hand() -> None:
    """y' = 0, 3 and y = 1, 0: the squares of log 2 and log 4, of which the second is four times the first."""
    found = log_squares(torch.tensor([[[0.0, 3.0]]]), torch.tensor([[[1.0, 0.0]]]))
    assert found.item() == pytest.approx(math.log(2) ** 2 * 5 / 2, rel=1e-6)


@pytest.mark.parametrize("name", TRACK_LOSSES)
def test_nothing_is_better_than_the_truth(name) -> None:
    _, measured = tracks()
    measured = measured + 0.5
    best = TRACK_LOSSES[name](measured, measured).sum()
    for seed in range(20):
        torch.manual_seed(seed)
        other = measured * torch.exp(0.2 * torch.randn_like(measured))
        assert TRACK_LOSSES[name](other, measured).sum() > best


def test_without_the_total_the_scale_of_a_track_does_not_count() -> None:
    predicted, measured = tracks()
    one, ten = (poisson_multinomial(s * predicted, measured, total_weight=0.0) for s in (1, 10))
    torch.testing.assert_close(one, ten, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", TRACK_LOSSES)
def test_a_prediction_of_nothing_is_finite_with_its_gradient(name) -> None:
    predicted = torch.zeros(1, 1, 4, requires_grad=True)
    loss = TRACK_LOSSES[name](predicted, torch.ones(1, 1, 4)).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(predicted.grad).all()


def reference_multinomial(predicted: torch.Tensor, measured: torch.Tensor, n_segment: int) -> float:
    """The loss of AlphaGenome (losses.py, `multinomial_loss`) of one track [N] with a positional weight of 5."""
    total, position, n = 0.0, 0.0, len(predicted)
    for first in range(0, n, n_segment):
        y_hat, y = predicted[first : first + n_segment], measured[first : first + n_segment]
        s_hat, s = float(y_hat.sum()), float(y.sum())
        total += (s_hat - s * math.log(s_hat + 1e-7)) - (s - s * math.log(s + 1e-7))
        position -= sum(float(a) * math.log(float(b) / (s_hat + 1e-7) + 1e-7) for a, b in zip(y, y_hat, strict=True))
    return total / (n // n_segment) / n_segment + 5 * position / n


def test_segments_are_the_loss_of_alphagenome_but_for_a_factor_and_what_the_model_does_not_change() -> None:
    torch.manual_seed(0)
    measured = torch.randint(1, 9, (1, 1, 12)).double()
    first, second = (torch.rand(1, 1, 12, dtype=torch.float64) + 0.1 for _ in range(2))
    differences = [
        float(poisson_multinomial(first, measured, 0.2, n_segment=n) - poisson_multinomial(second, measured, 0.2, n_segment=n))
        for n in (3, 4, 12)
    ]
    expected = [
        reference_multinomial(first[0, 0], measured[0, 0], n) - reference_multinomial(second[0, 0], measured[0, 0], n)
        for n in (3, 4, 12)
    ]
    assert [5 * value for value in differences] == pytest.approx(expected, rel=1e-4)
    assert len({round(value, 6) for value in differences}) == 3


def test_a_segment_has_131072_bases() -> None:
    torch.manual_seed(0)
    predicted, measured = torch.rand(1, 1, 4) + 0.1, torch.rand(1, 1, 4)
    long = track_loss_named("segments", total_weight=0.2, bin_size=65_536)(predicted, measured)
    torch.testing.assert_close(long, poisson_multinomial(predicted, measured, 0.2, n_segment=2))
    short = track_loss_named("segments", total_weight=0.2, bin_size=128)(predicted, measured)
    torch.testing.assert_close(short, poisson_multinomial(predicted, measured))
    assert track_loss_named("log", total_weight=0.2, bin_size=128) is log_squares
