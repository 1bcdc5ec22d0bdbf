"""Which sample of a track a seek arrives at, to the sample, or None when that cannot be known.

A seek is exact when the container's clock counts samples (wav, flac, mp3, mp4). A coarser clock (Matroska: whole
milliseconds) still tells which *frame* it is when all frames have one length; if they have not, the answer is None.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import ffmpeg

from operators.media import ffmpeg_process
from operators.media.probe import Track

LOOK_SECONDS: Final = 1.0
# Decoders that give, after a second of warming up, the very samples of an uninterrupted decode, and containers whose
# seek arrives where it says: measured, difference 0.0 (test_decode.py). Not here: AAC (the noise it substitutes depends
# on every frame before; 5e-2), AC-3 (dither, 6e-2), MP2 (5e-5), Ogg and transport streams (no index to seek by).
_SEEKABLE_CODECS: Final = frozenset({"flac", "alac", "mp3", "opus"})
_SEEKABLE_CONTAINERS: Final = frozenset({"wav", "w64", "aiff", "flac", "mp3", "matroska", "mov"})
# Of these, whose clocks may jump, ffmpeg counts from the first of the streams it is asked for, not from the container.
_COUNTED_FROM_THE_TRACK: Final = frozenset({"mpegts", "mpeg"})
_FRAME: Final = re.compile(r" pts:(-?\d+) .* rate:(\d+) nb_samples:(\d+)")


@dataclass(frozen=True)
class Frame:
    """One decoded frame: its timestamp, in samples, as ffmpeg counts after a seek, and its length."""

    pts: int
    samples: int


@dataclass(frozen=True)
class Frames:
    """The first decoded frames of a track, from its start or from where a seek arrived."""

    sample_rate: int
    frames: tuple[Frame, ...]


def can_seek(track: Track) -> bool:
    """True when a decode that starts in the middle can equal one that starts at the beginning."""
    codec_is_exact = track.codec in _SEEKABLE_CODECS or track.codec.startswith("pcm_")
    return codec_is_exact and track.container.split(",")[0] in _SEEKABLE_CONTAINERS


def look(
    address: str, track: Track, seek_seconds: int | None, timeout_seconds: float, *, until_seconds: float = LOOK_SECONDS
) -> Frames | None:
    """The frames from the start (None) of the track, or from where a seek to a whole second arrives.

    The last one is `until_seconds` after the track's start, or after the second that was sought.
    None when there are none.
    """
    if seek_seconds is None:
        until_seconds += track.start_seconds
    seek = {} if seek_seconds is None else {"ss": seek_seconds, "noaccurate_seek": None}
    source = ffmpeg.input(address, protocol_whitelist=ffmpeg_process.PROTOCOLS, **seek)[f"a:{track.index}"]
    shown = source.output("-", af=f"ashowinfo,atrim=end={until_seconds}", format="null")
    command = shown.global_args("-v", "info", "-hide_banner", "-nostats", "-nostdin").compile()
    said = ffmpeg_process.run(command, timeout_seconds).stderr
    found = [(int(m[1]), int(m[2]), int(m[3])) for m in _FRAME.finditer(said)]
    if not found or len({rate for _, rate, _ in found}) != 1:
        return None
    return Frames(found[0][1], tuple(Frame(pts, samples) for pts, _, samples in found))


def first_sample(track: Track, start: Frames) -> int:
    """The sample of the source's time line at which the track begins; more than 0 when it starts late."""
    if track.start_seconds == 0:
        return 0
    if track.container in _COUNTED_FROM_THE_TRACK:
        return round(track.start_seconds * start.sample_rate)
    shift_samples = round(min(0.0, track.container_start_seconds) * start.sample_rate)
    return max(0, start.frames[0].pts + shift_samples)


@dataclass(frozen=True)
class Arrival:
    """Where a seek arrives: the first frame begins with `sample` of the source's time line.

    `by_pts`: timestamps are exact, too; otherwise only the number of samples since the first frame is.
    """

    sample: int
    by_pts: bool


def arrival_of(track: Track, start: Frames, there: Frames, seek_seconds: int) -> Arrival | None:
    """Where a seek arrived, or None when that is not certain; `there` reaches to where samples are wanted."""
    rate = start.sample_rate
    if there.sample_rate != rate:
        return None
    origin = first_sample(track, start)
    if (1 / (track.time_base * rate)).denominator == 1:
        sample = there.frames[0].pts - start.frames[0].pts + seek_seconds * rate + origin
        return Arrival(sample, by_pts=True)
    return _arrival_by_frames(track.time_base, origin, start, there, seek_seconds)


def _arrival_by_frames(
    time_base: Fraction, origin: int, start: Frames, there: Frames, seek_seconds: int
) -> Arrival | None:
    """Frame i after the first begins at origin + (length of the first) + (i - 1) * length; timestamps only choose i.

    The first frame is left out: a decoder may cut its priming samples off.
    """
    rate = start.sample_rate
    lengths = {frame.samples for frame in (*start.frames[1:], *there.frames[1:])}
    if len(lengths) != 1 or len(start.frames) < 4 or len(there.frames) < 4:
        return None
    length = lengths.pop()
    tick_samples = float(time_base * rate)
    second = origin + start.frames[0].samples
    bias = statistics.median(f.pts - (second + i * length) for i, f in enumerate(start.frames[1:]))
    offsets = [f.pts + seek_seconds * rate - bias - (second + i * length) for i, f in enumerate(there.frames[1:])]
    index = round(statistics.median(offsets) / length)
    if length < 8 * tick_samples or max(abs(offset - index * length) for offset in offsets) > 2.5 * tick_samples:
        return None
    return Arrival(second + index * length - there.frames[0].samples, by_pts=False)
