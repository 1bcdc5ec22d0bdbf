"""Making a source readable by ffmpeg: an address that ffmpeg opens, for as long as a context lasts.

Local files and members of local tars are read where they lie; remote objects are copied once per node
(`for_decoding`), or only looked into (`for_probing`).
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import fsspec

from operators import media_errors
from operators.failure import SourceFailure
from operators.range_server import serving
from operators.scratch_cache import ScratchCache
from operators.sources import is_local, version_of
from operators.tar_members import TarSlice, tar_slice

SMALL_FETCH_BYTES: Final = 8 << 20  # smaller objects are used once: a temporary file, not the cache
CHUNK_BYTES: Final = 8 << 20
SLOWEST_BYTES_PER_SECOND: Final = 4 << 20  # a copy may take the timeout and, on top, what it takes at this rate


@contextlib.contextmanager
def for_decoding(uri: str, version: str, cache: ScratchCache, timeout_seconds: float) -> Iterator[str]:
    """An address of the source on this machine; raises `SourceFailure` at stage "fetch"."""
    part = tar_slice(uri, version)
    home = part.tar_uri if part else uri
    size_bytes = _checked_size(uri, home, part.tar_version if part else version)
    if is_local(home):
        yield _local_address(home, part)
        return
    size_bytes = part.size_bytes if part else size_bytes
    copier = _Copier(uri, home, part, timeout_seconds + size_bytes / SLOWEST_BYTES_PER_SECOND)
    if size_bytes < SMALL_FETCH_BYTES:
        with tempfile.NamedTemporaryFile(prefix="soundquarry-") as file:
            copier.copy(file)  # type: ignore[arg-type]  # a temporary file's wrapper is a BinaryIO in all but name
            file.flush()
            yield f"file:{file.name}"
        return
    with cache.entry(uri, version, copier.copy) as path:
        yield f"file:{path}"


@contextlib.contextmanager
def for_probing(uri: str, version: str, size_bytes: int) -> Iterator[str]:
    """An address to look into the source without copying it; what goes wrong while reading is raised on the way out."""
    part = tar_slice(uri, version)
    home = part.tar_uri if part else uri
    if is_local(home):
        yield _local_address(home, part)
        return
    with serving(home, part.size_bytes if part else size_bytes, part.offset if part else 0) as server:
        try:
            yield server.url
        except SourceFailure:
            if server.error is not None:  # ffprobe knows "error 500" only; the store's own words tell more
                raise media_errors.from_error(server.error, uri, "fetch") from server.error
            raise


def _local_address(path: str, part: TarSlice | None) -> str:
    # "file:" keeps a colon in a name from being taken for a protocol.
    if part is None:
        return f"file:{path}"
    return f"subfile,,start,{part.offset},end,{part.offset + part.size_bytes},,:file:{path}"


def _checked_size(uri: str, home: str, version: str) -> int:
    """The size of the object, after a look whether it still is the one that was planned."""
    try:
        fs, path = fsspec.core.url_to_fs(home)
        info = fs.info(path)
    except Exception as error:
        raise media_errors.from_error(error, uri, "fetch") from error
    found = version_of(info)
    if found != version:
        raise media_errors.changed(uri, version, found)
    return int(info["size"] or 0)


class _Copier:
    """Copies a remote object, or a member of a remote tar, into a file before a deadline."""

    def __init__(self, uri: str, home: str, part: TarSlice | None, timeout_seconds: float) -> None:
        self.uri = uri
        self.home = home
        self.part = part
        self.timeout_seconds = timeout_seconds

    def copy(self, file: BinaryIO) -> None:
        deadline = time.monotonic() + self.timeout_seconds
        try:
            fs, path = fsspec.core.url_to_fs(self.home)
            with fs.open(path, "rb", **_streaming(fs)) as remote:
                remote.seek(self.part.offset if self.part else 0)
                left = self.part.size_bytes if self.part else None
                while data := remote.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left)):
                    file.write(data)
                    left = None if left is None else left - len(data)
                    if time.monotonic() > deadline:
                        raise media_errors.timed_out(self.uri, "fetch", self.timeout_seconds)
        except SourceFailure:
            raise
        except Exception as error:
            raise media_errors.from_error(error, self.uri, "fetch") from error


def _streaming(fs: Any) -> dict[str, Any]:
    """Options for reading from front to back: each request brings one chunk and nothing is kept."""
    is_memory = "memory" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
    return {} if is_memory else {"block_size": CHUNK_BYTES, "cache_type": "readahead"}
