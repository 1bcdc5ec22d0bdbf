"""A mask of the network, applied at the sample rate of the source.

    mask on the network's bands and frames -> frames of the source's STFT -> its bins -> times every channel's spectrum

The rule for what lies above the network's band: the mask's highest band decides, frame by frame. Both steps are
interpolations whose weights add up to one, so masks that add up to one give stems that add up to the mixture, at every
rate; a mask of ones gives the mixture back.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.mel import spread_matrix, spread_over_bins
from model.spectrum import Stft, StftConfig


class MaskRenderer(nn.Module):
    """Analyses mixtures at `sample_rate` and renders masks of a network that works at `network_rate`.

    >>> renderer = MaskRenderer(StftConfig(64, 16), network_rate=4000, bands=8, sample_rate=11_025)
    >>> mixture = torch.sin(torch.arange(11_025.0))[None, None]
    >>> stems = renderer.render(torch.ones(1, 8, 251), renderer.analyse(mixture), 11_025)
    >>> bool((stems - mixture).abs().max() < 1e-5)
    True
    """

    spread: Tensor

    def __init__(self, network_stft: StftConfig, *, network_rate: int, bands: int, sample_rate: int) -> None:
        super().__init__()
        config = network_stft.at_rate(network_rate, sample_rate)
        self.stft = Stft(config)
        hertz = torch.linspace(0.0, sample_rate / 2, config.bins)
        self.register_buffer("spread", spread_matrix(bands, network_rate, hertz), persistent=False)
        self.step = config.hop_samples * network_rate / (network_stft.hop_samples * sample_rate)
        """Frames of the network per frame of this STFT; 1.0 wherever the hop could be matched exactly."""

    def analyse(self, mixture: Tensor) -> Tensor:
        """Complex spectrum [..., F, N] of `mixture` [..., T] at this rate."""
        return self.stft.analyse(mixture)

    def render(self, bands: Tensor, spectrum: Tensor, samples: int) -> Tensor:
        """Stems [B, C, samples]: mask `bands` [B, M, N] on every channel of `spectrum` [B or 1, C, F, N']."""
        bands = self._to_frames(bands, spectrum.shape[-1])[:, None]  # (B, 1, M, N')
        if torch.is_grad_enabled() or spectrum.device.type != "cpu":
            return self.stft.synthesise(spectrum * spread_over_bins(bands, self.spread), samples)
        # Row by row on a CPU: one stem's spectrum stays in the cache from the product to the overlap-add.
        stems = bands.new_empty(len(bands), spectrum.shape[1], samples)
        for stem, part, values in zip(stems, spectrum.expand(len(bands), -1, -1, -1), bands, strict=True):
            self.stft.synthesise(part * spread_over_bins(values, self.spread), samples, out=stem)
        return stems

    def _to_frames(self, bands: Tensor, frames: int) -> Tensor:
        """The mask at the frames of this STFT [B, M, N'], linear between those of the network."""
        if self.step == 1.0:
            return bands[..., :frames]
        position = (torch.arange(frames, device=bands.device) * self.step).clamp(max=bands.shape[-1] - 1)
        low = position.floor().long().clamp(max=bands.shape[-1] - 2)
        return torch.lerp(bands[..., low], bands[..., low + 1], position - low)
