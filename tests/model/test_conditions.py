"""Conditions: positive and negative side by side, unit length, the same whatever the order of wordings."""

from __future__ import annotations

import pytest
import torch
from small_model import EMBEDDING, RATE, lively, small_clap
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
