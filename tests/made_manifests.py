"""Manifests of any kind, made in code, and what is listed of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from operators.source import Source
from operators.sources import list_sources


def write_manifest(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """The rows as the kind of table that the path's extension names."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist([{n: row.get(n) for n in names} for row in rows]), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    else:

        def text(value: Any) -> str:
            return ";".join(value) if isinstance(value, list) else "" if value is None else str(value)

        lines = [names, *([text(row.get(name)) for name in names] for row in rows)]
        path.write_text("".join(",".join(line) + "\n" for line in lines), "utf-8")
    return path


def write_text(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def listed(*patterns: Path | str) -> list[Source]:
    return list(list_sources([str(pattern) for pattern in patterns]))
