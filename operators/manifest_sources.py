"""The sources that the rows of a manifest stand for; a row whose source is not there, or cannot be, says so as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import fsspec

from operators import media_errors
from operators.archive_slice import MEMBER_PREFIXES
from operators.failure import SourceFailure
from operators.file_sources import canonical_member, sources_of_file
from operators.listing import info_of
from operators.manifest import ManifestEntry, check_manifest, manifest_entries
from operators.media_names import ARCHIVE_EXTENSIONS, extension
from operators.source import Source


def manifest_sources(uri: str) -> Iterator[Source]:
    """At least one source per row, streaming; raises `ManifestError` before the first one."""
    check_manifest(uri)
    files = _Files()
    for entry in manifest_entries(uri):
        for source in _sources_of(entry, files):
            yield replace(
                source,
                clip_start_seconds=entry.start_seconds,
                clip_end_seconds=entry.end_seconds,
                track=entry.track,
                tags=entry.tags,
            )


class _Files:
    """What lies in the file that was asked for last: rows of one file, or of one archive, often follow each other."""

    def __init__(self) -> None:
        self._home: str | None = None
        self._of_home: list[Source] = []
        self._by_uri: dict[str, Source] = {}
        self._problems: list[tuple[str, SourceFailure]] = []

    def of(self, home: str) -> list[Source]:
        """The sources that the file stands for, none when it is not there; raises what its file system raises."""
        if home != self._home:
            self._home = None
            self._of_home = list(_look(home))
            self._by_uri = {source.uri: source for source in reversed(self._of_home)}
            self._problems = [(source.uri, source.problem) for source in self._of_home if source.problem]
            self._home = home
        return self._of_home

    def member(self, wanted: str, home: str) -> list[Source]:
        """The member of that name, or those of the archive of that name; raises the failure of an archive around it."""
        members = self.of(home)
        if wanted in self._by_uri:
            return [self._by_uri[wanted]]
        if _is_archive(wanted):
            return [source for source in members if source.uri.endswith(f"::{wanted}")]
        for uri, problem in self._problems:
            if wanted.endswith(f"::{uri}"):
                raise problem
        return []


def _sources_of(entry: ManifestEntry, files: _Files) -> list[Source]:
    wanted = home = entry.uri
    try:
        if wanted.startswith(MEMBER_PREFIXES):
            wanted, home = canonical_member(wanted)
        found = files.member(wanted, home) if wanted != home else files.of(home)
        if not found:
            raise _not_found(wanted)
        if entry.is_part and _is_archive(wanted):
            raise _part_of_archive(wanted)
        return found
    except SourceFailure as failure:
        return [Source(wanted, "", None, failure)]
    except OSError as error:
        return [Source(wanted, "", None, media_errors.from_error(error, wanted, "list"))]
    except Exception as error:  # an unknown protocol, a missing extra, no credentials: every store has its own errors
        return [Source(wanted, "", None, _cannot_be_opened(wanted, error))]


def _look(home: str) -> Iterator[Source]:
    fs, path = fsspec.core.url_to_fs(home)
    info = info_of(fs, path)
    if info is None:
        return
    if info["type"] != "file":
        raise _not_a_file(home)
    yield from sources_of_file(fs, info)


def _is_archive(uri: str) -> bool:
    return extension(uri.partition("::")[0]) in ARCHIVE_EXTENSIONS


def _not_found(uri: str) -> SourceFailure:
    named = "no member named like media" if uri.startswith(MEMBER_PREFIXES) else "nothing"
    return _unreadable("not_found", f"{uri}: {named} is there; correct the manifest, or put it there")


def _not_a_file(uri: str) -> SourceFailure:
    said = (
        "no file; a row names a file or an archive, a directory is a source of the command itself; correct the manifest"
    )
    return _unreadable("not_a_file", f"{uri}: {said}")


def _part_of_archive(uri: str) -> SourceFailure:
    said = "an archive has no start, end or track; leave them empty, or name one of its members"
    return _unreadable("part_of_archive", f"{uri}: {said}")


def _cannot_be_opened(uri: str, error: Exception) -> SourceFailure:
    said = f"it cannot be opened ({type(error).__name__}: {error}); check the address, the credentials, and that the"
    return _unreadable("cannot_be_opened", f"{uri}: {said} extra for this kind of store is installed,")


def _unreadable(error_class: str, message: str) -> SourceFailure:
    return SourceFailure(
        status="unreadable",
        error_class=error_class,
        message=f"{message} and run again with --retry-failed",
        stage="list",
    )
