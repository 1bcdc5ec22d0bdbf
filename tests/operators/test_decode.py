"""Decoding: units laid end to end are the whole file, whatever the codec and wherever it is entered."""

from __future__ import annotations

import math
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_media import (
    RATE,
    chirp,
    encode,
    ffmpeg,
    pieces_of,
    plain_decode,
    reader_at,
    sample_media,
    source_of,
    span,
    whole,
)

from operators.decode import Decode
from operators.media import track_reader
from operators.sources import list_sources

UNIT_SECONDS = 7.3
SECONDS = 24.1
MP3_VBR = ("-q:a", "5", "-write_xing", "0")
AAC_IN_MATROSKA = ("-c:a", "aac")
# name, sample rate, channels, options of the encoder, whether a unit late in the file is reached by a seek
FORMATS = [
    pytest.param("x.wav", 44_100, 2, (), True, id="wav 44.1 kHz"),
    pytest.param("x.wav", 96_000, 1, ("-c:a", "pcm_s24le"), True, id="wav 96 kHz", marks=pytest.mark.slow),
    pytest.param("x.flac", 22_050, 1, (), True, id="flac 22.05 kHz"),
    pytest.param("x.mp3", 44_100, 2, ("-b:a", "128k"), True, id="mp3"),
    pytest.param("x.mp3", 22_050, 1, MP3_VBR, True, id="mp3 of variable rate, no header"),
    pytest.param("x.m4a", 44_100, 2, ("-c:a", "alac"), True, id="alac in mp4", marks=pytest.mark.slow),
    pytest.param("x.mkv", 48_000, 2, ("-c:a", "libopus", "-b:a", "64k"), True, id="opus in matroska"),
    pytest.param("x.mkv", 44_100, 2, ("-c:a", "flac"), True, id="flac in matroska", marks=pytest.mark.slow),
    pytest.param("x.mkv", 44_100, 1, ("-c:a", "libmp3lame"), True, id="mp3 in matroska", marks=pytest.mark.slow),
    pytest.param("x.mp4", 44_100, 2, ("-c:a", "aac", "-b:a", "96k"), False, id="aac in mp4"),
    pytest.param("x.mkv", 48_000, 2, AAC_IN_MATROSKA, False, id="aac in matroska", marks=pytest.mark.slow),
    pytest.param("x.aac", 44_100, 2, (), False, id="raw aac", marks=pytest.mark.slow),
    pytest.param("x.ts", 48_000, 2, ("-c:a", "mp2"), False, id="mp2 in a transport stream"),
    pytest.param("x.ogg", 44_100, 2, ("-c:a", "libvorbis"), False, id="vorbis in ogg", marks=pytest.mark.slow),
    pytest.param("x.webm", 22_050, 1, ("-c:a", "libvorbis"), False, id="vorbis in webm"),
    pytest.param("x.opus", 48_000, 1, ("-c:a", "libopus"), False, id="opus in ogg", marks=pytest.mark.slow),
]


