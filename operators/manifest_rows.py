"""The rows of a manifest in CSV, JSON Lines or Parquet, streaming, as mappings with the place that a message names.

Nothing is interpreted here; what is no table at all is a `ManifestError`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from operators.media.names import extension
from operators.source import place_of

Row = tuple[str, Mapping[str, Any]]

LONGEST_LINE_BYTES: Final = 1 << 20  # a whole video opened as a table would otherwise be one line in memory
_ROWS_PER_BATCH: Final = 4096


class ManifestError(ValueError):
    """A manifest that cannot be followed: an error of the job, with the line, the value and what to do."""


def manifest_rows(uri: str, column: str = "uri") -> Iterator[Row]:
    """Place and columns of every row; values are text (CSV) or what JSON and Parquet hold. A CSV or Parquet table must
    have `column`, which names the sources."""
    fs, path = place_of(uri)
    with fs.open(path, "rb") as file:
        kind = extension(uri)
        yield from {"csv": _csv_rows, "jsonl": _json_rows, "parquet": _parquet_rows}[kind](uri, file, column)


def _lines(uri: str, file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Lines by number, with their ends."""
    reader = io.BufferedReader(cast("io.RawIOBase", file))  # fsspec's files of a store know no limit of a line
    for number, line in enumerate(iter(lambda: reader.readline(LONGEST_LINE_BYTES), b""), 1):
        if len(line) == LONGEST_LINE_BYTES:
            raise ManifestError(
                f"{uri}, line {number}: longer than {LONGEST_LINE_BYTES} bytes; a manifest has one row a line"
            )
        try:
            yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            found = f"byte 0x{line[error.start]:02x}"
            raise ManifestError(f"{uri}, line {number}: not UTF-8 ({found}); save the manifest as UTF-8") from None


def _csv_rows(uri: str, file: BinaryIO, column: str) -> Iterator[Row]:
    table = csv.reader((line for _, line in _lines(uri, file)), strict=True)
    try:
        names = [name.strip() for name in next(table, [])]
        _check_names(uri, names)
        _check_column(uri, names, column)
        for values in table:
            if not values:
                continue
            if len(values) != len(names):
                raise ManifestError(
                    f"{uri}, line {table.line_num}: {len(values)} values for the {len(names)} columns of the first "
                    "line; put a value that holds a comma into quotes"
                )
            yield f"{uri}, line {table.line_num}", dict(zip(names, values, strict=True))
    except csv.Error as error:
        raise ManifestError(f"{uri}, line {table.line_num}: not CSV ({error}); write it again") from None


def _check_names(uri: str, names: list[str]) -> None:
    """Every column of a CSV has a name of its own."""
    for position, name in enumerate(names, 1):
        if not name:
            raise ManifestError(
                f"{uri}: column {position} has no name; name it (pandas writes such a column unless index=False)"
            )
        if names.count(name) > 1:
            raise ManifestError(f"{uri}: the column {name!r} is there {names.count(name)} times; keep one")


def _check_column(uri: str, names: list[str], column: str) -> None:
    if column not in names:
        found = ", ".join(names) or "nothing"
        raise ManifestError(
            f"{uri}: no column {column!r} (found: {found}); name the column with the sources {column!r}"
        )


def _json_rows(uri: str, file: BinaryIO, column: str) -> Iterator[Row]:
    for number, line in _lines(uri, file):
        if not line.strip():
            continue
        where = f"{uri}, line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"{where}: not JSON ({error}); write one object a line") from None
        if not isinstance(row, dict):
            raise ManifestError(f"{where}: {type(row).__name__} instead of an object; write one object a line")
        yield where, row


def _parquet_rows(uri: str, file: BinaryIO, column: str) -> Iterator[Row]:
    number = 0
    try:
        table = pq.ParquetFile(file)
        _check_column(uri, table.schema_arrow.names, column)
        for batch in table.iter_batches(batch_size=_ROWS_PER_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield f"{uri}, row {number}", row
    except pa.ArrowException as error:
        raise ManifestError(f"{uri}: not a whole Parquet file ({error}); write it again") from None
