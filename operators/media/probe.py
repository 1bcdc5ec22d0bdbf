"""What ffprobe finds in a source: its audio tracks, or a `SourceFailure` that says why there is nothing to decode.

Times are on the source's time line: zero is where the container starts (a transport stream may start at any clock
time), or 0 when it starts before that, as the priming samples of an encoder do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final, Literal

import ffmpeg

from operators.failure import SourceFailure
from operators.media import errors as media_errors
from operators.media import ffmpeg_process
from operators.media.ffmpeg_process import MediaTimeoutError

PROBE_TIMEOUT_SECONDS: Final = 60.0
# Players do not hear it, and timestamps in whole milliseconds cannot say it: such a start is zero.
LATE_SECONDS: Final = 0.002
_ESTIMATED: Final = "Estimating duration from bitrate"
_ENTRIES: Final = (
    "format=format_name,start_time,duration:format_tags=time_reference:stream_tags=DURATION:stream=index,codec_type,codec_name,sample_rate,"
    "channels,channel_layout,time_base,start_time,duration"
)

DurationSource = Literal["track", "container", "measured", "unknown"]


@dataclass(frozen=True)
class Track:
    """One audio stream. `index` counts audio streams from 0, as `-map 0:a:<index>` does."""

    index: int
    container: str
    container_start_seconds: float  # as the container tells; ffmpeg shifts all timestamps by it
    codec: str
    sample_rate: int
    channels: int
    channel_layout: str | None
    time_base: Fraction
    start_seconds: float
    duration_seconds: float | None  # from the track's own start
    duration_source: DurationSource
    clock_seconds: float | None = None
    """What the recorder's clock showed at the start, seconds since midnight: the time reference of a broadcast WAV."""

    @property
    def end_seconds(self) -> float | None:
        """Where the track ends on the source's time line, as far as its container tells."""
        return None if self.duration_seconds is None else self.start_seconds + self.duration_seconds


def probe(
    address: str,
    source_uri: str,
    *,
    size_bytes: int | None = None,
    measure: bool = False,
    timeout_seconds: float = PROBE_TIMEOUT_SECONDS,
) -> tuple[Track, ...]:
    """The audio tracks of what ffmpeg opens at `address`, never none; raises `SourceFailure`.

    `source_uri` names the source in messages. With `measure`, a duration that the container does not tell, or that
    ffmpeg only guesses from the bit rate, is measured by reading all packets (no decoding).
    """
    if size_bytes == 0:
        raise media_errors.empty_file(source_uri, "probe")
    answer, stderr = _ask(address, source_uri, timeout_seconds)
    streams = [stream for stream in answer.get("streams", []) if stream.get("codec_type") == "audio"]
    if not streams:
        raise _no_audio(answer, source_uri)
    tracks = tuple(_track(i, s, answer["format"], guessed=_ESTIMATED in stderr) for i, s in enumerate(streams))
    if not measure:
        return tracks
    return tuple(t if t.duration_seconds is not None else _measured(t, address, source_uri) for t in tracks)


def _ask(address: str, source_uri: str, timeout_seconds: float) -> tuple[dict[str, Any], str]:
    command = ["ffprobe", "-v", "warning", "-protocol_whitelist", ffmpeg_process.PROTOCOLS]
    command += ["-show_entries", _ENTRIES, "-of", "json", "-i", address]
    try:
        finished = ffmpeg_process.run(command, timeout_seconds)
    except MediaTimeoutError:
        raise media_errors.timed_out(source_uri, "probe", timeout_seconds) from None
    if finished.returncode != 0:
        raise media_errors.from_ffmpeg(finished.stderr, source_uri, "probe")
    answer: dict[str, Any] = json.loads(finished.stdout.decode(errors="replace"))
    return answer, finished.stderr


def _no_audio(answer: dict[str, Any], source_uri: str) -> SourceFailure:
    kinds = sorted({str(stream.get("codec_type", "unknown")) for stream in answer.get("streams", [])})
    return SourceFailure(
        status="no_audio",
        error_class="no_audio_track",
        message=f"{source_uri}: it holds no audio track (only {', '.join(kinds) or 'nothing'}); nothing to do",
        stage="probe",
    )


def _track(index: int, stream: dict[str, Any], container: dict[str, Any], *, guessed: bool) -> Track:
    zero = max(0.0, _seconds(container.get("start_time")) or 0.0)
    start = (_seconds(stream.get("start_time")) or 0.0) - zero
    start = start if start > LATE_SECONDS else 0.0
    duration, told_by = _duration(stream, container, start, zero)
    if guessed:
        duration, told_by = None, "unknown"
    layout = str(stream.get("channel_layout", "unknown"))
    return Track(
        index=index,
        container=str(container["format_name"]),
        container_start_seconds=_seconds(container.get("start_time")) or 0.0,
        codec=str(stream.get("codec_name", "unknown")),
        sample_rate=int(stream.get("sample_rate", 0)),
        channels=int(stream.get("channels", 0)),
        channel_layout=None if layout == "unknown" else layout,
        time_base=Fraction(stream["time_base"]),
        start_seconds=start,
        duration_seconds=duration,
        duration_source=told_by,
        clock_seconds=_clock(container, stream),
    )


def _clock(container: dict[str, Any], stream: dict[str, Any]) -> float | None:
    samples = _seconds(container.get("tags", {}).get("time_reference"))
    rate = int(stream.get("sample_rate", 0))
    return samples / rate if samples and rate else None


def _duration(
    stream: dict[str, Any], container: dict[str, Any], start: float, zero: float
) -> tuple[float | None, DurationSource]:
    own = _seconds(stream.get("duration"))
    if own is not None:
        return own, "track"
    tag = _clock_seconds(stream.get("tags", {}).get("DURATION"))  # Matroska: where the track ends
    if tag is not None:
        return max(0.0, tag - zero - start), "track"
    whole = _seconds(container.get("duration"))
    if whole is not None:
        return max(0.0, whole - start), "container"
    return None, "unknown"


def _measured(track: Track, address: str, source_uri: str) -> Track:
    """The track with the duration that its packets add up to."""
    copied = ffmpeg.input(address, protocol_whitelist=ffmpeg_process.PROTOCOLS).output(
        "-", map=f"0:a:{track.index}", c="copy", f="null"
    )
    command = copied.global_args("-v", "error", "-nostdin", "-progress", "pipe:1", "-stats_period", "3600").compile()
    # Copying packets runs at 5 to 50 thousand times real time; the limit is for a network that stalls.
    timeout_seconds = 10 * PROBE_TIMEOUT_SECONDS
    try:
        finished = ffmpeg_process.run(command, timeout_seconds)
    except MediaTimeoutError:
        raise media_errors.timed_out(source_uri, "probe", timeout_seconds) from None
    told = [line[12:] for line in finished.stdout.decode().splitlines() if line.startswith("out_time_us=")]
    if not told or not told[-1].lstrip("-").isdigit():
        return track
    end = int(told[-1]) / 1e6
    return replace(track, duration_seconds=max(0.0, end - track.start_seconds), duration_source="measured")


def _seconds(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:
        return None


def _clock_seconds(text: object) -> float | None:
    parts = str(text).split(":")
    if len(parts) != 3:
        return None
    values = [_seconds(part) for part in parts]
    if None in values:
        return None
    hours, minutes, seconds = (value or 0.0 for value in values)
    return hours * 3600 + minutes * 60 + seconds
