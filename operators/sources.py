"""Listing of sources through fsspec: files, globs, directories, buckets and the members of tar archives.

`list_sources` streams; what was asked for and does not exist is an error of the job and raised before the first source
is handed out, what exists and cannot be read is a source with a `problem`.
"""

from __future__ import annotations

import fnmatch
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import Any, Final

import fsspec

from operators.failure import SourceFailure
from operators.media_names import ARCHIVE_EXTENSIONS, MEDIA_EXTENSIONS, extension, is_hidden
from operators.tar_members import MEMBER_PREFIX, TarMember, tar_members

_ETAGS: Final = ("ETag", "etag", "md5Hash", "generation", "content_md5")
_TIMES: Final = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")

Info = Mapping[str, Any]


class SourcesNotFoundError(FileNotFoundError):
    """A path, pattern or directory that was asked for names no source: an error of the job."""


@dataclass(frozen=True)
class Source:
    """One media object: where it lies, which version of it was seen, and what is wrong with it, if anything."""

    uri: str
    version: str
    size_bytes: int | None
    problem: SourceFailure | None = None


def list_sources(patterns: Sequence[str]) -> Iterator[Source]:
    """Every source that `patterns` name, once, in a stable order; raises `SourcesNotFoundError` before the first one.

    A pattern is a file, a directory (searched for names with a media extension), a glob (`*`, `?`, `[...]`, `**`), a
    tar archive or one member of it (`tar://<member>::<tar>`), local or on any file system that fsspec knows.

    >>> [source.uri for source in list_sources(["/etc/hostname"])]
    ['/etc/hostname']
    """
    started = [_with_first(_sources_of(pattern), pattern) for pattern in patterns]
    return _unique(chain.from_iterable(started))


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


def _with_first(sources: Iterator[Source], pattern: str) -> Iterator[Source]:
    try:
        first = next(sources, None)
    except OSError:  # says by itself what the matter is
        raise
    except Exception as error:  # an unknown protocol, a missing extra, no credentials: every store has its own errors
        raise SourcesNotFoundError(
            f"{pattern!r} cannot be listed ({type(error).__name__}: {error}); check the address, the credentials, and "
            "that the extra for this kind of store is installed"
        ) from error
    if first is None:
        known = ", ".join(sorted(MEDIA_EXTENSIONS | ARCHIVE_EXTENSIONS))
        raise SourcesNotFoundError(
            f"nothing to read at {pattern!r}: no file matches, or no name below it has a media extension "
            f"({known}); check the path, or name the files themselves"
        )
    return chain([first], sources)


def _unique(sources: Iterator[Source]) -> Iterator[Source]:
    seen: set[bytes] = set()  # 16 bytes each, so that ten million names fit
    for source in sources:
        key = blake2b(source.uri.encode(errors="surrogateescape"), digest_size=16).digest()
        if key not in seen:
            seen.add(key)
            yield source if _is_text(source.uri) else _unnameable(source)


def _is_text(uri: str) -> bool:
    try:
        uri.encode()
    except UnicodeEncodeError:  # a name of bytes that are not UTF-8
        return False
    return True


def _unnameable(source: Source) -> Source:
    """The source under a name that can be written into a table."""
    uri = source.uri.encode(errors="surrogateescape").decode(errors="backslashreplace")
    problem = SourceFailure(
        status="unreadable",
        error_class="name_not_text",
        message=f"{uri}: its name is not UTF-8, which no table can hold; rename it and run the same command again",
        stage="list",
    )
    return Source(uri, source.version, source.size_bytes, problem)


def _sources_of(pattern: str) -> Iterator[Source]:
    if pattern.startswith(MEMBER_PREFIX):
        member, _, archive = pattern[len(MEMBER_PREFIX) :].partition("::")
        wanted = f"{MEMBER_PREFIX}{member}::{_tar_uri(archive)}"
        yield from (source for source in _sources_of(archive) if source.uri == wanted or source.problem)
        return
    fs, path = fsspec.core.url_to_fs(pattern)
    fs.invalidate_cache()
    info = _info(fs, path)
    if info is not None:
        yield from _open(fs, info, named=True)
        return
    base, parts = _split_glob(path)
    if parts:
        named = not _has_magic(posixpath.splitext(parts[-1])[1]) and "." in parts[-1]
        for match in _expand(fs, base, parts):
            yield from _open(fs, match, named=named)


