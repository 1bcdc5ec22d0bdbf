"""A gate before a network that cannot tell presence: who is asked what, and how often."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
from small_model import RATE, SEPARATOR, WINDOW, lively, random_condition, small_separator
from small_unet import small_unet, unet_condition
from torch import Tensor
from torch.nn import functional

from model.compact_clapsep import CompactCLAPSep
from model.gated import GatedSeparator
from model.resample import Resample
from model.separator import Condition, Features

WINDOWS, QUERIES = 4, 3


@dataclass
class Heard:
    """The windows a network encoded, call by call, and the conditions it was asked about."""

    windows: list[Tensor] = field(default_factory=list)
    conditions: list[Tensor] = field(default_factory=list)


class Listening(CompactCLAPSep):
    """Notes what it hears and is asked."""

    heard: Heard

    def encode(self, mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        self.heard.windows.append(mixture)
        return super().encode(mixture, spectrum)

    def activity_logits(self, features: Features, condition: Condition) -> Tensor:
        self.heard.conditions.append(condition.embedding)
        return super().activity_logits(features, condition)

    def mask_logits(self, features: Features, condition: Condition) -> Tensor:
        self.heard.conditions.append(condition.embedding)
        return super().mask_logits(features, condition)


def listening(seed: int) -> Listening:
    network = small_separator(seed, Listening)
    assert isinstance(network, Listening)
    network.heard = Heard()
    return network


@dataclass(frozen=True)
class Gated:
    """A gated separator, and its two networks."""

    both: GatedSeparator
    network: Listening
    gate: Listening


@pytest.fixture
def gated() -> Iterator[Gated]:
    network, gate = listening(seed=1), listening(seed=2)
    with torch.inference_mode():
        yield Gated(GatedSeparator(network, gate), network, gate)


@pytest.fixture(scope="module")
def mixtures() -> Tensor:
    return torch.cat([torch.from_numpy(lively(10.0, seed=seed)) for seed in range(WINDOWS)])


@pytest.fixture(scope="module")
def condition() -> Condition:
    """Other vectors for the network than for its gate."""
    return Condition(random_condition(QUERIES, seed=1).embedding, random_condition(QUERIES, seed=2).embedding)


def test_presence_and_activity_are_the_gates(gated: Gated, mixtures: Tensor, condition: Condition) -> None:
    features = gated.both.encode(mixtures)
    alone, asked = gated.gate.encode(mixtures), Condition(random_condition(QUERIES, seed=2).embedding)
    assert torch.equal(gated.both.presence(features, condition), gated.gate.presence(alone, asked))
    assert torch.equal(gated.both.activity(features, condition), gated.gate.activity(alone, asked))
    assert torch.equal(gated.both.activity_logits(features, condition), gated.gate.activity_logits(alone, asked))
    assert gated.both.activity_hop_samples == gated.gate.activity_hop_samples
    assert gated.network.heard.windows == []
    assert gated.network.heard.conditions == []


def test_masks_and_stems_are_the_networks(gated: Gated, mixtures: Tensor, condition: Condition) -> None:
    rows = torch.tensor([2, 0, 3])
    features = gated.both.deepen(gated.both.encode(mixtures), rows)
    alone = gated.network.encode(mixtures[rows])
    assert len(features) == len(rows)
    mask = gated.both.mask(features, condition)
    expected = gated.network.mask(alone, Condition(condition.embedding))
    assert torch.allclose(mask.bands, expected.bands, atol=1e-6)
    spectrum = gated.both.analyse(mixtures[rows][:, None])
    assert torch.equal(spectrum, gated.network.analyse(mixtures[rows][:, None]))
    stems = gated.both.render(mask, spectrum, WINDOW)
    assert torch.allclose(stems, gated.network.render(expected, spectrum, WINDOW), atol=1e-6)
    whole = gated.both(mixtures[:QUERIES], condition)  # for notebooks: the gate is not asked
    assert torch.equal(whole, gated.network(mixtures[:QUERIES], condition))
    assert all(torch.equal(asked, condition.embedding) for asked in gated.network.heard.conditions)


def test_the_network_encodes_the_windows_that_are_asked_for_and_no_others(gated: Gated, mixtures: Tensor) -> None:
    features = gated.both.encode(mixtures)
    assert [len(windows) for windows in gated.gate.heard.windows] == [WINDOWS]
    assert gated.network.heard.windows == []
    for rows in ([1], [3, 1], list(range(WINDOWS))):
        gated.both.deepen(features, torch.tensor(rows))
        assert torch.equal(gated.network.heard.windows.pop(), mixtures[rows])
    assert gated.network.heard.windows == []
    assert len(gated.gate.heard.windows) == 1


def test_a_spectrum_that_is_passed_on_is_the_networks_and_changes_nothing(
    gated: Gated, mixtures: Tensor, condition: Condition
) -> None:
    given = gated.both.encode(mixtures, gated.network.stft.analyse(mixtures))
    made, rows = gated.both.encode(mixtures), torch.arange(QUERIES)
    masks = [gated.both.mask(gated.both.deepen(features, rows), condition).bands for features in (given, made)]
    assert torch.equal(*masks)


def test_a_gate_of_shorter_windows_is_refused() -> None:
    for changed in ({"window_samples": WINDOW // 2}, {"sample_rate": 2 * RATE}):
        other = CompactCLAPSep(dataclasses.replace(SEPARATOR, **changed))
        with pytest.raises(
            ValueError, match=r"the gate must hear the whole of the network's windows, got 5 s for 10 s"
        ):
            GatedSeparator(small_separator(), other)


def test_rates_that_share_no_whole_frames_are_refused() -> None:
    gate = CompactCLAPSep(dataclasses.replace(SEPARATOR, sample_rate=3000))
    with pytest.raises(ValueError, match=r"a frame of the gate, 256 samples at 3000 Hz, is no whole number .* 4000 Hz"):
        GatedSeparator(small_separator(), gate)


@torch.inference_mode()
def test_a_gate_of_a_higher_rate_and_longer_windows_hears_all_that_it_knows(condition: Condition) -> None:
    """The network, at 4 kHz, gets the lower half of what the gate hears at 8 kHz, and silence fills the gate's 10 s."""
    network = small_unet()
    gate = CompactCLAPSep(dataclasses.replace(SEPARATOR, sample_rate=2 * RATE, window_samples=2 * WINDOW)).eval()
    both = GatedSeparator(network, gate)
    samples = 2 * network.window_samples
    assert (both.sample_rate, both.window_samples) == (2 * RATE, samples)
    assert both.activity_hop_samples == gate.activity_hop_samples
    mixture = torch.from_numpy(lively(1.0, rate=2 * RATE)[:, :samples])
    features = both.encode(mixture, both.analyse(mixture[:, None])[:, 0])
    padded = functional.pad(mixture, (0, gate.window_samples - samples))
    alone = gate.presence(gate.encode(padded), Condition(condition.gate))
    assert torch.equal(both.presence(features, condition), alone)
    deep, asked = both.deepen(features, torch.tensor([0, 0])), unet_condition(2)
    heard = Resample(2 * RATE, RATE)(mixture)
    assert heard.shape[1] == network.window_samples
    mask = both.mask(deep, asked)
    assert torch.allclose(mask.bands, network.mask(network.encode(heard.expand(2, -1)), asked).bands, atol=1e-6)
    stems = both.render(mask, both.analyse(mixture[:, None]), samples)
    assert torch.equal(stems, network.render(mask, network.analyse(mixture[:, None], 2 * RATE), samples, 2 * RATE))
    assert torch.allclose(both(mixture.expand(2, -1), asked), stems[:, 0], atol=1e-6)


