"""CLAPSep: a window is encoded once whatever is asked, stems keep their level, and every weight takes part."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from small_clapsep import ENCODER, SMALL_CLAPSEP, random_queries, small_clapsep
from small_model import lively
from torch import Tensor
from torch.nn import functional

from model.clapsep import CLAPSep, CLAPSepConfig
from model.separator import Condition, Features, all_pairs

RATE, WINDOW = SMALL_CLAPSEP.sample_rate, SMALL_CLAPSEP.window_samples
WINDOWS, QUERIES = 3, 4
BINS, FRAMES = 513, 1001


@pytest.fixture(scope="module")
def network() -> CLAPSep:
    return small_clapsep()


@pytest.fixture(scope="module")
def mixtures() -> Tensor:
    return torch.cat([torch.from_numpy(lively(10.0, seed=seed, rate=RATE)) for seed in range(WINDOWS)])


@pytest.fixture(scope="module")
def features(network: CLAPSep, mixtures: Tensor) -> Features:
    with torch.inference_mode():
        return network.encode(mixtures)


@pytest.fixture(scope="module")
def masks(network: CLAPSep, features: Features) -> Tensor:
    """Of every pair, decoded in one batch: [windows, queries, F, N]."""
    return masks_of(network, features, random_queries(QUERIES))


@torch.inference_mode()
def masks_of(network: CLAPSep, features: Features, condition: Condition) -> Tensor:
    rows, queries = all_pairs(len(features), len(condition))
    bands = network.mask(features.select(rows), condition.select(queries)).bands
    return bands.reshape(len(features), len(condition), *bands.shape[1:])


def difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def test_shapes_are_those_of_the_interface(network: CLAPSep, mixtures: Tensor, features: Features) -> None:
    condition = random_queries(2)
    with torch.inference_mode():
        spectrum = network.analyse(mixtures[:, None].expand(-1, 2, -1))
        mask = network.mask(features.select(torch.tensor([0, 2])), condition)
        stems = network.render(mask, spectrum[[0, 2]], WINDOW)
    assert spectrum.shape == (WINDOWS, 2, BINS, FRAMES)
    assert len(features) == WINDOWS
    assert features.activity is None
    assert mask.bands.shape == (2, BINS, FRAMES)
    assert 0.0 <= mask.bands.min() <= mask.bands.max() <= 1.0
    assert stems.shape == (2, 2, WINDOW)
    assert difference(stems[:, 0], stems[:, 1]) == 0.0  # equal channels have equal stems


def test_the_random_network_is_no_trivial_one(network: CLAPSep, features: Features, masks: Tensor) -> None:
    low, high = masks[0].quantile(torch.tensor([0.05, 0.95])).tolist()
    assert low < 0.1 < 0.9 < high
    assert float(masks.std(dim=-1).mean()) > 0.1  # over time
    assert float(masks.std(dim=-2).mean()) > 0.2  # over frequency
    apart = (masks[:, 1:] - masks[:, :-1]).abs().mean(dim=(2, 3))
    assert float(apart.min()) > 0.05  # queries
    swapped = Features((*(m.flip(0) for m in features.maps[:-1]), features.maps[-1]))
    others = masks_of(network, swapped, random_queries(QUERIES))
    assert float((others - masks)[0].abs().mean()) > 0.01  # what the encoder heard matters, beside the spectrum


def test_a_pair_does_not_depend_on_its_company(
    network: CLAPSep, mixtures: Tensor, features: Features, masks: Tensor
) -> None:
    condition = random_queries(QUERIES)
    with torch.inference_mode():
        one_window = network.mask(features.repeat(1, QUERIES), condition).bands
        order, queries = torch.tensor([2, 0, 2]), torch.tensor([1, 3, 0])
        shuffled = network.encode(mixtures[[2, 0]]).select(torch.tensor([0, 1, 0]))
        mixed = network.mask(shuffled, condition.select(queries))
        alone = network.mask(network.encode(mixtures[1:2]), condition.select(torch.tensor([3]))).bands[0]
    assert difference(one_window, masks[1]) < 1e-5
    assert difference(mixed.bands, masks[order, queries]) < 1e-5
    assert difference(alone, masks[1, 3]) < 1e-5


def test_stems_of_the_whole_are_those_of_the_parts(network: CLAPSep, mixtures: Tensor, masks: Tensor) -> None:
    with torch.inference_mode():
        whole = network(mixtures[:1], random_queries(1))
        spectrum = network.analyse(mixtures[:1, None])
        by_hand = network.stft.synthesise(spectrum * masks[0, 0], WINDOW)[:, 0]
    assert difference(whole, by_hand) < 1e-6


def test_a_spectrum_that_is_passed_on_saves_the_transform_and_changes_nothing(
    network: CLAPSep, mixtures: Tensor, features: Features
) -> None:
    with torch.inference_mode():
        again = network.encode(mixtures, network.stft.analyse(mixtures))
    assert all(torch.equal(one, other) for one, other in zip(again.maps, features.maps, strict=True))


def test_the_decoder_is_film_and_norm_per_level(network: CLAPSep, mixtures: Tensor, masks: Tensor) -> None:
    """The equations of the module's docstring, written out step by step for one pair."""
    decoder, e = network.decoder, random_queries(QUERIES).embedding[2:3]

    def film(skip: Any, tap: Tensor) -> Tensor:
        x = skip.feature_proj(tap)
        return x * skip.skip_conv.gamma(e) + skip.skip_conv.beta(e)

    with torch.inference_mode():
        taps = network.encoder(network.resample(mixtures[1:2]))
        h = decoder.film.norm(film(decoder.film, taps[-1]))
        for layer, skip, tap in zip(decoder.layers, decoder.skip, reversed(taps[:-1]), strict=True):
            h = skip.norm(layer.blocks(layer.downsample(h)) + film(skip, tap))
        unpatch = decoder.inverse_patch_embed
        image = unpatch.proj(unpatch.norm(h).permute(0, 3, 1, 2))[0, 0]  # (256, 256)
        bands = torch.cat(image.split(64), dim=1).T[None, :FRAMES]  # four blocks of frames, one above the other
        magnitude = network.stft.analyse(mixtures[1:2]).abs()
        normed = decoder.spec_norm(magnitude[..., None])[..., 0].transpose(1, 2)
        x = torch.cat([normed, bands], dim=-1)
        for module in decoder.mask_net:
            x = module(x)
    assert difference(torch.sigmoid(x)[0].T, masks[1, 2]) < 1e-5


