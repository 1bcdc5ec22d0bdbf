"""Instruments from code: notes of a scale, and drums.

Each returns `n` samples at `rate`, no two draws alike; `synthesise` levels them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from model.synthesis_parts import (
    Random,
    Signal,
    add,
    arch,
    band,
    curve,
    decaying,
    filtered,
    formants,
    harmonics,
    noise,
    repeat,
    steady,
    struck,
)

_SCALE: Final = (0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 17, 19)


def _note(root: float, random: Random) -> float:
    return root * float(2.0 ** (random.choice(_SCALE) / 12))


def organ(n: int, rate: int, random: Random) -> Signal:
    root = random.uniform(90, 180)
    stops = [1.0, random.uniform(0.4, 0.9), 0.3, random.uniform(0.3, 0.7), 0.1, 0.1, 0.05, random.uniform(0.1, 0.4)]

    def chord() -> Signal:
        length = int(random.uniform(0.8, 2.5) * rate)
        base = _note(root, random)
        pipes = [harmonics(np.full(length, base * ratio), stops, rate, random) for ratio in (1.0, 1.2599, 1.4983, 2.0)]
        return np.asarray(sum(pipes) * arch(length, rate, 0.06, 0.15))

    return repeat(n, rate, random, chord, (0.0, 0.1))


def flute(n: int, rate: int, random: Random) -> Signal:
    root, wobble = random.uniform(260, 620), random.uniform(4.5, 6.0)

    def tone() -> Signal:
        length = int(random.uniform(0.25, 1.6) * rate)
        vibrato = np.sin(2 * np.pi * wobble * np.arange(length) / rate) * curve(length, [0, 1, 1])
        f0 = _note(root, random) * (1 + 0.006 * vibrato)
        sound = harmonics(f0, [1.0, 0.35, 0.12, 0.04], rate, random) * (1 + 0.15 * vibrato)
        air = filtered(noise(length, random), rate, formants([(f0[0], 250, 0.15), (2500, 3000, 0.02)], 0.0))
        return np.asarray((sound + air) * arch(length, rate, 0.06, 0.08))

    return repeat(n, rate, random, tone, (0.0, 0.25))


def violin(n: int, rate: int, random: Random) -> Signal:
    root, wobble = random.uniform(196, 420), random.uniform(5, 7)
    body = formants([(random.uniform(260, 300), 100, 1.0), (random.uniform(440, 520), 150, 1.0),
                      (1100, 500, 0.5), (2600, 1200, 0.6)], 0.08)  # fmt: skip

    def stroke() -> Signal:
        length = int(random.uniform(0.3, 1.8) * rate)
        vibrato = np.sin(2 * np.pi * wobble * np.arange(length) / rate) * curve(length, [0, 1, 1])
        f0 = _note(root, random) * (1 + 0.009 * vibrato)
        string = harmonics(f0, [1 / k for k in range(1, 22)], rate, random)
        rosin = 0.06 * filtered(noise(length, random), rate, band(1500, 6000))
        return filtered(string + rosin, rate, body) * arch(length, rate, 0.08, 0.1)

    return repeat(n, rate, random, stroke, (0.0, 0.2))


def acoustic_guitar(n: int, rate: int, random: Random) -> Signal:
    root, bright = random.uniform(90, 200), random.uniform(0.75, 0.95)

    def pluck() -> Signal:
        length = int(1.2 * rate)
        f0, spot = _note(root, random), random.uniform(0.12, 0.3)
        modes = [
            (f0 * k * np.sqrt(1 + 2e-4 * k * k), 0.9 / (1 + 0.25 * k), abs(np.sin(np.pi * k * spot)) * bright**k)
            for k in range(1, 24)
        ]
        return struck(length, rate, random, modes) * arch(length, rate, 0.001, 0.3)

    total = np.zeros(n)
    step, rests = random.uniform(0.18, 0.5), random.random() < 0.5
    at = random.uniform(0, min(step, 0.3 * n / rate))
    while at * rate < n:
        add(total, pluck() * random.uniform(0.5, 1.0), int(at * rate))
        at += step * float(random.choice([1, 1, 2, 6 if rests else 1]))
    return total


def bass_drum(n: int, rate: int, random: Random) -> Signal:
    pitch, damping = random.uniform(42, 75), random.uniform(0.08, 0.25)

    def hit() -> Signal:
        length = int(0.6 * rate)
        f0 = pitch * (1 + random.uniform(1.0, 2.0) * np.exp(-np.arange(length) / rate / 0.025))
        click = 0.15 * filtered(noise(length, random), rate, band(300, 2500)) * decaying(length, rate, 0.005, 0.0005)
        return harmonics(f0, [1.0, 0.12], rate, random) * decaying(length, rate, damping) + click

    return steady(n, rate, random, hit, random.uniform(0.3, 1.0), 0.01)


def snare_drum(n: int, rate: int, random: Random) -> Signal:
    pitch, wires = random.uniform(160, 240), random.uniform(0.07, 0.18)

    def hit() -> Signal:
        length = int(0.5 * rate)
        skin = struck(length, rate, random, [(pitch, 0.05, 1.0), (pitch * 1.6, 0.04, 0.7), (pitch * 2.2, 0.03, 0.3)])
        rattle = filtered(noise(length, random), rate, band(1200, 9000, 1.5))
        return (0.6 * skin + 0.7 * rattle * decaying(length, rate, wires, 0.001)) * random.uniform(0.5, 1.0)

    return steady(n, rate, random, hit, random.choice([0.12, 0.25, 0.5]) * random.uniform(0.85, 1.2), 0.02)


def hi_hat(n: int, rate: int, random: Random) -> Signal:
    base, closed = random.uniform(300, 420), random.uniform(0.02, 0.06)

    def hit() -> Signal:
        length = int(0.45 * rate)
        decay = closed * (6 if random.random() < 0.15 else 1)
        ratios = (1.0, 1.34, 1.52, 1.93, 2.41, 2.74)
        metal = sum(np.sign(np.sin(2 * np.pi * base * r * np.arange(length) / rate)) for r in ratios)
        bright = filtered(0.2 * metal + noise(length, random), rate, band(6000, 13000, 3))
        return bright * decaying(length, rate, decay, 0.001) * random.uniform(0.5, 1.0)

    return steady(n, rate, random, hit, random.choice([0.125, 0.25, 0.5]) * random.uniform(0.9, 1.15), 0.01)
