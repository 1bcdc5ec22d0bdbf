"""A signature tells towers apart by their weights."""

from __future__ import annotations

import dataclasses

import torch
from small_model import small_clap, small_model
from small_towers import SMALL, small_tokenizer, small_towers

from model.laion_towers import LaionClap
from model.towers_signature import towers_signature


def test_the_same_weights_have_one_signature_whatever_they_come_with() -> None:
    signature = towers_signature(small_clap())
    assert signature.startswith("Clap-")
    assert towers_signature(small_model().clap) == signature
    assert towers_signature(small_clap(seed=1)) != signature


def test_both_towers_count() -> None:
    signature = towers_signature(small_clap())
    for part in ("text.weight", "audio.project.0.bias"):
        clap = small_clap()
        with torch.no_grad():
            clap.get_parameter(part).flatten()[0] += 1.0
        assert towers_signature(clap) != signature


def test_configuration_and_tokenizer_count_beside_the_weights() -> None:
    clap, other = small_clap(), small_clap()
    other.config = dataclasses.replace(other.config, hop_samples=other.config.hop_samples // 2)
    assert towers_signature(other) != towers_signature(clap)
    laion, reworded = small_towers(), small_towers()
    reworded.tokenizer += " "
    assert towers_signature(reworded) != towers_signature(laion)


def test_a_text_tower_that_waits_for_its_first_text_counts_as_well() -> None:
    whole = small_towers()
    weights = whole.state_dict()
    text = {name: tensor for name, tensor in weights.items() if name.startswith("text_")}
    waiting = LaionClap(SMALL, small_tokenizer(), text_weights=lambda: text)
    waiting.load_state_dict({name: tensor for name, tensor in weights.items() if name not in text})
    assert towers_signature(waiting) == towers_signature(whole)
    text["text_projection.0.bias"] = text["text_projection.0.bias"] + 1.0
    other = LaionClap(SMALL, small_tokenizer(), text_weights=lambda: text)
    other.load_state_dict({name: tensor for name, tensor in weights.items() if name not in text})
    assert towers_signature(other) != towers_signature(whole)
