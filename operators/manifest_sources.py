"""The sources that the rows of a manifest stand for; a row whose source is not there, or cannot be, says so as one."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from operators.failure import SourceFailure
from operators.file_sources import canonical_member, sources_of_file
from operators.listing import info_of
from operators.manifest import ManifestEntry, check_manifest, manifest_entries
from operators.media import errors as media_errors
from operators.media.archive_slice import MEMBER_PREFIXES, layers
from operators.media.names import ARCHIVE_EXTENSIONS, extension
from operators.source import Source, place_of

LOOKS_AHEAD: Final = 16  # a look at an object in a bucket takes 10 to 30 ms: a million of them eight hours, or one half
_FILE_IN_MEMBERS: Final = 5  # the memory that a kept file takes by itself, in members
MEMBERS_KEPT: Final = 200_000
"""Listed members that are kept for later rows, of all files together: 0.5 KB each, 100 MB."""


def manifest_sources(uri: str) -> Iterator[Source]:
    """At least one source per row, in order, streaming; raises `ManifestError` before the first one."""
    check_manifest(uri)
    for entry, file in _looked_up(manifest_entries(uri)):
        for source in _sources_of(entry, file):
            yield replace(
                source,
                clip_start_seconds=entry.start_seconds,
                clip_end_seconds=entry.end_seconds,
                track=entry.track,
                tags=entry.tags,
            )


class _File:
    """What one file holds, by URI, or why it cannot be looked into."""

    def __init__(self, uri: str) -> None:
        self.sources: list[Source] = []
        self.failure: SourceFailure | None = None
        try:
            self.sources = list(_look(uri))
        except SourceFailure as failure:
            self.failure = failure
        except OSError as error:
            self.failure = media_errors.from_error(error, uri, "list")
        except Exception as error:  # an unknown protocol, no credentials: every store has its own errors
            self.failure = _cannot_be_opened(uri, error)
        self._by_uri = {source.uri: source for source in reversed(self.sources)}
        self._problems = [(source.uri, source.problem) for source in self.sources if source.problem]

    def members(self, wanted: str) -> list[Source]:
        """The member of that name, or those of the archive of that name."""
        if wanted in self._by_uri:
            return [self._by_uri[wanted]]
        if not _is_archive(wanted):
            return []
        return [source for source in self.sources if source.uri.endswith(f"::{wanted}")]

    def problem_around(self, wanted: str) -> SourceFailure | None:
        """What is wrong with an archive that should hold `wanted`."""
        return next((problem for uri, problem in self._problems if wanted.endswith(f"::{uri}")), None)


class _Looks:
    """Looks into files. The last ones are kept: rows may go to and fro between archives."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._kept: OrderedDict[str, Future[_File]] = OrderedDict()  # the one used last is the last
        self._members: dict[str, int] = {}  # of those of `_kept` that are finished
        self._all_members = 0

    def begin(self, uri: str) -> Future[_File]:
        if uri not in self._kept:
            self._kept[uri] = self._pool.submit(_File, uri)
        self._kept.move_to_end(uri)
        return self._kept[uri]

    def end(self, entry: ManifestEntry, look: Future[_File]) -> tuple[ManifestEntry, _File]:
        uri, file = entry.home_uri, look.result()
        if self._kept.get(uri) is look and uri not in self._members:
            self._members[uri] = _FILE_IN_MEMBERS + len(file.sources)
            self._all_members += self._members[uri]
        while self._all_members > MEMBERS_KEPT and len(self._members) > 1:
            oldest = next(uri for uri in self._kept if uri in self._members)
            del self._kept[oldest]
            self._all_members -= self._members.pop(oldest)
        return entry, file


def _looked_up(entries: Iterable[ManifestEntry]) -> Iterator[tuple[ManifestEntry, _File]]:
    """Every entry with its file, a few looks ahead; entries of one file share one look as long as it is kept."""
    ahead: deque[tuple[ManifestEntry, Future[_File]]] = deque()
    with ThreadPoolExecutor(LOOKS_AHEAD, thread_name_prefix="list") as pool:
        looks = _Looks(pool)
        for entry in entries:
            ahead.append((entry, looks.begin(entry.home_uri)))
            if len(ahead) > LOOKS_AHEAD:
                yield looks.end(*ahead.popleft())
        while ahead:
            yield looks.end(*ahead.popleft())


def _sources_of(entry: ManifestEntry, file: _File) -> list[Source]:
    """What the entry names in its file, or one source that says what is wrong."""
    if file.failure is not None:
        return [Source(entry.uri, "", None, file.failure)]
    is_member = entry.uri.startswith(MEMBER_PREFIXES)
    wanted = canonical_member(entry.uri)[0] if is_member else entry.uri
    found = file.members(wanted) if is_member else file.sources
    if not found:
        return [Source(wanted, "", None, file.problem_around(wanted) or _not_found(wanted))]
    if entry.is_part and _is_archive(wanted):
        return [Source(wanted, "", None, _part_of_archive(wanted))]
    return found


def _look(home: str) -> Iterator[Source]:
    fs, path = place_of(home)
    info = info_of(fs, path)
    if info is None:
        return
    if info["type"] != "file":
        raise _not_a_file(home)
    yield from sources_of_file(fs, info)


def _is_archive(uri: str) -> bool:
    return extension(layers(uri)[0]) in ARCHIVE_EXTENSIONS


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
