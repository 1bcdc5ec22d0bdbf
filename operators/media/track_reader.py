"""Reading a track's samples at the model's rate, front to back, from a running ffmpeg.

`open_track` starts the decode as close to the wanted sample as exactness allows; `TrackReader.read` hands out spans and
remembers enough to go on with the next one without a new process. Every sample equals that of the whole file's decode.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Final

import ffmpeg

from operators.media import ffmpeg_process
from operators.media.ffmpeg_process import PcmPipe
from operators.media.probe import Track
from operators.media.timeline import arrival_of, can_seek, first_sample, look

SEEK_FROM_SECONDS: Final = 30.0  # a seek costs two looks of 0.08 s; decoding 30 s costs as much
SEEK_LEAD_SECONDS: Final = (
    5  # Opus wants 0.08 s, MP3's bit reservoir 0.25 s, the resampler 0.002 s, Matroska's cues 5 s
)
WARM_UP_SECONDS: Final = 1.0
SAMPLE_BYTES: Final = 4
_DISCARD_BYTES: Final = 1 << 20
# What ffmpeg says of a packet that a decoder refuses, of a page of Ogg, of an element of Matroska.
_DAMAGE: Final = ("Error while decoding stream", "CRC mismatch", "exceeds containing master element")


class TrackReader:
    """A decode in progress. `position` is the next sample to come out of it, `end_sample` known once it ended."""

    def __init__(self, command: list[str], *, channels: int, position: int, keep_samples: int) -> None:
        self._pipe = PcmPipe(command)
        self._frame_bytes = channels * SAMPLE_BYTES
        self._keep_samples = keep_samples
        self._tail = b""
        self._damage_told = 0
        self.position = position
        self.end_sample: int | None = None

    def can_serve(self, start: int, farthest: int) -> bool:
        """True when sample `start` is still remembered, or at most `farthest` samples ahead, or past the end."""
        remembered = len(self._tail) // self._frame_bytes
        return self.position - remembered <= start and (
            self.end_sample is not None or start <= self.position + farthest
        )

    def read(self, start: int, stop: int, deadline: float) -> bytearray:
        """Interleaved float32 samples `[start, stop)`; fewer only at the end of the track."""
        remembered = max(0, self.position - start)
        data = bytearray((stop - start) * self._frame_bytes)
        head = self._tail[len(self._tail) - remembered * self._frame_bytes :] if remembered else b""
        head = head[: len(data)]
        data[: len(head)] = head
        if stop > self.position:
            self._skip_to(start, deadline)
            filled = len(head) + self._fill(memoryview(data)[len(head) :], deadline)
            del data[filled:]
            self._remember(data)
        return data

    def errors(self) -> str:
        """What ffmpeg complained about so far."""
        return self._pipe.errors()

    def new_damage(self) -> int:
        """How many damaged places ffmpeg met since this was last asked, or since samples were last skipped."""
        said = self.errors()
        count = sum(said.count(sign) for sign in _DAMAGE)
        new, self._damage_told = max(0, count - self._damage_told), count
        return new

    def close(self) -> None:
        """End the decode."""
        self._pipe.close()

    def _skip_to(self, start: int, deadline: float) -> None:
        scratch = bytearray(min(_DISCARD_BYTES, max(0, start - self.position) * self._frame_bytes))
        scratch = scratch[: len(scratch) // self._frame_bytes * self._frame_bytes]
        while self.position < start and self.end_sample is None:
            count = min(len(scratch), (start - self.position) * self._frame_bytes)
            self._fill(memoryview(scratch)[:count], deadline)
            self._tail = b""
        if scratch:
            self.new_damage()  # what lies in front is another unit's business

    def _fill(self, target: memoryview, deadline: float) -> int:
        """Read into `target`; returns the bytes of whole samples, notes where the track ends."""
        if self.end_sample is not None:
            return 0
        count = self._pipe.read_into(target, deadline)
        self.position += count // self._frame_bytes
        if count < len(target):
            self.end_sample = self.position
        target.release()
        return count // self._frame_bytes * self._frame_bytes

    def _remember(self, data: bytearray) -> None:
        keep = self._keep_samples * self._frame_bytes
        self._tail = bytes(memoryview(data)[-keep:]) if keep and data else b""


@dataclass(frozen=True)
class _Entry:
    """Where a decode begins: ffmpeg's input options, the filters that place its samples, and its first sample."""

    options: dict[str, int | None]
    filters: str
    position: int


