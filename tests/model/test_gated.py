"""A gate before a network that cannot tell presence: who is asked what, and how often."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
from small_model import RATE, SEPARATOR, WINDOW, lively, random_condition, small_separator
from torch import Tensor

from model.compact_clapsep import CompactCLAPSep
from model.gated import GatedSeparator
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


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"window_samples": WINDOW // 2}, rf"\({RATE}, {WINDOW // 2}\), expected \({RATE}, {WINDOW}\)"),
        ({"sample_rate": 2 * RATE}, rf"\({2 * RATE}, {WINDOW}\), expected \({RATE}, {WINDOW}\)"),
    ],
)
def test_a_gate_that_hears_other_windows_is_refused(changed: dict[str, int], told: str) -> None:
    other = CompactCLAPSep(dataclasses.replace(SEPARATOR, **changed))
    with pytest.raises(ValueError, match=rf"the gate must hear the network's windows, got \(rate, samples\) {told}"):
        GatedSeparator(small_separator(), other)


def test_a_condition_that_says_nothing_to_the_gate_is_refused(gated: Gated, mixtures: Tensor) -> None:
    features = gated.both.encode(mixtures)
    for ask in (gated.both.presence, gated.both.activity):
        with pytest.raises(ValueError, match=r"says nothing to the gate; make it with both pairs of towers"):
            ask(features, random_condition(QUERIES))
