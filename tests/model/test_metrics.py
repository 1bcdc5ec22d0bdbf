"""Metrics against second opinions, and the two things that are called SDR kept apart."""

from __future__ import annotations

import math

import fast_bss_eval
import pytest
import torch
from torch import Tensor
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio, signal_noise_ratio

from model.metrics import LIMIT_DB, bss_eval, bss_sdr, improvement, level_below, si_sdr, snr_sdr

SAMPLES = 16_000


def signals(noise_level: float, samples: int = SAMPLES) -> tuple[Tensor, Tensor]:
    """(estimate, reference) [3, T]: coloured noise, the estimate filtered, scaled and noisy, with an offset."""
    random = torch.Generator().manual_seed(3)
    white = torch.randn(3, samples + 2, generator=random, dtype=torch.float64)
    reference = white[:, 2:] + 0.7 * white[:, 1:-1] + 0.3 * white[:, :-2] + 0.05
    estimate = 0.6 * reference + 0.2 * reference.roll(7, -1)
    estimate = estimate + noise_level * torch.randn(3, samples, generator=random, dtype=torch.float64) - 0.02
    return estimate, reference


def of_two(leak: float, noise_level: float, samples: int = 8_000) -> tuple[Tensor, Tensor]:
    """(estimates, sources) [2, T]: each estimate a filtered source with some of the other, filtered, and noise."""
    estimate, sources = signals(noise_level, samples)
    return estimate[:2] + leak * sources[:2].flip(0).roll(3, -1), sources[:2]


@pytest.mark.parametrize("noise_level", [0.01, 0.3, 3.0])
def test_si_sdr_and_snr_agree_with_torchmetrics(noise_level: float) -> None:
    estimate, reference = signals(noise_level)
    theirs = scale_invariant_signal_distortion_ratio(estimate, reference)
    assert torch.allclose(si_sdr(estimate, reference), theirs, rtol=0, atol=1e-4)
    assert torch.allclose(snr_sdr(estimate, reference), signal_noise_ratio(estimate, reference), rtol=0, atol=1e-4)


@pytest.mark.parametrize("noise_level", [0.01, 0.3, 3.0])
def test_bss_sdr_agrees_with_fast_bss_eval(noise_level: float) -> None:
    estimate, reference = signals(noise_level)
    theirs = fast_bss_eval.sdr(
        reference[:, None].numpy(), estimate[:, None].numpy(), filter_length=512, return_perm=False
    )
    assert torch.allclose(bss_sdr(estimate, reference), torch.from_numpy(theirs[:, 0]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("leak", "noise_level"), [(0.05, 0.02), (0.5, 0.02), (0.2, 1.0)])
def test_sdr_sir_and_sar_of_two_sources_agree_with_fast_bss_eval(leak: float, noise_level: float) -> None:
    estimates, sources = of_two(leak, noise_level)
    theirs = fast_bss_eval.bss_eval_sources(
        sources.numpy(), estimates.numpy(), filter_length=512, compute_permutation=False
    )  # by numpy: torch's LU fails in MKL where another library has brought a LAPACK of its own into the process
    ours = bss_eval(estimates, sources, sources.flip(0))
    for mine, other in zip((ours.sdr, ours.sir, ours.sar), theirs, strict=True):
        assert torch.allclose(mine, torch.from_numpy(other), rtol=0, atol=1e-4)
    assert torch.allclose(ours.sdr, bss_sdr(estimates, sources), rtol=0, atol=1e-9)


def test_a_leak_lowers_the_sir_and_noise_lowers_the_sar() -> None:
    clean, leaky, noisy = (bss_eval(*_first(*of_two(*case))) for case in ((0.01, 0.01), (0.5, 0.01), (0.01, 1.0)))
    assert leaky.sir < clean.sir - 20
    assert leaky.sar > clean.sar - 6  # of the louder estimate, the same noise is a smaller part
    assert noisy.sar < clean.sar - 20
    assert max(leaky.sdr, noisy.sdr) < clean.sdr - 10


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


def test_a_perfect_estimate_has_the_highest_value_there_is() -> None:
    _, reference = signals(0.0)
    assert bool((snr_sdr(reference, reference) == LIMIT_DB).all())
    assert bool((si_sdr(2.0 * reference, reference) == LIMIT_DB).all())
    scores = bss_eval(reference[0], reference[0], reference[1])
    for value in (bss_sdr(reference[0], reference[0]), scores.sdr, scores.sar):
        assert 90.0 < float(value) <= LIMIT_DB


def test_silence_has_the_values_that_are_written_down() -> None:
    sound, silence = signals(0.3)[0], torch.zeros(3, SAMPLES)
    for metric in (snr_sdr, si_sdr, bss_sdr):
        for estimate in (sound, silence):
            assert bool((metric(estimate, silence) == -LIMIT_DB).all()), metric
    assert bool((snr_sdr(silence, sound) == 0.0).all())
    assert bool((si_sdr(silence, sound) == -LIMIT_DB).all())
    assert bool((bss_sdr(silence, sound) == -LIMIT_DB).all())
    alone = bss_eval(sound, sound, silence)
    assert bool((alone.sir == LIMIT_DB).all())
    assert bool((bss_eval(sound, silence, sound).sir == -LIMIT_DB).all())


def test_a_sound_with_an_empty_upper_half_of_the_spectrum_is_scored_without_nan() -> None:
    spectrum = torch.fft.rfft(signals(0.1, 8_000)[1][:2])
    spectrum[:, 1_000:] = 0
    target, other = torch.fft.irfft(spectrum, 8_000)
    scores = bss_eval(target + 0.1 * other, target, other)
    for value in (scores.sdr, scores.sir, scores.sar):
        assert bool(value.isfinite())
    assert float(scores.sdr) == pytest.approx(float(bss_sdr(target + 0.1 * other, target)), abs=1e-3)


def test_what_is_left_of_a_mixture_is_told_in_db_below_it() -> None:
    mixture = signals(0.0)[1]
    assert torch.allclose(level_below(0.1 * mixture, mixture), torch.tensor(20.0, dtype=torch.float64))
    assert bool((level_below(torch.zeros_like(mixture), mixture) == LIMIT_DB).all())


def _first(estimates: Tensor, sources: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return estimates[0], sources[0], sources[1]
