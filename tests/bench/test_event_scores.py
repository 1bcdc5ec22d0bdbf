"""Windows of any model are scored over what is new in each."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.event_scores import hop_seconds, windows_of


def test_a_window_reaches_to_the_start_of_the_next(tmp_path: Path) -> None:
    row = {"source_uri": "/media/a.wav", "track": 0, "query_id": "dog", "windows_passed": 1}
    rows = [
        {**row, "window_starts": [0.0, 9.0, 18.0], "window_presence": [0.2, 0.8, 0.0]},
        {**row, "window_starts": [27.0], "window_presence": [0.9]},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "coverage.parquet")
    assert sorted(windows_of(tmp_path, "a.wav", 0)) == [
        ("dog", 0.0, 9.0, False, False),
        ("dog", 9.0, 18.0, True, False),
        ("dog", 18.0, 27.0, False, True),
        ("dog", 27.0, 36.0, True, False),
    ]


def test_a_hop_cannot_be_told_from_single_windows() -> None:
    assert hop_seconds([[0.0], [8.0, 16.0]]) == 8.0
    with pytest.raises(SystemExit, match="none with two windows"):
        hop_seconds([[0.0], [8.0]])
