"""Masks at any sample rate: ones give the mixture back, masks that add up to one give stems that do."""

from __future__ import annotations

import math

import pytest
import torch

from model.mask_renderer import MaskRenderer, MelSpread
from model.mel import mel_centres
from model.spectrum import StftConfig

NETWORK = StftConfig(2048, 512)
NETWORK_RATE = 32_000
BANDS = 64
RATES = [8000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000]


def renderer_at(sample_rate: int) -> MaskRenderer:
    return MaskRenderer(
        NETWORK,
        network_rate=NETWORK_RATE,
        spread_at=lambda hertz: MelSpread(BANDS, NETWORK_RATE, hertz),
        sample_rate=sample_rate,
    )


def noise(channels: int, samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, channels, samples, generator=torch.Generator().manual_seed(seed)) * 0.1


@pytest.mark.parametrize("sample_rate", RATES)
def test_a_mask_of_ones_gives_every_channel_back_at_every_rate(sample_rate: int) -> None:
    renderer, mixture = renderer_at(sample_rate), noise(2, 3 * sample_rate)
    mask = torch.ones(1, BANDS, NETWORK.frames(3 * NETWORK_RATE))
    with torch.inference_mode():
        stems = renderer.render(mask, renderer.analyse(mixture), mixture.shape[-1])
    assert stems.shape == mixture.shape
    assert float((stems - mixture).abs().max()) < 1e-6


@pytest.mark.parametrize("sample_rate", RATES)
def test_masks_that_add_up_to_one_give_stems_that_add_up_to_the_mixture(sample_rate: int) -> None:
    renderer, mixture = renderer_at(sample_rate), noise(1, 2 * sample_rate)
    one = torch.rand(1, BANDS, NETWORK.frames(2 * NETWORK_RATE), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        stems = renderer.render(torch.cat([one, 1.0 - one]), renderer.analyse(mixture), mixture.shape[-1])
    assert float((stems.sum(dim=0) - mixture[0]).abs().max()) < 1e-6


@pytest.mark.parametrize("sample_rate", [44_100, 96_000])
def test_the_mask_stays_where_it_is_in_time_and_frequency(sample_rate: int) -> None:
    seconds, split_seconds, split_hertz = 4, 2.0, 2000.0
    time = torch.arange(seconds * sample_rate) / sample_rate
    low, high = torch.sin(2 * math.pi * 400 * time), torch.sin(2 * math.pi * 9000 * time)
    centres = mel_centres(BANDS, NETWORK_RATE)[1:-1]
    frames = torch.arange(NETWORK.frames(seconds * NETWORK_RATE)) * NETWORK.hop_samples / NETWORK_RATE
    mask = ((centres[:, None] < split_hertz) & (frames[None] < split_seconds)).float()[None]  # low and early only
    renderer = renderer_at(sample_rate)
    with torch.inference_mode():
        stem = renderer.render(mask, renderer.analyse((low + high)[None, None]), len(time))[0, 0]
    early = (time > 0.1) & (time < split_seconds - 0.1)
    late = (time > split_seconds + 0.1) & (time < seconds - 0.1)
    assert float((stem - low)[early].abs().max()) < 0.02
    assert float(stem[late].abs().max()) < 1e-4


def test_above_the_networks_band_the_highest_band_decides() -> None:
    sample_rate = 96_000
    time = torch.arange(2 * sample_rate, dtype=torch.float64) / sample_rate
    above = torch.sin(2 * math.pi * 30_000 * time).float()[None, None]
    mask = torch.zeros(1, BANDS, NETWORK.frames(2 * NETWORK_RATE))
    renderer = renderer_at(sample_rate)
    for gain in (0.0, 0.25, 1.0):
        mask[:, -1] = gain
        with torch.inference_mode():
            stem = renderer.render(mask, renderer.analyse(above), above.shape[-1])
        inside = (stem - gain * above)[..., sample_rate // 10 : -sample_rate // 10]  # the edges of a tone click
        assert float(inside.abs().max()) < 1e-3


def test_stems_with_gradients_are_those_without() -> None:
    renderer, mixture = renderer_at(44_100), noise(2, 44_100)
    mask = torch.rand(3, BANDS, NETWORK.frames(NETWORK_RATE), requires_grad=True)
    with_gradients = renderer.render(mask, renderer.analyse(mixture), 44_100)
    with torch.inference_mode():
        without = renderer.render(mask, renderer.analyse(mixture), 44_100)
    assert torch.allclose(with_gradients, without, atol=1e-6)
    with_gradients.square().sum().backward()
    assert mask.grad is not None
    assert float(mask.grad.abs().sum()) > 0


def test_window_lengths_match_in_seconds_and_are_fast_to_transform() -> None:
    for sample_rate in RATES:
        config = NETWORK.at_rate(NETWORK_RATE, sample_rate)
        assert config.n_fft == 4 * config.hop_samples
        assert config.n_fft / sample_rate == pytest.approx(NETWORK.n_fft / NETWORK_RATE, rel=0.03)
        rest = config.hop_samples
        for factor in (2, 3, 5, 7):
            while rest % factor == 0:
                rest //= factor
        assert rest == 1
    assert NETWORK.at_rate(NETWORK_RATE, NETWORK_RATE) == NETWORK
