"""Things in the house from code: struck bodies, bells and beeps.

Each returns `n` samples at `rate`, no two draws alike; `synthesise` levels them.
"""

from __future__ import annotations

import numpy as np

from model.synthesis_parts import (
    Random,
    Signal,
    add,
    arch,
    band,
    decaying,
    filtered,
    harmonics,
    noise,
    repeat,
    steady,
    struck,
)


def clock_tick(n: int, rate: int, random: Random) -> Signal:
    body, damping = random.uniform(1800, 4500), random.uniform(0.003, 0.012)
    strokes = [random.uniform(0.9, 1.1), random.uniform(0.7, 1.3)]

    def tick() -> Signal:
        strokes.reverse()
        tone = body * strokes[0]
        length = int(0.08 * rate)
        modes = [(tone, damping, 1.0), (tone * 1.73, damping * 0.7, 0.6), (tone * 0.31, damping * 1.5, 0.4)]
        return struck(length, rate, random, modes) + 0.3 * noise(length, random) * decaying(length, rate, 0.001, 0.0003)

    return steady(n, rate, random, tick, random.choice([0.2, 0.25, 0.5, 1.0]) * random.uniform(0.95, 1.05), 0.002)


def footsteps(n: int, rate: int, random: Random) -> Signal:
    floor, heel = random.uniform(70, 200), random.uniform(900, 2800)

    def step() -> Signal:
        length = int(0.22 * rate)
        thump = struck(length, rate, random, [(floor, 0.03, 1.0), (floor * 2.3, 0.02, 0.5)])
        click = filtered(noise(length, random), rate, band(heel * 0.5, heel * 2, 1.5))
        scuff = 0.25 * np.roll(click * decaying(length, rate, 0.02, 0.01), int(0.07 * rate))
        sound: Signal = thump + click * decaying(length, rate, 0.008, 0.001) + scuff
        return sound * random.uniform(0.7, 1.0)

    return steady(n, rate, random, step, random.uniform(0.4, 0.75), 0.04)


def door_wood_knock(n: int, rate: int, random: Random) -> Signal:
    wood = random.uniform(150, 380)
    count, beat = int(random.integers(2, 6)), random.uniform(0.14, 0.28)

    def knocks() -> Signal:
        total = np.zeros(int((count * beat + 0.2) * rate))
        for k in range(count):
            modes = [(wood * f, 0.03 / f, 1 / f) for f in (1.0, 1.62, 2.4, 4.1)]
            add(total, struck(int(0.15 * rate), rate, random, modes) * random.uniform(0.7, 1), int(k * beat * rate))
        return total

    return repeat(n, rate, random, knocks, (0.2, 0.9))


def phone_ringing(n: int, rate: int, random: Random) -> Signal:
    low, high, speed = random.uniform(850, 1300), random.uniform(1350, 2000), random.uniform(14, 26)

    def ring() -> Signal:
        length = int(random.uniform(0.8, 2.0) * rate)
        bells = harmonics(np.full(length, low), [1.0, 0, 0.4, 0.2], rate, random)
        bells += harmonics(np.full(length, high), [0.8, 0, 0.3, 0.1], rate, random)
        hammer = (np.arange(length) / rate * speed) % 1.0
        return np.asarray(bells * (0.25 + np.exp(-4 * hammer)) * arch(length, rate, 0.01, 0.2))

    return repeat(n, rate, random, ring, (0.15, 0.6))


def doorbell(n: int, rate: int, random: Random) -> Signal:
    ding, interval = random.uniform(550, 800), random.choice([0.79, 0.75, 0.84])
    partials = [(1.0, 0.9, 1.0), (2.0, 0.5, 0.35), (3.01, 0.3, 0.2), (5.4, 0.12, 0.12)]

    def chime() -> Signal:
        total = np.zeros(int(2.2 * rate))
        for k, tone in enumerate((ding, ding * interval)):
            modes = [(tone * f, decay * 0.6, gain) for f, decay, gain in partials]
            add(total, struck(int(1.6 * rate), rate, random, modes), int(0.55 * k * rate))
        return total

    return repeat(n, rate, random, chime, (0.0, 0.6))


def laser_gun(n: int, rate: int, random: Random) -> Signal:
    top, bottom, seconds = random.uniform(2500, 6000), random.uniform(120, 450), random.uniform(0.12, 0.35)

    def shot() -> Signal:
        length = int(seconds * random.uniform(0.85, 1.15) * rate)
        f0 = bottom + (top - bottom) * np.exp(-np.linspace(0, 6, length))
        tone = harmonics(f0, [1.0, 0.5, 0.35, 0.2], rate, random)
        return tone * decaying(length, rate, seconds * 0.6, 0.003) * arch(length, rate, 0.003, 0.02)

    return repeat(n, rate, random, shot, (0.03, 0.4))


def morse_code(n: int, rate: int, random: Random) -> Signal:
    tone, dot = random.uniform(450, 1100), random.uniform(0.05, 0.1)

    def mark() -> Signal:
        length = int(dot * random.choice([1, 3]) * rate)
        beep = harmonics(np.full(length, tone), [1.0, 0.05], rate, random) * arch(length, rate, 0.005, 0.005)
        return np.concatenate([beep, np.zeros(int(dot * random.choice([1, 1, 1, 3]) * rate))])

    return repeat(n, rate, random, mark, (0.0, 0.03))