def _open(fs: Any, info: Info, *, named: bool) -> Iterator[Source]:
    """The sources that an entry of a listing stands for; `named`: whatever its extension."""
    if info["type"] == "directory":
        yield from _walk(fs, info["name"], frozenset())
        return
    if info["type"] == "other":  # a pipe or a socket: nobody may ever write into it
        return
    uri, kind = _uri(fs, info["name"]), extension(info["name"])
    if kind in ARCHIVE_EXTENSIONS:
        yield from (_member_source(item, uri, info) for item in tar_members(fs, info["name"], uri, version_of(info)))
    elif named or kind in MEDIA_EXTENSIONS:
        yield Source(uri, version_of(info), info["size"])


def _member_source(item: TarMember | SourceFailure, tar_uri: str, info: Info) -> Source:
    if isinstance(item, SourceFailure):
        return Source(tar_uri, version_of(info), info["size"], problem=item)
    return Source(item.uri, item.version, item.size_bytes)


def _walk(fs: Any, directory: str, above: frozenset[str]) -> Iterator[Source]:
    real = os.path.realpath(directory) if _is_local_fs(fs) else directory
    if real in above:  # a link to a directory that holds it
        return
    try:
        entries = _entries(fs, directory)
    except PermissionError:
        yield Source(_uri(fs, directory), "", None, problem=_closed_directory(directory))
        return
    for info in entries:
        if info["type"] == "directory":
            yield from _walk(fs, info["name"], above | {real})
        else:
            yield from _open(fs, info, named=False)


def _closed_directory(directory: str) -> SourceFailure:
    return SourceFailure(
        status="unreadable",
        error_class="permission_denied",
        message=f"the directory {directory} may not be listed; grant read access and run again with --retry-failed",
        stage="list",
    )


def _entries(fs: Any, directory: str) -> list[Info]:
    """The visible entries of a directory by name. Names with a leading dot are skipped, as a shell does."""
    try:
        listing: list[Info] = fs.ls(directory, detail=True)
    except (FileNotFoundError, NotADirectoryError):  # gone since its parent was listed, or never there
        return []
    visible = [i for i in listing if i["name"].rstrip("/") != directory.rstrip("/") and not is_hidden(i["name"])]
    return sorted(visible, key=_name)


def _expand(fs: Any, base: str, parts: Sequence[str]) -> Iterator[Info]:
    """Entries below `base` that match the components of a glob, one directory in memory at a time."""
    head, rest = parts[0], parts[1:]
    if not _has_magic(head):
        info = _info(fs, posixpath.join(base, head))
        if info is not None:
            yield from _expand(fs, info["name"], rest) if rest else iter([info])
        return
    if head == "**" and rest:
        yield from _expand(fs, base, rest)
    for info in _entries(fs, base):
        is_directory = info["type"] == "directory"
        if head == "**":
            if is_directory:
                yield from _expand(fs, info["name"], parts)
            elif not rest:
                yield info
        elif fnmatch.fnmatchcase(_name(info), head):
            if not rest:
                yield info
            elif is_directory:
                yield from _expand(fs, info["name"], rest)


def _split_glob(path: str) -> tuple[str, list[str]]:
    """The directory in front of the first component with a wildcard, and the components from there."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if _has_magic(part):
            return "/".join(parts[:index]) or "/", parts[index:]
    return path, []


def _info(fs: Any, path: str) -> Info | None:
    try:
        info: Info = fs.info(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return info


def _has_magic(text: str) -> bool:
    return any(character in text for character in "*?[")


def _name(info: Info) -> str:
    return posixpath.basename(str(info["name"]).rstrip("/"))


def _is_local_fs(fs: Any) -> bool:
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))


def _uri(fs: Any, path: str) -> str:
    return path if _is_local_fs(fs) else str(fs.unstrip_protocol(path))


def _tar_uri(archive: str) -> str:
    fs, path = fsspec.core.url_to_fs(archive)
    return _uri(fs, path)
