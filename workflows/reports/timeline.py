"""Where each query sounds: a heat strip per query along the time of a source track, and a matrix for short sources.

Contract: inline SVG, a rectangle per run of windows that look alike, so that ten hours take no more room than ten
minutes. Where several windows share one place, the highest presence is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from workflows.reports.html import Html, clock, counted, duration, fill, joined, short_name

MAX_PLACES: Final = 360
MAX_QUERIES: Final = 16
LEVELS: Final = 10
SHOWN_FROM: Final = 0.3
"""A query whose presence never reaches this, and that has no stem, is listed by name only."""
TICKS_SECONDS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 36000, 86400)
MAX_TICKS: Final = 8


@dataclass
class Strip:
    """One query along one track: where every window's kept part starts, and its presence."""

    query: str
    starts: list[float] = field(default_factory=list)
    presence: list[float] = field(default_factory=list)
    passed: int = 0
    stems: int = 0
    too_quiet: bool = False

    @property
    def highest(self) -> float:
        return max(self.presence, default=0.0)

    @property
    def shown(self) -> bool:
        return self.stems > 0 or self.highest >= SHOWN_FROM


@dataclass
class Timeline:
    """One source track with its strips. `track` is None when the source has no other one."""

    source_uri: str
    track: int | None
    start_seconds: float
    end_seconds: float
    strips: dict[str, Strip] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return short_name(self.source_uri, self.track)

    @property
    def seconds(self) -> float:
        return self.end_seconds - self.start_seconds


def timelines(rows: list[dict[str, Any]], with_several_tracks: set[str]) -> list[Timeline]:
    """The coverage rows of some tracks, stretches put end to end."""
    found: dict[tuple[str, int], Timeline] = {}
    for row in sorted(rows, key=lambda row: (row["source_uri"], row["track"], row["start_seconds"])):
        uri, track = row["source_uri"], row["track"]
        named = track if uri in with_several_tracks else None
        line = found.setdefault((uri, track), Timeline(uri, named, row["start_seconds"], row["end_seconds"]))
        line.end_seconds = max(line.end_seconds, row["end_seconds"])
        strip = line.strips.setdefault(row["query_id"], Strip(row["query_id"]))
        strip.starts += row["window_starts"] or []
        strip.presence += row["window_presence"] or []
        strip.passed += row["windows_passed"] or 0
        strip.stems += row["stems"] or 0
        strip.too_quiet |= row["outcome"] == "too_quiet"
    return list(found.values())


def level_of(presence: float) -> int:
    """The step of the colour scale, 0 to `LEVELS`."""
    return min(LEVELS, max(0, round(presence * LEVELS)))


def _stretches(strip: Strip, line: Timeline) -> list[tuple[float, float, float]]:
    """(start, end, presence) along the strip, `MAX_PLACES` at most; of windows in one place the highest counts."""
    if len(strip.starts) <= MAX_PLACES:
        edges = [*(max(line.start_seconds, start) for start in strip.starts), line.end_seconds]
        return list(zip(edges, edges[1:], strip.presence, strict=False))
    step = line.seconds / MAX_PLACES
    highest: dict[int, float] = {}
    for start, presence in zip(strip.starts, strip.presence, strict=True):
        place = min(MAX_PLACES - 1, max(0, int((start - line.start_seconds) / step)))
        highest[place] = max(highest.get(place, 0.0), presence)
    first = line.start_seconds
    return [(first + place * step, first + (place + 1) * step, highest[place]) for place in sorted(highest)]


def _runs(stretches: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Neighbours of one colour as one stretch; what has no colour is left out."""
    runs: list[tuple[float, float, float]] = []
    for start, end, presence in stretches:
        if runs and level_of(runs[-1][2]) == level_of(presence) and abs(runs[-1][1] - start) < 1e-6:
            runs[-1] = (runs[-1][0], end, max(runs[-1][2], presence))
        else:
            runs.append((start, end, presence))
    return [run for run in runs if level_of(run[2])]


def strip_svg(strip: Strip, line: Timeline, label: str) -> Html:
    """The strip; every rectangle says its time and presence when pointed at."""
    scale = 1000 / max(line.seconds, 1e-9)
    shapes = joined(
        fill(
            "strip_part",
            level=level_of(presence),
            x=f"{(start - line.start_seconds) * scale:.2f}",
            width=f"{max(1.5, (end - start) * scale):.2f}",
            title=f"{clock(start)} to {clock(end)}: {presence:.2f}",
        )
        for start, end, presence in _runs(_stretches(strip, line))
    )
    return fill("strip", label=label, shapes=shapes)


def _axis(line: Timeline) -> Html:
    tick = next((tick for tick in TICKS_SECONDS if line.seconds / tick <= MAX_TICKS), TICKS_SECONDS[-1])
    times = range(int(-(-line.start_seconds // tick) * tick), int(line.end_seconds) + 1, tick)
    shares = [100 * (time - line.start_seconds) / max(line.seconds, 1e-9) for time in times]
    ticks = joined(
        fill("tick", edge="last" if share > 94 else "", left=f"{share:.2f}", time=clock(time))
        for time, share in zip(times, shares, strict=True)
    )
    return fill("axis", ticks=ticks)


def _strip_row(strip: Strip, line: Timeline) -> Html:
    summary = f"{strip.passed} of {counted(len(strip.presence), 'window')} pass, highest presence {strip.highest:.2f}"
    note = "too quiet" if strip.too_quiet and not strip.stems else counted(strip.stems, "stem") if strip.stems else "–"
    svg = strip_svg(strip, line, f"{strip.query}: {summary}")
    return fill("strip_row", query=strip.query, summary=summary, note=note, svg=svg)


def timeline_html(line: Timeline) -> Html:
    """A track: a strip for every query that sounds, the others by name."""
    strips = sorted(line.strips.values(), key=lambda strip: (-strip.stems, -strip.highest, strip.query))
    shown = [strip for strip in strips if strip.shown]
    absent = sorted(strip.query for strip in strips if not strip.shown)
    rest = []
    if len(shown) > MAX_QUERIES:
        rest.append(f"{len(shown) - MAX_QUERIES} more queries sound here, less.")
    if absent:
        rest.append(f"Not heard: {', '.join(absent)}." if shown else f"None of the {len(absent)} queries is heard.")
    return fill(
        "track",
        uri=line.source_uri,
        name=line.name,
        length=duration(line.seconds),
        rows=joined(_strip_row(strip, line) for strip in shown[:MAX_QUERIES]),
        axis=_axis(line) if shown else "",
        rest=" ".join(rest),
    )


def legend() -> Html:
    """What the colours mean."""
    return fill("legend", steps=joined(fill("legend_step", level=level) for level in range(LEVELS + 1)))


def matrix_html(lines: list[Timeline], queries: list[str]) -> Html:
    """Short sources against queries: the highest presence in each."""
    rows = []
    for line in lines:
        highest = [line.strips[query].highest if query in line.strips else 0.0 for query in queries]
        cells = joined(
            fill(
                "matrix_cell",
                level=level_of(value),
                title=f"{query}: {value:.2f}",
                text=f"{value:.2f}" if value >= SHOWN_FROM else "",
            )
            for query, value in zip(queries, highest, strict=True)
        )
        rows.append(fill("matrix_row", uri=line.source_uri, name=line.name, cells=cells))
    return fill("matrix", head=joined(fill("matrix_head", query=query) for query in queries), body=joined(rows))
