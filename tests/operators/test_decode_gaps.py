"""Decoding of tracks that start late or have gaps: silence stands for what is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_media import RATE, chirp, encode, ffmpeg, pieces_of, plain_decode, source_of, span, whole

from operators.decode import Decode


def test_track_that_starts_late_is_preceded_by_silence(tmp_path: Path) -> None:
    sound = encode(tmp_path / "x.wav", chirp(48_000, 40, 1), 48_000)
    picture = ["-f", "lavfi", "-i", "color=size=32x32:rate=25:duration=4"]
    for name, codec in (("late.mov", "pcm_s16le"), ("late.mkv", "flac")):
        film = tmp_path / name
        ffmpeg(*picture, "-itsoffset", "1.5", "-i", str(sound), "-map", "0", "-map", "1", "-c:a", codec, str(film))
        decoded = whole(source_of(film))
        late = round(1.5 * RATE)
        assert np.abs(decoded[: late - 40]).max() < 1e-3
        np.testing.assert_allclose(decoded[late + 99 : late + 9999], plain_decode(sound, 1)[99:9999], atol=1e-4)
        (unit,) = pieces_of(Decode(), source_of(film), 0, 35.0, 40.0)
        np.testing.assert_allclose(span(unit), decoded[35 * RATE : 40 * RATE], atol=1e-5)


@pytest.mark.parametrize("name", ["late.ts", "late.mpg"])
def test_late_track_of_a_broadcast_is_preceded_by_silence(tmp_path: Path, name: str) -> None:
    """The clock of such a container begins anywhere, and ffmpeg counts from the stream that it is asked for."""
    click = np.zeros((3 * 48_000, 1), np.float32)
    click[48_000:48_200] = 0.8
    sound = encode(tmp_path / "x.wav", click, 48_000)
    picture = ["-f", "lavfi", "-i", "color=size=32x32:rate=25:duration=4"]
    ffmpeg(
        *picture, "-itsoffset", "1.5", "-i", str(sound), "-map", "0", "-map", "1", "-c:a", "mp2", str(tmp_path / name)
    )
    decoded = whole(source_of(tmp_path / name))
    assert np.abs(decoded[:, 0]).argmax() / RATE == pytest.approx(2.5, abs=0.02)


def test_gap_in_the_timestamps_is_silence(tmp_path: Path) -> None:
    path = tmp_path / "gap.mkv"
    signal = chirp(32_000, 4, 1)
    gap = "asetnsamples=1000,asetpts='if(gte(N,64000),PTS+32000,PTS)'"
    encode(path, signal, 32_000, "-af", gap, "-c:a", "pcm_f32le")
    decoded = whole(source_of(path))
    assert len(decoded) / RATE == pytest.approx(5, abs=0.01)
    assert np.abs(decoded[round(2.1 * RATE) : round(2.9 * RATE)]).max() == 0
    np.testing.assert_allclose(decoded[3 * RATE : 5 * RATE], signal[2 * RATE :], atol=1e-5)
