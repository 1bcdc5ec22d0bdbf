"""Animals and people from code: a pulse train (the glottis) through resonances (the throat).

Each returns `n` samples at `rate`, no two draws alike; `synthesise` levels them.
"""

from __future__ import annotations

import numpy as np

from model.synthesis_parts import (
    Random,
    Signal,
    arch,
    band,
    curve,
    decaying,
    filtered,
    formants,
    harmonics,
    noise,
    pulses,
    repeat,
)


def dog(n: int, rate: int, random: Random) -> Signal:
    pitch, size = random.uniform(180, 600), random.uniform(0.75, 1.4)

    def bark() -> Signal:
        length = int(random.uniform(0.12, 0.28) * rate)
        f0 = pitch * random.uniform(0.9, 1.1) * curve(length, [0.7, 1.25, 1.1, 0.6])
        breath = 0.15 * noise(length, random) * np.sqrt(pitch / rate)
        throat = [(650 * size, 250, 1.0), (1250 * size, 350, 0.8), (2600 * size, 600, 0.25)]
        voice = filtered(pulses(f0, rate, random, 0.06) + breath, rate, formants(throat, 0.01))
        return np.asarray(voice * arch(length, rate, 0.012, random.uniform(0.05, 0.12)))

    return repeat(n, rate, random, bark, (0.1, 0.5))


def rooster(n: int, rate: int, random: Random) -> Signal:
    pitch = random.uniform(550, 800)

    def syllable(seconds: float, contour: list[float]) -> Signal:
        length = int(seconds * rate)
        f0 = pitch * curve(length, contour) * (1 + 0.012 * np.sin(2 * np.pi * 28 * np.arange(length) / rate))
        throat = [(1100, 500, 0.7), (2000, 700, 1.0), (3200, 900, 0.5)]
        voice = filtered(pulses(f0, rate, random, 0.03), rate, formants(throat, 0.01))
        return np.asarray(voice * arch(length, rate, 0.02, 0.06))

    def crow() -> Signal:
        last = random.uniform(0.6, 1.1)
        parts = [
            syllable(random.uniform(0.12, 0.2), [0.7, 0.95, 0.8]),
            syllable(random.uniform(0.1, 0.16), [0.9, 1.1, 1.0]),
            syllable(random.uniform(0.18, 0.3), [1.0, 1.3, 1.15]),
            syllable(last, [1.05, 1.35, 1.3, 1.1, 0.65]),
        ]
        return np.concatenate([np.concatenate([part, np.zeros(int(0.04 * rate))]) for part in parts])

    return repeat(n, rate, random, crow, (0.5, 1.5))


def crying_baby(n: int, rate: int, random: Random) -> Signal:
    pitch = random.uniform(350, 550)

    def wail() -> Signal:
        length = int(random.uniform(0.6, 1.4) * rate)
        rise = random.uniform(1.05, 1.3)
        f0 = pitch * curve(length, [0.8, rise, rise * 0.97, rise * 0.9, 0.7])
        f0 *= 1 + 0.02 * np.sin(2 * np.pi * random.uniform(5, 9) * np.arange(length) / rate)
        mouth = [(1050, 250, 1.0), (1700, 350, 0.6), (3400, 600, 0.6), (4600, 800, 0.25)]
        rough = pulses(f0, rate, random, random.uniform(0.01, 0.05))
        return np.asarray(filtered(rough, rate, formants(mouth, 0.02)) * arch(length, rate, 0.08, 0.15))

    def breath() -> Signal:
        length = int(random.uniform(0.15, 0.3) * rate)
        return 0.004 * filtered(noise(length, random), rate, band(1500, 5000)) * arch(length, rate, 0.1, 0.1)

    return repeat(n, rate, random, lambda: np.concatenate([wail(), breath()]), (0.05, 0.5))


def sneezing(n: int, rate: int, random: Random) -> Signal:
    bright = random.uniform(1500, 3500)

    def sneeze() -> Signal:
        inhale, burst = int(random.uniform(0.2, 0.45) * rate), int(random.uniform(0.25, 0.5) * rate)
        breath = 0.08 * filtered(noise(inhale, random), rate, band(800, 3000)) * curve(inhale, [0, 0.4, 1.0, 0.1])
        f0 = random.uniform(180, 400) * curve(burst, [1.3, 1.0, 0.6])
        voice = filtered(pulses(f0, rate, random, 0.05), rate, formants([(700, 200, 4.0), (1500, 300, 2.0)]))
        voice *= decaying(burst, rate, 0.06, 0.005)
        spray = filtered(noise(burst, random), rate, formants([(bright, 1500, 1.0), (2 * bright, 3000, 0.7)]))
        return np.concatenate([breath, voice + spray * decaying(burst, rate, 0.1, 0.006)])

    return repeat(n, rate, random, sneeze, (0.4, 1.2))


def chirping_birds(n: int, rate: int, random: Random) -> Signal:
    home, steps = random.uniform(2800, 5500), int(random.integers(2, 7))
    contour = [home * random.uniform(0.75, 1.25) for _ in range(3)]

    def phrase() -> Signal:
        notes = []
        for _ in range(steps):
            length = int(random.uniform(0.04, 0.12) * rate)
            f0 = np.asarray(curve(length, contour) * random.uniform(0.95, 1.05))
            notes.append(harmonics(f0, [1.0, 0.15], rate, random) * arch(length, rate, 0.01, 0.02))
            notes.append(np.zeros(int(random.uniform(0.02, 0.08) * rate)))
        return np.concatenate(notes)

    return repeat(n, rate, random, phrase, (0.1, 0.7))
