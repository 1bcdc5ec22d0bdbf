"""Words where somebody wrote them, else the sound itself."""

from __future__ import annotations

import torch
from made_examples import made_examples, seeded
from small_model import EMBEDDING, small_clap

from model.training.audio_queries import AudioQueries
from model.training.manipulations import GaussianNoise
from model.training.query_texts import TextQueries
from model.training.text_or_audio_queries import TextOrAudioQueries

PARTLY = (("a dog barking", ""), ("  ", "a bell"))


def test_captioned_sounds_are_asked_for_in_words_and_the_others_by_themselves() -> None:
    clap = small_clap()
    text, audio = TextQueries(clap), AudioQueries(clap)
    examples = made_examples(PARTLY)
    vectors = TextOrAudioQueries(text, audio)(examples, seeded())
    heard = audio(examples, seeded())
    assert vectors.shape == (2, 2, EMBEDDING)
    assert torch.equal(vectors[0, 0], text.vector("a dog barking"))
    assert torch.equal(vectors[1, 1], text.vector("a bell"))
    assert torch.equal(vectors[0, 1], heard[0, 1])
    assert torch.equal(vectors[1, 0], heard[1, 0])  # blanks are no words


def test_all_in_words_and_none_in_words_are_the_two_schemes() -> None:
    clap = small_clap()
    text, audio = TextQueries(clap), AudioQueries(clap, [GaussianNoise(0.01)])
    both = TextOrAudioQueries(text, audio)
    worded, wordless = made_examples(), made_examples((("", ""),))
    assert torch.equal(both(worded, seeded()), text(worded, seeded()))
    assert torch.equal(both(wordless, seeded(3)), audio(wordless, seeded(3)))


def test_the_vectors_of_the_audio_source_are_left_as_they_are() -> None:
    clap = small_clap()
    kept = torch.zeros(2, 2, EMBEDDING)
    TextOrAudioQueries(TextQueries(clap), lambda examples, generator: kept)(made_examples(PARTLY), seeded())
    assert not kept.any()
