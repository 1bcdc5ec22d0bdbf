"""`index.csv`: one line per exported file, for spreadsheets and for scripts.

Contract: several exports into one folder share it. A line of the same file is replaced, others stay.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Mapping
from typing import Final

from operators.export.plan import ExportFile
from operators.whole_file import Place

INDEX_FILE: Final = "index.csv"
COLUMNS: Final = (
    "file", "source_uri", "track", "query_id", "query_text", "start_seconds", "end_seconds", "missing_seconds",
    "presence", "rank", "ucs_cat_id", "tags", "sample_rate", "channels", "time_reference",
)  # fmt: skip

Line = Mapping[str, str]


def index_csv(files: Iterable[tuple[str, ExportFile]], there: Iterable[Line] = ()) -> bytes:
    """The table of (name, file), UTF-8, with the lines of other files that are `there`.

    Starts and ends are those of the files, on the time lines of their sources.
    """
    lines = {line["file"]: line for line in there}
    lines.update((name, _line(name, file)) for name, file in files)
    text = io.StringIO()
    plain = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    quoted = csv.DictWriter(text, COLUMNS, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writeheader()
    for line in lines.values():  # a bare carriage return would end the line for whoever reads it
        (quoted if any("\r" in value for value in line.values()) else plain).writerow(line)
    return text.getvalue().encode()


def read_index(file: Place) -> list[Line]:
    """The lines of an index of ours, none where there is no file. Raises ValueError for any other file."""
    if not file.exists():
        return []
    limit = csv.field_size_limit(sys.maxsize)  # tags may be longer than the 128 KiB that it is by default
    try:
        text = file.fs.cat_file(file.path).decode()
        table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        lines: list[Line] = [*table]
    except csv.Error as error:
        raise ValueError(f"{file.uri} is no CSV: {error}") from error
    finally:
        csv.field_size_limit(limit)
    if tuple(table.fieldnames or ()) != COLUMNS or any(None in line or None in line.values() for line in lines):
        raise ValueError(f"{file.uri} has other columns than an index of this version: {', '.join(COLUMNS)}")
    return lines


def is_our_index(file: Place) -> bool:
    """True for what `index_csv` wrote, and where there is no file."""
    try:
        read_index(file)
    except ValueError:
        return False
    return True


def _line(name: str, file: ExportFile) -> Line:
    head = file.head
    return {
        "file": name,
        "source_uri": head.source_uri,
        "track": str(head.track),
        "query_id": head.query_id,
        "query_text": head.query_text,
        "start_seconds": f"{file.start / head.sample_rate:.6f}",
        "end_seconds": f"{file.stop / head.sample_rate:.6f}",
        "missing_seconds": f"{file.missing_seconds:.3f}",
        "presence": "" if file.presence is None else f"{file.presence:.4f}",
        "rank": "" if file.rank is None else str(file.rank),
        "ucs_cat_id": head.ucs_cat_id or "",
        "tags": "; ".join(file.tags),
        "sample_rate": str(head.sample_rate),
        "channels": str(head.channels),
        "time_reference": str(file.time_reference),
    }
