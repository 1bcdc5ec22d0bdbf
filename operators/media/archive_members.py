"""The media inside an archive, archives inside it included, listed without unpacking.

What cannot be read is a member with a `problem`, and the rest is listed all the same; nothing here ends the job. Names
of members are only names: no path is ever made of them.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Final

from operators.failure import SourceFailure, Status
from operators.media import errors as media_errors
from operators.media.archive_slice import Extent, Unreadable, plain_extent
from operators.media.file_range import FileRange
from operators.media.names import ARCHIVE_EXTENSIONS, MEDIA_EXTENSIONS, extension, is_compressed_archive, is_hidden
from operators.media.tar_members import tar_members
from operators.media.zip_members import LOCAL_HEADER_BYTES, data_offset, zip_members

MAX_DEPTH: Final = 8  # archives around a file; nobody packs that deep on purpose
_RETRY: Final = "and run again with --retry-failed"
# What the two readers raise over bytes that are no archive; anything else is the file system's.
_DAMAGED: Final = (
    tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, OverflowError, struct.error,
)  # fmt: skip


@dataclass(frozen=True)
class ArchiveMember:
    """A file inside an archive, or (with a `problem`) what is wrong with one, or with the archive that `uri` names."""

    uri: str
    version: str
    size_bytes: int | None
    problem: SourceFailure | None = None


@dataclass(frozen=True)
class _Archive:
    """An archive: its name, the version of the outermost file, its place in that, how many archives lie around it."""

    uri: str
    name: str
    home_version: str
    place: Extent
    depth: int = 0

    @property
    def version(self) -> str:
        return f"{self.home_version}{self.place}" if self.depth else self.home_version

    @property
    def scheme(self) -> str:
        return extension(self.name)

    def failed(self, failure: SourceFailure) -> ArchiveMember:
        return ArchiveMember(self.uri, self.version, self.place.size_bytes, failure)


def archive_members(fs: Any, path: str, uri: str, version: str, size_bytes: int) -> Iterator[ArchiveMember]:
    """Members of the archive named like media, as they lie in it; its own failure is the last one.

    `uri`, `version` and `size_bytes` are those of the file at `path`.
    """
    archive = _Archive(uri, path, version, plain_extent(0, size_bytes))
    try:
        with fs.open(path, "rb") as file:
            yield from _members(file, archive)
    except Exception as error:
        yield archive.failed(_broken(uri, 0, error))


def compressed_archive(uri: str) -> SourceFailure:
    """Why nothing is read out of a compressed tar, a 7z or a rar: a member could only be found by unpacking it all."""
    return _problem(
        uri, "compressed_archive", "a compressed archive cannot be read in place; unpack it, or pack it as .tar or .zip"
    )


def _members(file: BinaryIO, archive: _Archive) -> Iterator[ArchiveMember]:
    found = 0
    view = io.BufferedReader(FileRange(file, archive.place.offset, archive.place.size_bytes))
    try:
        for name, place in tar_members(view) if archive.scheme == "tar" else zip_members(view):
            kind = extension(name)
            if is_hidden(name) or not (kind in MEDIA_EXTENSIONS | ARCHIVE_EXTENSIONS or is_compressed_archive(name)):
                continue
            found += 1
            uri = f"{archive.scheme}://{name}::{archive.uri}"
            if not isinstance(place, Unreadable) and place.end > archive.place.size_bytes:
                place = _cut_off(place, archive.place)
            if isinstance(place, Unreadable):
                problem = _problem(uri, place.error_class, place.said)
                yield ArchiveMember(uri, archive.version, None, problem)
                continue
            inside = place.within(archive.place)
            if kind in MEDIA_EXTENSIONS:
                yield ArchiveMember(uri, f"{archive.home_version}{inside}", inside.size_bytes)
            else:
                inner = _Archive(uri, name, archive.home_version, inside, archive.depth + 1)
                yield from _inner(file, inner, archive.place.end)
    except Exception as error:
        yield archive.failed(_broken(archive.uri, found, error))
        return
    if not found:
        yield archive.failed(_empty(archive.uri))


def _inner(file: BinaryIO, archive: _Archive, end: int) -> Iterator[ArchiveMember]:
    """The members of an archive that is itself a member of one that ends at `end`."""
    if archive.place.packing == "deflated" or is_compressed_archive(archive.name):
        yield archive.failed(compressed_archive(archive.uri))
        return
    if archive.depth > MAX_DEPTH:
        said = f"it lies in {archive.depth} archives, listed are {MAX_DEPTH} levels; unpack the outer ones"
        yield archive.failed(_problem(archive.uri, "nested_too_deep", said))
        return
    try:
        inside = replace(archive, place=_data_place(file, archive.place, end))
    except Exception as error:
        yield archive.failed(_broken(archive.uri, 0, error))
        return
    yield from _members(file, inside)


def _data_place(file: BinaryIO, place: Extent, end: int) -> Extent:
    """The place of the bytes of a member that is not compressed, behind its header."""
    if place.packing == "plain":
        return place
    file.seek(place.offset)
    inside = plain_extent(data_offset(file.read(LOCAL_HEADER_BYTES), place.offset), place.packed_bytes)
    if inside.end > end:
        raise zipfile.BadZipFile(f"it ends at byte {inside.end}, the archive around it at {end}")
    return inside


def _cut_off(place: Extent, around: Extent) -> Unreadable:
    said = f"it ends at byte {place.end} of an archive of {around.size_bytes} bytes; copy the archive again"
    return Unreadable("broken_archive", said)


def _problem(uri: str, error_class: str, said: str, status: Status = "unreadable") -> SourceFailure:
    return SourceFailure(status=status, error_class=error_class, message=f"{uri}: {said} {_RETRY}", stage="list")


def _broken(uri: str, found: int, error: Exception) -> SourceFailure:
    if not isinstance(error, _DAMAGED):
        return media_errors.from_error(error, uri, "list")
    said = f"the archive could not be listed beyond {found} members ({error}); copy it again or repack it"
    return _problem(uri, "broken_archive", said, "partial" if found else "unreadable")


def _empty(uri: str) -> SourceFailure:
    return SourceFailure(
        status="no_audio",
        error_class="no_media_members",
        message=f"the archive {uri} holds no file named like media; nothing to do, or rename its members",
        stage="list",
    )
