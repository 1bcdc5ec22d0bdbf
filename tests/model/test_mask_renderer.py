"""Masks at any sample rate: ones give the mixture back, masks that add up to one give stems that do."""

from __future__ import annotations

import math

import pytest
import torch

from model.mask_renderer import BinSpread, MaskRenderer, MaskRenderers, MelSpread
from model.mel import mel_centres
from model.spectrum import StftConfig

NETWORK = StftConfig(2048, 512)
NETWORK_RATE = 32_000
BANDS = 64
LINEAR = StftConfig(1024, 320)
"""Of a network whose masks lie on its own bins."""
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


def linear_renderer_at(sample_rate: int) -> MaskRenderer:
    return MaskRenderer(
        LINEAR,
        network_rate=NETWORK_RATE,
        spread_at=lambda hertz: BinSpread(LINEAR.bins, NETWORK_RATE, hertz),
        sample_rate=sample_rate,
    )


def hertz_of(config: StftConfig, sample_rate: int) -> torch.Tensor:
    return torch.linspace(0.0, sample_rate / 2, config.bins)


def test_at_the_networks_own_frequencies_a_mask_on_bins_is_itself() -> None:
    spread = BinSpread(LINEAR.bins, NETWORK_RATE, hertz_of(LINEAR, NETWORK_RATE))
    mask = torch.rand(2, LINEAR.bins, 5, generator=torch.Generator().manual_seed(0))
    assert spread(mask) is mask
    interpolated = BinSpread(LINEAR.bins, NETWORK_RATE, hertz_of(LINEAR, NETWORK_RATE))
    interpolated.is_identity = False  # the way of every other rate comes to the same
    assert torch.allclose(interpolated(mask), mask, atol=1e-4)


def test_between_two_bins_a_mask_is_a_straight_line_and_above_the_band_its_highest_bin() -> None:
    for sample_rate in RATES:
        hertz = hertz_of(LINEAR.at_rate(NETWORK_RATE, sample_rate), sample_rate)
        ramp = hertz_of(LINEAR, NETWORK_RATE)[:, None]  # a mask that is its frequency stays it
        spread = BinSpread(LINEAR.bins, NETWORK_RATE, hertz)(ramp)[:, 0]
        assert torch.allclose(spread, hertz.clamp(max=NETWORK_RATE / 2), rtol=1e-5, atol=0.05), sample_rate


@pytest.mark.parametrize("sample_rate", RATES)
def test_weights_of_bins_add_up_to_one_and_keep_masks_masks(sample_rate: int) -> None:
    hertz = hertz_of(LINEAR.at_rate(NETWORK_RATE, sample_rate), sample_rate)
    weights = BinSpread(LINEAR.bins, NETWORK_RATE, hertz)(torch.eye(LINEAR.bins)).double()  # (F', F): row per bin
    assert float(weights.min()) >= 0.0
    assert torch.allclose(weights.sum(dim=1), torch.ones(len(hertz), dtype=torch.float64), atol=1e-6)


@pytest.mark.parametrize("sample_rate", RATES)
def test_masks_on_bins_add_up_to_the_mixture_at_every_rate(sample_rate: int) -> None:
    renderer, mixture = linear_renderer_at(sample_rate), noise(2, 2 * sample_rate)
    one = torch.rand(1, LINEAR.bins, LINEAR.frames(2 * NETWORK_RATE), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        spectrum = renderer.analyse(mixture)
        whole = renderer.render(torch.ones_like(one), spectrum, mixture.shape[-1])
        stems = renderer.render(torch.cat([one, 1.0 - one]), spectrum, mixture.shape[-1])
    assert float((whole - mixture).abs().max()) < 1e-6
    assert float((stems.sum(dim=0) - mixture[0]).abs().max()) < 2e-6


@pytest.mark.parametrize("sample_rate", [8000, 44_100])
def test_a_mask_on_bins_stays_where_it_is_in_frequency(sample_rate: int) -> None:
    time = torch.arange(2 * sample_rate) / sample_rate
    low, high = torch.sin(2 * math.pi * 400 * time), torch.sin(2 * math.pi * 3000 * time)
    mask = (hertz_of(LINEAR, NETWORK_RATE) < 1500.0).float()[None, :, None].expand(1, -1, LINEAR.frames(64_000))
    renderer = linear_renderer_at(sample_rate)
    with torch.inference_mode():
        stem = renderer.render(mask, renderer.analyse((low + high)[None, None]), len(time))[0, 0]
    inside = slice(sample_rate // 10, -sample_rate // 10)
    assert float((stem - low)[inside].abs().max()) < 0.01


def test_there_is_one_renderer_per_rate_and_device_made_when_it_is_first_asked_for() -> None:
    asked: list[int] = []

    def spread_at(hertz: torch.Tensor) -> BinSpread:
        asked.append(round(2 * float(hertz[-1])))
        return BinSpread(LINEAR.bins, NETWORK_RATE, hertz)

    renderers, cpu, meta = MaskRenderers(LINEAR, NETWORK_RATE, spread_at), torch.device("cpu"), torch.device("meta")
    assert asked == []
    own = renderers.at(None, cpu)
    assert renderers.at(NETWORK_RATE, cpu) is own
    other, elsewhere = renderers.at(44_100, cpu), renderers.at(None, meta)
    assert renderers.at(44_100, cpu) is other
    assert len({own, other, elsewhere}) == 3
    assert asked == [NETWORK_RATE, 44_100, NETWORK_RATE]
    assert own.stft.window.device == cpu
    assert elsewhere.stft.window.device == meta


def test_a_renderer_made_in_inference_mode_serves_training_too() -> None:
    renderers = MaskRenderers(LINEAR, NETWORK_RATE, lambda hertz: BinSpread(LINEAR.bins, NETWORK_RATE, hertz))
    with torch.inference_mode():
        renderer = renderers.at(44_100, torch.device("cpu"))
    mask = torch.rand(1, LINEAR.bins, LINEAR.frames(NETWORK_RATE), requires_grad=True)
    renderer.render(mask, renderer.analyse(noise(1, 44_100)), 44_100).square().sum().backward()
    assert mask.grad is not None
    assert float(mask.grad.abs().sum()) > 0
