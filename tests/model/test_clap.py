"""The two towers: unit vectors in one space, whatever the level and whatever else is in the batch."""

from __future__ import annotations

import pytest
import torch
from small_model import EMBEDDING, RATE, lively, small_clap

from model.clap import AudioTower, Clap, ClapConfig


@pytest.fixture(scope="module")
def clap() -> Clap:
    return small_clap()


def sounds(count: int, seconds: float) -> torch.Tensor:
    return torch.cat([torch.from_numpy(lively(seconds, seed=seed)) for seed in range(count)])


@pytest.mark.parametrize("seconds", [1.0, 3.3, 10.0])
def test_sounds_of_any_length_become_unit_vectors(clap: Clap, seconds: float) -> None:
    embedding = clap.embed_audio(sounds(2, seconds))
    assert embedding.shape == (2, EMBEDDING)
    assert torch.allclose(embedding.norm(dim=1), torch.ones(2), atol=1e-5)


def test_texts_become_unit_vectors_and_equal_texts_equal_ones(clap: Clap) -> None:
    embedding = clap.embed_text(["a dog barking", "rain", "a dog barking"])
    assert torch.allclose(embedding.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.equal(embedding[0], embedding[2])
    assert not torch.allclose(embedding[0], embedding[1], atol=0.1)


def test_the_batch_changes_nothing(clap: Clap) -> None:
    batch = sounds(4, 2.0)
    together = clap.embed_audio(batch)
    alone = torch.cat([clap.embed_audio(sound[None]) for sound in batch])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(clap.embed_audio(batch.flip(0)), together.flip(0), atol=1e-5)


@pytest.mark.parametrize("gain", [0.03, 10.0])
def test_the_level_changes_nothing(clap: Clap, gain: float) -> None:
    batch = sounds(3, 2.0)
    assert torch.allclose(clap.embed_audio(gain * batch), clap.embed_audio(batch), atol=2e-3)


def test_silence_and_clicks_have_finite_embeddings(clap: Clap) -> None:
    odd = torch.zeros(2, RATE)
    odd[1, 7] = 1.0
    assert bool(torch.isfinite(clap.embed_audio(odd)).all())


def test_the_towers_of_the_default_configuration_have_their_documented_shape() -> None:
    tower = AudioTower(ClapConfig()).eval()
    with torch.inference_mode():
        assert tower(0.1 * torch.randn(1, 96_000, generator=torch.Generator().manual_seed(0))).shape == (1, 256)


def test_the_gradient_at_a_sound_is_that_of_finite_differences() -> None:
    towers = small_clap()
    towers.requires_grad_(False)
    sound = sounds(1, 2.0).requires_grad_()
    reading = torch.randn(1, EMBEDDING, generator=torch.Generator().manual_seed(0))
    (slope,) = torch.autograd.grad((towers.embed_audio(sound) * reading).sum(), sound)
    step = 1e-3 * slope / slope.norm()
    ends = [(towers.embed_audio(sound.detach() + sign * step) * reading).sum() for sign in (1.0, -1.0)]
    assert float(ends[0] - ends[1]) / 2e-3 == pytest.approx(float(slope.norm()), rel=0.02)
