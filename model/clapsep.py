"""CLAPSep: a mixture encoder with taps, and a decoder that FiLMs every tap with the CLAP embedding of the query.

    taps  = HTSAT(mixture at 48 kHz)                                fine first; once per window
    h     = FiLM(W taps[-1], e)                                     e: positive and negative embedding, length 1
    h     = LN( block(up(h)) + FiLM(W tap, e) )                     for every other tap, coarse first
    mask  = Transformer over frames of [normed |X|, unpatched h]    linear bins of the STFT at 32 kHz
    stem  = ISTFT( mask * |X| * phase(X) )

FiLM(x, e) = gamma(e) * x + beta(e). Everything that does not depend on the query, and is only added or multiplied
later, is computed in `encode`: the projected taps and the spectrum's part of the Transformer's input.
Source: CLAPSep (arXiv 2402.17455, section III) and the layout of its published checkpoint, whose parameter names are
kept below `encoder` and `decoder`. Left out: its phase network, which the release switches off.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from model.htsat import HTSATConfig, HTSATEncoder
from model.mask_renderer import BinSpread, MaskRenderers
from model.mask_transformer import MaskTransformer
from model.packed_linear import can_pack, pack_linears
from model.resample import Resample
from model.separator import Condition, Features, Mask, MaskNetwork, PrecisionError
from model.spectrum import Stft, StftConfig
from model.swin import PatchExpand, SwinBlock

LOUDEST_PEAK = 1.0
SCALED_PEAK = 0.9
"""A window that peaks above 1 is heard scaled to 0.9, as in the released inference; its stems keep their level."""


@dataclass(frozen=True)
class CLAPSepConfig:
    """Shape of the network; the defaults are the published one."""

    sample_rate: int = 32_000
    window_samples: int = 320_000
    n_fft: int = 1024
    hop_samples: int = 320
    embedding: int = 512
    """D of one half of the condition; the network sees 2 D."""
    encoder: HTSATConfig = field(default_factory=HTSATConfig)
    decoder_depths: tuple[int, ...] = (1, 1, 1, 1)
    """Blocks per stage, fine first."""
    mask_width: int = 640
    mask_heads: int = 8
    mask_layers: int = 3


class FiLM(nn.Module):
    """gamma(e) * x + beta(e) on maps x [B, H, W, C] and conditions e [B, 2 D]."""

    def __init__(self, condition: int, width: int) -> None:
        super().__init__()
        self.beta = nn.Linear(condition, width)
        self.gamma = nn.Linear(condition, width)

    def forward(self, x: Tensor, e: Tensor) -> Tensor:
        return torch.addcmul(self.beta(e)[:, None, None], x, self.gamma(e)[:, None, None])


class SkipTrans(nn.Module):
    """LN(FiLM(W tap, e) + h). `feature_proj` runs once per window, `forward` once per pair."""

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.skip_conv = FiLM(condition, width)
        self.feature_proj = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, projected: Tensor, e: Tensor, h: Tensor | None = None) -> Tensor:
        x = self.skip_conv(projected, e)
        out: Tensor = self.norm(x if h is None else x + h)
        return out


class DecoderStage(nn.Module):
    """Twice the resolution (but in the coarsest stage), then Swin blocks that are not shifted against each other."""

    def __init__(self, width: int, *, grid: int, heads: int, side: int, depth: int, expand: bool) -> None:
        super().__init__()
        self.downsample = PatchExpand(2 * width) if expand else nn.Identity()  # the published name; it goes up
        self.blocks = nn.Sequential(
            *(SwinBlock(width, grid=grid, heads=heads, side=side, shifted=bool(i % 2)) for i in range(depth))
        )

    def forward(self, h: Tensor) -> Tensor:
        out: Tensor = self.blocks(self.downsample(h))
        return out


class InversePatchEmbed(nn.Module):
    """Map [B, H, W, C] -> frames and bands [B, N, M]: every place becomes 4 x 4 values, the image is unfolded."""

    def __init__(self, config: HTSATConfig) -> None:
        super().__init__()
        self.config = config
        self.norm = nn.LayerNorm(config.width)
        self.proj = nn.ConvTranspose2d(config.width, 1, config.patch, stride=config.patch)

    def forward(self, h: Tensor) -> Tensor:
        patch, bands = self.config.patch, self.config.bands
        weight = self.proj.weight.reshape(self.config.width, patch * patch).T  # patches do not overlap: one product
        assert self.proj.bias is not None
        values = functional.linear(self.norm(h), weight, self.proj.bias.expand(patch * patch))
        batch, _, columns, _ = values.shape
        values = values.reshape(batch, -1, bands // patch, columns, patch, patch)  # (B, block, m, n, 4, 4)
        return values.permute(0, 1, 3, 5, 2, 4).reshape(batch, self.config.frames, bands)


class Decoder(nn.Module):
    """The query-dependent part; modules and names are those of the published `decoder_model`."""

    def __init__(self, config: CLAPSepConfig) -> None:
        super().__init__()
        encoder, condition = config.encoder, 2 * config.embedding
        stages = range(len(encoder.depths))
        widths = [encoder.width * 2**stage for stage in stages]
        bins = config.n_fft // 2 + 1
        self.film = SkipTrans(widths[-1], condition)
        self.layers = nn.ModuleList(
            DecoderStage(
                widths[stage],
                grid=encoder.grid(stage),
                heads=encoder.heads[stage],
                side=encoder.window,
                depth=config.decoder_depths[stage],
                expand=stage < stages[-1],
            )
            for stage in reversed(stages)
        )
        self.skip = nn.ModuleList(SkipTrans(width, condition) for width in reversed(widths))
        self.inverse_patch_embed = InversePatchEmbed(encoder)
        self.spec_norm = nn.BatchNorm2d(bins, momentum=0.01)
        self.mask_net = MaskTransformer(
            bins=bins,
            bands=encoder.bands,
            width=config.mask_width,
            heads=config.mask_heads,
            layers=config.mask_layers,
        )

    def prepare(self, taps: tuple[Tensor, ...], magnitude: Tensor) -> tuple[Tensor, ...]:
        """What queries share: the projected taps [B, H, W, C], coarse first, and the spectrum's part [B, N, D].

        `taps` fine first, `magnitude` [B, F, N].
        """
        coarse = list(reversed(taps))
        maps = [self.film.feature_proj(coarse[0])]
        maps += [skip.feature_proj(tap) for skip, tap in zip(self._skips(), coarse[1:], strict=True)]
        with torch.autocast(magnitude.device.type, enabled=False):
            normed = self.spec_norm(magnitude[..., None].float())[..., 0].transpose(1, 2)  # (B, N, F)
        return (*maps, self.mask_net.spectrum_part(normed.to(coarse[0].dtype)))

    def forward(self, maps: tuple[Tensor, ...], e: Tensor) -> Tensor:
        """Log odds of masks [B, N, F] of what `prepare` made and conditions e [B, 2 D]."""
        h = self.film(maps[0], e)
        for layer, skip, projected in zip(self.layers, self._skips(), maps[1:-1], strict=True):
            h = skip(projected, e, layer(h))
        bands = self.inverse_patch_embed(h)[:, : maps[-1].shape[1]]
        logits: Tensor = self.mask_net(maps[-1], bands)
        return logits

    def _skips(self) -> list[SkipTrans]:
        return [skip for skip in self.skip if isinstance(skip, SkipTrans)]


class CLAPSep(MaskNetwork):
    """Query-conditioned separator; see the module's docstring for the equation."""

    def __init__(self, config: CLAPSepConfig) -> None:
        super().__init__()
        encoder = config.encoder
        if len(config.decoder_depths) != len(encoder.depths):
            raise ValueError(
                f"decoder and encoder have the same stages, got {config.decoder_depths = } and {encoder.depths = }"
            )
        if (
            config.window_samples * encoder.sample_rate // config.sample_rate
            > (encoder.frames - 1) * encoder.hop_samples
        ):
            raise ValueError(
                f"a window of {config.window_samples} samples has more frames than the encoder's image, "
                f"{encoder.frames}"
            )
        if encoder.hop_samples * config.sample_rate != config.hop_samples * encoder.sample_rate:
            raise ValueError(
                f"the frames of {config.hop_samples = } and {encoder.hop_samples = } must be of the same length"
            )
        self.config = config
        self.ready_for: tuple[torch.dtype, torch.device] | None = None
        self.precisions = ("float32", "bfloat16")
        self.lead_share = 0.05  # a window is dear, and its Transformers see the whole of it; 9 s hop
        self.cpu_pairs = 1  # larger batches leave the cache
        self.sample_rate = config.sample_rate
        self.window_samples = config.window_samples
        self.stft = Stft(StftConfig(config.n_fft, config.hop_samples))
        self.resample = Resample(config.sample_rate, encoder.sample_rate)
        self.encoder = HTSATEncoder(encoder)
        self.decoder = Decoder(config)
        self._renderers = MaskRenderers(
            self.stft.config,
            config.sample_rate,
            lambda hertz: BinSpread(self.stft.config.bins, config.sample_rate, hertz),
        )

    def analyse(self, mixture: Tensor, sample_rate: int | None = None) -> Tensor:
        return self._renderers.at(sample_rate, mixture.device).analyse(mixture)

    def encode(self, mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        spectrum = self.stft.analyse(mixture) if spectrum is None else spectrum
        peak = mixture.abs().amax(dim=1)
        scale = torch.where(peak > LOUDEST_PEAK, SCALED_PEAK / peak.clamp_min(1e-9), 1.0)[:, None]
        with torch.autocast(mixture.device.type, enabled=False):
            signal = self.resample(mixture.float() * scale)
        taps = self.encoder(signal)
        return Features(self.decoder.prepare(taps, spectrum.abs() * scale[:, None]))

    def mask(self, features: Features, condition: Condition) -> Mask:
        e = condition.embedding.to(features.maps[0].dtype)
        return Mask(torch.sigmoid(self.decoder(features.maps, e).float()).transpose(1, 2))

    def render(self, mask: Mask, spectrum: Tensor, samples: int, sample_rate: int | None = None) -> Tensor:
        return self._renderers.at(sample_rate, spectrum.device).render(mask.bands, spectrum, samples)

    def on_bins(self, mask: Mask) -> Tensor:
        return self._renderers.at(None, mask.bands.device).on_bins(mask.bands)

    def set_precision(self, dtype: torch.dtype) -> None:
        """Front end, norm over bins and inverse transform stay in single precision, whatever `dtype` says."""
        device = self.decoder.film.norm.weight.device
        if self.ready_for is not None and self.ready_for != (dtype, device):
            raise PrecisionError(
                f"the network was made ready for {self.ready_for}, got {(dtype, device)}; load it again"
            )
        self.ready_for = (dtype, device)
        decoder = [part for part in self.decoder.children() if part is not self.decoder.spec_norm]
        for part in (self.encoder.patch_embed, self.encoder.layers, *decoder):
            part.to(dtype)
        if dtype is torch.bfloat16 and device.type == "cpu" and can_pack():
            frames = self.config.window_samples // self.config.hop_samples + 1
            for layers in (self.encoder.layers, self.decoder.layers, self.decoder.mask_net[2]):
                pack_linears(layers, frames)

    def best_precision(self, device: str) -> torch.dtype:
        if device.startswith("cuda"):
            native = torch.cuda.get_device_capability(device) >= (8, 0)  # older ones emulate it
        else:
            native = device == "cpu" and can_pack()
        return torch.bfloat16 if native else torch.float32
