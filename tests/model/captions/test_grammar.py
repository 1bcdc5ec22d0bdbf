"""Captions by the grammar: many, all different, the same for a seed, and clean English lines."""

from __future__ import annotations

import random
import re

import pytest

from model.captions.adverbials import SLOTS
from model.captions.grammar import DOMAINS, captions, draw_kind, event
from model.captions.kind import gerund


@pytest.fixture(scope="module")
def twenty_thousand() -> list[str]:
    return captions(20_000)


def test_captions_are_all_different_and_the_same_for_the_same_seed(twenty_thousand: list[str]) -> None:
    assert len(set(twenty_thousand)) == 20_000
    assert captions(500) == twenty_thousand[:500]  # more captions begin with the fewer
    assert not set(captions(500, seed=1)) >= set(twenty_thousand[:100])


def test_captions_are_lines_of_plain_words_without_open_slots(twenty_thousand: list[str]) -> None:
    for caption in twenty_thousand:
        assert re.fullmatch(r"[A-Za-z][a-z' -]*(, [a-z' -]+)?", caption), caption
        assert "  " not in caption
        assert 1 <= len(caption.split()) <= 32, caption


def test_captions_are_of_one_sound_and_of_two_in_every_joint(twenty_thousand: list[str]) -> None:
    text = "\n".join(twenty_thousand)
    for joint in (" while ", " as ", " followed by ", " and then ", ", then ", " before ", " along with "):
        assert text.count(joint) > 200, joint
    assert sum("while" in caption for caption in twenty_thousand) < 2000


@pytest.mark.parametrize(
    "word", "dog baby laugh train helicopter saw alarm door glass rain thunder waves leaves traffic piano drum".split()
)
def test_common_sounds_are_told_often_and_in_many_ways(twenty_thousand: list[str], word: str) -> None:
    assert sum(word in caption for caption in twenty_thousand) >= 30


def test_a_plural_subject_has_a_plural_verb_and_a_singular_one_its_own() -> None:
    generator = random.Random(0)
    dogs = DOMAINS[0][0]
    told = {event(dogs, "finite", generator, plain=True) for _ in range(300)}
    assert "a dog barks" in told
    assert "a puppy shakes its wet fur" in told
    assert not any(re.match(r"a (small |large )?dog (bark|growl|howl)\b", caption) for caption in told)


def test_what_several_have_is_theirs() -> None:
    generator = random.Random(0)
    told = {event(draw_kind(generator), "finite", generator) for _ in range(5000)}
    assert "trains ring its bell" not in told
    assert any(re.search(r"s (sound|ring|flap|beat) their ", caption) for caption in told)


def test_every_slot_of_the_vocabulary_can_be_filled_and_every_verb_has_a_participle() -> None:
    for domain in DOMAINS:
        for kind in domain:
            assert kind.one
            assert kind.does
            for phrase in (*kind.one, *kind.many, *kind.does, *kind.names, *kind.how, *kind.where):
                assert set(re.findall(r"\{(\w+)\}", phrase)) <= SLOTS.keys(), phrase
                assert phrase == phrase.strip(" ,.")
            for verb in kind.does:
                assert gerund(verb).split()[0].endswith("ing")


@pytest.mark.parametrize("count", [0, 1_000_001])
def test_a_count_that_cannot_be_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000000 can be made"):
        captions(count)
