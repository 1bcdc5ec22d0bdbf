"""Mel bands: every band hears something, masks come back as they were, tones land in their band."""

from __future__ import annotations

import librosa
import pytest
import torch

from model.mel import MelScale, hertz_to_mel, mel_centres, mel_to_hertz, slaney_filters
from model.spectrum import Stft, StftConfig

SCALES = [(64, 1025, 32_000), (16, 129, 4000), (128, 257, 48_000)]


@pytest.fixture(params=SCALES, ids=str)
def scale(request: pytest.FixtureRequest) -> MelScale:
    bands, bins, sample_rate = request.param
    return MelScale(bands=bands, bins=bins, sample_rate=sample_rate)


def test_mel_and_hertz_undo_each_other() -> None:
    for hertz in (0.0, 60.0, 1000.0, 16_000.0):
        assert float(mel_to_hertz(torch.tensor(hertz_to_mel(hertz)))) == pytest.approx(hertz, rel=1e-4, abs=1e-3)
    centres = mel_centres(64, 32_000)
    assert len(centres) == 66
    assert float(centres[-1]) == pytest.approx(16_000, rel=1e-5)
    assert bool((centres.diff() > 0).all())


def test_every_band_hears_at_least_one_bin_and_weighs_them_to_one(scale: MelScale) -> None:
    assert bool((scale.weight >= 0).all())
    assert torch.allclose(scale.weight.sum(dim=1), torch.ones(scale.weight.shape[0]), atol=1e-5)


def test_spreading_takes_convex_means_so_that_constants_stay_and_masks_stay_masks(scale: MelScale) -> None:
    bands = scale.weight.shape[0]
    assert bool((scale.spread >= 0).all())
    assert torch.allclose(scale.to_bins(torch.full((bands, 3), 0.3)), torch.tensor(0.3), atol=1e-6)
    mask = torch.rand(2, bands, 5, generator=torch.Generator().manual_seed(0))
    spread = scale.to_bins(mask)
    assert spread.shape == (2, scale.spread.shape[0], 5)
    assert mask.min() - 1e-6 <= spread.min()
    assert spread.max() <= mask.max() + 1e-6


def test_between_two_band_centres_a_mask_is_a_straight_line() -> None:
    scale = MelScale(bands=16, bins=1025, sample_rate=4000)
    centres = mel_centres(16, 4000)[1:-1]
    hertz = torch.linspace(0, 2000, 1025)
    inside = (hertz >= centres[0]) & (hertz <= centres[-1])
    spread = scale.to_bins(centres[:, None])[:, 0]
    assert torch.allclose(spread[inside], hertz[inside], atol=0.01)  # a mask that is its frequency stays it
    assert torch.allclose(spread[hertz < centres[0]], centres[0])


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 5000.0])
def test_a_tone_is_loudest_in_the_band_around_it(hertz: float) -> None:
    stft, scale = Stft(StftConfig()), MelScale(bands=64, bins=1025, sample_rate=32_000)
    tone = torch.sin(2 * torch.pi * hertz * torch.arange(32_000) / 32_000)
    level = scale.log_mel(stft.analyse(tone[None]))[0, :, 10]
    centres = mel_centres(64, 32_000)
    band = int(level.argmax())
    assert centres[band] < hertz < centres[band + 2]
    louder = scale.log_mel(stft.analyse(10.0 * tone[None]))[0, :, 10]
    assert float(louder[band] - level[band]) == pytest.approx(2.0, abs=1e-3)  # 20 dB, in units of 10 dB


def test_silence_has_a_floor() -> None:
    scale = MelScale(bands=16, bins=129, sample_rate=4000)
    assert torch.equal(scale.log_mel(torch.zeros(1, 129, 4, dtype=torch.complex64)), torch.full((1, 16, 4), -10.0))


@pytest.mark.parametrize(
    ("bands", "n_fft", "sample_rate", "lowest", "highest"),
    [(64, 1024, 48_000, 50.0, 14_000.0), (40, 512, 16_000, 0.0, 8000.0), (8, 256, 4000, 100.0, 900.0)],
)
def test_filters_on_the_scale_of_slaney_are_those_of_librosa(
    bands: int, n_fft: int, sample_rate: int, lowest: float, highest: float
) -> None:
    own = slaney_filters(bands, n_fft // 2 + 1, sample_rate, lowest, highest)
    theirs = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=bands, fmin=lowest, fmax=highest)
    assert own.shape == (bands, n_fft // 2 + 1)
    assert own.dtype == torch.float32
    assert float((own - torch.from_numpy(theirs)).abs().max()) < 1e-6 * float(own.max())


def test_filters_on_the_scale_of_slaney_have_unit_area() -> None:
    area = slaney_filters(20, 8193, 48_000, 50.0, 14_000.0).sum(dim=1) * 24_000 / 8192
    assert torch.allclose(area, torch.ones(20), atol=1e-3)
