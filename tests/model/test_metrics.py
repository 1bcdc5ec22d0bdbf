"""Metrics against second opinions, and the two things that are called SDR kept apart."""

from __future__ import annotations

import math

import fast_bss_eval
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio, signal_noise_ratio

from model.metrics import bss_sdr, improvement, si_sdr, snr_sdr


def signals(noise_level: float, samples: int = 16_000) -> tuple[Tensor, Tensor]:
    """(estimate, reference) [3, T]: coloured noise, the estimate filtered, scaled and noisy, with an offset."""
    random = torch.Generator().manual_seed(3)
    white = torch.randn(3, samples + 2, generator=random, dtype=torch.float64)
    reference = white[:, 2:] + 0.7 * white[:, 1:-1] + 0.3 * white[:, :-2] + 0.05
    estimate = 0.6 * reference + 0.2 * reference.roll(7, -1)
    estimate = estimate + noise_level * torch.randn(3, samples, generator=random, dtype=torch.float64) - 0.02
    return estimate, reference


@pytest.mark.parametrize("noise_level", [0.01, 0.3, 3.0])
def test_si_sdr_and_snr_agree_with_torchmetrics(noise_level: float) -> None:
    estimate, reference = signals(noise_level)
    theirs = scale_invariant_signal_distortion_ratio(estimate, reference, zero_mean=True)
    assert torch.allclose(si_sdr(estimate, reference), theirs, atol=1e-4)
    assert torch.allclose(snr_sdr(estimate, reference), signal_noise_ratio(estimate, reference), atol=1e-4)


@pytest.mark.parametrize("noise_level", [0.01, 0.3, 3.0])
def test_bss_sdr_agrees_with_fast_bss_eval(noise_level: float) -> None:
    estimate, reference = signals(noise_level)
    for row in range(3):
        theirs = fast_bss_eval.sdr(
            reference[row : row + 1].numpy(), estimate[row : row + 1].numpy(), filter_length=512, return_perm=False
        )
        assert float(bss_sdr(estimate, reference)[row]) == pytest.approx(theirs.item(), abs=0.01)


def test_half_of_the_mixture_gains_3_db_in_snr_and_nothing_in_si_sdr() -> None:
    random = torch.Generator().manual_seed(0)
    target, noise = torch.randn(2, 1, 200_000, generator=random)
    noise = noise - (noise * target).sum() / target.square().sum() * target  # uncorrelated,
    noise = noise * target.norm() / noise.norm()  # and at 0 dB
    mixture = target + noise
    assert float(improvement(snr_sdr, 0.5 * mixture, target, mixture)) == pytest.approx(10 * math.log10(2), abs=1e-3)
    assert float(improvement(si_sdr, 0.5 * mixture, target, mixture)) == pytest.approx(0.0, abs=1e-3)
    assert float(improvement(bss_sdr, 0.5 * mixture, target, mixture)) == pytest.approx(0.0, abs=1e-3)


def test_only_bss_sdr_forgives_a_filter_and_only_snr_minds_the_level() -> None:
    _, reference = signals(0.0)
    delayed = torch.nn.functional.pad(reference, (5, 0))[:, :-5]
    assert bool((bss_sdr(delayed, reference) > 30).all())
    assert bool((si_sdr(delayed, reference) < 10).all())
    assert bool((si_sdr(3.0 * reference, reference) > 80).all())
    assert torch.allclose(snr_sdr(3.0 * reference, reference), torch.tensor(-6.0206, dtype=torch.float64), atol=1e-3)


def test_silence_gives_numbers() -> None:
    estimate, silence = signals(0.3)[0], torch.zeros(3, 16_000, dtype=torch.float64)
    for metric in (snr_sdr, si_sdr, bss_sdr):
        for pair in ((estimate, silence), (silence, estimate), (silence, silence)):
            assert bool(torch.isfinite(metric(*pair)).all()), metric