@torch.inference_mode()
def test_a_gate_of_a_lower_rate_hears_the_lower_half_of_the_windows(condition: Condition) -> None:
    network = CompactCLAPSep(dataclasses.replace(SEPARATOR, sample_rate=2 * RATE, window_samples=2 * WINDOW)).eval()
    gate = small_separator()
    both = GatedSeparator(network, gate)
    assert (both.sample_rate, both.window_samples) == (2 * RATE, 2 * WINDOW)
    assert both.activity_hop_samples == 2 * gate.activity_hop_samples
    mixture = torch.from_numpy(lively(10.0, rate=2 * RATE))
    heard = gate.presence(gate.encode(Resample(2 * RATE, RATE)(mixture)), Condition(condition.gate))
    assert torch.equal(both.presence(both.encode(mixture), condition), heard)
    assert torch.equal(both(mixture, random_condition(1)), network(mixture, random_condition(1)))


def test_a_condition_that_says_nothing_to_the_gate_is_refused(gated: Gated, mixtures: Tensor) -> None:
    features = gated.both.encode(mixtures)
    for ask in (gated.both.presence, gated.both.activity):
        with pytest.raises(ValueError, match=r"says nothing to the gate; make it with both pairs of towers"):
            ask(features, random_condition(QUERIES))
