"""How well events are found on a recording whose time line is known.

    python bench/event_scores.py OUT SOURCE TIMELINE.csv [--track 0]

Reads the dataset that `soundquarry extract` wrote, joins events over the borders of rows, and compares them with the
time line: an event is found when its onset lies within the collar (500 ms) of a true onset of its query, each true
onset counted once. A time line may call several labels by one query (male_speech and female_speech are `speech`).
Also prints false events per hour, and what the gate skipped at which cost.
"""

from __future__ import annotations

import argparse
import csv
from itertools import pairwise
from pathlib import Path

import duckdb

LABELS = {
    "dog": ["dog"],
    "rooster": ["rooster"],
    "crying_baby": ["crying_baby"],
    "helicopter": ["helicopter"],
    "chainsaw": ["chainsaw"],
    "sea_waves": ["sea_waves"],
    "speech": ["male_speech", "female_speech"],
}
JOIN_SECONDS = 0.35


def asked(description: str) -> argparse.Namespace:
    """The arguments: dataset, source, time line, track, collar."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("out", type=Path)
    parser.add_argument("source", help="end of the source's URI")
    parser.add_argument("timeline", type=Path)
    parser.add_argument("--track", type=int, default=0)
    parser.add_argument("--collar", type=float, default=0.5)
    return parser.parse_args()


def true_events(timeline: Path, track: int) -> list[dict[str, str]]:
    """Rows of the time line that are events of the track."""
    with timeline.open() as file:
        return [row for row in csv.DictReader(file) if row["kind"] == "event" and int(row.get("track") or 0) == track]


def main() -> None:
    """Print one line per query, then totals."""
    arguments = asked("Event scores.")
    truth = true_events(arguments.timeline, arguments.track)
    found_all = events_of(arguments.out, arguments.source, arguments.track)
    windows = windows_of(arguments.out, arguments.source, arguments.track)
    hours = max(stop for _, _, stop, _, _ in windows) / 3600.0
    hits = trues = founds = overlapping = 0
    missed_by_gate = pairs_true = 0
    for query, labels in LABELS.items():
        true = sorted((float(row["onset"]), float(row["offset"])) for row in truth if row["label"] in labels)
        true = joined(true, JOIN_SECONDS)
        found = joined(sorted(found_all.get(query, [])), JOIN_SECONDS)
        matched = matches([t[0] for t in true], [f[0] for f in found], arguments.collar)
        away = sum(not any(f[0] < t[1] + 1.0 and f[1] > t[0] - 1.0 for t in true) for f in found)
        hits, trues, founds, overlapping = hits + matched, trues + len(true), founds + len(found), overlapping + away
        of_query = [w for w in windows if w[0] == query]
        passed_rows = [w for w in of_query if any(t[0] < w[2] and t[1] > w[1] for t in true)]
        pairs_true += len(passed_rows)
        missed_by_gate += sum(not w[3] for w in passed_rows)
        recall = matched / len(true) if true else float("nan")
        precision = matched / len(found) if found else float("nan")
        print(
            f"{query:12} true {len(true):3} found {len(found):3} matched {matched:3}   "
            f"recall {recall:5.2f} precision {precision:5.2f}   away from any true event {away}"
        )
    recall, precision = hits / max(1, trues), hits / max(1, founds)
    skipped = sum(not w[3] for w in windows) / len(windows)
    print(f"all          recall {recall:.3f} precision {precision:.3f} F1 {2 * hits / max(1, trues + founds):.3f}")
    print(
        f"false events per hour and query: {overlapping / hours / len(LABELS):.1f} "
        "(away from any true event of the query)"
    )
    print(
        f"gate: skipped {skipped:.1%} of {len(windows)} pairs; of {pairs_true} pairs in which the query does sound "
        f"it skipped {missed_by_gate} ({missed_by_gate / max(1, pairs_true):.1%})"
    )
    quiet = [w for w in windows if w[4]]
    print(
        f"windows of digital silence: {len(quiet)} pairs, events in them: "
        f"{sum(any(f[0] < w[2] and f[1] > w[1] for f in found_all.get(w[0], [])) for w in quiet)}"
    )


def events_of(out: Path, source: str, track: int) -> dict[str, list[tuple[float, float]]]:
    """Start and end in seconds of every event of a query, from all rows of a track."""
    rows = duckdb.sql(
        f"select query_id, unnest(events) as e from read_parquet('{out}/stems/*/*.parquet') "
        f"where source_uri like '%{source}' and track = {track}"
    ).fetchall()
    events: dict[str, list[tuple[float, float]]] = {}
    for query, event in rows:
        events.setdefault(query, []).append((event["start_seconds"], event["end_seconds"]))
    return events


def windows_of(out: Path, source: str, track: int) -> list[tuple[str, float, float, bool, bool]]:
    """(query, start, stop, passed, silent) of every pair. Whether it passed is read off the highest presence that
    was skipped."""
    rows = duckdb.sql(
        f"select query_id, window_starts, window_presence, windows_passed from read_parquet('{out}/coverage.parquet') "
        f"where source_uri like '%{source}' and track = {track}"
    ).fetchall()
    hop = hop_seconds([starts for _, starts, _, _ in rows])
    pairs = []
    for query, starts, presence, count in rows:
        ranked = sorted(presence, reverse=True)
        threshold = ranked[count - 1] if count else 2.0
        pairs += [(query, s, s + hop, p >= threshold, p == 0.0) for s, p in zip(starts, presence, strict=True)]
    return pairs


def hop_seconds(rows: list[list[float]]) -> float:
    """From the start of a window to that of the next, by the starts in each row of a coverage: models differ in it."""
    steps = [b - a for starts in rows for a, b in pairwise(starts)]
    if not steps:
        raise SystemExit(
            f"{len(rows)} rows of coverage, and none with two windows; give a source of more than 20 seconds"
        )
    return min(steps)


def joined(spans: list[tuple[float, float]], gap: float) -> list[tuple[float, float]]:
    """Spans with those that lie closer than `gap` seconds made one."""
    joined: list[tuple[float, float]] = []
    for start, stop in spans:
        if joined and start - joined[-1][1] < gap:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def matches(true: list[float], found: list[float], collar: float) -> int:
    """How many true onsets have a found one within `collar` seconds of their own."""
    left = list(found)
    matched = 0
    for onset in true:
        near = [f for f in left if abs(f - onset) <= collar]
        if near:
            left.remove(min(near, key=lambda f: abs(f - onset)))
            matched += 1
    return matched


if __name__ == "__main__":
    main()
