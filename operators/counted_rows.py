"""The stem rows that count, read column by column and unit by unit; the audio stays where it is.

Contract: rows of members that another unit tells better of are left out (`operators/standing.py`); units without stems
are not opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from operators.standing import Ledger
from operators.unit_file import unit_path
from operators.whole_file import place

READERS: Final = 8
CHUNK_FILES: Final = 64
"""Files read ahead at most: a unit's rows without audio take about a megabyte."""


def counted_rows(out_uri: str, ledger: Ledger, columns: Sequence[str]) -> Iterator[pa.Table]:
    """One table per unit that has rows which count, in order of unit_id."""
    units = sorted(
        {entry.unit_id for entry in ledger.members.values() if any(source.stems for source in entry.sources)}
    )

    def read(unit_id: str) -> pa.Table:
        return _read_unit(out_uri, unit_id, ledger, columns)

    with ThreadPoolExecutor(READERS, thread_name_prefix="rows") as readers:
        for first in range(0, len(units), CHUNK_FILES):
            yield from readers.map(read, units[first : first + CHUNK_FILES])


def _read_unit(out_uri: str, unit_id: str, ledger: Ledger, columns: Sequence[str]) -> pa.Table:
    file = place(unit_path(out_uri, unit_id))
    with file.fs.open(file.path, "rb") as handle:
        parquet = pq.ParquetFile(handle)
        if unit_id not in ledger.superseded:
            return parquet.read(columns=list(columns))
        rows = parquet.read(columns=[*columns, "member_id"])
    members = rows["member_id"].to_pylist()
    counts = {member: ledger.counts(unit_id, member) for member in set(members)}
    return rows.filter(pa.array(np.array([counts[member] for member in members], np.bool_))).select(list(columns))
