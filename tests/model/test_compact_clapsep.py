"""The separator: a window is encoded once, pairs are decoded in any company, and the level does not matter."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from small_model import EMBEDDING, RATE, SEPARATOR, WINDOW, lively, random_condition, small_separator
from torch import Tensor
from torch.nn import functional

from model.compact_clapsep import CompactCLAPSep, CompactCLAPSepConfig
from model.separator import Condition, Features, all_pairs

WINDOWS, QUERIES = 3, 4


@pytest.fixture(scope="module")
def network() -> CompactCLAPSep:
    return small_separator()


@pytest.fixture(scope="module")
def mixtures() -> Tensor:
    return torch.cat([torch.from_numpy(lively(10.0, seed=seed)) for seed in range(WINDOWS)])


@pytest.fixture(scope="module")
def features(network: CompactCLAPSep, mixtures: Tensor) -> Features:
    with torch.inference_mode():
        return network.encode(mixtures)


@torch.inference_mode()
def stems_of(network: CompactCLAPSep, features: Features, mixtures: Tensor, condition: Condition) -> Tensor:
    """Stems of every pair, decoded in one batch: [windows, queries, T]."""
    rows, queries = all_pairs(len(features), len(condition))
    mask = network.mask(features.select(rows), condition.select(queries))
    stems = network.render(mask, network.analyse(mixtures[:, None])[rows], mixtures.shape[-1])
    return stems.reshape(len(features), len(condition), -1)


def test_shapes_are_those_of_the_interface(network: CompactCLAPSep, mixtures: Tensor, features: Features) -> None:
    condition = random_condition(QUERIES)
    with torch.inference_mode():
        spectrum = network.analyse(mixtures[:, None].expand(-1, 2, -1))
        mask = network.mask(features.select(torch.tensor([0, 2])), condition.select(torch.tensor([3, 1])))
        stems = network.render(mask, spectrum[[0, 2]], WINDOW)
        presence, activity = network.presence(features, condition), network.activity(features, condition)
    assert spectrum.shape == (WINDOWS, 2, SEPARATOR.n_fft // 2 + 1, WINDOW // SEPARATOR.hop_samples + 1)
    assert len(features) == WINDOWS
    assert stems.shape == (2, 2, WINDOW)
    assert torch.equal(stems[:, 0], stems[:, 1])  # equal channels have equal stems
    assert presence.shape == (WINDOWS, QUERIES)
    assert activity.shape[:2] == (WINDOWS, QUERIES)
    assert activity.shape[2] * network.activity_hop_samples >= WINDOW  # activity reaches the end of the window
    assert 0.0 <= activity.min() <= presence.min() <= presence.max() <= activity.max() <= 1.0


def test_the_random_network_is_no_trivial_one(network: CompactCLAPSep, mixtures: Tensor, features: Features) -> None:
    stems = stems_of(network, features, mixtures, random_condition(QUERIES))
    level = (stems.square().mean(dim=-1) / mixtures.square().mean(dim=-1, keepdim=True)).sqrt()
    assert 0.1 < level.min() <= level.max() < 0.95  # no mask of zeros or ones
    difference = (stems[:, 1:] - stems[:, :1]).square().mean() / mixtures.square().mean()
    assert difference > 1e-3  # queries matter


def test_pairs_decoded_together_equal_pairs_from_start_to_end_alone(
    network: CompactCLAPSep, mixtures: Tensor, features: Features
) -> None:
    condition = random_condition(QUERIES)
    together = stems_of(network, features, mixtures, condition)
    for row in range(WINDOWS):
        for query in range(QUERIES):
            with torch.inference_mode():
                alone = network(mixtures[row : row + 1], condition.select(torch.tensor([query])))[0]
            assert torch.allclose(alone, together[row, query], atol=1e-5)


def test_a_repeated_window_is_a_selected_one(network: CompactCLAPSep, mixtures: Tensor, features: Features) -> None:
    condition = random_condition(QUERIES)
    spectrum = network.analyse(mixtures[:, None])
    with torch.inference_mode():
        mask = network.mask(features.repeat(1, QUERIES), condition)
        stems = network.render(mask, spectrum[1:2], WINDOW)[:, 0]  # a spectrum of one row serves all masks
    assert torch.allclose(stems, stems_of(network, features, mixtures, condition)[1], atol=1e-5)


def test_stems_with_and_without_gradients_are_the_same(network: CompactCLAPSep, mixtures: Tensor) -> None:
    condition = random_condition(1)
    with torch.inference_mode():
        plain = network(mixtures[:1, :20_000], condition)
    trained = network(mixtures[:1, :20_000], condition)
    assert torch.allclose(trained, plain, atol=1e-5)
    trained.square().sum().backward()
    silent = [name for name, weight in network.named_parameters() if weight.grad is None]
    network.zero_grad(set_to_none=True)
    assert all(name.startswith("activity") for name in silent)  # everything else takes part in a stem


def test_the_order_of_the_batch_changes_nothing(network: CompactCLAPSep, mixtures: Tensor, features: Features) -> None:
    condition, order = random_condition(QUERIES), torch.tensor([2, 0, 1])
    straight = stems_of(network, features, mixtures, condition)
    with torch.inference_mode():
        shuffled = network.encode(mixtures[order])
        presence = network.presence(features, condition)
        assert torch.allclose(network.presence(shuffled, condition), presence[order], atol=1e-5)
    queries = torch.tensor([3, 1, 0, 2])
    mixed = stems_of(network, shuffled, mixtures[order], condition.select(queries))
    assert torch.allclose(mixed, straight[order][:, queries], atol=1e-5)


@pytest.mark.parametrize("gain", [0.1, 10.0])
def test_a_louder_mixture_has_the_same_mask_and_presence(
    network: CompactCLAPSep, mixtures: Tensor, features: Features, gain: float
) -> None:
    condition = random_condition(QUERIES)
    with torch.inference_mode():
        louder = network.encode(gain * mixtures)
        assert torch.allclose(network.presence(louder, condition), network.presence(features, condition), atol=1e-3)
    stems = stems_of(network, louder, mixtures, condition)
    assert torch.allclose(stems, stems_of(network, features, mixtures, condition), atol=1e-3)


def test_a_spectrum_that_is_passed_on_saves_the_transform_and_changes_nothing(
    network: CompactCLAPSep, mixtures: Tensor, features: Features
) -> None:
    with torch.inference_mode():
        again = network.encode(mixtures, network.stft.analyse(mixtures))
    assert torch.equal(again.activity, features.activity)


def test_a_negative_changes_the_stem_and_its_absence_is_zeros(
    network: CompactCLAPSep, mixtures: Tensor, features: Features
) -> None:
    positive, negative = random_condition(2, seed=7).embedding[:, :EMBEDDING]
    absent = Condition(torch.cat([positive, torch.zeros(EMBEDDING)])[None])
    present = Condition(functional.normalize(torch.cat([positive, negative]), dim=0)[None])
    one = features.select(torch.tensor([0]))
    alone, against = (stems_of(network, one, mixtures[:1], condition) for condition in (absent, present))
    assert bool(torch.isfinite(alone).all())
    assert (alone - against).square().sum() > 1e-3 * mixtures[0].square().sum()


def test_the_decoder_is_film_norm_and_a_residual_mlp_per_level(network: CompactCLAPSep, features: Features) -> None:
    """The equation of the module's docstring, written out step by step."""
    condition = random_condition(WINDOWS, seed=5)
    with torch.inference_mode():
        e = network.query(condition.embedding)
        h: Tensor | None = None
        for stage, projected in zip(network._stages(), features.maps, strict=True):
            film = projected * (1.0 + stage.gamma(e))[:, None, None] + stage.beta(e)[:, None, None]
            if h is not None:
                film = film + stage.below(h).repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
            normed = stage.norm(film)
            h = normed + stage.mlp[2](functional.silu(stage.mlp[0](normed)))
        assert h is not None
        patches = network.patches(h)
        logits = network.mask_logits(features, condition)
    for dy in (0, 1):
        for dx in (0, 1):
            assert torch.allclose(logits[:, dy::2, dx::2], patches[..., 2 * dy + dx], atol=1e-4)


