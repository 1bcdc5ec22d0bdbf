"""Which names look like media or archives: the extensions that a search through directories and archives takes.

A manifest is one only where it is named itself.
"""

from __future__ import annotations

import posixpath
from typing import Final

PCM_EXTENSIONS: Final = ("wav", "w64", "aiff", "aif", "caf")
LOSSLESS_EXTENSIONS: Final = ("flac",)
LOSSY_EXTENSIONS: Final = ("mp3", "aac", "m4a", "ogg", "oga", "opus", "wma", "ac3", "eac3", "mka", "webm")
VIDEO_EXTENSIONS: Final = ("mp4", "m4v", "mov", "3gp", "mkv", "avi", "flv", "ts", "mts", "mpg")

MEDIA_EXTENSIONS: Final = frozenset(PCM_EXTENSIONS + LOSSLESS_EXTENSIONS + LOSSY_EXTENSIONS + VIDEO_EXTENSIONS)
ARCHIVE_EXTENSIONS: Final = frozenset({"tar", "zip"})
MANIFEST_EXTENSIONS: Final = frozenset({"csv", "jsonl", "parquet"})
_COMPRESSED_ARCHIVES: Final = (
    ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.lz4", ".7z", ".rar",
)  # fmt: skip


def extension(name: str) -> str:
    """The extension of a path, in small letters and without its dot.

    >>> extension("/talks/Intro.MP3")
    'mp3'
    """
    return posixpath.splitext(name)[1].lstrip(".").lower()


def is_hidden(name: str) -> bool:
    """True for names with a leading dot, which a shell skips too (`._song.mp3` is no song)."""
    return posixpath.basename(name.rstrip("/")).startswith(".")


def is_compressed_archive(name: str) -> bool:
    """True for archives of which no member can be read without unpacking what lies before it.

    >>> is_compressed_archive("clips.tar.gz"), is_compressed_archive("table.csv.gz")
    (True, False)
    """
    return name.lower().endswith(_COMPRESSED_ARCHIVES)
