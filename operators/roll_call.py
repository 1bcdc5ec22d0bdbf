"""The roll call of a listing: which of the sources that a dataset knows are there, in which version, which are gone.

Contract: what is listed streams by and is not kept. A source is gone only where the run looked and a second look finds
nothing: not what lies elsewhere, not what is behind a directory, an archive or a link that could not be looked into.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from operators.listing import info_of, is_local_fs
from operators.looked_at import around, looked_at
from operators.media.archive_slice import layers
from operators.media.names import ARCHIVE_EXTENSIONS, extension
from operators.source import Source, place_of
from operators.whereabouts import Whereabouts

LOOKS: Final = 16  # second looks at once: one at an object in a bucket takes 10 to 30 ms
_SEEN_ALL: Final = frozenset({"no_media_members", "not_found"})
"""What a listing says of a place that it did look into."""


class RollCall:
    """`over(sources)` hands a listing on; when that has come to its end, `news` says what is not as it was known."""

    def __init__(self, known: dict[str, Whereabouts], run_id: str) -> None:
        self._run_id = run_id
        self._unseen = dict(known)
        self._seen: dict[str, Whereabouts] = {}
        self._without_version: set[str] = set()  # known ones that are asked for and may not be there
        self._closed: set[str] = set()
        self._archives: set[int] = set()  # hashes: there may be many

    def over(self, sources: Iterable[Source]) -> Iterator[Source]:
        """The sources as they come."""
        for source in sources:
            self._note(source)
            yield source

    def news(self, patterns: Sequence[str]) -> dict[str, Whereabouts]:
        """The word of this run on every known source that came back, has another version or is gone; `patterns` are
        those that were listed."""
        now = datetime.now(UTC).replace(microsecond=0)
        there = {uri: before for uri, before in self._unseen.items() if before.deleted_at is None}
        asked_for = looked_at(patterns) if there else self._without_version.__contains__
        doubtful = [
            uri
            for uri in there
            if (uri in self._without_version or asked_for(uri)) and self._closed.isdisjoint(around(uri))
        ]
        with ThreadPoolExecutor(LOOKS, thread_name_prefix="look") as pool:
            gone = [uri for uri, is_gone in zip(doubtful, pool.map(self._is_gone, doubtful), strict=True) if is_gone]
        return self._seen | {uri: replace(there[uri], run_id=self._run_id, deleted_at=now) for uri in gone}

    def _note(self, source: Source) -> None:
        *inner, home = layers(source.uri)
        if inner or extension(home) in ARCHIVE_EXTENSIONS:
            self._archives.add(hash(home))
        if _is_closed(source):
            self._closed.add(source.uri)
        before = self._unseen.get(source.uri)
        if before is None:
            return
        if before.version and not source.version:
            self._without_version.add(source.uri)
            return
        del self._unseen[source.uri]
        if source.version != before.version or before.deleted_at is not None:
            self._seen[source.uri] = Whereabouts(self._run_id, source.version)

    def _is_gone(self, uri: str) -> bool:
        """True when it is gone for sure. What was a problem without a version is when it is not listed as one again;
        so is what an archive that was listed does not hold, or no longer is as a whole."""
        home = layers(uri)[-1]
        return not self._unseen[uri].version or hash(home) in self._archives or _nothing_at(home)


def _is_closed(source: Source) -> bool:
    """True for a directory, a link or an archive that could not be looked into, or not to its end."""
    if source.problem is None or source.problem.stage != "list" or source.problem.error_class in _SEEN_ALL:
        return False
    return not source.version or extension(layers(source.uri)[0]) in ARCHIVE_EXTENSIONS


def _nothing_at(uri: str) -> bool:
    """True when nothing is there; no answer is none. A link that leads nowhere may lead somewhere again."""
    try:
        fs, path = place_of(uri)
        if info_of(fs, path) is not None:
            return False
    except Exception:  # not allowed, or a store that does not answer: every store has its own errors
        return False
    if not is_local_fs(fs):
        return True
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return not os.path.islink(path) or os.path.exists(path)
