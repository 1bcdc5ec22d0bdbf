"""Which rows are exported: those that count, of the newest version of each source, that pass the filters.

Contract: rows come without their audio and know where it lies. What counts: `operators/standing.py`. A source that was
committed in several versions is exported in the newest of which audio was decoded; the others are counted. What is not
there of the tracks, because it failed or was never committed, is told of (`operators/export/missing.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

import pyarrow.parquet as pq

from operators.dataset import expect_signature
from operators.export.missing import Missing, TrackKey, missing_of
from operators.footers import read_records
from operators.standing import WITH_STEMS, Ledger
from operators.unit_file import unit_path
from operators.whole_file import place

KINDS: Final = ("extract", "mine")
EXAMPLES: Final = 5
ROW_COLUMNS: Final = (
    "stem_id", "member_id", "source_uri", "source_version", "track", "query_id", "query_text", "ucs_cat_id", "tags",
    "start_seconds", "end_seconds", "sample_rate", "channels", "channel_layout", "source_clock_seconds", "presence",
    "peak_dbfs", "gain_db", "events",
)  # fmt: skip


class ExportError(ValueError):
    """This export cannot be made as it was asked for; nothing was written. The message says what to change."""


@dataclass(frozen=True)
class Selection:
    """Which queries (ids) and sources (URIs, or globs on them) are wanted; none given: all."""

    queries: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def takes_source(self, uri: str) -> bool:
        return not self.sources or any(_names(glob, uri) for glob in self.sources)

    def takes_query(self, query_id: str) -> bool:
        return not self.queries or query_id in self.queries


@dataclass(frozen=True, slots=True)
class StemRow:
    """A stem row without its audio, which is row `index` of row group `group` of the file at `path`."""

    path: str
    group: int
    index: int
    stem_id: str
    source_uri: str
    track: int
    query_id: str
    query_text: str
    ucs_cat_id: str | None
    tags: tuple[str, ...]
    start_seconds: float
    end_seconds: float
    sample_rate: int
    channels: int
    channel_layout: str | None
    source_clock_seconds: float | None
    presence: float | None
    peak_dbfs: float
    gain_db: float
    events: tuple[tuple[float, float, float], ...]
    """(start_seconds, end_seconds, presence) of each."""

    @property
    def start(self) -> int:
        """The row's first sample on the source's time line."""
        return round(self.start_seconds * self.sample_rate)

    @property
    def stop(self) -> int:
        return round(self.end_seconds * self.sample_rate)

    @property
    def place(self) -> tuple[str, int, int]:
        return self.path, self.group, self.index


@dataclass
class Selected:
    """The rows that were asked for, by source, track, query and start, and what stands beside them."""

    kind: str
    rows: list[StemRow]
    spans: dict[TrackKey, tuple[float, float]]
    """(start_seconds, end_seconds) of what was decoded of each track."""
    pairs_without_rows: int
    """(track, query) pairs that were looked at and of which there is nothing to hear."""
    versions_left_out: int
    missing: dict[TrackKey, Missing]
    """What is not there of the tracks of these sources."""


@dataclass
class _Committed:
    """What the footers tell."""

    ledger: Ledger = field(default_factory=Ledger)
    run_of_unit: dict[str, str] = field(default_factory=dict)
    looked: dict[tuple[str, str, int], set[str]] = field(default_factory=dict)
    """(source_uri, source_version, track) -> the queries it was searched for."""

    def newest(self) -> dict[str, str]:
        """source_uri -> its newest version of which audio was decoded; the ids of runs sort by time."""
        seen: dict[str, tuple[str, str]] = {}
        for entry in self.ledger.members.values():
            for source in entry.sources:
                if source.track is not None and source.status in WITH_STEMS:
                    told = (self.run_of_unit[entry.unit_id], source.source_version)
                    seen[source.source_uri] = max(told, seen.get(source.source_uri, ("", "")))
        return {uri: version for uri, (_, version) in seen.items()}


def kind_of(out_uri: str) -> str:
    """What lies at `out_uri`: "extract" (a dataset of stems) or "mine" (a library of events).

    Raises ExportError, or SignatureError for a dataset of another version of soundquarry.
    """
    try:
        kind = str(expect_signature(out_uri).get("kind"))
    except FileNotFoundError as error:
        raise ExportError(str(error)) from None
    if kind not in KINDS:
        raise ExportError(f"{out_uri} is of kind {kind!r}, and what is exported is one of {', '.join(KINDS)}")
    return kind


def select(out_uri: str, selection: Selection) -> Selected:
    """The rows of the dataset that `selection` takes. Raises ExportError, naming what there is, when there are none."""
    kind, committed = kind_of(out_uri), _committed(out_uri)
    newest = committed.newest()
    _check_filters(selection, newest, committed)
    chosen = {uri: version for uri, version in newest.items() if selection.takes_source(uri)}
    spans: dict[TrackKey, tuple[float, float]] = {}
    versions: set[tuple[str, str]] = set()
    units: set[str] = set()
    for entry in committed.ledger.members.values():
        for source in entry.sources:
            if source.track is None or source.status not in WITH_STEMS or source.source_uri not in chosen:
                continue
            versions.add((source.source_uri, source.source_version))
            if source.source_version == chosen[source.source_uri] and source.seconds > 0:
                key = (source.source_uri, source.track)
                first, last = spans.get(key, (source.start_seconds, 0.0))
                spans[key] = min(first, source.start_seconds), max(last, source.start_seconds + source.seconds)
                if source.stems:
                    units.add(entry.unit_id)
    rows = sorted(
        (row for unit_id in sorted(units) for row in _rows(out_uri, unit_id, committed.ledger, chosen, selection)),
        key=lambda row: (row.source_uri, row.track, row.query_id, row.start_seconds, row.stem_id),
    )
    if not rows:
        raise ExportError(_nothing(out_uri, selection, len(chosen)))
    looked = {
        (uri, track, query_id)
        for (uri, version, track), queries in committed.looked.items()
        if chosen.get(uri) == version
        for query_id in queries
        if selection.takes_query(query_id)
    }
    heard = {(row.source_uri, row.track, row.query_id) for row in rows}
    left_out = len(versions) - len({uri for uri, _ in versions})
    missing = missing_of(out_uri, committed.ledger, chosen)
    return Selected(kind, rows, spans, len(looked - heard), left_out, missing)


def _names(glob: str, uri: str) -> bool:
    """True when it is this very URI (which may hold brackets), or a glob that matches it."""
    return uri == glob or fnmatchcase(uri, glob)


def _committed(out_uri: str) -> _Committed:
    committed = _Committed()
    for record in read_records(out_uri):
        committed.ledger.add(record)
        committed.run_of_unit[record.unit_id] = record.run_id
        version_of = {source.member_id: source.source_version for source in record.sources}
        for coverage in record.coverage:
            key = (coverage.source_uri, version_of[coverage.member_id], coverage.track)
            committed.looked.setdefault(key, set()).add(coverage.query_id)
    return committed


def _rows(
    out_uri: str, unit_id: str, ledger: Ledger, chosen: dict[str, str], selection: Selection
) -> Iterator[StemRow]:
    """The rows of one unit that are wanted; their audio is not read."""
    where = place(unit_path(out_uri, unit_id))
    with where.fs.open(where.path, "rb") as raw:
        file = pq.ParquetFile(raw)
        for group in range(file.num_row_groups):
            for index, row in enumerate(file.read_row_group(group, columns=list(ROW_COLUMNS)).to_pylist()):
                if (
                    chosen.get(row["source_uri"]) == row["source_version"]
                    and ledger.counts(unit_id, row["member_id"])
                    and selection.takes_query(row["query_id"])
                ):
                    yield _stem_row(where.path, group, index, row)


def _stem_row(path: str, group: int, index: int, row: dict[str, Any]) -> StemRow:
    columns = {name: row[name] for name in ROW_COLUMNS if name not in ("member_id", "source_version")}
    columns["tags"] = tuple(row["tags"] or ())
    columns["events"] = tuple((e["start_seconds"], e["end_seconds"], e["presence"]) for e in row["events"] or ())
    return StemRow(path=path, group=group, index=index, **columns)


# Saying what there is


def _check_filters(selection: Selection, newest: dict[str, str], committed: _Committed) -> None:
    known = sorted(set().union(*committed.looked.values()))
    unknown = [query_id for query_id in selection.queries if query_id not in known]
    if unknown:
        raise ExportError(f"--query {unknown[0]}: there is no such query here; there are {', '.join(known) or 'none'}")
    for glob in selection.sources:
        if not any(_names(glob, uri) for uri in newest):
            raise ExportError(
                f"--source {glob!r} matches none of the {len(newest)} sources (the whole URI is compared, "
                f"'*/name.wav' finds a file anywhere); there are {examples(sorted(newest)) or 'none'}"
            )


def _nothing(out_uri: str, selection: Selection, sources: int) -> str:
    wanted = f" of {', '.join(selection.queries)}" if selection.queries else ""
    return f"{out_uri} holds no stem{wanted} in {sources} sources; its coverage.parquet tells what was looked at"


def examples(names: Iterable[str]) -> str:
    """A few of many names, for a message.

    >>> examples(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    listed = list(names)
    more = f" and {len(listed) - EXAMPLES} more" if len(listed) > EXAMPLES else ""
    return ", ".join(listed[:EXAMPLES]) + more
