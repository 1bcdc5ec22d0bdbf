"""Everyday sounds from code alone: a small procedural generator per label, no two draws alike.

They widen the training data and are the ground truth of the demo. Contract: `synthesise` returns exactly
`round(seconds * sample_rate)` mono float32 samples with a peak of 0.5; the same generator state gives the same bytes.
Half of the draws have gaps and onsets, the others go on without a pause. No label here is one that is held out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]
Random = np.random.Generator
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


# Parts: filters, envelopes, sources, placement. n counts samples, rate is in Hz.


def _filtered(signal: Signal, rate: int, response: Callable[[Signal], Signal]) -> Signal:
    """The signal weighted by a zero-phase magnitude response over frequency in Hz."""
    padded = len(signal) + rate // 10  # keeps the ringing of the end out of the beginning
    spectrum = np.fft.rfft(signal, padded) * response(np.fft.rfftfreq(padded, 1.0 / rate))
    filtered: Signal = np.fft.irfft(spectrum, padded)[: len(signal)]
    return filtered


def _band(low: float, high: float, order: float = 3.0) -> Callable[[Signal], Signal]:
    def response(frequency: Signal) -> Signal:
        safe = np.maximum(frequency, 1e-3)
        return np.asarray(1.0 / np.sqrt((1 + (low / safe) ** (2 * order)) * (1 + (safe / high) ** (2 * order))))

    return response


def _formants(peaks: Sequence[tuple[float, float, float]], floor: float = 0.02) -> Callable[[Signal], Signal]:
    """Resonances given as (frequency in Hz, bandwidth in Hz, gain)."""

    def response(frequency: Signal) -> Signal:
        total = np.full_like(frequency, floor)
        for centre, width, gain in peaks:
            total += gain / (1 + ((frequency - centre) / (width / 2)) ** 2)
        total /= 1 + (frequency / 9000) ** 4
        return np.asarray(np.where(frequency < 30, 0.0, total))

    return response


def _curve(n: int, points: list[float]) -> Signal:
    """A line through equally spaced points."""
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(points)), points)


def _wander(n: int, rate: int, random: Random, per_second: float, spread: float) -> Signal:
    """A slow random walk around one: the factor by which something that lives varies."""
    points = 1 + spread * random.standard_normal(max(2, int(n / rate * per_second) + 2))
    return np.maximum(_curve(n, list(points)), 0.05)


def _decay(n: int, rate: int, seconds: float, attack: float = 0.002) -> Signal:
    """Exponential decay to 1/e in `seconds` after a linear attack."""
    time = np.arange(n) / rate
    return np.asarray(np.exp(-time / seconds) * np.minimum(1.0, time / attack))


def _arch(n: int, rate: int, attack: float, release: float) -> Signal:
    time = np.arange(n) / rate
    ramp = np.minimum(np.minimum(1.0, time / attack), np.minimum(1.0, time[::-1] / release))
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * ramp))


def _noise(n: int, random: Random) -> Signal:
    return random.standard_normal(n)


def _pulses(f0: Signal, rate: int, random: Random, jitter: float = 0.0) -> Signal:
    """One impulse per period of `f0` (Hz per sample), placed between samples, with random strength."""
    phase = np.cumsum(f0) / rate
    last = int(phase[-1])
    at = np.interp(np.arange(1, last + 1), phase, np.arange(len(f0)))
    at = np.clip(at + jitter * rate / f0.mean() * random.standard_normal(last), 0, len(f0) - 2)
    strength = 1 + 2 * jitter * random.standard_normal(last)
    train = np.zeros(len(f0))
    whole = at.astype(int)
    np.add.at(train, whole, strength * (1 - (at - whole)))
    np.add.at(train, whole + 1, strength * (at - whole))
    return train


def _harmonics(f0: Signal, weights: list[float], rate: int, random: Random) -> Signal:
    """Sines at multiples of `f0`; those above the Nyquist frequency are left out."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    total = np.zeros(len(f0))
    for k, weight in enumerate(weights, start=1):
        if k * f0.max() < 0.48 * rate:
            total += weight * np.sin(k * phase + random.uniform(0, 2 * np.pi))
    return total


