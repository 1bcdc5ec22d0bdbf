"""A list as it stands in its file: a header, and rows that know their line and the names of their columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from workflows.evaluation.mixtures import ListError


class RowError(ValueError):
    """A row that cannot be used; the message names the column."""


@dataclass(frozen=True)
class Row:
    """The fields of one line by their columns."""

    line: int
    fields: Mapping[str, str]

    def text(self, column: str) -> str:
        """What stands in a column. Raises RowError where nothing does."""
        value = self.fields[column].strip()
        if not value:
            raise RowError(f"{column} is empty")
        return value

    def number(self, column: str) -> float:
        """The number in a column. Raises RowError."""
        try:
            value = float(self.fields[column])
        except ValueError:
            value = float("nan")
        if not abs(value) < 1000.0:
            raise RowError(f"{column} is {self.fields[column]!r}, expected a number of dB")
        return value


@dataclass(frozen=True)
class ListTable:
    """A CSV. A column that comes twice is `name` and `name (2)`; lines that do not fit the header are problems."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[str, ...]


def read_table(path: Path, *, columns: tuple[str, ...] | None = None) -> ListTable:
    """The table in a file, whose first line is its header, or that has `columns` and none. Raises ListError."""
    lines = [(number, fields) for number, fields in _lines(path) if any(field.strip() for field in fields)]
    if columns is None:
        if not lines:
            raise ListError(f"{path} has no rows")
        columns, lines = _distinct([name.strip() for name in lines[0][1]]), lines[1:]
    if not lines:
        raise ListError(f"{path} has no rows")
    rows, problems = [], []
    for number, fields in lines:
        if len(fields) == len(columns):
            rows.append(Row(number, dict(zip(columns, fields, strict=True))))
        else:
            problems.append(f"line {number}: {len(fields)} fields, expected {len(columns)}: {', '.join(columns)}")
    return ListTable(path, columns, tuple(rows), tuple(problems))


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Every record with the number of its last line. Raises ListError for what is no text."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ListError(f"{path} is no UTF-8 text ({error}); give a CSV") from None
    reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        return [(reader.line_num, fields) for fields in reader]
    except csv.Error as error:
        raise ListError(f"{path}, line {reader.line_num}: no CSV ({error})") from None


def _distinct(names: list[str]) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(distinct)
