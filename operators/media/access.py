"""Making a source readable by ffmpeg: an address that ffmpeg opens, for as long as a context lasts.

Local files, and members of local archives that are not compressed, are read where they lie; remote objects are copied
once per node (`for_decoding`), or only looked into (`for_probing`); deflated members of zips are inflated.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO, Final

from operators.failure import SourceFailure
from operators.media import errors as media_errors
from operators.media.archive_slice import Extent, archive_slice
from operators.media.inflate import Inflater
from operators.media.range_server import serving
from operators.media.scratch_cache import ScratchCache, default_scratch
from operators.media.zip_members import LOCAL_HEADER_BYTES, data_offset
from operators.source import is_local, place_of, version_of

SMALL_FETCH_BYTES: Final = 8 << 20  # smaller objects are used once: a temporary file, not the cache
CHUNK_BYTES: Final = 8 << 20
INFLATE_TIMEOUT_SECONDS: Final = 600.0
SLOWEST_BYTES_PER_SECOND: Final = 4 << 20  # a copy may take the timeout and, on top, what it takes at this rate


@contextlib.contextmanager
def for_decoding(
    uri: str, version: str, cache: ScratchCache, timeout_seconds: float, *, again: bool = False
) -> Iterator[str]:
    """An address of the source on this machine; raises `SourceFailure` at stage "fetch".

    `again`: it will be asked for again, so that a copy of it, even a small one, is kept.
    """
    part = archive_slice(uri, version)
    home = part.home_uri if part else uri
    size_bytes = _checked_size(uri, home, part.home_version if part else version)
    extent = _behind_header(uri, home, part.extent) if part else None
    if is_local(home) and not _is_deflated(extent):
        yield _local_address(home, extent)
        return
    size_bytes = extent.size_bytes if extent else size_bytes
    copier = _Copier(uri, home, extent, timeout_seconds + size_bytes / SLOWEST_BYTES_PER_SECOND)
    if size_bytes < SMALL_FETCH_BYTES and not again:
        with tempfile.NamedTemporaryFile(prefix="soundquarry-") as file:
            copier.copy(file)  # type: ignore[arg-type]  # a temporary file's wrapper is a BinaryIO in all but name
            file.flush()
            yield f"file:{file.name}"
        return
    with cache.entry(uri, version, copier.copy) as path:
        yield f"file:{path}"


@contextlib.contextmanager
def for_probing(uri: str, version: str, size_bytes: int, cache: ScratchCache | None = None) -> Iterator[str]:
    """An address to look into the source without copying it; what goes wrong while reading is raised on the way out.

    A deflated member of a zip has no middle that could be looked into: it is inflated into `cache` (default: that of
    this machine, where decoding finds it again).
    """
    part = archive_slice(uri, version)
    home = part.home_uri if part else uri
    if part is not None and _is_deflated(part.extent):
        cache = cache or ScratchCache(default_scratch())
        with for_decoding(uri, version, cache, INFLATE_TIMEOUT_SECONDS, again=True) as address:
            yield address
        return
    extent = _behind_header(uri, home, part.extent) if part else None
    if is_local(home):
        yield _local_address(home, extent)
        return
    with serving(home, extent.size_bytes if extent else size_bytes, extent.offset if extent else 0) as server:
        try:
            yield server.url
        except SourceFailure:
            if server.error is not None:  # ffprobe knows "error 500" only; the store's own words tell more
                raise media_errors.from_error(server.error, uri, "fetch") from server.error
            raise


def _is_deflated(extent: Extent | None) -> bool:
    return extent is not None and extent.packing == "deflated"


def _behind_header(uri: str, home: str, extent: Extent) -> Extent:
    """The place of a member's data: of a member of a zip, behind its local header."""
    if extent.packing == "plain":
        return extent
    try:
        fs, path = place_of(home)
        header = fs.cat_file(path, start=extent.offset, end=extent.offset + LOCAL_HEADER_BYTES)
        return replace(extent, offset=data_offset(header, extent.offset))
    except zipfile.BadZipFile as error:
        raise media_errors.broken_member(uri, str(error)) from None
    except Exception as error:
        raise media_errors.from_error(error, uri, "fetch") from error


def _local_address(path: str, extent: Extent | None) -> str:
    # "file:" keeps a colon in a name from being taken for a protocol.
    if extent is None:
        return f"file:{path}"
    return f"subfile,,start,{extent.offset},end,{extent.offset + extent.packed_bytes},,:file:{path}"


def _checked_size(uri: str, home: str, version: str) -> int:
    """The size of the object, after a look whether it still is the one that was planned."""
    try:
        fs, path = place_of(home)
        info = fs.info(path)
    except Exception as error:
        raise media_errors.from_error(error, uri, "fetch") from error
    found = version_of(info)
    if found != version:
        raise media_errors.changed(uri, version, found)
    return int(info["size"] or 0)


class _Copier:
    """Copies a remote object, or a member of an archive, into a file before a deadline; inflates what is deflated."""

    def __init__(self, uri: str, home: str, extent: Extent | None, timeout_seconds: float) -> None:
        self.uri = uri
        self.home = home
        self.extent = extent
        self.timeout_seconds = timeout_seconds

    def copy(self, file: BinaryIO) -> None:
        try:
            if self.extent is None or not _is_deflated(self.extent):
                self._read(file.write)
                return
            inflater = Inflater(file, self.extent.size_bytes, self.extent.crc32)
            self._read(inflater.write)
            inflater.finish()
        except SourceFailure:
            raise
        except zipfile.BadZipFile as error:
            raise media_errors.broken_member(self.uri, str(error)) from None
        except Exception as error:
            raise media_errors.from_error(error, self.uri, "fetch") from error

    def _read(self, take: Callable[[bytes], object]) -> None:
        """Hands the bytes as they lie in `home` to `take`."""
        deadline = time.monotonic() + self.timeout_seconds
        fs, path = place_of(self.home)
        with fs.open(path, "rb", **_streaming(fs)) as remote:
            remote.seek(self.extent.offset if self.extent else 0)
            left = self.extent.packed_bytes if self.extent else None
            while data := remote.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left)):
                take(data)
                left = None if left is None else left - len(data)
                if time.monotonic() > deadline:
                    raise media_errors.timed_out(self.uri, "fetch", self.timeout_seconds)


def _streaming(fs: Any) -> dict[str, Any]:
    """Options for reading from front to back: each request brings one chunk and nothing is kept."""
    protocols = fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,)
    buffered = "memory" in protocols or "file" in protocols
    return {} if buffered else {"block_size": CHUNK_BYTES, "cache_type": "readahead"}
