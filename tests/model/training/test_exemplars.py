"""Variations of sounds: another speed, stretches of silence, the same for the same seed."""

from __future__ import annotations

import torch
from made_examples import seeded

from model.training.exemplars import SILENCE_SECONDS, SILENCES, at_other_speed, silenced, varied

RATE = 4000
SAMPLES = 2 * RATE


def tones(count: int, hertz: float = 400.0) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hertz * torch.arange(SAMPLES) / RATE).repeat(count, 1)


def test_a_sound_at_another_speed_has_its_pitch_moved_by_a_tenth_up_or_down() -> None:
    other = at_other_speed(tones(16), seeded())
    assert other.shape == (16, SAMPLES)
    spectrum = torch.fft.rfft(other[:, :RATE]).abs()
    assert set(spectrum.argmax(dim=1).tolist()) == {360, 440}  # both are drawn


def test_a_faster_sound_is_followed_by_silence_and_a_slower_one_fills_its_length() -> None:
    other = at_other_speed(tones(16), seeded())
    faster = torch.fft.rfft(other[:, :RATE]).abs().argmax(dim=1) == 440
    end = -(-SAMPLES * 10 // 11)
    assert not other[faster, end:].any()
    assert (other[~faster, end:].square().mean(dim=1) > 0.4).all()


def test_two_stretches_at_most_are_silent_and_the_rest_is_untouched() -> None:
    ones = torch.ones(64, SAMPLES)
    out = silenced(ones, RATE, seeded())
    assert set(out.unique().tolist()) == {0.0, 1.0}
    lengths = (out == 0).sum(dim=1)
    assert (lengths <= SILENCES * (SILENCE_SECONDS * RATE + 1)).all()
    assert lengths.float().std() > 100  # every sound draws for itself
    assert ((out.diff(dim=1) < 0).sum(dim=1) <= SILENCES).all()
    assert torch.equal(ones, torch.ones(64, SAMPLES))  # those given stay


def test_a_short_sound_is_never_silenced_as_a_whole() -> None:
    assert (silenced(torch.ones(200, 40), RATE, seeded()).sum(dim=1) > 0).all()


def test_the_same_seed_varies_alike_and_another_otherwise() -> None:
    sounds = tones(4)
    first = varied(sounds, RATE, seeded(1))
    assert torch.equal(first, varied(sounds, RATE, seeded(1)))
    assert not torch.equal(first, varied(sounds, RATE, seeded(2)))
