"""Conditions: positive and negative side by side, unit length, the same whatever the order of wordings."""

from __future__ import annotations

import pytest
import torch
from small_model import EMBEDDING, RATE, lively, small_clap
from small_towers import SMALL, small_towers
from torch.nn import functional

from model.clap import Clap
from model.conditions import Query, condition_of, positive_embeddings

DOG = ["a dog barking", "a dog barks"]
RAIN = ["rain falling"]


@pytest.fixture(scope="module")
def clap() -> Clap:
    return small_clap()


@pytest.fixture(scope="module")
def bark() -> torch.Tensor:
    return torch.from_numpy(lively(2.0, seed=1)[0])


def test_every_condition_has_unit_length(clap: Clap, bark: torch.Tensor) -> None:
    queries = [
        Query(texts=DOG),
        Query(texts=DOG, negative_texts=RAIN),
        Query(negative_texts=RAIN),
        Query(sounds=[bark], sample_rate=RATE),
        Query(texts=DOG, sounds=[bark, -bark], negative_sounds=[bark], sample_rate=RATE),
    ]
    condition = condition_of(queries, clap)
    assert condition.embedding.shape == (5, 2 * EMBEDDING)
    assert torch.allclose(condition.embedding.norm(dim=1), torch.ones(5), atol=1e-6)
    assert not condition.embedding.is_inference()  # may be trained with


def test_the_halves_are_the_towers_embeddings(clap: Clap, bark: torch.Tensor) -> None:
    text, sound = clap.embed_text(RAIN)[0], clap.embed_audio(bark[None])[0]
    condition = condition_of([Query(texts=RAIN, negative_sounds=[bark], sample_rate=RATE)], clap).embedding[0]
    assert torch.allclose(condition, functional.normalize(torch.cat([text, sound]), dim=0), atol=1e-6)
    alone = condition_of([Query(texts=RAIN)], clap).embedding[0]
    assert torch.allclose(alone, torch.cat([text, torch.zeros(EMBEDDING)]), atol=1e-6)


def test_wordings_are_averaged_whatever_their_order_and_texts_weigh_as_much_as_sounds(
    clap: Clap, bark: torch.Tensor
) -> None:
    forward = condition_of([Query(texts=DOG)], clap).embedding
    assert torch.allclose(condition_of([Query(texts=DOG[::-1])], clap).embedding, forward, atol=1e-6)
    assert torch.allclose(condition_of([Query(texts=DOG * 3)], clap).embedding, forward, atol=1e-6)
    both = positive_embeddings([Query(texts=DOG, sounds=[bark], sample_rate=RATE)], clap)[0]
    text = positive_embeddings([Query(texts=DOG)], clap)[0]
    sound = positive_embeddings([Query(sounds=[bark], sample_rate=RATE)], clap)[0]
    assert torch.allclose(both, functional.normalize(text + sound, dim=0), atol=1e-5)


def test_a_query_does_not_depend_on_the_rest_of_the_catalog(clap: Clap) -> None:
    queries = [Query(texts=DOG), Query(texts=RAIN), Query(texts=["a bell"], negative_texts=DOG)]
    together = condition_of(queries, clap).embedding
    alone = torch.cat([condition_of([query], clap).embedding for query in queries])
    assert torch.allclose(together, alone, atol=1e-6)


def test_what_is_wanted_does_not_change_with_what_is_not(clap: Clap) -> None:
    wanted, same = positive_embeddings([Query(texts=DOG), Query(texts=DOG, negative_texts=RAIN)], clap)
    assert torch.equal(wanted, same)


def test_an_empty_query_is_refused() -> None:
    with pytest.raises(ValueError, match="an empty query asks for nothing: give a text such as"):
        Query()


