"""Weather, water and fire from code: noise and drops.

Each returns `n` samples at `rate`, no two draws alike; `synthesise` levels them.
"""

from __future__ import annotations

import numpy as np

from model.synthesis_parts import (
    Random,
    Signal,
    add,
    band,
    curve,
    decaying,
    filtered,
    formants,
    harmonics,
    noise,
    repeat,
    sometimes_gaps,
    struck,
    wander,
)


def sea_waves(n: int, rate: int, random: Random) -> Signal:
    period = random.uniform(3.5, 9.0)
    phase = (np.cumsum(wander(n, rate, random, 0.3, 0.2)) / rate / period + random.random()) % 1.0
    swell = 0.12 + np.exp(-(((phase - 0.35) / np.where(phase < 0.35, 0.15, 0.25)) ** 2))
    deep = filtered(noise(n, random), rate, band(80, random.uniform(500, 900), 1))
    spray = filtered(noise(n, random), rate, band(1200, random.uniform(5000, 9000), 1.2))
    return sometimes_gaps(deep * swell + random.uniform(0.3, 0.8) * spray * swell**2, rate, random)


def rain(n: int, rate: int, random: Random) -> Signal:
    drops = np.zeros(n)
    count = int(n / rate * random.uniform(80, 500))
    np.add.at(drops, random.integers(0, n, count), random.exponential(1.0, count) * random.choice([-1, 1], count))
    hard = filtered(drops, rate, formants([(random.uniform(1500, 4500), 2500, 1.0)], 0.1))
    wash = filtered(noise(n, random), rate, band(900, random.uniform(7000, 11000), 1.2))
    mixed = random.uniform(0.3, 1.2) * hard / hard.std() + wash / wash.std()
    return sometimes_gaps(mixed * wander(n, rate, random, 1.0, 0.1), rate, random)


def wind(n: int, rate: int, random: Random) -> Signal:
    gusts = wander(n, rate, random, random.uniform(0.5, 1.5), 0.5)
    low = filtered(noise(n, random), rate, band(40, 300, 1.0))
    howl = filtered(noise(n, random), rate, formants([(random.uniform(350, 900), 60, 1.0)], 0.002))
    return sometimes_gaps(
        low / low.std() * gusts + random.uniform(0.1, 0.8) * howl / howl.std() * gusts**2, rate, random
    )


def crackling_fire(n: int, rate: int, random: Random) -> Signal:
    total = 0.02 * filtered(noise(n, random), rate, band(60, 500, 1.0)) * wander(n, rate, random, 4, 0.4)
    sparse = random.random() < 0.5
    for _ in range(max(3, int(n / rate * (random.uniform(4, 10) if sparse else random.uniform(15, 45))))):
        length = int(random.uniform(0.004, 0.03) * rate)
        centre = random.uniform(900, 7000)
        snap = struck(length, rate, random, [(centre, 0.0015, 1.0), (centre * 1.6, 0.001, 0.6)])
        snap += 0.5 * noise(length, random) * decaying(length, rate, 0.001, 0.0003)
        add(total, snap * min(2.0, random.exponential(0.5)), int(random.integers(0, n)))
    return total


def water_drops(n: int, rate: int, random: Random) -> Signal:
    home = random.uniform(600, 1600)

    def drop() -> Signal:
        length = int(random.uniform(0.08, 0.2) * rate)
        f0 = home * random.uniform(0.8, 1.25) * curve(length, [1.0, 1.15, random.uniform(1.4, 2.2)])
        return harmonics(f0, [1.0, 0.05], rate, random) * decaying(length, rate, random.uniform(0.015, 0.04))

    return repeat(n, rate, random, drop, (0.08, 0.5))
