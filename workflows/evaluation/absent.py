"""Words for a sound that is not in a mixture, chosen among those of its list.

A list says of most sounds what they are only where they are the target. So the class of a noise is looked up wherever
its recording stands in the list; where nothing tells it, nothing can be said to be absent. What shares a word with a
sound of the mixture counts as being there: labels such as "Explosion Burst, pop" name several classes, and lists join
them in several ways. Our choice; it leaves out too much rather than too little.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from workflows.evaluation.mixtures import Mixture

EMPTY: Final = frozenset(
    "a an and are as at by for from in inside is it its of on or outside sound sounds the to while with".split()
)
"""Words that name no sound."""


class Absent:
    """What the mixtures of a list can be asked for in vain."""

    def __init__(self, mixtures: Sequence[Mixture]) -> None:
        self._of_recording: dict[str, frozenset[str]] = {}
        phrases: dict[str, tuple[frozenset[str], str]] = {}
        for mixture in mixtures:
            named = mixture.label or mixture.caption
            self._learn(mixture.target.identity, named)
            phrases.setdefault(named, (_words(named), mixture.caption))
            if named := mixture.noise_label or mixture.negative_caption:
                if len(mixture.noises) == 1:
                    self._learn(mixture.noises[0].identity, named)
                phrases.setdefault(named, (_words(named), mixture.negative_caption or named))
        self._phrases = list(phrases.values())

    def words(self, mixture: Mixture, generator: np.random.Generator) -> str | None:
        """Words for a sound that is not in the mixture; None where `why_none` says why."""
        there = self._there(mixture)
        if there is None:
            return None
        for place in generator.permutation(len(self._phrases)):
            words, phrase = self._phrases[place]
            if words and words.isdisjoint(there):
                return phrase
        return None

    def why_none(self, mixture: Mixture) -> str:
        """Why nothing can be asked for that is not in the mixture."""
        if self._there(mixture) is None:
            return (
                "the list tells no class of the noise, so nothing is known to be absent; leave out --absent, or add "
                "the columns noise_label and negative_caption to a list of your own"
            )
        return "every class of the list may be in this mixture, none can be absent"

    def _there(self, mixture: Mixture) -> frozenset[str] | None:
        """Words of all that sounds; None where the list does not tell it."""
        there = _words(mixture.label or mixture.caption) | self._of_recording[mixture.target.identity]
        told = mixture.noise_label or mixture.negative_caption
        of_noises = [self._of_recording.get(noise.identity) for noise in mixture.noises]
        if not told and (not of_noises or None in of_noises):
            return None
        return there.union(_words(told), *(words for words in of_noises if words))

    def _learn(self, identity: str, named: str) -> None:
        self._of_recording[identity] = self._of_recording.get(identity, frozenset()) | _words(named)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+", text.casefold())) - EMPTY
