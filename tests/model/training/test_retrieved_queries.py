"""Retrieved queries: sounds without words are asked for by captions."""

from __future__ import annotations

import torch
from made_examples import made_examples, seeded
from small_model import EMBEDDING, small_clap
from torch.nn import functional

from model.caption_cache import CaptionCache
from model.retrieval import Retrieval
from model.training.audio_queries import AudioQueries
from model.training.manipulations import GaussianNoise
from model.training.retrieved_queries import RetrievedQueries

CAPTIONS = [f"{a} {b}" for a in ("a dog", "rain", "a bell", "wind", "a car") for b in ("near", "far", "inside")]
WORDLESS = (("", ""), ("", ""))


def test_every_query_is_what_retrieval_finds_for_the_audio_query() -> None:
    clap = small_clap()
    cache = CaptionCache.embed(CAPTIONS, clap)
    audio = AudioQueries(clap, [GaussianNoise(0.01)])
    examples = made_examples(WORDLESS)
    found = RetrievedQueries(audio, Retrieval(cache, "top1"))(examples, seeded(2))
    assert found.shape == (2, 2, EMBEDDING)
    heard = audio(examples, seeded(2)).reshape(-1, EMBEDDING)
    unit = functional.normalize(cache.vectors, dim=1)
    assert torch.allclose(found.reshape(-1, EMBEDDING), unit[(heard @ unit.T).argmax(dim=1)], atol=1e-6)
    softly = RetrievedQueries(audio, Retrieval(cache, "softmax"))(examples, seeded(2))
    assert torch.allclose(softly.norm(dim=-1), torch.ones(2, 2), atol=1e-6)
    assert torch.equal(softly, RetrievedQueries(audio, Retrieval(cache, "softmax"))(examples, seeded(2)))
