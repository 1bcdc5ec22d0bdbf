"""Probing: tracks and their times, and for every bad file a sentence that says what is wrong and what to do."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from made_media import chirp, encode, ffmpeg, sample_media

from operators.failure import SourceFailure, is_transient
from operators.media.probe import Track, probe


def tracks_of(path: Path, *, measure: bool = False) -> tuple[Track, ...]:
    return probe(f"file:{path}", str(path), size_bytes=path.stat().st_size, measure=measure)


def failure_of(path: Path) -> SourceFailure:
    with pytest.raises(SourceFailure) as caught:
        tracks_of(path)
    assert str(path) in caught.value.message
    return caught.value


def test_every_audio_track_is_told_with_its_own_rate_and_channels(tmp_path: Path) -> None:
    one = encode(tmp_path / "one.wav", chirp(48_000, 2, 6), 48_000)
    two = encode(tmp_path / "two.wav", chirp(22_050, 1, 1), 22_050)
    both = tmp_path / "both.mkv"
    ffmpeg("-i", str(one), "-i", str(two), "-map", "0", "-map", "1", "-c:a", "flac", str(both))
    first, second = tracks_of(both)
    assert (first.index, first.sample_rate, first.channels, first.codec) == (0, 48_000, 6, "flac")
    assert (second.index, second.sample_rate, second.channels) == (1, 22_050, 1)
    assert (first.duration_seconds, second.duration_seconds) == (pytest.approx(2, abs=0.1), pytest.approx(1, abs=0.1))


def test_late_track_starts_late_and_a_clock_that_does_not_start_at_zero_does_not_matter(tmp_path: Path) -> None:
    sound = encode(tmp_path / "x.wav", chirp(48_000, 2), 48_000)
    late, stream = tmp_path / "late.mp4", tmp_path / "x.ts"
    picture = ["-f", "lavfi", "-i", "color=size=32x32:rate=25:duration=4"]
    ffmpeg(*picture, "-itsoffset", "1.5", "-i", str(sound), "-c:a", "aac", str(late))
    ffmpeg("-i", str(sound), "-c:a", "aac", str(stream))
    assert tracks_of(late)[0].start_seconds == pytest.approx(1.5, abs=0.03)
    assert tracks_of(stream)[0].start_seconds == 0
    assert tracks_of(stream)[0].container_start_seconds > 1


def test_duration_that_is_only_guessed_is_measured_on_demand(tmp_path: Path) -> None:
    loud_then_silent = np.concatenate([chirp(44_100, 5), np.zeros((44_100 * 25, 2), np.float32)])
    mp3 = encode(tmp_path / "x.mp3", loud_then_silent, 44_100, "-q:a", "0", "-write_xing", "0")
    assert tracks_of(mp3)[0].duration_seconds is None
    measured = tracks_of(mp3, measure=True)[0]
    assert measured.duration_source == "measured"
    assert measured.duration_seconds == pytest.approx(30, abs=0.1)


def test_empty_file_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "zero.wav"
    path.touch()
    failure = failure_of(path)
    assert (failure.status, failure.error_class) == ("unreadable", "empty_file")


def test_file_that_is_not_media_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "page.mp3"
    path.write_bytes(b"<html>nothing to hear here</html>" * 50)
    failure = failure_of(path)
    assert (failure.status, failure.error_class) == ("unreadable", "not_media")
    assert "--retry-failed" in failure.message


def test_mp4_without_its_index_says_that_it_was_cut_off(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.mp4", chirp(44_100, 3), 44_100)
    path.write_bytes(path.read_bytes()[:20_000])
    failure = failure_of(path)
    assert (failure.status, failure.error_class) == ("unreadable", "no_index")
    assert (
        "the index (moov atom) is missing, the file was cut off while it was recorded or copied; nothing can be decoded"
        in failure.message
    )


def test_film_without_sound_has_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    ffmpeg("-f", "lavfi", "-i", "color=size=32x32:rate=25:duration=1", str(path))
    failure = failure_of(path)
    assert (failure.status, failure.error_class) == ("no_audio", "no_audio_track")
    assert "only video" in failure.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_read_permission_says_so(tmp_path: Path) -> None:
    path = encode(tmp_path / "x.wav", chirp(8000, 1), 8000)
    path.chmod(0)
    assert failure_of(path).error_class == "permission_denied"


def test_file_that_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceFailure, match="is gone now") as caught:
        probe(f"file:{tmp_path}/gone.wav", "gone.wav")
    assert caught.value.error_class == "vanished"


def test_source_that_does_not_answer_is_given_up_and_tried_again(tmp_path: Path) -> None:
    pipe = tmp_path / "endless.wav"
    os.mkfifo(pipe)
    with pytest.raises(SourceFailure) as caught:
        probe(f"file:{pipe}", str(pipe), timeout_seconds=0.5)
    assert caught.value.error_class == "timeout"
    assert is_transient(caught.value.error_class)


def test_lost_connection_is_tried_again() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/x.mp3"
        with pytest.raises(SourceFailure) as caught:
            probe(address, "s3://bucket/x.mp3")
    assert is_transient(caught.value.error_class)


@pytest.mark.parametrize(
    ("name", "error_class"),
    [
        ("zero_byte.wav", "empty_file"),
        ("not_audio.mp3", "not_media"),
        ("truncated_no_moov.mp4", "no_index"),
        ("video_without_audio.mp4", "no_audio_track"),
    ],
)
def test_bad_sample_says_what_is_wrong(name: str, error_class: str) -> None:
    assert failure_of(sample_media(name)).error_class == error_class