def open_track(
    address: str, track: Track, want: int, *, sample_rate: int, keep_samples: int, timeout_seconds: float
) -> TrackReader:
    """A reader that can serve sample `want`, and what follows, at `sample_rate`."""
    deadline = time.monotonic() + timeout_seconds
    entry = None
    if want > SEEK_FROM_SECONDS * sample_rate and can_seek(track):
        entry = _by_seek(address, track, want / sample_rate, sample_rate, deadline)
    if entry is None:
        entry = _from_start(address, track, sample_rate, deadline)
    # A layout that changes on the way is mixed to the one that was probed.
    layout = f",aformat=channel_layouts={track.channel_layout}" if track.channel_layout else ""
    source = ffmpeg.input(address, protocol_whitelist=ffmpeg_process.PROTOCOLS, **entry.options)[f"a:{track.index}"]
    output = source.output(
        "pipe:1",
        format="f32le",
        acodec="pcm_f32le",
        af=entry.filters + layout,
        **({} if layout else {"ac": track.channels}),
    )
    command = output.global_args("-v", "repeat+error", "-nostdin").compile()
    return TrackReader(command, channels=track.channels, position=entry.position, keep_samples=keep_samples)


def _from_start(address: str, track: Track, sample_rate: int, deadline: float) -> _Entry:
    """The decode of the whole track: its first sample at its place on the source's time line, silence before it."""
    origin = 0
    if track.start_seconds > 0:
        frames = look(address, track, None, deadline - time.monotonic())
        origin = first_sample(track, frames) if frames else 0
    return _Entry({}, f"asetpts=PTS-STARTPTS+{origin},{_resample(sample_rate, 0)}", 0)


def _by_seek(address: str, track: Track, want_seconds: float, sample_rate: int, deadline: float) -> _Entry | None:
    """A decode from shortly before `want_seconds`, or None when a seek does not arrive at a sample that is known.

    The resampler is given a first sample that lies on the grid of both rates, so that its phase is that of the whole
    file's decode.
    """
    seek_seconds = int(want_seconds) - SEEK_LEAD_SECONDS
    start = look(address, track, None, deadline - time.monotonic())
    there = look(address, track, seek_seconds, deadline - time.monotonic(), until_seconds=SEEK_LEAD_SECONDS)
    arrival = arrival_of(track, start, there, seek_seconds) if start and there else None
    if start is None or there is None or arrival is None:
        return None
    grid = start.sample_rate // math.gcd(start.sample_rate, sample_rate)
    first = math.floor((want_seconds - WARM_UP_SECONDS) * start.sample_rate / grid) * grid
    if arrival.sample > first - WARM_UP_SECONDS * start.sample_rate:
        return None
    if arrival.by_pts:
        trim = f"asetpts=PTS{arrival.sample - there.frames[0].pts:+d},atrim=start_pts={first}"
    else:
        trim = f"atrim=start_sample={first - arrival.sample},asetpts=PTS-STARTPTS+{first}"
    filters = f"{trim},{_resample(sample_rate, first)}"
    return _Entry({"ss": seek_seconds, "noaccurate_seek": None}, filters, first * sample_rate // start.sample_rate)


def _resample(sample_rate: int, first_pts: int) -> str:
    """swresample at `sample_rate` from input sample `first_pts` on; gaps of more than 0.1 s become silence."""
    return f"aresample={sample_rate}:async=1:min_comp=0:min_hard_comp=0.1:first_pts={first_pts}"
