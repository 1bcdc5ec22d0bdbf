"""`index.csv`: one line per exported file, for spreadsheets and for scripts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Final

from operators.export_plan import ExportFile

INDEX_FILE: Final = "index.csv"
COLUMNS: Final = (
    "file", "source_uri", "track", "query_id", "query_text", "start_seconds", "end_seconds", "presence", "rank",
    "ucs_cat_id", "tags", "sample_rate", "channels", "time_reference",
)  # fmt: skip


def index_csv(files: Iterable[tuple[str, ExportFile]]) -> bytes:
    """The table of (name, file), UTF-8. Starts and ends are those of the files, on the time lines of their sources."""
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    for name, file in files:
        head = file.head
        table.writerow(
            {
                "file": name,
                "source_uri": head.source_uri,
                "track": head.track,
                "query_id": head.query_id,
                "query_text": head.query_text,
                "start_seconds": f"{file.start / head.sample_rate:.6f}",
                "end_seconds": f"{file.stop / head.sample_rate:.6f}",
                "presence": "" if file.presence is None else f"{file.presence:.4f}",
                "rank": "" if file.rank is None else file.rank,
                "ucs_cat_id": head.ucs_cat_id or "",
                "tags": "; ".join(head.tags),
                "sample_rate": head.sample_rate,
                "channels": head.channels,
                "time_reference": file.time_reference,
            }
        )
    return text.getvalue().encode()
