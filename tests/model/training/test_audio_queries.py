"""Audio queries: the towers' vectors of the sounds themselves, at the towers' rate, in single precision."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from made_examples import made_examples, seeded
from small_model import EMBEDDING, RATE, small_clap
from torch import Tensor

from model.clap import Clap
from model.resample import Resample
from model.training.audio_queries import AudioQueries
from model.training.exemplars import varied
from model.training.manipulations import EmbeddingDropout, GaussianNoise, Manipulation


@pytest.fixture(scope="module")
def clap() -> Clap:
    return small_clap()


def test_every_sound_is_asked_for_by_its_own_vector(clap: Clap) -> None:
    examples = made_examples()
    vectors = AudioQueries(clap)(examples, seeded())
    assert vectors.shape == (3, 2, EMBEDDING)
    assert not vectors.requires_grad
    for row in range(3):
        assert torch.allclose(vectors[row], clap.embed_audio(examples.sounds[row]), atol=1e-5)


def test_sounds_at_another_rate_are_resampled_first(clap: Clap) -> None:
    examples = made_examples(rate=2 * RATE)
    resampled = Resample(2 * RATE, RATE)(examples.sounds.flatten(0, 1))
    expected = clap.embed_audio(resampled).reshape(3, 2, -1)
    assert torch.allclose(AudioQueries(clap)(examples, seeded()), expected, atol=1e-5)


def test_mixed_precision_around_changes_nothing(clap: Clap) -> None:
    plain = AudioQueries(clap)(made_examples(), seeded())
    with torch.autocast("cpu", torch.bfloat16):
        around = AudioQueries(clap)(made_examples(), seeded())
    assert around.dtype == torch.float32
    assert torch.equal(around, plain)


class Marked(Manipulation):
    """Adds to the first entry, or doubles it: an order that matters."""

    def __init__(self, factor: float, summand: float) -> None:
        super().__init__()
        self.factor, self.summand = factor, summand

    def change(self, vectors: Tensor, generator: torch.Generator) -> Tensor:
        first = vectors[..., :1] * self.factor + self.summand
        return torch.cat([first, vectors[..., 1:]], dim=-1)


def test_manipulations_follow_in_their_order(clap: Clap) -> None:
    plain = AudioQueries(clap)(made_examples(), seeded())
    double, add = Marked(2.0, 0.0), Marked(1.0, 0.5)
    out = AudioQueries(clap, [double, add])(made_examples(), seeded())
    assert torch.allclose(out, add(double(plain, seeded()), seeded()), atol=1e-6)
    assert not torch.allclose(out, double(add(plain, seeded()), seeded()), atol=1e-3)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(clap: Clap) -> None:
    source = AudioQueries(clap, [EmbeddingDropout(0.4), GaussianNoise(0.01)], exemplar="varied")
    first = source(made_examples(), seeded(3))
    assert torch.equal(source(made_examples(), seeded(3)), first)
    assert not torch.allclose(source(made_examples(), seeded(4)), first, atol=1e-2)
    assert torch.allclose(first.norm(dim=-1), torch.ones(3, 2), atol=1e-6)


def test_a_varied_exemplar_asks_by_the_vector_of_the_varied_sound(clap: Clap) -> None:
    examples = made_examples()
    other = AudioQueries(clap, exemplar="varied")(examples, seeded(6))
    sounds = varied(examples.sounds.flatten(0, 1), RATE, seeded(6))
    assert torch.allclose(other, clap.embed_audio(sounds).reshape(3, 2, -1), atol=1e-6)
    assert not torch.allclose(other, AudioQueries(clap)(examples, seeded(6)), atol=1e-3)


def test_an_unknown_exemplar_is_refused_with_the_names(clap: Clap) -> None:
    with pytest.raises(ValueError, match="choose one of target, varied"):
        AudioQueries(clap, exemplar="other")  # type: ignore[arg-type]


def test_a_sibling_asks_by_what_was_drawn_beside_the_sound(clap: Clap) -> None:
    examples = made_examples()
    with pytest.raises(ValueError, match="no siblings to ask by"):
        AudioQueries(clap, exemplar="sibling")(examples, seeded())
    siblings = dataclasses.replace(examples, exemplars=examples.sounds.flip(0))
    asked = AudioQueries(clap, exemplar="sibling")(siblings, seeded())
    assert torch.equal(
        asked, AudioQueries(clap)(dataclasses.replace(examples, sounds=examples.sounds.flip(0)), seeded())
    )