def _modes(n: int, rate: int, random: Random, modes: Sequence[tuple[float, float, float]]) -> Signal:
    """A struck body: decaying sines given as (frequency in Hz, decay in seconds, gain)."""
    time = np.arange(n) / rate
    total = np.zeros(n)
    for frequency, decay, gain in modes:
        if frequency < 0.48 * rate:
            total += gain * np.exp(-time / decay) * np.sin(2 * np.pi * frequency * time + random.uniform(0, 2 * np.pi))
    return np.asarray(total * np.minimum(1.0, time / 0.001))


def _add(total: Signal, sound: Signal, at: int) -> None:
    stop = min(len(total), at + len(sound))
    if at < stop:
        total[at:stop] += sound[: stop - at]


def _repeat(n: int, rate: int, random: Random, one: Callable[[], Signal], pause: tuple[float, float]) -> Signal:
    """One sound after the other with random pauses in seconds; half of the draws pause three times as long."""
    stretch = 3.0 if random.random() < 0.5 else 1.0
    total = np.zeros(n)
    at = int(random.uniform(0, 0.1) * n)
    while at < n:
        sound = one() * random.uniform(0.6, 1.0)
        _add(total, sound, at)
        at += len(sound) + int(stretch * random.uniform(*pause) * rate)
    return total


def _steady(n: int, rate: int, random: Random, one: Callable[[], Signal], period: float, drift: float) -> Signal:
    """A sound on a beat of `period` seconds; half of the draws leave beats out in runs."""
    rests = random.random() < 0.5
    total = np.zeros(n)
    at, playing = random.uniform(0, period / 2), True
    while at * rate < n:
        if playing:
            _add(total, one(), int(at * rate))
        if rests and random.random() < 0.15:
            playing = not playing
        at += period * (1 + drift * random.standard_normal())
    return total


def _sometimes_gaps(signal: Signal, rate: int, random: Random) -> Signal:
    """The sustained signal, in half of the draws switched on and off with soft edges."""
    n = len(signal)
    if random.random() < 0.5:
        return signal
    gate = np.zeros(n)
    at = 0 if random.random() < 0.5 else int(random.uniform(0.05, 0.3) * n)
    edge = random.uniform(0.02, 0.25)
    while at < n:
        length = int(random.uniform(0.7, 3.5) * rate)
        _add(gate, _arch(length, rate, edge, edge), at)
        at += length + int(random.uniform(0.4, 2.5) * rate)
    return signal * gate


# Animals and people: a pulse train (the glottis) through resonances (the throat).


def _dog(n: int, rate: int, random: Random) -> Signal:
    pitch, size = random.uniform(180, 600), random.uniform(0.75, 1.4)

    def bark() -> Signal:
        length = int(random.uniform(0.12, 0.28) * rate)
        f0 = pitch * random.uniform(0.9, 1.1) * _curve(length, [0.7, 1.25, 1.1, 0.6])
        breath = 0.15 * _noise(length, random) * np.sqrt(pitch / rate)
        throat = [(650 * size, 250, 1.0), (1250 * size, 350, 0.8), (2600 * size, 600, 0.25)]
        voice = _filtered(_pulses(f0, rate, random, 0.06) + breath, rate, _formants(throat, 0.01))
        return np.asarray(voice * _arch(length, rate, 0.012, random.uniform(0.05, 0.12)))

    return _repeat(n, rate, random, bark, (0.1, 0.5))


def _rooster(n: int, rate: int, random: Random) -> Signal:
    pitch = random.uniform(550, 800)

    def syllable(seconds: float, contour: list[float]) -> Signal:
        length = int(seconds * rate)
        f0 = pitch * _curve(length, contour) * (1 + 0.012 * np.sin(2 * np.pi * 28 * np.arange(length) / rate))
        throat = [(1100, 500, 0.7), (2000, 700, 1.0), (3200, 900, 0.5)]
        voice = _filtered(_pulses(f0, rate, random, 0.03), rate, _formants(throat, 0.01))
        return np.asarray(voice * _arch(length, rate, 0.02, 0.06))

    def crow() -> Signal:
        last = random.uniform(0.6, 1.1)
        parts = [
            syllable(random.uniform(0.12, 0.2), [0.7, 0.95, 0.8]),
            syllable(random.uniform(0.1, 0.16), [0.9, 1.1, 1.0]),
            syllable(random.uniform(0.18, 0.3), [1.0, 1.3, 1.15]),
            syllable(last, [1.05, 1.35, 1.3, 1.1, 0.65]),
        ]
        return np.concatenate([np.concatenate([part, np.zeros(int(0.04 * rate))]) for part in parts])

    return _repeat(n, rate, random, crow, (0.5, 1.5))


