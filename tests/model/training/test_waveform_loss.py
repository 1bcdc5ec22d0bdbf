"""Losses on waveforms: those of torchmetrics, with a limit, and with an answer to silence."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.audio import scale_invariant_signal_noise_ratio, signal_noise_ratio

from model.training.waveform_loss import WaveformLoss, is_silent, leak_db, si_snr_db, snr_db


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gain", [1e-4, 1.0])
def test_without_a_limit_they_are_those_of_torchmetrics(dtype: torch.dtype, gain: float) -> None:
    estimate, target = gain * noise(3, 2, 200, dtype=dtype), gain * noise(3, 2, 200, seed=1, dtype=dtype)
    estimate = estimate + target + 0.3 * gain  # with a mean, which one of them removes
    assert torch.allclose(snr_db(estimate, target), signal_noise_ratio(estimate, target), atol=1e-4)
    assert torch.allclose(si_snr_db(estimate, target), scale_invariant_signal_noise_ratio(estimate, target), atol=1e-4)
    loss = WaveformLoss()(estimate, target, estimate)
    clapsep = -0.9 * signal_noise_ratio(estimate, target) - 0.1 * scale_invariant_signal_noise_ratio(estimate, target)
    assert torch.allclose(loss, clapsep, atol=1e-4)


def test_perfect_stems_give_the_limit_and_bad_ones_do_not_feel_it() -> None:
    target = noise(2, 500)
    for measure in (snr_db, si_snr_db):
        assert torch.allclose(measure(target, target, 30.0), torch.full((2,), 30.0, dtype=torch.float64), atol=1e-6)
        bad = target + noise(2, 500, seed=1)
        assert torch.allclose(measure(bad, target, 30.0), measure(bad, target), atol=0.01)
    assert torch.allclose(WaveformLoss(limit_db=30.0)(target, target, target), torch.tensor(-30.0).double(), atol=1e-6)


def test_a_limit_takes_the_pull_from_examples_that_are_solved() -> None:
    target = noise(1, 300)
    good = (target + 1e-3 * noise(1, 300, seed=1)).requires_grad_()  # 60 dB
    pulls = [torch.autograd.grad(-snr_db(good, target, limit).sum(), good)[0].norm() for limit in (None, 30.0)]
    assert pulls[1] < 0.01 * pulls[0]


def test_si_snr_does_not_hear_the_level_and_snr_does() -> None:
    target = noise(1, 400)
    estimate = target + 0.1 * noise(1, 400, seed=1)
    assert torch.allclose(si_snr_db(3.0 * estimate, target), si_snr_db(estimate, target), atol=1e-6)
    assert float(snr_db(0.5 * target, target)) == pytest.approx(20.0 * math.log10(2.0))


def test_where_nothing_sounds_the_loss_is_the_level_of_the_stem() -> None:
    mixture, silence = noise(4, 300), torch.zeros(4, 300, dtype=torch.float64)
    loss = WaveformLoss(floor_db=-20.0)
    heard = loss(mixture * torch.tensor([[0.0], [0.1], [1.0], [10.0]]), silence, mixture)
    wanted = [-20.0, 10 * math.log10(0.02), 10 * math.log10(1.01), 10 * math.log10(100.01)]
    assert heard.tolist() == pytest.approx(wanted, abs=1e-6)
    assert leak_db(silence, silence).tolist() == [-20.0] * 4  # a silent mixture has no level


def test_silence_is_told_from_quiet_sounds() -> None:
    mixture = noise(1, 300).expand(4, -1)
    target = mixture * torch.tensor([[0.0], [10.0**-3.1], [10.0**-2.9], [1.0]])
    assert is_silent(target, mixture).tolist() == [True, True, False, False]
    assert is_silent(torch.zeros(1, 9), torch.zeros(1, 9)).tolist() == [True]


@pytest.mark.parametrize("limit_db", [None, 20.0])
def test_gradients_are_those_of_finite_differences(limit_db: float | None) -> None:
    loss = WaveformLoss(limit_db=limit_db)
    target, mixture = noise(3, 12, seed=1), noise(3, 12, seed=2)
    target[1] = 0.0  # a silent one among them
    assert torch.autograd.gradcheck(lambda e: loss(e, target, mixture), noise(3, 12).requires_grad_())
    assert torch.autograd.gradcheck(lambda e: leak_db(e, mixture), noise(3, 12).requires_grad_())


def test_gradients_are_finite_where_everything_is_silent() -> None:
    estimate = torch.zeros(2, 50, requires_grad=True)
    WaveformLoss()(estimate, torch.zeros(2, 50), torch.zeros(2, 50)).sum().backward()
    assert estimate.grad is not None
    assert bool(torch.isfinite(estimate.grad).all())


def test_weights_that_say_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="one must be positive"):
        WaveformLoss(snr_weight=0.0, si_snr_weight=0.0)
    with pytest.raises(ValueError, match="floor_db lies below the mixture's level, 0 dB, got 3"):
        WaveformLoss(floor_db=3.0)
