"""The weak objective: single tones are learned from clips of two and their captions, and never heard alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from small_model import EMBEDDING, small_clap, small_separator
from small_towers import SMALL, small_tokenizer
from tone_examples import ToneTowers, paired_tone_examples, seeded, tone_examples
from torch import Tensor

from model.compact_clapsep import CompactCLAPSep
from model.laion_towers import LaionClap
from model.metrics import improvement, si_sdr
from model.separator import Condition, Features, Mask
from model.towers import Towers
from model.training.weak import WeakObjective, WeakSettings

PAIRS = WeakSettings(phrases=2)


class Watched(CompactCLAPSep):
    """Counts what it encodes, and keeps what it is asked."""

    encoded = 0
    asked = 0

    def encode(self, mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        self.encoded += len(mixture)
        return super().encode(mixture, spectrum)

    def mask(self, features: Features, condition: Condition) -> Mask:
        self.asked = len(condition)
        return super().mask(features, condition)


class Counting(ToneTowers):
    """Keeps the texts that it embeds."""

    def embed_text(self, texts: list[str]) -> Tensor:
        self.texts = [*getattr(self, "texts", []), *texts]
        return super().embed_text(texts)


def numbers(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


@torch.no_grad()
def gain_on_single_tones_db(network: CompactCLAPSep) -> float:
    """Mean SI-SDR improvement on mixtures of all four tones, each asked for by its name."""
    network.eval()
    examples = tone_examples(1000, sounds=4)
    gains = []
    for sound in range(4):
        query = ToneTowers().embed_text([row[sound] for row in examples.captions])
        stems = network(examples.mixture, Condition(torch.cat([query, torch.zeros_like(query)], dim=1)))
        gains.append(improvement(si_sdr, stems, examples.sounds[:, sound], examples.mixture).mean())
    return float(torch.stack(gains).mean())


def test_single_tones_are_learned_from_captions_of_pairs_within_seconds() -> None:
    network = small_separator().train()
    objective = WeakObjective(network, ToneTowers(), PAIRS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    curve, before_db = [], gain_on_single_tones_db(network)
    network.train()
    for step in range(32):
        terms = objective(paired_tone_examples(step, batch=2), seeded(step))
        optimizer.zero_grad()
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        curve.append(numbers(terms))
    before, after = ({k: sum(row[k] for row in rows) / 5 for k in rows[0]} for rows in (curve[:5], curve[-5:]))
    assert after["loss"] < 0.5 * before["loss"]
    assert all(after[name] < before[name] for name in ("contrastive", "consistency", "unsupervised"))
    assert after["phrase_hit"] > 0.9
    assert gain_on_single_tones_db(network) > before_db + 6.0


def test_mixtures_are_encoded_once_and_every_text_of_a_mixture_is_one_query() -> None:
    network, examples = small_separator(network=Watched), paired_tone_examples(0)
    WeakObjective(network, ToneTowers(), WeakSettings(phrases=3))(examples, seeded())
    assert network.encoded == 3
    assert network.asked == 3 * (2 + 4)  # two captions and four phrases; the repeated third one costs nothing
    single = tone_examples(0)  # their captions are their only phrases
    WeakObjective(network, ToneTowers(), PAIRS)(single, seeded())
    assert network.asked == 4 * 2


def test_the_loss_is_the_weighted_sum_of_its_parts() -> None:
    network, examples = small_separator(), paired_tone_examples(1)
    terms = numbers(WeakObjective(network, ToneTowers(), PAIRS)(examples, seeded()))
    parts = 0.5 * terms["contrastive"] + 5.0 * (terms["consistency"] + terms["unsupervised"])
    assert terms["loss"] == pytest.approx(parts, rel=1e-5)
    settings = WeakSettings(2, contrastive_weight=0.0, consistency_weight=0.0, unsupervised_weight=1.0)
    alone = numbers(WeakObjective(network, ToneTowers(), settings)(examples, seeded()))
    assert alone["loss"] == pytest.approx(terms["unsupervised"], rel=1e-5)
    assert "contrastive" not in alone


def test_the_unsupervised_part_is_that_of_masks_made_one_by_one() -> None:
    network, examples = small_separator(), paired_tone_examples(2)
    terms = WeakObjective(network, ToneTowers(), PAIRS)(examples, seeded())
    total = 0.0
    with torch.no_grad():
        for sound in range(2):
            errors = []
            for row, mixture in enumerate(examples.mixture):
                query = ToneTowers().embed_text([examples.captions[row][sound]])
                condition = Condition(torch.cat([query, torch.zeros_like(query)], dim=1))
                magnitude = network.stft.analyse(mixture[None]).abs()
                mask = network.on_bins(network.mask(network.encode(mixture[None]), condition))
                error = magnitude * mask[..., : magnitude.shape[-1]]
                error = error - network.stft.analyse(examples.sounds[row, sound][None]).abs()
                errors.append((torch.log1p(magnitude).clamp(1e-3, 10.0) * error.abs()).mean())
            total += float(torch.stack(errors).mean())
    assert float(terms["unsupervised"]) == pytest.approx(total, rel=1e-4)


def test_known_phrases_are_taken_as_they_are() -> None:
    towers, examples = Counting(), paired_tone_examples(3, batch=1)
    known = dataclasses.replace(examples, phrases=((("one", "two"), ("three",)),))
    WeakObjective(small_separator(), towers, PAIRS)(known, seeded())
    assert sorted(towers.texts) == sorted([*examples.captions[0], "one", "two", "three"])


def test_a_text_is_embedded_once() -> None:
    towers, examples = Counting(), paired_tone_examples(4)
    objective = WeakObjective(small_separator(), towers, PAIRS)
    with torch.no_grad():
        for _ in range(2):
            objective(examples, seeded())
    assert len(towers.texts) == len(set(towers.texts))


def test_same_seed_and_examples_same_loss() -> None:
    objective = WeakObjective(small_separator(), ToneTowers(), WeakSettings(phrases=1))
    with torch.no_grad():
        runs = [numbers(objective(paired_tone_examples(5), seeded(seed))) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]  # one phrase of two is drawn


def frozen_laion() -> LaionClap:
    """Towers of the published make, which hear at 48 kHz."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LaionClap(dataclasses.replace(SMALL, embedding=EMBEDDING), small_tokenizer())