def _crying_baby(n: int, rate: int, random: Random) -> Signal:
    pitch = random.uniform(350, 550)

    def wail() -> Signal:
        length = int(random.uniform(0.6, 1.4) * rate)
        rise = random.uniform(1.05, 1.3)
        f0 = pitch * _curve(length, [0.8, rise, rise * 0.97, rise * 0.9, 0.7])
        f0 *= 1 + 0.02 * np.sin(2 * np.pi * random.uniform(5, 9) * np.arange(length) / rate)
        mouth = [(1050, 250, 1.0), (1700, 350, 0.6), (3400, 600, 0.6), (4600, 800, 0.25)]
        rough = _pulses(f0, rate, random, random.uniform(0.01, 0.05))
        return np.asarray(_filtered(rough, rate, _formants(mouth, 0.02)) * _arch(length, rate, 0.08, 0.15))

    def breath() -> Signal:
        length = int(random.uniform(0.15, 0.3) * rate)
        return 0.004 * _filtered(_noise(length, random), rate, _band(1500, 5000)) * _arch(length, rate, 0.1, 0.1)

    return _repeat(n, rate, random, lambda: np.concatenate([wail(), breath()]), (0.05, 0.5))


def _sneezing(n: int, rate: int, random: Random) -> Signal:
    bright = random.uniform(1500, 3500)

    def sneeze() -> Signal:
        inhale, burst = int(random.uniform(0.2, 0.45) * rate), int(random.uniform(0.25, 0.5) * rate)
        breath = 0.08 * _filtered(_noise(inhale, random), rate, _band(800, 3000)) * _curve(inhale, [0, 0.4, 1.0, 0.1])
        f0 = random.uniform(180, 400) * _curve(burst, [1.3, 1.0, 0.6])
        voice = _filtered(_pulses(f0, rate, random, 0.05), rate, _formants([(700, 200, 4.0), (1500, 300, 2.0)]))
        voice *= _decay(burst, rate, 0.06, 0.005)
        spray = _filtered(_noise(burst, random), rate, _formants([(bright, 1500, 1.0), (2 * bright, 3000, 0.7)]))
        return np.concatenate([breath, voice + spray * _decay(burst, rate, 0.1, 0.006)])

    return _repeat(n, rate, random, sneeze, (0.4, 1.2))


def _chirping_birds(n: int, rate: int, random: Random) -> Signal:
    home, steps = random.uniform(2800, 5500), int(random.integers(2, 7))
    contour = [home * random.uniform(0.75, 1.25) for _ in range(3)]

    def phrase() -> Signal:
        notes = []
        for _ in range(steps):
            length = int(random.uniform(0.04, 0.12) * rate)
            f0 = np.asarray(_curve(length, contour) * random.uniform(0.95, 1.05))
            notes.append(_harmonics(f0, [1.0, 0.15], rate, random) * _arch(length, rate, 0.01, 0.02))
            notes.append(np.zeros(int(random.uniform(0.02, 0.08) * rate)))
        return np.concatenate(notes)

    return _repeat(n, rate, random, phrase, (0.1, 0.7))


# Machines: pulses at a rate of turning.


def _helicopter(n: int, rate: int, random: Random) -> Signal:
    blades = random.uniform(9, 22) * _wander(n, rate, random, 0.5, 0.02)
    phase = np.cumsum(blades) / rate
    chop = np.exp(-((phase % 1.0) * random.uniform(3.5, 7.0))) + random.uniform(0.03, 0.15)
    thump = _filtered(_noise(n, random), rate, _band(40, random.uniform(250, 700), 2)) * chop
    whine = _harmonics(np.full(n, random.uniform(700, 2200)), [1.0, 0.3], rate, random) * 0.004
    hiss = 0.1 * _filtered(_noise(n, random), rate, _band(800, 5000, 1.5)) * (0.4 + 0.6 * chop)
    return _sometimes_gaps((thump + whine + hiss) * _wander(n, rate, random, 0.5, 0.25), rate, random)