def test_silence_gives_finite_masks_and_silent_stems(network: CompactCLAPSep) -> None:
    with torch.inference_mode():
        stems = network(torch.zeros(1, WINDOW), random_condition(1))
    assert not stems.any()


def test_another_window_length_is_no_error(network: CompactCLAPSep) -> None:
    with torch.inference_mode():
        assert network(torch.from_numpy(lively(3.21)), random_condition(1)).shape == (1, round(3.21 * RATE))


def test_a_condition_per_mixture_is_asked_for(network: CompactCLAPSep, mixtures: Tensor) -> None:
    with pytest.raises(ValueError, match="one condition per mixture, got 1 for 3 mixtures"):
        network(mixtures, random_condition(1))
    with pytest.raises(ValueError, match=r"a condition is \[B, D\]"):
        Condition(torch.zeros(4))


def test_bands_that_do_not_halve_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a multiple of 2\^levels = 8, got bands = 20"):
        CompactCLAPSep(dataclasses.replace(SEPARATOR, bands=20))


def test_the_time_of_activity_is_that_of_the_sound(network: CompactCLAPSep) -> None:
    """Frame n of the activity reads the samples [n, n + 1) * hop: a click moves the frame that hears it."""
    quiet = 0.001 * torch.randn(1, WINDOW, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = network.encode(quiet)
        for seconds in (1.0, 5.0, 9.0):
            clicked = quiet.clone()
            clicked[0, round(seconds * RATE) - 20 : round(seconds * RATE) + 20] += 0.05
            # Convolutions before the recurrent layer see a few frames; the mean level and the GRU see all, a little.
            change = (network.encode(clicked).activity - before.activity).abs().sum(dim=1)[0]
            change = change - change.median()
            heard = change.clamp_min(0.3 * float(change.max())) - 0.3 * float(change.max())
            frame = float((heard * torch.arange(len(heard))).sum() / heard.sum())
            assert (frame + 0.5) * network.activity_hop_samples / RATE == pytest.approx(seconds, abs=0.13)


def test_the_default_configuration_is_the_shipped_one() -> None:
    network = CompactCLAPSep(CompactCLAPSepConfig())
    assert (network.sample_rate, network.window_samples, network.activity_hop_samples) == (32_000, 320_000, 4096)
    assert 4e6 < sum(p.numel() for p in network.parameters()) < 10e6


@torch.no_grad()
def test_presence_is_put_on_another_line_and_activity_with_it() -> None:
    network, condition = small_separator(), random_condition(3)
    features = network.encode(torch.from_numpy(lively(1.0)))
    presence, activity = network.presence_logits(features, condition), network.activity_logits(features, condition)
    network.shift_presence(0.5, -1.0)
    assert torch.allclose(network.presence_logits(features, condition), 0.5 * presence - 1.0, atol=1e-4)
    assert torch.allclose(network.activity_logits(features, condition), 0.5 * activity - 1.0, atol=1e-4)
    with pytest.raises(ValueError, match=r"slope = -1\.0"):
        network.shift_presence(-1.0, 0.0)


@torch.no_grad()
def test_activity_may_be_read_from_finer_maps_too() -> None:
    coarse, fine = (CompactCLAPSep(dataclasses.replace(SEPARATOR, activity_levels=levels)).eval() for levels in (2, 3))
    assert coarse.activity_hop_samples == 2 * fine.activity_hop_samples
    sound, condition = torch.from_numpy(lively(1.0)), random_condition(3)
    frames = [network.activity(network.encode(sound), condition).shape[-1] for network in (coarse, fine)]
    assert frames[1] == 2 * frames[0]
