"""The supervised objective: what it asks for, what it costs, and that a small network learns from it in seconds."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from small_clapsep import SMALL_CLAPSEP, small_clapsep
from small_model import small_separator
from tone_examples import TextSource, seeded, tone_examples
from torch import Tensor

from model.compact_clapsep import CompactCLAPSep
from model.separator import Condition, Features, Mask
from model.training.examples import Examples
from model.training.sides import SideShares
from model.training.supervised import SupervisedObjective, SupervisedSettings
from model.training.waveform_loss import WaveformLoss, si_snr_db, snr_db

PLAIN = SupervisedSettings(sides=SideShares(1.0, 0.0), absent_share=0.0, presence_weight=0.0)
"""Every sound once, by its positive side, and nothing else."""


class Watched(CompactCLAPSep):
    """Counts what it encodes, and keeps what it is asked."""

    encoded = 0
    condition: Condition | None = None

    def encode(self, mixture: Tensor, spectrum: Tensor | None = None) -> Features:
        self.encoded += len(mixture)
        return super().encode(mixture, spectrum)

    def mask(self, features: Features, condition: Condition) -> Mask:
        self.condition = condition
        return super().mask(features, condition)


class Oracle(Watched):
    """Renders stems that it is told beforehand."""

    answer: Tensor

    def render(self, mask: Mask, spectrum: Tensor, samples: int, sample_rate: int | None = None) -> Tensor:
        return self.answer[:, None]


def numbers(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


def test_every_sound_is_asked_for_once_and_mixtures_are_encoded_once() -> None:
    network, examples = small_separator(network=Watched), tone_examples(0, batch=3, sounds=3)
    SupervisedObjective(network, TextSource(), PLAIN)(examples, seeded())
    assert network.encoded == 3
    vectors = TextSource()(examples, seeded()).flatten(0, 1)
    assert torch.equal(network.condition.embedding, torch.cat([vectors, torch.zeros_like(vectors)], dim=1))


@torch.no_grad()
def test_the_loss_is_that_of_the_stems_which_the_network_gives_pair_by_pair() -> None:
    network, examples = small_separator(), tone_examples(1)
    terms = SupervisedObjective(network, TextSource(), PLAIN)(examples, seeded())
    vectors = TextSource()(examples, seeded())
    losses, snrs = [], []
    for row in range(len(examples)):
        for sound in range(2):
            condition = Condition(torch.cat([vectors[row, sound], torch.zeros(8)])[None])
            stem, truth = network(examples.mixture[row : row + 1], condition)[0], examples.sounds[row, sound]
            snrs.append(float(snr_db(stem, truth)))
            losses.append(-0.9 * snrs[-1] - 0.1 * float(si_snr_db(stem, truth)))
    assert float(terms["loss"]) == pytest.approx(sum(losses) / len(losses), abs=1e-3)
    assert float(terms["snr_db"]) == pytest.approx(sum(snrs) / len(snrs), abs=1e-3)
    assert set(terms) == {"loss", "snr_db", "si_sdri_db"}


def test_perfect_stems_give_the_limit_and_the_mixture_gains_nothing() -> None:
    network, examples = small_separator(network=Oracle), tone_examples(2)
    settings = dataclasses.replace(PLAIN, waveform=WaveformLoss(limit_db=30.0))
    network.answer = examples.sounds.flatten(0, 1)
    perfect = SupervisedObjective(network, TextSource(), settings)(examples, seeded())
    assert float(perfect["loss"]) == pytest.approx(-30.0, abs=1e-3)
    network.answer = examples.mixture.repeat_interleave(2, dim=0)
    nothing = SupervisedObjective(network, TextSource(), settings)(examples, seeded())
    assert float(nothing["si_sdri_db"]) == pytest.approx(0.0, abs=1e-4)
    assert float(nothing["loss"]) > -15.0


def test_foreign_queries_ask_for_sounds_of_other_mixtures_and_want_silence() -> None:
    network, examples = small_separator(network=Oracle), tone_examples(3, batch=6)
    settings = dataclasses.replace(PLAIN, absent_share=1.0, silence_weight=1.0)
    objective = SupervisedObjective(network, TextSource(), settings)
    stems = torch.cat([examples.sounds.flatten(0, 1), torch.zeros_like(examples.mixture)])
    network.answer = stems
    silent = numbers(objective(examples, seeded()))
    assert silent["leak_db"] == pytest.approx(-20.0, abs=1e-4)  # the floor: silent enough
    asked = network.condition.embedding
    assert len(asked) == 6 * 2 + 6
    for row, query in enumerate(asked[12:, :4]):
        own = TextSource()(examples, seeded())[row][:, :4]
        assert not (own @ query).any()  # tones are orthogonal here
        assert float(query.norm()) == 1.0
    network.answer = torch.cat([stems[:12], examples.mixture])
    loud = numbers(objective(examples, seeded()))
    assert loud["leak_db"] == pytest.approx(0.0, abs=0.1)
    assert loud["loss"] - silent["loss"] == pytest.approx(20.0, abs=0.1)


def test_a_silent_sound_is_asked_for_and_wants_silence_unless_its_query_may_mean_another() -> None:
    network, examples = small_separator(network=Oracle), tone_examples(3, batch=2)
    examples.sounds[:, 1] = 0.0
    mixture = examples.sounds.sum(dim=1)
    words = (examples.captions[0], (examples.captions[1][0],) * 2)  # the second of the second means the first
    examples = dataclasses.replace(examples, mixture=mixture, captions=words, phrases=(((), ()),) * 2)
    network.answer = torch.stack([examples.sounds[0, 0], mixture[0], examples.sounds[1, 0]])
    terms = numbers(SupervisedObjective(network, TextSource(), PLAIN)(examples, seeded()))
    assert terms["leak_db"] == pytest.approx(0.0, abs=0.1)  # the mixture itself came, where nothing should
    assert terms["snr_db"] > 60.0


@torch.no_grad()
def test_on_bands_nothing_is_rendered_and_the_loss_is_that_of_the_masks() -> None:
    settings = SupervisedSettings(sides=SideShares(1.0, 0.0), measured_on="bands", waveform=WaveformLoss(limit_db=25.0))
    network, examples = small_separator(network=Oracle), tone_examples(3, batch=6)  # an oracle without an answer
    terms = numbers(SupervisedObjective(network, TextSource(), settings)(examples, seeded()))
    assert set(terms) == {"loss", "snr_db", "leak_db", "presence"}
    expected = -terms["snr_db"] + 0.03 * terms["leak_db"] + 4.0 * terms["presence"]
    assert terms["loss"] == pytest.approx(expected, abs=1e-4)


@torch.no_grad()
def test_on_bands_and_on_waveforms_the_same_pairs_are_judged_alike() -> None:
    network, examples = small_separator(), tone_examples(5, batch=4, sounds=3)
    examples.sounds[1, 2] = 0.0
    examples = dataclasses.replace(examples, mixture=examples.sounds.sum(dim=1))
    smooth(network)
    settings = dataclasses.replace(PLAIN, absent_share=0.5, waveform=WaveformLoss(1.0, 0.0, limit_db=25.0))
    told = []
    for on in ("waveforms", "bands"):
        objective = SupervisedObjective(network, TextSource(), dataclasses.replace(settings, measured_on=on))
        told.append(numbers(objective(examples, seeded())))
    assert told[1]["snr_db"] == pytest.approx(told[0]["snr_db"], abs=0.3)
    assert told[1]["leak_db"] == pytest.approx(told[0]["leak_db"], abs=0.3)
    assert told[1]["loss"] == pytest.approx(told[0]["loss"], abs=0.3)
    other = dataclasses.replace(examples, sounds=examples.sounds.roll(1, dims=0))
    swapped = numbers(objective(other, seeded()))
    assert abs(swapped["snr_db"] - told[1]["snr_db"]) > 0.5  # whose sounds they are matters


def smooth(network: CompactCLAPSep) -> None:
    """Masks that hardly differ from band to band, so that the bound on the error is tight."""
    network.patches.weight.mul_(0.02)


def test_on_bands_needs_a_network_with_masks_on_bands() -> None:
    with pytest.raises(ValueError, match="measured_on is bands, and CLAPSep has no masks on mel bands"):
        SupervisedObjective(small_clapsep(), TextSource(), dataclasses.replace(PLAIN, measured_on="bands"))


def test_a_share_of_the_mixtures_is_asked_for_what_is_not_there() -> None:
    network, examples = small_separator(network=Watched), tone_examples(4, batch=16)
    objective = SupervisedObjective(network, TextSource(), dataclasses.replace(PLAIN, absent_share=0.25))
    generator, extra = seeded(), []
    with torch.no_grad():
        for _ in range(8):
            objective(examples, generator)
            extra.append(len(network.condition) - 32)
    assert 2.0 < sum(extra) / 8 < 6.0  # of 16


def test_where_everything_is_in_every_mixture_nothing_is_foreign() -> None:
    network, examples = small_separator(network=Watched), tone_examples(5, sounds=4)
    settings = dataclasses.replace(PLAIN, absent_share=1.0)
    terms = SupervisedObjective(network, TextSource(), settings)(examples, seeded())
    assert len(network.condition) == 16
    assert "leak_db" not in terms


def test_a_silent_sound_is_no_snr_but_a_leak() -> None:
    examples = tone_examples(6)
    sounds = examples.sounds.clone()
    sounds[:, 1] = 0.0
    silenced = dataclasses.replace(examples, mixture=sounds.sum(dim=1), sounds=sounds)
    network = small_separator(network=Oracle)
    network.answer = sounds.flatten(0, 1)
    terms = SupervisedObjective(network, TextSource(), PLAIN)(silenced, seeded())
    assert float(terms["leak_db"]) == pytest.approx(-20.0, abs=1e-4)
    assert float(terms["snr_db"]) > 60.0  # of the other one


def test_silence_gives_a_finite_loss_and_finite_gradients() -> None:
    network, examples = small_separator(), tone_examples(0)
    nothing = dataclasses.replace(examples, mixture=0 * examples.mixture, sounds=0 * examples.sounds)
    terms = SupervisedObjective(network, TextSource())(nothing, seeded())
    terms["loss"].backward()
    assert all(bool(torch.isfinite(term)) for term in terms.values())
    assert all(bool(torch.isfinite(p.grad).all()) for p in network.parameters() if p.grad is not None)


def test_same_seed_and_examples_same_loss() -> None:
    network, examples = small_separator(), tone_examples(7)
    objective = SupervisedObjective(network, TextSource())
    with torch.no_grad():
        runs = [numbers(objective(examples, seeded(seed))) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_presence_is_trained_where_the_network_tells_it() -> None:
    network = small_separator()
    settings = dataclasses.replace(PLAIN, presence_weight=2.0)
    told = SupervisedObjective(network, TextSource(), settings)(tone_examples(8), seeded())
    plain = SupervisedObjective(network, TextSource(), PLAIN)(tone_examples(8), seeded())
    added = numbers(told)["loss"] - numbers(plain)["loss"]
    assert added == pytest.approx(2.0 * float(told["presence"]), abs=1e-4)
    told["loss"].backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_half_precision_changes_little() -> None:
    network, examples = small_separator(), tone_examples(9)
    objective = SupervisedObjective(network, TextSource(), PLAIN)
    full = numbers(objective(examples, seeded()))
    with torch.autocast("cpu", torch.bfloat16):
        terms = objective(examples, seeded())
    terms["loss"].backward()
    assert numbers(terms)["loss"] == pytest.approx(full["loss"], abs=0.1)
    assert all(term.dtype == torch.float32 for term in terms.values())


def test_a_network_that_tells_no_presence_is_trained_alike() -> None:
    network, waves = small_clapsep(), 0.1 * torch.randn(1, 2, 64_000, generator=seeded())
    examples = Examples(waves.sum(dim=1), waves, (("rain", "a horn"),), (((), ()),), network.sample_rate)

    def source(examples: Examples, generator: torch.Generator) -> Tensor:
        return torch.eye(SMALL_CLAPSEP.embedding)[:2].reshape(1, 2, -1)

    terms = SupervisedObjective(network, source)(examples, seeded())
    terms["loss"].backward()
    assert "presence" not in terms
    assert all(weight.grad is not None for weight in network.parameters())


def test_a_small_network_learns_tones_within_seconds() -> None:
    network = small_separator().train()
    objective = SupervisedObjective(network, TextSource())
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    curve = []
    for step in range(28):
        terms = objective(tone_examples(step, batch=3), seeded(step))
        optimizer.zero_grad()
        terms["loss"].backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        curve.append(numbers(terms))
    before, after = (
        {k: sum(row[k] for row in rows) / 5 for k in ("loss", "si_sdri_db", "presence")}
        for rows in (curve[:5], curve[-5:])
    )
    assert after["loss"] < before["loss"] - 5.0
    assert after["si_sdri_db"] > before["si_sdri_db"] + 3.0
    assert after["presence"] < 0.5 * before["presence"]


def test_examples_at_another_rate_are_refused() -> None:
    examples = dataclasses.replace(tone_examples(0), sample_rate=8000)
    with pytest.raises(
        ValueError, match="examples are at 8000 Hz, the network works at 4000 Hz; draw them at its rate"
    ):
        SupervisedObjective(small_separator(), TextSource())(examples, seeded())


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match=r"from 0 to 1, got 1\.5"):
        SupervisedSettings(absent_share=1.5)
    with pytest.raises(ValueError, match="must not be negative"):
        SupervisedSettings(silence_weight=-1.0)
