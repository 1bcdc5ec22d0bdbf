from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.media.flac import decode_flac, encode_flac

STEP = 2.0**-23


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 8), st.integers(1, 5000), st.sampled_from([1e-6, 0.3, 1.0, 1.5, 40.0]))
def test_decoding_gives_back_the_samples_to_one_step_of_24_bits(
    seed: int, channels: int, length: int, peak: float
) -> None:
    samples = np.random.default_rng(seed).uniform(-peak, peak, (channels, length)).astype(np.float32)
    encoded = encode_flac(samples, 32000)
    decoded, sample_rate = decode_flac(encoded.data, encoded.gain_db)
    assert sample_rate == 32000
    assert decoded.shape == samples.shape
    assert decoded.dtype == np.float32
    rounding = np.spacing(np.float32(peak))  # what float32 itself cannot tell apart
    assert np.abs(decoded - samples).max() <= STEP * 10 ** (-encoded.gain_db / 20) + rounding * (peak > 1)


def test_quiet_stems_keep_their_level_and_loud_ones_do_not_clip() -> None:
    ramp = np.linspace(-1, 1, 4800, dtype=np.float32)[None]
    assert encode_flac(0.999 * ramp, 48000).gain_db == 0.0
    loud = encode_flac(3 * ramp, 48000)
    assert loud.gain_db == pytest.approx(-20 * np.log10(3), abs=0.011)
    stored, _ = soundfile.read(io.BytesIO(loud.data))
    assert 0.998 < np.abs(stored).max() < 1.0
    assert np.unique(stored[-10:]).size == 10  # still a ramp up to its end


def test_the_file_is_flac_of_24_bits() -> None:
    information = soundfile.info(io.BytesIO(encode_flac(np.zeros((6, 441), np.float32), 44100).data))
    assert (information.format, information.subtype) == ("FLAC", "PCM_24")
    assert (information.channels, information.samplerate, information.frames) == (6, 44100, 441)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(bad: float) -> None:
    samples = np.zeros((1, 100), np.float32)
    samples[0, 50] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        encode_flac(samples, 32000)


@pytest.mark.parametrize("shape", [(100,), (9, 100), (0, 100)])
def test_other_shapes_are_refused_by_name(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="1 to 8 channels"):
        encode_flac(np.zeros(shape, np.float32), 32000)


def test_bytes_that_are_no_audio_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="do not decode"):
        decode_flac(b"certainly not")
