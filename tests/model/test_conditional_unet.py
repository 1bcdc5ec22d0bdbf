"""The conditional U-Net: the published size, windows encoded once, pairs in any company, and windows that halve."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from small_model import lively
from small_unet import SMALL_UNET, small_unet, unet_condition
from torch import Tensor
from torch.nn import functional

from model.conditional_unet import ConditionalUNet, ConditionalUNetConfig
from model.separator import Condition, all_pairs

WINDOWS, QUERIES = 3, 4
WINDOW = SMALL_UNET.window_samples


@pytest.fixture(scope="module")
def network() -> ConditionalUNet:
    return small_unet()


@pytest.fixture(scope="module")
def mixtures() -> Tensor:
    return 3.0 * torch.cat([torch.from_numpy(lively(1.0, seed=seed)[:, :WINDOW]) for seed in range(WINDOWS)])


def count(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def test_the_default_network_is_the_published_one_less_three_norms_that_nothing_calls() -> None:
    with torch.device("meta"):
        network = ConditionalUNet(ConditionalUNetConfig())
    unused = 3 * 2 * 512
    assert count(network.level_norm, network.unet) == 87_681_250 - unused == 87_678_178
    assert count(network.weigh) + network.scale.numel() + network.bias.numel() == 16_449
    assert count(network) == 87_694_627
    assert (network.sample_rate, network.window_samples) == (16_000, 131_070)
    assert network.config.widths == (64, 128, 256, 512, 512, 512, 512)


@torch.inference_mode()
def test_the_published_window_has_a_mask_of_512_bins_and_frames() -> None:
    config = dataclasses.replace(ConditionalUNetConfig(), width=1, heads=2, maps=2)
    network, mixture = ConditionalUNet(config).eval(), torch.from_numpy(lively(8.2, rate=16_000)[:, :131_070])
    features = network.encode(mixture)
    assert [m.shape[2] for m in features.maps] == [16, 32, 64, 128, 256]  # 16: before the query is read
    mask = network.mask(features, unet_condition(1, config, tokens=77))
    assert mask.bands.shape == (1, 512, 512)
    assert network.on_bins(mask) is mask.bands
    spectrum = network.analyse(mixture[:, None])
    assert spectrum.shape == (1, 1, 512, 512)
    assert network.render(mask, spectrum, 131_070).shape == (1, 1, 131_070)
    stereo = mixture[:, None].expand(-1, 2, -1)
    stems = network.render(mask, network.analyse(stereo, 44_100), 131_070, 44_100)
    assert stems.shape == (1, 2, 131_070)


@torch.inference_mode()
def test_pairs_decoded_together_equal_pairs_from_start_to_end_alone(network: ConditionalUNet, mixtures: Tensor) -> None:
    condition, features = unet_condition(QUERIES, tokens=5), network.encode(mixtures)
    rows, queries = all_pairs(WINDOWS, QUERIES)
    masks = network.mask(features.select(rows), condition.select(queries))
    stems = network.render(masks, network.analyse(mixtures[:, None])[rows], WINDOW)[:, 0]
    for row, query, stem in zip(rows, queries, stems, strict=True):
        alone = network(mixtures[row : row + 1], condition.select(query[None]))[0]
        assert torch.allclose(alone, stem, atol=1e-5)
    repeated = network.mask(features.repeat(1, QUERIES), condition)
    assert torch.allclose(repeated.bands, masks.bands[rows == 1], atol=1e-6)
    assert (masks.bands[1] - masks.bands[0]).abs().mean() > 0.02  # queries matter
    assert masks.bands.std() > 0.1


@torch.inference_mode()
def test_tokens_and_embedding_both_count_and_a_negative_does_not(network: ConditionalUNet, mixtures: Tensor) -> None:
    features, condition = network.encode(mixtures[:1]), unet_condition(1, tokens=3)
    mask = network.mask(features, condition).bands
    others = unet_condition(1, tokens=3, seed=1)
    assert condition.tokens is not None
    for changed in (
        Condition(condition.embedding, tokens=others.tokens),
        Condition(others.embedding, tokens=condition.tokens),
    ):
        assert (network.mask(features, changed).bands - mask).abs().mean() > 1e-3
    both = functional.normalize(condition.embedding + others.embedding.roll(SMALL_UNET.embedding, 1), dim=1)
    assert torch.allclose(network.mask(features, Condition(both, tokens=condition.tokens)).bands, mask, atol=1e-5)


@torch.inference_mode()
def test_without_tokens_the_positive_half_is_the_only_one(network: ConditionalUNet, mixtures: Tensor) -> None:
    features, condition = network.encode(mixtures[:1]), unet_condition(1)
    positive = condition.embedding[:, None, : SMALL_UNET.embedding]
    told = network.mask(features, Condition(condition.embedding, tokens=positive)).bands
    assert torch.equal(network.mask(features, condition).bands, told)


def test_a_condition_that_cannot_be_read_is_refused(network: ConditionalUNet, mixtures: Tensor) -> None:
    features = network.encode(mixtures[:1])
    condition = unet_condition(1)
    with pytest.raises(ValueError, match=r"only what is not wanted"):
        network.mask(features, Condition(condition.embedding.roll(SMALL_UNET.embedding, 1)))
    with pytest.raises(ValueError, match=r"two halves of 8, got 6 numbers"):
        network.mask(features, Condition(torch.ones(1, 6)))
    with pytest.raises(ValueError, match=r"tokens of width 8, got 5; make them with the towers"):
        network.mask(features, Condition(condition.embedding, tokens=torch.ones(1, 2, 5)))
    config = dataclasses.replace(SMALL_UNET, token_width=12)
    with pytest.raises(ValueError, match=r"width 12, got 8, that of the embedding, .* train with token_width = 8"):
        small_unet(config).mask(features, condition)


def test_every_parameter_learns_from_a_stem(mixtures: Tensor) -> None:
    network = small_unet().train()
    stems = network(mixtures, unet_condition(WINDOWS, tokens=5))
    (stems - mixtures).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in network.parameters())


def test_training_lowers_the_error_of_a_stem(mixtures: Tensor) -> None:
    network, condition = small_unet().train(), unet_condition(WINDOWS)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    errors = []
    for _ in range(12):
        error = (network(mixtures, condition) - 0.1 * mixtures).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error.detach()))
    assert errors[-1] < 0.5 * errors[0]


def test_under_autocast_masks_are_those_of_single_precision_within_rounding(
    network: ConditionalUNet, mixtures: Tensor
) -> None:
    condition = unet_condition(WINDOWS, tokens=5)
    with torch.no_grad():
        exact = network.mask(network.encode(mixtures), condition).bands
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network.mask(network.encode(mixtures), condition).bands
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().mean() < 0.02


@torch.inference_mode()
def test_a_spectrum_that_is_passed_on_changes_nothing(network: ConditionalUNet, mixtures: Tensor) -> None:
    given = network.encode(mixtures, network.analyse(mixtures[:, None])[:, 0])
    assert all(torch.equal(a, b) for a, b in zip(given.maps, network.encode(mixtures).maps, strict=True))


@pytest.mark.parametrize("frames", [16, 32, 48])
@torch.inference_mode()
def test_shorter_windows_whose_frames_halve_are_no_error(network: ConditionalUNet, frames: int) -> None:
    for samples in ((frames - 1) * SMALL_UNET.hop_samples, frames * SMALL_UNET.hop_samples - 1):
        mixture = torch.from_numpy(lively(1.0)[:, :samples])
        assert SMALL_UNET.window_that_fits(samples) == samples
        assert network(mixture, unet_condition(1)).shape == mixture.shape


def test_a_window_whose_frames_do_not_halve_is_told_which_would() -> None:
    network = small_unet()
    with pytest.raises(
        ValueError, match=r"a window of 600 samples has 19 frames.*511 samples fit, or 992 to 1023, .* 16 frames"
    ):
        network.encode(torch.zeros(1, 600))
    assert SMALL_UNET.window_that_fits(600) == 511
    with pytest.raises(ValueError, match=r"a window of 300 samples .* it takes at least 480 to 511"):
        network.encode(torch.zeros(1, 300))
    assert SMALL_UNET.window_that_fits(300) == 0


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"n_fft": 128}, r"a multiple of 16, got 65 with self\.n_fft = 128; take n_fft 126"),
        ({"conditioned": 4}, r"some levels read the query, not all"),
        ({"heads": 5}, r"heads divide the widths of the deep levels, got self\.heads = 5 for \(16, 32\)"),
    ],
)
def test_a_shape_that_cannot_be_built_is_refused(changed: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        dataclasses.replace(SMALL_UNET, **changed)


def test_a_default_window_that_does_not_halve_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a window of 2100 samples has 66 frames"):
        ConditionalUNet(dataclasses.replace(SMALL_UNET, window_samples=2100))
