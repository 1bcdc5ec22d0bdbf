"""From a caption to the phrases in it that name one sound each, by rules; and K of them for every clip of a batch.

Source: the recipe of the bi-modal paper (arXiv 2404.01740), which splits captions at conjunctions and fills up or
samples to K phrases; the lists are ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

CONJUNCTIONS = ("followed by", "as well as", "along with", "and", "as", "while", "then", "with", "before", "after")
"""Where a caption is split, as at commas and semicolons. Longer ones first."""
KEPT_WHOLE = (
    "man and woman", "man and a woman", "woman and man", "woman and a man", "men and women", "women and men",
    "boy and girl", "girl and boy", "boys and girls", "girls and boys", "adults and children", "women and children",
    "people and children", "back and forth", "up and down", "on and off", "on and on", "again and again",
    "in and out", "pots and pans", "dishes and pans", "plates and glasses", "knife and fork", "thunder and lightning",
    "rock and roll", "drum and bass", "such as", "as if", "as though", "then again", "now and then", "and then",
)  # fmt: skip
"""Where a conjunction does not part two sounds. "And then" is one conjunction, not two."""

_JOINT = "\0"
_WHOLE = re.compile(
    r"\b(?:" + "|".join(map(re.escape, KEPT_WHOLE)) + r"|(\w+) and \1)\b",  # louder and louder
    re.IGNORECASE,
)
_WORDS = "|".join(CONJUNCTIONS)
_SPLIT = re.compile(rf"(?:\s*[,;.]+\s*|\s+|^)(?:and\0then|{_WORDS})\s+|\s*[,;.]+(?:\s+|$)", re.IGNORECASE)


def split_caption(caption: str) -> tuple[str, ...]:
    """The phrases of a caption in their order, each once; a caption that names one sound comes back whole.

    >>> split_caption("A dog barks followed by a man and woman laughing, and then birds chirp")
    ('A dog barks', 'a man and woman laughing', 'birds chirp')
    >>> split_caption("Rain with thunder as the wind blows")
    ('Rain', 'thunder', 'the wind blows')

    Raises ValueError for a caption without a word.
    """
    joined = _WHOLE.sub(lambda found: found[0].replace(" ", _JOINT), " ".join(caption.split()))
    pieces = [joined]
    while True:  # two conjunctions in a row leave the second at a piece's start
        finer = [part for piece in pieces for part in _SPLIT.split(piece)]
        if finer == pieces:
            break
        pieces = finer
    phrases = [piece.replace(_JOINT, " ").strip(" ,;.") for piece in pieces]
    once = {phrase.casefold(): phrase for phrase in reversed(phrases) if phrase}  # the first spelling stays
    if not once:
        raise ValueError(f"a caption names at least one sound, got {caption!r}; leave clips without words out")
    return tuple(phrase for phrase in phrases if once.pop(phrase.casefold(), None) is not None)


@dataclass(frozen=True)
class ChosenPhrases:
    """K phrases of a clip. `shares[k]` is 1 over the times that phrase k occurs among them, so that shares of equal
    phrases add up to one."""

    texts: tuple[str, ...]
    shares: tuple[float, ...]


def choose_phrases(phrases: Sequence[str], count: int, generator: torch.Generator) -> ChosenPhrases:
    """`count` of the phrases of a clip: a random choice in their order if there are more, else all of them, repeated in
    turn.

    >>> choose_phrases(["rain", "thunder"], 3, torch.Generator())
    ChosenPhrases(texts=('rain', 'thunder', 'rain'), shares=(0.5, 1.0, 0.5))
    """
    if not phrases or count < 1:
        raise ValueError(f"at least one phrase of at least one, got {count = } of {tuple(phrases)}")
    if len(phrases) > count:
        order = torch.randperm(len(phrases), generator=generator, device=generator.device)[:count]
        texts = tuple(phrases[index] for index in sorted(order.tolist()))
    else:
        texts = tuple(phrases[index % len(phrases)] for index in range(count))
    return ChosenPhrases(texts, tuple(1.0 / texts.count(text) for text in texts))