def _chainsaw(n: int, rate: int, random: Random) -> Signal:
    idle, full = random.uniform(45, 75), random.uniform(100, 190)
    throttle = np.clip(_wander(n, rate, random, random.uniform(0.4, 1.5), 0.9) - 0.3, 0, 1)
    f0 = idle + (full - idle) * throttle
    tube = [(random.uniform(350, 600), 200, 1.0), (random.uniform(1000, 1700), 500, 0.9), (3200, 1500, 0.6)]
    motor = _filtered(_pulses(f0, rate, random, 0.09), rate, _formants(tube, 0.05)) * (0.5 + throttle)
    chain = _filtered(_noise(n, random), rate, _band(2000, 8000, 1.5)) * throttle
    return _sometimes_gaps(motor / (motor.std() + 1e-9) + 0.35 * chain, rate, random)


def _engine(n: int, rate: int, random: Random) -> Signal:
    f0 = random.uniform(18, 55) * _wander(n, rate, random, random.uniform(0.3, 1.0), random.choice([0.03, 0.25]))
    block = [(random.uniform(60, 120), 60, 1.0), (random.uniform(180, 350), 150, 0.5), (900, 600, 0.08)]
    motor = _filtered(_pulses(f0, rate, random, 0.05), rate, _formants(block, 0.005))
    rattle = _filtered(_noise(n, random), rate, _band(100, 1500, 1.5))
    return _sometimes_gaps(motor / (motor.std() + 1e-9) + 0.25 * rattle, rate, random)


def _vacuum_cleaner(n: int, rate: int, random: Random) -> Signal:
    f0 = random.uniform(180, 420) * _wander(n, rate, random, 0.5, 0.01)
    hum = _harmonics(f0, [1.0, 0.7, 0.4, 0.4, 0.2, 0.15], rate, random)
    air = _filtered(_noise(n, random), rate, _formants([(random.uniform(900, 2500), 2500, 1.0), (5000, 4000, 0.5)], 0.1))
    return _sometimes_gaps(hum / hum.std() * random.uniform(0.2, 0.6) + air / air.std(), rate, random)


# Weather, water and fire: noise and drops.


def _sea_waves(n: int, rate: int, random: Random) -> Signal:
    period = random.uniform(3.5, 9.0)
    phase = (np.cumsum(_wander(n, rate, random, 0.3, 0.2)) / rate / period + random.random()) % 1.0
    swell = 0.12 + np.exp(-(((phase - 0.35) / np.where(phase < 0.35, 0.15, 0.25)) ** 2))
    deep = _filtered(_noise(n, random), rate, _band(80, random.uniform(500, 900), 1))
    spray = _filtered(_noise(n, random), rate, _band(1200, random.uniform(5000, 9000), 1.2))
    return _sometimes_gaps(deep * swell + random.uniform(0.3, 0.8) * spray * swell**2, rate, random)


def _rain(n: int, rate: int, random: Random) -> Signal:
    drops = np.zeros(n)
    count = int(n / rate * random.uniform(80, 500))
    np.add.at(drops, random.integers(0, n, count), random.exponential(1.0, count) * random.choice([-1, 1], count))
    hard = _filtered(drops, rate, _formants([(random.uniform(1500, 4500), 2500, 1.0)], 0.1))
    wash = _filtered(_noise(n, random), rate, _band(900, random.uniform(7000, 11000), 1.2))
    mixed = random.uniform(0.3, 1.2) * hard / hard.std() + wash / wash.std()
    return _sometimes_gaps(mixed * _wander(n, rate, random, 1.0, 0.1), rate, random)