@pytest.fixture
def early_seeks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seek from 12 s on instead of 30: files of half the length show the same."""
    monkeypatch.setattr(track_reader, "SEEK_FROM_SECONDS", 12.0)


@pytest.mark.parametrize(("name", "sample_rate", "channels", "options", "sought"), FORMATS)
@pytest.mark.usefixtures("early_seeks")
def test_units_end_to_end_are_the_whole_file(
    tmp_path: Path, name: str, sample_rate: int, channels: int, options: tuple[str, ...], sought: bool
) -> None:
    path = encode(tmp_path / name, chirp(sample_rate, SECONDS, channels), sample_rate, *options)
    source = source_of(path)
    expected = plain_decode(path, channels)
    count = math.ceil(len(expected) / RATE / UNIT_SECONDS)
    spans = [(k * UNIT_SECONDS, (k + 1) * UNIT_SECONDS if k < count - 1 else None) for k in range(count)]

    in_order = Decode(context_seconds=1)
    pieces = [pieces_of(in_order, source, 0, *unit)[0] for unit in spans]
    assert {piece["status"] for piece in pieces} == {"ok"}
    units = np.concatenate([span(piece) for piece in pieces])
    assert len(units) == len(expected)
    assert np.abs(units - expected).max() <= 1e-5

    # Another worker, which has not seen the units before, gets the same samples, context included.
    for index in (count - 1, 1):
        (alone,) = pieces_of(Decode(context_seconds=1), source, 0, *spans[index])
        assert alone["pcm"].shape == pieces[index]["pcm"].shape
        assert np.abs(alone["pcm"] - pieces[index]["pcm"]).max() <= 1e-5

    reader = reader_at(source, 20.0)
    assert (reader > 14 * RATE) == sought


@pytest.mark.parametrize(
    ("name", "sample_rate", "channels", "options"),
    [
        pytest.param("x.wav", 96_000, 2, ("-c:a", "pcm_s24le"), id="96 kHz"),
        pytest.param("x.flac", 44_100, 6, (), id="surround"),
        pytest.param("x.mp3", 22_050, 1, ("-b:a", "64k"), id="mp3"),
        pytest.param("x.mkv", 48_000, 2, ("-c:a", "libopus", "-b:a", "64k"), id="opus"),
        pytest.param("x.mp4", 44_100, 2, ("-c:a", "aac"), id="aac"),
    ],
)
@pytest.mark.usefixtures("early_seeks")
def test_units_at_the_sources_own_rate_are_the_whole_file(
    tmp_path: Path, name: str, sample_rate: int, channels: int, options: tuple[str, ...]
) -> None:
    path = encode(tmp_path / name, chirp(sample_rate, SECONDS, channels), sample_rate, *options)
    source = source_of(path)
    expected = plain_decode(path, channels, rate=sample_rate)
    decode = Decode(sample_rate=None, context_seconds=1)
    borders = [0.0, 7.3, 11.6, 20.15, None]
    pieces = [pieces_of(decode, source, 0, start, end)[0] for start, end in pairwise(borders)]
    assert {piece["sample_rate"] for piece in pieces} == {sample_rate}
    units = np.concatenate([span(piece) for piece in pieces])
    assert len(units) == len(expected)
    assert np.abs(units - expected).max() <= 1e-5
    (alone,) = pieces_of(Decode(sample_rate=None, context_seconds=1), source, 0, 20.15, None)
    assert np.abs(alone["pcm"] - pieces[-1]["pcm"]).max() <= 1e-5


def test_pieces_tell_the_layout_and_the_clock_of_their_source(tmp_path: Path) -> None:
    options = ("-write_bext", "1", "-metadata", f"time_reference={3600 * 48_000 + 24_000}", "-c:a", "pcm_s24le")
    surround = encode(tmp_path / "x.wav", chirp(48_000, 2, 6), 48_000, "-channel_layout", "5.1", *options)
    (piece,) = pieces_of(Decode(sample_rate=None), source_of(surround))
    assert (piece["channel_layout"], piece["source_clock_seconds"]) == ("5.1", 3600.5)
    (piece,) = pieces_of(Decode(), source_of(encode(tmp_path / "y.flac", chirp(48_000, 2), 48_000)))
    assert (piece["channel_layout"], piece["source_clock_seconds"]) == ("stereo", None)


def test_seek_in_a_film_arrives_at_the_sample(tmp_path: Path) -> None:
    sound = encode(tmp_path / "x.wav", chirp(48_000, 70), 48_000)
    film = tmp_path / "film.mkv"
    picture = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=70"]
    ffmpeg(*picture, "-i", str(sound), "-c:v", "libx264", "-g", "250", "-c:a", "libopus", str(film))
    source = source_of(film)
    expected = whole(source)
    (piece,) = pieces_of(Decode(), source, 0, 60.0, None)
    assert reader_at(source, 60.0) > 0
    np.testing.assert_allclose(span(piece), expected[60 * RATE :], atol=1e-5)


def test_units_out_of_order_are_right_too(tmp_path: Path) -> None:
    source = source_of(encode(tmp_path / "x.m4a", chirp(44_100, 20), 44_100))
    expected = whole(source)
    decode = Decode(context_seconds=0.5)
    for start in (10.0, 15.0, 0.0, 5.0, 5.0):
        (piece,) = pieces_of(decode, source, 0, start, start + 5)
        assert np.array_equal(span(piece), expected[round(start * RATE) : round((start + 5) * RATE)])


def test_context_lies_around_the_span_and_ends_with_the_track(tmp_path: Path) -> None:
    source = source_of(encode(tmp_path / "x.wav", chirp(RATE, 9, 1), RATE, "-c:a", "pcm_f32le"))
    expected = whole(source)
    for start, end, before, after in ((0.0, 3.0, 0, 2), (3.0, 6.0, 2, 2), (6.0, 9.0, 2, 0)):
        (piece,) = pieces_of(Decode(context_seconds=2), source, 0, start, end)
        assert (piece["context_before_samples"], piece["span_samples"]) == (before * RATE, 3 * RATE)
        assert np.array_equal(piece["pcm"], expected[round((start - before) * RATE) : round((end + after) * RATE)])


def test_channels_stay_as_they_are(tmp_path: Path) -> None:
    surround = chirp(RATE, 2, 6)
    mono = chirp(RATE, 2, 1)
    antiphase = np.concatenate([mono, -mono], axis=1)
    for name, signal in (("surround.wav", surround), ("antiphase.wav", antiphase), ("mono.wav", mono)):
        source = source_of(encode(tmp_path / name, signal, RATE, "-c:a", "pcm_f32le"))
        assert np.array_equal(whole(source), signal)


def test_small_source_gives_a_piece_for_every_track(tmp_path: Path) -> None:
    stereo = encode(tmp_path / "a.wav", chirp(48_000, 3), 48_000)
    mono = encode(tmp_path / "b.wav", chirp(22_050, 2, 1), 22_050)
    both = tmp_path / "both.mkv"
    ffmpeg("-i", str(stereo), "-i", str(mono), "-map", "0", "-map", "1", "-c:a", "flac", str(both))
    pieces = pieces_of(Decode(), source_of(both))
    assert [(p["track"], p["channels"], p["span_samples"] / RATE) for p in pieces] == [
        (0, 2, pytest.approx(3, abs=1e-3)),
        (1, 1, pytest.approx(2, abs=1e-3)),
    ]
    assert np.array_equal(span(pieces[1]), plain_decode(both, 1, track=1))


def test_long_track_of_a_small_source_comes_in_stretches_of_the_unit_length(tmp_path: Path) -> None:
    source = source_of(encode(tmp_path / "x.ogg", chirp(16_000, 20, 1), 16_000))
    pieces = pieces_of(Decode(unit_seconds=UNIT_SECONDS, context_seconds=1), source)
    assert [p["start_seconds"] for p in pieces] == [0, UNIT_SECONDS, 2 * UNIT_SECONDS]
    assert [p["context_before_samples"] for p in pieces] == [0, RATE, RATE]
    assert np.array_equal(np.concatenate([span(p) for p in pieces]), whole(source))


def test_ten_hours_of_wav_are_not_read_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "ten_hours.wav"
    seconds, rate = 36_000, 16_000
    size = seconds * rate * 2
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16,
                         b"data", size)  # fmt: skip
    with open(path, "wb") as file:  # a sparse file: silence, and noise in the last half minute
        file.write(header)
        file.seek(len(header) + (seconds - 30) * rate * 2)
        file.write(np.random.default_rng(0).bytes(30 * rate * 2))
    source = source_of(path)
    (piece,) = pieces_of(Decode(), source, 0, 35_400.0, None)
    assert reader_at(source, 35_400.0) > 35_390 * RATE
    assert piece["span_samples"] == 600 * RATE
    loud = np.flatnonzero(span(piece)[:, 0])
    assert loud[0] == pytest.approx(570 * RATE, abs=40)


def test_tar_members_are_decoded_where_they_lie() -> None:
    sources = list(list_sources([str(sample_media("clips20.tar"))]))[:7]  # one of each format
    decode = Decode()
    pieces = [piece for source in sources for piece in pieces_of(decode, source)]
    assert len(pieces) == 7
    assert {piece["status"] for piece in pieces} == {"ok"}
    assert all(3 * RATE < piece["span_samples"] < 6 * RATE for piece in pieces)


@pytest.mark.parametrize(
    ("name", "track", "channels"),
    [
        ("archive_10min.mp4", 0, 2),
        ("two_tracks_3min.mkv", 0, 2),
        ("two_tracks_3min.mkv", 1, 1),
        ("one_minute.mp3", 0, 2),
    ],
)
def test_sample_in_units_is_the_whole_file(name: str, track: int, channels: int) -> None:
    path = sample_media(name)
    expected = plain_decode(path, channels, track)
    decode, units, start = Decode(), [], 0.0
    while start < len(expected) / RATE:
        last = start + 96.0 >= len(expected) / RATE
        pieces = pieces_of(decode, source_of(path), track, start, None if last else start + 96.0)
        assert {piece["status"] for piece in pieces} == {"ok"}
        units += [span(piece) for piece in pieces]
        start += 96.0
    decoded = np.concatenate(units)
    assert decoded.shape == expected.shape
    assert np.abs(decoded - expected).max() <= 1e-5
