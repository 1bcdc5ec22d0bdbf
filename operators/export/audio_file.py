"""One WAV or FLAC file in the making: samples in, a file that appears whole, or not at all, out.

Contract: the same samples and facts give the same bytes (no dates, no versions of programs). 24-bit steps arrive as
they are given; WAV is RF64 above 4 GB, tells the layout of its channels, and is a Broadcast Wave (BWF).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import ffmpeg
import numpy as np
import numpy.typing as npt

from operators.export.plan import Container
from operators.failure import SourceFailure
from operators.media.ffmpeg_process import MediaTimeoutError, PcmSink
from operators.whole_file import WholeFile

TIMEOUT_SECONDS: Final = 600.0  # without taking a sample, or for writing its header in the end
DISK_FULL: Final = "No space left on device"
DESCRIPTION_BYTES: Final = 256  # what BWF holds
ORIGINATOR: Final = "soundquarry"
FACT_CHARACTERS: Final = 4000  # of one fact: an argument of a program holds 128 KiB, and nobody reads more
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Steps = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


class AudioFileError(OSError):
    """ffmpeg did not write the file; the message holds what it said."""


@dataclass(frozen=True)
class AudioForm:
    """What the samples of a file are; `layout` in ffmpeg's words, None: its default for so many channels."""

    container: Container
    is_float: bool
    sample_rate: int
    channels: int
    layout: str | None


@dataclass(frozen=True)
class AudioFacts:
    """What a file says of itself."""

    description: str
    source_uri: str
    query_text: str
    ucs_cat_id: str | None
    tags: tuple[str, ...]
    time_reference: int
    reference: str

    def metadata(self, container: Container) -> dict[str, str]:
        """ffmpeg's metadata: bext and LIST INFO of WAV (ISRC is its source, IKEY its keywords), comments of FLAC.

        Control characters become spaces, and what is longer than `FACT_CHARACTERS` is cut, tags between two of them.
        """
        told = {
            "originator": ORIGINATOR,
            "originator_reference": self.reference,
            "time_reference": str(self.time_reference),
            "title": self.query_text,
            "genre": self.ucs_cat_id,
        }
        if container == "wav":
            told |= {"description": _cut(self.description, DESCRIPTION_BYTES), "comment": self.description}
            told |= {"ISRC": self.source_uri, "IKEY": _joined(self.tags)}
        else:  # ffmpeg writes `comment` as DESCRIPTION
            told |= {"comment": self.description, "SOURCE": self.source_uri, "KEYWORDS": _joined(self.tags)}
        return {name: CONTROL.sub(" ", value)[:FACT_CHARACTERS] for name, value in told.items() if value}


class AudioFileWriter:
    """`write` blocks of samples in order, then `publish`; leaving the `with` block without it leaves nothing."""

    def __init__(self, uri: str, form: AudioForm, facts: AudioFacts) -> None:
        self.form = form
        self._whole = WholeFile(uri)
        self._samples = 0
        try:
            self._sink = PcmSink(_command(str(self._whole.path), form, facts.metadata(form.container)))
        except BaseException:  # nobody else knows of the temporary file yet
            self._whole.abort()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._sink.close()
        self._whole.abort()

    def write(self, block: Steps | Floats) -> None:
        """Appends samples [T, C]: float32, or int32 whose upper 24 bits count."""
        try:
            self._sink.write(np.ascontiguousarray(block).data, TIMEOUT_SECONDS)
        except BrokenPipeError:
            raise self._failure() from None
        except MediaTimeoutError as error:
            raise AudioFileError(f"{self._whole.place.uri} was not written: {error}") from error
        self._samples += len(block)

    def publish(self) -> int:
        """Makes the file appear, and returns its size in bytes."""
        try:
            finished = self._sink.finish(TIMEOUT_SECONDS)
        except MediaTimeoutError as error:
            raise AudioFileError(f"{self._whole.place.uri} was not written: {error}") from error
        size_bytes = self._whole.path.stat().st_size
        least = self._samples * self.form.channels * (4 if self.form.is_float else 3)
        if finished.returncode or DISK_FULL in finished.stderr or (self.form.container == "wav" and size_bytes < least):
            raise self._failure()
        self._whole.publish()
        return size_bytes

    def _failure(self) -> Exception:
        uri, said = self._whole.place.uri, self._sink.finish(TIMEOUT_SECONDS).stderr.strip()
        if DISK_FULL in said:
            return SourceFailure(
                status="failed",
                error_class="disk_full",
                message=f"no space left while writing {uri}; free some and give the same command with --overwrite",
                stage="commit",
            )
        return AudioFileError(f"{uri} was not written: ffmpeg said {said[-300:]!r}")


def silence(form: AudioForm, samples: int) -> Steps | Floats:
    """So many samples [T, C] of digital silence."""
    shape = (samples, form.channels)
    return np.zeros(shape, np.float32) if form.is_float else np.zeros(shape, np.int32)


def _command(path: str, form: AudioForm, metadata: Mapping[str, str]) -> list[str]:
    layout = {"ch_layout": form.layout} if form.layout else {"ac": form.channels}
    source = ffmpeg.input("pipe:0", format="f32le" if form.is_float else "s32le", ar=form.sample_rate, **layout)
    if form.container == "wav":
        options = {"acodec": "pcm_f32le" if form.is_float else "pcm_s24le", "rf64": "auto", "write_bext": 1}
    else:
        options = {"acodec": "flac", "sample_fmt": "s32", "bits_per_raw_sample": 24}
    options |= {f"metadata:g:{index}": f"{name}={value}" for index, (name, value) in enumerate(metadata.items())}
    options |= {"map_metadata": -1, "fflags": "+bitexact", "flags:a": "+bitexact"}
    written = source.output(f"file:{path}", format=form.container, **options)
    command: list[str] = written.global_args("-v", "error", "-nostats").compile(overwrite_output=True)
    return command


def _joined(tags: Sequence[str]) -> str:
    """The tags with `; ` between them, as many as fit."""
    joined = "; ".join(tags)
    if len(joined) <= FACT_CHARACTERS:
        return joined
    return joined[: FACT_CHARACTERS + 1].rpartition("; ")[0] or joined[:FACT_CHARACTERS]


def _cut(text: str, size_bytes: int) -> str:
    """The beginning of a text, no character torn apart."""
    return text.encode()[:size_bytes].decode(errors="ignore")
