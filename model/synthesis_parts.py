"""The parts that procedural sounds are built from: filters, envelopes, sources, placement in time.

Contract: `n` counts samples, `rate` is in Hz, every random thing draws from the generator it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]
Random = np.random.Generator


def filtered(signal: Signal, rate: int, response: Callable[[Signal], Signal]) -> Signal:
    """The signal weighted by a zero-phase magnitude response over frequency in Hz."""
    padded = len(signal) + rate // 10  # keeps the ringing of the end out of the beginning
    spectrum = np.fft.rfft(signal, padded) * response(np.fft.rfftfreq(padded, 1.0 / rate))
    filtered: Signal = np.fft.irfft(spectrum, padded)[: len(signal)]
    return filtered


def band(low: float, high: float, order: float = 3.0) -> Callable[[Signal], Signal]:
    def response(frequency: Signal) -> Signal:
        safe = np.maximum(frequency, 1e-3)
        return np.asarray(1.0 / np.sqrt((1 + (low / safe) ** (2 * order)) * (1 + (safe / high) ** (2 * order))))

    return response


def formants(peaks: Sequence[tuple[float, float, float]], floor: float = 0.02) -> Callable[[Signal], Signal]:
    """Resonances given as (frequency in Hz, bandwidth in Hz, gain)."""

    def response(frequency: Signal) -> Signal:
        total = np.full_like(frequency, floor)
        for centre, width, gain in peaks:
            total += gain / (1 + ((frequency - centre) / (width / 2)) ** 2)
        total /= 1 + (frequency / 9000) ** 4
        return np.asarray(np.where(frequency < 30, 0.0, total))

    return response


def curve(n: int, points: list[float]) -> Signal:
    """A line through equally spaced points."""
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, len(points)), points)


def wander(n: int, rate: int, random: Random, per_second: float, spread: float) -> Signal:
    """A slow random walk around one: the factor by which something that lives varies."""
    points = 1 + spread * random.standard_normal(max(2, int(n / rate * per_second) + 2))
    return np.maximum(curve(n, list(points)), 0.05)


def decaying(n: int, rate: int, seconds: float, attack: float = 0.002) -> Signal:
    """Exponential decay to 1/e in `seconds` after a linear attack."""
    time = np.arange(n) / rate
    return np.asarray(np.exp(-time / seconds) * np.minimum(1.0, time / attack))


def arch(n: int, rate: int, attack: float, release: float) -> Signal:
    time = np.arange(n) / rate
    ramp = np.minimum(np.minimum(1.0, time / attack), np.minimum(1.0, time[::-1] / release))
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * ramp))


def noise(n: int, random: Random) -> Signal:
    return random.standard_normal(n)


def pulses(f0: Signal, rate: int, random: Random, jitter: float = 0.0) -> Signal:
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


def harmonics(f0: Signal, weights: list[float], rate: int, random: Random) -> Signal:
    """Sines at multiples of `f0`; those above the Nyquist frequency are left out."""
    phase = 2 * np.pi * np.cumsum(f0) / rate
    total = np.zeros(len(f0))
    for k, weight in enumerate(weights, start=1):
        if k * f0.max() < 0.48 * rate:
            total += weight * np.sin(k * phase + random.uniform(0, 2 * np.pi))
    return total


def struck(n: int, rate: int, random: Random, modes: Sequence[tuple[float, float, float]]) -> Signal:
    """A struck body: decaying sines given as (frequency in Hz, decay in seconds, gain)."""
    time = np.arange(n) / rate
    total = np.zeros(n)
    for frequency, decay, gain in modes:
        if frequency < 0.48 * rate:
            total += gain * np.exp(-time / decay) * np.sin(2 * np.pi * frequency * time + random.uniform(0, 2 * np.pi))
    return np.asarray(total * np.minimum(1.0, time / 0.001))


def add(total: Signal, sound: Signal, at: int) -> None:
    stop = min(len(total), at + len(sound))
    if at < stop:
        total[at:stop] += sound[: stop - at]


def repeat(n: int, rate: int, random: Random, one: Callable[[], Signal], pause: tuple[float, float]) -> Signal:
    """One sound after the other with random pauses in seconds; half of the draws pause three times as long."""
    stretch = 3.0 if random.random() < 0.5 else 1.0
    total = np.zeros(n)
    at = int(random.uniform(0, 0.1) * n)
    while at < n:
        sound = one() * random.uniform(0.6, 1.0)
        add(total, sound, at)
        at += len(sound) + int(stretch * random.uniform(*pause) * rate)
    return total


def steady(n: int, rate: int, random: Random, one: Callable[[], Signal], period: float, drift: float) -> Signal:
    """A sound on a beat of `period` seconds; half of the draws leave beats out in runs."""
    rests = random.random() < 0.5
    total = np.zeros(n)
    at, playing = random.uniform(0, min(period / 2, 0.3 * n / rate)), True
    while at * rate < n:
        if playing:
            add(total, one(), int(at * rate))
        if rests and random.random() < 0.15:
            playing = not playing
        at += period * (1 + drift * random.standard_normal())
    return total


def sometimes_gaps(signal: Signal, rate: int, random: Random) -> Signal:
    """The sustained signal, in half of the draws switched on and off with soft edges."""
    n = len(signal)
    if random.random() < 0.5:
        return signal
    gate = np.zeros(n)
    at = 0 if random.random() < 0.5 else int(random.uniform(0.05, 0.3) * n)
    edge = random.uniform(0.02, 0.25)
    while at < n:
        length = int(random.uniform(0.7, 3.5) * rate)
        add(gate, arch(length, rate, edge, edge), at)
        at += length + int(random.uniform(0.4, 2.5) * rate)
    return signal * gate
