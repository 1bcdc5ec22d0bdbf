from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from fabricated_dataset import Member, commit_unit

from operators.counted_rows import counted_rows
from operators.dataset import read_ledger, remove_superseded
from operators.unit_file import unit_path

SHARED = Member("/b.wav", seconds=130.0, present=("dog", "rain"))


def rows_of(out: str) -> list[tuple[str, str, float]]:
    columns = ["unit_id", "query_id", "start_seconds"]
    tables = list(counted_rows(out, read_ledger(out), columns))
    assert all(table.column_names == columns for table in tables)
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]


def test_rows_of_members_that_another_unit_tells_better_of_are_left_out(tmp_path: Path) -> None:
    out = str(tmp_path)
    commit_unit(out, "cc03", [Member("/c.wav"), SHARED])
    commit_unit(out, "bb02", [SHARED], attempt=2)
    rows = rows_of(out)
    assert rows == [*(("bb02", query, start) for query in ("dog", "rain") for start in (0.0, 60.0, 120.0)),
                    ("cc03", "dog", 0.0)]  # fmt: skip
    assert remove_superseded(out) == 6
    assert rows_of(out) == rows


def test_units_without_stems_are_not_opened(tmp_path: Path) -> None:
    out = str(tmp_path)
    commit_unit(out, "aa01", [Member("/a.wav", present=()), Member("/z.wav", status="failed", error_class="timeout")])
    commit_unit(out, "bb02", [Member("/b.wav")])
    ledger = read_ledger(out)
    Path(unit_path(out, "aa01")).unlink()
    (table,) = counted_rows(out, ledger, ["stem_id"])
    assert table == pa.table({"stem_id": ["/b.wav|v1|0|dog|0"]}, table.schema)


def test_an_empty_dataset_has_no_rows(tmp_path: Path) -> None:
    assert rows_of(str(tmp_path)) == []
