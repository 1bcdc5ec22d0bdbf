"""Which names look like media: the extensions that a search through directories, globs and archives takes."""

from __future__ import annotations

import posixpath
from typing import Final

PCM_EXTENSIONS: Final = ("wav", "w64", "aiff", "aif", "caf")
LOSSLESS_EXTENSIONS: Final = ("flac",)
LOSSY_EXTENSIONS: Final = ("mp3", "aac", "m4a", "ogg", "oga", "opus", "wma", "ac3", "eac3", "mka", "webm")
VIDEO_EXTENSIONS: Final = ("mp4", "m4v", "mov", "3gp", "mkv", "avi", "flv", "ts", "mts", "mpg")

MEDIA_EXTENSIONS: Final = frozenset(PCM_EXTENSIONS + LOSSLESS_EXTENSIONS + LOSSY_EXTENSIONS + VIDEO_EXTENSIONS)
ARCHIVE_EXTENSIONS: Final = frozenset({"tar"})


def extension(name: str) -> str:
    """The extension of a path, in small letters and without its dot.

    >>> extension("/talks/Intro.MP3")
    'mp3'
    """
    return posixpath.splitext(name)[1].lstrip(".").lower()


def is_hidden(name: str) -> bool:
    """True for names with a leading dot, which a shell skips too (`._song.mp3` is no song)."""
    return posixpath.basename(name.rstrip("/")).startswith(".")
