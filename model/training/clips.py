"""Clips in memory with their labels and wordings, and a fair draw among them.

Waveforms are int16 at the model's rate (two hours of sound are 460 MB). Labels with many clips are drawn more often
than labels with one, but far less than in proportion.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.mixing import Audio, as_audio


@dataclass(frozen=True)
class Clip:
    """One recording: its label and its sound, int16 mono.

    `caption` says what is heard in this recording alone; empty where words are known for its label, or none at all.
    `group`: recordings of one group were cut from one (or made by one person, with one thing); empty for none.
    """

    label: str
    sound: NDArray[np.int16]
    caption: str = ""
    group: str = ""

    @property
    def audio(self) -> Audio:
        """The sound as float32 in [-1, 1)."""
        return as_audio(self.sound)


def content_position(clip: Clip, purpose: str) -> float:
    """A place in [0, 1) that depends on what is heard alone, or on the clip's group: the same share of clips is chosen
    wherever they lie. Two purposes choose independently."""
    content = clip.group.encode() or clip.sound.tobytes()
    return int.from_bytes(hashlib.sha256(purpose.encode() + content).digest()[:8], "big") / 2**64


class ClipLibrary:
    """Clips by label, wordings by label, and groups: words that cover several labels ("someone speaking").

    `wordings`: label -> captions; with `captioned` every label needs one, else those without are asked for in no words.
    `groups`: name -> (labels, captions).
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        wordings: Mapping[str, Sequence[str]],
        groups: Mapping[str, tuple[Sequence[str], Sequence[str]]],
        *,
        captioned: bool = True,
        power: float = 0.6,
        cap: int = 40,
    ) -> None:
        self.clips, self.power, self.cap = list(clips), power, cap
        self.labels = sorted({clip.label for clip in clips})
        missing = [label for label in self.labels if not wordings.get(label)]
        if missing and captioned:
            raise ValueError(
                f"labels without a caption: {missing[:5]} ({len(missing)} in all); add them to the captions file"
            )
        self.wordings = {label: list(wordings.get(label, ())) for label in self.labels}
        self.groups = {name: (frozenset(labels), list(captions)) for name, (labels, captions) in groups.items()}
        self.of_label: dict[str, list[int]] = {label: [] for label in self.labels}
        for index, clip in enumerate(self.clips):
            self.of_label[clip.label].append(index)
        self.weights = self._weights()
        self.captions = sorted(
            {c for cs in self.wordings.values() for c in cs}
            | {c for _, cs in self.groups.values() for c in cs}
            | {clip.caption for clip in self.clips if clip.caption}
        )
        self.caption_row = {caption: row for row, caption in enumerate(self.captions)}

    def weighted(self, power: float) -> ClipLibrary:
        """The same library, of which a label with n clips is drawn in proportion to n ** power (n at most `cap`)."""
        library = copy.copy(self)
        library.power = power
        library.weights = library._weights()
        return library

    def only(self, keep: Callable[[Clip], bool]) -> ClipLibrary:
        """The library of those clips alone, with the same words for their labels."""
        clips = [clip for clip in self.clips if keep(clip)]
        groups = {name: (sorted(labels), captions) for name, (labels, captions) in self.groups.items()}
        return ClipLibrary(clips, self.wordings, groups, captioned=False, power=self.power, cap=self.cap)

    def _weights(self) -> NDArray[np.float64]:
        counts = np.array([min(self.cap, len(self.of_label[label])) for label in self.labels], dtype=np.float64)
        weights: NDArray[np.float64] = counts**self.power / (counts**self.power).sum()
        return weights

    def draw_label(self, generator: np.random.Generator, *, besides: Sequence[str] = ()) -> str:
        """A label, none of `besides`. Raises ValueError when there is no other."""
        if not set(self.labels) - set(besides):
            raise ValueError(f"there is no label besides {', '.join(besides)}; add clips of other sounds")
        while True:
            label = self.labels[int(generator.choice(len(self.labels), p=self.weights))]
            if label not in besides:
                return label

    def draw_clip(self, label: str, generator: np.random.Generator) -> int:
        """Index of a clip of the label."""
        return int(generator.choice(self.of_label[label]))

    def draw_caption(
        self, label: str, generator: np.random.Generator, *, others: Sequence[str] = (), group_share: float = 0.12
    ) -> str:
        """A wording of the label, empty where there is none; at times one of a group it belongs to, if no label of
        `others` belongs to it too."""
        if generator.random() < group_share:
            fitting = [
                captions
                for labels, captions in self.groups.values()
                if label in labels and not any(other in labels for other in others)
            ]
            if fitting:
                captions = fitting[int(generator.integers(len(fitting)))]
                return captions[int(generator.integers(len(captions)))]
        own = self.wordings[label]
        return "" if not own else own[int(generator.integers(len(own)))]

    def fits(self, caption: str, label: str) -> bool:
        """True when the caption is a wording of the label or of a group that holds it."""
        return caption in self.wordings[label] or any(
            label in labels and caption in captions for labels, captions in self.groups.values()
        )
