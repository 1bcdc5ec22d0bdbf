"""The report as one page: what it says, section by section. No script, no request: it opens from a disk, a mail or a
bucket.

Contract: every value goes through `report_html.fill`, which escapes it; the page's own policy forbids scripts and
foreign addresses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from operators.dataset import Totals
from operators.spectrogram import RANGE_DB, height_of
from workflows.reports.examples import CLIP_SECONDS, Example, Sound, StemIndex
from workflows.reports.html import (
    TEMPLATES,
    Html,
    clock,
    counted,
    decibels,
    duration,
    fill,
    joined,
    percent,
    short_name,
    size,
)
from workflows.reports.timeline import Timeline, legend, matrix_html, timeline_html

MAX_FAILURES: Final = 200
STATUS_WORDS: Final = {
    "ok": "ok",
    "partial": "in part",
    "no_audio": "no audio",
    "unreadable": "unreadable",
    "failed": "failed",
}
TICKS_HERTZ: Final = (500, 1000, 2000, 4000, 8000, 16000)
DASH: Final = "–"


@dataclass(frozen=True)
class QueryRow:
    """One query over the whole dataset."""

    query: str
    text: str
    windows: int
    windows_passed: int
    presence_max: float
    stems: int
    events: int
    event_seconds: float
    tracks: int
    tracks_present: int
    tracks_too_quiet: int


@dataclass
class ReportData:
    """Everything the page shows."""

    out_uri: str
    made_at: str
    size_bytes: int
    totals: Totals
    index: StemIndex
    queries: list[QueryRow]
    long_lines: list[Timeline]
    short_lines: list[Timeline]
    matrix_queries: list[str]
    tracks_left_out: int
    failures: list[dict[str, Any]]
    """Of what is there in this version; `failures_over` counts those of what is gone or was replaced."""
    failures_over: int
    sources_gone: int
    settings: dict[str, Any]
    unreadable_files: list[str]
    examples: dict[str, list[Example]] = field(default_factory=dict)


def _status_bar(by_status: dict[str, int]) -> Html:
    """The sources by status, as a bar and in words."""
    present = {status: by_status[status] for status in STATUS_WORDS if by_status.get(status)}
    bar = joined(fill("status_part", status=status, share=count) for status, count in present.items())
    words = ", ".join(f"{count:,} {STATUS_WORDS[status]}" for status, count in present.items())
    return fill("status_bar", bar=bar, words=words) if present else Html()


def _tiles(data: ReportData) -> Html:
    totals, index = data.totals, data.index
    sounding = f"{duration(sum(index.event_seconds.values()))} of sound"
    if index.units_read < index.units_with_stems:
        sounding = f"counted in {index.units_read:,} of {index.units_with_stems:,} units"
    skipped = f"{totals.pairs_passed:,} of {counted(totals.pairs, 'pair')} of window and query passed"
    silent = f"; {totals.pairs_silent:,} were digital silence" if totals.pairs_silent else ""
    speed = f"{totals.audio_seconds / totals.wall_seconds:.1f} × real time" if totals.wall_seconds else ""
    models = ", ".join(sorted(model for model in index.models if model)) or data.settings.get("model", DASH)
    tiles = (
        ("Audio", duration(totals.audio_seconds), f"{totals.audio_seconds / 3600:.2f} hours decoded"),
        ("Sources", f"{totals.sources:,}", _status_bar(totals.sources_by_status)),
        (
            "Stems",
            f"{totals.stems:,}",
            f"for {sum(row.stems > 0 for row in data.queries)} of {len(data.queries)} queries",
        ),
        ("Events", f"{sum(index.events.values()):,}", sounding),
        ("Skipped by the gate", percent(totals.gate_skip_rate), skipped + silent if totals.pairs else ""),
        ("Computing time", duration(totals.wall_seconds), f"{speed}, all workers added up" if speed else ""),
        ("Size", size(data.size_bytes), f"in {counted(totals.units, 'unit')}"),
        ("Model", models, ""),
    )
    return joined(fill("tile", name=name, value=value, note=note) for name, value, note in tiles)


def _query_table(data: ReportData) -> Html:
    if not data.queries:
        return fill("note", text="No query has been looked for yet.")
    rows = [
        fill(
            "query_row",
            query=fill("query_link", number=number, query=row.query) if row.stems else row.query,
            text=row.text if row.text != row.query else "",
            stems=f"{row.stems:,}" if row.stems else DASH,
            events=f"{row.events:,}" if row.events else DASH,
            sounding=duration(row.event_seconds) if row.events else DASH,
            width=f"{100 * row.presence_max:.0f}",
            presence=f"{row.presence_max:.2f}" if row.windows else DASH,
            passed=percent(row.windows_passed / row.windows if row.windows else None),
            outcome=f"{row.tracks_present:,} of {row.tracks:,}"
            + (f", {row.tracks_too_quiet:,} too quiet" if row.tracks_too_quiet else ""),
        )
        for number, row in enumerate(data.queries)
    ]
    return fill("query_table", rows=joined(rows))


def _coverage(data: ReportData) -> Html:
    parts = [timeline_html(line) for line in data.long_lines]
    if data.short_lines:
        parts.append(matrix_html(data.short_lines, data.matrix_queries))
    if not parts:
        return fill("note", text="Nothing has been listened to yet.")
    if data.tracks_left_out:
        left_out = counted(data.tracks_left_out, "more track")
        parts.append(fill("note", text=f"Not drawn: {left_out}, with the least found. coverage.parquet has them all."))
    return joined([legend(), *parts])


def _panel(sound: Sound, name: str, example: Example) -> Html:
    row = example.row
    ticks = joined(
        fill("panel_tick", height=f"{100 * height_of(hertz, row['sample_rate']):.1f}", text=f"{hertz / 1000:g}k")
        for hertz in TICKS_HERTZ
        if hertz < 0.47 * row["sample_rate"]
    )
    what = f"{name} for {row['query_id']}, {short_name(row['source_uri'])}, {_span(example)}"
    return fill("panel", name=name, picture=sound.picture, player=sound.player, what=what, ticks=ticks)


def _span(example: Example) -> str:
    return f"{clock(example.start_seconds)} to {clock(example.end_seconds)}"


def _example(example: Example) -> Html:
    row = example.row
    numbers = [] if row["presence"] is None else [f"presence {row['presence']:.2f}"]
    if row["energy_ratio_db"] is not None:
        numbers.append(f"{decibels(row['energy_ratio_db'])} re mixture")
    if row["loudness_lufs"] is not None:
        numbers.append(decibels(row["loudness_lufs"], "LUFS"))
    gone = fill("panel_gone", message=example.mixture_message)
    return fill(
        "example",
        uri=row["source_uri"],
        name=short_name(row["source_uri"], example.named_track),
        span=_span(example),
        numbers=" · ".join(numbers),
        mixture=_panel(example.mixture, "mixture", example) if example.mixture else gone,
        stem=_panel(example.stem, "stem", example),
    )


def _examples(data: ReportData) -> Html:
    with_stems = [(number, row) for number, row in enumerate(data.queries) if row.stems]
    if not with_stems:
        return fill("note", text="There is no stem to listen to.")
    text = (
        "The best stems of every query: presence counts, faint ones count less; different tracks come first. "
        f"At most {CLIP_SECONDS:g} s each, as mono, mixture and stem with one common gain. "
        f"The colours span {RANGE_DB:g} dB, the same in both pictures."
    )
    if data.index.units_read < data.index.units_with_stems:
        text += f" Chosen among the {data.index.units_read:,} units with the most stems."
    parts = [fill("note", text=text)]
    for number, row in with_stems:
        found = joined(_example(example) for example in data.examples.get(row.query, []))
        body = found or fill("note", text=f"{counted(row.stems, 'stem')}, not shown: the page is full.")
        text = row.text if row.text != row.query else ""
        parts.append(fill("query_examples", number=number, query=row.query, text=text, body=body))
    silent = [row.query for row in data.queries if not row.stems]
    if silent:
        parts.append(fill("note", text=f"Without a stem: {', '.join(silent)}."))
    return joined(parts)


def _failures(data: ReportData) -> Html:
    rows = [
        fill(
            "failure_row",
            uri=row["source_uri"],
            name=short_name(row["source_uri"], row["track"]),
            status=row["status"],
            words=STATUS_WORDS.get(row["status"], row["status"]),
            error=row["error_class"],
            stage=row["stage"],
            message=row["message"],
            attempts=row["attempts"],
        )
        for row in data.failures[:MAX_FAILURES]
    ]
    parts = [fill("failure_table", rows=joined(rows))] if rows else []
    if len(data.failures) > MAX_FAILURES:
        parts.append(fill("note", text=f"{len(data.failures) - MAX_FAILURES:,} more are in sources.parquet."))
    if data.unreadable_files:
        files = counted(len(data.unreadable_files), "file")
        parts.append(fill("note", text=f"Under stems/, not units: {files}. soundquarry verify names each."))
    if data.totals.sources and not parts:
        parts.append(fill("good", text="None: every source was read to its end."))
    if data.failures_over:
        over = counted(data.failures_over, "failure")
        parts.append(fill("note", text=f"Not told of: {over} of sources that are gone or have another version since."))
    if data.sources_gone:
        gone = counted(data.sources_gone, "source")
        parts.append(
            fill("note", text=f"Not there any more: {gone}. The stems are kept; sources.parquet has the dates.")
        )
    return joined(parts) or fill("note", text="No source has been read yet.")


def _openers(data: ReportData) -> Html:
    """How to go on from here, ready to paste."""
    sql = data.out_uri.replace("'", "''")
    stems, sources = f"{data.out_uri}/stems/**/*.parquet", f"{data.out_uri}/sources.parquet"
    lines = (
        ("DuckDB", f"SELECT query_id, count(*), avg(presence) FROM '{sql}/stems/*/*.parquet' GROUP BY query_id;"),
        ("Hugging Face datasets", f'load_dataset("parquet", data_files={stems!r}, split="train")[0]["audio"]'),
        ("pandas", f"pandas.read_parquet({sources!r})"),
    )
    return joined(fill("opener", name=name, line=line) for name, line in lines)


def _paths(data: ReportData) -> Html:
    paths = {
        "stems": "stems/*/*.parquet",
        "sources": "sources.parquet",
        "coverage": "coverage.parquet",
        "plan": "plan/*.parquet",
    }
    return joined(
        fill("term", name=name, value=fill("code", text=f"{data.out_uri}/{path}")) for name, path in paths.items()
    )


def page(data: ReportData) -> str:
    """The whole page."""
    settings = joined(fill("term", name=name, value=value) for name, value in sorted(data.settings.items()))
    return fill(
        "page",
        name=short_name(data.out_uri),
        style=Html((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        uri=data.out_uri,
        made_at=data.made_at,
        tiles=_tiles(data),
        queries=_query_table(data),
        coverage=_coverage(data),
        examples=_examples(data),
        failures=_failures(data),
        paths=_paths(data),
        openers=_openers(data),
        settings=fill("settings", rows=settings) if settings else "",
    )
