"""Which formula ranks a library's events best, on a recording whose time line is known.

    python bench/score_formulas.py LIB SOURCE TIMELINE.csv [--track 0]

An event is true when its sound covers half of it or more. Printed per formula: the area under the ROC curve (0.5 is
chance, 1 puts every true event before every false one) over all events, and its mean and the mean average precision
over the queries that have true and false ones. `score` is the column of `events.parquet`.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from event_scores import LABELS
from numpy.typing import NDArray
from scipy.stats import rankdata

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


def main() -> None:
    """Print one line per formula."""
    parser = argparse.ArgumentParser(description="Formulas of the score.")
    parser.add_argument("library", type=Path)
    parser.add_argument("source", help="end of the source's URI")
    parser.add_argument("timeline", type=Path)
    parser.add_argument("--track", type=int, default=0)
    arguments = parser.parse_args()
    rows = [
        row
        for row in pq.read_table(arguments.library / "events.parquet").drop_columns(["embedding"]).to_pylist()
        if row["query_id"] in LABELS
        and row["source_uri"].endswith(arguments.source)
        and row["track"] == arguments.track
    ]
    with arguments.timeline.open() as file:
        truth = [row for row in csv.DictReader(file) if int(row.get("track") or 0) == arguments.track]
    true = np.array([_is_true(row, truth) for row in rows])
    queries = np.array([row["query_id"] for row in rows])
    print(f"{len(rows)} events, {true.sum()} true")
    for name, values in _formulas(rows).items():
        parts = [(values[queries == query], true[queries == query]) for query in LABELS]
        parts = [(part, flags) for part, flags in parts if flags.any() and not flags.all()]
        areas = np.mean([_area(*part) for part in parts])
        precision = np.mean([_average_precision(*part) for part in parts])
        print(f"{name:32} all {_area(values, true):.3f}   per query {areas:.3f}   average precision {precision:.3f}")


def _formulas(rows: list[dict]) -> dict[str, Numbers]:
    p = np.array([row["presence"] or 0.0 for row in rows])
    s = np.array([max(0.0, row["clap_similarity"] or 0.0) for row in rows])
    residual = np.array([0.0 if row["residual_ratio_db"] is None else row["residual_ratio_db"] for row in rows])
    x = 1.0 - np.minimum(1.0, 10.0 ** (residual / 10.0))
    return {
        "presence": p,
        "similarity": s,
        "explained": x,
        "(presence similarity)^1/2": (p * s) ** 0.5,
        "(presence similarity explained)^1/3": np.cbrt(p * s * x),
        "mean of the three": (p + s + x) / 3.0,
        "score": np.array([row["score"] for row in rows], np.float64),
    }


def _is_true(row: dict, truth: list[dict[str, str]]) -> bool:
    start, end = row["event_start_seconds"], row["event_end_seconds"]
    covered = sum(
        max(0.0, min(end, float(true["offset"])) - max(start, float(true["onset"])))
        for true in truth
        if true["label"] in LABELS[row["query_id"]]
    )
    return covered >= 0.5 * (end - start)


def _area(values: Numbers, true: Flags) -> float:
    count = int(true.sum())
    return float((rankdata(values)[true].sum() - count * (count + 1) / 2) / (count * (len(true) - count)))


def _average_precision(values: Numbers, true: Flags) -> float:
    in_order = true[np.argsort(-values, kind="stable")]
    return float((np.cumsum(in_order) / np.arange(1, len(in_order) + 1))[in_order].mean())


if __name__ == "__main__":
    main()
