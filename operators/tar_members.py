"""The media members of a plain (uncompressed) tar archive and their place in it: they are read without unpacking.

A member's URI is fsspec's chained form `tar://<member>::<tar uri>`; its version ends in `@<offset>+<size>`, and that
alone is enough to read it.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from operators.failure import SourceFailure
from operators.media_names import MEDIA_EXTENSIONS, extension, is_hidden

MEMBER_PREFIX: Final = "tar://"


@dataclass(frozen=True)
class TarMember:
    """A file inside a tar: its chained URI, the version of the archive with its place in it, its size."""

    uri: str
    version: str
    size_bytes: int


@dataclass(frozen=True)
class TarSlice:
    """The bytes `[offset, offset + size_bytes)` of the archive `tar_uri`."""

    tar_uri: str
    tar_version: str
    offset: int
    size_bytes: int


def tar_slice(uri: str, version: str) -> TarSlice | None:
    """Where a member lies, or None when `uri` is not a member of a tar.

    >>> tar_slice("tar://a/b.wav::/x.tar", "77-1@512+100")
    TarSlice(tar_uri='/x.tar', tar_version='77-1', offset=512, size_bytes=100)
    """
    if not uri.startswith(MEMBER_PREFIX):
        return None
    tar_version, _, place = version.rpartition("@")
    offset, _, size = place.partition("+")
    return TarSlice(uri.rpartition("::")[2], tar_version, int(offset), int(size))


def tar_members(fs: Any, path: str, tar_uri: str, tar_version: str) -> Iterator[TarMember | SourceFailure]:
    """Members of the tar named like media, in its own order; a damaged archive ends with a `SourceFailure`."""
    found = 0
    try:
        with fs.open(path, "rb") as raw, tarfile.open(fileobj=raw, mode="r:") as archive:
            while (info := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # else a million members stay in memory
                if not info.isreg() or info.issparse() or is_hidden(info.name):
                    continue
                if extension(info.name) in MEDIA_EXTENSIONS:
                    found += 1
                    version = f"{tar_version}@{info.offset_data}+{info.size}"
                    yield TarMember(f"{MEMBER_PREFIX}{info.name}::{tar_uri}", version, info.size)
    except (tarfile.TarError, OSError, EOFError) as error:
        yield _broken(tar_uri, found, error)
        return
    if not found:
        yield _empty(tar_uri)


def _broken(tar_uri: str, found: int, error: Exception) -> SourceFailure:
    denied = isinstance(error, PermissionError)
    return SourceFailure(
        status="unreadable" if not found else "partial",
        error_class="permission_denied" if denied else "broken_archive",
        message=f"the archive {tar_uri} could not be listed beyond {found} media members ({error}); "
        + ("grant read access to it" if denied else "copy it again or repack it")
        + " and run again with --retry-failed",
        stage="list",
    )


def _empty(tar_uri: str) -> SourceFailure:
    return SourceFailure(
        status="no_audio",
        error_class="no_media_members",
        message=f"the archive {tar_uri} holds no file named like media; nothing to do, or rename its members",
        stage="list",
    )
