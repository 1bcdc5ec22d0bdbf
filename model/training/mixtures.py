"""Mixtures made on the fly from a library of clips: what a training step sees.

    parts (clips, varied in speed and spectrum) -> sounds (one part, or several mixed) -> mixture

Same seed, step and worker, same mixtures to the bit. No label is twice in a mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from model.mixing import Audio, at_snr, lively_crop
from model.training.clips import ClipLibrary
from model.training.examples import Examples
from model.training.variation import Places, varied_crop

LOUDEST_PEAK: Final = 0.9


class FewLabelsError(ValueError):
    """There are fewer labels than a mixture has parts; the message says how many of each."""


@dataclass(frozen=True)
class MixtureSettings:
    """What mixtures are like. CLAPSep mixes two clips of 10 s at 0 dB, 32 of them a step; the ranges are our choice."""

    batch: int = 16
    """Mixtures of one step and worker."""
    seconds: float = 3.2
    sounds: int = 2
    """Sounds of a mixture that can be asked for."""
    fewest_sounds: int | None = None
    """So many of them sound at least; how many is drawn for every mixture. The others are silent: who asks for them
    must get nothing. None for all."""
    parts: int = 1
    """Clips that each sound is made of; more than one in weak training, where no clip is heard alone."""
    lowest_snr_db: float = -5.0
    highest_snr_db: float = 5.0
    """Level of a sound over the next one, and of a part over the next one, drawn evenly."""
    lowest_gain_db: float = -20.0
    """Level of the whole mixture, drawn evenly from here to 0 dB."""
    label_power: float = 0.6
    """A label with n clips is drawn in proportion to n ** label_power: 0 for all labels alike, 1 for all clips alike (n
    up to 40)."""
    vary: bool = True
    """Whether clips are heard at other speeds and through gentle equalisers."""
    room_share: float = 0.0
    """Share of the clips that are heard in a room, with its reverberation."""
    narrow_share: float = 0.0
    """Share of the clips of which the highest frequencies are missing, as over a telephone or a poor codec."""

    def __post_init__(self) -> None:
        if self.batch < 1 or self.sounds < 2 or self.parts < 1 or self.seconds <= 0:
            raise ValueError(
                f"a mixture has two sounds or more, of one part or more: {self.batch = }, {self.sounds = }, "
                f"{self.parts = }, {self.seconds = }"
            )
        if self.fewest_sounds is not None and not 1 <= self.fewest_sounds <= self.sounds:
            raise ValueError(f"1 to all of the sounds can be heard: {self.fewest_sounds = }, {self.sounds = }")
        if not 0.0 <= self.label_power <= 1.0:
            raise ValueError(f"label_power lies in [0, 1], got {self.label_power = }")
        if not (0.0 <= self.room_share <= 1.0 and 0.0 <= self.narrow_share <= 1.0):
            raise ValueError(f"shares lie in [0, 1], got {self.room_share = }, {self.narrow_share = }")
        if not self.vary and (self.room_share or self.narrow_share):
            raise ValueError(
                f"clips in rooms or over narrow lines are varied: set vary, or both shares to 0, got {self.vary = }, "
                f"{self.room_share = }, {self.narrow_share = }"
            )
        if self.lowest_snr_db > self.highest_snr_db or self.lowest_gain_db > 0.0:
            raise ValueError(
                f"levels in dB: {self.lowest_snr_db = }, {self.highest_snr_db = }, {self.lowest_gain_db = }"
            )


class MixtureDraw:
    """`draw(step, worker)` gives the examples of a step; `sample_rate` is that of the library's clips.

    With `exemplars` there is also a clip of every sound's label, its own one at times. Raises FewLabelsError where no
    mixture can be made.
    """

    def __init__(
        self, library: ClipLibrary, settings: MixtureSettings, sample_rate: int, seed: int, *, exemplars: bool = False
    ) -> None:
        if exemplars and settings.parts > 1:
            raise ValueError(f"a sound of {settings.parts} parts has no label of its own, so no siblings to ask by")
        needed = settings.sounds * settings.parts
        if len(library.labels) < needed:
            raise FewLabelsError(
                f"mixtures of {settings.sounds} sounds of {settings.parts} parts need {needed} labels, the data have "
                f"{len(library.labels)} ({', '.join(library.labels[:5])}); add clips of other sounds, or mix fewer"
            )
        self.library = library.weighted(settings.label_power)
        self.settings, self.sample_rate, self.seed = settings, sample_rate, seed
        self.exemplars = exemplars
        self.samples = round(settings.seconds * sample_rate)
        placed = settings.room_share > 0.0 or settings.narrow_share > 0.0
        self.places = Places(sample_rate, settings.room_share, settings.narrow_share) if placed else None

    def __call__(self, step: int, worker: int = 0) -> Examples:
        generator = np.random.default_rng([self.seed, step, worker])
        drawn = [self._mixture(generator) for _ in range(self.settings.batch)]
        sounds = np.stack([sounds for sounds, _, _ in drawn])
        phrases = tuple(phrases for _, phrases, _ in drawn)
        exemplars = [self._exemplars(labels, generator) for _, _, labels in drawn] if self.exemplars else None
        return Examples(
            mixture=torch.from_numpy(sounds.sum(axis=1)),
            sounds=torch.from_numpy(sounds),
            captions=tuple(tuple(_caption(names) for names in row) for row in phrases),
            phrases=phrases if self.settings.parts > 1 else tuple(((),) * len(row) for row in phrases),
            sample_rate=self.sample_rate,
            exemplars=None if exemplars is None else torch.from_numpy(np.stack(exemplars)),
        )

    def _mixture(self, generator: np.random.Generator) -> tuple[Audio, tuple[tuple[str, ...], ...], list[str]]:
        """Sounds [S, T] of one mixture, for each sound the names of its parts, empty ones where none is known, and the
        labels of all parts."""
        settings, library = self.settings, self.library
        labels: list[str] = []
        for _ in range(settings.sounds * settings.parts):
            labels.append(library.draw_label(generator, besides=labels))
        names = [library.draw_caption(label, generator, others=[x for x in labels if x != label]) for label in labels]
        clips = [library.clips[library.draw_clip(label, generator)] for label in labels]
        names = [clip.caption or name for clip, name in zip(clips, names, strict=True)]
        parts = [self._crop(clip.sound, generator) for clip in clips]
        starts = range(0, len(parts), settings.parts)
        sounds = self._mixed([self._sum(parts[at : at + settings.parts], generator) for at in starts], generator)
        if settings.fewest_sounds is not None:
            for silent in sounds[int(generator.integers(settings.fewest_sounds, settings.sounds + 1)) :]:
                silent[:] = 0.0
        peak = float(np.abs(np.sum(sounds, axis=0)).max(initial=0.0))
        gain = 10.0 ** (generator.uniform(settings.lowest_gain_db, 0.0) / 20.0) * min(1.0, LOUDEST_PEAK / (peak + 1e-9))
        phrases = tuple(tuple(names[at : at + settings.parts]) for at in starts)
        return np.stack(sounds) * np.float32(gain), phrases, labels

    def _exemplars(self, labels: list[str], generator: np.random.Generator) -> Audio:
        """A clip [S, T] of every label."""
        clips = [self.library.clips[self.library.draw_clip(label, generator)] for label in labels]
        return np.stack([lively_crop(clip.sound, self.samples, generator) for clip in clips])

    def _crop(self, sound: NDArray[np.int16], generator: np.random.Generator) -> Audio:
        if not self.settings.vary:
            return lively_crop(sound, self.samples, generator)
        return varied_crop(sound, self.samples, generator, self.places)

    def _sum(self, parts: list[Audio], generator: np.random.Generator) -> Audio:
        summed: Audio = np.sum(self._mixed(parts, generator), axis=0, dtype=np.float32)
        return summed

    def _mixed(self, sounds: list[Audio], generator: np.random.Generator) -> list[Audio]:
        """The sounds, every further one at a random level below (or above) the first."""
        first, *others = sounds
        low, high = self.settings.lowest_snr_db, self.settings.highest_snr_db
        return [first, *(at_snr(first, other, float(generator.uniform(low, high))) for other in others)]


def _caption(names: tuple[str, ...]) -> str:
    """A sentence of what sounds; empty where the name of a part is unknown."""
    return " and ".join(names) if all(names) else ""
