"""What is missing from a decode: a file cut short, damaged packets, a track without a single sample."""

from __future__ import annotations

from typing import Final

from operators.failure import SourceFailure
from operators.media import errors as media_errors
from operators.media.probe import Track
from operators.media.track_reader import TrackReader

# Containers round: an mp3's header is 0.03 s off, Matroska's 0.01 s, a transport stream's up to a frame of video.
MISSING_SECONDS: Final = 0.25


def shortfall(
    reader: TrackReader, source_uri: str, track: Track, stop_seconds: float, sample_rate: int
) -> SourceFailure | None:
    """What is wrong with the samples before `stop_seconds`, as far as they have been read, or None.

    Raises `SourceFailure` when the whole track gave no sample at all.
    """
    if reader.end_sample == 0:
        raise _nothing(reader.errors(), source_uri, track)
    corrupt = reader.new_damage()
    if reader.end_sample is not None and track.end_seconds is not None:
        have_seconds = reader.end_sample / sample_rate
        missing_seconds = min(track.end_seconds, stop_seconds) - have_seconds
        # Where only the container as a whole tells a length, the picture may simply outlast the sound.
        certain = track.duration_source == "track" or bool(reader.errors())
        if missing_seconds > MISSING_SECONDS and certain:
            return _truncated(source_uri, have_seconds, track.end_seconds)
    return _corrupt(source_uri, corrupt) if corrupt else None


def _nothing(stderr: str, source_uri: str, track: Track) -> SourceFailure:
    if stderr.strip():
        return media_errors.from_ffmpeg(stderr, source_uri, "decode")
    return SourceFailure(
        status="unreadable",
        error_class="empty_track",
        message=f"{source_uri}: audio track {track.index} holds no sample; check the file, replace it",
        stage="decode",
    )


def _truncated(source_uri: str, have_seconds: float, whole_seconds: float) -> SourceFailure:
    return SourceFailure(
        status="partial",
        error_class="truncated",
        message=f"{source_uri}: {have_seconds:.1f} of {whole_seconds:.1f} s could be decoded, the file is cut off; "
        "what is there was taken; copy it again and run again with --retry-failed",
        stage="decode",
    )


def _corrupt(source_uri: str, places: int) -> SourceFailure:
    return SourceFailure(
        status="partial",
        error_class="corrupt_audio",
        message=f"{source_uri}: {places} damaged {'place' if places == 1 else 'places'} could not be decoded; "
        "what is whole was taken; "
        "copy it again and run again with --retry-failed",
        stage="decode",
    )