def _wind(n: int, rate: int, random: Random) -> Signal:
    gusts = _wander(n, rate, random, random.uniform(0.5, 1.5), 0.5)
    low = _filtered(_noise(n, random), rate, _band(40, 300, 1.0))
    howl = _filtered(_noise(n, random), rate, _formants([(random.uniform(350, 900), 60, 1.0)], 0.002))
    return _sometimes_gaps(low / low.std() * gusts + random.uniform(0.1, 0.8) * howl / howl.std() * gusts**2, rate, random)


def _crackling_fire(n: int, rate: int, random: Random) -> Signal:
    total = 0.02 * _filtered(_noise(n, random), rate, _band(60, 500, 1.0)) * _wander(n, rate, random, 4, 0.4)
    sparse = random.random() < 0.5
    for _ in range(max(3, int(n / rate * (random.uniform(4, 10) if sparse else random.uniform(15, 45))))):
        length = int(random.uniform(0.004, 0.03) * rate)
        centre = random.uniform(900, 7000)
        snap = _modes(length, rate, random, [(centre, 0.0015, 1.0), (centre * 1.6, 0.001, 0.6)])
        snap += 0.5 * _noise(length, random) * _decay(length, rate, 0.001, 0.0003)
        _add(total, snap * min(2.0, random.exponential(0.5)), int(random.integers(0, n)))
    return total


def _water_drops(n: int, rate: int, random: Random) -> Signal:
    home = random.uniform(600, 1600)

    def drop() -> Signal:
        length = int(random.uniform(0.08, 0.2) * rate)
        f0 = home * random.uniform(0.8, 1.25) * _curve(length, [1.0, 1.15, random.uniform(1.4, 2.2)])
        return _harmonics(f0, [1.0, 0.05], rate, random) * _decay(length, rate, random.uniform(0.015, 0.04))

    return _repeat(n, rate, random, drop, (0.08, 0.5))


# Things in the house: struck bodies and bells.


def _clock_tick(n: int, rate: int, random: Random) -> Signal:
    body, damping = random.uniform(1800, 4500), random.uniform(0.003, 0.012)
    strokes = [random.uniform(0.9, 1.1), random.uniform(0.7, 1.3)]

    def tick() -> Signal:
        strokes.reverse()
        tone = body * strokes[0]
        length = int(0.08 * rate)
        modes = [(tone, damping, 1.0), (tone * 1.73, damping * 0.7, 0.6), (tone * 0.31, damping * 1.5, 0.4)]
        return _modes(length, rate, random, modes) + 0.3 * _noise(length, random) * _decay(length, rate, 0.001, 0.0003)

    return _steady(n, rate, random, tick, random.choice([0.2, 0.25, 0.5, 1.0]) * random.uniform(0.95, 1.05), 0.002)


def _footsteps(n: int, rate: int, random: Random) -> Signal:
    floor, heel = random.uniform(70, 200), random.uniform(900, 2800)

    def step() -> Signal:
        length = int(0.22 * rate)
        thump = _modes(length, rate, random, [(floor, 0.03, 1.0), (floor * 2.3, 0.02, 0.5)])
        click = _filtered(_noise(length, random), rate, _band(heel * 0.5, heel * 2, 1.5))
        scuff = 0.25 * np.roll(click * _decay(length, rate, 0.02, 0.01), int(0.07 * rate))
        sound: Signal = thump + click * _decay(length, rate, 0.008, 0.001) + scuff
        return sound * random.uniform(0.7, 1.0)

    return _steady(n, rate, random, step, random.uniform(0.4, 0.75), 0.04)


def _door_wood_knock(n: int, rate: int, random: Random) -> Signal:
    wood = random.uniform(150, 380)
    count, beat = int(random.integers(2, 6)), random.uniform(0.14, 0.28)

    def knocks() -> Signal:
        total = np.zeros(int((count * beat + 0.2) * rate))
        for k in range(count):
            modes = [(wood * f, 0.03 / f, 1 / f) for f in (1.0, 1.62, 2.4, 4.1)]
            _add(total, _modes(int(0.15 * rate), rate, random, modes) * random.uniform(0.7, 1), int(k * beat * rate))
        return total

    return _repeat(n, rate, random, knocks, (0.2, 0.9))


