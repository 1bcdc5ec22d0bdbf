"""Where sources are: there, gone, or replaced by another version, as the runs found them.

Contract: the latest word on a source counts. A committed record says that its version was there in its run; a run that
finds anything else than was known says so in `OUT/listings/<run_id>.parquet`, one row per source, whole or not at all,
and no file when nothing changed. `deleted_at` and `newer_version` of `sources.parquet` are made from these alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from operators.schema import LISTING_SCHEMA
from operators.standing import Ledger
from operators.whole_file import Place, WholeFile, failing_as_rows, place

LISTINGS: Final = "listings"
READERS: Final = 16


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What a run says of a source. The ids of runs sort by time."""

    run_id: str
    version: str
    """The version that lies there; of a source that is gone, the last one that did; empty when none was ever seen."""
    deleted_at: datetime | None = None

    def is_over(self, version: str) -> bool:
        """True when that version is not there any more."""
        return version != self.version or self.deleted_at is not None

    def newer_than(self, version: str) -> str | None:
        """The version that replaced `version`, None when that is the latest."""
        if version == self.version or not (version or self.deleted_at is None):
            return None
        return self.version or None


def whereabouts(out_uri: str, ledger: Ledger, *, planned: bool = False) -> dict[str, Whereabouts]:
    """The latest word on every committed source, by URI; with `planned` on those too of which something was planned and
    is not committed. Raises OSError where a listing or a plan cannot be read."""
    words: dict[str, Whereabouts] = {}
    for entry in ledger.members.values():
        for source in entry.sources:
            _hear(words, source.source_uri, Whereabouts(entry.run_id, source.source_version))
    if planned:
        for uri, word in _planned(out_uri, ledger.members):
            _hear(words, uri, word)
    for uri, word in read_listings(out_uri).items():
        _hear(words, uri, word)
    return words


def read_listings(out_uri: str) -> dict[str, Whereabouts]:
    """The latest word of the listings, by URI; sources of which none had anything to tell are not in it."""
    words: dict[str, Whereabouts] = {}
    for run_id, table in _tables(place(out_uri) / LISTINGS, LISTING_SCHEMA.names):
        for row in table.to_pylist():
            _hear(words, row["source_uri"], Whereabouts(run_id, row["source_version"], row["deleted_at"]))
    return words


def _hear(words: dict[str, Whereabouts], uri: str, word: Whereabouts) -> None:
    """Takes a word in that is not older than what was heard; one without a version says nothing of a known one."""
    before = words.get(uri)
    if before is None or (bool(word.version), word.run_id) >= (bool(before.version), before.run_id):
        words[uri] = word


def _planned(out_uri: str, committed: Collection[str]) -> Iterator[tuple[str, Whereabouts]]:
    """The words of the plans on sources of which something is not committed; `committed` are member ids."""
    done = pa.array(committed, pa.string())
    for run_id, table in _tables(place(out_uri) / "plan", ["members"]):
        members = pc.list_flatten(table["members"].combine_chunks())
        left = members.filter(pc.invert(pc.is_in(members.field("member_id"), done)))
        for uri, version in zip(left.field("source_uri"), left.field("source_version"), strict=True):
            yield uri.as_py(), Whereabouts(run_id, version.as_py())


def write_listing(out_uri: str, run_id: str, words: Mapping[str, Whereabouts]) -> None:
    """Writes what a run has to tell; nothing when that is nothing."""
    if not words:
        return
    rows = [
        {"source_uri": uri, "source_version": words[uri].version, "deleted_at": words[uri].deleted_at}
        for uri in sorted(words)
    ]
    with WholeFile((place(out_uri) / LISTINGS / f"{run_id}.parquet").uri) as whole:
        with failing_as_rows(whole.place.uri):
            pq.write_table(pa.Table.from_pylist(rows, schema=LISTING_SCHEMA), whole.file, compression="zstd")
        whole.publish()


def _tables(folder: Place, columns: list[str]) -> Iterator[tuple[str, pa.Table]]:
    """(run_id, table) of every file of a folder that has one file a run, the earliest run first."""

    def read(path: str) -> pa.Table:
        try:
            with folder.fs.open(path, "rb") as file:
                return pq.ParquetFile(file).read(columns=columns).select(columns)
        except (pa.ArrowException, KeyError) as error:
            raise OSError(f"{path} is not of this version, or damaged ({error}); move it away and run again") from error

    paths = list(folder.find(".parquet"))
    with ThreadPoolExecutor(READERS, thread_name_prefix="listings") as readers:
        for first in range(0, len(paths), READERS):
            chunk = paths[first : first + READERS]
            yield from zip((PurePosixPath(path).stem for path in chunk), readers.map(read, chunk), strict=True)
