"""Everyday sounds from code alone: a small procedural generator per label, no two draws alike.

They widen the training data and are the ground truth of the demo. Contract: `synthesise` returns exactly
`round(seconds * sample_rate)` mono float32 samples with a peak of 0.5; the same generator state gives the same bytes.
Half of the draws have gaps and onsets, the others go on without a pause. No label here is one that is held out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

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
    pulses,
    repeat,
    sometimes_gaps,
    steady,
    struck,
    wander,
)

Draw = Callable[[int, int, Random], Signal]

PEAK: Final = 0.5

SYNTHESIS_CAPTIONS: Final[dict[str, list[str]]] = {
    "dog": ["a dog barking", "a dog barks loudly", "the bark of a dog"],
    "rooster": ["a rooster crowing", "a cock crows in the morning", "the crow of a rooster"],
    "crying_baby": ["a baby crying", "an infant wails", "the crying of a baby"],
    "sneezing": ["a person sneezing", "someone sneezes", "a loud sneeze"],
    "helicopter": ["a helicopter flying", "helicopter rotor blades chop the air", "the noise of a helicopter"],
    "chainsaw": ["a chainsaw running", "someone cuts wood with a chainsaw", "the whine of a chainsaw"],
    "engine": ["an engine idling", "a car engine runs", "the rumble of a motor"],
    "vacuum_cleaner": ["a vacuum cleaner running", "someone vacuums the floor", "the hum of a vacuum cleaner"],
    "sea_waves": ["sea waves", "waves break on the shore", "the surf of the ocean"],
    "rain": ["rain falling", "heavy rain pours down", "the patter of rain"],
    "wind": ["wind blowing", "strong wind howls", "gusts of wind"],
    "crackling_fire": ["a crackling fire", "wood burns and crackles", "a campfire crackling"],
    "water_drops": ["water dripping", "drops of water fall", "a dripping tap"],
    "chirping_birds": ["birds chirping", "small birds sing", "the chirping of birds"],
    "clock_tick": ["a clock ticking", "the tick of a clock", "a clock ticks steadily"],
    "footsteps": ["footsteps", "someone walks on a hard floor", "the steps of a person walking"],
    "door_wood_knock": ["someone knocking on a door", "knocks on a wooden door", "a knock at the door"],
    "phone_ringing": ["a telephone ringing", "a phone rings", "the ring of an old telephone"],
    "doorbell": ["a doorbell ringing", "the doorbell rings", "ding dong at the door"],
    "laser_gun": ["a laser gun firing", "science fiction laser shots", "zapping laser sounds"],
    "morse_code": ["morse code beeping", "a morse code signal", "short and long radio beeps"],
    "organ": ["a church organ playing", "chords on a pipe organ", "organ music"],
    "flute": ["a flute playing", "a flute melody", "someone blows a flute note"],
    "violin": ["a violin playing", "someone bows a violin", "a violin melody"],
    "acoustic_guitar": ["an acoustic guitar playing", "plucked guitar strings", "notes on a guitar"],
    "bass_drum": ["a bass drum hit", "a kick drum thumps", "the boom of a bass drum"],
    "snare_drum": ["a snare drum", "a snare drum being hit", "rattling snare hits"],
    "hi_hat": ["a hi-hat cymbal", "hits on a hi-hat", "the sizzle of a hi-hat"],
}


# Animals and people: a pulse train (the glottis) through resonances (the throat).


def _dog(n: int, rate: int, random: Random) -> Signal:
    pitch, size = random.uniform(180, 600), random.uniform(0.75, 1.4)

    def bark() -> Signal:
        length = int(random.uniform(0.12, 0.28) * rate)
        f0 = pitch * random.uniform(0.9, 1.1) * curve(length, [0.7, 1.25, 1.1, 0.6])
        breath = 0.15 * noise(length, random) * np.sqrt(pitch / rate)
        throat = [(650 * size, 250, 1.0), (1250 * size, 350, 0.8), (2600 * size, 600, 0.25)]
        voice = filtered(pulses(f0, rate, random, 0.06) + breath, rate, formants(throat, 0.01))
        return np.asarray(voice * arch(length, rate, 0.012, random.uniform(0.05, 0.12)))

    return repeat(n, rate, random, bark, (0.1, 0.5))


def _rooster(n: int, rate: int, random: Random) -> Signal:
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


def _crying_baby(n: int, rate: int, random: Random) -> Signal:
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


def _sneezing(n: int, rate: int, random: Random) -> Signal:
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


def _chirping_birds(n: int, rate: int, random: Random) -> Signal:
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


# Machines: pulses at a rate of turning.


def _helicopter(n: int, rate: int, random: Random) -> Signal:
    blades = random.uniform(9, 22) * wander(n, rate, random, 0.5, 0.02)
    phase = np.cumsum(blades) / rate
    chop = np.exp(-((phase % 1.0) * random.uniform(3.5, 7.0))) + random.uniform(0.03, 0.15)
    thump = filtered(noise(n, random), rate, band(40, random.uniform(250, 700), 2)) * chop
    whine = harmonics(np.full(n, random.uniform(700, 2200)), [1.0, 0.3], rate, random) * 0.004
    hiss = 0.1 * filtered(noise(n, random), rate, band(800, 5000, 1.5)) * (0.4 + 0.6 * chop)
    return sometimes_gaps((thump + whine + hiss) * wander(n, rate, random, 0.5, 0.25), rate, random)


def _chainsaw(n: int, rate: int, random: Random) -> Signal:
    idle, full = random.uniform(45, 75), random.uniform(100, 190)
    throttle = np.clip(wander(n, rate, random, random.uniform(0.4, 1.5), 0.9) - 0.3, 0, 1)
    f0 = idle + (full - idle) * throttle
    tube = [(random.uniform(350, 600), 200, 1.0), (random.uniform(1000, 1700), 500, 0.9), (3200, 1500, 0.6)]
    motor = filtered(pulses(f0, rate, random, 0.09), rate, formants(tube, 0.05)) * (0.5 + throttle)
    chain = filtered(noise(n, random), rate, band(2000, 8000, 1.5)) * throttle
    return sometimes_gaps(motor / (motor.std() + 1e-9) + 0.35 * chain, rate, random)


def _engine(n: int, rate: int, random: Random) -> Signal:
    f0 = random.uniform(18, 55) * wander(n, rate, random, random.uniform(0.3, 1.0), random.choice([0.03, 0.25]))
    block = [(random.uniform(60, 120), 60, 1.0), (random.uniform(180, 350), 150, 0.5), (900, 600, 0.08)]
    motor = filtered(pulses(f0, rate, random, 0.05), rate, formants(block, 0.005))
    rattle = filtered(noise(n, random), rate, band(100, 1500, 1.5))
    return sometimes_gaps(motor / (motor.std() + 1e-9) + 0.25 * rattle, rate, random)


def _vacuum_cleaner(n: int, rate: int, random: Random) -> Signal:
    f0 = random.uniform(180, 420) * wander(n, rate, random, 0.5, 0.01)
    hum = harmonics(f0, [1.0, 0.7, 0.4, 0.4, 0.2, 0.15], rate, random)
    air = filtered(noise(n, random), rate, formants([(random.uniform(900, 2500), 2500, 1.0), (5000, 4000, 0.5)], 0.1))
    return sometimes_gaps(hum / hum.std() * random.uniform(0.2, 0.6) + air / air.std(), rate, random)


# Weather, water and fire: noise and drops.


def _sea_waves(n: int, rate: int, random: Random) -> Signal:
    period = random.uniform(3.5, 9.0)
    phase = (np.cumsum(wander(n, rate, random, 0.3, 0.2)) / rate / period + random.random()) % 1.0
    swell = 0.12 + np.exp(-(((phase - 0.35) / np.where(phase < 0.35, 0.15, 0.25)) ** 2))
    deep = filtered(noise(n, random), rate, band(80, random.uniform(500, 900), 1))
    spray = filtered(noise(n, random), rate, band(1200, random.uniform(5000, 9000), 1.2))
    return sometimes_gaps(deep * swell + random.uniform(0.3, 0.8) * spray * swell**2, rate, random)


def _rain(n: int, rate: int, random: Random) -> Signal:
    drops = np.zeros(n)
    count = int(n / rate * random.uniform(80, 500))
    np.add.at(drops, random.integers(0, n, count), random.exponential(1.0, count) * random.choice([-1, 1], count))
    hard = filtered(drops, rate, formants([(random.uniform(1500, 4500), 2500, 1.0)], 0.1))
    wash = filtered(noise(n, random), rate, band(900, random.uniform(7000, 11000), 1.2))
    mixed = random.uniform(0.3, 1.2) * hard / hard.std() + wash / wash.std()
    return sometimes_gaps(mixed * wander(n, rate, random, 1.0, 0.1), rate, random)


def _wind(n: int, rate: int, random: Random) -> Signal:
    gusts = wander(n, rate, random, random.uniform(0.5, 1.5), 0.5)
    low = filtered(noise(n, random), rate, band(40, 300, 1.0))
    howl = filtered(noise(n, random), rate, formants([(random.uniform(350, 900), 60, 1.0)], 0.002))
    return sometimes_gaps(
        low / low.std() * gusts + random.uniform(0.1, 0.8) * howl / howl.std() * gusts**2, rate, random
    )


def _crackling_fire(n: int, rate: int, random: Random) -> Signal:
    total = 0.02 * filtered(noise(n, random), rate, band(60, 500, 1.0)) * wander(n, rate, random, 4, 0.4)
    sparse = random.random() < 0.5
    for _ in range(max(3, int(n / rate * (random.uniform(4, 10) if sparse else random.uniform(15, 45))))):
        length = int(random.uniform(0.004, 0.03) * rate)
        centre = random.uniform(900, 7000)
        snap = struck(length, rate, random, [(centre, 0.0015, 1.0), (centre * 1.6, 0.001, 0.6)])
        snap += 0.5 * noise(length, random) * decaying(length, rate, 0.001, 0.0003)
        add(total, snap * min(2.0, random.exponential(0.5)), int(random.integers(0, n)))
    return total


def _water_drops(n: int, rate: int, random: Random) -> Signal:
    home = random.uniform(600, 1600)

    def drop() -> Signal:
        length = int(random.uniform(0.08, 0.2) * rate)
        f0 = home * random.uniform(0.8, 1.25) * curve(length, [1.0, 1.15, random.uniform(1.4, 2.2)])
        return harmonics(f0, [1.0, 0.05], rate, random) * decaying(length, rate, random.uniform(0.015, 0.04))

    return repeat(n, rate, random, drop, (0.08, 0.5))


# Things in the house: struck bodies and bells.


def _clock_tick(n: int, rate: int, random: Random) -> Signal:
    body, damping = random.uniform(1800, 4500), random.uniform(0.003, 0.012)
    strokes = [random.uniform(0.9, 1.1), random.uniform(0.7, 1.3)]

    def tick() -> Signal:
        strokes.reverse()
        tone = body * strokes[0]
        length = int(0.08 * rate)
        modes = [(tone, damping, 1.0), (tone * 1.73, damping * 0.7, 0.6), (tone * 0.31, damping * 1.5, 0.4)]
        return struck(length, rate, random, modes) + 0.3 * noise(length, random) * decaying(length, rate, 0.001, 0.0003)

    return steady(n, rate, random, tick, random.choice([0.2, 0.25, 0.5, 1.0]) * random.uniform(0.95, 1.05), 0.002)


def _footsteps(n: int, rate: int, random: Random) -> Signal:
    floor, heel = random.uniform(70, 200), random.uniform(900, 2800)

    def step() -> Signal:
        length = int(0.22 * rate)
        thump = struck(length, rate, random, [(floor, 0.03, 1.0), (floor * 2.3, 0.02, 0.5)])
        click = filtered(noise(length, random), rate, band(heel * 0.5, heel * 2, 1.5))
        scuff = 0.25 * np.roll(click * decaying(length, rate, 0.02, 0.01), int(0.07 * rate))
        sound: Signal = thump + click * decaying(length, rate, 0.008, 0.001) + scuff
        return sound * random.uniform(0.7, 1.0)

    return steady(n, rate, random, step, random.uniform(0.4, 0.75), 0.04)


def _door_wood_knock(n: int, rate: int, random: Random) -> Signal:
    wood = random.uniform(150, 380)
    count, beat = int(random.integers(2, 6)), random.uniform(0.14, 0.28)

    def knocks() -> Signal:
        total = np.zeros(int((count * beat + 0.2) * rate))
        for k in range(count):
            modes = [(wood * f, 0.03 / f, 1 / f) for f in (1.0, 1.62, 2.4, 4.1)]
            add(total, struck(int(0.15 * rate), rate, random, modes) * random.uniform(0.7, 1), int(k * beat * rate))
        return total

    return repeat(n, rate, random, knocks, (0.2, 0.9))


def _phone_ringing(n: int, rate: int, random: Random) -> Signal:
    low, high, speed = random.uniform(850, 1300), random.uniform(1350, 2000), random.uniform(14, 26)

    def ring() -> Signal:
        length = int(random.uniform(0.8, 2.0) * rate)
        bells = harmonics(np.full(length, low), [1.0, 0, 0.4, 0.2], rate, random)
        bells += harmonics(np.full(length, high), [0.8, 0, 0.3, 0.1], rate, random)
        hammer = (np.arange(length) / rate * speed) % 1.0
        return np.asarray(bells * (0.25 + np.exp(-4 * hammer)) * arch(length, rate, 0.01, 0.2))

    return repeat(n, rate, random, ring, (0.15, 0.6))


def _doorbell(n: int, rate: int, random: Random) -> Signal:
    ding, interval = random.uniform(550, 800), random.choice([0.79, 0.75, 0.84])
    partials = [(1.0, 0.9, 1.0), (2.0, 0.5, 0.35), (3.01, 0.3, 0.2), (5.4, 0.12, 0.12)]

    def chime() -> Signal:
        total = np.zeros(int(2.2 * rate))
        for k, tone in enumerate((ding, ding * interval)):
            modes = [(tone * f, decay * 0.6, gain) for f, decay, gain in partials]
            add(total, struck(int(1.6 * rate), rate, random, modes), int(0.55 * k * rate))
        return total

    return repeat(n, rate, random, chime, (0.0, 0.6))


def _laser_gun(n: int, rate: int, random: Random) -> Signal:
    top, bottom, seconds = random.uniform(2500, 6000), random.uniform(120, 450), random.uniform(0.12, 0.35)

    def shot() -> Signal:
        length = int(seconds * random.uniform(0.85, 1.15) * rate)
        f0 = bottom + (top - bottom) * np.exp(-np.linspace(0, 6, length))
        tone = harmonics(f0, [1.0, 0.5, 0.35, 0.2], rate, random)
        return tone * decaying(length, rate, seconds * 0.6, 0.003) * arch(length, rate, 0.003, 0.02)

    return repeat(n, rate, random, shot, (0.03, 0.4))


def _morse_code(n: int, rate: int, random: Random) -> Signal:
    tone, dot = random.uniform(450, 1100), random.uniform(0.05, 0.1)

    def mark() -> Signal:
        length = int(dot * random.choice([1, 3]) * rate)
        beep = harmonics(np.full(length, tone), [1.0, 0.05], rate, random) * arch(length, rate, 0.005, 0.005)
        return np.concatenate([beep, np.zeros(int(dot * random.choice([1, 1, 1, 3]) * rate))])

    return repeat(n, rate, random, mark, (0.0, 0.03))


# Instruments: notes of a scale.

_SCALE: Final = (0, 2, 4, 5, 7, 9, 11, 12, 14, 16, 17, 19)


def _note(root: float, random: Random) -> float:
    return root * float(2.0 ** (random.choice(_SCALE) / 12))


def _organ(n: int, rate: int, random: Random) -> Signal:
    root = random.uniform(90, 180)
    stops = [1.0, random.uniform(0.4, 0.9), 0.3, random.uniform(0.3, 0.7), 0.1, 0.1, 0.05, random.uniform(0.1, 0.4)]

    def chord() -> Signal:
        length = int(random.uniform(0.8, 2.5) * rate)
        base = _note(root, random)
        pipes = [harmonics(np.full(length, base * ratio), stops, rate, random) for ratio in (1.0, 1.2599, 1.4983, 2.0)]
        return np.asarray(sum(pipes) * arch(length, rate, 0.06, 0.15))

    return repeat(n, rate, random, chord, (0.0, 0.1))


def _flute(n: int, rate: int, random: Random) -> Signal:
    root, wobble = random.uniform(260, 620), random.uniform(4.5, 6.0)

    def tone() -> Signal:
        length = int(random.uniform(0.25, 1.6) * rate)
        vibrato = np.sin(2 * np.pi * wobble * np.arange(length) / rate) * curve(length, [0, 1, 1])
        f0 = _note(root, random) * (1 + 0.006 * vibrato)
        sound = harmonics(f0, [1.0, 0.35, 0.12, 0.04], rate, random) * (1 + 0.15 * vibrato)
        air = filtered(noise(length, random), rate, formants([(f0[0], 250, 0.15), (2500, 3000, 0.02)], 0.0))
        return np.asarray((sound + air) * arch(length, rate, 0.06, 0.08))

    return repeat(n, rate, random, tone, (0.0, 0.25))


def _violin(n: int, rate: int, random: Random) -> Signal:
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


def _acoustic_guitar(n: int, rate: int, random: Random) -> Signal:
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


def _bass_drum(n: int, rate: int, random: Random) -> Signal:
    pitch, damping = random.uniform(42, 75), random.uniform(0.08, 0.25)

    def hit() -> Signal:
        length = int(0.6 * rate)
        f0 = pitch * (1 + random.uniform(1.0, 2.0) * np.exp(-np.arange(length) / rate / 0.025))
        click = 0.15 * filtered(noise(length, random), rate, band(300, 2500)) * decaying(length, rate, 0.005, 0.0005)
        return harmonics(f0, [1.0, 0.12], rate, random) * decaying(length, rate, damping) + click

    return steady(n, rate, random, hit, random.uniform(0.3, 1.0), 0.01)


def _snare_drum(n: int, rate: int, random: Random) -> Signal:
    pitch, wires = random.uniform(160, 240), random.uniform(0.07, 0.18)

    def hit() -> Signal:
        length = int(0.5 * rate)
        skin = struck(length, rate, random, [(pitch, 0.05, 1.0), (pitch * 1.6, 0.04, 0.7), (pitch * 2.2, 0.03, 0.3)])
        rattle = filtered(noise(length, random), rate, band(1200, 9000, 1.5))
        return (0.6 * skin + 0.7 * rattle * decaying(length, rate, wires, 0.001)) * random.uniform(0.5, 1.0)

    return steady(n, rate, random, hit, random.choice([0.12, 0.25, 0.5]) * random.uniform(0.85, 1.2), 0.02)


def _hi_hat(n: int, rate: int, random: Random) -> Signal:
    base, closed = random.uniform(300, 420), random.uniform(0.02, 0.06)

    def hit() -> Signal:
        length = int(0.45 * rate)
        decay = closed * (6 if random.random() < 0.15 else 1)
        ratios = (1.0, 1.34, 1.52, 1.93, 2.41, 2.74)
        metal = sum(np.sign(np.sin(2 * np.pi * base * r * np.arange(length) / rate)) for r in ratios)
        bright = filtered(0.2 * metal + noise(length, random), rate, band(6000, 13000, 3))
        return bright * decaying(length, rate, decay, 0.001) * random.uniform(0.5, 1.0)

    return steady(n, rate, random, hit, random.choice([0.125, 0.25, 0.5]) * random.uniform(0.9, 1.15), 0.01)


GENERATORS: Final[dict[str, Draw]] = {
    "dog": _dog, "rooster": _rooster, "crying_baby": _crying_baby, "sneezing": _sneezing,
    "helicopter": _helicopter, "chainsaw": _chainsaw, "engine": _engine, "vacuum_cleaner": _vacuum_cleaner,
    "sea_waves": _sea_waves, "rain": _rain, "wind": _wind, "crackling_fire": _crackling_fire,
    "water_drops": _water_drops, "chirping_birds": _chirping_birds, "clock_tick": _clock_tick,
    "footsteps": _footsteps, "door_wood_knock": _door_wood_knock, "phone_ringing": _phone_ringing,
    "doorbell": _doorbell, "laser_gun": _laser_gun, "morse_code": _morse_code, "organ": _organ, "flute": _flute,
    "violin": _violin, "acoustic_guitar": _acoustic_guitar, "bass_drum": _bass_drum, "snare_drum": _snare_drum,
    "hi_hat": _hi_hat,
}  # fmt: skip


def synthesise(label: str, seconds: float, sample_rate: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """One draw of `label`: `Tensor[T]`, mono float32, peak 0.5.

    >>> synthesise("dog", 2.0, 16000, np.random.default_rng(0)).shape
    (32000,)
    """
    if label not in GENERATORS:
        raise ValueError(f"no generator for {label = }; known are {', '.join(sorted(GENERATORS))}")
    n = round(seconds * sample_rate)
    if n < sample_rate // 2:
        raise ValueError(f"{seconds = } is too short: a draw needs at least half a second")
    signal = GENERATORS[label](n, sample_rate, generator)
    signal = signal - signal.mean()
    peak = float(np.abs(signal).max())
    if peak == 0.0:
        raise ValueError(f"the draw of {label = } over {seconds = } came out silent; ask for more seconds")
    return np.asarray(PEAK * signal / peak, dtype=np.float32)
