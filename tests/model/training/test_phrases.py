"""Captions and the phrases in them."""

from __future__ import annotations

import pytest
from tone_examples import seeded

from model.training.phrases import ChosenPhrases, choose_phrases, split_caption

CAPTIONS = {
    "A dog barks": ["A dog barks"],
    "A dog barks and birds chirp.": ["A dog barks", "birds chirp"],
    "Rain falls, thunder rumbles, and wind blows": ["Rain falls", "thunder rumbles", "wind blows"],
    "An engine idles followed by a horn": ["An engine idles", "a horn"],
    "Music plays as people clap while a child laughs": ["Music plays", "people clap", "a child laughs"],
    "A door slams then footsteps with an echo": ["A door slams", "footsteps", "an echo"],
    "A bell rings, and then a man speaks": ["A bell rings", "a man speaks"],
    "A man and woman talk and a dog barks": ["A man and woman talk", "a dog barks"],
    "Waves go back and forth as gulls cry": ["Waves go back and forth", "gulls cry"],
    "An engine gets louder and louder": ["An engine gets louder and louder"],
    "Tools such as a drill with hammering": ["Tools such as a drill", "hammering"],
    "Candy wrappers rustle; grass is mown": ["Candy wrappers rustle", "grass is mown"],  # no "and" inside of words
    "A hum of 3.5 kHz, and while it fades, hiss": ["A hum of 3.5 kHz", "it fades", "hiss"],
    "Typing and typing. A beep and a beep": ["Typing and typing", "A beep"],
    "wind and rain and wind": ["wind", "rain"],
    "AN ENGINE AND A HORN": ["AN ENGINE", "A HORN"],
}


@pytest.mark.parametrize(("caption", "phrases"), CAPTIONS.items())
def test_captions_are_split_where_one_sound_ends(caption: str, phrases: list[str]) -> None:
    assert list(split_caption(caption)) == phrases


def test_phrases_are_whole_already() -> None:
    for caption in CAPTIONS:
        for phrase in split_caption(caption):
            assert split_caption(phrase) == (phrase,)


@pytest.mark.parametrize("caption", ["", "  ", " ,. "])
def test_a_caption_without_words_is_refused(caption: str) -> None:
    with pytest.raises(ValueError, match="a caption names at least one sound"):
        split_caption(caption)


def test_too_few_phrases_are_repeated_and_share_one() -> None:
    assert choose_phrases(["a"], 3, seeded()) == ChosenPhrases(("a",) * 3, (1 / 3,) * 3)
    chosen = choose_phrases(["a", "b"], 3, seeded())
    assert chosen == ChosenPhrases(("a", "b", "a"), (0.5, 1.0, 0.5))
    assert choose_phrases(["a", "b"], 2, seeded()) == ChosenPhrases(("a", "b"), (1.0, 1.0))


def test_too_many_phrases_are_sampled_in_their_order_by_the_generator() -> None:
    phrases = list("abcde")
    first, again = ([choose_phrases(phrases, 3, generator) for _ in range(30)] for generator in (seeded(1), seeded(1)))
    assert first == again
    assert all(list(chosen.texts) == sorted(set(chosen.texts)) and len(chosen.texts) == 3 for chosen in first)
    assert {text for chosen in first for text in chosen.texts} == set(phrases)  # none is left out for ever


def test_no_phrases_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one phrase"):
        choose_phrases([], 2, seeded())