def _phone_ringing(n: int, rate: int, random: Random) -> Signal:
    low, high, speed = random.uniform(850, 1300), random.uniform(1350, 2000), random.uniform(14, 26)

    def ring() -> Signal:
        length = int(random.uniform(0.8, 2.0) * rate)
        bells = _harmonics(np.full(length, low), [1.0, 0, 0.4, 0.2], rate, random)
        bells += _harmonics(np.full(length, high), [0.8, 0, 0.3, 0.1], rate, random)
        hammer = (np.arange(length) / rate * speed) % 1.0
        return np.asarray(bells * (0.25 + np.exp(-4 * hammer)) * _arch(length, rate, 0.01, 0.2))

    return _repeat(n, rate, random, ring, (0.15, 0.6))


def _doorbell(n: int, rate: int, random: Random) -> Signal:
    ding, interval = random.uniform(550, 800), random.choice([0.79, 0.75, 0.84])
    partials = [(1.0, 0.9, 1.0), (2.0, 0.5, 0.35), (3.01, 0.3, 0.2), (5.4, 0.12, 0.12)]

    def chime() -> Signal:
        total = np.zeros(int(2.2 * rate))
        for k, tone in enumerate((ding, ding * interval)):
            modes = [(tone * f, decay * 0.6, gain) for f, decay, gain in partials]
            _add(total, _modes(int(1.6 * rate), rate, random, modes), int(0.55 * k * rate))
        return total

    return _repeat(n, rate, random, chime, (0.0, 0.6))


def _laser_gun(n: int, rate: int, random: Random) -> Signal:
    top, bottom, seconds = random.uniform(2500, 6000), random.uniform(120, 450), random.uniform(0.12, 0.35)

    def shot() -> Signal:
        length = int(seconds * random.uniform(0.85, 1.15) * rate)
        f0 = bottom + (top - bottom) * np.exp(-np.linspace(0, 6, length))
        tone = _harmonics(f0, [1.0, 0.5, 0.35, 0.2], rate, random)
        return tone * _decay(length, rate, seconds * 0.6, 0.003) * _arch(length, rate, 0.003, 0.02)

    return _repeat(n, rate, random, shot, (0.03, 0.4))


def _morse_code(n: int, rate: int, random: Random) -> Signal:
    tone, dot = random.uniform(450, 1100), random.uniform(0.05, 0.1)

    def mark() -> Signal:
        length = int(dot * random.choice([1, 3]) * rate)
        beep = _harmonics(np.full(length, tone), [1.0, 0.05], rate, random) * _arch(length, rate, 0.005, 0.005)
        return np.concatenate([beep, np.zeros(int(dot * random.choice([1, 1, 1, 3]) * rate))])

    return _repeat(n, rate, random, mark, (0.0, 0.03))


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
        pipes = [_harmonics(np.full(length, base * ratio), stops, rate, random) for ratio in (1.0, 1.2599, 1.4983, 2.0)]
        return np.asarray(sum(pipes) * _arch(length, rate, 0.06, 0.15))

    return _repeat(n, rate, random, chord, (0.0, 0.1))


def _flute(n: int, rate: int, random: Random) -> Signal:
    root, wobble = random.uniform(260, 620), random.uniform(4.5, 6.0)

    def tone() -> Signal:
        length = int(random.uniform(0.25, 1.6) * rate)
        vibrato = np.sin(2 * np.pi * wobble * np.arange(length) / rate) * _curve(length, [0, 1, 1])
        f0 = _note(root, random) * (1 + 0.006 * vibrato)
        sound = _harmonics(f0, [1.0, 0.35, 0.12, 0.04], rate, random) * (1 + 0.15 * vibrato)
        air = _filtered(_noise(length, random), rate, _formants([(f0[0], 250, 0.15), (2500, 3000, 0.02)], 0.0))
        return np.asarray((sound + air) * _arch(length, rate, 0.06, 0.08))

    return _repeat(n, rate, random, tone, (0.0, 0.25))


