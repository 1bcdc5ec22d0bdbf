"""A mask of the network, applied at the sample rate of the source.

    mask on the network's bands and frames -> frames of the source's STFT -> its bins -> times every channel's spectrum

The rule for what lies above the network's band: the mask's highest band decides, frame by frame. Both steps are
interpolations whose weights add up to one, so masks that add up to one give stems that add up to the mixture, at every
rate; a mask of ones gives the mixture back.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from model.mel import spread_matrix, spread_over_bins
from model.spectrum import Stft, StftConfig


class MelSpread(nn.Module):
    """Masks on mel bands [..., M, N] of a network at `network_rate`, interpolated at frequencies `hertz` [F].

    Below the lowest band's centre the lowest band counts, above the highest one's the highest.
    """

    spread: Tensor

    def __init__(self, bands: int, network_rate: int, hertz: Tensor) -> None:
        super().__init__()
        self.register_buffer("spread", spread_matrix(bands, network_rate, hertz), persistent=False)

    def forward(self, mask: Tensor) -> Tensor:
        return spread_over_bins(mask, self.spread)


class BinSpread(nn.Module):
    """Masks on linear bins [..., F', N] of a network at `network_rate`, interpolated at frequencies `hertz` [F].

    Above the network's band its highest bin counts. At the network's own frequencies it is the mask itself.
    """

    low: Tensor
    share: Tensor

    def __init__(self, bins: int, network_rate: int, hertz: Tensor) -> None:
        super().__init__()
        position = (hertz.double() / (network_rate / 2) * (bins - 1)).clamp(max=bins - 1)
        low = position.floor().long().clamp(max=bins - 2)
        self.is_identity = len(hertz) == bins and bool((position - torch.arange(bins)).abs().max() < 1e-3)
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("share", (position - low).float()[:, None], persistent=False)

    def forward(self, mask: Tensor) -> Tensor:
        if self.is_identity:
            return mask
        return torch.lerp(mask.index_select(-2, self.low), mask.index_select(-2, self.low + 1), self.share)


class MaskRenderer(nn.Module):
    """Analyses mixtures at `sample_rate` and renders masks of a network that works at `network_rate`.

    `spread_at` makes, of the frequencies of this STFT's bins, what interpolates a mask at them.

    >>> mel = lambda hertz: MelSpread(8, 4000, hertz)
    >>> renderer = MaskRenderer(StftConfig(64, 16), network_rate=4000, spread_at=mel, sample_rate=11_025)
    >>> mixture = torch.sin(torch.arange(11_025.0))[None, None]
    >>> stems = renderer.render(torch.ones(1, 8, 251), renderer.analyse(mixture), 11_025)
    >>> bool((stems - mixture).abs().max() < 1e-5)
    True
    """

    def __init__(
        self,
        network_stft: StftConfig,
        *,
        network_rate: int,
        spread_at: Callable[[Tensor], nn.Module],
        sample_rate: int,
    ) -> None:
        super().__init__()
        config = network_stft.at_rate(network_rate, sample_rate)
        self.stft = Stft(config)
        self.spread = spread_at(torch.linspace(0.0, sample_rate / 2, config.bins))
        self.step = config.hop_samples * network_rate / (network_stft.hop_samples * sample_rate)
        """Frames of the network per frame of this STFT; 1.0 wherever the hop could be matched exactly."""

    def analyse(self, mixture: Tensor) -> Tensor:
        """Complex spectrum [..., F, N] of `mixture` [..., T] at this rate."""
        return self.stft.analyse(mixture)

    def on_bins(self, bands: Tensor) -> Tensor:
        """A mask on bands and frames of the network [B, M, N], at the bins of this STFT [B, F, N]."""
        values: Tensor = self.spread(bands)
        return values

    def render(self, bands: Tensor, spectrum: Tensor, samples: int) -> Tensor:
        """Stems [B, C, samples]: mask `bands` [B, M, N] on every channel of `spectrum` [B or 1, C, F, N']."""
        bands = self._to_frames(bands, spectrum.shape[-1])[:, None]  # (B, 1, M, N')
        if torch.is_grad_enabled() or spectrum.device.type != "cpu":
            return self.stft.synthesise(spectrum * self.spread(bands), samples)
        # Row by row on a CPU: one stem's spectrum stays in the cache from the product to the overlap-add.
        stems = bands.new_empty(len(bands), spectrum.shape[1], samples)
        for stem, part, values in zip(stems, spectrum.expand(len(bands), -1, -1, -1), bands, strict=True):
            self.stft.synthesise(part * self.spread(values), samples, out=stem)
        return stems

    def _to_frames(self, bands: Tensor, frames: int) -> Tensor:
        """The mask at the frames of this STFT [B, M, N'], linear between those of the network."""
        if self.step == 1.0:
            return bands[..., :frames]
        position = (torch.arange(frames, device=bands.device) * self.step).clamp(max=bands.shape[-1] - 1)
        low = position.floor().long().clamp(max=bands.shape[-1] - 2)
        return torch.lerp(bands[..., low], bands[..., low + 1], position - low)


class MaskRenderers:
    """One renderer per sample rate and device, made when it is first asked for."""

    def __init__(self, network_stft: StftConfig, network_rate: int, spread_at: Callable[[Tensor], nn.Module]) -> None:
        self.network_stft, self.network_rate, self.spread_at = network_stft, network_rate, spread_at
        self._made: dict[tuple[int, torch.device], MaskRenderer] = {}

    def at(self, sample_rate: int | None, device: torch.device) -> MaskRenderer:
        """The renderer of a rate (None: the network's own)."""
        key = (sample_rate or self.network_rate, device)
        if key not in self._made:
            with torch.inference_mode(False):  # it may be asked for gradients later
                renderer = MaskRenderer(
                    self.network_stft, network_rate=self.network_rate, spread_at=self.spread_at, sample_rate=key[0]
                )
                self._made[key] = renderer.to(device)
        return self._made[key]
