"""Clips heard at another speed, through another equaliser, in a room, over a narrow line.

All linear operations, so that a mixture of varied sources has varied sources as its truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from model.mixing import Audio, as_audio, lively_crop

ROOM_SECONDS: Final = (0.1, 0.9)
"""Reverberation times (60 dB), from furnished rooms to halls."""
DIRECT_TO_ROOM_DB: Final = (-3.0, 15.0)
FIRST_REFLECTION_SECONDS: Final = (0.001, 0.015)
HEARD_OF_ROOM: Final = 0.7
"""Share of the reverberation time that is kept of a response: 42 dB of its decay."""
NARROW_HERTZ: Final = (3_000.0, 10_000.0)
"""Where a narrow line ends: a telephone, a lossy codec at few bits, an old tape."""


@dataclass(frozen=True)
class Places:
    """Where clips are heard: shares of them that are played in a room, and over a narrow line."""

    sample_rate: int
    room_share: float = 0.0
    narrow_share: float = 0.0


def room(sample_rate: int, generator: np.random.Generator) -> Audio:
    """The impulse response of some room, float32 [T]: the direct sound, 1.0 at its start, and noise that decays; high
    frequencies decay faster."""
    seconds = float(generator.uniform(*ROOM_SECONDS))
    start = int(generator.uniform(*FIRST_REFLECTION_SECONDS) * sample_rate)
    count = start + int(HEARD_OF_ROOM * seconds * sample_rate)
    noise = generator.standard_normal(count)
    times = np.arange(count) / sample_rate
    dull = np.convolve(noise, np.full(6, 1 / 6), mode="same")  # at 32 kHz 3 dB less at 2.4 kHz, 12 dB from 4.5 kHz on
    decay = 10.0 ** (-3.0 * times / seconds)
    tail = dull * decay + (noise - dull) * decay**2
    tail[:start] = 0.0
    ratio = 10.0 ** (-float(generator.uniform(*DIRECT_TO_ROOM_DB)) / 20.0)
    response: Audio = (tail * ratio / np.sqrt(np.square(tail).sum() + 1e-12)).astype(np.float32)
    response[0] = 1.0
    return response


def vary(clip: Audio, generator: np.random.Generator, places: Places | None = None) -> Audio:
    """The clip at another speed (+-12 %), through a gentle random tilt and peak of its spectrum, at times of reversed
    polarity, and in one of `places`."""
    if generator.random() < 0.5:
        speed = float(generator.uniform(0.88, 1.13))
        positions = np.arange(0, len(clip) - 1, speed)
        clip = np.interp(positions, np.arange(len(clip)), clip).astype(np.float32)
    coloured = generator.random() < 0.5 and len(clip) > 64
    response = None
    if places and generator.random() < places.room_share:
        response = room(places.sample_rate, generator)
    narrow = places is not None and generator.random() < places.narrow_share
    if coloured or response is not None or narrow:
        size = fft.next_fast_len(len(clip) + (0 if response is None else len(response)), real=True)
        spectrum = fft.rfft(clip, size)
        if coloured:
            spectrum *= _colour(len(spectrum), generator)
        if response is not None:
            spectrum *= fft.rfft(response, size)
        if narrow and places is not None:
            cut = float(generator.uniform(*NARROW_HERTZ)) / (places.sample_rate / 2) * len(spectrum)
            spectrum /= np.sqrt(1.0 + (np.arange(len(spectrum), dtype=np.float32) / np.float32(cut)) ** 24)
        heard = len(clip) + (0 if response is None else len(response) - 1)
        clip = fft.irfft(spectrum, size)[:heard].astype(np.float32)
    return -clip if generator.random() < 0.5 else clip


def varied_crop(
    clip: Audio | NDArray[np.int16], samples: int, generator: np.random.Generator, places: Places | None = None
) -> Audio:
    """`samples` of a variation of `clip` (see `vary`), from a lively place."""
    surplus = int(samples * 1.14)
    part = lively_crop(clip, surplus, generator) if len(clip) > surplus else as_audio(clip)
    return lively_crop(vary(part, generator, places), samples, generator)


def _colour(bins: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Gains of a gentle tilt and of one broad peak, for bins from 0 to the Nyquist frequency."""
    octaves = np.linspace(0.0, 1.0, bins, dtype=np.float32) ** 0.4
    centre, width = generator.uniform(0.2, 0.9), generator.uniform(0.05, 0.3)
    bump = np.exp(-np.square((octaves - np.float32(centre)) / np.float32(width)))
    gain_db = np.float32(generator.uniform(-6, 6)) * (octaves - 0.6) + np.float32(generator.uniform(-6, 6)) * bump
    gains: NDArray[np.float32] = 10.0 ** (gain_db / 20.0)
    return gains
