"""Files of captions: one a line, or a column of a CSV or JSONL file. Written whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

COLUMN: Final = "caption"


class CaptionFileError(ValueError):
    """The file cannot be read as captions; the message names the file, and the line or the column."""


def read_captions(path: Path, column: str = COLUMN) -> list[str]:
    """The captions of a file, in its order, repeated ones too; white space is one space, empty ones are left out.

    `.csv` and `.jsonl` (`.ndjson`) files have them in `column`, all others one a line. Raises FileNotFoundError, or
    CaptionFileError for what is not UTF-8, has no such column, or holds no caption.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"no file of captions at {path}; `soundquarry captions generate {path}` makes one, or write one caption a "
            "line"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaptionFileError(f"{path} is not UTF-8 text ({error}); save it as UTF-8") from error
    suffix = path.suffix.lower()
    if suffix == ".csv":
        rows = _of_csv(path, text, column)
    elif suffix in (".jsonl", ".ndjson"):
        rows = _of_json_lines(path, text, column)
    else:
        rows = iter(text.split("\n"))
    captions = [caption for row in rows if (caption := " ".join(row.split()))]
    if not captions:
        raise CaptionFileError(f"{path} holds no caption")
    return captions


def write_captions(path: Path, captions: Iterable[str]) -> None:
    """Write captions to a file, one a line."""
    write_whole(path, "".join(f"{caption}\n" for caption in captions))


def write_whole(path: Path, text: str) -> None:
    """Write a text to a file in one go: whoever stops it leaves nothing, or the file that was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(text.encode())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _of_csv(path: Path, text: str, column: str) -> Iterator[str]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        columns = reader.fieldnames or []
        if column not in columns:
            raise CaptionFileError(f"{path} has no column {column!r}; its columns are {', '.join(columns) or 'none'}")
        for row in reader:
            yield row[column] or ""
    except csv.Error as error:
        raise CaptionFileError(f"{path}, line {reader.line_num}: no CSV ({error})") from error


def _of_json_lines(path: Path, text: str, column: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise CaptionFileError(f"{path}, line {number}: no JSON ({error})") from error
        if not isinstance(row, dict) or not isinstance(row.get(column), str):
            raise CaptionFileError(f"{path}, line {number}: no object with a text under {column!r}")
        yield row[column]
