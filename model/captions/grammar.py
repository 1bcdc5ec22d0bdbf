"""Captions drawn from the vocabularies: one sound in one of three forms, or two sounds in a sentence.

a dog barks behind a fence          finite
a dog barking behind a fence        participle
the chirping of crickets at night   a name, where its kind has one

A while B, A as B, A and then B (finite)      A followed by B, A with B in the background (participle or name)
"""

from __future__ import annotations

import random
import re
from typing import Final, Literal

from model.captions.adverbials import DISTANCES, SLOTS, TIMES
from model.captions.animals import ANIMALS
from model.captions.household import HOUSEHOLD
from model.captions.kind import Kind, gerund, third_person
from model.captions.machines import ALARMS, MACHINES, VEHICLES
from model.captions.people import HUMANS
from model.captions.surroundings import CITY, MUSIC, NATURE, WATER, WEATHER

Form = Literal["finite", "participle"]

DOMAINS: Final[tuple[tuple[Kind, ...], ...]] = (
    ANIMALS,
    HUMANS,
    VEHICLES,
    MACHINES,
    ALARMS,
    HOUSEHOLD,
    WEATHER,
    WATER,
    (*NATURE, *CITY),
    MUSIC,
)
MOST: Final = 1_000_000
"""More captions are not made: repetitions would begin to cost time, and they tell nothing new."""

FINITE_SHARE: Final = 0.5
NAME_SHARE: Final = 0.4
"""Of what is not finite, where a kind has names."""
MANY_SHARE: Final = 0.3
MANNER_SHARE: Final = 0.4
PLACE_SHARE: Final = 0.4
DISTANCE_SHARE: Final = 0.12
TIME_SHARE: Final = 0.08
TWO_SHARE: Final = 0.4
FINITE_JOINTS: Final = (" while ", " as ", " and then ", " and ", " before ", ", then ")
OTHER_JOINTS: Final = (" followed by ", " and then ", " along with ", " mixed with ", " with ", " and ")
BEHIND: Final = " in the background"
_ITS: Final = re.compile(r"\bits\b")
_SLOT: Final = re.compile(r"\{(\w+)\}")


def captions(count: int, seed: int = 0) -> list[str]:
    """So many captions, all different, in lower case and without a full stop. Same count and seed, same captions.

    Domains are drawn equally often, and the kinds within them. Raises ValueError for a count that is not 1 to `MOST`.

    >>> captions(1, seed=1) == captions(2, seed=1)[:1]
    True
    """
    if not 1 <= count <= MOST:
        raise ValueError(f"{count} captions are asked for; 1 to {MOST} can be made")
    generator = random.Random(seed)
    different: dict[str, None] = {}
    while len(different) < count:
        different[caption(generator)] = None
    return list(different)


def caption(generator: random.Random) -> str:
    """One caption, of one sound or of two."""
    first = draw_kind(generator)
    if generator.random() >= TWO_SHARE:
        return event(first, _form(generator), generator)
    second = draw_kind(generator)
    while second is first:
        second = draw_kind(generator)
    form = _form(generator)
    joint = generator.choice(FINITE_JOINTS if form == "finite" else OTHER_JOINTS)
    behind = joint == " with "
    # With adverbials on both sides a sentence is more than anybody says.
    one, other = event(first, form, generator), event(second, form, generator, plain=behind or generator.random() < 0.6)
    return f"{one}{joint}{other}{BEHIND if behind else ''}"


def draw_kind(generator: random.Random) -> Kind:
    """A kind of a domain."""
    return generator.choice(generator.choice(DOMAINS))


def event(kind: Kind, form: Form, generator: random.Random, *, plain: bool = False) -> str:
    """What one sound is, told in a form; `plain`: without adverbials."""
    if form == "participle" and kind.names and generator.random() < NAME_SHARE:
        words, manners = [generator.choice(kind.names)], False
    else:
        many = bool(kind.many) and generator.random() < MANY_SHARE
        verb = generator.choice(kind.does)
        if form == "participle":
            verb = gerund(verb)
        elif not many:
            verb = third_person(verb)
        if many:
            verb = _ITS.sub("their", verb)
        words, manners = [generator.choice(kind.many if many else kind.one), verb], True
    if not plain:
        words += _adverbials(kind, generator, manners=manners)
    return _SLOT.sub(lambda slot: generator.choice(SLOTS[slot[1]]), " ".join(words))


def _adverbials(kind: Kind, generator: random.Random, *, manners: bool) -> list[str]:
    """How, where and when: none, one or two of them, in this order."""
    found = []
    if manners and kind.how and generator.random() < MANNER_SHARE:
        found.append(generator.choice(kind.how))
    draw = generator.random()
    if kind.where and draw < PLACE_SHARE:
        found.append(generator.choice(kind.where))
    elif draw < PLACE_SHARE + DISTANCE_SHARE:
        found.append(generator.choice(DISTANCES))
    elif draw < PLACE_SHARE + DISTANCE_SHARE + TIME_SHARE:
        found.append(generator.choice(TIMES))
    return found


def _form(generator: random.Random) -> Form:
    return "finite" if generator.random() < FINITE_SHARE else "participle"
