"""A source: one media object, or a stretch of one, under the URI and the version by which it is known everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import fsspec

from operators.failure import SourceFailure
from operators.listing import Info, is_local_fs

_ETAGS: Final = ("ETag", "etag", "md5Hash", "generation", "content_md5")
_TIMES: Final = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")


@dataclass(frozen=True)
class Source:
    """One media object: where it lies, which version of it was seen, and what is wrong with it, if anything.

    A manifest may ask for a stretch of it (`clip_end_seconds` None: to its end), for one audio track (None: every one),
    and give it tags.
    """

    uri: str
    version: str
    size_bytes: int | None
    problem: SourceFailure | None = None
    clip_start_seconds: float = 0.0
    clip_end_seconds: float | None = None
    track: int | None = None
    tags: tuple[str, ...] = ()

    @property
    def is_clip(self) -> bool:
        """True when only a stretch is asked for."""
        return self.clip_start_seconds > 0 or self.clip_end_seconds is not None


def version_of(info: Info) -> str:
    """The version of a file as its listing tells it: the etag, or size and time of modification.

    >>> version_of({"size": 3, "mtime": 1.5})
    '3-1500000000'
    """
    for key in _ETAGS:
        if info.get(key):
            return str(info[key]).strip('"')
    for key in _TIMES:
        if info.get(key):
            time = info[key]
            return f"{info['size']}-{round(time * 1_000_000_000) if isinstance(time, float) else time}"
    return f"{info['size']}"


def is_local(uri: str) -> bool:
    """True for a plain path (local URIs are written without `file://`)."""
    return "://" not in uri


def place_of(uri: str) -> tuple[Any, str]:
    """The file system of a file and its path there; `::` in the file's name is only part of the name.

    For fsspec it is a chain of file systems, and here too where an address follows it.

    >>> place_of("/x/a::b.wav")[1]
    '/x/a::b.wav'
    """
    before, _, behind = uri.partition("::")
    if not behind or "://" in behind:
        fs, path = fsspec.core.url_to_fs(uri)
        return fs, path
    fs, path = fsspec.core.url_to_fs(before)
    return fs, path.rstrip("/") + uri[len(before.rstrip("/")) :]


def uri_of(fs: Any, path: str) -> str:
    return path if is_local_fs(fs) else str(fs.unstrip_protocol(path))