def passing() -> CLAPSep:
    """A network that lets everything through: its last bias drowns what it hears."""
    network = small_clapsep()
    with torch.no_grad():
        network.decoder.mask_net[3].bias.fill_(60.0)
    return network


@pytest.mark.parametrize(("rate", "channels"), [(None, 1), (16_000, 1), (44_100, 2), (48_000, 2)])
def test_a_mask_of_ones_gives_the_mixture_back_at_every_rate(
    network: CLAPSep, features: Features, rate: int | None, channels: int
) -> None:
    sound = torch.from_numpy(lively(10.0, channels, seed=5, rate=rate or RATE))[None]
    with torch.inference_mode():
        mask = passing().mask(features.select(torch.tensor([1])), random_queries(1))
        stems = network.render(mask, network.analyse(sound, rate), sound.shape[-1], rate)
    assert stems.shape == sound.shape
    assert level_db(stems - sound) - level_db(sound) < -100.0


def level_db(signal: Tensor) -> float:
    return 10.0 * math.log10(float(signal.square().mean()) + 1e-30)


def test_what_peaks_above_one_is_heard_at_nine_tenths_and_its_stem_keeps_the_level(
    network: CLAPSep, mixtures: Tensor
) -> None:
    loud = 3.0 * mixtures[:1] / mixtures[0].abs().max()
    condition = random_queries(1)
    with torch.inference_mode():
        mask = network.mask(network.encode(loud), condition).bands
        heard = network.mask(network.encode(0.3 * loud), condition).bands  # peaks at 0.9
        stems = network(torch.cat([loud, 0.3 * loud]), condition.select(torch.tensor([0, 0])))
        unscaled = network.mask(network.encode(0.1 * loud), condition).bands
    assert difference(mask, heard) < 1e-4
    assert difference(stems[0] * 0.3, stems[1]) < 1e-4 * float(stems.abs().max())
    assert difference(mask, unscaled) > 0.01  # level matters below the limit


def test_in_a_batch_only_the_loud_window_is_scaled(network: CLAPSep, mixtures: Tensor, features: Features) -> None:
    batch = mixtures.clone()
    batch[1] *= 5.0 / batch[1].abs().max()
    with torch.inference_mode():
        maps = network.encode(batch).maps
    for made, quiet in zip(maps, features.maps, strict=True):
        assert difference(made[[0, 2]], quiet[[0, 2]]) < 1e-4
        assert difference(made[1], quiet[1]) > 1e-2


def test_silence_gives_finite_masks_and_silent_stems(network: CLAPSep) -> None:
    with torch.inference_mode():
        features = network.encode(torch.zeros(1, WINDOW))
        assert bool(network.mask(features, random_queries(1)).bands.isfinite().all())
        assert not network(torch.zeros(1, WINDOW), random_queries(1)).any()


