"""`soundquarry report OUT`: the dataset as one page to look at and listen to.

Contract: made from the committed units alone, at any time, for an empty dataset too; writes `OUT/report.html` whole and
nothing else.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from tempfile import TemporaryFile
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from operators.catalog import RESIDUAL_ID
from operators.dataset import expect_signature, read_ledger, sources_table, totals, write_coverage
from operators.excerpt import MixtureReader, ReadMixture
from operators.whole_file import place, write_whole
from workflows.reports.examples import StemIndex, examples, index_stems
from workflows.reports.page import QueryRow, ReportData, page
from workflows.reports.timeline import Timeline, timelines

REPORT_FILE: Final = "report.html"
MAX_PAGE_BYTES: Final = 15_000_000
MAX_LONG_TRACKS: Final = 24
MAX_SHORT_TRACKS: Final = 60
MAX_MATRIX_QUERIES: Final = 24
SHORT_SECONDS: Final = 30.0
_COUNTED: Final = [
    "source_uri", "track", "query_id", "start_seconds", "end_seconds", "windows", "windows_passed", "windows_silent",
    "presence_max", "outcome", "stems",
]  # fmt: skip

TrackKey = tuple[str, int]


def _query_rows(counted: pa.Table, index: StemIndex) -> list[QueryRow]:
    """One row per query, those with the most stems first."""
    sums = counted.group_by("query_id").aggregate(
        [("windows", "sum"), ("windows_passed", "sum"), ("stems", "sum"), ("presence_max", "max")]
    )
    tracks: Counter[str] = Counter()
    outcomes: dict[str, Counter[str]] = {}
    by_track: dict[tuple[str, str, int], set[str]] = {}
    for row in counted.group_by(["query_id", "source_uri", "track", "outcome"]).aggregate([]).to_pylist():
        by_track.setdefault((row["query_id"], row["source_uri"], row["track"]), set()).add(row["outcome"])
    for (query, _, _), found in by_track.items():
        tracks[query] += 1
        for outcome in ("present", "too_quiet"):
            if outcome in found:
                outcomes.setdefault(query, Counter())[outcome] += 1
                break
    rows = [
        QueryRow(
            query=row["query_id"],
            text=index.texts.get(row["query_id"], ""),
            windows=row["windows_sum"],
            windows_passed=row["windows_passed_sum"],
            presence_max=row["presence_max_max"] or 0.0,
            stems=row["stems_sum"],
            events=index.events[row["query_id"]],
            event_seconds=index.event_seconds[row["query_id"]],
            tracks_present=outcomes.get(row["query_id"], Counter())["present"],
            tracks_too_quiet=outcomes.get(row["query_id"], Counter())["too_quiet"],
            tracks=tracks[row["query_id"]],
        )
        for row in sums.to_pylist()
    ]
    return sorted(rows, key=lambda row: (-row.stems, -row.presence_max, row.query))


def _drawn_tracks(counted: pa.Table) -> tuple[list[TrackKey], list[TrackKey], int]:
    """Long tracks to draw, short tracks to draw, and how many are left out: those with the least found."""
    found = counted.group_by(["source_uri", "track"]).aggregate(
        [("stems", "sum"), ("presence_max", "max"), ("start_seconds", "min"), ("end_seconds", "max")]
    )
    rows = sorted(
        found.to_pylist(),
        key=lambda row: (
            -row["stems_sum"],
            -(row["presence_max_max"] or 0.0),
            row["start_seconds_min"] - row["end_seconds_max"],
            row["source_uri"],
        ),
    )
    keys: dict[bool, list[TrackKey]] = {True: [], False: []}
    for row in rows:
        short = row["end_seconds_max"] - row["start_seconds_min"] <= SHORT_SECONDS
        keys[short].append((row["source_uri"], row["track"]))
    long, short_ones = keys[False][:MAX_LONG_TRACKS], keys[True][:MAX_SHORT_TRACKS]
    return sorted(long), sorted(short_ones), len(rows) - len(long) - len(short_ones)


def _coverage_rows(parquet: pq.ParquetFile, keys: list[TrackKey]) -> list[dict[str, Any]]:
    """The whole coverage of some tracks; a residual has none to draw."""
    uris = pa.array(sorted({uri for uri, _ in keys}), pa.string())
    rows: list[dict[str, Any]] = []
    for batch in parquet.iter_batches():
        drawn = pc.and_(pc.is_in(batch["source_uri"], uris), pc.not_equal(batch["query_id"], RESIDUAL_ID))
        rows += batch.filter(drawn).to_pylist()
    wanted = set(keys)
    return [row for row in rows if (row["source_uri"], row["track"]) in wanted]


def _heard(lines: list[Timeline]) -> set[str]:
    return {strip.query for line in lines for strip in line.strips.values() if strip.shown}


def _settings(out_uri: str) -> dict[str, Any]:
    signature = expect_signature(out_uri)
    flat: dict[str, Any] = {}
    for key, value in signature.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        flat |= {f"{key}.{name}".rstrip("."): text for name, text in inner}
    return flat


def report(out_uri: str, *, read_mixture: ReadMixture | None = None, max_page_bytes: int = MAX_PAGE_BYTES) -> str:
    """Writes `OUT/report.html` and returns where it lies.

    `read_mixture` decodes a stretch of a source again (default: as the pipeline does). Raises FileNotFoundError where
    no dataset lies.
    """
    out_uri = place(out_uri).uri.rstrip("/")
    settings = _settings(out_uri)
    unreadable: list[str] = []
    ledger = read_ledger(out_uri, lambda uri, _: unreadable.append(uri))
    sources = sources_table(out_uri, ledger)
    failed = sources.filter(pc.not_equal(sources["status"], "ok"))
    is_over = pc.or_(pc.is_valid(failed["deleted_at"]), pc.is_valid(failed["newer_version"]))
    index = index_stems(out_uri, ledger)
    tracks = Counter(sources.filter(pc.is_valid(sources["track"]))["source_uri"].to_pylist())
    several_tracks = {uri for uri, count in tracks.items() if count > 1}
    with TemporaryFile() as file:
        write_coverage(file, out_uri, ledger)
        coverage = pq.ParquetFile(file)
        counted = coverage.read(columns=_COUNTED)
        long_keys, short_keys, left_out = _drawn_tracks(counted)
        long_lines = timelines(_coverage_rows(coverage, long_keys), several_tracks)
        short_lines = timelines(_coverage_rows(coverage, short_keys), several_tracks)
    queries = _query_rows(counted, index)
    data = ReportData(
        out_uri=out_uri,
        made_at=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        size_bytes=sum((place(out_uri) / "stems").find(".parquet").values()),
        totals=totals(sources, counted, ledger),
        index=index,
        queries=queries,
        long_lines=long_lines,
        short_lines=short_lines,
        matrix_queries=[row.query for row in queries if row.query in _heard(short_lines)][:MAX_MATRIX_QUERIES],
        tracks_left_out=left_out,
        failures=failed.filter(pc.invert(is_over)).to_pylist(),
        failures_over=pc.sum(is_over).as_py() or 0,
        sources_gone=len(pc.unique(sources.filter(pc.is_valid(sources["deleted_at"]))["source_uri"])),
        settings=settings,
        unreadable_files=unreadable,
    )
    room = max_page_bytes - len(page(data).encode("utf-8", "replace"))
    data.examples = examples(out_uri, index, read_mixture or MixtureReader(), several_tracks, room)
    target = (place(out_uri) / REPORT_FILE).uri
    write_whole(target, page(data).encode("utf-8", "replace"))
    return target
