"""What a vocabulary is made of: kinds of sounding things, what they do, how and where; and English verb forms.

Phrases are written as one text, separated by commas. `{metal}` in a phrase stands for any phrase of that slot.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

IRREGULAR: Final = {"begin": "beginning", "unwrap": "unwrapping"}
DOUBLED: Final = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]")
"""One syllable of one vowel and one consonant: the consonant is doubled before -ing."""


@dataclass(frozen=True)
class Kind:
    """Things that sound alike.

    `one`, `many`: subjects in the singular and in the plural. `does`: verb phrases in the infinitive, all verbs of one
    joined by " and ". `names`: noun phrases that tell the sound without a verb. `how`, `where`: adverbials.
    """

    one: tuple[str, ...]
    many: tuple[str, ...]
    does: tuple[str, ...]
    names: tuple[str, ...]
    how: tuple[str, ...]
    where: tuple[str, ...]


def phrases(text: str) -> tuple[str, ...]:
    """The phrases of a text, white space within them made one space."""
    return tuple(" ".join(phrase.split()) for phrase in text.split(",") if phrase.strip())


def kind(one: str, does: str, *, many: str = "", names: str = "", how: str = "", where: str = "") -> Kind:
    """A kind of its texts."""
    return Kind(phrases(one), phrases(many), phrases(does), phrases(names), phrases(how), phrases(where))


def third_person(phrase: str) -> str:
    """What one does.

    >>> third_person("hiss and go out")
    'hisses and goes out'
    """
    return " and ".join(_first_word(part, _with_s) for part in phrase.split(" and "))


def gerund(phrase: str) -> str:
    """What one is doing.

    >>> gerund("drip and slide off")
    'dripping and sliding off'
    """
    return " and ".join(_first_word(part, _with_ing) for part in phrase.split(" and "))


def _first_word(phrase: str, change: Callable[[str], str]) -> str:
    verb, space, rest = phrase.partition(" ")
    return f"{change(verb)}{space}{rest}"


def _with_s(verb: str) -> str:
    if verb.endswith(("s", "x", "z", "ch", "sh", "o")) and not verb.endswith("oo"):
        return f"{verb}es"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return f"{verb[:-1]}ies"
    return f"{verb}s"


def _with_ing(verb: str) -> str:
    if verb in IRREGULAR:
        return IRREGULAR[verb]
    if verb.endswith("ie"):
        return f"{verb[:-2]}ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe")):
        return f"{verb[:-1]}ing"
    return f"{verb}{verb[-1]}ing" if DOUBLED.fullmatch(verb) else f"{verb}ing"