@pytest.mark.parametrize("make", [ToneTowers, lambda: small_clap().requires_grad_(False), frozen_laion])
def test_the_contrast_pulls_at_the_stems_through_frozen_towers(make: Callable[[], Towers]) -> None:
    network, towers = small_separator(), make()
    objective = WeakObjective(network, towers, WeakSettings(2, consistency_weight=0.0, unsupervised_weight=0.0))
    objective(paired_tone_examples(6, batch=1), seeded())["loss"].backward()
    assert network.patches.weight.grad is not None
    assert float(network.patches.weight.grad.abs().max()) > 0.0
    assert all(weight.grad is None for weight in towers.parameters())


def test_silence_gives_a_finite_loss_and_finite_gradients() -> None:
    network, examples = small_separator(), paired_tone_examples(0, batch=2)
    nothing = dataclasses.replace(examples, mixture=0 * examples.mixture, sounds=0 * examples.sounds)
    terms = WeakObjective(network, small_clap().requires_grad_(False), PAIRS)(nothing, seeded())
    terms["loss"].backward()
    assert all(bool(torch.isfinite(term)) for term in terms.values())
    assert all(bool(torch.isfinite(p.grad).all()) for p in network.parameters() if p.grad is not None)


def test_towers_that_would_learn_are_refused() -> None:
    for towers in (small_clap(), small_clap().requires_grad_(False).train()):
        with pytest.raises(ValueError, match=r"call towers.requires_grad_\(False\).eval\(\)"):
            WeakObjective(small_separator(), towers)


def test_sounds_without_words_are_refused() -> None:
    examples = dataclasses.replace(paired_tone_examples(0, batch=1), captions=(("a tone", ""),))
    with pytest.raises(ValueError, match="mixture 0 has a sound without a caption"):
        WeakObjective(small_separator(), ToneTowers(), PAIRS)(examples, seeded())


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"self\.phrases = 0"):
        WeakSettings(phrases=0)
    with pytest.raises(ValueError, match="one must be positive"):
        WeakSettings(contrastive_weight=0.0, consistency_weight=0.0, unsupervised_weight=0.0)
