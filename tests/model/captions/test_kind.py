"""English verb forms, and phrases of a text."""

from __future__ import annotations

import pytest

from model.captions.kind import gerund, kind, phrases, third_person


@pytest.mark.parametrize(
    ("phrase", "does", "doing"),
    [
        ("bark", "barks", "barking"),
        ("hum a tune", "hums a tune", "humming a tune"),
        ("cry", "cries", "crying"),
        ("play", "plays", "playing"),
        ("moo", "moos", "mooing"),
        ("go off", "goes off", "going off"),
        ("hiss and die", "hisses and dies", "hissing and dying"),
        ("drive away", "drives away", "driving away"),
        ("begin to fall", "begins to fall", "beginning to fall"),
        ("squeak", "squeaks", "squeaking"),
        ("blow", "blows", "blowing"),
        ("buzz", "buzzes", "buzzing"),
        ("tiptoe", "tiptoes", "tiptoeing"),
        ("unwrap a candy", "unwraps a candy", "unwrapping a candy"),
        ("rev", "revs", "revving"),
    ],
)
def test_the_first_verb_of_every_part_is_inflected(phrase: str, does: str, doing: str) -> None:
    assert third_person(phrase) == does
    assert gerund(phrase) == doing


def test_a_kind_is_made_of_texts() -> None:
    assert phrases(" a dog,\n  a  cat, ") == ("a dog", "a cat")
    dogs = kind("a dog", "bark, run and jump", many="dogs")
    assert dogs.does == ("bark", "run and jump")
    assert dogs.names == dogs.how == dogs.where == ()
