from __future__ import annotations

import struct

import numpy as np
import pytest

from operators.spectrogram import HEIGHT, WIDTH, height_of, levels, spectrogram_png


@pytest.mark.parametrize("hertz", [250, 1000, 5000, 12000])
def test_a_tone_is_a_line_at_its_height(hertz: int) -> None:
    time = np.arange(4 * 32000) / 32000
    power = levels(np.sin(2 * np.pi * hertz * time).astype(np.float32), 32000)
    assert power.shape == (HEIGHT, WIDTH)
    row = int(np.argmax(power.mean(axis=1)))
    assert abs(row / HEIGHT - height_of(hertz, 32000)) < 0.02


def test_a_click_is_a_line_at_its_time() -> None:
    samples = np.zeros(10 * 32000, np.float32)
    samples[7 * 32000] = 1.0
    column = int(np.argmax(levels(samples, 32000).sum(axis=0)))
    assert abs(column / WIDTH - 0.7) < 0.01


@pytest.mark.parametrize("length", [0, 1, 100, 4000, 8000])
def test_short_and_silent_clips_have_a_picture(length: int) -> None:
    power = levels(np.zeros(length, np.float32), 8000)
    png = spectrogram_png(power, float(power.max()))
    assert png.startswith(b"\x89PNG")
    assert struct.unpack(">II", png[16:24]) == (WIDTH, HEIGHT)
