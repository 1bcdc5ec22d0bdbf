"""Retrieval: exact where the answer is known, the same in one piece and in many."""

from __future__ import annotations

import math

import pytest
import torch
from made_examples import seeded
from small_model import EMBEDDING, small_clap
from torch import Tensor
from torch.nn import functional

from model.caption_cache import CaptionCache
from model.conditions import Query, condition_of, embed_sides
from model.retrieval import How, Retrieval


def cache_of(vectors: Tensor) -> CaptionCache:
    return CaptionCache(tuple(f"caption {n}" for n in range(len(vectors))), vectors, "Clap-0")


def units(*shape: int, seed: int = 0) -> Tensor:
    return functional.normalize(torch.randn(*shape, 16, generator=seeded(seed)), dim=-1)


def test_softmax_between_two_captions_weighs_them_by_exp_of_cosine_over_temperature() -> None:
    cache = cache_of(torch.eye(2))
    for degrees in (10.0, 40.0, 45.0, 80.0):
        angle = math.radians(degrees)
        query = torch.tensor([math.cos(angle), math.sin(angle)])
        weights = [math.exp(float(c) / 0.3) for c in query]
        expected = torch.tensor(weights) / math.hypot(*weights)
        assert torch.allclose(Retrieval(cache, "softmax", temperature=0.3)(query), expected, atol=1e-6)


def test_the_nearest_caption_is_given_back_as_it_is() -> None:
    cache = cache_of(units(40))
    noisy = cache.vectors + 0.05 * units(40, seed=1)
    assert torch.allclose(Retrieval(cache, "top1")(noisy), cache.vectors, atol=1e-6)
    cold = Retrieval(cache, "softmax", temperature=1e-3)(noisy)
    assert torch.allclose(cold, cache.vectors, atol=1e-3)  # a cold softmax is the nearest


def test_the_k_nearest_count_the_same() -> None:
    vectors = functional.normalize(torch.tensor([[1.0, 0.1], [1.0, -0.3], [0.0, 1.0], [-1.0, 0.0]]), dim=1)
    found = Retrieval(cache_of(vectors), "topk", k=2)(torch.tensor([[1.0, 0.0]]))
    assert torch.allclose(found[0], functional.normalize(vectors[0] + vectors[1], dim=0), atol=1e-6)
    every = Retrieval(cache_of(vectors), "topk", k=4)(torch.tensor([[1.0, 0.0]]))
    assert torch.allclose(every[0], functional.normalize(vectors.sum(0), dim=0), atol=1e-6)
    warm = Retrieval(cache_of(vectors), "softmax", temperature=1e6)(torch.tensor([[1.0, 0.0]]))
    assert torch.allclose(warm, every, atol=1e-4)  # a hot softmax is the mean of all


@pytest.mark.parametrize("how", ["top1", "topk", "softmax"])
@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_captions_compared_in_pieces_give_what_they_give_in_one(how: How, chunk: int) -> None:
    cache, queries = cache_of(units(100)), units(5, 2, seed=3)
    whole = Retrieval(cache, how, k=9, temperature=0.05)(queries)
    pieces = Retrieval(cache, how, k=9, temperature=0.05, chunk=chunk)(queries)
    assert whole.shape == queries.shape
    assert torch.allclose(pieces, whole, atol=1e-5)
    assert torch.allclose(whole.norm(dim=-1), torch.ones(5, 2), atol=1e-6)


def test_a_query_far_from_every_caption_at_a_low_temperature_still_finds_the_nearest() -> None:
    vectors = functional.normalize(torch.tensor([[-1.0, 0.2], [-1.0, 0.0], [-1.0, -0.5]]), dim=1)
    found = Retrieval(cache_of(vectors), "softmax", temperature=1e-3, chunk=1)(torch.tensor([1.0, 0.0]))
    assert torch.allclose(found, vectors[2], atol=1e-5)  # exp(-cosine / t) of all is 0 in float32


def test_neither_length_nor_type_of_a_query_nor_mixed_precision_around_matters() -> None:
    cache, queries = cache_of(units(50)), units(4, seed=5)
    retrieval = Retrieval(cache, "softmax", temperature=0.05)
    plain = retrieval(queries)
    assert torch.allclose(retrieval(7.0 * queries), plain, atol=1e-5)
    assert retrieval(queries.bfloat16()).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(retrieval(queries), plain)


def test_the_nearest_captions_are_told_with_their_cosines() -> None:
    cache = cache_of(units(30))
    told = Retrieval(cache).nearest(cache.vectors[4], k=3)
    cosines = cache.vectors @ cache.vectors[4]
    assert told[0] == ("caption 4", pytest.approx(1.0, abs=1e-6))
    assert [cosine for _, cosine in told] == pytest.approx(cosines.topk(3).values.tolist(), abs=1e-6)
    assert len(Retrieval(cache).nearest(cache.vectors[4], k=99)) == 30


def test_what_cannot_be_is_refused() -> None:
    cache = cache_of(units(5))
    with pytest.raises(ValueError, match="choose one of top1, topk, softmax"):
        Retrieval(cache, "best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="choose k from 1 to 5"):
        Retrieval(cache, "topk", k=6)
    with pytest.raises(ValueError, match="above 0, got 0"):
        Retrieval(cache, temperature=0.0)
    with pytest.raises(ValueError, match="vectors of 3 numbers cannot be looked up among captions of 16"):
        Retrieval(cache)(torch.ones(2, 3))


def test_conditions_may_be_made_of_retrieved_captions_and_are_not_by_default() -> None:
    clap = small_clap()
    cache = CaptionCache.embed([f"{a} {b}" for a in ("dog", "bell", "rain") for b in ("near", "far")], clap)
    queries = [Query(texts=["a dog"], negative_texts=["rain"]), Query(texts=["bell", "bells"])]
    retrieval = Retrieval(cache, "top1")
    own, found = embed_sides(queries, clap), embed_sides(queries, clap, retrieval)
    assert torch.equal(found.positive, retrieval(own.positive))
    assert torch.equal(found.negative[0], retrieval(own.negative[0]))
    assert not found.negative[1].any()  # nothing is retrieved for what nobody asked
    assert not torch.allclose(found.positive, own.positive, atol=1e-3)
    condition = condition_of(queries, clap, small_clap(seed=1), retrieval)
    assert torch.equal(condition.embedding, found.condition.embedding)
    assert condition.gate is not None
    assert torch.equal(condition.gate, condition_of(queries, small_clap(seed=1)).embedding)
    assert condition.embedding.shape == (2, 2 * EMBEDDING)