def _violin(n: int, rate: int, random: Random) -> Signal:
    root, wobble = random.uniform(196, 420), random.uniform(5, 7)
    body = _formants([(random.uniform(260, 300), 100, 1.0), (random.uniform(440, 520), 150, 1.0),
                      (1100, 500, 0.5), (2600, 1200, 0.6)], 0.08)  # fmt: skip

    def stroke() -> Signal:
        length = int(random.uniform(0.3, 1.8) * rate)
        vibrato = np.sin(2 * np.pi * wobble * np.arange(length) / rate) * _curve(length, [0, 1, 1])
        f0 = _note(root, random) * (1 + 0.009 * vibrato)
        string = _harmonics(f0, [1 / k for k in range(1, 22)], rate, random)
        rosin = 0.06 * _filtered(_noise(length, random), rate, _band(1500, 6000))
        return _filtered(string + rosin, rate, body) * _arch(length, rate, 0.08, 0.1)

    return _repeat(n, rate, random, stroke, (0.0, 0.2))


def _acoustic_guitar(n: int, rate: int, random: Random) -> Signal:
    root, bright = random.uniform(90, 200), random.uniform(0.75, 0.95)

    def pluck() -> Signal:
        length = int(1.2 * rate)
        f0, spot = _note(root, random), random.uniform(0.12, 0.3)
        modes = [
            (f0 * k * np.sqrt(1 + 2e-4 * k * k), 0.9 / (1 + 0.25 * k), abs(np.sin(np.pi * k * spot)) * bright**k)
            for k in range(1, 24)
        ]
        return _modes(length, rate, random, modes) * _arch(length, rate, 0.001, 0.3)

    total = np.zeros(n)
    step, rests = random.uniform(0.18, 0.5), random.random() < 0.5
    at = random.uniform(0, step)
    while at * rate < n:
        _add(total, pluck() * random.uniform(0.5, 1.0), int(at * rate))
        at += step * float(random.choice([1, 1, 2, 6 if rests else 1]))
    return total


def _bass_drum(n: int, rate: int, random: Random) -> Signal:
    pitch, damping = random.uniform(42, 75), random.uniform(0.08, 0.25)

    def hit() -> Signal:
        length = int(0.6 * rate)
        f0 = pitch * (1 + random.uniform(1.0, 2.0) * np.exp(-np.arange(length) / rate / 0.025))
        click = 0.15 * _filtered(_noise(length, random), rate, _band(300, 2500)) * _decay(length, rate, 0.005, 0.0005)
        return _harmonics(f0, [1.0, 0.12], rate, random) * _decay(length, rate, damping) + click

    return _steady(n, rate, random, hit, random.uniform(0.3, 1.0), 0.01)


def _snare_drum(n: int, rate: int, random: Random) -> Signal:
    pitch, wires = random.uniform(160, 240), random.uniform(0.07, 0.18)

    def hit() -> Signal:
        length = int(0.5 * rate)
        skin = _modes(length, rate, random, [(pitch, 0.05, 1.0), (pitch * 1.6, 0.04, 0.7), (pitch * 2.2, 0.03, 0.3)])
        rattle = _filtered(_noise(length, random), rate, _band(1200, 9000, 1.5))
        return (0.6 * skin + 0.7 * rattle * _decay(length, rate, wires, 0.001)) * random.uniform(0.5, 1.0)

    return _steady(n, rate, random, hit, random.choice([0.12, 0.25, 0.5]) * random.uniform(0.85, 1.2), 0.02)


def _hi_hat(n: int, rate: int, random: Random) -> Signal:
    base, closed = random.uniform(300, 420), random.uniform(0.02, 0.06)

    def hit() -> Signal:
        length = int(0.45 * rate)
        decay = closed * (6 if random.random() < 0.15 else 1)
        ratios = (1.0, 1.34, 1.52, 1.93, 2.41, 2.74)
        metal = sum(np.sign(np.sin(2 * np.pi * base * r * np.arange(length) / rate)) for r in ratios)
        bright = _filtered(0.2 * metal + _noise(length, random), rate, _band(6000, 13000, 3))
        return bright * _decay(length, rate, decay, 0.001) * random.uniform(0.5, 1.0)

    return _steady(n, rate, random, hit, random.choice([0.125, 0.25, 0.5]) * random.uniform(0.9, 1.15), 0.01)


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
