"""What ffmpeg, a file system or a bucket says when something is wrong, turned into a `SourceFailure` for a person."""

from __future__ import annotations

import errno
from typing import Final

from operators.failure import SourceFailure, Stage, Status

_AGAIN: Final = "the next run tries it again"
_RETRY: Final = "and run again with --retry-failed"

# What the process writes -> status, error class, what it means and what to do. The first match counts.
_FFMPEG: Final[tuple[tuple[str, Status, str, str], ...]] = (
    (
        "moov atom not found",
        "unreadable",
        "no_index",
        "the index (moov atom) is missing, the file was cut off while it was recorded or copied; "
        f"nothing can be decoded; copy it again {_RETRY}",
    ),
    ("Permission denied", "unreadable", "permission_denied", f"it may not be read; grant read access {_RETRY}"),
    (
        "No such file",
        "failed",
        "vanished",
        "it was listed and is gone now; put it back and run again with --retry-failed",
    ),
    (
        "404 Not Found",
        "failed",
        "vanished",
        "it was listed and is gone now; put it back and run again with --retry-failed",
    ),
    ("403 Forbidden", "unreadable", "permission_denied", f"it may not be read; grant read access {_RETRY}"),
    ("Server returned 5", "failed", "throttled", f"the server is overloaded; {_AGAIN}"),
    ("Connection ", "failed", "connection", f"the connection was lost; {_AGAIN}"),
    ("Input/output error", "failed", "connection", f"reading stopped with an input/output error; {_AGAIN}"),
    ("Cannot allocate memory", "failed", "out_of_memory", f"there was not enough memory; {_AGAIN}"),
    ("Decoder (codec", "failed", "unsupported_codec", f"ffmpeg has no decoder for it; convert it {_RETRY}"),
)


def from_ffmpeg(stderr: str, source_uri: str, stage: Stage) -> SourceFailure:
    """What ffmpeg's or ffprobe's complaint stands for; without a known one `not_media` or `undecodable`."""
    for needle, status, error_class, meaning in _FFMPEG:
        if needle in stderr:
            return SourceFailure(
                status=status, error_class=error_class, message=f"{source_uri}: {meaning}", stage=stage
            )
    said = last_line(stderr)
    return SourceFailure(
        status="unreadable",
        error_class="not_media" if stage == "probe" else "undecodable",
        message=f"{source_uri}: not audio or video that ffmpeg can read"
        + (f" (it says: {said})" if said else "")
        + f"; check the file, replace it {_RETRY}",
        stage=stage,
    )


def from_error(error: BaseException, source_uri: str, stage: Stage) -> SourceFailure:
    """The failure that an exception of a file system or a bucket stands for; network trouble is transient."""
    status, error_class, meaning = _classified(error)
    said = str(error) or type(error).__name__
    return SourceFailure(
        status=status, error_class=error_class, message=f"{source_uri}: {meaning} ({said})", stage=stage
    )


def timed_out(source_uri: str, stage: Stage, timeout_seconds: float) -> SourceFailure:
    """The failure of a source that did not answer in time."""
    return SourceFailure(
        status="failed",
        error_class="timeout",
        message=f"{source_uri}: {stage} was stopped after {timeout_seconds:g} s; {_AGAIN}, or raise the timeout",
        stage=stage,
    )


def empty_file(source_uri: str, stage: Stage) -> SourceFailure:
    """The failure of a file of zero bytes."""
    return SourceFailure(
        status="unreadable",
        error_class="empty_file",
        message=f"{source_uri}: the file is empty (0 bytes); copy it again {_RETRY}",
        stage=stage,
    )


def broken_member(source_uri: str, said: str) -> SourceFailure:
    """The failure of a member of a zip whose bytes are not what the zip tells."""
    return SourceFailure(
        status="unreadable",
        error_class="broken_archive",
        message=f"{source_uri}: the zip is damaged there: {said}; copy the archive again {_RETRY}",
        stage="fetch",
    )


def no_such_track(source_uri: str, track: int, tracks: int, stage: Stage) -> SourceFailure:
    """The failure of a source that has fewer audio tracks than were asked for."""
    return SourceFailure(
        status="failed",
        error_class="no_such_track",
        message=f"{source_uri}: audio track {track} was asked for, it has {tracks} (the first is 0); correct the "
        f"manifest {_RETRY}",
        stage=stage,
    )


def changed(source_uri: str, planned: str, found: str) -> SourceFailure:
    """The failure of a source that is not the one that was planned any more."""
    return SourceFailure(
        status="failed",
        error_class="changed",
        message=f"{source_uri}: it was planned as version {planned} and is {found} now; run the same command again",
        stage="fetch",
    )


def last_line(stderr: str) -> str:
    """The last thing a process said, shortened to fit into a row."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else ""


def _classified(error: BaseException) -> tuple[Status, str, str]:
    text = f"{type(error).__name__} {error}"
    if isinstance(error, FileNotFoundError):
        return "failed", "vanished", "it was listed and is gone now; put it back and run again with --retry-failed"
    if isinstance(error, PermissionError):
        return "unreadable", "permission_denied", f"it may not be read; grant read access {_RETRY}"
    if isinstance(error, MemoryError):
        return "failed", "out_of_memory", f"there was not enough memory; {_AGAIN}"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "failed", "disk_full", f"the scratch disk is full; make room, {_AGAIN}"
    if isinstance(error, TimeoutError) or "Timeout" in text:
        return "failed", "timeout", f"it did not arrive in time; {_AGAIN}"
    if any(sign in text for sign in ("503", "SlowDown", "Slow Down", "429", "TooManyRequests", "reduce your request")):
        return "failed", "throttled", f"the store is overloaded; {_AGAIN}"
    if isinstance(error, OSError) or "onnect" in text:
        return "failed", "connection", f"reading failed; {_AGAIN}"
    return "failed", "unexpected", "an unexpected error; report it with the source's details"
