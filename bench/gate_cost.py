"""What a stricter gate saves and costs, on a recording whose time line is known.

    soundquarry extract SOURCE --catalog CATALOG --no-gate --out OUT
    python -m bench.gate_cost OUT SOURCE TIMELINE.csv [--track 0]

An event counts as found as in `bench/event_scores.py`; with a gate it is found if, besides, the window in which it
begins passes. The table names, per threshold, the share of (window, query) pairs that would not be decoded; the one of
the dataset's model is among them where that model is here under its name.
"""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import numpy as np

from bench.event_scores import JOIN_SECONDS, LABELS, asked, events_of, joined, matches, true_events
from model.registry import find_checkpoint, model_signature
from model.weights_file import read_header
from operators.dataset import SIGNATURE_FILE

THRESHOLDS = [0.0, 0.1, 0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8]


def main() -> None:
    """Print one line per threshold."""
    arguments = asked("Cost of the gate.")
    truth = true_events(arguments.timeline, arguments.track)
    windows = {
        query: (np.array(starts), np.array(presence))
        for query, starts, presence in duckdb.sql(
            "select query_id, flatten(list(window_starts order by start_seconds)), "
            "flatten(list(window_presence order by start_seconds)) "
            f"from '{arguments.out}/coverage.parquet' where source_uri like '%{arguments.source}' "
            f"and track = {arguments.track} group by query_id"
        ).fetchall()
    }
    found = events_of(arguments.out, arguments.source, arguments.track)
    pairs = np.concatenate([presence for _, presence in windows.values()])
    print("threshold   pairs skipped   event recall")
    default = default_threshold(arguments.out)
    for threshold in sorted({*THRESHOLDS, *([] if default is None else [default])}):
        hits = trues = 0
        for query, labels in LABELS.items():
            true = sorted((float(row["onset"]), float(row["offset"])) for row in truth if row["label"] in labels)
            onsets = [start for start, _ in joined(true, JOIN_SECONDS)]
            starts, presence = windows[query]
            kept = [
                event
                for event in sorted(found.get(query, []))
                if presence[np.searchsorted(starts, event[0], side="right") - 1] >= threshold
            ]
            hits += matches(onsets, [start for start, _ in joined(kept, JOIN_SECONDS)], arguments.collar)
            trues += len(onsets)
        print(
            f"{threshold:9.3f}   {(pairs < threshold).mean():13.1%}   {hits / max(1, trues):12.3f}"
            + ("   the model's" if threshold == default else "")
        )


def default_threshold(out: Path) -> float | None:
    """From which presence the dataset's model decodes a pair unless it is told; None where the model is not here."""
    signature = json.loads((out / SIGNATURE_FILE).read_text())["model"]
    name = signature.rpartition("-")[0]
    try:
        if model_signature(name) != signature:
            return None
    except FileNotFoundError:
        return None
    header = read_header(find_checkpoint(name))[0]
    if "gate" in header:
        header = read_header(find_checkpoint(header["gate"]))[0]
    threshold: float = header["calibration"]["presence_threshold"]
    return threshold


if __name__ == "__main__":
    main()
