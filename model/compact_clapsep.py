"""The compact CLAPSep: a mixture encoder with taps, and a decoder that FiLMs every tap with the query's embedding.

    taps    = encoder(log-mel(mixture))                                  coarse first, query independent
    h       = 0;  for each tap x:  h = LN( gamma(e) * W x + beta(e) + up(h) );  h = h + MLP(h)
    mask    = sigmoid( spread( patches(h) ) )                            per mel band, interpolated to bins
    stem    = ISTFT( mask * |X| * phase(X) )

Source: CLAPSep (arXiv 2402.17455, section III): encoder taps, "SkipTrans" (FiLM on a projected tap, plus the path
from below, then layer norm), magnitude mask with the mixture's phase, positive and negative embedding concatenated
and L2-normalised. Our choices here: the encoder is a convolutional U-Net whose *upward* maps
are the taps, so the decoder can be pointwise and a further query costs about a tenth of the first; a presence head
reads activity per frame from the coarse maps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.mask_renderer import MaskRenderers, MelSpread
from model.mel import MelScale
from model.mixture_encoder import MixtureEncoder
from model.separator import Condition, Features, Mask, Separator
from model.spectrum import Stft, StftConfig


@dataclass(frozen=True)
class CompactCLAPSepConfig:
    """Shape of the network. Stored in the checkpoint; two networks of one config load each other's weights."""

    sample_rate: int = 32_000
    window_samples: int = 320_000
    n_fft: int = 2048
    hop_samples: int = 512
    bands: int = 64
    embedding: int = 256
    """D of one half of the condition; the network sees 2 D."""
    widths: tuple[int, ...] = (48, 96, 160, 256)
    deep_blocks: int = 2
    decoder_widths: tuple[int, ...] = (32, 64, 96, 128)
    """Widths of the query-dependent maps, fine first, one per encoder level."""
    activity: int = 128
    activity_levels: int = 2
    """So many of the coarsest maps tell presence, at the frames of the finest of them."""

    def __post_init__(self) -> None:
        if not 1 <= self.activity_levels <= len(self.widths):
            raise ValueError(
                f"presence is read from 1 to all of the {len(self.widths)} maps, got {self.activity_levels = }"
            )


class SkipTrans(nn.Module):
    """One decoder stage: LN(FiLM(W x, e) + below), then a residual pointwise MLP.

    `taps` runs once per window; `forward` once per (window, query) pair.
    """

    def __init__(self, inputs: int, width: int, condition: int, below: int | None) -> None:
        super().__init__()
        self.project = nn.Conv2d(inputs, width, 1)
        self.gamma = nn.Linear(condition, width)
        self.beta = nn.Linear(condition, width)
        if below is not None:
            self.below = nn.Linear(below, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.SiLU(inplace=True), nn.Linear(2 * width, width))

    def taps(self, tap: Tensor) -> Tensor:
        """The encoder's map [B, w, H, W], projected, channels last: [B, H, W, d]."""
        projected: Tensor = self.project(tap)
        return projected.permute(0, 2, 3, 1).contiguous()

    def forward(self, projected: Tensor, e: Tensor, below: Tensor | None) -> tuple[Tensor, Tensor]:
        """The stage's two halves: normed [B, H, W, d], and the MLP's hidden units [B, H, W, 2 d]; `read` joins them.

        `projected` [B, H, W, d], `e` [B, 2 D], `below` [B, H/2, W/2, d].
        """
        h = torch.addcmul(self.beta(e)[:, None, None], projected, 1.0 + self.gamma(e)[:, None, None])
        if below is not None:  # each of its values for 2 x 2 places
            batch, rows, columns, width = below.shape
            h = h.reshape(batch, rows, 2, columns, 2, width) + below[:, :, None, :, None]
            h = h.reshape(batch, 2 * rows, 2 * columns, width)
        h = self.norm(h)
        return h, self.mlp[1](self.mlp[0](h))

    def read(self, halves: tuple[Tensor, Tensor], weight: Tensor, bias: Tensor | None) -> Tensor:
        """`linear(h + MLP(h))` without the stage's full-width output: the MLP's last matrix goes into `weight`.

        All that reads a stage is one narrow linear map (the next stage, or the mask's patches), so this is exact, and a
        query costs fewer products.
        """
        h, hidden = halves
        last = self.mlp[2]
        assert isinstance(last, nn.Linear)
        offset = weight @ last.bias if bias is None else weight @ last.bias + bias
        return functional.linear(h, weight, offset) + functional.linear(hidden, weight @ last.weight)


