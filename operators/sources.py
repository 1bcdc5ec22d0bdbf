"""Listing of sources through fsspec: files, globs, directories, buckets, members of archives, rows of manifests.

`list_sources` streams; what was asked for and does not exist is an error of the job and raised before the first source
is handed out, what exists and cannot be read is a source with a `problem`. So is a row of a manifest whose source is
not there.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from itertools import chain
from typing import Any

from operators.failure import SourceFailure
from operators.file_sources import canonical_member, sources_of_file
from operators.listing import DEAD_LINK, Info, entries, expand, has_magic, info_of, real_path, split_glob
from operators.manifest_rows import ManifestError
from operators.manifest_sources import manifest_sources
from operators.media import errors as media_errors
from operators.media.archive_slice import MEMBER_PREFIXES
from operators.media.names import (
    ARCHIVE_EXTENSIONS,
    MANIFEST_EXTENSIONS,
    MEDIA_EXTENSIONS,
    extension,
    is_compressed_archive,
)
from operators.source import Source, place_of, uri_of


class SourcesNotFoundError(FileNotFoundError):
    """A path, pattern or directory that was asked for names no source: an error of the job."""


def list_sources(patterns: Sequence[str]) -> Iterator[Source]:
    """Every source that `patterns` name, once, in a stable order; raises `SourcesNotFoundError` before the first one.

    A pattern is a file, a directory (searched for names with a media extension), a glob (`*`, `?`, `[...]`, `**`), a
    tar or zip archive or one member of it (`zip://<member>::<zip>`), or a manifest (`operators/manifest.py`; only where
    it is named, or its extension is), local or on any file system that fsspec knows. A stretch of a track is a source
    of its own; of two that differ in their tags alone the first counts. Symbolic links are followed. Raises
    `ManifestError` like `SourcesNotFoundError`, and where a track is asked for first and then all of them.

    >>> [source.uri for source in list_sources(["/etc/hostname"])]
    ['/etc/hostname']
    """
    started = [_with_first(_sources_of(pattern), pattern) for pattern in patterns]
    return _unique(chain.from_iterable(started))


def _with_first(sources: Iterator[Source], pattern: str) -> Iterator[Source]:
    try:
        first = next(sources, None)
    except (OSError, ManifestError):  # says by itself what the matter is
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
    """What is asked for as a whole covers its tracks that are named later; the other way round nobody knows yet which
    tracks there are, and the audio of one would be done twice."""
    seen: set[bytes] = set()  # 16 bytes each, so that ten million names fit
    by_track: set[bytes] = set()
    for source in sources:
        key, whole = _key(source), _key(replace(source, track=None))
        if key in seen or whole in seen:
            continue
        if key in by_track:
            raise ManifestError(
                f"{source.uri}: asked for as a whole after one of its tracks was asked for by itself; name the whole "
                "first (it has every track), or leave one of the two out"
            )
        seen.add(key)
        if key != whole and source.problem is None:
            by_track.add(whole)
        yield source if _is_text(source.uri) else _unnameable(source)


def _key(source: Source) -> bytes:
    wanted = (source.uri, source.clip_start_seconds, source.clip_end_seconds, source.track)
    return blake2b(repr(wanted).encode(errors="surrogateescape"), digest_size=16).digest()


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
    return replace(source, uri=uri, problem=problem)


def _sources_of(pattern: str) -> Iterator[Source]:
    if pattern.startswith(MEMBER_PREFIXES):
        wanted, home = canonical_member(pattern)
        yield from (source for source in _sources_of(home) if _belongs(source, wanted))
        return
    fs, path = place_of(pattern)
    fs.invalidate_cache()
    info = info_of(fs, path)
    if info is not None:
        yield from _open(fs, info, named=True)
        return
    base, parts = split_glob(path)
    if parts:
        named = not has_magic(posixpath.splitext(parts[-1])[1]) and "." in parts[-1]
        for match in expand(fs, base, parts):
            yield from _open(fs, match, named=named)


def _belongs(source: Source, wanted: str) -> bool:
    """True for the member `wanted`, for its members when it is an archive, for the problem of an archive around it."""
    is_around = source.problem is not None and wanted.endswith(f"::{source.uri}")
    return source.uri == wanted or source.uri.endswith(f"::{wanted}") or is_around


def _open(fs: Any, info: Info, *, named: bool) -> Iterator[Source]:
    """The sources that an entry of a listing stands for; `named`: whatever its extension."""
    if info["type"] == "directory":
        yield from _walk(fs, info["name"], frozenset())
        return
    if info["type"] == DEAD_LINK:  # whatever its name: it may have led to a directory full of sources
        yield Source(uri_of(fs, info["name"]), "", None, problem=_dead_link(uri_of(fs, info["name"]), info["error"]))
        return
    if info["type"] == "other":  # a pipe or a socket: nobody may ever write into it
        return
    kind = extension(info["name"])
    if named and kind in MANIFEST_EXTENSIONS:
        yield from manifest_sources(uri_of(fs, info["name"]))
    elif named or kind in MEDIA_EXTENSIONS | ARCHIVE_EXTENSIONS or is_compressed_archive(info["name"]):
        yield from sources_of_file(fs, info)


def _walk(fs: Any, directory: str, above: frozenset[str]) -> Iterator[Source]:
    real = real_path(fs, directory)
    if real in above:  # a link to a directory that holds it
        return
    try:
        found = entries(fs, directory)
    except PermissionError:
        yield Source(uri_of(fs, directory), "", None, problem=_closed_directory(directory))
        return
    for info in found:
        if info["type"] == "directory":
            yield from _walk(fs, info["name"], above | {real})
        else:
            yield from _open(fs, info, named=False)


def _dead_link(link: str, error: OSError) -> SourceFailure:
    if isinstance(error, PermissionError):
        return media_errors.from_error(error, link, "list")
    return SourceFailure(
        status="unreadable",
        error_class="not_found",
        message=f"{link}: a symbolic link that leads nowhere; put back what it leads to, or remove it, and run again "
        "with --retry-failed",
        stage="list",
    )


def _closed_directory(directory: str) -> SourceFailure:
    return SourceFailure(
        status="unreadable",
        error_class="permission_denied",
        message=f"the directory {directory} may not be listed; grant read access and run again with --retry-failed",
        stage="list",
    )
