"""The transform and its inverse: exact on every sample, and the same as PyTorch's own."""

from __future__ import annotations

import pytest
import torch

from model.spectrum import Stft, StftConfig

CONFIGS = [
    StftConfig(2048, 512),
    StftConfig(256, 64),
    StftConfig(64, 8),
    StftConfig(400, 100),
    StftConfig(1024, 320),
    StftConfig(90, 32),
]
LENGTHS = [320_000, 4096, 4095, 3333, 2049]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("samples", LENGTHS)
def test_synthesis_undoes_analysis_on_every_sample(config: StftConfig, samples: int) -> None:
    stft, signal = Stft(config), noise(2, samples)
    spectrum = stft.analyse(signal)
    assert spectrum.shape == (2, config.bins, config.frames(samples))
    back = stft.synthesise(spectrum, samples)
    assert back.shape == signal.shape
    assert (back - signal).abs().max() < 2e-5


@pytest.mark.parametrize("samples", LENGTHS[1:])
def test_synthesis_of_a_changed_spectrum_equals_that_of_torch(samples: int) -> None:
    config = StftConfig(2048, 512)
    stft = Stft(config)
    spectrum = stft.analyse(noise(3, samples))
    changed = spectrum * torch.rand(spectrum.shape, generator=torch.Generator().manual_seed(1))
    theirs = torch.istft(changed, config.n_fft, config.hop_samples, window=stft.window, length=samples)
    assert (stft.synthesise(changed, samples) - theirs).abs().max() < 1e-5


def test_leading_dimensions_stay_as_they_are_and_do_not_mix() -> None:
    stft, signal = Stft(StftConfig(256, 64)), noise(2, 3, 1000)
    spectrum = stft.analyse(signal)
    assert spectrum.shape == (2, 3, 129, 16)
    assert torch.equal(spectrum[1, 2], stft.analyse(signal[1, 2]))
    assert torch.allclose(stft.synthesise(spectrum, 1000)[0, 1], signal[0, 1], atol=1e-5)


def test_synthesis_leaves_the_spectrum_untouched() -> None:
    stft = Stft(StftConfig(256, 64))
    spectrum = stft.analyse(noise(1, 1000))
    before = spectrum.clone()
    stft.synthesise(spectrum, 1000)
    assert torch.equal(spectrum, before)


def test_the_signal_may_be_written_to_a_place_that_is_given() -> None:
    stft = Stft(StftConfig(256, 64))
    spectrum = stft.analyse(noise(2, 1001))
    stems = torch.full((3, 2, 1001), 7.0)
    stft.synthesise(spectrum, 1001, out=stems[1])
    assert torch.equal(stems[1], stft.synthesise(spectrum, 1001))
    assert bool((stems[[0, 2]] == 7.0).all())


def test_gradients_flow_through_the_inverse() -> None:
    stft = Stft(StftConfig(64, 16))
    spectrum = stft.analyse(noise(1, 320))
    gain = torch.ones(1, 33, 1, requires_grad=True)
    stft.synthesise(spectrum * gain, 320).square().sum().backward()
    assert gain.grad is not None
    assert gain.grad.abs().min() > 0


@pytest.mark.parametrize(("n_fft", "hop"), [(2048, 2048), (2048, 1025), (2047, 512), (64, 0), (64, -16)])
def test_a_hop_of_more_than_half_a_window_is_refused(n_fft: int, hop: int) -> None:
    with pytest.raises(ValueError, match=f"self.n_fft = {n_fft}, self.hop_samples = {hop}"):
        StftConfig(n_fft, hop)
