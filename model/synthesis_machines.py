"""Machines from code: pulses at a rate of turning, and the air they move.

Each returns `n` samples at `rate`, no two draws alike; `synthesise` levels them.
"""

from __future__ import annotations

import numpy as np

from model.synthesis_parts import (
    Random,
    Signal,
    band,
    filtered,
    formants,
    harmonics,
    noise,
    pulses,
    sometimes_gaps,
    wander,
)


def helicopter(n: int, rate: int, random: Random) -> Signal:
    blades = random.uniform(9, 22) * wander(n, rate, random, 0.5, 0.02)
    phase = np.cumsum(blades) / rate
    chop = np.exp(-((phase % 1.0) * random.uniform(3.5, 7.0))) + random.uniform(0.03, 0.15)
    thump = filtered(noise(n, random), rate, band(40, random.uniform(250, 700), 2)) * chop
    whine = harmonics(np.full(n, random.uniform(700, 2200)), [1.0, 0.3], rate, random) * 0.004
    hiss = 0.1 * filtered(noise(n, random), rate, band(800, 5000, 1.5)) * (0.4 + 0.6 * chop)
    return sometimes_gaps((thump + whine + hiss) * wander(n, rate, random, 0.5, 0.25), rate, random)


def chainsaw(n: int, rate: int, random: Random) -> Signal:
    idle, full = random.uniform(45, 75), random.uniform(100, 190)
    throttle = np.clip(wander(n, rate, random, random.uniform(0.4, 1.5), 0.9) - 0.3, 0, 1)
    f0 = idle + (full - idle) * throttle
    tube = [(random.uniform(350, 600), 200, 1.0), (random.uniform(1000, 1700), 500, 0.9), (3200, 1500, 0.6)]
    motor = filtered(pulses(f0, rate, random, 0.09), rate, formants(tube, 0.05)) * (0.5 + throttle)
    chain = filtered(noise(n, random), rate, band(2000, 8000, 1.5)) * throttle
    return sometimes_gaps(motor / (motor.std() + 1e-9) + 0.35 * chain, rate, random)


def engine(n: int, rate: int, random: Random) -> Signal:
    f0 = random.uniform(18, 55) * wander(n, rate, random, random.uniform(0.3, 1.0), random.choice([0.03, 0.25]))
    block = [(random.uniform(60, 120), 60, 1.0), (random.uniform(180, 350), 150, 0.5), (900, 600, 0.08)]
    motor = filtered(pulses(f0, rate, random, 0.05), rate, formants(block, 0.005))
    rattle = filtered(noise(n, random), rate, band(100, 1500, 1.5))
    return sometimes_gaps(motor / (motor.std() + 1e-9) + 0.25 * rattle, rate, random)


def vacuum_cleaner(n: int, rate: int, random: Random) -> Signal:
    f0 = random.uniform(180, 420) * wander(n, rate, random, 0.5, 0.01)
    hum = harmonics(f0, [1.0, 0.7, 0.4, 0.4, 0.2, 0.15], rate, random)
    air = filtered(noise(n, random), rate, formants([(random.uniform(900, 2500), 2500, 1.0), (5000, 4000, 0.5)], 0.1))
    return sometimes_gaps(hum / hum.std() * random.uniform(0.2, 0.6) + air / air.std(), rate, random)
