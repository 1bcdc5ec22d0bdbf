"""Media made in code for the tests: signals, and files that real ffmpeg encodes from them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from operators.decode import Decode
from operators.media.probe import probe
from operators.media.track_reader import open_track
from operators.member import Member, unit_row
from operators.schema import PIECE, PLAN_SCHEMA
from operators.source import Source
from operators.sources import list_sources

Signal = npt.NDArray[np.float32]
RATE = 32_000


def chirp(sample_rate: int, seconds: float, channels: int = 2) -> Signal:
    """A rising tone and some noise, other in each channel, (T, C): no two stretches are alike."""
    t = np.arange(round(sample_rate * seconds)) / sample_rate
    generator = np.random.default_rng(channels)
    tones = [np.sin(2 * np.pi * (200 + 90 * c) * t * (1 + t / seconds)) for c in range(channels)]
    noise = generator.standard_normal((t.size, channels))
    return np.asarray(0.3 * np.stack(tones, 1) + 0.05 * noise, np.float32)


def encode(path: Path, signal: Signal, sample_rate: int, *options: str) -> Path:
    """Write `signal` (T, C) as `path`; the extension names the container, `options` go to ffmpeg's output."""
    source = ["-f", "f32le", "-ar", str(sample_rate), "-ac", str(signal.shape[1]), "-i", "pipe:0"]
    ffmpeg(*source, *options, str(path), stdin=signal.astype("<f4").tobytes())
    return path


def ffmpeg(*arguments: str, stdin: bytes = b"") -> bytes:
    """What ffmpeg writes to its standard output."""
    command = ["ffmpeg", "-v", "error", "-y", *arguments]
    return subprocess.run(command, input=stdin, stdout=subprocess.PIPE, check=True).stdout


def plain_decode(path: Path, channels: int, track: int = 0, rate: int = RATE) -> Signal:
    """The whole file as ffmpeg decodes it when nothing special is asked for, (T, C) at `rate`."""
    raw = ffmpeg("-i", str(path), "-map", f"0:a:{track}", "-ar", str(rate), "-f", "f32le", "pipe:1")
    return np.frombuffer(raw, "<f4").reshape(-1, channels)


def source_of(path: Path | str) -> Source:
    (source,) = list_sources([str(path)])
    return source


def pieces_of(
    decode: Decode, source: Source, track: int | None = None, start: float = 0.0, end: float | None = None
) -> list[dict[str, Any]]:
    """The pieces of one member, `pcm` as an array (T, C)."""
    row = unit_row([Member(source, track, start, end, problem=source.problem)], seconds=None, attempt=1)
    table = decode(pa.Table.from_pylist([row], schema=PLAN_SCHEMA))
    return [piece_of(piece) for piece in table.column("pieces").combine_chunks().values]


def piece_of(scalar: Any) -> dict[str, Any]:
    """A piece of a unit's column, `pcm` as an array (T, C)."""
    piece: dict[str, Any] = {f.name: scalar[f.name].as_py() for f in PIECE if f.name != "pcm"}
    if scalar["pcm"].is_valid:
        piece["pcm"] = np.frombuffer(scalar["pcm"].as_buffer(), "<f4").reshape(-1, piece["channels"])
    return piece


def span(piece: dict[str, Any]) -> Signal:
    """The samples of the piece without context."""
    before = piece["context_before_samples"]
    samples: Signal = piece["pcm"][before : before + piece["span_samples"]]
    return samples


def whole(source: Source, track: int = 0) -> Signal:
    """The track in one go."""
    return np.concatenate([span(p) for p in pieces_of(Decode(), source, track)])


def reader_at(source: Source, seconds: float) -> int:
    """The sample at which decoding begins that is asked for what lies at `seconds`."""
    (track,) = probe(f"file:{source.uri}", source.uri)
    want = round(seconds * RATE)
    reader = open_track(f"file:{source.uri}", track, want, sample_rate=RATE, keep_samples=0, timeout_seconds=60)
    reader.close()
    return reader.position


def sample_media(name: str) -> Path:
    """A file of the sample collection: `$SOUNDQUARRY_SAMPLES`, or `../shared/samples` beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "samples"
    path = Path(os.environ.get("SOUNDQUARRY_SAMPLES", beside)) / name
    if not path.exists():
        pytest.skip(f"the sample media are not here: {path} (set SOUNDQUARRY_SAMPLES to their directory)")
    return path
