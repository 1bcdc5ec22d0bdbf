"""HTSAT as a mixture encoder: the taps of laion-clap's own HTSAT, and a log-mel front end that is known by heart."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import librosa
import pytest
import torch
from small_towers import SMALL, enliven, sounds_at_48_khz
from torch import Tensor
from torch.nn import functional

from model.htsat import HTSATConfig, HTSATEncoder, LogMel
from model.laion_htsat import build_htsat

CONFIG = HTSATConfig(width=SMALL.width, depths=SMALL.depths, heads=SMALL.heads)
FRAMES, BANDS = 1024, 64


@pytest.fixture(scope="module")
def encoder() -> HTSATEncoder:
    encoder = HTSATEncoder(CONFIG)
    enliven(encoder, seed=0)
    return encoder.eval()


@pytest.fixture(scope="module")
def sounds() -> Tensor:
    return sounds_at_48_khz()


@pytest.fixture(scope="module")
def taps(encoder: HTSATEncoder, sounds: Tensor) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        return encoder(sounds)


@pytest.fixture(scope="module")
def htsat(encoder: HTSATEncoder) -> Any:
    """laion-clap's network with the same weights."""
    network = build_htsat(CONFIG.width, CONFIG.depths, CONFIG.heads).eval()
    assert network.load_state_dict(encoder.state_dict(), strict=False).unexpected_keys == []
    return network


def level_of_laion_clap(htsat: Any, sounds: Tensor) -> Tensor:
    """Its log-mel [B, N, M], where power spectra are followed by silence up to 1024 frames, as in CLAPSep."""
    power = htsat.spectrogram_extractor(sounds)
    level: Tensor = htsat.logmel_extractor(functional.pad(power, (0, 0, 0, FRAMES - power.shape[2])))[:, 0]
    return level


def taps_of_laion_clap(htsat: Any, level: Tensor) -> list[Tensor]:
    """What its network hands from layer to layer."""
    heard: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _, given, out: heard.append(out[0] if isinstance(out, tuple) else out))
        for module in (htsat.patch_embed, *htsat.layers)
    ]
    htsat.forward_features(htsat.reshape_wav2img(htsat.bn0(level.transpose(1, 2)[..., None]).permute(0, 3, 2, 1)))
    for hook in hooks:
        hook.remove()
    return heard


def furthest(taps: tuple[Tensor, ...], theirs: list[Tensor], rows: list[int]) -> float:
    """Largest difference, as a share of the tap's largest value."""
    assert len(taps) == len(theirs) == 5
    return max(
        float((own.flatten(1, 2) - other)[rows].abs().max() / other.abs().max())
        for own, other in zip(taps, theirs, strict=True)
    )


def test_taps_are_the_patches_and_four_stages_fine_first(taps: tuple[Tensor, ...], sounds: Tensor) -> None:
    grids, widths = (64, 32, 16, 8, 8), (8, 16, 32, 64, 64)
    assert [tap.shape for tap in taps] == [
        (len(sounds), grid, grid, width) for grid, width in zip(grids, widths, strict=True)
    ]
    assert [CONFIG.grid(stage) for stage in range(4)] == [64, 32, 16, 8]
    assert CONFIG.frames == FRAMES


@torch.inference_mode()
def test_taps_are_those_of_laion_clap(
    encoder: HTSATEncoder, taps: tuple[Tensor, ...], sounds: Tensor, htsat: Any
) -> None:
    theirs = taps_of_laion_clap(htsat, level_of_laion_clap(htsat, sounds))
    assert furthest(taps, theirs, [2, 3, 5]) < 1e-5
    # A clean tone leaves bands that hold nothing but the rounding of the transform, of which theirs is a convolution.
    assert furthest(taps, theirs, [0, 1, 4]) < 2e-3
    assert furthest(taps, taps_of_laion_clap(htsat, encoder.log_mel(sounds)), [0, 1, 2, 3, 4, 5]) < 1e-5
    for tap in theirs:
        assert float((tap[1:] - tap[:-1]).abs().mean()) > 0.05 * float(tap.abs().mean())  # no two sounds are alike


@torch.inference_mode()
def test_the_log_mel_is_that_of_laion_clap_wherever_there_is_sound(
    encoder: HTSATEncoder, sounds: Tensor, htsat: Any
) -> None:
    for own, theirs in zip(encoder.log_mel(sounds), level_of_laion_clap(htsat, sounds), strict=True):
        audible = theirs > theirs.max() - 60.0
        assert float((own - theirs)[audible].abs().max()) < 1e-3  # dB


def test_a_sound_does_not_depend_on_its_batch(encoder: HTSATEncoder, taps: tuple[Tensor, ...], sounds: Tensor) -> None:
    with torch.inference_mode():
        alone = encoder(sounds[3:4])
    assert all(torch.allclose(one, many[3:4], atol=1e-5) for one, many in zip(alone, taps, strict=True))


def test_the_filters_are_those_of_librosa() -> None:
    theirs = librosa.filters.mel(sr=48_000, n_fft=1024, n_mels=BANDS, fmin=50, fmax=14_000)
    own = LogMel(CONFIG).filters
    assert own.shape == (BANDS, 513)
    assert float((own - torch.from_numpy(theirs)).abs().max()) < 1e-6 * float(own.max())


def test_silence_is_a_hundred_decibels_down_everywhere() -> None:
    level = LogMel(CONFIG)(torch.zeros(2, 480_000))
    assert torch.equal(level, torch.full((2, FRAMES, BANDS), -100.0))


def test_frames_behind_the_sound_are_silence_whatever_its_length(sounds: Tensor) -> None:
    for seconds in (10, 3):
        level = LogMel(CONFIG)(sounds[2:3, : seconds * 48_000])  # noise
        assert level.shape == (1, FRAMES, BANDS)
        assert bool((level[:, seconds * 100 + 1 :] == -100.0).all())
        assert bool((level[:, : seconds * 100 + 1] > -60.0).all())


def test_a_tone_is_loudest_in_its_band_and_ten_times_as_loud_is_twenty_decibels_more() -> None:
    log_mel = LogMel(CONFIG)
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(48_000) / 48_000)[None]
    level, louder = log_mel(tone)[0, 50], log_mel(10 * tone)[0, 50]
    edges = torch.linspace(50 / (200 / 3), 15 + math.log(14) / (math.log(6.4) / 27), BANDS + 2)  # in Slaney's mel
    band = int(level.argmax())
    assert edges[band] < 15.0 < edges[band + 2]  # 1 kHz
    assert float(louder[band] - level[band]) == pytest.approx(20.0, abs=1e-3)


def test_the_front_end_is_computed_in_single_precision_whatever_the_rest_is(encoder: HTSATEncoder) -> None:
    """In bfloat16 the log-mel of a sine is off by tens of decibels."""
    sine = sounds_at_48_khz()[:1]
    exact = encoder.log_mel(sine)
    seen: list[Tensor] = []
    hook = encoder.log_mel.register_forward_hook(lambda _, given, out: seen.append(out))
    try:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            encoder(sine)
    finally:
        hook.remove()
    assert torch.equal(seen[0], exact)


def test_the_default_is_the_published_base_size() -> None:
    config = HTSATConfig()
    with torch.device("meta"):
        weights = sum(weight.numel() for weight in HTSATEncoder(config).parameters())
    assert (config.width, config.depths, config.heads) == (128, (2, 2, 12, 2), (4, 8, 16, 32))
    assert 60e6 < weights < 80e6
    assert dataclasses.replace(config, width=8).frames == FRAMES