def test_a_query_without_a_negative_has_half_a_condition(network: CLAPSep, features: Features) -> None:
    positive, negative = random_queries(2, seed=7).embedding[:, : SMALL_CLAPSEP.embedding]
    none = torch.zeros_like(positive)
    rows = [torch.cat([positive, none]), torch.cat([none, positive]), torch.cat([positive, negative])]
    one = features.select(torch.tensor([0]))
    wanted, unwanted, both = masks_of(network, one, Condition(functional.normalize(torch.stack(rows), dim=-1)))[0]
    assert bool(torch.isfinite(wanted).all())
    assert float((wanted - unwanted).abs().mean()) > 0.05  # the halves are not the same to the network
    assert float((wanted - both).abs().mean()) > 0.05


@pytest.mark.parametrize("seconds", [0.5, 3.21])
def test_a_shorter_mixture_is_no_error(network: CLAPSep, seconds: float) -> None:
    mixture = torch.from_numpy(lively(seconds, rate=RATE))
    with torch.inference_mode():
        stem = network(mixture, random_queries(1))
    assert stem.shape == mixture.shape
    assert 0.05 < float(stem.norm() / mixture.norm()) < 1.0


def test_a_longer_mixture_than_the_image_holds_is_refused(network: CLAPSep) -> None:
    with pytest.raises(ValueError, match=r"a signal of 528000 samples has more than the image's 1024 frames"):
        network(torch.zeros(1, 352_000), random_queries(1))


def test_gradients_reach_every_weight_and_stems_with_them_are_the_same(network: CLAPSep, mixtures: Tensor) -> None:
    condition = random_queries(1)
    with torch.inference_mode():
        plain = network(mixtures[:1], condition)
    trained = network(mixtures[:1], condition)
    assert difference(trained.detach(), plain) < 1e-5
    trained.square().sum().backward()
    untouched = [n for n, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    network.zero_grad(set_to_none=True)
    assert untouched == []


def test_weights_come_back_and_make_the_same_masks(network: CLAPSep, features: Features, masks: Tensor) -> None:
    other = small_clapsep(seed=1)
    assert difference(masks_of(other, features, random_queries(1)), masks[:, :1]) > 0.1
    other.load_state_dict(network.state_dict())
    assert torch.equal(masks_of(other, features, random_queries(QUERIES)), masks)


def test_in_bfloat16_stems_stay_close_and_the_front_end_stays_in_single_precision(
    network: CLAPSep, mixtures: Tensor
) -> None:
    rounded, condition = small_clapsep(), random_queries(WINDOWS)
    rounded.set_precision(torch.bfloat16)
    log_mels: list[Tensor] = []
    for one in (network, rounded):
        one.encoder.log_mel.register_forward_hook(lambda _, given, out: log_mels.append(out))
    with torch.inference_mode():
        exact, close = network(mixtures, condition), rounded(mixtures, condition)
        features = rounded.encode(mixtures)
    assert {m.dtype for m in features.maps} == {torch.bfloat16}
    assert torch.equal(log_mels[0], log_mels[1])
    assert {value.dtype for value in rounded.decoder.spec_norm.parameters()} == {torch.float32}
    assert close.dtype == torch.float32
    errors = (close - exact).norm(dim=-1) / exact.norm(dim=-1)
    assert 0.0 < float(errors.min()) <= float(errors.max()) < 2e-2


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"window_samples": 330_000}, r"a window of 330000 samples has more frames than the encoder's image, 1024"),
        ({"hop_samples": 256}, r"frames of config\.hop_samples = 256 and encoder\.hop_samples = 480"),
        ({"sample_rate": 16_000, "window_samples": 160_000}, r"must be of the same length"),
        ({"mask_heads": 5}, r"heads must divide the width, got width = 32, heads = 5"),
        ({"encoder": dataclasses.replace(ENCODER, heads=(3, 2, 2, 4))}, r"width = 8, heads = 3"),
        ({"n_fft": 512}, r"n_fft must be even and >= 2 x hop_samples"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CLAPSep(dataclasses.replace(SMALL_CLAPSEP, **changed))


def test_the_default_is_the_published_size() -> None:
    config = CLAPSepConfig()
    with torch.device("meta"):
        decoder = sum(weight.numel() for weight in CLAPSep(config).decoder.parameters())
    assert (config.sample_rate, config.window_samples, config.embedding) == (32_000, 320_000, 512)
    assert (config.mask_width, config.mask_heads, config.mask_layers) == (640, 8, 3)
    assert decoder == 43_463_616  # as the authors' has