class CompactCLAPSep(Separator):
    """Query-conditioned separator; see the module's docstring for the equation."""

    def __init__(self, config: CompactCLAPSepConfig) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = config.sample_rate
        self.window_samples = config.window_samples
        stft = StftConfig(config.n_fft, config.hop_samples)
        self.stft = Stft(stft)
        self.mel = MelScale(bands=config.bands, bins=stft.bins, sample_rate=config.sample_rate)
        self.band_norm = nn.BatchNorm1d(config.bands)
        self.encoder = MixtureEncoder(config.widths, bands=config.bands, deep_blocks=config.deep_blocks)
        self.activity_hop_samples = config.hop_samples * self.encoder.stride // 2 ** (config.activity_levels - 1)
        condition = 2 * config.embedding
        self.query = nn.Sequential(nn.Linear(condition, condition), nn.SiLU(), nn.Linear(condition, condition))
        below: list[int | None] = [None, *reversed(config.decoder_widths[1:])]
        self.stages = nn.ModuleList(
            SkipTrans(inputs, width, condition, under)
            for inputs, width, under in zip(
                reversed(config.widths), reversed(config.decoder_widths), below, strict=True
            )
        )
        self.patches = nn.Linear(config.decoder_widths[0], 4)
        read = sum(config.widths[-config.activity_levels :])
        self.activity_maps = nn.Sequential(
            nn.Linear(read, 2 * config.activity), nn.SiLU(), nn.Linear(2 * config.activity, config.activity)
        )
        self.activity_query = nn.Sequential(
            nn.Linear(condition, condition), nn.SiLU(), nn.Linear(condition, config.activity)
        )
        self.activity_scale = nn.Parameter(torch.tensor(math.log(10.0)))
        self.activity_bias = nn.Parameter(torch.tensor(-4.0))
        self._renderers = MaskRenderers(
            stft, config.sample_rate, lambda hertz: MelSpread(config.bands, config.sample_rate, hertz)
        )

    def analyse(self, mixture: Tensor, sample_rate: int | None = None) -> Tensor:
        return self._renderers.at(sample_rate, mixture.device).analyse(mixture)

    def encode(self, mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        return self.encode_spectrum(self.stft.analyse(mixture) if spectrum is None else spectrum)

    def encode_spectrum(self, spectrum: Tensor) -> Features:
        """Features of a mono mixture's complex spectrum [B, F, N]; the level of the window does not matter."""
        maps = self.encoder(self._image(spectrum))
        taps = tuple(stage.taps(tap) for stage, tap in zip(self._stages(), maps, strict=True))
        return Features(taps, self.activity_of(maps))

    def activity_of(self, maps: tuple[Tensor, ...]) -> Tensor:
        """What presence is read from, (B, A, N'), of the encoder's maps."""
        levels = self.config.activity_levels
        frames = [
            (image.mean(dim=2) + image.amax(dim=2)).repeat_interleave(2 ** (levels - 1 - level), dim=-1)
            for level, image in enumerate(maps[:levels])
        ]
        rows = torch.cat(frames, dim=1)  # (B, d, N')
        activity: Tensor = self.activity_maps(rows.transpose(1, 2)).transpose(1, 2)
        return activity

    def activity_logits(self, features: Features, condition: Condition) -> Tensor:
        """Log odds per frame that a query sounds: Tensor[B, Q, N']."""
        assert features.activity is not None
        with torch.autocast(features.activity.device.type, enabled=False):
            query = functional.normalize(self.activity_query(condition.embedding.float()), dim=-1)  # (Q, A)
            frames = functional.normalize(features.activity.float(), dim=1)  # (B, A, N')
            return self.activity_scale.exp() * torch.einsum("qa,ban->bqn", query, frames) + self.activity_bias

    def activity(self, features: Features, condition: Condition) -> Tensor:
        return torch.sigmoid(self.activity_logits(features, condition))

    def presence(self, features: Features, condition: Condition) -> Tensor:
        return torch.sigmoid(self.presence_logits(features, condition))

    @torch.no_grad()
    def shift_presence(self, slope: float, shift: float) -> None:
        """Put log odds of presence on another line, slope * log odds + shift, and those of activity with them."""
        if slope <= 0.0:
            raise ValueError(f"a line that falls would turn presence around, got {slope = }")
        self.activity_scale.add_(math.log(slope))
        self.activity_bias.mul_(slope).add_(shift)

    def presence_logits(self, features: Features, condition: Condition) -> Tensor:
        """Log odds that a query sounds anywhere in the window, Tensor[B, Q]: the mean of the three most active
        frames."""
        logits = self.activity_logits(features, condition)
        return logits.topk(min(3, logits.shape[-1]), dim=-1).values.mean(dim=-1)

    def mask(self, features: Features, condition: Condition) -> Mask:
        return Mask(torch.sigmoid(self.mask_logits(features, condition)))

    def mask_logits(self, features: Features, condition: Condition) -> Tensor:
        """Log odds per mel band and frame, Tensor[B, M, N]."""
        patches = self.patches_of(features, condition)
        batch, rows, columns, _ = patches.shape
        image = patches.reshape(batch, rows, columns, 2, 2).permute(0, 1, 3, 2, 4)
        logits: Tensor = image.reshape(batch, 2 * rows, 2 * columns)
        return logits

    def patches_of(self, features: Features, condition: Condition) -> Tensor:
        """What the last stage says of every 2 x 2 bands and frames, Tensor[B, M/2, N/2, 4]."""
        e = self.query(condition.embedding)
        stages = self._stages()
        halves = stages[0](features.maps[0], e, None)
        for under, stage, projected in zip(stages, stages[1:], features.maps[1:], strict=False):
            halves = stage(projected, e, under.read(halves, stage.below.weight, None))
        return stages[-1].read(halves, self.patches.weight, self.patches.bias).float()

    def render(self, mask: Mask, spectrum: Tensor, samples: int, sample_rate: int | None = None) -> Tensor:
        return self._renderers.at(sample_rate, spectrum.device).render(mask.bands, spectrum, samples)

    def on_bins(self, mask: Mask) -> Tensor:
        return self._renderers.at(None, mask.bands.device).on_bins(mask.bands)

    def _stages(self) -> list[SkipTrans]:
        return [stage for stage in self.stages if isinstance(stage, SkipTrans)]

    def _image(self, spectrum: Tensor) -> Tensor:
        """Level-normalised log-mel and its change in time, [B, 2, M, N padded to the encoder's stride]."""
        with torch.autocast(spectrum.device.type, enabled=False):
            level = self.mel.log_mel(spectrum)
            loudest = torch.log10((10.0**level).mean(dim=(1, 2), keepdim=True) + 1e-10)
            image = (level - loudest).clamp(-7.0, 4.0)  # in units of 10 dB; the window's mean power is 0
            image = self.band_norm(image)
            extra = -image.shape[-1] % self.encoder.stride
            image = functional.pad(image, (0, extra), value=-2.0)
            change = functional.pad(image[..., 1:] - image[..., :-1], (1, 0))
            both = torch.stack([image, change], dim=1)
            return both.contiguous(memory_format=torch.channels_last)
