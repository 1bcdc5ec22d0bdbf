"""Text queries: the towers' own vectors, once per caption, and none for a sound without words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from made_examples import WORDS, made_examples, seeded
from small_model import EMBEDDING, small_clap
from torch import Tensor

from model.clap import Clap
from model.training.query_texts import TextQueries


@pytest.fixture
def clap() -> Clap:
    return small_clap()


def test_every_sound_is_asked_for_by_the_vector_of_its_caption(clap: Clap) -> None:
    vectors = TextQueries(clap)(made_examples(), seeded())
    assert vectors.shape == (3, 2, EMBEDDING)
    assert vectors.dtype == torch.float32
    assert not vectors.requires_grad
    for row, words in enumerate(WORDS):
        assert torch.allclose(vectors[row], clap.embed_text(words), atol=1e-6)


def test_a_caption_is_embedded_once_and_alone(clap: Clap, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    embed = clap.embed_text

    def listening(texts: Sequence[str]) -> Tensor:
        asked.append(list(texts))
        return embed(texts)

    monkeypatch.setattr(clap, "embed_text", listening)
    source = TextQueries(clap)
    first, again = source(made_examples(), seeded()), source(made_examples(), seeded())
    assert torch.equal(first, again)
    assert asked == [[text] for text in dict.fromkeys(word for row in WORDS for word in row)]


def test_a_mixed_precision_around_changes_nothing(clap: Clap) -> None:
    plain = TextQueries(clap)(made_examples(), seeded())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(TextQueries(clap)(made_examples(), seeded()), plain)


@pytest.mark.parametrize("empty", ["", "  "])
def test_a_sound_without_a_caption_is_an_error_that_names_the_schemes_that_need_none(clap: Clap, empty: str) -> None:
    examples = made_examples((("a bell", "a dog"), ("a cow", empty)))
    with pytest.raises(ValueError, match=r"sound 1 of mixture 1 has no caption.*audio_only.*retrieval"):
        TextQueries(clap)(examples, seeded())
