"""Spectrograms as small PNG pictures, drawn with numpy alone.

Contract: time runs left to right, frequency upwards on a mel scale from 0 Hz to half the sample rate, level from black
(80 dB below `reference`) to pale yellow. Two pictures with the same `reference` can be compared.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

WIDTH: Final = 480
HEIGHT: Final = 160
RANGE_DB: Final = 80.0
WINDOW_SECONDS: Final = 0.046
_ANCHORS: Final = ["#05060f", "#1b1146", "#4a1079", "#8a2078", "#cb3f62", "#f1734c", "#fbb35a", "#fcf3bf"]

Mono = npt.NDArray[np.float32]


def _palette() -> npt.NDArray[np.uint8]:
    """256 colours, evenly between the anchors: `uint8[256, 3]`."""
    anchors = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in _ANCHORS])
    positions = np.linspace(0, len(anchors) - 1, 256)
    channels = [np.interp(positions, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def hertz_to_mel(hertz: float) -> float:
    """The mel scale of O'Shaughnessy (1987)."""
    return float(2595 * np.log10(1 + hertz / 700))


def height_of(hertz: float, sample_rate: int) -> float:
    """How high in the picture a frequency lies: 0 at the bottom, 1 at the top."""
    return hertz_to_mel(hertz) / hertz_to_mel(sample_rate / 2)


def levels(samples: Mono, sample_rate: int) -> npt.NDArray[np.float64]:
    """Power per picture point, `float64[HEIGHT, WIDTH]`, the lowest frequency in row 0."""
    window_samples = 1 << round(np.log2(WINDOW_SECONDS * sample_rate))
    hop_samples = max(1, min(window_samples // 2, len(samples) // WIDTH))
    padded = np.pad(samples, (window_samples // 2, window_samples // 2 + hop_samples))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window_samples)[::hop_samples]
    frames = frames[: max(1, len(samples) // hop_samples)]
    power = np.abs(np.fft.rfft(frames * np.hanning(window_samples), axis=1)) ** 2  # (N, F)
    edges = np.linspace(0, hertz_to_mel(sample_rate / 2), HEIGHT + 1)
    bins = 700 * (10 ** (edges / 2595) - 1) / (sample_rate / 2) * (power.shape[1] - 1)
    first = np.floor(bins[:-1]).astype(int)
    last = np.maximum(np.ceil(bins[1:]).astype(int), first + 1)
    rows = np.stack([power[:, low:high].max(axis=1) for low, high in zip(first, last, strict=True)])
    columns = np.linspace(0, rows.shape[1], WIDTH + 1)
    starts = np.minimum(columns[:-1].astype(int), rows.shape[1] - 1)
    return np.maximum.reduceat(rows, starts, axis=1) if rows.shape[1] >= WIDTH else rows[:, starts]


def spectrogram_png(power: npt.NDArray[np.float64], reference: float) -> bytes:
    """The picture of `levels(...)`; `reference` is the power that is drawn brightest."""
    decibels = 10 * np.log10(np.maximum(power, 1e-20) / max(reference, 1e-20))
    indices = np.clip(255 * (1 + decibels / RANGE_DB), 0, 255).astype(np.uint8)[::-1]
    return _png(indices // 4 * 4)  # 64 levels: half the bytes, no visible difference


def _png(indices: npt.NDArray[np.uint8]) -> bytes:
    height, width = indices.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), indices], axis=1)  # filter type 0 before each line
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = [
        (b"IHDR", header),
        (b"PLTE", _palette().tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
