"""Networks that are held against the default one: each gives stems and presence, and all of its weights learn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from bench.architectures.__main__ import ARMS, CONFIG, recipe_of
from model.separator import Condition

SMALL = {"widths": (8, 8, 8, 8), "decoder_widths": (4, 4, 4, 4), "embedding": 8}


@pytest.mark.parametrize("name", ARMS)
def test_a_network_separates_tells_presence_and_learns_with_all_of_its_weights(name: str) -> None:
    _, build, changes, settings = ARMS[name]
    torch.manual_seed(0)
    network = build(replace(CONFIG, **{**changes, **SMALL}))
    mixture = torch.randn(2, 40_000)
    spectrum = network.analyse(mixture[:, None])
    features = network.encode(mixture, spectrum[:, 0])
    condition, rows = Condition(torch.randn(4, 16)), torch.tensor([0, 0, 1, 1])
    stems = network.render(network.mask(features.select(rows), condition), spectrum[rows], mixture.shape[-1])
    assert stems.shape == (4, 1, 40_000)
    assert not torch.allclose(stems[0], stems[1])  # another query, another stem
    activity = network.activity_logits(features, condition)
    assert activity.shape[:2] == (2, 4)
    assert activity.shape[2] * network.activity_hop_samples >= mixture.shape[-1]
    (stems.square().sum() + activity.sum()).backward()
    assert [key for key, weight in network.named_parameters() if weight.grad is None] == []
    assert recipe_of(settings, 50).schedule.steps == 50