def test_the_weight_of_the_sounds_goes_from_the_texts_alone_to_the_sounds_alone(clap: Clap, bark: torch.Tensor) -> None:
    def asked(**query: object) -> torch.Tensor:
        return positive_embeddings([Query(sample_rate=RATE, **query)], clap)[0]

    text, sound = asked(texts=DOG), asked(sounds=[bark])
    assert torch.allclose(asked(texts=DOG, sounds=[bark], audio_weight=0.0), text, atol=1e-6)
    assert torch.allclose(asked(texts=DOG, sounds=[bark], audio_weight=1.0), sound, atol=1e-6)
    even = asked(texts=DOG, sounds=[bark], audio_weight=0.5)
    assert torch.equal(even, asked(texts=DOG, sounds=[bark]))
    near = asked(texts=DOG, sounds=[bark], audio_weight=0.8)
    assert torch.allclose(near, functional.normalize(0.2 * text + 0.8 * sound, dim=0), atol=1e-6)
    assert float(near @ sound) > float(even @ sound) > float(text @ sound)
    for weight in (0.0, 1.0):  # nothing to weigh against
        assert torch.equal(asked(sounds=[bark], audio_weight=weight), sound)
        assert torch.equal(asked(texts=DOG, audio_weight=weight), text)


def test_both_sides_of_a_query_are_weighed_alike(clap: Clap, bark: torch.Tensor) -> None:
    query = Query(
        texts=DOG, negative_texts=RAIN, sounds=[bark], negative_sounds=[-0.3 * bark.flip(0)],
        sample_rate=RATE, audio_weight=0.25,
    )  # fmt: skip
    sides = [
        Query(texts=DOG, sounds=[bark], sample_rate=RATE, audio_weight=0.25),
        Query(texts=RAIN, sounds=[-0.3 * bark.flip(0)], sample_rate=RATE, audio_weight=0.25),
    ]
    expected = functional.normalize(positive_embeddings(sides, clap).flatten(), dim=0)
    assert torch.allclose(condition_of([query], clap).embedding[0], expected, atol=1e-6)


def test_sounds_of_another_rate_are_resampled_to_that_of_the_towers(clap: Clap) -> None:
    high, own = (torch.sin(2 * torch.pi * 440 * torch.arange(3 * rate) / rate) for rate in (16_000, RATE))
    heard = positive_embeddings([Query(sounds=[high], sample_rate=16_000)], clap)[0]
    expected = positive_embeddings([Query(sounds=[own], sample_rate=RATE)], clap)[0]
    slow = positive_embeddings([Query(sounds=[high], sample_rate=RATE)], clap)[0]  # taken for 4 kHz: 110 Hz
    assert float(heard @ expected) > 0.99
    assert float(heard @ slow) < float(heard @ expected) - 0.01


def test_sounds_without_a_rate_are_refused(bark: torch.Tensor) -> None:
    for sides in ({"sounds": [bark]}, {"texts": DOG, "negative_sounds": [bark]}):
        with pytest.raises(ValueError, match="a query with sounds needs their sample_rate"):
            Query(**sides)


def test_the_gate_is_told_by_its_own_towers_at_their_rate(clap: Clap) -> None:
    """The large towers hear at 48 kHz, those of the gate at 4 kHz, both the same exemplar."""
    towers, exemplar = small_towers(), torch.from_numpy(lively(2.0, rate=16_000)[0])
    queries = [
        Query(texts=["a dog barking"], negative_texts=["applause"]),
        Query(texts=["a bell"], sounds=[exemplar], sample_rate=16_000, audio_weight=0.7),
    ]
    condition = condition_of(queries, towers, clap)
    assert condition.embedding.shape == (2, 2 * SMALL.embedding)
    assert torch.equal(condition.embedding, condition_of(queries, towers).embedding)
    assert condition.gate is not None
    assert torch.equal(condition.gate, condition_of(queries, clap).embedding)
    assert condition_of(queries, towers).gate is None
    one = condition.select(torch.tensor([1, 1]))
    assert one.gate is not None
    assert torch.equal(one.gate, condition.gate[[1, 1]])
